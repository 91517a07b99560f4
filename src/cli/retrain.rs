//! `roadcast retrain`: trains from the newest days of an archive, holds the new model against the one
//! in force on the newest day, and puts it in its place only where it is better.
//!
//! The newest 24 hours are held out, the 24 hours before choose the epoch, the rest is learnt from.
//! The held-out day chooses nothing but the verdict.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use super::backtest::{ModelReport, Report, Scored, score};
use super::dataset::{LocalDays, read_archive};
use super::device;
use super::network::open as open_network;
use super::train::train_into;
use super::{UsageError, known_past, load_model};
use crate::config::DeviceChoice;
use crate::forecast::{
    Backtest, BacktestSettings, Baseline, Contender, FeatureContext, Mlp, MlpConfig, ModelError,
    Spoiling, StepScores, TrainingSettings,
};
use crate::network::Network;
use crate::state::Calendar;

/// Exit code where the model in force stays.
const KEPT: u8 = 2;
/// Rows of a day.
const DAY: usize = 288;
/// Days that are needed: two to learn from, one to choose by, one to judge by.
const DAYS_MIN: usize = 4;
/// Cells of the first step that the held-out day must have to judge by (chosen).
const CELLS_MIN: f64 = 1_000.0;
/// By how much less of the truths than they claim the intervals may hold (chosen).
const COVERAGE_SHORT_MAX: f64 = 0.05;

/// Options of `roadcast retrain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Archive to learn from: `archive.dir` of the service.
    #[arg(long)]
    archive: PathBuf,
    /// Road network of the service, source or compiled.
    #[arg(long)]
    network: PathBuf,
    /// Folder of the model in force (`forecast.model`). Where nothing stands there yet, the bundled
    /// model is what must be beaten.
    #[arg(long)]
    current: PathBuf,
    /// Folder to write the new model and `retrain.json` to; replaced when it exists.
    #[arg(long)]
    out: PathBuf,
    /// Newest days of the archive to learn from, the two for choice and verdict included.
    #[arg(long, default_value_t = 28)]
    days: u32,
    /// By how much the mean absolute error must fall, % of the error in force.
    #[arg(long, default_value_t = 1.0)]
    margin: f64,
    #[command(flatten)]
    local: LocalDays,
    /// Which processor learns: `auto` takes CUDA when it was built in and a device is there.
    #[arg(long, default_value = "auto", value_name = "auto|cpu|cuda")]
    device: DeviceChoice,
    /// Seed of every random choice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Epochs at most; training stops early when validation stops improving.
    #[arg(long, default_value_t = TrainingSettings::default().epochs)]
    epochs: usize,
    /// Steps of the optimiser an epoch.
    #[arg(long, default_value_t = TrainingSettings::default().steps_per_epoch)]
    steps: usize,
    /// Width of the hidden layers.
    #[arg(long, default_value_t = MlpConfig::default().hidden)]
    hidden: usize,
}

/// What became of the new model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    /// It is in force from the next start of the service on.
    Promoted,
    /// The model in force stays.
    Kept,
}

/// `retrain.json`.
#[derive(Debug, Serialize)]
struct RetrainReport {
    decision: Decision,
    /// Why, as a sentence.
    reason: String,
    margin_percent: f64,
    /// The held-out day, ms UTC.
    held_out_from_ms: i64,
    held_out_until_ms: i64,
    #[serde(flatten)]
    scores: Report,
}

/// The figures of one forecaster that the verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    /// Mean absolute error and mean pinball loss of all levels over the horizon, in the unit of the
    /// data.
    mae: f64,
    pinball: f64,
    coverage_80: f64,
    coverage_90: f64,
    /// Cells of the first step.
    cells: f64,
}

impl Figures {
    fn of(scored: &Scored) -> Self {
        let scores = &scored.scores;
        Self {
            mae: scores.mean(|step| step.plain.mae()),
            pinball: scores.mean(StepScores::mean_pinball),
            coverage_80: scores.mean(StepScores::coverage_80),
            coverage_90: scores.mean(StepScores::coverage_90),
            cells: scores.steps[0].plain.count(),
        }
    }
}

/// Whether the new model takes the place of the one in force, and why.
fn decide(
    new: Figures,
    current: Figures,
    baseline: Figures,
    margin_percent: f64,
) -> (Decision, String) {
    let kept = |reason: String| (Decision::Kept, reason);
    if new.cells < CELLS_MIN {
        return kept(format!(
            "the held-out day has {} measured cells, {CELLS_MIN} are wanted",
            new.cells
        ));
    }
    let wanted = current.mae * (1.0 - margin_percent / 100.0);
    // What is not a number passes no gate.
    let is_better = new.mae <= wanted;
    if !is_better {
        return kept(format!(
            "its error of {:.4} is not {margin_percent} % below {:.4}, that of the model in force",
            new.mae, current.mae
        ));
    }
    let beats_baseline = new.mae <= baseline.mae;
    if !beats_baseline {
        return kept(format!(
            "its error of {:.4} is above {:.4}, that of profile-residual",
            new.mae, baseline.mae
        ));
    }
    for (claimed, found) in [(0.8, new.coverage_80), (0.9, new.coverage_90)] {
        let holds = found >= claimed - COVERAGE_SHORT_MAX;
        if !holds {
            return kept(format!(
                "its intervals of {claimed} hold {found:.3} of the truths, {COVERAGE_SHORT_MAX} less at \
                 most are wanted"
            ));
        }
    }
    // Intervals that hold because they are wide lose here.
    let is_no_worse = new.pinball <= current.pinball;
    if !is_no_worse {
        return kept(format!(
            "its pinball loss of {:.4} is above {:.4}, that of the model in force",
            new.pinball, current.pinball
        ));
    }
    let reason = format!(
        "its error of {:.4} is at least {margin_percent} % below {:.4}, that of the model in force, \
         and its intervals hold",
        new.mae, current.mae
    );
    (Decision::Promoted, reason)
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    Ok(match retrain(&args)? {
        Decision::Promoted => ExitCode::SUCCESS,
        Decision::Kept => ExitCode::from(KEPT),
    })
}

fn retrain(args: &Args) -> anyhow::Result<Decision> {
    if !(0.0..100.0).contains(&args.margin) {
        return Err(UsageError(format!("--margin {} is no share in %", args.margin)).into());
    }
    let network = open_network(&args.network)?.0;
    let calendar = args.local.calendar()?;
    let dataset = read_archive(&args.archive, &network, &calendar, Some(args.days))?;
    let rows = dataset.row_count();
    if rows < DAYS_MIN * DAY {
        let text = format!(
            "the archive has {rows} rows of five minutes, {} wanted",
            DAYS_MIN * DAY
        );
        return Err(UsageError(text).into());
    }
    let split = [rows - 2 * DAY, DAY, DAY];
    let settings = TrainingSettings {
        name: format!(
            "retrained-{}",
            dataset.times[rows - 1].as_secs().div_euclid(86_400)
        ),
        config: MlpConfig {
            hidden: args.hidden.max(1),
            ..MlpConfig::default()
        },
        spoiling: Spoiling::Masked,
        split,
        seed: args.seed,
        epochs: args.epochs.max(1),
        steps_per_epoch: args.steps.max(1),
        ..TrainingSettings::default()
    };
    let current = in_force(&args.current, &network, &dataset.calendar)?;
    train_into(
        &args.out,
        std::slice::from_ref(&dataset),
        &settings,
        &device::open(args.device)?,
        false,
    )?;

    let backtest = Backtest::new(
        &dataset,
        &BacktestSettings {
            split,
            missing: 0.0,
            seed: args.seed,
            holdout: None,
        },
    )?;
    let contenders = [
        ("new", served(&args.out, &network, &dataset.calendar)?),
        ("current", current),
        (
            "profile-residual",
            Contender::Baseline(Baseline::ProfileResidual),
        ),
    ];
    let mut report = Report::new(&dataset, "the newest day held out", &backtest, 0.0);
    let mut figures = Vec::new();
    for (name, contender) in &contenders {
        let scored = score(&backtest, contender)?;
        figures.push(Figures::of(&scored));
        report.add(ModelReport::new(name, &scored));
    }
    report.print();
    let (decision, reason) = decide(figures[0], figures[1], figures[2], args.margin);
    let held_out_from = dataset.times[rows - DAY].plus_secs(-args.local.utc_offset_s);
    let report = RetrainReport {
        decision,
        reason: reason.clone(),
        margin_percent: args.margin,
        held_out_from_ms: held_out_from.as_millis(),
        held_out_until_ms: held_out_from.plus_secs(86_400).as_millis(),
        scores: report,
    };
    let path = args.out.join("retrain.json");
    let mut text = serde_json::to_string_pretty(&report)?;
    text.push('\n');
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    let place = args.current.display();
    match decision {
        Decision::Promoted => {
            promote(&args.out, &args.current)?;
            say(&format!("promoted to {place}: {reason}"));
        }
        Decision::Kept => say(&format!("kept {place}: {reason}")),
    }
    Ok(decision)
}

#[expect(
    clippy::print_stdout,
    reason = "the verdict is what the command is for"
)]
fn say(line: &str) {
    println!("{line}");
}

/// The model in force: the one in the folder, or, where there is none or this build does not run its
/// architecture, the bundled one.
fn in_force(folder: &Path, network: &Network, calendar: &Calendar) -> anyhow::Result<Contender> {
    if folder.join("card.toml").exists() {
        match served(folder, network, calendar) {
            Ok(current) => return Ok(current),
            Err(error) => match error.downcast_ref::<ModelError>() {
                Some(ModelError::Architecture { found }) => {
                    let folder = folder.display();
                    say(&format!(
                        "{folder} is of {found}, which this build does not run: the bundled model is what must be beaten"
                    ));
                }
                _ => return Err(error),
            },
        }
    }
    let bundled = Mlp::bundled(&candle_core::Device::Cpu)?;
    let context = FeatureContext::from_network(network, Some(calendar.clone()));
    Ok(Contender::Served(Box::new(bundled), Box::new(context)))
}

/// A model folder as a service would run it: with the past that lies in it, where that is of the
/// network.
fn served(folder: &Path, network: &Network, calendar: &Calendar) -> anyhow::Result<Contender> {
    let mlp = load_model(folder, &candle_core::Device::Cpu)?;
    let context = FeatureContext::from_network(network, Some(calendar.clone()));
    let context = match known_past(folder, mlp.card(), network)? {
        Some((past, column_of)) => context.with_past(&past, &column_of),
        None => context,
    };
    Ok(Contender::Served(Box::new(mlp), Box::new(context)))
}

/// `folder` with something behind its name.
fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Puts a copy of the model in `new` in the place of `current` in one step, and keeps what stood
/// there as `current.previous`. Whoever opens `current` finds the old or the new model whole.
fn promote(new: &Path, current: &Path) -> anyhow::Result<()> {
    let current: PathBuf = current.components().collect();
    let staged = beside(&current, ".new");
    let previous = beside(&current, ".previous");
    remove(&staged)?;
    fs::create_dir_all(&staged).with_context(|| format!("creating {}", staged.display()))?;
    for entry in fs::read_dir(new).with_context(|| new.display().to_string())? {
        let path = entry?.path();
        let Some(name) = path.file_name().filter(|_| path.is_file()) else {
            continue;
        };
        let copy = staged.join(name);
        fs::copy(&path, &copy)
            .and_then(|_| File::open(&copy)?.sync_all())
            .with_context(|| format!("copying {} to {}", path.display(), copy.display()))?;
    }
    sync(&staged)?;
    let place = || format!("putting {} in place", current.display());
    if current.exists() {
        rustix::fs::renameat_with(
            rustix::fs::CWD,
            &staged,
            rustix::fs::CWD,
            &current,
            rustix::fs::RenameFlags::EXCHANGE,
        )
        .with_context(place)?;
        // What stood there has the staging name until it is renamed.
        remove(&previous)?;
        fs::rename(&staged, &previous).with_context(place)?;
    } else {
        fs::rename(&staged, &current).with_context(place)?;
    }
    match current.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => sync(Path::new(".")),
    }
}

fn sync(folder: &Path) -> anyhow::Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("syncing {}", folder.display()))
}

#[cfg(test)]
mod tests;
