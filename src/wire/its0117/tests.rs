use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn decoded(text: &str) -> Decoded {
    let context = Context {
        received_at: at(1_700_000_000_000),
        device: None,
        records_max: 10,
        light_codes: crate::wire::records::LightCodes::public(),
    };
    let mut out = Decoded::default();
    decode(text.as_bytes(), &context, &mut out);
    out
}

#[test]
fn topics_are_read_in_both_styles() {
    let topics = [
        Topic::Up(Kind::Heartbeat),
        Topic::Down(Kind::Config, "R1"),
        Topic::UpAcknowledged(Kind::Info),
        Topic::DownAcknowledged(Kind::Map, "R1"),
    ];
    for delimiter in [Delimiter::Dot, Delimiter::Slash] {
        for topic in &topics {
            assert_eq!(
                delimiter.read(&delimiter.write(topic)).as_ref(),
                Some(topic)
            );
        }
    }
    let read = |topic| Delimiter::Slash.read(topic);
    assert_eq!(Delimiter::Dot.write(&topics[1]), "V2X.RSU.CONFIG.R1.DOWN");
    assert_eq!(
        read("V2X/RSU/RunningInfo/UP"),
        Some(Topic::Up(Kind::RunningInfo))
    );
    // The order of OpenV2X.
    let expected = Some(Topic::DownAcknowledged(Kind::Config, "R329329"));
    assert_eq!(read("V2X/RSU/R329329/CONFIG/DOWN/ACK"), expected);
    assert_eq!(read("V2X/OBU/BSM/UP"), None);
}

#[test]
fn units_tell_about_themselves() {
    let out = decoded(
        r#"{"rsuId":"R1","rsuEsn":"R328328","rsuName":"corner","version":"v1","rsuStatus":"0",
        "location":{"lon":118.8213963998,"lat":31.9348466377},"config":{},
        "timestamp":1700000000250,"runningInfo":{"cpu":{"load":25},"mem":50}}"#,
    );
    let [Reading::Device(report)] = &out.readings[..] else {
        panic!("{out:?}")
    };
    assert_eq!(&*report.device, "R328328");
    assert_eq!(report.version.as_deref(), Some("v1"));
    assert_eq!((report.cpu, report.memory), (Some(0.25), Some(0.5)));
    assert_eq!(clock_lead_ms(report), Some(250));
    assert!(report.position.is_some());

    let check = |text, reason| assert_eq!(decoded(text).rejected.get(reason), 1, "{text}");
    check("{}", RejectReason::MissingField);
    check("3", RejectReason::Malformed);
    check("{\"rsuEsn\":\"a\",", RejectReason::Truncated);
    check(
        "{\"rsuEsn\":\"a\",\"location\":{\"lon\":1}}",
        RejectReason::MissingField,
    );
    check(
        "{\"rsuEsn\":\"a\",\"location\":{\"lon\":500,\"lat\":1}}",
        RejectReason::OutOfRange,
    );
}

fn config(sequence: u64) -> Bytes {
    UplinkLimits::default()
        .with(Kind::Bsm, 2)
        .encode(sequence)
        .into()
}

#[test]
fn a_message_is_sent_again_and_given_up() {
    let settings = DeliverySettings {
        timeout_ms: 1_000,
        attempts_max: 2,
        waiting_max: 2,
    };
    let mut deliveries = Deliveries::new(settings);
    let unit: std::sync::Arc<str> = "R1".into();
    let first = deliveries.send(at(0), &unit, Kind::Config, config).delivery;
    assert_eq!(deliveries.poll(at(999)), None);
    assert_eq!(deliveries.poll_deadline(), Some(at(1_000)));
    let Some(Due::Resend(again)) = deliveries.poll(at(1_000)) else {
        panic!("not sent again")
    };
    assert_eq!((again.sequence, again.attempts), (first.sequence, 2));
    assert_eq!(again.payload, first.payload);
    assert_eq!(deliveries.poll(at(1_999)), None);
    assert!(matches!(deliveries.poll(at(2_000)), Some(Due::GivenUp(_))));
    assert_eq!(
        (deliveries.waiting(), deliveries.poll_deadline()),
        (0, None)
    );
}

fn answer(sequence: Option<u64>, error_code: u32) -> Acknowledgement {
    Acknowledgement {
        sequence,
        error_code,
    }
}

#[test]
fn answers_end_the_waiting_once_and_only_from_the_right_unit() {
    let mut deliveries = Deliveries::new(DeliverySettings::default()).numbered_from(40);
    let unit: std::sync::Arc<str> = "R1".into();
    let sent = deliveries.send(at(0), &unit, Kind::Map, config).delivery;
    assert_eq!(sent.sequence, 41);
    let right = answer(Some(sent.sequence), 0);
    for (unit, kind, answer) in [
        ("R2", Kind::Map, &right),
        ("R1", Kind::Config, &right),
        ("R1", Kind::Map, &answer(Some(7), 0)),
        ("R1", Kind::Map, &answer(None, 0)),
    ] {
        let outcome = deliveries.acknowledged(unit, kind, answer);
        assert_eq!(outcome, Outcome::Unknown, "{unit} {kind:?} {answer:?}");
    }
    let outcome = deliveries.acknowledged("R1", Kind::Map, &right);
    assert_eq!(outcome, Outcome::Delivered(sent));
    let outcome = deliveries.acknowledged("R1", Kind::Map, &right);
    assert_eq!(outcome, Outcome::Unknown);
    let refused = deliveries.send(at(0), &unit, Kind::Map, config).delivery;
    let no = answer(Some(refused.sequence), 7);
    let outcome = deliveries.acknowledged("R1", Kind::Map, &no);
    assert_eq!(outcome, Outcome::Refused(refused, 7));
}

#[test]
fn a_message_without_number_is_answered_by_any_number() {
    for number in [None, Some(3)] {
        let mut deliveries = Deliveries::new(DeliverySettings::default());
        let unit: std::sync::Arc<str> = "R1".into();
        let frame = Bytes::from_static(b"uper");
        let sent = deliveries.send_unnumbered(at(0), &unit, Kind::Rsi, frame);
        assert_eq!(&sent.delivery.payload[..], b"uper");
        assert!(deliveries.is_waiting(&unit, Kind::Rsi));
        let outcome = deliveries.acknowledged("R1", Kind::Rsi, &answer(number, 0));
        assert_eq!(outcome, Outcome::Delivered(sent.delivery));
        assert!(!deliveries.is_waiting(&unit, Kind::Rsi));
    }
}

#[test]
fn a_newer_message_replaces_and_a_full_queue_gives_up_the_oldest() {
    let settings = DeliverySettings {
        waiting_max: 2,
        ..DeliverySettings::default()
    };
    let mut deliveries = Deliveries::new(settings);
    let unit: std::sync::Arc<str> = "R1".into();
    let first = deliveries.send(at(0), &unit, Kind::Config, config);
    assert_eq!((&first.replaced, &first.given_up), (&None, &None));
    let second = deliveries.send(at(1), &unit, Kind::Config, config);
    assert_eq!(second.replaced, Some(first.delivery));
    assert_eq!(deliveries.waiting(), 1);
    deliveries.send(at(2), &unit, Kind::Map, config);
    let third = deliveries.send(at(3), &unit, Kind::Rsi, config);
    assert_eq!(third.given_up, Some(second.delivery));
    assert_eq!(deliveries.waiting(), 2);
}

#[test]
fn topics_of_answers() {
    let check = |topic, expected| assert_eq!(answered_by(topic), expected, "{topic}");
    check("V2X.RSU.RSI.R1.DOWN.ACK", Some((Kind::Rsi, "R1")));
    check("V2X/RSU/CONFIG/R1/DOWN/ACK", Some((Kind::Config, "R1")));
    check("V2X/RSU/R1/CONFIG/DOWN/ACK", Some((Kind::Config, "R1")));
    check("V2X/RSU/INFO/UP/ACK", None);
    check("roadcast/v1/vehicle/BACK", None);
    let check = |topic, expected: Option<&str>| {
        assert_eq!(info_answer_topic(topic).as_deref(), expected, "{topic}");
    };
    check("V2X.RSU.INFO.UP", Some("V2X.RSU.INFO.UP.ACK"));
    check("V2X/RSU/R1/INFO/UP", Some("V2X/RSU/R1/INFO/UP/ACK"));
    check("V2X/RSU/BaseINFO/UP", None);
    check("V2X/RSU/RSM/UP", None);
}

#[test]
fn an_info_says_whether_it_is_to_be_acknowledged() {
    let head = |text: &str| info_head(text.as_bytes());
    let asks = head(r#"{"rsuId":"R1","rsuEsn":"E1","seqNum":"8","ack":true}"#).unwrap();
    assert_eq!(asks.unit.as_deref(), Some("E1"));
    assert_eq!((asks.sequence, asks.wants_answer), (Some(8), true));
    let silent = head(r#"{"rsuId":"R1","seqNum":8}"#).unwrap();
    assert_eq!(silent.unit.as_deref(), Some("R1"));
    assert!(!silent.wants_answer);
    assert_eq!(head("[1]"), Err(RejectReason::Malformed));
    assert_eq!(
        decode_acknowledgement(b"{}"),
        Err(RejectReason::MissingField)
    );
}

#[test]
fn limits_are_set_and_obeyed() {
    let limits = UplinkLimits::default()
        .with(Kind::Bsm, 2)
        .with(Kind::Spat, 0);
    let own = UplinkLimits::default().with(Kind::Bsm, 5);
    let both: Vec<(Kind, u32)> = own.or(&limits).iter().collect();
    assert_eq!(both, [(Kind::Bsm, 5), (Kind::Spat, 0)]);
    let (sequence, read) = UplinkLimits::decode(&limits.encode(9)).unwrap();
    assert_eq!((sequence, &read), (Some(9), &limits));
    let mut meter = UplinkMeter::new(read);
    let admitted: Vec<bool> = [0, 300, 600, 1_000]
        .map(|millis| meter.admit(at(millis), Kind::Bsm))
        .into();
    assert_eq!(admitted, [true, true, false, true]);
    assert!(!meter.admit(at(0), Kind::Spat));
    assert!(meter.admit(at(0), Kind::Rsm));
    meter.set_limits(UplinkLimits::default());
    assert!(meter.admit(at(1_000), Kind::Bsm));
}

proptest! {
    #[test]
    fn acknowledgements_come_back(sequence: Option<u64>, error_code: u32) {
        let answer = Acknowledgement { sequence, error_code };
        prop_assert_eq!(decode_acknowledgement(&encode_acknowledgement(&answer)), Ok(answer));
    }

    #[test]
    fn reports_come_back(
        name in "[a-zA-Z0-9 ]{1,20}", lon in -180_000_000i32..180_000_000, lat in -90_000_000i32..90_000_000,
        stated in 0i64..2_000_000_000_000, cpu in 0u8..=100,
    ) {
        let report = DeviceReport {
            stated_at: Some(at(stated)),
            received_at: at(1_700_000_000_000),
            device: name.as_str().into(),
            name: Some(name.as_str().into()),
            position: Some(Position::new(f64::from(lon) / 1e6, f64::from(lat) / 1e6)),
            cpu: Some(f32::from(cpu) / 100.0),
            ..DeviceReport::default()
        };
        let text = String::from_utf8(encode_report(&report)).unwrap();
        let out = decoded(&text);
        let [Reading::Device(back)] = &out.readings[..] else {
            return Err(TestCaseError::fail(text));
        };
        let cpu_off = (back.cpu.unwrap_or(9.0) - f32::from(cpu) / 100.0).abs();
        prop_assert!(cpu_off < 1e-6);
        prop_assert_eq!(DeviceReport { cpu: report.cpu, ..back.clone() }, report);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        decoded(&String::from_utf8_lossy(&bytes));
        std::hint::black_box(decode_acknowledgement(&bytes).is_ok());
        std::hint::black_box(UplinkLimits::decode(&bytes).is_ok());
    }
}
