//! ETSI messages as JSON of Orange its-client: CAM, DENM and CPM.
//!
//! Envelope `{"message_type","source_uuid","timestamp" ms,"version","message"}`; topics
//! `{prefix}/{inQueue|outQueue}/v2x/{cam|denm|cpm}/{uuid}/{quadkey digits split by "/"}`, so an area
//! is a wildcard. Schemas 1.1 to 2.4 of CAM, 1.1 to 2.3 of DENM and 2.0 to 2.1 of CPM are read
//! (public JSON schemas of the project, MIT). CPM of version 1 gives objects in axes of the vehicle
//! that sees them, and without its heading they cannot be placed: `unsupported_kind`. Other message
//! types too.

use serde_json::{Value, json};

use crate::observation::{
    Decoded, EventCode, Observation, Origin, Reading, RejectReason, RoadEvent,
};
use crate::units::{LocalFrame, Point, Position, SubjectId, Timestamp};

use super::context::Context;
use super::gather::{Gather, Record};
use super::quality::RADIUS_95_SIGMAS;
use super::record::Fix;
use super::subject::{SubjectHasher, observer_id};
use super::tree::{self, Node};

/// Values that say «unavailable» (ETSI TS 102 894-2).
const LATITUDE_UNKNOWN: f64 = 900_000_001.0;
const LONGITUDE_UNKNOWN: f64 = 1_800_000_001.0;
const SPEED_UNKNOWN: f64 = 16_383.0;
const HEADING_UNKNOWN: f64 = 3_601.0;
/// Ellipse axes from here on are out of range or unavailable.
const AXIS_UNKNOWN_MIN: f64 = 4_094.0;

/// Station types of people and light vehicles (pedestrian, cyclist, moped, later light vehicles
/// and animals), and of roadside units.
const NOT_TRAFFIC: [u64; 6] = [1, 2, 3, 12, 13, 15];

/// Milliseconds from 1970 to 2004-01-01, where ETSI counts from, leap seconds left out.
const ITS_EPOCH_MS: f64 = 1_072_915_200_000.0;

/// Adds what `payload` holds to `out`; records beyond the limit are counted, not used.
pub fn decode(payload: &[u8], context: &Context<'_>, out: &mut Decoded) {
    let mut gather = Gather::new(out, context.records_max);
    let read = tree::parse(payload).and_then(|value| document(Node::new(&value), &mut gather));
    if let Err(reason) = read {
        gather.refuse(reason);
    }
}

fn document(root: Node<'_>, gather: &mut Gather<'_>) -> Record<()> {
    let kind = match root.text("message_type")? {
        Some(kind) => kind,
        None => root.need_text("type")?,
    };
    let envelope = Envelope {
        uuid: root.need_text("source_uuid")?,
        sent_at: root.need_millis("timestamp")?,
        message: root.need("message")?,
    };
    match &*kind {
        "cam" => gather.observation(envelope.awareness()),
        "denm" => gather.reading(envelope.notification().map(Reading::Event)),
        "cpm" => envelope.perception(gather)?,
        _ => return Err(RejectReason::UnsupportedKind),
    }
    Ok(())
}

/// A number, bare or as `{"value":…}`.
fn value_of(node: Node<'_>) -> Record<f64> {
    if node.is_object() {
        node.need_number("value")
    } else {
        node.as_number()
    }
}

/// The steps in member `name` times `step`, unless they say `unknown`.
fn quantity(node: Node<'_>, name: &str, unknown: f64, step: f64) -> Record<Option<f64>> {
    let steps = node.get(name).map(value_of).transpose()?;
    let steps = steps.filter(|steps| (steps - unknown).abs() > 0.5);
    Ok(steps.map(|steps| steps * step))
}

fn position(node: Node<'_>) -> Record<Position> {
    let lat_deg = quantity(node, "latitude", LATITUDE_UNKNOWN, 1e-7)?;
    let lon_deg = quantity(node, "longitude", LONGITUDE_UNKNOWN, 1e-7)?;
    let (Some(lon_deg), Some(lat_deg)) = (lon_deg, lat_deg) else {
        return Err(RejectReason::MissingField);
    };
    let position = Position::new(lon_deg, lat_deg);
    if position.is_valid() {
        Ok(position)
    } else {
        Err(RejectReason::OutOfRange)
    }
}

/// Standard deviation per axis of a 95 % ellipse with axes in cm: the root mean square of the axes.
fn accuracy_m(ellipse: Option<Node<'_>>, names: [&str; 2]) -> Record<Option<f32>> {
    let Some(ellipse) = ellipse else {
        return Ok(None);
    };
    let (Some(major), Some(minor)) = (ellipse.number(names[0])?, ellipse.number(names[1])?) else {
        return Ok(None);
    };
    if major.max(minor) >= AXIS_UNKNOWN_MIN || major.min(minor) < 0.0 {
        return Ok(None);
    }
    let radius_m = ((major * major + minor * minor) / 2.0).sqrt() / 100.0;
    Ok(Some(radius_m as f32 / RADIUS_95_SIGMAS))
}

struct Envelope<'a> {
    uuid: std::sync::Arc<str>,
    sent_at: Timestamp,
    message: Node<'a>,
}

impl Envelope<'_> {
    /// The pseudonym of a station, or of an object that it sees.
    fn subject(&self, number: u64) -> SubjectId {
        SubjectHasher::default()
            .with(&number.to_be_bytes())
            .with(self.uuid.as_bytes())
            .finish()
    }

    fn awareness(&self) -> Record<Observation> {
        let basic = self.message.need("basic_container")?;
        let kind = basic.whole("station_type")?;
        if kind.is_some_and(|kind| NOT_TRAFFIC.contains(&kind)) {
            return Err(RejectReason::UnsupportedKind);
        }
        let high = self.message.need("high_frequency_container")?;
        let motion = high
            .get("basic_vehicle_container_high_frequency")
            .unwrap_or(high);
        let place = basic.need("reference_position")?;
        let fix = Fix {
            observed_ms: self.sent_at.as_millis(),
            subject: self.subject(self.message.need_whole("station_id")?),
            position: position(place)?,
            speed_mps: quantity(motion, "speed", SPEED_UNKNOWN, 0.01)?,
            heading_deg: quantity(motion, "heading", HEADING_UNKNOWN, 0.1)?,
        };
        let new = place.get("position_confidence_ellipse");
        let old = basic
            .get("confidence")
            .and_then(|confidence| confidence.get("position_confidence_ellipse"));
        let accuracy_m = match accuracy_m(new, ["semi_major", "semi_minor"])? {
            Some(accuracy_m) => Some(accuracy_m),
            None => accuracy_m(old, ["semi_major_confidence", "semi_minor_confidence"])?,
        };
        Ok(Observation {
            accuracy_m,
            ..fix.observation(Origin::Bsm)?
        })
    }

    fn notification(&self) -> Record<RoadEvent> {
        let management = self.message.need("management_container")?;
        let action = management.need("action_id")?;
        let station = match action.whole("originating_station_id")? {
            Some(station) => station,
            None => action.need_whole("station_id")?,
        };
        let situation = self.message.get("situation_container");
        let kind = situation.and_then(|situation| situation.get("event_type"));
        let is_end = management.get("termination").is_some();
        let code = |name| kind.map_or(Ok(None), |kind| kind.small(name));
        let cause = code("cause")?;
        if cause.is_none() && !is_end {
            return Err(RejectReason::MissingField);
        }
        let detected_at = management
            .number("detection_time")?
            .map(|its_ms| super::record::timestamp_ms(its_ms + ITS_EPOCH_MS))
            .transpose()?;
        let validity_s = management.number("validity_duration")?;
        let valid_s = validity_s.filter(|seconds| (0.0..=86_400.0).contains(seconds));
        Ok(RoadEvent {
            observed_at: self.sent_at,
            source: self.uuid.clone(),
            event: station << 16 | action.need_whole("sequence_number")? & 0xffff,
            code: EventCode::Etsi(cause.unwrap_or(0), code("subcause")?.unwrap_or(0)),
            position: Some(position(management.need("event_position")?)?),
            radius_m: None,
            paths: Vec::new(),
            lane: None,
            valid_from: detected_at,
            valid_until: detected_at
                .zip(valid_s)
                .map(|(from, seconds)| from.plus_millis((seconds * 1000.0) as i64)),
            confidence: None,
            ended: is_end,
            description: None,
        })
    }

    fn perception(&self, gather: &mut Gather<'_>) -> Record<()> {
        let management = self.message.need("management_container")?;
        let origin = position(management.need("reference_position")?)?;
        for object in self.message.list("perceived_object_container") {
            gather.observation(self.perceived(object, origin));
        }
        Ok(())
    }

    fn perceived(&self, object: Node<'_>, origin: Position) -> Record<Observation> {
        if object.get("x_distance").is_some() {
            return Err(RejectReason::UnsupportedKind);
        }
        let has_vehicle = |kind: Node<'_>| {
            kind.get("object_class")
                .is_some_and(|class| class.get("vehicle").is_some())
        };
        let mut kinds = object.list("classification").peekable();
        if kinds.peek().is_some() && !kinds.any(has_vehicle) {
            return Err(RejectReason::UnsupportedKind);
        }
        let place = object.need("position")?;
        let along = |name| -> Record<f32> { Ok((value_of(place.need(name)?)? / 100.0) as f32) };
        let offset = Point::new(along("x_coordinate")?, along("y_coordinate")?);
        let delta_ms = object.number("measurement_delta_time")?.unwrap_or(0.0);
        let (speed_mps, heading_deg) = velocity(object)?;
        let fix = Fix {
            observed_ms: self.sent_at.as_millis().saturating_add(delta_ms as i64),
            subject: self.subject(object.need_whole("object_id")?),
            position: LocalFrame::new(origin).to_position(offset),
            speed_mps,
            heading_deg,
        };
        Ok(Observation {
            observer: observer_id(self.uuid.as_bytes()),
            ..fix.observation(Origin::Rsm)?
        })
    }
}

/// Speed in m/s and heading in degrees, where they are known.
type Velocity = (Option<f64>, Option<f64>);

fn velocity(object: Node<'_>) -> Record<Velocity> {
    let Some(velocity) = object.get("velocity") else {
        return Ok((None, None));
    };
    if let Some(polar) = velocity.get("polar_velocity") {
        return Ok((
            quantity(polar, "velocity_magnitude", SPEED_UNKNOWN, 0.01)?,
            quantity(polar, "velocity_direction", HEADING_UNKNOWN, 0.1)?,
        ));
    }
    let Some(cartesian) = velocity.get("cartesian_velocity") else {
        return Ok((None, None));
    };
    let east = quantity(cartesian, "x_velocity", SPEED_UNKNOWN, 0.01)?;
    let north = quantity(cartesian, "y_velocity", SPEED_UNKNOWN, 0.01)?;
    Ok(match (east, north) {
        (Some(east), Some(north)) => (
            Some(east.hypot(north)),
            Some(east.atan2(north).to_degrees()),
        ),
        _ => (None, None),
    })
}

/// An event for [`encode_denm`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Notification<'a> {
    /// Identifier of the sender.
    pub source_uuid: &'a str,
    /// Station id of the sender.
    pub station_id: u32,
    /// Number of the event.
    pub sequence: u16,
    /// When it is told.
    pub sent_at: Timestamp,
    /// When it was detected, not before 2004.
    pub detected_at: Timestamp,
    /// How long it holds, seconds, 0 to 86400.
    pub valid_s: u32,
    /// Cause (ETSI TS 102 894-2); 1 is traffic condition.
    pub cause: u8,
    /// Sub-cause.
    pub subcause: u8,
    /// Where.
    pub position: Position,
}

/// Writes a DENM (schema 2.2.0 and later members that 1.1 shares).
pub fn encode_denm(event: &Notification<'_>) -> Vec<u8> {
    let steps = |degrees: f64| (degrees * 1e7).round() as i64;
    let its_ms = |at: Timestamp| at.as_millis().saturating_sub(ITS_EPOCH_MS as i64).max(0);
    let message: Value = json!({
        "message_type": "denm",
        "source_uuid": event.source_uuid,
        "timestamp": event.sent_at.as_millis(),
        "version": "2.2.0",
        "message": {
            "protocol_version": 2,
            "station_id": event.station_id,
            "management_container": {
                "action_id": {
                    "originating_station_id": event.station_id,
                    "sequence_number": event.sequence,
                },
                "detection_time": its_ms(event.detected_at),
                "reference_time": its_ms(event.sent_at),
                "validity_duration": event.valid_s.min(86_400),
                "event_position": {
                    "latitude": steps(event.position.lat_deg),
                    "longitude": steps(event.position.lon_deg),
                    "altitude": {"value": 800_001, "confidence": 15},
                    "position_confidence_ellipse": {
                        "semi_major": 4095, "semi_minor": 4095, "semi_major_orientation": 3601,
                    },
                },
            },
            "situation_container": {
                "information_quality": 0,
                "event_type": {"cause": event.cause, "subcause": event.subcause},
            },
        },
    });
    message.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
