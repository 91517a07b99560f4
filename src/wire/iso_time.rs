//! Times written as ISO 8601, and calendars of UTC.

use crate::observation::RejectReason;
use crate::units::Timestamp;

use super::gather::Record;

/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;

/// Days from 1970-01-01 to a date of the Gregorian calendar (Hinnant 2013, chrono-Compatible
/// Low-Level Date Algorithms, days_from_civil); `None` where there is no such date.
pub(super) fn day_number(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1970..=9999).contains(&year) || !(1..=last).contains(&day) {
        return None;
    }
    let from_march = if month <= 2 { year - 1 } else { year };
    let era = from_march.div_euclid(400);
    let year_of_era = from_march - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The time of a date and a time of the day; `None` where there is no such time.
pub(super) fn civil_ms(date: [i64; 3], time: [i64; 3]) -> Option<i64> {
    let ([year, month, day], [hour, minute, second]) = (date, time);
    let is_time =
        (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    let days = day_number(year, month, day).filter(|_| is_time)?;
    Some(days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000)
}

/// Year, month and day of a day since 1970-01-01 (Hinnant 2013, civil_from_days).
pub(super) fn civil_date(day: i64) -> [i64; 3] {
    let from_march_0000 = day + 719_468;
    let era = from_march_0000.div_euclid(146_097);
    let day_of_era = from_march_0000.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    [year, month, day_of_year - (153 * from_march + 2) / 5 + 1]
}

/// Reads `2021-01-08T02:03:41.907Z`, the fraction optional, always UTC.
pub(super) fn parse(text: &str) -> Record<Timestamp> {
    fields(text)
        .map(Timestamp::from_millis)
        .ok_or(RejectReason::Malformed)
}

fn fields(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let three = |text: &str, separator| {
        let mut parts = text.split(separator).map(|part| {
            part.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(())?;
            part.parse::<i64>().ok()
        });
        let three = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(three)
    };
    let digits = fraction.get(..fraction.len().min(3))?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis = format!("{digits:0<3}").parse::<i64>().ok()?;
    Some(civil_ms(three(date, '-')?, three(time, ':')?)? + millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        for day in (0..60_000).step_by(13) {
            let [year, month, date] = civil_date(day);
            assert_eq!(
                day_number(year, month, date),
                Some(day),
                "{year}-{month}-{date}"
            );
        }
    }

    #[test]
    fn iso_times_are_read() {
        // `date -u -d 2021-01-08T02:03:41Z +%s`
        let check = |text, expected: Option<i64>| {
            assert_eq!(
                parse(text).ok().map(Timestamp::as_millis),
                expected,
                "{text}"
            );
        };
        check("2021-01-08T02:03:41.907Z", Some(1_610_071_421_907));
        check("2021-01-08T02:03:41Z", Some(1_610_071_421_000));
        check("2021-01-08T02:03:41.9Z", Some(1_610_071_421_900));
        check("2021-02-29T02:03:41Z", None);
        check("2021-01-08T24:03:41Z", None);
        check("2021-01-08 02:03:41Z", None);
        check("", None);
    }
}
