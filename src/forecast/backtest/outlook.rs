//! The outlook over a recorded series, issued and learnt row by row as in a running engine, and its
//! scores beside the baselines.
//!
//! It issues and learns from the first row on, on every third five-minute mark; every window of the part
//! asked for is scored. Only what the series has reached is learnt from; the profile is that of the
//! training part, in training windows of its other days.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::super::onset::is_congested;
use super::super::outlook::{
    Formula, HALF_HOUR_STEPS, Known, Learning, MARKS_PER_ROW, REACH_STEPS, STEPS_BEFORE,
    USUAL_STEPS,
};
use super::super::{HALF_HOUR_COUNT, LAG_COUNT, OutlookSpeaker, STEP_COUNT, STEP_MS, StepScores};
use super::Backtest;

/// Scores by [`OutlookSpeaker`] and half hour, in the unit of the data.
pub type OutlookScores = [[StepScores; HALF_HOUR_COUNT]; OutlookSpeaker::ALL.len()];

/// One issued outlook that waits for truth.
struct Issued {
    /// The newest row it knows.
    newest: usize,
    known: Vec<Known>,
    formula: Arc<Formula>,
}

/// The first row of half hour `half` of an outlook whose newest row is `newest`.
fn first_row(newest: usize, half: usize) -> usize {
    newest + 1 + STEPS_BEFORE + half * HALF_HOUR_STEPS
}

impl Backtest<'_> {
    /// Runs the outlook up to the windows of `part`, newest rows as [`Backtest::test`] and
    /// [`Backtest::validation`] have them, and scores it there; with the newest rows of the first and
    /// the last window, which are fewer than those of `part`, because the last truth lies three hours
    /// ahead. `None` where there is none.
    pub fn outlook(&self, part: &Range<usize>) -> Option<(OutlookScores, [usize; 2])> {
        let (scores, rows, _learnt) = self.run_outlook(part)?;
        Some((scores, rows))
    }

    /// The same with what was learnt until then.
    pub(in super::super) fn run_outlook(
        &self,
        part: &Range<usize>,
    ) -> Option<(OutlookScores, [usize; 2], Learning)> {
        // Windows of the part end with it, and so do those of the outlook.
        let end = (part.end + STEP_COUNT).checked_sub(REACH_STEPS)?;
        if end <= part.start {
            return None;
        }
        let learns_from_all = !self.is_scored.contains(&false);
        let mut scores = OutlookScores::default();
        let mut learning = Learning::default();
        let mut issued: VecDeque<Issued> = VecDeque::new();
        // The mark before the first row, counted as a running engine counts them.
        let first_ms = self.dataset.times.first()?.as_millis();
        let mark = first_ms
            .div_euclid(STEP_MS)
            .rem_euclid(MARKS_PER_ROW as i64) as usize;
        for newest in LAG_COUNT - 1..end {
            let is_row = (mark + newest + 1).is_multiple_of(MARKS_PER_ROW);
            if is_row {
                self.learn_outlook(newest, &issued, &mut learning, learns_from_all);
                issued.retain(|outlook| newest < outlook.newest + REACH_STEPS);
            }
            let is_in_part = part.contains(&newest);
            if !is_row && !is_in_part {
                continue;
            }
            let known = self.known(newest);
            if is_in_part {
                self.score_outlook(newest, &known, learning.formula(), &mut scores);
            }
            if is_row {
                issued.push_back(Issued {
                    newest,
                    known,
                    formula: Arc::clone(learning.formula()),
                });
            }
        }
        Some((scores, [part.start, end - 1], learning))
    }

    fn known(&self, newest: usize) -> Vec<Known> {
        let request = self.request(newest);
        let of = |column: usize| {
            Known::of(&request, column, |time| {
                let (half, at) = (time / USUAL_STEPS.len(), time % USUAL_STEPS.len());
                let row = first_row(newest, half) + USUAL_STEPS[at];
                self.windows.profile_mps(row, column)
            })
        };
        (0..self.dataset.column_count()).map(of).collect()
    }

    /// The mean of the rows of a half hour that are not missing.
    fn half_hour_mean(&self, first: usize, column: usize) -> Option<f32> {
        let rows = first..first + HALF_HOUR_STEPS;
        let known = rows.filter_map(|row| self.dataset.value(row, column));
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        (count > 0.0).then(|| sum / count)
    }

    fn is_jam(&self, truth: f32, column: usize) -> bool {
        self.dataset.is_speed && is_congested(truth, self.free_flow()[column])
    }

    /// Learns from the half hours that end with row `row`.
    fn learn_outlook(
        &self,
        row: usize,
        issued: &VecDeque<Issued>,
        learning: &mut Learning,
        learns_from_all: bool,
    ) {
        let mut has_row = false;
        for outlook in issued {
            let ended =
                |&half: &usize| first_row(outlook.newest, half) + HALF_HOUR_STEPS == row + 1;
            let Some(half) = (0..HALF_HOUR_COUNT).find(ended) else {
                continue;
            };
            if !has_row {
                learning.begin_row();
                has_row = true;
            }
            let first = first_row(outlook.newest, half);
            for (column, known) in outlook.known.iter().enumerate() {
                // Columns of a fold teach nothing.
                let is_learnt = learns_from_all || !self.is_scored[column];
                if let Some(truth) = self.half_hour_mean(first, column)
                    && is_learnt
                {
                    let is_jam = self.is_jam(truth, column);
                    learning.add(&outlook.formula, half, known, truth, is_jam);
                }
            }
        }
        if has_row {
            learning.finish_row();
        }
    }

    fn score_outlook(
        &self,
        newest: usize,
        known: &[Known],
        formula: &Formula,
        scores: &mut OutlookScores,
    ) {
        let unit = self.dataset.units_per_value;
        for (column, known) in known.iter().enumerate() {
            if !self.is_scored[column] {
                continue;
            }
            for half in 0..HALF_HOUR_COUNT {
                let Some(truth) = self.half_hour_mean(first_row(newest, half), column) else {
                    continue;
                };
                let is_jam = self.is_jam(truth, column);
                for speaker in OutlookSpeaker::ALL {
                    let said = formula.say(speaker, half, known).as_array();
                    let said = said.map(|value| f64::from(value) * unit);
                    let scores = &mut scores[speaker as usize][half];
                    scores.add(f64::from(truth) * unit, said, is_jam);
                }
            }
        }
    }
}
