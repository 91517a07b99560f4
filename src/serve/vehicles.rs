//! Road users near a place: counts by segment and anonymous positions.
//!
//! Groups smaller than [`Privacy::min_subjects`] are not told, those near an end of their trip or in
//! a sensitive zone do not count, and nobody looks like a small group. Positions are told for segments on
//! which that many road users are, wherever the circle lies: so that no choice of circles singles
//! one out. They are rounded to [`POSITION_STEP_M`] and carry no identity.

use serde::{Deserialize, Serialize};

use crate::matching::{Nearby, Presence};
use crate::network::Network;
use crate::publish::format::Privacy;
use crate::units::{Point, Position, SegmentId};

/// Positions are rounded to this in the local plane, metres.
const POSITION_STEP_M: f32 = 10.0;

/// Smallest and largest radius that can be asked for, metres.
const RADIUS_M: std::ops::RangeInclusive<f32> = 10.0..=5_000.0;

/// Most positions in one answer, nearest first; the rest is counted in `positions_left_out`.
const POSITIONS_MAX: usize = 10_000;

/// What is asked for.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct VehiclesQuery {
    lon: f64,
    lat: f64,
    radius_m: f32,
}

impl VehiclesQuery {
    /// What is wrong with it, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        if !Position::new(self.lon, self.lat).is_valid() {
            return Some(format!("{}, {} is no position", self.lon, self.lat));
        }
        if !RADIUS_M.contains(&self.radius_m) {
            return Some(format!(
                "radius_m {} is outside {}..={}",
                self.radius_m,
                RADIUS_M.start(),
                RADIUS_M.end()
            ));
        }
        None
    }
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct VehiclesBody {
    network: String,
    /// The end of the closed minute it is about, event time.
    as_of_ms: i64,
    radius_m: f32,
    /// Distinct road users in the circle; null for a group too small to tell.
    count: Option<u32>,
    /// Their mean speed, of those who told one; null for a group too small to tell.
    mean_speed_mps: Option<f32>,
    segments: Vec<SegmentCount>,
    positions: Vec<RoundedPosition>,
    positions_left_out: usize,
}

/// Road users of the circle on one segment.
#[derive(Debug, Serialize)]
struct SegmentCount {
    segment: u32,
    count: u32,
}

/// Where somebody is, to 10 m.
#[derive(Debug, Serialize)]
struct RoundedPosition {
    lon_deg: f64,
    lat_deg: f64,
}

/// Answers `query`.
pub(super) fn vehicles(
    presence: &Presence,
    network: &Network,
    privacy: Privacy,
    query: &VehiclesQuery,
) -> VehiclesBody {
    let centre = network
        .frame()
        .to_point(Position::new(query.lon, query.lat));
    let mut near = presence.within(centre, query.radius_m);
    near.retain(|nearby| nearby.vehicle.may_be_told);
    let count = near.len() as u32;
    let speeds: Vec<f32> = near
        .iter()
        .filter_map(|nearby| nearby.vehicle.position.speed_mps)
        .collect();
    let is_group = |count: u32| count > 0 && privacy.is_group(count);
    let mean_speed_mps = is_group(speeds.len() as u32)
        .then(|| (speeds.iter().sum::<f32>() / speeds.len() as f32 * 100.0).round() / 100.0);
    let is_crowded = |segment: SegmentId| {
        let told = presence.on_segment(segment).iter();
        let told = told.filter(|vehicle| vehicle.may_be_told).count();
        is_group(told as u32) && is_group(count)
    };
    let mut positions: Vec<RoundedPosition> = near
        .iter()
        .filter(|nearby| is_crowded(nearby.vehicle.position.segment))
        .map(|nearby| rounded(network, nearby.vehicle.point))
        .collect();
    let positions_left_out = positions.len().saturating_sub(POSITIONS_MAX);
    positions.truncate(POSITIONS_MAX);
    VehiclesBody {
        network: network.version().to_string(),
        as_of_ms: presence.as_of().as_millis(),
        radius_m: query.radius_m,
        count: privacy.sample_count(count),
        mean_speed_mps,
        segments: by_segment(&near, is_group),
        positions,
        positions_left_out,
    }
}

/// How many are on each segment, in id order, groups too small left out.
fn by_segment(near: &[Nearby<'_>], is_group: impl Fn(u32) -> bool) -> Vec<SegmentCount> {
    let mut segments: Vec<u32> = near
        .iter()
        .map(|nearby| nearby.vehicle.position.segment.0)
        .collect();
    segments.sort_unstable();
    segments
        .chunk_by(|a, b| a == b)
        .filter(|group| is_group(group.len() as u32))
        .map(|group| SegmentCount {
            segment: group[0],
            count: group.len() as u32,
        })
        .collect()
}

fn rounded(network: &Network, point: Point) -> RoundedPosition {
    let step = |metres: f32| (metres / POSITION_STEP_M).round() * POSITION_STEP_M;
    let position = network
        .frame()
        .to_position(Point::new(step(point.x), step(point.y)));
    let micro = |degrees: f64| (degrees * 1e6).round() / 1e6;
    RoundedPosition {
        lon_deg: micro(position.lon_deg),
        lat_deg: micro(position.lat_deg),
    }
}
