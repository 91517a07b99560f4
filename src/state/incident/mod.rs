//! Incidents: what blocks a road, told apart from red lights and from jams that are usual, with a
//! life cycle and its evidence.
//!
//! Once a minute it takes the closed minute (states, stays of road users, readings of detectors)
//! and weighs for each place that shows anything how much likelier the minute is with a lane
//! blocked there than without: log-likelihood ratios are added up from minute to minute, as in a
//! sequential probability ratio test (Wald 1945). A queue belongs to its head: what stands
//! upstream of a blocked place, or before a road that is full, is its tail and no incident of its
//! own. It decides nothing about guidance and publishes nothing. Rules and figures:
//! `docs/incidents.md`.

mod cause;
mod detectors;
mod evidence;
mod life;
mod loop_speed;
mod pace;
mod queue;
mod room;
mod slow_spot;
mod snapshot;

#[cfg(test)]
mod tests;

pub use cause::{CauseCandidate, IncidentCause, TOLD_EVENTS_MAX, ToldEvent, bad_weather};
pub use room::{IncidentMinute, Incidents};

use crate::units::{SegmentId, Timestamp};

/// Most incidents open at a time; what would be one more waits until another closes.
pub const INCIDENTS_MAX: usize = 2_000;

/// What can be set about incidents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IncidentSettings {
    /// Log-odds before anything is seen (natural logarithm).
    pub prior: f32,
    /// Log-odds from which an incident is suspected.
    pub suspect: f32,
    /// Log-odds from which it is confirmed.
    pub confirm: f32,
    /// Minutes without evidence after which a confirmed one is clearing, and as many again after
    /// which it is closed.
    pub clear_minutes: u32,
    /// How long a verdict of an operator weighs on its segment, minutes.
    pub verdict_minutes: u32,
}

impl Default for IncidentSettings {
    /// Chosen: the prior is one blocked segment in four hundred; 0.5 is 62 %, 2.5 is 92 %. Three
    /// minutes outlast a red light; an hour is as long as most incidents.
    fn default() -> Self {
        Self {
            prior: -6.0,
            suspect: 0.5,
            confirm: 2.5,
            clear_minutes: 3,
            verdict_minutes: 60,
        }
    }
}

/// Where an incident is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum IncidentState {
    /// More likely than not.
    Suspected = 0,
    /// By evidence or by an operator.
    Confirmed = 1,
    /// The evidence has ended; it is watched a little longer.
    Clearing = 2,
    /// Over.
    Closed = 3,
    /// It was none: by what came after, or by an operator.
    Dismissed = 4,
}

impl IncidentState {
    /// Every state, in order.
    pub const ALL: [Self; 5] = [
        Self::Suspected,
        Self::Confirmed,
        Self::Clearing,
        Self::Closed,
        Self::Dismissed,
    ];

    /// The word for it in messages and files.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Confirmed => "confirmed",
            Self::Clearing => "clearing",
            Self::Closed => "closed",
            Self::Dismissed => "dismissed",
        }
    }

    /// Whether nothing more will come of it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Dismissed)
    }
}

/// What kind of incident it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum IncidentKind {
    /// A vehicle that stands in a lane while others drive past.
    StoppedVehicle = 0,
    /// Lanes are blocked: traffic stands behind the place and not before it.
    Blockage = 1,
    /// Traffic crawls on a road without signals that was free, before a road that is free.
    SuddenJam = 2,
}

impl IncidentKind {
    /// Every kind, in order.
    pub const ALL: [Self; 3] = [Self::StoppedVehicle, Self::Blockage, Self::SuddenJam];

    /// The word for it in messages and files.
    pub const fn label(self) -> &'static str {
        match self {
            Self::StoppedVehicle => "stopped_vehicle",
            Self::Blockage => "blockage",
            Self::SuddenJam => "sudden_jam",
        }
    }
}

/// One finding of one minute that speaks for an incident, with its figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum IncidentEvidence {
    /// Road users stand longer than a red light lasts, with nothing standing before them.
    Stuck {
        /// How many.
        count: u32,
        /// The longest stand, s.
        longest_s: f32,
        /// Distance of the foremost from the end of the segment, m.
        before_end_m: f32,
    },
    /// Road users drove past those that stand, faster than 5 m/s.
    Passers {
        /// How many in the minute.
        count: u32,
    },
    /// Road users slow down at one place and drive freely behind it.
    Slowed {
        /// How many within the last minutes.
        count: u32,
    },
    /// Road users pass slower than is usual here, and nothing further on explains it.
    Slower {
        /// Their mean speed over the usual one.
        ratio: f32,
    },
    /// Lanes on which vehicles are and none gets through.
    DeadLanes {
        /// How many lanes.
        lanes: u32,
        /// For how long, minutes.
        minutes: u32,
    },
    /// No vehicle reaches the detectors behind the place.
    Starved {
        /// Vehicles that would have come by the rate of the last half hour.
        missing: f32,
    },
    /// Road users crawl where traffic was free.
    Crawling {
        /// How many road users, those that detectors counted included.
        count: u32,
        /// Their mean speed over the limit.
        ratio: f32,
    },
    /// The mean speed at loops fell within a quarter of an hour, as it seldom does at this time of
    /// day, and traffic at the next loops ahead is not as slow.
    SpeedDrop {
        /// Speed over free-flow speed before.
        before_ratio: f32,
        /// The same in the last five minutes.
        ratio: f32,
        /// Share of earlier five minutes at this time of day that were as slow.
        usual_share: f32,
    },
    /// An operator has said so.
    Operator,
}

impl IncidentEvidence {
    /// The word for it in messages and files.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Stuck { .. } => "stuck",
            Self::Passers { .. } => "passers",
            Self::Slowed { .. } => "slowed",
            Self::Slower { .. } => "slower",
            Self::DeadLanes { .. } => "dead_lanes",
            Self::Starved { .. } => "starved",
            Self::Crawling { .. } => "crawling",
            Self::SpeedDrop { .. } => "speed_drop",
            Self::Operator => "operator",
        }
    }
}

/// A change in the life of an incident: all that is known of it from then on.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentChange {
    /// Unique within a run, stable while it lasts.
    pub id: u64,
    /// Counts changes from 1.
    pub revision: u32,
    /// End of the minute that brought the change, event time.
    pub at: Timestamp,
    /// End of the minute in which it was first suspected.
    pub since: Timestamp,
    /// Where it is in its life.
    pub state: IncidentState,
    /// What it is.
    pub kind: IncidentKind,
    /// The blocked segment.
    pub segment: SegmentId,
    /// Where on it, metres from its start.
    pub offset_m: f32,
    /// Lanes that are known to be blocked; 0 where it is not known which.
    pub lanes_blocked: u8,
    /// Lanes of the segment.
    pub lanes: u8,
    /// 1 slight, 2 moderate, 3 serious, 4 grave.
    pub severity: u8,
    /// Probability that it is one, `0.0..=1.0`.
    pub confidence: f32,
    /// The segment where the queue ends.
    pub tail: SegmentId,
    /// Where on it the queue ends, metres from its start.
    pub tail_offset_m: f32,
    /// Length of the queue, metres.
    pub queue_m: f32,
    /// What the last minute with evidence showed.
    pub evidence: Vec<IncidentEvidence>,
    /// Whether the segment is a fast road: without signals at its end or near ahead.
    pub is_fast_road: bool,
    /// Usual speed at this time over free-flow speed, on a fast road.
    pub usual_ratio: Option<f32>,
    /// Events that units tell near it, at most [`TOLD_EVENTS_MAX`], the nearest first.
    pub told: Vec<ToldEvent>,
}

/// What an operator says of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncidentOrder {
    /// Its id.
    pub incident: u64,
    /// Whether it is one.
    pub is_confirmed: bool,
}

/// Log-odds to probability.
fn probability(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}
