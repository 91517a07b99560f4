//! Whether the beginning of congestion is forecast: hits, false alarms, lead time.
//!
//! Congestion is a value below 0.6 of free flow for at least three steps; its onset is the first of
//! these after at least three steps without. A forecast announces an onset when its medians fall
//! below for three steps while the newest value does not lie below. An onset is hit when a
//! forecast issued in the hour before announced it to within two steps; announcements without a
//! break are one alarm, and an alarm is false when none of its announcements met an onset.

use super::super::{Dataset, STEP_COUNT, STEP_MS, SpeedQuantiles};

/// Share of free flow below which a value is congested.
pub const CONGESTED_BELOW: f32 = 0.6;
/// Steps that congestion must last, and that must be free before its onset.
const LASTING: usize = 3;
/// Steps that an announcement may be off.
const TOLERANCE: usize = 2;

/// How well onsets are forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OnsetScores {
    /// Onsets in the truth.
    pub onsets: usize,
    /// Those that were announced.
    pub hits: usize,
    /// Alarms: announcements without a break.
    pub alarms: usize,
    /// Alarms that met no onset.
    pub false_alarms: usize,
    /// Mean time from the first announcement that met an onset to the onset, minutes.
    pub lead_min: f64,
}

/// What was announced, window by window.
#[derive(Clone, Debug)]
pub(super) struct OnsetTracker {
    first_newest: usize,
    columns: usize,
    /// Step from 1 at which an onset is announced, 0 for none: `[window][column]`.
    announced: Vec<u8>,
}

fn is_congested(value: f32, free_flow: f32) -> bool {
    value < CONGESTED_BELOW * free_flow
}

impl OnsetTracker {
    /// Starts before the window whose newest row is `first_newest`.
    pub(super) fn new(first_newest: usize, columns: usize) -> Self {
        Self {
            first_newest,
            columns,
            announced: Vec::new(),
        }
    }

    /// Takes the next window's forecast; `newest` is the row it was issued on.
    pub(super) fn push(
        &mut self,
        dataset: &Dataset,
        free_flow: &[f32],
        newest: usize,
        said: &[SpeedQuantiles],
    ) {
        for column in 0..self.columns {
            let level = free_flow[column];
            let is_free_now = dataset
                .value(newest, column)
                .is_none_or(|value| !is_congested(value, level));
            let steps = &said[column * STEP_COUNT..][..STEP_COUNT];
            let onset = steps
                .windows(LASTING)
                .position(|steps| steps.iter().all(|step| is_congested(step.p50_mps, level)));
            let step = onset.filter(|_| is_free_now).map_or(0, |at| at as u8 + 1);
            self.announced.push(step);
        }
    }

    /// Compares what was announced with what happened.
    pub(super) fn scores(&self, dataset: &Dataset, free_flow: &[f32]) -> OnsetScores {
        let mut scores = OnsetScores::default();
        let windows = self.announced.len() / self.columns.max(1);
        let mut leads = 0usize;
        for (column, &level) in free_flow.iter().enumerate() {
            let onsets = onset_rows(dataset, column, level, self.first_newest);
            let announced = |window: usize| {
                let step = usize::from(self.announced[window * self.columns + column]);
                (step > 0).then_some(self.first_newest + window + step)
            };
            let near = |row: usize, onset: usize| row.abs_diff(onset) <= TOLERANCE;
            for &onset in &onsets {
                // Windows issued at most an hour before the onset and before it began.
                let from = onset.saturating_sub(STEP_COUNT).max(self.first_newest);
                let met = (from..onset)
                    .map(|newest| newest - self.first_newest)
                    .filter(|&window| window < windows)
                    .find(|&window| announced(window).is_some_and(|row| near(row, onset)));
                scores.onsets += 1;
                if let Some(window) = met {
                    scores.hits += 1;
                    leads += onset - (self.first_newest + window);
                }
            }
            let mut window = 0;
            while window < windows {
                let mut has_met = false;
                let begin = window;
                while let Some(row) = (window < windows).then(|| announced(window)).flatten() {
                    has_met |= onsets.iter().any(|&onset| near(row, onset));
                    window += 1;
                }
                if window > begin {
                    scores.alarms += 1;
                    scores.false_alarms += usize::from(!has_met);
                }
                window += 1;
            }
        }
        if scores.hits > 0 {
            let minutes = STEP_MS as f64 / 60_000.0;
            scores.lead_min = leads as f64 * minutes / scores.hits as f64;
        }
        scores
    }
}

/// Rows after `newest` where congestion begins in one column.
fn onset_rows(dataset: &Dataset, column: usize, free_flow: f32, newest: usize) -> Vec<usize> {
    let congested = |row: usize| {
        dataset
            .value(row, column)
            .map(|value| is_congested(value, free_flow))
    };
    let rows = dataset.row_count();
    (newest + 1..rows.saturating_sub(LASTING - 1))
        .filter(|&row| {
            row >= LASTING
                && (row - LASTING..row).all(|row| congested(row) == Some(false))
                && (row..row + LASTING).all(|row| congested(row) == Some(true))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One sensor at 100, at 40 from row 30 to 39, at 100 again.
    fn dataset() -> Dataset {
        let mut series = String::from("time,a");
        for row in 0..60 {
            let value = if (30..40).contains(&row) { 40 } else { 100 };
            series.push_str(&format!("\n{},{value}", row * 300));
        }
        let header = b"name='a'\nquantity='speed'\nunit='m/s'\nstep_s=300\n";
        Dataset::parse(header, series.as_bytes(), b"from,to\n", None).unwrap()
    }

    fn steady(mps: f32, from: usize, low: f32) -> Vec<SpeedQuantiles> {
        (0..STEP_COUNT)
            .map(|step| {
                let p50 = if step >= from { low } else { mps };
                SpeedQuantiles::ordered(p50, p50, p50, p50)
            })
            .collect()
    }

    #[test]
    fn an_announced_onset_is_a_hit_with_its_lead() {
        let (dataset, free_flow) = (dataset(), [100.0]);
        let mut tracker = OnsetTracker::new(20, 1);
        for newest in 20..48 {
            // From row 24 on the jam is announced for row 31, one step late.
            let from = if (24..30).contains(&newest) {
                31 - newest - 1
            } else {
                STEP_COUNT
            };
            tracker.push(&dataset, &free_flow, newest, &steady(100.0, from, 40.0));
        }
        let scores = tracker.scores(&dataset, &free_flow);
        assert_eq!((scores.onsets, scores.hits), (1, 1));
        assert_eq!((scores.alarms, scores.false_alarms), (1, 0));
        assert!((scores.lead_min - 30.0).abs() < 1e-9);
    }

    #[test]
    fn an_alarm_without_a_jam_is_false_and_a_silent_forecast_hits_nothing() {
        let (dataset, free_flow) = (dataset(), [100.0]);
        let mut tracker = OnsetTracker::new(20, 1);
        for newest in 20..48 {
            // Announced when it is long over; while it lasts nothing is announced.
            let from = if newest >= 42 { 2 } else { STEP_COUNT };
            tracker.push(&dataset, &free_flow, newest, &steady(100.0, from, 40.0));
        }
        let scores = tracker.scores(&dataset, &free_flow);
        assert_eq!((scores.onsets, scores.hits), (1, 0));
        assert_eq!((scores.alarms, scores.false_alarms), (1, 1));
    }
}
