use super::*;
use crate::network::{NetworkBuilder, RoadClass, SegmentDraft, csv};
use crate::units::{JunctionId, Position};

fn secs(at: Timestamp) -> f64 {
    at.as_secs_f64()
}

/// A grid of `side` by `side` junctions 200 m apart, every street both ways, some for buses.
fn grid(side: u32) -> Network {
    let mut builder = NetworkBuilder::new(Position::new(114.3, 30.55));
    let at = |x: u32, y: u32| {
        Position::new(
            114.3 + f64::from(x) * 0.002_09,
            30.55 + f64::from(y) * 0.001_8,
        )
    };
    for y in 0..side {
        for x in 0..side {
            builder.add_junction(at(x, y), false);
        }
    }
    let mut street = |a: (u32, u32), b: (u32, u32)| {
        for (source_dir, a, b) in [(1, a, b), (-1, b, a)] {
            let draft = SegmentDraft {
                from: JunctionId(a.1 * side + a.0),
                to: JunctionId(b.1 * side + b.0),
                shape: vec![at(a.0, a.1), at(b.0, b.1)],
                length_m: None,
                class: RoadClass::Secondary,
                limit_mps: None,
                lanes: None,
                flags: SegmentFlags::default().with(SegmentFlags::RESTRICTED, a.0 * b.1 % 5 == 4),
                layer: 0,
                source_id: format!("{a:?}{b:?}"),
                source_dir,
                source_pair: 0,
                name: None,
                name_en: None,
            };
            builder.add_segment(draft).unwrap();
        }
    };
    for y in 0..side {
        for x in 0..side {
            if x + 1 < side {
                street((x, y), (x + 1, y));
            }
            if y + 1 < side {
                street((x, y), (x, y + 1));
            }
        }
    }
    builder.connect_all(&mut |_, _| false);
    builder.build().unwrap()
}

/// Slower and faster by turns, another phase on every segment; first in, first out, because it
/// changes by less than a second a second.
fn waves(network: &Network) -> impl Fn(SegmentId, Timestamp) -> f32 + '_ {
    |id, at| {
        let facts = network.segment(id);
        let phase = f64::from(id.0) * 1.7 + secs(at) / 40.0;
        facts.length_m / facts.limit_mps * (2.0 + phase.sin() as f32)
    }
}

/// Relaxes every movement until nothing changes.
fn slow_arrival_s(
    network: &Network,
    from: SegmentId,
    to: SegmentId,
    depart: Timestamp,
    travel_time_s: &impl Fn(SegmentId, Timestamp) -> f32,
) -> Option<f64> {
    let mut cost_s = vec![f64::INFINITY; network.segment_count()];
    cost_s[from.index()] = f64::from(travel_time_s(from, depart));
    let mut changed = true;
    while changed {
        changed = false;
        for movement in network.movements() {
            let restricted = network
                .segment(movement.to())
                .flags
                .contains(SegmentFlags::RESTRICTED);
            let here_s = cost_s[movement.from().index()];
            if here_s.is_finite() && (!restricted || movement.to() == to) && movement.from() != to {
                let next_s =
                    here_s + f64::from(travel_time_s(movement.to(), after(depart, here_s)));
                if next_s < cost_s[movement.to().index()] - 1e-9 {
                    cost_s[movement.to().index()] = next_s;
                    changed = true;
                }
            }
        }
    }
    Some(cost_s[to.index()]).filter(|cost_s| cost_s.is_finite())
}

#[test]
fn finds_the_earliest_arrival() {
    let network = grid(7);
    let mut router = Router::new(&network);
    let travel_time_s = waves(&network);
    let count = network.segment_count() as u32;
    let mut compared = 0;
    for trial in 0..150u32 {
        let (from, to) = (
            SegmentId(trial * 37 % count),
            SegmentId((trial * 53 + 11) % count),
        );
        let depart = Timestamp::from_secs(i64::from(trial) * 13);
        let path = router.shortest(from, to, depart, &travel_time_s, PathLimits::default());
        let expected = slow_arrival_s(&network, from, to, depart, &travel_time_s);
        match (path, expected) {
            (Some(path), Some(expected_s)) => {
                compared += 1;
                assert!(
                    (f64::from(path.travel_time_s) - expected_s).abs() < 0.01,
                    "{trial}: {path:?} {expected_s}"
                );
                assert_eq!(
                    (path.segments[0], *path.segments.last().unwrap()),
                    (from, to)
                );
                assert!((secs(path.arrival) - secs(depart) - expected_s).abs() < 0.01);
                assert!(path.segments.windows(2).all(|pair| {
                    network
                        .movements_from(pair[0])
                        .iter()
                        .any(|movement| movement.to() == pair[1])
                }));
            }
            (None, None) => {}
            (path, expected) => panic!("{trial}: {path:?} against {expected:?}"),
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn directs_the_search_and_repeats_itself() {
    let network = grid(20);
    let travel_time_s = |id: SegmentId, _: Timestamp| {
        let facts = network.segment(id);
        facts.length_m / facts.limit_mps
    };
    let limits = PathLimits {
        speed_mps_max: 50.0 / 3.6,
        ..PathLimits::default()
    };
    let (from, to) = (SegmentId(0), SegmentId(60));
    let mut router = Router::new(&network);
    let path = router.shortest(from, to, Timestamp::from_secs(0), &travel_time_s, limits);
    let directed = router.expansions();
    let blind = PathLimits {
        speed_mps_max: f32::INFINITY,
        ..limits
    };
    let same = router.shortest(from, to, Timestamp::from_secs(0), &travel_time_s, blind);
    assert!(
        directed * 2 < router.expansions(),
        "{directed} of {}",
        router.expansions()
    );
    let seconds = |path: &Option<Path>| path.as_ref().unwrap().travel_time_s;
    assert!((seconds(&path) - seconds(&same)).abs() < 0.01);
    let mut other = Router::with_scratch(&network, router.into_scratch());
    assert_eq!(
        other.shortest(from, to, Timestamp::from_secs(0), &travel_time_s, limits),
        path
    );
}

#[test]
fn gives_up_at_its_limits_and_says_so() {
    let network = grid(8);
    let travel_time_s = waves(&network);
    let mut router = Router::new(&network);
    let (from, to, depart) = (SegmentId(0), SegmentId(200), Timestamp::from_secs(0));
    let few = PathLimits {
        expansions_max: 5,
        ..PathLimits::default()
    };
    assert_eq!(router.shortest(from, to, depart, &travel_time_s, few), None);
    assert!(router.gave_up() && router.expansions() == 5);
    let soon = PathLimits {
        travel_time_s_max: 30.0,
        ..PathLimits::default()
    };
    assert_eq!(
        router.shortest(from, to, depart, &travel_time_s, soon),
        None
    );
    assert!(!router.gave_up());
    assert!(
        router
            .shortest(from, to, depart, &travel_time_s, PathLimits::default())
            .is_some()
    );
    let alone = router.shortest(from, from, depart, &travel_time_s, PathLimits::default());
    assert_eq!(alone.unwrap().segments, [from]);
    let closed = |_: SegmentId, _: Timestamp| f32::INFINITY;
    assert_eq!(
        router.shortest(from, to, depart, &closed, PathLimits::default()),
        None
    );
}

/// ```text
///            ┌── 1 ──┐            main road 1, 1000 m
///   a ─ 0 ─► b       c ─ 3 ─► d
///            └── 2 ──┘            side road 2, 1200 m
///            └── 4 ────┘          far road 4, 1900 m
/// ```
const TWO_WAYS: &str = "\
from,to,highway,lon1,lat1,lon2,lat2,len_m,oneway,limit_mps
a,b,primary,114.300,30.55,114.301,30.55,100,yes,10
b,c,primary,114.301,30.55,114.302,30.55,1000,yes,10
b,c,primary,114.301,30.55,114.302,30.55,1200,yes,10
c,d,primary,114.302,30.55,114.303,30.55,100,yes,10
b,c,primary,114.301,30.55,114.302,30.55,1900,yes,10
";

#[test]
fn a_jam_that_comes_later_is_known_in_time() {
    let (network, _) = csv::read("x", TWO_WAYS.as_bytes()).unwrap();
    let mut router = Router::new(&network);
    // The main road slows down to a third from 600 s on.
    let travel_time_s = |id: SegmentId, at: Timestamp| {
        let factor = if id.0 == 1 && at >= Timestamp::from_secs(600) {
            3.0
        } else {
            1.0
        };
        network.segment(id).length_m / 10.0 * factor
    };
    let mut at = |secs: i64| {
        let depart = Timestamp::from_secs(secs);
        let path = router.shortest(
            SegmentId(0),
            SegmentId(3),
            depart,
            &travel_time_s,
            PathLimits::default(),
        );
        path.unwrap()
    };
    let (before, after) = (at(580), at(595));
    assert_eq!(before.segments, [0, 1, 3].map(SegmentId));
    assert_eq!(after.segments, [0, 2, 3].map(SegmentId));
    assert_eq!(after.arrival, Timestamp::from_secs(595 + 140));
    assert!((after.length_m - 1400.0).abs() < 0.1);
}

#[test]
fn other_ways_are_hardly_slower_and_not_the_same() {
    let (network, _) = csv::read("x", TWO_WAYS.as_bytes()).unwrap();
    let free_s = |id: SegmentId, _: Timestamp| network.segment(id).length_m / 10.0;
    let mut router = Router::new(&network);
    let settings = AlternativeSettings {
        paths_max: 5,
        ..AlternativeSettings::default()
    };
    let (from, to, depart) = (SegmentId(0), SegmentId(3), Timestamp::from_secs(0));
    let paths = router.alternatives(from, to, depart, &free_s, settings, PathLimits::default());
    let middles: Vec<u32> = paths.iter().map(|path| path.segments[1].0).collect();
    // 1200 m is 1.17 times as long in all, 1900 m 1.75 times.
    assert_eq!(middles, [1, 2]);

    let network = grid(10);
    let travel_time_s = waves(&network);
    let mut router = Router::new(&network);
    let (from, to) = (SegmentId(2), SegmentId(300));
    let paths = router.alternatives(
        from,
        to,
        depart,
        &travel_time_s,
        settings,
        PathLimits::default(),
    );
    assert!(paths.len() >= 3, "{}", paths.len());
    for (place, path) in paths.iter().enumerate() {
        assert!(path.travel_time_s <= 1.3 * paths[0].travel_time_s);
        for other in &paths[..place] {
            assert!(alternatives::overlap(&network, path, other) <= 0.7);
        }
    }
    // The penalties are gone afterwards.
    let again = router.shortest(from, to, depart, &travel_time_s, PathLimits::default());
    assert_eq!(again.as_ref(), paths.first());
}
