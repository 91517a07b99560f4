//! Fits the triangular fundamental diagram to median flows of densities.
//!
//! Shape after Daganzo (1994), "The cell transmission model", Transportation Research Part B 28(4):
//! flow rises with density at free speed up to capacity, then falls with the wave speed to zero at
//! jam density. Fitting to densities in steps, free branch and congested branch apart and robust to
//! outliers, follows Dervisoglu, Gomes, Kwon, Horowitz and Varaiya (2009), "Automatic calibration
//! of the fundamental diagram and empirical observations on capacity", TRB 88th annual meeting;
//! where they take the greatest flows of a step, medians stand here, and the residuals are weighed
//! after Huber (1964), "Robust estimation of a location parameter".

use super::grid::{DENSITY_STEP_VPKM, Grid};
use super::{Diagram, Goodness};

/// Fewest minutes of a fit, and fewest at densities above the critical one.
pub(super) const MINUTES_MIN: u32 = 30;
const CONGESTED_MINUTES_MIN: f32 = 8.0;

/// Fewest densities on each branch.
const POINTS_OF_A_BRANCH: usize = 2;

/// Least share of the variance of flow that a fit explains.
const R_SQUARED_MIN: f32 = 0.5;

/// Jam densities that can be, veh/km and lane: a lorry every 20 m to a small car every 5 m.
const JAM_DENSITY_VPKM: (f32, f32) = (50.0, 200.0);

/// Wave speeds that can be, m/s: 5 to 40 km/h.
const WAVE_MPS: (f32, f32) = (1.4, 11.1);

/// Minutes at which a density's median is as uncertain as the shape itself.
const MINUTES_HALF: f32 = 5.0;

/// Residuals beyond so much count by their size alone (Huber), veh/h and lane.
const HUBER_VPH: f32 = 100.0;

/// Rounds of reweighting.
const ROUNDS: usize = 4;

/// Critical densities tried within one step of the grid.
const TRIES_A_STEP: usize = 3;

/// The flow at one density, per lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) density_vpkm: f32,
    pub(super) flow_vph: f32,
    pub(super) minutes: f32,
}

/// The diagram of a grid with how well it fits; `None` where there are too few minutes, no
/// congestion was seen, or what comes out is no traffic.
pub(super) fn fit(grid: &Grid) -> Option<(Diagram, Goodness)> {
    if grid.minutes() < MINUTES_MIN {
        return None;
    }
    let points = grid.points();
    let last = points.last()?.density_vpkm;
    let tries = (last / DENSITY_STEP_VPKM) as usize * TRIES_A_STEP;
    let critical =
        (1..=tries).map(|index| (index as f32 + 0.5) * DENSITY_STEP_VPKM / TRIES_A_STEP as f32);
    let mut best: Option<(f32, Diagram)> = None;
    for critical_vpkm in critical {
        let Some((loss, diagram)) = at_critical(&points, critical_vpkm) else {
            continue;
        };
        if best.is_none_or(|(least, _)| loss < least) {
            best = Some((loss, diagram));
        }
    }
    let (_, diagram) = best?;
    let goodness = goodness(grid, &diagram);
    (goodness.r_squared >= R_SQUARED_MIN).then_some((diagram, goodness))
}

/// The best diagram with this critical density, and its loss. With the knot fixed the flow is
/// linear in free speed and wave speed.
fn at_critical(points: &[Point], critical_vpkm: f32) -> Option<(f32, Diagram)> {
    let (free, congested): (Vec<&Point>, Vec<&Point>) = points
        .iter()
        .partition(|point| point.density_vpkm <= critical_vpkm);
    let congested_minutes: f32 = congested.iter().map(|point| point.minutes).sum();
    if free.len() < POINTS_OF_A_BRANCH
        || congested.len() < POINTS_OF_A_BRANCH
        || congested_minutes < CONGESTED_MINUTES_MIN
    {
        return None;
    }
    let terms = |point: &Point| {
        let free_vpkm = point.density_vpkm.min(critical_vpkm);
        (free_vpkm, free_vpkm - point.density_vpkm)
    };
    let (mut free_kmh, mut wave_kmh) = (0.0f32, 0.0f32);
    for round in 0..ROUNDS {
        let (mut aa, mut ab, mut bb, mut aq, mut bq) = (0.0f64, 0.0f64, 0.0f64, 0.0f64, 0.0f64);
        for point in points {
            let (a, b) = terms(point);
            let residual = (point.flow_vph - free_kmh * a - wave_kmh * b).abs();
            let robust = match round {
                0 => 1.0,
                _ => (HUBER_VPH / residual.max(1.0)).min(1.0),
            };
            let weight = f64::from(weight_of(point) * robust);
            let (a, b, q) = (f64::from(a), f64::from(b), f64::from(point.flow_vph));
            aa += weight * a * a;
            ab += weight * a * b;
            bb += weight * b * b;
            aq += weight * a * q;
            bq += weight * b * q;
        }
        let determinant = aa * bb - ab * ab;
        if determinant <= 1e-6 * aa * bb {
            return None;
        }
        free_kmh = ((aq * bb - bq * ab) / determinant) as f32;
        wave_kmh = ((bq * aa - aq * ab) / determinant) as f32;
    }
    let diagram = Diagram {
        free_mps: free_kmh / 3.6,
        capacity_vph: free_kmh * critical_vpkm,
        wave_mps: wave_kmh / 3.6,
    };
    let can_be = (WAVE_MPS.0..=WAVE_MPS.1).contains(&diagram.wave_mps)
        && diagram.free_mps > diagram.wave_mps
        && (JAM_DENSITY_VPKM.0..=JAM_DENSITY_VPKM.1).contains(&diagram.jam_density_vpkm());
    if !can_be {
        return None;
    }
    let losses = points.iter().map(|point| {
        let (a, b) = terms(point);
        let residual = (point.flow_vph - free_kmh * a - wave_kmh * b).abs();
        let loss = if residual <= HUBER_VPH {
            residual * residual / 2.0
        } else {
            HUBER_VPH * (residual - HUBER_VPH / 2.0)
        };
        weight_of(point) * loss
    });
    Some((losses.sum(), diagram))
}

fn weight_of(point: &Point) -> f32 {
    point.minutes / (point.minutes + MINUTES_HALF)
}

/// How well a diagram tells the flow of the grid's minutes.
pub(super) fn goodness(grid: &Grid, diagram: &Diagram) -> Goodness {
    let (mut minutes, mut sum) = (0.0f64, 0.0f64);
    for cell in grid.cells() {
        minutes += f64::from(cell.minutes);
        sum += f64::from(cell.minutes * cell.flow_vph);
    }
    let mean = sum / minutes.max(1.0);
    let (mut unexplained, mut all) = (0.0f64, 0.0f64);
    for cell in grid.cells() {
        let expected = f64::from(diagram.flow_vph(cell.density_vpkm));
        let (flow, weight) = (f64::from(cell.flow_vph), f64::from(cell.minutes));
        unexplained += weight * (flow - expected) * (flow - expected);
        all += weight * (flow - mean) * (flow - mean);
    }
    Goodness {
        minutes: grid.minutes(),
        r_squared: (1.0 - unexplained / all.max(1.0)) as f32,
        rmse_vph: (unexplained / minutes.max(1.0)).sqrt() as f32,
    }
}
