//! What training windows are spoilt with on purpose, so that networks cope with gaps, noise and young
//! profiles.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::request::CARRY;
use super::{ForecastRequest, LAG_COUNT};

/// Spread of a deviation that was carried for long, in shares of free flow (chosen).
const CARRIED_SPREAD: f32 = 0.15;

/// How much of the profile is replaced by one level, where something of it is.
pub(super) const FLATTENINGS: [f32; 3] = [0.3, 0.65, 1.0];

/// What a training window is spoilt with; shares of free flow where not stated otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoil {
    /// Share of cells that are hidden, 0..=0.5.
    pub(super) masked: f32,
    /// Standard deviation of the noise added to each value.
    pub(super) noise: f32,
    /// Which of [`FLATTENINGS`] says how much of the profile is replaced by one level; `None` keeps it.
    pub(super) young: Option<usize>,
    /// Whether that level is the mean of the last hour, as a young profile has it, or of all time.
    pub(super) is_level_of_today: bool,
    /// Whether the model isn't told the time of day.
    pub(super) hides_time: bool,
    /// Whether the model isn't told the attributes of segments, as with sensors alone.
    pub(super) hides_road: bool,
    /// Whether slow levels, scatter and loadings are unknown, as in an engine that has just started.
    pub(super) hides_past: bool,
    /// Whether nobody has noticed incidents and weather.
    pub(super) hides_events: bool,
}

impl Spoil {
    /// Everything stays as it is.
    pub(super) const NOTHING: Self = Self {
        masked: 0.0,
        noise: 0.0,
        young: None,
        is_level_of_today: false,
        hides_time: false,
        hides_road: false,
        hides_past: false,
        hides_events: false,
    };

    /// How much of the profile is replaced by one level, 0..=1.
    pub(super) fn flattened(&self) -> f32 {
        self.young.map_or(0.0, |degree| FLATTENINGS[degree])
    }

    /// Whether nothing is known of the segments' past: a profile that is young in part says nothing
    /// of scatter, loadings and what the past foretells.
    pub(super) fn is_past_hidden(&self) -> bool {
        self.hides_past || self.young.is_some()
    }

    /// Cells of half the windows are hidden, up to half of them; nothing else changes (chosen).
    pub(super) fn draw_masked(rng: &mut ChaCha8Rng) -> Self {
        let masked = rng.random_range(0.0..0.5);
        Self {
            masked: if rng.random_bool(0.5) { masked } else { 0.0 },
            hides_past: rng.random_bool(0.15),
            ..Self::NOTHING
        }
    }

    /// Young profiles, a little noise and few gaps: what fading deviations are learnt from.
    pub(super) fn young(degree: usize, is_level_of_today: bool) -> Self {
        Self {
            masked: 0.2,
            noise: 0.05,
            young: Some(degree),
            is_level_of_today,
            ..Self::NOTHING
        }
    }

    /// Half of the windows keep their values and profile; the others lose some (chosen).
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let mut sometimes = |chance: f64, most: f32| {
            let amount = rng.random_range(0.0..most);
            if rng.random_bool(chance) { amount } else { 0.0 }
        };
        let young = sometimes(0.5, FLATTENINGS.len() as f32);
        Self {
            masked: sometimes(0.6, 0.5),
            noise: sometimes(0.5, 0.12),
            young: (young > 0.0).then_some(young as usize),
            is_level_of_today: sometimes(0.5, 1.0) > 0.0,
            hides_time: sometimes(0.4, 1.0) > 0.0,
            hides_past: sometimes(0.5, 1.0) > 0.0,
            hides_road: sometimes(0.3, 1.0) > 0.0,
            hides_events: sometimes(0.2, 1.0) > 0.0,
        }
    }
}

/// Hides and blurs cells of the last hour.
pub(super) fn spoil_history(request: &mut ForecastRequest, spoil: &Spoil, rng: &mut ChaCha8Rng) {
    for at in 0..request.history_mps.len() {
        if spoil.masked > 0.0 && rng.random_bool(f64::from(spoil.masked)) {
            request.history_mps[at] = 0.0;
            request.history_share[at] = 0.0;
        } else if request.history_share[at] > 0.0 && spoil.noise > 0.0 {
            let noise_mps = spoil.noise * request.free_flow_mps[at / LAG_COUNT] * normal(rng);
            request.history_mps[at] = (request.history_mps[at] + noise_mps).max(0.0);
            request.history_share[at] = rng.random_range(0.2..=1.0);
        }
    }
}

/// Carries the newest known value of each segment forward, as the state filter does.
pub(super) fn fill_now(request: &mut ForecastRequest, noise: f32) {
    for column in 0..request.segment_count() {
        let first = column * LAG_COUNT;
        let profile_mps = request.past_profile_mps[first];
        let shares = &request.history_share[first..first + LAG_COUNT];
        let known = shares.iter().position(|&share| share > 0.0);
        let (now_mps, kept) = match known {
            Some(lag) => {
                let kept = CARRY.powi(lag as i32);
                let residual_mps =
                    request.history_mps[first + lag] - request.past_profile_mps[first + lag];
                ((profile_mps + kept * residual_mps).max(0.0), kept)
            }
            None => (profile_mps, 0.0),
        };
        request.now_mps[column] = now_mps;
        let carried = CARRIED_SPREAD * (1.0 - kept * kept).sqrt();
        request.sigma_mps[column] =
            request.free_flow_mps[column] * (kept * noise).hypot(carried).max(0.02);
        request.age_min[column] = known.map_or(u8::MAX, |lag| 5 * lag as u8);
    }
}

/// A standard normal number (Box and Muller, 1958).
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.random::<f32>()).max(1e-12).ln()).sqrt();
    radius * (std::f32::consts::TAU * rng.random::<f32>()).cos()
}
