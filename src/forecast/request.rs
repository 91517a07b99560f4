//! What a forecaster is asked: one moment's knowledge of every segment.

use std::sync::Arc;

use super::calibration::ratio_bin;
use super::{Calibration, Disturbances, ForecastBatch, STEP_COUNT, SpeedQuantiles};
use crate::network::NetworkVersion;
use crate::units::{SegmentId, Timestamp};

/// How many five-minute means a forecaster sees: one hour.
pub const LAG_COUNT: usize = 12;

/// How many slow levels a request holds: over three hours and over a day.
pub const LEVEL_COUNT: usize = 2;
/// Their lengths in steps.
pub const LEVEL_STEPS: [usize; LEVEL_COUNT] = [36, 288];

/// Lags over which the weight of a level fades to 1/e: a quarter of an hour and an hour.
pub(super) const SHORT_LAGS: f32 = 3.0;
pub(super) const LONG_LAGS: f32 = 12.0;
/// Weight of no deviation beside the lags of a level, so that a single lag is not believed fully.
const LEVEL_PRIOR: f32 = 0.3;
/// Share of a deviation that is carried over one lag of which nothing is known (chosen).
pub(super) const CARRY: f32 = 0.9;
/// Deviations beyond this share of free flow are cut.
const RESIDUAL_MAX: f32 = 2.0;

/// Deviations from what is usual in shares of free flow: of the last minute, and of about the last
/// quarter of an hour.
pub type Deviations = [f32; 2];

pub(super) fn cut(residual: f32) -> f32 {
    residual.clamp(-RESIDUAL_MAX, RESIDUAL_MAX)
}

/// An owned picture of one moment, in id order.
///
/// Lag `l` (from 0) covers `[first_step - 300 s * (l + 1), first_step - 300 s * l)`, so lag 0 is the
/// newest and holds only its closed minutes where `issued_at` lies inside a step.
///
/// Invariant: every number is finite; all arrays belong to one network.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastRequest {
    /// End of the last closed minute.
    pub issued_at: Timestamp,
    /// The first multiple of 300 s not before `issued_at`.
    pub first_step: Timestamp,
    /// The network the ids belong to.
    pub network: NetworkVersion,
    /// Speed estimated for the last closed minute, m/s, one a segment.
    pub now_mps: Vec<f32>,
    /// Standard deviation of `now_mps`, m/s.
    pub sigma_mps: Vec<f32>,
    /// Minutes since the segment was last measured, at most 255; 255 also when it never was.
    pub age_min: Vec<u8>,
    /// Speed of unhindered traffic, m/s, > 0.
    pub free_flow_mps: Vec<f32>,
    /// `LAG_COUNT` mean speeds a segment, m/s; 0 where `history_share` is 0.
    pub history_mps: Vec<f32>,
    /// `LAG_COUNT` shares a segment, 0..=1: how much of the five minutes was measured; a minute that
    /// was only estimated counts half, one that only the profile speaks for counts nothing.
    pub history_share: Vec<f32>,
    /// `LAG_COUNT` profile speeds a segment, m/s, at the middle of each lag.
    pub past_profile_mps: Vec<f32>,
    /// `STEP_COUNT` profile speeds a segment, m/s, at the middle of each step.
    pub profile_mps: Vec<f32>,
    /// `LEVEL_COUNT` mean deviations from the profile a segment, m/s, over [`LEVEL_STEPS`]; 0 where
    /// unknown.
    pub level_mps: Vec<f32>,
    /// `LEVEL_COUNT` shares a segment, 0..=1: how much of that time is known.
    pub level_share: Vec<f32>,
    /// What is known to disturb traffic.
    pub disturbances: Disturbances,
    /// What was learnt from earlier errors.
    pub calibration: Arc<Calibration>,
}

impl ForecastRequest {
    /// How many segments are asked about.
    pub fn segment_count(&self) -> usize {
        self.now_mps.len()
    }

    /// The profile of the next steps of one segment, m/s.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn profile(&self, segment: SegmentId) -> &[f32] {
        &self.profile_mps[segment.index() * STEP_COUNT..][..STEP_COUNT]
    }

    /// How far `segment` is from what is usual, in shares of free flow: in the last closed minute,
    /// and in about the last quarter of an hour.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn deviations(&self, segment: SegmentId) -> Deviations {
        let segment = segment.index();
        [
            self.now_residual(segment),
            self.level(segment, SHORT_LAGS).0,
        ]
    }

    pub(super) fn unhindered_mps(&self, segment: usize) -> f32 {
        self.free_flow_mps[segment].max(0.1)
    }

    /// The last minute's deviation, in shares of free flow.
    pub(super) fn now_residual(&self, segment: usize) -> f32 {
        let residual_mps = self.now_mps[segment] - self.past_profile_mps[segment * LAG_COUNT];
        cut(residual_mps / self.unhindered_mps(segment))
    }

    /// A lag's deviation, in shares of free flow; 0 where nothing is known.
    pub(super) fn past_residual(&self, segment: usize, lag: usize) -> f32 {
        let at = segment * LAG_COUNT + lag;
        if self.history_share[at] > 0.0 {
            let residual_mps = self.history_mps[at] - self.past_profile_mps[at];
            cut(residual_mps / self.unhindered_mps(segment))
        } else {
            0.0
        }
    }

    /// Every lag's deviation, in shares of free flow; where nothing is known the next older one is
    /// carried, fading.
    pub(super) fn carried_residuals(&self, segment: usize) -> [f32; LAG_COUNT] {
        let mut carried = 0.0;
        let mut found = [0.0; LAG_COUNT];
        for lag in (0..LAG_COUNT).rev() {
            carried = if self.history_share[segment * LAG_COUNT + lag] > 0.0 {
                self.past_residual(segment, lag)
            } else {
                CARRY * carried
            };
            found[lag] = carried;
        }
        found
    }

    /// The level of the deviation, newer lags counting more by a weight that fades to 1/e over
    /// `fading_lags`, and how well it is known, 0..=1.
    pub(super) fn level(&self, segment: usize, fading_lags: f32) -> (f32, f32) {
        let [level] = self.levels(segment, [fading_lags]);
        level
    }

    /// [`ForecastRequest::level`] for several weights in one walk over the lags.
    pub(super) fn levels<const N: usize>(
        &self,
        segment: usize,
        fading_lags: [f32; N],
    ) -> [(f32, f32); N] {
        let fades = fading_lags.map(|lags| (-1.0 / lags).exp());
        let mut weights = [1.0f32; N];
        let (mut sums, mut totals, mut most) = ([0.0; N], [0.0; N], [0.0; N]);
        for lag in 0..LAG_COUNT {
            let share = self.history_share[segment * LAG_COUNT + lag];
            let residual = self.past_residual(segment, lag);
            for at in 0..N {
                sums[at] += weights[at] * share * residual;
                totals[at] += weights[at] * share;
                most[at] += weights[at];
                weights[at] *= fades[at];
            }
        }
        std::array::from_fn(|at| (sums[at] / (totals[at] + LEVEL_PRIOR), totals[at] / most[at]))
    }

    /// The ratio of the last minute's speed to free flow.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn ratio(&self, segment: SegmentId) -> f32 {
        self.now_mps[segment.index()] / self.free_flow_mps[segment.index()].max(0.1)
    }

    /// The class of [`ForecastRequest::ratio`], slowest first.
    pub(super) fn class(&self, segment: SegmentId) -> usize {
        ratio_bin(self.ratio(segment))
    }

    /// The answer of `model`: `STEP_COUNT` quantiles a segment, in id order.
    pub fn answer(&self, model: Arc<str>, quantiles: Vec<SpeedQuantiles>) -> ForecastBatch {
        ForecastBatch {
            issued_at: self.issued_at,
            first_step: self.first_step,
            network: self.network,
            model,
            fallback: false,
            speakers: Vec::new(),
            quantiles,
            closures: Arc::default(),
            flows: Arc::default(),
        }
    }
}
