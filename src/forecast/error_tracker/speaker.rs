//! Who forecasts and is scored, and who speaks for whom.

use super::super::snapshot::{Reader, SnapshotError, put_f64, put_u32};
use super::super::{Baseline, RATIO_BIN_COUNT};

/// Finished steps a model must have been scored on before it can lose its voice: two hours, so that
/// errors of every horizon are among them (chosen).
const MIN_SCORED_STEPS: u32 = 24;
/// Cells, those of older steps counting less, that a comparison must rest on (chosen: fewer than one
/// segment measured all the time gives).
const MIN_CELLS: f64 = 500.0;
/// A forecaster falls silent when its mean error exceeds another's by this factor, and the model
/// speaks again below parity (chosen, so that it does not flicker).
const LOSE_FACTOR: f64 = 1.05;

/// Who is scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Speaker {
    /// The configured forecaster.
    #[default]
    Running = 0,
    /// [`super::super::LastValue`].
    LastValue = 1,
    /// [`super::super::Profile`].
    Profile = 2,
    /// [`super::super::ProfileResidual`].
    ProfileResidual = 3,
    /// A second model that is scored and never published.
    Shadow = 4,
    /// What was published, whoever spoke.
    Published = 5,
}

impl Speaker {
    /// Everyone, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::LastValue,
        Self::Profile,
        Self::ProfileResidual,
        Self::Shadow,
        Self::Published,
    ];

    /// How many forecast: everyone but [`Speaker::Published`].
    pub(super) const FORECASTERS: usize = 5;

    /// Who can be published. Of two baselines that err alike the later speaks.
    pub const SPEAKING: [Self; 4] = [
        Self::Running,
        Self::LastValue,
        Self::Profile,
        Self::ProfileResidual,
    ];

    /// The label used in metrics and messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::LastValue => "last_value",
            Self::Profile => "profile",
            Self::ProfileResidual => "profile_residual",
            Self::Shadow => "shadow",
            Self::Published => "published",
        }
    }

    /// The baseline behind it, if it is one.
    pub const fn baseline(self) -> Option<Baseline> {
        match self {
            Self::LastValue => Some(Baseline::LastValue),
            Self::Profile => Some(Baseline::Profile),
            Self::ProfileResidual => Some(Baseline::ProfileResidual),
            Self::Running | Self::Shadow | Self::Published => None,
        }
    }

    /// The one behind which `baseline` is.
    pub const fn of(baseline: Baseline) -> Self {
        match baseline {
            Baseline::LastValue => Self::LastValue,
            Baseline::Profile => Self::Profile,
            Baseline::ProfileResidual => Self::ProfileResidual,
        }
    }

    /// The one of that number among those that can be published.
    fn speaking(number: u32) -> Option<Self> {
        Self::SPEAKING.get(number as usize).copied()
    }
}

/// Who speaks for the segments of each class of the present ratio to free flow, slowest first.
pub type Voices = [Speaker; RATIO_BIN_COUNT];

/// Appends who speaks.
pub(super) fn put_voices(out: &mut Vec<u8>, voices: &Voices) {
    for &speaker in voices {
        put_u32(out, speaker as u32);
    }
}

/// Reads what [`put_voices`] appended.
pub(super) fn take_voices(reader: &mut Reader<'_>) -> Result<Voices, SnapshotError> {
    let mut voices = Voices::default();
    for voice in &mut voices {
        let number = reader.u32()?;
        *voice = Speaker::speaking(number).ok_or(reader.malformed())?;
    }
    Ok(voices)
}

/// Compares the errors of those who can be published, on the same cells, and says who speaks.
///
/// The classes are those of the present speed's ratio to free flow, because it decides more than the
/// kind of road who is right: while traffic flows all say about the same, and a model that was
/// trained elsewhere errs where it jams. One speaks for all steps of a class, so that a forecast
/// makes no leap between two steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Choice {
    /// Sums of absolute errors, m/s, in the order of [`Speaker::SPEAKING`].
    error_mps: [[f64; Speaker::SPEAKING.len()]; RATIO_BIN_COUNT],
    weight: [f64; RATIO_BIN_COUNT],
    /// Finished steps with a cell of the class.
    steps: [u32; RATIO_BIN_COUNT],
    /// Whether the step under way has one.
    has_cell: [bool; RATIO_BIN_COUNT],
    voices: Voices,
}

impl Choice {
    /// Who speaks.
    pub(super) fn voices(&self) -> &Voices {
        &self.voices
    }

    /// Takes the absolute errors of one cell, in the order of [`Speaker::SPEAKING`].
    pub(super) fn add(&mut self, class: usize, errors_mps: [f64; Speaker::SPEAKING.len()]) {
        for (sum, error_mps) in self.error_mps[class].iter_mut().zip(errors_mps) {
            *sum += error_mps;
        }
        self.weight[class] += 1.0;
        self.has_cell[class] = true;
    }

    pub(super) fn fade(&mut self, keep: f64) {
        let sums = self.error_mps.as_flattened_mut();
        for sum in sums.iter_mut().chain(&mut self.weight) {
            *sum *= keep;
        }
    }

    /// Decides anew after a finished step.
    pub(super) fn decide(&mut self) {
        for class in 0..RATIO_BIN_COUNT {
            if std::mem::take(&mut self.has_cell[class]) {
                self.steps[class] = self.steps[class].saturating_add(1);
            }
            if self.steps[class] < MIN_SCORED_STEPS || self.weight[class] < MIN_CELLS {
                continue;
            }
            let errors_mps = &self.error_mps[class];
            let error_mps = |speaker: Speaker| errors_mps[speaker as usize];
            let voice = &mut self.voices[class];
            if *voice != Speaker::Running && error_mps(Speaker::Running) <= error_mps(*voice) {
                *voice = Speaker::Running;
            }
            let best = Speaker::SPEAKING.into_iter().rev();
            let best = best.min_by(|&a, &b| error_mps(a).total_cmp(&error_mps(b)));
            if let Some(best) = best
                && error_mps(*voice) > LOSE_FACTOR * error_mps(best)
            {
                *voice = best;
            }
        }
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        let sums = self.error_mps.as_flattened().iter().chain(&self.weight);
        sums.for_each(|&sum| put_f64(out, sum));
        for steps in self.steps {
            put_u32(out, steps);
        }
        put_voices(out, &self.voices);
    }

    pub(super) fn restore(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut choice = Self::default();
        let sums = choice.error_mps.as_flattened_mut();
        for sum in sums.iter_mut().chain(&mut choice.weight) {
            *sum = reader.f64()?;
        }
        for steps in &mut choice.steps {
            *steps = reader.u32()?;
        }
        choice.voices = take_voices(reader)?;
        Ok(choice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `steps` finished steps with 100 cells of these errors in class 1.
    fn run(choice: &mut Choice, steps: usize, errors_mps: [f64; 4]) {
        for _ in 0..steps {
            choice.fade(1.0 - 1.0 / 72.0);
            (0..100).for_each(|_| choice.add(1, errors_mps));
            choice.decide();
        }
    }

    #[test]
    fn the_best_speaks_where_the_model_has_lost_for_long_and_only_there() {
        let mut choice = Choice::default();
        run(&mut choice, 23, [2.0, 1.5, 3.0, 1.8]);
        assert_eq!(choice.voices(), &Voices::default());
        run(&mut choice, 1, [2.0, 1.5, 3.0, 1.8]);
        let mut wanted = Voices::default();
        wanted[1] = Speaker::LastValue;
        assert_eq!(choice.voices(), &wanted);
    }

    #[test]
    fn a_voice_is_neither_lost_nor_won_by_a_little() {
        let mut choice = Choice::default();
        run(&mut choice, 200, [1.04, 1.0, 3.0, 1.0]);
        assert_eq!(choice.voices()[1], Speaker::Running);
        run(&mut choice, 400, [1.10, 1.1, 3.0, 1.0]);
        assert_eq!(choice.voices()[1], Speaker::ProfileResidual);
        run(&mut choice, 400, [1.02, 1.0, 3.0, 1.0]);
        assert_eq!(choice.voices()[1], Speaker::ProfileResidual);
        run(&mut choice, 400, [0.99, 1.1, 3.0, 1.0]);
        assert_eq!(choice.voices()[1], Speaker::Running);
    }

    #[test]
    fn who_speaks_survives_a_restart() {
        let mut choice = Choice::default();
        run(&mut choice, 30, [2.0, 1.5, 3.0, 1.8]);
        let mut bytes = 1u32.to_le_bytes().to_vec();
        choice.snapshot(&mut bytes);
        let mut reader = Reader::new(&bytes, 1).unwrap();
        assert_eq!(Choice::restore(&mut reader), Ok(choice));
        let at = bytes.len() - 4;
        bytes[at] = 4;
        let mut reader = Reader::new(&bytes, 1).unwrap();
        assert!(
            Choice::restore(&mut reader).is_err(),
            "a shadow never speaks"
        );
    }
}
