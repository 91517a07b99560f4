//! History, baselines and the error tracker on hand-made minutes.

use std::sync::Arc;

use roadcast::forecast::{
    Calibration, ErrorTracker, ForecastBatch, Forecaster, History, LAG_COUNT, LastValue, Profile,
    ProfileResidual, STEP_COUNT, SnapshotError, Speaker, SpeedProfile, SpeedQuantiles,
};
use roadcast::network::NetworkVersion;
use roadcast::state::{Provenance, SegmentState, StateBatch};
use roadcast::units::{Interval, SegmentId, Timestamp};

/// 10 m/s in even, 12 m/s in odd five-minute steps; free flow 20 m/s.
struct Zigzag;

impl SpeedProfile for Zigzag {
    fn speed_mps(&self, _segment: SegmentId, at: Timestamp) -> f32 {
        if at.as_secs().div_euclid(300) % 2 == 0 {
            10.0
        } else {
            12.0
        }
    }

    fn free_flow_mps(&self, _segment: SegmentId) -> f32 {
        20.0
    }
}

/// The minute that begins at `start_s`, with one (speed m/s, provenance) a segment.
fn minute(start_s: i64, segments: &[(f32, Provenance)]) -> StateBatch {
    StateBatch {
        interval: Interval {
            start: Timestamp::from_secs(start_s),
            end: Timestamp::from_secs(start_s + 60),
        },
        network: NetworkVersion([7; 32]),
        segments: segments
            .iter()
            .map(|&(speed_mps, provenance)| SegmentState {
                speed_mps,
                sigma_mps: 1.0,
                free_flow_mps: 20.0,
                provenance,
                age_s: (provenance == Provenance::Observed).then_some(0),
                ..SegmentState::default()
            })
            .collect(),
    }
}

fn close(left: f32, right: f32) -> bool {
    (left - right).abs() < 1e-5
}

#[test]
fn five_minute_means_are_aligned_weighted_and_masked() {
    let mut history = History::new();
    // Minutes 3 to 10 of the first ten: the first step is known in part only.
    for (index, speed_mps) in [4.0, 6.0, 8.0, 8.0, 8.0, 8.0, 14.0].into_iter().enumerate() {
        let provenance = if index == 0 {
            Provenance::Estimated
        } else {
            Provenance::Observed
        };
        history.push(&minute(
            180 + 60 * index as i64,
            &[(speed_mps, provenance), (10.0, Provenance::Profile)],
        ));
    }
    let request = history
        .forecast_request(&Zigzag, Arc::new(Calibration::default()))
        .unwrap();
    assert_eq!(request.issued_at, Timestamp::from_secs(600));
    assert_eq!(request.first_step, Timestamp::from_secs(600));
    assert!(close(
        request.history_mps[0],
        5.0 / (4.0 / 8.0 + 1.0 / 14.0)
    ));
    assert!(close(request.history_share[0], 1.0));
    assert!(close(request.history_mps[1], 1.5 / (0.5 / 4.0 + 1.0 / 6.0)));
    assert!(close(request.history_share[1], 0.3));
    assert!(
        request.history_share[2..]
            .iter()
            .all(|&share| close(share, 0.0))
    );
    // Of the last minute's 14 m/s, which is sure to 1 m/s, and the last five minutes.
    let unsure = (1.0_f32 / (0.08 * 20.0)).powi(2);
    let now_mps = (14.0 + unsure * request.history_mps[0]) / (1.0 + unsure);
    assert!(close(request.now_mps[0], now_mps), "{:?}", request.now_mps);
    assert_eq!(request.age_min, [0, u8::MAX]);
    assert!(close(request.past_profile_mps[0], 12.0));
    assert!(close(request.profile(SegmentId(0))[0], 10.0));
    assert!(close(request.profile(SegmentId(0))[1], 12.0));
}

#[test]
fn between_the_marks_the_first_step_lies_ahead() {
    let mut history = History::new();
    for start_s in [300, 360] {
        history.push(&minute(start_s, &[(9.0, Provenance::Observed)]));
    }
    let request = history
        .forecast_request(&Zigzag, Arc::new(Calibration::default()))
        .unwrap();
    assert_eq!(request.issued_at, Timestamp::from_secs(420));
    assert_eq!(request.first_step, Timestamp::from_secs(600));
    assert!(close(request.history_mps[0], 9.0));
    assert!(close(request.history_share[0], 0.4));
}

#[test]
fn a_gap_leaves_its_steps_masked_and_old_minutes_are_ignored() {
    let mut history = History::new();
    history.push(&minute(0, &[(5.0, Provenance::Observed)]));
    history.push(&minute(1_740, &[(7.0, Provenance::Observed)]));
    history.push(&minute(1_200, &[(1.0, Provenance::Observed)]));
    let request = history
        .forecast_request(&Zigzag, Arc::new(Calibration::default()))
        .unwrap();
    let known: Vec<usize> = (0..LAG_COUNT)
        .filter(|&lag| request.history_share[lag] > 0.0)
        .collect();
    assert_eq!(known, [0, 5]);
    assert!(close(request.now_mps[0], 7.0));
}

#[test]
fn baselines_are_exact_by_hand() {
    let mut history = History::new();
    for start_s in (300..600).step_by(60) {
        history.push(&minute(start_s, &[(8.0, Provenance::Observed)]));
    }
    let request = history
        .forecast_request(&Zigzag, Arc::new(Calibration::default()))
        .unwrap();
    let medians = |batch: ForecastBatch| -> Vec<f32> {
        batch
            .steps(SegmentId(0))
            .iter()
            .map(|step| step.p50_mps)
            .collect()
    };
    assert!(
        medians(LastValue.forecast(&request))
            .iter()
            .all(|&mps| close(mps, 8.0))
    );
    assert!(close(medians(Profile.forecast(&request))[3], 12.0));
    let fading = medians(ProfileResidual.forecast(&request));
    // The step of the last minute has profile 12, so the deviation is -4; that of the quarter of an
    // hour is one known step beside the weight 0.3 of none. 0.9 of both is left a step later.
    let deviation = 0.3 * -4.0 + 0.7 * -4.0 / 1.3;
    assert!(close(fading[0], 10.0 + 0.9 * deviation));
    assert!(close(fading[1], 12.0 + 0.81 * deviation));
    assert_eq!(
        ProfileResidual.forecast(&request).model.as_ref(),
        "profile-residual"
    );
}

#[test]
fn quantiles_are_ordered_whatever_is_put_in() {
    for numbers in [
        [f32::NAN, f32::NAN, f32::NAN],
        [f32::INFINITY, -3.0, f32::NEG_INFINITY],
        [5.0, 4.0, 3.0],
        [-1.0, 0.0, f32::NAN],
    ] {
        let quantiles = SpeedQuantiles::ordered(numbers[0], numbers[1], numbers[2], f32::NAN);
        assert!(quantiles.is_valid(), "{numbers:?} gave {quantiles:?}");
    }
}

/// Runs the loop of the engine over `minutes` and returns its memory.
fn run(minutes: i64, speed_mps: impl Fn(i64, usize) -> f32) -> (History, ErrorTracker) {
    let (mut history, mut tracker) = (History::new(), ErrorTracker::new());
    for index in 0..minutes {
        let segments: Vec<_> = (0..40)
            .map(|segment| (speed_mps(index * 60, segment), Provenance::Observed))
            .collect();
        history.push(&minute(index * 60, &segments));
        tracker.observe(&history);
        let request = history
            .forecast_request(&Zigzag, tracker.calibration())
            .expect("a minute was pushed");
        let spoken = tracker.settle(&request, LastValue.forecast(&request));
        assert!(spoken.quantiles.iter().all(SpeedQuantiles::is_valid));
    }
    (history, tracker)
}

#[test]
fn scores_decay_and_spread_are_learnt_from_truth() {
    // Truth always is the profile: deviations vanish at once, the profile is exact.
    let (_, tracker) = run(240, |start_s, _| {
        Zigzag.speed_mps(SegmentId(0), Timestamp::from_secs(start_s))
    });
    let mae = |speaker, step| tracker.rolling_mae_mps(speaker, step).unwrap();
    assert!(mae(Speaker::Profile, 0) < 1e-6);
    assert!((mae(Speaker::LastValue, 0) - 2.0).abs() < 1e-6);
    assert!((mae(Speaker::Running, 1) - 0.0).abs() < 1e-6);
    let (below, above) = tracker
        .calibration()
        .reach(roadcast::forecast::Baseline::Profile, 0, 0.5);
    let (default_below, _) =
        Calibration::default().reach(roadcast::forecast::Baseline::Profile, 0, 0.5);
    assert!(below < 0.3 * default_below && above < 0.3 * default_below);
}

#[test]
fn the_decay_follows_the_data() {
    // Each segment keeps its own constant deviation: nothing fades.
    let (_, tracker) = run(300, |start_s, segment| {
        Zigzag.speed_mps(SegmentId(0), Timestamp::from_secs(start_s)) + segment as f32 * 0.2
    });
    let left = tracker.calibration().left(11, 0.9, [0.2, 0.2]);
    assert!(left > 0.95 * 0.2, "{left}");
}

#[test]
fn a_model_that_loses_for_long_falls_silent() {
    // The last value is wrong by 2 m/s on odd steps, the profile always by 1, and by the same.
    let slower = |start_s, _| Zigzag.speed_mps(SegmentId(0), Timestamp::from_secs(start_s)) - 1.0;
    let (history, mut tracker) = run(240, slower);
    assert!(tracker.voices().contains(&Speaker::ProfileResidual));
    let request = history
        .forecast_request(&Zigzag, tracker.calibration())
        .unwrap();
    let spoken = tracker.settle(&request, LastValue.forecast(&request));
    assert!(spoken.fallback);
    assert_eq!(spoken.model.as_ref(), "profile-residual");
    assert_eq!(spoken.speaker(SegmentId(3)), Speaker::ProfileResidual);
    let (_, young) = run(20, slower);
    assert!(!young.voices().contains(&Speaker::ProfileResidual));
}

#[test]
fn a_baseline_speaks_only_where_the_model_loses() {
    // Half of the segments crawl and repeat the profile's zigzag, which the last value misses; half
    // are as fast as ever, which it hits exactly.
    let speed_mps = |start_s: i64, segment: usize| match segment % 2 {
        0 => Zigzag.speed_mps(SegmentId(0), Timestamp::from_secs(start_s)) - 8.0,
        _ => 20.0,
    };
    let (history, mut tracker) = run(300, speed_mps);
    let request = history
        .forecast_request(&Zigzag, tracker.calibration())
        .unwrap();
    let spoken = tracker.settle(&request, LastValue.forecast(&request));
    assert_eq!(spoken.speaker(SegmentId(0)), Speaker::ProfileResidual);
    assert_eq!(spoken.spoken_by(SegmentId(0)), "profile-residual");
    assert_eq!(spoken.speaker(SegmentId(1)), Speaker::Running);
    assert!(!spoken.fallback, "the model speaks for half of them");
    assert_eq!(spoken.spoken_by(SegmentId(1)), "last-value");
    // What was published is scored as what it was: better than the model alone.
    let mae = |speaker| tracker.rolling_mae_mps(speaker, 0).unwrap();
    assert!(mae(Speaker::Published) < mae(Speaker::Running));
}

#[test]
fn a_late_model_is_not_taken_for_the_baseline_that_answers() {
    let (mut history, mut tracker) = (History::new(), ErrorTracker::new());
    for index in 0..120 {
        history.push(&minute(index * 60, &[(9.0, Provenance::Observed); 40]));
        tracker.observe(&history);
        let request = history
            .forecast_request(&Zigzag, tracker.calibration())
            .unwrap();
        let late = ForecastBatch {
            fallback: true,
            ..ProfileResidual.forecast(&request)
        };
        let spoken = tracker.settle(&request, late);
        assert!(spoken.fallback);
        assert_eq!(spoken.speaker(SegmentId(7)), Speaker::ProfileResidual);
    }
    assert_eq!(tracker.rolling_mae_mps(Speaker::Running, 0), None);
    assert!(tracker.rolling_mae_mps(Speaker::Published, 0).is_some());
    assert_eq!(tracker.drift(), Default::default());
}

/// What a model says whose medians are right and whose intervals are too narrow.
fn narrow(request: &roadcast::forecast::ForecastRequest) -> ForecastBatch {
    let quantiles = request.now_mps.iter().flat_map(|_| {
        let step = SpeedQuantiles::ordered(9.0, 10.0, 11.0, 10.0);
        [step; STEP_COUNT]
    });
    request.answer("narrow".into(), quantiles.collect())
}

/// A number in 0..1 that looks random (the finaliser of SplitMix64).
fn noise(of: u64) -> f32 {
    let mut bits = (of + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 40) as f32 / (1u64 << 24) as f32
}

#[test]
fn published_intervals_come_to_hold_what_they_promise() {
    let (mut history, mut tracker) = (History::new(), ErrorTracker::new());
    for index in 0..60 * 48 {
        // Between 6 and 14 m/s, another value each segment and five minutes.
        let speed_mps = |segment: i64| 6.0 + 8.0 * noise((index / 5 * 60 + segment) as u64);
        let segments: Vec<_> = (0..60)
            .map(|segment| (speed_mps(segment), Provenance::Observed))
            .collect();
        history.push(&minute(index * 60, &segments));
        tracker.observe(&history);
        let request = history
            .forecast_request(&Zigzag, tracker.calibration())
            .unwrap();
        tracker.settle(&request, narrow(&request));
        tracker.take_shadow(&narrow(&request));
    }
    for speaker in [Speaker::Running, Speaker::Shadow, Speaker::Published] {
        for step in tracker.scores(speaker) {
            let (wide, near) = (step.coverage_90(), step.coverage_80());
            assert!((0.87..0.94).contains(&wide), "{speaker:?} {wide}");
            assert!((0.76..0.86).contains(&near), "{speaker:?} {near}");
        }
    }
}

#[test]
fn a_stale_shadow_is_not_scored() {
    let (mut history, mut tracker) = (History::new(), ErrorTracker::new());
    let mut answers = Vec::new();
    for index in 0..60 {
        history.push(&minute(index * 60, &[(9.0, Provenance::Observed)]));
        tracker.observe(&history);
        let request = history
            .forecast_request(&Zigzag, tracker.calibration())
            .unwrap();
        tracker.settle(&request, LastValue.forecast(&request));
        answers.push(narrow(&request));
        if let Some(early) = answers.len().checked_sub(7) {
            tracker.take_shadow(&answers[early]);
        }
    }
    assert_eq!(tracker.rolling_mae_mps(Speaker::Shadow, 0), None);
}

#[test]
fn an_onset_that_was_announced_counts_as_hit_with_its_lead() {
    let (mut history, mut tracker) = (History::new(), ErrorTracker::new());
    // 18 of 20 m/s for an hour and 40 minutes, then 4 m/s; known from the beginning.
    let speed_mps = |start_s: i64| if start_s < 6_000 { 18.0 } else { 4.0 };
    for index in 0..200 {
        let start_s = index * 60;
        history.push(&minute(
            start_s,
            &[(speed_mps(start_s), Provenance::Observed)],
        ));
        tracker.observe(&history);
        let request = history
            .forecast_request(&Zigzag, tracker.calibration())
            .unwrap();
        let first_s = request.first_step.as_secs();
        let steps = (0..STEP_COUNT as i64).map(|step| {
            let median = speed_mps(first_s + 300 * step);
            SpeedQuantiles::ordered(median - 1.0, median, median + 1.0, median)
        });
        tracker.settle(&request, request.answer("seer".into(), steps.collect()));
    }
    let onsets = tracker.onsets(Speaker::Running);
    assert!(onsets.hits > 0.5 && onsets.hit_rate() == Some(1.0));
    // Announced as soon as three of the twelve steps lie behind it.
    assert!((onsets.lead_min().unwrap() - 50.0).abs() < 1e-6);
    assert_eq!(onsets.false_alarm_rate(), Some(0.0));
    assert_eq!(tracker.onsets(Speaker::LastValue).hit_rate(), Some(0.0));
}

#[test]
fn memory_survives_a_restart() {
    let (history, tracker) = run(77, |start_s, segment| {
        5.0 + (start_s % 700) as f32 / 100.0 + segment as f32
    });
    let (mut history_bytes, mut tracker_bytes) = (Vec::new(), Vec::new());
    history.snapshot(&mut history_bytes);
    tracker.snapshot(&mut tracker_bytes);
    assert_eq!(History::restore(&history_bytes), Ok(history));
    assert_eq!(ErrorTracker::restore(&tracker_bytes), Ok(tracker));
    assert!(matches!(
        History::restore(&history_bytes[..history_bytes.len() - 1]),
        Err(SnapshotError::Malformed { .. })
    ));
    history_bytes[0] = 9;
    assert!(matches!(
        History::restore(&history_bytes),
        Err(SnapshotError::Version {
            found: 9,
            wanted: 3
        })
    ));
    assert_eq!(STEP_COUNT, 12);
}
