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

mod bytes;
mod fit;
#[cfg(test)]
mod fixture;
mod moments;

pub(super) use fit::{Fits, fold_of};
pub(super) use moments::Moments;

use std::sync::Arc;

use rayon::prelude::*;

use super::low_rank::{self, FACTOR_COUNT, SegmentTraits};
use super::request::{LONG_LAGS, SHORT_LAGS};
use super::{ForecastRequest, LAG_COUNT, STEP_COUNT};

/// Companions of a segment (chosen on yinchuan's validation part: 4 lose 0.3 %, 16 gain nothing).
const COMPANION_COUNT: usize = 8;
/// What is read of a companion: its last three lags and its levels over the quarter and the hour.
const SIGNAL_COUNT: usize = 5;
/// Steps whose profile is read.
const PROFILE_STEPS: [usize; 3] = [0, 5, 11];
/// What is read of the segment itself: lags, profile now and then, a constant.
const OWN_COUNT: usize = LAG_COUNT + 1 + PROFILE_STEPS.len() + 1;
const COMMON_COUNT: usize = 2 * FACTOR_COUNT;
const INPUT_COUNT: usize = OWN_COUNT + COMMON_COUNT + COMPANION_COUNT * SIGNAL_COUNT;

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

    /// Levels over the quarter and the hour.
    fn standard_levels(&self, traits: &[SegmentTraits], segment: usize) -> [f32; 2] {
        let [short, _, long, _] = self.levels[segment];
        [short, long].map(|level| standard(level, &traits[segment]))
    }

    fn signals(
        &self,
        request: &ForecastRequest,
        traits: &[SegmentTraits],
        segment: usize,
    ) -> [f32; SIGNAL_COUNT] {
        let lags = request.carried_residuals(segment);
        let lag = |lag: usize| standard(lags[lag], &traits[segment]);
        let [short, long] = self.standard_levels(traits, segment);
        [lag(0), lag(1), lag(2), short, long]
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
    own_of(
        lags.map(|lag| standard(lag, &traits[segment])),
        |ahead| match ahead {
            0 => scale * request.past_profile_mps[segment * LAG_COUNT],
            ahead => scale * request.profile_mps[segment * STEP_COUNT + ahead - 1],
        },
    )
}

/// The inputs of a segment's own from its standardised lags and its profile in shares of free flow so
/// many steps ahead, 0 of the newest lag.
fn own_of(lags: [f32; LAG_COUNT], profile: impl Fn(usize) -> f32) -> [f32; OWN_COUNT] {
    let mut inputs = [1.0; OWN_COUNT];
    inputs[..LAG_COUNT].copy_from_slice(&lags);
    inputs[LAG_COUNT] = profile(0);
    for (input, step) in inputs[LAG_COUNT + 1..].iter_mut().zip(PROFILE_STEPS) {
        *input = profile(step + 1);
    }
    inputs
}

/// The regressions of every segment of a network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CompanionRegression {
    companions: Arc<Vec<[u32; COMPANION_COUNT]>>,
    /// One a segment; nothing for one with too little past.
    weights: Vec<Option<Box<Weights>>>,
}

/// The weights of one segment as whole numbers, which take half the bytes: what a step's weights are
/// off by is at most 1/65534 of the step's largest.
#[derive(Clone, Debug, PartialEq)]
struct Weights {
    /// What a number counts, by step.
    unit: [f32; STEP_COUNT],
    numbers: [[i16; STEP_COUNT]; INPUT_COUNT],
}

impl Weights {
    fn new(weights: &[[f32; STEP_COUNT]; INPUT_COUNT]) -> Self {
        let most = i16::MAX as f32;
        let unit: [f32; STEP_COUNT] = std::array::from_fn(|step| {
            let of_step = weights.iter().map(|weights| weights[step].abs());
            (of_step.fold(0.0, f32::max) / most).max(f32::MIN_POSITIVE)
        });
        let number = |weight: f32, unit: f32| (weight / unit).round().clamp(-most, most) as i16;
        Self {
            unit,
            numbers: weights
                .map(|weights| std::array::from_fn(|step| number(weights[step], unit[step]))),
        }
    }

    /// What is said of each step, standardised.
    fn say(&self, inputs: &[f32; INPUT_COUNT]) -> [f32; STEP_COUNT] {
        let mut said = [0.0; STEP_COUNT];
        for (input, numbers) in inputs.iter().zip(&self.numbers) {
            for (said, &number) in said.iter_mut().zip(numbers) {
                *said += f32::from(number) * input;
            }
        }
        std::array::from_fn(|step| said[step] * self.unit[step])
    }
}

impl CompanionRegression {
    /// The regressions of other segments, told by the columns of this one: `column_of[segment]` tells
    /// of it. A companion that no segment stands for is left out.
    pub(super) fn told_by(&self, column_of: &[Option<u32>]) -> Self {
        let mut segment_of = vec![NOBODY; self.weights.len()];
        // The first of several segments stands for a column.
        for (segment, column) in column_of.iter().enumerate().rev() {
            if let Some(column) = column {
                segment_of[*column as usize] = segment as u32;
            }
        }
        let companions = column_of.iter().map(|column| match column {
            Some(column) => self.companions[*column as usize].map(|companion| {
                let segment = segment_of.get(companion as usize);
                segment.copied().unwrap_or(NOBODY)
            }),
            None => [NOBODY; COMPANION_COUNT],
        });
        Self {
            companions: Arc::new(companions.collect()),
            weights: column_of
                .iter()
                .map(|column| self.weights[(*column)? as usize].clone())
                .collect(),
        }
    }

    /// How many segments have a regression.
    pub(super) fn known_count(&self) -> usize {
        self.weights.iter().flatten().count()
    }

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
                let said = weights.say(&inputs);
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
