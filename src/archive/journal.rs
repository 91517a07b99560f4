//! The journal: the minutes of a file that is not complete yet, so that a crash loses none.
//!
//! ```text
//! journal = "RCARCH" 0 1 | network version 32 bytes | block*
//! block   = length u32 | CRC-32 of the rest u32 | start ms i64 | rows u32 | bytes
//! ```
//!
//! Little-endian. A block that is short or fails its checksum ends the journal: so it looks when the
//! writer was killed in the middle.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::Block;
use crate::network::NetworkVersion;
use crate::units::Timestamp;

const MAGIC: &[u8; 8] = b"RCARCH\0\x01";
const HEADER_BYTES: usize = 8 + 32;
const BLOCK_HEADER_BYTES: usize = 4 + 4 + 8 + 4;

/// A journal that is being written.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    network: NetworkVersion,
    file: Option<File>,
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Creates a file that its owner writes and its group may read.
pub(super) fn create(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(path)
}

impl Journal {
    /// A journal at `path`, begun with the first block.
    pub(super) fn new(path: PathBuf, network: NetworkVersion) -> Self {
        Self {
            path,
            network,
            file: None,
        }
    }

    /// Whether it has been begun; after a failed write it has to be begun again.
    pub(super) fn is_begun(&self) -> bool {
        self.file.is_some()
    }

    /// Appends a block and waits until the disk has it.
    pub(super) fn append(&mut self, block: &Block) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let mut file = create(&self.path)?;
                file.write_all(MAGIC)?;
                file.write_all(&self.network.0)?;
                file
            }
        };
        let mut body = Vec::with_capacity(BLOCK_HEADER_BYTES + block.bytes.len());
        body.extend_from_slice(&[0; 8]);
        body.extend_from_slice(&block.start.as_millis().to_le_bytes());
        body.extend_from_slice(&(block.row_count as u32).to_le_bytes());
        body.extend_from_slice(&block.bytes);
        let length = (body.len() - 8) as u32;
        let sum = checksum(&body[8..]);
        body[..4].copy_from_slice(&length.to_le_bytes());
        body[4..8].copy_from_slice(&sum.to_le_bytes());
        file.write_all(&body)?;
        file.sync_data()?;
        self.file = Some(file);
        Ok(())
    }

    /// Forgets what it holds: it stands in a complete file now.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file = None;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The whole blocks of the journal at `path`, none if there is no such file, and the network version
/// they are of.
pub(super) fn read(path: &Path) -> io::Result<Option<(NetworkVersion, Vec<Arc<Block>>)>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
        return Ok(None);
    }
    let mut network = NetworkVersion([0; 32]);
    network.0.copy_from_slice(&bytes[8..HEADER_BYTES]);
    let (mut blocks, mut rest) = (Vec::new(), &bytes[HEADER_BYTES..]);
    while let Some((block, behind)) = next_block(rest) {
        blocks.push(Arc::new(block));
        rest = behind;
    }
    Ok(Some((network, blocks)))
}

fn next_block(bytes: &[u8]) -> Option<(Block, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (body, behind) = rest.split_at_checked(length)?;
    if checksum(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (start, body) = body.split_first_chunk::<8>()?;
    let (rows, body) = body.split_first_chunk::<4>()?;
    let block = Block {
        start: Timestamp::from_millis(i64::from_le_bytes(*start)),
        row_count: u32::from_le_bytes(*rows) as usize,
        bytes: body.to_vec(),
    };
    Some((block, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_journal_gives_every_whole_minute() {
        let path = std::env::temp_dir().join(format!("roadcast-journal-{}", std::process::id()));
        let network = NetworkVersion([3; 32]);
        let mut journal = Journal::new(path.clone(), network);
        let blocks: Vec<Block> = (0..3)
            .map(|minute| Block {
                start: Timestamp::from_secs(60 * minute),
                row_count: 1,
                bytes: vec![minute as u8; 100],
            })
            .collect();
        for block in &blocks {
            journal.append(block).unwrap();
        }
        let whole = fs::read(&path).unwrap();
        for cut in [0, 7, 8, 39, 40, 41, 160, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            let found = read(&path)
                .unwrap()
                .map_or(Vec::new(), |(_, blocks)| blocks);
            let expected = cut.saturating_sub(HEADER_BYTES) / (BLOCK_HEADER_BYTES + 100);
            assert_eq!(found.len(), expected, "cut at {cut}");
            assert!(
                found
                    .iter()
                    .zip(&blocks)
                    .all(|(found, block)| **found == *block)
            );
        }
        let mut broken = whole.clone();
        broken[HEADER_BYTES + 60] ^= 1;
        fs::write(&path, &broken).unwrap();
        let (version, found) = read(&path).unwrap().expect("a journal");
        assert_eq!((version, found.len()), (network, 0));
        journal.clear().unwrap();
        assert!(read(&path).unwrap().is_none());
    }
}
