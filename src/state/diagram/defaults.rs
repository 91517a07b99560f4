//! Diagrams for where nothing was ever counted, after the Highway Capacity Manual.
//!
//! Highway Capacity Manual, 6th edition (Transportation Research Board, 2016): capacity of basic
//! freeway segments by equation 12-6, of multilane highways by equation 12-7, base saturation flow
//! of signalised approaches from chapter 19. They count passenger cars; heavy vehicles are not
//! converted, so the defaults are high where there are many.

use super::Diagram;
use crate::network::{RoadClass, Segment};

/// Metres a second of one mile an hour.
const MPH_MPS: f32 = 0.447_04;

/// Saturation flow of a lane in a metropolitan area of 250 000 people and more, pc/h (HCM 2016,
/// chapter 19, default base saturation flow rate).
const SATURATION_VPH: f32 = 1_900.0;

/// Share of the cycle that an approach has green (chosen: two phases and lost time).
const GREEN_SHARE: f32 = 0.45;

/// Density of standing traffic, veh/km and lane (chosen: a car every 7.5 m).
pub(super) const JAM_DENSITY_VPKM: f32 = 1000.0 / 7.5;

/// Slowest free speed of a diagram, m/s.
pub(super) const FREE_MPS_MIN: f32 = 2.0;

/// The diagram of a segment on which traffic moves freely at `free_mps`.
pub(super) fn default_of(segment: &Segment, free_mps: f32) -> Diagram {
    through(free_mps, capacity_vph(segment, free_mps), None)
}

/// The triangle with this free speed and capacity, and this wave speed or the default jam density.
pub(super) fn through(free_mps: f32, capacity_vph: f32, wave_mps: Option<f32>) -> Diagram {
    let free_mps = free_mps.max(FREE_MPS_MIN);
    let critical = capacity_vph / (free_mps * 3.6);
    // A slow street cannot carry a capacity that needs more than half its jam density.
    let critical = critical.min(JAM_DENSITY_VPKM / 2.0);
    let capacity_vph = critical * free_mps * 3.6;
    let default_mps = capacity_vph / (JAM_DENSITY_VPKM - critical) / 3.6;
    Diagram {
        free_mps,
        capacity_vph,
        wave_mps: wave_mps.unwrap_or(default_mps).min(free_mps * 0.99),
    }
}

/// Capacity of one lane, veh/h.
fn capacity_vph(segment: &Segment, free_mps: f32) -> f32 {
    let free_mph = free_mps / MPH_MPS;
    if segment.is_signalised() {
        return SATURATION_VPH * GREEN_SHARE;
    }
    match segment.class() {
        RoadClass::Motorway | RoadClass::Trunk if free_mph >= 55.0 => {
            (2_200.0 + 10.0 * (free_mph - 50.0)).min(2_400.0)
        }
        _ => (1_900.0 + 20.0 * (free_mph.clamp(45.0, 70.0) - 45.0)).min(2_300.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_are_those_of_the_manual() {
        let mut segment = bytemuck::Zeroable::zeroed();
        let set = |segment: &mut Segment, class: RoadClass| segment.class = class as u8;
        set(&mut segment, RoadClass::Motorway);
        // HCM 2016, 12-6: 2 250 at 55 mph, 2 400 at 70 mph and above; 12-7: 1 900 at 45 mph, 2 200
        // at 60 mph.
        for (mph, vph) in [(55.0, 2_250.0), (70.0, 2_400.0), (75.0, 2_400.0)] {
            assert!((capacity_vph(&segment, mph * MPH_MPS) - vph).abs() < 0.5);
        }
        set(&mut segment, RoadClass::Primary);
        for (mph, vph) in [(30.0, 1_900.0), (45.0, 1_900.0), (60.0, 2_200.0)] {
            assert!((capacity_vph(&segment, mph * MPH_MPS) - vph).abs() < 0.5);
        }
        let diagram = default_of(&segment, 45.0 * MPH_MPS);
        assert!((diagram.jam_density_vpkm() - JAM_DENSITY_VPKM).abs() < 0.1);
    }
}
