//! Intervals that keep what they promise: quantiles are stretched around the median, more or less
//! as truth arrives.
//!
//! A factor for each side, quantile, step and class of the present ratio to free flow grows when
//! more truths fall outside than promised and shrinks when fewer do: the adaptive level of Gibbs and
//! Candès (2021), "Adaptive conformal inference under distribution shift", in the form that tracks
//! the quantile itself (Angelopoulos, Candès and Tibshirani, 2023, "Conformal PID control for time
//! series prediction"), with a step that is long at first (Angelopoulos, Barber and Bates, 2024,
//! "Online conformal prediction with decaying step sizes"). Memory grows with neither segments nor
//! time.
//!
//! Of all truths one in twenty may lie below p05, but most of these would be congested ones, and of
//! the congested ones far more than one in ten would be missed. So a congested truth that lies below
//! counts as several, as many as it takes that at most `CONGESTED_OUTSIDE` of them lie outside, and
//! p95 gives back what p05 takes: of all truths one in ten lies outside both together. p10 and p90
//! keep their levels each.
//!
//! Backtests and the running engine use the same: whoever issues keeps the [`Stretch`] of that
//! moment with the forecast, gathers [`Misses`] when truths arrive, and learns from them.

use rayon::prelude::*;

use super::snapshot::{Reader, SnapshotError, put_bytes, put_f32s};
use super::{ForecastRequest, LEVELS, RATIO_BIN_COUNT, STEP_COUNT, SpeedQuantiles};
use crate::units::SegmentId;

/// How fast a factor's logarithm follows a surplus of misses, a row of truths (chosen on the
/// validation parts: a surplus of 0.05 widens by a quarter in about 90 rows).
const GAIN: f32 = 0.05;
/// The gain in row `n` of truths is `n` to this power until that is less than [`GAIN`]: a little
/// steeper than the square root, as the last of the papers asks for.
const FIRST_GAINS: f32 = -0.6;
/// Rows after which the gain is [`GAIN`].
const FIRST_ROWS: f32 = 147.0;
/// Cells in one row and class from which on the full gain counts; fewer count in proportion.
const FULL_COUNT: f32 = 32.0;
/// Share of the congested truths that may lie outside p05 to p95 (chosen: less than the 0.15 that is
/// asked for).
const CONGESTED_OUTSIDE: f32 = 0.12;
/// As how many a congested truth below p05 counts at first (chosen on simulated hours of Bologna), and
/// bounds of that.
const FIRST_WEIGHT: f32 = 7.0;
const WEIGHT: std::ops::RangeInclusive<f32> = 1.0..=8.0;
/// How fast the logarithm of that follows a surplus of congested misses, a row of truths (chosen).
const WEIGHT_GAIN: f32 = 0.05;
/// Bounds of a factor.
const FACTOR: std::ops::RangeInclusive<f32> = 0.1..=10.0;
/// Smallest distance of a quantile from the median before stretching, in shares of free flow, so
/// that an interval of no width can grow.
const REACH_MIN: f32 = 0.005;
/// The outer quantiles: index into [`LEVELS`].
const SIDES: [usize; 4] = [0, 1, 3, 4];

/// A number for each step, class of the present ratio and side.
type BySide = Vec<[f32; SIDES.len()]>;

fn cell(step: usize, class: usize) -> usize {
    step * RATIO_BIN_COUNT + class
}

/// Learns how far to stretch the quantiles of one forecaster.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveIntervals {
    /// Logarithm of the factor that each step starts with.
    first: Vec<f32>,
    /// What each cell has learnt itself: logarithm of the factor over the first.
    learnt: BySide,
    /// Rows of truths learnt from, a cell; a row of few truths counts in part.
    rows: Vec<f32>,
    /// As how many a congested truth below p05 counts, as each step has learnt itself: logarithms.
    log_weight: Vec<f32>,
    /// Whether a step has seen a congested truth.
    has_congested: Vec<bool>,
}

/// The factors of one moment. Immutable: it stays with the forecasts that it stretched.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    factor: BySide,
}

/// Truths of one row and how many of them fell outside each quantile.
#[derive(Clone, Debug, PartialEq)]
pub struct Misses {
    outside: BySide,
    count: Vec<f32>,
    /// Congested truths below p05, by step and class.
    congested_below: Vec<f32>,
    /// Congested truths, and those outside p05 to p95, by step.
    congested: Vec<f32>,
    congested_outside: Vec<f32>,
}

impl Default for AdaptiveIntervals {
    fn default() -> Self {
        Self::starting_at(1.0, 0.0)
    }
}

impl AdaptiveIntervals {
    /// Starts with the quantiles as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts with every quantile `first` times as far from the median as it is, and `a_step` times
    /// more with each step.
    pub fn starting_at(first: f32, a_step: f32) -> Self {
        Self::of_steps(STEP_COUNT, (first, a_step), FIRST_WEIGHT)
    }

    /// The same for any number of steps, a congested truth below p05 counting as `weight` at first.
    pub(super) fn of_steps(steps: usize, (first, a_step): (f32, f32), weight: f32) -> Self {
        let factor =
            |step: usize| (first + a_step * step as f32).clamp(*FACTOR.start(), *FACTOR.end());
        Self {
            first: (0..steps).map(|step| factor(step).ln()).collect(),
            learnt: vec![[0.0; SIDES.len()]; steps * RATIO_BIN_COUNT],
            rows: vec![0.0; steps * RATIO_BIN_COUNT],
            log_weight: vec![weight.ln(); steps],
            has_congested: vec![false; steps],
        }
    }

    fn step_count(&self) -> usize {
        self.first.len()
    }

    /// The factors as they stand.
    pub fn stretch(&self) -> Stretch {
        let factor = |(cell, learnt): (usize, &[f32; SIDES.len()])| {
            learnt.map(|learnt| bounded(self.first[cell / RATIO_BIN_COUNT] + learnt).exp())
        };
        Stretch {
            factor: self.learnt.iter().enumerate().map(factor).collect(),
        }
    }

    /// Learns from one row of truths.
    pub fn learn(&mut self, misses: &Misses) {
        debug_assert_eq!(self.step_count(), misses.congested.len());
        for step in 0..self.step_count() {
            self.weigh(step, misses);
            let weight = self.log_weight[step].exp();
            for class in 0..RATIO_BIN_COUNT {
                self.learn_cell(cell(step, class), weight, misses);
            }
            self.follow(step);
        }
    }

    /// What `step` has learnt goes for the next one, too, as long as that has seen no truth itself: in the
    /// first hour the last steps have seen none.
    fn follow(&mut self, step: usize) {
        if step + 1 == self.step_count() {
            return;
        }
        for class in 0..RATIO_BIN_COUNT {
            let next = cell(step + 1, class);
            if self.rows[next] <= 0.0 {
                self.learnt[next] = self.learnt[cell(step, class)];
            }
        }
        if !self.has_congested[step + 1] {
            self.log_weight[step + 1] = self.log_weight[step];
        }
    }

    /// Lets congested truths count more where too many of them were missed.
    fn weigh(&mut self, step: usize, misses: &Misses) {
        let count = misses.congested[step];
        if count >= 0.5 {
            let gain = WEIGHT_GAIN * (count / FULL_COUNT).min(1.0);
            self.has_congested[step] = true;
            let surplus = misses.congested_outside[step] / count - CONGESTED_OUTSIDE;
            let log_weight = &mut self.log_weight[step];
            *log_weight =
                (*log_weight + gain * surplus).clamp(WEIGHT.start().ln(), WEIGHT.end().ln());
        }
    }

    fn learn_cell(&mut self, cell: usize, weight: f32, misses: &Misses) {
        let count = misses.count[cell];
        if count < 0.5 {
            return;
        }
        let [below, near_below, near_above, above] = misses.outside[cell].map(|sum| sum / count);
        let congested_below = misses.congested_below[cell] / count;
        let surplus = [
            (below + (weight - 1.0) * congested_below).min(1.0) - LEVELS[0],
            near_below - LEVELS[1],
            near_above - (1.0 - LEVELS[3]),
            below + above - (LEVELS[0] + 1.0 - LEVELS[4]),
        ];
        let rows = &mut self.rows[cell];
        let share = (count / FULL_COUNT).min(1.0);
        let gain = share * GAIN.max((*rows + 1.0).powf(FIRST_GAINS));
        *rows = (*rows + share).min(FIRST_ROWS);
        let first = self.first[cell / RATIO_BIN_COUNT];
        for (learnt, surplus) in self.learnt[cell].iter_mut().zip(surplus) {
            *learnt = bounded(first + *learnt + gain * surplus) - first;
        }
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        put_f32s(out, &self.first);
        put_f32s(out, self.learnt.as_flattened());
        put_f32s(out, &self.rows);
        put_f32s(out, &self.log_weight);
        let has_congested: Vec<u8> = self
            .has_congested
            .iter()
            .map(|&has| u8::from(has))
            .collect();
        put_bytes(out, &has_congested);
    }

    /// Reads what [`AdaptiveIntervals::snapshot`] appended about so many steps.
    pub(super) fn restore(reader: &mut Reader<'_>, steps: usize) -> Result<Self, SnapshotError> {
        let mut intervals = Self::of_steps(steps, (1.0, 0.0), 1.0);
        intervals.first = reader.f32s(steps)?;
        let learnt = intervals.learnt.as_flattened_mut();
        learnt.copy_from_slice(&reader.f32s(learnt.len())?);
        intervals.rows = reader.f32s(intervals.rows.len())?;
        intervals.log_weight = reader.f32s(steps)?;
        let has_congested = reader.bytes(steps)?;
        intervals.has_congested = has_congested.into_iter().map(|has| has != 0).collect();
        Ok(intervals)
    }
}

/// The logarithm of a factor within its bounds.
fn bounded(log_factor: f32) -> f32 {
    log_factor.clamp(FACTOR.start().ln(), FACTOR.end().ln())
}

impl Default for Stretch {
    /// Leaves quantiles as they are.
    fn default() -> Self {
        AdaptiveIntervals::new().stretch()
    }
}

impl Stretch {
    /// The quantiles of `step` of a segment whose present ratio lies in class `class`, stretched.
    /// `free_flow_mps` bounds from below how near the median they start.
    pub(super) fn of(
        &self,
        step: usize,
        class: usize,
        free_flow_mps: f32,
        said: &SpeedQuantiles,
    ) -> SpeedQuantiles {
        let mut five = said.as_array();
        let median = five[2];
        for (side, factor) in SIDES.into_iter().zip(self.factor[cell(step, class)]) {
            let reach = (five[side] - median).abs().max(REACH_MIN * free_flow_mps) * factor;
            five[side] = if side < 2 {
                median - reach
            } else {
                median + reach
            };
        }
        SpeedQuantiles::ordered_five(five, median)
    }

    /// Stretches the answer to `request`, `STEP_COUNT` quantiles a segment.
    pub fn apply(&self, request: &ForecastRequest, said: &mut [SpeedQuantiles]) {
        said.par_chunks_mut(STEP_COUNT)
            .enumerate()
            .for_each(|(segment, steps)| {
                let class = request.class(SegmentId(segment as u32));
                let free_flow_mps = request.free_flow_mps[segment];
                for (step, said) in steps.iter_mut().enumerate() {
                    *said = self.of(step, class, free_flow_mps, said);
                }
            });
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        put_f32s(out, self.factor.as_flattened());
    }

    /// Reads what [`Stretch::snapshot`] appended about so many steps.
    pub(super) fn restore(reader: &mut Reader<'_>, steps: usize) -> Result<Self, SnapshotError> {
        let mut stretch = AdaptiveIntervals::of_steps(steps, (1.0, 0.0), 1.0).stretch();
        let factors = stretch.factor.as_flattened_mut();
        factors.copy_from_slice(&reader.f32s(factors.len())?);
        Ok(stretch)
    }
}

impl Default for Misses {
    fn default() -> Self {
        Self::of_steps(STEP_COUNT)
    }
}

impl Misses {
    /// Nothing yet, about any number of steps.
    pub(super) fn of_steps(steps: usize) -> Self {
        Self {
            outside: vec![[0.0; SIDES.len()]; steps * RATIO_BIN_COUNT],
            count: vec![0.0; steps * RATIO_BIN_COUNT],
            congested_below: vec![0.0; steps * RATIO_BIN_COUNT],
            congested: vec![0.0; steps],
            congested_outside: vec![0.0; steps],
        }
    }

    /// Counts the truth of one segment for which `said` was issued `step` steps before, when its
    /// ratio lay in class `class`. Nothing is congested where the quantity is no speed.
    pub fn add(
        &mut self,
        step: usize,
        class: usize,
        said: &SpeedQuantiles,
        truth_mps: f32,
        is_congested: bool,
    ) {
        let (cell, five) = (cell(step, class), said.as_array());
        self.count[cell] += 1.0;
        for (sum, side) in self.outside[cell].iter_mut().zip(SIDES) {
            let is_outside = if side < 2 {
                truth_mps < five[side]
            } else {
                truth_mps > five[side]
            };
            *sum += f32::from(u8::from(is_outside));
        }
        if is_congested {
            let (is_below, is_above) = (truth_mps < five[0], truth_mps > five[4]);
            self.congested_below[cell] += f32::from(u8::from(is_below));
            self.congested[step] += 1.0;
            self.congested_outside[step] += f32::from(u8::from(is_below || is_above));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::windows::unit_hash;
    use super::*;

    /// Runs a forecaster whose intervals are `width` times those that would be right, and returns
    /// the share of truths inside p05..p95 over `rows`.
    fn coverage(width: f32, counted: std::ops::Range<usize>) -> f32 {
        let mut intervals = AdaptiveIntervals::new();
        let segments = 40;
        let truth = |row: usize, segment: usize| {
            10.0 + 4.0 * (unit_hash(3, (row * segments + segment) as u64) - 0.5)
        };
        let [far, near] = [1.8, 1.6].map(|reach: f32| reach * width);
        let five = [10.0 - far, 10.0 - near, 10.0, 10.0 + near, 10.0 + far];
        let raw = SpeedQuantiles::ordered_five(five, 10.0);
        let (mut inside, mut count) = (0.0, 0.0);
        for row in 0..counted.end {
            let said = intervals.stretch().of(0, 2, 20.0, &raw);
            assert!(said.is_valid());
            let mut misses = Misses::default();
            for segment in 0..segments {
                let value = truth(row, segment);
                misses.add(0, 2, &said, value, false);
                if counted.contains(&row) {
                    inside += f32::from(u8::from((said.p05_mps..=said.p95_mps).contains(&value)));
                    count += 1.0;
                }
            }
            intervals.learn(&misses);
        }
        inside / count
    }

    #[test]
    fn intervals_too_narrow_or_too_wide_come_to_cover_what_they_promise() {
        for width in [0.3, 1.0, 2.5] {
            let found = coverage(width, 400..800);
            assert!((found - 0.9).abs() < 0.015, "{width}: {found}");
        }
    }

    #[test]
    fn the_first_rows_count_most() {
        // With the last gain from the beginning, two dozen rows would widen them by a third.
        let (early, late) = (coverage(0.5, 0..2), coverage(0.5, 12..24));
        assert!(early < 0.7 && late > 0.8, "{early} {late}");
    }

    #[test]
    fn without_truth_nothing_is_stretched() {
        let mut intervals = AdaptiveIntervals::new();
        intervals.learn(&Misses::default());
        let before = SpeedQuantiles::ordered(8.0, 10.0, 12.0, 10.0);
        let after = intervals.stretch().of(3, 1, 20.0, &before);
        for (found, wanted) in after.as_array().into_iter().zip(before.as_array()) {
            assert!((found - wanted).abs() < 1e-4, "{found} {wanted}");
        }
    }

    #[test]
    fn a_rare_jam_is_held_too_and_the_whole_stays_as_wide_as_promised() {
        let mut intervals = AdaptiveIntervals::new();
        let segments = 200;
        // One in thirteen is congested, between 2 and 8 m/s; the others lie between 14 and 22.
        let truth = |row: usize, segment: usize| {
            let at = (row * segments + segment) as u64;
            let place = unit_hash(5, at);
            match unit_hash(4, at) < 1.0 / 13.0 {
                true => 2.0 + 6.0 * place,
                false => 14.0 + 8.0 * place,
            }
        };
        let raw = SpeedQuantiles::ordered(15.0, 18.0, 21.0, 18.0);
        let (mut inside, mut congested, mut congested_inside) = (0.0, 0.0, 0.0);
        for row in 0..1_200 {
            let said = intervals.stretch().of(0, 4, 20.0, &raw);
            let mut misses = Misses::default();
            for segment in 0..segments {
                let value = truth(row, segment);
                let is_congested = value < 12.0;
                misses.add(0, 4, &said, value, is_congested);
                if row >= 600 {
                    let is_inside = (said.p05_mps..=said.p95_mps).contains(&value);
                    let is_inside = f32::from(u8::from(is_inside));
                    inside += is_inside / (600 * segments) as f32;
                    congested += f32::from(u8::from(is_congested));
                    congested_inside += is_inside * f32::from(u8::from(is_congested));
                }
            }
            intervals.learn(&misses);
        }
        assert!((inside - 0.9).abs() < 0.01, "{inside}");
        let congested_inside = congested_inside / congested;
        assert!(
            (0.85..0.95).contains(&congested_inside),
            "{congested_inside}"
        );
    }

    #[test]
    fn a_step_without_truths_follows_the_step_before_and_later_its_own() {
        let mut intervals = AdaptiveIntervals::starting_at(1.0, 0.05);
        let said = SpeedQuantiles::ordered(9.0, 10.0, 11.0, 10.0);
        let reach = |intervals: &AdaptiveIntervals, step: usize| {
            intervals.stretch().of(step, 2, 20.0, &said).p90_mps - 10.0
        };
        let mut learn = |step: usize, truth_mps: f32, rows: usize| {
            for _ in 0..rows {
                let mut misses = Misses::default();
                (0..40).for_each(|_| misses.add(step, 2, &said, truth_mps, false));
                intervals.learn(&misses);
            }
            [0, 1, 2].map(|step| reach(&intervals, step))
        };
        let [first, second, third] = learn(0, 20.0, 1);
        assert!(first > 1.5, "{first}");
        // Nothing is known of them but what they start with.
        assert!((second / first - 1.05).abs() < 1e-3, "{first} {second}");
        assert!((third / first - 1.1).abs() < 1e-3, "{first} {third}");
        // Truths that lie inside make the second narrow, whatever the first says.
        let [after, narrow, _] = learn(1, 10.0, 60);
        assert!(
            (after - first).abs() < 1e-6 && narrow < 0.6 * first,
            "{narrow} {first}"
        );
    }

    #[test]
    fn one_class_learns_nothing_of_another() {
        let mut intervals = AdaptiveIntervals::starting_at(1.5, 0.1);
        let said = SpeedQuantiles::ordered(9.0, 10.0, 11.0, 10.0);
        let mut misses = Misses::default();
        for _ in 0..40 {
            misses.add(2, 4, &said, 20.0, false);
        }
        intervals.learn(&misses);
        let stretch = intervals.stretch();
        assert!(stretch.of(2, 4, 20.0, &said).p90_mps > 12.0);
        assert!((stretch.of(2, 3, 20.0, &said).p90_mps - 11.7).abs() < 1e-4);
        assert!((stretch.of(1, 4, 20.0, &said).p90_mps - 11.6).abs() < 1e-4);
    }
}
