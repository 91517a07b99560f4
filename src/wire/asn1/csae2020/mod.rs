//! The message set of T/CSAE 53-2020 (YD/T 3709) with T/CSAE 157: UPER with automatic tags.
//!
//! What the 2019 release writes alike is in [`csae`](super::csae). The messages of T/CSAE 157
//! travel as octets inside [`MessageFrameExt`]; [`ExtMessage`] is what they hold.

use super::{EncodeError, FrameError, codec};

mod attitude;
mod bsm;
mod ext;
mod frame;
mod map;
mod pam;
mod psm;
mod rsc;
mod rsi;
mod section;
mod ssm;
mod vir;

pub use super::csae::*;
pub use attitude::*;
pub use bsm::*;
pub use ext::*;
pub use frame::*;
pub use map::*;
pub use pam::*;
pub use psm::*;
pub use rsc::*;
pub use rsi::*;
pub use section::*;
pub use ssm::*;
pub use vir::*;

/// The first octet of a frame of T/CSAE 157: extension bit, then alternative 0 as a normally small
/// number (X.691, section 11.6).
const EXTENSION_FRAME: u8 = 0x80;

/// Reads exactly one frame. The octets of a message of T/CSAE 157 are read as well, so that a
/// frame that comes back can be understood whole.
///
/// # Errors
///
/// Names what is wrong with the bytes.
pub fn decode_frame(bytes: &[u8]) -> Result<MessageFrame, FrameError> {
    if bytes.first().is_some_and(|first| *first > EXTENSION_FRAME) {
        return Err(FrameError::UnknownExtension);
    }
    let frame = codec::decode_exact(bytes)?;
    if let MessageFrame::MsgFrameExt(inner) = &frame {
        ExtMessage::decode(inner)?;
    }
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
