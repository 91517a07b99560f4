//! Jams and ways round them on a small drawn network.
//!
//! ```text
//!             X ──────── Y
//!            ╱            ╲
//!   A ───── B ──── C ───── D ───── E ───── F        all one-way, left to right
//! ```

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test itself"
)]

use std::sync::Arc;

use proptest::prelude::*;
use roadcast::forecast::{ForecastBatch, STEP_COUNT, SpeedQuantiles};
use roadcast::guide::{Evidence, Guidance, GuidanceKind, Guide, GuideSettings};
use roadcast::matching::{Located, MatchedPosition, Presence, PresenceSettings, Trip};
use roadcast::network::{Network, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
use roadcast::observation::Origin;
use roadcast::state::{ClosureDraft, Closures, Level, Provenance, SegmentState, StateBatch};
use roadcast::units::{Interval, Position, SegmentId, SubjectId, Timestamp};

const FREE_MPS: f32 = 15.0;
/// Segments by name, in the order in which they are built.
const ROADS: [(&str, usize, usize); 8] = [
    ("AB", 0, 1),
    ("BC", 1, 2),
    ("CD", 2, 3),
    ("DE", 3, 4),
    ("EF", 4, 5),
    ("BX", 1, 6),
    ("XY", 6, 7),
    ("YD", 7, 3),
];
const CD: SegmentId = SegmentId(2);
const XY: SegmentId = SegmentId(6);

fn network() -> Arc<Network> {
    // Columns of 600 m, the upper road 400 m north; WGS-84 degrees near Wuhan.
    let at = |column: f64, row: f64| Position::new(114.3 + column * 0.00626, 30.6 + row * 0.0036);
    let places = [
        at(0.0, 0.0),
        at(1.0, 0.0),
        at(2.0, 0.0),
        at(3.0, 0.0),
        at(4.0, 0.0),
        at(5.0, 0.0),
        at(1.3, 1.0),
        at(2.7, 1.0),
    ];
    let mut builder = NetworkBuilder::new(places[2]);
    let junctions = places.map(|place| builder.add_junction(place, false));
    for (name, from, to) in ROADS {
        let draft = SegmentDraft {
            from: junctions[from],
            to: junctions[to],
            shape: vec![places[from], places[to]],
            length_m: None,
            class: RoadClass::Primary,
            limit_mps: Some(FREE_MPS),
            lanes: Some(2),
            flags: SegmentFlags::default(),
            layer: 0,
            source_id: name.into(),
            source_dir: 1,
            source_pair: 0,
            name: Some("滨江大道".into()),
            name_en: Some("Riverside Avenue".into()),
        };
        builder.add_segment(draft).unwrap();
    }
    builder.connect_all(&mut |_, _| false);
    Arc::new(builder.build().unwrap())
}

/// One minute in which the named segments drive at the given speeds and all others freely.
fn minute(network: &Network, minute: i64, slow: &[(SegmentId, f32)]) -> StateBatch {
    let start = Timestamp::from_secs(60 * minute);
    let state = |id: SegmentId| {
        let speed_mps = slow
            .iter()
            .find(|(slow, _)| *slow == id)
            .map_or(FREE_MPS, |slow| slow.1);
        SegmentState {
            speed_mps,
            sigma_mps: 0.5,
            free_flow_mps: FREE_MPS,
            level: Level::from_speed_ratio(speed_mps / FREE_MPS),
            provenance: Provenance::Observed,
            sample_count: 9,
            age_s: Some(0),
            ..SegmentState::default()
        }
    };
    StateBatch {
        interval: Interval {
            start,
            end: start.plus_secs(60),
        },
        network: network.version(),
        segments: network.segment_ids().map(state).collect(),
    }
}

/// A forecast that everything stays as it is.
fn unchanged(state: &StateBatch) -> ForecastBatch {
    let steps = |state: &SegmentState| {
        let p50_mps = state.speed_mps;
        let step = SpeedQuantiles::ordered(0.9 * p50_mps, p50_mps, 1.1 * p50_mps, p50_mps);
        [step; STEP_COUNT]
    };
    ForecastBatch {
        issued_at: state.interval.end,
        first_step: state.interval.end.ceil_to(300_000),
        network: state.network,
        model: "unchanged".into(),
        fallback: false,
        speakers: Vec::new(),
        quantiles: state.segments.iter().flat_map(steps).collect(),
        closures: Arc::default(),
        flows: Arc::default(),
    }
}

fn guide(network: &Arc<Network>) -> Guide {
    Guide::new(network.clone(), GuideSettings::default())
}

fn update(guide: &mut Guide, state: &StateBatch) -> Vec<Guidance> {
    let mut out = Vec::new();
    guide.update(state, Some(&unchanged(state)), &Presence::empty(), &mut out);
    out
}

fn jams(guidance: &[Guidance]) -> Vec<&Guidance> {
    guidance
        .iter()
        .filter(|one| matches!(one.kind, GuidanceKind::Jam(_)))
        .collect()
}

fn diversions(guidance: &[Guidance]) -> Vec<&Guidance> {
    guidance
        .iter()
        .filter(|one| matches!(one.kind, GuidanceKind::Diversion(_)))
        .collect()
}

#[test]
fn a_jam_begins_after_two_minutes_keeps_its_id_and_is_withdrawn() {
    let network = network();
    let mut guide = guide(&network);
    assert!(
        update(&mut guide, &minute(&network, 0, &[(CD, 2.0)])).is_empty(),
        "one minute"
    );
    let begun = update(&mut guide, &minute(&network, 1, &[(CD, 2.0)]));
    let [jam] = jams(&begun)[..] else {
        unreachable!("{begun:?}")
    };
    let GuidanceKind::Jam(warning) = &jam.kind else {
        unreachable!()
    };
    assert_eq!(warning.segments, [CD]);
    assert_eq!(warning.onset, Timestamp::from_secs(0));
    assert_eq!((warning.level, warning.forecast_end), (Level::Severe, None));
    assert!((warning.speed_mps - 2.0).abs() < 0.01 && warning.delay_s > 200.0);
    assert!(!jam.because.is_empty() && jam.reason.contains("Riverside Avenue"));
    assert!(jam.reason_zh.contains("滨江大道"));

    // It grows upstream: same jam, next revision, tail further back.
    let bc = SegmentId(1);
    for at in 2..4 {
        let grown = update(&mut guide, &minute(&network, at, &[(CD, 2.0), (bc, 2.0)]));
        for one in jams(&grown) {
            let GuidanceKind::Jam(warning) = &one.kind else {
                unreachable!()
            };
            assert_eq!(one.id, jam.id);
            assert!(one.revision > jam.revision);
            assert_eq!((warning.head.0, warning.tail.0), (CD, bc));
        }
        assert_eq!(jams(&grown).len(), usize::from(at == 3), "minute {at}");
    }
    // It ends after three clear minutes, not before.
    assert!(jams(&update(&mut guide, &minute(&network, 4, &[]))).is_empty());
    assert!(jams(&update(&mut guide, &minute(&network, 5, &[]))).is_empty());
    let ended = update(&mut guide, &minute(&network, 6, &[]));
    let [end] = jams(&ended)[..] else {
        unreachable!("{ended:?}")
    };
    assert!(end.withdrawn && end.id == jam.id);
    assert_eq!(guide.active_counts(), (0, 0));
}

/// The evidence of a jam says how many are in it and near its tail.
#[test]
fn a_jam_tells_who_is_in_it() {
    let network = network();
    let mut guide = guide(&network);
    let seen = |subject, segment, offset_m| Located {
        position: MatchedPosition {
            lane: None,
            subject: SubjectId(subject),
            observed_at: Timestamp::from_secs(110),
            segment,
            offset_m,
            likelihood: 1.0,
            speed_mps: Some(2.0),
            origin: Origin::Probe,
        },
        trip: Trip {
            begun_at: Timestamp::from_secs(-1_000),
            driven_m: 4_000.0,
            on_road_at: Some(Timestamp::from_secs(115)),
        },
    };
    let setting_off = Located {
        trip: Trip {
            begun_at: Timestamp::from_secs(100),
            driven_m: 80.0,
            on_road_at: Some(Timestamp::from_secs(115)),
        },
        ..seen(30, CD, 90.0)
    };
    let in_jam = (0..7).map(|subject| seen(subject, CD, 10.0 + 10.0 * subject as f32));
    let before_it = network.segment(SegmentId(1)).length_m - 50.0;
    let positions = in_jam
        .chain([
            seen(20, SegmentId(1), before_it),
            seen(21, SegmentId(4), 500.0),
            setting_off,
        ])
        .collect();
    let as_of = Timestamp::from_secs(120);
    let presence = Presence::new(&network, &PresenceSettings::default(), as_of, positions);
    let mut out = Vec::new();
    for at in 0..2 {
        let state = minute(&network, at, &[(CD, 2.0)]);
        guide.update(&state, Some(&unchanged(&state)), &presence, &mut out);
    }
    let [jam] = jams(&out)[..] else {
        unreachable!("{} pieces of advice", out.len())
    };
    let evidence = Evidence::Vehicles {
        at: as_of,
        in_jam: 7,
        near_tail: 8,
        radius_m: 300.0,
    };
    assert!(jam.because.contains(&evidence), "{:?}", jam.because);
}

#[test]
fn a_red_light_or_a_mere_profile_is_no_jam() {
    let network = network();
    let mut guide = guide(&network);
    for at in 0..20 {
        let slow: &[(SegmentId, f32)] = if at % 2 == 0 { &[(CD, 1.0)] } else { &[] };
        assert!(
            update(&mut guide, &minute(&network, at, slow)).is_empty(),
            "minute {at}"
        );
    }
    for at in 20..30 {
        let mut state = minute(&network, at, &[(CD, 1.0)]);
        state.segments[CD.index()].provenance = Provenance::Profile;
        assert!(update(&mut guide, &state).is_empty(), "minute {at}");
    }
}

#[test]
fn one_vehicle_that_stands_is_no_jam() {
    let network = network();
    let mut guide = guide(&network);
    for at in 0..10 {
        let mut state = minute(&network, at, &[(CD, 0.5)]);
        state.segments[CD.index()].sample_count = 1;
        assert!(update(&mut guide, &state).is_empty(), "minute {at}");
    }
}

#[test]
fn a_diversion_leads_round_the_jam_and_goes_with_it() {
    let network = network();
    let mut guide = guide(&network);
    let jammed = |at| minute(&network, at, &[(CD, 1.0)]);
    update(&mut guide, &jammed(0));
    let begun = update(&mut guide, &jammed(1));
    let [shown] = diversions(&begun)[..] else {
        unreachable!("{begun:?}")
    };
    let GuidanceKind::Diversion(diversion) = &shown.kind else {
        unreachable!()
    };
    assert_eq!(diversion.decision, SegmentId(0));
    assert_eq!(diversion.main, [0, 1, 2, 3].map(SegmentId));
    assert_eq!(diversion.alternative, [0, 5, 6, 7, 3].map(SegmentId));
    // BC freely and CD at 1 m/s against three segments of the upper road.
    assert!(
        (diversion.main_s - 640.0).abs() < 15.0,
        "{}",
        diversion.main_s
    );
    assert!(
        diversion.alternative_s < 150.0,
        "{}",
        diversion.alternative_s
    );
    assert!(shown.confidence >= 0.8 && (0.0..=1.0).contains(&diversion.share));

    // The jam ends: the diversion is withdrawn with it.
    let mut withdrawn = Vec::new();
    for at in 2..6 {
        withdrawn.extend(update(&mut guide, &minute(&network, at, &[])));
    }
    let ended: Vec<u64> = withdrawn
        .iter()
        .filter(|one| one.withdrawn)
        .map(|one| one.id)
        .collect();
    assert!(ended.contains(&shown.id), "{ended:?}");
}

#[test]
fn no_diversion_over_a_road_that_is_closed_when_drivers_come_there() {
    let network = network();
    let name = network.source_id(SegmentId(6)).to_owned();
    let told = |from_s: i64| {
        let draft = ClosureDraft {
            id: "works".into(),
            sources: vec![name.clone()],
            from: Timestamp::from_secs(from_s),
            until: Timestamp::from_secs(7_200),
        };
        let closures = Arc::new(Closures::resolve(&network, &[draft]).unwrap());
        let mut guide = guide(&network);
        let mut out = Vec::new();
        for at in 0..4 {
            let state = minute(&network, at, &[(CD, 1.0)]);
            let forecast = unchanged(&state).with_closures(&closures);
            guide.update(&state, Some(&forecast), &Presence::empty(), &mut out);
        }
        diversions(&out).len()
    };
    assert_eq!(told(0), 0);
    assert!(told(3_600) > 0, "it is open for an hour");
    // One that is shown is withdrawn when the road closes.
    let mut guide = guide(&network);
    let draft = ClosureDraft {
        id: "works".into(),
        sources: vec![name.clone()],
        from: Timestamp::from_secs(240),
        until: Timestamp::from_secs(7_200),
    };
    let closures = Arc::new(Closures::resolve(&network, &[draft]).unwrap());
    let mut update = |at: i64, closures: &Arc<Closures>| {
        let state = minute(&network, at, &[(CD, 1.0)]);
        let forecast = unchanged(&state).with_closures(closures);
        let mut out = Vec::new();
        guide.update(&state, Some(&forecast), &Presence::empty(), &mut out);
        diversions(&out)
            .iter()
            .map(|one| one.withdrawn)
            .collect::<Vec<_>>()
    };
    update(0, &Arc::default());
    assert_eq!(update(1, &Arc::default()), [false]);
    assert_eq!(update(4, &closures), [true]);
}

#[test]
fn no_diversion_onto_a_way_that_is_no_better() {
    let network = network();
    let mut guide = guide(&network);
    for at in 0..10 {
        let both = minute(&network, at, &[(CD, 1.5), (XY, 1.5)]);
        assert!(
            diversions(&update(&mut guide, &both)).is_empty(),
            "minute {at}"
        );
    }
    assert_eq!(guide.active_counts().1, 0);
}

#[test]
fn a_restored_guide_says_what_one_never_stopped_says() {
    let network = network();
    let (mut guide, mut memory) = (guide(&network), Vec::new());
    for at in 0..3 {
        update(&mut guide, &minute(&network, at, &[(CD, 1.0)]));
    }
    guide.snapshot(&mut memory);
    let mut restored = Guide::new(network.clone(), GuideSettings::default());
    restored.restore(&memory).unwrap();
    for at in 3..20 {
        let slow: &[(SegmentId, f32)] = if at < 9 { &[(CD, 1.0)] } else { &[] };
        let state = minute(&network, at, slow);
        assert_eq!(
            update(&mut restored, &state),
            update(&mut guide, &state),
            "minute {at}"
        );
    }
    for length in 0..memory.len() {
        assert!(
            restored.restore(&memory[..length]).is_err(),
            "{length} bytes"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_speeds_guidance_is_valid(
        speeds in prop::collection::vec(prop::collection::vec(0.0f32..20.0, ROADS.len()), 1..25),
    ) {
        let network = network();
        let mut guide = guide(&network);
        for (at, speeds) in speeds.iter().enumerate() {
            let slow: Vec<(SegmentId, f32)> =
                speeds.iter().enumerate().map(|(id, speed)| (SegmentId(id as u32), *speed)).collect();
            for one in update(&mut guide, &minute(&network, at as i64, &slow)) {
                prop_assert!(one.withdrawn || one.valid_from < one.valid_until);
                prop_assert!((0.0..=1.0).contains(&one.confidence));
                match &one.kind {
                    GuidanceKind::Jam(jam) => {
                        prop_assert!(one.withdrawn || jam.length_m >= 150.0);
                        prop_assert!(jam.delay_s.is_finite() && jam.speed_mps >= 0.0);
                        prop_assert!(jam.onset <= one.valid_from);
                    }
                    GuidanceKind::Diversion(diversion) => {
                        prop_assert!((0.0..=1.0).contains(&diversion.share));
                        prop_assert_eq!(diversion.main.first(), diversion.alternative.first());
                        prop_assert_eq!(diversion.main.last(), diversion.alternative.last());
                    }
                }
            }
        }
    }
}
