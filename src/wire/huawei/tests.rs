use proptest::prelude::*;

use super::*;
use crate::observation::{EventCode, Light, Origin, Reading, RoadEvent};

const RECEIVED: Timestamp = Timestamp::from_millis(1_639_812_051_700);

fn decoded(text: &str) -> Decoded {
    let context = Context {
        received_at: RECEIVED,
        device: Some("esn1"),
        records_max: 100,
        light_codes: crate::wire::records::LightCodes::public(),
    };
    let mut out = Decoded::default();
    decode(text.as_bytes(), &context, &mut out);
    out
}

#[test]
fn motor_vehicles_of_an_rsm_become_observations_in_both_case_styles() {
    let up = r#"{"rsms":[{"refPos":{"lat":305955177,"lon":1142999512},"participants":[
        {"ptcType":"1","ptcId":3,"secMark":51000,"pos":{"lat":305955177,"lon":1142999512},
         "speed":600,"heading":10000},
        {"ptcType":"2","ptcId":4,"secMark":51000,"pos":{"lat":305955177,"lon":1142999512}}]}]}"#;
    let north = r#"{"header":{},"body":{"rsm_source":{"esn":"esn1"},"participant_list":[
        {"ptc_type":"motor","ptc_id":3,"sec_mark":51000,"pos":{"lat":30.5955177,"lon":114.2999512},
         "speed":600,"heading":10000}]}}"#;
    let (up, north) = (decoded(up), decoded(north));
    assert_eq!(up.rejected.get(RejectReason::UnsupportedKind), 1);
    assert_eq!(up.observations.len(), 1, "{up:?}");
    assert_eq!(up.observations, north.observations);
    let seen = up.observations[0];
    assert_eq!(seen.observed_at.as_millis(), 1_639_812_051_000);
    assert_eq!(seen.position, Position::new(114.299_951_2, 30.595_517_7));
    assert_eq!(
        (seen.speed_mps, seen.heading_deg),
        (Some(12.0), Some(125.0))
    );
    assert_eq!(seen.origin, Origin::Rsm);
}

#[test]
fn a_section_becomes_a_detector() {
    let out = decoded(
        r#"{"header":{"event":"ADDED"},"body":{"source":{"source_type":"detection","source_id":"e"},
        "section_id":7,"time":"2021-01-08T02:03:41Z","period":60,"direction":90.0,"flow":12,
        "average_speed":36.0,"esn":"abc","cross_id":"x1","road_kind":0}}"#,
    );
    let [reading] = &out.detectors[..] else {
        panic!("{out:?}")
    };
    assert_eq!(&*reading.detector, "x1/7");
    assert_eq!(reading.end.as_millis(), 1_610_071_421_000);
    assert_eq!(reading.end.millis_since(reading.start), 60_000);
    assert!((reading.vehicle_count - 12.0).abs() < f32::EPSILON);
    assert_eq!(reading.speed_mps, Some(10.0));
}

#[test]
fn an_rsi_down_is_read_back() {
    let here = Position::new(114.299_951_2, 30.595_517_7);
    let path = vec![here, Position::new(114.3, 30.6)];
    let minute = |minutes: i64| RECEIVED.floor_to(60_000).plus_secs(60 * minutes);
    let event = DownEvent {
        event_id: 3,
        event_type: 707,
        position: here,
        radius_m: 120.0,
        priority: 5,
        paths: std::slice::from_ref(&path),
        path_radius_m: 7.0,
        description: Some("解放大道 queue"),
        confidence: Some(0.8),
        valid: (minute(-3), minute(5)),
    };
    let bytes = encode_rsi("esn1", RECEIVED, here, &[event], Some("8"));
    let envelope: Value = serde_json::from_slice(&bytes).unwrap();
    assert!(envelope["content"].is_string());
    let out = decoded(std::str::from_utf8(&bytes).unwrap());
    let expected = RoadEvent {
        observed_at: RECEIVED,
        source: "roadcast".into(),
        event: 3,
        code: EventCode::Gbt29100(707),
        position: Some(here),
        radius_m: Some(120.0),
        paths: vec![path],
        lane: None,
        valid_from: Some(minute(-3)),
        valid_until: Some(minute(5)),
        confidence: Some(0.8),
        ended: false,
        description: Some("解放大道 queue".into()),
    };
    assert_eq!(out.readings, [Reading::Event(expected)]);
}

#[test]
fn a_map_describes_its_approaches() {
    let out = decoded(
        r#"{"mapSlice":"s","map":{"nodes":[{"name":"J","id":{"region":1,"id":5},
        "refPos":{"lat":305955177,"lon":1142999512},"inLinks":[{"name":"N","linkWidth":1050,
        "upstreamNodeId":{"region":1,"id":4},"speedLimits":[{"type":5,"speed":833}],
        "points":[{"lat":305965177,"lon":1142999512},
            {"posOffset":{"offsetLL":{"positionLatLon":{"lat":305960000,"lon":1142999512}}}},
            {"posOffset":{"offsetLL":{"position-LL3":{"lat":1000,"lon":-7}}}}],
        "movements":[{"remoteIntersection":{"id":6},"phaseId":3}],
        "lanes":[{"laneID":1,"laneWidth":350,"connectsTo":[{"remoteIntersection":{"id":6},
            "connectingLane":{"lane":2},"phaseId":3}]},{}]}]}]}}"#,
    );
    let [Reading::Junction(junction)] = &out.readings[..] else {
        panic!("{out:?}")
    };
    assert_eq!(&*junction.junction, "1-5");
    let [approach] = &junction.approaches[..] else {
        panic!("{junction:?}")
    };
    assert_eq!(&*approach.upstream, "1-4");
    assert_eq!(
        (approach.limit_mps, approach.width_m),
        (Some(16.66), Some(10.5))
    );
    let expected = [
        (30.596_517_7, 114.299_951_2),
        (30.596, 114.299_951_2),
        (30.595_617_7, 114.299_950_5),
    ];
    for (point, (lat, lon)) in approach.points.iter().zip(expected) {
        assert!(
            (point.lat_deg - lat).abs() < 1e-9 && (point.lon_deg - lon).abs() < 1e-9,
            "{point:?}"
        );
    }
    assert_eq!(approach.points.len(), 3);
    let movement = &approach.movements[0];
    assert_eq!((&*movement.downstream, movement.phase), ("0-6", Some(3)));
    assert_eq!(approach.lanes.len(), 2);
    let lane = &approach.lanes[0];
    assert_eq!((lane.number, lane.width_m), (1, Some(3.5)));
    let to = &lane.connections[0];
    assert_eq!(
        (&*to.downstream, to.lane, to.phase),
        ("0-6", Some(2), Some(3))
    );
    assert_eq!(out.unit, Some(crate::wire::unit_id(b"esn1")));
}

#[test]
fn a_junction_beyond_the_bounds_of_the_standard_is_refused() {
    let lanes = vec!["{}"; 33].join(",");
    let text = format!(
        r#"{{"nodes":[{{"id":{{"id":5}},"refPos":{{"lat":305955177,"lon":1142999512}},
        "inLinks":[{{"upstreamNodeId":{{"id":4}},"lanes":[{lanes}]}}]}}]}}"#
    );
    let out = decoded(&text);
    assert_eq!(out.rejected.get(RejectReason::OutOfRange), 1, "{out:?}");
    assert!(out.readings.is_empty());
}

#[test]
fn signals_count_from_the_stated_minute_and_milliseconds() {
    let check = |stamps: &str, expected: i64| {
        let text = format!(
            r#"{{"intersections":[{{"intersectionId":{{"id":1}},{stamps}"phases":[{{"id":7,
            "phaseStates":[{{"light":3}}]}}]}}]}}"#
        );
        let out = decoded(&text);
        let [Reading::Signal(signal)] = &out.readings[..] else {
            panic!("{out:?}")
        };
        assert_eq!(signal.observed_at.as_millis(), expected, "{stamps}");
    };
    // Received at 2021-12-18T07:20:51.700Z, minute 505880 of the year.
    check("", RECEIVED.as_millis());
    check("\"timeStamp\":51200,", 1_639_812_051_200);
    check("\"moy\":505880,\"timeStamp\":49000,", 1_639_812_049_000);
    check("\"moy\":505879,\"timeStamp\":59999,", 1_639_811_999_999);
    check("\"moy\":505879,", 1_639_811_999_999);
    check("\"timeStamp\":1639812050123,", 1_639_812_050_123);
}

#[test]
fn what_cannot_be_used_has_a_reason() {
    let check = |text: &str, reason| {
        let out = decoded(text);
        assert_eq!(out.rejected.get(reason), 1, "{text}: {out:?}");
        assert!(out.is_empty());
    };
    check("{\"tracks\":[]}", RejectReason::UnsupportedKind);
    check("[]", RejectReason::Malformed);
    check("{\"rsms\":[{}", RejectReason::Truncated);
    check("{\"rsms\":[{}]}", RejectReason::MissingField);
    check("{\"content\":\"{\"}", RejectReason::Truncated);
    check(
        "{\"vehicleId\":\"v\",\"timeStamp\":1}",
        RejectReason::MissingField,
    );
    check("{\"intersections\":[{}]}", RejectReason::MissingField);
    check(
        "{\"intersections\":[{\"intersectionId\":{\"id\":1},\"phases\":[{\"phaseId\":1,\
         \"phaseStates\":[{\"light\":9}]}]}]}",
        RejectReason::OutOfRange,
    );
    assert_eq!(Light::from_code(3), Some(Light::Red));
}

proptest! {
    #[test]
    fn any_json_like_text_is_read_without_panic(
        text in r#"\{("(rsms|rtes|content|nodes|intersections|bsmDatas|section_id)":[\[\]{}0-9",a-z:]{0,40},?){0,3}\}?"#
    ) {
        decoded(&text);
    }

    #[test]
    fn events_come_back(
        lon in 73.0f64..135.0, lat in 3.0f64..53.0, radius in 0u32..6000, id: u8, kind in 1u32..2000,
    ) {
        let round = |degrees: f64| (degrees * 1e7).round() / 1e7;
        let here = Position::new(round(lon), round(lat));
        let event = DownEvent {
            event_id: id,
            event_type: kind,
            position: here,
            radius_m: f64::from(radius) / 10.0,
            priority: 1,
            paths: &[],
            path_radius_m: 1.0,
            description: None,
            confidence: None,
            valid: (RECEIVED.floor_to(60_000), RECEIVED.floor_to(60_000)),
        };
        let bytes = encode_rsi("u", RECEIVED, here, &[event], None);
        let out = decoded(std::str::from_utf8(&bytes).unwrap());
        let Some(Reading::Event(back)) = out.readings.first() else {
            return Err(TestCaseError::fail("no event"));
        };
        prop_assert_eq!(back.event, u64::from(id));
        prop_assert_eq!(back.code, EventCode::Gbt29100(kind));
        let moved = back.position.map(|back| back.distance_to(here).value());
        prop_assert!(moved.is_some_and(|moved| moved < 0.02));
    }
}
