//! Congestion warnings (CGW) down to roadside units.

use serde_json::{Value, json};

use crate::observation::RejectReason;
use crate::units::{Position, Timestamp};
use crate::wire::csae_json;
use crate::wire::gather::Record;
use crate::wire::record::checked_speed_mps;
use crate::wire::tree::{self, Node};

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

/// A congestion warning as a unit reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct CongestionWarning {
    /// Where the sensor stands.
    pub reference: Position,
    /// The lanes, each with its time in ms of the minute, `0..=65535`.
    pub lanes: Vec<(u16, LaneCongestion)>,
}

/// Reads a congestion warning, as units do; levels above 3 are `out_of_range`.
///
/// # Errors
/// The reason for which it is refused.
pub fn decode_congestion_warning(payload: &[u8]) -> Result<CongestionWarning, RejectReason> {
    let value = tree::parse(payload)?;
    let root = Node::new(&value);
    let reference = csae_json::position(root.need("sensor_pos")?)?;
    let lanes = root.list("content").map(lane).collect::<Record<_>>()?;
    Ok(CongestionWarning { reference, lanes })
}

fn lane(node: Node<'_>) -> Record<(u16, LaneCongestion)> {
    let mark = node.need_whole("sec_mark")?;
    let mark = u16::try_from(mark).ok().ok_or(RejectReason::OutOfRange)?;
    let info = node.need("congestion_lanes_info")?;
    let level = info.need_whole("level")?;
    let level = u8::try_from(level).ok().filter(|level| *level <= 3);
    let speed_mps = checked_speed_mps(info.need_number("avg_speed")? / 3.6)?;
    Ok((
        mark,
        LaneCongestion {
            lane: info.small("lane_id")?.ok_or(RejectReason::MissingField)?,
            level: level.ok_or(RejectReason::OutOfRange)?,
            speed_mps: f64::from(speed_mps),
            start: csae_json::position(info.need("start_point")?)?,
            end: csae_json::position(info.need("end_point")?)?,
        },
    ))
}

fn point(position: Position) -> Value {
    let steps = |degrees: f64| (degrees * 1e7).round() as i64;
    json!({"lat": steps(position.lat_deg), "lon": steps(position.lon_deg)})
}
