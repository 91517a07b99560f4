//! Stopped in the middle of a morning with a jam and taken up again, a run ends as if nothing had
//! happened: states, levels, forecasts, guidance with its ids, and profiles.
//!
//! The digest is that of every output that `replay` has, and the snapshot that of the whole
//! analysis, so that what is added to either is held to the same.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test itself"
)]

use std::sync::Arc;

use roadcast::config;
use roadcast::engine::{AnalysisSettings, FrontSettings};
use roadcast::forecast::{Forecaster, ProfileResidual};
use roadcast::matching::{MatchSettings, Matcher};
use roadcast::observation::RawMessage;
use roadcast::replay::city::{self, City, CitySize};
use roadcast::replay::outputs::{FileOutputs, OutputFiles};
use roadcast::replay::pipeline::{Parts, Pipeline, PipelineSettings};
use roadcast::replay::traffic::{Simulation, TrafficSettings};
use roadcast::units::SourceId;

const SECONDS: usize = 26 * 60;
/// In the middle of a minute, and of the jam.
const STOPPED_S: usize = 15 * 60 + 27;

/// A morning of the small city with half of a road closed from 4 to 22 minutes.
fn morning(city: &City) -> Vec<Vec<RawMessage>> {
    let settings = TrafficSettings {
        vehicles: 700,
        probe_period_s: 4,
        bsm_period_s: 4,
        rsm_period_s: 4,
        incident_s: Some((4 * 60, 22 * 60)),
        ..TrafficSettings::default()
    };
    let mut simulation = Simulation::new(city, settings);
    let mut reports = Vec::new();
    let mut second = || {
        simulation.step(&mut reports);
        let now = simulation.now();
        let messages = reports.drain(..).map(|report| RawMessage {
            received_at: now,
            source: SourceId(0),
            topic: report.topic.to_string().into(),
            payload: report.payload,
        });
        messages.collect()
    };
    (0..SECONDS).map(|_| second()).collect()
}

fn start(
    city: &City,
    snapshot: Option<&[u8]>,
    sink: FileOutputs,
    shards: usize,
) -> Pipeline<FileOutputs> {
    let matcher = Matcher::new(city.network.clone(), MatchSettings::default()).unwrap();
    let decoder = config::resolve(config::RawConfig::default())
        .unwrap()
        .decoder_table();
    let parts = Parts {
        matcher: Arc::new(matcher),
        decoder,
        front: FrontSettings {
            future_ms_max: None,
            ..FrontSettings::default()
        },
        analysis: AnalysisSettings::default(),
    };
    let settings = PipelineSettings {
        shard_count: shards,
        forecast_deadline: None,
    };
    let forecaster: Arc<dyn Forecaster> = Arc::new(ProfileResidual);
    Pipeline::start(&settings, parts, forecaster, sink, snapshot).unwrap()
}

fn feed(pipeline: &mut Pipeline<FileOutputs>, seconds: &[Vec<RawMessage>]) {
    for message in seconds.iter().flatten() {
        pipeline.accept(message.received_at, message).unwrap();
    }
}

#[test]
fn a_morning_taken_up_again_ends_as_if_nothing_had_happened() {
    let city = city::build(7, CitySize::Small).unwrap();
    let morning = morning(&city);
    let sink = || FileOutputs::create(city.network.clone(), &OutputFiles::default()).unwrap();
    let (before, after) = morning.split_at(STOPPED_S);

    let mut unbroken = start(&city, None, sink(), 2);
    feed(&mut unbroken, &morning);
    let (expected, steady) = unbroken.finish().unwrap();

    let mut stopped = start(&city, None, sink(), 2);
    feed(&mut stopped, before);
    let memory = stopped.snapshot().unwrap();
    let (_, begun) = stopped.abandon().unwrap();
    let [minutes, _, advice] = begun.counts;
    assert!(
        minutes >= 14 && advice > 0,
        "a jam was told: {:?}",
        begun.counts
    );

    let mut resumed = start(&city, Some(&memory), begun, 3);
    // A snapshot of what was just restored is that snapshot.
    assert!(
        resumed.snapshot().unwrap() == memory,
        "nothing is forgotten by a restart"
    );
    feed(&mut resumed, after);
    let (figures, ended) = resumed.finish().unwrap();
    assert!(
        ended.counts[2] > advice,
        "and goes on after the restart: {:?}",
        ended.counts
    );
    assert_eq!(ended.counts, steady.counts);
    assert_eq!(ended.digest.hex(), steady.digest.hex());
    assert!(figures.profiles == expected.profiles, "the same profiles");
    assert_eq!(figures.vetting, expected.vetting);
    assert_eq!(figures.received, expected.received);
}
