//! The reference line of a road (ASAM OpenDRIVE 1.7, clause 7): lines, arcs, spirals, cubics.

/// A cubic in the distance from where it begins: `a + b d + c d^2 + d d^3`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cubic {
    /// Where it begins along the road, metres.
    pub(super) from_m: f64,
    pub(super) terms: [f64; 4],
}

impl Cubic {
    fn at(&self, along_m: f64) -> f64 {
        value(self.terms, along_m - self.from_m)
    }
}

/// The value at `along_m` of the last of `cubics` that begins there or before; 0 without one.
pub(super) fn value_at(cubics: &[Cubic], along_m: f64) -> f64 {
    let count = cubics.partition_point(|cubic| cubic.from_m <= along_m);
    cubics
        .get(count.saturating_sub(1))
        .map_or(0.0, |cubic| cubic.at(along_m))
}

fn value([a, b, c, d]: [f64; 4], x: f64) -> f64 {
    a + x * (b + x * (c + x * d))
}

fn slope([_, b, c, d]: [f64; 4], x: f64) -> f64 {
    b + x * (2.0 * c + x * 3.0 * d)
}

/// The form of one piece of the reference line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    Line,
    /// Curvature in 1/m, positive to the left.
    Arc(f64),
    /// Curvature at both ends in 1/m; it changes evenly.
    Spiral(f64, f64),
    /// Lateral metres as a cubic of the metres ahead.
    Poly3([f64; 4]),
    /// Metres ahead and lateral as cubics of a parameter: metres along, or the share of the
    /// length.
    ParamPoly3 {
        ahead: [f64; 4],
        lateral: [f64; 4],
        is_normalised: bool,
    },
}

/// One piece of the reference line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) from_m: f64,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) heading_rad: f64,
    pub(super) length_m: f64,
    pub(super) form: Form,
}

/// The most a spiral may turn, radians (chosen: sixteen full circles); more is no road.
pub(super) const TURN_RAD_MAX: f64 = 100.0;
/// Radians that one step of the integration turns at most: with five Gauss points the error of a
/// step is far below a micrometre.
const TURN_STEP_RAD: f64 = 0.5;
/// Steps in which the arc length of a cubic is followed (chosen: millimetres on 100 m).
const CUBIC_STEPS: u32 = 32;
/// Abscissae and weights of Gauss-Legendre quadrature on -1..1 (Abramowitz and Stegun, 25.4.30).
const GAUSS: [(f64, f64); 5] = [
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683, 0.478_628_670_499_366_5),
    (-0.538_469_310_105_683, 0.478_628_670_499_366_5),
    (0.906_179_845_938_664, 0.236_926_885_056_189_1),
    (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
];

/// A place on the reference line: x, y and heading (radians counter-clockwise from x).
pub(super) type Pose = (f64, f64, f64);

/// The place `along_m` on a line of pieces.
pub(super) fn pose_at(pieces: &[Piece], along_m: f64) -> Pose {
    let count = pieces.partition_point(|piece| piece.from_m <= along_m);
    match pieces.get(count.saturating_sub(1)) {
        Some(piece) => piece.pose_at((along_m - piece.from_m).clamp(0.0, piece.length_m)),
        None => (0.0, 0.0, 0.0),
    }
}

impl Piece {
    /// How far it turns in all, radians; what is not a spiral or an arc turns little.
    pub(super) fn turn_rad(&self) -> f64 {
        match self.form {
            Form::Arc(curvature) => curvature.abs() * self.length_m,
            Form::Spiral(start, end) => start.abs().max(end.abs()) * self.length_m,
            _ => 0.0,
        }
    }

    fn pose_at(&self, along_m: f64) -> Pose {
        let (ahead, lateral, turn) = match self.form {
            Form::Line => (along_m, 0.0, 0.0),
            Form::Arc(curvature) => self.spiral(curvature, 0.0, along_m),
            Form::Spiral(start, end) => {
                let rate = if self.length_m > 0.0 {
                    (end - start) / self.length_m
                } else {
                    0.0
                };
                self.spiral(start, rate, along_m)
            }
            Form::Poly3(terms) => {
                let ahead = ahead_on_cubic(terms, along_m);
                (ahead, value(terms, ahead), slope(terms, ahead).atan())
            }
            Form::ParamPoly3 {
                ahead,
                lateral,
                is_normalised,
            } => {
                let parameter = if is_normalised && self.length_m > 0.0 {
                    along_m / self.length_m
                } else {
                    along_m
                };
                let turn = slope(lateral, parameter).atan2(slope(ahead, parameter));
                (value(ahead, parameter), value(lateral, parameter), turn)
            }
        };
        let (sin, cos) = self.heading_rad.sin_cos();
        (
            self.x + ahead * cos - lateral * sin,
            self.y + ahead * sin + lateral * cos,
            self.heading_rad + turn,
        )
    }

    /// Along a clothoid: the integrals of cos and sin of `k s + r s^2 / 2`, which are Fresnel's.
    fn spiral(&self, curvature: f64, rate: f64, along_m: f64) -> Pose {
        let turn = |s: f64| s * (curvature + s * rate / 2.0);
        let steps = (self.turn_rad().min(TURN_RAD_MAX) / TURN_STEP_RAD)
            .ceil()
            .max(1.0);
        let half_m = along_m / steps / 2.0;
        let (mut ahead, mut lateral) = (0.0, 0.0);
        for step in 0..steps as u32 {
            let middle_m = half_m * f64::from(2 * step + 1);
            for (place, weight) in GAUSS {
                let (sin, cos) = turn(middle_m + place * half_m).sin_cos();
                ahead += weight * half_m * cos;
                lateral += weight * half_m * sin;
            }
        }
        (ahead, lateral, turn(along_m))
    }
}

/// Metres ahead at which a cubic is `along_m` long: integrates du/ds = 1 / sqrt(1 + v'(u)^2) with
/// the midpoint rule.
fn ahead_on_cubic(terms: [f64; 4], along_m: f64) -> f64 {
    let step_m = along_m / f64::from(CUBIC_STEPS);
    let rate = |ahead: f64| 1.0 / slope(terms, ahead).hypot(1.0);
    (0..CUBIC_STEPS).fold(0.0, |ahead, _| {
        ahead + step_m * rate(ahead + rate(ahead) * step_m / 2.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(form: Form, length_m: f64) -> Pose {
        let piece = Piece {
            from_m: 0.0,
            x: 0.0,
            y: 0.0,
            heading_rad: 0.0,
            length_m,
            form,
        };
        piece.pose_at(length_m)
    }

    fn assert_near(got: Pose, want: Pose, within: f64) {
        let apart = (got.0 - want.0).hypot(got.1 - want.1);
        assert!(apart < within && (got.2 - want.2).abs() < within, "{got:?}");
    }

    #[test]
    fn ends_where_the_formula_says() {
        use std::f64::consts::{FRAC_PI_2, PI};
        assert_near(end(Form::Line, 10.0), (10.0, 0.0, 0.0), 1e-9);
        let quarter = end(Form::Arc(0.02), 50.0 * FRAC_PI_2);
        assert_near(quarter, (50.0, 50.0, FRAC_PI_2), 1e-8);
        // Fresnel's C(1) = 0.779893 and S(1) = 0.438259, for the angle pi s^2 / 2
        // (Abramowitz and Stegun, table 7.7), on a scale of 100 m.
        let spiral = end(Form::Spiral(0.0, PI / 100.0), 100.0);
        assert_near(spiral, (77.989_34, 43.825_91, FRAC_PI_2), 1e-4);
        // A parabola v = u^2 / 100 from u = 0 to 50 is 57.3897 m long.
        let parabola = end(Form::Poly3([0.0, 0.0, 0.01, 0.0]), 57.389_7);
        assert_near(parabola, (50.0, 25.0, 1f64.atan()), 0.01);
        let normalised = Form::ParamPoly3 {
            ahead: [0.0, 30.0, 0.0, 0.0],
            lateral: [0.0, 0.0, 12.0, 0.0],
            is_normalised: true,
        };
        assert_near(end(normalised, 33.0), (30.0, 12.0, 0.8f64.atan()), 1e-9);
    }
}
