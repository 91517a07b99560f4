//! Guidance: jam warnings and diversions, each with reason, horizon, confidence and expiry.
//!
//! It reads state and forecasts and advises; it never commands, and never sends anything itself.
//! Rules and defaults are those of `docs/guidance.md`.

mod advice;
mod bytes;
mod diversion;
mod jam;
mod memory;
mod telling;
mod wording;

pub use advice::{Guide, GuideError, GuideSettings};

use crate::network::NetworkVersion;
use crate::state::Level;
use crate::units::{SegmentId, Timestamp};

/// A piece of evidence behind a guidance: what was seen or forecast, where and when.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// A segment's state in a closed minute.
    State {
        /// The segment.
        segment: SegmentId,
        /// Start of the minute.
        at: Timestamp,
        /// Its speed, m/s.
        speed_mps: f32,
        /// Its free-flow speed, m/s.
        free_flow_mps: f32,
        /// Distinct road users seen.
        sample_count: u32,
    },
    /// Road users in a jam and near its tail, at the end of a closed minute.
    Vehicles {
        /// When.
        at: Timestamp,
        /// Road users on the segments of the jam.
        in_jam: u32,
        /// Road users within `radius_m` of its tail, on any road.
        near_tail: u32,
        /// Metres around the tail.
        radius_m: f32,
    },
    /// A segment's forecast.
    Forecast {
        /// The segment.
        segment: SegmentId,
        /// Start of the forecast interval.
        at: Timestamp,
        /// Median speed, m/s.
        p50_mps: f32,
        /// The model that said so.
        model: std::sync::Arc<str>,
    },
    /// Travel times of the main route and its alternative at the moment of advice.
    TravelTimes {
        /// Forecast travel time on the main route, s.
        main_s: f32,
        /// Forecast travel time on the alternative with the diverted flow on it, s.
        alternative_s: f32,
        /// Probability that the saving is real.
        probability: f32,
    },
}

/// A jam: a connected run of congested segments.
#[derive(Clone, Debug, PartialEq)]
pub struct JamWarning {
    /// Its segments from the head (downstream, the cause) to the tail.
    pub segments: Vec<SegmentId>,
    /// The segment at the head and the metres from its start.
    pub head: (SegmentId, f32),
    /// The segment at the tail and the metres from its start.
    pub tail: (SegmentId, f32),
    /// Worst level among its segments.
    pub level: Level,
    /// Length in metres.
    pub length_m: f32,
    /// Mean speed inside, m/s.
    pub speed_mps: f32,
    /// Extra travel time against free flow, s.
    pub delay_s: f32,
    /// When it began, as first seen.
    pub onset: Timestamp,
    /// When it is forecast to end; `None` when later than the forecast reaches.
    pub forecast_end: Option<Timestamp>,
}

/// A recommended way round a jam.
#[derive(Clone, Debug, PartialEq)]
pub struct Diversion {
    /// The guidance id of the jam it avoids.
    pub jam: u64,
    /// Where drivers decide: the last segment both ways share.
    pub decision: SegmentId,
    /// The usual way, from the decision segment to where both meet again.
    pub main: Vec<SegmentId>,
    /// The recommended way between the same two segments.
    pub alternative: Vec<SegmentId>,
    /// Forecast travel time on the usual way, s.
    pub main_s: f32,
    /// Forecast travel time on the recommended way, s.
    pub alternative_s: f32,
    /// Share of the drivers that should take it, `0.0..=1.0`.
    pub share: f32,
}

/// What is advised.
#[derive(Clone, Debug, PartialEq)]
pub enum GuidanceKind {
    /// A jam to know of.
    Jam(JamWarning),
    /// A way round it.
    Diversion(Diversion),
}

/// One piece of advice; it expires by itself and carries its evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Guidance {
    /// Unique within a run, stable while the same jam or diversion goes on.
    pub id: u64,
    /// Counts up with every change under the same id, from 1.
    pub revision: u32,
    /// What is advised.
    pub kind: GuidanceKind,
    /// From when it holds.
    pub valid_from: Timestamp,
    /// When it expires unless renewed.
    pub valid_until: Timestamp,
    /// Whether it is withdrawn: consumers forget it at once.
    pub withdrawn: bool,
    /// How far ahead it looks, s.
    pub horizon_s: u32,
    /// Probability that the advice is right, `0.0..=1.0`.
    pub confidence: f32,
    /// Why, in one sentence of English.
    pub reason: String,
    /// Why, in one sentence of Chinese.
    pub reason_zh: String,
    /// What it rests on.
    pub because: Vec<Evidence>,
    /// The id this one replaces.
    pub supersedes: Option<u64>,
    /// The network the ids belong to.
    pub network: NetworkVersion,
}
