//! What a running engine knows of a series is what a backtest of the same series knows.

use std::sync::Arc;

use super::outlook::{Known, usual_times};
use super::windows::{Windows, unit_hash};
use super::{
    Backtest, BacktestSettings, Dataset, FEATURE_COUNT, FeatureContext, ForecastRequest, History,
    KnownEvent, LAG_COUNT, LEVEL_COUNT, LEVEL_STEPS, OutlookSpeaker, OutlookTracker, Past,
    PastError, RoadGraph, STEP_MS, SpeedProfile, column_names,
};
use crate::network::{Network, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
use crate::state::{Calendar, MINUTE_MS, Provenance, SegmentState, StateBatch};
use crate::units::{Interval, Position, SegmentId, Timestamp};

const COLUMNS: usize = 6;
const ROWS: usize = 8 * 288;

/// Segments in a row, `step` of longitude each; the last two are of one way.
fn street(step: f64) -> Network {
    let at = |index: usize| Position::new(114.30 + step * index as f64, 30.55);
    let mut builder = NetworkBuilder::new(at(0));
    let junctions: Vec<_> = (0..=COLUMNS)
        .map(|index| builder.add_junction(at(index), index == 2))
        .collect();
    for index in 0..COLUMNS {
        builder
            .add_segment(SegmentDraft {
                from: junctions[index],
                to: junctions[index + 1],
                shape: vec![at(index), at(index + 1)],
                length_m: None,
                class: RoadClass::Primary,
                limit_mps: None,
                lanes: None,
                flags: SegmentFlags::default(),
                layer: 0,
                source_id: format!("r{}", index.min(COLUMNS - 2)),
                source_dir: 1,
                source_pair: u32::from(index == COLUMNS - 1),
                name: None,
                name_en: None,
            })
            .expect("the shape is fine");
    }
    builder.connect_all(&mut |_, _| false);
    builder.build().expect("there are segments")
}

/// Eight days of speeds around a daily wave, each column with a deviation that drifts over hours; a
/// tenth of the cells is missing, and five hours of the sixth day.
fn dataset(network: &Network) -> Dataset {
    let mut values = Vec::new();
    let mut drift = [0.0f32; COLUMNS];
    for row in 0..ROWS {
        for (column, drift) in drift.iter_mut().enumerate() {
            let chance = |seed| unit_hash(seed, (row * COLUMNS + column) as u64) - 0.5;
            *drift = 0.98 * *drift + chance(1);
            let wave = 3.0 * (row as f32 / 288.0 * std::f32::consts::TAU).sin();
            let is_missing = chance(2) > 0.4 || (5 * 288 + 100..5 * 288 + 160).contains(&row);
            values.push(if is_missing {
                f32::NAN
            } else {
                15.0 + wave + *drift + 2.0 * chance(3)
            });
        }
    }
    Dataset {
        name: "drift".into(),
        licence: String::new(),
        unit: "m/s".into(),
        is_speed: true,
        units_per_value: 1.0,
        network: Some(network.version()),
        times: (0..ROWS as i64)
            .map(|row| Timestamp::from_millis(1_795_392_000_000 + row * STEP_MS))
            .collect(),
        columns: column_names(network),
        values,
        graph: RoadGraph::from_network(network),
        events: Vec::new(),
        calendar: Calendar::plain(0),
        attributes: FeatureContext::known_attributes(network),
    }
}

/// The profile of a backtest, which differs from day to day.
struct Usual<'a>(&'a Windows<'a>);

impl SpeedProfile for Usual<'_> {
    fn speed_mps(&self, segment: SegmentId, at: Timestamp) -> f32 {
        let past_ms = at.millis_since(self.0.dataset.times[0]);
        let row = past_ms.div_euclid(STEP_MS).clamp(0, ROWS as i64 - 1);
        self.0.profile_mps(row as usize, segment.index())
    }

    fn free_flow_mps(&self, segment: SegmentId) -> f32 {
        self.0.free_flow_mps()[segment.index()]
    }
}

/// The minutes of a row as the state room would tell them: each like the row.
fn push_row(history: &mut History, windows: &Windows<'_>, row: usize, known: &ForecastRequest) {
    let segments: Vec<SegmentState> = (0..COLUMNS)
        .map(|column| SegmentState {
            speed_mps: known.now_mps[column],
            sigma_mps: known.sigma_mps[column],
            provenance: match windows.dataset.value(row, column) {
                Some(_) => Provenance::Observed,
                None => Provenance::Profile,
            },
            age_s: Some(u32::from(known.age_min[column]) * 60),
            ..SegmentState::default()
        })
        .collect();
    for minute in 0..STEP_MS / MINUTE_MS {
        let start = windows.dataset.times[row].plus_millis(minute * MINUTE_MS);
        let end = start.plus_millis(MINUTE_MS);
        history.push(&StateBatch {
            interval: Interval { start, end },
            network: windows.dataset.network.expect("it is of a network"),
            segments: segments.clone(),
        });
        history.learn_levels(&Usual(windows));
    }
}

fn largest(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let differences = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

fn levels(request: &ForecastRequest, index: usize) -> (Vec<f32>, Vec<f32>) {
    let of = |values: &[f32]| {
        values
            .iter()
            .skip(index)
            .step_by(LEVEL_COUNT)
            .copied()
            .collect()
    };
    (of(&request.level_mps), of(&request.level_share))
}

#[test]
fn an_engine_knows_the_hour_and_the_slow_levels_as_a_backtest_does() {
    let dataset = dataset(&street(0.002));
    let windows = Windows::new(&dataset, [6, 1, 1]).expect("it is long enough");
    let mut history = History::new();
    let mut spread = [0.0f32; LEVEL_COUNT];
    let mut off = [0.0f32; LEVEL_COUNT];
    for row in 3 * 288 + 17..ROWS - 12 {
        let known = windows.request(row, None);
        push_row(&mut history, &windows, row, &known);
        if row == 6 * 288 + 5 {
            // A restart changes nothing.
            let mut bytes = Vec::new();
            history.snapshot(&mut bytes);
            let restored = History::restore(&bytes).expect("it was just written");
            assert_eq!(restored, history);
            history = restored;
        }
        if row < 4 * 288 + 17 {
            continue;
        }
        let live = history
            .forecast_request(&Usual(&windows), Arc::clone(&known.calibration))
            .expect("minutes were closed");
        assert_eq!(live.first_step, known.first_step);
        assert!(largest(&live.history_mps, &known.history_mps) < 1e-5);
        assert!(largest(&live.history_share, &known.history_share) < 1e-5);
        assert!(largest(&live.profile_mps, &known.profile_mps) < 1e-5);
        assert!(largest(&live.past_profile_mps, &known.past_profile_mps) < 1e-5);
        for index in 0..LEVEL_COUNT {
            let (live, known) = (levels(&live, index), levels(&known, index));
            let share_off = largest(&live.1, &known.1);
            // Of the day's oldest hour it is not kept which steps were measured.
            let steps_off = share_off * LEVEL_STEPS[index] as f32;
            assert!(steps_off < [1e-3, 3.0][index], "{row}: {steps_off}");
            off[index] = off[index].max(largest(&live.0, &known.0));
            spread[index] = known
                .0
                .iter()
                .fold(spread[index], |most, v| most.max(v.abs()));
        }
    }
    // Half a centimetre a second, and what the oldest hour's unevenness can do to the day.
    assert!(off[0] <= 0.005 && off[1] < 0.05, "{off:?}");
    assert!(spread.iter().all(|&most| most > 0.5), "{spread:?}");
}

#[test]
fn an_engine_learns_of_outlooks_what_a_backtest_learns() {
    let dataset = dataset(&street(0.002));
    let settings = BacktestSettings {
        split: [6, 1, 1],
        missing: 0.0,
        seed: 1,
        holdout: None,
    };
    let backtest = Backtest::new(&dataset, &settings).expect("it is long enough");
    let run = backtest.run_outlook(&backtest.validation());
    let (_, [_, last], learnt) = run.expect("a day is long enough");
    let windows = Windows::new(&dataset, settings.split).expect("it is long enough");
    let (mut history, mut tracker) = (History::new(), OutlookTracker::new());
    let mut newest = None;
    for row in 0..=last {
        // Before an hour is known a backtest issues nothing.
        if row < LAG_COUNT - 1 {
            let mut known = windows.request(LAG_COUNT - 1, None);
            for (column, now_mps) in known.now_mps.iter_mut().enumerate() {
                *now_mps = dataset.value(row, column).unwrap_or(*now_mps);
            }
            push_row(&mut history, &windows, row, &known);
            continue;
        }
        let known = windows.request(row, None);
        push_row(&mut history, &windows, row, &known);
        tracker.observe(&history);
        let live = history
            .forecast_request(&Usual(&windows), Arc::clone(&known.calibration))
            .expect("minutes were closed");
        let outlook = tracker.issue(&live, &Usual(&windows));
        newest = Some((live, outlook.expect("each row ends on a mark")));
    }
    let (live, outlook) = newest.expect("there are rows");
    let usual = Usual(&windows);
    let times = usual_times(live.first_step);
    for segment in 0..COLUMNS {
        let id = SegmentId(segment as u32);
        let known = Known::of(&live, segment, |time| usual.speed_mps(id, times[time]));
        for (half, live) in outlook.half_hours(id).iter().enumerate() {
            let said = learnt.formula().say(OutlookSpeaker::Outlook, half, &known);
            let off = largest(&live.as_array(), &said.as_array());
            assert!(off < 0.02, "{segment} {half}: {live:?} {said:?}");
        }
    }
    // Both have learnt.
    let first = OutlookTracker::new()
        .issue(&live, &usual)
        .expect("it is a mark");
    assert!((first.quantiles[0].p05_mps - outlook.quantiles[0].p05_mps).abs() > 0.3);
}

#[test]
fn a_day_of_silence_is_forgotten_and_a_shorter_one_is_kept_apart() {
    let dataset = dataset(&street(0.002));
    let windows = Windows::new(&dataset, [6, 1, 1]).expect("it is long enough");
    let shares_after = |gap: usize| {
        let mut history = History::new();
        for row in (300..600).chain([600 + gap]) {
            push_row(&mut history, &windows, row, &windows.request(row, None));
        }
        let calibration = windows.request(600, None).calibration;
        let request = history.forecast_request(&Usual(&windows), calibration);
        let (_, shares) = levels(&request.expect("minutes were closed"), 1);
        shares[0]
    };
    let known = |rows: std::ops::Range<usize>| {
        let count = rows.filter(|&row| dataset.value(row, 0).is_some()).count();
        count as f32 / 288.0
    };
    assert!((shares_after(200) - known(513..600) - known(800..801)).abs() < 0.005);
    assert!((shares_after(288) - known(888..889)).abs() < 1e-6);
}

/// All features of all segments, one after the other.
fn features(context: &FeatureContext, request: &ForecastRequest) -> Vec<f32> {
    let prepared = context.prepare(request);
    let mut features = vec![0.0; COLUMNS * FEATURE_COUNT];
    for (segment, row) in features.chunks_exact_mut(FEATURE_COUNT).enumerate() {
        prepared.write(segment, |feature, value| row[feature] = value);
    }
    features
}

#[test]
fn an_engine_with_a_past_reads_what_a_backtest_reads() {
    let network = street(0.002);
    let dataset = dataset(&network);
    let windows = Windows::new(&dataset, [6, 1, 1]).expect("it is long enough");
    let bytes = windows.past().to_bytes();
    let past = Past::read(&bytes).expect("it was just written");
    assert_eq!(past, windows.past());
    assert_eq!(past.foretold_count(), COLUMNS);
    assert!(bytes.len() < 2_300 * COLUMNS, "{}", bytes.len());
    let column_of = past.columns_of(&network).expect("it is of this network");
    let unknown = FeatureContext::from_network(&network, Some(Calendar::plain(0)));
    let engine = unknown.clone().with_past(&past, &column_of);
    let backtest = windows.context();
    let mut history = History::new();
    for row in 5 * 288..ROWS - 12 {
        let known = windows.request(row, None);
        push_row(&mut history, &windows, row, &known);
        if row % 50 != 0 || row < 6 * 288 + 50 {
            continue;
        }
        let mut live = history
            .forecast_request(&Usual(&windows), Arc::clone(&known.calibration))
            .expect("minutes were closed");
        let wanted = features(&backtest, &known);
        // Slow levels are kept in centimetres and hours.
        assert!(largest(&features(&engine, &live), &wanted) < 0.02, "{row}");
        (live.level_mps, live.level_share) = (known.level_mps, known.level_share);
        assert!(largest(&features(&engine, &live), &wanted) < 1e-5, "{row}");
        assert!(largest(&features(&unknown, &live), &wanted) > 0.1, "{row}");
    }
}

#[test]
fn a_past_knows_what_is_usual_where_it_holds_speeds() {
    let network = street(0.002);
    let mut dataset = dataset(&network);
    let windows = Windows::new(&dataset, [6, 1, 1]).expect("it is long enough");
    let past = Past::read(&windows.past().to_bytes()).expect("it was just written");
    let told = past
        .usual_speeds(&[Some(4), None])
        .expect("they are speeds");
    assert_eq!((told.segment_count(), told.known_count()), (2, 1));
    // The mean of column 4 over a quarter of an hour, of workdays and of days off.
    let mut wanted = crate::state::UsualSpeeds::unknown(1);
    for quarter in 0..crate::state::QUARTERS {
        for kind in 0..crate::state::DAY_KINDS {
            let is_off = |row: &usize| !dataset.calendar.day_type(dataset.times[*row]).is_workday();
            let rows = (0..6 * 288).filter(|row| row % 288 / 3 == quarter);
            let rows = rows.filter(|row| is_off(row) == (kind == 1));
            let known: Vec<f32> = rows.filter_map(|row| dataset.value(row, 4)).collect();
            if !known.is_empty() {
                let mean = known.iter().sum::<f32>() / known.len() as f32;
                wanted.set(0, kind, quarter, mean, known.len().div_ceil(3) as u32);
            }
        }
    }
    wanted.set_free_flow(0, windows.free_flow_mps()[4]);
    assert_eq!(told.told_by(&[Some(0)]), wanted);
    dataset.is_speed = false;
    let counts = Windows::new(&dataset, [6, 1, 1]).expect("it is long enough");
    let past = Past::read(&counts.past().to_bytes()).expect("it was just written");
    assert_eq!(past.usual_speeds(&[Some(4)]), None);
}

#[test]
fn training_looks_where_something_is_known_and_around_incidents() {
    let network = street(0.002);
    let mut dataset = dataset(&network);
    let hidden = 2 * 288..3 * 288;
    dataset.values[hidden.start * COLUMNS..hidden.end * COLUMNS].fill(f32::NAN);
    let slow = 4 * 288 + 60..4 * 288 + 72;
    for row in slow.clone() {
        dataset.values[row * COLUMNS + 1] = 2.0;
    }
    let (from, until) = (dataset.times[slow.start], dataset.times[slow.end]);
    let kind = super::EventKind::Incident;
    let column = Some(1);
    dataset = dataset.with_events(vec![KnownEvent {
        kind,
        column,
        from,
        until,
    }]);
    let windows = Windows::new(&dataset, [6, 1, 1]).expect("it is long enough");
    let learnable = windows.learnable();
    let is_in = |row: usize| learnable.binary_search(&row).is_ok();
    assert!(!is_in(hidden.start) && !is_in(hidden.end - 13));
    assert!(is_in(hidden.start - 2) && is_in(hidden.end - 12));
    let unknown = (288 - 11) + (60 - 11); // The day, and the gap that was there.
    assert_eq!(learnable.len(), windows.training().len() - unknown);
    let [around] = &windows.around_incidents(&learnable)[..] else {
        panic!("one incident is open");
    };
    assert!(
        (slow.start..slow.start + 3).contains(&around[0]),
        "{around:?}"
    );
    let last = around.last();
    assert_eq!(last, Some(&slow.end), "it is cleared five minutes later");
}

#[test]
fn a_past_finds_its_segments_by_name_and_refuses_strangers() {
    let network = street(0.002);
    let names = column_names(&network);
    assert_eq!(names, ["r0", "r1", "r2", "r3", "r4/0+", "r4/1+"]);
    let dataset = dataset(&network);
    let windows = Windows::new(&dataset, [6, 1, 1]).expect("it is long enough");
    let past = windows.past();
    // A network of another version: two segments less by name, the rest in another order.
    let mut other = dataset.clone();
    other.network = None;
    other.columns = ["r3", "r1", "gone", "r0", "r4/1+", "new"]
        .map(str::to_owned)
        .to_vec();
    let moved = Windows::new(&other, [6, 1, 1]).expect("it is long enough");
    let moved = moved.past();
    let column_of = moved.columns_of(&network).expect("four of six are found");
    assert_eq!(column_of, [Some(3), Some(1), None, Some(0), None, Some(4)]);
    let (traits, regression) = moved.told_by(&column_of);
    assert_eq!(traits[2], super::SegmentTraits::UNKNOWN);
    assert!((traits[0].scatter - moved.told_by(&[Some(3)]).0[0].scatter).abs() < 1e-9);
    assert_eq!(regression.known_count(), 4);
    // The same names on roads twice as long, and names that nobody has.
    let longer = street(0.004);
    let strange = moved.columns_of(&longer);
    assert!(matches!(
        strange,
        Err(PastError::Strange {
            columns: 6,
            found: 0
        })
    ));
    assert_ne!(longer.version(), network.version());
    assert!(past.columns_of(&longer).is_err());
    let mut bytes = past.to_bytes();
    bytes.pop();
    assert!(matches!(Past::read(&bytes), Err(PastError::Bytes(_))));
    assert!(matches!(Past::read(b"RCP"), Err(PastError::Foreign)));
}
