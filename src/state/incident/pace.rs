//! The statistical channel: road users that are slower than is usual on their segment, on fast roads
//! and where nothing further on explains it. In town it told recurrent jams as incidents.
//!
//! What is usual is learnt of each segment as mean and deviation of the speed at which single road
//! users pass it (Welford 1962). The likelihoods of one pass are mixtures, so that one odd driver
//! says little: without a blockage it is normal, and anything with the probability [`ODD`]; with
//! one, [`HINDERED`] of the passes have any speed below [`SLOWER`] of the usual, the others the
//! usual.

use crate::network::Segment;
use crate::state::stay::Stay;

/// Passes that must be known before a slower one says anything.
const KNOWN_PASSES: f32 = 15.0;
/// Passes of which mean and deviation are kept; older ones count less.
const MEMORY_PASSES: f32 = 300.0;
/// A pass tells a speed when it is so long, s and m.
const PASS_S_MIN: f32 = 3.0;
const PASS_M_MIN: f32 = 40.0;
/// Shortest segment on which speeds are told from what junctions do, m.
const LENGTH_MIN_M: f32 = 80.0;
/// Deviation of single drivers from the usual speed, as a share of it, at least.
const DEVIATION_MIN: f32 = 0.15;
/// Deviation from which a segment is not steady enough to tell anything.
const DEVIATION_MAX: f32 = 0.30;
/// Share of odd passes without a blockage.
const ODD: f32 = 0.04;
/// Share of hindered passes with one, and below which share of the usual speed they are.
const HINDERED: f32 = 0.15;
const SLOWER: f32 = 0.75;
/// Most that one minute weighs.
const WEIGHT_MAX: f32 = 3.0;

/// How fast single road users pass a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pace {
    pub(super) count: f32,
    pub(super) mean_mps: f32,
    /// Sum of squared deviations, m²/s².
    pub(super) squares: f32,
}

impl Pace {
    fn deviation(&self) -> f32 {
        (self.squares / self.count.max(1.0)).sqrt() / self.mean_mps.max(0.1)
    }

    /// Takes the speed of one pass.
    pub(super) fn learn(&mut self, speed_mps: f32) {
        if self.count >= MEMORY_PASSES {
            self.count /= 2.0;
            self.squares /= 2.0;
        }
        self.count += 1.0;
        let before_mps = speed_mps - self.mean_mps;
        self.mean_mps += before_mps / self.count;
        self.squares += before_mps * (speed_mps - self.mean_mps);
    }

    /// Log-likelihood ratio of the passes of a minute, and the ratio of their mean speed to the
    /// usual one; `None` where nothing can be said.
    pub(super) fn weigh(&self, segment: &Segment, stays: &[Stay]) -> Option<(f32, f32)> {
        let is_steady = self.count >= KNOWN_PASSES && self.deviation() <= DEVIATION_MAX;
        if !is_steady || segment.length_m < LENGTH_MIN_M {
            return None;
        }
        let sigma = self.deviation().max(DEVIATION_MIN);
        let (mut weight, mut sum, mut count) = (0.0f32, 0.0f32, 0.0f32);
        for ratio in stays.iter().filter_map(speed_of).map(|v| v / self.mean_mps) {
            let off = (ratio - 1.0).min(0.0) / sigma;
            let usual = (-0.5 * off * off).exp() / (sigma * (2.0 * std::f32::consts::PI).sqrt());
            let slower = if ratio < SLOWER { 1.0 / SLOWER } else { 0.0 };
            let blocked = HINDERED * slower + (1.0 - HINDERED) * usual;
            weight += (blocked / (ODD + (1.0 - ODD) * usual)).ln();
            sum += ratio;
            count += 1.0;
        }
        (count > 0.0).then(|| (weight.min(WEIGHT_MAX), sum / count))
    }
}

/// The speed at which a road user passed, m/s; `None` where it was there too shortly to tell.
pub(super) fn speed_of(stay: &Stay) -> Option<f32> {
    let (time_s, distance_m) = (stay.time_ms as f32 / 1e3, stay.distance_mm as f32 / 1e3);
    let is_long = time_s >= PASS_S_MIN && (distance_m >= PASS_M_MIN || time_s >= 20.0);
    stay.speed_mps().filter(|_| is_long)
}
