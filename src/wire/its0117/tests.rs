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
    let (first, _) = deliveries.send(at(0), &unit, Kind::Config, config);
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

#[test]
fn answers_end_the_waiting_once_and_only_from_the_right_unit() {
    let mut deliveries = Deliveries::new(DeliverySettings::default());
    let unit: std::sync::Arc<str> = "R1".into();
    let (sent, _) = deliveries.send(at(0), &unit, Kind::Map, config);
    let answer = Acknowledgement {
        sequence: sent.sequence,
        error_code: 0,
    };
    assert_eq!(deliveries.acknowledged("R2", &answer), Outcome::Unknown);
    assert_eq!(
        deliveries.acknowledged("R1", &answer),
        Outcome::Delivered(sent)
    );
    assert_eq!(deliveries.acknowledged("R1", &answer), Outcome::Unknown);
    let (refused, _) = deliveries.send(at(0), &unit, Kind::Map, config);
    let answer = Acknowledgement {
        sequence: refused.sequence,
        error_code: 7,
    };
    assert_eq!(
        deliveries.acknowledged("R1", &answer),
        Outcome::Refused(refused, 7)
    );
}

#[test]
fn a_newer_message_replaces_and_a_full_queue_gives_up_the_oldest() {
    let settings = DeliverySettings {
        waiting_max: 2,
        ..DeliverySettings::default()
    };
    let mut deliveries = Deliveries::new(settings);
    let unit: std::sync::Arc<str> = "R1".into();
    deliveries.send(at(0), &unit, Kind::Config, config);
    deliveries.send(at(1), &unit, Kind::Config, config);
    assert_eq!(deliveries.waiting(), 1);
    deliveries.send(at(2), &unit, Kind::Map, config);
    let (_, given_up) = deliveries.send(at(3), &unit, Kind::Rsi, config);
    assert_eq!(given_up.map(|delivery| delivery.sequence), Some(2));
    assert_eq!(deliveries.waiting(), 2);
}

#[test]
fn limits_are_set_and_obeyed() {
    let limits = UplinkLimits::default()
        .with(Kind::Bsm, 2)
        .with(Kind::Spat, 0);
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
    fn acknowledgements_come_back(sequence: u64, error_code: u32) {
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
