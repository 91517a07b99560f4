//! Wire formats against frames and envelopes recorded in the field.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of a test fail like the test itself"
)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use roadcast::observation::{Decoded, EventCode, Light, Origin, RawMessage, Reading, RejectReason};
use roadcast::units::{Position, SourceId, Timestamp};
use roadcast::wire::asn1::csae2019::{self, MessageFrame};
use roadcast::wire::asn1::json::{from_frame, hex_of, octets_of, to_frame};
use roadcast::wire::asn1::{FrameError, csae2020};
use roadcast::wire::csae::{self, Envelope};
use roadcast::wire::{DecodeLimits, DecoderTable, Dialect, Format, Route, subject_id, unit_id};

/// The folder of field recordings, or `None` with a message where it is not there.
fn csae_folder() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/csae"));
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no field recordings at {}", folder.display());
    None
}

fn bytes(hex: &str) -> Vec<u8> {
    octets_of(hex.trim()).expect("hexadecimal digits")
}

/// Name and bytes of every recorded frame.
fn vectors(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let table = fs::read_to_string(folder.join("vectors.tsv")).expect("the table can be read");
    let rows = table.lines().map(|line| {
        let mut columns = line.split('\t');
        let name = columns.next().expect("a name").to_owned();
        (name, bytes(columns.next().expect("a frame")))
    });
    rows.collect()
}

#[test]
fn field_frames_come_back_byte_for_byte() {
    let Some(folder) = csae_folder() else { return };
    let mut kinds = [0; 5];
    for (name, wire) in vectors(&folder) {
        let frame = csae2019::decode_frame(&wire).unwrap_or_else(|e| panic!("{name}: {e}"));
        let kind = match &frame {
            MessageFrame::BsmFrame(_) => 0,
            MessageFrame::MapFrame(_) => 1,
            MessageFrame::RsmFrame(_) => 2,
            MessageFrame::SpatFrame(_) => 3,
            MessageFrame::RsiFrame(_) => 4,
            other => panic!("{name}: {other:?}"),
        };
        kinds[kind] += 1;
        assert_eq!(csae2019::encode_frame(&frame).unwrap(), wire, "{name}");

        for end in 0..wire.len() {
            assert!(
                csae2019::decode_frame(&wire[..end]).is_err(),
                "{name} cut at {end}"
            );
        }
        let tailed = [&wire[..], &[0]].concat();
        let error = csae2019::decode_frame(&tailed).unwrap_err();
        assert_eq!(error, FrameError::TrailingBytes, "{name}");
    }
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
}

#[test]
fn field_envelopes_are_understood() {
    let Some(folder) = csae_folder() else { return };
    let table = DecoderTable::new(
        vec![
            Route::new("V2X.RSU.+", Format::NativeJson),
            Route::new("#", Format::csae_uper(true)),
        ],
        DecodeLimits::default(),
    );
    let decode = |kind: &str| {
        let payload = bytes(&fs::read_to_string(folder.join(format!("env_{kind}.hex"))).unwrap());
        let envelope = Envelope::parse(&payload).unwrap();
        assert_eq!(&envelope.rsu_id[..], b"u_id_123", "{kind}");
        let mut again = Vec::new();
        csae::encode_envelope(
            envelope.rsu_id,
            envelope.sent_at,
            &envelope.frames,
            &mut again,
        );
        assert_eq!(again, payload, "{kind}");

        let received_at = envelope.sent_at.plus_millis(40);
        let mut out = Decoded::default();
        let message = RawMessage {
            received_at,
            source: SourceId(0),
            topic: format!("V2X.RSU.{kind}.UP").into(),
            payload: Bytes::from(payload),
        };
        table.decode(&message, &mut out);
        out
    };

    let bsm = decode("BSM");
    assert_eq!(bsm.observations.len(), 2, "{bsm:?}");
    assert!(bsm.observations.iter().all(|o| o.origin == Origin::Bsm));
    // Sent at 07:52:09.636, millisecond 9500 of the minute.
    let [first, second] = bsm.observations[..] else {
        panic!("{bsm:?}")
    };
    assert_eq!(first.observed_at.as_millis(), 1_605_340_329_500);
    assert_eq!(second.observed_at, first.observed_at);
    assert_eq!(first.position, Position::new(116.350_950_3, 39.976_464_5));
    assert_eq!(second.position, Position::new(116.350_895_8, 39.976_449_8));
    assert_eq!((first.speed_mps, second.speed_mps), (Some(0.0), Some(0.0)));
    let headings = [first.heading_deg, second.heading_deg];
    assert_eq!(headings, [Some(77.0125), Some(177.9875)]);
    assert_eq!(first.subject, subject_id(b"\xbe\xa9B88888"));
    assert_eq!(second.subject, subject_id(&[0; 8]));
    // The unit of this recording saw one bicycle.
    let rsm = decode("RSM");
    assert_eq!(
        rsm.rejected.get(RejectReason::UnsupportedKind),
        1,
        "{rsm:?}"
    );
    for kind in ["RSI", "MAP", "SPAT", "RSM"] {
        assert_eq!(decode(kind).unit, Some(unit_id(b"u_id_123")), "{kind}");
    }
    recorded_map(&decode("MAP"));
    recorded_signals(&decode("SPAT"));
    recorded_event(&decode("RSI"));
}

fn recorded_map(out: &Decoded) {
    assert_eq!(out.rejected.total(), 0, "{out:?}");
    let [Reading::Junction(junction)] = &out.readings[..] else {
        panic!("{out:?}")
    };
    assert_eq!(&*junction.junction, "1-149");
    assert_eq!(
        junction.position,
        Position::new(112.983_030_4, 28.098_525_8)
    );
    // When it was heard, not when the map was made.
    assert_eq!(junction.observed_at.as_millis(), 1_606_395_023_929);
    let upstream: Vec<&str> = junction.approaches.iter().map(|a| &*a.upstream).collect();
    assert_eq!(upstream, ["1-148", "1-150", "1-1091", "1-1095"]);
    let second = &junction.approaches[1];
    assert_eq!(
        (second.limit_mps, second.width_m),
        (Some(16.68), Some(22.0)),
        "834 steps of 0.02 m/s, 2200 cm"
    );
    assert_eq!(
        (second.points[0], second.points.len()),
        (Position::new(112.983_277_8, 28.095_931_9), 4)
    );
    let movements: Vec<_> = second
        .movements
        .iter()
        .map(|movement| (&*movement.downstream, movement.phase))
        .collect();
    assert_eq!(
        movements,
        [
            ("1-1095", Some(9)),
            ("1-148", Some(10)),
            ("1-1091", Some(11))
        ]
    );
    let [lane] = &second.lanes[..] else {
        panic!("{second:?}")
    };
    assert_eq!((lane.number, lane.width_m), (1, Some(22.0)));
    let turns: Vec<&str> = lane.turns.unwrap().labels().collect();
    assert_eq!(turns, ["straight", "left", "right"]);
    // The lane names other phases than the link: both are kept as they are.
    let connections: Vec<_> = lane
        .connections
        .iter()
        .map(|to| (&*to.downstream, to.lane, to.phase))
        .collect();
    assert_eq!(
        connections,
        [
            ("1-1095", Some(1), Some(1)),
            ("1-148", Some(1), Some(2)),
            ("1-1091", Some(1), Some(3))
        ]
    );
}

fn recorded_signals(out: &Decoded) {
    assert_eq!(out.rejected.total(), 0, "{out:?}");
    let signals: Vec<_> = out
        .readings
        .iter()
        .map(|reading| match reading {
            Reading::Signal(signal) => signal,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(signals.len(), 24, "three states of eight phases");
    // Minute 458335 of 2020 and 5238 ms: 14 November, 06:55:05.238 UTC.
    assert!(
        signals
            .iter()
            .all(|signal| signal.observed_at.as_millis() == 1_605_336_905_238)
    );
    assert!(signals.iter().all(|signal| &*signal.junction == "255-9"));
    let phase_41: Vec<_> = signals
        .iter()
        .filter(|signal| signal.phase == 41)
        .map(|signal| (signal.light, signal.begins_in_s, signal.ends_in_s))
        .collect();
    assert_eq!(
        phase_41,
        [
            (Light::Red, Some(0.0), Some(46.0)),
            (Light::PermissiveGreen, Some(46.0), Some(46.0)),
            (Light::Yellow, Some(46.0), Some(46.0)),
        ]
    );
}

fn recorded_event(out: &Decoded) {
    assert_eq!(out.rejected.total(), 0, "{out:?}");
    let [Reading::Event(event)] = &out.readings[..] else {
        panic!("{out:?}")
    };
    assert_eq!((&*event.source, event.event), ("12345", 123));
    assert_eq!(event.code, EventCode::Gbt29100(9902));
    // No minute is stated: the time of sending counts.
    assert_eq!(event.observed_at.as_millis(), 1_606_396_130_616);
    let here = Position::new(112.982_951_1, 28.098_805_1);
    assert_eq!((event.position, event.radius_m), (Some(here), Some(100.0)));
    assert_eq!((event.paths.len(), event.paths[0].len()), (1, 4));
    assert_eq!(event.paths[0][3], here);
    assert_eq!(
        (event.valid_from, event.valid_until, &event.description),
        (None, None, &None)
    );
}

#[test]
fn the_vehicle_of_the_field_frame_is_where_it_says() {
    let Some(folder) = csae_folder() else { return };
    let (_, wire) = vectors(&folder)
        .into_iter()
        .find(|(name, _)| name == "java-bsmframe")
        .expect("the frame is in the table");
    let near = Timestamp::from_millis(1_605_340_367_500);
    for dialect in Dialect::ALL {
        let mut out = Decoded::default();
        csae::decode(&wire, dialect, near, 10, &mut out);
        let [car] = out.observations[..] else {
            panic!("{out:?}")
        };
        assert_eq!(car.observed_at.as_millis(), 1_605_340_367_091);
        assert_eq!(car.position, Position::new(112.879_997_1, 28.126_034_3));
        assert_eq!(car.speed_mps, Some(0.12));
        assert_eq!(car.heading_deg, Some(74.3));
        // Both axes 48 steps of 0.05 m.
        assert!((car.accuracy_m.unwrap() - 2.4).abs() < 1e-6);
        assert_eq!(car.subject, subject_id(b"00143101"));
    }
}

#[test]
fn field_frames_come_back_through_json() {
    let Some(folder) = csae_folder() else { return };
    for (name, wire) in vectors(&folder) {
        let line = from_frame(Dialect::Csae2019, &wire).unwrap_or_else(|e| panic!("{name}: {e}"));
        let text = serde_json::to_string(&line).unwrap();
        let line = serde_json::from_str(&text).unwrap();
        let again = to_frame(Dialect::Csae2019, &line).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(hex_of(&again), hex_of(&wire), "{name}");
    }
}

/// The dialects differ in RSI and MAP without saying so: a frame of one must not be read as
/// something else in the other.
#[test]
fn field_frames_in_the_wrong_dialect_are_refused_or_mean_the_same() {
    let Some(folder) = csae_folder() else { return };
    for (name, wire) in vectors(&folder) {
        let right = from_frame(Dialect::Csae2019, &wire).unwrap();
        let wrong = from_frame(Dialect::Csae2020, &wire);
        match right["kind"].as_str() {
            Some("bsmFrame" | "rsmFrame" | "spatFrame") => {
                // A history that starts at a full position is the one place where BSM differ.
                let same = wrong.as_ref().is_ok_and(|wrong| *wrong == right);
                assert!(same || wrong.is_err(), "{name}: {wrong:?}");
            }
            _ => assert!(wrong.is_err_and(|e| !e.to_string().is_empty()), "{name}"),
        }
    }
}

#[test]
fn frames_of_the_2020_release_are_no_frames_of_2019() {
    let Some(folder) = csae_folder() else { return };
    for (name, wire) in vectors(&folder) {
        // The same message as a 2020 unit writes it, where the members allow it.
        let line = from_frame(Dialect::Csae2019, &wire).unwrap();
        let Ok(wire_2020) = to_frame(Dialect::Csae2020, &line) else {
            continue;
        };
        assert!(csae2020::decode_frame(&wire_2020).is_ok(), "{name}");
        match from_frame(Dialect::Csae2019, &wire_2020) {
            Ok(read) => assert_eq!(read, line, "{name}"),
            Err(error) => assert!(!error.to_string().is_empty(), "{name}"),
        }
    }
}

/// What `roadcast COMMAND` prints for `input`, in the 2019 dialect.
fn piped(command: &str, envelope: bool, input: &str) -> String {
    let mut arguments = vec![command, "--format", "csae-uper", "--dialect", "2019"];
    arguments.extend(envelope.then_some("--envelope"));
    let (text, code) = run(&arguments, input);
    assert_eq!(code, Some(0), "{command}");
    text
}

/// What `roadcast` prints for `input`, and its exit code.
fn run(arguments: &[&str], input: &str) -> (String, Option<i32>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_roadcast"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("roadcast starts");
    // The lines are few enough for the pipes: nothing has to be read meanwhile.
    let mut stdin = child.stdin.take().expect("a pipe");
    // Wrong usage ends it before it reads.
    stdin.write_all(input.as_bytes()).ok();
    drop(stdin);
    let output = child.wait_with_output().expect("roadcast ends");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    (text, output.status.code())
}

#[test]
fn payloads_of_every_format_are_shown_on_the_command_line() {
    let check = |format: &str, payload: &str, expected: serde_json::Value| {
        let arguments = [
            "decode",
            "--format",
            format,
            "--received-at",
            "1764000000000",
        ];
        let (text, code) = run(&arguments, &format!("{payload}\n"));
        assert_eq!(code, Some(0), "{format}");
        let shown: serde_json::Value = serde_json::from_str(text.trim()).expect("one line of JSON");
        assert_eq!(shown, expected, "{format}");
    };
    let probe =
        r#"{"id":"17","ts":1764000000000,"lon":114.5,"lat":30.5,"speed":12.5,"heading":90}"#;
    let seen = serde_json::json!({
        "origin": "probe", "subject": format!("{:016x}", subject_id(b"17").0),
        "observed_at_ms": 1_764_000_000_000i64, "lon_deg": 114.5, "lat_deg": 30.5,
        "speed_mps": 12.5, "heading_deg": 90.0,
    });
    check("json", probe, serde_json::json!({"observations": [seen]}));
    let half = format!(r#"{{"records":[{probe},{{"id":1}}]}}"#);
    let expected = serde_json::json!({"observations": [seen], "rejected": {"missing_field": 1}});
    check("json", &half, expected);
    check("json", "{", serde_json::json!({"error": "truncated"}));
    let position = roadcast::units::Position::new(114.5, 30.5);
    let bus = roadcast::wire::gtfs_realtime::BusPosition {
        id: "17".to_owned(),
        observed_at: Timestamp::from_secs(1_764_000_000),
        position,
        speed_mps: Some(12.5),
        heading_deg: Some(90.0),
    };
    let feed = roadcast::wire::gtfs_realtime::encode(bus.observed_at, std::slice::from_ref(&bus));
    check(
        "gtfs-rt",
        &hex_of(&feed),
        serde_json::json!({"observations": [seen]}),
    );
    check(
        "gtfs-rt",
        "0",
        serde_json::json!({"error": "not_hex: an odd count of digits, or other characters"}),
    );
    let detector = r#"{"kind":"detector","id":"E","start":1,"end":2,"count":3,"queue_length":4}"#;
    let expected = serde_json::json!({"detectors": [{"detector": "E", "start_ms": 1, "end_ms": 2,
        "vehicle_count": 3.0, "queue_length_m": 4.0}]});
    check("json-records", detector, expected);
    let parking = r#"{"kind":"parking","lot":"P","ts":5,"capacity":9,"free":2}"#;
    let expected = serde_json::json!({"readings": [{"kind": "parking", "lot": "P",
        "observed_at_ms": 5, "capacity": 9, "free": 2}]});
    check("json-records", parking, expected);
    check("its0117", "[]", serde_json::json!({"error": "malformed"}));
    check(
        "huawei",
        "{}",
        serde_json::json!({"error": "unsupported_kind"}),
    );
    check("jtt808", "7e7e", serde_json::json!({"error": "truncated"}));
    for wrong in [
        &["decode", "--format", "csae-uper"][..],
        &["decode", "--format", "json", "--dialect", "2019"],
        &["encode", "--format", "json", "--dialect", "2019"],
    ] {
        assert_eq!(run(wrong, "").1, Some(64), "{wrong:?}");
    }
}

#[test]
fn decode_and_encode_undo_each_other_on_the_command_line() {
    let refused = piped("decode", false, "00\nxyz\n");
    let lines: Vec<serde_json::Value> = refused
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["error"].is_string()));
    assert!(piped("encode", false, "{}\n").starts_with(r#"{"error":"#));

    let Some(folder) = csae_folder() else { return };
    let frames: String = vectors(&folder)
        .iter()
        .map(|(_, wire)| hex_of(wire).to_ascii_lowercase() + "\n")
        .collect();
    assert_eq!(
        piped("encode", false, &piped("decode", false, &frames)),
        frames
    );

    let envelopes: String = ["BSM", "RSM", "RSI", "MAP", "SPAT"]
        .iter()
        .map(|kind| fs::read_to_string(folder.join(format!("env_{kind}.hex"))).unwrap())
        .map(|hex| hex.trim().to_ascii_lowercase() + "\n")
        .collect();
    let shown = piped("decode", true, &envelopes);
    assert!(!shown.contains("error"), "{shown}");
    assert_eq!(piped("encode", true, &shown), envelopes);
}
