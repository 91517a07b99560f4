use super::*;
use crate::observation::PassagePart;
use crate::units::{Position, SubjectId};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn minute(start_s: i64) -> Interval {
    Interval {
        start: at(start_s),
        end: at(start_s + 60),
    }
}

fn signal(seconds: i64, light: Light, begins_in_s: f32) -> SignalReading {
    SignalReading {
        observed_at: at(seconds),
        junction: "1-5".into(),
        phase: 3,
        light,
        begins_in_s: Some(begins_in_s),
        ends_in_s: Some(begins_in_s + 10.0),
    }
}

fn event(seconds: i64, number: u64, valid_until: Option<i64>) -> RoadEvent {
    RoadEvent {
        observed_at: at(seconds),
        source: "R1".into(),
        event: number,
        code: EventCode::Gbt29100(707),
        position: Some(Position::new(114.3, 30.6)),
        radius_m: Some(50.0),
        paths: vec![vec![
            Position::new(114.3, 30.6),
            Position::new(114.31, 30.6),
        ]],
        lane: Some(2),
        valid_from: None,
        valid_until: valid_until.map(at),
        confidence: Some(0.5),
        ended: false,
        description: Some("拥堵".into()),
    }
}

fn passage(seconds: i64, lane: Option<u32>, vehicle: u64, speed_mps: Option<f32>) -> Passage {
    Passage {
        observed_at: at(seconds),
        site: "K1".into(),
        lane,
        vehicle: Some(SubjectId(vehicle)),
        speed_mps,
        part: PassagePart::Whole,
    }
}

fn parking(seconds: i64, free: u32, position: Option<Position>) -> ParkingReading {
    ParkingReading {
        observed_at: at(seconds),
        lot: "P1".into(),
        position,
        capacity: 200,
        free,
    }
}

#[test]
fn the_newest_states_of_a_phase_hold_until_they_are_old() {
    let mut roadside = Roadside::default();
    let check = |roadside: &mut Roadside, signal: SignalReading, expected| {
        assert_eq!(roadside.take_signal(&signal), expected, "{signal:?}");
    };
    check(&mut roadside, signal(10, Light::Yellow, 20.0), Ok(()));
    check(
        &mut roadside,
        signal(10, Light::ProtectedGreen, 0.0),
        Ok(()),
    );
    check(&mut roadside, signal(10, Light::Red, 23.0), Ok(()));
    let view = roadside.view(at(60), &Arc::default(), 0);
    let (now, next) = view.signals[0].now_and_next();
    assert_eq!(now.map(|state| state.light), Some(Light::ProtectedGreen));
    assert_eq!(next.map(|state| state.light), Some(Light::Yellow));

    check(
        &mut roadside,
        signal(10, Light::Red, 23.0),
        Err(RejectReason::Duplicate),
    );
    check(
        &mut roadside,
        signal(9, Light::Red, 0.0),
        Err(RejectReason::OutOfOrder),
    );
    check(&mut roadside, signal(30, Light::Yellow, 0.0), Ok(()));
    roadside.close(minute(240), &mut Vec::new());
    let view = roadside.view(at(300), &Arc::default(), 0);
    assert_eq!(view.signals[0].states.len(), 1);
    roadside.close(minute(300), &mut Vec::new());
    assert!(
        roadside
            .view(at(360), &Arc::default(), 0)
            .signals
            .is_empty()
    );
}

#[test]
fn an_event_is_in_force_until_it_ends_runs_out_or_is_told_no_more() {
    let mut roadside = Roadside::default();
    for event in [event(0, 1, Some(90)), event(0, 2, None), event(0, 3, None)] {
        roadside.take_event(event).unwrap();
    }
    let mut sign = event(0, 3, None);
    sign.code = EventCode::Gb5768(1);
    roadside.take_event(sign).unwrap();
    let numbers = |roadside: &mut Roadside, start_s| -> Vec<u64> {
        roadside.close(minute(start_s), &mut Vec::new());
        let view = roadside.view(at(start_s + 60), &Arc::default(), 0);
        view.events.iter().map(|event| event.event).collect()
    };
    assert_eq!(
        numbers(&mut roadside, 0),
        [1, 2, 3, 3],
        "a sign has numbers of its own"
    );
    let mut ended = event(30, 3, None);
    ended.ended = true;
    roadside.take_event(ended).unwrap();
    let older = roadside.take_event(event(-1, 2, None));
    assert_eq!(older, Err(RejectReason::OutOfOrder));
    assert_eq!(
        numbers(&mut roadside, 60),
        [1, 2, 3][1..],
        "the first has run out"
    );
    roadside.take_event(event(1_000, 2, None)).unwrap();
    assert_eq!(
        numbers(&mut roadside, 1_800),
        [2],
        "the sign was not told again"
    );
}

#[test]
fn passages_become_one_reading_a_lane_and_minute() {
    let mut roadside = Roadside::default();
    let mut entering = passage(5, Some(1), 9, None);
    entering.part = PassagePart::Enters;
    for passage in [
        passage(5, Some(1), 1, Some(10.0)),
        passage(59, Some(1), 2, Some(14.0)),
        passage(30, Some(1), 3, None),
        entering,
        passage(30, None, 4, None),
        passage(60, Some(1), 1, Some(20.0)),
    ] {
        roadside.take_passage(&passage).unwrap();
    }
    let again = roadside.take_passage(&passage(30, Some(1), 3, None));
    assert_eq!(again, Err(RejectReason::Duplicate));
    let mut detectors = Vec::new();
    assert_eq!(roadside.close(minute(0), &mut detectors), 4);
    let found: Vec<_> = detectors
        .iter()
        .map(|reading| {
            (
                &*reading.detector,
                reading.vehicle_count as u32,
                reading.speed_mps,
            )
        })
        .collect();
    assert_eq!(found, [("K1", 1, None), ("K1/1", 3, Some(12.0))]);
    assert_eq!((detectors[0].start, detectors[0].end), (at(0), at(60)));
    detectors.clear();
    assert_eq!(roadside.close(minute(60), &mut detectors), 1);
    assert_eq!(detectors[0].speed_mps, Some(20.0));
}

#[test]
fn a_car_park_keeps_its_place() {
    let mut roadside = Roadside::default();
    let here = Some(Position::new(114.3, 30.6));
    roadside.take_parking(parking(0, 17, here)).unwrap();
    roadside.take_parking(parking(60, 18, None)).unwrap();
    let older = roadside.take_parking(parking(59, 1, None));
    assert_eq!(older, Err(RejectReason::OutOfOrder));
    let view = roadside.view(at(60), &Arc::default(), 0);
    assert_eq!(view.parking, [parking(60, 18, here)]);
}

#[test]
fn the_memory_comes_back_and_broken_bytes_do_not() {
    let mut roadside = Roadside::default();
    roadside.take_signal(&signal(10, Light::Red, 0.0)).unwrap();
    roadside.take_event(event(0, 1, Some(90))).unwrap();
    roadside.take_parking(parking(0, 17, None)).unwrap();
    roadside
        .take_passage(&passage(5, Some(1), 1, Some(10.0)))
        .unwrap();
    let mut bytes = Vec::new();
    roadside.snapshot(&mut bytes);
    assert_eq!(Roadside::restore(&bytes), Ok(roadside));
    for end in 0..bytes.len() {
        assert!(Roadside::restore(&bytes[..end]).is_err(), "{end}");
    }
}
