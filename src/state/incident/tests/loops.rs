//! Loops on a fast road that tell of five minutes at a time: what falls suddenly, and what is usual.

use super::*;

const FAST_MPS: f32 = 30.0;
const FREE_MPS: f32 = 28.0;
const JAM_MPS: f32 = 11.0;
const DAY: i64 = 1_440;

/// A street with a loop on each block. `speed_mps` says how fast a block is in a minute; readings
/// are of `every` minutes.
struct Loops {
    street: Street,
    every: i64,
}

impl Loops {
    fn new(every: i64) -> Self {
        let mut street = Street::new(FAST_MPS);
        for segment in [FIRST, MIDDLE, LAST] {
            let place = DetectorPlace {
                segment: SegmentId(segment),
                offset_m: 100.0,
                length_m: 0.0,
                lane: 0,
                kind: DetectorKind::Point,
            };
            street.detectors.insert(&format!("loop{segment}"), place);
        }
        Self { street, every }
    }

    fn run(&mut self, minutes: std::ops::Range<i64>, speed_mps: impl Fn(u32, i64) -> f32) {
        for minute in minutes {
            let mut readings = Vec::new();
            if (minute + 1) % self.every == 0 {
                readings.extend([FIRST, MIDDLE, LAST].map(|segment| DetectorReading {
                    start: Timestamp::from_secs((minute + 1 - self.every) * 60),
                    end: Timestamp::from_secs((minute + 1) * 60),
                    detector: format!("loop{segment}").as_str().into(),
                    vehicle_count: 30.0 * self.every as f32,
                    speed_mps: Some(speed_mps(segment, minute)),
                    occupancy: Some(0.1),
                    sampled_seconds: None,
                    queue_length_m: None,
                }));
            }
            self.street.close(minute, &[], &readings);
        }
    }

    /// What was confirmed after two days, by segment, with the minutes since then.
    fn confirmed(&self) -> Vec<(u32, i64)> {
        let changes = self.street.changes.iter();
        let late = changes.filter(|change| change.at > Timestamp::from_secs(2 * DAY * 60));
        late.filter(|change| change.state == IncidentState::Confirmed)
            .map(|change| (change.segment.0, change.at.as_secs() / 60 - 2 * DAY))
            .collect()
    }
}

/// Two days that are free but for what `usual_mps` says, and then an hour.
fn after_two_days(
    every: i64,
    usual_mps: fn(u32, i64) -> f32,
    then_mps: fn(u32, i64) -> f32,
) -> Loops {
    let mut loops = Loops::new(every);
    loops.run(0..2 * DAY, usual_mps);
    loops.run(2 * DAY..2 * DAY + 60, then_mps);
    loops
}

fn free(_: u32, _: i64) -> f32 {
    FREE_MPS
}

/// The middle block falls after twenty minutes.
fn falls(segment: u32, minute: i64) -> f32 {
    if segment == MIDDLE && minute >= 2 * DAY + 20 {
        JAM_MPS
    } else {
        FREE_MPS
    }
}

#[test]
fn a_fall_that_is_seldom_is_confirmed_within_two_bins_and_lasts() {
    for every in [1, 5] {
        let loops = after_two_days(every, free, falls);
        let confirmed = loops.confirmed();
        assert_eq!(confirmed.len(), 1, "{every}: {:?}", loops.street.changes);
        let (segment, minute) = confirmed[0];
        assert_eq!(segment, MIDDLE);
        assert!((25..=30).contains(&minute), "{every}: {minute}");
        let open = loops.street.room.active().next().expect("it lasts");
        assert_eq!(open.state, IncidentState::Confirmed);
        let is_drop = |evidence: &IncidentEvidence| {
            matches!(evidence, IncidentEvidence::SpeedDrop { before_ratio, ratio, .. }
                if *before_ratio > 0.8 && *ratio < 0.5)
        };
        let told = &loops.street.changes;
        assert!(
            told.iter()
                .any(|change| change.evidence.iter().any(is_drop))
        );
        assert_eq!(told[0].kind, IncidentKind::SuddenJam);
    }
}

#[test]
fn what_reaches_a_station_from_ahead_is_no_head() {
    let loops = after_two_days(5, free, |segment, minute| {
        let reached = 2 * DAY + 20 + if segment == MIDDLE { 10 } else { 0 };
        if segment != FIRST && minute >= reached {
            JAM_MPS
        } else {
            FREE_MPS
        }
    });
    let segments: Vec<u32> = loops.confirmed().iter().map(|told| told.0).collect();
    assert_eq!(segments, [LAST]);
}

#[test]
fn a_jam_of_every_day_is_none() {
    let jam = |segment, minute: i64| {
        let in_day = minute % DAY;
        let is_jam = segment == MIDDLE && (20..80).contains(&in_day);
        if is_jam { JAM_MPS } else { FREE_MPS }
    };
    let mut loops = Loops::new(5);
    loops.run(0..5 * DAY, jam);
    let before = loops.street.changes.len();
    loops.run(5 * DAY..5 * DAY + 120, jam);
    assert_eq!(loops.street.changes[before..], []);
    // The same jam at another time of day is one.
    loops.run(5 * DAY + 120..5 * DAY + 720, free);
    loops.run(5 * DAY + 720..5 * DAY + 740, |segment, _| {
        if segment == MIDDLE { JAM_MPS } else { FREE_MPS }
    });
    let told = loops.street.changes[before..].last().expect("it is seen");
    assert_eq!(
        (told.segment, told.state),
        (SegmentId(MIDDLE), IncidentState::Confirmed)
    );
}

#[test]
fn a_station_that_is_hardly_known_tells_nothing() {
    let mut loops = Loops::new(5);
    loops.run(0..6 * 60, free);
    loops.run(6 * 60..7 * 60, |segment, _| {
        if segment == MIDDLE { 15.0 } else { FREE_MPS }
    });
    assert_eq!(loops.street.changes, []);
}

#[test]
fn a_restart_between_bins_changes_nothing() {
    let plain = after_two_days(1, free, falls).street.changes;
    for at in [2 * DAY + 18, 2 * DAY + 23, 2 * DAY + 25, 2 * DAY + 31] {
        let mut loops = Loops::new(1);
        loops.run(0..2 * DAY, free);
        loops.run(2 * DAY..at, falls);
        loops.street.restart();
        loops.run(at..2 * DAY + 60, falls);
        assert_eq!(loops.street.changes, plain, "restart at {at}");
    }
}

#[test]
fn minutes_that_never_come_leave_bins_unknown() {
    let mut loops = Loops::new(5);
    loops.run(0..2 * DAY + 20, free);
    loops.run(2 * DAY + 63..2 * DAY + 90, falls);
    // Nothing is known of the quarter of an hour before: the first bin is no fall.
    assert_eq!(loops.confirmed(), []);
}

#[test]
fn what_is_always_slow_ahead_explains_no_fall() {
    let slow_ahead = |segment, _| if segment == LAST { JAM_MPS } else { FREE_MPS };
    let loops = after_two_days(5, slow_ahead, |segment, minute| {
        if segment == LAST {
            JAM_MPS
        } else {
            falls(segment, minute)
        }
    });
    let segments: Vec<u32> = loops.confirmed().iter().map(|told| told.0).collect();
    assert_eq!(segments, [MIDDLE]);
}

#[test]
fn what_falls_ahead_of_an_incident_is_another_one() {
    let loops = after_two_days(5, free, |segment, minute| {
        let fallen_at = 2 * DAY + if segment == FIRST { 10 } else { 30 };
        if segment != LAST && minute >= fallen_at {
            JAM_MPS
        } else {
            FREE_MPS
        }
    });
    let segments: Vec<u32> = loops.confirmed().iter().map(|told| told.0).collect();
    assert_eq!(segments, [FIRST, MIDDLE]);
}

#[test]
fn what_falls_where_it_is_free_ahead_is_no_queue_of_an_incident_that_is_over() {
    let loops = after_two_days(5, free, |segment, minute| {
        let minute = minute - 2 * DAY;
        let is_slow = match segment {
            LAST => (10..30).contains(&minute),
            MIDDLE => (20..30).contains(&minute) || minute >= 40,
            _ => false,
        };
        if is_slow { JAM_MPS } else { FREE_MPS }
    });
    assert_eq!(loops.confirmed(), [(LAST, 15), (MIDDLE, 45)]);
}

#[test]
fn the_greater_fall_is_the_head() {
    let loops = after_two_days(5, free, |segment, minute| match segment {
        LAST if minute >= 2 * DAY + 10 => 16.5,
        MIDDLE if minute >= 2 * DAY + 40 => JAM_MPS,
        _ => FREE_MPS,
    });
    assert_eq!(loops.confirmed(), [(LAST, 15), (MIDDLE, 45)]);
}

#[test]
fn what_is_never_so_slow_may_fall_from_less() {
    let usual = |segment, _| if segment == MIDDLE { 21.6 } else { FREE_MPS };
    let falls = |segment, minute| match segment {
        MIDDLE if minute >= 2 * DAY + 20 => JAM_MPS,
        MIDDLE => 21.6,
        _ => FREE_MPS,
    };
    let loops = after_two_days(5, usual, falls);
    assert_eq!(loops.confirmed(), [(MIDDLE, 25)]);
}
