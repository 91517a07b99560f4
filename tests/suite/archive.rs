//! The archive: what is written is read back, whatever is killed, full or old.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test itself"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use roadcast::archive::{
    ArchiveSettings, Archiver, History, HistoryQuery, Overflow, measured_means,
};
use roadcast::matching::Zones;
use roadcast::network::Network;
use roadcast::publish::Release;
use roadcast::publish::format::Privacy;
use roadcast::replay::columns;
use roadcast::state::{Level, Provenance, SegmentState, StateBatch, pace_spm};
use roadcast::units::{Interval, SegmentId, Timestamp};

use super::drawn::draw;

/// 06:45 at UTC+8 on Monday 2026-11-23.
const START_S: i64 = 1_795_387_500;

fn network() -> Arc<Network> {
    draw("A---B---C---D---E", &["A-B-C-D-E"], &[]).network
}

fn folder(test: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("roadcast-archive-{test}-{}", std::process::id()));
    fs::remove_dir_all(&path).ok();
    path
}

fn settings(dir: &Path) -> ArchiveSettings {
    ArchiveSettings {
        dir: dir.to_owned(),
        segments_per_row_group: 3,
        ..ArchiveSettings::default()
    }
}

fn start(dir: &Path, network: &Arc<Network>) -> (Archiver, History) {
    Archiver::start(settings(dir), network.clone(), Overflow::Wait).unwrap()
}

/// A minute of which every value follows from its number.
fn minute(network: &Network, index: i64) -> StateBatch {
    let mut chance = ChaCha8Rng::seed_from_u64(index as u64);
    let start = Timestamp::from_secs(START_S + 60 * index);
    let mut state = || {
        let sample_count = chance.random_range(0..12u32);
        SegmentState {
            speed_mps: chance.random_range(0.0..20.0f32),
            sigma_mps: 1.0,
            free_flow_mps: 15.0,
            usual_mps: 12.0,
            usual_sigma_mps: 2.0,
            level: Level::from_code(chance.random_range(1..=5)),
            provenance: match sample_count {
                0 => Provenance::Profile,
                1..5 => Provenance::Estimated,
                _ => Provenance::Observed,
            },
            sample_count,
            flow_vph: (sample_count > 7).then(|| chance.random_range(0.0..900.0f32)),
            queue_length_m: (sample_count > 9).then(|| chance.random_range(0.0..80.0f32)),
            age_s: Some(0),
            ..SegmentState::default()
        }
    };
    StateBatch {
        interval: Interval {
            start,
            end: start.plus_secs(60),
        },
        network: network.version(),
        segments: network.segment_ids().map(|_| state()).collect(),
    }
}

fn release() -> Release {
    Release::new(Privacy::default(), Zones::default())
}

fn archive(archiver: &mut Archiver, network: &Network, minutes: std::ops::Range<i64>) {
    for index in minutes {
        archiver.state(&release().states(&minute(network, index)));
        archiver.minute_done();
    }
}

#[test]
fn means_are_of_measured_minutes_alone_and_of_the_newest_days() {
    let dir = folder("means");
    let network = network();
    let (mut archiver, _) = start(&dir, &network);
    // Over midnight, with a gap of an hour.
    let minutes = || (900..1_000).chain(1_060..1_203);
    for index in minutes() {
        archiver.state(&release().states(&minute(&network, index)));
        archiver.minute_done();
    }
    archiver.finish();
    let offset_s = settings(&dir).utc_offset_s;
    let all = measured_means(&dir, &network, offset_s, None)
        .unwrap()
        .unwrap();
    // Minute 900 is the first of its five.
    assert_eq!(all.start, Timestamp::from_secs(START_S + 60 * 900));
    let count = network.segment_count();
    assert_eq!(all.speeds_mps.len(), 61 * count);
    let mut measured = 0;
    for (cell, &mean_mps) in all.speeds_mps.iter().enumerate() {
        let (row, segment) = (cell / count, cell % count);
        let first = 900 + 5 * row as i64;
        let known: Vec<f32> = minutes()
            .filter(|index| (first..first + 5).contains(index))
            .map(|index| minute(&network, index).segments[segment])
            .filter(|state| state.provenance == Provenance::Observed)
            .map(|state| (state.speed_mps * 100.0).round() / 100.0)
            .collect();
        measured += known.len() as u64;
        if known.is_empty() {
            assert!(mean_mps.is_nan(), "{row} {segment}");
        } else {
            let paces: Vec<f32> = known.iter().map(|&speed_mps| pace_spm(speed_mps)).collect();
            let mean = paces.len() as f32 / paces.iter().sum::<f32>();
            assert!(
                (mean_mps - mean).abs() < 1e-4,
                "{row} {segment}: {mean_mps} {mean}"
            );
        }
    }
    assert_eq!(all.measured_minutes, measured);
    assert_eq!(all.files_of_other_networks, 0);
    // A network that nothing is archived of.
    let stranger = draw("A---B", &["A-B"], &[]).network;
    assert_eq!(
        measured_means(&dir, &stranger, offset_s, None).unwrap(),
        None
    );
    // Two days later only the newest day is read.
    let (mut archiver, _) = start(&dir, &network);
    archive(&mut archiver, &network, 4_083..4_085);
    archiver.finish();
    let newest = measured_means(&dir, &network, offset_s, Some(1))
        .unwrap()
        .unwrap();
    assert_eq!(newest.start, Timestamp::from_secs(START_S + 60 * 4_080));
    assert_eq!((newest.files, newest.speeds_mps.len()), (1, count));
    let two = measured_means(&dir, &network, offset_s, Some(2))
        .unwrap()
        .unwrap();
    assert_eq!(two.start, Timestamp::from_secs(START_S + 60 * 1_205));
    fs::remove_dir_all(&dir).unwrap();
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for day in fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if day.is_dir() {
            for file in fs::read_dir(&day).unwrap() {
                let path = file.unwrap().path();
                let path = path.strip_prefix(dir).unwrap().to_string_lossy();
                found.push(path.into_owned());
            }
        }
    }
    found.sort();
    found
}

/// Start, segment and speed of every row, by segment and time in each file.
fn rows(dir: &Path) -> Vec<(i64, i64, f64)> {
    let mut rows = Vec::new();
    for file in files(dir) {
        let columns = columns::read(&dir.join(file)).unwrap();
        let [starts, segments, speeds] =
            ["start", "segment", "speed_mps"].map(|name| &columns[name]);
        let count = match segments {
            columns::Column::I32(values) => values.len(),
            _ => 0,
        };
        let of_file: Vec<(i64, i64, f64)> = (0..count)
            .map(|row| {
                let number = |column: &columns::Column| column.number(row);
                (
                    number(starts) as i64,
                    number(segments) as i64,
                    number(speeds),
                )
            })
            .collect();
        let by_segment = |row: &(i64, i64, f64)| (row.1, row.0);
        assert!(of_file.is_sorted_by_key(by_segment), "segment by segment");
        rows.extend(of_file);
    }
    rows.sort_by_key(|row| (row.0, row.1));
    rows
}

/// What the rows must be.
fn expected(network: &Network, minutes: std::ops::Range<i64>) -> Vec<(i64, i64, f64)> {
    let mut rows = Vec::new();
    for index in minutes {
        let batch = minute(network, index);
        for (state, segment) in batch.segments.iter().zip(0..) {
            let speed = (f64::from(state.speed_mps) * 100.0).round() / 100.0;
            rows.push((batch.interval.start.as_millis(), segment, speed));
        }
    }
    rows
}

fn assert_same(found: &[(i64, i64, f64)], expected: &[(i64, i64, f64)]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((found.0, found.1), (expected.0, expected.1));
        assert!(
            (found.2 - expected.2).abs() < 0.006,
            "{found:?} {expected:?}"
        );
    }
}

#[test]
fn files_are_hours_of_local_days_and_hold_every_minute_once() {
    let (dir, network) = (folder("hours"), network());
    let (mut archiver, _) = start(&dir, &network);
    archive(&mut archiver, &network, 0..90);
    archiver.finish();
    let names =
        ["0645", "0700", "0800"].map(|name| format!("date=2026-11-23/state-{name}.parquet"));
    assert_eq!(files(&dir), names);
    assert_same(&rows(&dir), &expected(&network, 0..90));
    let stats = archiver.stats();
    let count = 90 * network.segment_count() as u64;
    assert_eq!(stats.rows[0].load(Ordering::Relaxed), count);
    assert_eq!(stats.waiting.load(Ordering::Relaxed), 0);
    // A second run over the same time adds what is new.
    let (mut again, _) = start(&dir, &network);
    archive(&mut again, &network, 60..100);
    again.finish();
    let known = 30 * network.segment_count() as u64;
    assert_eq!(again.stats().known.load(Ordering::Relaxed), known);
    assert_same(&rows(&dir), &expected(&network, 0..100));
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_crash_loses_nothing_that_the_journal_had() {
    let (dir, crashed, network) = (folder("crash"), folder("crashed"), network());
    let (mut archiver, _) = start(&dir, &network);
    archive(&mut archiver, &network, 0..50);
    let count = network.segment_count() as u64;
    let stats = archiver.stats().clone();
    // 06:45 to 07:00 is complete, 35 minutes are in the journal.
    eventually("the journal has all", || {
        stats.waiting.load(Ordering::Relaxed) == 35 * count
    });
    // What a killed process leaves is what stands in the folder now, cut in the middle of a minute.
    fs::create_dir_all(crashed.join("date=2026-11-23")).unwrap();
    for file in files(&dir) {
        fs::copy(dir.join(&file), crashed.join(&file)).unwrap();
    }
    let journal = fs::read(dir.join("state.journal")).unwrap();
    fs::write(
        crashed.join("state.journal"),
        &journal[..journal.len() - 10],
    )
    .unwrap();
    let (mut after, history) = start(&crashed, &network);
    assert_eq!(after.stats().waiting.load(Ordering::Relaxed), 34 * count);
    let all = HistoryQuery {
        segments: network.segment_ids().collect(),
        from: Timestamp::from_secs(START_S),
        to: Timestamp::from_secs(START_S + 3600),
        step_s: 60,
    };
    assert_eq!(history.answer(&all).unwrap().rows.len() as u64, 49 * count);
    // The engine closes the lost minute again, from its recording, and goes on.
    archive(&mut after, &network, 45..60);
    after.finish();
    assert_same(&rows(&crashed), &expected(&network, 0..60));
    archiver.finish();
    fs::remove_dir_all(&dir).unwrap();
    fs::remove_dir_all(&crashed).unwrap();
}

#[test]
fn old_days_go_and_large_ones() {
    let (dir, network) = (folder("old"), network());
    let run = |settings: ArchiveSettings| {
        let started = Archiver::start(settings, network.clone(), Overflow::Wait);
        let (mut archiver, _) = started.unwrap();
        for day in 0..6 {
            archive(&mut archiver, &network, 1440 * day..1440 * day + 2);
        }
        archiver.finish();
        let days: Vec<String> = files(&dir)
            .iter()
            .map(|file| file[10..15].to_owned())
            .collect();
        fs::remove_dir_all(&dir).unwrap();
        (days, archiver.stats().expired.load(Ordering::Relaxed))
    };
    let (days, expired) = run(ArchiveSettings {
        keep_days: 2,
        ..settings(&dir)
    });
    assert_eq!((days.join(" ").as_str(), expired), ("11-26 11-27 11-28", 3));
    let (days, _) = run(ArchiveSettings {
        bytes_max: 1,
        ..settings(&dir)
    });
    assert_eq!(days, ["11-28"], "the newest day stays");
}

#[test]
fn a_full_disk_is_waited_for() {
    let (dir, network) = (folder("full"), network());
    let settings = ArchiveSettings {
        rows_per_file_max: 10 * network.segment_count(),
        ..settings(&dir)
    };
    let (mut archiver, _) = Archiver::start(settings, network.clone(), Overflow::Wait).unwrap();
    // A file stands where the day's folder should be: nothing can be completed.
    let obstacle = dir.join("date=2026-11-23");
    fs::write(&obstacle, "").unwrap();
    archive(&mut archiver, &network, 0..15);
    let stats = archiver.stats().clone();
    eventually("the failure shows", || {
        stats.is_failing.load(Ordering::Relaxed)
    });
    assert!(stats.failures.load(Ordering::Relaxed) > 0);
    fs::remove_file(&obstacle).unwrap();
    archive(&mut archiver, &network, 15..20);
    archiver.finish();
    assert!(!stats.is_failing.load(Ordering::Relaxed));
    assert_eq!(stats.unwritable.load(Ordering::Relaxed), 0);
    assert_same(&rows(&dir), &expected(&network, 0..20));
    fs::remove_dir_all(&dir).unwrap();
}

/// History of one segment computed from the minutes themselves.
fn by_hand(network: &Network, id: SegmentId, minutes: std::ops::Range<i64>) -> (f32, u8, f32, f32) {
    let states: Vec<SegmentState> = minutes
        .map(|index| release().states(&minute(network, index)).segments[id.index()])
        .collect();
    let count = states.len() as f32;
    let travel_s = |state: &SegmentState| {
        network.segment(id).length_m / ((state.speed_mps * 100.0).round() / 100.0).max(0.1)
    };
    let mean_s = states.iter().map(travel_s).sum::<f32>() / count;
    let worst = states.iter().map(|state| state.level as u8).max();
    let share = |provenance: Provenance| {
        let of = states.iter().filter(|state| state.provenance == provenance);
        of.count() as f32 / count
    };
    (
        mean_s,
        worst.unwrap(),
        share(Provenance::Observed),
        share(Provenance::Estimated),
    )
}

#[test]
fn history_is_that_of_the_minutes_in_files_and_in_the_open_hour() {
    let (dir, network) = (folder("history"), network());
    let (mut archiver, history) = start(&dir, &network);
    archive(&mut archiver, &network, 0..250);
    let stats = archiver.stats().clone();
    let count = network.segment_count() as u64;
    // 06:45 to 10:00 is complete, 55 minutes are open.
    eventually("all is taken", || {
        stats.waiting.load(Ordering::Relaxed) == 55 * count
    });
    let at = |minute: i64| Timestamp::from_secs(START_S + 60 * minute);
    for (segments, step_s) in [(vec![5], 300), (vec![0, 3, 6], 900), (vec![1, 2], 60)] {
        let query = HistoryQuery {
            segments: segments.iter().copied().map(SegmentId).collect(),
            from: at(5),
            to: at(250),
            step_s,
        };
        let answer = history.answer(&query).unwrap();
        assert_eq!((answer.files, answer.files_of_other_networks), (4, 0));
        let step = step_s / 60;
        let mut begin = 5 / step * step;
        let steps_of_one = (250 - begin + step - 1) / step;
        assert_eq!(answer.rows.len(), segments.len() * steps_of_one as usize);
        // Only row groups that hold a wanted segment are read: three segments each, 195 minutes.
        let groups = segments
            .iter()
            .map(|id| id / 3)
            .collect::<std::collections::BTreeSet<_>>();
        assert!(answer.rows_read <= 195 * 3 * groups.len() as u64);
        let mut rows = answer.rows.iter();
        for &segment in &segments {
            for _ in 0..steps_of_one {
                let row = rows.next().unwrap();
                assert_eq!((row.segment.0, row.start), (segment, at(begin)));
                let minutes = begin..(begin + step).min(250);
                let (mean_s, worst, observed, estimated) =
                    by_hand(&network, row.segment, minutes.clone());
                assert_eq!(i64::from(row.minutes), minutes.end - minutes.start);
                assert!(
                    (row.travel_time_s / mean_s - 1.0).abs() < 0.01,
                    "{row:?} {mean_s}"
                );
                let length_m = network.segment(row.segment).length_m;
                assert!((row.speed_mps * row.travel_time_s / length_m - 1.0).abs() < 1e-3);
                assert_eq!(row.level_worst as u8, worst);
                assert!((row.observed_share - observed).abs() < 1e-6);
                assert!((row.estimated_share - estimated).abs() < 1e-6);
                begin += step;
            }
            begin = 5 / step * step;
        }
    }
    let refused = |query: HistoryQuery| history.answer(&query).unwrap_err().to_string();
    let query = HistoryQuery {
        segments: network.segment_ids().collect(),
        from: at(0),
        to: at(60 * 24 * 60),
        step_s: 60,
    };
    assert!(refused(query.clone()).contains("100000 at most"));
    let odd = HistoryQuery {
        step_s: 77,
        ..query.clone()
    };
    assert!(refused(odd).contains("77"));
    let unknown = HistoryQuery {
        segments: vec![SegmentId(99)],
        ..query.clone()
    };
    assert!(refused(unknown).contains("0 to 7"));
    let empty = HistoryQuery { to: at(0), ..query };
    assert!(refused(empty).contains("before"));
    archiver.finish();
    fs::remove_dir_all(&dir).unwrap();
}
