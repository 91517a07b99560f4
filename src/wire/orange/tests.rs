use proptest::prelude::*;

use super::*;

fn decoded(text: &str) -> Decoded {
    let context = Context {
        received_at: Timestamp::from_secs(1_700_000_000),
        device: None,
        records_max: 100,
        light_codes: crate::wire::records::LightCodes::public(),
    };
    let mut out = Decoded::default();
    decode(text.as_bytes(), &context, &mut out);
    out
}

fn enveloped(kind: &str, message: &str) -> String {
    format!(
        r#"{{"message_type":"{kind}","source_uuid":"car_1","timestamp":1700000000123,"version":"2.1.0","message":{message}}}"#
    )
}

#[test]
fn awareness_of_both_generations_is_the_same() {
    let new = r#"{"station_id":7,"generation_delta_time":1,"basic_container":{"station_type":5,
        "reference_position":{"latitude":486263556,"longitude":22492123,"altitude":{"value":1,
        "confidence":1},"position_confidence_ellipse":{"semi_major":100,"semi_minor":100,
        "semi_major_orientation":0}}},"high_frequency_container":{
        "basic_vehicle_container_high_frequency":{"heading":{"value":900,"confidence":1},
        "speed":{"value":1250,"confidence":1}}}}"#;
    let old = r#"{"station_id":7,"basic_container":{"station_type":5,
        "reference_position":{"latitude":486263556,"longitude":22492123,"altitude":1},
        "confidence":{"position_confidence_ellipse":{"semi_major_confidence":100,
        "semi_minor_confidence":100,"semi_major_orientation":0}}},
        "high_frequency_container":{"heading":900,"speed":1250}}"#;
    let (new, old) = (
        decoded(&enveloped("cam", new)),
        decoded(&enveloped("cam", old)),
    );
    assert_eq!(new.observations.len(), 1, "{new:?}");
    assert_eq!(new.observations, old.observations);
    let car = new.observations[0];
    assert_eq!((car.speed_mps, car.heading_deg), (Some(12.5), Some(90.0)));
    assert!((car.accuracy_m.unwrap() - 1.0 / 2.448).abs() < 1e-6);
    assert_eq!(car.observed_at.as_millis(), 1_700_000_000_123);
}

#[test]
fn perceived_vehicles_are_placed_east_and_north_of_the_sensor() {
    let message = r#"{"station_id":7,"management_container":{"reference_time":1,
        "reference_position":{"latitude":486263556,"longitude":22492123}},
        "perceived_object_container":[
        {"object_id":3,"measurement_delta_time":-100,"position":{"x_coordinate":{"value":10000,
         "confidence":1},"y_coordinate":{"value":0,"confidence":1}},"velocity":{"polar_velocity":
         {"velocity_magnitude":{"value":1000},"velocity_direction":{"value":1800}}},
         "classification":[{"object_class":{"vehicle":5},"confidence":90}]},
        {"object_id":4,"position":{"x_coordinate":{"value":0},"y_coordinate":{"value":0}},
         "velocity":{"cartesian_velocity":{"x_velocity":{"value":-300},"y_velocity":{"value":400}}}},
        {"object_id":5,"position":{"x_coordinate":{"value":0},"y_coordinate":{"value":0}},
         "classification":[{"object_class":{"vru":{"pedestrian":1}}}]},
        {"object_id":6,"x_distance":5,"y_distance":5}]}"#;
    let out = decoded(&enveloped("cpm", message));
    assert_eq!(out.rejected.get(RejectReason::UnsupportedKind), 2);
    let [far, near] = out.observations[..] else {
        panic!("{out:?}")
    };
    let sensor = Position::new(2.249_212_3, 48.626_355_6);
    assert!((far.position.distance_to(sensor).value() - 100.0).abs() < 0.2);
    assert!(far.position.lon_deg > sensor.lon_deg);
    assert_eq!(far.observed_at.as_millis(), 1_700_000_000_023);
    assert_eq!((far.speed_mps, far.heading_deg), (Some(10.0), Some(180.0)));
    assert!((near.speed_mps.unwrap() - 5.0).abs() < 1e-5);
    assert!((near.heading_deg.unwrap() - 323.13).abs() < 0.01);
}

#[test]
fn what_cannot_be_used_has_a_reason() {
    let check = |text: &str, reason| {
        let out = decoded(text);
        assert_eq!(out.rejected.get(reason), 1, "{text}: {out:?}");
        assert!(out.is_empty());
    };
    check(&enveloped("spatem", "{}"), RejectReason::UnsupportedKind);
    check(&enveloped("cam", "{}"), RejectReason::MissingField);
    check("{\"message_type\":\"cam\"", RejectReason::Truncated);
    check("[]", RejectReason::Malformed);
    let walker = r#"{"station_id":7,"basic_container":{"station_type":1}}"#;
    check(&enveloped("cam", walker), RejectReason::UnsupportedKind);
    let nowhere = r#"{"station_id":7,"basic_container":{"station_type":5,"reference_position":
        {"latitude":900000001,"longitude":1800000001}},"high_frequency_container":{}}"#;
    check(&enveloped("cam", nowhere), RejectReason::MissingField);
}

proptest! {
    #[test]
    fn notifications_come_back(
        station_id: u32, sequence: u16, cause: u8, subcause: u8, valid_s in 0u32..=86_400,
        lon in -1_800_000_000i64..=1_800_000_000, lat in -900_000_000i64..=900_000_000,
        second in 1_100_000_000i64..4_000_000_000,
    ) {
        let event = Notification {
            source_uuid: "centre",
            station_id,
            sequence,
            sent_at: Timestamp::from_secs(second),
            detected_at: Timestamp::from_secs(second - 5),
            valid_s,
            cause,
            subcause,
            position: Position::new(lon as f64 / 1e7, lat as f64 / 1e7),
        };
        let out = decoded(std::str::from_utf8(&encode_denm(&event)).unwrap());
        let Some(Reading::Event(back)) = out.readings.first() else {
            return Err(TestCaseError::fail(format!("{out:?}")));
        };
        prop_assert_eq!(back.observed_at, event.sent_at);
        prop_assert_eq!(back.valid_from, Some(event.detected_at));
        prop_assert_eq!(back.valid_until, Some(event.detected_at.plus_secs(i64::from(valid_s))));
        prop_assert_eq!(back.code, EventCode::Etsi(u32::from(cause), u32::from(subcause)));
        let moved = back.position.map(|back| back.distance_to(event.position).value());
        prop_assert!(moved.is_some_and(|moved| moved < 0.01));
    }

    #[test]
    fn any_message_is_read_without_panic(
        kind in "cam|cpm|denm",
        message in r#"\{("(basic_container|management_container|perceived_object_container)":[\[\]{}0-9",a-z:_]{0,50},?){0,3}\}?"#,
    ) {
        decoded(&enveloped(&kind, &message));
    }
}
