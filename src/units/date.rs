//! Dates of the Gregorian calendar and their day numbers.

/// Days from 1970-01-01 to a date; `None` where there is no such date or it lies outside the years
/// 1970 to 9999 (Hinnant 2013, "chrono-Compatible Low-Level Date Algorithms", days_from_civil).
pub const fn day_number([year, month, day]: [i64; 3]) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + is_leap as i64,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || year > 9999 || day < 1 || day > last {
        return None;
    }
    let from_march = if month <= 2 { year - 1 } else { year };
    let era = from_march.div_euclid(400);
    let year_of_era = from_march - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Milliseconds from 1970-01-01 to a date and a time of the day, hour, minute and second (60 in a leap
/// second); `None` where there is no such time.
pub fn civil_ms(date: [i64; 3], time: [i64; 3]) -> Option<i64> {
    let [hour, minute, second] = time;
    let is_time =
        (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    let days = day_number(date).filter(|_| is_time)?;
    Some(days * 86_400_000 + ((hour * 60 + minute) * 60 + second) * 1000)
}

/// Year, month and day of a day since 1970-01-01 (Hinnant 2013, civil_from_days).
pub const fn civil_date(day: i64) -> [i64; 3] {
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
    let year = era * 400 + year_of_era + (month <= 2) as i64;
    [year, month, day_of_year - (153 * from_march + 2) / 5 + 1]
}

/// A day since 1970-01-01 as `YYYY-MM-DD`.
pub fn date_of(day: i64) -> String {
    let [year, month, day] = civil_date(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Reads `YYYY-MM-DD` as days since 1970-01-01.
pub fn read_date(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    day_number([parts.next()??, parts.next()??, parts.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_dates_of_the_calendar() {
        for (day, date) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (20_783, "2026-11-26"),
        ] {
            assert_eq!(date_of(day), date);
            assert_eq!(read_date(date), Some(day));
        }
        for day in (0..60_000).step_by(13) {
            assert_eq!(day_number(civil_date(day)), Some(day));
        }
        assert_eq!(date_of(-1), "1969-12-31");
        for wrong in [
            "2026-02-29",
            "1900-01-01",
            "2026-13-01",
            "2026-1",
            "today",
            "",
        ] {
            assert_eq!(read_date(wrong), None, "{wrong}");
        }
    }
}
