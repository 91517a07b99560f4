//! Learns from truths what is left of deviations, how far truths scatter and how wide intervals must
//! be. Backtests and the running engine use the same.

use std::sync::Arc;

use super::super::intervals::{AdaptiveIntervals, Misses};
use super::super::least_squares::Products;
use super::super::snapshot::{Reader, SnapshotError, put_f32s};
use super::super::spread::{CELLS, cell_of};
use super::super::{STEP_MS, SpeedQuantiles};
use super::formula::{default_shares, first_spread, row};
use super::known::{DEVIATION_COUNT, Known};
use super::{CELL_COUNT, Formula, HALF_HOUR_COUNT, MARKS_PER_ROW, OutlookSpeaker};

/// Rows of truths in two weeks: how long is remembered, to 1/e (chosen: on the
/// validation parts the errors of a week and of a month differ by less than 2 %).
const ROWS_REMEMBERED: f64 = (14 * 86_400_000) as f64 / (MARKS_PER_ROW as i64 * STEP_MS) as f64;
/// Squared deviation, in shares of free flow, that the default weighs as much as, as in `fading`.
const PRIOR_SQUARE: f64 = 1.0;
/// As how many a congested truth below p05 counts at first (chosen on the validation part of losloop).
const FIRST_WEIGHT: f32 = 3.0;
const SPEAKER_COUNT: usize = OutlookSpeaker::ALL.len();

/// Sums over the truths so far, older ones counting less, and what is learnt from them.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Learning {
    /// `[half hour][class]`.
    products: [[Products<DEVIATION_COUNT>; CELL_COUNT]; HALF_HOUR_COUNT],
    /// Errors by size, `CELLS` counts in the order of [`row`].
    spread: Vec<f32>,
    /// By speaker.
    intervals: Vec<AdaptiveIntervals>,
    /// Of the row under way, by speaker.
    misses: Vec<Misses>,
    formula: Arc<Formula>,
}

impl Default for Learning {
    fn default() -> Self {
        let intervals = vec![
            AdaptiveIntervals::of_steps(HALF_HOUR_COUNT, (1.0, 0.0), FIRST_WEIGHT);
            SPEAKER_COUNT
        ];
        let products = [[Products::default(); CELL_COUNT]; HALF_HOUR_COUNT];
        let spread = first_spread();
        Self {
            formula: Arc::new(formula(&products, &spread, &intervals)),
            products,
            spread,
            intervals,
            misses: no_misses(),
        }
    }
}

fn no_misses() -> Vec<Misses> {
    vec![Misses::of_steps(HALF_HOUR_COUNT); SPEAKER_COUNT]
}

fn formula(
    products: &[[Products<DEVIATION_COUNT>; CELL_COUNT]; HALF_HOUR_COUNT],
    spread: &[f32],
    intervals: &[AdaptiveIntervals],
) -> Formula {
    let shares = |half: usize, cell: usize| {
        let shares = products[half][cell].towards(default_shares(half), PRIOR_SQUARE);
        shares.map(|share| share.clamp(-1.0, 1.0) as f32)
    };
    Formula::of(shares, spread, intervals)
}

impl Learning {
    /// What is learnt so far.
    pub(in super::super) fn formula(&self) -> &Arc<Formula> {
        &self.formula
    }

    /// Begins a row of truths: what came before counts a little less.
    pub(in super::super) fn begin_row(&mut self) {
        let keep = 1.0 - 1.0 / ROWS_REMEMBERED;
        let products = self.products.as_flattened_mut();
        products.iter_mut().for_each(|sums| sums.fade(keep));
        let counts = self.spread.iter_mut();
        counts.for_each(|count| *count *= keep as f32);
        self.misses = no_misses();
    }

    /// Takes the truth of half hour `half` of a segment of which `known` was known when `formula`
    /// spoke, and returns what every speaker had said, by [`OutlookSpeaker`].
    pub(in super::super) fn add(
        &mut self,
        formula: &Formula,
        half: usize,
        known: &Known,
        truth_mps: f32,
        is_congested: bool,
    ) -> [SpeedQuantiles; SPEAKER_COUNT] {
        let class = known.class();
        let cell = known.cell(class, half);
        let later = (truth_mps - known.usual_mps[half]) / known.free_flow_mps;
        self.products[half][cell].add(known.deviations, later);
        OutlookSpeaker::ALL.map(|speaker| {
            let said = formula.say(speaker, half, known);
            let error = (truth_mps - said.p50_mps) / known.free_flow_mps;
            self.spread[row(speaker, half, cell) * CELLS + cell_of(error)] += 1.0;
            let misses = &mut self.misses[speaker as usize];
            misses.add(half, class, &said, truth_mps, is_congested);
            said
        })
    }

    /// Learns from the row.
    pub(in super::super) fn finish_row(&mut self) {
        for (intervals, misses) in self.intervals.iter_mut().zip(&self.misses) {
            intervals.learn(misses);
        }
        self.misses = no_misses();
        self.renew();
    }

    fn renew(&mut self) {
        self.formula = Arc::new(formula(&self.products, &self.spread, &self.intervals));
    }

    /// Appends what is remembered between two rows.
    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        let products = self.products.as_flattened().iter();
        products.for_each(|sums| sums.snapshot(out));
        put_f32s(out, &self.spread);
        let intervals = self.intervals.iter();
        intervals.for_each(|intervals| intervals.snapshot(out));
    }

    pub(super) fn restore(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut learning = Self::default();
        for sums in learning.products.as_flattened_mut() {
            *sums = Products::restore(reader)?;
        }
        learning.spread = reader.f32s(learning.spread.len())?;
        for intervals in &mut learning.intervals {
            *intervals = AdaptiveIntervals::restore(reader, HALF_HOUR_COUNT)?;
        }
        learning.renew();
        Ok(learning)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::windows::unit_hash;
    use super::*;

    /// A segment of 20 m/s that is usually at 12 and now at `now_mps` for all of its past.
    fn known(now_mps: f32) -> Known {
        let deviation = (now_mps - 12.0) / 20.0;
        Known {
            now_mps,
            free_flow_mps: 20.0,
            deviations: [deviation, deviation, deviation, 0.0],
            usual_mps: [12.0; HALF_HOUR_COUNT],
        }
    }

    /// Rows of truths that keep `left` of the present deviation and scatter by `noise_mps` to each
    /// side; returns the share of the last third of them inside p05 to p95.
    fn teach(learning: &mut Learning, left: f32, noise_mps: f32) -> f32 {
        let (rows, segments) = (300, 40);
        let (mut inside, mut count) = (0.0, 0.0);
        for at_row in 0..rows {
            let formula = Arc::clone(learning.formula());
            learning.begin_row();
            for segment in 0..segments {
                let at = (at_row * segments + segment) as u64;
                let now = known(12.0 + 6.0 * (unit_hash(1, at) - 0.5));
                let noise_mps = 2.0 * noise_mps * (unit_hash(2, at) - 0.5);
                let truth_mps = 12.0 + left * (now.now_mps - 12.0) + noise_mps;
                let said = learning.add(&formula, 1, &now, truth_mps, false)[0];
                assert!(said.is_valid());
                if at_row >= 2 * rows / 3 {
                    count += 1.0;
                    inside +=
                        f32::from(u8::from((said.p05_mps..=said.p95_mps).contains(&truth_mps)));
                }
            }
            learning.finish_row();
        }
        inside / count
    }

    #[test]
    fn before_anything_is_learnt_some_of_a_deviation_is_left_and_less_with_time() {
        let formula = Arc::clone(Learning::default().formula());
        let medians: Vec<f32> = (0..HALF_HOUR_COUNT)
            .map(|half| {
                formula
                    .say(OutlookSpeaker::Outlook, half, &known(6.0))
                    .p50_mps
            })
            .collect();
        assert!(medians.is_sorted(), "{medians:?}");
        assert!(medians[0] > 6.0 && medians[3] < 12.0, "{medians:?}");
        for speaker in OutlookSpeaker::ALL {
            assert!(formula.say(speaker, 3, &known(6.0)).is_valid());
        }
        let said = |speaker| formula.say(speaker, 0, &known(6.0)).p50_mps;
        assert!((said(OutlookSpeaker::LastValue) - 6.0).abs() < 1e-6);
        assert!((said(OutlookSpeaker::Profile) - 12.0).abs() < 1e-6);
        let residual_mps = 12.0 - 6.0 * 0.9f32.powi(15);
        assert!((said(OutlookSpeaker::ProfileResidual) - residual_mps).abs() < 1e-4);
    }

    #[test]
    fn what_is_left_and_how_far_truths_scatter_is_learnt_where_it_was_seen() {
        let mut learning = Learning::default();
        let first = Arc::clone(learning.formula());
        let held = teach(&mut learning, 0.8, 1.0);
        assert!((held - 0.9).abs() < 0.03, "{held}");
        let learnt = learning.formula();
        let said = learnt.say(OutlookSpeaker::Outlook, 1, &known(10.0));
        assert!((said.p50_mps - (12.0 - 0.8 * 2.0)).abs() < 0.1, "{said:?}");
        assert!(said.p95_mps - said.p05_mps < 2.2, "{said:?}");
        // Nothing is known of a present jam, nor what is left in another half hour; how wide intervals must
        // be is taken over until that is known.
        let of = |formula: &Formula, half, now_mps| {
            formula.say(OutlookSpeaker::Outlook, half, &known(now_mps))
        };
        let jam = [learnt, &first].map(|formula| of(formula, 1, 3.0).as_array());
        for (found, wanted) in jam[0].into_iter().zip(jam[1]) {
            assert!((found - wanted).abs() < 1e-4, "{found} {wanted}");
        }
        let [later, wanted] = [learnt, &first].map(|formula| of(formula, 2, 10.0));
        assert!(
            (later.p50_mps - wanted.p50_mps).abs() < 1e-4,
            "{later:?} {wanted:?}"
        );
    }

    #[test]
    fn what_is_learnt_survives_a_restart() {
        let mut learning = Learning::default();
        teach(&mut learning, 0.5, 2.0);
        let mut bytes = 1u32.to_le_bytes().to_vec();
        learning.snapshot(&mut bytes);
        learning.formula().snapshot(&mut bytes);
        let mut reader = Reader::new(&bytes, 1).unwrap();
        assert_eq!(Learning::restore(&mut reader).as_ref(), Ok(&learning));
        let formula = Formula::restore(&mut reader);
        assert_eq!(formula.as_ref(), Ok(&**learning.formula()));
        assert_eq!(reader.finish(), Ok(()));
    }
}
