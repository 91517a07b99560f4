//! Tests of the whole room: minutes in, levels, index, days and memory out.

use std::sync::Arc;

use super::*;
use crate::network::RoadClass;
use crate::state::SegmentState;
use crate::units::{SegmentId, Timestamp};

const LIMIT_MPS: f32 = 60.0 / 3.6;

/// 2026-11-26, a Thursday, 00:00 in China.
const MIDNIGHT_S: i64 = 1_795_622_400;

fn interval(minute: i64) -> Interval {
    let start = Timestamp::from_secs(MIDNIGHT_S + minute * 60);
    Interval {
        start,
        end: start.plus_secs(60),
    }
}

/// A minute in which `state` says what each segment is like.
fn minute(network: &Network, at: i64, state: impl Fn(usize) -> SegmentState) -> StateBatch {
    StateBatch {
        interval: interval(at),
        network: network.version(),
        segments: (0..network.segment_count()).map(state).collect(),
    }
}

/// A measured segment: speed over the limit, flow and density over all lanes.
fn seen(ratio: f32, flow_vph: Option<f32>) -> SegmentState {
    let speed_mps = ratio * LIMIT_MPS;
    SegmentState {
        speed_mps,
        free_flow_mps: LIMIT_MPS,
        flow_vph,
        density_vpkm: flow_vph.map(|flow| flow / (speed_mps * 3.6)),
        provenance: Provenance::Observed,
        sample_count: 6,
        ..SegmentState::default()
    }
}

fn settings(standard: Standard) -> CongestionSettings {
    CongestionSettings {
        standard,
        regions: Vec::new(),
        utc_offset_s: 8 * 3600,
    }
}

fn room(network: &Arc<Network>) -> Congestion {
    Congestion::new(Arc::clone(network), settings(Standard::default()))
}

fn close(found: f32, expected: f32) -> bool {
    (found - expected).abs() <= 1e-3 * expected.abs().max(1.0)
}

/// Ten segments of 100 m, two lanes, 60 km/h free: two at 20 km/h with 1000 veh/h, three at 40 km/h
/// with 1200 veh/h, five free of which one has 600 veh/h. Worked by hand.
#[test]
fn a_worked_region() {
    let network = fixture::line(10);
    let mut room = room(&network);
    let mut batch = minute(&network, 480, |index| match index {
        0..2 => seen(1.0 / 3.0, Some(1_000.0)),
        2..5 => seen(2.0 / 3.0, Some(1_200.0)),
        5 => seen(1.0, Some(600.0)),
        _ => SegmentState {
            provenance: Provenance::Profile,
            ..seen(1.0, None)
        },
    });
    let closed = room.close_minute(&mut batch);
    let index = &closed.regions[0];
    assert_eq!(
        (&*index.region, &*closed.standard),
        ("city", "GB/T 33171-2016 v1")
    );
    // 100 m take 6 s free, 18 s at 20 km/h, 9 s at 40 km/h: 36 + 27 + 30 = 93 s for 60 s.
    assert!(close(index.tti, 93.0 / 60.0), "{index:?}");
    assert!(close(index.dtp, 33.0 / 93.0));
    // Annex C: between 0.3 (2) and 0.5 (4).
    assert!(close(
        index.tpi.expect("GB/T has one"),
        2.0 + (33.0 / 93.0 - 0.3) * 10.0
    ));
    assert!(close(index.speed_mps, 1_000.0 / 93.0));
    // 20 km/h is a third of free flow: moderate; two thirds: mostly smooth.
    let levels = batch.segments.iter().map(|state| state.level as u8);
    assert_eq!(levels.collect::<Vec<_>>(), [4, 4, 2, 2, 2, 1, 1, 1, 1, 1]);
    for (found, expected) in index.level_km.iter().zip([0.5, 0.3, 0.0, 0.2, 0.0]) {
        assert!(close(*found, expected), "{index:?}");
    }
    assert!(close(index.congested_km(), 0.2) && close(index.severe_share(), 0.0));
    // Flow is known of six of ten: 1000 veh/h at 20 km/h are 50 veh/km, and so on.
    assert!(close(index.flow_share, 0.6));
    let vehicles = 0.1 * (2.0 * 50.0 + 3.0 * 30.0 + 10.0);
    assert!(close(index.accumulation_veh.expect("known"), vehicles));
    let per_lane = (2.0 * 1_000.0 + 3.0 * 1_200.0 + 600.0) / 6.0 / 2.0;
    assert!(close(index.production_vph.expect("known"), per_lane));
    // 12 s for 1000 veh/h twice, 3 s for 1200 veh/h three times.
    let delay = (2.0 * 12.0 * 1_000.0 + 3.0 * 3.0 * 1_200.0) / 3_600.0;
    assert!(close(index.delay_vehh_per_h.expect("known"), delay));
    assert!(close(index.observed_share, 0.6) && close(index.estimated_share, 0.0));
    assert!(close(index.judged_share, 1.0) && close(index.learnt_share, 0.0));
    assert_eq!((index.critical_veh, index.critical_ratio), (None, None));
    // Jam factor: a third is 7.333, two thirds 2.333.
    assert!(close(
        index.jam_factor,
        0.2 * (6.0 + 2.0 * 2.0 / 3.0) + 0.3 * (2.0 + 1.0 / 3.0)
    ));
}

#[test]
fn what_nobody_counts_is_unknown_and_not_zero() {
    let network = fixture::line(4);
    let mut room = room(&network);
    let closed = room.close_minute(&mut minute(&network, 0, |_| seen(0.5, None)));
    let index = &closed.regions[0];
    assert_eq!(
        (
            index.accumulation_veh,
            index.production_vph,
            index.delay_vehh_per_h
        ),
        (None, None, None)
    );
    assert!(close(index.flow_share, 0.0) && index.tpi.is_some());
    let today = room.today().expect("a minute was closed");
    assert_eq!(today.regions[0].delay_vehh, None);
    assert!(today.regions[0].by_delay.is_empty());
}

#[test]
fn the_index_follows_the_standard() {
    let network = fixture::line_of(25, RoadClass::Motorway);
    // One of 25 segments is severe, 4 % of the length; density 40 veh/km over two lanes there.
    let state = |index| match index {
        0 => seen(0.2, Some(480.0)),
        _ => seen(1.0, Some(600.0)),
    };
    let tpi = |standard: Standard| {
        let mut room = Congestion::new(Arc::clone(&network), settings(standard));
        let mut batch = minute(&network, 0, state);
        let closed = room.close_minute(&mut batch);
        (closed.regions[0].clone(), batch.segments[0].level)
    };
    let severe = Curve::new(vec![(0.0, 0.0), (0.04, 2.0), (0.24, 10.0)]).expect("a curve");
    let (index, level) = tpi(Standard {
        index: IndexMeasure::SevereMileage(severe),
        ..Standard::default()
    });
    assert!(close(index.tpi.expect("given"), 2.0) && level == Level::Severe);
    assert!(close(index.severe_share(), 0.04));
    let (index, level) = tpi(Standard {
        measure: LevelMeasure::LaneDensity(LaneDensity::hcm()),
        boundary_is_worse: false,
        index: IndexMeasure::None,
        ..Standard::default()
    });
    // 20 veh/km and lane are 32 pc/mi/ln: service D, level 3.
    assert_eq!((index.tpi, level), (None, Level::Light));
    assert!(close(index.service_km[Service::D as usize], 0.1));
    assert!(close(index.service_km[Service::A as usize], 2.4));
    assert!(close(index.judged_share, 1.0));
    let (index, _) = tpi(Standard {
        index: IndexMeasure::JamFactor,
        ..Standard::default()
    });
    assert!(close(index.tpi.expect("given"), index.jam_factor));
    assert!(close(index.jam_factor, (8.0 + 2.0 / 3.0) / 25.0));
}

#[test]
fn slower_traffic_never_has_a_better_index() {
    let network = fixture::line(7);
    let of = |slower: f32| {
        let mut room = room(&network);
        let state = |index: usize| {
            let ratio = 0.15 + 0.12 * index as f32 * (1.0 - slower);
            seen(ratio, Some(300.0))
        };
        room.close_minute(&mut minute(&network, 0, state)).regions[0].clone()
    };
    let mut before = of(0.0);
    for step in 1..50 {
        let index = of(step as f32 / 50.0);
        assert!(index.tti >= before.tti && index.dtp >= before.dtp);
        assert!(index.tpi >= before.tpi && index.jam_factor >= before.jam_factor);
        assert!(index.delay_vehh_per_h >= before.delay_vehh_per_h);
        assert!(index.congested_km() >= before.congested_km() - 1e-6);
        before = index;
    }
}

/// A morning in which traffic is slow from 07:30 to 08:30 and the flow is a triangle's.
fn rush(index: usize, at: i64) -> SegmentState {
    let minute_of_day = at.rem_euclid(1_440);
    let is_rush = (450..510).contains(&minute_of_day);
    let ratio = match (is_rush, index) {
        (true, 0..4) => 0.25,
        (true, _) => 0.6,
        (false, _) => 0.95,
    };
    seen(ratio, Some(400.0 + 100.0 * index as f32))
}

#[test]
fn a_day_is_reported_with_its_peak_and_its_worst_segments() {
    let network = fixture::line(10);
    let mut room = room(&network);
    let mut ended = Vec::new();
    for at in 0..1_441 {
        let closed = room.close_minute(&mut minute(&network, at, |index| rush(index, at)));
        ended.extend(closed.ended_day.clone());
    }
    let [day] = ended.as_slice() else {
        unreachable!("one day has ended: {}", ended.len())
    };
    // 2026-11-26 is day 20783 of the epoch.
    assert_eq!((day.day, day.is_over), (20_783, true));
    let city = &day.regions[0];
    assert_eq!((city.minutes, city.curve.len()), (1_440, CURVE_SLOTS));
    let peak = city.peaks[0].expect("the morning is complete");
    assert_eq!(peak.start_minute, 450);
    let index = {
        let mut alone = self::room(&network);
        alone.close_minute(&mut minute(&network, 480, |index| rush(index, 480)))
    };
    let expected = index.regions[0].tpi.expect("GB/T has one");
    assert!(
        close(peak.mean.tpi.expect("GB/T has one"), expected),
        "{peak:?}"
    );
    assert!(close(city.peaks[1].expect("complete").mean.tti, 1.0 / 0.95));
    assert_eq!(city.band_minutes.iter().sum::<u32>(), 1_440);
    assert_eq!(city.band_minutes[0], 1_380);
    // Severe from the second slow minute on, and back to smooth at once by the margin.
    let jammed: Vec<u16> = city.by_time.iter().map(|one| one.jammed_minutes).collect();
    assert_eq!(jammed, [59, 59, 59, 59]);
    let first: Vec<u32> = city
        .by_delay
        .iter()
        .take(4)
        .map(|one| one.segment.0)
        .collect();
    // Segments 4 to 9 were delayed less, but all day long and with more vehicles.
    assert_eq!(first, [3, 2, 9, 8]);
    let (minute, km) = city.most_jammed.expect("there was a jam");
    assert!(minute == 451 && close(km, 0.4));
    let hourly: f32 = (0..4)
        .map(|index| 400.0 + 100.0 * index as f32)
        .sum::<f32>()
        * 18.0
        + (4..10)
            .map(|index| 400.0 + 100.0 * index as f32)
            .sum::<f32>()
            * 4.0;
    let smooth: f32 = (0..10)
        .map(|index| 400.0 + 100.0 * index as f32)
        .sum::<f32>();
    let smooth = smooth * 6.0 * (1.0 / 0.95 - 1.0) * 23.0;
    let delay = city.delay_vehh.expect("flows were known") as f32;
    assert!(close(delay, (hourly + smooth) / 3_600.0), "{delay}");
    assert_eq!(room.days().len(), 1);
    let today = room.today().expect("the next day has begun");
    assert_eq!((today.day, today.regions[0].minutes), (20_784, 1));
}

#[test]
fn no_more_days_are_kept_than_allowed() {
    let network = fixture::line(1);
    let mut room = room(&network);
    for day in 0..40 {
        room.close_minute(&mut minute(&network, day * 1_440, |_| seen(0.9, None)));
    }
    assert_eq!(room.days().len(), DAYS_MAX);
    assert_eq!(room.days()[0].day, 20_783 + 39 - DAYS_MAX as i64);
}

#[test]
fn free_flow_learnt_over_thirty_days_takes_the_place_of_the_fallback() {
    let network = fixture::line(2);
    let mut room = room(&network);
    let at = |day: i64| day * 1_440 + 600;
    for day in 0..30 {
        let mut batch = minute(&network, at(day), |_| seen(0.7, None));
        let closed = room.close_minute(&mut batch);
        assert!(!batch.segments[0].is_free_flow_learnt);
        assert_eq!(batch.segments[0].level, Level::MostlySmooth);
        assert!(close(closed.regions[0].learnt_share, 0.0));
    }
    let mut batch = minute(&network, at(30), |_| seen(0.7, None));
    let closed = room.close_minute(&mut batch);
    let state = &batch.segments[0];
    assert!(state.is_free_flow_learnt);
    assert!(
        (state.free_flow_mps / LIMIT_MPS - 0.7).abs() <= 0.0125 + 1e-5,
        "{state:?}"
    );
    assert_eq!(state.level, Level::Smooth, "as fast as it ever is here");
    assert!(close(closed.regions[0].learnt_share, 1.0));
}

#[test]
fn a_macroscopic_diagram_grows_from_minutes() {
    let network = fixture::line(6);
    let mut room = room(&network);
    let mut last = None;
    for at in 0..1_200 {
        // Density per lane swings from 5 to 85 veh/km: 50 km/h up to 30, then 15 km/h waves.
        let density = 5.0 + 80.0 * ((at % 120) as f32 / 119.0);
        let flow = (50.0 * density).min(15.0 * (130.0 - density));
        let speed_mps = flow / density / 3.6;
        let state = SegmentState {
            speed_mps,
            flow_vph: Some(2.0 * flow),
            density_vpkm: Some(2.0 * density),
            ..seen(1.0, None)
        };
        last = Some(room.close_minute(&mut minute(&network, at, |_| state)));
    }
    let index = last.expect("minutes were closed").regions[0].clone();
    let lane_km = 1.2;
    let critical = index.critical_veh.expect("both branches were seen");
    assert!((critical / lane_km - 30.0).abs() <= 4.0, "{index:?}");
    let ratio = index.critical_ratio.expect("flows are known");
    assert!(close(ratio, 85.0 * lane_km / critical), "{index:?}");
}

#[test]
fn a_restart_in_the_morning_is_as_if_nothing_had_happened() {
    let network = fixture::line(10);
    let frame = network.frame();
    let ring = [(0.0, -50.0), (300.0, -50.0), (300.0, 50.0), (0.0, 50.0)]
        .map(|(x, y)| frame.to_position(crate::units::Point::new(x, y)));
    let drafts = [
        RegionDraft::city(),
        RegionDraft {
            name: "west".into(),
            rings: vec![ring.into()],
        },
    ];
    let settings = CongestionSettings {
        regions: regions(&network, &drafts, |id: SegmentId| id.0 == 9).expect("both hold some"),
        ..settings(Standard::default())
    };
    let new = || Congestion::new(Arc::clone(&network), settings.clone());
    let state = |index: usize, at: i64| match (at + index as i64) % 17 {
        0 => SegmentState {
            provenance: Provenance::Estimated,
            ..rush(index, at)
        },
        _ => rush(index, at),
    };
    let mut whole = new();
    let mut parts = new();
    for at in 0..(1_440 * 2 + 500) {
        let mut batch = minute(&network, at, |index| state(index, at));
        let mut again = batch.clone();
        let expected = whole.close_minute(&mut batch);
        if at == 1_440 + 452 || at == 1_440 * 2 + 470 {
            let mut bytes = Vec::new();
            parts.snapshot(&mut bytes);
            parts = new();
            parts.restore(&bytes).expect("its own bytes");
            let mut again = Vec::new();
            parts.snapshot(&mut again);
            assert_eq!(bytes, again, "restoring loses nothing");
        }
        assert_eq!(parts.close_minute(&mut again), expected, "{at}");
        assert_eq!(again, batch, "{at}");
    }
    assert_eq!(parts.today(), whole.today());
    assert_eq!(parts.days(), whole.days());
}

#[test]
fn what_changed_in_the_settings_begins_anew_and_damage_is_told() {
    let network = fixture::line(4);
    let mut room = room(&network);
    for at in 0..40 {
        room.close_minute(&mut minute(&network, at, |_| seen(0.2, Some(500.0))));
    }
    let mut bytes = Vec::new();
    room.snapshot(&mut bytes);
    let other = Standard {
        name: "another".into(),
        ..Standard::default()
    };
    let mut changed = Congestion::new(Arc::clone(&network), settings(other));
    changed.restore(&bytes).expect("only the standard differs");
    assert_eq!(changed.today(), None);
    // A level of its own, not the old standard's severe one kept for two minutes more.
    let mut batch = minute(&network, 40, |_| seen(1.0, None));
    changed.close_minute(&mut batch);
    assert_eq!(batch.segments[0].level, Level::Smooth);
    for end in (0..bytes.len()).step_by(97) {
        assert!(changed.restore(&bytes[..end]).is_err(), "{end}");
    }
    let foreign = fixture::line(5);
    let mut elsewhere = self::room(&foreign);
    assert!(elsewhere.restore(&bytes).is_err());
}
