//! `roadcast backtest`: runs forecasters over a recorded series and scores them.

mod page;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use super::UsageError;
use super::dataset::{parse_split, read_dataset};
use super::device;
use crate::config::DeviceChoice;
use crate::forecast::{
    Backtest, BacktestSettings, Baseline, Contender, Dataset, Holdout, LAG_COUNT, Mlp, OnsetScores,
    STEP_COUNT, Scores, SpeedQuantiles,
};
use crate::replay::columns::{Column, Kind, Writer};
use crate::replay::report::cpu_seconds;
use report::OutlookReport;
pub(super) use report::{ModelReport, Report};

/// Seed of the cells hidden by `--missing` and of the partition of `--holdout-segments`.
pub(super) const SEED: u64 = 20_260_101;
/// Rows of predictions kept before they are written.
const ROW_GROUP: usize = 500_000;

/// Options of `roadcast backtest`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with `dataset.toml`, `series.csv[.gz]`, `graph.csv` and perhaps `segments.csv`.
    #[arg(long)]
    dataset: PathBuf,
    /// Who is scored: `last-value`, `profile`, `profile-residual`, `ridge`, `bundled`, a folder that
    /// `train` wrote, or `all` for all of these but folders; may be given several times.
    #[arg(long, default_value = "all")]
    model: Vec<String>,
    /// Proportions in time of training, validation and test.
    #[arg(long, default_value = "70/10/20")]
    split: String,
    /// Steps of history a forecast knows.
    #[arg(long, default_value_t = LAG_COUNT)]
    history: usize,
    /// Steps a forecast reaches ahead.
    #[arg(long, default_value_t = STEP_COUNT)]
    horizon: usize,
    /// Which part the outlook, 60 to 180 minutes ahead, is scored on.
    #[arg(long, default_value = "test", value_name = "validation|test")]
    outlook_part: String,
    /// Hide this share of the input cells, %.
    #[arg(long, default_value_t = 0.0)]
    missing: f32,
    /// Score only the columns of one fold that holds this share of them, %; the ridge does not learn
    /// from them, nor does a network trained with the same options.
    #[arg(long)]
    holdout_segments: Option<usize>,
    /// Which fold of `--holdout-segments`, from 0.
    #[arg(long, default_value_t = 0, requires = "holdout_segments")]
    fold: usize,
    /// Score networks as a service runs them that has no `past.bin`: scatter, loadings and companions of
    /// the segments are unknown.
    #[arg(long)]
    without_past: bool,
    /// Which processor forecasts.
    #[arg(long, default_value = "cpu", value_name = "auto|cpu|cuda")]
    device: DeviceChoice,
    /// Write all scores as JSON; the page with plots is written beside it as HTML.
    #[arg(long)]
    report: PathBuf,
    /// Write every prediction of the test part as Parquet.
    #[arg(long)]
    predictions: Option<PathBuf>,
}

/// Reads `--holdout-segments` and `--fold`.
pub(super) fn holdout(percent: Option<usize>, fold: usize) -> anyhow::Result<Option<Holdout>> {
    let Some(percent) = percent else {
        return Ok(None);
    };
    if !(1..100).contains(&percent) || fold * percent >= 100 {
        let text = format!("there is no fold {fold} of {percent} % of the segments");
        return Err(UsageError(text).into());
    }
    Ok(Some(Holdout {
        percent,
        fold,
        seed: SEED,
    }))
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if (args.history, args.horizon) != (LAG_COUNT, STEP_COUNT) {
        let text = format!("this build forecasts {STEP_COUNT} steps from {LAG_COUNT}");
        return Err(UsageError(text).into());
    }
    if !(0.0..100.0).contains(&args.missing) {
        return Err(UsageError(format!("--missing {} is no share in %", args.missing)).into());
    }
    if !["validation", "test"].contains(&&*args.outlook_part) {
        let text = format!(
            "--outlook-part {:?} is neither validation nor test",
            args.outlook_part
        );
        return Err(UsageError(text).into());
    }
    let settings = BacktestSettings {
        split: parse_split(&args.split)?,
        missing: args.missing / 100.0,
        seed: SEED,
        holdout: holdout(args.holdout_segments, args.fold)?,
    };
    let dataset = read_dataset(&args.dataset)?;
    let backtest = Backtest::new(&dataset, &settings)?;
    let mut predictions = args
        .predictions
        .as_deref()
        .map(|path| Predictions::create(path, &dataset))
        .transpose()?;
    let mut report = Report::new(&dataset, &args.split, &backtest, args.missing);
    report.holdout = settings.holdout;
    let mut page = page::Page::new(&dataset, backtest.test());
    for (name, contender) in contenders(&args, &backtest)? {
        eprintln!("{name}: {} windows", backtest.test().len());
        let scored = score(&backtest, &contender)?;
        if let Some(predictions) = &mut predictions {
            for (newest, said) in backtest.test().zip(&scored.answers) {
                predictions.push(&name, newest, said)?;
            }
        }
        page.add(&name, &scored.scores, &scored.answers);
        report.add(ModelReport::new(&name, &scored));
    }
    if let Some(predictions) = predictions {
        predictions.close()?;
    }
    let (name, part) = match &*args.outlook_part {
        "validation" => ("validation", backtest.validation()),
        _ => ("test", backtest.test()),
    };
    let outlook = backtest.outlook(&part);
    report.outlook = outlook.map(|(scores, rows)| OutlookReport::new(name, &scores, rows));
    report.write(&args.report)?;
    let path = args.report.with_extension("html");
    std::fs::write(&path, page.html(&report))
        .with_context(|| format!("writing {}", path.display()))?;
    report.print();
    eprintln!("{} and {} written", args.report.display(), path.display());
    Ok(ExitCode::SUCCESS)
}

/// What came of one forecaster over validation and test part.
pub(super) struct Scored {
    pub(super) scores: Scores,
    onsets: Option<OnsetScores>,
    /// What was said in each window of the test part.
    answers: Vec<Vec<SpeedQuantiles>>,
    /// CPU seconds of all threads, where known, and for how many windows.
    cpu_s: Option<f64>,
    windows: u32,
}

/// Runs one forecaster: intervals learn over the validation part, the test part is scored.
pub(super) fn score(backtest: &Backtest<'_>, contender: &Contender) -> anyhow::Result<Scored> {
    let mut answers = Vec::with_capacity(backtest.test().len());
    let before_s = cpu_seconds();
    let mut windows = 0u32;
    let mut run = backtest.run();
    for newest in backtest.validation() {
        let request = backtest.request(newest);
        let mut said = backtest.forecast(contender, &request)?;
        run.warm_up(newest, &request, &mut said);
        windows += 1;
    }
    for newest in backtest.test() {
        let request = backtest.request(newest);
        let mut said = backtest.forecast(contender, &request)?;
        run.score(newest, &request, &mut said);
        windows += 1;
        answers.push(said);
    }
    let cpu_s = cpu_seconds()
        .zip(before_s)
        .map(|(now, before)| now - before);
    let (scores, onsets) = run.finish();
    Ok(Scored {
        scores,
        onsets,
        answers,
        cpu_s,
        windows,
    })
}

/// The forecasters named, in order, each once.
fn contenders(args: &Args, backtest: &Backtest<'_>) -> anyhow::Result<Vec<(String, Contender)>> {
    const ALL: [&str; 5] = [
        "last-value",
        "profile",
        "profile-residual",
        "ridge",
        "bundled",
    ];
    let mut names: Vec<&str> = Vec::new();
    for name in &args.model {
        let named: &[&str] = if name == "all" { &ALL } else { &[name] };
        for &name in named {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let device = device::open(args.device)?;
    let network = |mlp: Mlp| {
        let mlp = Box::new(mlp);
        if args.without_past {
            Contender::Served(mlp, Box::new(backtest.context_without_past()))
        } else {
            Contender::Network(mlp)
        }
    };
    let mut found = Vec::new();
    for name in names {
        let contender = match name {
            "last-value" => Contender::Baseline(Baseline::LastValue),
            "profile" => Contender::Baseline(Baseline::Profile),
            "profile-residual" => Contender::Baseline(Baseline::ProfileResidual),
            "ridge" => Contender::Ridge(backtest.fit_ridge()?),
            "bundled" => network(Mlp::bundled(&device)?),
            folder => {
                let mlp = super::load_model(Path::new(folder), &device)?;
                let name = mlp.card().name.clone();
                found.push((name, network(mlp)));
                continue;
            }
        };
        found.push((name.to_owned(), contender));
    }
    Ok(found)
}

/// Writes every prediction as a row.
struct Predictions<'a> {
    writer: Writer,
    dataset: &'a Dataset,
    sensors: Vec<Arc<str>>,
    model: Vec<Arc<str>>,
    issued_row: Vec<i64>,
    step: Vec<i32>,
    sensor: Vec<Arc<str>>,
    values: [Vec<f32>; 5],
}

impl<'a> Predictions<'a> {
    fn create(path: &Path, dataset: &'a Dataset) -> anyhow::Result<Self> {
        let columns = [
            ("model", Kind::Text),
            ("issued_row", Kind::I64),
            ("step", Kind::I32),
            ("sensor", Kind::Text),
            ("p05", Kind::F32),
            ("p10", Kind::F32),
            ("p50", Kind::F32),
            ("p90", Kind::F32),
            ("p95", Kind::F32),
        ];
        Ok(Self {
            writer: Writer::create(path, &columns)?,
            sensors: dataset
                .columns
                .iter()
                .map(|name| Arc::from(&**name))
                .collect(),
            dataset,
            model: Vec::new(),
            issued_row: Vec::new(),
            step: Vec::new(),
            sensor: Vec::new(),
            values: Default::default(),
        })
    }

    fn push(&mut self, model: &str, newest: usize, said: &[SpeedQuantiles]) -> anyhow::Result<()> {
        let model: Arc<str> = Arc::from(model);
        for (index, said) in said.iter().enumerate() {
            self.model.push(Arc::clone(&model));
            self.issued_row.push(newest as i64);
            self.step.push((index % STEP_COUNT) as i32 + 1);
            self.sensor
                .push(Arc::clone(&self.sensors[index / STEP_COUNT]));
            for (values, value) in self.values.iter_mut().zip(said.as_array()) {
                values.push((f64::from(value) * self.dataset.units_per_value) as f32);
            }
        }
        if self.model.len() >= ROW_GROUP {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let mut columns = vec![
            Column::Text(std::mem::take(&mut self.model)),
            Column::I64(std::mem::take(&mut self.issued_row)),
            Column::I32(std::mem::take(&mut self.step)),
            Column::Text(std::mem::take(&mut self.sensor)),
        ];
        for values in &mut self.values {
            columns.push(Column::F32(std::mem::take(values)));
        }
        self.writer.append(&columns)
    }

    fn close(mut self) -> anyhow::Result<()> {
        if !self.model.is_empty() {
            self.flush()?;
        }
        self.writer.close()
    }
}
