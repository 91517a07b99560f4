//! `roadcast train`: reads a dataset folder, trains, writes a model folder.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use candle_core::Device;

use super::backtest::holdout;
use super::dataset::{LocalDays, parse_split, read_archive, read_dataset};
use super::device;
use super::network::open as open_network;
use super::plot::{COLOURS, Chart, Line, stacked};
use super::{PAST_FILE, load_named};
use crate::config::DeviceChoice;
use crate::forecast::{
    Dataset, EpochReport, EventKind, KnownEvent, Mlp, MlpConfig, ModelCard, Past, Progress,
    Spoiling, Start, TrainedModel, TrainingError, TrainingSettings, curve_csv, sha256_hex,
    train_from,
};
use crate::replay::city::{CitySize, build};
use crate::replay::traffic::history;

/// Seconds that local time is ahead of UTC, in the generated city and where nothing else is said.
pub(super) const LOCAL_AHEAD_S: i64 = 8 * 3600;

/// Highest learning rate of a network that goes on from another (chosen: a quarter of the usual one).
const FURTHER_LEARNING_RATE: f64 = 5e-4;

/// Options of `roadcast train`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with `dataset.toml`, `series.csv[.gz]`, `graph.csv` and perhaps `segments.csv`; with
    /// `--network` the archive of a service. Given several times, of one unit each: a model of all of
    /// them, for other networks.
    #[arg(long, required_unless_present = "synthetic_days")]
    dataset: Vec<PathBuf>,
    /// Road network of the archive that `--dataset` names, source or compiled.
    #[arg(long, value_name = "FILE", requires = "dataset")]
    network: Option<PathBuf>,
    #[command(flatten)]
    local: LocalDays,
    /// Learn from the newest days of the archive only.
    #[arg(long, requires = "network")]
    days: Option<u32>,
    /// Learn from so many simulated days of each generated city, alone or besides.
    #[arg(long)]
    synthetic_days: Option<usize>,
    /// Seeds of the cities that `--synthetic-days` are simulated in; the demo's is 42.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "42",
        requires = "synthetic_days"
    )]
    cities: Vec<u64>,
    /// Folder to write the model to: weights, card, loss curve.
    #[arg(long)]
    out: PathBuf,
    /// Proportions in time of training, validation and test.
    #[arg(long, default_value = "70/10/20")]
    split: String,
    /// Where to train: `auto` takes CUDA when it was built in and a device is there.
    #[arg(long, default_value = "auto", value_name = "auto|cpu|cuda")]
    device: DeviceChoice,
    /// Seed of every random choice; equal seeds give equal weights on a CPU.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Epochs at most; training stops early when validation stops improving.
    #[arg(long, default_value_t = TrainingSettings::default().epochs)]
    epochs: usize,
    /// Steps of the optimiser an epoch.
    #[arg(long, default_value_t = TrainingSettings::default().steps_per_epoch)]
    steps: usize,
    /// Width of the hidden layers.
    #[arg(long, default_value_t = crate::forecast::MlpConfig::default().hidden)]
    hidden: usize,
    /// Leave out the columns of one fold that holds this share of them, %.
    #[arg(long, requires = "dataset")]
    holdout_segments: Option<usize>,
    /// Which fold of `--holdout-segments`, from 0.
    #[arg(long, default_value_t = 0, requires = "holdout_segments")]
    fold: usize,
    /// Go on from the weights of this model, a folder or `bundled`, instead of from chance, more
    /// slowly, and with their width: for a network with few days of data.
    #[arg(long, value_name = "FOLDER|bundled", conflicts_with = "hidden")]
    start: Option<String>,
    /// What inputs are spoilt with; by default `masked` for one dataset, `field` for several or synthetic days.
    #[arg(long, value_enum)]
    spoil: Option<SpoilChoice>,
    /// Go on from `checkpoint.bin` in the folder, which each epoch leaves there, if there is one. Data
    /// and options must be the same.
    #[arg(long)]
    resume: bool,
    /// Name and version of the model as published; by default the name of the folder.
    #[arg(long)]
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SpoilChoice {
    /// Nothing.
    Nothing,
    /// Up to half of the cells are hidden.
    Masked,
    /// Cells hidden, speeds blurred, profiles flattened, time hidden: for other cities.
    Field,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let name = args.name.clone().or_else(|| {
        let folder = args.out.file_name()?;
        Some(folder.to_string_lossy().into_owned())
    });
    let datasets = read_datasets(&args)?;
    let spoiling = match args.spoil {
        Some(SpoilChoice::Nothing) => Spoiling::Nothing,
        Some(SpoilChoice::Masked) => Spoiling::Masked,
        Some(SpoilChoice::Field) => Spoiling::Field,
        None if args.dataset.len() == 1 && args.synthetic_days.is_none() => Spoiling::Masked,
        None => Spoiling::Field,
    };
    let start = match &args.start {
        Some(model) => Some(Start(load_named(model, &Device::Cpu)?)),
        None => None,
    };
    let settings = TrainingSettings {
        learning_rate: match &start {
            Some(_) => FURTHER_LEARNING_RATE,
            None => TrainingSettings::default().learning_rate,
        },
        start,
        config: MlpConfig {
            hidden: args.hidden.max(1),
            ..MlpConfig::default()
        },
        spoiling,
        holdout: holdout(args.holdout_segments, args.fold)?,
        name: name.unwrap_or_else(|| "residual-mlp".to_owned()),
        split: parse_split(&args.split)?,
        seed: args.seed,
        epochs: args.epochs.max(1),
        steps_per_epoch: args.steps.max(1),
        ..TrainingSettings::default()
    };
    let device = device::open(args.device)?;
    let card = train_into(&args.out, &datasets, &settings, &device, args.resume)?;
    print_metrics(&card);
    Ok(ExitCode::SUCCESS)
}

fn read_datasets(args: &Args) -> anyhow::Result<Vec<Dataset>> {
    let network = match &args.network {
        Some(file) => Some(open_network(file)?.0),
        None => None,
    };
    let calendar = args.local.calendar()?;
    let mut datasets = Vec::new();
    for folder in &args.dataset {
        datasets.push(match &network {
            Some(network) => read_archive(folder, network, &calendar, args.days)?,
            None => read_dataset(folder)?,
        });
    }
    if let Some(days) = args.synthetic_days {
        for &city in &args.cities {
            datasets.push(synthetic_dataset(city, days, args.seed)?);
        }
    }
    Ok(datasets)
}

/// Trains, from the checkpoint in the folder `out` if wanted and there is one, and writes the model
/// there. Each epoch leaves a checkpoint; the finished model takes its place.
pub(super) fn train_into(
    out: &Path,
    datasets: &[Dataset],
    settings: &TrainingSettings,
    device: &Device,
    resume: bool,
) -> anyhow::Result<ModelCard> {
    let kept = out.join("checkpoint.bin");
    std::fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    let checkpoint = if resume && kept.exists() {
        Some(std::fs::read(&kept).with_context(|| kept.display().to_string())?)
    } else {
        None
    };
    for dataset in datasets {
        eprintln!(
            "{}: {} rows of {} columns, {}",
            dataset.name,
            dataset.row_count(),
            dataset.column_count(),
            device::name(device),
        );
    }
    let unit = datasets.first().map_or("", |dataset| &dataset.unit);
    let started = Instant::now();
    let mut bar = Bar::new(settings);
    let mut hear = |heard: Progress<'_>| match heard {
        Progress::Step { epoch, step } => {
            bar.step(epoch, step);
            Ok(())
        }
        Progress::Epoch { report, checkpoint } => {
            bar.epoch(report, unit);
            keep(&kept, checkpoint).map_err(|error| TrainingError::Stopped(format!("{error:#}")))
        }
    };
    let trained = train_from(datasets, settings, device, checkpoint.as_deref(), &mut hear)?;
    let card = write_model(out, trained, unit)?;
    std::fs::remove_file(&kept).with_context(|| format!("removing {}", kept.display()))?;
    eprintln!(
        "written to {} after {:.0} s",
        out.display(),
        started.elapsed().as_secs_f64()
    );
    Ok(card)
}

/// Traffic of a generated city; `seed` moves the traffic, the city stays.
fn synthetic_dataset(city_seed: u64, days: usize, seed: u64) -> anyhow::Result<Dataset> {
    let city = build(city_seed, CitySize::Demo).context("building the city")?;
    eprintln!(
        "simulating {days} days of {} segments",
        city.network.segment_count()
    );
    let series = history::generate(&city, days, seed);
    let local = |row| series.time(row).plus_secs(LOCAL_AHEAD_S);
    let known = |event: &history::SeriesEvent| KnownEvent {
        kind: match event.incident {
            Some(_) => EventKind::Incident,
            None => EventKind::Weather,
        },
        column: event.incident.map(|segment| segment.0),
        from: local(event.rows.0),
        until: local(event.rows.1),
    };
    let events = series.events.iter().map(known).collect();
    Ok(Dataset::of_network(
        &city.network,
        format!("synthetic-city-{city_seed}-days-{days}-seed-{seed}"),
        "Apache-2.0, made by roadcast's own generator".to_owned(),
        series.start.plus_secs(LOCAL_AHEAD_S),
        series.speeds_mps,
    )
    .with_events(events))
}

/// Replaces the file at `path`: whoever reads it finds the old or the new one whole.
fn keep(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, bytes)
        .and_then(|()| std::fs::rename(&unfinished, path))
        .with_context(|| format!("writing {}", path.display()))
}

/// What is seen of the progress on standard error: a line an epoch and, on a terminal, a bar within it.
struct Bar {
    epochs: usize,
    steps_per_epoch: usize,
    started: Instant,
    /// When the first step had been taken: profiles and regressions come before it.
    first_step: Option<Instant>,
    /// Steps taken since.
    steps: usize,
    /// When the bar was drawn last; `None` where there is no terminal.
    drawn: Option<Instant>,
}

impl Bar {
    /// How often a bar is drawn at most.
    const EVERY: Duration = Duration::from_millis(200);
    /// Its width in characters.
    const WIDTH: usize = 30;

    fn new(settings: &TrainingSettings) -> Self {
        let now = Instant::now();
        Self {
            epochs: settings.epochs,
            steps_per_epoch: settings.steps_per_epoch,
            started: now,
            first_step: None,
            steps: 0,
            drawn: std::io::stderr().is_terminal().then_some(now),
        }
    }

    /// Seconds that are left at most, as fast as it went so far, after `step` steps of an epoch.
    fn left_s(&self, epoch: usize, step: usize) -> f64 {
        let all = self.epochs * self.steps_per_epoch;
        let done = (epoch - 1) * self.steps_per_epoch + step;
        let left = all.saturating_sub(done) as f64;
        let taken_s = self
            .first_step
            .map_or(0.0, |first| first.elapsed().as_secs_f64());
        taken_s / self.steps.max(1) as f64 * left
    }

    fn step(&mut self, epoch: usize, step: usize) {
        match self.first_step {
            Some(_) => self.steps += 1,
            None => self.first_step = Some(Instant::now()),
        }
        let Some(drawn) = &mut self.drawn else { return };
        if drawn.elapsed() < Self::EVERY {
            return;
        }
        *drawn = Instant::now();
        eprint!("\r{}", self.line(epoch, step));
    }

    fn line(&self, epoch: usize, step: usize) -> String {
        let filled = Self::WIDTH * step / self.steps_per_epoch.max(1);
        format!(
            "epoch {epoch:>3}/{} [{:<width$}] {step}/{} at most {:.0} s left ",
            self.epochs,
            "=".repeat(filled),
            self.steps_per_epoch,
            self.left_s(epoch, step),
            width = Self::WIDTH,
        )
    }

    fn epoch(&self, report: &EpochReport, unit: &str) {
        // Over the bar, whose rest is blanked.
        let (begin, end) = match self.drawn {
            Some(_) => ("\r", "                "),
            None => ("", ""),
        };
        eprintln!(
            "{begin}epoch {:>3}/{}  loss {:.5}  validation MAE {:.4} {unit}{}  {:.0} s, at most {:.0} s left{end}",
            report.epoch,
            self.epochs,
            report.loss,
            report.validation_mae,
            if report.is_best { " *" } else { "  " },
            self.started.elapsed().as_secs_f64(),
            self.left_s(report.epoch, self.steps_per_epoch),
        );
    }
}

/// Loss and validation error over the epochs, each on a scale of its own.
fn curve_svg(curve: &[EpochReport], unit: &str) -> String {
    let chart = |label: &str, y_label: &'static str, value: fn(&EpochReport) -> f64| {
        let values: Vec<f64> = curve.iter().map(value).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let margin = (0.05 * (high - low)).max(1e-6);
        let last = curve.len().max(2);
        let epochs = || (1..=last).step_by(last.div_ceil(10));
        Chart {
            title: y_label,
            x_label: "epoch",
            y_label,
            x: (1.0, last as f64),
            y: (low - margin, high + margin),
            x_ticks: epochs()
                .map(|epoch| (epoch as f64, epoch.to_string()))
                .collect(),
            bands: Vec::new(),
            lines: vec![Line {
                label: format!("{label}, best {low:.4}"),
                colour: COLOURS[0],
                points: curve
                    .iter()
                    .map(|report| (report.epoch as f64, Some(value(report))))
                    .collect(),
            }],
        }
    };
    stacked(&[
        chart("share of free flow", "loss", |report| report.loss),
        chart(unit, "validation MAE", |report| report.validation_mae),
    ])
}

/// Writes weights, card and curve, and loads the model back to be sure of it.
fn write_model(folder: &Path, trained: TrainedModel, unit: &str) -> anyhow::Result<ModelCard> {
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let weights = folder.join("weights.safetensors");
    candle_core::safetensors::save(&trained.tensors, &weights)
        .with_context(|| format!("writing {}", weights.display()))?;
    let bytes = std::fs::read(&weights)?;
    let past = trained.past.as_ref().map(Past::to_bytes);
    let card = ModelCard {
        weights_sha256: sha256_hex(&bytes),
        past_sha256: past.as_deref().map(sha256_hex),
        ..trained.card
    };
    let text = card.to_toml()?;
    Mlp::load(text.as_bytes(), &bytes, &Device::Cpu).context("the written model does not load")?;
    let mut files = vec![
        ("card.toml", text.into_bytes()),
        ("loss.csv", curve_csv(&trained.curve).into_bytes()),
        ("loss.svg", curve_svg(&trained.curve, unit).into_bytes()),
    ];
    files.extend(past.map(|bytes| (PAST_FILE, bytes)));
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(card)
}

#[expect(clippy::print_stdout, reason = "the table is what this command prints")]
fn print_metrics(card: &ModelCard) {
    println!(
        "test part, mean absolute error in {}\n{:>7} {:>9} {:>11} {:>9} {:>17} {:>9}",
        card.data.unit, "minutes", "model", "last value", "profile", "profile+residual", "in 80 %"
    );
    for step in &card.metrics {
        println!(
            "{:>7} {:>9.4} {:>11.4} {:>9.4} {:>17.4} {:>9.3}",
            step.minutes,
            step.model,
            step.last_value,
            step.profile,
            step.profile_residual,
            step.coverage
        );
    }
    let count = card.metrics.len().max(1) as f64;
    let mean = |value: fn(&crate::forecast::StepMetrics) -> f64| {
        card.metrics.iter().map(value).sum::<f64>() / count
    };
    println!(
        "{:>7} {:>9.4} {:>11.4} {:>9.4} {:>17.4} {:>9.3}",
        "mean",
        mean(|step| step.model),
        mean(|step| step.last_value),
        mean(|step| step.profile),
        mean(|step| step.profile_residual),
        mean(|step| step.coverage)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_shows_every_epoch_and_names_the_best() {
        let curve: Vec<EpochReport> = (1..=12)
            .map(|epoch| EpochReport {
                epoch,
                loss: 0.5 / epoch as f64,
                validation_mae: 4.0 + (epoch as f64 - 7.0).abs(),
                is_best: epoch <= 7,
            })
            .collect();
        let svg = curve_svg(&curve, "veh");
        assert_eq!(svg.matches("stroke-width=\"1.6\"").count(), 2);
        assert_eq!(svg.matches('L').count(), 2 * 11);
        assert!(svg.contains("veh, best 4.0000") && svg.contains("best 0.0417"));
    }
}
