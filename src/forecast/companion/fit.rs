//! Fits companion regressions to the past, as a whole and without each of its parts.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::super::least_squares::NormalEquations;
use super::super::{RoadGraph, STEP_COUNT};
use super::moments::Moments;
use super::{
    COMMON_COUNT, COMPANION_COUNT, CompanionRegression, INPUT_COUNT, NOBODY, OWN_COUNT, Weights,
    gather,
};

/// Nearest segments among which companions are looked for.
const CANDIDATE_COUNT: usize = 128;
/// Steps whose unexplained rests choose the companions.
const SCREENED_STEPS: [usize; 5] = [0, 1, 2, 5, 11];
/// Penalties on weights for deviations standardised by the scatter: on the segment's own (a small one,
/// because profiles of near steps are almost the same and their difference tells something), on common
/// factors, and on companions; and the factors that the last two are tried with, ascending. Chosen on
/// validation parts.
const PENALTIES: [f64; 3] = [0.03, 30.0, 1000.0];
const OTHER_FACTORS: [f64; 6] = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0];
const TRIED: usize = OTHER_FACTORS.len();
/// Penalty in the regression on the segment's own hour whose rests choose the companions.
const SCREENING_PENALTY: f64 = 3.0;
/// Segments that choose the factors, at most.
const CHOOSING_COUNT: usize = 64;
/// Parts of the past, each foretold by regressions on the others.
const FOLD_COUNT: usize = 5;
/// Rows below which a segment has too little past: two days.
const ROWS_MIN: usize = 576;

/// Regressions on the whole past, and on the past without each of its parts.
#[derive(Debug)]
pub(in crate::forecast) struct Fits {
    pub(in crate::forecast) whole: Arc<CompanionRegression>,
    pub(in crate::forecast) without: Vec<Arc<CompanionRegression>>,
}

impl Moments {
    /// Fits every segment.
    pub(in crate::forecast) fn fit(&self, graph: &RoadGraph) -> Fits {
        let companions: Vec<[u32; COMPANION_COUNT]> = (0..self.traits.len())
            .into_par_iter()
            .map(|segment| self.companions(graph, segment)[FOLD_COUNT])
            .collect();
        let factors = self.choose_factors(graph);
        let fits: Vec<Vec<Option<Box<Weights>>>> = (0..self.traits.len())
            .into_par_iter()
            .map(|segment| {
                let sums = self.sums(segment, &companions[segment]);
                (0..=FOLD_COUNT)
                    .map(|without| {
                        let all = merged(&sums, without)?;
                        let mut chosen = [[0.0; STEP_COUNT]; INPUT_COUNT];
                        for tried in (0..TRIED).filter(|tried| factors.contains(tried)) {
                            let solved = all.solve(&penalties(OTHER_FACTORS[tried]));
                            let steps = 0..STEP_COUNT;
                            for step in steps.filter(|&step| factors[step] == tried) {
                                let of_step = &solved[step * INPUT_COUNT..][..INPUT_COUNT];
                                for (weights, &solved) in chosen.iter_mut().zip(of_step) {
                                    weights[step] = solved as f32;
                                }
                            }
                        }
                        Some(Box::new(Weights::new(&chosen)))
                    })
                    .collect()
            })
            .collect();
        let companions = Arc::new(companions);
        let regression = |without: usize| {
            Arc::new(CompanionRegression {
                companions: Arc::clone(&companions),
                weights: fits.iter().map(|fits| fits[without].clone()).collect(),
            })
        };
        Fits {
            whole: regression(FOLD_COUNT),
            without: (0..FOLD_COUNT).map(regression).collect(),
        }
    }

    fn inputs(
        &self,
        moment: usize,
        segment: usize,
        companions: &[u32; COMPANION_COUNT],
    ) -> [f64; INPUT_COUNT] {
        let mut inputs = [0.0; INPUT_COUNT];
        gather(
            &mut inputs,
            &self.own(moment, segment),
            &self.common[moment],
            companions,
            |other| self.signals(moment, other),
        );
        inputs
    }

    /// The best foretellers of what the segment's own hour leaves unexplained: by the past without each
    /// of its parts, and last by all of it.
    fn companions(
        &self,
        graph: &RoadGraph,
        segment: usize,
    ) -> [[u32; COMPANION_COUNT]; FOLD_COUNT + 1] {
        let candidates = graph.nearest(segment, CANDIDATE_COUNT);
        let own = |moment: usize| self.own(moment, segment).map(f64::from);
        let later = |moment: usize| SCREENED_STEPS.map(|step| self.later(moment, segment, step));
        let mut sums = NormalEquations::new(OWN_COUNT, SCREENED_STEPS.len());
        for moment in 0..self.rows.len() {
            sums.add(&own(moment), &later(moment).map(f64::from));
        }
        let weights = sums.solve(&[SCREENING_PENALTY; OWN_COUNT]);
        let mut products = vec![[Products::default(); FOLD_COUNT]; candidates.len()];
        for moment in 0..self.rows.len() {
            let own = own(moment);
            let later = later(moment);
            let rests: [f32; SCREENED_STEPS.len()] = std::array::from_fn(|step| {
                let weights = &weights[step * OWN_COUNT..][..OWN_COUNT];
                let said: f64 = weights.iter().zip(own).map(|(w, x)| w * x).sum();
                let rest = later[step] - said as f32;
                if rest.is_nan() { 0.0 } else { rest }
            });
            let fold = self.fold(moment);
            for (products, &candidate) in products.iter_mut().zip(&candidates) {
                products[fold].add(self.newest(moment, candidate as usize), rests);
            }
        }
        std::array::from_fn(|without| {
            let scored = products
                .iter()
                .zip(&candidates)
                .map(|(products, &candidate)| {
                    let folds = products.iter().enumerate();
                    let others = folds.filter(|&(fold, _)| fold != without);
                    let score = others
                        .fold(Products::default(), |sum, (_, of)| sum.plus(of))
                        .score();
                    (score, candidate)
                });
            let mut scored: Vec<(f32, u32)> = scored.collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let mut chosen = [NOBODY; COMPANION_COUNT];
            for (chosen, (score, candidate)) in chosen.iter_mut().zip(scored) {
                if score > 0.0 {
                    *chosen = candidate;
                }
            }
            chosen
        })
    }

    /// The part of the past that a moment belongs to.
    fn fold(&self, moment: usize) -> usize {
        fold_of(&self.rows, self.rows.start + moment)
    }

    /// Sums over each part of the past; nothing where there is too little.
    fn sums(&self, segment: usize, companions: &[u32; COMPANION_COUNT]) -> Vec<NormalEquations> {
        let known = (0..self.rows.len())
            .filter(|&moment| !self.later(moment, segment, 0).is_nan())
            .count();
        if known < ROWS_MIN {
            return Vec::new();
        }
        let mut sums = vec![NormalEquations::new(INPUT_COUNT, STEP_COUNT); FOLD_COUNT];
        for moment in 0..self.rows.len() {
            let later: [f64; STEP_COUNT] =
                std::array::from_fn(|step| self.later(moment, segment, step).into());
            sums[self.fold(moment)].add(&self.inputs(moment, segment, companions), &later);
        }
        sums
    }

    /// For each step which of the tried factors is taken: the largest whose error is not clearly above the
    /// least, that is by no more than one standard error over the parts of the past (Breiman, Friedman,
    /// Olshen and Stone, 1984, section 3.4.3). Moments are foretold from the other parts alone, companions
    /// included: who chose them with the moment in sight would believe them too much.
    fn choose_factors(&self, graph: &RoadGraph) -> [usize; STEP_COUNT] {
        let segments = self.traits.len();
        let stride = segments.div_ceil(CHOOSING_COUNT).max(1);
        let chosen: Vec<usize> = (0..segments).step_by(stride).collect();
        let errors: Vec<FoldErrors> = chosen
            .into_par_iter()
            .map(|segment| self.fold_errors(graph, segment))
            .collect();
        std::array::from_fn(|step| {
            let of_folds: [[f64; FOLD_COUNT]; TRIED] = std::array::from_fn(|tried| {
                std::array::from_fn(|fold| errors.iter().map(|e| e[fold][tried][step]).sum())
            });
            largest_not_worse(&of_folds)
        })
    }

    /// Sums of absolute errors in shares of free flow.
    fn fold_errors(&self, graph: &RoadGraph, segment: usize) -> FoldErrors {
        let companions = self.companions(graph, segment);
        let scatter = f64::from(self.traits[segment].scatter);
        let mut errors = FoldErrors::default();
        for (fold, companions) in companions[..FOLD_COUNT].iter().enumerate() {
            let sums = self.sums(segment, companions);
            let Some(others) = merged(&sums, fold) else {
                continue;
            };
            let solved = OTHER_FACTORS.map(|factor| others.solve(&penalties(factor)));
            for moment in (0..self.rows.len()).filter(|&moment| self.fold(moment) == fold) {
                let inputs = self.inputs(moment, segment, companions);
                let later: [f32; STEP_COUNT] =
                    std::array::from_fn(|step| self.later(moment, segment, step));
                for (weights, errors) in solved.iter().zip(&mut errors[fold]) {
                    let steps = weights.chunks_exact(INPUT_COUNT).zip(later);
                    for (error, (weights, later)) in errors.iter_mut().zip(steps) {
                        if !later.is_nan() {
                            let said: f64 = weights.iter().zip(inputs).map(|(w, x)| w * x).sum();
                            *error += scatter * (f64::from(later) - said).abs();
                        }
                    }
                }
            }
        }
        errors
    }
}

/// Errors by part of the past, factor and step.
type FoldErrors = [[[f64; STEP_COUNT]; TRIED]; FOLD_COUNT];

/// How a candidate's newest lag and short level go with what a segment's own hour leaves unexplained.
#[derive(Clone, Copy, Debug, Default)]
struct Products {
    /// Products with each rest, by signal, and the signals' squares.
    with_rest: [[f32; SCREENED_STEPS.len()]; 2],
    square: [f32; 2],
}

impl Products {
    fn add(&mut self, signals: [f32; 2], rests: [f32; SCREENED_STEPS.len()]) {
        for (of, signal) in signals.into_iter().enumerate() {
            self.square[of] += signal * signal;
            for (product, rest) in self.with_rest[of].iter_mut().zip(rests) {
                *product += signal * rest;
            }
        }
    }

    fn plus(mut self, other: &Self) -> Self {
        for of in 0..2 {
            self.square[of] += other.square[of];
            for (sum, more) in self.with_rest[of].iter_mut().zip(other.with_rest[of]) {
                *sum += more;
            }
        }
        self
    }

    /// The variance that the signals explain alone, added up.
    fn score(&self) -> f32 {
        let of_signal = self.with_rest.iter().zip(self.square);
        let explained = of_signal.map(|(products, square)| {
            products.iter().map(|p| p * p).sum::<f32>() / square.max(1.0)
        });
        explained.sum()
    }
}

/// The part of the past `rows` that a row belongs to.
pub(in crate::forecast) fn fold_of(rows: &Range<usize>, row: usize) -> usize {
    let place = row.saturating_sub(rows.start);
    (place * FOLD_COUNT / rows.len().max(1)).min(FOLD_COUNT - 1)
}

/// All sums but those of one part.
fn merged(sums: &[NormalEquations], without: usize) -> Option<NormalEquations> {
    let mut all = NormalEquations::new(INPUT_COUNT, STEP_COUNT);
    for (fold, sums) in sums.iter().enumerate() {
        if fold != without {
            all.merge(sums);
        }
    }
    (!sums.is_empty()).then_some(all)
}

/// The last of several, each with the errors of the parts of the past, whose mean error is at most a
/// standard error of the difference above that of the best.
fn largest_not_worse(errors: &[[f64; FOLD_COUNT]]) -> usize {
    let total = |tried: &usize| errors[*tried].iter().sum::<f64>();
    let best = (0..errors.len()).min_by(|a, b| total(a).total_cmp(&total(b)));
    let best = best.unwrap_or(0);
    let is_worse = |tried: &usize| {
        let more = errors[*tried]
            .iter()
            .zip(errors[best])
            .map(|(of, least)| of - least);
        let more: Vec<f64> = more.collect();
        let count = more.len() as f64;
        let mean = more.iter().sum::<f64>() / count;
        let variance = more.iter().map(|of| (of - mean).powi(2)).sum::<f64>() / (count - 1.0);
        mean > (variance / count).sqrt()
    };
    let mut others = (best..errors.len()).rev();
    others.find(|tried| !is_worse(tried)).unwrap_or(best)
}

fn penalties(factor: f64) -> [f64; INPUT_COUNT] {
    std::array::from_fn(|input| match input {
        input if input < OWN_COUNT => PENALTIES[0],
        input if input < OWN_COUNT + COMMON_COUNT => factor * PENALTIES[1],
        _ => factor * PENALTIES[2],
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{ROWS, SEGMENTS, deviation, request, traits};
    use super::super::{LAG_COUNT, Moment};
    use super::*;

    fn fit() -> Fits {
        let rows = LAG_COUNT - 1..ROWS - 100;
        let past = Moments::gather(rows, &traits(), &request, &deviation);
        past.fit(&RoadGraph::from_edges(SEGMENTS, &[(1, 2, 1.0)]))
    }

    #[test]
    fn a_segment_that_follows_another_is_foretold_by_it() {
        let fits = fit();
        assert_eq!(fits.whole.companions[1][0], 9);
        assert!(!fits.whole.companions[1].contains(&1));
        // Moments that no regression has seen.
        let mut errors = [0.0f32; 2];
        let mut spread = [0.0f32; 2];
        for newest in ROWS - 100..ROWS - STEP_COUNT {
            let request = request(newest);
            let moment = Moment::new(&request, &traits());
            let said = fits.whole.foretell(&request, &traits(), &moment);
            for step in 0..2 {
                let truth = deviation(newest + 1 + step, 1).unwrap();
                errors[step] += (said[1].unwrap()[step] - truth).abs();
                spread[step] += truth.abs();
            }
        }
        assert!(errors[0] < 0.3 * spread[0], "{errors:?} {spread:?}");
        // Two steps ahead nothing is known, and little is pretended.
        assert!(errors[1] < 1.1 * spread[1], "{errors:?} {spread:?}");
    }

    #[test]
    fn the_largest_penalty_that_is_not_clearly_worse_is_taken() {
        let near = [10.1, 9.9, 10.2, 9.9, 10.0];
        assert_eq!(
            largest_not_worse(&[[12.0; 5], [10.0; 5], near, [10.5; 5]]),
            2
        );
        assert_eq!(largest_not_worse(&[[12.0; 5], [10.0; 5], [10.1; 5]]), 1);
        assert_eq!(largest_not_worse(&[[0.0; 5]; 3]), 2);
    }

    #[test]
    fn too_little_past_foretells_nothing() {
        let fits = fit();
        let request = request(100);
        let said = fits
            .whole
            .foretell(&request, &traits(), &Moment::new(&request, &traits()));
        let unknown: Vec<usize> = (0..SEGMENTS).filter(|&at| said[at].is_none()).collect();
        assert_eq!(unknown, [5]);
    }

    #[test]
    fn each_part_is_foretold_without_itself_and_threads_change_nothing() {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(fit)
        };
        let (alone, many) = (run(1), run(3));
        assert_eq!(alone.whole, many.whole);
        assert_eq!(alone.without, many.without);
        assert_eq!(alone.without.len(), FOLD_COUNT);
        assert!(alone.without.iter().all(|one| *one != alone.whole));
        assert_ne!(alone.without[0], alone.without[1]);
        let rows = 11..811;
        let folds: Vec<usize> = [11, 170, 171, 810, 5_000]
            .into_iter()
            .map(|row| fold_of(&rows, row))
            .collect();
        assert_eq!(folds, [0, 0, 1, FOLD_COUNT - 1, FOLD_COUNT - 1]);
    }
}
