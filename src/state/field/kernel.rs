//! The weights of one smoothing: exponential in place, and in time along a wave.

use std::collections::VecDeque;

use super::{FIELD_STEPS_MAX, FieldSettings, Step};

/// Weights below this are left out: e^-14, so that a place far from all measurements still has some.
const WEIGHT_MIN: f32 = 8.3e-7;

/// Weights by the step and cell they lie from the place in question.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    /// One row a step, oldest first: steps from the place, first cell from it, weights by cell.
    rows: Vec<(isize, isize, Vec<f32>)>,
}

impl Kernel {
    pub(super) fn new(settings: &FieldSettings, widths: (f32, f32), wave_mps: f32) -> Self {
        let (width_m, width_s) = widths;
        let reach = -WEIGHT_MIN.ln();
        let cells = (reach * width_m / settings.cell_m).ceil() as isize;
        let along_s = reach * width_s + reach * width_m / wave_mps.abs();
        let steps = ((along_s / settings.step_s).ceil() as isize).min(FIELD_STEPS_MAX as isize / 2);
        let weight = |step: isize, cell: isize| {
            let place_m = cell as f32 * settings.cell_m;
            let lag_s = step as f32 * settings.step_s - place_m / wave_mps;
            (-place_m.abs() / width_m - lag_s.abs() / width_s).exp()
        };
        let mut rows = Vec::new();
        for step in -steps..=steps {
            let is_kept = |cell: &isize| weight(step, *cell) >= WEIGHT_MIN;
            let first = (-cells..=cells).find(is_kept);
            let last = (-cells..=cells).rev().find(is_kept);
            if let (Some(first), Some(last)) = (first, last) {
                let weights = (first..=last).map(|cell| weight(step, cell)).collect();
                rows.push((step, first, weights));
            }
        }
        Self { rows }
    }

    /// Steps before the place in question that have a weight.
    pub(super) fn back(&self) -> usize {
        let first = self.rows.first().map_or(0, |row| row.0);
        first.min(0).unsigned_abs()
    }

    /// The weighted mean around cell `cell` of step `row`, and the weight behind it.
    pub(super) fn smooth(&self, steps: &VecDeque<Step>, row: usize, cell: usize) -> (f32, f32) {
        let (mut sum, mut total) = (0.0f32, 0.0f32);
        for (step, first, weights) in &self.rows {
            let Some(at) = row.checked_add_signed(*step).and_then(|row| steps.get(row)) else {
                continue;
            };
            let from = cell as isize + first;
            let skipped = (-from).max(0) as usize;
            let start = from.max(0) as usize;
            let sums = at.sums.iter().skip(start);
            for (&weight, &(speed, count)) in weights.iter().skip(skipped).zip(sums) {
                sum += weight * speed;
                total += weight * count;
            }
        }
        if total > 0.0 {
            (sum / total, total)
        } else {
            (0.0, 0.0)
        }
    }
}
