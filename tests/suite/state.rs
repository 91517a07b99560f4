//! The state room from outside: committed steps in, one picture a minute out.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use proptest::prelude::*;
use roadcast::matching::{Advance, MatchedPosition, RoutePiece};
use roadcast::network::{Network, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
use roadcast::observation::{DetectorReading, Origin};
use roadcast::state::{
    Accumulator, BinSums, DetectorKind, DetectorPlace, DetectorTable, Profiles, Provenance,
    SegmentSums, SnapshotError, StateBatch, StateSettings, TrafficState, UsualSpeeds,
};
use roadcast::units::{Interval, Position, SegmentId, SubjectId, Timestamp, ViewId};

const LIMIT_MPS: f32 = 50.0 / 3.6;

/// A one-way street of `count` segments of 200 m, each ending at a signal if `signals`:
///
/// ```text
///   J0 --0--> J1 --1--> J2 --2--> …
/// ```
fn street(count: usize, signals: bool) -> Arc<Network> {
    let step_deg = 200.0 / 111_195.0;
    let at = |index: usize| Position::new(114.30, 30.55 + step_deg * index as f64);
    let mut builder = NetworkBuilder::new(at(0));
    let junctions: Vec<_> = (0..=count)
        .map(|index| builder.add_junction(at(index), signals))
        .collect();
    for index in 0..count {
        let draft = SegmentDraft {
            from: junctions[index],
            to: junctions[index + 1],
            shape: vec![at(index), at(index + 1)],
            length_m: Some(200.0),
            class: RoadClass::Primary,
            limit_mps: Some(LIMIT_MPS),
            lanes: Some(2),
            flags: SegmentFlags::default(),
            layer: 0,
            source_id: format!("luoyu-{index}"),
            source_dir: 1,
            source_pair: 0,
            name: Some("珞喻路".into()),
            name_en: None,
        };
        builder.add_segment(draft).unwrap();
    }
    builder.connect_all(&mut |_, _| false);
    Arc::new(builder.build().unwrap())
}

fn minute(index: i64) -> Interval {
    let start = Timestamp::from_secs(index * 60);
    Interval {
        start,
        end: start.plus_secs(60),
    }
}

/// One step of a track: from `from` to `to` (segment, offset) in event seconds.
#[derive(Clone, Debug)]
struct Step {
    track: u32,
    from_s: i64,
    to_s: i64,
    route: Vec<RoutePiece>,
    junction_m: f32,
}

impl Step {
    fn along(track: u32, seconds: (i64, i64), from: (u32, f32), to: (u32, f32)) -> Self {
        let route = (from.0..=to.0)
            .map(|segment| RoutePiece {
                segment: SegmentId(segment),
                from_m: if segment == from.0 { from.1 } else { 0.0 },
                to_m: if segment == to.0 { to.1 } else { 200.0 },
            })
            .collect();
        Self {
            track,
            from_s: seconds.0,
            to_s: seconds.1,
            route,
            junction_m: 0.0,
        }
    }

    fn feed(&self, network: &Network, into: &mut Accumulator) {
        let last = self.route.last().unwrap();
        into.advance(
            network,
            &Advance {
                track: self.track,
                position: MatchedPosition {
                    lane: None,
                    subject: SubjectId(u64::from(self.track)),
                    observed_at: Timestamp::from_secs(self.to_s),
                    segment: last.segment,
                    offset_m: last.to_m,
                    likelihood: 1.0,
                    speed_mps: None,
                    origin: Origin::Probe,
                },
                view: ViewId::NONE,
                since: Some(Timestamp::from_secs(self.from_s)),
                route: &self.route,
                junction_m: self.junction_m,
            },
        );
    }
}

fn close(network: &Network, from: &mut Accumulator, index: i64) -> BinSums {
    let mut sums = BinSums::new(network.segment_count());
    from.close(minute(index), &mut sums, &mut Vec::new());
    sums
}

fn sums_of(network: &Network, speeds: &[(u32, f32)]) -> BinSums {
    let mut sums = BinSums::new(network.segment_count());
    for &(segment, speed_mps) in speeds {
        let (time_ms, metres) = (30_000u64, speed_mps * 30.0);
        sums.add(
            SegmentId(segment),
            &SegmentSums {
                distance_mm: (metres * 1000.0) as u64,
                time_ms,
                squared_time_ms2: time_ms * time_ms,
                vehicle_count: 1,
                ..SegmentSums::default()
            },
        );
    }
    sums
}

#[test]
fn a_step_is_spread_over_segments_and_minutes_by_length() {
    let network = street(3, false);
    let mut accumulator = Accumulator::new();
    // 50 m in 5 s, 200 m in 20 s, 50 m in 5 s; the second segment straddles the minute.
    Step::along(0, (45, 75), (0, 150.0), (2, 50.0)).feed(&network, &mut accumulator);
    let first = close(&network, &mut accumulator, 0);
    let second = close(&network, &mut accumulator, 1);
    let facts = |sums: &BinSums, segment: u32| {
        let sums = sums.get(SegmentId(segment));
        (sums.distance_mm, sums.time_ms, sums.vehicle_count)
    };
    assert_eq!(facts(&first, 0), (50_000, 5_000, 1));
    assert_eq!(facts(&first, 1), (100_000, 10_000, 1));
    assert_eq!(facts(&second, 1), (100_000, 10_000, 1));
    assert_eq!(facts(&second, 2), (50_000, 5_000, 1));
    assert_eq!(facts(&second, 0), (0, 0, 0));
    // The pass over the second segment ends in the second minute and counts whole.
    let pass = second.get(SegmentId(1));
    assert_eq!((pass.pass_count, pass.pass_ms), (1, 20_000));
    assert_eq!(
        first.get(SegmentId(0)).pass_count,
        0,
        "its start was not seen"
    );
    assert!(accumulator.is_empty());
}

#[test]
fn time_inside_junctions_belongs_to_no_segment() {
    let network = street(2, false);
    let mut accumulator = Accumulator::new();
    let mut step = Step::along(0, (0, 30), (0, 100.0), (1, 100.0));
    step.junction_m = 100.0;
    step.feed(&network, &mut accumulator);
    let sums = close(&network, &mut accumulator, 0);
    assert_eq!(sums.get(SegmentId(0)).time_ms, 10_000);
    assert_eq!(sums.get(SegmentId(1)).time_ms, 10_000);
}

#[test]
fn reported_speeds_a_second_apart_are_integrated_over_noisy_positions() {
    let network = street(1, false);
    let mut accumulator = Accumulator::new();
    // Positions wander by metres while the vehicle reports 10 and then 12 m/s.
    for (second, to_m, speed_mps) in [(0, 7.0f32, 10.0f32), (1, 25.0, 12.0), (2, 28.0, 12.0)] {
        let route = [RoutePiece {
            segment: SegmentId(0),
            from_m: 0.0,
            to_m,
        }];
        accumulator.advance(
            &network,
            &Advance {
                track: 0,
                position: MatchedPosition {
                    lane: None,
                    subject: SubjectId(1),
                    observed_at: Timestamp::from_secs(second),
                    segment: SegmentId(0),
                    offset_m: to_m,
                    likelihood: 1.0,
                    speed_mps: Some(speed_mps),
                    origin: Origin::Bsm,
                },
                view: ViewId::NONE,
                since: (second > 0).then(|| Timestamp::from_secs(second - 1)),
                route: if second > 0 { &route } else { &[] },
                junction_m: 0.0,
            },
        );
    }
    let sums = close(&network, &mut accumulator, 0);
    assert_eq!(sums.get(SegmentId(0)).distance_mm, 11_000 + 12_000);
}

#[test]
fn a_standing_vehicle_counts_once_a_minute_and_shows_the_queue() {
    let network = street(1, true);
    let mut accumulator = Accumulator::new();
    for second in 30..90 {
        Step::along(7, (second, second + 1), (0, 160.0), (0, 160.0))
            .feed(&network, &mut accumulator);
    }
    for index in 0..2 {
        let sums = *close(&network, &mut accumulator, index).get(SegmentId(0));
        assert_eq!(sums.vehicle_count, 1);
        assert_eq!((sums.time_ms, sums.standing_ms), (30_000, 30_000));
        assert_eq!((sums.distance_mm, sums.queue_mm), (0, 40_000));
    }
}

#[test]
fn who_crosses_a_junction_counts_on_its_movement_in_the_minute_of_leaving() {
    let network = street(3, false);
    let mut accumulator = Accumulator::new();
    // 300 m from 40 s to 70 s: segment 0 is left at 55 s, segment 1 at 75 s.
    Step::along(0, (40, 70), (0, 50.0), (1, 150.0)).feed(&network, &mut accumulator);
    Step::along(0, (70, 80), (1, 150.0), (2, 50.0)).feed(&network, &mut accumulator);
    Step::along(1, (10, 20), (1, 0.0), (1, 90.0)).feed(&network, &mut accumulator);
    let left = |sums: &BinSums| {
        let mut counts = vec![0; network.movements().len()];
        sums.count_left(&mut counts);
        [0, 1].map(|id| counts[network.movement_range_from(SegmentId(id)).start])
    };
    assert_eq!(left(&close(&network, &mut accumulator, 0)), [1, 0]);
    // Taken up again in between, it is the same.
    let mut bytes = Vec::new();
    accumulator.snapshot(&network, &mut bytes);
    let mut resumed = Accumulator::new();
    resumed.restore(&network, &bytes).unwrap();
    let sums = close(&network, &mut resumed, 1);
    assert_eq!(left(&sums), [0, 1]);
    let passed = sums.get(SegmentId(1));
    assert_eq!(passed.pass_count, 1);
    assert_eq!(passed.squared_pass_ms2, passed.pass_ms * passed.pass_ms);
}

#[test]
fn what_comes_after_its_minute_is_credited_to_the_oldest_open_one_and_counted() {
    let network = street(1, false);
    let mut accumulator = Accumulator::new();
    let _ = close(&network, &mut accumulator, 0);
    Step::along(0, (50, 70), (0, 0.0), (0, 200.0)).feed(&network, &mut accumulator);
    let sums = close(&network, &mut accumulator, 1);
    assert_eq!(sums.get(SegmentId(0)).distance_mm, 200_000);
    assert_eq!(sums.get(SegmentId(0)).time_ms, 20_000);
    assert_eq!(sums.late_part_count(), 1);
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0u32..6,
        0i64..170,
        1i64..40,
        0u32..5,
        0.0f32..200.0,
        0u32..3,
        0.0f32..1.0,
    );
    prop::collection::vec(step, 1..60).prop_map(|raw| {
        raw.into_iter()
            .enumerate()
            .map(
                |(index, (_, from_s, span_s, segment, offset_m, ahead, share))| {
                    let end = (segment + ahead).min(4);
                    let to_m = if end == segment {
                        offset_m + (200.0 - offset_m) * share
                    } else {
                        200.0 * share
                    };
                    Step::along(
                        index as u32,
                        (from_s, from_s + span_s),
                        (segment, offset_m),
                        (end, to_m),
                    )
                },
            )
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_and_sharding_change_no_sum(steps in steps(), shards in 1usize..5) {
        let network = street(5, false);
        let mut one = Accumulator::new();
        for step in &steps {
            step.feed(&network, &mut one);
        }
        let mut many = vec![Accumulator::new(); shards];
        for step in steps.iter().rev() {
            step.feed(&network, &mut many[step.track as usize % shards]);
        }
        let mut time_ms = 0;
        for index in 0..4 {
            let whole = close(&network, &mut one, index);
            let mut merged = BinSums::new(network.segment_count());
            for shard in many.iter_mut().rev() {
                merged.merge(&close(&network, shard, index));
            }
            prop_assert_eq!(&whole, &merged);
            time_ms += whole.segments().iter().map(|sums| sums.time_ms).sum::<u64>();
        }
        let expected: i64 = steps.iter().map(|step| (step.to_s - step.from_s) * 1000).sum();
        prop_assert_eq!(time_ms as i64, expected, "no time is lost or made");
    }

    #[test]
    fn an_accumulator_goes_on_from_its_snapshot(steps in steps(), cut in 0usize..60) {
        let network = street(5, false);
        let (mut steady, mut restarted) = (Accumulator::new(), Accumulator::new());
        for (index, step) in steps.iter().enumerate() {
            if index == cut {
                let mut bytes = Vec::new();
                restarted.snapshot(&network, &mut bytes);
                restarted = Accumulator::new();
                restarted.restore(&network, &bytes).unwrap();
                for length in 0..bytes.len() {
                    prop_assert!(Accumulator::new().restore(&network, &bytes[..length]).is_err());
                }
            }
            step.feed(&network, &mut steady);
            step.feed(&network, &mut restarted);
        }
        prop_assert_eq!(steady, restarted);
    }
}

/// Half an hour on a street where vehicles on `seen` crawl at `speed_mps`.
fn crawl(network: &Arc<Network>, seen: &[u32], speed_mps: f32) -> StateBatch {
    let mut state = TrafficState::new(Arc::clone(network), StateSettings::default());
    let mut last = None;
    for index in 0..30 {
        let speeds: Vec<_> = seen.iter().map(|&segment| (segment, speed_mps)).collect();
        last = Some(state.close_minute(minute(index), &sums_of(network, &speeds), &[]));
    }
    last.unwrap()
}

#[test]
fn the_unseen_follow_the_seen_and_never_free_flow() {
    for signals in [true, false] {
        let network = street(30, signals);
        let seen: Vec<u32> = (0..30).filter(|segment| segment % 4 != 3).collect();
        let slow = crawl(&network, &seen, 2.0);
        let fast = crawl(&network, &seen, 12.0);
        for segment in (0..30).filter(|segment| segment % 4 == 3) {
            let (slow, fast) = (slow.segments[segment], fast.segments[segment]);
            assert_eq!(slow.provenance, Provenance::Profile);
            assert_eq!((slow.age_s, slow.sample_count), (None, 0));
            assert!(slow.speed_mps < 0.35 * LIMIT_MPS, "{signals} {slow:?}");
            assert!(fast.speed_mps > 0.7 * LIMIT_MPS, "{signals} {fast:?}");
        }
        for &segment in &seen {
            let state = slow.segments[segment as usize];
            assert!((state.speed_mps - 2.0).abs() < 0.5, "{state:?}");
        }
    }
}

#[test]
fn provenance_and_age_tell_what_was_measured_when() {
    let network = street(3, true);
    let mut state = TrafficState::new(Arc::clone(&network), StateSettings::default());
    let seen = state.close_minute(minute(0), &sums_of(&network, &[(1, 8.0)]), &[]);
    let empty = sums_of(&network, &[]);
    let one_later = state.close_minute(minute(1), &empty, &[]);
    let two_later = state.close_minute(minute(2), &empty, &[]);
    let facts = |batch: &StateBatch, segment: usize| {
        let state = batch.segments[segment];
        (state.provenance, state.age_s, state.sample_count)
    };
    assert_eq!(facts(&seen, 1), (Provenance::Observed, Some(0), 1));
    assert_eq!(facts(&one_later, 1), (Provenance::Estimated, Some(60), 0));
    assert_eq!(facts(&two_later, 1), (Provenance::Estimated, Some(120), 0));
    assert_eq!(facts(&two_later, 0), (Provenance::Profile, None, 0));
    assert!(
        seen.segments[1].sigma_mps < two_later.segments[1].sigma_mps,
        "certainty fades"
    );
}

/// An hour of speeds that are never the same twice, shifted by `shift` minutes.
fn varied_hour(network: &Arc<Network>, shift: i64, restart_at: Option<i64>) -> Vec<StateBatch> {
    let mut state = TrafficState::new(Arc::clone(network), StateSettings::default());
    (0..60)
        .map(|index| {
            if restart_at == Some(index) {
                let mut bytes = Vec::new();
                state.snapshot(&mut bytes);
                state = TrafficState::new(Arc::clone(network), StateSettings::default());
                state.restore(&bytes).unwrap();
            }
            let speeds: Vec<_> = (0..network.segment_count() as u32)
                .filter(|segment| (i64::from(*segment) * 7 + index * 5) % 3 == 0)
                .map(|segment| {
                    let phase = f64::from(segment) * 1.7 + index as f64 * 0.9;
                    (segment, (6.0 + 5.0 * phase.sin()) as f32)
                })
                .collect();
            state.close_minute(minute(shift + index), &sums_of(network, &speeds), &[])
        })
        .collect()
}

#[test]
fn shifting_time_shifts_the_states() {
    let network = street(12, true);
    let week_min = 7 * 24 * 60;
    let now = varied_hour(&network, 0, None);
    let later = varied_hour(&network, 2_900 * week_min, None);
    for (now, later) in now.iter().zip(&later) {
        assert_eq!(now.segments, later.segments);
        assert_eq!(
            later.interval.start.millis_since(now.interval.start),
            2_900 * week_min * 60_000
        );
    }
}

#[test]
fn memory_a_segment_keeps_to_its_limit() {
    let network = street(12, true);
    let mut state = TrafficState::new(Arc::clone(&network), StateSettings::default());
    state.close_minute(minute(0), &sums_of(&network, &[(0, 3.0)]), &[]);
    let bytes = state.segment_bytes() + size_of::<SegmentSums>() + size_of::<u32>();
    assert!((60..=200).contains(&bytes), "{bytes}");
}

#[test]
fn a_restart_is_as_if_nothing_happened() {
    let network = street(12, true);
    let steady = varied_hour(&network, 28_000_000, None);
    for restart_at in [1, 17, 25, 59] {
        assert_eq!(steady, varied_hour(&network, 28_000_000, Some(restart_at)));
    }
}

#[test]
fn damaged_or_foreign_bytes_are_refused_and_change_nothing() {
    let (network, other) = (street(3, true), street(4, true));
    let mut state = TrafficState::new(Arc::clone(&network), StateSettings::default());
    state.close_minute(minute(0), &sums_of(&network, &[(0, 3.0)]), &[]);
    let (mut bytes, mut before) = (Vec::new(), Vec::new());
    state.snapshot(&mut bytes);
    state.snapshot(&mut before);
    for length in 0..bytes.len() {
        assert!(state.restore(&bytes[..length]).is_err(), "{length}");
    }
    bytes.push(0);
    assert!(matches!(
        state.restore(&bytes),
        Err(SnapshotError::Damaged { .. })
    ));
    let mut foreign = TrafficState::new(other, StateSettings::default());
    bytes.pop();
    assert!(matches!(
        foreign.restore(&bytes),
        Err(SnapshotError::Network { .. })
    ));
    bytes[0] ^= 1;
    assert!(matches!(
        state.restore(&bytes),
        Err(SnapshotError::Magic { .. })
    ));
    let mut after = Vec::new();
    state.snapshot(&mut after);
    assert_eq!(before, after);
}

#[test]
fn profiles_remember_the_time_of_day_across_a_file() {
    let network = street(2, false);
    let day_min = 24 * 60;
    let mut state = TrafficState::new(Arc::clone(&network), StateSettings::default());
    // Mondays to Thursdays from 1970-01-05 07:00 to 09:00 local: slow until 08:00, fast after.
    for day in [4, 5, 6, 7] {
        for index in 0..120 {
            let speed_mps = if index < 60 { 3.0 } else { 12.0 };
            let local = day * day_min + 7 * 60 + index - 8 * 60;
            state.close_minute(minute(local), &sums_of(&network, &[(0, speed_mps)]), &[]);
        }
    }
    let mut bytes = Vec::new();
    state.profiles().save(&network, &mut bytes);
    let mut fresh = TrafficState::new(Arc::clone(&network), StateSettings::default());
    fresh.load_profiles(&bytes).unwrap();
    let at = |day: i64, minutes: i64| Timestamp::from_secs((day * day_min + minutes - 480) * 60);
    let usual = |profiles: &Profiles, at| profiles.speed_mps(SegmentId(0), at);
    // Monday 1970-01-12.
    let (slow, fast) = (at(11, 7 * 60 + 30), at(11, 8 * 60 + 30));
    let difference = usual(fresh.profiles(), fast) - usual(fresh.profiles(), slow);
    assert!(difference > 3.0, "{difference}");
    let slow_mps = usual(fresh.profiles(), slow);
    assert!((3.0..6.5).contains(&slow_mps), "{slow_mps}");
    let free_flow_mps = fresh.profiles().free_flow_mps(SegmentId(0));
    assert!(
        (11.0..=LIMIT_MPS).contains(&free_flow_mps),
        "{free_flow_mps}"
    );
    let mut short = bytes.clone();
    short.truncate(bytes.len() - 1);
    assert!(fresh.load_profiles(&short).is_err());
}

#[test]
fn a_run_that_has_seen_nothing_starts_from_what_somebody_else_knows_as_usual() {
    let network = street(2, false);
    let mut usual = UsualSpeeds::unknown(2);
    // Eight to nine on workdays, as seen on four of them.
    (32..36).for_each(|quarter| usual.set(0, 0, quarter, 5.0, 4));
    usual.set_free_flow(0, 12.0);
    let fresh = || TrafficState::new(Arc::clone(&network), StateSettings::default());
    let (blank, mut told) = (fresh(), fresh());
    told.start_from(&usual);
    let at = |day: i64, minutes: i64| Timestamp::from_secs((day * 1_440 + minutes - 480) * 60);
    let speed =
        |state: &TrafficState, segment, at| state.profiles().speed_mps(SegmentId(segment), at);
    let (monday, friday, sunday) = (at(11, 510), at(15, 510), at(17, 510));
    let level_mps = speed(&blank, 0, monday);
    assert!(level_mps > 8.0, "{level_mps}");
    assert!(
        (speed(&told, 0, monday) - 5.0).abs() < 0.8,
        "near what was told"
    );
    assert!(
        (speed(&told, 0, friday) - 5.0).abs() < 1.2,
        "Friday resembles it"
    );
    for (segment, time) in [(0, sunday), (0, at(11, 720)), (1, monday)] {
        let (told_mps, blank_mps) = (speed(&told, segment, time), speed(&blank, segment, time));
        assert!(
            (told_mps - blank_mps).abs() < 1e-6,
            "{segment}: {told_mps} {blank_mps}"
        );
    }
    let free_flow_mps = |segment| told.profiles().free_flow_mps(SegmentId(segment));
    assert!((free_flow_mps(0) - 12.0).abs() < 1e-6 && free_flow_mps(1) > 12.5);
    // Own days move it.
    for day in [18, 19, 20, 21] {
        for index in 0..60 {
            let local = day * 1_440 + index;
            told.close_minute(minute(local), &sums_of(&network, &[(0, 11.0)]), &[]);
        }
    }
    let moved_mps = speed(&told, 0, at(25, 510));
    assert!((5.5..11.0).contains(&moved_mps), "{moved_mps}");
}

#[test]
fn profiles_hold_today_back_but_not_another_run() {
    let network = street(2, false);
    let slow = |state: &mut TrafficState, minutes: std::ops::Range<i64>| {
        for index in minutes {
            state.close_minute(minute(index), &sums_of(&network, &[(0, 3.0)]), &[]);
        }
    };
    let usual_mps = |state: &TrafficState| {
        let profiles = state.profiles();
        profiles.speeds_at(&[minute(600).start])(SegmentId(0), 0)
    };
    let mut state = TrafficState::new(Arc::clone(&network), StateSettings::default());
    slow(&mut state, 600..660);
    let mut bytes = Vec::new();
    state.profiles().save(&network, &mut bytes);
    let loaded = || {
        let mut state = TrafficState::new(Arc::clone(&network), StateSettings::default());
        state.load_profiles(&bytes).unwrap();
        state
    };
    let after = |state: &mut TrafficState, index: i64| {
        state.close_minute(minute(index), &sums_of(&network, &[]), &[]);
        usual_mps(state)
    };
    // The same hour of another run counts as soon as the next run begins, without one measurement.
    let again_mps = after(&mut loaded(), 600);
    // A run that goes on where this one stopped is not told its own last hour, but two hours later.
    let mut on = loaded();
    let held_mps = after(&mut on, 660);
    let later_mps = after(&mut on, 780);
    assert!(again_mps < held_mps - 3.0, "{again_mps}, {held_mps}");
    assert!(
        (later_mps - again_mps).abs() < 0.1,
        "{later_mps}, {again_mps}"
    );
}

fn area_reading(detector: &str, speed_mps: f32, sampled_s: f32, queue_m: f32) -> DetectorReading {
    DetectorReading {
        start: minute(0).start,
        end: minute(0).end,
        detector: detector.into(),
        vehicle_count: 10.0,
        speed_mps: Some(speed_mps),
        occupancy: Some(0.5),
        sampled_seconds: Some(sampled_s),
        queue_length_m: Some(queue_m),
    }
}

#[test]
fn area_detectors_outweigh_one_probe_and_give_queue_and_flow() {
    let network = street(2, true);
    let mut detectors = DetectorTable::default();
    for lane in 0..2 {
        let place = DetectorPlace {
            segment: SegmentId(0),
            offset_m: 0.0,
            length_m: 200.0,
            lane,
            kind: DetectorKind::Area,
        };
        detectors.insert(&format!("camera-{lane}"), place);
    }
    let settings = StateSettings {
        detectors,
        ..StateSettings::default()
    };
    let readings = [
        area_reading("camera-0", 3.0, 200.0, 60.0),
        area_reading("camera-1", 5.0, 200.0, 80.0),
        area_reading("unknown", 13.0, 200.0, 0.0),
    ];
    let sums = sums_of(&network, &[(0, 12.0)]);
    let mut state = TrafficState::new(Arc::clone(&network), settings.clone());
    let batch = state.close_minute(minute(0), &sums, &readings);
    let seen = batch.segments[0];
    assert!((seen.speed_mps - 4.0).abs() < 0.3, "{seen:?}");
    assert_eq!(seen.queue_length_m, Some(80.0));
    // 1600 m driven over 200 m covered: 8 vehicles a minute.
    let flow_vph = seen.flow_vph.unwrap();
    assert!((flow_vph - 480.0).abs() < 1.0, "{flow_vph}");
    assert!((seen.density_vpkm.unwrap() - flow_vph / (seen.speed_mps * 3.6)).abs() < 1e-3);
    assert_eq!(batch.segments[1].flow_vph, None);

    let mut reordered = TrafficState::new(Arc::clone(&network), settings);
    let mut turned = readings.clone();
    turned.reverse();
    assert_eq!(batch, reordered.close_minute(minute(0), &sums, &turned));
    let mut alone = TrafficState::new(network, StateSettings::default());
    let blind = alone.close_minute(minute(0), &sums, &readings);
    assert!(blind.segments[0].speed_mps > seen.speed_mps);
}

#[test]
fn sumo_detector_files_are_placed_on_segments() {
    let network = street(2, true);
    let file = br#"<additional>
        <inductionLoop id="loop" lane="luoyu-1_1" pos="-30" period="60" file="x"/>
        <laneAreaDetector id="camera" lane="luoyu-0_0" pos="50" length="149"/>
        <e2Detector id="to the end" lane="luoyu-0_1" pos="150" endPos="200"/>
        <e1Detector id="nowhere" lane="gone_0" pos="3"/>
        <busStop id="stop" lane="luoyu-0_0" startPos="3" endPos="20"/>
    </additional>"#;
    let mut table = DetectorTable::default();
    table.read_sumo(&network, file).unwrap();
    let place = |id: &str| {
        let place = table.place(id).unwrap();
        (
            place.segment.0,
            place.offset_m,
            place.length_m,
            place.lane,
            place.kind,
        )
    };
    assert_eq!(place("loop"), (1, 170.0, 0.0, 1, DetectorKind::Point));
    assert_eq!(place("camera"), (0, 50.0, 149.0, 0, DetectorKind::Area));
    assert_eq!(place("to the end"), (0, 150.0, 50.0, 1, DetectorKind::Area));
    assert_eq!(
        (table.len(), table.skipped()),
        (3, ["nowhere".to_owned()].as_slice())
    );
    assert!(
        table
            .read_sumo(&network, b"<additional><e1Detector id=")
            .is_err()
    );
}
