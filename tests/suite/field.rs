//! Freeways from outside: segments measured in, jams on a freeway out.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use roadcast::network::{Network, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
use roadcast::state::{FieldMinute, FieldSettings, Freeways, SnapshotError};
use roadcast::units::{Position, SegmentId};

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
