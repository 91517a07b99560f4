//! A street of three blocks, `first` to `last`, and what is told of it minute by minute.

mod beside;
mod causes;
mod fast;
mod loops;

use std::sync::Arc;

use super::*;
use crate::network::Network;
use crate::observation::{DetectorReading, EventCode, RoadEvent};
use crate::state::stay::{Line, Stay};
use crate::state::{
    Calendar, ClosureDraft, Closures, DetectorKind, DetectorPlace, DetectorTable, MINUTE_MS,
    Provenance, SegmentState, StateBatch,
};
use crate::units::Interval;

const FIRST: u32 = 0;
const MIDDLE: u32 = 1;
const LAST: u32 = 2;
const BLOCK_M: f32 = 280.0;

/// ```text
/// a --first--> b --middle--> c --last--> d
/// ```
fn street(limit_mps: f32) -> Arc<Network> {
    let block = |id: &str, from: u32| {
        let lon = |node: u32| 114.3 + f64::from(node) * 0.002_92;
        let (a, b) = (lon(from), lon(from + 1));
        let to = from + 1;
        format!("{id},{from},{to},primary,{a},30.6,{b},30.6,{BLOCK_M},yes,2,{limit_mps}\n")
    };
    let head = "id,from,to,highway,lon1,lat1,lon2,lat2,len_m,oneway,lanes,limit_mps\n";
    let blocks = [block("first", 0), block("middle", 1), block("last", 2)];
    let text = [head.to_owned(), blocks.concat()].concat();
    let (network, _) = crate::network::load("street.csv", text.into_bytes()).unwrap();
    assert_eq!(network.segment_count(), 3);
    Arc::new(network)
}

/// A road user that stands at a place and has stood for `stand_s` at the end of the minute.
fn standing(segment: u32, minute: i64, place_m: f32, stand_s: f32) -> Stay {
    let (minute_ms, here_ms) = (minute * MINUTE_MS, (stand_s.min(60.0) * 1e3) as i64);
    let mut stay = Stay::NOWHERE.next(segment, minute_ms);
    let line = Line {
        from_ms: minute_ms + MINUTE_MS - here_ms,
        until_ms: minute_ms + MINUTE_MS,
        from_m: place_m,
        until_m: place_m,
        is_standing: true,
    };
    stay.trace.drive(line, minute_ms);
    (stay.time_ms, stay.standing_ms) = (here_ms as u32, here_ms as u32);
    (stay.stand_ms, stay.stand_dm) = ((stand_s * 1e3) as u32, (place_m * 10.0) as u16);
    stay
}

/// A road user that drives through a whole segment at a speed.
fn driving(segment: u32, minute: i64, from_s: i64, speed_mps: f32) -> Stay {
    let minute_ms = minute * MINUTE_MS;
    let mut stay = Stay::NOWHERE.next(segment, minute_ms);
    let taken_ms = ((BLOCK_M / speed_mps * 1e3) as i64).min(MINUTE_MS - from_s * 1_000);
    let line = Line {
        from_ms: minute_ms + from_s * 1_000,
        until_ms: minute_ms + from_s * 1_000 + taken_ms,
        from_m: 0.0,
        until_m: speed_mps * taken_ms as f32 / 1e3,
        is_standing: false,
    };
    stay.trace.drive(line, minute_ms);
    (stay.time_ms, stay.distance_mm) = (taken_ms as u32, (line.until_m * 1e3) as u32);
    stay.has_left = true;
    stay
}

struct Street {
    room: Incidents,
    detectors: DetectorTable,
    changes: Vec<IncidentChange>,
    events: Vec<RoadEvent>,
    closures: Closures,
}

impl Street {
    fn new(limit_mps: f32) -> Self {
        Self {
            room: Incidents::new(street(limit_mps), IncidentSettings::default()),
            detectors: DetectorTable::default(),
            changes: Vec::new(),
            events: Vec::new(),
            closures: Closures::default(),
        }
    }

    /// Goes on from a snapshot, which is returned.
    fn restart(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.room.snapshot(&mut bytes);
        let network = Arc::clone(&self.room.network);
        self.room = Incidents::new(network, IncidentSettings::default());
        self.room.restore(&bytes).unwrap();
        bytes
    }

    /// Closes a minute; the state of a segment is the mean of its stays.
    fn close(&mut self, minute: i64, stays: &[Stay], readings: &[DetectorReading]) {
        self.close_with(minute, stays, readings, &[]);
    }

    fn close_with(
        &mut self,
        minute: i64,
        stays: &[Stay],
        readings: &[DetectorReading],
        orders: &[IncidentOrder],
    ) {
        let start = Timestamp::from_millis(minute * MINUTE_MS);
        let network = Arc::clone(&self.room.network);
        let state_of = |id: SegmentId| {
            let here = || stays.iter().filter(move |stay| stay.segment() == id);
            let time_ms: u64 = here().map(|stay| u64::from(stay.time_ms)).sum();
            let distance_mm: u64 = here().map(|stay| u64::from(stay.distance_mm)).sum();
            let limit_mps = network.segment(id).limit_mps;
            SegmentState {
                speed_mps: match time_ms {
                    0 => limit_mps,
                    _ => distance_mm as f32 / time_ms as f32,
                },
                free_flow_mps: limit_mps,
                usual_mps: limit_mps,
                provenance: match time_ms {
                    0 => Provenance::Estimated,
                    _ => Provenance::Observed,
                },
                sample_count: here().count() as u32,
                ..SegmentState::default()
            }
        };
        let batch = StateBatch {
            interval: Interval {
                start,
                end: start.plus_millis(MINUTE_MS),
            },
            network: network.version(),
            segments: network.segment_ids().map(state_of).collect(),
        };
        let minute = IncidentMinute {
            batch: &batch,
            stays,
            readings,
            detectors: &self.detectors,
            orders,
            calendar: &Calendar::default(),
            events: &self.events,
            closures: &self.closures,
        };
        self.room.close_minute(&minute, &mut self.changes);
    }

    /// A vehicle stands in the middle of the middle block from minute `from` until `until`; others
    /// drive past.
    fn blocked(&mut self, from: i64, until: i64) {
        for minute in from..until {
            let stand_s = (minute - from + 1) as f32 * 60.0;
            let stays = [
                standing(MIDDLE, minute, 140.0, stand_s),
                driving(MIDDLE, minute, 5, 12.0),
            ];
            self.close(minute, &stays, &[]);
        }
    }

    fn free(&mut self, from: i64, until: i64) {
        for minute in from..until {
            let stays = [FIRST, MIDDLE, LAST].map(|segment| driving(segment, minute, 5, 12.0));
            self.close(minute, &stays, &[]);
        }
    }

    fn states(&self) -> Vec<IncidentState> {
        self.changes.iter().map(|change| change.state).collect()
    }
}

#[test]
fn a_vehicle_that_stands_in_a_lane_lives_from_suspicion_to_its_end() {
    use IncidentState::{Clearing, Closed, Confirmed};
    let mut street = Street::new(14.0);
    street.free(0, 3);
    street.blocked(3, 9);
    street.free(9, 20);
    let states = street.states();
    assert_eq!(states[states.len() - 3..], [Confirmed, Clearing, Closed]);
    let confirmed = &street.changes[states.len() - 3];
    assert_eq!(confirmed.segment, SegmentId(MIDDLE));
    assert!((confirmed.offset_m - 140.0).abs() < 1.0, "{confirmed:?}");
    assert_eq!(confirmed.kind, IncidentKind::StoppedVehicle);
    assert!(
        confirmed.at <= Timestamp::from_secs(7 * 60),
        "{confirmed:?}"
    );
    assert!(confirmed.confidence > 0.9);
    assert!(
        street
            .changes
            .iter()
            .all(|change| change.id == confirmed.id)
    );
    let revisions: Vec<u32> = street
        .changes
        .iter()
        .map(|change| change.revision)
        .collect();
    assert_eq!(revisions, (1..=revisions.len() as u32).collect::<Vec<_>>());
    assert_eq!(street.room.active().count(), 0);
}

#[test]
fn who_stands_where_the_road_is_closed_as_planned_is_none() {
    let confirmed = |source: &str, until_min: i64| {
        let mut street = Street::new(14.0);
        let draft = ClosureDraft {
            id: "works".into(),
            sources: vec![source.into()],
            from: Timestamp::from_secs(0),
            until: Timestamp::from_secs(60 * until_min),
        };
        street.closures = Closures::resolve(&street.room.network, &[draft]).unwrap();
        street.free(0, 3);
        street.blocked(3, 12);
        street.states().contains(&IncidentState::Confirmed)
    };
    assert!(!confirmed("middle", 60) && !confirmed("last", 60));
    // Over before anybody stood.
    assert!(confirmed("middle", 3));
}

#[test]
fn a_queue_at_a_red_light_is_none() {
    let mut street = Street::new(14.0);
    for minute in 0..40 {
        let queue = [10.0, 40.0, 80.0, 120.0]
            .map(|before_end_m| standing(MIDDLE, minute, BLOCK_M - before_end_m, 70.0));
        street.close(minute, &queue, &[]);
    }
    assert_eq!(street.changes, []);
}

#[test]
fn who_waits_at_a_junction_is_none_for_four_minutes() {
    let mut street = Street::new(14.0);
    for minute in 0..6 {
        let stand_s = (minute + 1) as f32 * 60.0;
        let stays = [
            standing(MIDDLE, minute, BLOCK_M - 12.0, stand_s),
            standing(MIDDLE, minute, BLOCK_M - 60.0, stand_s),
        ];
        street.close(minute, &stays, &[]);
        if stand_s < 240.0 {
            assert_eq!(street.changes, [], "{minute}");
        }
    }
    let late = street.changes.last().expect("nobody waits for so long");
    assert_eq!(late.state, IncidentState::Confirmed);
}

#[test]
fn where_red_lights_are_short_a_shorter_stand_is_too_long() {
    let begin_s = |usual_s: f32| {
        let mut street = Street::new(14.0);
        for minute in 0..40 {
            // Three that waited drive on again.
            let mut stays = [100.0, 150.0, 200.0].map(|place_m| {
                let mut stay = standing(FIRST, minute, place_m, usual_s);
                stay.has_left = true;
                stay
            });
            stays.sort_unstable();
            street.close(minute, &stays, &[]);
        }
        assert_eq!(street.changes, [], "{usual_s}");
        for second in (40..300).step_by(10) {
            let mut bytes = Vec::new();
            street.room.snapshot(&mut bytes);
            let network = Arc::clone(&street.room.network);
            let mut other = Street::new(14.0);
            other.room = Incidents::new(network, IncidentSettings::default());
            other.room.restore(&bytes).unwrap();
            other.close(40, &[standing(MIDDLE, 40, 140.0, second as f32)], &[]);
            if !other.changes.is_empty() {
                return second;
            }
        }
        0
    };
    assert_eq!(begin_s(40.0), 90);
    assert_eq!(begin_s(80.0), 110);
}

#[test]
fn what_stood_in_the_queue_of_an_incident_is_none_when_it_is_over() {
    let run = |is_queued: bool| {
        let mut street = Street::new(14.0);
        street.free(0, 3);
        for minute in 3..12 {
            let stand_s = (minute - 2) as f32 * 60.0;
            let mut stays = vec![standing(MIDDLE, minute, 140.0, stand_s)];
            if is_queued {
                stays.push(standing(FIRST, minute, 200.0, stand_s.min(60.0)));
            }
            street.close(minute, &stays, &[]);
        }
        street.free(12, 19);
        assert_eq!(street.room.active().count(), 0, "it is over");
        let before = street.changes.len();
        for minute in 19..21 {
            let stand_s = 120.0 + (minute - 19) as f32 * 60.0;
            street.close(minute, &[standing(FIRST, minute, 100.0, stand_s)], &[]);
        }
        street.changes.len() - before
    };
    assert_eq!(run(true), 0);
}

#[test]
fn what_stands_upstream_is_the_tail_of_one_incident() {
    let mut street = Street::new(14.0);
    for minute in 0..12 {
        let since = |from: i64| (minute - from + 1).max(0) as f32 * 60.0;
        let mut stays = vec![standing(MIDDLE, minute, 140.0, since(0))];
        if minute >= 2 {
            stays.push(standing(MIDDLE, minute, 60.0, since(2)));
            stays.push(standing(FIRST, minute, 200.0, since(2)));
            stays.push(standing(FIRST, minute, 120.0, since(2)));
        }
        street.close(minute, &stays, &[]);
    }
    let mut ids: Vec<u64> = street.changes.iter().map(|change| change.id).collect();
    ids.dedup();
    assert_eq!(ids, [1]);
    let incident = street.room.active().next().expect("it lasts");
    assert_eq!(incident.segment, SegmentId(MIDDLE));
}

#[test]
fn a_dismissed_one_stays_quiet_and_a_confirmed_one_comes_sooner() {
    let mut street = Street::new(14.0);
    street.blocked(0, 5);
    let id = street.room.active().next().expect("it is seen").id;
    let said = |is_confirmed| IncidentOrder {
        incident: id,
        is_confirmed,
    };
    street.close_with(5, &[], &[], &[said(false), said(true)]);
    assert_eq!(
        street.changes.last().unwrap().state,
        IncidentState::Dismissed
    );
    assert_eq!(street.room.orders_unknown(), 1);
    let before = street.changes.len();
    street.blocked(6, 9);
    assert_eq!(street.changes.len(), before, "{:?}", street.changes.last());

    let mut street = Street::new(14.0);
    street.blocked(0, 3);
    let suspected = street.changes.last().expect("it is suspected").clone();
    let order = IncidentOrder {
        incident: suspected.id,
        is_confirmed: true,
    };
    street.close_with(3, &[], &[], &[order]);
    let change = street.changes.last().unwrap();
    assert_eq!(change.state, IncidentState::Confirmed);
    assert!(change.evidence.contains(&IncidentEvidence::Operator));
}

#[test]
fn neither_order_nor_a_restart_changes_anything() {
    let run = |is_reversed: bool, restart_at: Option<i64>| {
        let mut street = Street::new(14.0);
        for minute in 0..16 {
            let stand_s = (minute + 1) as f32 * 60.0;
            let mut stays = vec![
                standing(MIDDLE, minute, 140.0, stand_s),
                driving(MIDDLE, minute, 5, 12.0),
                standing(FIRST, minute, 200.0, 50.0),
                driving(LAST, minute, 8, 13.0),
            ];
            if minute > 9 {
                stays.remove(0);
            }
            if is_reversed {
                stays.reverse();
            }
            street.close(minute, &stays, &[]);
            if restart_at == Some(minute) {
                let bytes = street.restart();
                let mut again = Vec::new();
                street.room.snapshot(&mut again);
                assert_eq!(again, bytes);
                let cut = &bytes[..bytes.len() - 1];
                let is_refused = street.room.restore(cut).is_err();
                assert!(is_refused);
            }
        }
        street.changes
    };
    let plain = run(false, None);
    assert!(plain.len() >= 3, "{plain:?}");
    assert_eq!(run(true, None), plain);
    for minute in 0..16 {
        assert_eq!(run(false, Some(minute)), plain, "restart after {minute}");
    }
}

#[test]
fn a_lane_that_lets_nobody_through_is_one_where_the_other_does() {
    let mut street = Street::new(14.0);
    for lane in 0..2 {
        let place = DetectorPlace {
            segment: SegmentId(MIDDLE),
            offset_m: BLOCK_M - 60.0,
            length_m: 60.0,
            lane,
            kind: DetectorKind::Area,
        };
        street.detectors.insert(&format!("area{lane}"), place);
    }
    let reading = |minute: i64, lane: u8, sampled_s: f32, speed_mps: f32| DetectorReading {
        start: Timestamp::from_secs(minute * 60),
        end: Timestamp::from_secs(minute * 60 + 60),
        detector: format!("area{lane}").as_str().into(),
        vehicle_count: 6.0,
        speed_mps: Some(speed_mps),
        occupancy: Some(0.3),
        sampled_seconds: Some(sampled_s),
        queue_length_m: None,
    };
    for minute in 0..16 {
        let blocked_mps = if minute < 10 { 5.0 } else { 0.05 };
        let readings = [
            reading(minute, 0, 70.0, blocked_mps),
            reading(minute, 1, 80.0, 5.0),
        ];
        street.close(minute, &[], &readings);
    }
    let confirmed = street.changes.last().expect("it is seen");
    assert_eq!(confirmed.state, IncidentState::Confirmed);
    assert_eq!((confirmed.lanes_blocked, confirmed.lanes), (1, 2));
    assert!(
        confirmed.at <= Timestamp::from_secs(16 * 60),
        "{confirmed:?}"
    );
}

#[test]
fn a_fast_road_that_always_crawls_is_none_and_one_that_was_free_is() {
    let crawl = |street: &mut Street, from: i64, until: i64| {
        for minute in from..until {
            let stays = [0, 10, 20].map(|from_s| driving(MIDDLE, minute, from_s, 3.0));
            street.close(minute, &stays, &[]);
        }
    };
    let mut usual = Street::new(30.0);
    crawl(&mut usual, 0, 30);
    assert_eq!(usual.changes, []);

    let mut sudden = Street::new(30.0);
    for minute in 0..5 {
        let stays = [driving(MIDDLE, minute, 5, 28.0)];
        sudden.close(minute, &stays, &[]);
    }
    crawl(&mut sudden, 5, 8);
    let change = sudden.changes.last().expect("it is seen");
    assert_eq!(change.state, IncidentState::Confirmed);
    assert_eq!(change.kind, IncidentKind::SuddenJam);
}

#[test]
fn near_a_known_incident_a_stand_must_be_longer() {
    let begins = |is_known: bool| {
        let mut street = Street::new(14.0);
        street.free(0, 3);
        for minute in 3..16 {
            let mut stays = vec![driving(FIRST, minute, 5, 12.0)];
            if is_known {
                let stand_s = (minute - 2) as f32 * 60.0;
                stays.push(standing(FIRST, minute, 60.0, stand_s));
            }
            if minute >= 8 {
                let stand_s = (minute - 7) as f32 * 60.0;
                stays.push(driving(MIDDLE, minute, 5, 12.0));
                stays.push(standing(LAST, minute, 140.0, stand_s));
            }
            street.close(minute, &stays, &[]);
        }
        let mut at_last = street
            .changes
            .iter()
            .filter(|c| c.segment == SegmentId(LAST));
        at_last.next().expect("it is seen").at.as_secs() / 60 - 8
    };
    // 112 s, and 1.6 times as much.
    assert_eq!(begins(false), 2);
    assert_eq!(begins(true), 3);
}
