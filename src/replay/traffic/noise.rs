//! Positioning error of a receiver: a first-order autoregressive walk on both axes.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use crate::units::Point;

/// Standard deviation of the position error on each axis, metres (the recordings this project is
/// tested with use the same).
pub(super) const POSITION_SIGMA_M: f32 = 4.0;
/// Time over which the error forgets itself, seconds (chosen as for those recordings).
const POSITION_TAU_S: f32 = 30.0;

/// A nearly normal number with mean 0 and standard deviation 1: the sum of four uniform ones
/// (Irwin-Hall), bounded at 3.46.
pub(super) fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let bits = rng.next_u64();
    let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
    // Variance of the sum of four uniforms on 0..65536 is 65536^2 / 3.
    (sum as f32 - 131_070.0) * (1.732_050_8 / 65_536.0)
}

/// The error of one receiver.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PositionError {
    x_m: f32,
    y_m: f32,
}

impl PositionError {
    /// An error drawn from the stationary distribution.
    pub(super) fn drawn(rng: &mut ChaCha8Rng) -> Self {
        Self {
            x_m: POSITION_SIGMA_M * normal(rng),
            y_m: POSITION_SIGMA_M * normal(rng),
        }
    }

    /// Lets `seconds` pass and adds the error to `point`.
    pub(super) fn apply(&mut self, point: Point, seconds: f32, rng: &mut ChaCha8Rng) -> Point {
        let keep = (-seconds / POSITION_TAU_S).exp();
        let fresh = POSITION_SIGMA_M * (1.0 - keep * keep).sqrt();
        self.x_m = keep * self.x_m + fresh * normal(rng);
        self.y_m = keep * self.y_m + fresh * normal(rng);
        Point::new(point.x + self.x_m, point.y + self.y_m)
    }
}
