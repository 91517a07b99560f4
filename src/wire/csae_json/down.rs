//! Messages down to units: RSI and SPAT as values.

use serde_json::{Value, json};

use crate::observation::SignalReading;
use crate::units::{Position, Timestamp};
use crate::wire::csae::minute_of_the_year;

/// Steps of a time mark in a second, and the mark that says unknown (T/CSAE 53, DE_TimeMark).
const TIME_MARKS_PER_S: f64 = 10.0;
const TIME_MARK_UNKNOWN: i64 = 36_001;

/// One event for a message down.
#[derive(Clone, Debug, PartialEq)]
pub struct DownEvent<'a> {
    /// Number of the event at its source, 0 to 255.
    pub event_id: u8,
    /// Event type of GB/T 29100; 707 is congestion.
    pub event_type: u32,
    /// Where, in the datum of the receiver.
    pub position: Position,
    /// How far around `position` it reaches, metres.
    pub radius_m: f64,
    /// 0 (lowest) to 7 (highest).
    pub priority: u8,
    /// The stretches concerned, 1 to 8, each a line along the traffic.
    pub paths: &'a [Vec<Position>],
    /// Half width of the paths, metres.
    pub path_radius_m: f64,
    /// Text of up to 255 characters.
    pub description: Option<&'a str>,
    /// How sure it is, `0.0..=1.0`.
    pub confidence: Option<f64>,
    /// From when and until when, to the minute.
    pub valid: (Timestamp, Timestamp),
}

/// How a receiver wants its coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Coordinates {
    /// Degrees with 7 decimals, always with a fraction: an integer would mean steps.
    Degrees,
    /// Integers of 1e-7 degree.
    Steps,
}

impl Coordinates {
    fn value(self, position: Position) -> Value {
        let steps = |degrees: f64| (degrees * 1e7).round();
        match self {
            Self::Degrees => json!({
                "lat": steps(position.lat_deg) / 1e7,
                "lon": steps(position.lon_deg) / 1e7,
            }),
            Self::Steps => json!({
                "lat": steps(position.lat_deg) as i64,
                "lon": steps(position.lon_deg) as i64,
            }),
        }
    }
}

/// One RSI message: events for the unit `unit` at `reference`.
pub(in crate::wire) fn rsi_value(
    unit: &str,
    issued_at: Timestamp,
    reference: Position,
    events: &[DownEvent<'_>],
    coordinates: Coordinates,
) -> Value {
    let events: Vec<Value> = events
        .iter()
        .map(|event| event_value(event, coordinates))
        .collect();
    json!({
        "id": unit,
        "timeStamp": minute_of_the_year(issued_at),
        "refPos": coordinates.value(reference),
        "rtes": events,
    })
}

fn event_value(event: &DownEvent<'_>, coordinates: Coordinates) -> Value {
    let steps = |value: f64, per_unit: f64| (value * per_unit).round() as i64;
    let position = |position: Position| coordinates.value(position);
    let paths: Vec<Value> = event
        .paths
        .iter()
        .map(|path| {
            let points: Vec<Value> = path.iter().copied().map(position).collect();
            json!({"activePath": points, "pathRadius": steps(event.path_radius_m, 10.0)})
        })
        .collect();
    let minute = minute_of_the_year;
    let mut value = json!({
        "rteId": event.event_id,
        "eventType": event.event_type,
        "eventSource": "detection",
        "eventPosition": position(event.position),
        "eventRadius": steps(event.radius_m, 10.0),
        "eventPriority": event.priority.min(7),
        "referencePaths": paths,
        "timeDetails": {"startTime": minute(event.valid.0), "endTime": minute(event.valid.1)},
    });
    if let Some(members) = value.as_object_mut() {
        if let Some(text) = event.description {
            members.insert("eventDescription".to_owned(), text.into());
        }
        if let Some(share) = event.confidence {
            let steps = steps(share.clamp(0.0, 1.0), 200.0);
            members.insert("eventConfidence".to_owned(), steps.into());
        }
    }
    value
}

/// A SPAT message: consecutive readings of one junction and time are one intersection, of one phase
/// its states.
pub(in crate::wire) fn spat_value(signals: &[SignalReading]) -> Value {
    let same_junction = |a: &SignalReading, b: &SignalReading| {
        (&a.junction, a.observed_at) == (&b.junction, b.observed_at)
    };
    let intersections: Vec<Value> = signals
        .chunk_by(same_junction)
        .map(|signals| {
            let phases: Vec<Value> = signals
                .chunk_by(|a, b| a.phase == b.phase)
                .map(|states| {
                    let shown: Vec<Value> = states.iter().map(state_value).collect();
                    json!({"phaseId": states[0].phase, "phaseStates": shown})
                })
                .collect();
            json!({
                "intersectionId": junction_value(&signals[0].junction),
                "timeStamp": signals[0].observed_at.as_millis(),
                "phases": phases,
            })
        })
        .collect();
    json!({"intersections": intersections})
}

fn state_value(signal: &SignalReading) -> Value {
    let mark = |seconds: f32| {
        let marks = (f64::from(seconds) * TIME_MARKS_PER_S).round() as i64;
        json!({"timeMark": marks.clamp(0, TIME_MARK_UNKNOWN)})
    };
    let mut counting = serde_json::Map::new();
    if let Some(seconds) = signal.begins_in_s {
        counting.insert("startTime".to_owned(), mark(seconds));
    }
    if let Some(seconds) = signal.ends_in_s {
        counting.insert("likelyEndTime".to_owned(), mark(seconds));
    }
    json!({"light": (signal.light as u8).to_string(), "timing": {"counting": counting}})
}

/// `region-id` as its numbers, any other name as it is.
fn junction_value(junction: &str) -> Value {
    let numbers = junction.split_once('-').and_then(|(region, id)| {
        let (region, id): (u64, u64) = (region.parse().ok()?, id.parse().ok()?);
        // Only what reads back as the same name.
        (format!("{region}-{id}") == junction).then(|| json!({"region": region, "id": id}))
    });
    numbers.unwrap_or_else(|| junction.into())
}
