//! What a hypothesis believes of its vehicle: a four-state Kalman filter along the road.
//!
//! State: metres along the route `s`, speed `v`, and the persisting positioning error `(bx, by)`
//! east and north. A position is `p(s) + b + white noise` with `p` the road geometry; `b` is a
//! first-order Gauss-Markov process, the usual model of slowly changing GNSS errors (Brown and
//! Hwang 1997, Introduction to Random Signals and Applied Kalman Filtering, ch. 11); the speed is
//! a random walk (white acceleration). Updates are sequential scalar ones, so nothing is inverted.

use bytemuck::{Pod, Zeroable};

/// Mean and covariance; the covariance is kept as its upper triangle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Belief {
    /// Metres along the road, m/s, metres east, metres north.
    pub(crate) mean: [f32; 4],
    /// Covariance: ss sv sx sy vv vx vy xx xy yy.
    pub(crate) cov: [f32; 10],
}

/// Where element (row, column) of the covariance lies in its upper triangle.
const AT: [[usize; 4]; 4] = [[0, 1, 2, 3], [1, 4, 5, 6], [2, 5, 7, 8], [3, 6, 8, 9]];

/// The elapsed time and the noise that comes with it, the same for every hypothesis of a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage {
    pub(crate) elapsed_s: f32,
    /// Share of the persisting error left.
    pub(crate) decay: f32,
    /// Variance the persisting error gains, m^2.
    pub(crate) bias_gain: f32,
    /// Spectral density of acceleration, m^2/s^3.
    pub(crate) acceleration_density: f32,
}

/// Longest time over which acceleration adds to the speed variance, seconds: town speeds are bounded,
/// a random walk is not. Chosen from the spread of speed differences of urban traces, which levels
/// off between 15 and 30 s.
const SPEED_MEMORY_S: f32 = 20.0;

impl Belief {
    /// A vehicle somewhere around `s` with standard deviation `s_sigma_m`.
    pub(crate) fn vague(s_m: f32, s_var: f32, v_mps: f32, v_var: f32, bias_var: f32) -> Self {
        let mut cov = [0.0; 10];
        cov[AT[0][0]] = s_var;
        cov[AT[1][1]] = v_var;
        cov[AT[2][2]] = bias_var;
        cov[AT[3][3]] = bias_var;
        Self {
            mean: [s_m, v_mps, 0.0, 0.0],
            cov,
        }
    }

    /// Variance of the position along the road, m^2.
    pub(crate) fn s_var(&self) -> f32 {
        self.cov[0]
    }

    /// Mean variance of the persisting error per axis, m^2.
    pub(crate) fn bias_var(&self) -> f32 {
        0.5 * (self.cov[7] + self.cov[9])
    }

    /// Moves the belief forward in time.
    pub(crate) fn pass(&mut self, passage: &Passage) {
        let Passage {
            elapsed_s: t,
            decay,
            bias_gain,
            acceleration_density: q,
        } = *passage;
        let [s, v, bx, by] = self.mean;
        self.mean = [s + v * t, v, bx * decay, by * decay];
        let [ss, sv, sx, sy, vv, vx, vy, xx, xy, yy] = self.cov;
        let memory_s = t.min(SPEED_MEMORY_S);
        let speed_gain = q * memory_s;
        self.cov = [
            ss + 2.0 * t * sv + t * t * vv + speed_gain * t * t / 3.0,
            sv + t * vv + speed_gain * t / 2.0,
            (sx + t * vx) * decay,
            (sy + t * vy) * decay,
            vv + speed_gain,
            vx * decay,
            vy * decay,
            xx * decay * decay + bias_gain,
            xy * decay * decay,
            yy * decay * decay + bias_gain,
        ];
    }

    /// Takes in a reported speed and returns the logarithm of its likelihood.
    pub(crate) fn observe_speed(&mut self, speed_mps: f32, noise_var: f32) -> f32 {
        let innovation = speed_mps - self.mean[1];
        let column = [self.cov[1], self.cov[4], self.cov[5], self.cov[6]];
        let spread = self.cov[4] + noise_var;
        self.correct(column, spread, innovation);
        log_normal(innovation, spread)
    }

    /// Takes in a position. The road passes `(px, py)` (relative to the position reported) at
    /// `at_m` in direction `(ux, uy)`. Returns the logarithm of the likelihood and the squared
    /// normalised innovation (2 degrees of freedom).
    pub(crate) fn observe_position(
        &mut self,
        at_m: f32,
        (px, py): (f32, f32),
        (ux, uy): (f32, f32),
        noise_var: f32,
    ) -> (f32, f32) {
        let ahead = self.mean[0] - at_m;
        let innovation_x = -(px + ux * ahead + self.mean[2]);
        let cov = &self.cov;
        let column = [
            ux * cov[0] + cov[2],
            ux * cov[1] + cov[5],
            ux * cov[2] + cov[7],
            ux * cov[3] + cov[8],
        ];
        let spread_x = ux * column[0] + column[2] + noise_var;
        self.correct(column, spread_x, innovation_x);
        let ahead = self.mean[0] - at_m;
        let innovation_y = -(py + uy * ahead + self.mean[3]);
        let cov = &self.cov;
        let column = [
            uy * cov[0] + cov[3],
            uy * cov[1] + cov[6],
            uy * cov[2] + cov[8],
            uy * cov[3] + cov[9],
        ];
        let spread_y = uy * column[0] + column[3] + noise_var;
        self.correct(column, spread_y, innovation_y);
        let surprise =
            innovation_x * innovation_x / spread_x + innovation_y * innovation_y / spread_y;
        (-0.5 * (surprise + (spread_x * spread_y).ln()), surprise)
    }

    /// Conditions the mean on the vehicle being at `s_m` and returns the logarithm of how likely
    /// that was relative to the best place.
    pub(crate) fn hold_at(&mut self, s_m: f32) -> f32 {
        let shift = s_m - self.mean[0];
        let share = shift / self.cov[0];
        self.mean[0] = s_m;
        self.mean[1] += share * self.cov[1];
        self.mean[2] += share * self.cov[2];
        self.mean[3] += share * self.cov[3];
        -0.5 * shift * share
    }

    /// Turns the vehicle round: what was ahead is behind, so position errors change their sign
    /// against the others. `extra_var` is the variance of where it turned, m^2.
    pub(crate) fn turn_back(&mut self, extra_var: f32) {
        self.cov[0] += extra_var;
        self.cov[2] = -self.cov[2];
        self.cov[3] = -self.cov[3];
    }

    fn correct(&mut self, column: [f32; 4], spread: f32, innovation: f32) {
        let inverse = 1.0 / spread;
        for row in 0..4 {
            let gain = column[row] * inverse;
            self.mean[row] += gain * innovation;
            for other in row..4 {
                self.cov[AT[row][other]] -= gain * column[other];
            }
        }
        for diagonal in [0, 4, 7, 9] {
            self.cov[diagonal] = self.cov[diagonal].max(MIN_VARIANCE);
        }
    }
}

/// Smallest variance kept, so that rounding in `f32` never makes one negative.
const MIN_VARIANCE: f32 = 1e-3;

fn log_normal(innovation: f32, variance: f32) -> f32 {
    -0.5 * (innovation * innovation / variance + variance.ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_reports_move_the_vehicle_by_their_mean() {
        let mut belief = Belief::vague(0.0, 0.01, 10.0, 0.01, 1.0);
        belief.pass(&Passage {
            elapsed_s: 10.0,
            decay: 1.0,
            bias_gain: 0.0,
            acceleration_density: 1.5,
        });
        belief.observe_speed(20.0, 0.01);
        // Constant acceleration from 10 to 20 m/s covers 150 m in 10 s.
        assert!((belief.mean[0] - 150.0).abs() < 2.0, "{:?}", belief.mean);
    }

    #[test]
    fn a_sideways_offset_is_taken_for_positioning_error() {
        let mut belief = Belief::vague(0.0, 100.0, 0.0, 0.1, 49.0);
        for _ in 0..50 {
            // The road runs east; the report lies 6 m north of it.
            belief.observe_position(0.0, (0.0, -6.0), (1.0, 0.0), 15.0);
        }
        assert!((belief.mean[3] - 6.0).abs() < 0.3, "{:?}", belief.mean);
        assert!(belief.mean[0].abs() < 1.0);
    }
}
