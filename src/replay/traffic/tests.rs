use std::collections::BTreeMap;
use std::sync::Arc;

use super::roads::JAM_SPACING_M;
use super::*;
use crate::observation::{Decoded, Origin, RawMessage};
use crate::replay::city::{City, CitySize, build};
use crate::units::{Point, SegmentId, SourceId};
use crate::wire::csae::PARTICIPANTS_MAX;
use crate::wire::{DecodeLimits, DecoderTable};

fn small(vehicles: usize, incident_s: Option<(i64, i64)>) -> (City, Simulation) {
    let city = build(42, CitySize::Small).unwrap();
    let settings = TrafficSettings {
        vehicles,
        incident_s,
        ..TrafficSettings::default()
    };
    let simulation = Simulation::new(&city, settings);
    (city, simulation)
}

fn reports(seed: u64) -> Vec<Report> {
    let city = build(42, CitySize::Small).unwrap();
    let settings = TrafficSettings {
        vehicles: 200,
        seed,
        ..TrafficSettings::default()
    };
    let mut simulation = Simulation::new(&city, settings);
    let mut all = Vec::new();
    for _ in 0..40 {
        simulation.step(&mut all);
    }
    all
}

#[test]
fn equal_seeds_give_equal_bytes() {
    let first = reports(1);
    assert!(first.len() > 200, "{} reports", first.len());
    assert!(first == reports(1));
    assert!(first != reports(2));
}

#[test]
fn every_report_decodes_without_loss_by_the_default_routes() {
    let table = DecoderTable::new(default_routes(), DecodeLimits::default());
    let mut decoded = Decoded::default();
    let mut by_origin = BTreeMap::new();
    for report in reports(1) {
        decoded.clear();
        table.decode(
            &RawMessage {
                received_at: report.at,
                source: SourceId(0),
                topic: Arc::clone(&report.topic),
                payload: report.payload.clone(),
            },
            &mut decoded,
        );
        assert_eq!(decoded.rejected.total(), 0, "{}", report.topic);
        assert!(!decoded.observations.is_empty(), "{}", report.topic);
        for seen in &decoded.observations {
            assert_eq!(seen.observed_at, report.at);
            *by_origin.entry(seen.origin).or_insert(0usize) += 1;
        }
    }
    for origin in [Origin::Probe, Origin::Bsm, Origin::Rsm] {
        assert!(
            by_origin.get(&origin).is_some_and(|&n| n > 300),
            "{by_origin:?}"
        );
    }
}

#[test]
fn a_unit_never_puts_more_than_16_cars_in_one_frame() {
    let mut frames = 0usize;
    for report in reports(1)
        .iter()
        .filter(|report| *report.topic == *RSM_TOPIC)
    {
        let envelope = crate::wire::csae::Envelope::parse(&report.payload).unwrap();
        for frame in envelope.frames {
            let mut decoded = Decoded::default();
            let dialect = crate::wire::Dialect::Csae2019;
            crate::wire::csae::decode(frame, dialect, report.at, 1_000, &mut decoded);
            assert!((1..=PARTICIPANTS_MAX).contains(&decoded.observations.len()));
            frames += 1;
        }
    }
    assert!(frames > 50, "{frames} frames");
}

#[test]
fn cars_keep_their_distance_never_jump_and_are_all_accounted_for() {
    let (city, mut simulation) = small(500, Some((60, 200)));
    let mut before: BTreeMap<u32, Point> = BTreeMap::new();
    let mut sink = Vec::new();
    for _ in 0..300 {
        simulation.step(&mut sink);
        sink.clear();
        let mut active = 0u64;
        let mut after = BTreeMap::new();
        for segment in city.network.segment_ids() {
            let facts = city.network.segment(segment);
            for lane in 0..facts.lanes {
                let queue = &simulation.lanes[simulation.lane_index(segment.0, lane)];
                active += queue.len() as u64;
                let cars: Vec<_> = queue
                    .iter()
                    .map(|&slot| simulation.vehicles[slot as usize])
                    .collect();
                for pair in cars.windows(2) {
                    let gap_m = pair[0].offset_m - pair[1].offset_m;
                    assert!(
                        gap_m > JAM_SPACING_M - 0.01,
                        "{gap_m} m between two cars on {segment}"
                    );
                }
                for car in cars {
                    assert!((0.0..=facts.length_m).contains(&car.offset_m));
                    assert!(car.speed_mps >= 0.0 && car.speed_mps < 40.0);
                    let at = city.network.locate(segment, car.offset_m).0;
                    if let Some(last) = before.get(&car.serial) {
                        assert!(at.distance_m(*last) < 40.0, "car {} jumped", car.serial);
                    }
                    after.insert(car.serial, at);
                }
            }
        }
        before = after;
        let counts = simulation.counts();
        assert_eq!(counts.active, active);
        assert_eq!(
            counts.departed,
            counts.arrived + counts.given_up + counts.active
        );
    }
    assert!(simulation.counts().arrived > 100);
}

/// Mean true speed over the minutes from `from` to `until`, counted from the start.
fn speed_mps(simulation: &Simulation, segment: SegmentId, from: usize, until: usize) -> f32 {
    let speeds: Vec<f32> = simulation
        .truth()
        .minutes()
        .iter()
        .skip(from)
        .take(until - from)
        .filter_map(|minute| minute.speed_mps(segment))
        .collect();
    speeds.iter().sum::<f32>() / speeds.len().max(1) as f32
}

#[test]
fn the_incident_makes_a_jam_that_grows_upstream_and_dissolves() {
    let (city, mut simulation) = small(700, Some((600, 1_800)));
    let incident = simulation.incident().unwrap();
    let present = |simulation: &Simulation, minute: usize| -> f32 {
        let minute = &simulation.truth().minutes()[minute];
        city.network
            .movements_into(incident.segment)
            .map(|movement| minute.mean_present(movement.from()))
            .sum()
    };
    simulation.warm_up(3_600, 30, |_, _| ());
    let upstream = city
        .network
        .movements_into(incident.segment)
        .next()
        .unwrap()
        .from();
    let before = speed_mps(&simulation, upstream, 2, 10);
    let during = speed_mps(&simulation, upstream, 18, 30);
    let after = speed_mps(&simulation, upstream, 50, 60);
    assert!(
        during < 0.4 * before,
        "{before} m/s before, {during} m/s during"
    );
    assert!(
        after > 0.7 * before,
        "{before} m/s before, {after} m/s after"
    );
    let (early, late) = (present(&simulation, 12), present(&simulation, 28));
    assert!(late > early + 5.0, "{early} cars at first, {late} later");
    assert_eq!(simulation.counts().given_up, 0);
}

#[test]
fn truth_becomes_five_minute_rows() {
    let (city, mut simulation) = small(200, None);
    simulation.warm_up(660, 60, |_, _| ());
    let series = simulation.truth().series();
    assert_eq!(
        (series.row_count(), series.segments),
        (2, city.network.segment_count())
    );
    assert_eq!(series.start, TrafficSettings::default().start);
    let moving = series
        .row(1)
        .iter()
        .filter(|v| v.is_finite() && **v > 3.0)
        .count();
    assert!(moving > 100, "{moving} segments with traffic");
}
