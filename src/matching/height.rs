//! What reported altitudes tell about the level of the road: only their changes along one trip count.
//!
//! Neither the terrain nor the offset of a receiver's altitude is known, so each hypothesis carries
//! its own estimate of the altitude of the ground, which drifts slowly: a scalar Kalman filter on
//! `altitude - layer * LEVEL_M`. A vehicle that drove up a ramp then fits the viaduct and no longer
//! the street below.

use bytemuck::{Pod, Zeroable};

/// Height of one layer above the one below, metres: clearance of 4.5 to 5.5 m over urban roads
/// (CJJ 37-2012, 3.4.3) and the thickness of a deck.
const LEVEL_M: f32 = 7.0;

/// Variance of a reported altitude, m^2: (5 m)^2, chosen; vertical GNSS errors are about 1.5 times
/// the horizontal ones.
const ALTITUDE_VAR: f32 = 25.0;

/// Variance the altitude of the ground gains each second of driving, m^2/s; chosen for gentle
/// terrain, so that a ramp stands out from it for some 15 s.
const DRIFT_VAR: f32 = 0.1;

/// Variance before any altitude is known, m^2.
const UNKNOWN_VAR: f32 = 1e6;

/// Squared normalised innovation beyond which an altitude is an outlier and weighs no more.
const OUTLIER: f32 = 9.0;

/// Estimated altitude of the ground: mean in metres and variance in m^2.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Ground {
    height_m: f32,
    variance: f32,
}

impl Ground {
    /// Nothing is known yet.
    pub(crate) const UNKNOWN: Self = Self {
        height_m: 0.0,
        variance: UNKNOWN_VAR,
    };

    /// Takes in an altitude reported from a road on `layer`, `elapsed_s` after the last fix, and
    /// returns the logarithm of its likelihood up to a constant.
    pub(crate) fn observe(&mut self, altitude_m: f32, layer: i8, elapsed_s: f32) -> f32 {
        self.variance = (self.variance + DRIFT_VAR * elapsed_s).min(UNKNOWN_VAR);
        let innovation = altitude_m - LEVEL_M * f32::from(layer) - self.height_m;
        let spread = self.variance + ALTITUDE_VAR;
        let surprise = (innovation * innovation / spread).min(OUTLIER);
        let gain = self.variance / spread;
        self.height_m += gain * innovation;
        self.variance *= 1.0 - gain;
        -0.5 * surprise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_climb_speaks_for_the_upper_level() {
        let (mut stays, mut climbs) = (Ground::UNKNOWN, Ground::UNKNOWN);
        let mut lead = 0.0;
        for second in 0_u8..40 {
            let altitude_m = if second < 20 { 23.0 } else { 30.0 };
            let layer = i8::from(second >= 20);
            lead += climbs.observe(altitude_m, layer, 1.0) - stays.observe(altitude_m, 0, 1.0);
        }
        assert!(lead > 4.0, "{lead}");
    }

    #[test]
    fn a_constant_offset_says_nothing() {
        let (mut below, mut above) = (Ground::UNKNOWN, Ground::UNKNOWN);
        let mut lead = 0.0;
        for _ in 0..40 {
            lead += above.observe(55.0, 1, 1.0) - below.observe(55.0, 0, 1.0);
        }
        assert!(lead.abs() < 0.1, "{lead}");
    }
}
