//! One blocked lane of several on a fast road, and what must not be taken for it.

use super::*;

const FAST_MPS: f32 = 30.0;

/// A road user that drives fast, is slowed to a walk for ten seconds at a place, and drives on.
fn slowed(segment: u32, minute: i64, from_s: i64, place_m: f32) -> Stay {
    let minute_ms = minute * MINUTE_MS;
    let mut stay = Stay::NOWHERE.next(segment, minute_ms);
    let (start_ms, slow_mps) = (minute_ms + from_s * 1_000, 3.0);
    let reach_ms = (place_m / 25.0 * 1e3) as i64;
    let leave_ms = ((BLOCK_M - place_m - 10.0 * slow_mps) / 25.0 * 1e3) as i64;
    let slow_until_m = place_m + 10.0 * slow_mps;
    let pieces = [
        (0, reach_ms, 0.0, place_m),
        (reach_ms, reach_ms + 10_000, place_m, slow_until_m),
        (
            reach_ms + 10_000,
            reach_ms + 10_000 + leave_ms,
            slow_until_m,
            BLOCK_M,
        ),
    ];
    for (from_ms, until_ms, from_m, until_m) in pieces {
        let line = Line {
            from_ms: start_ms + from_ms,
            until_ms: start_ms + until_ms,
            from_m,
            until_m,
            is_standing: false,
        };
        stay.trace.drive(line, minute_ms);
    }
    stay.time_ms = (reach_ms + 10_000 + leave_ms) as u32;
    stay.distance_mm = (BLOCK_M * 1e3) as u32;
    stay.has_left = true;
    stay
}

fn free_minute(street: &mut Street, minute: i64) {
    let stays = [2, 14, 26, 38].map(|from_s| driving(MIDDLE, minute, from_s, 28.0));
    street.close(minute, &stays, &[]);
}

/// Twenty free minutes, and then ten in which two of four are slowed at the places given.
fn partly_blocked(places_m: [f32; 2], restart_at: Option<i64>) -> Street {
    let mut street = Street::new(FAST_MPS);
    for minute in 0..30 {
        if minute < 20 {
            free_minute(&mut street, minute);
        } else {
            let stays = [
                slowed(MIDDLE, minute, 1, places_m[minute as usize % 2]),
                driving(MIDDLE, minute, 14, 28.0),
                slowed(MIDDLE, minute, 25, places_m[(minute as usize + 1) % 2]),
                driving(MIDDLE, minute, 40, 28.0),
            ];
            street.close(minute, &stays, &[]);
        }
        if restart_at == Some(minute) {
            street.restart();
        }
    }
    street
}

#[test]
fn one_blocked_lane_of_a_fast_road_is_told_by_those_who_merge_before_it() {
    let street = partly_blocked([120.0, 125.0], None);
    let confirmed = street
        .changes
        .iter()
        .find(|change| change.state == IncidentState::Confirmed)
        .expect("it is seen");
    let minutes = (confirmed.at.as_secs() - 20 * 60) / 60;
    assert!(minutes <= 4, "{confirmed:?}");
    assert_eq!((confirmed.lanes_blocked, confirmed.lanes), (1, 2));
    let is_slowed = |evidence: &IncidentEvidence| matches!(evidence, IncidentEvidence::Slowed { count } if *count >= 2);
    assert!(confirmed.evidence.iter().any(is_slowed), "{confirmed:?}");
    assert!(
        (120.0..160.0).contains(&confirmed.offset_m),
        "{confirmed:?}"
    );
    for minute in [5, 20, 21, 25] {
        let again = partly_blocked([120.0, 125.0], Some(minute));
        assert_eq!(again.changes, street.changes, "restart after {minute}");
    }
}

#[test]
fn who_is_slowed_where_many_always_are_is_no_evidence() {
    let mut street = Street::new(FAST_MPS);
    for minute in 0..60 {
        let stays = [
            slowed(MIDDLE, minute, 1, 120.0),
            driving(MIDDLE, minute, 14, 28.0),
            slowed(MIDDLE, minute, 25, 120.0),
            driving(MIDDLE, minute, 40, 28.0),
        ];
        street.close(minute, &stays, &[]);
    }
    let late = Timestamp::from_secs(20 * 60);
    let is_new = |change: &&IncidentChange| change.revision == 1 && change.at > late;
    assert_eq!(street.changes.iter().filter(is_new).count(), 0);
}

#[test]
fn slower_than_usual_is_evidence_where_nothing_ahead_explains_it() {
    let run = |ahead_mps: f32| {
        let mut street = Street::new(FAST_MPS);
        for minute in 0..30 {
            let speed_mps = if minute < 20 { 28.0 } else { 14.0 };
            let mut stays: Vec<Stay> = [2, 14, 30]
                .map(|from_s| driving(MIDDLE, minute, from_s, speed_mps))
                .into();
            stays.push(driving(LAST, minute, 5, ahead_mps));
            street.close(minute, &stays, &[]);
        }
        street
    };
    let alone = run(28.0);
    let confirmed = alone.changes.iter().find(|change| {
        let is_slower = |evidence: &IncidentEvidence| matches!(evidence, IncidentEvidence::Slower { ratio } if (0.4..0.6).contains(ratio));
        change.state == IncidentState::Confirmed && change.evidence.iter().any(is_slower)
    });
    assert!(confirmed.is_some(), "{:?}", alone.changes);
    let explained = run(12.0);
    assert_eq!(explained.changes, []);
}

#[test]
fn a_road_that_was_free_long_ago_is_not_suddenly_jammed() {
    let run = |empty_minutes: i64| {
        let mut street = Street::new(FAST_MPS);
        for minute in 0..5 {
            street.close(minute, &[driving(MIDDLE, minute, 5, 28.0)], &[]);
        }
        let begin = 5 + empty_minutes;
        for minute in 5..begin {
            street.close(minute, &[], &[]);
        }
        for minute in begin..begin + 3 {
            let stays = [0, 10, 20].map(|from_s| driving(MIDDLE, minute, from_s, 3.0));
            street.close(minute, &stays, &[]);
        }
        street.changes.len()
    };
    assert!(run(5) > 0);
    assert_eq!(run(25), 0);
}

#[test]
fn where_the_queue_of_an_incident_flows_off_it_is_slow_and_no_second_one() {
    let run = |is_blocked: bool| {
        let mut street = Street::new(FAST_MPS);
        for minute in 0..17 {
            let mut stays: Vec<Stay> = [5, 20]
                .map(|from_s| driving(MIDDLE, minute, from_s, 28.0))
                .into();
            match minute {
                5..11 if is_blocked => {
                    let stand_s = (minute - 4) as f32 * 60.0;
                    stays.push(standing(FIRST, minute, 140.0, stand_s));
                }
                _ => stays.push(driving(FIRST, minute, 10, 28.0)),
            }
            let last_mps = if minute < 13 { 28.0 } else { 4.0 };
            stays.extend([5, 15, 25].map(|from_s| driving(LAST, minute, from_s, last_mps)));
            street.close(minute, &stays, &[]);
        }
        let told = street.changes.iter();
        let mut segments: Vec<u32> = told.map(|change| change.segment.0).collect();
        segments.dedup();
        segments
    };
    assert_eq!(run(false), [LAST]);
    assert_eq!(run(true), [FIRST]);
}
