//! Snapshots on disk: the pipeline's memory with the number of the recorded message it reaches to.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::network::NetworkVersion;
use crate::replay::recording::create_private;

const MAGIC: &[u8; 8] = b"RCSNAP\0\x02";
/// Magic, sequence, network version, hash of the rest.
const HEADER_BYTES: usize = 8 + 8 + 32 + 32;
/// Older snapshots kept beside the newest, in case its disk block goes bad.
const KEPT: usize = 2;

/// A snapshot read back.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Recorded messages before this number are in `memory`.
    pub(super) sequence: u64,
    /// What the pipeline wrote.
    pub(super) memory: Vec<u8>,
}

/// Writes a snapshot beside the recording: complete or not at all.
pub(super) fn write(
    directory: &Path,
    sequence: u64,
    network: NetworkVersion,
    memory: &[u8],
) -> anyhow::Result<()> {
    let path = directory.join(format!("{sequence:020}.snapshot"));
    let unfinished = path.with_extension("unfinished");
    let place = || path.display().to_string();
    let mut file = create_private(&unfinished).with_context(place)?;
    file.write_all(MAGIC).with_context(place)?;
    file.write_all(&sequence.to_le_bytes())
        .with_context(place)?;
    file.write_all(&network.0).with_context(place)?;
    file.write_all(&Sha256::digest(memory))
        .with_context(place)?;
    file.write_all(memory).with_context(place)?;
    file.sync_all().with_context(place)?;
    fs::rename(&unfinished, &path).with_context(place)?;
    for old in paths(directory)?.iter().rev().skip(KEPT) {
        fs::remove_file(old).with_context(|| old.display().to_string())?;
    }
    Ok(())
}

/// The newest intact snapshot of this network; broken ones are passed over with a warning.
pub(super) fn newest(
    directory: &Path,
    network: NetworkVersion,
) -> anyhow::Result<Option<Snapshot>> {
    for path in paths(directory)?.into_iter().rev() {
        match read(&path, network) {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "A snapshot is passed over.");
            }
        }
    }
    Ok(None)
}

fn read(path: &Path, network: NetworkVersion) -> anyhow::Result<Snapshot> {
    let mut bytes = fs::read(path)?;
    anyhow::ensure!(
        bytes.len() >= HEADER_BYTES && bytes.starts_with(MAGIC),
        "not a snapshot"
    );
    anyhow::ensure!(bytes[16..48] == network.0, "made for another network");
    anyhow::ensure!(
        bytes[48..80] == *Sha256::digest(&bytes[HEADER_BYTES..]),
        "hash differs"
    );
    let mut sequence = [0; 8];
    sequence.copy_from_slice(&bytes[8..16]);
    bytes.drain(..HEADER_BYTES);
    Ok(Snapshot {
        sequence: u64::from_le_bytes(sequence),
        memory: bytes,
    })
}

/// The snapshots of a directory, oldest first.
fn paths(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !directory.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "snapshot")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_newest_intact_snapshot_wins() {
        let directory =
            std::env::temp_dir().join(format!("roadcast-snapshots-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let network = NetworkVersion([7; 32]);
        for sequence in [5, 70, 800] {
            write(&directory, sequence, network, &sequence.to_le_bytes()).unwrap();
        }
        assert_eq!(paths(&directory).unwrap().len(), KEPT);
        for path in paths(&directory).unwrap() {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(newest(&directory, network).unwrap().unwrap().sequence, 800);
        let newest_path = paths(&directory).unwrap().pop().unwrap();
        let mut bytes = fs::read(&newest_path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&newest_path, bytes).unwrap();
        let snapshot = newest(&directory, network).unwrap().unwrap();
        assert_eq!(
            (snapshot.sequence, snapshot.memory),
            (70, 70u64.to_le_bytes().to_vec())
        );
        assert!(
            newest(&directory, NetworkVersion([8; 32]))
                .unwrap()
                .is_none()
        );
        fs::remove_dir_all(&directory).unwrap();
    }
}
