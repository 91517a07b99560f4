//! Travel times along configured corridors, minute by minute, each with its uncertainty.
//!
//! Two travel times are told, after the terms of the FHWA Travel Time Data Collection Handbook
//! (1998, FHWA-PL-98-035): *instantaneous*, the sum of the segments' times in one minute, and
//! *experienced*, that of a road user who arrives at the end of the minute, found by walking back
//! through past minutes. Two uncertainties are told, and both assume something:
//!
//! - `sigma_s`, of the mean over all road users: that of the segments' speeds, with errors of two
//!   segments correlated by `exp(-d / 500 m)` of the distance between their middles.
//! - `low_s` and `high_s`, between which nine of ten trips lie: the spread of single road users
//!   around the segments' means is learnt from complete passes and taken as independent from
//!   segment to segment (no green wave), and trip times as log-normal.

mod memory;
mod resolve;

use crate::network::Network;
use crate::units::SegmentId;

pub use memory::Corridors;
pub use resolve::{CorridorDraft, CorridorError};

/// Most corridors; further ones are refused when they are read.
pub const CORRIDORS_MAX: usize = 500;

/// Most segments of one corridor; longer ones are refused when they are read.
pub const CORRIDOR_SEGMENTS_MAX: usize = 500;

/// Distance over which the errors of segment speeds lose their correlation, m (chosen: a jam that
/// one segment's reports missed is missed on its neighbours too).
const CORRELATION_M: f32 = 500.0;

/// Slowest speed of a segment in a travel time, m/s (chosen: slower is standing, and no sum).
const SPEED_MIN_MPS: f32 = 0.3;

/// Standard normal quantile of 0.95.
const NORMAL_P95: f32 = 1.6449;

/// A way over consecutive segments.
#[derive(Clone, Debug, PartialEq)]
pub struct Corridor {
    /// What it is called in topics and messages.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its segments in driving order, each once.
    pub segments: Vec<SegmentId>,
    /// Time inside the junction before each segment, at its limit, s; 0 for the first.
    junction_s: Vec<f32>,
    /// From the start of the first segment to the middle of each, m.
    middle_m: Vec<f32>,
    /// Metres along segments and junctions.
    pub length_m: f32,
}

impl Corridor {
    /// The corridor over `segments`.
    ///
    /// # Errors
    /// When there are none or too many, one comes twice, or no movement leads from one to the next.
    pub fn new(
        network: &Network,
        id: &str,
        name: &str,
        segments: Vec<SegmentId>,
    ) -> Result<Self, CorridorError> {
        let of = |problem| CorridorError {
            corridor: id.to_owned(),
            problem,
        };
        if segments.is_empty() || segments.len() > CORRIDOR_SEGMENTS_MAX {
            let problem = format!(
                "has {} segments, not 1 to {CORRIDOR_SEGMENTS_MAX}",
                segments.len()
            );
            return Err(of(problem));
        }
        let mut corridor = Self {
            id: id.to_owned(),
            name: name.to_owned(),
            junction_s: Vec::with_capacity(segments.len()),
            middle_m: Vec::with_capacity(segments.len()),
            length_m: 0.0,
            segments: Vec::with_capacity(segments.len()),
        };
        for &segment in &segments {
            let about = network.segment(segment);
            let gap_m = match corridor.segments.last() {
                None => 0.0,
                Some(&last) => {
                    let mut movements = network.movements_from(last).iter();
                    let movement = movements.find(|movement| movement.to() == segment);
                    let told = |id| network.source_id(id);
                    let missing = || {
                        of(format!(
                            "no movement leads from {:?} to {:?}",
                            told(last),
                            told(segment)
                        ))
                    };
                    movement.ok_or_else(missing)?.length_m
                }
            };
            if corridor.segments.contains(&segment) {
                return Err(of(format!("{:?} comes twice", network.source_id(segment))));
            }
            corridor.junction_s.push(gap_m / about.limit_mps);
            let middle_m = corridor.length_m + gap_m + about.length_m / 2.0;
            corridor.middle_m.push(middle_m);
            corridor.length_m += gap_m + about.length_m;
            corridor.segments.push(segment);
        }
        Ok(corridor)
    }
}

/// A segment of a corridor in one minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leg {
    /// The segment.
    pub segment: SegmentId,
    /// Mean time to drive it, the junction before it included, s.
    pub time_s: f32,
    /// Standard deviation of that mean, s.
    pub sigma_s: f32,
}

/// The travel time along one corridor in one minute.
#[derive(Clone, Debug, PartialEq)]
pub struct CorridorState {
    /// Its place among the configured corridors.
    pub corridor: usize,
    /// Mean travel time of the minute, s: the sum over its segments.
    pub time_s: f32,
    /// Standard deviation of `time_s`, s.
    pub sigma_s: f32,
    /// Nine of ten trips lie between this and `high_s`, s.
    pub low_s: f32,
    /// See `low_s`, s.
    pub high_s: f32,
    /// Travel time of who arrives at the end of the minute, s; `None` without enough past minutes.
    pub experienced_s: Option<f32>,
    /// Travel time at free-flow speed, s.
    pub free_flow_s: f32,
    /// Share of the length whose speed was measured or estimated, not only usual, `0.0..=1.0`.
    pub known_ratio: f32,
    /// Its segments in driving order.
    pub legs: Vec<Leg>,
}

/// Bounds of nine of ten of a log-normal distribution with this mean and standard deviation.
fn log_normal_bounds(mean: f32, sigma: f32) -> (f32, f32) {
    let variance = (1.0 + (sigma / mean.max(1e-3)).powi(2)).ln();
    let middle = mean.max(1e-3).ln() - variance / 2.0;
    let reach = NORMAL_P95 * variance.sqrt();
    ((middle - reach).exp(), (middle + reach).exp())
}

#[cfg(test)]
mod tests;
