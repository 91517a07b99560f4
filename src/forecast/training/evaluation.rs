//! Scores a model and the baselines on the same windows.

use super::super::baseline::medians_mps;
use super::super::windows::Windows;
use super::super::{Baseline, FeatureContext, Mlp, ModelError, STEP_COUNT, STEP_MS, StepMetrics};
use crate::units::SegmentId;

/// Sums over windows, by step: absolute errors of model, last value, profile, profile and residual,
/// in the unit of the data; truths between the outer quantiles; truths.
#[derive(Clone, Debug, Default)]
pub(super) struct Scores {
    error: [[f64; 4]; STEP_COUNT],
    inside: [f64; STEP_COUNT],
    count: [f64; STEP_COUNT],
}

impl Scores {
    /// Mean absolute error of the model over all steps.
    pub(super) fn mean_mae(&self) -> f64 {
        let sum: f64 = (0..STEP_COUNT)
            .map(|step| self.error[step][0] / self.count[step].max(1.0))
            .sum();
        sum / STEP_COUNT as f64
    }

    /// Adds what `other` counted.
    pub(super) fn merge(&mut self, other: &Self) {
        for step in 0..STEP_COUNT {
            for (sum, value) in self.error[step].iter_mut().zip(other.error[step]) {
                *sum += value;
            }
            self.inside[step] += other.inside[step];
            self.count[step] += other.count[step];
        }
    }

    /// One entry a step.
    pub(super) fn metrics(&self) -> Vec<StepMetrics> {
        (0..STEP_COUNT)
            .map(|step| {
                let count = self.count[step].max(1.0);
                let rounded = |value: f64| (value / count * 1e4).round() / 1e4;
                let [model, last_value, profile, profile_residual] = self.error[step].map(rounded);
                StepMetrics {
                    minutes: (step + 1) * (STEP_MS / 60_000) as usize,
                    model,
                    last_value,
                    profile,
                    profile_residual,
                    coverage: rounded(self.inside[step]),
                }
            })
            .collect()
    }
}

/// Scores the windows whose newest rows are `moments`, unspoilt; missing truth does not count.
pub(super) fn evaluate(
    windows: &Windows<'_>,
    context: &FeatureContext,
    mlp: &Mlp,
    moments: impl Iterator<Item = usize>,
) -> Result<Scores, ModelError> {
    let dataset = windows.dataset;
    let mut scores = Scores::default();
    for newest in moments {
        let request = windows.request(newest, None);
        let said = mlp.forecast(context, &request)?;
        for column in 0..dataset.column_count() {
            let id = SegmentId(column as u32);
            let baselines = Baseline::ALL.map(|who| medians_mps(who, &request, id));
            for step in 0..STEP_COUNT {
                let Some(truth) = dataset.value(newest + 1 + step, column) else {
                    continue;
                };
                let quantiles = &said[column * STEP_COUNT + step];
                let medians = baselines.iter().map(|medians_mps| medians_mps[step]);
                let medians = std::iter::once(quantiles.p50_mps).chain(medians);
                for (sum, median) in scores.error[step].iter_mut().zip(medians) {
                    *sum += f64::from((truth - median).abs()) * dataset.units_per_value;
                }
                let is_inside = (quantiles.p10_mps..=quantiles.p90_mps).contains(&truth);
                scores.inside[step] += f64::from(u8::from(is_inside));
                scores.count[step] += 1.0;
            }
        }
    }
    Ok(scores)
}
