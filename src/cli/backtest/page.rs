//! The page of a backtest: the worst day, errors by horizon and hour, calibration.

use crate::units::date_of;
use std::fmt::Write;
use std::ops::Range;

use super::super::plot::{Band, COLOURS, Chart, Line, escape};
use super::report::Report;
use crate::forecast::{Dataset, LEVELS, STEP_COUNT, Scores, SpeedQuantiles};

const DAY_MS: i64 = 86_400_000;
/// Steps drawn of the worst day: 15 minutes and an hour ahead.
const DRAWN_STEPS: [usize; 2] = [2, 11];

/// What is gathered of each forecaster.
pub(super) struct Page<'a> {
    dataset: &'a Dataset,
    test: Range<usize>,
    hours: Vec<(String, [Option<f64>; 24])>,
    worst: Vec<String>,
}

/// One day of one column, as a forecaster saw it coming.
struct WorstDay {
    day: i64,
    column: usize,
    mae: f64,
}

impl<'a> Page<'a> {
    /// An empty page for the test windows issued on `test`.
    pub(super) fn new(dataset: &'a Dataset, test: Range<usize>) -> Self {
        Self {
            dataset,
            test,
            hours: Vec::new(),
            worst: Vec::new(),
        }
    }

    /// Takes one forecaster's scores and answers, one a test window.
    pub(super) fn add(&mut self, name: &str, scores: &Scores, answers: &[Vec<SpeedQuantiles>]) {
        self.hours.push((name.to_owned(), scores.by_hour()));
        let chart = self
            .worst_day(answers)
            .map(|worst| self.draw_day(name, &worst, answers));
        self.worst.push(chart.unwrap_or_default());
    }

    fn day_of(&self, row: usize) -> i64 {
        self.dataset.times[row].as_millis().div_euclid(DAY_MS)
    }

    /// The day with the largest mean error, and on it the column that was worst, half an hour ahead.
    fn worst_day(&self, answers: &[Vec<SpeedQuantiles>]) -> Option<WorstDay> {
        let columns = self.dataset.column_count();
        let first_day = self.day_of(self.test.start);
        let days = (self.day_of(self.test.end + STEP_COUNT - 1) - first_day + 1) as usize;
        let mut sums = vec![(0.0f64, 0.0f64); days * columns];
        let step = STEP_COUNT / 2 - 1;
        for (newest, said) in self.test.clone().zip(answers) {
            let row = newest + 1 + step;
            let day = (self.day_of(row) - first_day) as usize;
            for column in 0..columns {
                if let Some(truth) = self.dataset.value(row, column) {
                    let said = said[column * STEP_COUNT + step].p50_mps;
                    let sum = &mut sums[day * columns + column];
                    *sum = (sum.0 + f64::from((said - truth).abs()), sum.1 + 1.0);
                }
            }
        }
        let mean = |sums: &[(f64, f64)]| {
            let (sum, count) = sums
                .iter()
                .fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
            // A day of which little was tested is no day.
            (count > 0.0).then_some((sum / f64::max(count, 1.0), count))
        };
        let (day, _) = sums
            .chunks(columns)
            .enumerate()
            .filter_map(|(day, sums)| mean(sums).map(|(mae, _)| (day, mae)))
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        let (column, (mae, _)) = sums[day * columns..][..columns]
            .iter()
            .enumerate()
            .filter_map(|(column, sum)| Some((column, mean(&[*sum])?)))
            .max_by(|a, b| a.1.0.total_cmp(&b.1.0))?;
        Some(WorstDay {
            day: day as i64 + first_day,
            column,
            mae: mae * self.dataset.units_per_value,
        })
    }

    fn draw_day(&self, name: &str, worst: &WorstDay, answers: &[Vec<SpeedQuantiles>]) -> String {
        let unit = self.dataset.units_per_value;
        let rows: Vec<usize> = (self.test.start + 1..self.test.end + STEP_COUNT)
            .filter(|&row| self.day_of(row) == worst.day)
            .collect();
        let hour = |row: usize| {
            self.dataset.times[row].as_millis().rem_euclid(DAY_MS) as f64 / 3_600_000.0
        };
        let truth = |row: usize| {
            self.dataset
                .value(row, worst.column)
                .map(|value| f64::from(value) * unit)
        };
        let said = |row: usize, step: usize| {
            let window = (row.checked_sub(step + 1)?).checked_sub(self.test.start)?;
            let said = answers.get(window)?.get(worst.column * STEP_COUNT + step)?;
            Some(said.as_array().map(|value| f64::from(value) * unit))
        };
        let mut lines = vec![Line {
            label: "truth".into(),
            colour: COLOURS[7],
            points: rows.iter().map(|&row| (hour(row), truth(row))).collect(),
        }];
        for (index, step) in DRAWN_STEPS.into_iter().enumerate() {
            lines.push(Line {
                label: format!("{} min ahead", 5 * (step + 1)),
                colour: COLOURS[index],
                points: rows
                    .iter()
                    .map(|&row| (hour(row), said(row, step).map(|five| five[2])))
                    .collect(),
            });
        }
        let band: Vec<(f64, f64, f64)> = rows
            .iter()
            .filter_map(|&row| {
                let five = said(row, DRAWN_STEPS[0])?;
                Some((hour(row), five[0], five[4]))
            })
            .collect();
        let heights = lines.iter().flat_map(|line| &line.points);
        let highest = heights
            .filter_map(|&(_, y)| y)
            .chain(band.iter().map(|&(_, _, high)| high))
            .fold(1e-6, f64::max);
        let title = format!(
            "{name}: worst day ({}), worst column {}, error {:.2} {} half an hour ahead",
            date_of(worst.day),
            self.dataset.columns[worst.column],
            worst.mae,
            self.dataset.unit
        );
        Chart {
            title: &title,
            x_label: "hour of day",
            y_label: &self.dataset.unit,
            x: (0.0, 24.0),
            y: (0.0, 1.05 * highest),
            x_ticks: hour_ticks(),
            bands: vec![Band {
                label: "90 % of 15 min ahead".into(),
                colour: COLOURS[0],
                points: band,
            }],
            lines,
        }
        .svg()
    }

    fn by_hour(&self) -> String {
        let lines: Vec<Line> = self
            .hours
            .iter()
            .enumerate()
            .map(|(index, (name, hours))| Line {
                label: name.clone(),
                colour: COLOURS[index % COLOURS.len()],
                points: (0..24)
                    .map(|hour| (hour as f64 + 0.5, hours[hour]))
                    .collect(),
            })
            .collect();
        Chart {
            title: "Mean absolute error by hour of day, all horizons",
            x_label: "hour of day",
            y_label: &self.dataset.unit,
            x: (0.0, 24.0),
            y: (0.0, highest(&lines)),
            x_ticks: hour_ticks(),
            bands: Vec::new(),
            lines,
        }
        .svg()
    }

    /// The page, with the figures of `report`.
    pub(super) fn html(&self, report: &Report) -> String {
        let mut html = String::new();
        // Writing to a string cannot fail.
        self.write(report, &mut html).ok();
        html
    }

    fn write(&self, report: &Report, html: &mut String) -> std::fmt::Result {
        writeln!(
            html,
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <title>Backtest of {name}</title>\
             <style>body{{font:15px sans-serif;max-width:800px;margin:2em auto;padding:0 1em}}\
             table{{border-collapse:collapse}}td,th{{padding:2px 10px;text-align:right}}\
             td:first-child,th:first-child{{text-align:left}}figure{{margin:2em 0}}</style>\
             <h1>Backtest of {name}</h1><p>Test part of {split}: windows issued on rows {first} to \
             {last} of {columns} columns; {missing} % of the inputs hidden. Errors in {unit}.</p>",
            name = escape(&report.dataset),
            split = escape(&report.split),
            first = report.issued_rows[0],
            last = report.issued_rows[1],
            columns = report.columns,
            missing = report.missing_percent,
            unit = escape(&report.unit),
        )?;
        writeln!(
            html,
            "<table><tr><th>forecaster<th>MAE<th>RMSE<th>15 min<th>30 min<th>60 min<th>pinball\
             <th>in 90 %<th>in 90 %, congested</tr>"
        )?;
        for model in &report.models {
            let average = &model.average;
            writeln!(
                html,
                "<tr><td>{}<td>{:.3}<td>{:.3}<td>{:.3}<td>{:.3}<td>{:.3}<td>{:.3}<td>{:.3}<td>{}</tr>",
                escape(&model.name),
                average.mae,
                average.rmse,
                model.steps[2].figures.mae,
                model.steps[5].figures.mae,
                model.steps[11].figures.mae,
                average.pinball_mean,
                average.coverage_90,
                average
                    .coverage_90_congested
                    .map_or("-".to_owned(), |share| format!("{share:.3}"))
            )?;
        }
        writeln!(html, "</table>")?;
        html.push_str(&by_horizon(report));
        html.push_str(&self.by_hour());
        html.push_str(&calibration(report));
        self.worst.iter().for_each(|svg| html.push_str(svg));
        writeln!(html, "</html>")
    }
}

fn hour_ticks() -> Vec<(f64, String)> {
    (0..=24)
        .step_by(3)
        .map(|hour| (f64::from(hour), format!("{hour}")))
        .collect()
}

fn highest(lines: &[Line]) -> f64 {
    let heights = lines.iter().flat_map(|line| &line.points);
    1.05 * heights.filter_map(|&(_, y)| y).fold(1e-6, f64::max)
}

fn by_horizon(report: &Report) -> String {
    let lines: Vec<Line> = report
        .models
        .iter()
        .enumerate()
        .map(|(index, model)| Line {
            label: model.name.clone(),
            colour: COLOURS[index % COLOURS.len()],
            points: model
                .steps
                .iter()
                .map(|step| (step.minutes as f64, Some(step.figures.mae)))
                .collect(),
        })
        .collect();
    Chart {
        title: "Mean absolute error by horizon",
        x_label: "minutes ahead",
        y_label: &report.unit,
        x: (0.0, 60.0),
        y: (0.0, highest(&lines)),
        x_ticks: (0..=60)
            .step_by(10)
            .map(|minutes| (f64::from(minutes), format!("{minutes}")))
            .collect(),
        bands: Vec::new(),
        lines,
    }
    .svg()
}

fn calibration(report: &Report) -> String {
    let mut lines = vec![Line {
        label: "exact".into(),
        colour: "#bbbbbb",
        points: vec![(0.0, Some(0.0)), (1.0, Some(1.0))],
    }];
    for (index, model) in report.models.iter().enumerate() {
        let levels = LEVELS.into_iter().zip(model.average.below);
        lines.push(Line {
            label: model.name.clone(),
            colour: COLOURS[index % COLOURS.len()],
            points: levels
                .map(|(level, share)| (f64::from(level), Some(share)))
                .collect(),
        });
    }
    Chart {
        title: "Calibration: share of truths at or below each quantile",
        x_label: "level of the quantile",
        y_label: "share",
        x: (0.0, 1.0),
        y: (0.0, 1.0),
        x_ticks: [0.05, 0.25, 0.5, 0.75, 0.95]
            .map(|level| (level, format!("{level}")))
            .to_vec(),
        bands: Vec::new(),
        lines,
    }
    .svg()
}
