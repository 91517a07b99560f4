//! What is kept of the counted minutes of one segment: how often which density came with which
//! flow.
//!
//! A histogram, not a history: its size is fixed, medians can be read from it, and minutes of long
//! ago fade. Everything is per lane.

use super::fit::Point;
use crate::state::SnapshotError;
use crate::state::bytes::{Reader, put_f32_all, put_u16_all};

/// Steps of density, veh/km and lane each; what is denser than the last step counts there.
pub(super) const DENSITY_BINS: usize = 24;
pub(super) const DENSITY_STEP_VPKM: f32 = 6.0;

/// Steps of flow, veh/h and lane each; what is more than the last step counts there.
pub(super) const FLOW_BINS: usize = 26;
pub(super) const FLOW_STEP_VPH: f32 = 100.0;

/// Minutes after which everything counts half: two weeks (chosen: long enough for every kind of
/// day, short enough to notice that a lane was taken away).
pub(super) const MINUTES_MAX: u32 = 14 * 1440;

/// Fewest minutes of one density that tell its flow.
const MINUTES_OF_A_DENSITY: u32 = 3;

/// How often which density came with which flow.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grid {
    /// Minutes by density, then flow.
    cells: Box<[u16]>,
    /// Sum of the densities of each density's minutes, veh/km and lane.
    density_sum: [f32; DENSITY_BINS],
    minutes: u32,
}

impl Grid {
    pub(super) fn new() -> Self {
        Self {
            cells: vec![0; DENSITY_BINS * FLOW_BINS].into_boxed_slice(),
            density_sum: [0.0; DENSITY_BINS],
            minutes: 0,
        }
    }

    /// Minutes it holds, those of long ago at their weight.
    pub(super) fn minutes(&self) -> u32 {
        self.minutes
    }

    /// Takes one minute.
    pub(super) fn add(&mut self, density_vpkm: f32, flow_vph: f32) {
        let bin = |value: f32, step: f32, count: usize| ((value / step) as usize).min(count - 1);
        let density = bin(density_vpkm, DENSITY_STEP_VPKM, DENSITY_BINS);
        let flow = bin(flow_vph, FLOW_STEP_VPH, FLOW_BINS);
        if self.minutes >= MINUTES_MAX {
            self.fade();
        }
        self.cells[density * FLOW_BINS + flow] += 1;
        self.density_sum[density] += density_vpkm;
        self.minutes += 1;
    }

    fn fade(&mut self) {
        let before: Vec<u32> = (0..DENSITY_BINS).map(|bin| self.minutes_of(bin)).collect();
        self.cells.iter_mut().for_each(|cell| *cell /= 2);
        for (bin, before) in before.into_iter().enumerate() {
            let share = self.minutes_of(bin) as f32 / before.max(1) as f32;
            self.density_sum[bin] *= share;
        }
        self.minutes = (0..DENSITY_BINS).map(|bin| self.minutes_of(bin)).sum();
    }

    fn row(&self, density: usize) -> &[u16] {
        &self.cells[density * FLOW_BINS..(density + 1) * FLOW_BINS]
    }

    fn minutes_of(&self, density: usize) -> u32 {
        self.row(density).iter().copied().map(u32::from).sum()
    }

    /// Median flow of each density that has enough minutes; the last, open step is left out.
    pub(super) fn points(&self) -> Vec<Point> {
        let bins = 0..DENSITY_BINS - 1;
        let enough = bins.map(|bin| (bin, self.minutes_of(bin)));
        enough
            .filter(|&(_, minutes)| minutes >= MINUTES_OF_A_DENSITY)
            .map(|(bin, minutes)| Point {
                density_vpkm: self.density_sum[bin] / minutes as f32,
                flow_vph: median(self.row(bin), minutes),
                minutes: minutes as f32,
            })
            .collect()
    }

    /// Every cell with minutes in it: density, flow and minutes.
    pub(super) fn cells(&self) -> impl Iterator<Item = Point> + '_ {
        (0..DENSITY_BINS - 1).flat_map(move |bin| {
            let minutes = self.minutes_of(bin).max(1) as f32;
            let density_vpkm = self.density_sum[bin] / minutes;
            let cells = self.row(bin).iter().enumerate();
            cells
                .filter(|(_, count)| **count > 0)
                .map(move |(flow, count)| Point {
                    density_vpkm,
                    flow_vph: (flow as f32 + 0.5) * FLOW_STEP_VPH,
                    minutes: f32::from(*count),
                })
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_u16_all(out, &self.cells);
        put_f32_all(out, &self.density_sum);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut grid = Self::new();
        reader.take_u16_all(&mut grid.cells)?;
        reader.take_finite_all(&mut grid.density_sum)?;
        grid.minutes = (0..DENSITY_BINS).map(|bin| grid.minutes_of(bin)).sum();
        Ok(grid)
    }
}

/// The sum of grids, for all segments of a class.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    cells: Vec<u32>,
    density_sum: [f64; DENSITY_BINS],
    pub(super) minutes: u64,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self {
            cells: vec![0; DENSITY_BINS * FLOW_BINS],
            density_sum: [0.0; DENSITY_BINS],
            minutes: 0,
        }
    }

    pub(super) fn add(&mut self, grid: &Grid) {
        for (mine, theirs) in self.cells.iter_mut().zip(&grid.cells) {
            *mine += u32::from(*theirs);
        }
        for (mine, theirs) in self.density_sum.iter_mut().zip(&grid.density_sum) {
            *mine += f64::from(*theirs);
        }
        self.minutes += u64::from(grid.minutes);
    }

    /// The same as a grid, thinned where a cell holds more than a grid's can.
    pub(super) fn thinned(&self) -> Grid {
        let most = self.cells.iter().copied().max().unwrap_or(0);
        let factor = most.div_ceil(u32::from(u16::MAX)).max(1);
        let mut grid = Grid::new();
        for (cell, count) in grid.cells.iter_mut().zip(&self.cells) {
            *cell = (count / factor) as u16;
        }
        for bin in 0..DENSITY_BINS {
            let row = bin * FLOW_BINS..(bin + 1) * FLOW_BINS;
            let minutes: u32 = self.cells[row].iter().sum();
            let mean = self.density_sum[bin] / f64::from(minutes.max(1));
            grid.density_sum[bin] = mean as f32 * grid.minutes_of(bin) as f32;
        }
        grid.minutes = (0..DENSITY_BINS).map(|bin| grid.minutes_of(bin)).sum();
        grid
    }
}

/// The median of a row, as if the minutes of a cell were spread over it evenly.
fn median(row: &[u16], minutes: u32) -> f32 {
    let half = minutes as f32 / 2.0;
    let mut below = 0.0;
    for (bin, &count) in row.iter().enumerate() {
        let count = f32::from(count);
        if count > 0.0 && below + count >= half {
            return (bin as f32 + (half - below) / count) * FLOW_STEP_VPH;
        }
        below += count;
    }
    row.len() as f32 * FLOW_STEP_VPH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_a_density_ignores_outliers() {
        let mut grid = Grid::new();
        for _ in 0..9 {
            grid.add(10.0, 640.0);
        }
        for _ in 0..3 {
            grid.add(11.0, 2_500.0);
        }
        grid.add(200.0, 100.0);
        let points = grid.points();
        assert_eq!(points.len(), 1, "the open step tells nothing");
        assert!((points[0].flow_vph - 666.7).abs() < 0.1, "{points:?}");
        assert!((points[0].density_vpkm - 10.25).abs() < 1e-4);
        assert_eq!(grid.minutes(), 13);
    }

    #[test]
    fn minutes_of_long_ago_fade_and_memory_stays_the_same() {
        let mut grid = Grid::new();
        for _ in 0..MINUTES_MAX {
            grid.add(20.0, 1_000.0);
        }
        assert_eq!(grid.minutes(), MINUTES_MAX);
        grid.add(20.0, 1_000.0);
        assert_eq!(grid.minutes(), MINUTES_MAX / 2 + 1);
        let mean = grid.points()[0].density_vpkm;
        assert!((mean - 20.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn a_pool_has_the_medians_of_all() {
        let mut pool = Pool::new();
        for flow_vph in [300.0, 500.0, 900.0] {
            let mut grid = Grid::new();
            for _ in 0..40_000u32.min(MINUTES_MAX) {
                grid.add(9.0, flow_vph);
            }
            pool.add(&grid);
        }
        let points = pool.thinned().points();
        assert!((points[0].flow_vph - 550.0).abs() < 1.0, "{points:?}");
        assert!((points[0].density_vpkm - 9.0).abs() < 0.01);
    }
}
