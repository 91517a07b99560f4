use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::units::Timestamp;
use crate::wire::{ProbeRecord, VehicleName};

fn decoded(payload: &[u8]) -> Decoded {
    let mut out = Decoded::default();
    decode(payload, usize::MAX, &mut out);
    out
}

/// The counted reasons of a payload, by label.
fn reasons(payload: &str) -> Vec<(&'static str, u64)> {
    decoded(payload.as_bytes())
        .rejected
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| (reason.label(), count))
        .collect()
}

/// What the decoder should say of a record, written down once more on top of `serde_json`.
fn expected(record: &Value) -> Result<Observation, RejectReason> {
    let Some(members) = record.as_object() else {
        return Err(RejectReason::Malformed);
    };
    let number = |key: &str| match members.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(RejectReason::Malformed),
    };
    let subject = match members.get("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if name.is_empty() => None,
        Some(Value::String(name)) if name.len() <= ID_BYTES_MAX => {
            Some(subject_id(name.as_bytes()))
        }
        Some(Value::Number(n)) if n.is_i64() || n.is_u64() => {
            Some(subject_id(n.to_string().as_bytes()))
        }
        Some(_) => return Err(RejectReason::Malformed),
    };
    let (ts, lon, lat) = (number("ts")?, number("lon")?, number("lat")?);
    let (speed_mps, heading_deg) = (number("speed")?, number("heading")?);
    let (Some(subject), Some(ts), Some(lon), Some(lat)) = (subject, ts, lon, lat) else {
        return Err(RejectReason::MissingField);
    };
    Fix {
        observed_ms: ts.round() as i64,
        subject,
        position: Position::new(lon, lat),
        speed_mps,
        heading_deg,
    }
    .observation(Origin::Probe)
}

const GOOD: &str = r#"{"id":"veh-17","ts":1764000000000,"lon":114.2999512,"lat":30.5955177,"speed":12.5,"heading":87.5,"accel":0.1,"type":"car"}"#;

#[test]
fn reads_the_documented_record() {
    let out = decoded(GOOD.as_bytes());
    assert_eq!(
        out.observations,
        [Observation {
            observed_at: Timestamp::from_millis(1_764_000_000_000),
            subject: subject_id(b"veh-17"),
            position: Position::new(114.299_951_2, 30.595_517_7),
            speed_mps: Some(12.5),
            heading_deg: Some(87.5),
            accuracy_m: None,
            altitude_m: None,
            origin: Origin::Probe,
            observer: crate::units::ObserverId::ITSELF,
            view: crate::units::ViewId::NONE,
        }]
    );
    assert_eq!(out.rejected.total(), 0);
}

#[test]
fn reads_members_in_any_order_with_spaces_escapes_and_nested_strangers() {
    let payload = " {\"x\" : {\"a\":[1,{\"b\":null}],\"id\":\"no\"},\n\"lat\":-3.05955177e1 , \
                   \"lon\":1142999512e-7,\"ts\":5,\"heading\":360,\"speed\":null,\
                   \"\\u0069d\":\"\\u8f66\\ud83d\\ude97\\\"\"}\r\n";
    let out = decoded(payload.as_bytes());
    let observation = out.observations[0];
    assert_eq!(observation.subject, subject_id("车🚗\"".as_bytes()));
    assert_eq!(
        observation.position,
        Position::new(114.299_951_2, -30.595_517_7)
    );
    assert_eq!(observation.heading_deg, Some(0.0));
    assert_eq!(observation.speed_mps, None);
}

#[test]
fn a_number_and_its_digits_are_one_subject() {
    let with_id = |id: &str| decoded(GOOD.replace("\"veh-17\"", id).as_bytes()).observations[0];
    assert_eq!(with_id("417").subject, with_id("\"417\"").subject);
}

#[test]
fn problems_are_named() {
    let instead = |from: &str, to: &str| GOOD.replace(from, to);
    let cases = [
        ("".to_owned(), "truncated"),
        ("nonsense".to_owned(), "malformed"),
        ("[]".to_owned(), "malformed"),
        ("{}".to_owned(), "missing_field"),
        (GOOD[..60].to_owned(), "truncated"),
        (format!("{GOOD}x"), "trailing_bytes"),
        (instead("\"veh-17\"", "null"), "missing_field"),
        (instead("\"veh-17\"", "\"\""), "missing_field"),
        (instead("\"veh-17\"", "1.5"), "malformed"),
        (instead("\"ts\"", "\"t\""), "missing_field"),
        (instead("114.2999512", "\"114\""), "malformed"),
        (instead("114.2999512", "180.0000001"), "out_of_range"),
        (instead("114.2999512", "1e999"), "out_of_range"),
        (instead("114.2999512", "NaN"), "malformed"),
        (instead("30.5955177", "030.5"), "malformed"),
        (instead("30.5955177", "30."), "malformed"),
        (instead("30.5955177", "-91"), "out_of_range"),
        (instead("12.5", "70.5"), "out_of_range"),
        (instead("12.5", "-0.5"), "out_of_range"),
        (instead("87.5", "361"), "out_of_range"),
        (instead("1764000000000", "-1"), "out_of_range"),
        (instead("1764000000000", "1764000000000000"), "out_of_range"),
        (instead("\"car\"", "tru"), "malformed"),
        (instead("\"car\"", "\"\\x\""), "malformed"),
        (instead("\"car\"", &"[".repeat(5000)), "malformed"),
    ];
    for (payload, reason) in cases {
        assert_eq!(reasons(&payload), [(reason, 1)], "{payload}");
    }
}

#[test]
fn a_batch_keeps_what_can_be_read() {
    let payload = format!(r#"{{"v":1,"records":[{GOOD},{{}},7,{GOOD},{{"id":"#);
    let out = decoded(payload.as_bytes());
    assert_eq!(out.observations.len(), 2);
    assert_eq!(
        reasons(&payload),
        [("truncated", 1), ("malformed", 1), ("missing_field", 1)]
    );
    let mut limited = Decoded::default();
    let payload = format!(r#"{{"records":[{GOOD},{GOOD},{GOOD}]}}"#);
    decode(payload.as_bytes(), 2, &mut limited);
    assert_eq!(limited.observations.len(), 2);
    assert_eq!(limited.rejected.get(RejectReason::TooManyRecords), 1);
    assert_eq!(decoded(br#"{"records":[]}"#).rejected.total(), 0);
}

#[test]
fn every_truncation_is_counted_once() {
    for end in 0..GOOD.len() {
        assert_eq!(
            reasons(&GOOD[..end]),
            [("truncated", 1)],
            "{}",
            &GOOD[..end]
        );
    }
}

/// Any JSON value that a member could have.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-400.0..400.0).prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

const KEYS: &[&str] = &[
    "id", "ts", "lon", "lat", "speed", "heading", "accel", "extra",
];

/// Records that are mostly right, with a few members replaced or taken away.
fn any_record() -> impl Strategy<Value = Value> {
    let right = (".{1,40}", 0i64..4_000_000_000_000, -181.0..181.0, -91.0..91.0)
        .prop_flat_map(|(id, ts, lon, lat)| {
            (Just((id, ts, lon, lat)), -1.0..71.0, -361.0..361.0)
        })
        .prop_map(|((id, ts, lon, lat), speed, heading)| {
            json!({"id": id, "ts": ts, "lon": lon, "lat": lat, "speed": speed, "heading": heading})
        });
    let changes = prop::collection::vec((prop::sample::select(KEYS), any_value()), 0..3);
    let losses = prop::collection::vec(prop::sample::select(KEYS), 0..2);
    (right, changes, losses).prop_map(|(mut record, changes, losses)| {
        let members = record.as_object_mut().unwrap();
        for key in losses {
            members.remove(key);
        }
        members.extend(
            changes
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value)),
        );
        record
    })
}

#[test]
fn the_quality_of_the_fix_becomes_accuracy() {
    let accuracy = |members: &str| {
        let mut out = Decoded::default();
        let record = format!(r#"{{"id":"v","ts":1,"lon":114.3,"lat":30.6{members}}}"#);
        decode(record.as_bytes(), 10, &mut out);
        out.observations.first().map(|seen| seen.accuracy_m)
    };
    let radius_95 = |metres: f32| Some(Some(metres / 2.448));
    assert_eq!(accuracy(""), Some(None));
    assert_eq!(accuracy(r#","fix":1"#), radius_95(8.0));
    assert_eq!(accuracy(r#","fix":2"#), radius_95(2.5));
    assert_eq!(accuracy(r#","fix":5"#), radius_95(0.5));
    assert_eq!(accuracy(r#","fix":4"#), radius_95(0.05));
    assert_eq!(accuracy(r#","fix":0"#), Some(None));
    assert_eq!(accuracy(r#","fix":4,"accuracy":3"#), Some(Some(3.0)));
    assert_eq!(accuracy(r#","accuracy":-1"#), None);
}

proptest! {
    #[test]
    fn agrees_with_serde_json(records in prop::collection::vec(any_record(), 0..6), pretty: bool) {
        let mut wanted = Decoded::default();
        for record in &records {
            push(expected(record), usize::MAX, &mut wanted);
        }
        let batch = json!({"records": records, "sent": 1});
        let payload = if pretty {
            serde_json::to_vec_pretty(&batch).unwrap()
        } else {
            serde_json::to_vec(&batch).unwrap()
        };
        let out = decoded(&payload);
        prop_assert_eq!(out.observations, wanted.observations);
        prop_assert_eq!(out.rejected, wanted.rejected);
        if let [record] = &records[..] {
            let single = decoded(&serde_json::to_vec(record).unwrap());
            prop_assert_eq!(single.observations.first().copied(), expected(record).ok());
        }
    }

    #[test]
    fn accepts_what_serde_json_accepts(text in r#"[\[\]{}",:.eE+\-0-9 \\tnu]{0,24}"#) {
        // As an unknown member, any text is judged by grammar alone.
        let payload = format!(r#"{{"records":[],"x":{text}}}"#);
        let ours = decoded(payload.as_bytes()).rejected.total() == 0;
        let theirs = serde_json::from_str::<Value>(&payload);
        // Numbers beyond a double are grammar, not meaning, for a member that is skipped.
        let too_large = theirs.as_ref().is_err_and(|e| e.to_string().contains("out of range"));
        let surrogate = text.contains("\\u");
        prop_assert!(ours == theirs.is_ok() || too_large || surrogate, "{}", payload);
    }

    #[test]
    fn numbers_are_the_nearest_doubles(value: f64, mantissa: u64, places in 0usize..25) {
        let plain = format!("{mantissa:0>26}");
        let (whole, fraction) = plain.split_at(plain.len() - places);
        let plain = format!("{}.{fraction}0", whole.trim_start_matches('0').parse::<u64>().unwrap_or(0));
        for text in [plain, format!("{value:e}"), format!("{value}")] {
            if let (Ok(ours), Ok(std)) = (Cursor::new(text.as_bytes()).number(), text.parse::<f64>()) {
                prop_assert_eq!(ours.to_bits(), std.to_bits(), "{}", text);
            } else {
                prop_assert!(!value.is_finite(), "{}", text);
            }
        }
    }

    #[test]
    fn decoding_undoes_encoding(
        id in ".{1,32}", number: u64, ms in 0i64..4_000_000_000_000,
        lon in -180.0..180.0, lat in -90.0..90.0,
        speed in prop::option::of(0.0f32..70.0), heading in prop::option::of(0.0f32..359.99),
    ) {
        let record = ProbeRecord {
            id: VehicleName::Text(&id),
            observed_at: Timestamp::from_millis(ms),
            position: Position::new(lon, lat),
            speed_mps: speed,
            heading_deg: heading,
            accel_mps2: Some(-0.25),
            kind: Some("bus"),
        };
        let numbered = ProbeRecord { id: VehicleName::Number(number), ..record };
        let mut payload = Vec::new();
        encode_batch(&[record, numbered], &mut payload);
        prop_assert!(serde_json::from_slice::<Value>(&payload).is_ok());
        let out = decoded(&payload);
        prop_assert_eq!(out.observations.len(), 2);
        for (observation, record) in out.observations.iter().zip([record, numbered]) {
            prop_assert_eq!(observation.subject, record.id.subject());
            prop_assert_eq!(observation.observed_at, record.observed_at);
            prop_assert!((observation.position.lon_deg - lon).abs() <= 0.51e-7);
            prop_assert!((observation.position.lat_deg - lat).abs() <= 0.51e-7);
            let near = |a: Option<f32>, b: Option<f32>| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() <= 0.0051,
                (a, b) => a == b,
            };
            prop_assert!(near(observation.speed_mps, speed) && near(observation.heading_deg, heading));
        }
    }

    #[test]
    fn garbage_never_panics(bytes: Vec<u8>, at in 0..GOOD.len(), byte: u8) {
        decoded(&bytes);
        let mut damaged = GOOD.as_bytes().to_vec();
        damaged[at] = byte;
        let out = decoded(&damaged);
        prop_assert_eq!(out.observations.len() as u64 + out.rejected.total(), 1);
    }
}
