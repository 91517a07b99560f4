use super::*;
use crate::network::{
    Lane, LaneIndex, LaneKind, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags,
};
use crate::observation::{Approach, ApproachLane, ApproachMovement, LaneUsage};
use crate::units::{JunctionId, LocalFrame, Position, SegmentId, Timestamp};

const ORIGIN: Position = Position::new(114.3055, 30.5931);

/// ```text
///         N          four streets of 300 m with two ways each, segments
///         │          0 NC  1 CN  2 EC  3 CE  4 SC  5 CS  6 WC  7 CW,
///     W ──C── E      and no turn from the south to the west
///         │
///         S
/// ```
fn network() -> Network {
    let frame = LocalFrame::new(ORIGIN);
    let mut builder = NetworkBuilder::new(ORIGIN);
    let places = [
        (0.0, 0.0),
        (0.0, 300.0),
        (300.0, 0.0),
        (0.0, -300.0),
        (-300.0, 0.0),
    ]
    .map(|(x, y)| frame.to_position(Point::new(x, y)));
    let junctions = places.map(|place| builder.add_junction(place, false));
    let mut add = |from: usize, to: usize| {
        let draft = SegmentDraft {
            from: junctions[from],
            to: junctions[to],
            shape: vec![places[from], places[to]],
            length_m: None,
            class: RoadClass::Primary,
            limit_mps: None,
            lanes: Some(2),
            flags: SegmentFlags::default(),
            layer: 0,
            source_id: format!("{from}-{to}"),
            source_dir: 1,
            source_pair: 0,
            name: None,
            name_en: None,
        };
        let id = builder.add_segment(draft).unwrap();
        for (index, middle_m) in [(0, -5.25), (1, -1.75)] {
            let index = LaneIndex(index);
            let lane = Lane::new(index, LaneKind::Car, (0.0, 300.0), [middle_m; 2], [3.5; 2]);
            builder.add_lane(id, lane);
        }
    };
    for arm in 1..5 {
        add(arm, 0);
        add(0, arm);
    }
    let ban = (SegmentId(4), SegmentId(7));
    builder.connect_all(&mut |from, to| (from, to) == ban);
    let network = builder.build().unwrap();
    assert_eq!(network.segment(SegmentId(6)).to(), JunctionId(0));
    network
}

fn at(x: f32, y: f32) -> Position {
    LocalFrame::new(ORIGIN).to_position(Point::new(x, y))
}

fn approach(upstream: &str, points: &[(f32, f32)], movements: &[(&str, u32)]) -> Approach {
    Approach {
        upstream: upstream.into(),
        points: points.iter().map(|&(x, y)| at(x, y)).collect(),
        movements: movements
            .iter()
            .map(|&(downstream, phase)| ApproachMovement {
                downstream: downstream.into(),
                phase: Some(phase),
            })
            .collect(),
        ..Approach::default()
    }
}

fn lane(number: i32, ends: (f32, f32)) -> ApproachLane {
    ApproachLane {
        number,
        width_m: Some(3.5),
        usage: LaneUsage::Vehicle,
        turns: None,
        points: vec![at(ends.0, 200.0), at(ends.0, ends.1)],
        connections: Vec::new(),
    }
}

/// The junction as a unit draws it, 3 m to the right of the network's middle lines.
fn reading() -> JunctionReading {
    let mut north = approach(
        "1-1",
        &[(-3.0, 290.0), (-3.0, 20.0)],
        &[("1-3", 1), ("1-2", 2), ("1-4", 3), ("1-9", 4)],
    );
    north.lanes = vec![
        lane(1, (-1.75, 20.0)),
        lane(2, (-5.25, 20.0)),
        lane(3, (-30.0, 20.0)),
    ];
    JunctionReading {
        observed_at: Timestamp::from_secs(1_000),
        junction: "1-5".into(),
        name: Some("解放大道".into()),
        position: at(2.0, 1.0),
        approaches: vec![
            north,
            approach("1-2", &[(290.0, 3.0), (20.0, 3.0)], &[("1-4", 5)]),
            approach(
                "1-3",
                &[(3.0, -290.0), (3.0, -20.0)],
                &[("1-1", 1), ("1-4", 2)],
            ),
            approach("1-4", &[(-290.0, -3.0), (-20.0, -3.0)], &[]),
            approach("1-6", &[], &[("1-1", 1)]),
            approach("1-7", &[(-60.0, 290.0), (-60.0, 60.0)], &[]),
        ],
    }
}

#[test]
fn ways_in_and_turns_are_those_of_the_network() {
    let tied = TiedJunction::new(&network(), reading()).unwrap();
    let segments: Vec<Vec<u32>> = tied
        .approaches
        .iter()
        .map(|approach| approach.segments.iter().map(|id| id.0).collect())
        .collect();
    assert_eq!(
        segments,
        [vec![0], vec![2], vec![4], vec![6], vec![], vec![]]
    );
    let problems: Vec<_> = tied
        .approaches
        .iter()
        .map(|approach| approach.problem)
        .collect();
    let (points, off) = (Some(TieProblem::NoPoints), Some(TieProblem::OffNetwork));
    assert_eq!(problems, [None, None, None, None, points, off]);
    for approach in &tied.approaches[..4] {
        assert!((approach.mean_distance_m - 3.0).abs() < 0.1, "{approach:?}");
        assert!((approach.tied_share - 1.0).abs() < 1e-6);
    }
    let (mean_m, share) = tied.fit();
    assert!((mean_m - 3.0).abs() < 0.1 && (share - 4.0 / 6.0).abs() < 1e-6);

    let outgoing = |index: usize| -> Vec<_> {
        let movements = tied.approaches[index].movements.iter();
        movements
            .map(|movement| (movement.outgoing.map(|id| id.0), movement.problem))
            .collect()
    };
    assert_eq!(
        outgoing(0),
        [
            (Some(5), None),
            (Some(3), None),
            (Some(7), None),
            (None, Some(TieProblem::NoExit))
        ]
    );
    assert_eq!(
        outgoing(2),
        [(Some(1), None), (None, Some(TieProblem::Unreachable))]
    );
    let phase_1: Vec<_> = tied
        .movements_of_phase(1)
        .map(|(from, to)| (from.0, to.map(|to| to.0)))
        .collect();
    assert_eq!(phase_1, [(0, Some(5)), (4, Some(1))]);
    let lanes = &tied.approaches[0].lanes;
    assert_eq!(lanes[..], [Some(LaneIndex(1)), Some(LaneIndex(0)), None]);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let network = network();
    let mut overlay = Overlay::default();
    let mut check = |change: fn(&mut JunctionReading), expected| {
        let mut reading = reading();
        change(&mut reading);
        let found = overlay.take(&network, None, reading);
        assert_eq!(found.err(), expected);
    };
    check(
        |reading| reading.position = at(150.0, 250.0),
        Some(JunctionRefusal::TooFar),
    );
    check(
        |reading| reading.approaches.clear(),
        Some(JunctionRefusal::NoApproach),
    );
    check(
        |reading| drop(reading.approaches.drain(..4)),
        Some(JunctionRefusal::Untied),
    );
    // Drawn against the traffic, a line is no way in: what lies there runs the other way.
    check(
        |reading| {
            reading.approaches.truncate(1);
            reading.approaches[0].points = vec![at(-3.0, 20.0), at(-3.0, 290.0)];
        },
        None,
    );
    let backwards = overlay.junction("1-5").unwrap();
    assert_eq!(backwards.approaches[0].segments, [SegmentId(1)]);
    let refused: Vec<u64> = overlay.refused().map(|(_, count)| count).collect();
    assert_eq!(refused, [1, 1, 1, 0]);
}

#[test]
fn only_a_new_description_changes_the_overlay() {
    let network = network();
    let mut overlay = Overlay::default();
    let (one, other) = (Some(UnitId(7)), Some(UnitId(8)));
    let change = |is_changed, units: &[usize]| {
        let units = units.to_vec();
        Ok(OverlayChange { is_changed, units })
    };
    assert_eq!(overlay.take(&network, one, reading()), change(true, &[0]));
    let later = JunctionReading {
        observed_at: Timestamp::from_secs(1_001),
        ..reading()
    };
    assert_eq!(
        overlay.take(&network, one, later.clone()),
        change(false, &[])
    );
    assert_eq!(overlay.take(&network, other, later), change(false, &[1]));
    let mut renamed = reading();
    renamed.name = None;
    assert_eq!(overlay.take(&network, one, renamed), change(true, &[0, 1]));
    assert_eq!(overlay.junctions().len(), 1);
}

#[test]
fn the_outline_holds_what_the_lines_hold_and_little_more() {
    let network = network();
    let mut overlay = Overlay::default();
    overlay.take(&network, Some(UnitId(7)), reading()).unwrap();
    let outline = overlay.outline(&network, 0);
    let holds = |x, y| super::super::presence::is_inside(Point::new(x, y), &outline);
    for (x, y) in [
        (0.0, 0.0),
        (-3.0, 300.0),
        (300.0, 3.0),
        (12.0, -295.0),
        (-300.0, -3.0),
    ] {
        assert!(holds(x, y), "{x} {y}");
    }
    for (x, y) in [(-3.0, 310.0), (200.0, 200.0), (310.0, 0.0)] {
        assert!(!holds(x, y), "{x} {y}");
    }
}

#[test]
fn an_overlay_comes_back_and_broken_bytes_do_not() {
    let network = network();
    let mut overlay = Overlay::default();
    overlay.take(&network, Some(UnitId(7)), reading()).unwrap();
    let far = JunctionReading {
        position: at(150.0, 250.0),
        ..reading()
    };
    overlay.take(&network, Some(UnitId(8)), far).unwrap_err();
    let mut bytes = Vec::new();
    overlay.snapshot(&mut bytes);
    assert_eq!(Overlay::restore(&network, &bytes), Ok(overlay));
    for end in 0..bytes.len() {
        let cut = Overlay::restore(&network, &bytes[..end]);
        assert!(matches!(cut, Err(OverlayError::Damaged(_))), "{end}");
    }
    bytes.push(0);
    assert_eq!(
        Overlay::restore(&network, &bytes),
        Err(OverlayError::Damaged(1))
    );
    bytes[0] = 9;
    assert_eq!(
        Overlay::restore(&network, &bytes),
        Err(OverlayError::Version(9))
    );
}
