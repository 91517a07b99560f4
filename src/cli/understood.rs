//! What roadcast understands of one payload, as a line of JSON with its units in the names.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use crate::observation::{
    Decoded, DetectorReading, DeviceReport, EventCode, JunctionReading, Observation, Origin,
    Passage, PassagePart, Reading, RoadEvent, SignalReading,
};
use crate::units::{Position, Timestamp};
use crate::wire::{self, Context, DecodeLimits, Format};

/// What a payload does not say of itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Receipt {
    /// When payloads were received, ms since the Unix epoch: seconds of a minute and minutes of a
    /// year in them count from there. Default: the present.
    #[arg(long, value_name = "MS")]
    received_at: Option<i64>,
    /// The device that the topic would name.
    #[arg(long)]
    device: Option<String>,
}

impl Receipt {
    fn received_at(&self) -> Timestamp {
        let now_ms = || {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(0, |since| since.as_millis() as i64)
        };
        Timestamp::from_millis(self.received_at.unwrap_or_else(now_ms))
    }
}

/// Shows `payload`: `observations`, `detectors` and `readings`, each where there are any, and
/// `rejected` with counts by reason; or `error` with the reasons where nothing is understood.
pub(crate) fn line(format: Format, payload: &[u8], receipt: &Receipt) -> Value {
    let limits = DecodeLimits::default();
    let context = Context {
        received_at: receipt.received_at(),
        device: receipt.device.as_deref(),
        records_max: limits.records_max,
        light_codes: crate::wire::records::LightCodes::public(),
    };
    let mut out = Decoded::default();
    if payload.len() > limits.payload_bytes_max {
        return json!({"error": "oversized"});
    }
    wire::decode(format, payload, &context, &mut out);
    let refused = out.rejected.iter().filter(|(_, count)| *count > 0);
    let refused: Map<String, Value> = refused
        .map(|(reason, count)| (reason.label().to_owned(), count.into()))
        .collect();
    if out.is_empty() && !refused.is_empty() {
        let reasons: Vec<&str> = refused.keys().map(String::as_str).collect();
        return json!({"error": reasons.join(", ")});
    }
    let lists: [(&str, Vec<Value>); 3] = [
        (
            "observations",
            out.observations.iter().map(observation).collect(),
        ),
        ("detectors", out.detectors.iter().map(detector).collect()),
        ("readings", out.readings.iter().map(reading).collect()),
    ];
    let mut line = Map::new();
    for (name, list) in lists {
        if !list.is_empty() {
            line.insert(name.to_owned(), list.into());
        }
    }
    if !refused.is_empty() {
        line.insert("rejected".to_owned(), refused.into());
    }
    Value::Object(line)
}

/// `value` without the members that are not known.
fn known(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    value
}

fn ms(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_millis)
}

fn place(position: Option<Position>) -> Option<Value> {
    position.map(|place| json!({"lon_deg": place.lon_deg, "lat_deg": place.lat_deg}))
}

fn observation(seen: &Observation) -> Value {
    let origin = match seen.origin {
        Origin::Probe => "probe",
        Origin::Bsm => "bsm",
        Origin::Rsm => "rsm",
    };
    known(json!({
        "origin": origin,
        "subject": format!("{:016x}", seen.subject.0),
        "observed_at_ms": seen.observed_at.as_millis(),
        "lon_deg": seen.position.lon_deg,
        "lat_deg": seen.position.lat_deg,
        "speed_mps": seen.speed_mps,
        "heading_deg": seen.heading_deg,
        "accuracy_m": seen.accuracy_m,
        "altitude_m": seen.altitude_m,
    }))
}

fn detector(reading: &DetectorReading) -> Value {
    known(json!({
        "detector": &*reading.detector,
        "start_ms": reading.start.as_millis(),
        "end_ms": reading.end.as_millis(),
        "vehicle_count": reading.vehicle_count,
        "speed_mps": reading.speed_mps,
        "occupancy": reading.occupancy,
        "sampled_s": reading.sampled_seconds,
        "queue_length_m": reading.queue_length_m,
    }))
}

fn reading(reading: &Reading) -> Value {
    let mut value = known(match reading {
        Reading::Signal(reading) => signal(reading),
        Reading::Event(reading) => event(reading),
        Reading::Parking(reading) => json!({
            "observed_at_ms": reading.observed_at.as_millis(),
            "lot": &*reading.lot,
            "position": place(reading.position),
            "capacity": reading.capacity,
            "free": reading.free,
        }),
        Reading::Passage(reading) => passage(reading),
        Reading::Junction(reading) => junction(reading),
        Reading::Device(reading) => device(reading),
    });
    value["kind"] = reading.label().into();
    value
}

fn signal(reading: &SignalReading) -> Value {
    json!({
        "observed_at_ms": reading.observed_at.as_millis(),
        "junction": &*reading.junction,
        "phase": reading.phase,
        "light": reading.light.label(),
        "begins_in_s": reading.begins_in_s,
        "ends_in_s": reading.ends_in_s,
    })
}

fn event(event: &RoadEvent) -> Value {
    let (system, code, sub_code) = match event.code {
        EventCode::Gbt29100(code) => ("gbt29100", code, None),
        EventCode::Gb5768(code) => ("gb5768", code, None),
        EventCode::Etsi(code, sub_code) => ("etsi", code, Some(sub_code)),
        EventCode::Maker(code) => ("maker", code, None),
    };
    let paths = event.paths.iter().map(|path| {
        let points = path.iter().map(|point| place(Some(*point)));
        points.collect::<Vec<_>>()
    });
    let paths: Vec<_> = paths.collect();
    json!({
        "observed_at_ms": event.observed_at.as_millis(),
        "source": &*event.source,
        "event": event.event,
        "system": system,
        "code": code,
        "sub_code": sub_code,
        "position": place(event.position),
        "radius_m": event.radius_m,
        "paths": (!paths.is_empty()).then_some(paths),
        "lane": event.lane,
        "valid_from_ms": ms(event.valid_from),
        "valid_until_ms": ms(event.valid_until),
        "confidence": event.confidence,
        "ended": event.ended,
        "description": event.description.as_deref(),
    })
}

fn passage(passage: &Passage) -> Value {
    let part = match passage.part {
        PassagePart::Whole => "whole",
        PassagePart::Enters => "enters",
        PassagePart::Leaves => "leaves",
    };
    json!({
        "observed_at_ms": passage.observed_at.as_millis(),
        "site": &*passage.site,
        "lane": passage.lane,
        "vehicle": passage.vehicle.map(|vehicle| format!("{:016x}", vehicle.0)),
        "speed_mps": passage.speed_mps,
        "part": part,
    })
}

fn junction(junction: &JunctionReading) -> Value {
    let approaches = junction.approaches.iter().map(|approach| {
        known(json!({
            "upstream": &*approach.upstream,
            "name": approach.name.as_deref(),
            "limit_mps": approach.limit_mps,
        }))
    });
    json!({
        "observed_at_ms": junction.observed_at.as_millis(),
        "junction": &*junction.junction,
        "name": junction.name.as_deref(),
        "position": place(Some(junction.position)),
        "approaches": approaches.collect::<Vec<_>>(),
    })
}

fn device(report: &DeviceReport) -> Value {
    json!({
        "device": &*report.device,
        "stated_at_ms": ms(report.stated_at),
        "received_at_ms": report.received_at.as_millis(),
        "name": report.name.as_deref(),
        "position": place(report.position),
        "version": report.version.as_deref(),
        "protocol": report.protocol.as_deref(),
        "cpu": report.cpu,
        "memory": report.memory,
    })
}
