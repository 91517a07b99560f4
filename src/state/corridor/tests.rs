use super::*;
use crate::network::RoadClass;
use crate::state::testing::{fork, minute, road};
use crate::state::{BinSums, Provenance, SegmentState, SegmentSums, StateBatch};

fn batch(network: &Network, index: i64, speeds_mps: &[f32]) -> StateBatch {
    let segments = speeds_mps.iter().map(|&speed_mps| SegmentState {
        speed_mps,
        sigma_mps: 0.1 * speed_mps,
        free_flow_mps: 20.0,
        provenance: Provenance::Observed,
        ..SegmentState::default()
    });
    StateBatch {
        interval: minute(index),
        network: network.version(),
        segments: segments.collect(),
    }
}

fn whole(network: &Network) -> Corridors {
    let segments = network.segment_ids().collect();
    Corridors::new(vec![
        Corridor::new(network, "c", "C", segments).expect("a road"),
    ])
}

fn close(
    corridors: &mut Corridors,
    network: &Network,
    index: i64,
    speeds: &[f32],
) -> CorridorState {
    let sums = BinSums::new(network.segment_count());
    let batch = batch(network, index, speeds);
    corridors.close_minute(network, &batch, &sums).remove(0)
}

#[test]
fn times_add_up_and_variances_are_correlated_by_distance() {
    let network = road(2, RoadClass::Primary, false);
    let mut corridors = whole(&network);
    let state = close(&mut corridors, &network, 0, &[10.0, 5.0]);
    // 50 s and 100 s, each to a tenth: 5² + 10² + 2 · exp(-1) · 5 · 10 at middles 500 m apart.
    assert!((state.time_s - 150.0).abs() < 0.1, "{state:?}");
    assert!(
        (state.sigma_s - (125.0 + 100.0 * (-1f32).exp()).sqrt()).abs() < 0.1,
        "{state:?}"
    );
    assert!((state.free_flow_s - 50.0).abs() < 0.1 && (state.known_ratio - 1.0).abs() < 1e-6);
    assert!(state.low_s < 150.0 && state.high_s > 150.0 + 1.6 * state.sigma_s);
}

#[test]
fn who_arrives_has_driven_through_past_minutes() {
    let network = road(3, RoadClass::Primary, false);
    let mut corridors = whole(&network);
    // One minute knows only itself: 3 x 50 s is more than that.
    let state = close(&mut corridors, &network, 0, &[10.0; 3]);
    assert_eq!(state.experienced_s, None);
    close(&mut corridors, &network, 1, &[10.0; 3]);
    let even = close(&mut corridors, &network, 2, &[10.0; 3]);
    assert!((even.experienced_s.expect("three minutes") - 150.0).abs() < 0.1);
    // The road has jammed this minute: 60 s at 5 m/s are 300 m of the last segment, the rest was
    // driven at 10 m/s: 20 + 50 + 50 s.
    let jammed = close(&mut corridors, &network, 3, &[5.0; 3]);
    assert!((jammed.time_s - 300.0).abs() < 0.1);
    assert!(
        (jammed.experienced_s.expect("four minutes") - 180.0).abs() < 0.1,
        "{jammed:?}"
    );
    // A gap in the minutes forgets them.
    let later = close(&mut corridors, &network, 9, &[10.0; 3]);
    assert_eq!(later.experienced_s, None);
}

#[test]
fn the_spread_of_trips_is_learnt_from_passes() {
    let network = road(4, RoadClass::Primary, true);
    let (mut even, mut uneven) = (whole(&network), whole(&network));
    let mut last = Vec::new();
    for (corridors, times_ms) in [
        (&mut even, [50_000, 50_000]),
        (&mut uneven, [20_000, 80_000]),
    ] {
        for index in 0..120 {
            let mut sums = BinSums::new(4);
            for id in network.segment_ids() {
                for time_ms in times_ms {
                    let pass = SegmentSums {
                        pass_ms: time_ms,
                        squared_pass_ms2: time_ms * time_ms,
                        pass_count: 1,
                        ..SegmentSums::default()
                    };
                    sums.add(id, &pass);
                }
            }
            let batch = batch(&network, index, &[10.0; 4]);
            last = corridors.close_minute(&network, &batch, &sums);
        }
        last.truncate(1);
        let state = &last[0];
        let width = (state.high_s / state.low_s).ln() / (2.0 * NORMAL_P95);
        let legs: f32 = state.legs.iter().map(|leg| leg.time_s).sum();
        assert!((legs - 200.0).abs() < 0.1);
        let relative = width * width;
        // (30 / 50)² = 0.36 on each of four independent segments: 0.09 and the mean's own variance.
        if times_ms[0] == 20_000 {
            assert!((0.08..0.11).contains(&relative), "{relative}");
        } else {
            assert!(relative < 0.02, "{relative}");
        }
    }
}

#[test]
fn a_restart_goes_on_where_it_stood() {
    let network = road(3, RoadClass::Primary, false);
    let mut one = whole(&network);
    for index in 0..5 {
        close(&mut one, &network, index, &[10.0, 9.0, 8.0]);
    }
    let mut bytes = Vec::new();
    one.snapshot(&network, &mut bytes);
    let mut other = whole(&network);
    other.restore(&network, &bytes).expect("its own bytes");
    let speeds = [9.0, 9.0, 4.0];
    assert_eq!(
        close(&mut one, &network, 5, &speeds),
        close(&mut other, &network, 5, &speeds)
    );
    assert_eq!(one, other);
    bytes.truncate(bytes.len() - 3);
    assert!(other.restore(&network, &bytes).is_err());
    let segments = vec![SegmentId(1)];
    let short = Corridor::new(&network, "s", "S", segments).expect("one segment");
    let mut changed = Corridors::new(vec![short]);
    bytes.clear();
    one.snapshot(&network, &mut bytes);
    changed
        .restore(&network, &bytes)
        .expect("an old corridor is no damage");
    assert_eq!(changed.corridors()[0].id, "s");
}

#[test]
fn drafts_are_routed_or_say_why_not() {
    let network = fork();
    let named = |sources: &[&str]| CorridorDraft {
        id: "ring".into(),
        sources: sources.iter().map(|&source| source.to_owned()).collect(),
        ..CorridorDraft::default()
    };
    let along = named(&["way-0", "way-2"])
        .resolve(&network)
        .expect("they meet");
    assert_eq!(along.segments, [SegmentId(0), SegmentId(2)]);
    assert_eq!((along.name.as_str(), along.length_m), ("ring", 1_000.0));
    let middle = |id: u32| network.position_at(SegmentId(id), 250.0);
    let routed = CorridorDraft {
        id: "r".into(),
        waypoints: vec![middle(0), middle(1)],
        ..CorridorDraft::default()
    };
    let segments = routed.resolve(&network).expect("a way").segments;
    assert_eq!(segments, [SegmentId(0), SegmentId(1)]);
    for (draft, part) in [
        (named(&["way-0", "way-9"]), "way-9"),
        (named(&["way-1", "way-2"]), "cannot be driven"),
        (named(&[]), "either source ids or waypoints"),
        (
            CorridorDraft {
                id: "a/b".into(),
                ..named(&["way-0"])
            },
            "needs an id",
        ),
        (
            CorridorDraft {
                waypoints: vec![middle(2), middle(0)],
                ..routed.clone()
            },
            "no way to its waypoint 2",
        ),
    ] {
        let error = draft.resolve(&network).expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
    }
    let twice = [named(&["way-0"]), named(&["way-1"])];
    assert!(CorridorDraft::resolve_all(&network, &twice).is_err());
}
