//! The same input gives the same outputs: whatever the shards, the batches, the composition, and
//! also when the run is stopped in the middle and taken up again.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test itself"
)]

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use roadcast::config;
use roadcast::engine::{Analysis, AnalysisSettings, Engine, FrontSettings, Input, Output};
use roadcast::forecast::{ForecastBatch, Forecaster, LastValue, OutlookBatch, ProfileResidual};
use roadcast::guide::Guidance;
use roadcast::matching::{MatchSettings, Matcher, Present};
use roadcast::observation::{RawMessage, RejectReason};
use roadcast::publish::format::{ForecasterLabel, ForecasterScoresEntry};
use roadcast::replay::city::{self, CitySize};
use roadcast::replay::digest::Digest;
use roadcast::replay::outputs::{MinuteTimes, OutputSink};
use roadcast::replay::pipeline::{Forecasters, Parts, Pipeline, PipelineSettings, RunFigures};
use roadcast::replay::traffic::Fleet;
use roadcast::screening::{Pseudonyms, Secret};
use roadcast::state::congestion::CongestionBatch;
use roadcast::state::{PerformanceBatch, StateBatch};
use roadcast::units::{SourceId, Timestamp};
use roadcast::wire::{ProbeRecord, protobuf};

const START_S: i64 = 1_764_028_800;
const SECONDS: i64 = 400;
const VEHICLES: usize = 600;

#[derive(Debug, Default)]
struct DigestSink {
    digest: Digest,
    minutes: usize,
    /// Who was where at the end of each minute.
    present: Vec<Vec<Present>>,
}

impl OutputSink for DigestSink {
    fn state(&mut self, batch: &Arc<StateBatch>) -> anyhow::Result<()> {
        self.digest.state(batch);
        self.minutes += 1;
        Ok(())
    }

    fn congestion(&mut self, batch: &Arc<CongestionBatch>) -> anyhow::Result<()> {
        self.digest.congestion(batch);
        Ok(())
    }

    fn performance(&mut self, batch: &Arc<PerformanceBatch>) -> anyhow::Result<()> {
        self.digest.performance(batch);
        Ok(())
    }

    fn outlook(&mut self, batch: &Arc<OutlookBatch>) -> anyhow::Result<()> {
        self.digest.outlook(batch);
        Ok(())
    }

    fn forecast(&mut self, batch: &Arc<ForecastBatch>) -> anyhow::Result<()> {
        self.digest.forecast(batch);
        Ok(())
    }

    fn guidance(&mut self, guidance: &Guidance) -> anyhow::Result<()> {
        self.digest.guidance(guidance);
        Ok(())
    }

    fn minute_done(&mut self, analysis: &Analysis, _took: MinuteTimes) -> anyhow::Result<()> {
        self.present.push(analysis.presence().vehicles().to_vec());
        Ok(())
    }
}

struct Fixture {
    matcher: Arc<Matcher>,
    records: Vec<ProbeRecord<'static>>,
}

/// A fleet on the small city, second by second.
fn input() -> &'static Fixture {
    static INPUT: OnceLock<Fixture> = OnceLock::new();
    INPUT.get_or_init(|| {
        let city = city::build(7, CitySize::Small).unwrap();
        let mut fleet = Fleet::new(city.network.clone(), VEHICLES, 7);
        let (mut records, mut second) = (Vec::new(), Vec::new());
        for offset in 0..SECONDS {
            second.clear();
            fleet.tick(Timestamp::from_secs(START_S + offset), &mut second);
            records.append(&mut second);
        }
        let matcher = Matcher::new(city.network.clone(), MatchSettings::default()).unwrap();
        Fixture {
            matcher: Arc::new(matcher),
            records,
        }
    })
}

fn messages(batch: usize) -> Vec<RawMessage> {
    let encode = |records: &[ProbeRecord<'static>]| {
        let mut payload = Vec::new();
        protobuf::encode_batch(records, &mut payload);
        RawMessage {
            received_at: records.last().unwrap().observed_at,
            source: SourceId(0),
            topic: "roadcast/v1/vehicle/fleet/batch/up".into(),
            payload: Bytes::from(payload),
        }
    };
    input().records.chunks(batch).map(encode).collect()
}

fn front() -> FrontSettings {
    FrontSettings {
        future_ms_max: None,
        ..FrontSettings::default()
    }
}

fn decoder() -> roadcast::wire::DecoderTable {
    config::resolve(config::RawConfig::default())
        .unwrap()
        .decoder_table()
}

fn pipeline(shard_count: usize, snapshot: Option<&[u8]>, sink: DigestSink) -> Pipeline<DigestSink> {
    pipeline_with(input().matcher.clone(), shard_count, snapshot, sink)
}

fn pipeline_with(
    matcher: Arc<Matcher>,
    shard_count: usize,
    snapshot: Option<&[u8]>,
    sink: DigestSink,
) -> Pipeline<DigestSink> {
    let parts = Parts {
        matcher,
        decoder: decoder(),
        front: front(),
        analysis: AnalysisSettings::default(),
    };
    let settings = PipelineSettings {
        shard_count,
        forecast_deadline: None,
    };
    let forecaster: Arc<dyn Forecaster> = Arc::new(ProfileResidual);
    Pipeline::start(&settings, parts, forecaster, sink, snapshot).unwrap()
}

fn run(shard_count: usize, batch: usize) -> (RunFigures, String, usize) {
    let mut pipeline = pipeline(shard_count, None, DigestSink::default());
    for message in messages(batch) {
        pipeline.accept(message.received_at, &message).unwrap();
    }
    let (figures, sink) = pipeline.finish().unwrap();
    (figures, sink.digest.hex(), sink.minutes)
}

#[test]
fn neither_shards_nor_batches_change_a_result() {
    let (figures, digest, minutes) = run(1, 1000);
    assert_eq!(minutes, 7, "400 s touch seven minutes");
    assert_eq!(figures.received, (SECONDS as u64) * VEHICLES as u64);
    assert_eq!(figures.received, figures.used + figures.rejected.total());
    assert!(
        figures.used * 10 > figures.received * 9,
        "{} used",
        figures.used
    );
    for (shard_count, batch) in [(2, 1000), (4, 64), (3, 1)] {
        let (again, other, _) = run(shard_count, batch);
        assert_eq!(other, digest, "{shard_count} shards, batches of {batch}");
        assert_eq!(
            (again.used, again.rejected),
            (figures.used, figures.rejected.clone())
        );
    }
}

#[test]
fn a_shadow_is_scored_and_changes_no_output() {
    let run = |shadow: Option<Arc<dyn Forecaster>>| {
        let parts = Parts {
            matcher: input().matcher.clone(),
            decoder: decoder(),
            front: front(),
            analysis: AnalysisSettings::default(),
        };
        let settings = PipelineSettings {
            shard_count: 2,
            forecast_deadline: None,
        };
        let forecasters = Forecasters {
            running: Arc::new(ProfileResidual),
            shadow,
        };
        let sink = DigestSink::default();
        let mut pipeline = Pipeline::start(&settings, parts, forecasters, sink, None).unwrap();
        for message in messages(1000) {
            pipeline.accept(message.received_at, &message).unwrap();
        }
        // The second five minutes are over: what was forecast for them has its truth.
        let end = Timestamp::from_secs(START_S + 600);
        pipeline.close_until(end).unwrap();
        let (figures, sink) = pipeline.finish().unwrap();
        (figures.scores.unwrap().forecasters, sink.digest.hex())
    };
    let (alone, digest) = run(None);
    let (beside, same) = run(Some(Arc::new(LastValue)));
    assert_eq!(digest, same);
    let of = |scores: &[ForecasterScoresEntry], label| {
        let mut found = scores.iter().filter(|entry| entry.forecaster == label);
        found.next().cloned()
    };
    assert_eq!(of(&alone, ForecasterLabel::Shadow), None);
    let shadow = of(&beside, ForecasterLabel::Shadow).unwrap();
    let last_value = of(&beside, ForecasterLabel::LastValue).unwrap();
    assert!(shadow.all.cells > 100.0);
    assert!((shadow.all.mae_mps - last_value.all.mae_mps).abs() < 1e-6);
    for label in [ForecasterLabel::Running, ForecasterLabel::Published] {
        assert_eq!(of(&alone, label), of(&beside, label));
    }
}

#[test]
fn the_engine_without_threads_gives_the_same_outputs() {
    let matcher = input().matcher.clone();
    let mut engine = Engine::new(matcher, decoder(), front(), AnalysisSettings::default()).unwrap();
    let mut digest = Digest::default();
    let mut handle = |engine: &mut Engine, now, input| {
        let mut waiting = vec![input];
        while let Some(input) = waiting.pop() {
            engine.handle(now, input);
            while let Some(output) = engine.poll_output() {
                match output {
                    Output::State(batch) => digest.state(&batch),
                    Output::Congestion(batch) => digest.congestion(&batch),
                    Output::Incidents(changes) => {
                        changes.iter().for_each(|change| digest.incident(change));
                    }
                    Output::Derived(batch) => digest.performance(&batch),
                    Output::Outlook(batch) => digest.outlook(&batch),
                    Output::Forecast(batch) => digest.forecast(&batch),
                    Output::Publish(guidance) => digest.guidance(&guidance),
                    Output::RunForecast(request) => {
                        let answer = ProfileResidual.forecast(&request);
                        waiting.push(Input::ForecastDone(Box::new(answer)));
                    }
                }
            }
        }
    };
    // One second a message, so that no message closes two minutes.
    for message in messages(VEHICLES) {
        let now = message.received_at;
        handle(&mut engine, now, Input::Message(message));
    }
    let (_, threaded, _) = run(2, 1000);
    assert!(engine.poll_deadline().is_some());
    handle(
        &mut engine,
        Timestamp::from_secs(START_S + SECONDS),
        Input::End,
    );
    assert_eq!(digest.hex(), threaded);
    let (used, rejected) = engine.accounts();
    assert_eq!(engine.received(), used + rejected.total());
}

#[test]
fn a_run_taken_up_from_a_snapshot_equals_one_never_stopped() {
    let messages = messages(500);
    let (first, rest) = messages.split_at(messages.len() / 2);
    let mut before = pipeline(2, None, DigestSink::default());
    for message in first {
        before.accept(message.received_at, message).unwrap();
    }
    let memory = before.snapshot().unwrap();
    let (_, begun) = before.abandon().unwrap();
    assert!(begun.minutes >= 2, "the run was stopped in the middle");
    // Another number of shards takes it up, and the digest goes on where it was.
    let mut after = pipeline(3, Some(&memory), begun);
    for message in rest {
        after.accept(message.received_at, message).unwrap();
    }
    let (figures, resumed) = after.finish().unwrap();
    assert!(
        resumed.present == present(1, 500),
        "the same road users in the same places"
    );
    let (expected, digest, minutes) = run(1, 500);
    assert_eq!(resumed.digest.hex(), digest);
    assert_eq!(resumed.minutes, minutes);
    assert_eq!(figures.received, expected.received);
    assert_eq!(figures.profiles, expected.profiles);
}

fn present(shard_count: usize, batch: usize) -> Vec<Vec<Present>> {
    let mut pipeline = pipeline(shard_count, None, DigestSink::default());
    for message in messages(batch) {
        pipeline.accept(message.received_at, &message).unwrap();
    }
    let (_, sink) = pipeline.finish().unwrap();
    sink.present
}

/// A run whose pseudonyms come from `seed` and change every `rotation_s` seconds.
fn named(seed: u64, rotation_s: i64) -> (RunFigures, DigestSink) {
    let network = input().matcher.network().clone();
    let pseudonyms = Pseudonyms::new(Secret::of_seed(seed), rotation_s, 240_000);
    let matcher = Matcher::new(network, MatchSettings::default()).unwrap();
    let matcher = Arc::new(matcher.with_pseudonyms(pseudonyms));
    let mut pipeline = pipeline_with(matcher, 2, None, DigestSink::default());
    for message in messages(1000) {
        pipeline.accept(message.received_at, &message).unwrap();
    }
    pipeline.finish().unwrap()
}

/// Everybody's pseudonyms at the end of each minute, sorted.
fn names(sink: &DigestSink) -> Vec<Vec<u64>> {
    let minutes = sink.present.iter().map(|present| {
        let mut names: Vec<u64> = present
            .iter()
            .map(|vehicle| vehicle.position.subject.0)
            .collect();
        names.sort_unstable();
        names
    });
    minutes.collect()
}

#[test]
fn no_result_depends_on_the_key_of_pseudonyms() {
    let (one, first) = named(1, 86_400);
    let (two, second) = named(2, 86_400);
    assert_eq!(first.digest.hex(), second.digest.hex());
    assert_eq!((one.used, &one.rejected), (two.used, &two.rejected));
    assert_eq!(one.profiles, two.profiles);
    let (of_one, of_two) = (names(&first), names(&second));
    let (last, other) = (of_one.last().unwrap(), of_two.last().unwrap());
    assert_eq!(last.len(), other.len());
    assert!(last.len() > VEHICLES / 2);
    let shared = last.iter().filter(|name| other.binary_search(name).is_ok());
    assert_eq!(shared.count(), 0, "another secret, other names");
    let raw: Vec<u64> = (input().records.iter())
        .map(|record| record.id.subject().0)
        .collect();
    let known = raw.iter().filter(|hash| last.binary_search(hash).is_ok());
    assert_eq!(known.count(), 0, "nobody stands under the hash of the id");
}

#[test]
fn no_track_breaks_when_the_key_changes() {
    // A key changes 216 s after the start, between two whole minutes and amid all trips.
    let rotation_s = (1..=86_400)
        .rev()
        .find(|period_s| (START_S + 216) % period_s == 0 && *period_s > SECONDS)
        .unwrap();
    let (steady, unchanged) = named(1, 86_400);
    let (rotated, changed) = named(1, rotation_s);
    assert_eq!(changed.digest.hex(), unchanged.digest.hex());
    assert_eq!(
        (rotated.used, &rotated.rejected, rotated.tracks),
        (steady.used, &steady.rejected, steady.tracks),
        "every road user is known once, before and after"
    );
    let minutes = names(&changed);
    let (before, after) = (&minutes[2], &minutes[minutes.len() - 1]);
    let kept = after
        .iter()
        .filter(|name| before.binary_search(name).is_ok());
    let silent_since = Timestamp::from_secs(START_S + 216);
    let silent = changed.present.last().unwrap().iter();
    let silent = silent.filter(|vehicle| vehicle.position.observed_at < silent_since);
    assert!(
        kept.count() <= silent.count(),
        "who still reports has a new name"
    );
}

#[test]
fn who_is_where_does_not_depend_on_shards_or_batches() {
    let alone = present(1, 1000);
    assert_eq!(alone.len(), 7);
    // Trips that have ended stay until they expire.
    let range = VEHICLES * 9 / 10..=VEHICLES * 12 / 10;
    let counts: Vec<usize> = alone.iter().map(Vec::len).collect();
    assert!(
        counts.iter().all(|count| range.contains(count)),
        "{counts:?}"
    );
    assert!(alone == present(3, 64));
}

#[test]
fn what_is_sent_twice_changes_nothing_but_the_count() {
    let mut pipeline = pipeline(2, None, DigestSink::default());
    for message in messages(VEHICLES) {
        pipeline.accept(message.received_at, &message).unwrap();
        pipeline.accept(message.received_at, &message).unwrap();
    }
    let (figures, sink) = pipeline.finish().unwrap();
    let (once, digest, _) = run(2, VEHICLES);
    assert_eq!(sink.digest.hex(), digest);
    assert_eq!(figures.used, once.used);
    assert_eq!(figures.received, 2 * once.received);
    assert!(figures.rejected.get(RejectReason::Duplicate) >= once.used);
}

#[test]
fn late_and_broken_input_is_counted_and_stops_nothing() {
    let mut pipeline = pipeline(2, None, DigestSink::default());
    let messages = messages(VEHICLES);
    for message in &messages {
        pipeline.accept(message.received_at, message).unwrap();
    }
    let late = &messages[0];
    let now = Timestamp::from_secs(START_S + SECONDS);
    pipeline.accept(now, late).unwrap();
    let garbage = RawMessage {
        payload: Bytes::from_static(b"\xff\xff garbage"),
        ..late.clone()
    };
    pipeline.accept(now, &garbage).unwrap();
    let stray = RawMessage {
        topic: "some/other/topic".into(),
        ..late.clone()
    };
    pipeline.accept(now, &stray).unwrap();
    let (figures, _) = pipeline.finish().unwrap();
    assert_eq!(figures.rejected.get(RejectReason::Late), VEHICLES as u64);
    assert_eq!(figures.rejected.get(RejectReason::UnknownTopic), 1);
    assert!(figures.rejected.get(RejectReason::Malformed) >= 1);
    assert_eq!(figures.received, figures.used + figures.rejected.total());
}
