//! Topics, device status and configuration between roadside units and centre, after T/ITS 0117-2020.
//!
//! The messages of T/CSAE 53 travel in the binary envelope ([`csae`](super::csae)); this module has
//! what is JSON: INFO, BaseINFO, RunningInfo and HB from the units, CONFIG to them, and the
//! acknowledgements of MAP, RSI, INFO and CONFIG. Sites write topics with dots or slashes. The text
//! of the standard is not public; members are those that public implementations of it exchange
//! (OpenV2X), and members beyond them are skipped.

mod config;
mod delivery;

pub use config::{UplinkLimits, UplinkMeter};
pub use delivery::{Deliveries, Delivery, DeliverySettings, Due, Outcome, Sending};

use std::str::FromStr;

use serde_json::json;

use crate::observation::{Decoded, DeviceReport, Reading, RejectReason, UplinkKind};
use crate::units::{Position, Timestamp};

use super::context::Context;
use super::gather::{Gather, Record};
use super::tree::{self, Node};

/// How the levels of a topic are separated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delimiter {
    /// `V2X.RSU.BSM.UP`
    #[default]
    Dot,
    /// `V2X/RSU/BSM/UP`
    Slash,
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "." => Ok(Self::Dot),
            "/" => Ok(Self::Slash),
            other => Err(format!("{other:?} is neither `.` nor `/`")),
        }
    }
}

/// What a topic carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Vehicles' own messages.
    Bsm,
    /// Signal phases.
    Spat,
    /// Events and signs.
    Rsi,
    /// Perceived road users.
    Rsm,
    /// Maps.
    Map,
    /// Registration of a unit.
    Info,
    /// Base information.
    BaseInfo,
    /// Running information, every 60 s unless configured.
    RunningInfo,
    /// Heartbeat, every 60 s unless configured.
    Heartbeat,
    /// Configuration.
    Config,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Bsm,
        Self::Spat,
        Self::Rsi,
        Self::Rsm,
        Self::Map,
        Self::Info,
        Self::BaseInfo,
        Self::RunningInfo,
        Self::Heartbeat,
        Self::Config,
    ];

    /// Its level in topics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Bsm => "BSM",
            Self::Spat => "SPAT",
            Self::Rsi => "RSI",
            Self::Rsm => "RSM",
            Self::Map => "MAP",
            Self::Info => "INFO",
            Self::BaseInfo => "BASEINFO",
            Self::RunningInfo => "RUNNINGINFO",
            Self::Heartbeat => "HB",
            Self::Config => "CONFIG",
        }
    }

    /// The kind under which messages up are counted and limited.
    pub const fn uplink(self) -> UplinkKind {
        match self {
            Self::Bsm => UplinkKind::Bsm,
            Self::Spat => UplinkKind::Spat,
            Self::Rsi => UplinkKind::Rsi,
            Self::Rsm => UplinkKind::Rsm,
            Self::Map => UplinkKind::Map,
            _ => UplinkKind::Other,
        }
    }

    fn from_label(label: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.label().eq_ignore_ascii_case(label))
    }
}

/// A topic taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic<'a> {
    /// From a unit to the centre.
    Up(Kind),
    /// From the centre to a unit.
    Down(Kind, &'a str),
    /// The acknowledgement of a message up.
    UpAcknowledged(Kind),
    /// The acknowledgement of a message down, by the unit.
    DownAcknowledged(Kind, &'a str),
}

impl Delimiter {
    fn join(self, levels: &[&str]) -> String {
        levels.join(match self {
            Self::Dot => ".",
            Self::Slash => "/",
        })
    }

    /// Writes a topic.
    pub fn write(self, topic: &Topic<'_>) -> String {
        match topic {
            Topic::Up(kind) => self.join(&["V2X", "RSU", kind.label(), "UP"]),
            Topic::Down(kind, unit) => self.join(&["V2X", "RSU", kind.label(), unit, "DOWN"]),
            Topic::UpAcknowledged(kind) => self.join(&["V2X", "RSU", kind.label(), "UP", "ACK"]),
            Topic::DownAcknowledged(kind, unit) => {
                self.join(&["V2X", "RSU", kind.label(), unit, "DOWN", "ACK"])
            }
        }
    }

    /// Takes a topic apart; `None` where it is none of these. OpenV2X puts the unit before the
    /// kind; both orders are read.
    pub fn read(self, topic: &str) -> Option<Topic<'_>> {
        let separator = match self {
            Self::Dot => '.',
            Self::Slash => '/',
        };
        let levels: Vec<&str> = topic.split(separator).collect();
        let ["V2X", "RSU", rest @ ..] = &levels[..] else {
            return None;
        };
        let unit_of = |a: &str, b| match (Kind::from_label(a), Kind::from_label(b)) {
            (Some(kind), _) => Some((kind, true)),
            (None, Some(kind)) => Some((kind, false)),
            (None, None) => None,
        };
        match *rest {
            [kind, "UP"] => Kind::from_label(kind).map(Topic::Up),
            [kind, "UP", "ACK"] => Kind::from_label(kind).map(Topic::UpAcknowledged),
            [a, b, "DOWN"] => {
                unit_of(a, b).map(|(kind, first)| Topic::Down(kind, if first { b } else { a }))
            }
            [a, b, "DOWN", "ACK"] => unit_of(a, b)
                .map(|(kind, first)| Topic::DownAcknowledged(kind, if first { b } else { a })),
            _ => None,
        }
    }
}

/// Adds the status of one unit to `out`, or nothing but a reason.
pub fn decode(payload: &[u8], context: &Context<'_>, out: &mut Decoded) {
    let mut gather = Gather::new(out, context.records_max);
    let report = tree::parse(payload).and_then(|value| report(Node::new(&value), context));
    gather.reading(report.map(Reading::Device));
}

fn report(root: Node<'_>, context: &Context<'_>) -> Record<DeviceReport> {
    if !root.is_object() {
        return Err(RejectReason::Malformed);
    }
    let device = match root.text("rsu_esn")? {
        Some(esn) => esn,
        None => match root.text("rsu_id")? {
            Some(id) => id,
            None => context.device.ok_or(RejectReason::MissingField)?.into(),
        },
    };
    let stated_at = ["timestamp", "time"]
        .into_iter()
        .find(|name| root.get(name).is_some())
        .map(|name| root.need_millis(name))
        .transpose()?;
    let running = root.get("running_info");
    let load = |name| -> Record<Option<f32>> {
        let part = running.and_then(|running| running.get(name));
        let percent = part.map_or(Ok(None), |part| {
            if part.is_object() {
                part.number("load")
            } else {
                part.as_number().map(Some)
            }
        })?;
        match percent {
            Some(percent) if !(0.0..=100.0).contains(&percent) => Err(RejectReason::OutOfRange),
            percent => Ok(percent.map(|percent| (percent / 100.0) as f32)),
        }
    };
    Ok(DeviceReport {
        stated_at,
        received_at: context.received_at,
        device,
        name: root.text("rsu_name")?,
        position: root.get("location").map(location).transpose()?,
        version: root.text("version")?,
        protocol: root.text("protocol_version")?,
        cpu: load("cpu")?,
        memory: load("mem")?,
    })
}

/// A place in degrees.
fn location(node: Node<'_>) -> Record<Position> {
    let lon = node.get("lon").or_else(|| node.get("longitude"));
    let lat = node.get("lat").or_else(|| node.get("latitude"));
    let (Some(lon), Some(lat)) = (lon, lat) else {
        return Err(RejectReason::MissingField);
    };
    let position = Position::new(lon.as_number()?, lat.as_number()?);
    if position.is_valid() {
        Ok(position)
    } else {
        Err(RejectReason::OutOfRange)
    }
}

/// Writes a status report; only what is known leaves.
pub fn encode_report(report: &DeviceReport) -> Vec<u8> {
    let mut message = json!({"rsuEsn": &*report.device});
    if let Some(members) = message.as_object_mut() {
        let mut put = |name: &str, value: Option<serde_json::Value>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        };
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(Into::into);
        put(
            "timestamp",
            report.stated_at.map(|at| at.as_millis().into()),
        );
        put("rsuName", text(&report.name));
        put("version", text(&report.version));
        put("protocolVersion", text(&report.protocol));
        let place = |place: Position| json!({"lon": place.lon_deg, "lat": place.lat_deg});
        put("location", report.position.map(place));
        if report.cpu.is_some() || report.memory.is_some() {
            let percent = |share: Option<f32>| share.map(|share| f64::from(share) * 100.0);
            let running = json!({"cpu": percent(report.cpu), "mem": percent(report.memory)});
            put("runningInfo", Some(running));
        }
    }
    message.to_string().into_bytes()
}

/// The unit and the kind whose message down an acknowledgement on `topic` answers; `None` for other
/// topics. Both spellings are read.
pub fn answered_by(topic: &str) -> Option<(Kind, &str)> {
    if !topic.ends_with("ACK") {
        return None;
    }
    let spellings = [Delimiter::Slash, Delimiter::Dot];
    spellings
        .into_iter()
        .find_map(|delimiter| match delimiter.read(topic) {
            Some(Topic::DownAcknowledged(kind, unit)) => Some((kind, unit)),
            _ => None,
        })
}

/// The topic on which an INFO that came in on `topic` is acknowledged, in its spelling and with the
/// unit where it names one: `V2X.RSU.INFO.UP.ACK`, `V2X/RSU/R1/INFO/UP/ACK`. `None` for other topics.
pub fn info_answer_topic(topic: &str) -> Option<String> {
    let head = topic.strip_suffix("UP")?;
    let separator = head.chars().next_back()?;
    let levels = head
        .strip_suffix(['/', '.'])?
        .strip_prefix("V2X")?
        .strip_prefix(separator)?
        .strip_prefix("RSU")?
        .strip_prefix(separator)?;
    let last = levels.rsplit(separator).next()?;
    last.eq_ignore_ascii_case(Kind::Info.label())
        .then(|| format!("{topic}{separator}ACK"))
}

/// What an INFO says about itself as a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoHead {
    /// The unit, where the message names it.
    pub unit: Option<std::sync::Arc<str>>,
    /// Its `seqNum`.
    pub sequence: Option<u64>,
    /// Whether it asks to be acknowledged (`ack` is true).
    pub wants_answer: bool,
}

/// Reads who sends an INFO and whether it is to be acknowledged.
///
/// # Errors
/// The reason for which it is refused.
pub fn info_head(payload: &[u8]) -> Result<InfoHead, RejectReason> {
    let value = tree::parse(payload)?;
    let root = Node::new(&value);
    if !root.is_object() {
        return Err(RejectReason::Malformed);
    }
    let unit = match root.text("rsu_esn")? {
        Some(esn) => Some(esn),
        None => root.text("rsu_id")?,
    };
    Ok(InfoHead {
        unit,
        sequence: root.whole("seq_num")?,
        wants_answer: root.truth("ack"),
    })
}

/// An acknowledgement: the number it answers and the error code, 0 for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The `seqNum` of the message answered; `None` where that message has none, as in UPER.
    pub sequence: Option<u64>,
    /// 0, or the unit's error code.
    pub error_code: u32,
}

/// Reads `{"seqNum":"8","errorCode":0}`; the number may be missing, the code not.
///
/// # Errors
/// The reason for which it is refused.
pub fn decode_acknowledgement(payload: &[u8]) -> Result<Acknowledgement, RejectReason> {
    let value = tree::parse(payload)?;
    let root = Node::new(&value);
    let sequence = root.whole("seq_num")?;
    let error_code = root
        .small("error_code")?
        .ok_or(RejectReason::MissingField)?;
    Ok(Acknowledgement {
        sequence,
        error_code,
    })
}

/// Writes an acknowledgement.
pub fn encode_acknowledgement(acknowledgement: &Acknowledgement) -> Vec<u8> {
    let mut message = json!({"errorCode": acknowledgement.error_code});
    if let (Some(sequence), Some(members)) = (acknowledgement.sequence, message.as_object_mut()) {
        members.insert("seqNum".to_owned(), sequence.to_string().into());
    }
    message.to_string().into_bytes()
}

/// How far a unit's clock is ahead of the time of receipt, ms, where it states its time.
pub fn clock_lead_ms(report: &DeviceReport) -> Option<i64> {
    let stated_at: Timestamp = report.stated_at?;
    Some(stated_at.millis_since(report.received_at))
}

#[cfg(test)]
mod tests;
