//! Retraining on small archives.

use std::sync::Arc;

use super::super::{PAST_FILE, forecaster};
use super::*;
use crate::archive::{ArchiveSettings, Archiver, Overflow};
use crate::matching::Zones;
use crate::publish::Release;
use crate::publish::format::Privacy;
use crate::state::{Provenance, SegmentState, StateBatch};
use crate::units::{Interval, Timestamp};

const SEGMENTS: usize = 8;
/// Monday 2026-11-23, midnight at UTC+8.
const START_S: i64 = 1_795_363_200;

fn folder(test: &str) -> PathBuf {
    let name = format!("roadcast-retrain-{test}-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::remove_dir_all(&path).ok();
    fs::create_dir_all(&path).unwrap();
    path
}

/// A road of segments one after the other.
fn write_network(path: &Path) -> Arc<Network> {
    let mut text = String::from("from,to,highway,lon1,lat1,lon2,lat2,len_m,id,oneway\n");
    for index in 0..SEGMENTS {
        let lon = |index: usize| 114.30 + 0.002 * index as f64;
        text += &format!(
            "j{index},j{},primary,{:.3},30.55,{:.3},30.55,192,r{index},yes\n",
            index + 1,
            lon(index),
            lon(index + 1),
        );
    }
    fs::write(path, text).unwrap();
    Arc::new(open_network(path).unwrap().0)
}

/// A number -0.5..0.5 that looks random and is the same every time.
fn chance(index: i64) -> f32 {
    let mixed = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 40) as f32 / (1u64 << 24) as f32 - 0.5
}

/// Speeds of a day that returns every day, and waves that run down the road, a segment a step.
fn speed_mps(row: i64, segment: usize) -> f32 {
    let day = (row as f32 / DAY as f32 * std::f32::consts::TAU).sin();
    let wave = |source: i64| (0..6).map(|age| chance(source - age)).sum::<f32>();
    12.0 + 2.0 * day + 2.0 * wave(row - segment as i64)
}

/// Five days, one measured minute in each five.
fn write_archive(dir: &Path, network: &Arc<Network>) {
    let settings = ArchiveSettings {
        dir: dir.to_owned(),
        ..ArchiveSettings::default()
    };
    let (mut archiver, _) = Archiver::start(settings, network.clone(), Overflow::Wait).unwrap();
    let release = Release::new(Privacy::default(), Zones::default());
    for row in 0..5 * DAY as i64 {
        let start = Timestamp::from_secs(START_S + 300 * row);
        let segments = (0..SEGMENTS).map(|segment| SegmentState {
            speed_mps: speed_mps(row, segment),
            free_flow_mps: 16.0,
            provenance: Provenance::Observed,
            sample_count: 9,
            age_s: Some(0),
            ..SegmentState::default()
        });
        archiver.state(&release.states(&StateBatch {
            interval: Interval {
                start,
                end: start.plus_secs(60),
            },
            network: network.version(),
            segments: segments.collect(),
        }));
        archiver.minute_done();
    }
    archiver.finish();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_better_model_is_promoted_and_one_that_is_no_better_is_not() {
    let base = folder("run");
    let network = write_network(&base.join("road.csv"));
    write_archive(&base.join("archive"), &network);
    let run = || {
        retrain(&Args {
            archive: base.join("archive"),
            network: base.join("road.csv"),
            current: base.join("models/current"),
            out: base.join("out"),
            days: 5,
            margin: 1.0,
            local: LocalDays {
                utc_offset_s: 8 * 3600,
                calendar: "none".into(),
            },
            device: DeviceChoice::Cpu,
            seed: 1,
            epochs: 4,
            steps: 60,
            hidden: 16,
        })
        .unwrap()
    };
    fs::create_dir_all(base.join("models")).unwrap();
    // Nothing is in force but the bundled model, which knows no waves.
    assert_eq!(run(), Decision::Promoted);
    let model = [
        "card.toml",
        "loss.csv",
        "loss.svg",
        PAST_FILE,
        "retrain.json",
        "weights.safetensors",
    ];
    assert_eq!(names(&base.join("models/current")), model);
    let report = |folder: &str| -> serde_json::Value {
        let bytes = fs::read(base.join(folder).join("retrain.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let promoted = report("models/current");
    assert_eq!(promoted["decision"], "promoted");
    assert_eq!(promoted["held_out_from_ms"], 1000 * (START_S + 4 * 86_400));
    let mae = |report: &serde_json::Value, model: usize| {
        report["models"][model]["average"]["mae"].as_f64().unwrap()
    };
    assert!(
        mae(&promoted, 0) < 0.8 * mae(&promoted, 2),
        "waves are foretold"
    );
    // The same again is no better than itself.
    assert_eq!(run(), Decision::Kept);
    let kept = report("out");
    assert_eq!(kept["decision"], "kept");
    assert!(
        (mae(&kept, 1) - mae(&promoted, 0)).abs() < 1e-6,
        "served as it was scored"
    );
    assert_eq!(names(&base.join("models")), ["current"]);
    // What was promoted is what a service loads; a damaged past is refused.
    let current = base.join("models/current");
    let load = || {
        forecaster(
            &current.to_string_lossy(),
            &network,
            &Calendar::default(),
            &candle_core::Device::Cpu,
        )
    };
    assert_eq!(load().unwrap().name(), "retrained-20784");
    let mut past = fs::read(current.join(PAST_FILE)).unwrap();
    past[100] ^= 1;
    fs::write(current.join(PAST_FILE), past).unwrap();
    let error = load().err().map(|error| format!("{error:#}")).unwrap();
    assert!(
        error.contains("past.bin") && error.contains("SHA-256"),
        "{error}"
    );
    fs::remove_dir_all(&base).unwrap();
}

#[test]
fn the_old_model_is_kept_beside_the_new_one() {
    let base = folder("promote");
    let (new, current) = (base.join("new"), base.join("current"));
    fs::create_dir_all(&new).unwrap();
    for (turn, content) in ["first", "second", "third"].into_iter().enumerate() {
        fs::write(new.join("card.toml"), content).unwrap();
        promote(&new, &current.join("")).unwrap();
        let read = |folder: &str| fs::read_to_string(base.join(folder).join("card.toml"));
        assert_eq!(read("current").unwrap(), content);
        let previous = ["first", "second"].get(turn.wrapping_sub(1));
        assert_eq!(read("current.previous").ok().as_deref(), previous.copied());
        assert!(!base.join("current.new").exists());
    }
    fs::remove_dir_all(&base).unwrap();
}

#[test]
fn a_model_is_kept_for_each_reason() {
    let good = Figures {
        mae: 3.9,
        pinball: 1.0,
        coverage_80: 0.79,
        coverage_90: 0.96,
        cells: 5_000.0,
    };
    let with = |change: fn(&mut Figures)| {
        let mut figures = good;
        change(&mut figures);
        figures
    };
    let (current, baseline) = (with(|f| f.mae = 4.0), with(|f| f.mae = 4.4));
    let decide = |new: Figures, baseline: Figures| decide(new, current, baseline, 1.0);
    assert_eq!(decide(good, baseline).0, Decision::Promoted);
    for (new, baseline, why) in [
        (with(|f| f.mae = 3.97), baseline, "1 % below"),
        (with(|f| f.mae = f64::NAN), baseline, "1 % below"),
        (good, with(|f| f.mae = 3.8), "profile-residual"),
        (with(|f| f.coverage_80 = 0.7), baseline, "intervals of 0.8"),
        (with(|f| f.coverage_90 = 0.84), baseline, "intervals of 0.9"),
        (with(|f| f.pinball = 1.1), baseline, "pinball"),
        (with(|f| f.cells = 999.0), baseline, "999 measured cells"),
    ] {
        let (decision, reason) = decide(new, baseline);
        assert_eq!(decision, Decision::Kept, "{reason}");
        assert!(reason.contains(why), "{reason}");
    }
}

#[test]
fn a_model_of_another_architecture_gives_way_to_the_bundled_one_and_a_damaged_one_does_not() {
    let base = folder("older");
    let network = write_network(&base.join("road.csv"));
    let card = include_str!("../../../models/general/card.toml");
    let older = card
        .replace("name = \"general\"", "name = \"older\"")
        .replace("residual-mlp-4", "residual-mlp-2");
    fs::write(base.join("card.toml"), older).unwrap();
    fs::write(base.join("weights.safetensors"), b"of no use").unwrap();
    match in_force(&base, &network, &Calendar::plain(0)).unwrap() {
        Contender::Served(mlp, _) => assert_eq!(mlp.card().name, "general"),
        other => panic!("{other:?}"),
    }
    fs::write(base.join("card.toml"), card).unwrap();
    assert!(in_force(&base, &network, &Calendar::plain(0)).is_err());
    fs::remove_dir_all(&base).unwrap();
}
