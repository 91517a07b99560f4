use proptest::prelude::*;

use super::*;
use crate::observation::{EventCode, Origin, RoadEvent};
use crate::units::Position;
use crate::wire::asn1::csae2019::{Description, MessageFrame, decode_frame as decode_one};
use crate::wire::subject_id;

fn decoded(payload: &[u8], received_at: Timestamp) -> Decoded {
    let mut out = Decoded::default();
    decode(
        payload,
        Dialect::Csae2019,
        received_at,
        usize::MAX,
        &mut out,
    );
    out
}

fn bsm(at: Timestamp, position: Position) -> BsmRecord {
    BsmRecord {
        id: *b"veh-0042",
        message_count: 200,
        observed_at: at,
        position,
        speed_mps: Some(13.88),
        heading_deg: Some(271.25),
        accel_mps2: Some(-1.5),
        length_m: 4.6,
        width_m: 1.8,
    }
}

fn participant(at: Timestamp, position: Position) -> RsmParticipant {
    RsmParticipant {
        participant_id: 7,
        kind: ParticipantKind::Motor,
        observed_at: at,
        position,
        speed_mps: Some(8.0),
        heading_deg: Some(90.0),
        length_m: 4.6,
        width_m: 1.8,
    }
}

const RSU: [u8; 8] = *b"RSU-0001";
const HERE: Position = Position::new(114.3, 30.6);

#[test]
fn a_bsm_is_what_the_vehicle_said() {
    let at = Timestamp::from_millis(1_764_000_059_900);
    let received_at = at.plus_millis(250);
    let out = decoded(&encode_bsm(&bsm(at, HERE)), received_at);
    assert_eq!(out.rejected.total(), 0);
    let [observation] = out.observations[..] else {
        panic!("{out:?}");
    };
    assert_eq!(observation.observed_at, at);
    assert_eq!(observation.subject, subject_id(b"veh-0042"));
    assert_eq!(observation.origin, Origin::Bsm);
    assert!((observation.speed_mps.unwrap() - 13.88).abs() < 0.011);
    assert!((observation.heading_deg.unwrap() - 271.25).abs() < 0.007);
    assert_eq!(observation.accuracy_m, None);
}

#[test]
fn unknown_values_of_a_bsm_are_none_or_counted() {
    let at = Timestamp::from_secs(1_764_000_000);
    let silent = BsmRecord {
        speed_mps: None,
        heading_deg: None,
        ..bsm(at, HERE)
    };
    let observation = decoded(&encode_bsm(&silent), at).observations[0];
    assert_eq!(
        (observation.speed_mps, observation.heading_deg),
        (None, None)
    );

    let check = |record: BsmRecord, reason| {
        let out = decoded(&encode_bsm(&record), at);
        assert_eq!(out.rejected.get(reason), 1, "{record:?}: {out:?}");
        assert!(out.observations.is_empty());
    };
    let nowhere = Position::new(f64::NAN, 0.0);
    check(bsm(at, nowhere), RejectReason::MissingField);
    let fast = BsmRecord {
        speed_mps: Some(80.0),
        ..bsm(at, HERE)
    };
    check(fast, RejectReason::OutOfRange);
}

#[test]
fn only_motor_vehicles_of_an_rsm_are_observations() {
    let at = Timestamp::from_secs(1_764_000_000);
    let kinds = [
        ParticipantKind::Unknown,
        ParticipantKind::Motor,
        ParticipantKind::NonMotor,
        ParticipantKind::Pedestrian,
        ParticipantKind::Rsu,
    ];
    let participants: Vec<_> = kinds
        .into_iter()
        .zip(1..)
        .map(|(kind, participant_id)| RsmParticipant {
            kind,
            participant_id,
            ..participant(at, HERE)
        })
        .collect();
    let frame = encode_rsm(RSU, 1, HERE, &participants).unwrap();
    let out = decoded(&frame, at);
    let subjects: Vec<_> = out.observations.iter().map(|o| o.subject).collect();
    assert_eq!(subjects, [rsm_subject(RSU, 1), rsm_subject(RSU, 2)]);
    assert!(out.observations.iter().all(|o| o.origin == Origin::Rsm));
    assert_eq!(out.rejected.get(RejectReason::UnsupportedKind), 3);

    let mut limited = Decoded::default();
    decode(&frame, Dialect::Csae2020, at, 1, &mut limited);
    assert_eq!(limited.rejected.get(RejectReason::TooManyRecords), 1);
}

#[test]
fn an_rsm_holds_one_to_sixteen() {
    let at = Timestamp::from_secs(0);
    assert!(encode_rsm(RSU, 0, HERE, &[]).is_err());
    assert!(encode_rsm(RSU, 0, HERE, &[participant(at, HERE); 17]).is_err());
    let frame = encode_rsm(RSU, 0, HERE, &[participant(at, HERE); PARTICIPANTS_MAX]).unwrap();
    assert_eq!(decoded(&frame, at).observations.len(), PARTICIPANTS_MAX);
}

#[test]
fn congestion_leaves_as_an_rsi_event() {
    let line: Vec<_> = (0..80)
        .map(|n| Position::new(HERE.lon_deg + 1e-4 * f64::from(n), HERE.lat_deg))
        .collect();
    let event = CongestionEvent {
        event_id: 3,
        source: EventSource::Detection,
        position: line[0],
        radius_m: 50.0,
        priority: 5,
        paths: std::slice::from_ref(&line),
        path_radius_m: 7.5,
        description: Some("queue 800 m"),
        start: Timestamp::from_secs(1_764_000_000),
        end: Timestamp::from_secs(1_764_000_600),
        confidence: Some(0.8),
    };
    let head = RsiHead {
        rsu_id: RSU,
        message_count: 9,
        issued_at: Timestamp::from_secs(1_764_000_030),
        reference: HERE,
    };
    let write = |dialect, event: &CongestionEvent<'_>| {
        encode_rsi_congestion(dialect, head, std::slice::from_ref(event))
    };
    let frame = write(Dialect::Csae2019, &event).unwrap();
    let MessageFrame::RsiFrame(rsi) = decode_one(&frame).unwrap() else {
        panic!("not an RSI");
    };
    assert_eq!(rsi.moy, Some(minute_of_the_year(head.issued_at)));
    let rte = &rsi.rtes.unwrap()[0];
    assert_eq!((rte.event_type, rte.event_radius), (707, Some(500)));
    assert_eq!(rte.priority.as_ref().unwrap()[..], [0b1010_0000]);
    assert_eq!(rte.event_confidence, Some(160));
    assert!(matches!(rte.description, Some(Description::TextString(_))));
    let time = rte.time_details.as_ref().unwrap();
    assert_eq!(time.end_time.unwrap() - time.start_time.unwrap(), 10);
    let path = &rte.reference_paths.as_ref().unwrap()[0];
    assert_eq!((path.active_path.len(), path.path_radius), (32, 75));
    let ends = [&path.active_path[0], &path.active_path[31]]
        .map(|point| quantity::resolve_offset(&rsi.ref_pos, &point.offset_ll).unwrap());
    assert!(ends[0].distance_to(line[0]).value() < 0.02);
    assert!(ends[1].distance_to(line[79]).value() < 0.02);

    let chinese = CongestionEvent {
        description: Some("前方拥堵"),
        ..event.clone()
    };
    let shown = write(Dialect::Csae2020, &chinese).unwrap();
    let shown = crate::wire::asn1::json::from_frame(Dialect::Csae2020, &shown).unwrap();
    assert_eq!(
        shown["decoded"]["/rtes/0/description/textGB2312"],
        "前方拥堵"
    );
    let nowhere = CongestionEvent {
        paths: &[],
        ..event
    };
    for dialect in Dialect::ALL {
        assert!(write(dialect, &nowhere).is_err());
    }
}

#[test]
fn congestion_that_leaves_comes_back_as_an_event() {
    let minute = |minutes: i64| Timestamp::from_secs(1_764_000_000 + 60 * minutes);
    let paths = [vec![HERE, Position::new(114.301, 30.6)]];
    let event = CongestionEvent {
        event_id: 3,
        source: EventSource::Detection,
        position: HERE,
        radius_m: 50.0,
        priority: 5,
        paths: &paths,
        path_radius_m: 7.5,
        description: Some("前方拥堵800米"),
        start: minute(0),
        end: minute(10),
        confidence: Some(0.8),
    };
    let head = RsiHead {
        rsu_id: RSU,
        message_count: 9,
        issued_at: minute(5),
        reference: HERE,
    };
    for dialect in Dialect::ALL {
        let frame = encode_rsi_congestion(dialect, head, &[event.clone(), event.clone()]).unwrap();
        // It was sent somewhere in its minute, which had passed when it came.
        let received_at = minute(6).plus_millis(700);
        let mut out = Decoded::default();
        decode(&frame, dialect, received_at, 1, &mut out);
        assert_eq!(out.rejected.get(RejectReason::TooManyRecords), 1);
        let [Reading::Event(told)] = &out.readings[..] else {
            panic!("{out:?}");
        };
        let expected = RoadEvent {
            observed_at: minute(6).plus_millis(-1),
            source: "RSU-0001".into(),
            event: 3,
            code: EventCode::Gbt29100(707),
            position: Some(HERE),
            radius_m: Some(50.0),
            paths: paths.to_vec(),
            lane: None,
            valid_from: Some(minute(0)),
            valid_until: Some(minute(10)),
            confidence: Some(0.8),
            ended: false,
            description: Some("前方拥堵800米".into()),
        };
        assert_eq!(*told, expected, "{dialect}");
        assert_eq!(out.unit, Some(crate::wire::unit_id(b"RSU-0001")));
    }
}

#[test]
fn envelopes_hold_frames_of_either_form() {
    let at = Timestamp::from_millis(1_764_000_000_123);
    let bsms: Vec<_> = (0..3).map(|_| encode_bsm(&bsm(at, HERE))).collect();
    let rsms = vec![encode_rsm(RSU, 1, HERE, &[participant(at, HERE); 2]).unwrap(); 2];
    for (frames, records) in [(&bsms, 3), (&rsms, 4)] {
        let mut payload = Vec::new();
        encode_envelope(RSU, at, frames, &mut payload);
        let envelope = Envelope::parse(&payload).unwrap();
        assert_eq!((envelope.rsu_id, envelope.sent_at), (RSU, at));
        assert_eq!(envelope.frames, *frames);
        let mut out = Decoded::default();
        decode_enveloped(&payload, Dialect::Csae2019, usize::MAX, &mut out);
        assert_eq!(out.observations.len(), records);

        payload.push(0);
        assert!(Envelope::parse(&payload).is_err());
        payload.truncate(payload.len() - 2);
        assert_eq!(Envelope::parse(&payload), Err(FrameError::Truncated));
    }
}

#[test]
fn every_truncation_and_tail_of_a_frame_is_counted() {
    let at = Timestamp::from_secs(1_764_000_000);
    for frame in [
        encode_bsm(&bsm(at, HERE)),
        encode_rsm(RSU, 1, HERE, &[participant(at, HERE); 3]).unwrap(),
    ] {
        for end in 0..frame.len() {
            let out = decoded(&frame[..end], at);
            assert_eq!(
                out.rejected.get(RejectReason::Truncated),
                1,
                "{end}: {out:?}"
            );
            assert!(out.observations.is_empty());
        }
        let tailed = [&frame[..], &[0]].concat();
        let out = decoded(&tailed, at);
        assert_eq!(out.rejected.get(RejectReason::TrailingBytes), 1);
        assert!(out.observations.is_empty());
    }
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(
        lon in -179.0..179.0, lat in -89.0..89.0, east in -0.9..0.9, north in -0.9..0.9,
        ms in 0i64..4_000_000_000_000, delay in 0i64..20_000, speed in 0f32..70.0, heading in 0f32..360.0,
    ) {
        let at = Timestamp::from_millis(ms);
        let reference = Position::new(lon, lat);
        // Squares on squares spread the offsets over all widths.
        let position = Position::new(lon + east * east * east * east, lat + north * north * north);
        let (speed_mps, heading_deg) = (Some(speed), Some(heading));
        let own = encode_bsm(&BsmRecord { speed_mps, heading_deg, ..bsm(at, position) });
        let seen = RsmParticipant { speed_mps, heading_deg, ..participant(at, position) };
        let seen = encode_rsm(RSU, 1, reference, &[seen]).unwrap();
        for frame in [own, seen] {
            let out = decoded(&frame, at.plus_millis(delay));
            prop_assert_eq!(out.observations.len(), 1);
            let observation = out.observations[0];
            prop_assert_eq!(observation.observed_at, at);
            prop_assert!((observation.position.lon_deg - position.lon_deg).abs() <= 0.51e-7);
            prop_assert!((observation.position.lat_deg - position.lat_deg).abs() <= 0.51e-7);
            prop_assert!((observation.speed_mps.unwrap() - speed).abs() <= 0.0101);
            let turn = crate::units::heading_difference_deg(observation.heading_deg.unwrap(), heading);
            prop_assert!(turn <= 0.0064, "{}", turn);
        }
    }

    #[test]
    fn garbage_never_panics(bytes: Vec<u8>, at in 0usize..60, byte: u8) {
        let now = Timestamp::from_secs(1_764_000_000);
        let mut frame = encode_rsm(RSU, 1, HERE, &[participant(now, HERE); 2]).unwrap();
        let mut envelope = Vec::new();
        encode_envelope(RSU, now, &[&frame, &frame], &mut envelope);
        let place = at % frame.len();
        frame[place] = byte;
        envelope[at] = byte;
        for payload in [&bytes, &frame, &envelope] {
            let mut out = Decoded::default();
            decode(payload, Dialect::Csae2019, now, 100, &mut out);
            decode_enveloped(payload, Dialect::Csae2020, 100, &mut out);
            prop_assert!(out.observations.len() as u64 + out.rejected.total() > 0);
        }
    }
}
