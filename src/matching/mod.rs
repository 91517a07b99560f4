//! Puts observations on the road network: candidates, likelihoods, online fixed-lag Viterbi.
//!
//! It keeps one bounded track a road user and forgets those that are gone. It computes no traffic
//! state. The hidden Markov model follows Newson and Krumm (2009), "Hidden Markov map matching
//! through noise and sparseness".

use crate::observation::Origin;
use crate::units::{SegmentId, SubjectId, Timestamp};

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
    /// Probability of this segment among the hypotheses kept, `0.0..=1.0`.
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
    /// When it was at the start of the route; `None` for the first position of a track.
    pub since: Option<Timestamp>,
    /// The stretches in driving order; empty for the first position of a track. The first piece
    /// begins at the last committed position, the last ends at this one; a road user that stands
    /// still has one piece of no length.
    pub route: &'a [RoutePiece],
    /// Metres driven inside junctions between the pieces.
    pub junction_m: f32,
}
