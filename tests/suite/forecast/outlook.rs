//! Outlooks, 60 to 180 minutes ahead, on hand-made minutes.

use roadcast::forecast::{
    ErrorTracker, HALF_HOUR_COUNT, History, OutlookBatch, OutlookSpeaker, OutlookTracker,
    SnapshotError, SpeedProfile, StepScores,
};
use roadcast::network::NetworkVersion;
use roadcast::state::{Provenance, SegmentState, StateBatch};
use roadcast::units::{Interval, SegmentId, Timestamp};

/// 12 m/s everywhere and always; free flow 20 m/s.
struct Steady;

impl SpeedProfile for Steady {
    fn speed_mps(&self, _segment: SegmentId, _at: Timestamp) -> f32 {
        12.0
    }

    fn free_flow_mps(&self, _segment: SegmentId) -> f32 {
        20.0
    }
}

/// The minute that begins at `start_s`; a segment without a speed was not measured.
fn minute(start_s: i64, network: u8, speeds_mps: &[Option<f32>]) -> StateBatch {
    let segments = speeds_mps.iter().map(|speed_mps| SegmentState {
        speed_mps: speed_mps.unwrap_or(12.0),
        sigma_mps: 1.0,
        free_flow_mps: 20.0,
        provenance: match speed_mps {
            Some(_) => Provenance::Observed,
            None => Provenance::Profile,
        },
        age_s: speed_mps.map(|_| 0),
        ..SegmentState::default()
    });
    StateBatch {
        interval: Interval {
            start: Timestamp::from_secs(start_s),
            end: Timestamp::from_secs(start_s + 60),
        },
        network: NetworkVersion([network; 32]),
        segments: segments.collect(),
    }
}

/// The memory that a running engine has of it.
#[derive(Default)]
struct Engine {
    history: History,
    errors: ErrorTracker,
    outlooks: OutlookTracker,
}

impl Engine {
    fn close(&mut self, batch: &StateBatch) -> Option<OutlookBatch> {
        self.history.push(batch);
        self.history.learn_levels(&Steady);
        self.outlooks.observe(&self.history);
        let calibration = self.errors.calibration();
        let request = self
            .history
            .forecast_request(&Steady, calibration)
            .expect("a minute was pushed");
        let outlook = self.outlooks.issue(&request, &Steady);
        for said in outlook.iter().flat_map(|outlook| &outlook.quantiles) {
            assert!(said.is_valid(), "{said:?}");
        }
        outlook
    }

    /// Closes the minutes `minutes` of `segments` segments and returns the last outlook.
    fn run(
        &mut self,
        minutes: std::ops::Range<i64>,
        segments: usize,
        speed_mps: impl Fn(i64, usize) -> Option<f32>,
    ) -> Option<OutlookBatch> {
        let mut newest = None;
        for index in minutes {
            let speeds: Vec<_> = (0..segments).map(|of| speed_mps(index, of)).collect();
            newest = self.close(&minute(index * 60, 7, &speeds)).or(newest);
        }
        newest
    }

    fn mae_mps(&self, speaker: OutlookSpeaker) -> [f64; HALF_HOUR_COUNT] {
        let scores = self.outlooks.scores(speaker).each_ref();
        scores.map(|scores| scores.plain.mae())
    }
}

/// A number in 0..1 that looks random (the finaliser of SplitMix64).
fn noise(of: u64) -> f32 {
    let mut bits = (of + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 40) as f32 / (1u64 << 24) as f32
}

#[test]
fn an_outlook_is_issued_on_five_minute_marks_and_begins_an_hour_later() {
    let mut engine = Engine::default();
    for index in 0..12 {
        let outlook = engine.close(&minute(index * 60, 7, &[Some(6.0); 3]));
        assert_eq!(outlook.is_some(), index % 5 == 4, "minute {index}");
        let Some(outlook) = outlook else { continue };
        let end_s = (index + 1) * 60;
        assert_eq!(outlook.issued_at, Timestamp::from_secs(end_s));
        assert_eq!(outlook.quantiles.len(), 3 * HALF_HOUR_COUNT);
        let last = outlook.interval(HALF_HOUR_COUNT - 1);
        assert_eq!(outlook.interval(0).start.as_secs(), end_s + 3_600);
        assert_eq!(last.end.as_secs(), end_s + 3 * 3_600);
        // Half as fast as usual: some of that is left, less with each half hour.
        let medians: Vec<f32> = outlook
            .half_hours(SegmentId(1))
            .iter()
            .map(|half| half.p50_mps)
            .collect();
        assert!(medians.is_sorted(), "{medians:?}");
        assert!(medians[0] > 6.5 && medians[3] < 12.0, "{medians:?}");
    }
}

#[test]
fn truth_is_the_mean_of_the_measured_steps() {
    let mut history = History::new();
    // Steps of 4, 8, none and 12 m/s; the first step of the second segment is measured twice, and 100 m
    // at 3 and 100 m at 6 m/s take 50 s.
    for index in 0..20 {
        let step = [Some(4.0), Some(8.0), None, Some(12.0)][index / 5];
        let second = match index {
            0 => Some(3.0),
            3 => Some(6.0),
            _ => None,
        };
        history.push(&minute(60 * index as i64, 7, &[step, second, None]));
    }
    let interval = |from_s, until_s| Interval {
        start: Timestamp::from_secs(from_s),
        end: Timestamp::from_secs(until_s),
    };
    let mean = |segment, interval| history.measured_mean_mps(SegmentId(segment), interval);
    assert_eq!(mean(0, interval(0, 1_200)), Some(8.0));
    assert_eq!(mean(0, interval(300, 900)), Some(8.0));
    assert_eq!(mean(0, interval(600, 900)), None);
    assert_eq!(mean(1, interval(0, 1_200)), Some(4.0));
    assert_eq!(mean(2, interval(0, 1_200)), None);
    assert_eq!(mean(9, interval(0, 1_200)), None);
}

#[test]
fn scores_are_those_of_half_hours_as_they_end() {
    let mut engine = Engine::default();
    // 12 m/s for two hours, 9 m/s from then on.
    let speed_mps = |index: i64, _| Some(if index < 120 { 12.0 } else { 9.0 });
    engine.run(0..105, 40, speed_mps);
    let none = StepScores::default();
    let first = |engine: &Engine| engine.outlooks.scores(OutlookSpeaker::LastValue)[0];
    // Kept on the quarter of an hour from minute 15 on: the first half hour ends with minute 105.
    assert!((first(&engine).plain.count() - 40.0).abs() < 1e-9);
    assert_eq!(engine.outlooks.scores(OutlookSpeaker::LastValue)[1], none);
    assert!(engine.mae_mps(OutlookSpeaker::LastValue)[0] < 1e-6);
    // Minutes 120 to 150 are the first that are slower: 3 m/s below what was said.
    let before = first(&engine).plain;
    engine.run(105..150, 40, speed_mps);
    let rows = [0.0, 1.5, 3.0].into_iter();
    let keep = 1.0 - 1.0 / 24.0;
    let (mut sum, mut count) = (0.0, before.count());
    for error_mps in rows {
        sum = keep * sum + 40.0 * error_mps;
        count = keep * count + 40.0;
    }
    assert!((first(&engine).plain.count() - count).abs() < 1e-9);
    for speaker in [OutlookSpeaker::LastValue, OutlookSpeaker::Profile] {
        let found = engine.mae_mps(speaker)[0];
        assert!((found - sum / count).abs() < 1e-5, "{found}");
    }
}

#[test]
fn it_learns_what_stays_of_a_deviation() {
    // Each segment keeps its own deviation: nothing fades, and the profile is never right.
    let mut engine = Engine::default();
    let speed_mps = |_, segment: usize| Some(6.0 + 0.2 * segment as f32);
    let outlook = engine.run(0..480, 40, speed_mps).unwrap();
    let medians = outlook.half_hours(SegmentId(3)).iter();
    for (half, said) in medians.enumerate() {
        assert!((said.p50_mps - 6.6).abs() < 0.3, "{half}: {said:?}");
    }
    let (learnt, fading) = (
        engine.mae_mps(OutlookSpeaker::Outlook),
        engine.mae_mps(OutlookSpeaker::ProfileResidual),
    );
    for (learnt, fading) in learnt.into_iter().zip(fading) {
        assert!(learnt < 0.5 * fading, "{learnt} {fading}");
    }
}

#[test]
fn intervals_come_to_hold_what_they_promise_and_jams_too() {
    // Half hours scatter around 15 m/s, one in twelve is a jam of 4 to 10 m/s.
    let speed_mps = |index: i64, segment: usize| {
        let at = (index.div_euclid(30) * 100 + segment as i64) as u64;
        let place = noise(2 * at);
        Some(if noise(2 * at + 1) < 1.0 / 12.0 {
            4.0 + 6.0 * place
        } else {
            13.0 + 4.0 * place
        })
    };
    let mut engine = Engine::default();
    engine.run(0..5 * 1_440, 60, speed_mps);
    for scores in engine.outlooks.scores(OutlookSpeaker::Outlook) {
        let (all, jams) = (scores.coverage_90(), scores.congested_coverage_90());
        assert!((0.87..0.94).contains(&all), "{all}");
        assert!(jams > Some(0.82), "{jams:?}");
    }
}

#[test]
fn a_restart_changes_nothing_and_broken_bytes_are_refused() {
    let speed_mps = |index: i64, segment: usize| {
        let at = (index * 50 + segment as i64) as u64;
        (noise(at) > 0.3).then(|| 8.0 + 8.0 * noise(at + 77))
    };
    let mut unbroken = Engine::default();
    // Between two marks, with outlooks waiting and half hours scored.
    unbroken.run(0..258, 50, speed_mps);
    let (mut history, mut outlooks) = (Vec::new(), Vec::new());
    unbroken.history.snapshot(&mut history);
    unbroken.outlooks.snapshot(&mut outlooks);
    let mut resumed = Engine {
        history: History::restore(&history).unwrap(),
        errors: ErrorTracker::new(),
        outlooks: OutlookTracker::restore(&outlooks).unwrap(),
    };
    assert!(resumed.outlooks == unbroken.outlooks);
    let expected = unbroken.run(258..600, 50, speed_mps);
    assert_eq!(resumed.run(258..600, 50, speed_mps), expected);
    assert!(resumed.outlooks == unbroken.outlooks);
    assert!(unbroken.mae_mps(OutlookSpeaker::Outlook)[3] > 0.0);

    let cut = &outlooks[..outlooks.len() - 1];
    assert!(matches!(
        OutlookTracker::restore(cut),
        Err(SnapshotError::Malformed { .. })
    ));
    outlooks[0] ^= 0xff;
    assert!(matches!(
        OutlookTracker::restore(&outlooks),
        Err(SnapshotError::Version { .. })
    ));
}

#[test]
fn what_was_said_of_another_network_is_not_scored() {
    let mut engine = Engine::default();
    engine.run(0..100, 4, |_, _| Some(9.0));
    for index in 100..160 {
        engine.close(&minute(index * 60, 8, &[Some(3.0); 4]));
    }
    let scores = engine.outlooks.scores(OutlookSpeaker::Profile);
    assert_eq!(scores[0], StepScores::default());
    // That of the new one is: the first was kept with minute 105, and ends with minute 195.
    for index in 160..195 {
        engine.close(&minute(index * 60, 8, &[Some(3.0); 4]));
    }
    let found = engine.mae_mps(OutlookSpeaker::Profile)[0];
    assert!((found - 9.0).abs() < 1e-5, "{found}");
}
