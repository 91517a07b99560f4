//! A traffic radar of an OpenV2X site, end to end: its recordings through the engine into the state
//! of the road it looks at.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test itself"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use roadcast::engine::{AnalysisSettings, Engine, FrontSettings, Input, Output};
use roadcast::matching::{MatchSettings, Matcher};
use roadcast::observation::{RawMessage, RejectReason};
use roadcast::state::{DetectorTable, Level, MINUTE_MS, Provenance, SegmentState};
use roadcast::units::{Position, SourceId, Timestamp};
use roadcast::wire::{DecodeLimits, DecoderTable, Format, Route};
use serde_json::Value;

use super::drawn::{Drawn, draw_at};

const KINDS: [&str; 5] = ["TRACK", "FLOW", "STATUS", "CROSS", "EVENT"];

/// Where the drawing begins: 530 m up the road from its stop line.
const ORIGIN: Position = Position::new(115.931_785, 39.078_340);

/// The road on which the radar's targets stand, with the stop line at `b`; 25 m a character.
const MAP: &str = "\
A




















D  b     E





    C";

/// The two lanes of the approach, each seen 255 m back from the stop line (the radar's reach).
const LANES: &str = "\
id,lon,lat,heading,lane,length
N22W75HMBLD/1,115.932655,39.073660,172,0,255
N22W75HMBLD/2,115.932690,39.073660,172,1,255
";

/// Every message of the recordings in order of time, or `None` with a message where there are none.
fn recordings() -> Option<Vec<(Timestamp, &'static str, String)>> {
    let folder = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/data/openv2x/radar"
    ));
    let mut messages = Vec::new();
    for kind in KINDS {
        let path = folder.join(format!("{}.ndjson", kind.to_lowercase()));
        let Ok(text) = fs::read_to_string(&path) else {
            eprintln!("skipped: no {}", path.display());
            return None;
        };
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            let millis = value["timeStamp"].as_str().unwrap().parse().unwrap();
            messages.push((Timestamp::from_millis(millis), kind, line.to_owned()));
        }
    }
    messages.sort_by_key(|(at, _, _)| *at);
    Some(messages)
}

fn engine(drawn: &Drawn) -> Engine {
    let network = &drawn.network;
    let mut detectors = DetectorTable::default();
    detectors
        .read(network, "lanes.csv", LANES.as_bytes())
        .unwrap();
    assert_eq!((detectors.len(), detectors.skipped().len()), (2, 0));
    let mut analysis = AnalysisSettings::default();
    analysis.state.detectors = detectors;
    let routes = vec![Route::new("V2X/RADAR/+/#", Format::OpenV2x)];
    let decoder = DecoderTable::new(routes, DecodeLimits::default());
    let matcher = Matcher::new(Arc::clone(network), MatchSettings::default()).unwrap();
    Engine::new(
        Arc::new(matcher),
        decoder,
        FrontSettings::default(),
        analysis,
    )
    .unwrap()
}

/// The states of segment `name` by the start of their minute, and the engine behind them.
fn replayed(
    drawn: &Drawn,
    name: &str,
    messages: &[(Timestamp, &str, String)],
) -> (BTreeMap<Timestamp, SegmentState>, Engine) {
    let segment = drawn.segment(name);
    let mut engine = engine(drawn);
    let mut states = BTreeMap::new();
    let mut handle = |engine: &mut Engine, at: Timestamp, input| {
        engine.handle(at, input);
        while let Some(output) = engine.poll_output() {
            if let Output::State(batch) = output {
                states.insert(batch.interval.start, batch.segments[segment.index()]);
            }
        }
    };
    for (at, kind, line) in messages {
        let received_at = at.plus_millis(200);
        let message = RawMessage {
            received_at,
            source: SourceId(0),
            topic: format!("V2X/RADAR/N22W75HMBLD/{kind}/UP").into(),
            payload: line.clone().into_bytes().into(),
        };
        handle(&mut engine, received_at, Input::Message(message));
    }
    let end = messages.last().unwrap().0.plus_millis(2 * MINUTE_MS);
    handle(&mut engine, end, Input::End);
    (states, engine)
}

/// The road and its cross street.
fn drawn() -> Drawn {
    draw_at(ORIGIN, MAP, &["A>b>C primary", "D-b-E"], &[])
}

/// Metres from the stop line to each target of a TRACK message that stands.
fn standing_m(drawn: &Drawn, line: &str) -> Vec<f32> {
    let value: Value = serde_json::from_str(line).unwrap();
    let targets = value["targets"].as_array().unwrap().iter();
    let standing = targets.filter(|target| target["speed"].as_f64().unwrap().abs() < 0.1);
    let degrees = |target: &Value, name: &str| target[name].as_f64().unwrap();
    let distance = standing.map(|target| {
        let place = Position::new(degrees(target, "longitude"), degrees(target, "latitude"));
        let point = drawn.network.frame().to_point(place);
        point.distance_m(drawn.point('b'))
    });
    distance.collect()
}

#[test]
fn what_a_radar_records_becomes_the_state_of_its_road() {
    let Some(messages) = recordings() else { return };
    let drawn = drawn();
    let (states, engine) = replayed(&drawn, "Ab", &messages);

    // Targets, lanes of FLOW and STATUS, passages, events.
    let (used, rejected) = engine.accounts();
    assert_eq!(engine.received(), 10_725 + 104 + 1_000 + 501 + 500);
    assert_eq!(used + rejected.total(), engine.received());
    // Some frames stand in the recording twice; nothing is off the road, late or implausible.
    let known = [RejectReason::Duplicate, RejectReason::UnsupportedKind];
    let explained: u64 = known.map(|reason| rejected.get(reason)).iter().sum();
    assert_eq!(rejected.total(), explained, "{rejected:?}");
    assert!(rejected.get(RejectReason::Duplicate) < 10_725 / 20);

    // Whole minutes of tracks: the queue is as long as the farthest target that stands.
    let mut frames: BTreeMap<Timestamp, (usize, f32)> = BTreeMap::new();
    for (at, _, line) in messages.iter().filter(|(_, kind, _)| *kind == "TRACK") {
        let (count, longest_m) = frames.entry(at.floor_to(MINUTE_MS)).or_default();
        *count += 1;
        *longest_m = standing_m(&drawn, line)
            .into_iter()
            .fold(*longest_m, f32::max);
    }
    frames.retain(|_, (count, _)| *count >= 30);
    assert!(frames.len() >= 10, "{} minutes", frames.len());
    for (minute, (_, longest_m)) in frames {
        let state = &states[&minute];
        assert_eq!(
            state.provenance,
            Provenance::Observed,
            "{minute:?} {state:?}"
        );
        assert_eq!(state.level, Level::Severe, "{minute:?} {state:?}");
        assert!(
            state.speed_mps < 1.0 && state.sample_count >= 40,
            "{state:?}"
        );
        let off_m = state.queue_length_m.unwrap() - longest_m;
        assert!(off_m.abs() < 15.0, "{minute:?}: {longest_m} m, {state:?}");
    }
}

#[test]
fn lanes_of_a_radar_alone_give_queue_and_speed() {
    let Some(mut messages) = recordings() else {
        return;
    };
    messages.retain(|(_, kind, _)| ["FLOW", "STATUS"].contains(kind));
    let mut longest: BTreeMap<Timestamp, u64> = BTreeMap::new();
    for (at, _, line) in messages.iter().filter(|(_, kind, _)| *kind == "STATUS") {
        let value: Value = serde_json::from_str(line).unwrap();
        let lanes = value["trafficStatusInformations"]
            .as_array()
            .unwrap()
            .iter();
        let queues = lanes.map(|lane| lane["queueLength"].as_u64().unwrap());
        // A reading at the very start of a minute ends the minute before.
        let minute = at.plus_millis(-1).floor_to(MINUTE_MS);
        let queue = longest.entry(minute).or_default();
        *queue = queues.fold(*queue, u64::max);
    }
    let drawn = drawn();
    let (states, engine) = replayed(&drawn, "Ab", &messages);
    assert_eq!(engine.accounts().0, 104 + 1_000);
    assert!(longest.len() >= 10);
    for (minute, queue_m) in longest {
        let found = states[&minute].queue_length_m;
        assert_eq!(found, Some(queue_m as f32), "{minute:?}");
    }

    // Vehicles that creep over the radar's stretch and drive on the rest of the road.
    let segment = drawn.network.segment(drawn.segment("Ab"));
    let cruising_s = (segment.length_m - 255.0) / (0.85 * segment.limit_mps);
    let mut compared = 0;
    for (at, _, line) in messages.iter().filter(|(_, kind, _)| *kind == "FLOW") {
        let Some(creeping_mps) = mean_mps(line) else {
            continue;
        };
        let state = &states[&at.plus_millis(-1).floor_to(MINUTE_MS)];
        assert_eq!(state.provenance, Provenance::Observed, "{at:?} {state:?}");
        let wanted_mps = segment.length_m / (255.0 / creeping_mps + cruising_s);
        let off_mps = state.speed_mps - wanted_mps;
        assert!(off_mps.abs() < 1.5, "{at:?}: {wanted_mps} m/s, {state:?}");
        compared += 1;
    }
    assert!(compared >= 15, "{compared} readings of flow");
}

/// Space-mean speed of the vehicles that a FLOW message counts on all lanes, m/s.
fn mean_mps(line: &str) -> Option<f32> {
    let value: Value = serde_json::from_str(line).unwrap();
    let (mut count, mut hours_a_km) = (0.0, 0.0);
    for lane in value["trafficFlows"].as_array().unwrap() {
        let classes = ["totalFlowA", "totalFlowB", "totalFlowC"];
        let passed: f64 = classes
            .map(|name| lane[name].as_f64().unwrap())
            .iter()
            .sum();
        let kmh = lane["averageSpeed"].as_f64().unwrap();
        if passed > 0.0 {
            count += passed;
            hours_a_km += passed / kmh.max(0.36);
        }
    }
    (count > 0.0).then(|| (count / hours_a_km / 3.6) as f32)
}
