//! SPAT messages as readings of signals.

use std::sync::Arc;

use crate::observation::{Light, RejectReason, SignalReading};
use crate::units::Timestamp;
use crate::wire::asn1::csae::{IntersectionState, PhaseState, Spat, TimeChangeDetails};

use super::calendar::{nearest_minute, resolve_second_mark};
use super::map::node_name;

type Record<T> = Result<T, RejectReason>;

/// One step of a time mark in seconds; 36001 is not known.
const TIME_MARK_STEP_S: f32 = 0.1;
const TIME_MARK_UNKNOWN: u16 = 36_001;

/// Steps and milliseconds of an hour, in which points of time count.
const HOUR_STEPS: i64 = 36_000;
const HOUR_MS: i64 = 3_600_000;
const STEP_MS: i64 = 100;

/// The states of every phase of a message received at `near`, in its order; an intersection whose
/// time is out of range is refused whole.
pub(super) fn signals(
    message: &Spat,
    near: Timestamp,
) -> impl Iterator<Item = Record<SignalReading>> + '_ {
    message.intersections.iter().flat_map(move |intersection| {
        let junction = node_name(&intersection.intersection_id);
        let (states, refused) = match observed_at(message, intersection, near) {
            Ok(at) => (Some(states(intersection, junction, at)), None),
            Err(reason) => (None, Some(Err(reason))),
        };
        states.into_iter().flatten().map(Ok).chain(refused)
    })
}

/// When the states were so: by the intersection's own minute and milliseconds, else the message's,
/// else the time of receipt.
fn observed_at(
    message: &Spat,
    intersection: &IntersectionState,
    near: Timestamp,
) -> Record<Timestamp> {
    let minute = intersection.moy.or(message.moy);
    let minute = minute.and_then(|count| nearest_minute(count, near));
    let mark = intersection.time_stamp.or(message.time_stamp);
    match (minute, mark) {
        (_, Some(61_000..=65_534)) => Err(RejectReason::OutOfRange),
        (Some(minute), Some(mark @ 0..61_000)) => Ok(minute.plus_millis(i64::from(mark))),
        (None, Some(mark @ 0..61_000)) => resolve_second_mark(mark, near),
        (Some(minute), _) => Ok(super::calendar::within_minute(minute, near)),
        (None, _) => Ok(near),
    }
}

fn states(
    intersection: &IntersectionState,
    junction: Arc<str>,
    observed_at: Timestamp,
) -> impl Iterator<Item = SignalReading> + '_ {
    intersection.phases.iter().flat_map(move |phase| {
        let junction = junction.clone();
        phase.phase_states.iter().map(move |state| {
            let (begins_in_s, ends_in_s) = times(state, observed_at);
            SignalReading {
                observed_at,
                junction: junction.clone(),
                phase: u32::from(phase.id),
                light: Light::from_code(state.light as u64).unwrap_or(Light::Unknown),
                begins_in_s,
                ends_in_s,
            }
        })
    })
}

/// Seconds from `at` until a state begins and until it probably ends; what has begun begins in 0 s.
fn times(state: &PhaseState, at: Timestamp) -> (Option<f32>, Option<f32>) {
    match &state.timing {
        None => (None, None),
        Some(TimeChangeDetails::Counting(counting)) => (
            seconds(counting.start_time),
            seconds(counting.likely_end_time),
        ),
        Some(TimeChangeDetails::UtcTiming(timing)) => {
            let now_steps = at.as_millis().rem_euclid(HOUR_MS) / STEP_MS;
            let start = known(timing.start_utc_time).map(|mark| nearest_steps(mark, now_steps));
            let end = known(timing.likely_end_utc_time).map(|mark| {
                // It ends after it begins.
                let from = start.unwrap_or(-HOUR_STEPS / 2);
                from + (mark - now_steps - from).rem_euclid(HOUR_STEPS)
            });
            let ahead = |steps: i64| steps.max(0) as f32 * TIME_MARK_STEP_S;
            (start.map(ahead), end.map(ahead))
        }
    }
}

fn known(mark: u16) -> Option<i64> {
    (mark != TIME_MARK_UNKNOWN).then_some(i64::from(mark))
}

fn seconds(mark: u16) -> Option<f32> {
    known(mark).map(|steps| steps as f32 * TIME_MARK_STEP_S)
}

/// Steps from `now_steps` to `mark`, both in the hour, by the shorter way round it.
fn nearest_steps(mark: i64, now_steps: i64) -> i64 {
    (mark - now_steps + HOUR_STEPS / 2).rem_euclid(HOUR_STEPS) - HOUR_STEPS / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::asn1::csae::{LightState, UtcTiming};

    #[test]
    fn points_of_time_count_over_the_full_hour() {
        let check = |now_s, start, end, expected| {
            let timing = UtcTiming {
                start_utc_time: start,
                min_end_utc_time: None,
                max_end_utc_time: None,
                likely_end_utc_time: end,
                time_confidence: None,
                next_start_utc_time: None,
                next_end_utc_time: None,
            };
            let state = PhaseState {
                light: LightState::Red,
                timing: Some(TimeChangeDetails::UtcTiming(timing)),
            };
            let found = times(&state, Timestamp::from_secs(now_s));
            assert_eq!(found, expected, "{now_s} {start} {end}");
        };
        // 10:00:00, since 20 s, for 15 s more.
        check(36_000, 35_800, 150, (Some(0.0), Some(15.0)));
        // 10:59:50, from 11:00:05 to 11:00:30.
        check(39_590, 50, 300, (Some(15.0), Some(40.0)));
        check(36_000, TIME_MARK_UNKNOWN, 150, (None, Some(15.0)));
        check(36_000, 0, TIME_MARK_UNKNOWN, (Some(0.0), None));
        // What should have ended 2 s ago ends now.
        check(36_000, 35_800, 35_980, (Some(0.0), Some(0.0)));
    }
}
