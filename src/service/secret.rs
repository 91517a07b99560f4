//! The secret behind pseudonyms: read from a file, or made at the first start.
//!
//! The file holds 32 bytes, raw or as 64 hexadecimal digits, and nobody but its owner may read it.
//! Nodes that share one give the same pseudonyms. It is never logged; errors name the file and
//! never what is in it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::RawConfig;
use crate::screening::Secret;

/// Name of the file that is made beside the recording when none is configured.
const FILE_NAME: &str = "pseudonym.key";
/// Bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Longest file that is looked into: hexadecimal digits and a line end.
const FILE_BYTES_MAX: u64 = 2 * SECRET_BYTES as u64 + 2;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read or made.
    #[error("privacy.key_file {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others may read or write it.
    #[error(
        "privacy.key_file {path} has mode {mode:04o}: only its owner may read it (chmod 600)",
        path = path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds something else.
    #[error(
        "privacy.key_file {path} holds neither {SECRET_BYTES} bytes nor {digits} hexadecimal digits",
        path = path.display(),
        digits = 2 * SECRET_BYTES
    )]
    NoSecret {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no random bytes.
    #[error("no random bytes for the secret of pseudonyms: {0}")]
    NoRandomness(getrandom::Error),
}

/// The secret that a configuration asks for: that of `privacy.key_file`; else of a file beside the
/// recording, made at the first start; without a recording one that ends with the process.
///
/// # Errors
/// When the file cannot be used or made.
pub fn secret(raw: &RawConfig) -> Result<Secret, SecretError> {
    if !raw.privacy.key_file.as_os_str().is_empty() {
        return read(&raw.privacy.key_file);
    }
    let directory = &raw.recording.dir;
    if directory.as_os_str().is_empty() {
        return random().map(Secret::new);
    }
    let path = directory.join(FILE_NAME);
    if !path.exists() {
        create(directory, &path)?;
    }
    read(&path)
}

fn random() -> Result<[u8; SECRET_BYTES], SecretError> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(SecretError::NoRandomness)?;
    Ok(bytes)
}

fn create(directory: &Path, path: &Path) -> Result<(), SecretError> {
    let at = |source| SecretError::Io {
        path: path.to_owned(),
        source,
    };
    crate::replay::recording::create_private_directory(directory).map_err(at)?;
    let bytes = random()?;
    // A start that is interrupted here must not leave a short file: it is written beside, then
    // named. Hexadecimal, so that it can be carried to another node by hand.
    let unfinished = path.with_extension("unfinished");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(at)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    file.write_all(digits.as_bytes()).map_err(at)?;
    file.write_all(b"\n").map_err(at)?;
    file.sync_all().map_err(at)?;
    fs::rename(&unfinished, path).map_err(at)?;
    tracing::info!(path = %path.display(), "A secret for pseudonyms was made.");
    Ok(())
}

fn read(path: &Path) -> Result<Secret, SecretError> {
    let at = |source| SecretError::Io {
        path: path.to_owned(),
        source,
    };
    let no_secret = || SecretError::NoSecret {
        path: path.to_owned(),
    };
    let metadata = fs::metadata(path).map_err(at)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(SecretError::Open { path, mode });
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(no_secret());
    }
    let bytes = fs::read(path).map_err(at)?;
    parse(&bytes).map(Secret::new).ok_or_else(no_secret)
}

fn parse(bytes: &[u8]) -> Option<[u8; SECRET_BYTES]> {
    if let Ok(raw) = bytes.try_into() {
        return Some(raw);
    }
    let digits = bytes.trim_ascii_end();
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != SECRET_BYTES || !rest.is_empty() {
        return None;
    }
    let mut secret = [0; SECRET_BYTES];
    for (byte, &[high, low]) in secret.iter_mut().zip(pairs) {
        let digit = |letter: u8| char::from(letter).to_digit(16);
        *byte = (digit(high)? * 16 + digit(low)?) as u8;
    }
    Some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screening::{PseudonymKeys, Pseudonyms};
    use crate::units::{SubjectId, Timestamp};

    /// What a secret makes of one road user: secrets themselves cannot be compared.
    fn mark(secret: Secret) -> SubjectId {
        let mut keys = PseudonymKeys::new(Pseudonyms::new(secret, 3_600, 0));
        keys.of(SubjectId(1), Timestamp::from_secs(0))
    }

    fn put(path: &Path, bytes: &[u8], mode: u32) {
        fs::write(path, bytes).expect("writes");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("sets the mode");
    }

    #[test]
    fn a_file_of_its_owner_alone_gives_the_secret_raw_or_in_digits() {
        let home = std::env::temp_dir().join(format!("roadcast-secret-{}", std::process::id()));
        fs::create_dir_all(&home).expect("a directory");
        let path = home.join("key");
        let mut raw = RawConfig::default();
        raw.privacy.key_file = path.clone();
        let bytes: [u8; 32] = std::array::from_fn(|index| 0xf0 ^ index as u8);
        let expected = mark(Secret::new(bytes));
        let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        for content in [
            bytes.to_vec(),
            digits.clone().into(),
            format!("{digits}\n").into(),
        ] {
            put(&path, &content, 0o600);
            assert_eq!(mark(secret(&raw).expect("a secret")), expected);
        }
        for mode in [0o644, 0o640, 0o602] {
            put(&path, &bytes, mode);
            let error = secret(&raw).expect_err("others may read it").to_string();
            assert!(
                error.contains("chmod 600") && !error.contains("f0"),
                "{error}"
            );
        }
        for content in [&bytes[..31], &[b'g'; 64], &[b'0'; 63], &[b'0'; 4_000], b""] {
            put(&path, content, 0o600);
            let error = secret(&raw).expect_err("no secret").to_string();
            assert!(error.contains("hexadecimal"), "{error}");
        }
        fs::remove_file(&path).expect("removes");
        let error = secret(&raw).expect_err("a file that is named is not made");
        assert!(matches!(error, SecretError::Io { .. }), "{error}");
        fs::remove_dir_all(&home).expect("removes");
    }

    #[test]
    fn the_first_start_makes_a_secret_beside_the_recording_and_the_next_finds_it() {
        let home = std::env::temp_dir().join(format!("roadcast-secrets-{}", std::process::id()));
        let mut raw = RawConfig::default();
        raw.recording.dir = home.join("one");
        let first = mark(secret(&raw).expect("made"));
        assert_eq!(mark(secret(&raw).expect("found")), first);
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&raw.recording.dir), 0o700);
        assert_eq!(mode(&raw.recording.dir.join(FILE_NAME)), 0o600);
        raw.recording.dir = home.join("two");
        assert_ne!(mark(secret(&raw).expect("made")), first);
        raw.recording.dir = PathBuf::new();
        assert_ne!(
            mark(secret(&raw).expect("of the process")),
            mark(secret(&raw).expect("of the process"))
        );
        fs::remove_dir_all(&home).expect("removes");
    }
}
