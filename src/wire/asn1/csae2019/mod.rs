//! The message set of T/CSAE 53 in its 2019 release: UPER with automatic tags.
//!
//! What the 2020 release (YD/T 3709) writes alike is in [`csae`](super::csae).

use super::{EncodeError, FrameError, codec};

mod bsm;
mod frame;
mod map;
mod rsi;

pub use super::csae::*;
pub use bsm::*;
pub use frame::*;
pub use map::*;
pub use rsi::*;

/// Reads exactly one frame.
///
/// # Errors
///
/// Names what is wrong with the bytes.
pub fn decode_frame(bytes: &[u8]) -> Result<MessageFrame, FrameError> {
    // The set has no message beyond the five of its root.
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        return Err(FrameError::UnknownExtension);
    }
    let frame = codec::decode_exact(bytes)?;
    Ok(frame)
}

/// Writes one frame.
///
/// # Errors
///
/// Names the member that is outside its range.
pub fn encode_frame(frame: &MessageFrame) -> Result<Vec<u8>, EncodeError> {
    let bytes = codec::encode(frame)?;
    Ok(bytes)
}
