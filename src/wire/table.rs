//! Which decoder serves which topic.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::observation::{Decoded, RawMessage, RejectReason};

use super::topic::{filter_matches, without_share};
use super::{csae, json, protobuf};

/// How the payloads of a route are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The native JSON probe record, single or in a batch (`json`).
    NativeJson,
    /// The native columnar batch in protobuf (`protobuf`).
    NativeProtobuf,
    /// T/CSAE 53-2019 message frames in UPER (`csae-uper`).
    CsaeUper {
        /// Whether frames come in the RSU-to-centre envelope (`csae-uper-envelope`).
        envelope: bool,
    },
}

impl Format {
    /// Every format, in the order of their labels in the documentation.
    pub const ALL: [Self; 4] = [
        Self::NativeJson,
        Self::NativeProtobuf,
        Self::CsaeUper { envelope: false },
        Self::CsaeUper { envelope: true },
    ];

    /// The word for this format in configuration, on the command line and in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NativeJson => "json",
            Self::NativeProtobuf => "protobuf",
            Self::CsaeUper { envelope: false } => "csae-uper",
            Self::CsaeUper { envelope: true } => "csae-uper-envelope",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A format label nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown wire format `{0}`: use json, protobuf, csae-uper or csae-uper-envelope")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(label: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.label() == label)
            .ok_or_else(|| UnknownFormat(label.to_owned()))
    }
}

/// The messages of one topic filter are of one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// MQTT topic filter with `+` and `#`; a `$share/GROUP/` in front is ignored. Check it with
    /// [`check_filter`](super::check_filter) where it comes from outside.
    pub filter: String,
    /// How matching payloads are encoded.
    pub format: Format,
}

/// Bounds of what one payload may ask of the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Largest payload in bytes; a larger one is refused whole as `oversized`.
    pub payload_bytes_max: usize,
    /// Most records of one payload; each one more is refused as `too_many_records`.
    pub records_max: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            payload_bytes_max: 1 << 20,
            records_max: 50_000,
        }
    }
}

/// The decoders of all configured topics. It holds no state between messages.
#[derive(Clone, Debug)]
pub struct DecoderTable {
    routes: Vec<Route>,
    limits: DecodeLimits,
}

impl DecoderTable {
    /// Builds the table; the first route whose filter matches a topic serves it.
    pub fn new(mut routes: Vec<Route>, limits: DecodeLimits) -> Self {
        for route in &mut routes {
            route.filter = without_share(&route.filter).to_owned();
        }
        Self { routes, limits }
    }

    /// The format configured for `topic`.
    pub fn format_of(&self, topic: &str) -> Option<Format> {
        self.routes
            .iter()
            .find(|route| filter_matches(&route.filter, topic))
            .map(|route| route.format)
    }

    /// Replaces `out` by what `message` says. Never fails, never panics: what is refused is
    /// counted in `out.rejected`.
    pub fn decode(&self, message: &RawMessage, out: &mut Decoded) {
        out.clear();
        match self.format_of(&message.topic) {
            None => out.rejected.add(RejectReason::UnknownTopic, 1),
            Some(_) if message.payload.len() > self.limits.payload_bytes_max => {
                out.rejected.add(RejectReason::Oversized, 1);
            }
            Some(format) => self.decode_as(format, message, out),
        }
    }

    fn decode_as(&self, format: Format, message: &RawMessage, out: &mut Decoded) {
        let records_max = self.limits.records_max;
        match format {
            Format::NativeJson => json::decode(&message.payload, records_max, out),
            Format::NativeProtobuf => protobuf::decode(&message.payload, records_max, out),
            Format::CsaeUper { envelope: false } => {
                csae::decode(&message.payload, message.received_at, records_max, out);
            }
            Format::CsaeUper { envelope: true } => {
                csae::decode_enveloped(&message.payload, records_max, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::units::{SourceId, Timestamp};

    #[test]
    fn first_matching_route_serves_and_limits_bite() {
        let route = |filter: &str, format| Route {
            filter: filter.to_owned(),
            format,
        };
        let table = DecoderTable::new(
            vec![
                route("$share/g/a/+/up", Format::NativeJson),
                route("a/#", Format::NativeProtobuf),
            ],
            DecodeLimits {
                payload_bytes_max: 60,
                records_max: 1,
            },
        );
        assert_eq!(table.format_of("a/1/up"), Some(Format::NativeJson));
        assert_eq!(table.format_of("a/1/down"), Some(Format::NativeProtobuf));

        let mut out = Decoded::default();
        let mut check = |topic: &str, payload: &'static str, reason| {
            let message = RawMessage {
                received_at: Timestamp::from_secs(0),
                source: SourceId(0),
                topic: topic.into(),
                payload: Bytes::from_static(payload.as_bytes()),
            };
            table.decode(&message, &mut out);
            assert_eq!(out.rejected.get(reason), 1, "{topic} {payload}: {out:?}");
        };
        check("b", "{}", RejectReason::UnknownTopic);
        check("a/1/up", "{}", RejectReason::MissingField);
        let long = r#"{"id":"1","ts":1,"lon":1,"lat":1,"speed":1,"heading":1,"accel":0.5}"#;
        check("a/1/up", long, RejectReason::Oversized);
    }

    #[test]
    fn labels_are_their_formats() {
        for format in Format::ALL {
            assert_eq!(format.label().parse(), Ok(format));
        }
        assert!("xml".parse::<Format>().is_err());
    }
}
