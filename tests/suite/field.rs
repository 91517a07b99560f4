//! Freeways from outside: segments measured in, jams on a freeway out.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use roadcast::network::{Network, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
use roadcast::observation::DetectorReading;
use roadcast::state::{
    BinSums, Calendar, DetectorKind, DetectorPlace, DetectorTable, FieldMinute, FieldSettings,
    Freeways, Performance, PerformanceMinute, SnapshotError, StateSettings, TrafficState,
};
use roadcast::units::{Interval, Position, SegmentId, Timestamp};

/// A motorway of `count` segments of 500 m with a street leaving it behind the second:
///
/// ```text
///   J0 --0--> J1 --1--> J2 --2--> J3 …
///                        \--street-->
/// ```
fn motorway(count: usize) -> Arc<Network> {
    let step_deg = 500.0 / 111_195.0;
    let at = |index: usize| Position::new(114.30, 30.55 + step_deg * index as f64);
    let mut builder = NetworkBuilder::new(at(0));
    let junctions: Vec<_> = (0..=count)
        .map(|index| builder.add_junction(at(index), false))
        .collect();
    let aside = Position::new(114.305, 30.55 + step_deg * 2.0);
    let street_end = builder.add_junction(aside, false);
    let mut add = |from, to, class, shape: Vec<Position>| {
        let draft = SegmentDraft {
            from,
            to,
            shape,
            length_m: Some(500.0),
            class,
            limit_mps: Some(33.0),
            lanes: Some(3),
            flags: SegmentFlags::default(),
            layer: 0,
            source_id: "ring".into(),
            source_dir: 1,
            source_pair: 0,
            name: None,
            name_en: None,
        };
        builder.add_segment(draft).unwrap();
    };
    for index in 0..count {
        let shape = vec![at(index), at(index + 1)];
        add(
            junctions[index],
            junctions[index + 1],
            RoadClass::Motorway,
            shape,
        );
    }
    add(
        junctions[2],
        street_end,
        RoadClass::Secondary,
        vec![at(2), aside],
    );
    builder.connect_all(&mut |_, _| false);
    Arc::new(builder.build().unwrap())
}

/// Two segments crawl, the others flow; every second one is measured.
fn closed(network: &Network, freeways: &mut Freeways) -> FieldMinute {
    for id in network.segment_ids().filter(|id| id.0 % 2 == 0) {
        let speed_mps = if (4..=6).contains(&id.0) { 4.0 } else { 28.0 };
        freeways.take(id, (0.0, 499.0), speed_mps, 1.0);
    }
    freeways.close_minute().pop().unwrap()
}

#[test]
fn a_motorway_is_one_freeway_and_a_street_none() {
    let network = motorway(10);
    let freeways = Freeways::new(&network, FieldSettings::of_minutes()).unwrap();
    assert_eq!(freeways.all().len(), 1);
    let ids: Vec<u32> = freeways.all()[0].segments.iter().map(|id| id.0).collect();
    assert_eq!(ids, (0..10).collect::<Vec<_>>());
    assert_eq!(freeways.place(SegmentId(3)), Some((0, 1500.0)));
    assert_eq!(freeways.place(SegmentId(10)), None);
}

#[test]
fn a_jam_has_a_tail_and_a_head() {
    let network = motorway(12);
    let mut freeways = Freeways::new(&network, FieldSettings::of_minutes()).unwrap();
    let minute = closed(&network, &mut freeways);
    assert_eq!(minute.cells.len(), 60);
    assert_eq!(minute.jams.len(), 1, "{:?}", minute.jams);
    let jam = minute.jams[0];
    // Measured slow from 2000 to 2500 m and from 3000 to 3500 m; free to 1500 m and from 4000 m.
    assert!((1500.0..=2000.0).contains(&jam.tail_m), "{jam:?}");
    assert!((3500.0..=4000.0).contains(&jam.head_m), "{jam:?}");
    assert!(jam.speed_mps < 12.0, "{jam:?}");
    assert!(
        !freeways.take(SegmentId(12), (0.0, 100.0), 5.0, 1.0),
        "a street"
    );
}

#[test]
fn a_jam_lies_on_its_segments_and_its_ends_have_places() {
    let network = motorway(12);
    let mut freeways = Freeways::new(&network, FieldSettings::of_minutes()).unwrap();
    let jam = closed(&network, &mut freeways).jams[0];
    let freeway = &freeways.all()[0];
    let under: Vec<u32> = freeway.under(&jam).map(|id| id.0).collect();
    assert!(
        under.starts_with(&[3, 4, 5, 6]) && under.len() <= 5,
        "{under:?}"
    );
    assert_eq!(freeway.at(0.0), Some((SegmentId(0), 0.0)));
    assert_eq!(freeway.at(1_620.0), Some((SegmentId(3), 120.0)));
    assert_eq!(freeway.at(9_999.0), Some((SegmentId(11), 500.0)));
}

#[test]
fn the_engine_reads_jams_off_detectors() {
    let network = motorway(12);
    let mut table = DetectorTable::default();
    for id in network.segment_ids().filter(|id| id.0 < 12) {
        let place = DetectorPlace {
            segment: id,
            offset_m: 250.0,
            length_m: 0.0,
            lane: 0,
            kind: DetectorKind::Point,
        };
        table.insert(&id.to_string(), place);
    }
    let (start, end) = (Timestamp::from_secs(60_000), Timestamp::from_secs(60_060));
    let minute = Interval { start, end };
    let sums = BinSums::new(network.segment_count());
    let mut performance = Performance::new(&network, Calendar::default(), Vec::new(), &table);
    // The speeds of the next minute are not of this one.
    let of = |id: u32, later_s: i64, speed_mps| DetectorReading {
        start: start.plus_secs(later_s),
        end: end.plus_secs(later_s),
        detector: SegmentId(id).to_string().into(),
        vehicle_count: 6.0,
        speed_mps: Some(speed_mps),
        occupancy: None,
        sampled_seconds: None,
        queue_length_m: None,
    };
    let speed_mps = |id| if (6..=8).contains(&id) { 3.0 } else { 30.0 };
    let now = (0..12).map(|id| of(id, 0, speed_mps(id)));
    let readings: Vec<_> = now.chain((0..12).map(|id| of(id, 60, 1.0))).collect();
    let settings = StateSettings {
        detectors: table.clone(),
        ..StateSettings::default()
    };
    let mut state = TrafficState::new(network.clone(), settings);
    let mut batch = state.close_minute(minute, &sums, &readings);
    let seen = PerformanceMinute {
        sums: &sums,
        stays: &[],
        readings: &readings,
        table: &table,
    };
    let derived = performance.close_minute(&network, &mut batch, &seen);
    assert_eq!((derived.freeways.len(), derived.fields.len()), (1, 1));
    let jams = &derived.fields[0].jams;
    assert_eq!(jams.len(), 1, "{jams:?}");
    let (tail, head) = (jams[0].tail_m, jams[0].head_m);
    assert!(
        (2_750.0..=3_300.0).contains(&tail) && (4_200.0..=4_750.0).contains(&head),
        "{jams:?}"
    );
    assert!(jams[0].is_counted && jams[0].most_samples == 0, "{jams:?}");
}

#[test]
fn fields_go_on_from_their_snapshot() {
    let network = motorway(12);
    let mut steady = Freeways::new(&network, FieldSettings::of_minutes()).unwrap();
    closed(&network, &mut steady);
    let mut bytes = Vec::new();
    steady.snapshot(&network, &mut bytes);
    let mut restarted = Freeways::new(&network, FieldSettings::of_minutes()).unwrap();
    for length in 0..bytes.len() {
        assert!(
            restarted.restore(&network, &bytes[..length]).is_err(),
            "{length}"
        );
    }
    restarted.restore(&network, &bytes).unwrap();
    for _ in 0..3 {
        let minute = closed(&network, &mut steady);
        assert_eq!(minute, closed(&network, &mut restarted));
    }
    let other = motorway(13);
    let mut foreign = Freeways::new(&other, FieldSettings::of_minutes()).unwrap();
    let refused = foreign.restore(&other, &bytes);
    assert!(matches!(refused, Err(SnapshotError::Network { .. })));
}
