//! Blocks of a snapshot, and what can be wrong with one.

/// Why a snapshot cannot be restored.
#[derive(Debug, thiserror::Error)]
#[error("snapshot of {room}: {problem}")]
pub struct SnapshotError {
    /// Whose memory it is.
    pub room: &'static str,
    /// What is wrong, with the value.
    pub problem: String,
}

impl SnapshotError {
    /// Says which room's memory an error is about.
    pub(super) fn of<E: std::fmt::Display>(room: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self {
            room,
            problem: error.to_string(),
        }
    }
}

/// Splits a length-prefixed block (`u32` little-endian) off the front of `bytes`.
pub(super) fn take_block<'a>(
    bytes: &mut &'a [u8],
    room: &'static str,
) -> Result<&'a [u8], SnapshotError> {
    let truncated = || SnapshotError {
        room,
        problem: format!("ends after {} bytes", bytes.len()),
    };
    let (head, rest) = bytes.split_first_chunk::<4>().ok_or_else(truncated)?;
    let length = u32::from_le_bytes(*head) as usize;
    if rest.len() < length {
        return Err(truncated());
    }
    let (block, rest) = rest.split_at(length);
    *bytes = rest;
    Ok(block)
}

/// Appends what `write` writes as a length-prefixed block.
pub(super) fn put_block(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}
