//! `roadcast replay`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::network::open as open_network;
use super::{UsageError, forecasters, load_config};
use crate::archive::{Archiver, Overflow};
use crate::config::parse_broker_url;
use crate::engine::{Analysis, AnalysisSettings, FrontSettings};
use crate::forecast::{ForecastBatch, OutlookBatch};
use crate::guide::Guidance;
use crate::ingest::ConnectSettings;
use crate::network::Network;
use crate::publish::format::{day_message, scores_message};
use crate::publish::{Release, Released};
use crate::replay::mqtt_outputs::MqttOutputs;
use crate::replay::outputs::{FileOutputs, MinuteTimes, OutputFiles, OutputSink};
use crate::replay::pipeline::{Parts, Pipeline, PipelineSettings, RunFigures};
use crate::replay::recording::create_private;
use crate::replay::report::{Report, StageTimes, cpu_seconds, peak_rss_bytes};
use crate::replay::round_trip::RoundTrip;
use crate::replay::source::{Inputs, Item};
use crate::screening::Secret;
use crate::service::{archive, congestion_settings, decoder, matcher, presence_settings, release};
use crate::state::congestion::CongestionBatch;
use crate::state::{
    Closures, CorridorDraft, Doubt, IncidentChange, PerformanceBatch, StateBatch, VettingCounts,
};
use crate::units::Timestamp;

/// Options of `roadcast replay`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Road network: CSV, SUMO .net.xml[.gz], OSM .osm.pbf or compiled .rcn.
    #[arg(long)]
    network: PathBuf,
    /// Input files, merged by time: probes or SUMO detectors (.parquet), traces (.csv[.gz]),
    /// recordings.
    #[arg(long, required = true, num_args = 1..)]
    input: Vec<PathBuf>,
    /// Files that say where the detectors stand: CSV (id, lon, lat, heading, lane, length) or SUMO
    /// additional files.
    #[arg(long, num_args = 1..)]
    detectors: Vec<PathBuf>,
    /// Configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Forecasting model: a folder, or `baseline`; that of the configuration if left out.
    #[arg(long)]
    model: Option<String>,
    /// Second model, scored and not published: a folder, `bundled` or `baseline`; that of the
    /// configuration if left out.
    #[arg(long)]
    shadow: Option<String>,
    /// Profiles learnt in an earlier run of the same network.
    #[arg(long)]
    profiles: Option<PathBuf>,
    /// Write the profiles learnt in this run here.
    #[arg(long)]
    profiles_out: Option<PathBuf>,
    /// `max`, or how many times faster than recorded.
    #[arg(long, default_value = "max")]
    speed: String,
    /// Threads that match; the result does not depend on it.
    #[arg(long, default_value_t = 2)]
    shards: usize,
    /// Records a message for inputs that are not recordings; the result does not depend on it.
    #[arg(long, default_value_t = 1000)]
    batch: usize,
    /// Publish through this broker and take the input back from it (mqtt://host:port).
    #[arg(long)]
    mqtt: Option<String>,
    /// Seed of the pseudonyms; the result does not depend on it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the states here (Parquet).
    #[arg(long)]
    states: Option<PathBuf>,
    /// Write the forecasts here (Parquet).
    #[arg(long)]
    forecasts: Option<PathBuf>,
    /// Write incident life-cycle changes here (one JSON object a line).
    #[arg(long)]
    incidents: Option<PathBuf>,
    /// Write guidance here (one JSON object a line).
    #[arg(long)]
    guidance: Option<PathBuf>,
    /// Write the index of each region and minute here (one JSON object a line).
    #[arg(long)]
    index: Option<PathBuf>,
    /// Write the report of each local day of the run here (JSON), the last one as far as it came.
    #[arg(long)]
    day_report: Option<PathBuf>,
    /// Write travel times of the configured corridors here (one JSON object a line and minute).
    #[arg(long)]
    corridors: Option<PathBuf>,
    /// Archive what may leave in this folder (Parquet by day, docs/archive.md).
    #[arg(long)]
    archive: Option<PathBuf>,
    /// Write what may leave (the release rule of `[privacy]`) to these files, not the engine's own
    /// values.
    #[arg(long)]
    released: bool,
    /// Write the report here (JSON); it is printed in any case.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let pace = pace(&args.speed)?;
    if !(1..=256).contains(&args.shards) || args.batch == 0 {
        return Err(UsageError("--shards must be 1..=256 and --batch at least 1".into()).into());
    }
    let config = load_config(args.config.as_deref())?;
    let network = Arc::new(open_network(&args.network)?.0);
    let mut analysis = AnalysisSettings::default();
    analysis.state.calendar = config.calendar.clone();
    analysis.congestion = congestion_settings(&config, &network)?;
    analysis.vetting = config.vetting;
    analysis.presence = presence_settings(&config, &network)?;
    for path in config.raw.state.detectors.iter().chain(&args.detectors) {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let name = path.to_string_lossy();
        analysis.state.detectors.read(&network, &name, &bytes)?;
    }
    analysis.closures = Closures::resolve(&network, &config.closures)?;
    analysis.corridors = CorridorDraft::resolve_all(&network, &config.corridors)?;
    if let Some(path) = &args.profiles {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        analysis.profiles = Some(bytes);
    }
    let model = args.model.as_deref().unwrap_or(&config.raw.forecast.model);
    let shadow = args
        .shadow
        .as_deref()
        .unwrap_or(&config.raw.forecast.shadow);
    let forecasters = forecasters(
        model,
        shadow,
        &network,
        &config.calendar,
        config.forecast_device,
    )?;
    let files = OutputFiles {
        states: args.states.clone(),
        forecasts: args.forecasts.clone(),
        guidance: args.guidance.clone(),
        index: args.index.clone(),
        incidents: args.incidents.clone(),
        corridors: args.corridors.clone(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let round_trip = args
        .mqtt
        .as_deref()
        .map(|url| connect(url, &runtime))
        .transpose()?;
    let mqtt = round_trip.as_ref().map(|round_trip| {
        let zoom = config.raw.publish.tile_zoom;
        MqttOutputs::new(round_trip.publisher().clone(), network.clone(), zoom)
            .with_snapshots_every(config.raw.publish.state_snapshot_minutes)
    });
    let release = release(&config, &network)?;
    let mut config = config;
    config.raw.archive.dir = args.archive.clone().unwrap_or_default();
    let archive = archive(&config, &network, Overflow::Wait)?.map(|(archiver, _)| archiver);
    let files = FileOutputs::create(network.clone(), &files)?;
    let sink = ReplaySink {
        files: match args.released {
            true => files.released(release.clone()),
            false => files,
        },
        mqtt,
        archive,
        network: network.clone(),
        release,
        state: None,
    };
    let items = Inputs::open(&args.input)?.into_items(args.batch)?;
    let parts = Parts {
        matcher: Arc::new(matcher(
            &config,
            network.clone(),
            Secret::of_seed(args.seed),
        )?),
        decoder: decoder(&config)?,
        front: FrontSettings {
            future_ms_max: None,
            ..config.front
        },
        analysis,
    };
    let settings = PipelineSettings {
        shard_count: args.shards,
        forecast_deadline: None,
    };
    let mut pipeline = Pipeline::start(&settings, parts, forecasters, sink, None)?;

    let cpu_before = cpu_seconds();
    let started = Instant::now();
    let mut pacer = Pacer {
        factor: pace,
        origin: None,
    };
    if let Some(round_trip) = &round_trip {
        round_trip.run(items, &mut |now, message| {
            pacer.wait(now, || pipeline.hand_over())?;
            pipeline.accept(now, &message)
        })?;
    } else {
        for item in items {
            pacer.wait(item.known_at(), || pipeline.hand_over())?;
            match item {
                Item::Message(now, message) => pipeline.accept(now, &message)?,
                Item::Detector(now, reading) => pipeline.accept_detector(now, reading)?,
            }
        }
    }
    let (
        figures,
        ReplaySink {
            files: sink,
            release,
            ..
        },
    ) = pipeline.finish()?;
    let wall_s = started.elapsed().as_secs_f64();
    let cpu_s = cpu_seconds()
        .zip(cpu_before)
        .map_or(0.0, |(after, before)| after - before);
    if let Some(round_trip) = round_trip {
        let left = round_trip.close();
        anyhow::ensure!(left == 0, "{left} output messages did not reach the broker");
    }
    if let Some(path) = &args.profiles_out {
        let written = create_private(path).and_then(|mut file| file.write_all(&figures.profiles));
        written.with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &args.day_report {
        let days = figures.days.iter();
        let days: Vec<_> = days
            .map(|day| match args.released {
                true => day_message(&network, &release.day(day)),
                false => day_message(&network, day),
            })
            .collect();
        let written = std::fs::write(path, serde_json::to_string_pretty(&days)?);
        written.with_context(|| path.display().to_string())?;
    }
    let report = report(&figures, &sink, [wall_s, cpu_s], args.shards, &network);
    let text = serde_json::to_string_pretty(&report)?;
    if let Some(path) = &args.report {
        std::fs::write(path, &text).with_context(|| path.display().to_string())?;
    }
    #[expect(clippy::print_stdout, reason = "the report is what the command is for")]
    {
        println!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Connects to the broker that `--mqtt` names.
fn connect(url: &str, runtime: &tokio::runtime::Runtime) -> anyhow::Result<RoundTrip> {
    let (host, port) = parse_broker_url(url)
        .map_err(|problem| UsageError(format!("--mqtt {url:?}: {problem}")))?;
    let nonce = std::process::id().to_string();
    let settings = ConnectSettings::new(&host, port, "roadcast-replay");
    RoundTrip::connect(&settings, &nonce, runtime.handle())
}

/// Files, and the broker where there is one.
struct ReplaySink {
    files: FileOutputs,
    mqtt: Option<MqttOutputs>,
    archive: Option<Archiver>,
    network: Arc<Network>,
    /// What becomes of values before they go to the broker or the archive.
    release: Release,
    state: Option<Released<StateBatch>>,
}

impl OutputSink for ReplaySink {
    fn state(&mut self, batch: &Arc<StateBatch>) -> anyhow::Result<()> {
        if self.mqtt.is_some() || self.archive.is_some() {
            let released = self.release.states(batch);
            if let Some(mqtt) = &mut self.mqtt {
                mqtt.state(&released);
                mqtt.expire(batch.interval.end);
            }
            if let Some(archive) = &mut self.archive {
                archive.state(&released);
            }
            self.state = Some(released);
        }
        self.files.state(batch)
    }

    fn congestion(&mut self, batch: &Arc<CongestionBatch>) -> anyhow::Result<()> {
        if let Some(mqtt) = &self.mqtt {
            mqtt.congestion(&self.release.congestion(batch));
        }
        self.files.congestion(batch)
    }

    fn performance(&mut self, batch: &Arc<PerformanceBatch>) -> anyhow::Result<()> {
        if let Some(mqtt) = &self.mqtt {
            mqtt.performance(&self.release.performance(mqtt.network(), batch));
        }
        self.files.performance(batch)
    }

    fn outlook(&mut self, batch: &Arc<OutlookBatch>) -> anyhow::Result<()> {
        if let Some(mqtt) = &self.mqtt {
            let released = self.release.outlook(batch, self.state.as_ref());
            mqtt.outlook(&released, self.state.as_deref());
        }
        self.files.outlook(batch)
    }

    fn forecast(&mut self, batch: &Arc<ForecastBatch>) -> anyhow::Result<()> {
        if let Some(mqtt) = &self.mqtt {
            let released = self.release.forecast(batch, self.state.as_ref());
            mqtt.forecast(&released, self.state.as_deref());
        }
        self.files.forecast(batch)
    }

    fn incidents(&mut self, changes: &[IncidentChange]) -> anyhow::Result<()> {
        if let Some(mqtt) = &mut self.mqtt {
            let told = changes
                .iter()
                .filter_map(|change| self.release.incident(change));
            mqtt.incidents(&told.collect::<Vec<_>>());
        }
        self.files.incidents(changes)
    }

    fn guidance(&mut self, guidance: &Guidance) -> anyhow::Result<()> {
        if self.mqtt.is_some() || self.archive.is_some() {
            let released = self.release.guidance(guidance);
            if let Some(mqtt) = &mut self.mqtt {
                mqtt.guidance(&released);
            }
            let is_secret = self.release.withholds(guidance);
            if let Some(archive) = self.archive.as_mut().filter(|_| !is_secret) {
                archive.guidance(&self.network, &released);
            }
        }
        self.files.guidance(guidance)
    }

    fn minute_done(&mut self, analysis: &Analysis, _: MinuteTimes) -> anyhow::Result<()> {
        if let (Some(mqtt), true) = (&self.mqtt, analysis.has_scored()) {
            let scores = scores_message(analysis.errors(), analysis.outlooks(), analysis.flows());
            scores.iter().for_each(|scores| mqtt.scores(scores));
        }
        if let Some(archive) = &mut self.archive {
            archive.minute_done();
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        if let Some(archive) = &mut self.archive {
            archive.finish();
            let stats = archive.stats();
            let failures = stats.failures.load(Ordering::Relaxed);
            anyhow::ensure!(failures == 0, "the archive could not be written");
            let known = stats.known.load(Ordering::Relaxed);
            anyhow::ensure!(
                known == 0,
                "{known} rows are of minutes that the archive has already or that lie before them"
            );
        }
        self.files.finish()
    }
}

/// The factor of `--speed`; `None` for `max`.
fn pace(text: &str) -> anyhow::Result<Option<f64>> {
    if text == "max" {
        return Ok(None);
    }
    match text.parse() {
        Ok(factor) if factor > 0.0 => Ok(Some(factor)),
        _ => Err(UsageError(format!(
            "--speed {text:?} is neither max nor a positive number"
        ))
        .into()),
    }
}

/// Holds input back so that event time runs `factor` times as fast as the wall clock.
struct Pacer {
    factor: Option<f64>,
    origin: Option<(Timestamp, Instant)>,
}

impl Pacer {
    fn wait(
        &mut self,
        now: Timestamp,
        before_sleep: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(factor) = self.factor else {
            return Ok(());
        };
        let (first, began) = *self.origin.get_or_insert_with(|| (now, Instant::now()));
        let due = Duration::from_secs_f64(now.millis_since(first).max(0) as f64 / 1e3 / factor);
        if let Some(left) = due.checked_sub(began.elapsed()) {
            before_sleep()?;
            std::thread::sleep(left);
        }
        Ok(())
    }
}

/// Which reports were believed, for the report.
fn vetted(counts: &VettingCounts) -> BTreeMap<&'static str, u64> {
    let doubts = Doubt::ALL.into_iter().filter(|doubt| *doubt != Doubt::None);
    let withheld = doubts.map(|doubt| (doubt.label(), counts.withheld[doubt as usize]));
    let all = [("stays", counts.stays), ("doubles", counts.doubles)];
    all.into_iter().chain(withheld).collect()
}

fn report(
    figures: &RunFigures,
    sink: &FileOutputs,
    [wall_s, cpu_s]: [f64; 2],
    shards: usize,
    network: &Network,
) -> Report {
    let records = figures.received.max(1) as f64;
    let stages = [
        ("decode_message", &figures.decode_ns, "ns"),
        ("match_record", &figures.match_ns, "ns"),
        ("state_minute", &figures.state_us, "us"),
        ("forecast_minute", &figures.forecast_us, "us"),
        ("guide_minute", &figures.guide_us, "us"),
    ];
    Report {
        records: figures.received,
        used: figures.used,
        wall_s,
        cpu_s,
        records_per_s: records / wall_s,
        cpu_us_per_record: cpu_s * 1e6 / records,
        stages: stages
            .map(|(name, times, unit)| (name, StageTimes::of(times, unit)))
            .into(),
        drops: figures
            .rejected
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.label(), count))
            .collect(),
        vetting: vetted(&figures.vetting),
        forecasts: figures.scores.clone(),
        peak_rss_bytes: peak_rss_bytes().unwrap_or_default(),
        minutes: sink.counts[0],
        guidance: sink.counts[2],
        shards,
        network: network.version().to_string(),
        digest: sink.digest.hex(),
    }
}
