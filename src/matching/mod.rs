//! Puts observations on the road network: candidates, likelihoods, online fixed-lag Viterbi.
//!
//! It keeps one bounded track a road user and forgets those that are gone. It computes no traffic
//! state. The hidden Markov model follows Newson and Krumm (2009), "Hidden Markov map matching
//! through noise and sparseness".

mod area;
mod belief;
pub mod datum;
mod decide;
mod height;
mod overlay;
mod partition;
mod presence;
mod roads;
mod route;
mod settings;
mod snapshot;
mod step;
mod track;
mod zones;

pub use area::{AREA_SEGMENTS_MAX, AREAS_MAX, Area, AreaDraft, AreaError, Areas, Outline};
pub use overlay::{
    JUNCTION_DISTANCE_MAX_M, JUNCTIONS_MAX, JunctionRefusal, LINE_DISTANCE_MAX_M, Overlay,
    OverlayChange, OverlayError, TieProblem, TiedApproach, TiedJunction, TiedMovement, UNITS_MAX,
};
pub use partition::{Matcher, Partition, Scratch};
pub use presence::{
    Located, Nearby, Presence, PresenceError, PresenceSettings, Present, Trip, TripEnds,
    Whereabouts,
};
pub use settings::{MAX_HYPOTHESES, MAX_LAG_FIXES, MatchError, MatchSettings};
pub use zones::{ZoneDraft, ZoneError, Zones};

use crate::network::LaneIndex;
use crate::observation::Origin;
use crate::units::{SegmentId, SubjectId, Timestamp, ViewId};

/// Where a road user was: a segment and the metres from its start.
///
/// Invariant: `0 <= offset_m <= length` of the segment, in one network version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchedPosition {
    /// The road user.
    pub subject: SubjectId,
    /// Event time of the observation behind it.
    pub observed_at: Timestamp,
    /// The segment.
    pub segment: SegmentId,
    /// Metres from the start of the segment.
    pub offset_m: f32,
    /// The lane, for what a roadside unit perceived in its area and where lanes are known.
    pub lane: Option<LaneIndex>,
    /// Probability that it was on this road (the way of the source, in this direction),
    /// `0.0..=1.0`; calibrated, see docs/matching.md.
    pub likelihood: f32,
    /// Reported speed in m/s, if any.
    pub speed_mps: Option<f32>,
    /// Who reported it.
    pub origin: Origin,
}

/// A stretch of one segment on the route between two committed positions.
///
/// Invariant: `0 <= from_m <= to_m <= length`; a full pass has `from_m = 0`, `to_m = length`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoutePiece {
    /// The segment.
    pub segment: SegmentId,
    /// Where on it the stretch begins, metres.
    pub from_m: f32,
    /// Where on it the stretch ends, metres.
    pub to_m: f32,
}

/// One committed step of a track: the road user went from its last committed position to
/// `position` over `route`.
#[derive(Clone, Copy, Debug)]
pub struct Advance<'a> {
    /// Slot of the track within its partition, stable while the track lives and reused afterwards.
    pub track: u32,
    /// Where it is at `position.observed_at`.
    pub position: MatchedPosition,
    /// In which view it was seen.
    pub view: ViewId,
    /// When it was at the start of the route; `None` for the first position of a track.
    pub since: Option<Timestamp>,
    /// The stretches in driving order; empty for the first position of a track. The first piece
    /// begins at the last committed position, the last ends at this one; a road user that stands
    /// still has one piece of no length.
    pub route: &'a [RoutePiece],
    /// Metres driven inside junctions between the pieces.
    pub junction_m: f32,
}

impl Advance<'_> {
    /// Metres driven since the last committed position; 0 for the first of a track.
    pub fn driven_m(&self) -> f32 {
        let pieces = self.route.iter().map(|piece| piece.to_m - piece.from_m);
        self.junction_m + pieces.sum::<f32>()
    }
}

/// Why a track ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BreakReason {
    /// Silence for longer than `forget_after_s` before the next observation.
    Gap,
    /// The road user jumped farther than it can drive, and stayed there.
    Teleport,
    /// No segment was near enough for several observations.
    OffRoad,
    /// Later observations showed that it had been on another road than was committed.
    Rerouted,
    /// The road user was forgotten after a silence.
    Silent,
}

impl BreakReason {
    /// Every reason, in order.
    pub const ALL: [Self; 5] = [
        Self::Gap,
        Self::Teleport,
        Self::OffRoad,
        Self::Rerouted,
        Self::Silent,
    ];

    /// The label used in metrics, reports and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Teleport => "teleport",
            Self::OffRoad => "off_road",
            Self::Rerouted => "rerouted",
            Self::Silent => "silent",
        }
    }
}

/// How many tracks began and ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackCounts {
    begun: u64,
    ended: [u64; BreakReason::ALL.len()],
}

impl TrackCounts {
    /// How many tracks began.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// How many tracks ended for `reason`.
    pub fn ended(&self, reason: BreakReason) -> u64 {
        self.ended[reason as usize]
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.begun += other.begun;
        for (mine, theirs) in self.ended.iter_mut().zip(other.ended) {
            *mine += theirs;
        }
    }

    fn end(&mut self, reason: BreakReason) {
        self.ended[reason as usize] += 1;
    }
}
