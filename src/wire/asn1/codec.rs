//! UPER through rasn, held to the whole input and to the canonical form.

use rasn::error::{DecodeError, DecodeErrorKind};
use rasn::{Decode, Encode};

use super::{EncodeError, FrameError};

/// Reads exactly one value.
///
/// rasn skips what it does not know (extensions) and does not look at the bits that fill the last
/// octet. Writing the value again shows both: a canonical encoding is the only one of its value.
pub(super) fn decode_exact<T: Decode + Encode>(bytes: &[u8]) -> Result<T, FrameError> {
    let (value, rest) =
        rasn::uper::decode_with_remainder::<T>(bytes).map_err(|error| reason_of(&error))?;
    if !rest.is_empty() {
        return Err(FrameError::TrailingBytes);
    }
    let again = rasn::uper::encode(&value).map_err(|_unwritable| FrameError::OutOfRange)?;
    if again != bytes {
        return Err(difference(&again, bytes));
    }
    Ok(value)
}

/// Why `bytes` are not the canonical encoding `again` of what they were read as.
fn difference(again: &[u8], bytes: &[u8]) -> FrameError {
    let body = bytes.len().saturating_sub(1);
    if again.len() < bytes.len() {
        FrameError::UnknownExtension
    } else if again.len() == bytes.len() && again[..body] == bytes[..body] {
        FrameError::Padding
    } else {
        FrameError::Malformed
    }
}

/// Finds the cause behind the members it came through.
fn reason_of(mut error: &DecodeError) -> FrameError {
    loop {
        error = match &*error.kind {
            DecodeErrorKind::FieldError { nested, .. } => nested,
            DecodeErrorKind::ChoiceIndexExceedsPlatformWidth { present, .. } => present,
            DecodeErrorKind::Incomplete { .. } => return FrameError::Truncated,
            DecodeErrorKind::EnumerationIndexNotFound {
                extended_list: true,
                ..
            } => return FrameError::UnknownExtension,
            DecodeErrorKind::EnumerationIndexNotFound { .. }
            | DecodeErrorKind::ChoiceIndexNotFound { .. }
            | DecodeErrorKind::ValueConstraintNotSatisfied { .. }
            | DecodeErrorKind::SizeConstraintNotSatisfied { .. } => {
                return FrameError::OutOfRange;
            }
            _ => return FrameError::Malformed,
        };
    }
}

/// Writes one value.
pub(super) fn encode<T: Encode>(value: &T) -> Result<Vec<u8>, EncodeError> {
    rasn::uper::encode(value).map_err(|error| EncodeError(error.to_string()))
}
