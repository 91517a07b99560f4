//! `roadcast replay`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::network::open as open_network;
use super::{UsageError, forecaster, load_config};
use crate::engine::{AnalysisSettings, FrontSettings};
use crate::matching::Matcher;
use crate::network::Network;
use crate::replay::outputs::{FileOutputs, OutputFiles};
use crate::replay::pipeline::{Parts, Pipeline, PipelineSettings, RunFigures};
use crate::replay::report::{Report, StageTimes, cpu_seconds, peak_rss_bytes};
use crate::replay::source::{Inputs, Item};
use crate::service::match_settings;
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
    /// SUMO additional files that say where the detectors stand.
    #[arg(long, num_args = 1..)]
    detectors: Vec<PathBuf>,
    /// Configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Forecasting model: a folder, or `baseline`; the bundled model if left out.
    #[arg(long)]
    model: Option<String>,
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
    for path in config.raw.state.detectors.iter().chain(&args.detectors) {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        analysis.state.detectors.read_sumo(&network, &bytes)?;
    }
    if let Some(path) = &args.profiles {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        analysis.profiles = Some(bytes);
    }
    let model = args.model.as_deref().unwrap_or(&config.raw.forecast.model);
    let forecaster = forecaster(model, &network, config.calendar.utc_offset_s)?;
    let files = OutputFiles {
        states: args.states.clone(),
        forecasts: args.forecasts.clone(),
        guidance: args.guidance.clone(),
    };
    let sink = FileOutputs::create(network.clone(), &files)?;
    let inputs = Inputs::open(&args.input)?;
    let parts = Parts {
        matcher: Arc::new(Matcher::new(network.clone(), match_settings(&config))?),
        decoder: config.decoder_table(),
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
    let mut pipeline = Pipeline::start(&settings, parts, forecaster, sink, None)?;

    let items = inputs.into_items(args.batch)?;
    let cpu_before = cpu_seconds();
    let started = Instant::now();
    let mut pacer = Pacer {
        factor: pace,
        origin: None,
    };
    for item in items {
        pacer.wait(item.known_at(), || pipeline.hand_over())?;
        match item {
            Item::Message(now, message) => pipeline.accept(now, &message)?,
            Item::Detector(now, reading) => pipeline.accept_detector(now, reading)?,
        }
    }
    let (figures, sink) = pipeline.finish()?;
    let wall_s = started.elapsed().as_secs_f64();
    let cpu_s = cpu_seconds()
        .zip(cpu_before)
        .map_or(0.0, |(after, before)| after - before);
    if let Some(path) = &args.profiles_out {
        std::fs::write(path, &figures.profiles).with_context(|| path.display().to_string())?;
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
        peak_rss_bytes: peak_rss_bytes().unwrap_or_default(),
        minutes: sink.counts[0],
        guidance: sink.counts[2],
        shards,
        network: network.version().to_string(),
        digest: sink.digest.hex(),
    }
}
