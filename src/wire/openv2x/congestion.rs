//! Congestion warnings (CGW) down to roadside units.

use serde_json::{Value, json};

use crate::units::{Position, Timestamp};

/// One congested lane of a warning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneCongestion {
    /// Lane, as the unit's map numbers it.
    pub lane: u32,
    /// 0 (free) to 3 (severe).
    pub level: u8,
    /// Mean speed in m/s; leaves in whole km/h.
    pub speed_mps: f64,
    /// Upstream end, in the datum of the receiver.
    pub start: Position,
    /// Downstream end.
    pub end: Position,
}

/// The topic of warnings to `unit`.
pub fn congestion_topic(unit: &str) -> String {
    format!("V2X/RSU/{unit}/CGW/DOWN")
}

/// Writes the lanes' congestion at `observed_at` around the sensor at `reference`; levels above 3
/// leave as 3, positions in 1e-7 degree.
pub fn encode_congestion_warning(
    observed_at: Timestamp,
    reference: Position,
    lanes: &[LaneCongestion],
) -> Vec<u8> {
    let sec_mark = observed_at.as_millis().rem_euclid(60_000);
    let content: Vec<Value> = lanes
        .iter()
        .map(|lane| {
            json!({
                "secMark": sec_mark,
                "congestionLanesInfo": {
                    "laneId": lane.lane,
                    "level": lane.level.min(3),
                    "avgSpeed": (lane.speed_mps * 3.6).round() as i64,
                    "startPoint": point(lane.start),
                    "endPoint": point(lane.end),
                },
            })
        })
        .collect();
    let message = json!({"sensorPos": point(reference), "content": content});
    message.to_string().into_bytes()
}

fn point(position: Position) -> Value {
    let steps = |degrees: f64| (degrees * 1e7).round() as i64;
    json!({"lat": steps(position.lat_deg), "lon": steps(position.lon_deg)})
}
