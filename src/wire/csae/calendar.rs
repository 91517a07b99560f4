//! The two clocks of the message set: milliseconds in the minute and minutes in the year.

use crate::observation::RejectReason;
use crate::units::Timestamp;

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

/// The days since 1970-01-01 of the first of January before or at `day` (Hinnant 2013,
/// chrono-Compatible Low-Level Date Algorithms).
fn first_day_of_year_with(day: i64) -> i64 {
    let from_march_0000 = day + 719_468;
    let era = from_march_0000.div_euclid(146_097);
    let day_of_era = from_march_0000.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years begin in March here: from day 306 on it is January or February of the next one.
    let year = era * 400 + year_of_era + i64::from(day_of_year >= 306);
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
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
