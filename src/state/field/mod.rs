//! The speed of a freeway over place and time, from what few vehicles and detectors measured.
//!
//! Adaptive smoothing (Treiber, Helbing: Reconstructing the spatio-temporal traffic dynamics from
//! stationary detector data, Cooper@tive Tr@nsport@tion Dyn@mics 1, 2002): jams move against the
//! traffic at a speed that hardly varies, free traffic carries its speed along with it. Two
//! smoothings along these two directions are mixed by how slow the slower of them is.
//!
//! It works step by step: measurements of a step come in, and the step that is [`FieldSettings::
//! lag_steps`] old is settled. It knows no network; [`Freeways`] ties it to segments.

mod freeway;
mod kernel;
mod snapshot;

pub use freeway::{FieldJam, FieldMinute, Freeway, Freeways};

use std::collections::VecDeque;

use kernel::Kernel;

/// Most cells of one field; a freeway of 500 km at 100 m needs 5000.
pub const FIELD_CELLS_MAX: usize = 20_000;

/// Most steps that one field remembers.
pub const FIELD_STEPS_MAX: usize = 512;

/// How a field is smoothed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FieldSettings {
    /// Length of a cell, m.
    pub cell_m: f32,
    /// Length of a step, s.
    pub step_s: f32,
    /// Widths of smoothing in congested traffic: place, m, and time, s.
    pub congested_widths: (f32, f32),
    /// Widths of smoothing in free traffic: place, m, and time, s.
    pub free_widths: (f32, f32),
    /// Speed at which jams move, m/s; negative, as they move upstream.
    pub congested_wave_mps: f32,
    /// Speed at which changes of free traffic move, m/s; positive.
    pub free_wave_mps: f32,
    /// Speed between congested and free, m/s, and the width of the transition, m/s.
    pub transition: (f32, f32),
    /// Steps after a step until which measurements still change it.
    pub lag_steps: usize,
}

/// Settings that fit the first half of the NGSIM field best when a share of its trajectories is kept:
/// widths in congested traffic (m, s) and in free traffic (m, s), speeds of jams and of free waves
/// (km/h), transition and its width (m/s). `benches/state.rs` scores the second half.
const FITTED: [(f32, [f32; 8]); 3] = [
    (0.20, [19.55, 1.99, 20.71, 10.83, 17.01, 115.5, 12.02, 2.53]),
    (0.10, [34.08, 2.17, 15.89, 21.05, 18.71, 92.4, 11.6, 2.92]),
    (0.05, [35.14, 1.59, 73.95, 21.75, 17.43, 258.1, 10.11, 1.61]),
];

/// Why settings make no field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field settings: {0}")]
pub struct FieldError(&'static str);

impl FieldSettings {
    /// For cells of minutes: a hundred metres, jams at 18 km/h, free traffic at 70 km/h, the
    /// transition at 43 km/h. Chosen after the ranges of the paper; a minute's measurement covers
    /// more than the widths of the fine field do, so that the widths follow cell and step.
    pub fn of_minutes() -> Self {
        Self {
            cell_m: 100.0,
            step_s: 60.0,
            congested_widths: (300.0, 60.0),
            free_widths: (300.0, 60.0),
            congested_wave_mps: -18.0 / 3.6,
            free_wave_mps: 70.0 / 3.6,
            transition: (12.0, 4.0),
            lag_steps: 0,
        }
    }

    /// For cells a few metres long and steps of a few seconds, filled by the trajectories of a
    /// share of all vehicles: the fewer there are, the wider the smoothing. Between the fitted
    /// shares settings are interpolated over the logarithm of the share, beyond them they stay.
    pub fn of_trajectories(cell_m: f32, step_s: f32, share: f32) -> Self {
        let right = FITTED.iter().position(|row| row.0 <= share);
        let right = right.unwrap_or(FITTED.len() - 1);
        let left = right.saturating_sub(1);
        let between = (FITTED[left].0.ln() - share.max(1e-6).ln())
            / (FITTED[left].0.ln() - FITTED[right].0.ln()).max(1e-6);
        let between = between.clamp(0.0, 1.0);
        let of = |index: usize| {
            let (at_left, at_right) = (FITTED[left].1[index], FITTED[right].1[index]);
            at_left + between * (at_right - at_left)
        };
        Self {
            cell_m,
            step_s,
            congested_widths: (of(0), of(1)),
            free_widths: (of(2), of(3)),
            congested_wave_mps: -of(4) / 3.6,
            free_wave_mps: of(5) / 3.6,
            transition: (of(6), of(7)),
            lag_steps: (180.0 / step_s.max(1.0)) as usize,
        }
    }

    fn check(&self) -> Result<(), FieldError> {
        let is_positive = |value: f32| value.is_finite() && value > 0.0;
        let widths = [self.congested_widths, self.free_widths];
        if !is_positive(self.cell_m) || !is_positive(self.step_s) {
            return Err(FieldError("cell and step must be positive"));
        }
        if !widths
            .iter()
            .all(|&(place, time)| is_positive(place) && is_positive(time))
        {
            return Err(FieldError("widths must be positive"));
        }
        if !is_positive(-self.congested_wave_mps) || !is_positive(self.free_wave_mps) {
            return Err(FieldError("jams move upstream, free traffic downstream"));
        }
        if !is_positive(self.transition.0) || !is_positive(self.transition.1) {
            return Err(FieldError("the transition must be positive"));
        }
        if self.lag_steps >= FIELD_STEPS_MAX / 2 {
            return Err(FieldError("the lag is longer than the memory"));
        }
        Ok(())
    }
}

/// The speed in one cell and step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FieldCell {
    /// Speed, m/s.
    pub speed_mps: f32,
    /// Weight of measurements behind it; a measurement in the cell itself weighs 1. Zero: nothing
    /// within reach was measured, and the speed is not one.
    pub weight: f32,
}

/// What was measured in one step.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    /// By cell: weight times speed, and weight.
    sums: Vec<(f32, f32)>,
}

/// The field of one stretch of road.
#[derive(Clone, Debug)]
pub struct SpeedField {
    settings: FieldSettings,
    cell_count: usize,
    congested: Kernel,
    free: Kernel,
    /// The steps remembered, oldest first; the last is the open one.
    steps: VecDeque<Step>,
    /// Number of the open step since the start.
    open_step: u64,
}

impl SpeedField {
    /// A field of `cell_count` cells in which nothing was measured.
    ///
    /// # Errors
    /// When a setting is out of range or the field would be too large.
    pub fn new(settings: FieldSettings, cell_count: usize) -> Result<Self, FieldError> {
        settings.check()?;
        if cell_count == 0 || cell_count > FIELD_CELLS_MAX {
            return Err(FieldError("no cells, or too many"));
        }
        let kernel = |widths, wave_mps| Kernel::new(&settings, widths, wave_mps);
        Ok(Self {
            congested: kernel(settings.congested_widths, settings.congested_wave_mps),
            free: kernel(settings.free_widths, settings.free_wave_mps),
            steps: VecDeque::from([Step::empty(cell_count)]),
            open_step: 0,
            settings,
            cell_count,
        })
    }

    /// How it is smoothed.
    pub fn settings(&self) -> &FieldSettings {
        &self.settings
    }

    /// Cells of the field.
    pub fn cell_count(&self) -> usize {
        self.cell_count
    }

    /// Adds a measurement of the open step. Cells beyond the end, and what is no speed or weight,
    /// are left out: it returns whether it was taken.
    pub fn observe(&mut self, cell: usize, speed_mps: f32, weight: f32) -> bool {
        let is_sound = speed_mps.is_finite() && speed_mps >= 0.0 && weight.is_finite();
        let sums = self
            .steps
            .back_mut()
            .and_then(|step| step.sums.get_mut(cell));
        let (Some(sums), true) = (sums, is_sound && weight > 0.0) else {
            return false;
        };
        sums.0 += weight * speed_mps;
        sums.1 += weight;
        true
    }

    /// Closes the open step, opens the next one, and writes the step that is settled by that to
    /// `into`, one value a cell: the one [`FieldSettings::lag_steps`] before the closed one. Returns
    /// its number, or `None` while there is none.
    pub fn close_step(&mut self, into: &mut Vec<FieldCell>) -> Option<u64> {
        let settled = self.open_step.checked_sub(self.settings.lag_steps as u64);
        into.clear();
        if settled.is_some() {
            let row = self.steps.len() - 1 - self.settings.lag_steps;
            into.extend((0..self.cell_count).map(|cell| self.cell(row, cell)));
        }
        self.open_step += 1;
        self.steps.push_back(Step::empty(self.cell_count));
        let kept = self.settings.lag_steps + 2 + self.congested.back().max(self.free.back());
        while self.steps.len() > kept.min(FIELD_STEPS_MAX) {
            self.steps.pop_front();
        }
        settled
    }

    /// Both smoothings of one cell, mixed.
    fn cell(&self, row: usize, cell: usize) -> FieldCell {
        let (congested_mps, congested_weight) = self.congested.smooth(&self.steps, row, cell);
        let (free_mps, free_weight) = self.free.smooth(&self.steps, row, cell);
        if congested_weight <= 0.0 || free_weight <= 0.0 {
            let (speed_mps, weight) = match congested_weight > 0.0 {
                true => (congested_mps, congested_weight),
                false => (free_mps, free_weight),
            };
            return FieldCell { speed_mps, weight };
        }
        let (middle_mps, width_mps) = self.settings.transition;
        let slower_mps = congested_mps.min(free_mps);
        let share = 0.5 * (1.0 + ((middle_mps - slower_mps) / width_mps).tanh());
        FieldCell {
            speed_mps: share * congested_mps + (1.0 - share) * free_mps,
            weight: share * congested_weight + (1.0 - share) * free_weight,
        }
    }
}

impl Step {
    fn empty(cell_count: usize) -> Self {
        Self {
            sums: vec![(0.0, 0.0); cell_count],
        }
    }
}

#[cfg(test)]
mod tests;
