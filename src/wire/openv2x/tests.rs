use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::observation::{PassagePart, Reading};
use crate::units::{Position, Timestamp};

fn decoded(text: &str) -> Decoded {
    let context = Context {
        received_at: Timestamp::from_millis(1_664_422_616_500),
        device: Some("R328328"),
        records_max: 100,
        light_codes: crate::wire::records::LightCodes::public(),
    };
    let mut out = Decoded::default();
    decode(text.as_bytes(), &context, &mut out);
    out
}

#[test]
fn a_track_moves_at_the_speed_of_its_positions() {
    let out = decoded(
        r#"{"timeStamp":"1664422616000","number":2,"deviceId":"N22","targets":[
        {"headingAngle":176.3,"latitude":39.0740977,"longitude":115.9325688,"speed":-16.2,
         "targetId":6972,"targetType":3},
        {"headingAngle":176.3,"latitude":39.0740977,"longitude":115.9325688,"speed":4,
         "targetId":1,"targetType":1}]}"#,
    );
    assert_eq!(out.rejected.get(RejectReason::UnsupportedKind), 1);
    let [target] = out.observations[..] else {
        panic!("{out:?}")
    };
    assert_eq!(target.observed_at.as_millis(), 1_664_422_616_000);
    assert!((target.speed_mps.unwrap() - 4.5).abs() < 1e-5);
}

#[test]
fn rsm_content_is_read_like_the_other_json() {
    let out = decoded(
        r#"{"name":"RSM","id":"x","content":{"rsms":[{"refPos":{"lat":319353462,"lon":1188214495},
        "participants":[{"ptcType":"motor","ptcId":5,"source":"3","secMark":56500,
        "pos":{"lat":319353462,"lon":1188214495},"speed":500,"heading":7200,
        "accuracy":"0"}]}]}}"#,
    );
    let [car] = out.observations[..] else {
        panic!("{out:?}")
    };
    assert_eq!(car.position, Position::new(118.821_449_5, 31.935_346_2));
    assert_eq!((car.speed_mps, car.heading_deg), (Some(10.0), Some(90.0)));
    assert_eq!(car.observed_at.as_millis(), 1_664_422_616_500);
}

#[test]
fn lanes_of_a_radar_are_detectors() {
    let flow = decoded(
        r#"{"timeStamp":"1664422806000","deviceId":"N22","trafficFlows":[{"aisleId":2,
        "averageSpeed":36,"averageTimeShare":100,"totalFlowA":1,"totalFlowB":0,"totalFlowC":2}]}"#,
    );
    let [lane] = &flow.detectors[..] else {
        panic!("{flow:?}")
    };
    assert_eq!(&*lane.detector, "N22/2");
    assert_eq!((lane.speed_mps, lane.occupancy), (Some(10.0), Some(0.5)));
    assert_eq!(lane.start, lane.end, "the period is not stated");
    let passage = decoded(
        r#"{"timeStamp":"1664420098000","deviceId":"N22","passingImformations":[{"aisleId":2,
        "direction":0,"existenceState":1,"existenceTime":100,"speed":18,"vehicleType":3}]}"#,
    );
    let [Reading::Passage(passage)] = &passage.readings[..] else {
        panic!("{passage:?}")
    };
    assert_eq!((passage.part, passage.lane), (PassagePart::Leaves, Some(2)));
    assert_eq!(passage.speed_mps, Some(5.0));
}

#[test]
fn a_congestion_warning_has_the_published_members() {
    let lane = LaneCongestion {
        lane: 14,
        level: 3,
        speed_mps: 0.3,
        start: Position::new(118.821_449_5, 31.935_346_2),
        end: Position::new(118.821_917_5, 31.935_292_2),
    };
    let at = Timestamp::from_millis(1_664_422_605_400);
    let bytes = encode_congestion_warning(at, lane.start, &[lane]);
    let expected = serde_json::json!({
        "sensorPos": {"lat": 319_353_462, "lon": 1_188_214_495},
        "content": [{"secMark": 45_400, "congestionLanesInfo": {"laneId": 14, "level": 3,
            "avgSpeed": 1, "startPoint": {"lat": 319_353_462, "lon": 1_188_214_495},
            "endPoint": {"lat": 319_352_922, "lon": 1_188_219_175}}}],
    });
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected);
    assert_eq!(congestion_topic("R1"), "V2X/RSU/R1/CGW/DOWN");
}

#[test]
fn what_cannot_be_used_has_a_reason() {
    let check = |text: &str, reason| {
        let out = decoded(text);
        assert_eq!(out.rejected.get(reason), 1, "{text}: {out:?}");
        assert!(out.is_empty());
    };
    check("{\"content\":{\"vir\":1}}", RejectReason::UnsupportedKind);
    check("7", RejectReason::Malformed);
    check(
        "{\"targets\":[],\"deviceId\":\"x\"}",
        RejectReason::MissingField,
    );
    check(
        "{\"timeStamp\":\"x\",\"deviceId\":\"x\",\"targets\":[]}",
        RejectReason::Malformed,
    );
    check("{\"timeStamp\":\"1\",\"tar", RejectReason::Truncated);
}

proptest! {
    #[test]
    fn any_json_like_text_is_read_without_panic(
        text in r#"\{"timeStamp":[0-9"]{0,14},"deviceId":"d","(targets|scope|trafficFlows|content)":[\[\]{}0-9",a-zA-Z:.-]{0,60}\}?"#
    ) {
        decoded(&text);
    }
}
