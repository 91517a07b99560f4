//! The two clocks of the message set: milliseconds in the minute and minutes in the year.

use crate::observation::RejectReason;
use crate::units::{Timestamp, civil_date, day_number};

/// Milliseconds of a minute and a day.
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// Largest millisecond of a minute with a leap second (SAE J2735, DE_DSecond).
const SECOND_MARK_MAX: u16 = 60_999;

/// `secMark` when the sender does not know the time.
const SECOND_MARK_UNKNOWN: u16 = 65_535;

/// The time `second_mark` milliseconds into the minute that brings it nearest to `received_at`.
///
/// # Errors
///
/// `missing_field` for 65535 (unknown), `out_of_range` for other values above 60999.
pub fn resolve_second_mark(
    second_mark: u16,
    received_at: Timestamp,
) -> Result<Timestamp, RejectReason> {
    match second_mark {
        SECOND_MARK_UNKNOWN => return Err(RejectReason::MissingField),
        mark if mark > SECOND_MARK_MAX => return Err(RejectReason::OutOfRange),
        _ => {}
    }
    let in_this_minute = received_at
        .floor_to(MINUTE_MS)
        .plus_millis(i64::from(second_mark));
    let ahead_ms = in_this_minute.millis_since(received_at);
    Ok(if ahead_ms > MINUTE_MS / 2 {
        in_this_minute.plus_millis(-MINUTE_MS)
    } else if ahead_ms < -MINUTE_MS / 2 {
        in_this_minute.plus_millis(MINUTE_MS)
    } else {
        in_this_minute
    })
}

/// `secMark` at `at`.
pub(super) fn second_mark(at: Timestamp) -> u16 {
    at.as_millis().rem_euclid(MINUTE_MS) as u16
}

/// The minute of the year (UTC) that `at` lies in, `0..=527039`.
pub fn minute_of_the_year(at: Timestamp) -> u32 {
    let day = at.as_millis().div_euclid(DAY_MS);
    let minute = at.as_millis().rem_euclid(DAY_MS) / MINUTE_MS;
    ((day - first_day_of_year_with(day)) * 1440 + minute) as u32
}

/// The value of a minute of the year that says that it is not known.
const MINUTE_OF_THE_YEAR_UNKNOWN: u32 = 527_040;

/// How long ahead an event is announced at most, and how long it is told after its end, ms: 31 days
/// (chosen). It tells a start that lies months back from one in the next year.
const ANNOUNCED_MS: i64 = 31 * DAY_MS;

/// The starts of minute `count` in the year of `near`, the one before and the one after (UTC); a
/// count beyond a year's end runs into the next. `None` from 527040 on: not known.
fn occurrences(count: u32, near: Timestamp) -> Option<[Timestamp; 3]> {
    if count >= MINUTE_OF_THE_YEAR_UNKNOWN {
        return None;
    }
    let year = first_day_of_year_with(near.as_millis().div_euclid(DAY_MS));
    // 366 days later it is the first or the second of January.
    let first_days = [year - 1, year, year + 366].map(first_day_of_year_with);
    Some(first_days.map(|day| Timestamp::from_millis(day * DAY_MS + i64::from(count) * MINUTE_MS)))
}

/// The start of minute `count` of the UTC year, in the year that brings it nearest to `near`;
/// `None` from 527040 on: not known.
pub(in crate::wire) fn nearest_minute(count: u32, near: Timestamp) -> Option<Timestamp> {
    occurrences(count, near)?
        .into_iter()
        .min_by_key(|at| at.millis_since(near).abs())
}

/// When a message was sent that states minute `count` of the year and was received at `near`: the
/// nearest time within that minute. `near` itself where the minute is not known.
pub(in crate::wire) fn sent_in_minute(count: Option<u32>, near: Timestamp) -> Timestamp {
    let minute = count.and_then(|count| nearest_minute(count, near));
    minute.map_or(near, |minute| within_minute(minute, near))
}

/// The time in the minute that begins at `minute` that is nearest to `near`.
pub(in crate::wire) fn within_minute(minute: Timestamp, near: Timestamp) -> Timestamp {
    near.clamp(minute, minute.plus_millis(MINUTE_MS - 1))
}

/// From when and until when something holds that is told at `near`, by minutes of the UTC year: it
/// began at the last such minute that is not more than 31 days ahead, and ends at the first one from
/// then on.
pub(in crate::wire) fn validity(
    start: Option<u32>,
    end: Option<u32>,
    near: Timestamp,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let latest_start = near.plus_millis(ANNOUNCED_MS);
    let start = start
        .and_then(|count| occurrences(count, near))
        .and_then(|found| found.into_iter().rev().find(|at| *at <= latest_start));
    let earliest_end = start.unwrap_or(near.plus_millis(-ANNOUNCED_MS));
    let end = end
        .and_then(|count| occurrences(count, earliest_end))
        .and_then(|found| found.into_iter().find(|at| *at >= earliest_end));
    (start, end)
}

/// The days since 1970-01-01 of the first of January before or at `day`.
fn first_day_of_year_with(day: i64) -> i64 {
    let [year, ..] = civil_date(day);
    // Years before 1970 have no day number: nothing is received in them.
    day_number([year, 1, 1]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_marks_resolve_to_the_nearest_minute() {
        let at = |ms| Timestamp::from_millis(ms);
        let check = |mark, received, expected: i64| {
            assert_eq!(resolve_second_mark(mark, at(received)), Ok(at(expected)));
        };
        check(100, 60_150, 60_100);
        check(59_900, 60_150, 59_900);
        check(100, 119_950, 120_100);
        check(60_000, 60_010, 60_000);
        check(30_000, 60_000, 90_000);
        assert_eq!(
            resolve_second_mark(65_535, at(0)),
            Err(RejectReason::MissingField)
        );
        assert_eq!(
            resolve_second_mark(61_000, at(0)),
            Err(RejectReason::OutOfRange)
        );
    }

    #[test]
    fn minutes_of_the_year_resolve_over_its_end() {
        let secs = Timestamp::from_secs;
        // 2025-12-31T23:59:30Z and 2026-01-01T00:00:30Z.
        let (before, after) = (secs(1_767_225_570), secs(1_767_225_630));
        let new_year = secs(1_767_225_600);
        assert_eq!(nearest_minute(0, before), Some(new_year));
        let last = 365 * 1440 - 1;
        assert_eq!(nearest_minute(last, after), Some(new_year.plus_secs(-60)));
        assert_eq!(nearest_minute(527_040, after), None);
        assert_eq!(sent_in_minute(Some(last), before), before);
        assert_eq!(sent_in_minute(Some(0), before), new_year);
        assert_eq!(
            sent_in_minute(Some(last), after),
            new_year.plus_millis(-1),
            "the end of the stated minute"
        );
        assert_eq!(sent_in_minute(None, after), after);
    }

    #[test]
    fn what_holds_over_new_year_ends_after_it_began() {
        let secs = Timestamp::from_secs;
        let before = secs(1_767_225_570);
        let new_year = secs(1_767_225_600);
        let check = |start, end, near, expected| {
            assert_eq!(validity(start, end, near), expected);
        };
        let last_hour = Some(365 * 1440 - 60);
        check(
            last_hour,
            Some(10),
            before,
            (
                Some(new_year.plus_secs(-3_600)),
                Some(new_year.plus_secs(600)),
            ),
        );
        // Told in October, since February of the same year.
        let october = secs(1_759_276_800);
        let february = secs(1_738_368_000);
        check(Some(31 * 1440), None, october, (Some(february), None));
        check(None, Some(0), before, (None, Some(new_year)));
        check(Some(527_040), Some(527_040), before, (None, None));
    }

    #[test]
    fn minutes_of_the_year_agree_with_the_calendar() {
        // Unix times of `date -u -d 'DATE' +%s`.
        let check = |secs, day_of_year: u32, minute| {
            let expected = (day_of_year - 1) * 1440 + minute;
            assert_eq!(
                minute_of_the_year(Timestamp::from_secs(secs)),
                expected,
                "{secs}"
            );
        };
        check(0, 1, 0);
        check(951_782_399, 59, 1439); // 2000-02-28 23:59:59
        check(951_868_800, 61, 0); // 2000-03-01 00:00
        check(1_735_689_540, 366, 1439); // 2024-12-31 23:59
        check(1_735_689_600, 1, 0); // 2025-01-01 00:00
        check(1_795_392_000, 327, 0); // 2026-11-23 00:00
    }
}
