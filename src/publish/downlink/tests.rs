use super::*;
use crate::units::{Datum, Metres, Position};
use crate::wire::asn1::csae::{NodeReferenceId, Position3D};

const START: Timestamp = Timestamp::from_millis(1_764_000_000_000);

fn at(seconds: i64) -> Timestamp {
    START.plus_secs(seconds)
}

fn target(id: &str, delimiter: Delimiter, acknowledges: &[Kind]) -> RsuTarget {
    RsuTarget {
        format: crate::config::RsuFormat::Csae,
        id: id.into(),
        position: Position::new(114.3, 30.6),
        radius: Metres(300.0),
        datum: Datum::Wgs84,
        delimiter,
        dialect: Dialect::Csae2019,
        acknowledges: acknowledges.iter().copied().collect(),
        map_file: Default::default(),
        up_limits: UplinkLimits::default().with(Kind::Rsm, 10),
    }
}

fn downlink(targets: &[RsuTarget]) -> Downlink {
    Downlink::new(targets, DeliverySettings::default(), START).unwrap()
}

fn rsi(unit: &str) -> OutMessage {
    down(
        format!("V2X.RSU.RSI.{unit}.DOWN"),
        Bytes::from_static(b"uper"),
    )
}

fn counts(downlink: &Downlink) -> Vec<(&'static str, u64)> {
    DeliveryOutcome::ALL
        .map(|outcome| (outcome.label(), downlink.counts().get(outcome)))
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The number of the CONFIG in `messages`, and the limits it sets.
fn config_in(messages: &[OutMessage]) -> (u64, UplinkLimits) {
    let config = messages
        .iter()
        .find(|message| message.topic.contains("CONFIG"))
        .unwrap();
    let (sequence, limits) = UplinkLimits::decode(&config.payload).unwrap();
    (sequence.unwrap(), limits)
}

fn answer(sequence: Option<u64>, error_code: u32) -> Vec<u8> {
    encode_acknowledgement(&Acknowledgement {
        sequence,
        error_code,
    })
}

#[test]
fn limits_go_out_at_the_start_and_are_acknowledged_in_both_spellings() {
    for (delimiter, down_topic, ack_topic) in [
        (
            Delimiter::Dot,
            "V2X.RSU.CONFIG.R1.DOWN",
            "V2X.RSU.CONFIG.R1.DOWN.ACK",
        ),
        (
            Delimiter::Slash,
            "V2X/RSU/CONFIG/R1/DOWN",
            "V2X/RSU/R1/CONFIG/DOWN/ACK",
        ),
    ] {
        let mut downlink = downlink(&[target("R1", delimiter, &[Kind::Config])]);
        let out = downlink.due(at(0));
        assert_eq!((out.len(), out[0].topic.as_str()), (1, down_topic));
        let (sequence, limits) = config_in(&out);
        assert!(
            sequence > START.as_millis() as u64,
            "no number of an earlier run"
        );
        assert_eq!(limits.get(Kind::Rsm), Some(10));
        let state = |downlink: &Downlink| downlink.status("R1").unwrap().limits_state;
        assert_eq!(state(&downlink), LimitsState::Unanswered);
        assert!(downlink.take_answer(ack_topic, &answer(Some(sequence), 0)));
        assert_eq!(state(&downlink), LimitsState::Acknowledged);
        assert_eq!(counts(&downlink), [("sent", 1), ("delivered", 1)]);
        assert!(downlink.due(at(100)).is_empty());
        // Once more is once too often, as is what cannot be read.
        assert!(downlink.take_answer(ack_topic, &answer(Some(sequence), 0)));
        assert!(downlink.take_answer(ack_topic, b"{"));
        assert_eq!(downlink.counts().get(DeliveryOutcome::Unknown), 2);
    }
}

#[test]
fn what_is_not_acknowledged_goes_out_three_times_and_is_given_up() {
    let mut downlink = downlink(&[target("R1", Delimiter::Dot, &[Kind::Config, Kind::Rsi])]);
    let (sequence, _) = config_in(&downlink.due(at(0)));
    downlink.sending(at(1), &rsi("R1"));
    assert!(downlink.due(at(4)).is_empty());
    let again = downlink.due(at(5));
    assert_eq!((again.len(), config_in(&again).0), (1, sequence));
    let again = downlink.due(at(6));
    assert_eq!(again, [rsi("R1")]);
    assert_eq!(downlink.status("R1").unwrap().waiting, 2);
    downlink.due(at(12));
    assert!(downlink.due(at(30)).is_empty());
    let expected = [("sent", 2), ("resent", 4), ("given_up", 2)];
    assert_eq!(counts(&downlink), expected);
    assert_eq!(downlink.waiting(), 0);
}

#[test]
fn the_outcomes_add_up() {
    let units = [
        target("R1", Delimiter::Dot, &[Kind::Rsi]),
        target("R2", Delimiter::Dot, &[Kind::Rsi, Kind::Config]),
        target("R3", Delimiter::Dot, &[]),
    ];
    let mut downlink = downlink(&units);
    let (sequence, _) = config_in(&downlink.due(at(0))[1..]);
    downlink.take_answer("V2X.RSU.CONFIG.R2.DOWN.ACK", &answer(Some(sequence), 5));
    let state = downlink.status("R2").unwrap().limits_state;
    assert_eq!(state, LimitsState::Refused(5));
    for second in [1, 2] {
        for unit in ["R1", "R2", "R3", "R4"] {
            downlink.sending(at(second), &rsi(unit));
        }
    }
    // UPER has no number; the answer names the unit and the kind alone.
    downlink.take_answer("V2X.RSU.RSI.R1.DOWN.ACK", &answer(None, 0));
    downlink.take_answer("V2X.RSU.RSI.R3.DOWN.ACK", &answer(None, 0));
    assert_eq!(
        counts(&downlink),
        [
            ("sent", 5),
            ("delivered", 1),
            ("refused", 1),
            ("replaced", 2),
            ("unknown", 1)
        ]
    );
    assert_eq!(downlink.waiting(), 1);
    let of_r1 = downlink.status("R1").unwrap();
    assert_eq!(of_r1.counts.get(DeliveryOutcome::Delivered), 1);
    assert_eq!(
        (of_r1.counts.get(DeliveryOutcome::Sent), of_r1.waiting),
        (2, 0)
    );
    assert_eq!(downlink.status("R4"), None);
}

#[test]
fn a_unit_that_comes_back_is_told_again() {
    let mut downlink = downlink(&[target("R1", Delimiter::Slash, &[Kind::Config])]);
    let (sequence, _) = config_in(&downlink.due(at(0)));
    let ack = "V2X/RSU/CONFIG/R1/DOWN/ACK";
    downlink.take_answer(ack, &answer(Some(sequence), 0));
    let seen = |seconds: i64| move |_: &str| Some(at(seconds));
    downlink.look(180_000, seen(10));
    downlink.look(180_000, seen(190));
    assert!(downlink.due(at(190)).is_empty(), "heard all the time");
    downlink.look(180_000, seen(400));
    let (second, _) = config_in(&downlink.due(at(400)));
    assert!(second > sequence);
    downlink.take_answer(ack, &answer(Some(second), 0));

    // An INFO says that it has started anew; many in a row are one.
    let info = br#"{"rsuId":"R1","seqNum":"8","ack":true}"#;
    let acknowledged = downlink
        .take_info(at(404), "V2X/RSU/INFO/UP", info)
        .unwrap();
    assert_eq!(acknowledged.topic, "V2X/RSU/INFO/UP/ACK");
    assert_eq!(acknowledged.payload[..], answer(Some(8), 0)[..]);
    assert!(downlink.due(at(405)).is_empty(), "told a moment ago");
    assert_eq!(downlink.due(at(410)).len(), 1);
    let unasked = downlink.take_info(at(404), "V2X/RSU/INFO/UP", br#"{"rsuId":"R1"}"#);
    assert_eq!(unasked, None);
    assert_eq!(downlink.take_info(at(404), "V2X/RSU/HB/UP", info), None);
}

#[test]
fn a_flood_of_info_is_not_answered_by_a_flood() {
    let mut downlink = downlink(&[]);
    let mut ask = |now| {
        let info = br#"{"rsuId":"R9","ack":true}"#;
        downlink.take_info(now, "V2X.RSU.INFO.UP", info).is_some()
    };
    let answered = (0..1_500).filter(|_| ask(at(0))).count();
    assert_eq!(answered, INFO_ANSWERS_PER_S_MAX as usize);
    assert!(ask(at(1)));
    assert_eq!(downlink.unanswered(), 500);
}

#[test]
fn a_unit_first_heard_after_the_start_is_told_what_it_missed() {
    let mut downlink = downlink(&[target("R1", Delimiter::Slash, &[Kind::Config])]);
    downlink.due(at(0));
    for second in [5, 10, 15] {
        downlink.due(at(second));
    }
    assert_eq!(downlink.counts().get(DeliveryOutcome::GivenUp), 1);
    downlink.look(180_000, |_| None);
    assert!(downlink.due(at(20)).is_empty());
    downlink.look(180_000, |_| Some(at(60)));
    assert_eq!(downlink.due(at(60)).len(), 1);
}

#[test]
fn answers_are_subscribed_to_where_they_can_come() {
    let units = [
        target("R1", Delimiter::Dot, &[Kind::Rsi, Kind::Config]),
        target("R2", Delimiter::Slash, &[Kind::Config]),
        target("R3", Delimiter::Slash, &[Kind::Config]),
        target("R4", Delimiter::Dot, &[]),
    ];
    assert_eq!(
        downlink(&units).filters(),
        [
            "V2X.RSU.CONFIG.R1.DOWN.ACK",
            "V2X.RSU.RSI.R1.DOWN.ACK",
            "V2X/RSU/+/+/DOWN/ACK"
        ]
    );
}

#[test]
fn a_map_is_sent_as_it_is_and_nothing_else_passes_for_one() {
    let directory = std::env::temp_dir().join(format!("roadcast-map-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("r1.uper");
    let frame = csae2019::encode_frame(&csae2019::MessageFrame::MapFrame(csae2019::MapData {
        msg_cnt: 1,
        time_stamp: None,
        nodes: vec![csae2019::Node {
            name: None,
            id: NodeReferenceId {
                region: None,
                id: 7,
            },
            ref_pos: Position3D {
                lat: 306_000_000,
                long: 1_143_000_000,
                elevation: None,
            },
            in_links: None,
        }],
    }))
    .unwrap();
    let mut unit = target("R1", Delimiter::Dot, &[Kind::Map]);
    unit.map_file.clone_from(&path);
    std::fs::write(&path, b"no map").unwrap();
    let refused = Downlink::new(&[unit.clone()], DeliverySettings::default(), START);
    assert!(matches!(refused, Err((_, MapFileError::NoMap("2019")))));
    std::fs::write(&path, &frame).unwrap();
    let mut downlink = downlink(&[unit]);
    let out = downlink.due(at(0));
    let map = out.iter().find(|message| message.topic.contains("MAP"));
    assert_eq!(map.unwrap().payload[..], frame[..]);
    let ack = "V2X.RSU.MAP.R1.DOWN.ACK";
    assert!(downlink.take_answer(ack, &answer(None, 0)));
    assert_eq!(counts(&downlink), [("sent", 1), ("delivered", 1)]);
    std::fs::remove_dir_all(&directory).unwrap();
}
