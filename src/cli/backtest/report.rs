//! What a backtest reports: the JSON file and the table.

use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::Scored;
use crate::forecast::{
    Backtest, Dataset, HALF_HOUR_MS, Holdout, LAG_COUNT, LEVELS, OutlookScores, OutlookSpeaker,
    STEP_COUNT, STEP_MS, Scores, StepScores,
};

/// Steps of the first quarter of an hour.
const QUARTER: usize = 3;

/// The whole report.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Report {
    /// Mean absolute error over the horizon of the model that was asked for; of several, the least.
    pub(super) mae_avg: Option<f64>,
    /// Whose that is.
    pub(super) mae_avg_model: Option<String>,
    pub(super) dataset: String,
    pub(super) unit: String,
    pub(super) split: String,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Rows on which the first and the last test window were issued.
    pub(super) issued_rows: [usize; 2],
    pub(super) history: usize,
    pub(super) horizon: usize,
    pub(super) missing_percent: f32,
    pub(super) holdout: Option<Holdout>,
    pub(super) levels: [f32; LEVELS.len()],
    pub(super) models: Vec<ModelReport>,
    /// The two hours after the horizon; absent where the part is too short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outlook: Option<OutlookReport>,
}

/// Scores of the outlook and of the baselines beside it.
#[derive(Debug, Serialize)]
pub(super) struct OutlookReport {
    /// Which part was scored.
    pub(super) part: &'static str,
    /// Rows on which its first and last outlook were issued.
    pub(super) issued_rows: [usize; 2],
    pub(super) forecasters: Vec<OutlookForecasterReport>,
}

#[derive(Debug, Serialize)]
pub(super) struct OutlookForecasterReport {
    pub(super) name: &'static str,
    /// By half hour; `minutes` to its end.
    pub(super) half_hours: Vec<StepReport>,
}

impl OutlookReport {
    #[expect(clippy::print_stdout, reason = "the table is what the command prints")]
    fn print(&self) {
        println!(
            "{:<20} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>9}",
            format!("outlook ({})", self.part),
            "MAE avg",
            "RMSE",
            "90 min",
            "120 min",
            "150 min",
            "180 min",
            "pinball",
            "in 90 %",
            "congested"
        );
        for one in &self.forecasters {
            let halves = &one.half_hours;
            let mean = |value: fn(&Figures) -> f64| {
                let sum: f64 = halves.iter().map(|half| value(&half.figures)).sum();
                sum / halves.len() as f64
            };
            let congested = halves
                .iter()
                .filter_map(|half| half.figures.coverage_90_congested);
            let congested: Vec<f64> = congested.collect();
            let count = congested.len() as f64;
            let congested = match congested.is_empty() {
                true => "-".to_owned(),
                false => format!("{:.3}", congested.iter().sum::<f64>() / count),
            };
            print!("{:<20} {:>8.4}", one.name, mean(|figures| figures.mae));
            print!(" {:>8.4}", mean(|figures| figures.rmse));
            for half in halves {
                print!(" {:>8.4}", half.figures.mae);
            }
            println!(
                " {:>8.4} {:>7.3} {:>9}",
                mean(|figures| figures.pinball_mean),
                mean(|figures| figures.coverage_90),
                congested
            );
        }
    }

    pub(super) fn new(part: &'static str, scores: &OutlookScores, issued_rows: [usize; 2]) -> Self {
        let half_hours = |scores: &[StepScores]| {
            let steps = scores.iter().enumerate();
            let of = |(half, scores): (usize, &StepScores)| StepReport {
                minutes: 60 + (half + 1) * (HALF_HOUR_MS / 60_000) as usize,
                cells: scores.plain.count(),
                congested_cells: scores.congested.count(),
                figures: Figures::of_step(scores),
            };
            steps.map(of).collect()
        };
        Self {
            part,
            issued_rows,
            forecasters: OutlookSpeaker::ALL
                .into_iter()
                .map(|speaker| OutlookForecasterReport {
                    name: speaker.label(),
                    half_hours: half_hours(&scores[speaker as usize]),
                })
                .collect(),
        }
    }
}

/// One forecaster's scores.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ModelReport {
    pub(super) name: String,
    /// Means over the steps of the horizon.
    pub(super) average: Figures,
    /// Mean over the first three steps: the cumulative error of 15 minutes.
    pub(super) mae_15_min_cumulative: f64,
    pub(super) steps: Vec<StepReport>,
    pub(super) mae_by_hour: [Option<f64>; 24],
    pub(super) onset: Option<OnsetReport>,
    /// CPU seconds of all threads for all windows, and milliseconds a window.
    pub(super) cpu_s: Option<f64>,
    pub(super) cpu_ms_per_window: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct StepReport {
    pub(super) minutes: usize,
    pub(super) cells: f64,
    pub(super) congested_cells: f64,
    #[serde(flatten)]
    pub(super) figures: Figures,
}

/// Errors in the unit of the data, percentages in %, coverages as shares.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) mae: f64,
    pub(super) rmse: f64,
    pub(super) mape: f64,
    pub(super) mae_masked: f64,
    pub(super) rmse_masked: f64,
    pub(super) mape_masked: f64,
    pub(super) mae_congested: Option<f64>,
    pub(super) pinball: [f64; LEVELS.len()],
    pub(super) pinball_mean: f64,
    pub(super) below: [f64; LEVELS.len()],
    pub(super) coverage_90: f64,
    pub(super) coverage_80: f64,
    pub(super) coverage_90_congested: Option<f64>,
    pub(super) width_90: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct OnsetReport {
    pub(super) onsets: usize,
    pub(super) hits: usize,
    pub(super) hit_rate: Option<f64>,
    pub(super) alarms: usize,
    pub(super) false_alarms: usize,
    pub(super) false_alarm_rate: Option<f64>,
    pub(super) lead_min: f64,
}

/// The mean of `value` over the steps that have one.
fn mean_known(scores: &Scores, value: impl Fn(&StepScores) -> Option<f64>) -> Option<f64> {
    let known: Vec<f64> = scores.steps.iter().filter_map(value).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

impl Figures {
    fn of_step(step: &StepScores) -> Self {
        Self {
            mae: step.plain.mae(),
            rmse: step.plain.rmse(),
            mape: step.plain.mape(),
            mae_masked: step.masked.mae(),
            rmse_masked: step.masked.rmse(),
            mape_masked: step.masked.mape(),
            mae_congested: step.congested_mae(),
            pinball: step.pinball(),
            pinball_mean: step.mean_pinball(),
            below: step.below(),
            coverage_90: step.coverage_90(),
            coverage_80: step.coverage_80(),
            coverage_90_congested: step.congested_coverage_90(),
            width_90: step.width_90(),
        }
    }

    fn average(scores: &Scores) -> Self {
        Self {
            mae: scores.mean(|step| step.plain.mae()),
            rmse: scores.mean(|step| step.plain.rmse()),
            mape: scores.mean(|step| step.plain.mape()),
            mae_masked: scores.mean(|step| step.masked.mae()),
            rmse_masked: scores.mean(|step| step.masked.rmse()),
            mape_masked: scores.mean(|step| step.masked.mape()),
            mae_congested: mean_known(scores, StepScores::congested_mae),
            pinball: std::array::from_fn(|level| scores.mean(|step| step.pinball()[level])),
            pinball_mean: scores.mean(StepScores::mean_pinball),
            below: std::array::from_fn(|level| scores.mean(|step| step.below()[level])),
            coverage_90: scores.mean(StepScores::coverage_90),
            coverage_80: scores.mean(StepScores::coverage_80),
            coverage_90_congested: mean_known(scores, StepScores::congested_coverage_90),
            width_90: scores.mean(StepScores::width_90),
        }
    }
}

impl ModelReport {
    /// Reads everything from the sums.
    pub(in crate::cli) fn new(name: &str, scored: &Scored) -> Self {
        let Scored {
            scores,
            onsets,
            cpu_s,
            windows,
            ..
        } = scored;
        let minutes = (STEP_MS / 60_000) as usize;
        Self {
            name: name.to_owned(),
            average: Figures::average(scores),
            mae_15_min_cumulative: scores.mean_over(0..QUARTER, |step| step.plain.mae()),
            steps: scores
                .steps
                .iter()
                .enumerate()
                .map(|(step, scores)| StepReport {
                    minutes: (step + 1) * minutes,
                    cells: scores.plain.count(),
                    congested_cells: scores.congested.count(),
                    figures: Figures::of_step(scores),
                })
                .collect(),
            mae_by_hour: scores.by_hour(),
            onset: onsets.as_ref().map(|onsets| OnsetReport {
                onsets: onsets.onsets as usize,
                hits: onsets.hits as usize,
                hit_rate: onsets.hit_rate(),
                alarms: onsets.alarms as usize,
                false_alarms: onsets.false_alarms as usize,
                false_alarm_rate: onsets.false_alarm_rate(),
                lead_min: onsets.lead_min().unwrap_or_default(),
            }),
            cpu_s: *cpu_s,
            cpu_ms_per_window: cpu_s.map(|cpu_s| 1000.0 * cpu_s / f64::from((*windows).max(1))),
        }
    }
}

impl Report {
    /// An empty report about a dataset.
    pub(in crate::cli) fn new(
        dataset: &Dataset,
        split: &str,
        backtest: &Backtest<'_>,
        missing_percent: f32,
    ) -> Self {
        let test = backtest.test();
        Self {
            mae_avg: None,
            mae_avg_model: None,
            dataset: dataset.name.clone(),
            unit: dataset.unit.clone(),
            split: split.to_owned(),
            rows: dataset.row_count(),
            columns: dataset.column_count(),
            issued_rows: [test.start, test.end - 1],
            history: LAG_COUNT,
            horizon: STEP_COUNT,
            missing_percent,
            holdout: None,
            levels: LEVELS,
            models: Vec::new(),
            outlook: None,
        }
    }

    /// Takes one forecaster's scores.
    pub(in crate::cli) fn add(&mut self, model: ModelReport) {
        let mae = model.average.mae;
        if self.mae_avg.is_none_or(|least| mae < least) {
            self.mae_avg = Some(mae);
            self.mae_avg_model = Some(model.name.clone());
        }
        self.models.push(model);
    }

    /// Writes the JSON file.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// Prints the table.
    #[expect(clippy::print_stdout, reason = "the table is what this command prints")]
    pub(in crate::cli) fn print(&self) {
        println!(
            "{}: test part of {}, errors in {}",
            self.dataset, self.split, self.unit
        );
        println!(
            "{:<20} {:>8} {:>8} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>9} {:>8}",
            "forecaster",
            "MAE avg",
            "RMSE",
            "MAPE %",
            "15 min",
            "30 min",
            "60 min",
            "to 15",
            "pinball",
            "in 90 %",
            "congested",
            "CPU ms"
        );
        for model in &self.models {
            let average = &model.average;
            let at = |step: usize| model.steps[step].figures.mae;
            let known = |value: Option<f64>, digits: usize| {
                value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
            };
            println!(
                "{:<20} {:>8.4} {:>8.4} {:>7.2} {:>8.4} {:>8.4} {:>8.4} {:>8.4} {:>8.4} {:>7.3} {:>9} {:>8}",
                model.name,
                average.mae,
                average.rmse,
                average.mape_masked,
                at(2),
                at(5),
                at(11),
                model.mae_15_min_cumulative,
                average.pinball_mean,
                average.coverage_90,
                known(average.coverage_90_congested, 3),
                known(model.cpu_ms_per_window, 2)
            );
        }
        for model in &self.models {
            if let Some(onset) = &model.onset {
                println!(
                    "{:<20} onsets {} hit {} alarms {} false {} lead {:.1} min",
                    model.name,
                    onset.onsets,
                    onset.hits,
                    onset.alarms,
                    onset.false_alarms,
                    onset.lead_min
                );
            }
        }
        if let Some(outlook) = &self.outlook {
            outlook.print();
        }
    }
}
