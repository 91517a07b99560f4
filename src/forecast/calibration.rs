//! What the baselines have learnt from their own errors: how fast a deviation fades and how wide
//! the truth scatters around each of them.

use super::fading::{Decay, Fading};
use super::request::Deviations;
use super::snapshot::{Reader, SnapshotError, put_f32s};
use super::{NORMAL_P90, STEP_COUNT};

/// How many classes of the current speed ratio errors are kept for.
pub const RATIO_BIN_COUNT: usize = 5;

/// Upper edges of the classes of speed over free-flow speed, the last class being open (the bins of
/// the project's split-conformal trials).
pub const RATIO_EDGES: [f32; RATIO_BIN_COUNT - 1] = [0.4, 0.6, 0.8, 0.95];

/// The class of a ratio of speed to free-flow speed.
pub(super) fn ratio_bin(ratio: f32) -> usize {
    RATIO_EDGES.iter().filter(|&&edge| ratio >= edge).count()
}

/// The forecasters that need no training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Baseline {
    /// The last minute stays as it is.
    LastValue = 0,
    /// What is usual at that time.
    Profile = 1,
    /// What is usual, plus today's deviation fading away.
    ProfileResidual = 2,
}

impl Baseline {
    /// Every baseline.
    pub const ALL: [Self; 3] = [Self::LastValue, Self::Profile, Self::ProfileResidual];

    /// The name under which it is published.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LastValue => "last-value",
            Self::Profile => "profile",
            Self::ProfileResidual => "profile-residual",
        }
    }
}

/// Learnt numbers, in shares of the free-flow speed. Immutable once handed out.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    pub(super) decay: Decay,
    /// Distance of the first decile of errors below the median, >= 0.
    below: Vec<f32>,
    /// Distance of the last decile of errors above the median, >= 0.
    above: Vec<f32>,
}

/// How many (baseline, step, ratio class) triples there are.
const CELL_COUNT: usize = Baseline::ALL.len() * STEP_COUNT * RATIO_BIN_COUNT;

impl Default for Calibration {
    /// Before anything is learnt: a deviation keeps 0.9 a step, and errors scatter as
    /// those of one week of loop speeds, rounded up.
    fn default() -> Self {
        Self::of(&Fading::default())
    }
}

impl Calibration {
    /// What `fading` has learnt, with errors scattering as before any was seen.
    pub(super) fn of(fading: &Fading) -> Self {
        let mut calibration = Self {
            decay: fading.decay(),
            below: vec![0.0; CELL_COUNT],
            above: vec![0.0; CELL_COUNT],
        };
        for baseline in Baseline::ALL {
            for step in 0..STEP_COUNT {
                let reach = NORMAL_P90 * default_scatter(baseline, step);
                for bin in 0..RATIO_BIN_COUNT {
                    calibration.set_reach(baseline, step, bin, (reach, reach));
                }
            }
        }
        calibration
    }
}

/// Standard deviation of errors before any was seen, in shares of free flow. Chosen: about what the
/// three baselines show on one week of loop speeds, rounded up.
pub(super) fn default_scatter(baseline: Baseline, step: usize) -> f32 {
    match baseline {
        Baseline::LastValue => 0.08 + 0.010 * step as f32,
        Baseline::Profile => 0.16,
        Baseline::ProfileResidual => (0.08 + 0.008 * step as f32).min(0.16),
    }
}

fn cell(baseline: Baseline, step: usize, bin: usize) -> usize {
    (baseline as usize * STEP_COUNT + step) * RATIO_BIN_COUNT + bin
}

impl Calibration {
    /// What is left at `step` of the deviations of a segment whose speed is `ratio` of free flow,
    /// in shares of free flow.
    pub fn left(&self, step: usize, ratio: f32, deviations: Deviations) -> f32 {
        let shares = self.decay[ratio_bin(ratio)][step];
        shares[0] * deviations[0] + shares[1] * deviations[1]
    }

    /// How far the outer quantiles lie below and above the median, in shares of free flow.
    pub fn reach(&self, baseline: Baseline, step: usize, ratio: f32) -> (f32, f32) {
        let cell = cell(baseline, step, ratio_bin(ratio));
        (self.below[cell], self.above[cell])
    }

    pub(super) fn set_reach(
        &mut self,
        baseline: Baseline,
        step: usize,
        bin: usize,
        reach: (f32, f32),
    ) {
        let cell = cell(baseline, step, bin);
        self.below[cell] = reach.0.max(0.0);
        self.above[cell] = reach.1.max(0.0);
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        put_f32s(out, self.decay.as_flattened().as_flattened());
        put_f32s(out, &self.below);
        put_f32s(out, &self.above);
    }

    pub(super) fn restore(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut calibration = Self::default();
        let decay = reader.f32s(2 * RATIO_BIN_COUNT * STEP_COUNT)?;
        let left = calibration.decay.as_flattened_mut().as_flattened_mut();
        left.copy_from_slice(&decay);
        calibration.below = reader.f32s(CELL_COUNT)?;
        calibration.above = reader.f32s(CELL_COUNT)?;
        Ok(calibration)
    }
}
