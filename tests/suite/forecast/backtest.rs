//! Backtests on series whose scores are known beforehand.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use roadcast::forecast::{
    Backtest, BacktestSettings, Baseline, Contender, Dataset, Holdout, OutlookSpeaker, STEP_COUNT,
    SpeedQuantiles,
};

const ROWS: usize = 600;

/// Sensors in the layout in which METR-LA and PEMS-BAY are documented: mph, 0 for missing, five
/// minutes a row. The first rises by one mph a row within each hour and falls back, the second
/// stays at 50 and misses every tenth row.
fn loops() -> Dataset {
    let mut series = String::from("time,773869,767541");
    for row in 0..ROWS {
        let (day, minute) = (1 + row / 288, (row % 288) * 5);
        let second = if row % 10 == 3 { 0.0 } else { 50.0 };
        series.push_str(&format!(
            "\n2012-03-{day:02}T{:02}:{:02}:00,{},{second}",
            minute / 60,
            minute % 60,
            40 + row % 12,
        ));
    }
    let header = b"name='loops'\nquantity='speed'\nunit='mph'\nstep_s=300\ntimezone='-08:00'\n\
        zero_is_missing=true\n";
    let graph = b"from,to,weight\n773869,767541,0.5\n";
    Dataset::parse(header, series.as_bytes(), graph, None, None).expect("it is well formed")
}

fn settings() -> BacktestSettings {
    BacktestSettings {
        split: [70, 10, 20],
        missing: 0.0,
        seed: 1,
        holdout: None,
    }
}

/// Runs one forecaster over the test part.
fn run(backtest: &Backtest<'_>, contender: &Contender) -> roadcast::forecast::Scores {
    let mut run = backtest.run();
    for newest in backtest.test() {
        let request = backtest.request(newest);
        let mut said = backtest.forecast(contender, &request).unwrap();
        run.score(newest, &request, &mut said);
        assert!(said.iter().all(SpeedQuantiles::is_valid));
    }
    run.finish().0
}

#[test]
fn windows_belong_to_the_part_of_their_first_target() {
    let dataset = loops();
    let backtest = Backtest::new(&dataset, &settings()).unwrap();
    // Row 480 is the first of the test part: it is the first target of a forecast issued on 479.
    assert_eq!(backtest.test(), 479..ROWS - STEP_COUNT);
    assert_eq!(backtest.validation().start, 419);
    let odd = BacktestSettings {
        split: [7, 1, 3],
        ..settings()
    };
    let backtest = Backtest::new(&dataset, &odd).unwrap();
    assert_eq!(backtest.test().start, ROWS * 8 / 11 - 1);
}

#[test]
fn last_value_scores_what_the_series_says() {
    let dataset = loops();
    let backtest = Backtest::new(&dataset, &settings()).unwrap();
    let scores = run(&backtest, &Contender::Baseline(Baseline::LastValue));
    for (step, scores) in scores.steps.iter().enumerate() {
        // One step ahead the first sensor is off by 1, once an hour by 11; an hour ahead by 0.
        let ahead = step + 1;
        let windows = backtest.test();
        let (mut sum, mut square, mut count) = (0.0, 0.0, 0.0);
        for newest in windows {
            let error = (newest % 12) as f64 - ((newest + ahead) % 12) as f64;
            sum += error.abs();
            square += error * error;
            count += 1.0;
            if (newest + ahead) % 10 != 3 {
                // The second sensor never errs: where its newest value is missing, the deviation
                // from its profile, which is the same, is carried.
                count += 1.0;
            }
        }
        assert!((scores.plain.count() - count).abs() < 1e-9);
        assert!((scores.plain.mae() - sum / count).abs() < 1e-3, "{ahead}");
        assert!((scores.plain.rmse() - (square / count).sqrt()).abs() < 1e-3);
        assert!((scores.masked.count() - count).abs() < 1e-9);
    }
    let hour = &scores.steps[STEP_COUNT - 1];
    assert!(hour.plain.mae() < 1e-3);
}

#[test]
fn a_regression_learns_the_wave_and_hidden_inputs_cost_it() {
    let dataset = loops();
    let clear = Backtest::new(&dataset, &settings()).unwrap();
    let ridge = Contender::Ridge(clear.fit_ridge().unwrap());
    let last = run(&clear, &Contender::Baseline(Baseline::LastValue));
    let mae = |scores: &roadcast::forecast::Scores| scores.mean(|step| step.plain.mae());
    let (with_all, of_last) = (mae(&run(&clear, &ridge)), mae(&last));
    assert!(with_all < 0.2 * of_last, "{with_all} {of_last}");
    let half = BacktestSettings {
        missing: 0.5,
        ..settings()
    };
    let hidden = Backtest::new(&dataset, &half).unwrap();
    let with_half = mae(&run(&hidden, &ridge));
    assert!(with_half > with_all, "{with_half} {with_all}");
    // What is hidden is hidden from every forecaster and in every run alike.
    assert_eq!(run(&hidden, &ridge), run(&hidden, &ridge));
}

#[test]
fn only_the_fold_held_out_is_scored() {
    let dataset = loops();
    let fold = BacktestSettings {
        holdout: Some(Holdout {
            percent: 50,
            fold: 0,
            seed: 3,
        }),
        ..settings()
    };
    let backtest = Backtest::new(&dataset, &fold).unwrap();
    let is_left_out = fold.holdout.unwrap().is_left_out(2);
    assert_eq!(is_left_out.iter().filter(|&&is| is).count(), 1);
    let ridge = Contender::Ridge(backtest.fit_ridge().unwrap());
    let scores = run(&backtest, &ridge);
    let windows = backtest.test().len() as f64;
    assert!(scores.steps[0].plain.count() <= windows);
    assert!(scores.steps[0].plain.count() > 0.8 * windows);
}

#[test]
fn an_outlook_is_scored_against_means_of_half_an_hour() {
    let dataset = loops();
    let backtest = Backtest::new(&dataset, &settings()).unwrap();
    let (scores, rows) = backtest.outlook(&backtest.test()).unwrap();
    // The last truth lies 36 rows ahead.
    assert_eq!(rows, [479, ROWS - 37]);
    let known = |row: usize, column: usize| dataset.value(row, column).map(f64::from);
    let last_known = |row: usize, column| (0..=row).rev().find_map(|row| known(row, column));
    let last_value = &scores[OutlookSpeaker::LastValue as usize];
    for (half, found) in last_value.iter().enumerate() {
        let (mut sum, mut count) = (0.0, 0.0);
        for newest in rows[0]..=rows[1] {
            for column in 0..2 {
                let first = newest + 13 + 6 * half;
                let truth: Vec<f64> = (first..first + 6)
                    .filter_map(|row| known(row, column))
                    .collect();
                let truth_mps = truth.iter().sum::<f64>() / truth.len() as f64;
                let error_mps = last_known(newest, column).unwrap() - truth_mps;
                sum += error_mps.abs() * dataset.units_per_value;
                count += 1.0;
            }
        }
        assert!((found.plain.count() - count).abs() < 1e-9);
        assert!((found.plain.mae() - sum / count).abs() < 1e-3);
    }
    let mae = |speaker: OutlookSpeaker| scores[speaker as usize][0].plain.mae();
    // The wave repeats each hour, so what is usual says it all.
    assert!(mae(OutlookSpeaker::Profile) < 0.5 * mae(OutlookSpeaker::LastValue));
    assert!(mae(OutlookSpeaker::Outlook) < 1.2 * mae(OutlookSpeaker::Profile));
}

#[test]
fn an_outlook_learns_nothing_of_what_the_series_has_not_reached() {
    let mut dataset = loops();
    let scores = |dataset: &Dataset| {
        let backtest = Backtest::new(dataset, &settings()).unwrap();
        backtest.outlook(&backtest.validation()).unwrap()
    };
    let before = scores(&dataset);
    let columns = dataset.column_count();
    // All of the test part, which begins with row 480.
    dataset.values[480 * columns..].fill(1.0);
    assert_eq!(scores(&dataset), before);
    dataset.values[470 * columns..].fill(1.0);
    assert_ne!(scores(&dataset), before);
}
