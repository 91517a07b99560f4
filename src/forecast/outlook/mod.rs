//! The two hours after the forecast's hour, as four means of half an hour: 60 to 180 minutes ahead.
//!
//! What is usual then, plus what is left of four deviations of the segment: of about the last quarter
//! of an hour, of the hour, of three hours and of the day. How much is left is learnt by regression
//! (`least_squares`), as `fading` learns it for the hour, for each half hour and class of two ratios
//! to free flow: of the present speed and of the usual one then. So is how far truths scatter.
//! Everything is in shares of free flow, so that segments teach each other. No network speaks here.
//!
//! It is computed on each five-minute mark; truth is the mean of the measured five-minute steps of
//! the half hour, one at least.

mod formula;
mod known;
mod learning;
mod tracker;

use std::sync::Arc;

use super::{RATIO_BIN_COUNT, STEP_COUNT, STEP_MS, SpeedQuantiles};
use crate::network::NetworkVersion;
use crate::state::Closures;
use crate::units::{Interval, SegmentId, Timestamp};

pub(super) use formula::Formula;
pub(super) use known::{Known, USUAL_STEPS, usual_times};
pub(super) use learning::Learning;
pub use tracker::OutlookTracker;

/// How many half hours an outlook has.
pub const HALF_HOUR_COUNT: usize = 4;
/// Five-minute steps of one of them.
pub(super) const HALF_HOUR_STEPS: usize = 6;
/// Their length, milliseconds.
pub const HALF_HOUR_MS: i64 = HALF_HOUR_STEPS as i64 * STEP_MS;
/// Steps before the first of them: those of the forecast.
pub(super) const STEPS_BEFORE: usize = STEP_COUNT;
/// Steps to the end of the last.
pub(super) const REACH_STEPS: usize = STEPS_BEFORE + HALF_HOUR_COUNT * HALF_HOUR_STEPS;
/// An outlook is learnt from and scored only every so many five-minute marks (chosen: on the
/// validation parts every mark teaches no more, and every sixth holds congested truths less often).
pub(super) const MARKS_PER_ROW: usize = 3;

/// Classes of the present and of the usual ratio to free flow together.
const CELL_COUNT: usize = RATIO_BIN_COUNT * RATIO_BIN_COUNT;

/// Whose outlook is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum OutlookSpeaker {
    /// What is published.
    Outlook = 0,
    /// The last minute stays as it is.
    LastValue = 1,
    /// What is usual then.
    Profile = 2,
    /// What is usual then, plus the last quarter of an hour's deviation, of which 0.9 is left after
    /// each five minutes.
    ProfileResidual = 3,
}

impl OutlookSpeaker {
    /// Everyone, in the order of their numbers.
    pub const ALL: [Self; 4] = [
        Self::Outlook,
        Self::LastValue,
        Self::Profile,
        Self::ProfileResidual,
    ];

    /// The label used in metrics, messages and reports.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Outlook => "outlook",
            Self::LastValue => "last_value",
            Self::Profile => "profile",
            Self::ProfileResidual => "profile_residual",
        }
    }
}

/// The outlook of every segment, issued on one five-minute mark.
///
/// Half hour `k` (from 0) covers `[start + 1800 s * k, start + 1800 s * (k + 1))`.
#[derive(Clone, Debug, PartialEq)]
pub struct OutlookBatch {
    /// End of the last closed minute it knows; a multiple of 300 s.
    pub issued_at: Timestamp,
    /// Where the first half hour begins: an hour after `issued_at`.
    pub start: Timestamp,
    /// The network the ids belong to.
    pub network: NetworkVersion,
    /// `HALF_HOUR_COUNT` entries a segment, in id order: of the mean speed over the half hour.
    pub quantiles: Vec<SpeedQuantiles>,
    /// What is closed and when.
    pub closures: Arc<Closures>,
}

impl OutlookBatch {
    /// The half hours of one segment.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn half_hours(&self, segment: SegmentId) -> &[SpeedQuantiles] {
        &self.quantiles[segment.index() * HALF_HOUR_COUNT..][..HALF_HOUR_COUNT]
    }

    /// The same where these roads are closed: 0 m/s in half hours that are closed for half of them or longer.
    #[must_use]
    pub fn with_closures(mut self, closures: &Arc<Closures>) -> Self {
        self.closures = Arc::clone(closures);
        let of_closed = closures.covered(HALF_HOUR_COUNT, |half| self.interval(half));
        for (segment, half) in of_closed {
            self.quantiles[segment.index() * HALF_HOUR_COUNT + half] = SpeedQuantiles::default();
        }
        self
    }

    /// The interval that half hour `half` covers.
    pub fn interval(&self, half: usize) -> Interval {
        let start = self.start.plus_millis(HALF_HOUR_MS * half as i64);
        Interval {
            start,
            end: start.plus_millis(HALF_HOUR_MS),
        }
    }
}
