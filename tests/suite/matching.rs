//! Matching as its users see it: observations in, committed positions and routes out.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod layouts;

use std::sync::Arc;

use proptest::prelude::*;
use roadcast::matching::{
    Advance, BreakReason, MatchSettings, MatchedPosition, Matcher, Partition, RoutePiece, Scratch,
};
use roadcast::observation::{Observation, RejectReason};
use roadcast::units::{Point, SourceId, SubjectId, Timestamp};

use super::drawn::{Drawn, Drive, draw};

/// One committed step, kept.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    position: MatchedPosition,
    since: Option<Timestamp>,
    route: Vec<RoutePiece>,
}

struct Run {
    steps: Vec<Step>,
    refused: Vec<(usize, RejectReason)>,
    partition: Partition,
}

fn keep(steps: &mut Vec<Step>, advance: &Advance<'_>) {
    steps.push(Step {
        position: advance.position,
        since: advance.since,
        route: advance.route.to_vec(),
    });
}

fn matcher(drawn: &Drawn, settings: MatchSettings) -> Matcher {
    Matcher::new(Arc::clone(&drawn.network), settings).unwrap()
}

fn run(drawn: &Drawn, fixes: &[Observation], settings: MatchSettings) -> Run {
    let matcher = matcher(drawn, settings);
    let (mut partition, mut scratch) = (Partition::new(), Scratch::default());
    let (mut steps, mut refused) = (Vec::new(), Vec::new());
    for (index, fix) in fixes.iter().enumerate() {
        let sink = &mut |advance: Advance<'_>| keep(&mut steps, &advance);
        if let Err(reason) = partition.observe(&matcher, &mut scratch, SourceId(0), fix, sink) {
            refused.push((index, reason));
        }
    }
    let sink = &mut |advance: Advance<'_>| keep(&mut steps, &advance);
    partition.flush(&matcher, &mut scratch, sink);
    check_contract(drawn, &steps);
    Run {
        steps,
        refused,
        partition,
    }
}

/// What every consumer of advances relies on.
fn check_contract(drawn: &Drawn, steps: &[Step]) {
    let network = &drawn.network;
    let mut last: Option<&Step> = None;
    for step in steps {
        let length_m = network.segment(step.position.segment).length_m;
        assert!(
            (0.0..=length_m).contains(&step.position.offset_m),
            "{step:?}"
        );
        assert!(
            (0.0..=1.0001).contains(&step.position.likelihood),
            "{step:?}"
        );
        assert_eq!(step.since.is_none(), step.route.is_empty(), "{step:?}");
        if let (Some(since), Some(last)) = (step.since, last) {
            assert_eq!(since, last.position.observed_at);
            let (first, end) = (step.route[0], step.route[step.route.len() - 1]);
            assert_eq!(first.segment, last.position.segment);
            assert!((first.from_m - last.position.offset_m).abs() < 1e-3);
            assert_eq!(end.segment, step.position.segment);
            assert!((end.to_m - step.position.offset_m).abs() < 1e-3);
        }
        for piece in &step.route {
            let length_m = network.segment(piece.segment).length_m;
            let is_ordered = 0.0 <= piece.from_m && piece.from_m <= piece.to_m;
            assert!(is_ordered && piece.to_m <= length_m, "{piece:?}");
        }
        for pair in step.route.windows(2) {
            let (from, to) = (pair[0].segment, pair[1].segment);
            let is_permitted = network
                .movements_from(from)
                .iter()
                .any(|movement| movement.to() == to);
            let turns_back = network.segment(from).twin() == Some(to);
            assert!(is_permitted || turns_back, "{pair:?}");
        }
        last = Some(step);
    }
}

/// The share of fixes put on the segment truly driven.
fn share_right(drawn: &Drawn, drive: &Drive<'_>, run: &Run) -> f64 {
    assert_eq!(run.steps.len() + run.refused.len(), drive.fixes.len());
    let right = drive
        .fixes
        .iter()
        .zip(&drive.truth)
        .filter(|(fix, truth)| {
            run.steps.iter().any(|step| {
                step.position.observed_at == fix.observed_at
                    && drawn.name(step.position.segment) == *truth
            })
        })
        .count();
    right as f64 / drive.fixes.len() as f64
}

/// The segments driven, each named once a visit.
fn driven(drawn: &Drawn, run: &Run) -> String {
    let mut names: Vec<&str> = Vec::new();
    for step in &run.steps {
        let first = [step.position.segment];
        let ids = step.route.iter().map(|piece| piece.segment);
        let ids: Vec<_> = if step.route.is_empty() {
            first.to_vec()
        } else {
            ids.collect()
        };
        for id in ids {
            if names.last() != Some(&drawn.name(id)) {
                names.push(drawn.name(id));
            }
        }
    }
    names.join(" ")
}

fn crossing() -> Drawn {
    draw(
        "
            E
            |
            |
            |
   A---B----C----D---G
            |
            |
            |
            F",
        &["A-B-C-D-G", "E-C-F"],
        &[],
    )
}

#[test]
fn follows_a_straight_road_through_junctions() {
    let drawn = crossing();
    for (step_ms, noise_m) in [(1000, 5.0), (1000, 15.0), (5000, 8.0), (15_000, 8.0)] {
        let drive = Drive::new(&drawn, 'A', step_ms, noise_m, 1)
            .to('B', "AB", 12.0)
            .to('C', "BC", 12.0)
            .to('D', "CD", 12.0)
            .to('G', "DG", 12.0);
        let run = run(&drawn, &drive.fixes, MatchSettings::default());
        // At 15 s the first report already comes from BC.
        let driven = driven(&drawn, &run);
        assert!(
            "AB BC CD DG".ends_with(&driven) && driven.ends_with("BC CD DG"),
            "{driven} at {step_ms} ms {noise_m} m"
        );
        let share = share_right(&drawn, &drive, &run);
        assert!(share >= 0.8, "{share} at {step_ms} ms {noise_m} m");
    }
}

#[test]
fn follows_a_turn() {
    let drawn = crossing();
    let drive = Drive::new(&drawn, 'A', 1000, 8.0, 2)
        .to('B', "AB", 12.0)
        .to('C', "BC", 9.0)
        .to('E', "CE", 9.0);
    let run = run(&drawn, &drive.fixes, MatchSettings::default());
    assert_eq!(driven(&drawn, &run), "AB BC CE");
    assert!(share_right(&drawn, &drive, &run) >= 0.9);
}

#[test]
fn obeys_a_restriction_over_a_road_between() {
    let draw_it = |banned: &[&str]| {
        draw(
            "
A----B----C----D
     |    |
     E----F",
            &["A-B-C-D", "B-E-F-C"],
            banned,
        )
    };
    // Fixes so far apart that the street between them is a guess.
    let route = |drawn: &Drawn| {
        let drive = Drive::new(drawn, 'A', 12_000, 5.0, 1)
            .to('B', "AB", 10.0)
            .to('C', "BC", 10.0)
            .to('D', "CD", 10.0);
        let settings = MatchSettings {
            use_kinematics: false,
            search_radius_m: 40.0,
            ..MatchSettings::default()
        };
        let run = run(drawn, &drive.fixes, settings);
        driven(drawn, &run)
    };
    assert_eq!(route(&draw_it(&[])), "AB BC CD");
    let obeyed = route(&draw_it(&["ABCD"]));
    assert!(!obeyed.contains("AB BC CD"), "{obeyed}");
}

#[test]
fn altitude_tells_the_viaduct_from_the_street_below() {
    let drawn = draw(
        "
      E-------------------F
A---B-----------------------C---D",
        &[
            "A>B>C>D",
            "E>F secondary+1",
            "B>E secondary_link",
            "F>C secondary_link",
        ],
        &[],
    );
    // The positions reported lie half-way between the two roads.
    let half_lat_deg = f64::from(drawn.point('E').y - drawn.point('A').y) / 2.0 / 111_200.0;
    for climbs in [false, true] {
        let start = Drive::new(&drawn, 'A', 1000, 4.0, 5).to('B', "AB", 12.0);
        let drive = if climbs {
            start
                .to('E', "BE", 12.0)
                .to('F', "EF", 12.0)
                .to('C', "FC", 12.0)
        } else {
            start.to('C', "BC", 12.0)
        };
        let mut drive = drive.to('D', "CD", 12.0);
        let to_middle_deg = if climbs { -half_lat_deg } else { half_lat_deg };
        for fix in &mut drive.fixes {
            let x = drawn.network.frame().to_point(fix.position).x;
            let is_beside = x > drawn.point('E').x && x < drawn.point('F').x;
            if is_beside {
                fix.position.lat_deg += to_middle_deg;
            }
            fix.accuracy_m = Some(12.0);
            fix.altitude_m = Some(if is_beside && climbs { 30.0 } else { 23.0 });
        }
        let run = run(&drawn, &drive.fixes, MatchSettings::default());
        let expected = if climbs { "AB BE EF FC CD" } else { "AB BC CD" };
        assert_eq!(driven(&drawn, &run), expected);
    }
}

#[test]
fn no_row_waits_longer_than_the_lag_in_seconds() {
    let drawn = crossing();
    let drive = Drive::new(&drawn, 'A', 2000, 8.0, 2)
        .to('B', "AB", 12.0)
        .to('C', "BC", 9.0)
        .to('E', "CE", 9.0);
    let settings = MatchSettings {
        lag_fixes: 4,
        lag_s: Some(5.0),
        ..MatchSettings::default()
    };
    let whole = run(&drawn, &drive.fixes, settings.clone());
    for cut in 3..drive.fixes.len() {
        let part = run(&drawn, &drive.fixes[..cut], settings.clone());
        // Fixes come every 2 s: those of the last 5 s are the last three.
        assert_eq!(part.steps[..cut - 3], whole.steps[..cut - 3], "cut {cut}");
    }
}

#[test]
fn stays_before_the_stop_line_while_the_light_is_red() {
    let drawn = draw(
        "
            E
            |
            |
            |
   A---B----c----D---G
            |
            |
            |
            F",
        &["A-B-c-D-G", "E-c-F"],
        &[],
    );
    for seed in 0..8 {
        let mut drive = Drive::new(&drawn, 'A', 1000, 6.0, seed).to('B', "AB", 12.0);
        let (b, c) = (drawn.point('B'), drawn.point('c'));
        drive = drive.to('c', "Bc", 8.0);
        // Stopped 6 m before the junction.
        let stop = Point::new(c.x - 6.0 * (c.x - b.x) / b.distance_m(c), c.y);
        let first = drive.fixes.len();
        drive = drive.appear_at(stop).stand(40, "Bc", 90.0);
        drive = drive.to('c', "Bc", 3.0).to('D', "cD", 10.0);
        let run = run(&drawn, &drive.fixes, MatchSettings::default());
        let driven = driven(&drawn, &run);
        assert!(driven.starts_with("AB Bc cD"), "seed {seed}: {driven}");
        let waiting = &run.steps[first..first + 40];
        let on_approach = waiting
            .iter()
            .filter(|step| drawn.name(step.position.segment) == "Bc")
            .count();
        assert!(on_approach >= 30, "seed {seed}: {on_approach} of 40");
    }
}

#[test]
fn tells_parallel_roads_apart_by_heading_and_connection() {
    // A dual carriageway of one-way roads 25 m apart, and a service road beside it that connects
    // only at the far ends.
    let drawn = draw(
        "
P-------------------Q
A-------------------B
D-------------------C",
        &["A>B", "C>D", "P-Q service", "A-P service", "Q-B service"],
        &[],
    );
    let drive = Drive::new(&drawn, 'A', 1000, 10.0, 3).to('B', "AB", 14.0);
    let there = run(&drawn, &drive.fixes, MatchSettings::default());
    assert!(share_right(&drawn, &drive, &there) >= 0.9);
    let drive = Drive::new(&drawn, 'C', 1000, 10.0, 4).to('D', "CD", 14.0);
    let back = run(&drawn, &drive.fixes, MatchSettings::default());
    assert!(share_right(&drawn, &drive, &back) >= 0.99);
}

#[test]
fn respects_one_way_roads_and_banned_turns() {
    // From B the left turn into BE is banned: the way up is over the loop C, F.
    let drawn = draw(
        "
        E---F
        |   |
        |   |
        |   |
A-------B---C----D",
        &["A-B-C-D", "B-E", "C-F", "F-E"],
        &["ABE"],
    );
    let drive = Drive::new(&drawn, 'A', 5000, 8.0, 5)
        .to('B', "AB", 10.0)
        .to('C', "BC", 10.0)
        .to('F', "CF", 10.0)
        .to('E', "FE", 10.0);
    let result = run(&drawn, &drive.fixes, MatchSettings::default());
    assert!(!driven(&drawn, &result).contains("AB BE"));
    // Against a one-way road nothing is matched to it, whatever the position says.
    let drawn = draw("A------------B", &["B>A"], &[]);
    let drive = Drive::new(&drawn, 'A', 1000, 5.0, 6).to('B', "BA", 12.0);
    let result = run(&drawn, &drive.fixes, MatchSettings::default());
    for pair in result.steps.windows(2) {
        if pair[1].since.is_some() && pair[0].position.segment == pair[1].position.segment {
            assert!(pair[1].position.offset_m >= pair[0].position.offset_m);
        }
    }
}

#[test]
fn follows_a_turn_back_in_mid_road() {
    // T is no junction, only where it turns.
    let drawn = draw("A-------T--------B", &["A-B"], &[]);
    let drive = Drive::new(&drawn, 'A', 1000, 5.0, 7)
        .to('T', "AB", 10.0)
        .to('A', "BA", 10.0);
    let run = run(&drawn, &drive.fixes, MatchSettings::default());
    assert_eq!(driven(&drawn, &run), "AB BA");
    assert!(share_right(&drawn, &drive, &run) >= 0.9);
}

#[test]
fn a_gap_ends_the_track() {
    let drawn = crossing();
    let drive = Drive::new(&drawn, 'A', 1000, 5.0, 8)
        .to('B', "AB", 12.0)
        .silent_ms(200_000)
        .to('C', "BC", 12.0);
    let run = run(&drawn, &drive.fixes, MatchSettings::default());
    assert_eq!(run.partition.counts().ended(BreakReason::Gap), 1);
    assert_eq!(run.partition.counts().begun(), 2);
    let starts = run.steps.iter().filter(|step| step.since.is_none()).count();
    assert_eq!(starts, 2);
}

#[test]
fn a_teleport_is_refused_twice_then_believed() {
    // Two cities: X and Y lie 2.5 km from the rest.
    let gap = "-".repeat(96);
    let map = format!("A-----B {gap} X-----Y");
    let drawn = draw(&map, &["A-B", "X-Y"], &[]);
    let drive = Drive::new(&drawn, 'A', 1000, 5.0, 9)
        .to('B', "AB", 12.0)
        .appear_at(drawn.point('X'))
        .to('Y', "XY", 12.0);
    let jump = drive.truth.iter().position(|name| name == "XY").unwrap();
    let run = run(&drawn, &drive.fixes, MatchSettings::default());
    let implausible = |index| (index, RejectReason::Implausible);
    assert_eq!(run.refused, [implausible(jump), implausible(jump + 1)]);
    assert_eq!(run.partition.counts().ended(BreakReason::Teleport), 1);
    assert_eq!(driven(&drawn, &run), "AB XY");
}

#[test]
fn off_road_fixes_are_refused_and_end_the_track() {
    // W lies 150 m from the road.
    let drawn = draw(
        "
A----------B


     W

     V",
        &["A-B"],
        &[],
    );
    let mut drive = Drive::new(&drawn, 'A', 1000, 4.0, 9).to('B', "AB", 12.0);
    let matched = drive.fixes.len();
    drive = drive
        .silent_ms(5_000)
        .appear_at(drawn.point('W'))
        .to('V', "WV", 10.0);
    let run = run(&drawn, &drive.fixes, MatchSettings::default());
    assert_eq!(run.steps.len(), matched);
    assert!(
        run.refused
            .iter()
            .all(|(_, reason)| *reason == RejectReason::OffRoad)
    );
    assert_eq!(run.refused.len(), drive.fixes.len() - matched);
    assert_eq!(run.partition.counts().ended(BreakReason::OffRoad), 1);
}

#[test]
fn refuses_duplicates_and_what_comes_out_of_order() {
    let drawn = crossing();
    let drive = Drive::new(&drawn, 'A', 1000, 5.0, 10).to('B', "AB", 12.0);
    let clean = run(&drawn, &drive.fixes, MatchSettings::default());
    let mut fixes = drive.fixes.clone();
    fixes.insert(4, fixes[3]);
    fixes.insert(7, fixes[1]);
    let disturbed = run(&drawn, &fixes, MatchSettings::default());
    assert_eq!(
        disturbed.refused,
        [(4, RejectReason::Duplicate), (7, RejectReason::OutOfOrder)]
    );
    assert_eq!(disturbed.steps.len(), clean.steps.len());
}

#[test]
fn forgets_the_silent_and_reuses_their_slots() {
    let drawn = crossing();
    let matcher = matcher(&drawn, MatchSettings::default());
    let (mut partition, mut scratch) = (Partition::new(), Scratch::default());
    let drive = Drive::new(&drawn, 'A', 1000, 5.0, 11).to('B', "AB", 12.0);
    let mut committed = 0;
    for subject in 0..50 {
        for fix in &drive.fixes[..4] {
            let fix = Observation {
                subject: SubjectId(subject % 25 + 1000 * (subject / 25)),
                observed_at: fix.observed_at.plus_secs(300 * (subject as i64 / 25)),
                ..*fix
            };
            let sink = &mut |_: Advance<'_>| committed += 1;
            partition
                .observe(&matcher, &mut scratch, SourceId(0), &fix, sink)
                .unwrap();
        }
        if subject == 24 {
            let before = Timestamp::from_secs(200);
            let sink = &mut |_: Advance<'_>| committed += 1;
            partition.expire(&matcher, &mut scratch, before, sink);
            assert_eq!(partition.track_count(), 0);
            assert_eq!(committed, 25 * 4);
        }
    }
    assert_eq!(partition.track_count(), 25);
    let mut slots = Vec::new();
    partition.flush(&matcher, &mut scratch, &mut |advance: Advance<'_>| {
        slots.push(advance.track);
    });
    assert!(slots.iter().all(|slot| *slot < 25), "slots are reused");
}

#[test]
fn a_restored_partition_goes_on_as_if_never_stopped() {
    let drawn = crossing();
    let matcher = matcher(&drawn, MatchSettings::default());
    let drive = Drive::new(&drawn, 'A', 1000, 10.0, 12)
        .to('B', "AB", 12.0)
        .to('C', "BC", 9.0)
        .to('F', "CF", 9.0);
    let whole = run(&drawn, &drive.fixes, MatchSettings::default());
    let (mut partition, mut scratch) = (Partition::new(), Scratch::default());
    let mut steps = Vec::new();
    for fix in &drive.fixes {
        let sink = &mut |advance: Advance<'_>| keep(&mut steps, &advance);
        partition
            .observe(&matcher, &mut scratch, SourceId(0), fix, sink)
            .unwrap();
        let mut bytes = Vec::new();
        partition.snapshot(&mut bytes);
        partition = Partition::restore(&bytes).unwrap();
        let mut again = Vec::new();
        partition.snapshot(&mut again);
        assert_eq!(bytes, again);
        assert!(Partition::restore(&bytes[..bytes.len() - 1]).is_err());
    }
    let sink = &mut |advance: Advance<'_>| keep(&mut steps, &advance);
    partition.flush(&matcher, &mut scratch, sink);
    assert_eq!(steps, whole.steps);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_row_depends_on_nothing_later_than_the_lag(
        seed in 0u64..1000, cut in 1usize..60, lag in 0u8..=4, noise_m in 3.0f32..25.0,
    ) {
        let drawn = crossing();
        let drive = Drive::new(&drawn, 'A', 1000, noise_m, seed)
            .to('B', "AB", 12.0).to('C', "BC", 9.0).to('E', "CE", 9.0);
        let settings = MatchSettings { lag_fixes: lag, ..MatchSettings::default() };
        let cut = cut.min(drive.fixes.len());
        let whole = run(&drawn, &drive.fixes, settings.clone());
        let part = run(&drawn, &drive.fixes[..cut], settings);
        // What is refused, too: a fix that noise has put out of reach.
        let refused = whole.refused.iter().filter(|(fix, _)| *fix < cut);
        prop_assert!(part.refused.iter().eq(refused));
        let kept = part.steps.len().saturating_sub(usize::from(lag));
        prop_assert_eq!(&part.steps[..kept], &whole.steps[..kept]);
    }
}
