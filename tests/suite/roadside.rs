//! What roadside units tell, end to end: maps and the areas they draw, signals, passages.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test itself"
)]

use std::sync::Arc;

use roadcast::engine::{
    AnalysisSettings, Closed, Engine, Front, FrontSettings, Input, Output, Routed, Shard,
};
use roadcast::matching::{MatchSettings, MatchedPosition, Matcher};
use roadcast::network::LaneIndex;
use roadcast::observation::{Light, RawMessage, RejectReason};
use roadcast::state::{DetectorKind, DetectorPlace, Provenance, RoadsideView, StateBatch};
use roadcast::units::{LocalFrame, Point, SegmentId, SourceId, Timestamp};
use roadcast::wire::{DecodeLimits, DecoderTable, Format, Route};

use crate::area::{ORIGIN, street_and_viaduct};

const START: Timestamp = Timestamp::from_millis(1_764_028_800_000);

fn decoder() -> DecoderTable {
    let routes = vec![
        Route::new("V2X/RSU/+/#", Format::OpenV2x),
        Route::new("records/#", Format::NativeRecords),
    ];
    DecoderTable::new(routes, DecodeLimits::default())
}

fn front_settings() -> FrontSettings {
    FrontSettings {
        future_ms_max: None,
        ..FrontSettings::default()
    }
}

fn message(received_at: Timestamp, topic: &str, payload: String) -> RawMessage {
    RawMessage {
        received_at,
        source: SourceId(0),
        topic: topic.into(),
        payload: payload.into_bytes().into(),
    }
}

/// `{"lat","lon"}` in 1e-7 degree of a point of the plane.
fn steps(x: f32, y: f32) -> String {
    let position = LocalFrame::new(ORIGIN).to_position(Point::new(x, y));
    let of = |degrees: f64| (degrees * 1e7).round() as i64;
    format!(
        r#"{{"lat":{},"lon":{}}}"#,
        of(position.lat_deg),
        of(position.lon_deg)
    )
}

/// The map of a unit at the end of the street, whose one way in is the street. Phase 3 governs the
/// way on, which no line of the map shows.
fn map(received_at: Timestamp, unit: &str) -> RawMessage {
    let points = [20.0, 300.0, 550.0].map(|x| steps(x, 0.0)).join(",");
    let payload = format!(
        r#"{{"nodes":[{{"id":{{"id":5}},"refPos":{},"inLinks":[{{"upstreamNodeId":{{"id":4}},
        "points":[{points}],"movements":[{{"remoteIntersection":{{"id":6}},"phaseId":3}}],
        "lanes":[{{"laneID":1}}]}}]}}]}}"#,
        steps(560.0, 0.0)
    );
    message(received_at, &format!("V2X/RSU/{unit}/MAP/UP"), payload)
}

/// A car on the right lane that `unit` sees 10 m on every second.
fn car(second: i64, unit: &str, number: u32) -> RawMessage {
    let at = START.plus_secs(second);
    let payload = format!(
        r#"{{"rsms":[{{"participants":[{{"ptcType":"motor","ptcId":{number},"secMark":{},
        "pos":{},"speed":500,"heading":7200}}]}}]}}"#,
        at.as_millis() % 60_000,
        steps(50.0 + 10.0 * second as f32, -1.75)
    );
    message(at, &format!("V2X/RSU/{unit}/RSM/UP"), payload)
}

/// Two units see their cars; only R1 tells a map, after some seconds.
fn messages() -> Vec<RawMessage> {
    let mut messages = Vec::new();
    for second in 0..45 {
        if second == 5 || second == 20 {
            messages.push(map(START.plus_secs(second), "R1"));
        }
        for number in 0..20 {
            messages.push(car(second, "R1", number));
            messages.push(car(second, "R2", number));
        }
    }
    messages
}

/// The stages of stage 1 with some shards.
struct Stages {
    front: Front,
    shards: Vec<Shard>,
    present: Vec<MatchedPosition>,
    views: Vec<Arc<RoadsideView>>,
}

impl Stages {
    fn new(matcher: &Arc<Matcher>, shard_count: usize) -> Self {
        Self {
            front: Front::new(decoder(), front_settings()).with_network(matcher.network().clone()),
            shards: (0..shard_count)
                .map(|index| Shard::new(matcher.clone(), index, shard_count))
                .collect(),
            present: Vec::new(),
            views: Vec::new(),
        }
    }

    fn accept(&mut self, message: &RawMessage) {
        let mut routed = Vec::new();
        let now = message.received_at;
        self.front
            .accept(now, message, &mut |item| routed.push(item));
        self.apply(routed);
    }

    fn finish(&mut self) {
        let mut routed = Vec::new();
        self.front.finish(&mut |item| routed.push(item));
        self.apply(routed);
        self.present
            .sort_by_key(|position| (position.subject, position.observed_at));
    }

    fn apply(&mut self, routed: Vec<Routed>) {
        for item in routed {
            match item {
                Routed::Observation {
                    partition,
                    source,
                    observation,
                } => {
                    let owner = Shard::owner_of(partition, self.shards.len());
                    self.shards[owner].observe(partition, source, &observation);
                }
                Routed::Areas(areas) => {
                    let shards = self.shards.iter_mut();
                    shards.for_each(|shard| shard.set_areas(areas.clone()));
                }
                Routed::Flush => self.shards.iter_mut().for_each(Shard::flush),
                Routed::Close {
                    minute, roadside, ..
                } => {
                    self.views.push(roadside);
                    let mut closed = Closed::new(12);
                    for shard in &mut self.shards {
                        shard.close(minute, &mut closed);
                    }
                    let positions = closed.present.iter().map(|located| located.position);
                    self.present = positions.collect();
                }
            }
        }
    }

    /// The same as a restart makes of it, with another number of shards.
    fn restarted(&self, matcher: &Arc<Matcher>, shard_count: usize) -> Self {
        let mut after = Self::new(matcher, shard_count);
        let mut bytes = Vec::new();
        self.front.snapshot(&mut bytes);
        after.front.restore(&bytes).unwrap();
        let blocks: Vec<Vec<Vec<u8>>> = self.shards.iter().map(Shard::snapshot).collect();
        for partition in 0..=u8::MAX {
            let (owner, place) = (
                usize::from(partition) % self.shards.len(),
                usize::from(partition) / self.shards.len(),
            );
            let heir = Shard::owner_of(partition, shard_count);
            after.shards[heir]
                .restore(partition, &blocks[owner][place])
                .unwrap();
        }
        for shard in &mut after.shards {
            shard.set_areas(after.front.areas().clone());
        }
        after
    }
}

fn matcher() -> Arc<Matcher> {
    Arc::new(Matcher::new(street_and_viaduct(), MatchSettings::default()).unwrap())
}

#[test]
fn a_map_draws_the_area_of_its_unit_whatever_the_shards_and_over_a_restart() {
    let matcher = matcher();
    let mut alone = Stages::new(&matcher, 1);
    let mut shared = Stages::new(&matcher, 4);
    let messages = messages();
    let (before, after) = messages.split_at(messages.len() / 2);
    for message in before {
        alone.accept(message);
        shared.accept(message);
    }
    assert_eq!(shared.front.areas().unit_count(), 1);
    let mut shared = shared.restarted(&matcher, 3);
    for message in after {
        alone.accept(message);
        shared.accept(message);
    }
    alone.finish();
    shared.finish();
    assert_eq!(alone.present, shared.present);
    assert_eq!(alone.views.last(), shared.views.last());

    // Lanes are told of what is perceived in an area: of R1's twenty cars, not of R2's. R1's cars
    // were followed outside any area until its map came, and are still remembered there.
    let on_lanes: Vec<_> = alone
        .present
        .iter()
        .filter_map(|position| position.lane)
        .collect();
    assert_eq!(on_lanes, vec![LaneIndex(0); 20]);
    assert_eq!(alone.present.len(), 60);
    let (used, rejected) = (alone.front.detector_count(), alone.front.rejected());
    assert_eq!((used, rejected.total()), (2, 0), "the same map twice");
}

/// The last view and state of an engine that is fed `records` and then closes a minute.
fn run(records: &[String]) -> (Arc<RoadsideView>, Arc<StateBatch>, u64, [u64; 3]) {
    let mut analysis = AnalysisSettings::default();
    let place = DetectorPlace {
        segment: SegmentId(2),
        offset_m: 50.0,
        length_m: 0.0,
        lane: 0,
        kind: DetectorKind::Point,
    };
    analysis.state.detectors.insert("K1", place);
    let mut engine = Engine::new(matcher(), decoder(), front_settings(), analysis).unwrap();
    let mut state = None;
    let mut handle = |engine: &mut Engine, input| {
        engine.handle(START, input);
        while let Some(output) = engine.poll_output() {
            if let Output::State(batch) = output {
                state = Some(batch);
            }
        }
    };
    handle(&mut engine, Input::Message(map(START, "R1")));
    for record in records {
        let record = message(START, "records/up", record.clone());
        handle(&mut engine, Input::Message(record));
    }
    handle(&mut engine, Input::End);
    let (used, rejected) = engine.accounts();
    assert_eq!(engine.received(), used + rejected.total());
    let refused = [
        RejectReason::Late,
        RejectReason::OutOfOrder,
        RejectReason::Duplicate,
    ];
    let refused = refused.map(|reason| rejected.get(reason));
    (engine.roadside().clone(), state.unwrap(), used, refused)
}

#[test]
fn passages_of_a_placed_site_are_the_speed_of_its_segment() {
    let at = START.as_millis();
    let record = |second: i64, vehicle: u32| {
        format!(
            r#"{{"kind":"passage","site":"K1","lane":1,"ts":{},"vehicle":"A{vehicle}","speed":4}}"#,
            at + 1_000 * second
        )
    };
    let mut records: Vec<String> = (0..20).map(|n| record(n.into(), n)).collect();
    records.push(record(19, 19));
    let (view, state, used, refused) = run(&records);
    assert_eq!((view.passage_count, used), (20, 21), "and the map");
    assert_eq!(refused, [0, 0, 1]);
    let segment = state.segments[2];
    assert_eq!(segment.provenance, Provenance::Observed);
    assert!(
        segment.speed_mps < 0.6 * segment.free_flow_mps,
        "{segment:?}"
    );
    assert_eq!(segment.sample_count, 0, "counted, not followed");
    assert_eq!(state.segments[4].provenance, Provenance::Profile);
}

#[test]
fn signals_events_and_car_parks_are_shown_as_they_were_at_the_end_of_the_minute() {
    let at = START.as_millis();
    let signal = |ts: i64, light: &str| {
        format!(r#"{{"kind":"signal","junction":"0-5","phase":3,"ts":{ts},"light":"{light}"}}"#)
    };
    let passage = |ts: i64| format!(r#"{{"kind":"passage","site":"K2","ts":{ts}}}"#);
    let (view, _, used, refused) = run(&[
        passage(at + 1_000),
        signal(at + 2_000, "red"),
        signal(at + 1_000, "yellow"),
        format!(r#"{{"kind":"event","source":"R1","id":7,"ts":{at},"type":707,"lane":1}}"#),
        format!(r#"{{"kind":"parking","lot":"P1","ts":{at},"capacity":200,"free":17}}"#),
        // The watermark passes the minute: what comes later for it is late.
        passage(at + 70_000),
        signal(at + 3_000, "dark"),
        signal(at + 71_000, "protected_green"),
    ]);
    assert_eq!((used, refused), (7, [1, 1, 0]));
    assert_eq!(view.as_of, START.plus_secs(120));
    let [signal] = &view.signals[..] else {
        unreachable!("{view:?}")
    };
    assert_eq!(signal.states[0].light, Light::ProtectedGreen);
    assert_eq!((view.events[0].event, view.events[0].lane), (7, Some(1)));
    assert_eq!((view.parking[0].capacity, view.parking[0].free), (200, 17));
    let junction = view.overlay.junction(&signal.junction).unwrap();
    let governed: Vec<_> = junction.movements_of_phase(signal.phase).collect();
    assert_eq!(governed, [(SegmentId(5), None)]);
}
