//! Intervals that keep what they promise: quantiles are stretched around the median, more or less
//! as truth arrives.
//!
//! A factor for each side, quantile, step and class of the present ratio to free flow grows when
//! more truths fall outside than promised and shrinks when fewer do: the adaptive level of Gibbs and
//! Candès (2021), "Adaptive conformal inference under distribution shift", in the form that tracks
//! the quantile itself (Angelopoulos, Candès and Tibshirani, 2023, "Conformal PID control for time
//! series prediction"). Memory does not grow with segments or time.

use std::collections::VecDeque;

use super::super::calibration::ratio_bin;
use super::super::{LEVELS, RATIO_BIN_COUNT, STEP_COUNT, SpeedQuantiles};

/// How fast a factor's logarithm follows a surplus of misses, a row of truths (chosen on the
/// validation parts: a surplus of 0.05 widens by a quarter in about 90 rows).
const GAIN: f32 = 0.05;
/// Cells in one row and class from which on the full gain counts; fewer count in proportion.
const FULL_COUNT: f32 = 32.0;
/// Bounds of a factor.
const FACTOR: std::ops::RangeInclusive<f32> = 0.1..=10.0;
/// Smallest distance of a quantile from the median before stretching, in shares of free flow, so
/// that an interval of no width can grow.
const REACH_MIN: f32 = 0.005;
/// The outer quantiles: index into [`LEVELS`].
const SIDES: [usize; 4] = [0, 1, 3, 4];

/// One issued forecast that waits for truth.
#[derive(Clone, Debug)]
struct Issued {
    /// The row its first step lies in.
    first_row: usize,
    bins: Vec<u8>,
    said: Vec<SpeedQuantiles>,
}

/// Learns how far to stretch the quantiles of one forecaster.
#[derive(Clone, Debug)]
pub struct AdaptiveIntervals {
    /// Logarithms, `[step][class][side]`.
    log_factor: Vec<[f32; SIDES.len()]>,
    issued: VecDeque<Issued>,
}

impl Default for AdaptiveIntervals {
    fn default() -> Self {
        Self {
            log_factor: vec![[0.0; SIDES.len()]; STEP_COUNT * RATIO_BIN_COUNT],
            issued: VecDeque::new(),
        }
    }
}

impl AdaptiveIntervals {
    /// Starts with the quantiles as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stretches a forecast whose first step lies in row `first_row` and keeps it until its truths
    /// are known. `now` and `free_flow` are one number a segment.
    pub fn issue(
        &mut self,
        first_row: usize,
        now: &[f32],
        free_flow: &[f32],
        said: &mut [SpeedQuantiles],
    ) {
        let bins: Vec<u8> = now
            .iter()
            .zip(free_flow)
            .map(|(now, free_flow)| ratio_bin(now / free_flow.max(0.1)) as u8)
            .collect();
        for (segment, steps) in said.chunks_exact_mut(STEP_COUNT).enumerate() {
            let floor = REACH_MIN * free_flow[segment];
            for (step, said) in steps.iter_mut().enumerate() {
                let cell = step * RATIO_BIN_COUNT + usize::from(bins[segment]);
                let mut five = said.as_array();
                let median = five[2];
                for (side, log_factor) in SIDES.into_iter().zip(self.log_factor[cell]) {
                    let reach = (five[side] - median).abs().max(floor) * log_factor.exp();
                    five[side] = if side < 2 {
                        median - reach
                    } else {
                        median + reach
                    };
                }
                *said = SpeedQuantiles::ordered_five(five, median);
            }
        }
        self.issued.push_back(Issued {
            first_row,
            bins,
            said: said.to_vec(),
        });
    }

    /// Learns from the truths of row `row`; `truth` gives one segment's, if it is known.
    pub fn observe(&mut self, row: usize, truth: impl Fn(usize) -> Option<f32>) {
        let mut outside = vec![[0.0f32; SIDES.len()]; self.log_factor.len()];
        let mut count = vec![0.0f32; self.log_factor.len()];
        for issued in &self.issued {
            let Some(step) = row
                .checked_sub(issued.first_row)
                .filter(|&step| step < STEP_COUNT)
            else {
                continue;
            };
            for (segment, &bin) in issued.bins.iter().enumerate() {
                let Some(truth) = truth(segment) else {
                    continue;
                };
                let cell = step * RATIO_BIN_COUNT + usize::from(bin);
                let five = issued.said[segment * STEP_COUNT + step].as_array();
                count[cell] += 1.0;
                for (sum, side) in outside[cell].iter_mut().zip(SIDES) {
                    let is_outside = if side < 2 {
                        truth < five[side]
                    } else {
                        truth > five[side]
                    };
                    *sum += f32::from(u8::from(is_outside));
                }
            }
        }
        for ((factors, outside), count) in self.log_factor.iter_mut().zip(&outside).zip(count) {
            if count < 0.5 {
                continue;
            }
            let gain = GAIN * (count / FULL_COUNT).min(1.0);
            for ((factor, outside), side) in factors.iter_mut().zip(outside).zip(SIDES) {
                let promised = LEVELS[side].min(1.0 - LEVELS[side]);
                *factor += gain * (outside / count - promised);
                *factor = factor.clamp(FACTOR.start().ln(), FACTOR.end().ln());
            }
        }
        while self
            .issued
            .front()
            .is_some_and(|oldest| row + 1 >= oldest.first_row + STEP_COUNT)
        {
            self.issued.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::windows::unit_hash;
    use super::*;

    /// Runs a forecaster whose intervals are `width` times those that would be right and returns
    /// the share of truths inside p05..p95 over the second half.
    fn coverage(width: f32) -> f32 {
        let mut intervals = AdaptiveIntervals::new();
        let (segments, rows) = (40, 800);
        let free_flow = vec![20.0; segments];
        let truth = |row: usize, segment: usize| {
            10.0 + 4.0 * (unit_hash(3, (row * segments + segment) as u64) - 0.5)
        };
        let (mut inside, mut count) = (0.0, 0.0);
        for row in 0..rows {
            intervals.observe(row, |segment| Some(truth(row, segment)));
            let reach = [1.8, 1.6, 0.0, 1.6, 1.8].map(|reach: f32| reach * width);
            let five = [
                10.0 - reach[0],
                10.0 - reach[1],
                10.0,
                10.0 + reach[3],
                10.0 + reach[4],
            ];
            let mut said = vec![SpeedQuantiles::ordered_five(five, 10.0); segments * STEP_COUNT];
            let now: Vec<f32> = (0..segments).map(|segment| truth(row, segment)).collect();
            intervals.issue(row + 1, &now, &free_flow, &mut said);
            assert!(said.iter().all(SpeedQuantiles::is_valid));
            if row >= rows / 2 {
                for segment in 0..segments {
                    let said = &said[segment * STEP_COUNT];
                    let value = truth(row + 1, segment);
                    inside += f32::from(u8::from((said.p05_mps..=said.p95_mps).contains(&value)));
                    count += 1.0;
                }
            }
        }
        inside / count
    }

    #[test]
    fn intervals_too_narrow_or_too_wide_come_to_cover_what_they_promise() {
        for width in [0.3, 1.0, 2.5] {
            let found = coverage(width);
            assert!((found - 0.9).abs() < 0.015, "{width}: {found}");
        }
    }

    #[test]
    fn without_truth_nothing_is_stretched() {
        let mut intervals = AdaptiveIntervals::new();
        let before = SpeedQuantiles::ordered(8.0, 10.0, 12.0, 10.0);
        let mut said = vec![before; STEP_COUNT];
        intervals.observe(4, |_| None);
        intervals.issue(5, &[10.0], &[20.0], &mut said);
        for (found, wanted) in said[3].as_array().into_iter().zip(before.as_array()) {
            assert!((found - wanted).abs() < 1e-4, "{found} {wanted}");
        }
    }
}
