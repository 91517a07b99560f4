//! Frames as lines of JSON: `{"kind":…,"message":…}`.
//!
//! `kind` is the alternative of the frame (`bsmFrame` …) and `message` its value by the JSON
//! Encoding Rules (ITU-T X.697) under the standard's own names. Octets are hexadecimal there, also
//! those that hold a text or another message; what they hold stands beside it in `decoded`, by the
//! JSON Pointer (RFC 6901) of the member in `message`. `decoded` is for readers: writing a frame
//! ignores it.

use encoding_rs::GBK;
use rasn::{Decode, Encode};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::csae2020::{ExtMessage, MessageFrame, MessageFrameExt};
use super::{Dialect, EncodeError, FrameError, csae2019, csae2020};

/// The alternative that holds the messages of T/CSAE 157.
const EXTENSION: &str = "msgFrameExt";

/// The member that holds a text in GB 2312.
const CHINESE_TEXT: &str = "textGB2312";

/// Why a frame cannot be shown as JSON, or a JSON value is not a frame.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JsonError {
    /// The bytes are not one frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A member is outside its range.
    #[error(transparent)]
    Range(#[from] EncodeError),
    /// A member is missing, not known, or not written as X.697 says.
    #[error("not_jer: {0}")]
    NotJer(String),
}

/// Reads exactly one frame and shows it.
///
/// # Errors
///
/// Names what is wrong with the bytes.
pub fn from_frame(dialect: Dialect, bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let frame = match dialect {
        Dialect::Csae2019 => jer(&csae2019::decode_frame(bytes)?)?,
        Dialect::Csae2020 => jer(&csae2020::decode_frame(bytes)?)?,
    };
    let Value::Object(alternatives) = frame else {
        return Err(not_jer("a frame is a choice"));
    };
    let Some((kind, message)) = alternatives.into_iter().next() else {
        return Err(not_jer("a frame has one alternative"));
    };
    let mut decoded = Map::new();
    texts(&message, &mut String::new(), &mut decoded);
    if kind == EXTENSION {
        let inner: MessageFrameExt = from_jer(message.clone())?;
        if let Some(inner) = ext_value(&ExtMessage::decode(&inner)?)? {
            texts(&inner, &mut "/value".to_owned(), &mut decoded);
            decoded.insert("/value".to_owned(), inner);
        }
    }
    let mut line = Map::new();
    line.insert("kind".to_owned(), Value::String(kind));
    line.insert("message".to_owned(), message);
    if !decoded.is_empty() {
        line.insert("decoded".to_owned(), Value::Object(decoded));
    }
    Ok(line)
}

/// Writes the frame that `line` shows: the inverse of [`from_frame`]. The `value` of a
/// `msgFrameExt` may also be the message itself in place of its octets.
///
/// # Errors
///
/// Names the member that is not known, not written as X.697 says, or outside its range.
pub fn to_frame(dialect: Dialect, line: &Map<String, Value>) -> Result<Vec<u8>, JsonError> {
    let Some(Value::String(kind)) = line.get("kind") else {
        return Err(not_jer("kind is missing or no text"));
    };
    let Some(message) = line.get("message") else {
        return Err(not_jer("message is missing"));
    };
    let mut message = message.clone();
    if kind == EXTENSION {
        write_ext_value(&mut message)?;
    }
    let mut alternatives = Map::new();
    alternatives.insert(kind.clone(), message);
    let frame = Value::Object(alternatives);
    Ok(match dialect {
        Dialect::Csae2019 => csae2019::encode_frame(&exactly(frame)?)?,
        Dialect::Csae2020 => {
            let frame: MessageFrame = exactly(frame)?;
            if let MessageFrame::MsgFrameExt(inner) = &frame {
                ExtMessage::decode(inner)?;
            }
            csae2020::encode_frame(&frame)?
        }
    })
}

fn not_jer(what: impl Into<String>) -> JsonError {
    JsonError::NotJer(what.into())
}

fn jer<T: Encode>(value: &T) -> Result<Value, JsonError> {
    let mut encoder = rasn::jer::enc::Encoder::new();
    value
        .encode(&mut encoder)
        .and_then(|()| encoder.to_json())
        .map_err(|error| not_jer(error.to_string()))
}

fn from_jer<T: Decode>(value: Value) -> Result<T, JsonError> {
    T::decode(&mut rasn::jer::de::Decoder::from(value)).map_err(|error| not_jer(error.to_string()))
}

/// Reads `value`, and holds it to the form in which it would be written: rasn skips members that it
/// does not know and bits that a bit string does not have.
fn exactly<T: Decode + Encode>(value: Value) -> Result<T, JsonError> {
    let read: T = from_jer(value.clone())?;
    match difference(&value, &jer(&read)?, &mut String::new()) {
        None => Ok(read),
        Some(place) => Err(not_jer(format!("{place} is not of the message set"))),
    }
}

/// The pointer of the first place where `given` is not `written`; hexadecimal digits may be small.
fn difference(given: &Value, written: &Value, place: &mut String) -> Option<String> {
    let same = match (given, written) {
        (Value::Object(given), Value::Object(written)) => {
            return given.iter().find_map(|(name, value)| {
                within(place, name, |place| match written.get(name) {
                    Some(other) => difference(value, other, place),
                    None => Some(place.clone()),
                })
            });
        }
        (Value::Array(given), Value::Array(written)) => {
            let pairs = given.iter().zip(written);
            return pairs.enumerate().find_map(|(index, (value, other))| {
                within(place, &index.to_string(), |place| {
                    difference(value, other, place)
                })
            });
        }
        (Value::String(given), Value::String(written)) => given.eq_ignore_ascii_case(written),
        _ => given == written,
    };
    (!same).then(|| place.clone())
}

/// Calls `look` with `name` appended to the pointer `place`.
fn within<T>(place: &mut String, name: &str, look: impl FnOnce(&mut String) -> T) -> T {
    let length = place.len();
    place.push('/');
    place.push_str(name);
    let seen = look(place);
    place.truncate(length);
    seen
}

/// Adds the Chinese texts below `value` to `decoded`.
fn texts(value: &Value, place: &mut String, decoded: &mut Map<String, Value>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                within(place, name, |place| match member {
                    Value::String(hex) if name == CHINESE_TEXT => {
                        if let Some(octets) = octets_of(hex) {
                            decoded.insert(place.clone(), json!(chinese_text(&octets)));
                        }
                    }
                    _ => texts(member, place, decoded),
                });
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                within(place, &index.to_string(), |place| {
                    texts(item, place, decoded)
                });
            }
        }
        _ => {}
    }
}

/// A text in GB 2312, or in GBK that contains it; what is neither becomes U+FFFD.
pub fn chinese_text(octets: &[u8]) -> String {
    GBK.decode_without_bom_handling(octets).0.into_owned()
}

/// The message that stands for its octets, where a table of its members is at hand.
fn ext_value(message: &ExtMessage) -> Result<Option<Value>, JsonError> {
    Ok(Some(match message {
        ExtMessage::Rsc(message) => jer(message)?,
        ExtMessage::Ssm(message) => jer(message)?,
        ExtMessage::Vir(message) => jer(message)?,
        ExtMessage::Pam(message) => jer(message)?,
        ExtMessage::Psm(message) => jer(message)?,
        ExtMessage::Opaque { .. } => return Ok(None),
    }))
}

/// Replaces a `value` that is a message by its octets.
fn write_ext_value(frame: &mut Value) -> Result<(), JsonError> {
    let message_id = frame.get("messageId").and_then(Value::as_u64);
    let Some(value @ Value::Object(_)) = frame.get_mut("value") else {
        return Ok(());
    };
    let message = value.take();
    let message = match message_id {
        Some(11) => ExtMessage::Rsc(exactly(message)?),
        Some(12) => ExtMessage::Ssm(exactly(message)?),
        Some(13) => ExtMessage::Vir(exactly(message)?),
        Some(14) => ExtMessage::Pam(exactly(message)?),
        Some(15) => ExtMessage::Psm(exactly(message)?),
        _ => return Err(FrameError::UnknownExtension.into()),
    };
    *value = Value::String(hex_of(&message.encode()?.value));
    Ok(())
}

/// `octets` in capital hexadecimal digits.
pub fn hex_of(octets: &[u8]) -> String {
    use std::fmt::Write;

    octets.iter().fold(String::new(), |mut hex, octet| {
        // Writing to a text cannot fail.
        write!(hex, "{octet:02X}").ok();
        hex
    })
}

/// The octets that pairs of hexadecimal digits stand for, or `None` when they are none.
pub fn octets_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}
