//! Which decoder serves which topic.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::observation::{Decoded, RawMessage, RejectReason, UplinkKind};
use crate::units::Datum;

use super::context::Context;
use super::records::LightCodes;
use super::topic::{filter_capture, filter_matches, without_share};
use super::{
    Dialect, csae, gtfs_realtime, huawei, its0117, json, jtt808, openv2x, orange, protobuf, records,
};

/// How the payloads of a route are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The native JSON probe record, single or in a batch (`json`).
    NativeJson,
    /// The native columnar batch in protobuf (`protobuf`).
    NativeProtobuf,
    /// T/CSAE 53 message frames in UPER (`csae-uper`).
    CsaeUper {
        /// The release of the message set that the source speaks.
        dialect: Dialect,
        /// Whether frames come in the RSU-to-centre envelope (`csae-uper-envelope`).
        envelope: bool,
    },
    /// Native JSON records of detectors, signals, events, parking, passages and buses
    /// (`json-records`).
    NativeRecords,
    /// Huawei DRIS JSON (`huawei`).
    Huawei,
    /// OpenV2X JSON of roadside units and radars (`openv2x`).
    OpenV2x,
    /// Status of roadside units after T/ITS 0117 (`its0117`).
    Its0117,
    /// Location reports of JT/T 808 terminals (`jtt808`).
    Jtt808,
    /// ETSI messages as JSON of Orange its-client (`its-client`).
    ItsClient,
    /// GTFS-Realtime vehicle positions (`gtfs-rt`).
    GtfsRealtime,
}

impl Format {
    /// Every format, in the order of their labels in the documentation; T/CSAE 53 in its 2019
    /// release.
    pub const ALL: [Self; 11] = [
        Self::NativeJson,
        Self::NativeProtobuf,
        Self::csae_uper(false),
        Self::csae_uper(true),
        Self::NativeRecords,
        Self::Huawei,
        Self::OpenV2x,
        Self::Its0117,
        Self::Jtt808,
        Self::ItsClient,
        Self::GtfsRealtime,
    ];

    /// T/CSAE 53 message frames in the 2019 release, bare or in the envelope.
    pub const fn csae_uper(envelope: bool) -> Self {
        Self::CsaeUper {
            dialect: Dialect::Csae2019,
            envelope,
        }
    }

    /// The same format in another release of its message set; `None` where it has no releases.
    pub const fn in_dialect(self, dialect: Dialect) -> Option<Self> {
        match self {
            Self::CsaeUper { envelope, .. } => Some(Self::CsaeUper { dialect, envelope }),
            _ => None,
        }
    }

    /// The word for this format in configuration, on the command line and in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NativeJson => "json",
            Self::NativeProtobuf => "protobuf",
            Self::CsaeUper {
                envelope: false, ..
            } => "csae-uper",
            Self::CsaeUper { envelope: true, .. } => "csae-uper-envelope",
            Self::NativeRecords => "json-records",
            Self::Huawei => "huawei",
            Self::OpenV2x => "openv2x",
            Self::Its0117 => "its0117",
            Self::Jtt808 => "jtt808",
            Self::ItsClient => "its-client",
            Self::GtfsRealtime => "gtfs-rt",
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
#[error("unknown wire format `{0}`: use {known}", known = Format::ALL.map(Format::label).join(", "))]
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
    /// In which datum their positions are; they leave the decoder in WGS-84.
    pub datum: Datum,
}

impl Route {
    /// A route for positions in WGS-84.
    pub fn new(filter: &str, format: Format) -> Self {
        Self {
            filter: filter.to_owned(),
            format,
            datum: Datum::Wgs84,
        }
    }

    /// The same route for positions in `datum`.
    #[must_use]
    pub fn in_datum(self, datum: Datum) -> Self {
        Self { datum, ..self }
    }
}

/// Levels of a topic behind which the device is one at the roadside and not a road user.
const UNIT_LEVELS: [&str; 3] = ["rsu", "radar", "signalcontroller"];

/// Who sends a message, as its topic or its envelope says, and how it is decoded: known before
/// anything of it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// Position of the route that serves it; `None` where none does.
    route: Option<usize>,
    /// The device that the topic names.
    topic_device: Option<&'a str>,
    /// The sending device: that of the topic, else that of the envelope.
    pub sender: Option<Sender<'a>>,
}

/// A device that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender<'a> {
    /// What it is called.
    pub device: &'a str,
    /// Whether it stands at the roadside: the level of the topic before it says `rsu`, `radar` or
    /// `signalcontroller`, or it sends envelopes. Others may be road users.
    pub is_unit: bool,
    /// What it sends; [`UplinkKind::Other`] for what does not stand at the roadside.
    pub kind: UplinkKind,
}

/// Whether `filter` has its first `+` behind one of [`UNIT_LEVELS`].
fn names_units(filter: &str) -> bool {
    let mut before = "";
    for level in filter.split('/') {
        if level == "+" {
            return UNIT_LEVELS
                .iter()
                .any(|unit| unit.eq_ignore_ascii_case(before));
        }
        before = level;
    }
    false
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
    /// Whether the devices that a route's topics name stand at the roadside.
    names_units: Vec<bool>,
    limits: DecodeLimits,
    light_codes: Arc<LightCodes>,
}

impl DecoderTable {
    /// Builds the table; the first route whose filter matches a topic serves it.
    pub fn new(mut routes: Vec<Route>, limits: DecodeLimits) -> Self {
        for route in &mut routes {
            route.filter = without_share(&route.filter).to_owned();
        }
        let names_units = routes.iter().map(|route| names_units(&route.filter));
        Self {
            names_units: names_units.collect(),
            routes,
            limits,
            light_codes: Arc::new(LightCodes::public().clone()),
        }
    }

    /// The same table with the site's own codes of signal states.
    #[must_use]
    pub fn with_light_codes(mut self, codes: LightCodes) -> Self {
        self.light_codes = Arc::new(codes);
        self
    }

    /// The format configured for `topic`.
    pub fn format_of(&self, topic: &str) -> Option<Format> {
        self.route_of(topic).map(|route| route.format)
    }

    fn route_of(&self, topic: &str) -> Option<&Route> {
        self.routes.get(self.route_index(topic)?)
    }

    fn route_index(&self, topic: &str) -> Option<usize> {
        self.routes
            .iter()
            .position(|route| filter_matches(&route.filter, topic))
    }

    /// Who sends `message`, and how it is decoded.
    pub fn address<'a>(&self, message: &'a RawMessage) -> Address<'a> {
        let route = self.route_index(&message.topic);
        let Some((index, found)) = route.and_then(|index| Some((index, self.routes.get(index)?)))
        else {
            return Address {
                route,
                topic_device: None,
                sender: None,
            };
        };
        let topic_device = filter_capture(&found.filter, &message.topic);
        let is_unit = topic_device.is_none() || self.names_units[index];
        let device = topic_device.or_else(|| match found.format {
            Format::CsaeUper { envelope: true, .. } => csae::envelope_sender(&message.payload),
            _ => None,
        });
        let sender = device.map(|device| Sender {
            device,
            is_unit,
            kind: if is_unit {
                UplinkKind::of_topic(&message.topic)
            } else {
                UplinkKind::Other
            },
        });
        Address {
            route,
            topic_device,
            sender,
        }
    }

    /// Replaces `out` by what `message` says, and returns the device that its topic names. Never
    /// fails, never panics: what is refused is counted in `out.rejected`.
    pub fn decode<'a>(&self, message: &'a RawMessage, out: &mut Decoded) -> Option<&'a str> {
        let address = self.address(message);
        self.decode_addressed(&address, message, out);
        address.topic_device
    }

    /// Replaces `out` by what `message`, whose address is `address`, says. Never fails, never
    /// panics: what is refused is counted in `out.rejected`.
    pub fn decode_addressed(&self, address: &Address<'_>, message: &RawMessage, out: &mut Decoded) {
        out.clear();
        match address.route.and_then(|index| self.routes.get(index)) {
            None => out.rejected.add(RejectReason::UnknownTopic, 1),
            Some(route) => self.decode_routed(route, address.topic_device, message, out),
        }
    }

    fn decode_routed(
        &self,
        route: &Route,
        device: Option<&str>,
        message: &RawMessage,
        out: &mut Decoded,
    ) {
        if message.payload.len() > self.limits.payload_bytes_max {
            out.rejected.add(RejectReason::Oversized, 1);
            return;
        }
        let context = Context {
            received_at: message.received_at,
            device,
            records_max: self.limits.records_max,
            light_codes: &self.light_codes,
        };
        decode(route.format, &message.payload, &context, out);
        to_wgs84(route.datum, out);
    }
}

/// Adds what `payload` says to `out`, positions as they stand. Never fails, never panics: what is
/// refused is counted in `out.rejected`.
pub fn decode(format: Format, payload: &[u8], context: &Context<'_>, out: &mut Decoded) {
    let (received_at, records_max) = (context.received_at, context.records_max);
    match format {
        Format::NativeJson => json::decode(payload, records_max, out),
        Format::NativeProtobuf => protobuf::decode(payload, records_max, out),
        Format::CsaeUper {
            dialect,
            envelope: false,
        } => csae::decode(payload, dialect, received_at, records_max, out),
        Format::CsaeUper {
            dialect,
            envelope: true,
        } => csae::decode_enveloped(payload, dialect, records_max, out),
        Format::NativeRecords => records::decode(payload, context, out),
        Format::Huawei => huawei::decode(payload, context, out),
        Format::OpenV2x => openv2x::decode(payload, context, out),
        Format::Its0117 => its0117::decode(payload, context, out),
        Format::Jtt808 => jtt808::decode(payload, context, out),
        Format::ItsClient => orange::decode(payload, context, out),
        Format::GtfsRealtime => gtfs_realtime::decode(payload, context, out),
    }
}

/// Brings every position of a payload from `datum` to WGS-84.
fn to_wgs84(datum: Datum, out: &mut Decoded) {
    if datum.is_wgs84() {
        return;
    }
    for observation in &mut out.observations {
        observation.position = datum.to_wgs84(observation.position);
    }
    for reading in &mut out.readings {
        reading.map_positions(|position| datum.to_wgs84(position));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::units::{SourceId, Timestamp};

    #[test]
    fn first_matching_route_serves_and_limits_bite() {
        let route = |filter: &str, format| Route::new(filter, format);
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
    fn senders_are_known_before_anything_is_decoded() {
        let table = DecoderTable::new(
            vec![
                Route::new("roadcast/v1/vehicle/+/probe/up", Format::NativeJson),
                Route::new("V2X/RSU/+/#", Format::OpenV2x),
                Route::new("V2X.RSU.RSM.UP", Format::csae_uper(true)),
            ],
            DecodeLimits::default(),
        );
        let check = |topic: &str, payload: &'static [u8], expected: Option<(&str, bool, _)>| {
            let message = RawMessage {
                received_at: Timestamp::from_secs(0),
                source: SourceId(0),
                topic: topic.into(),
                payload: Bytes::from_static(payload),
            };
            let found = table.address(&message).sender;
            let found = found.map(|sender| (sender.device, sender.is_unit, sender.kind));
            assert_eq!(found, expected, "{topic}");
        };
        let vehicle = "roadcast/v1/vehicle/bsm/probe/up";
        check(vehicle, b"", Some(("bsm", false, UplinkKind::Other)));
        check(
            "V2X/RSU/R7/SPAT/UP",
            b"",
            Some(("R7", true, UplinkKind::Spat)),
        );
        let enveloped = "V2X.RSU.RSM.UP";
        check(
            enveloped,
            b"R0000007rest",
            Some(("R0000007", true, UplinkKind::Rsm)),
        );
        check(
            enveloped,
            b"R7      rest",
            Some(("R7", true, UplinkKind::Rsm)),
        );
        check(enveloped, b"\xff\0\0\0\0\0\0\0rest", None);
        check(enveloped, b"short", None);
        check("elsewhere", b"R0000007", None);
    }

    #[test]
    fn labels_are_their_formats() {
        for format in Format::ALL {
            assert_eq!(format.label().parse(), Ok(format));
        }
        assert!("xml".parse::<Format>().is_err());
    }
}
