//! What an outlook needs to know of one segment at one moment.

use super::super::calibration::ratio_bin;
use super::super::request::{LONG_LAGS, SHORT_LAGS, cut};
use super::super::{ForecastRequest, LEVEL_COUNT, RATIO_BIN_COUNT, STEP_MS};
use super::{HALF_HOUR_COUNT, HALF_HOUR_STEPS, STEPS_BEFORE};
use crate::units::Timestamp;

/// How many deviations there are.
pub(super) const DEVIATION_COUNT: usize = 2 + LEVEL_COUNT;
/// Numbers kept of a segment.
pub(super) const NUMBER_COUNT: usize = 2 + DEVIATION_COUNT + HALF_HOUR_COUNT;

/// The steps of a half hour in whose middle the profile is asked for (chosen: two do nearly as well as six
/// on the validation parts).
pub(in super::super) const USUAL_STEPS: [usize; 2] = [1, 4];

/// When the profile is asked for, `USUAL_STEPS` a half hour.
pub(in super::super) fn usual_times(
    first_step: Timestamp,
) -> [Timestamp; HALF_HOUR_COUNT * USUAL_STEPS.len()] {
    std::array::from_fn(|index| {
        let half = index / USUAL_STEPS.len();
        let within = USUAL_STEPS[index % USUAL_STEPS.len()];
        let step = STEPS_BEFORE + half * HALF_HOUR_STEPS + within;
        first_step.plus_millis(step as i64 * STEP_MS + STEP_MS / 2)
    })
}

/// One segment at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Known {
    /// Speed estimated for the last closed minute, m/s.
    pub(super) now_mps: f32,
    /// Speed of unhindered traffic, m/s, > 0.
    pub(in super::super) free_flow_mps: f32,
    /// Deviations from what is usual, in shares of free flow: of about the last quarter of an hour,
    /// the last hour, three hours and the day.
    pub(super) deviations: [f32; DEVIATION_COUNT],
    /// What is usual in each half hour, m/s.
    pub(super) usual_mps: [f32; HALF_HOUR_COUNT],
}

impl Known {
    /// Reads a segment of `request`, for which `usual_mps` is usual at the times of [`usual_times`].
    pub(in super::super) fn of(
        request: &ForecastRequest,
        segment: usize,
        usual_mps: impl Fn(usize) -> f32,
    ) -> Self {
        let free_flow_mps = request.unhindered_mps(segment);
        let [short, long] = request.levels(segment, [SHORT_LAGS, LONG_LAGS]);
        let slow_mps = &request.level_mps[segment * LEVEL_COUNT..][..LEVEL_COUNT];
        let mut deviations = [short.0, long.0, 0.0, 0.0];
        for (deviation, level_mps) in deviations[2..].iter_mut().zip(slow_mps) {
            *deviation = cut(level_mps / free_flow_mps);
        }
        let asked = USUAL_STEPS.len();
        Self {
            now_mps: request.now_mps[segment],
            free_flow_mps,
            deviations,
            usual_mps: std::array::from_fn(|half| {
                let sum: f32 = (0..asked).map(|at| usual_mps(half * asked + at)).sum();
                sum / asked as f32
            }),
        }
    }

    /// The class of the present ratio to free flow.
    pub(super) fn class(&self) -> usize {
        ratio_bin(self.now_mps / self.free_flow_mps)
    }

    /// The class of the present and of the usual ratio in half hour `half` together, the present one
    /// being `class`.
    pub(super) fn cell(&self, class: usize, half: usize) -> usize {
        let usual = ratio_bin(self.usual_mps[half] / self.free_flow_mps);
        class * RATIO_BIN_COUNT + usual
    }

    /// All numbers, for a snapshot.
    pub(super) fn as_array(&self) -> [f32; NUMBER_COUNT] {
        let mut numbers = [0.0; NUMBER_COUNT];
        numbers[0] = self.now_mps;
        numbers[1] = self.free_flow_mps;
        numbers[2..2 + DEVIATION_COUNT].copy_from_slice(&self.deviations);
        numbers[2 + DEVIATION_COUNT..].copy_from_slice(&self.usual_mps);
        numbers
    }

    /// The same from the numbers of [`Known::as_array`].
    pub(super) fn from_array(numbers: &[f32; NUMBER_COUNT]) -> Self {
        Self {
            now_mps: numbers[0],
            free_flow_mps: numbers[1],
            deviations: std::array::from_fn(|at| numbers[2 + at]),
            usual_mps: std::array::from_fn(|at| numbers[2 + DEVIATION_COUNT + at]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_asked_for_inside_each_half_hour() {
        let first = Timestamp::from_secs(600);
        let minutes: Vec<i64> = usual_times(first)
            .iter()
            .map(|time| time.millis_since(first) / 30_000)
            .collect();
        // Halves of a minute: 67.5, 82.5, 97.5, ... minutes ahead.
        assert_eq!(minutes, [135, 165, 195, 225, 255, 285, 315, 345]);
    }

    #[test]
    fn numbers_come_back_as_they_went() {
        let known = Known {
            now_mps: 1.0,
            free_flow_mps: 2.0,
            deviations: [3.0, 4.0, 5.0, 6.0],
            usual_mps: [7.0, 8.0, 9.0, 10.0],
        };
        assert_eq!(Known::from_array(&known.as_array()), known);
        // Now half of free flow, usually more than free flow.
        assert_eq!(known.class(), 1);
        assert_eq!(known.cell(1, 0), RATIO_BIN_COUNT + 4);
    }
}
