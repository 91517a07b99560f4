//! What is remembered of one road user.

use bytemuck::{Pod, Zeroable};

use super::belief::Belief;
use super::height::Ground;
use super::roads::NONE;
use super::settings::{MAX_HYPOTHESES, MAX_LAG_FIXES};
use crate::observation::{Observation, Origin};
use crate::screening::LastSeen;
use crate::units::{Point, SourceId, SubjectId, Timestamp, ViewId};

/// Most observations a track keeps before their positions are committed.
pub(crate) const MAX_PENDING: usize = MAX_LAG_FIXES as usize + 1;

/// A stage of a segment (or [`NONE`]) and metres from its start.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Place {
    pub(crate) stage: u32,
    pub(crate) offset_m: f32,
}

impl Place {
    pub(crate) const NOWHERE: Self = Self {
        stage: NONE,
        offset_m: 0.0,
    };
}

/// One explanation of where the vehicle is and how it came there.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Hypothesis {
    pub(crate) belief: Belief,
    pub(crate) log_weight: f32,
    pub(crate) stage: u32,
    pub(crate) ground: Ground,
    /// Where it was at the fixes before the newest, newest first.
    pub(crate) history: [Place; MAX_LAG_FIXES as usize],
    /// How likely the roads of `history` are given that it is now on `stage`: the ways it can
    /// have come that were less likely count too.
    pub(crate) agreement: [f32; MAX_LAG_FIXES as usize],
}

impl Hypothesis {
    pub(crate) const EMPTY: Self = Self {
        belief: Belief {
            mean: [0.0; 4],
            cov: [0.0; 10],
        },
        log_weight: f32::NEG_INFINITY,
        stage: NONE,
        ground: Ground::UNKNOWN,
        history: [Place::NOWHERE; MAX_LAG_FIXES as usize],
        agreement: [1.0; MAX_LAG_FIXES as usize],
    };

    /// What becomes of it one fix later, on `stage`.
    pub(crate) fn moved_to(&self, stage: u32, belief: Belief, log_weight: f32) -> Self {
        let mut next = Self {
            belief,
            log_weight,
            stage,
            ..*self
        };
        let last = self.history.len() - 1;
        next.history.copy_within(..last, 1);
        next.history[0] = self.place();
        next.agreement.copy_within(..last, 1);
        next.agreement[0] = 1.0;
        next
    }

    /// Where it is at the newest fix.
    pub(crate) fn place(&self) -> Place {
        Place {
            stage: self.stage,
            offset_m: self.belief.mean[0],
        }
    }

    /// Where it was `fixes_ago` accepted fixes before the newest, and how likely the road there is
    /// given where it is now.
    pub(crate) fn place_before(&self, fixes_ago: usize) -> (Place, f32) {
        match fixes_ago.checked_sub(1) {
            None => (self.place(), 1.0),
            Some(index) => {
                let index = index.min(self.history.len() - 1);
                (self.history[index], self.agreement[index])
            }
        }
    }
}

/// Standard deviation of a position beyond which its lane is not told, metres: half a lane.
const LANE_SIGMA_MAX_M: f32 = 1.75;

/// What is kept of an observation until its position is committed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pending {
    pub(crate) at: Timestamp,
    pub(crate) speed_mps: Option<f32>,
    pub(crate) origin: Origin,
    pub(crate) view: ViewId,
    /// Where it was reported, if well enough to tell lanes apart.
    pub(crate) lane_point: Option<Point>,
    /// How many inputs of this subject came later.
    pub(crate) age: u8,
}

impl Pending {
    const EMPTY: Self = Self {
        at: Timestamp::MIN,
        speed_mps: None,
        origin: Origin::Probe,
        view: ViewId::NONE,
        lane_point: None,
        age: 0,
    };

    pub(crate) fn of(observation: &Observation, point: Point) -> Self {
        let is_fine = |sigma_m: f32| sigma_m <= LANE_SIGMA_MAX_M;
        Self {
            at: observation.observed_at,
            speed_mps: observation.speed_mps,
            origin: observation.origin,
            view: observation.view,
            lane_point: observation.accuracy_m.is_none_or(is_fine).then_some(point),
            age: 0,
        }
    }
}

/// The last committed position of a track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Committed {
    pub(crate) at: Timestamp,
    pub(crate) place: Place,
}

/// One road user: at most [`MAX_HYPOTHESES`] hypotheses and [`MAX_PENDING`] uncommitted positions.
///
/// Invariant: `hypotheses[..hypothesis_count]` is sorted by descending weight, the first weighing
/// 0; with no hypothesis nothing is pending.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Track {
    pub(crate) source: SourceId,
    pub(crate) subject: SubjectId,
    pub(crate) is_live: bool,
    pub(crate) hypothesis_count: u8,
    pub(crate) pending_count: u8,
    /// Observations in a row for which no segment was near enough.
    pub(crate) off_road_count: u8,
    pub(crate) seen: LastSeen,
    /// Time of the newest matched observation.
    pub(crate) matched_at: Timestamp,
    pub(crate) committed: Option<Committed>,
    pub(crate) pending: [Pending; MAX_PENDING],
    pub(crate) hypotheses: [Hypothesis; MAX_HYPOTHESES],
}

/// Bytes a live track takes at most; stated in the documentation and asserted.
pub(crate) const TRACK_BYTES_MAX: usize = 1_536;

const _: () = assert!(size_of::<Track>() <= TRACK_BYTES_MAX);

impl Track {
    pub(crate) fn new(source: SourceId, subject: SubjectId, seen: LastSeen) -> Self {
        Self {
            source,
            subject,
            is_live: true,
            hypothesis_count: 0,
            pending_count: 0,
            off_road_count: 0,
            seen,
            matched_at: seen.at,
            committed: None,
            pending: [Pending::EMPTY; MAX_PENDING],
            hypotheses: [Hypothesis::EMPTY; MAX_HYPOTHESES],
        }
    }

    pub(crate) fn hypotheses(&self) -> &[Hypothesis] {
        &self.hypotheses[..usize::from(self.hypothesis_count)]
    }

    pub(crate) fn pending(&self) -> &[Pending] {
        &self.pending[..usize::from(self.pending_count)]
    }

    /// One more input of this subject has come.
    pub(crate) fn age_pending(&mut self) {
        for pending in &mut self.pending[..usize::from(self.pending_count)] {
            pending.age = pending.age.saturating_add(1);
        }
    }

    pub(crate) fn push_pending(&mut self, pending: Pending) {
        self.pending[usize::from(self.pending_count)] = pending;
        self.pending_count += 1;
    }

    /// Takes out the oldest pending observation.
    pub(crate) fn pop_pending(&mut self) -> Option<Pending> {
        if self.pending_count == 0 {
            return None;
        }
        let oldest = self.pending[0];
        self.pending.copy_within(1.., 0);
        self.pending_count -= 1;
        Some(oldest)
    }

    /// Forgets every hypothesis and where it was last; what is pending must be committed before.
    pub(crate) fn restart(&mut self) {
        self.hypothesis_count = 0;
        self.pending_count = 0;
        self.off_road_count = 0;
        self.committed = None;
    }
}
