//! Traffic state: what each segment is like, minute by minute, how sure that is, and where it
//! comes from.
//!
//! It turns committed positions into per-minute sums, closes a minute when the watermark says so,
//! and runs a per-segment filter on the residual to a profile. It does not decode, match or look
//! into the future.

mod accumulate;
mod accumulate_snapshot;
mod bottleneck;
mod bytes;
mod calendar;
mod closure;
pub mod congestion;
mod corridor;
mod detector;
mod detector_places;
mod diagram;
mod emission;
mod field;
mod filter;
mod flow;
mod incident;
mod pace;
mod performance;
mod picture;
mod prior;
mod profile;
mod readings;
mod roadside;
mod snapshot;
mod stay;
mod sums;
#[cfg(test)]
mod testing;
mod today;
mod traffic;
mod turning;
mod usual;
mod vetting;

pub use accumulate::Accumulator;
pub use bottleneck::{BOTTLENECKS_MAX, Bottleneck, BottleneckDay, Bottlenecks};
pub use bytes::SnapshotError;
pub use calendar::{Calendar, DayType, is_weekend};
pub use closure::{CLOSURES_MAX, ClosureDraft, ClosureError, Closures};
pub use corridor::{
    CORRIDOR_SEGMENTS_MAX, CORRIDORS_MAX, Corridor, CorridorDraft, CorridorError, CorridorState,
    Corridors, Leg,
};
pub use detector::{DETECTOR_COUNT_MAX, DetectorError, DetectorKind, DetectorPlace, DetectorTable};
pub use diagram::{
    Basis, DIAGRAM_SEGMENTS_MAX, Diagram, DiagramFits, Diagrams, Estimated, Goodness,
    SegmentDiagram,
};
pub use emission::{Emission, EmissionSums, co2_gpkm};
pub use field::{
    FIELD_CELLS_MAX, FIELD_STEPS_MAX, FieldCell, FieldError, FieldJam, FieldMinute, FieldSettings,
    Freeway, Freeways, SpeedField,
};
pub use flow::ProbeFlow;
pub use incident::{
    CauseCandidate, INCIDENTS_MAX, IncidentCause, IncidentChange, IncidentEvidence, IncidentKind,
    IncidentMinute, IncidentOrder, IncidentSettings, IncidentState, Incidents, TOLD_EVENTS_MAX,
    ToldEvent, bad_weather,
};
pub use pace::{mean_speed_mps, pace_spm};
pub use performance::{Performance, PerformanceBatch, PerformanceMinute};
pub use profile::{Profiles, SLOT_MS};
pub use roadside::{
    EVENTS_MAX, PARKING_LOTS_MAX, PHASES_MAX, PhaseLight, PhaseSignal, Roadside, RoadsideView,
};
pub use stay::Stay;
pub use sums::{BinSums, SegmentSums};
pub use traffic::{StateSettings, TrafficState};
pub use turning::{TurnBasis, TurnFlow, Turning};
pub use usual::{DAY_KINDS, QUARTERS, UsualSpeeds};
pub use vetting::{
    DatumVerdict, Doubt, SegmentVerdict, SourceTrust, Vetting, VettingCounts, VettingSettings,
};

use crate::network::NetworkVersion;
use crate::units::Interval;

/// Length of a state bin, milliseconds.
pub const MINUTE_MS: i64 = 60_000;

/// Below this speed a road user stands, m/s (chosen: walking pace, above the noise of reported
/// speeds at rest).
pub const STANDING_MPS: f32 = 1.0;

/// Congestion level after GB/T 33171-2016, by the ratio of speed to free-flow speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// 畅通: above 70 % of free-flow speed.
    #[default]
    Smooth = 1,
    /// 基本畅通: 50 to 70 %.
    MostlySmooth = 2,
    /// 轻度拥堵: 40 to 50 %.
    Light = 3,
    /// 中度拥堵: 30 to 40 %.
    Moderate = 4,
    /// 严重拥堵: 30 % and below.
    Severe = 5,
}

impl Level {
    /// Every level, best first.
    pub const ALL: [Self; 5] = [
        Self::Smooth,
        Self::MostlySmooth,
        Self::Light,
        Self::Moderate,
        Self::Severe,
    ];

    /// The level with this code; codes out of range are the nearest level.
    pub fn from_code(code: u8) -> Self {
        Self::ALL[usize::from(code.clamp(1, 5)) - 1]
    }

    /// The level of a ratio of speed to free-flow speed; a boundary belongs to the worse level
    /// (GB/T 33171-2016).
    pub fn from_speed_ratio(ratio: f32) -> Self {
        let worse = Self::RATIO_EDGES.iter().filter(|&&edge| ratio <= edge);
        Self::ALL[worse.count()]
    }

    /// Ratios of speed to free-flow speed at and below which the next worse level begins.
    pub const RATIO_EDGES: [f32; 4] = [0.7, 0.5, 0.4, 0.3];
}

/// Where a published value comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Provenance {
    /// Measured on this segment in this minute.
    Observed = 0,
    /// Estimated from earlier measurements or from neighbours.
    Estimated = 1,
    /// Only the profile speaks.
    #[default]
    Profile = 2,
}

impl Provenance {
    /// The label used in files and messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Estimated => "estimated",
            Self::Profile => "profile",
        }
    }
}

/// The state of one segment in one minute.
///
/// Invariant: every number is finite and not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SegmentState {
    /// Space-mean speed, m/s.
    pub speed_mps: f32,
    /// Standard deviation of `speed_mps`, m/s.
    pub sigma_mps: f32,
    /// Speed of unhindered traffic here, m/s.
    pub free_flow_mps: f32,
    /// Whether `free_flow_mps` was learnt as the standard asks, over at least
    /// [`congestion::DAYS_MIN`] days; else it is the fallback, a quantile of this run's minutes or
    /// the limit.
    pub is_free_flow_learnt: bool,
    /// Flow in veh/h over all lanes; `None` where no count or penetration rate is known.
    pub flow_vph: Option<f32>,
    /// Density in veh/km over all lanes; `None` where flow is unknown.
    pub density_vpkm: Option<f32>,
    /// Queue from the stop line in metres; `None` where nothing was seen of it.
    pub queue_length_m: Option<f32>,
    /// Congestion level, with hysteresis; written by [`congestion::Congestion`].
    pub level: Level,
    /// Where `speed_mps` comes from.
    pub provenance: Provenance,
    /// Distinct road users seen in the minute.
    pub sample_count: u32,
    /// Independent views (sources, detectors) behind the minute; 0 where nobody was seen.
    pub view_count: u8,
    /// Why some reports of the minute were left out.
    pub doubt: Doubt,
    /// Seconds since the last minute with a measurement of this segment; `None` if never.
    pub age_s: Option<u32>,
    /// Speed that is usual here at this time of day, m/s, whatever the minute brought.
    pub usual_mps: f32,
    /// Standard deviation of a minute's speed around `usual_mps`, m/s.
    pub usual_sigma_mps: f32,
    /// Whether detectors counted the traffic of the minute.
    pub is_counted: bool,
}

/// The state of every segment in one closed minute, indexed by segment id.
#[derive(Clone, Debug, PartialEq)]
pub struct StateBatch {
    /// The minute.
    pub interval: Interval,
    /// The network the ids belong to.
    pub network: NetworkVersion,
    /// One state a segment, in id order.
    pub segments: Vec<SegmentState>,
}
