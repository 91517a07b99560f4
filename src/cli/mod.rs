//! The command line: parse, build, run, map errors to exit codes.
//!
//! Exit codes: 0 fine, 2 a comparison found a difference, 64 usage or configuration, 70 internal.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod backtest;
mod codec;
mod dataset;
mod demo;
mod device;
mod load;
mod matching;
mod network;
mod plot;
mod record;
mod replay;
mod retrain;
mod serve;
mod train;
mod understood;

/// Exit code for wrong usage or configuration (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// Exit code for internal errors (`EX_SOFTWARE` of sysexits.h).
const INTERNAL: u8 = 70;

#[derive(Debug, Parser)]
#[command(name = "roadcast", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole engine on a bundled city with simulated traffic and a live map.
    Demo(demo::Args),
    /// Run the engine in production.
    Serve(serve::Args),
    /// Check a configuration without connecting anywhere.
    CheckConfig(serve::CheckArgs),
    /// Run recorded input through the engine and report.
    Replay(Box<replay::Args>),
    /// Record MQTT input, or make a synthetic recording.
    Record(record::Args),
    /// Send simulated telemetry to a broker and print the rate achieved.
    Load(load::Args),
    /// Build and inspect road networks.
    Network(network::Args),
    /// Match traces to a road network.
    Match(matching::Args),
    /// Train a forecasting model.
    Train(train::Args),
    /// Train from the newest days of an archive, and put the new model in the place of the one in force
    /// where it is better on the newest day.
    Retrain(retrain::Args),
    /// Score forecasters on a recorded series, as if they had run live.
    Backtest(backtest::Args),
    /// Show message frames, hexadecimal lines on standard input, as lines of JSON; of other formats
    /// what is understood of each payload.
    Decode(codec::DecodeArgs),
    /// Write lines of JSON on standard input, as `decode` shows them, as hexadecimal lines.
    Encode(codec::Args),
}

/// Parses the command line and runs it.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
            if error.print().is_err() {
                return ExitCode::from(INTERNAL);
            }
            return code;
        }
    };
    let result = match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(args),
        Command::CheckConfig(args) => serve::check(args),
        Command::Replay(args) => replay::run(*args),
        Command::Record(args) => record::run(args),
        Command::Load(args) => load::run(args),
        Command::Network(args) => network::run(args),
        Command::Match(args) => matching::run(args),
        Command::Train(args) => train::run(args),
        Command::Retrain(args) => retrain::run(args),
        Command::Backtest(args) => backtest::run(args),
        Command::Decode(args) => codec::decode(&args),
        Command::Encode(args) => codec::encode(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("roadcast: {error:#}");
            ExitCode::from(if error.is::<UsageError>() {
                USAGE
            } else {
                INTERNAL
            })
        }
    }
}

/// A mistake in what the user asked for: exit code 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Reads the configuration layers and validates them.
pub(crate) fn load_config(file: Option<&std::path::Path>) -> anyhow::Result<crate::config::Config> {
    let usage = |error: crate::config::ConfigError| UsageError(error.to_string());
    let raw = crate::config::read(file, std::env::vars()).map_err(usage)?;
    Ok(crate::config::resolve(raw).map_err(usage)?)
}

/// What training learnt of the segments' past, in a model folder.
const PAST_FILE: &str = "past.bin";

/// The forecaster that a model name asks for: `bundled`, `baseline` or a folder with `card.toml`,
/// `weights.safetensors` and perhaps `past.bin`. A past of another network is left out, and the log
/// says so.
pub(crate) fn forecaster(
    model: &str,
    network: &crate::network::Network,
    calendar: &crate::state::Calendar,
    device: &candle_core::Device,
) -> anyhow::Result<std::sync::Arc<dyn crate::forecast::Forecaster>> {
    use crate::forecast::{MlpForecaster, ProfileResidual};

    if model == "baseline" {
        return Ok(std::sync::Arc::new(ProfileResidual));
    }
    let mlp = load_named(model, device)?;
    let known = match model {
        "bundled" => None,
        folder => known_past(std::path::Path::new(folder), mlp.card(), network)?,
    };
    let forecaster = MlpForecaster::new(mlp, network, Some(calendar.clone()));
    Ok(std::sync::Arc::new(match known {
        Some((past, column_of)) => forecaster.with_past(&past, &column_of),
        None => forecaster,
    }))
}

/// The model that a name asks for: `bundled` or a folder.
fn load_named(model: &str, device: &candle_core::Device) -> anyhow::Result<crate::forecast::Mlp> {
    match model {
        "bundled" => Ok(crate::forecast::Mlp::bundled(device)?),
        folder => load_model(std::path::Path::new(folder), device),
    }
}

/// What training learnt of the past of the segments of `network`, and the column that tells of each,
/// where the folder's card names such a file. One of another network is left out, and the log says so.
fn known_past(
    folder: &std::path::Path,
    card: &crate::forecast::ModelCard,
    network: &crate::network::Network,
) -> anyhow::Result<Option<(crate::forecast::Past, Vec<Option<u32>>)>> {
    use anyhow::Context;

    if card.past_sha256.is_none() {
        return Ok(None);
    }
    let path = folder.join(PAST_FILE);
    let place = || path.display().to_string();
    let bytes = std::fs::read(&path).with_context(place)?;
    let past = crate::forecast::Past::of_card(card, &bytes).with_context(place)?;
    let model = &card.name;
    match past.columns_of(network) {
        Ok(column_of) => {
            let segments = column_of.iter().flatten().count();
            tracing::info!(model, segments, "The segments' past is known.");
            Ok(Some((past, column_of)))
        }
        Err(error) => {
            tracing::warn!(model, %error, "The model's past is of another network and left out.");
            Ok(None)
        }
    }
}

/// The running model and, unless its name is empty, the shadow.
pub(crate) fn forecasters(
    model: &str,
    shadow: &str,
    network: &crate::network::Network,
    calendar: &crate::state::Calendar,
    device: crate::config::DeviceChoice,
) -> anyhow::Result<crate::replay::pipeline::Forecasters> {
    let device = device::open(device)?;
    tracing::info!(device = device::name(&device), "Forecasting.");
    let named = |model| forecaster(model, network, calendar, &device);
    Ok(crate::replay::pipeline::Forecasters {
        running: named(model)?,
        shadow: (!shadow.is_empty()).then(|| named(shadow)).transpose()?,
    })
}

/// The model in a folder with `card.toml` and `weights.safetensors`.
fn load_model(
    folder: &std::path::Path,
    device: &candle_core::Device,
) -> anyhow::Result<crate::forecast::Mlp> {
    use anyhow::Context;

    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).with_context(|| path.display().to_string())
    };
    crate::forecast::Mlp::load(&read("card.toml")?, &read("weights.safetensors")?, device)
        .with_context(|| format!("model {}", folder.display()))
}

/// Logs to standard error, at the level of `ROADCAST_LOG` (default `info`).
pub(crate) fn log_to_stderr() {
    use tracing_subscriber::EnvFilter;

    let filter = EnvFilter::try_from_env("ROADCAST_LOG")
        .unwrap_or_else(|_unset| EnvFilter::new("info,rumqttd=off,rumqttc=warn"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call in one process changes nothing.
    subscriber.try_init().ok();
}
