//! What a simulation is asked for, and the incident in it.

use crate::units::{SegmentId, Timestamp};

/// How a simulation is set up.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficSettings {
    /// Vehicles on the road at the top of the peak.
    pub vehicles: usize,
    /// Seed of everything that is chance.
    pub seed: u64,
    /// Event time of the first second. Hours are taken at UTC+8.
    pub start: Timestamp,
    /// Share of the vehicles that report, 0..=1; the rest is seen by roadside units at most.
    pub equipped_share: f64,
    /// Share of the reporting vehicles that send T/CSAE BSM, 0..=1; the rest sends native JSON.
    pub bsm_share: f64,
    /// Share of the JSON vehicles that publish alone and not through an area's unit, 0..=1.
    pub single_share: f64,
    /// Seconds between two native reports of one vehicle, at least 1.
    pub probe_period_s: u32,
    /// Seconds between two BSM of one vehicle that reach the centre, at least 1.
    pub bsm_period_s: u32,
    /// Seconds between two RSM of one roadside unit, at least 1.
    pub rsm_period_s: u32,
    /// Incident: seconds from `start` to its begin and its end; `None` for an ordinary morning.
    pub incident_s: Option<(i64, i64)>,
}

impl Default for TrafficSettings {
    /// The demo's morning: 07:20 at UTC+8 on Monday 2026-11-23, an incident from 07:48 to 08:14.
    fn default() -> Self {
        Self {
            vehicles: 3_600,
            seed: 42,
            start: Timestamp::from_secs(1_795_389_600),
            equipped_share: 0.4,
            bsm_share: 0.4,
            single_share: 0.04,
            probe_period_s: 2,
            bsm_period_s: 1,
            rsm_period_s: 1,
            incident_s: Some((28 * 60, 54 * 60)),
        }
    }
}

/// A blocked stretch: lanes closed, the rest passing slowly one by one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incident {
    /// Where.
    pub segment: SegmentId,
    /// When it begins.
    pub from: Timestamp,
    /// When the road is free again.
    pub until: Timestamp,
    /// Lanes closed, counted from the kerb.
    pub lanes_closed: u8,
    /// Least time between two vehicles that enter, seconds.
    pub headway_s: f32,
    /// Speed past the place, m/s.
    pub speed_mps: f32,
}

impl Incident {
    pub(super) fn is_on(&self, now: Timestamp) -> bool {
        (self.from..self.until).contains(&now)
    }
}
