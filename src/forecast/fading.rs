//! How fast deviations from what is usual fade: learnt by regression, apart by how congested it is,
//! because a standing queue stays longer than noise does.

use super::STEP_COUNT;
use super::calibration::{RATIO_BIN_COUNT, ratio_bin};
use super::least_squares::Products;
use super::request::Deviations;
use super::snapshot::{Reader, SnapshotError};

/// Shares of the last minute's and of the last quarter of an hour's deviation that are left, each
/// 0..=1, by class of the present speed ratio and by step.
pub type Decay = [[Deviations; STEP_COUNT]; RATIO_BIN_COUNT];

/// What is left after each step of the two deviations before anything is learnt (chosen; learnt
/// shares replace them within an hour).
const DEFAULT_STEP: f64 = 0.9;
const DEFAULT_SHARES: [f64; 2] = [0.3, 0.7];
/// Squared deviation, in shares of free flow, that the default weighs as much as: as many as 100
/// segments at a deviation of 0.1 (chosen).
const PRIOR_SQUARE: f64 = 1.0;

/// Regression of later deviations on present ones through the origin, `[ratio class][step]`.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Fading {
    sums: [[Products<2>; STEP_COUNT]; RATIO_BIN_COUNT],
}

impl Fading {
    /// Takes two deviations that became `later` at `step`, all in shares of free flow, where the
    /// speed ratio was `ratio`.
    pub(super) fn add(&mut self, ratio: f32, step: usize, now: Deviations, later: f32) {
        self.sums[ratio_bin(ratio)][step].add(now, later);
    }

    /// Lets what was taken in count `keep` of what it did.
    pub(super) fn fade(&mut self, keep: f64) {
        for sums in self.sums.as_flattened_mut() {
            sums.fade(keep);
        }
    }

    /// What is learnt, each class shrunk towards the default: what was learnt of free traffic says
    /// nothing of jams.
    pub(super) fn decay(&self) -> Decay {
        let left: [f64; STEP_COUNT] =
            std::array::from_fn(|step| DEFAULT_STEP.powi(step as i32 + 1));
        self.sums.map(|of_class| {
            std::array::from_fn(|step| {
                let default = DEFAULT_SHARES.map(|share| share * left[step]);
                let shares = of_class[step].towards(default, PRIOR_SQUARE);
                shares.map(|share| share.clamp(0.0, 1.0) as f32)
            })
        })
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        let sums = self.sums.as_flattened().iter();
        sums.for_each(|sums| sums.snapshot(out));
    }

    pub(super) fn restore(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut fading = Self::default();
        for sums in fading.sums.as_flattened_mut() {
            *sums = Products::restore(reader)?;
        }
        Ok(fading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_stays_where_noise_fades() {
        let mut fading = Fading::default();
        for turn in 0..4_000 {
            // The last minute is the level and noise around it.
            let noise = if turn % 2 == 0 { 0.1 } else { -0.1 };
            fading.add(0.2, 0, [-0.6 + noise, -0.6], -0.54);
            fading.add(0.9, 0, [-0.1 + noise, -0.1], -0.02);
        }
        let decay = fading.decay();
        let near = |shares: Deviations, wanted: Deviations| {
            let off = shares.iter().zip(wanted).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f32::max) < 0.05, "{shares:?}");
        };
        near(decay[ratio_bin(0.2)][0], [0.0, 0.9]);
        near(decay[ratio_bin(0.9)][0], [0.0, 0.2]);
        // Nothing is known of another class, nor of the second step.
        near(decay[ratio_bin(0.5)][0], [0.3 * 0.9, 0.7 * 0.9]);
        near(decay[0][1], [0.3 * 0.81, 0.7 * 0.81]);
    }
}
