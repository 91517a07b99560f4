//! Recordings: the list of `(now, RawMessage)` that an engine was given, which is also its
//! write-ahead log.
//!
//! A recording is one file, or a directory of segments named after the sequence number of their
//! first message. It holds messages as they arrived; it knows nothing of their meaning, and
//! snapshots of the engine live beside it, stamped with a sequence number of it.
//!
//! ```text
//! segment = "roadcast" | version u16 | reserved u16 u32 | first sequence u64 | block*
//! block   = body length u32 | CRC-32 of the body u32 | body
//! body    = flags u8 | topics: count, { length, bytes }* | entries: count, entry*
//! entry   = now - previous now | received_at - now | source | topic | payload length, payload
//! ```
//!
//! Fixed integers are little-endian; the others are LEB128 varints, differences zigzag-coded, times
//! in milliseconds. Topics are numbered in order of appearance within a segment; flag 1 starts the
//! numbering anew. A block that is short or fails its checksum ends the segment: that is how a
//! segment looks whose writer was killed, and what was behind it had not been acknowledged.

mod format;
mod reader;
mod recorder;
mod writer;

use std::io;
use std::path::PathBuf;

pub use format::{MAX_BLOCK_BYTES, MAX_PAYLOAD_BYTES};
pub use reader::{Recording, SegmentReader, TornTail};
pub use recorder::{
    Durable, Recorder, RecorderClosed, RecorderSettings, RecorderStats, SyncPolicy,
};
pub use writer::{Expired, Rotation, Writer};

use crate::observation::RawMessage;
use crate::units::Timestamp;

/// One line of a recording: engine time at which a message was handed to the engine, and the
/// message.
pub type Entry = (Timestamp, RawMessage);

/// What can be wrong with a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Reading the bytes of a segment failed.
    #[error("reading a segment: {0}")]
    Read(#[from] io::Error),
    /// The file does not begin like a recording.
    #[error("not a roadcast recording")]
    NotARecording,
    /// The file was written by another version of roadcast.
    #[error("recording version {found}, this build reads {expected}")]
    Version {
        /// Version in the file.
        found: u16,
        /// Version of this build.
        expected: u16,
    },
    /// A block passes its checksum but does not follow the format.
    #[error("block at byte {offset}: {what}")]
    Malformed {
        /// Offset of the block in its segment.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Messages are missing between two segments.
    #[error("messages {expected} to {found} are missing")]
    Gap {
        /// Sequence number that should follow.
        expected: u64,
        /// Sequence number that follows.
        found: u64,
    },
    /// A message is larger than a recording can hold.
    #[error("message of {bytes} bytes exceeds {limit}")]
    TooLarge {
        /// Size of payload or topic.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

/// Creates a directory that only its owner may enter, and those above it as usual; one that is
/// there stays as it is.
///
/// # Errors
///
/// The file system refused.
pub fn create_private_directory(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::DirBuilder::new().mode(0o700).create(path)?;
    Ok(())
}

/// Creates a file that only its owner may read and write, or empties one that is there and takes
/// the right from others.
///
/// # Errors
///
/// The file system refused.
pub fn create_private(path: &std::path::Path) -> io::Result<std::fs::File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // A device or pipe that is written to belongs to others.
    if file.metadata()?.is_file() {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Attaches the path to an error of the file system.
fn at(path: &std::path::Path) -> impl FnOnce(io::Error) -> RecordingError + '_ {
    move |source| RecordingError::Io {
        path: path.to_path_buf(),
        source,
    }
}

#[cfg(test)]
mod tests;
