use proptest::prelude::*;
use rasn::{Decode, Encode};
use serde_json::{Map, Value, json};

use super::csae2020::{ExtMessage, MessageFrameExt};
use super::drawn::any_of;
use super::json::{JsonError, from_frame, hex_of, octets_of, to_frame};
use super::*;

/// Writing and reading give the value back, as UPER and as JSON.
fn round_trip<T: Decode + Encode + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = codec::encode(value).unwrap();
    assert_eq!(codec::decode_exact::<T>(&bytes).as_ref(), Ok(value));
    let json = rasn::jer::encode(value).unwrap();
    assert_eq!(&rasn::jer::decode::<T>(&json).unwrap(), value, "{json}");
}

macro_rules! round_trips {
    ($($name:ident: $type:ty;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]
            $(#[test]
            fn $name(value in any_of::<$type>()) {
                round_trip(&value);
            })*
        }
    };
}

round_trips! {
    bsm_2019_comes_back: csae2019::BasicSafetyMessage;
    map_2019_comes_back: csae2019::MapData;
    rsm_comes_back: csae::RoadsideSafetyMessage;
    spat_comes_back: csae::Spat;
    rsi_2019_comes_back: csae2019::RoadSideInformation;
    bsm_2020_comes_back: csae2020::BasicSafetyMessage;
    map_2020_comes_back: csae2020::MapData;
    rsi_2020_comes_back: csae2020::RoadSideInformation;
    rsc_comes_back: csae2020::RoadsideCoordination;
    ssm_comes_back: csae2020::SensorSharingMsg;
    vir_comes_back: csae2020::VehIntentionAndRequest;
    pam_comes_back: csae2020::PamData;
    psm_comes_back: csae2020::PersonalSafetyMessage;
}

/// A frame of any message of `dialect`.
fn any_frame(dialect: Dialect) -> BoxedStrategy<Vec<u8>> {
    let ext = prop_oneof![
        any_of().prop_map(ExtMessage::Rsc),
        any_of().prop_map(ExtMessage::Ssm),
        any_of().prop_map(ExtMessage::Vir),
        any_of().prop_map(ExtMessage::Pam),
        any_of().prop_map(ExtMessage::Psm),
        (prop::sample::select(vec![10, 16, 17]), any::<Vec<u8>>())
            .prop_map(|(message_id, octets)| ExtMessage::Opaque { message_id, octets }),
    ];
    match dialect {
        Dialect::Csae2019 => any_of()
            .prop_map(|frame| csae2019::encode_frame(&frame).unwrap())
            .boxed(),
        Dialect::Csae2020 => (any_of(), ext)
            .prop_map(|(frame, ext)| match frame {
                csae2020::MessageFrame::MsgFrameExt(_) => {
                    csae2020::MessageFrame::MsgFrameExt(ext.encode().unwrap())
                }
                frame => frame,
            })
            .prop_map(|frame| csae2020::encode_frame(&frame).unwrap())
            .boxed(),
    }
}

fn any_dialect_frame() -> impl Strategy<Value = (Dialect, Vec<u8>)> {
    prop_oneof![
        any_frame(Dialect::Csae2019).prop_map(|frame| (Dialect::Csae2019, frame)),
        any_frame(Dialect::Csae2020).prop_map(|frame| (Dialect::Csae2020, frame)),
    ]
}

proptest! {
    #[test]
    fn a_line_of_json_is_its_frame((dialect, frame) in any_dialect_frame()) {
        let line = from_frame(dialect, &frame).unwrap();
        prop_assert!(line.contains_key("kind") && line.contains_key("message"));
        // Through text, as another program would have it.
        let text = Value::Object(line).to_string();
        let line: Map<String, Value> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(to_frame(dialect, &line), Ok(frame));
    }

    #[test]
    fn changed_frames_are_refused_or_are_themselves(
        (dialect, frame) in any_dialect_frame(), at: prop::sample::Index, flip in 1u8..=255,
        cut: prop::sample::Index,
    ) {
        let mut changed = frame.clone();
        changed[at.index(frame.len())] ^= flip;
        if let Ok(line) = from_frame(dialect, &changed) {
            prop_assert_eq!(to_frame(dialect, &line), Ok(changed));
        }
        prop_assert!(from_frame(dialect, &frame[..cut.index(frame.len())]).is_err());
        let tailed = [&frame[..], &[0]].concat();
        prop_assert_eq!(from_frame(dialect, &tailed), Err(FrameError::TrailingBytes.into()));
    }

    #[test]
    fn garbage_never_panics(bytes: Vec<u8>) {
        for dialect in Dialect::ALL {
            if let Ok(line) = from_frame(dialect, &bytes) {
                prop_assert_eq!(to_frame(dialect, &line), Ok(bytes.clone()));
            }
        }
    }
}

/// The RSI that the tests below take apart.
fn rsi_line() -> Value {
    json!({
        "kind": "rsiFrame",
        "message": {
            "msgCnt": 3,
            "id": "5253553030303031",
            "refPos": {"lat": 305_955_177, "long": 1_142_999_512},
            "rtes": [{
                "rteId": 1,
                "eventType": 707,
                "eventSource": "detection",
                "description": {"textGB2312": "C7B0B7BDD3B5B6C2"},
                "priority": "A0",
                "referenceLinks": [{
                    "upstreamNodeId": {"region": 1, "id": 2},
                    "downstreamNodeId": {"id": 3},
                    "referenceLanes": "6000"
                }]
            }]
        }
    })
}

fn written(dialect: Dialect, line: &Value) -> Result<Vec<u8>, JsonError> {
    to_frame(dialect, line.as_object().unwrap())
}

#[test]
fn json_follows_the_encoding_rules() {
    for dialect in Dialect::ALL {
        let line = rsi_line();
        let frame = written(dialect, &line).unwrap();
        let mut read = from_frame(dialect, &frame).unwrap();
        // Octets stay octets; the text they hold stands beside them.
        let decoded = read.remove("decoded").unwrap();
        assert_eq!(
            decoded,
            json!({"/rtes/0/description/textGB2312": "前方拥堵"})
        );
        assert_eq!(Value::Object(read), line);
    }
    // A bit string of fixed size is its digits (X.697, 24.2), also where it is optional; one whose
    // size may grow says how long it is (24.3).
    let safety = json!({"events": {"value": "0100", "length": 13}, "lights": {"value": "0800", "length": 9}});
    let lane = json!({"laneID": 1, "maneuvers": "8000", "laneAttributes":
        {"shareWith": "0040", "laneType": {"vehicle": {"value": "08", "length": 8}}}});
    let read: csae2019::VehicleSafetyExtensions = rasn::jer::decode(&safety.to_string()).unwrap();
    assert_eq!(rasn::jer::encode(&read).unwrap(), safety.to_string());
    let read: csae2019::Lane = rasn::jer::decode(&lane.to_string()).unwrap();
    let again: Value = serde_json::from_str(&rasn::jer::encode(&read).unwrap()).unwrap();
    assert_eq!(again, lane);
}

#[test]
fn json_that_is_not_of_the_message_set_is_named() {
    let check = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut line = rsi_line();
        change(&mut line);
        let error = written(Dialect::Csae2020, &line).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|line| line["kind"] = json!("rsi"), "not_jer");
    check(
        &|line| line["message"]["msgCnt"] = json!(128),
        "out_of_range",
    );
    check(&|line| line["message"]["id"] = json!("52"), "not_jer");
    check(
        &|line| line["message"]["nonsense"] = json!(1),
        "/rsiFrame/nonsense",
    );
    let event = "/rsiFrame/rtes/0/";
    check(
        &|line| line["message"]["rtes"][0]["Priority"] = json!("A0"),
        &format!("{event}Priority"),
    );
    check(
        &|line| line["message"]["rtes"][0]["eventSource"] = json!("Police"),
        "not_jer",
    );
    check(&|line| line["message"]["rtes"] = json!([]), "out_of_range");
    check(
        &|line| drop(line["message"].as_object_mut().unwrap().remove("refPos")),
        "not_jer",
    );
}

#[test]
fn messages_of_the_second_day_are_shown_behind_their_octets() {
    let psm = json!({
        "msgCnt": 1, "id": "0102030405060708", "secMark": 500,
        "pos": {"lat": 305_955_177, "long": 1_142_999_512},
        "posAccuracy": {"semiMajor": 10, "semiMinor": 10, "orientation": 0},
        "speed": 50, "heading": 0, "overallRadius": 0,
        "non-motorData": {"basicType": "aPEDESTRIAN", "propulsion": {"human": "onFoot"}}
    });
    let line = json!({"kind": "msgFrameExt", "message": {"messageId": 15, "value": psm}});
    let frame = written(Dialect::Csae2020, &line).unwrap();
    assert_eq!(frame[0], 0x80);
    let read = from_frame(Dialect::Csae2020, &frame).unwrap();
    assert_eq!(read["decoded"]["/value"], psm);
    assert!(octets_of(read["message"]["value"].as_str().unwrap()).is_some());
    assert_eq!(to_frame(Dialect::Csae2020, &read), Ok(frame.clone()));
    assert_eq!(
        from_frame(Dialect::Csae2019, &frame),
        Err(FrameError::UnknownExtension.into())
    );

    let unknown = MessageFrameExt {
        message_id: 99,
        value: vec![1, 2].into(),
    };
    let frame = csae2020::MessageFrame::MsgFrameExt(unknown);
    let frame = csae2020::encode_frame(&frame).unwrap();
    assert_eq!(
        csae2020::decode_frame(&frame),
        Err(FrameError::UnknownExtension)
    );
}

#[test]
fn what_is_wrong_with_a_frame_has_a_name() {
    let line = rsi_line();
    let frame = written(Dialect::Csae2019, &line).unwrap();
    let check = |bytes: &[u8], expected| {
        assert_eq!(
            csae2019::decode_frame(bytes).unwrap_err(),
            expected,
            "{}",
            hex_of(bytes)
        );
    };
    check(&frame[..frame.len() - 1], FrameError::Truncated);
    check(&[], FrameError::Truncated);
    check(&[0xf0], FrameError::UnknownExtension);
    // An alternative that the root does not have.
    check(&[0x70, 0, 0], FrameError::OutOfRange);
}

#[test]
fn extension_bits_and_filling_bits_are_not_passed_over() {
    // A type of one member, with the extension bit, one unknown addition of one octet.
    let read = |bytes: &[u8]| codec::decode_exact::<csae::PathPrediction>(bytes);
    let plain = codec::encode(&csae::PathPrediction {
        radius_of_curve: 100,
        confidence: 200,
    })
    .unwrap();
    // Extension bit, radius, confidence: 25 bits.
    assert_eq!(plain.len(), 4);
    assert!(read(&plain).is_ok());
    let mut filled = plain.clone();
    filled[3] |= 1;
    assert_eq!(read(&filled), Err(FrameError::Padding));
    // ... then one addition (count - 1 in 7 bits), its presence, its length and its octet.
    let mut extended = plain.clone();
    extended[0] |= 0x80;
    extended.extend([0b1000_0000, 0b1000_0000, 0b1000_0000]);
    assert_eq!(read(&extended), Err(FrameError::UnknownExtension));
    let mut high = plain;
    high[2] |= 0x7f;
    high[3] |= 0x80;
    assert_eq!(read(&high), Err(FrameError::OutOfRange));
}
