//! JSON formats against published examples and recordings of a radar.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use roadcast::observation::{
    Decoded, EventCode, Light, PassagePart, RawMessage, Reading, RejectReason,
};
use roadcast::units::{Datum, Position, SourceId, Timestamp};
use roadcast::wire::{DecodeLimits, DecoderTable, Format, Route};

/// A file of the shared data, or `None` with a message where it is not there.
fn shared(name: &str) -> Option<String> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")).join(name);
    let text = fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("skipped: no {}", path.display());
    }
    text
}

fn table(format: Format) -> DecoderTable {
    let filters = ["v2x/v1/rsu/+/#", "V2X/RADAR/+/#"];
    let routes = filters.map(|filter| Route::new(filter, format));
    DecoderTable::new(routes.into(), DecodeLimits::default())
}

fn decode(table: &DecoderTable, topic: &str, payload: &str) -> Decoded {
    let mut out = Decoded::default();
    let message = RawMessage {
        received_at: Timestamp::from_millis(1_639_812_051_700),
        source: SourceId(0),
        topic: topic.into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    };
    table.decode(&message, &mut out);
    out
}

fn huawei(file: &str, topic: &str) -> Option<Decoded> {
    let text = shared(&format!("huawei/{file}"))?;
    Some(decode(&table(Format::Huawei), topic, &text))
}

#[test]
fn the_vehicle_of_the_huawei_example_is_where_it_says() {
    let Some(out) = huawei("obu_bsm_up_example.json", "v2x/v1/rsu/e/bsm/up") else {
        return;
    };
    let [car] = out.observations[..] else {
        panic!("{out:?}")
    };
    assert_eq!(car.observed_at.as_millis(), 1_610_071_421_907);
    assert_eq!(car.position, Position::new(116.123_456_7, 40.123_456_7));
    assert_eq!((car.speed_mps, car.heading_deg), (Some(60.0), Some(125.0)));
    // Confidence code 10: within 0.5 m.
    assert!((car.accuracy_m.unwrap() - 0.5 / 2.448).abs() < 1e-6);
    assert_eq!(out.rejected.total(), 0);
}

#[test]
fn the_roadside_unit_of_the_huawei_example_is_no_traffic() {
    let Some(out) = huawei("rsm_up_example.json", "v2x/v1/rsu/e/rsm/up") else {
        return;
    };
    assert_eq!(out.rejected.get(RejectReason::UnsupportedKind), 1);
    assert!(out.is_empty(), "{out:?}");
}

#[test]
fn the_signal_of_the_huawei_example_is_red() {
    let Some(out) = huawei("spat_up_example.json", "v2x/v1/rsu/e/spat/up") else {
        return;
    };
    let [Reading::Signal(signal)] = &out.readings[..] else {
        panic!("{out:?}")
    };
    assert_eq!(signal.observed_at.as_millis(), 1_639_812_051_683);
    assert_eq!((&*signal.junction, signal.phase), ("1-301", 11));
    assert_eq!(signal.light, Light::Red);
    assert_eq!(
        (signal.begins_in_s, signal.ends_in_s),
        (Some(0.0), Some(0.0))
    );
}

#[test]
fn the_events_of_the_huawei_example_are_understood_as_content_and_in_a_string() {
    let Some(text) = shared("huawei/rsi_down_content_example.json") else {
        return;
    };
    let topic = "v2x/v1/rsu/e/rsi/down";
    let bare = decode(&table(Format::Huawei), topic, &text);
    let wrapped = serde_json::json!({"name": "RSI", "content": text}).to_string();
    assert_eq!(
        decode(&table(Format::Huawei), topic, &wrapped).readings,
        bare.readings
    );
    let [Reading::Event(event), Reading::Event(sign)] = &bare.readings[..] else {
        panic!("{bare:?}")
    };
    let here = Position::new(116.123_456_7, 40.123_456_7);
    assert_eq!((event.event, event.code), (100, EventCode::Gbt29100(100)));
    assert_eq!((event.position, event.radius_m), (Some(here), Some(10.0)));
    assert_eq!(
        (event.confidence, &event.paths[..]),
        (Some(0.5), &[vec![here]][..])
    );
    // 27344635 minutes since the epoch, beyond those of a year.
    assert_eq!(event.observed_at.as_secs(), 27_344_635 * 60);
    assert_eq!((sign.event, sign.code), (100, EventCode::Gb5768(1)));
    assert_eq!(sign.position, Some(here));
    // Minute 666, told in December 2021: 1 January 2022, 11:06 UTC.
    assert_eq!(sign.valid_from.map(Timestamp::as_secs), Some(1_641_035_160));
    assert_eq!(sign.description.as_deref(), Some("test"));
}

/// Everything a recording of the radar holds.
fn radar(kind: &str) -> Option<Vec<Decoded>> {
    let text = shared(&format!("openv2x/radar/{kind}.ndjson"))?;
    let table = table(Format::OpenV2x);
    let topic = format!("V2X/RADAR/N22W75HMBLD/{}/UP", kind.to_uppercase());
    let frames = text.lines().map(|line| decode(&table, &topic, line));
    Some(frames.collect())
}

#[test]
fn every_target_of_the_radar_is_an_observation_at_its_own_speed() {
    let Some(frames) = radar("track") else { return };
    assert_eq!(frames.len(), 480);
    let targets: usize = frames.iter().map(|frame| frame.observations.len()).sum();
    assert_eq!(targets, 10_725);
    assert!(frames.iter().all(|frame| frame.rejected.total() == 0));

    // Where a target moves, its speed is that of its positions a second later.
    let mut seen: Vec<_> = frames
        .iter()
        .flat_map(|frame| &frame.observations)
        .collect();
    seen.sort_by_key(|target| (target.subject, target.observed_at));
    let mut ratios: Vec<f64> = seen
        .windows(2)
        .filter(|pair| {
            let apart_ms = pair[1].observed_at.millis_since(pair[0].observed_at);
            pair[0].subject == pair[1].subject && apart_ms == 1000
        })
        .filter_map(|pair| {
            let stated = f64::from(pair[0].speed_mps?);
            let moved = pair[0].position.distance_to(pair[1].position).value();
            (stated > 2.0).then_some(moved / stated)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    assert!(ratios.len() > 50, "{} moving targets", ratios.len());
    let median = ratios[ratios.len() / 2];
    assert!(
        (0.9..1.1).contains(&median),
        "moved {median} of the stated speed"
    );
}

#[test]
fn the_other_recordings_of_the_radar_are_understood() {
    let (Some(flow), Some(status), Some(cross), Some(event)) = (
        radar("flow"),
        radar("status"),
        radar("cross"),
        radar("event"),
    ) else {
        return;
    };
    let all = [&flow, &status, &cross, &event];
    assert!(
        all.iter()
            .all(|frames| frames.iter().all(|frame| frame.rejected.total() == 0))
    );
    assert_eq!(
        flow.iter()
            .map(|frame| frame.detectors.len())
            .sum::<usize>(),
        104
    );
    let lane = &flow[0].detectors[0];
    assert_eq!(&*lane.detector, "N22W75HMBLD/1");
    assert_eq!(lane.end.as_millis(), 1_664_422_806_000);
    assert_eq!(
        (lane.occupancy, lane.speed_mps),
        (Some(0.145), Some((3.0f64 / 3.6) as f32))
    );
    let queues: Vec<_> = status.iter().flat_map(|frame| &frame.detectors).collect();
    assert_eq!(
        (queues.len(), queues[1].queue_length_m),
        (1_000, Some(197.0))
    );
    let passages: Vec<_> = cross.iter().flat_map(|frame| &frame.readings).collect();
    let leaving = passages.iter().filter(|passage| {
        matches!(passage, Reading::Passage(passage) if passage.part == PassagePart::Leaves)
    });
    assert_eq!((passages.len(), leaving.count()), (501, 497));
    let [Reading::Event(jam)] = &event[0].readings[..] else {
        panic!("{:?}", event[0])
    };
    assert_eq!((jam.code, jam.lane), (EventCode::Maker(10), Some(1)));
    assert_eq!(
        jam.position,
        Some(Position::new(115.932_761_583, 39.073_168_317))
    );
    assert_eq!(event.len(), 500);
}

#[test]
fn a_route_brings_its_datum_to_wgs84() {
    let route = Route::new("probes/#", Format::NativeJson).in_datum(Datum::Gcj02);
    let table = DecoderTable::new(vec![route], DecodeLimits::default());
    let record = r#"{"id":"v","ts":1764000000000,"lon":114.3053942,"lat":30.5931044}"#;
    let out = decode(&table, "probes/1", record);
    let wgs84 = Position::new(114.299_951_2, 30.595_517_7);
    assert!(out.observations[0].position.distance_to(wgs84).value() < 1.5);
}
