//! The learnt numbers of one moment, and what they say.

use super::super::intervals::{AdaptiveIntervals, Stretch};
use super::super::snapshot::{Reader, SnapshotError, put_f32s};
use super::super::spread::{CELLS, normal_counts, quantile};
use super::super::{LEVELS, SpeedQuantiles};
use super::known::{DEVIATION_COUNT, Known};
use super::{CELL_COUNT, HALF_HOUR_COUNT, HALF_HOUR_STEPS, OutlookSpeaker, STEPS_BEFORE};

/// What is left of each deviation in the first half hour before anything is learnt, and what each
/// further half hour leaves of that (chosen: between what is learnt on the training parts of a week
/// of loop speeds and of three weeks of flows; learnt shares replace them within hours).
const DEFAULT_SHARES: [f64; DEVIATION_COUNT] = [0.3, 0.05, 0.15, 0.15];
const DEFAULT_HALF_HOUR: f64 = 0.9;
/// What `profile_residual` has left after each step, as before anything is learnt in `fading`.
const RESIDUAL_STEP: f32 = 0.9;
/// The outer quantiles: index into [`LEVELS`].
const OUTER: [usize; 4] = [0, 1, 3, 4];
const SPEAKER_COUNT: usize = OutlookSpeaker::ALL.len();

/// Distances of p05, p10, p90 and p95 from the median, in shares of free flow, >= 0.
type Reach = [f32; OUTER.len()];

/// Shares of the deviations that are left in half hour `half` before anything is learnt.
pub(super) fn default_shares(half: usize) -> [f64; DEVIATION_COUNT] {
    DEFAULT_SHARES.map(|share| share * DEFAULT_HALF_HOUR.powi(half as i32))
}

/// Standard deviation of errors before any was seen, in shares of free flow: the profile's of
/// `calibration` for all, more for the last value (chosen).
fn default_scatter(speaker: OutlookSpeaker) -> f32 {
    match speaker {
        OutlookSpeaker::LastValue => 0.25,
        _ => 0.16,
    }
}

/// Where the numbers of a speaker, half hour and class stand among those of all.
pub(super) fn row(speaker: OutlookSpeaker, half: usize, cell: usize) -> usize {
    (speaker as usize * HALF_HOUR_COUNT + half) * CELL_COUNT + cell
}

/// Made-up errors of every speaker, half hour and class, `CELLS` counts each.
pub(super) fn first_spread() -> Vec<f32> {
    let of = |speaker| normal_counts(default_scatter(speaker)).repeat(HALF_HOUR_COUNT * CELL_COUNT);
    OutlookSpeaker::ALL.into_iter().flat_map(of).collect()
}

/// Immutable: it stays with the outlooks that it made.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Formula {
    /// What is left of the deviations, `[half hour][class]`.
    shares: [[[f32; DEVIATION_COUNT]; CELL_COUNT]; HALF_HOUR_COUNT],
    /// In the order of [`row`].
    reach: Vec<Reach>,
    /// By speaker.
    stretches: Vec<Stretch>,
}

impl Formula {
    /// Puts together what is left of deviations, errors counted by size and factors of intervals.
    pub(super) fn of(
        shares: impl Fn(usize, usize) -> [f32; DEVIATION_COUNT],
        spread: &[f32],
        intervals: &[AdaptiveIntervals],
    ) -> Self {
        let reach = |counts: &[f32]| {
            OUTER.map(|index| {
                let error = quantile(counts, LEVELS[index]);
                let outwards = if LEVELS[index] < 0.5 { -error } else { error };
                outwards.max(0.0)
            })
        };
        Self {
            shares: std::array::from_fn(|half| std::array::from_fn(|cell| shares(half, cell))),
            reach: spread.chunks_exact(CELLS).map(reach).collect(),
            stretches: intervals.iter().map(AdaptiveIntervals::stretch).collect(),
        }
    }

    /// The median of `speaker` in half hour `half`, whose class is `cell`, m/s.
    fn median_mps(&self, speaker: OutlookSpeaker, half: usize, cell: usize, known: &Known) -> f32 {
        let left = match speaker {
            OutlookSpeaker::LastValue => return known.now_mps,
            OutlookSpeaker::Profile => 0.0,
            OutlookSpeaker::ProfileResidual => {
                // To the middle of the half hour.
                let steps = STEPS_BEFORE + half * HALF_HOUR_STEPS + HALF_HOUR_STEPS / 2;
                RESIDUAL_STEP.powi(steps as i32) * known.deviations[0]
            }
            OutlookSpeaker::Outlook => {
                let shares = self.shares[half][cell];
                let left = shares.iter().zip(known.deviations);
                left.map(|(share, deviation)| share * deviation).sum()
            }
        };
        (known.usual_mps[half] + left * known.free_flow_mps).max(0.0)
    }

    /// What `speaker` says of half hour `half`.
    pub(in super::super) fn say(
        &self,
        speaker: OutlookSpeaker,
        half: usize,
        known: &Known,
    ) -> SpeedQuantiles {
        let class = known.class();
        let cell = known.cell(class, half);
        let median_mps = self.median_mps(speaker, half, cell, known);
        let reach = self.reach[row(speaker, half, cell)];
        let [far, near, above, beyond] = reach.map(|share| share * known.free_flow_mps);
        let five = [
            median_mps - far,
            median_mps - near,
            median_mps,
            median_mps + above,
            median_mps + beyond,
        ];
        let said = SpeedQuantiles::ordered_five(five, known.free_flow_mps);
        self.stretches[speaker as usize].of(half, class, known.free_flow_mps, &said)
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        put_f32s(out, self.shares.as_flattened().as_flattened());
        put_f32s(out, self.reach.as_flattened());
        let stretches = self.stretches.iter();
        stretches.for_each(|stretch| stretch.snapshot(out));
    }

    pub(super) fn restore(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut shares = [[[0.0; DEVIATION_COUNT]; CELL_COUNT]; HALF_HOUR_COUNT];
        let flat = shares.as_flattened_mut().as_flattened_mut();
        flat.copy_from_slice(&reader.f32s(flat.len())?);
        let mut reach = vec![Reach::default(); SPEAKER_COUNT * HALF_HOUR_COUNT * CELL_COUNT];
        let flat = reach.as_flattened_mut();
        flat.copy_from_slice(&reader.f32s(flat.len())?);
        let stretches = (0..SPEAKER_COUNT).map(|_| Stretch::restore(reader, HALF_HOUR_COUNT));
        Ok(Self {
            shares,
            reach,
            stretches: stretches.collect::<Result<_, _>>()?,
        })
    }
}
