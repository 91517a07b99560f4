//! The message set of T/CSAE 53 in its 2019 release: hand-written types, members in wire order.
//!
//! The codec is UPER with automatic tags. A 2020 release (YD/T 3709) exists whose RSI and MAP
//! differ on the wire without saying so; it needs types of its own.
//!
//! Types end in the names of the standard. Comments give range, unit, and the value for unknown.

use rasn::error::{DecodeError, DecodeErrorKind};
use rasn::prelude::*;
use thiserror::Error;

mod bsm;
mod map;
mod motion;
mod position;
mod rsi;
mod rsm;
mod spat;
mod time;
mod vehicle;

pub use bsm::*;
pub use map::*;
pub use motion::*;
pub use position::*;
pub use rsi::*;
pub use rsm::*;
pub use spat::*;
pub use time::*;
pub use vehicle::*;

/// Any message of the set; what goes on the wire.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(choice, automatic_tags)]
#[non_exhaustive]
pub enum MessageFrame {
    /// What a vehicle says of itself (BSM).
    BsmFrame(BasicSafetyMessage),
    /// Nodes with their incoming links (MAP).
    MapFrame(MapData),
    /// What a roadside unit perceives (RSM).
    RsmFrame(RoadsideSafetyMessage),
    /// States of the signals of one or more intersections (SPAT).
    SpatFrame(Spat),
    /// Events and signs a roadside unit tells (RSI).
    RsiFrame(RoadSideInformation),
}

/// Why bytes are not one message frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The bytes end inside the frame.
    #[error("the frame breaks off")]
    Truncated,
    /// The bytes are not a frame of this message set.
    #[error("not a T/CSAE 53-2019 message frame")]
    Malformed,
    /// Bytes are left over behind the frame.
    #[error("bytes follow the frame")]
    TrailingBytes,
}

/// Why a frame cannot be written: a member is outside its range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a member is outside the range the message set allows: {0}")]
pub struct EncodeError(String);

/// Reads exactly one frame.
///
/// # Errors
///
/// Says whether the bytes break off, are not a frame, or go on behind it.
pub fn decode_frame(bytes: &[u8]) -> Result<MessageFrame, FrameError> {
    let (frame, rest) = rasn::uper::decode_with_remainder::<MessageFrame>(bytes)
        .map_err(|error| reason_of(&error))?;
    if rest.is_empty() {
        Ok(frame)
    } else {
        Err(FrameError::TrailingBytes)
    }
}

/// Finds the cause behind the members it came through.
fn reason_of(mut error: &DecodeError) -> FrameError {
    loop {
        error = match &*error.kind {
            DecodeErrorKind::Incomplete { .. } => return FrameError::Truncated,
            DecodeErrorKind::FieldError { nested, .. } => nested,
            DecodeErrorKind::ChoiceIndexExceedsPlatformWidth { present, .. } => present,
            _ => return FrameError::Malformed,
        };
    }
}

/// Writes one frame.
///
/// # Errors
///
/// Names the member that is outside its range.
pub fn encode_frame(frame: &MessageFrame) -> Result<Vec<u8>, EncodeError> {
    rasn::uper::encode(frame).map_err(|error| EncodeError(error.to_string()))
}
