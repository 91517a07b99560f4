//! Bends the rectangular chart of the city onto the ground: rounded outline, river bends, unrest.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::Layout;
use crate::units::Point;

/// How strongly the corners of the chart are drawn in, 0 (square) to 1 (ellipse). Chosen by eye.
const ROUNDING: f32 = 0.78;
/// Step of the numeric river centre line, metres.
const RIVER_STEP_M: f32 = 50.0;
/// Half the river's width at rest, metres.
const RIVER_HALF_M: f32 = 430.0;

/// One wave of the unrest: direction and wave number (rad/m), phase, amplitude (m).
#[derive(Debug)]
struct Wave {
    ku: f32,
    ks: f32,
    phase: f32,
    dx: f32,
    dy: f32,
}

/// The map from chart coordinates (metres along and across the river) to the ground.
#[derive(Debug)]
pub(super) struct Chart {
    half_u_m: f32,
    half_s_m: f32,
    /// Points of the river's centre line and the heading there (radians from east), every
    /// [`RIVER_STEP_M`] from `-reach_m`.
    river: Vec<(f32, f32, f32)>,
    reach_m: f32,
    waves: Vec<Wave>,
    width_phase: f32,
}

impl Chart {
    pub(super) fn new(rng: &mut ChaCha8Rng, half_u_m: f32, half_s_m: f32) -> Self {
        let reach_m = half_u_m + 6_000.0;
        let base = rng.random_range(0.5..0.85f32);
        let (bend, phase) = (
            rng.random_range(0.26..0.36f32),
            rng.random_range(0.0..std::f32::consts::TAU),
        );
        let wave_m = rng.random_range(15_000.0..18_000.0f32);
        let steps = (2.0 * reach_m / RIVER_STEP_M) as usize + 2;
        let mut river = Vec::with_capacity(steps);
        let (mut x, mut y) = (0.0f32, 0.0f32);
        for step in 0..steps {
            let u = step as f32 * RIVER_STEP_M - reach_m;
            let angle = base + bend * (std::f32::consts::TAU * u / wave_m + phase).sin();
            river.push((x, y, angle));
            x += RIVER_STEP_M * angle.cos();
            y += RIVER_STEP_M * angle.sin();
        }
        let middle = river[steps / 2];
        for point in &mut river {
            point.0 -= middle.0;
            point.1 -= middle.1;
        }
        let waves = [
            (4_300.0f32, 95.0f32),
            (3_100.0, 70.0),
            (2_100.0, 42.0),
            (1_500.0, 24.0),
        ]
        .into_iter()
        .map(|(length_m, amplitude_m)| {
            let direction = rng.random_range(0.0..std::f32::consts::TAU);
            let push = rng.random_range(0.0..std::f32::consts::TAU);
            let k = std::f32::consts::TAU / length_m;
            Wave {
                ku: k * direction.cos(),
                ks: k * direction.sin(),
                phase: rng.random_range(0.0..std::f32::consts::TAU),
                dx: amplitude_m * push.cos(),
                dy: amplitude_m * push.sin(),
            }
        })
        .collect();
        Self {
            half_u_m,
            half_s_m,
            river,
            reach_m,
            waves,
            width_phase: rng.random_range(0.0..std::f32::consts::TAU),
        }
    }

    /// Where the chart's (`u`, `s`) lies on the ground, metres east and north of the centre.
    pub(super) fn to_ground(&self, u: f32, s: f32) -> Point {
        // Beyond the outline the pull levels off, or roads out of the city would kink.
        let draw_in = |across: f32, half: f32| {
            let square = (across / half).powi(2);
            let pull = if square > 1.0 {
                1.0 + 0.25 * ((square - 1.0) / 0.25).tanh()
            } else {
                square
            };
            (1.0 - ROUNDING / 2.0 * pull).sqrt()
        };
        let (bent_u, bent_s) = (u * draw_in(s, self.half_s_m), s * draw_in(u, self.half_u_m));
        let at = ((bent_u + self.reach_m) / RIVER_STEP_M).clamp(0.0, (self.river.len() - 2) as f32);
        let (low, share) = (at as usize, at.fract());
        let (a, b) = (self.river[low], self.river[low + 1]);
        let angle = a.2 + (b.2 - a.2) * share;
        let mut x = a.0 + (b.0 - a.0) * share - bent_s * angle.sin();
        let mut y = a.1 + (b.1 - a.1) * share + bent_s * angle.cos();
        for wave in &self.waves {
            let swing = (wave.ku * u + wave.ks * s + wave.phase).sin();
            x += wave.dx * swing;
            y += wave.dy * swing;
        }
        Point::new(x, y)
    }

    /// The ground line between two chart places, a point every 110 m or so, both ends included.
    pub(super) fn line(&self, from: (f32, f32), to: (f32, f32)) -> Vec<Point> {
        let chart_m = (to.0 - from.0).hypot(to.1 - from.1);
        let pieces = ((chart_m / 110.0).round() as usize).max(1);
        (0..=pieces)
            .map(|piece| {
                let share = piece as f32 / pieces as f32;
                self.to_ground(
                    from.0 + (to.0 - from.0) * share,
                    from.1 + (to.1 - from.1) * share,
                )
            })
            .collect()
    }

    /// Closed outlines of the river and, if there is one, the lake.
    pub(super) fn water(&self, layout: &Layout) -> Vec<Vec<Point>> {
        let reach = self.half_u_m + 3_200.0;
        let steps = (2.0 * reach / 160.0) as i32;
        let bank = |u: f32, side: f32| {
            let swell = 38.0 * (u / 900.0 + self.width_phase + side).sin()
                + 22.0 * (u / 370.0 + 2.0 * side).sin();
            self.to_ground(u, side * (RIVER_HALF_M + swell))
        };
        let mut river: Vec<Point> = (0..=steps)
            .map(|step| bank(step as f32 * 160.0 - reach, 1.0))
            .collect();
        river.extend(
            (0..=steps)
                .rev()
                .map(|step| bank(step as f32 * 160.0 - reach, -1.0)),
        );
        river.push(river[0]);
        let mut outlines = vec![river];
        if let Some((column, row)) = layout.lake {
            let (west, east) = (layout.columns_m[column], layout.columns_m[column + 2]);
            let (near, far) = (layout.rows_m[row], layout.rows_m[row + 1]);
            let (half_u, half_s) = ((east - west) / 2.0 - 90.0, (far - near) / 2.0 - 90.0);
            let lake = (0..=72)
                .map(|step| {
                    let angle = std::f32::consts::TAU * (step % 72) as f32 / 72.0;
                    let ripple = 1.0
                        - 0.10 * (3.0 * angle + self.width_phase).sin().abs()
                        - 0.05 * (7.0 * angle).sin().abs();
                    let (cos, sin) = (angle.cos(), angle.sin());
                    let square = |v: f32| v.signum() * v.abs().powf(0.7);
                    self.to_ground(
                        (west + east) / 2.0 + half_u * ripple * square(cos),
                        -((near + far) / 2.0 + half_s * ripple * square(sin)),
                    )
                })
                .collect();
            outlines.push(lake);
        }
        outlines
    }
}
