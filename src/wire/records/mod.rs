//! Native JSON records of everything that is no vehicle's probe: detectors, signals, events, car
//! parks, passages and buses.
//!
//! ```json
//! {"kind":"detector","id":"E1","start":1764000000000,"end":1764000060000,"count":12,"speed":13.5}
//! {"records":[{"kind":"parking","lot":"P1","ts":1764000000000,"capacity":200,"free":17},{...}]}
//! ```
//!
//! SI units, degrees in the datum of the source, times in ms since the epoch. Members that a kind
//! does not have are skipped. A vehicle at a checkpoint is hashed here: plates go no further.

mod encode;
mod light;

pub use encode::{encode_batch, encode_record};
pub use light::{LIGHT_CODES_MAX, LightCodes, LightCodesError};

use crate::observation::{
    Decoded, DetectorReading, EventCode, Light, Observation, Origin, ParkingReading, Passage,
    PassagePart, Reading, RejectReason, RoadEvent, SignalReading,
};
use crate::units::Position;

use super::context::Context;
use super::gather::{Gather, Record};
use super::record::{Fix, checked_speed_mps};
use super::subject::subject_id;
use super::tree::{self, Node};

/// One record on its way out.
#[derive(Clone, Debug, PartialEq)]
pub enum NativeRecord {
    /// `detector`
    Detector(DetectorReading),
    /// `signal`, `event`, `parking` or `passage`; other readings have no native form.
    Reading(Reading),
}

/// Adds what `payload` holds to `out`; records beyond the limit are counted, not used.
pub fn decode(payload: &[u8], context: &Context<'_>, out: &mut Decoded) {
    let mut gather = Gather::new(out, context.records_max);
    match tree::parse(payload) {
        Err(reason) => gather.refuse(reason),
        Ok(value) => {
            let root = Node::new(&value);
            match root.get("records").filter(|records| records.is_list()) {
                Some(records) => records
                    .elements()
                    .for_each(|node| record(node, context, &mut gather)),
                None => record(root, context, &mut gather),
            }
        }
    }
}

fn record(node: Node<'_>, context: &Context<'_>, gather: &mut Gather<'_>) {
    let kind = match node.need_text("kind") {
        Ok(kind) => kind,
        Err(reason) => return gather.refuse(reason),
    };
    match &*kind {
        "detector" => gather.detector(detector(node, context)),
        "bus" => gather.observation(bus(node)),
        "signal" => gather.reading(signal(node, context.light_codes).map(Reading::Signal)),
        "event" => gather.reading(event(node, context).map(Reading::Event)),
        "parking" => gather.reading(parking(node).map(Reading::Parking)),
        "passage" => gather.reading(passage(node, context).map(Reading::Passage)),
        _ => gather.refuse(RejectReason::UnsupportedKind),
    }
}

/// A number that is not negative and fits.
fn amount(node: Node<'_>, name: &str) -> Record<Option<f32>> {
    match node.number(name)? {
        Some(value) if !(0.0..=1e9).contains(&value) => Err(RejectReason::OutOfRange),
        value => Ok(value.map(|value| value as f32)),
    }
}

fn share(node: Node<'_>, name: &str) -> Record<Option<f32>> {
    match node.number(name)? {
        Some(value) if !(0.0..=1.0).contains(&value) => Err(RejectReason::OutOfRange),
        value => Ok(value.map(|value| value as f32)),
    }
}

fn speed(node: Node<'_>) -> Record<Option<f32>> {
    node.number("speed")?.map(checked_speed_mps).transpose()
}

fn position(node: Node<'_>) -> Record<Option<Position>> {
    let (lon, lat) = (node.number("lon")?, node.number("lat")?);
    let position = match (lon, lat) {
        (None, None) => return Ok(None),
        (Some(lon), Some(lat)) => Position::new(lon, lat),
        _ => return Err(RejectReason::MissingField),
    };
    if position.is_valid() {
        Ok(Some(position))
    } else {
        Err(RejectReason::OutOfRange)
    }
}

fn device(node: Node<'_>, name: &str, context: &Context<'_>) -> Record<std::sync::Arc<str>> {
    match (node.text(name)?, context.device) {
        (Some(text), _) if !text.is_empty() => Ok(text),
        (_, Some(device)) => Ok(device.into()),
        _ => Err(RejectReason::MissingField),
    }
}

fn detector(node: Node<'_>, context: &Context<'_>) -> Record<DetectorReading> {
    let (start, end) = (node.need_millis("start")?, node.need_millis("end")?);
    if end < start {
        return Err(RejectReason::OutOfRange);
    }
    Ok(DetectorReading {
        start,
        end,
        detector: device(node, "id", context)?,
        vehicle_count: amount(node, "count")?.ok_or(RejectReason::MissingField)?,
        speed_mps: speed(node)?,
        occupancy: share(node, "occupancy")?,
        sampled_seconds: amount(node, "sampled_seconds")?,
        queue_length_m: amount(node, "queue_length")?,
    })
}

fn bus(node: Node<'_>) -> Record<Observation> {
    let id = node.need_text("id")?;
    let fix = Fix {
        observed_ms: node.need_millis("ts")?.as_millis(),
        subject: subject_id(id.as_bytes()),
        position: position(node)?.ok_or(RejectReason::MissingField)?,
        speed_mps: node.number("speed")?,
        heading_deg: node.number("heading")?,
    };
    fix.observation(Origin::Probe)
}

fn signal(node: Node<'_>, codes: &LightCodes) -> Record<SignalReading> {
    let light = match node.text("light")? {
        Some(word) => Light::ALL
            .into_iter()
            .find(|light| light.label() == &*word)
            .ok_or(RejectReason::OutOfRange)?,
        None => {
            let (system, code) = (node.need_text("system")?, node.need_whole("code")?);
            codes
                .light(&system, code)
                .ok_or(RejectReason::UnsupportedKind)?
        }
    };
    Ok(SignalReading {
        observed_at: node.need_millis("ts")?,
        junction: node.need_text("junction")?,
        phase: node.small("phase")?.ok_or(RejectReason::MissingField)?,
        light,
        begins_in_s: amount(node, "begins_in")?,
        ends_in_s: amount(node, "ends_in")?,
    })
}

/// The code of an event: `type` by `system` (`gbt29100` unless stated), with `sub_type` for `etsi`.
fn event_code(node: Node<'_>) -> Record<EventCode> {
    let code = node.small("type")?.ok_or(RejectReason::MissingField)?;
    match node.text("system")?.as_deref() {
        None | Some("gbt29100") => Ok(EventCode::Gbt29100(code)),
        Some("gb5768") => Ok(EventCode::Gb5768(code)),
        Some("etsi") => Ok(EventCode::Etsi(code, node.small("sub_type")?.unwrap_or(0))),
        Some("maker") => Ok(EventCode::Maker(code)),
        Some(_) => Err(RejectReason::OutOfRange),
    }
}

fn event(node: Node<'_>, context: &Context<'_>) -> Record<RoadEvent> {
    let time = |name| node.get(name).map(|_| node.need_millis(name)).transpose();
    Ok(RoadEvent {
        observed_at: node.need_millis("ts")?,
        source: device(node, "source", context)?,
        event: node.need_whole("id")?,
        code: event_code(node)?,
        position: position(node)?,
        radius_m: amount(node, "radius")?,
        paths: Vec::new(),
        lane: node.small("lane")?,
        valid_from: time("from")?,
        valid_until: time("until")?,
        confidence: share(node, "confidence")?,
        ended: node.truth("ended"),
        description: node.text("description")?,
    })
}

fn parking(node: Node<'_>) -> Record<ParkingReading> {
    let capacity = node.small("capacity")?.ok_or(RejectReason::MissingField)?;
    let free = node.small("free")?.ok_or(RejectReason::MissingField)?;
    if free > capacity {
        return Err(RejectReason::OutOfRange);
    }
    Ok(ParkingReading {
        observed_at: node.need_millis("ts")?,
        lot: node.need_text("lot")?,
        position: position(node)?,
        capacity,
        free,
    })
}

fn passage(node: Node<'_>, context: &Context<'_>) -> Record<Passage> {
    let part = match node.text("part")?.as_deref() {
        None | Some("whole") => PassagePart::Whole,
        Some("enters") => PassagePart::Enters,
        Some("leaves") => PassagePart::Leaves,
        Some(_) => return Err(RejectReason::OutOfRange),
    };
    let vehicle = node.text("vehicle")?.filter(|name| !name.is_empty());
    Ok(Passage {
        observed_at: node.need_millis("ts")?,
        site: device(node, "site", context)?,
        lane: node.small("lane")?,
        vehicle: vehicle.map(|name| subject_id(name.as_bytes())),
        speed_mps: speed(node)?,
        part,
    })
}

#[cfg(test)]
mod tests;
