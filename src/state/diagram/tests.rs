use super::fit::fit;
use super::grid::Grid;
use super::*;

/// A lane with free speed 54 km/h, capacity 1 620 veh/h at 30 veh/km, waves of 16.2 km/h, jam
/// density 130 veh/km.
const TRUE: Diagram = Diagram {
    free_mps: 15.0,
    capacity_vph: 1_620.0,
    wave_mps: 4.5,
};

/// A number in -1..1 that looks random but is not.
fn noise(index: u32) -> f32 {
    let hash = index.wrapping_mul(2_654_435_761) ^ (index.wrapping_mul(40_503) >> 3);
    f32::from((hash >> 16) as u16) / 32_768.0 - 1.0
}

/// Minutes at densities from 1 to 110 veh/km, with noise in flow and one minute in ten an outlier.
fn noisy(flow_noise: f32) -> Grid {
    let mut grid = Grid::new();
    for index in 0..1_200u32 {
        let density = 1.0 + 109.0 * (index % 120) as f32 / 120.0;
        let flow = TRUE.flow_vph(density) * (1.0 + flow_noise * noise(index));
        let flow = if index % 10 == 7 { 60.0 } else { flow };
        grid.add(density, flow);
    }
    grid
}

#[test]
fn a_triangle_is_found_again_through_noise_and_outliers() {
    let (diagram, goodness) = fit(&noisy(0.15)).expect("1 200 minutes on both branches");
    let off = |found: f32, real: f32| (found / real - 1.0).abs();
    assert!(off(diagram.free_mps, TRUE.free_mps) < 0.06, "{diagram:?}");
    assert!(
        off(diagram.capacity_vph, TRUE.capacity_vph) < 0.06,
        "{diagram:?}"
    );
    assert!(off(diagram.wave_mps, TRUE.wave_mps) < 0.1, "{diagram:?}");
    let jam = diagram.jam_density_vpkm();
    assert!(off(jam, TRUE.jam_density_vpkm()) < 0.06, "{jam}");
    assert_eq!(goodness.minutes, 1_200);
    assert!((0.5..0.95).contains(&goodness.r_squared), "{goodness:?}");
    assert!((100.0..450.0).contains(&goodness.rmse_vph), "{goodness:?}");
}

#[test]
fn without_congestion_or_with_few_minutes_there_is_no_fit() {
    let mut free = Grid::new();
    for index in 0..600u32 {
        let density = 1.0 + (index % 20) as f32;
        free.add(density, TRUE.flow_vph(density));
    }
    assert_eq!(fit(&free), None, "capacity was never reached");
    let mut few = Grid::new();
    for index in 0..29u32 {
        few.add(index as f32 * 4.0, TRUE.flow_vph(index as f32 * 4.0));
    }
    assert_eq!(fit(&few), None);
}

#[test]
fn a_cloud_is_no_diagram() {
    let mut cloud = Grid::new();
    for index in 0..2_000u32 {
        let density = 60.0 * (1.0 + noise(index));
        cloud.add(density, 1_000.0 * (1.0 + noise(index + 9_999)));
    }
    assert_eq!(fit(&cloud), None);
}

fn own(rmse_vph: f32) -> SegmentDiagram {
    SegmentDiagram {
        diagram: TRUE,
        basis: Basis::Segment,
        goodness: Some(Goodness {
            minutes: 100,
            r_squared: 0.9,
            rmse_vph,
        }),
    }
}

#[test]
fn speed_tells_density_in_congestion_and_little_in_free_flow() {
    // 5 m/s: k = 130 * 4.5 / 9.5 = 61.6 veh/km and lane.
    let slow = own(0.0).density_from_speed(5.0, 0.0, 2);
    assert!((slow.value - 2.0 * 61.58).abs() < 0.1, "{slow:?}");
    assert!(slow.sigma < 0.1, "{slow:?}");
    let free = own(0.0).density_from_speed(16.0, 0.0, 1);
    assert!((free.value - 15.0).abs() < 0.01, "{free:?}");
    assert!((free.sigma - 30.0 / 12f32.sqrt()).abs() < 0.01, "{free:?}");
    let unsure = own(0.0).density_from_speed(5.0, 1.0, 2);
    assert!(unsure.sigma > 10.0 && unsure.sigma < 16.0, "{unsure:?}");
    // 95 veh/h along the line of 5 m/s: 95 / (9.5 * 3.6) = 2.8 veh/km.
    let noisy = own(95.0).density_from_speed(5.0, 0.0, 1);
    assert!((noisy.sigma - 2.78).abs() < 0.05, "{noisy:?}");
    let lent = SegmentDiagram {
        basis: Basis::Class,
        ..own(95.0)
    };
    assert!(lent.density_from_speed(5.0, 0.0, 1).sigma > 15.0);
}

#[test]
fn flow_from_speed_never_exceeds_capacity() {
    for tenth in 0..250 {
        let flow = own(50.0).flow_from_speed(tenth as f32 / 10.0, 1.5, 1);
        assert!((0.0..=TRUE.capacity_vph).contains(&flow.value), "{flow:?}");
        assert!(flow.sigma.is_finite());
    }
    let stopped = own(50.0).flow_from_speed(0.0, 0.0, 1);
    assert!(stopped.value.abs() < 1e-3);
}
