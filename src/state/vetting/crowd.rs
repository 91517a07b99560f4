//! Rules that find groups of reports that cannot be what they say.
//!
//! Each looks at the believed stays of one segment in one minute, sorted, and says which it finds.

use super::super::stay::Stay;
use super::{Doubt, Segmentwise, VettingSettings};
use crate::units::ViewId;

/// Slow: below this share of free-flow speed (the share below which a road counts as congested,
/// GB/T 33171-2016).
const SLOW_RATIO: f32 = 0.5;

/// Free: above this share of free-flow speed (as the onset rule of the project's methods clears).
const FREE_RATIO: f32 = 0.65;

/// How long a vehicle of a crowd is there in the minute, ms: whoever begins a trip in a queue at the
/// edge of the network drives on with the next green.
const CROWD_MS_MIN: u32 = 30_000;

/// How long a vehicle of a queue stands at least in a minute, ms: longer than most reds, so that a
/// queue that a green lets go within the minute is none.
const STANDING_MS_MIN: u32 = 45_000;

/// Length of road that a standing vehicle takes in a lane, m (jam spacing; HCM 2010, chapter 18).
const JAM_SPACING_M: f32 = 7.5;

/// Share of the places in all lanes beyond which nobody gets through a queue.
const FILLED_SHARE: f32 = 0.7;

/// Vehicles that must have driven through a queue to call it a ghost.
const PASSERS_MIN: f32 = 2.0;

/// Standard deviations beyond which a speed contradicts what was expected (trust rules of the
/// project's methods: 3 median absolute deviations).
const CONTRADICTION_SIGMAS: f32 = 3.0;

/// The rules in the order in which they are asked.
pub(super) const RULES: [Doubt; 3] = [Doubt::Unproven, Doubt::Ghost, Doubt::Uncorroborated];

/// What the rules know of a segment.
pub(super) struct Suspicion<'a> {
    settings: VettingSettings,
    seen: &'a Segmentwise<'a>,
    free_flow_mps: f32,
    length_m: f32,
    lanes: f32,
}

impl<'a> Suspicion<'a> {
    pub(super) fn new(settings: VettingSettings, seen: &'a Segmentwise<'a>) -> Self {
        let segment = seen.state.network().segment(seen.segment);
        Self {
            settings,
            free_flow_mps: seen.state.profiles().free_flow_at(seen.segment.index()),
            length_m: segment.length_m,
            lanes: f32::from(segment.lanes.max(1)),
            seen,
        }
    }

    /// Which of the stays a rule finds.
    pub(super) fn find(&self, rule: Doubt, stays: &[Stay]) -> Vec<bool> {
        match rule {
            Doubt::Unproven => self.unproven(stays),
            Doubt::Ghost => self.ghosts(stays),
            Doubt::Uncorroborated => self.uncorroborated(stays),
            Doubt::None | Doubt::Distrusted => vec![false; stays.len()],
        }
    }

    fn is_slow(&self, stay: &Stay) -> bool {
        let speed_mps = stay.speed_mps();
        speed_mps.is_some_and(|speed_mps| speed_mps < SLOW_RATIO * self.free_flow_mps)
    }

    fn is_free(&self, stay: &Stay) -> bool {
        let speed_mps = stay.speed_mps();
        speed_mps.is_some_and(|speed_mps| speed_mps > FREE_RATIO * self.free_flow_mps)
    }

    /// Vehicles that detectors counted at free speed.
    fn detected_free(&self) -> f32 {
        let detected = &self.seen.detected;
        if detected.speed_mps > FREE_RATIO * self.free_flow_mps {
            detected.count
        } else {
            0.0
        }
    }

    /// Whether a mean speed is far below what was expected of this minute.
    fn is_surprising(&self, speed_mps: f32) -> bool {
        let (expected_mps, sigma_mps) = self.seen.state.expected_mps(self.seen.segment);
        expected_mps - speed_mps > CONTRADICTION_SIGMAS * sigma_mps
    }

    /// Slow vehicles that appeared on the segment and have never driven anywhere, where more of
    /// those that have a history or are perceived by a unit drive freely than slowly, or nobody else
    /// is there, none of them drives on, and nothing let a jam be expected. On a segment where such
    /// a crowd was found lately one is enough. Once they have driven on they are believed.
    fn unproven(&self, stays: &[Stay]) -> Vec<bool> {
        let (time_ms_min, count_min) = if self.seen.is_suspected {
            (1, 1)
        } else {
            (CROWD_MS_MIN, self.settings.crowd_min)
        };
        let is_unproven = |stay: &Stay| stay.is_own && !stay.is_proven;
        let is_one =
            |stay: &Stay| is_unproven(stay) && stay.time_ms >= time_ms_min && self.is_slow(stay);
        let crowd: Vec<bool> = stays.iter().map(is_one).collect();
        let count = crowd.iter().filter(|is_one| **is_one).count();
        if (count as u32) < count_min {
            return vec![false; stays.len()];
        }
        let witnesses = || stays.iter().filter(|stay| stay.is_proven || !stay.is_own);
        let free = witnesses().filter(|stay| self.is_free(stay)).count() as f32;
        let slow = witnesses().filter(|stay| self.is_slow(stay)).count() as f32;
        let is_denied = free + self.detected_free() > slow;
        let members = || stays.iter().zip(&crowd).filter(|(_, is_one)| **is_one);
        let is_stuck = !stays.iter().any(|stay| is_unproven(stay) && stay.has_left);
        let is_unexpected = slow == 0.0
            && is_stuck
            && mean_speed_mps(members().map(|(stay, _)| stay))
                .is_some_and(|speed_mps| self.is_surprising(speed_mps));
        if is_denied || is_unexpected {
            crowd
        } else {
            vec![false; stays.len()]
        }
    }

    /// Standing vehicles of one view that fill all lanes of a stretch through which vehicles of
    /// other views, or in front of detectors, drove freely in the same minute.
    fn ghosts(&self, stays: &[Stay]) -> Vec<bool> {
        let mut found = vec![false; stays.len()];
        for view in views(stays) {
            let stands = |stay: &Stay| stay.view == view && stay.standing_ms >= STANDING_MS_MIN;
            let standing: Vec<bool> = stays.iter().map(stands).collect();
            let queue = || stays.iter().zip(&standing).filter(|(_, stands)| **stands);
            let ends = queue().filter_map(|(stay, _)| stay.stretch_dm());
            let Some((from_dm, to_dm)) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
                continue;
            };
            let count = queue().count() as f32;
            let stretch_m = (f32::from(to_dm - from_dm) / 10.0).min(self.length_m) + JAM_SPACING_M;
            let places = self.lanes * stretch_m / JAM_SPACING_M;
            let is_filled =
                count >= FILLED_SHARE * places && count >= self.settings.crowd_min as f32;
            let passes = |stay: &&Stay| {
                let stretch_dm = stay.stretch_dm();
                stay.view != view
                    && self.is_free(stay)
                    && stretch_dm.is_some_and(|(a, b)| a <= from_dm && b >= to_dm)
            };
            let passers = stays.iter().filter(passes).count() as f32 + self.detected_free();
            if is_filled && passers >= PASSERS_MIN {
                for (found, stands) in found.iter_mut().zip(standing) {
                    *found |= stands;
                }
            }
        }
        found
    }

    /// Everything, where speed drops surprisingly and fewer views than asked for tell it.
    fn uncorroborated(&self, stays: &[Stay]) -> Vec<bool> {
        let detector = usize::from(self.seen.detected.count > 0.0);
        let count = views(stays).count() + detector;
        let is_few = count < usize::from(self.settings.views_min);
        let drops =
            || mean_speed_mps(stays.iter()).is_some_and(|speed_mps| self.is_surprising(speed_mps));
        vec![is_few && drops(); stays.len()]
    }
}

/// The views of stays sorted by view, each once.
fn views(stays: &[Stay]) -> impl Iterator<Item = ViewId> + '_ {
    stays
        .chunk_by(|one, other| one.view == other.view)
        .map(|group| group[0].view)
}

/// Space-mean speed, m/s.
fn mean_speed_mps<'a>(stays: impl Iterator<Item = &'a Stay>) -> Option<f32> {
    let (distance_mm, time_ms) = stays.fold((0u64, 0u64), |(distance, time), stay| {
        (
            distance + u64::from(stay.distance_mm),
            time + u64::from(stay.time_ms),
        )
    });
    (time_ms > 0).then(|| distance_mm as f32 / time_ms as f32)
}
