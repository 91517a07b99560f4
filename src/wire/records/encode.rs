//! Writing native records.

use serde_json::{Map, Value, json};

use crate::observation::{
    DetectorReading, EventCode, ParkingReading, Passage, PassagePart, Reading, RoadEvent,
    SignalReading,
};
use crate::units::Position;

use super::NativeRecord;

/// Writes one record as a JSON object; `None` for a reading without a native form. Passages leave
/// without their vehicle, whose name is not known any more.
pub fn encode_record(record: &NativeRecord) -> Option<Vec<u8>> {
    Some(value(record)?.to_string().into_bytes())
}

/// Writes records as `{"records":[…]}`; readings without a native form are left out.
pub fn encode_batch(records: &[NativeRecord]) -> Vec<u8> {
    let records: Vec<Value> = records.iter().filter_map(value).collect();
    json!({"records": records}).to_string().into_bytes()
}

fn value(record: &NativeRecord) -> Option<Value> {
    let members = match record {
        NativeRecord::Detector(reading) => detector(reading),
        NativeRecord::Reading(Reading::Signal(signal_reading)) => signal(signal_reading),
        NativeRecord::Reading(Reading::Event(road_event)) => event(road_event),
        NativeRecord::Reading(Reading::Parking(reading)) => parking(reading),
        NativeRecord::Reading(Reading::Passage(reading)) => passage(reading),
        NativeRecord::Reading(Reading::Junction(_) | Reading::Device(_)) => return None,
    };
    Some(members.0.into())
}

/// The members of one record; what is not known is left out.
struct Members(Map<String, Value>);

impl Members {
    fn of(kind: &str) -> Self {
        Self(Map::new()).with("kind", kind)
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    fn with_known(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn at(self, position: Option<Position>) -> Self {
        self.with_known("lon", position.map(|position| position.lon_deg))
            .with_known("lat", position.map(|position| position.lat_deg))
    }
}

fn detector(reading: &DetectorReading) -> Members {
    Members::of("detector")
        .with("id", &*reading.detector)
        .with("start", reading.start.as_millis())
        .with("end", reading.end.as_millis())
        .with("count", reading.vehicle_count)
        .with_known("speed", reading.speed_mps)
        .with_known("occupancy", reading.occupancy)
        .with_known("sampled_seconds", reading.sampled_seconds)
        .with_known("queue_length", reading.queue_length_m)
}

fn signal(reading: &SignalReading) -> Members {
    Members::of("signal")
        .with("ts", reading.observed_at.as_millis())
        .with("junction", &*reading.junction)
        .with("phase", reading.phase)
        .with("light", reading.light.label())
        .with_known("begins_in", reading.begins_in_s)
        .with_known("ends_in", reading.ends_in_s)
}

fn event(event: &RoadEvent) -> Members {
    let (system, code, sub_code) = match event.code {
        EventCode::Gbt29100(code) => ("gbt29100", code, None),
        EventCode::Gb5768(code) => ("gb5768", code, None),
        EventCode::Etsi(code, sub_code) => ("etsi", code, Some(sub_code)),
        EventCode::Maker(code) => ("maker", code, None),
    };
    Members::of("event")
        .with("ts", event.observed_at.as_millis())
        .with("source", &*event.source)
        .with("id", event.event)
        .with("system", system)
        .with("type", code)
        .with_known("sub_type", sub_code)
        .at(event.position)
        .with_known("radius", event.radius_m)
        .with_known("lane", event.lane)
        .with_known("from", event.valid_from.map(|at| at.as_millis()))
        .with_known("until", event.valid_until.map(|at| at.as_millis()))
        .with_known("confidence", event.confidence)
        .with_known("ended", event.ended.then_some(true))
        .with_known("description", event.description.as_deref())
}

fn parking(reading: &ParkingReading) -> Members {
    Members::of("parking")
        .with("ts", reading.observed_at.as_millis())
        .with("lot", &*reading.lot)
        .at(reading.position)
        .with("capacity", reading.capacity)
        .with("free", reading.free)
}

fn passage(reading: &Passage) -> Members {
    let part = match reading.part {
        PassagePart::Whole => "whole",
        PassagePart::Enters => "enters",
        PassagePart::Leaves => "leaves",
    };
    Members::of("passage")
        .with("ts", reading.observed_at.as_millis())
        .with("site", &*reading.site)
        .with_known("lane", reading.lane)
        .with_known("speed", reading.speed_mps)
        .with("part", part)
}
