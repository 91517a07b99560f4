//! Sums from which a forecaster's errors are read, step by step.
//!
//! «Masked» leaves out cells whose truth is 0 as well as missing ones, as the published protocol of
//! METR-LA and PEMS does (Li et al., 2018, "Diffusion convolutional recurrent neural network");
//! «plain» leaves out missing ones alone.

use super::{LEVELS, STEP_COUNT, SpeedQuantiles};

/// Truth is taken for 0 below this, in the unit of the data.
const ZERO: f64 = 1e-6;
/// Smallest divisor of a plain percentage error, in the unit of the data: a truth of 0 has none.
const PERCENT_DIVISOR_MIN: f64 = 1.0;

/// 0 of nothing.
fn mean(sum: f64, count: f64) -> f64 {
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Errors over the same cells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Errors {
    count: f64,
    absolute: f64,
    square: f64,
    percent: f64,
}

impl Errors {
    fn add(&mut self, error: f64, truth: f64) {
        self.count += 1.0;
        self.absolute += error.abs();
        self.square += error * error;
        self.percent += 100.0 * error.abs() / truth.abs().max(PERCENT_DIVISOR_MIN);
    }

    /// How many cells there were.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// Mean absolute error, in the unit of the data.
    pub fn mae(&self) -> f64 {
        mean(self.absolute, self.count)
    }

    /// Root of the mean squared error, in the unit of the data.
    pub fn rmse(&self) -> f64 {
        mean(self.square, self.count).sqrt()
    }

    /// Mean absolute percentage error, %; truths below one unit count as one unit.
    pub fn mape(&self) -> f64 {
        mean(self.percent, self.count)
    }
}

/// Sums of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepScores {
    /// Over every cell that is not missing.
    pub plain: Errors,
    /// Over those whose truth is not 0.
    pub masked: Errors,
    /// Over those whose truth is congested.
    pub congested: Errors,
    pinball: [f64; LEVELS.len()],
    below: [f64; LEVELS.len()],
    inside_90: f64,
    inside_80: f64,
    congested_inside: [f64; 2],
    width_90: f64,
}

impl StepScores {
    /// Counts one cell; everything in the unit of the data.
    pub fn add(&mut self, truth: f64, said: [f64; LEVELS.len()], is_congested: bool) {
        let error = said[2] - truth;
        self.plain.add(error, truth);
        if truth.abs() > ZERO {
            self.masked.add(error, truth);
        }
        for (index, level) in LEVELS.into_iter().enumerate() {
            let level = f64::from(level);
            let over = truth - said[index];
            self.pinball[index] += (level * over).max((level - 1.0) * over);
            self.below[index] += f64::from(u8::from(truth <= said[index]));
        }
        let is_inside = |low: f64, high: f64| f64::from(u8::from((low..=high).contains(&truth)));
        self.inside_90 += is_inside(said[0], said[4]);
        self.inside_80 += is_inside(said[1], said[3]);
        self.width_90 += said[4] - said[0];
        if is_congested {
            self.congested.add(error, truth);
            self.congested_inside[0] += is_inside(said[0], said[4]);
            self.congested_inside[1] += is_inside(said[1], said[3]);
        }
    }

    fn per_cell(&self, sum: f64) -> f64 {
        mean(sum, self.plain.count)
    }

    /// Mean pinball loss of each of [`LEVELS`] (Koenker and Bassett, 1978), in the unit of the data.
    pub fn pinball(&self) -> [f64; LEVELS.len()] {
        self.pinball.map(|sum| self.per_cell(sum))
    }

    /// Share of truths at or below each quantile: its level, where calibrated.
    pub fn below(&self) -> [f64; LEVELS.len()] {
        self.below.map(|sum| self.per_cell(sum))
    }

    /// Share of truths between the outermost quantiles: 0.9 is wanted.
    pub fn coverage_90(&self) -> f64 {
        self.per_cell(self.inside_90)
    }

    /// Share of truths between the tenths: 0.8 is wanted.
    pub fn coverage_80(&self) -> f64 {
        self.per_cell(self.inside_80)
    }

    /// Mean distance of the outermost quantiles, in the unit of the data.
    pub fn width_90(&self) -> f64 {
        self.per_cell(self.width_90)
    }

    /// Mean of [`StepScores::pinball`] over the levels, in the unit of the data.
    pub fn mean_pinball(&self) -> f64 {
        self.pinball().iter().sum::<f64>() / LEVELS.len() as f64
    }

    /// Mean absolute error where the truth is congested; `None` without any.
    pub fn congested_mae(&self) -> Option<f64> {
        (self.congested.count > 0.0).then(|| self.congested.mae())
    }

    /// Share of congested truths between the outermost quantiles; `None` without any.
    pub fn congested_coverage_90(&self) -> Option<f64> {
        self.congested_share(self.congested_inside[0])
    }

    /// Share of congested truths between the tenths; `None` without any.
    pub fn congested_coverage_80(&self) -> Option<f64> {
        self.congested_share(self.congested_inside[1])
    }

    fn congested_share(&self, sum: f64) -> Option<f64> {
        let count = self.congested.count;
        (count > 0.0).then(|| sum / count)
    }

    /// Lets what was counted count `keep` of what it did.
    pub(super) fn fade(&mut self, keep: f64) {
        self.sums_mut().into_iter().for_each(|sum| *sum *= keep);
    }

    /// Every sum, always in the same order.
    pub(super) fn sums_mut(&mut self) -> Vec<&mut f64> {
        let mut sums = Vec::new();
        for errors in [&mut self.plain, &mut self.masked, &mut self.congested] {
            sums.extend([
                &mut errors.count,
                &mut errors.absolute,
                &mut errors.square,
                &mut errors.percent,
            ]);
        }
        sums.extend(self.pinball.iter_mut().chain(&mut self.below));
        sums.extend(&mut self.congested_inside);
        sums.extend([&mut self.inside_90, &mut self.inside_80, &mut self.width_90]);
        sums
    }
}

/// What one forecaster scored over many windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// By step.
    pub steps: [StepScores; STEP_COUNT],
    /// Mean absolute errors by hour of day of the truth: sums and counts.
    by_hour: [(f64, f64); 24],
}

impl Scores {
    /// Counts one cell whose truth lies in `hour` of the day.
    pub fn add(
        &mut self,
        step: usize,
        hour: usize,
        truth: f64,
        said: &SpeedQuantiles,
        units_per_value: f64,
        is_congested: bool,
    ) {
        let said = said
            .as_array()
            .map(|value| f64::from(value) * units_per_value);
        self.steps[step].add(truth, said, is_congested);
        let sum = &mut self.by_hour[hour % 24];
        *sum = (sum.0 + (said[2] - truth).abs(), sum.1 + 1.0);
    }

    /// The mean of `value` over the steps `range` of the horizon.
    pub fn mean_over(
        &self,
        range: std::ops::Range<usize>,
        value: impl Fn(&StepScores) -> f64,
    ) -> f64 {
        let count = range.len().max(1) as f64;
        self.steps[range].iter().map(value).sum::<f64>() / count
    }

    /// The mean of `value` over all steps.
    pub fn mean(&self, value: impl Fn(&StepScores) -> f64) -> f64 {
        self.mean_over(0..STEP_COUNT, value)
    }

    /// Mean absolute error by hour of day; `None` where no truth lies.
    pub fn by_hour(&self) -> [Option<f64>; 24] {
        self.by_hour
            .map(|(sum, count)| (count > 0.0).then(|| sum / count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Truths 10, 0 and 20 against medians 12, 1 and 17, with intervals of 2 and 4 to each side.
    fn three() -> StepScores {
        let mut scores = StepScores::default();
        for (truth, median, is_congested) in
            [(10.0, 12.0, false), (0.0, 1.0, false), (20.0, 17.0, true)]
        {
            let said = [
                median - 4.0,
                median - 2.0,
                median,
                median + 2.0,
                median + 4.0,
            ];
            scores.add(truth, said, is_congested);
        }
        scores
    }

    #[test]
    fn errors_are_those_worked_out_by_hand() {
        let scores = three();
        let near = |found: f64, wanted: f64| {
            assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
        };
        near(scores.plain.mae(), (2.0 + 1.0 + 3.0) / 3.0);
        near(scores.plain.rmse(), (14.0f64 / 3.0).sqrt());
        // 2/10, 1/max(0, 1) and 3/20.
        near(scores.plain.mape(), (20.0 + 100.0 + 15.0) / 3.0);
        near(scores.masked.mae(), 2.5);
        near(scores.masked.rmse(), (13.0f64 / 2.0).sqrt());
        near(scores.masked.mape(), 17.5);
        near(scores.congested.mae(), 3.0);
    }

    #[test]
    fn pinball_and_coverage_are_those_worked_out_by_hand() {
        let scores = three();
        let near = |found: f64, wanted: f64| {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        };
        // The median's pinball loss is half its absolute error.
        near(scores.pinball()[2], 1.0);
        // p05: truths are 2, 3 and 7 above it.
        near(scores.pinball()[0], 0.05 * 12.0 / 3.0);
        // p90: truths are 4 and 3 below and 1 above it.
        near(scores.pinball()[3], (0.1 * 7.0 + 0.9) / 3.0);
        // Errors 2, 1, 3 lie inside 4; 2 and 1 inside 2.
        near(scores.coverage_90(), 1.0);
        near(scores.coverage_80(), 2.0 / 3.0);
        near(scores.width_90(), 8.0);
        assert_eq!(scores.congested_coverage_90(), Some(1.0));
        assert_eq!(scores.congested_coverage_80(), Some(0.0));
        assert_eq!(StepScores::default().congested_coverage_90(), None);
        near(scores.below()[2], 2.0 / 3.0);
    }

    #[test]
    fn faded_sums_keep_their_means() {
        let (mut faded, whole) = (three(), three());
        faded.fade(0.25);
        assert!((faded.plain.count() - 0.75).abs() < 1e-12);
        assert!((faded.plain.mae() - whole.plain.mae()).abs() < 1e-12);
        assert!((faded.coverage_80() - whole.coverage_80()).abs() < 1e-12);
        assert_eq!(faded.congested_coverage_90(), Some(1.0));
    }

    #[test]
    fn hours_and_steps_are_kept_apart() {
        let mut scores = Scores::default();
        let said = SpeedQuantiles::ordered(1.0, 2.0, 3.0, 2.0);
        scores.add(0, 7, 7.2, &said, 3.6, false);
        scores.add(3, 8, 3.6, &said, 3.6, false);
        assert!(scores.steps[0].plain.mae() < 1e-5);
        assert!((scores.steps[3].plain.mae() - 3.6).abs() < 1e-5);
        assert!((scores.mean(|step| step.plain.mae()) - 0.3).abs() < 1e-6);
        assert!(scores.by_hour()[7].is_some_and(|mae| mae < 1e-5));
        assert!(scores.by_hour()[9].is_none());
    }
}
