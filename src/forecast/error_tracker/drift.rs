//! Whether the running model errs more than it did, or than its card lets expect.

use super::super::STEP_COUNT;
use super::super::snapshot::{Reader, SnapshotError, put_f64};

/// What one finished step keeps of the weight of those in the same hour of earlier days: two weeks
/// of twelve steps an hour (chosen).
const LONG_KEEP: f64 = 1.0 - 1.0 / 168.0;
/// Steps of one hour of the day that must be known before the long run is compared with: three days
/// (chosen).
const LONG_STEPS_MIN: f64 = 30.0;
const HOURS: usize = 24;
const HOUR_MS: i64 = 3_600_000;

/// Rolling errors of the running model over what was to be expected; 1 is as expected.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    /// Against the card: the model's error as a share of profile and residual's, over the share that
    /// the card states on the model's own test data. A share needs no unit and fits another city.
    /// `None` where the card states none, or nothing was scored.
    pub card: Option<f64>,
    /// Against its own mean error in the same hours of about the last two weeks; `None` until three
    /// days are known.
    pub long_run: Option<f64>,
}

/// Sums behind [`Drift`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct DriftSums {
    /// Mean errors of finished steps by hour of the day (UTC): sum, m/s, and weight.
    hours: [(f64, f64); HOURS],
    /// Rolling sums: mean errors of finished steps, and of the long run in the same hours, m/s.
    recent: (f64, f64),
    /// Rolling sums over cells: the model's error, and what the card lets expect of it, m/s.
    card: (f64, f64),
    /// The finished step under way: errors, m/s, and cells.
    step: (f64, f64),
}

impl DriftSums {
    /// Takes the absolute errors of the model and of profile and residual in one cell; `promised` is
    /// what the card states of their ratio, by step.
    pub(super) fn add(
        &mut self,
        step: usize,
        model_mps: f64,
        baseline_mps: f64,
        promised: Option<&[f32; STEP_COUNT]>,
    ) {
        self.step.0 += model_mps;
        self.step.1 += 1.0;
        if let Some(promised) = promised {
            self.card.0 += model_mps;
            self.card.1 += baseline_mps * f64::from(promised[step]);
        }
    }

    pub(super) fn fade(&mut self, keep: f64) {
        for sum in [&mut self.recent, &mut self.card] {
            *sum = (keep * sum.0, keep * sum.1);
        }
    }

    /// Ends the finished step that began at `start_ms`.
    pub(super) fn finish_step(&mut self, start_ms: i64) {
        let (sum_mps, cells) = std::mem::take(&mut self.step);
        if cells <= 0.0 {
            return;
        }
        let error_mps = sum_mps / cells;
        let hour = start_ms.div_euclid(HOUR_MS).rem_euclid(HOURS as i64);
        let (sum, weight) = &mut self.hours[hour as usize];
        if *weight >= LONG_STEPS_MIN {
            self.recent.0 += error_mps;
            self.recent.1 += *sum / *weight;
        }
        *sum = LONG_KEEP * *sum + error_mps;
        *weight = LONG_KEEP * *weight + 1.0;
    }

    pub(super) fn ratios(&self) -> Drift {
        let ratio = |(found, expected): (f64, f64)| (expected > 0.0).then(|| found / expected);
        Drift {
            card: ratio(self.card),
            long_run: ratio(self.recent),
        }
    }

    fn sums_mut(&mut self) -> impl Iterator<Item = &mut (f64, f64)> {
        self.hours
            .iter_mut()
            .chain([&mut self.recent, &mut self.card])
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        for (first, second) in self.clone().sums_mut() {
            put_f64(out, *first);
            put_f64(out, *second);
        }
    }

    pub(super) fn restore(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut sums = Self::default();
        for sum in sums.sums_mut() {
            *sum = (reader.f64()?, reader.f64()?);
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `days` days in which the model errs by `error_mps(hour)` and the baseline by 2 m/s.
    fn run(sums: &mut DriftSums, days: i64, error_mps: impl Fn(i64) -> f64) {
        for step in 0..days * 288 {
            sums.fade(1.0 - 1.0 / 72.0);
            sums.add(0, error_mps(step / 12 % 24), 2.0, Some(&[0.5; STEP_COUNT]));
            sums.finish_step(step * 300_000);
        }
    }

    #[test]
    fn the_peak_of_every_day_is_no_drift_and_a_worse_day_is() {
        let usual = |hour| if (7..10).contains(&hour) { 3.0 } else { 1.0 };
        let mut sums = DriftSums::default();
        run(&mut sums, 2, usual);
        assert_eq!(sums.ratios().long_run, None);
        run(&mut sums, 8, usual);
        let long_run = sums.ratios().long_run.unwrap();
        assert!((long_run - 1.0).abs() < 1e-9, "{long_run}");
        let mut peak = sums.clone();
        for step in 0..120 {
            peak.fade(1.0 - 1.0 / 72.0);
            peak.add(0, usual(step / 12), 2.0, None);
            peak.finish_step(step * 300_000);
        }
        let long_run = peak.ratios().long_run.unwrap();
        assert!((long_run - 1.0).abs() < 1e-9, "{long_run}");
        run(&mut sums, 1, |hour| 2.0 * usual(hour));
        let long_run = sums.ratios().long_run.unwrap();
        assert!((1.6..2.0).contains(&long_run), "{long_run}");
    }

    #[test]
    fn a_model_is_held_to_the_share_that_its_card_states() {
        let mut sums = DriftSums::default();
        assert_eq!(sums.ratios().card, None);
        run(&mut sums, 1, |_| 1.0);
        assert!((sums.ratios().card.unwrap() - 1.0).abs() < 1e-9);
        run(&mut sums, 2, |_| 1.5);
        assert!(sums.ratios().card.unwrap() > 1.4);
    }

    #[test]
    fn drift_survives_a_restart() {
        let mut sums = DriftSums::default();
        run(&mut sums, 4, |hour| hour as f64);
        let mut bytes = 1u32.to_le_bytes().to_vec();
        sums.snapshot(&mut bytes);
        let mut reader = Reader::new(&bytes, 1).unwrap();
        assert_eq!(DriftSums::restore(&mut reader), Ok(sums));
    }
}
