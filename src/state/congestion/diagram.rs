//! The macroscopic fundamental diagram of a region: production over accumulation, learnt minute by
//! minute.
//!
//! Both are taken per lane-kilometre of what is known in the minute, so that minutes with different
//! coverage compare: density in veh/km and lane, production as the length-weighted flow in veh/h
//! and lane. Production scatters at one accumulation; the median of each of 30 bins is the diagram
//! (Geroliminis and Daganzo 2008 for the relation; medians of bins as methods of this project). The
//! critical accumulation is told only once the falling branch has been seen.

use super::super::bytes::{Reader, SnapshotError, put_f32, put_f32_all, put_u8};

/// Bins of density.
const BIN_COUNT: usize = 30;

/// Width of a bin at first, veh/km and lane; it doubles when a minute lies beyond the last bin.
const WIDTH_FIRST_VPKM: f32 = 1.0;

/// Minutes kept a bin; the oldest gives way.
const SAMPLES_MAX: usize = 32;

/// Minutes of a bin before its median counts (chosen).
const SAMPLES_MIN: usize = 5;

/// Bins with a median on either side of the critical one before it is told (chosen).
const BINS_ASIDE_MIN: usize = 2;

/// How far below the highest median the worst of the falling branch must lie, as a share of it
/// (chosen: beyond the scatter of medians).
const FALL_MIN: f32 = 0.05;

/// Least share of a region's length times lanes with a known flow for a minute to count (chosen).
pub(super) const COVERAGE_MIN: f32 = 0.3;

/// The densest a lane can be, veh/km: beyond, a value is not believed (chosen: 5 m a vehicle).
const DENSITY_MAX_VPKM: f32 = 200.0;

/// The minutes of one bin, production in veh/h and lane; a ring once full.
#[derive(Clone, Debug, Default, PartialEq)]
struct Bin {
    productions: Vec<f32>,
    /// Where the next one goes once full.
    next: u8,
}

impl Bin {
    fn add(&mut self, production: f32) {
        if self.productions.len() < SAMPLES_MAX {
            self.productions.push(production);
        } else {
            self.productions[usize::from(self.next)] = production;
            self.next = (self.next + 1) % SAMPLES_MAX as u8;
        }
    }

    fn median(&self) -> Option<f32> {
        if self.productions.len() < SAMPLES_MIN {
            return None;
        }
        let mut sorted = [0.0f32; SAMPLES_MAX];
        let sorted = &mut sorted[..self.productions.len()];
        sorted.copy_from_slice(&self.productions);
        sorted.sort_by(f32::total_cmp);
        Some(sorted[sorted.len() / 2])
    }

    /// Its minutes, oldest first.
    fn in_order(&self) -> impl Iterator<Item = f32> + '_ {
        let (late, early) = self.productions.split_at(usize::from(self.next));
        early.iter().chain(late).copied()
    }
}

/// A point of the diagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiagramPoint {
    /// Middle of the bin, veh/km and lane.
    pub density_vpkm: f32,
    /// Median production there, veh/h and lane.
    pub production_vph: f32,
}

/// The diagram of one region.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionDiagram {
    width_vpkm: f32,
    bins: Vec<Bin>,
    /// The critical density as of the newest minute; `None` without evidence.
    critical: Option<DiagramPoint>,
}

impl Default for RegionDiagram {
    fn default() -> Self {
        Self {
            width_vpkm: WIDTH_FIRST_VPKM,
            bins: vec![Bin::default(); BIN_COUNT],
            critical: None,
        }
    }
}

impl RegionDiagram {
    /// Takes one minute with enough known: density in veh/km and lane, production in veh/h and lane.
    pub fn add(&mut self, density_vpkm: f32, production_vph: f32) {
        let is_number = density_vpkm.is_finite() && production_vph.is_finite();
        if !is_number || !(0.0..=DENSITY_MAX_VPKM).contains(&density_vpkm) {
            return;
        }
        while density_vpkm >= self.width_vpkm * BIN_COUNT as f32 {
            self.widen();
        }
        let bin = (density_vpkm / self.width_vpkm) as usize;
        self.bins[bin.min(BIN_COUNT - 1)].add(production_vph);
        self.critical = self.find_critical();
    }

    /// Where production is highest, once both branches have been seen.
    pub fn critical(&self) -> Option<DiagramPoint> {
        self.critical
    }

    /// The medians of all bins that have one, density ascending.
    pub fn points(&self) -> impl Iterator<Item = DiagramPoint> + '_ {
        let medians = self.bins.iter().enumerate();
        medians.filter_map(|(index, bin)| {
            Some(DiagramPoint {
                density_vpkm: (index as f32 + 0.5) * self.width_vpkm,
                production_vph: bin.median()?,
            })
        })
    }

    fn find_critical(&self) -> Option<DiagramPoint> {
        let points: Vec<DiagramPoint> = self.points().collect();
        let (at, highest) = points
            .iter()
            .enumerate()
            .rev()
            .max_by(|(_, a), (_, b)| a.production_vph.total_cmp(&b.production_vph))?;
        let beyond = &points[at + 1..];
        let lowest = beyond.iter().map(|point| point.production_vph);
        let has_fallen =
            lowest.fold(f32::MAX, f32::min) <= highest.production_vph * (1.0 - FALL_MIN);
        (at >= BINS_ASIDE_MIN && beyond.len() >= BINS_ASIDE_MIN && has_fallen).then_some(*highest)
    }

    /// Doubles the width of the bins: each takes the minutes of two.
    fn widen(&mut self) {
        self.width_vpkm *= 2.0;
        let old = std::mem::replace(&mut self.bins, vec![Bin::default(); BIN_COUNT]);
        for (pair, bin) in old.chunks(2).zip(&mut self.bins) {
            for production in pair.iter().flat_map(Bin::in_order) {
                bin.add(production);
            }
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_f32(out, self.width_vpkm);
        for bin in &self.bins {
            put_u8(out, bin.productions.len() as u8);
            put_u8(out, bin.next);
            put_f32_all(out, &bin.productions);
        }
    }

    pub(super) fn take_back(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut diagram = Self {
            width_vpkm: reader.take_finite()?,
            ..Self::default()
        };
        let widest = WIDTH_FIRST_VPKM * 2.0 * DENSITY_MAX_VPKM;
        if !(WIDTH_FIRST_VPKM..=widest).contains(&diagram.width_vpkm) {
            return Err(reader.damaged());
        }
        for bin in &mut diagram.bins {
            let count = usize::from(reader.take_u8()?);
            bin.next = reader.take_u8()?;
            let is_full = count == SAMPLES_MAX;
            let next_max = if is_full { SAMPLES_MAX - 1 } else { 0 };
            if count > SAMPLES_MAX || usize::from(bin.next) > next_max {
                return Err(reader.damaged());
            }
            bin.productions = vec![0.0; count];
            reader.take_finite_all(&mut bin.productions)?;
        }
        diagram.critical = diagram.find_critical();
        Ok(diagram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A triangular relation: 50 km/h up to 30 veh/km and lane, jam density 130.
    fn triangle(density: f32) -> f32 {
        (50.0 * density).min(15.0 * (130.0 - density))
    }

    /// Pseudo-random scatter of ±1.
    fn scatter(state: &mut u32) -> f32 {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*state >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    #[test]
    fn the_top_of_a_noisy_triangle_is_critical() {
        let mut diagram = RegionDiagram::default();
        let mut state = 5;
        for minute in 0..20_000 {
            let density = 1.0 + (minute * 37 % 900) as f32 / 10.0;
            let noise = 1.0 + 0.08 * scatter(&mut state);
            diagram.add(density, triangle(density) * noise);
        }
        let critical = diagram.critical().expect("both branches were seen");
        // 900 / 10 veh/km reach into bins of 4 veh/km; the top lies at 30 and 1500.
        assert!((critical.density_vpkm - 30.0).abs() <= 4.0, "{critical:?}");
        assert!(
            (critical.production_vph - 1_500.0).abs() < 100.0,
            "{critical:?}"
        );
        for point in diagram.points() {
            let expected = triangle(point.density_vpkm);
            let miss = (point.production_vph - expected).abs();
            assert!(miss < 0.1 * expected + 60.0, "{point:?} {expected}");
        }
    }

    #[test]
    fn without_the_falling_branch_nothing_is_critical() {
        let mut diagram = RegionDiagram::default();
        for minute in 0..5_000 {
            let density = (minute * 13 % 290) as f32 / 10.0;
            diagram.add(density, triangle(density));
        }
        assert_eq!(diagram.critical(), None);
        assert!(diagram.points().count() > 20);
        // Two minutes beyond are no evidence; a rush hour of them is.
        diagram.add(60.0, triangle(60.0));
        diagram.add(70.0, triangle(70.0));
        assert_eq!(diagram.critical(), None);
        for minute in 0..60 {
            let density = 31.0 + minute as f32;
            diagram.add(density, triangle(density));
        }
        assert!(diagram.critical().is_some());
    }

    #[test]
    fn what_is_no_density_is_not_taken() {
        let mut diagram = RegionDiagram::default();
        for density in [f32::NAN, f32::INFINITY, -1.0, 1e9] {
            diagram.add(density, 100.0);
        }
        diagram.add(10.0, f32::NAN);
        assert_eq!(diagram, RegionDiagram::default());
    }

    #[test]
    fn widening_keeps_the_newest_of_both_bins() {
        let mut diagram = RegionDiagram::default();
        for value in 0..40 {
            diagram.add(0.5, value as f32);
            diagram.add(1.5, 100.0 + value as f32);
        }
        diagram.add(31.0, 1.0);
        let first: Vec<f32> = diagram.bins[0].in_order().collect();
        assert_eq!(first.len(), SAMPLES_MAX);
        assert!((first[0] - 108.0).abs() < 1e-6, "{first:?}");
        assert!((diagram.width_vpkm - 2.0).abs() < 1e-6);
    }
}
