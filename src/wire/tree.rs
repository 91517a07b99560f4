//! JSON as a tree of named values, for formats that are rich in members and poor in volume.
//!
//! Names are given in `snake_case` and also find `camelCase`, since senders of one format use both.
//! A missing member and `null` are the same; a value of the wrong type is `malformed`.

use serde::Deserialize;
use serde_json::Value;
use serde_json::error::Category;

use std::sync::Arc;

use crate::observation::RejectReason;
use crate::units::Timestamp;

use super::gather::Record;

/// Longest text taken over, bytes; longer ones are `out_of_range`.
pub(super) const TEXT_BYTES_MAX: usize = 512;

/// One value of a tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a>(&'a Value);

/// Reads one whole JSON document. Nesting beyond 128 levels is `malformed` (limit of the parser).
pub(super) fn parse(payload: &[u8]) -> Record<Value> {
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let value = Value::deserialize(&mut reader).map_err(|error| match error.classify() {
        Category::Eof => RejectReason::Truncated,
        _ => RejectReason::Malformed,
    })?;
    reader.end().ok().ok_or(RejectReason::TrailingBytes)?;
    Ok(value)
}

/// Whether `found` is `name`, written in either case style.
fn is_name(found: &str, name: &str) -> bool {
    let letters = |text: &str| {
        text.bytes()
            .filter(|byte| *byte != b'_')
            .map(|byte| byte.to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    found == name || (found.len().abs_diff(name.len()) < 8 && letters(found) == letters(name))
}

impl<'a> Node<'a> {
    pub(super) fn new(value: &'a Value) -> Self {
        Self(value)
    }

    /// The member `name`, if it is there and not `null`.
    pub(super) fn get(self, name: &str) -> Option<Node<'a>> {
        let members = self.0.as_object()?;
        members
            .get(name)
            .or_else(|| {
                members
                    .iter()
                    .find(|(found, _)| is_name(found, name))
                    .map(|(_, value)| value)
            })
            .filter(|value| !value.is_null())
            .map(Node)
    }

    /// The member `name`.
    pub(super) fn need(self, name: &str) -> Record<Node<'a>> {
        self.get(name).ok_or(if self.0.is_object() {
            RejectReason::MissingField
        } else {
            RejectReason::Malformed
        })
    }

    pub(super) fn is_object(self) -> bool {
        self.0.is_object()
    }

    pub(super) fn is_list(self) -> bool {
        self.0.is_array()
    }

    /// The elements of a list; none where it is no list.
    pub(super) fn elements(self) -> impl Iterator<Item = Node<'a>> {
        self.0.as_array().into_iter().flatten().map(Node)
    }

    /// The elements of the list `name`; none where there is none.
    pub(super) fn list(self, name: &str) -> impl Iterator<Item = Node<'a>> {
        self.get(name).into_iter().flat_map(Node::elements)
    }

    /// A number, also where it is written as a text.
    pub(super) fn as_number(self) -> Record<f64> {
        let number = match self.0 {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|number: &f64| number.is_finite())
            .ok_or(RejectReason::Malformed)
    }

    /// A whole number that is not negative, also where it is written as a text.
    pub(super) fn as_whole(self) -> Record<u64> {
        match self.0 {
            Value::Number(number) => number.as_u64().ok_or(RejectReason::OutOfRange),
            Value::String(text) => text.trim().parse().ok().ok_or(RejectReason::Malformed),
            _ => Err(RejectReason::Malformed),
        }
    }

    /// Whether this is a number with a fraction or an exponent.
    pub(super) fn has_fraction(self) -> bool {
        self.0.is_f64()
    }

    /// A text; a number gives its digits.
    pub(super) fn as_text(self) -> Record<Arc<str>> {
        let text: Arc<str> = match self.0 {
            Value::String(text) => text.as_str().into(),
            Value::Number(number) => number.to_string().into(),
            _ => return Err(RejectReason::Malformed),
        };
        if text.len() > TEXT_BYTES_MAX {
            return Err(RejectReason::OutOfRange);
        }
        Ok(text)
    }

    /// The text itself, where this is one.
    pub(super) fn text_itself(self) -> Option<&'a str> {
        self.0.as_str()
    }

    pub(super) fn truth(self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|node| node.0 == &Value::Bool(true))
    }

    pub(super) fn number(self, name: &str) -> Record<Option<f64>> {
        self.get(name).map(Node::as_number).transpose()
    }

    pub(super) fn whole(self, name: &str) -> Record<Option<u64>> {
        self.get(name).map(Node::as_whole).transpose()
    }

    pub(super) fn text(self, name: &str) -> Record<Option<Arc<str>>> {
        self.get(name).map(Node::as_text).transpose()
    }

    pub(super) fn need_number(self, name: &str) -> Record<f64> {
        self.need(name)?.as_number()
    }

    pub(super) fn need_whole(self, name: &str) -> Record<u64> {
        self.need(name)?.as_whole()
    }

    pub(super) fn need_text(self, name: &str) -> Record<Arc<str>> {
        self.need(name)?.as_text()
    }

    /// A number of 32 bits, for lanes, phases and codes.
    pub(super) fn small(self, name: &str) -> Record<Option<u32>> {
        let whole = self.whole(name)?;
        whole
            .map(|whole| u32::try_from(whole).ok().ok_or(RejectReason::OutOfRange))
            .transpose()
    }

    /// Milliseconds since the epoch.
    pub(super) fn need_millis(self, name: &str) -> Record<Timestamp> {
        let millis = self.need_number(name)?;
        super::record::timestamp_ms(millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_case_styles_and_numbers_in_texts_are_found() {
        let value = parse(br#"{"ptcType":"4","sec_mark":7,"none":null}"#).unwrap();
        let node = Node::new(&value);
        assert_eq!(node.need_whole("ptc_type"), Ok(4));
        assert_eq!(node.need_whole("sec_mark"), Ok(7));
        assert_eq!(node.need_whole("secMark"), Ok(7));
        assert_eq!(node.need_number("none"), Err(RejectReason::MissingField));
        assert_eq!(node.need_whole("ptc"), Err(RejectReason::MissingField));
    }

    #[test]
    fn broken_documents_have_their_reasons() {
        let check = |text: &str, reason| assert_eq!(parse(text.as_bytes()), Err(reason), "{text}");
        check("{\"a\":1", RejectReason::Truncated);
        check("", RejectReason::Truncated);
        check("{a}", RejectReason::Malformed);
        check("{} {}", RejectReason::TrailingBytes);
        check(&"[".repeat(100_000), RejectReason::Malformed);
    }
}
