//! Forecasts segment speeds for the next hour, with quantiles, by baselines and candle models.
//!
//! It receives closed minutes of state and never sees messages. Devices are handed in; nothing here
//! opens files or picks hardware.

use std::sync::Arc;

#[cfg(test)]
mod as_live_tests;
mod backtest;
mod baseline;
mod calibration;
mod card;
mod companion;
mod dataset;
mod disturbances;
mod error_tracker;
mod fading;
mod features;
mod flow;
mod fused;
mod graph;
mod history;
mod intervals;
mod least_squares;
mod low_rank;
mod mlp;
mod model;
mod noticed;
mod onset;
mod outlook;
mod past;
mod queues;
mod request;
mod ridge;
mod scores;
mod slow_levels;
mod snapshot;
mod spoil;
mod spread;
mod training;
mod usual;
mod windows;

pub use backtest::{Backtest, BacktestSettings, Contender, Holdout, OutlookScores, Run};
pub use baseline::{LastValue, Profile, ProfileResidual};
pub use calibration::{Baseline, Calibration, RATIO_BIN_COUNT, RATIO_EDGES};
pub use card::{ARCHITECTURE, DataCard, ModelCard, ModelError, StepMetrics, TrainingCard};
pub use dataset::{Dataset, DatasetError, EventKind, KnownEvent};
pub use disturbances::{Disturbances, OpenIncident};
pub use error_tracker::{Drift, ErrorTracker, MAX_TRACKED_SEGMENTS, Speaker, Voices};
pub use fading::Decay;
pub use features::{FEATURE_COUNT, FeatureContext, PreparedFeatures, SegmentAttributes};
pub use flow::{COUNTED_MAX, FlowBatch, FlowForecaster, FlowQuantiles};
pub use graph::RoadGraph;
pub use history::{FinishedStep, History};
pub use intervals::{AdaptiveIntervals, Misses, Stretch};
pub use low_rank::{FACTOR_COUNT, SegmentTraits};
pub use mlp::{MlpConfig, MlpModule};
pub use model::{Mlp, MlpForecaster, sha256_hex};
pub use onset::{CONGESTED_BELOW, OnsetScores};
pub use outlook::{HALF_HOUR_COUNT, HALF_HOUR_MS, OutlookBatch, OutlookSpeaker, OutlookTracker};
pub use past::{Past, PastError, column_names};
pub use request::{Deviations, ForecastRequest, LAG_COUNT, LEVEL_COUNT, LEVEL_STEPS};
pub use ridge::Ridge;
pub use scores::{Errors, Scores, StepScores};
pub use snapshot::SnapshotError;
pub use training::{
    EpochReport, Progress, Spoiling, Start, TrainedModel, TrainingError, TrainingSettings,
    curve_csv, train, train_from,
};

use crate::network::NetworkVersion;
use crate::state::{Closures, UsualSpeeds};
use crate::units::{Interval, SegmentId, Timestamp};

/// Length of one forecast step, milliseconds.
pub const STEP_MS: i64 = 300_000;

/// How many steps a forecast reaches ahead: one hour.
pub const STEP_COUNT: usize = 12;

/// Speed quantiles of one segment and step, m/s.
///
/// Invariant: finite, `0 <= p05 <= p10 <= p50 <= p90 <= p95`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpeedQuantiles {
    /// One in twenty is slower than this.
    pub p05_mps: f32,
    /// One in ten is slower than this.
    pub p10_mps: f32,
    /// The median.
    pub p50_mps: f32,
    /// One in ten is faster than this.
    pub p90_mps: f32,
    /// One in twenty is faster than this.
    pub p95_mps: f32,
}

/// The levels of [`SpeedQuantiles`], in their order.
pub const LEVELS: [f32; 5] = [0.05, 0.1, 0.5, 0.9, 0.95];

/// Distance of the last decile of the standard normal distribution from its mean; the first lies as
/// far on the other side.
pub const NORMAL_P90: f32 = 1.2816;

/// How far the twentieth lies from the median where the tenth lies at 1: the ratio of the standard
/// normal distribution's quantiles, 1.6449 / 1.2816.
const TWENTIETH: f32 = 1.2835;

impl SpeedQuantiles {
    /// Makes three numbers keep the invariant: negative becomes 0, the outer quantiles are moved to
    /// the median where they cross it, and what is not finite becomes `otherwise_mps` (or 0). The
    /// outermost quantiles lie where those of a normal distribution would, side by side.
    pub fn ordered(p10_mps: f32, p50_mps: f32, p90_mps: f32, otherwise_mps: f32) -> Self {
        let p05_mps = p50_mps + TWENTIETH * (p10_mps - p50_mps);
        let p95_mps = p50_mps + TWENTIETH * (p90_mps - p50_mps);
        Self::ordered_five([p05_mps, p10_mps, p50_mps, p90_mps, p95_mps], otherwise_mps)
    }

    /// The same for five numbers in the order of [`LEVELS`].
    pub fn ordered_five(five_mps: [f32; 5], otherwise_mps: f32) -> Self {
        let finite = |value: f32, otherwise: f32| {
            if value.is_finite() {
                value.max(0.0)
            } else {
                otherwise
            }
        };
        let otherwise_mps = finite(otherwise_mps, 0.0);
        let p50_mps = finite(five_mps[2], otherwise_mps);
        let p10_mps = finite(five_mps[1], p50_mps).min(p50_mps);
        let p90_mps = finite(five_mps[3], p50_mps).max(p50_mps);
        Self {
            p05_mps: finite(five_mps[0], p10_mps).min(p10_mps),
            p10_mps,
            p50_mps,
            p90_mps,
            p95_mps: finite(five_mps[4], p90_mps).max(p90_mps),
        }
    }

    /// The five numbers in the order of [`LEVELS`].
    pub const fn as_array(&self) -> [f32; 5] {
        [
            self.p05_mps,
            self.p10_mps,
            self.p50_mps,
            self.p90_mps,
            self.p95_mps,
        ]
    }

    /// The probability, 0..=1, that the speed is at most `speed_mps`: between two quantiles their
    /// levels are interpolated; beyond the outermost, what is left ends as far off as the next inner
    /// quantile lies on the other side, at 0 m/s at the latest.
    pub fn probability_below(&self, speed_mps: f32) -> f32 {
        let [p05, p10, _, p90, p95] = self.as_array();
        let mut points = [(0.0, 0.0); LEVELS.len() + 2];
        points[0] = ((2.0 * p05 - p10).max(0.0), 0.0);
        for (point, (speed_mps, level)) in points[1..]
            .iter_mut()
            .zip(self.as_array().into_iter().zip(LEVELS))
        {
            *point = (speed_mps, level);
        }
        points[LEVELS.len() + 1] = (2.0 * p95 - p90, 1.0);
        if speed_mps < points[0].0 {
            return 0.0;
        }
        // The last point at or below, so that several quantiles at one speed count as a step there.
        let after = points.partition_point(|point| point.0 <= speed_mps);
        let Some(&(high_mps, high)) = points.get(after) else {
            return 1.0;
        };
        let (low_mps, low) = points[after - 1];
        low + (high - low) * (speed_mps - low_mps) / (high_mps - low_mps).max(f32::MIN_POSITIVE)
    }

    /// Whether the invariant holds.
    pub fn is_valid(&self) -> bool {
        let five = self.as_array();
        five[4].is_finite() && 0.0 <= five[0] && five.is_sorted()
    }
}

/// What is usual on a segment; implemented by whoever learns profiles.
pub trait SpeedProfile: Sync {
    /// The usual speed in m/s at `at`; finite, not negative.
    fn speed_mps(&self, segment: SegmentId, at: Timestamp) -> f32;

    /// The speed of unhindered traffic in m/s; finite, > 0.
    fn free_flow_mps(&self, segment: SegmentId) -> f32;

    /// [`SpeedProfile::speed_mps`] of any segment at `times[index]`, for those who ask for many.
    fn speeds_at<'a>(
        &'a self,
        times: &'a [Timestamp],
    ) -> Box<dyn Fn(SegmentId, usize) -> f32 + Sync + 'a> {
        Box::new(|segment, time| self.speed_mps(segment, times[time]))
    }
}

impl SpeedProfile for crate::state::Profiles {
    fn speed_mps(&self, segment: SegmentId, at: Timestamp) -> f32 {
        Self::speed_mps(self, segment, at)
    }

    fn free_flow_mps(&self, segment: SegmentId) -> f32 {
        Self::free_flow_mps(self, segment)
    }

    fn speeds_at<'a>(
        &'a self,
        times: &'a [Timestamp],
    ) -> Box<dyn Fn(SegmentId, usize) -> f32 + Sync + 'a> {
        Box::new(Self::speeds_at(self, times))
    }
}

/// Turns what is known at one moment into the next hour.
pub trait Forecaster: Send + Sync {
    /// Name and version, as published.
    fn name(&self) -> &str;

    /// Forecasts every segment. The result depends on nothing but the request.
    fn forecast(&self, request: &ForecastRequest) -> ForecastBatch;

    /// Its mean absolute error as a share of [`ProfileResidual`]'s, by step, as it was measured on
    /// test data; `None` where nothing is known of that.
    fn promised_share(&self) -> Option<[f32; STEP_COUNT]> {
        None
    }

    /// What is usual on each segment of this network as it was learnt with it, for a run that has seen
    /// nothing yet.
    fn usual_speeds(&self, _network: NetworkVersion) -> Option<Arc<UsualSpeeds>> {
        None
    }
}

/// The forecast of every segment, issued at one moment.
///
/// Step `k` (from 0) covers `[first_step + 300 s * k, first_step + 300 s * (k + 1))`.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastBatch {
    /// End of the last closed minute the forecast knows.
    pub issued_at: Timestamp,
    /// The first multiple of 300 s not before `issued_at`.
    pub first_step: Timestamp,
    /// The network the ids belong to.
    pub network: NetworkVersion,
    /// Name and version of the model that speaks; where [`ForecastBatch::fallback`], of the baseline.
    pub model: Arc<str>,
    /// Whether baselines speak for every segment, because the configured model did not answer in
    /// time or has lost to them everywhere.
    pub fallback: bool,
    /// Who speaks for each segment, in id order; empty before the answer is settled.
    pub speakers: Vec<Speaker>,
    /// `STEP_COUNT` entries a segment, in id order; 0 m/s where the road is closed for half of the step or
    /// longer.
    pub quantiles: Vec<SpeedQuantiles>,
    /// What is closed and when.
    pub closures: Arc<Closures>,
    /// The flow where it is counted.
    pub flows: Arc<FlowBatch>,
}

impl ForecastBatch {
    /// The steps of one segment.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn steps(&self, segment: SegmentId) -> &[SpeedQuantiles] {
        &self.quantiles[segment.index() * STEP_COUNT..][..STEP_COUNT]
    }

    /// The same where these roads are closed: nobody drives there, whatever is forecast.
    #[must_use]
    pub fn with_closures(mut self, closures: &Arc<Closures>) -> Self {
        self.closures = Arc::clone(closures);
        let of_closed = closures.covered(STEP_COUNT, |step| self.interval(step));
        for (segment, step) in of_closed {
            self.quantiles[segment.index() * STEP_COUNT + step] = SpeedQuantiles::default();
        }
        self
    }

    /// When a segment is closed the next time within the forecast's reach.
    pub fn closed(&self, segment: SegmentId) -> Option<Interval> {
        let during = Interval {
            start: self.issued_at,
            end: self.interval(STEP_COUNT - 1).end,
        };
        self.closures.first(segment, during)
    }

    /// Who speaks for one segment.
    pub fn speaker(&self, segment: SegmentId) -> Speaker {
        self.speakers
            .get(segment.index())
            .copied()
            .unwrap_or_default()
    }

    /// Name and version of who speaks for one segment.
    pub fn spoken_by(&self, segment: SegmentId) -> &str {
        match self.speaker(segment).baseline() {
            Some(baseline) => baseline.name(),
            None => &self.model,
        }
    }

    /// The interval that step `step` covers.
    pub fn interval(&self, step: usize) -> Interval {
        let start = self.first_step.plus_millis(STEP_MS * step as i64);
        Interval {
            start,
            end: start.plus_millis(STEP_MS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_follow_the_quantiles() {
        let said = SpeedQuantiles::ordered_five([4.0, 6.0, 10.0, 12.0, 13.0], 0.0);
        let near = |speed_mps: f32, wanted: f32| {
            let found = said.probability_below(speed_mps);
            assert!((found - wanted).abs() < 1e-5, "{speed_mps}: {found}");
        };
        for (speed_mps, level) in said.as_array().into_iter().zip(LEVELS) {
            near(speed_mps, level);
        }
        near(8.0, 0.3);
        near(1.9, 0.0);
        near(3.0, 0.025);
        near(13.5, 0.975);
        near(14.0, 1.0);
        near(99.0, 1.0);
        // Nothing is spread: a step.
        let sure = SpeedQuantiles::ordered(5.0, 5.0, 5.0, 0.0);
        assert!(sure.probability_below(4.99) < 1e-6 && sure.probability_below(5.0) > 0.999);
    }
}
