//! Backtests: forecasts of a recorded series, issued row by row as if live, and their scores.
//!
//! A window belongs to the part in which its first target row lies; its history may reach back into
//! the part before. Profile, free flow and the regression are learnt from the training part, a
//! network brings what it learnt with it, and intervals go on learning from each truth that the
//! series has reached. Missing truth is left out; inputs hidden on purpose are never truth.

mod outlook;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::OnceLock;

pub use outlook::OutlookScores;

use super::baseline::forecast_of;
use super::intervals::{AdaptiveIntervals, Misses};
use super::onset::{OnsetBook, is_congested};
use super::windows::{Windows, unit_hash};
use super::{
    Baseline, Dataset, DatasetError, FeatureContext, ForecastRequest, Mlp, ModelError, OnsetScores,
    Ridge, STEP_COUNT, Scores, SpeedQuantiles,
};
use crate::units::SegmentId;

const HOUR_MS: i64 = 3_600_000;

/// What to test on.
#[derive(Clone, Debug, PartialEq)]
pub struct BacktestSettings {
    /// Proportions in time of training, validation and test.
    pub split: [usize; 3],
    /// Share of input cells hidden from every forecaster, 0..=1.
    pub missing: f32,
    /// Picks the hidden cells.
    pub seed: u64,
    /// The columns scored and, by the regression, not learnt from; none scores all.
    pub holdout: Option<Holdout>,
}

/// Columns left out of training: one fold of a seeded partition.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holdout {
    /// Share of the columns in a fold, %.
    pub percent: usize,
    /// Which fold, from 0.
    pub fold: usize,
    /// Picks the partition.
    pub seed: u64,
}

impl Holdout {
    /// For each of `columns` columns whether it is left out. Folds of one seed and share don't
    /// overlap and together hold every column where 100 is a multiple of the share.
    pub fn is_left_out(&self, columns: usize) -> Vec<bool> {
        let mut order: Vec<usize> = (0..columns).collect();
        let key = |column: usize| unit_hash(self.seed, column as u64);
        order.sort_by(|&a, &b| key(a).total_cmp(&key(b)).then(a.cmp(&b)));
        let bound = |fold: usize| (fold * self.percent * columns / 100).min(columns);
        let mut is_left_out = vec![false; columns];
        for &column in &order[bound(self.fold)..bound(self.fold + 1)] {
            is_left_out[column] = true;
        }
        is_left_out
    }
}

/// Who is tested.
#[derive(Clone, Debug)]
pub enum Contender {
    /// A forecaster without training.
    Baseline(Baseline),
    /// The regression on lags and profile.
    Ridge(Ridge),
    /// A trained network that knows of each column's past what the training part says.
    Network(Box<Mlp>),
    /// A trained network as a service runs it: with the past that came with it, or with none.
    Served(Box<Mlp>, Box<FeatureContext>),
}

/// A dataset ready to be forecast, window by window.
#[derive(Debug)]
pub struct Backtest<'a> {
    dataset: &'a Dataset,
    windows: Windows<'a>,
    /// Made for the first that reads it: it takes a regression a column.
    context: OnceLock<FeatureContext>,
    is_scored: Vec<bool>,
}

impl<'a> Backtest<'a> {
    /// Learns profile, free flow and what is left of deviations from the training part.
    ///
    /// # Errors
    /// When the dataset is too short for its split, or no column would be scored.
    pub fn new(dataset: &'a Dataset, settings: &BacktestSettings) -> Result<Self, DatasetError> {
        let mut windows = Windows::new(dataset, settings.split)?;
        windows.hide(settings.missing, settings.seed);
        let columns = dataset.column_count();
        let is_scored = match settings.holdout {
            Some(holdout) => holdout.is_left_out(columns),
            None => vec![true; columns],
        };
        if !is_scored.contains(&true) {
            return Err(DatasetError::Unfit("has no column in this fold".into()));
        }
        Ok(Self {
            dataset,
            context: OnceLock::new(),
            windows,
            is_scored,
        })
    }

    /// Fits the regression to the training part without the columns held out, if any are.
    ///
    /// # Errors
    /// When no column is left to learn from.
    pub fn fit_ridge(&self) -> Result<Ridge, DatasetError> {
        let is_everything_scored = !self.is_scored.contains(&false);
        let is_left_out: Vec<bool> = self
            .is_scored
            .iter()
            .map(|&is_scored| is_scored && !is_everything_scored)
            .collect();
        Ridge::fit(&self.windows, &is_left_out)
    }

    /// Newest input rows of the windows of the test part.
    pub fn test(&self) -> Range<usize> {
        self.windows.test()
    }

    /// Newest input rows of the windows of the validation part.
    pub fn validation(&self) -> Range<usize> {
        self.windows.validation()
    }

    /// The level that stands for free flow in each column, in the dataset's inner unit.
    pub fn free_flow(&self) -> &[f32] {
        self.windows.free_flow_mps()
    }

    /// What is known when `newest` is the newest row.
    pub fn request(&self, newest: usize) -> ForecastRequest {
        self.windows.request(newest, None)
    }

    /// What features know of the columns when nothing was learnt of their past.
    pub fn context_without_past(&self) -> FeatureContext {
        self.windows.context_without_past()
    }

    /// What `contender` says to `request`, `STEP_COUNT` quantiles a column.
    ///
    /// # Errors
    /// When a device fails.
    pub fn forecast(
        &self,
        contender: &Contender,
        request: &ForecastRequest,
    ) -> Result<Vec<SpeedQuantiles>, ModelError> {
        match contender {
            Contender::Baseline(baseline) => Ok(forecast_of(*baseline, request)),
            Contender::Ridge(ridge) => Ok(ridge.forecast(request)),
            Contender::Network(mlp) => {
                let context = self.context.get_or_init(|| self.windows.context());
                mlp.forecast(context, request)
            }
            Contender::Served(mlp, context) => mlp.forecast(context, request),
        }
    }

    /// Starts to run one forecaster over the series.
    pub fn run(&self) -> Run<'_> {
        Run {
            backtest: self,
            intervals: AdaptiveIntervals::new(),
            issued: VecDeque::new(),
            scores: Scores::default(),
            onsets: OnsetBook::new(1, self.dataset.column_count()),
            onset_row: None,
        }
    }
}

/// One forecaster's way through the series.
#[derive(Debug)]
pub struct Run<'a> {
    backtest: &'a Backtest<'a>,
    intervals: AdaptiveIntervals,
    issued: VecDeque<Issued>,
    scores: Scores,
    onsets: OnsetBook,
    /// The newest row whose truth `onsets` has.
    onset_row: Option<usize>,
}

/// One issued forecast that waits for truth.
#[derive(Debug)]
struct Issued {
    /// The newest row it knows.
    newest: usize,
    /// Class of the present ratio, a column.
    classes: Vec<usize>,
    said: Vec<SpeedQuantiles>,
}

impl Run<'_> {
    /// Learns the width of intervals from one window before the test part, whose newest row is
    /// `newest` and about which `request` asked. Rows go forward.
    pub fn warm_up(
        &mut self,
        newest: usize,
        request: &ForecastRequest,
        said: &mut [SpeedQuantiles],
    ) {
        self.learn(newest);
        self.intervals.stretch().apply(request, said);
        let columns = (0..request.segment_count() as u32).map(SegmentId);
        self.issued.push_back(Issued {
            newest,
            classes: columns.map(|column| request.class(column)).collect(),
            said: said.to_vec(),
        });
    }

    /// Learns from the truths of row `row`.
    fn learn(&mut self, row: usize) {
        let (dataset, free_flow) = (self.backtest.dataset, self.backtest.free_flow());
        let mut misses = Misses::default();
        for issued in &self.issued {
            let step = row.checked_sub(issued.newest + 1);
            let Some(step) = step.filter(|&step| step < STEP_COUNT) else {
                continue;
            };
            for (column, &class) in issued.classes.iter().enumerate() {
                if let Some(truth) = dataset.value(row, column) {
                    let said = &issued.said[column * STEP_COUNT + step];
                    let is_congested = dataset.is_speed && is_congested(truth, free_flow[column]);
                    misses.add(step, class, said, truth, is_congested);
                }
            }
        }
        self.intervals.learn(&misses);
        let is_over = |oldest: &Issued| row >= oldest.newest + STEP_COUNT;
        while self.issued.front().is_some_and(is_over) {
            self.issued.pop_front();
        }
    }

    /// Stretches the intervals of one window of the test part and scores it. Rows go forward.
    pub fn score(&mut self, newest: usize, request: &ForecastRequest, said: &mut [SpeedQuantiles]) {
        self.warm_up(newest, request, said);
        let dataset = self.backtest.dataset;
        let free_flow = self.backtest.free_flow();
        for column in 0..dataset.column_count() {
            if !self.backtest.is_scored[column] {
                continue;
            }
            for step in 0..STEP_COUNT {
                let row = newest + 1 + step;
                let Some(truth) = dataset.value(row, column) else {
                    continue;
                };
                let is_congested = dataset.is_speed && is_congested(truth, free_flow[column]);
                let hour = dataset.times[row]
                    .as_millis()
                    .div_euclid(HOUR_MS)
                    .rem_euclid(24);
                let said = &said[column * STEP_COUNT + step];
                self.scores.add(
                    step,
                    hour as usize,
                    f64::from(truth) * dataset.units_per_value,
                    said,
                    dataset.units_per_value,
                    is_congested,
                );
            }
        }
        if dataset.is_speed {
            // Onsets are counted from the row after the first window's newest: one needs three free
            // rows before it.
            self.take_onset_rows(newest.saturating_sub(2), newest + 1);
            for (column, steps) in said.chunks_exact(STEP_COUNT).enumerate() {
                if self.backtest.is_scored[column] {
                    let median = |step: usize| steps[step].p50_mps;
                    let level = free_flow[column];
                    self.onsets.announce(0, column, level, false, median);
                }
            }
        }
    }

    /// Shows the truths of the rows up to `end`, from `begin` on where it has seen none.
    fn take_onset_rows(&mut self, begin: usize, end: usize) {
        let (dataset, free_flow) = (self.backtest.dataset, self.backtest.free_flow());
        for row in self.onset_row.map_or(begin, |row| row + 1)..end {
            let is_scored = &self.backtest.is_scored;
            self.onsets.take_row(|column| {
                let is_known = row < dataset.row_count() && is_scored[column];
                let value = is_known.then(|| dataset.value(row, column)).flatten();
                value.map(|value| is_congested(value, free_flow[column]))
            });
            self.onset_row = Some(row);
        }
    }

    /// The scores; onsets where the quantity is speed.
    pub fn finish(mut self) -> (Scores, Option<OnsetScores>) {
        let dataset = self.backtest.dataset;
        if !dataset.is_speed {
            return (self.scores, None);
        }
        // The rows that are left, and as many without truth as it takes to judge every alarm.
        let end = dataset.row_count() + OnsetBook::JUDGED_AFTER + 1;
        self.take_onset_rows(end, end);
        (self.scores, Some(self.onsets.scores(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_disjoint_and_hold_every_column() {
        let mut seen = vec![0; 66];
        for fold in 0..5 {
            let holdout = Holdout {
                percent: 20,
                fold,
                seed: 7,
            };
            let is_left_out = holdout.is_left_out(66);
            let count = is_left_out.iter().filter(|&&is| is).count();
            assert!((13..=14).contains(&count), "{count}");
            for (seen, is_left_out) in seen.iter_mut().zip(is_left_out) {
                *seen += usize::from(is_left_out);
            }
        }
        assert!(seen.iter().all(|&seen| seen == 1));
    }
}
