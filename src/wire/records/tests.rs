use proptest::prelude::*;

use super::*;
use crate::units::Timestamp;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn decoded(payload: &[u8]) -> Decoded {
    let context = Context {
        received_at: at(1_764_000_000_000),
        device: Some("dev"),
        records_max: 100,
        light_codes: crate::wire::records::LightCodes::public(),
    };
    let mut out = Decoded::default();
    decode(payload, &context, &mut out);
    out
}

#[test]
fn every_kind_is_read() {
    let out = decoded(
        br#"{"records":[
        {"kind":"detector","id":"E1","start":1764000000000,"end":1764000060000,"count":12,
         "speed":13.5,"occupancy":0.25,"queue_length":40},
        {"kind":"passage","ts":1764000000000,"site":"G1","lane":2,"vehicle":"plate","speed":20},
        {"kind":"parking","lot":"P1","ts":1764000000000,"capacity":200,"free":17},
        {"kind":"event","id":4,"ts":1764000000000,"type":707,"lon":114.3,"lat":30.6,"radius":50},
        {"kind":"signal","ts":1764000000000,"junction":"J1","phase":3,"light":"red","ends_in":12},
        {"kind":"signal","ts":1764000000000,"junction":"J1","phase":3,"system":"csae53","code":6},
        {"kind":"bus","id":"B1","ts":1764000000000,"lon":114.3,"lat":30.6,"speed":8}]}"#,
    );
    assert_eq!(out.rejected.total(), 0, "{out:?}");
    assert_eq!((out.observations.len(), out.detectors.len()), (1, 1));
    let labels: Vec<&str> = out.readings.iter().map(Reading::label).collect();
    assert_eq!(labels, ["passage", "parking", "event", "signal", "signal"]);
    let Reading::Passage(passage) = &out.readings[0] else {
        panic!("{out:?}")
    };
    assert_eq!(passage.vehicle, Some(subject_id(b"plate")));
    let Reading::Event(event) = &out.readings[2] else {
        panic!("{out:?}")
    };
    assert_eq!(
        (&*event.source, event.code),
        ("dev", EventCode::Gbt29100(707))
    );
    let Reading::Signal(signal) = &out.readings[4] else {
        panic!("{out:?}")
    };
    assert_eq!(signal.light, Light::ProtectedGreen);
}

#[test]
fn what_cannot_be_used_has_a_reason() {
    let check = |text: &str, reason| {
        let out = decoded(text.as_bytes());
        assert_eq!(out.rejected.get(reason), 1, "{text}: {out:?}");
        assert!(out.is_empty());
    };
    check("{\"kind\":\"ship\"}", RejectReason::UnsupportedKind);
    check("{}", RejectReason::MissingField);
    check("[1]", RejectReason::Malformed);
    check("{\"kind\":", RejectReason::Truncated);
    check(
        r#"{"kind":"parking","lot":"P","ts":1,"capacity":5,"free":6}"#,
        RejectReason::OutOfRange,
    );
    check(
        r#"{"kind":"signal","ts":1,"junction":"J","phase":1,"system":"gbt20999","code":1}"#,
        RejectReason::UnsupportedKind,
    );
    check(
        r#"{"kind":"detector","id":"E","start":2,"end":1,"count":1}"#,
        RejectReason::OutOfRange,
    );
}

prop_compose! {
    fn position()(lon in -180_000_000i32..180_000_000, lat in -90_000_000i32..90_000_000) -> Position {
        Position::new(f64::from(lon) / 1e6, f64::from(lat) / 1e6)
    }
}

fn quarter() -> impl Strategy<Value = Option<f32>> {
    proptest::option::of((0u16..280).prop_map(|steps| f32::from(steps) / 4.0))
}

fn name() -> impl Strategy<Value = std::sync::Arc<str>> {
    "[a-zA-Z0-9路口_-]{1,12}".prop_map(|name| name.as_str().into())
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0i64..4_000_000_000_000).prop_map(at)
}

fn record() -> impl Strategy<Value = NativeRecord> {
    let detector = (
        name(),
        time(),
        0i64..600_000,
        0u16..500,
        quarter(),
        quarter(),
    )
        .prop_map(
            |(detector, start, length_ms, count, speed_mps, queue_length_m)| {
                NativeRecord::Detector(DetectorReading {
                    start,
                    end: start.plus_millis(length_ms),
                    detector,
                    vehicle_count: f32::from(count),
                    speed_mps,
                    occupancy: Some(0.25),
                    sampled_seconds: queue_length_m,
                    queue_length_m,
                })
            },
        );
    let signal = (name(), time(), any::<u32>(), 0u64..9, quarter()).prop_map(
        |(junction, observed_at, phase, code, ends_in_s)| {
            NativeRecord::Reading(Reading::Signal(SignalReading {
                observed_at,
                junction,
                phase,
                light: Light::from_code(code).unwrap(),
                begins_in_s: None,
                ends_in_s,
            }))
        },
    );
    let event = (
        name(),
        time(),
        any::<u64>(),
        any::<(u32, u32)>(),
        0u8..4,
        position(),
    )
        .prop_map(
            |(source, observed_at, event, (code, sub_code), system, position)| {
                NativeRecord::Reading(Reading::Event(RoadEvent {
                    observed_at,
                    source,
                    event,
                    code: match system {
                        0 => EventCode::Gbt29100(code),
                        1 => EventCode::Gb5768(code),
                        2 => EventCode::Etsi(code, sub_code),
                        _ => EventCode::Maker(code),
                    },
                    position: (sub_code % 2 == 0).then_some(position),
                    radius_m: Some(50.0),
                    paths: Vec::new(),
                    lane: Some(code),
                    valid_from: Some(observed_at),
                    valid_until: None,
                    confidence: Some(0.5),
                    ended: sub_code % 3 == 0,
                    description: Some("x \"y\" 拥堵".into()),
                }))
            },
        );
    let parking = (name(), time(), any::<u32>(), position()).prop_map(
        |(lot, observed_at, capacity, position)| {
            NativeRecord::Reading(Reading::Parking(ParkingReading {
                observed_at,
                lot,
                position: Some(position),
                capacity,
                free: capacity / 3,
            }))
        },
    );
    let passage = (
        name(),
        time(),
        proptest::option::of(any::<u32>()),
        quarter(),
        0u8..3,
    )
        .prop_map(|(site, observed_at, lane, speed_mps, part)| {
            NativeRecord::Reading(Reading::Passage(Passage {
                observed_at,
                site,
                lane,
                vehicle: None,
                speed_mps,
                part: match part {
                    0 => PassagePart::Whole,
                    1 => PassagePart::Enters,
                    _ => PassagePart::Leaves,
                },
            }))
        });
    prop_oneof![detector, signal, event, parking, passage]
}

proptest! {
    #[test]
    fn records_come_back(records in proptest::collection::vec(record(), 0..8)) {
        let out = decoded(&encode_batch(&records));
        let detectors = out.detectors.into_iter().map(NativeRecord::Detector);
        let mut back: Vec<NativeRecord> = detectors.collect();
        back.extend(out.readings.into_iter().map(NativeRecord::Reading));
        let mut sorted = records;
        sorted.sort_by_key(|record| matches!(record, NativeRecord::Reading(_)));
        prop_assert_eq!(back, sorted);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        decoded(&bytes);
    }

    #[test]
    fn a_record_cut_anywhere_has_a_reason(record in record(), share in 0.0f64..1.0) {
        let whole = encode_record(&record).unwrap();
        let cut = (whole.len() as f64 * share) as usize;
        let out = decoded(&whole[..cut]);
        prop_assert_eq!(out.rejected.get(RejectReason::Truncated) + out.rejected.get(RejectReason::Malformed), 1);
    }
}
