//! A small network and one of each message, for the tests of publishing and serving.
//!
//! ```text
//!   A ──0──► B ──1──► C        North Street, 4 km a segment
//!   │2                ▲4
//!   └──► D ────3──────┘        South Street, then East Street
//! ```

use std::sync::Arc;

use crate::forecast::{ForecastBatch, HALF_HOUR_COUNT, OutlookBatch, STEP_COUNT, SpeedQuantiles};
use crate::guide::{Diversion, Evidence, Guidance, GuidanceKind, JamWarning};
use crate::matching::Zones;
use crate::network::{Network, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
use crate::publish::format::{
    FlowFiguresEntry, FlowScoresEntry, ForecastFiguresEntry, ForecastScoresMessage,
    ForecasterLabel, ForecasterScoresEntry, OnsetEntry, OutlookForecasterLabel, OutlookScoresEntry,
    Privacy, VoiceEntry,
};
use crate::publish::{Release, Released};
use crate::state::{
    BinSums, Calendar, Corridor, DetectorTable, Doubt, Level, Performance, PerformanceBatch,
    PerformanceMinute, Provenance, SegmentState, StateBatch,
};
use crate::units::{Interval, Position, SegmentId, Timestamp};

pub(crate) fn network() -> Network {
    let at = |east: f64, north: f64| Position::new(114.28 + east * 0.04, 30.56 + north * 0.03);
    let places = [at(0.0, 1.0), at(1.0, 1.0), at(2.0, 1.0), at(0.0, 0.0)];
    let mut builder = NetworkBuilder::new(places[0]);
    let junctions = places.map(|place| builder.add_junction(place, true));
    let roads = [
        (0, 1, "北街", "North Street"),
        (1, 2, "北街", "North Street"),
        (0, 3, "南街", "South Street"),
        (3, 2, "东街", "East Street"),
    ];
    for (index, (from, to, name, name_en)) in roads.into_iter().enumerate() {
        builder
            .add_segment(SegmentDraft {
                from: junctions[from],
                to: junctions[to],
                shape: vec![places[from], places[to]],
                length_m: None,
                class: RoadClass::Primary,
                limit_mps: Some(60.0 / 3.6),
                lanes: Some(2),
                flags: SegmentFlags::default().with(SegmentFlags::BRIDGE, index == 1),
                layer: 0,
                source_id: format!("way \"{index}\""),
                source_dir: 1,
                source_pair: 0,
                name: Some(name.into()),
                name_en: Some(name_en.into()),
            })
            .expect("the roads are valid");
    }
    builder.connect_all(&mut |_, _| false);
    builder.build().expect("the network has segments")
}

pub(crate) fn state(network: &Network) -> StateBatch {
    let levels = [
        Level::Smooth,
        Level::Severe,
        Level::Moderate,
        Level::MostlySmooth,
    ];
    let segments = (0..network.segment_count())
        .map(|index| SegmentState {
            speed_mps: 12.345 - index as f32 * 3.0,
            sigma_mps: 1.25,
            free_flow_mps: 15.0,
            flow_vph: (index == 1).then_some(812.5),
            density_vpkm: (index == 1).then_some(61.0),
            queue_length_m: (index == 1).then_some(340.0),
            level: levels[index % levels.len()],
            provenance: Provenance::Observed,
            sample_count: 4 + index as u32,
            view_count: 1 + index as u8,
            doubt: if index == 2 {
                Doubt::Unproven
            } else {
                Doubt::None
            },
            age_s: (index != 3).then_some(0),
            ..SegmentState::default()
        })
        .collect();
    StateBatch {
        interval: Interval {
            start: Timestamp::from_secs(28_800),
            end: Timestamp::from_secs(28_860),
        },
        network: network.version(),
        segments,
    }
}

/// The rule of the default settings.
pub(crate) fn release() -> Release {
    Release::new(Privacy::default(), Zones::default())
}

/// What is derived of the minute of [`state`], with a corridor over segments 0 and 1.
pub(crate) fn performance(network: &Arc<Network>) -> PerformanceBatch {
    let segments = vec![SegmentId(0), SegmentId(1)];
    let corridor = Corridor::new(network, "north", "北街", segments).expect("they meet");
    let table = DetectorTable::default();
    let mut performance = Performance::new(network, Calendar::default(), vec![corridor], &table);
    let sums = BinSums::new(network.segment_count());
    let minute = PerformanceMinute {
        sums: &sums,
        stays: &[],
        readings: &[],
        table: &table,
    };
    performance.close_minute(network, &mut state(network), &minute)
}

/// The minute after the rule of the default settings.
pub(crate) fn released(batch: &StateBatch) -> Released<StateBatch> {
    release().states(batch)
}

/// The minute without any rule.
pub(crate) fn as_is(batch: &StateBatch) -> Released<StateBatch> {
    Release::new(Privacy { min_subjects: 0 }, Zones::default()).states(batch)
}

pub(crate) fn forecast(network: &Network) -> ForecastBatch {
    let quantiles = (0..network.segment_count() * STEP_COUNT)
        .map(|index| {
            let p50_mps = 1.234 + (index % STEP_COUNT) as f32;
            SpeedQuantiles::ordered(p50_mps * 0.8, p50_mps, p50_mps * 1.1, p50_mps)
        })
        .collect();
    ForecastBatch {
        issued_at: Timestamp::from_secs(28_860),
        first_step: Timestamp::from_secs(29_100),
        network: network.version(),
        model: Arc::from("general"),
        fallback: false,
        speakers: Vec::new(),
        quantiles,
        closures: Arc::default(),
        flows: Arc::default(),
    }
}

pub(crate) fn outlook(network: &Network) -> OutlookBatch {
    let quantiles = (0..network.segment_count() * HALF_HOUR_COUNT)
        .map(|index| {
            let p50_mps = 2.345 + (index % HALF_HOUR_COUNT) as f32;
            SpeedQuantiles::ordered(p50_mps * 0.7, p50_mps, p50_mps * 1.2, p50_mps)
        })
        .collect();
    OutlookBatch {
        closures: Arc::default(),
        issued_at: Timestamp::from_secs(28_800),
        start: Timestamp::from_secs(32_400),
        network: network.version(),
        quantiles,
    }
}

/// Scores of one forecaster after an hour, made up.
pub(crate) fn scores(network: &Network) -> ForecastScoresMessage {
    let figures = |minutes| ForecastFiguresEntry {
        minutes,
        cells: 812.5,
        congested_cells: 40.25,
        mae_mps: 0.9,
        rmse_mps: 1.4,
        mae_congested_mps: Some(1.8),
        pinball_mps: 0.3,
        coverage_90: 0.905,
        coverage_80: 0.81,
        coverage_90_congested: Some(0.87),
        coverage_80_congested: Some(0.74),
        width_90_mps: 4.2,
    };
    ForecastScoresMessage {
        network: network.version().to_string(),
        until_ms: 28_800_000,
        forecasters: vec![ForecasterScoresEntry {
            forecaster: ForecasterLabel::Published,
            all: figures(None),
            horizons: vec![figures(Some(5)), figures(Some(15))],
            onsets: OnsetEntry {
                onsets: 4.0,
                hits: 3.0,
                alarms: 5.0,
                false_alarms: 1.0,
                lead_min: Some(12.5),
            },
        }],
        voices: vec![VoiceEntry {
            ratio_below: None,
            forecaster: ForecasterLabel::Running,
        }],
        outlook: vec![OutlookScoresEntry {
            forecaster: OutlookForecasterLabel::Outlook,
            half_hours: vec![figures(Some(90)), figures(Some(120))],
        }],
        flow: vec![FlowScoresEntry {
            forecaster: ForecasterLabel::Published,
            horizons: vec![FlowFiguresEntry {
                minutes: 15,
                cells: 120.5,
                mae_vph: 84.2,
                rmse_vph: 121.0,
                coverage_80: 0.79,
            }],
        }],
        drift_card: Some(1.05),
        drift_long_run: None,
    }
}

fn guidance(network: &Network, id: u64, kind: GuidanceKind, because: Evidence) -> Guidance {
    Guidance {
        id,
        revision: 1,
        kind,
        valid_from: Timestamp::from_secs(28_860),
        valid_until: Timestamp::from_secs(29_160),
        withdrawn: false,
        horizon_s: 3_600,
        confidence: 0.9,
        reason: "queue on North Street".into(),
        reason_zh: "北街排队".into(),
        because: vec![because],
        supersedes: None,
        network: network.version(),
    }
}

pub(crate) fn jam(network: &Network) -> Guidance {
    let kind = GuidanceKind::Jam(JamWarning {
        segments: vec![SegmentId(1), SegmentId(0)],
        head: (SegmentId(1), 500.0),
        tail: (SegmentId(0), 2_000.0),
        level: Level::Severe,
        length_m: 2_300.0,
        speed_mps: 2.5,
        delay_s: 700.0,
        onset: Timestamp::from_secs(28_500),
        forecast_end: Some(Timestamp::from_secs(30_300)),
    });
    let because = Evidence::State {
        segment: SegmentId(1),
        at: Timestamp::from_secs(28_800),
        speed_mps: 2.4,
        free_flow_mps: 15.0,
        sample_count: 3,
    };
    guidance(network, 7, kind, because)
}

pub(crate) fn diversion(network: &Network) -> Guidance {
    let kind = GuidanceKind::Diversion(Diversion {
        jam: 7,
        decision: SegmentId(0),
        main: vec![SegmentId(0), SegmentId(1)],
        alternative: vec![SegmentId(2), SegmentId(3)],
        main_s: 1_400.0,
        alternative_s: 900.0,
        share: 0.4,
    });
    let because = Evidence::TravelTimes {
        main_s: 1_400.0,
        alternative_s: 900.0,
        probability: 0.93,
    };
    guidance(network, 8, kind, because)
}
