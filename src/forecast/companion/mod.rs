//! What a segment's own past says about its next hour: for each segment and step a linear regression
//! on its last hour, its profile, the common factors and the latest of a few companions.
//!
//! Companions are the segments that foretell best what the segment's own hour leaves unexplained, by
//! marginal correlation (Fan and Lv, 2008, "Sure independence screening for ultrahigh dimensional
//! feature space"), looked for among the nearest in the road graph, so that cost is linear in
//! segments. Like profile and loadings all this is learnt from the segment's past and not by any
//! network, so a segment that no network was trained on has it too. A network learns from what was
//! foretold of each training moment by regressions that had not seen that part of the past (Wolpert,
//! 1992, "Stacked generalization"); the penalties are those best by the same measure.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::least_squares::NormalEquations;
use super::low_rank::{self, FACTOR_COUNT, SegmentTraits};
use super::request::{LONG_LAGS, SHORT_LAGS};
use super::{ForecastRequest, LAG_COUNT, RoadGraph, STEP_COUNT};

/// Companions of a segment (chosen on yinchuan's validation part: 4 lose 0.3 %, 16 gain nothing).
const COMPANION_COUNT: usize = 8;
/// Nearest segments among which companions are looked for.
const CANDIDATE_COUNT: usize = 128;
/// What is read of a companion: its last three lags and its levels over the quarter and the hour.
const SIGNAL_COUNT: usize = 5;
/// Steps whose profile is read.
const PROFILE_STEPS: [usize; 3] = [0, 5, 11];
/// What is read of the segment itself: lags, profile now and then, a constant.
const OWN_COUNT: usize = LAG_COUNT + 1 + PROFILE_STEPS.len() + 1;
const COMMON_COUNT: usize = 2 * FACTOR_COUNT;
const INPUT_COUNT: usize = OWN_COUNT + COMMON_COUNT + COMPANION_COUNT * SIGNAL_COUNT;

/// Steps whose unexplained rests choose the companions.
const SCREENED_STEPS: [usize; 5] = [0, 1, 2, 5, 11];
/// Penalties on weights of the segment's own, of common factors, and of companions, for deviations
/// standardised by the scatter (chosen on yinchuan's validation part), and what they are tried with.
const PENALTIES: [f64; 3] = [3.0, 30.0, 1000.0];
const PENALTY_FACTORS: [f64; 5] = [0.3, 1.0, 3.0, 10.0, 30.0];
/// Segments that choose the factors, at most.
const CHOOSING_COUNT: usize = 64;
/// Parts of the past, each foretold by regressions on the others.
pub(super) const FOLD_COUNT: usize = 5;
/// Rows below which a segment has too little past: two days.
const ROWS_MIN: usize = 576;
/// Standardised deviations beyond this are cut.
const STANDARD_MAX: f32 = 8.0;
const NOBODY: u32 = u32::MAX;

/// Levels and common factors of one moment, and what regressions read of it.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// Level over the quarter and over the hour with their weights, in shares of free flow.
    pub(super) levels: Vec<[f32; 4]>,
    /// Common factors and mean deviation, over the quarter and over the hour.
    pub(super) common: [([f32; FACTOR_COUNT], f32); 2],
}

impl Moment {
    pub(super) fn new(request: &ForecastRequest, traits: &[SegmentTraits]) -> Self {
        let levels: Vec<[f32; 4]> = (0..request.segment_count())
            .into_par_iter()
            .with_min_len(4_096)
            .map(|segment| {
                let (short, short_weight) = request.level(segment, SHORT_LAGS);
                let (long, long_weight) = request.level(segment, LONG_LAGS);
                [short, short_weight, long, long_weight]
            })
            .collect();
        let short = levels.iter().map(|level| (level[0], level[1]));
        let long = levels.iter().map(|level| (level[2], level[3]));
        let common = [
            low_rank::scores(traits, short),
            low_rank::scores(traits, long),
        ];
        Self { levels, common }
    }

    fn signals(
        &self,
        request: &ForecastRequest,
        traits: &[SegmentTraits],
        segment: usize,
    ) -> [f32; SIGNAL_COUNT] {
        let lags = request.carried_residuals(segment);
        let [short, _, long, _] = self.levels[segment];
        [lags[0], lags[1], lags[2], short, long]
            .map(|deviation| standard(deviation, &traits[segment]))
    }

    fn common_inputs(&self) -> [f32; COMMON_COUNT] {
        std::array::from_fn(|index| self.common[index / FACTOR_COUNT].0[index % FACTOR_COUNT])
    }
}

fn standard(deviation: f32, traits: &SegmentTraits) -> f32 {
    (deviation / traits.scatter).clamp(-STANDARD_MAX, STANDARD_MAX)
}

fn own_inputs(
    request: &ForecastRequest,
    traits: &[SegmentTraits],
    segment: usize,
) -> [f32; OWN_COUNT] {
    let lags = request.carried_residuals(segment);
    let scale = 1.0 / request.unhindered_mps(segment);
    let profile = |step: usize| scale * request.profile_mps[segment * STEP_COUNT + step];
    let mut inputs = [1.0; OWN_COUNT];
    for (input, lag) in inputs.iter_mut().zip(lags) {
        *input = standard(lag, &traits[segment]);
    }
    inputs[LAG_COUNT] = scale * request.past_profile_mps[segment * LAG_COUNT];
    for (input, step) in inputs[LAG_COUNT + 1..].iter_mut().zip(PROFILE_STEPS) {
        *input = profile(step);
    }
    inputs
}

/// The regressions of every segment of a network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CompanionRegression {
    companions: Arc<Vec<[u32; COMPANION_COUNT]>>,
    /// One a segment.
    weights: Vec<Weights>,
}

/// `[input][step]`; nothing for a segment with too little past.
type Weights = Option<Box<[[f32; STEP_COUNT]; INPUT_COUNT]>>;

impl CompanionRegression {
    /// The deviations of the next hour in shares of free flow, one entry a segment; `None` where too
    /// little past is known.
    pub(super) fn foretell(
        &self,
        request: &ForecastRequest,
        traits: &[SegmentTraits],
        moment: &Moment,
    ) -> Vec<Option<[f32; STEP_COUNT]>> {
        let signals: Vec<[f32; SIGNAL_COUNT]> = (0..request.segment_count())
            .into_par_iter()
            .with_min_len(4_096)
            .map(|segment| moment.signals(request, traits, segment))
            .collect();
        let common = moment.common_inputs();
        (0..request.segment_count())
            .into_par_iter()
            .with_min_len(1_024)
            .map(|segment| {
                let weights = self.weights[segment].as_ref()?;
                let own = own_inputs(request, traits, segment);
                let mut inputs = [0.0; INPUT_COUNT];
                gather(
                    &mut inputs,
                    &own,
                    &common,
                    &self.companions[segment],
                    |other| signals[other],
                );
                let mut said = [0.0; STEP_COUNT];
                for (input, weights) in inputs.iter().zip(weights.iter()) {
                    for (said, weight) in said.iter_mut().zip(weights) {
                        *said += weight * input;
                    }
                }
                Some(said.map(|said| said * traits[segment].scatter))
            })
            .collect()
    }
}

fn gather<T: From<f32> + Copy>(
    inputs: &mut [T; INPUT_COUNT],
    own: &[f32; OWN_COUNT],
    common: &[f32; COMMON_COUNT],
    companions: &[u32; COMPANION_COUNT],
    signals: impl Fn(usize) -> [f32; SIGNAL_COUNT],
) {
    let fixed = own.iter().chain(common);
    let others = companions.iter().flat_map(|&other| {
        if other == NOBODY {
            [0.0; SIGNAL_COUNT]
        } else {
            signals(other as usize)
        }
    });
    for (input, value) in inputs.iter_mut().zip(fixed.copied().chain(others)) {
        *input = T::from(value);
    }
}

/// The past as regressions read it, gathered moment by moment.
pub(super) struct Past {
    /// Newest rows of the moments.
    rows: Range<usize>,
    segments: usize,
    own: Vec<[f32; OWN_COUNT]>,
    signals: Vec<[f32; SIGNAL_COUNT]>,
    common: Vec<[f32; COMMON_COUNT]>,
    /// Standardised deviations of the hour that followed, not a number where missing.
    later: Vec<[f32; STEP_COUNT]>,
}

/// What `Past` keeps of one moment.
struct Kept {
    own: Vec<[f32; OWN_COUNT]>,
    signals: Vec<[f32; SIGNAL_COUNT]>,
    common: [f32; COMMON_COUNT],
    later: Vec<[f32; STEP_COUNT]>,
}

/// Regressions on the whole past, and on the past without each of its parts.
#[derive(Debug)]
pub(super) struct Fits {
    pub(super) whole: Arc<CompanionRegression>,
    pub(super) without: Vec<Arc<CompanionRegression>>,
}

impl Past {
    /// Reads the moments `rows`: what was known at each, and the deviation in shares of free flow
    /// that a row and column then had.
    pub(super) fn gather(
        rows: Range<usize>,
        traits: &[SegmentTraits],
        request_at: &(impl Fn(usize) -> ForecastRequest + Sync),
        deviation_at: &(impl Fn(usize, usize) -> Option<f32> + Sync),
    ) -> Self {
        let segments = traits.len();
        let kept: Vec<Kept> = rows
            .clone()
            .into_par_iter()
            .map(|newest| {
                let request = request_at(newest);
                let moment = Moment::new(&request, traits);
                let later = |segment: usize| {
                    std::array::from_fn(|step| {
                        deviation_at(newest + 1 + step, segment)
                            .map_or(f32::NAN, |later| standard(later, &traits[segment]))
                    })
                };
                Kept {
                    own: (0..segments)
                        .map(|segment| own_inputs(&request, traits, segment))
                        .collect(),
                    signals: (0..segments)
                        .map(|segment| moment.signals(&request, traits, segment))
                        .collect(),
                    common: moment.common_inputs(),
                    later: (0..segments).map(later).collect(),
                }
            })
            .collect();
        Self {
            rows,
            segments,
            own: kept.iter().flat_map(|kept| &kept.own).copied().collect(),
            signals: kept
                .iter()
                .flat_map(|kept| &kept.signals)
                .copied()
                .collect(),
            common: kept.iter().map(|kept| kept.common).collect(),
            later: kept.iter().flat_map(|kept| &kept.later).copied().collect(),
        }
    }

    /// Fits every segment.
    pub(super) fn fit(&self, graph: &RoadGraph) -> Fits {
        let companions: Vec<[u32; COMPANION_COUNT]> = (0..self.segments)
            .into_par_iter()
            .map(|segment| self.companions(segment, &graph.nearest(segment, CANDIDATE_COUNT)))
            .collect();
        let factors = self.choose_factors(&companions);
        let fits: Vec<Vec<Weights>> = (0..self.segments)
            .into_par_iter()
            .map(|segment| {
                let sums = self.sums(segment, &companions[segment]);
                (0..=FOLD_COUNT)
                    .map(|without| {
                        let all = merged(&sums, without)?;
                        let mut chosen = Box::new([[0.0; STEP_COUNT]; INPUT_COUNT]);
                        for factor in PENALTY_FACTORS {
                            if !factors.contains(&factor) {
                                continue;
                            }
                            let solved = all.solve(&penalties(factor));
                            for step in (0..STEP_COUNT).filter(|&step| is(factors[step], factor)) {
                                let of_step = &solved[step * INPUT_COUNT..][..INPUT_COUNT];
                                for (weights, &solved) in chosen.iter_mut().zip(of_step) {
                                    weights[step] = solved as f32;
                                }
                            }
                        }
                        Some(chosen)
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
        let first = moment * self.segments;
        let mut inputs = [0.0; INPUT_COUNT];
        let own = &self.own[first + segment];
        gather(
            &mut inputs,
            own,
            &self.common[moment],
            companions,
            |other| self.signals[first + other],
        );
        inputs
    }

    /// The best foretellers of what the segment's own hour leaves unexplained.
    fn companions(&self, segment: usize, candidates: &[u32]) -> [u32; COMPANION_COUNT] {
        let at = |moment: usize| moment * self.segments + segment;
        let own = |moment: usize| self.own[at(moment)].map(f64::from);
        let later = |moment: usize| SCREENED_STEPS.map(|step| self.later[at(moment)][step]);
        let mut sums = NormalEquations::new(OWN_COUNT, SCREENED_STEPS.len());
        for moment in 0..self.rows.len() {
            sums.add(&own(moment), &later(moment).map(f64::from));
        }
        let weights = sums.solve(&[PENALTIES[0]; OWN_COUNT]);
        // Products of each rest with the newest lag and the short level of each candidate.
        const READ: [usize; 2] = [0, 3];
        let mut products = vec![[[0.0f32; SCREENED_STEPS.len()]; READ.len()]; candidates.len()];
        let mut squares = vec![[0.0f32; READ.len()]; candidates.len()];
        for moment in 0..self.rows.len() {
            let own = own(moment);
            let later = later(moment);
            let rests: [f32; SCREENED_STEPS.len()] = std::array::from_fn(|step| {
                let weights = &weights[step * OWN_COUNT..][..OWN_COUNT];
                let said: f64 = weights.iter().zip(own).map(|(w, x)| w * x).sum();
                let rest = later[step] - said as f32;
                if rest.is_nan() { 0.0 } else { rest }
            });
            let signals = &self.signals[moment * self.segments..][..self.segments];
            for (index, &candidate) in candidates.iter().enumerate() {
                for (of, read) in READ.into_iter().enumerate() {
                    let signal = signals[candidate as usize][read];
                    squares[index][of] += signal * signal;
                    for (product, rest) in products[index][of].iter_mut().zip(rests) {
                        *product += signal * rest;
                    }
                }
            }
        }
        let mut scored: Vec<(f32, u32)> = candidates
            .iter()
            .enumerate()
            .map(|(index, &candidate)| {
                let of_signal = products[index].iter().zip(squares[index]);
                let score = of_signal.map(|(products, square)| {
                    products.iter().map(|p| p * p).sum::<f32>() / square.max(1.0)
                });
                (score.sum(), candidate)
            })
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut chosen = [NOBODY; COMPANION_COUNT];
        for (chosen, (score, candidate)) in chosen.iter_mut().zip(scored) {
            if score > 0.0 {
                *chosen = candidate;
            }
        }
        chosen
    }

    /// The part of the past that a moment belongs to.
    fn fold(&self, moment: usize) -> usize {
        fold_of(&self.rows, self.rows.start + moment)
    }

    /// Sums over each part of the past; nothing where there is too little.
    fn sums(&self, segment: usize, companions: &[u32; COMPANION_COUNT]) -> Vec<NormalEquations> {
        let known = (0..self.rows.len())
            .filter(|moment| !self.later[moment * self.segments + segment][0].is_nan())
            .count();
        if known < ROWS_MIN {
            return Vec::new();
        }
        let mut sums = vec![NormalEquations::new(INPUT_COUNT, STEP_COUNT); FOLD_COUNT];
        for moment in 0..self.rows.len() {
            let later = self.later[moment * self.segments + segment].map(f64::from);
            sums[self.fold(moment)].add(&self.inputs(moment, segment, companions), &later);
        }
        sums
    }

    /// For each step the factor on the penalties with the least error over moments foretold from
    /// the other parts of the past.
    fn choose_factors(&self, companions: &[[u32; COMPANION_COUNT]]) -> [f64; STEP_COUNT] {
        let stride = self.segments.div_ceil(CHOOSING_COUNT).max(1);
        let chosen: Vec<usize> = (0..self.segments).step_by(stride).collect();
        let errors: Vec<[[f64; STEP_COUNT]; PENALTY_FACTORS.len()]> = chosen
            .into_par_iter()
            .map(|segment| self.factor_errors(segment, &companions[segment]))
            .collect();
        std::array::from_fn(|step| {
            let total = |index: &usize| -> f64 { errors.iter().map(|e| e[*index][step]).sum() };
            let best = (0..PENALTY_FACTORS.len()).min_by(|a, b| total(a).total_cmp(&total(b)));
            PENALTY_FACTORS[best.unwrap_or(0)]
        })
    }

    fn factor_errors(
        &self,
        segment: usize,
        companions: &[u32; COMPANION_COUNT],
    ) -> [[f64; STEP_COUNT]; PENALTY_FACTORS.len()] {
        let sums = self.sums(segment, companions);
        let mut errors = [[0.0; STEP_COUNT]; PENALTY_FACTORS.len()];
        for fold in 0..FOLD_COUNT {
            let Some(others) = merged(&sums, fold) else {
                continue;
            };
            let tried = PENALTY_FACTORS.map(|factor| others.solve(&penalties(factor)));
            for moment in (0..self.rows.len()).filter(|&moment| self.fold(moment) == fold) {
                let inputs = self.inputs(moment, segment, companions);
                let later = &self.later[moment * self.segments + segment];
                for (weights, errors) in tried.iter().zip(&mut errors) {
                    let steps = weights.chunks_exact(INPUT_COUNT).zip(later);
                    for (error, (weights, &later)) in errors.iter_mut().zip(steps) {
                        if !later.is_nan() {
                            let said: f64 = weights.iter().zip(inputs).map(|(w, x)| w * x).sum();
                            *error += (f64::from(later) - said).abs();
                        }
                    }
                }
            }
        }
        errors
    }
}

/// The part of the past `rows` that a row belongs to.
pub(super) fn fold_of(rows: &Range<usize>, row: usize) -> usize {
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

fn penalties(factor: f64) -> [f64; INPUT_COUNT] {
    std::array::from_fn(|input| {
        let kind = usize::from(input >= OWN_COUNT) + usize::from(input >= OWN_COUNT + COMMON_COUNT);
        factor * PENALTIES[kind]
    })
}

fn is(a: f64, b: f64) -> bool {
    a.total_cmp(&b).is_eq()
}

#[cfg(test)]
mod tests {
    use super::super::windows::unit_hash;
    use super::super::{Calibration, LEVEL_COUNT, STEP_MS};
    use super::*;
    use crate::network::NetworkVersion;
    use crate::units::Timestamp;

    const ROWS: usize = 900;
    const SEGMENTS: usize = 12;
    const FREE_FLOW_MPS: f32 = 20.0;
    const PROFILE_MPS: f32 = 10.0;

    /// Deviations in shares of free flow: chance everywhere, but segment 1 repeats half of what
    /// segment 9 had a step before; of segment 5 only the first 200 rows are known.
    fn deviation(row: usize, segment: usize) -> Option<f32> {
        let chance = |row: usize, segment: usize| {
            0.2 * (unit_hash(3, (row * SEGMENTS + segment) as u64) - 0.5)
        };
        match segment {
            1 => Some(0.5 * chance(row.saturating_sub(1), 9)),
            5 => (row < 200).then(|| chance(row, 5)),
            _ => Some(chance(row, segment)),
        }
    }

    fn request(newest: usize) -> ForecastRequest {
        let at = Timestamp::from_millis(newest as i64 * STEP_MS);
        let cell = |index: usize| deviation(newest - index % LAG_COUNT, index / LAG_COUNT);
        let cells = 0..SEGMENTS * LAG_COUNT;
        ForecastRequest {
            issued_at: at,
            first_step: at,
            network: NetworkVersion::default(),
            now_mps: vec![PROFILE_MPS; SEGMENTS],
            sigma_mps: vec![0.0; SEGMENTS],
            age_min: vec![0; SEGMENTS],
            free_flow_mps: vec![FREE_FLOW_MPS; SEGMENTS],
            history_mps: cells
                .clone()
                .map(|index| cell(index).map_or(0.0, |value| PROFILE_MPS + FREE_FLOW_MPS * value))
                .collect(),
            history_share: cells
                .map(|index| f32::from(u8::from(cell(index).is_some())))
                .collect(),
            past_profile_mps: vec![PROFILE_MPS; SEGMENTS * LAG_COUNT],
            profile_mps: vec![PROFILE_MPS; SEGMENTS * STEP_COUNT],
            level_mps: vec![0.0; SEGMENTS * LEVEL_COUNT],
            level_share: vec![0.0; SEGMENTS * LEVEL_COUNT],
            calibration: Arc::new(Calibration::default()),
        }
    }

    fn traits() -> Vec<SegmentTraits> {
        let scatter = 0.06;
        vec![
            SegmentTraits {
                scatter,
                ..SegmentTraits::UNKNOWN
            };
            SEGMENTS
        ]
    }

    fn fit() -> Fits {
        let rows = LAG_COUNT - 1..ROWS - 100;
        let past = Past::gather(rows, &traits(), &request, &deviation);
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
