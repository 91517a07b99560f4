//! How much slower or faster than usual the last hours were, by the times that road users took.

use super::pace::pace_spm;

/// Road users whose times the usual time counts as among those of the last hours: where the profile is
/// but a level, and how many more where it is known (chosen on own hours of Bologna; with more the
/// hours, which resemble each other more than days do, would be forecast a little better still).
const TODAY_PRIOR: f32 = 1.0;
const TODAY_PRIOR_KNOWN: f32 = 100.0;
/// What is left of the last hours after a minute: they fade over two hours.
const TODAY_KEPT: f32 = 1.0 - 1.0 / 120.0;
/// No stored speed counts as slower, m/s.
const STORED_MIN_MPS: f32 = 0.1;

/// What road users of the last hours took for a metre, s, added up a segment, and what they usually take.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Today {
    pub(super) took_spm: Vec<f32>,
    pub(super) usually_spm: Vec<f32>,
}

impl Today {
    /// Knows of nobody yet.
    pub(super) fn new(segments: usize) -> Self {
        Self {
            took_spm: vec![0.0; segments],
            usually_spm: vec![0.0; segments],
        }
    }

    /// Takes in how fast so many road users were on a segment where a speed is usual.
    pub(super) fn learn(&mut self, index: usize, usual_mps: f32, speed_mps: f32, users: f32) {
        self.took_spm[index] += users * pace_spm(speed_mps);
        self.usually_spm[index] += users * pace_spm(usual_mps);
    }

    /// Lets so many minutes pass.
    pub(super) fn forget(&mut self, minutes: f32) {
        let kept = TODAY_KEPT.powf(minutes);
        let sums = self.took_spm.iter_mut().chain(&mut self.usually_spm);
        // What is next to nothing becomes nothing, not a denormal number.
        sums.for_each(|sum| *sum = if *sum > 1e-9 { *sum * kept } else { 0.0 });
    }

    /// What was usual in the last hours has moved with the stored speed, m/s.
    pub(super) fn follow(&mut self, index: usize, before_mps: f32, after_mps: f32) {
        let usually_spm = &mut self.usually_spm[index];
        if *usually_spm > 0.0 {
            *usually_spm *= before_mps.max(STORED_MIN_MPS) / after_mps.max(STORED_MIN_MPS);
        }
    }

    /// A stored speed, m/s, times what road users of the last hours usually take over what they took;
    /// both with the prior that they take what is usual, the more the profile is `known`, 0..=1.
    pub(super) fn moved_mps(&self, index: usize, stored_mps: f32, known: f32) -> f32 {
        let stored_mps = stored_mps.max(STORED_MIN_MPS);
        let prior_spm = (TODAY_PRIOR + known * TODAY_PRIOR_KNOWN) / stored_mps;
        stored_mps * (self.usually_spm[index] + prior_spm) / (self.took_spm[index] + prior_spm)
    }
}
