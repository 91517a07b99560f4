//! Local days: of which kind each is, with public holidays and the weekends that are worked for them.

use super::profile::{SLOT_MS, SLOTS_PER_HOUR};
use crate::units::{Timestamp, civil_date, day_number};

const DAY_MS: i64 = 86_400_000;

/// Kinds of days with profiles of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DayType {
    /// Monday to Thursday, and weekend days that are worked.
    Weekday = 0,
    /// Friday.
    Friday = 1,
    /// Saturday.
    Saturday = 2,
    /// Sunday.
    Sunday = 3,
    /// A public holiday.
    Holiday = 4,
}

impl DayType {
    /// How many there are.
    pub(super) const COUNT: usize = 5;

    /// Whether people work, as a rule.
    pub const fn is_workday(self) -> bool {
        matches!(self, Self::Weekday | Self::Friday)
    }
}

/// First and last day of each public holiday of China, year, month and days, by the State Council's
/// notices on holiday arrangements for 2025 and 2026.
const CHINA_HOLIDAYS: [[[i64; 3]; 2]; 13] = [
    [[2025, 1, 1], [2025, 1, 1]],
    [[2025, 1, 28], [2025, 2, 4]],
    [[2025, 4, 4], [2025, 4, 6]],
    [[2025, 5, 1], [2025, 5, 5]],
    [[2025, 5, 31], [2025, 6, 2]],
    [[2025, 10, 1], [2025, 10, 8]],
    [[2026, 1, 1], [2026, 1, 3]],
    [[2026, 2, 15], [2026, 2, 23]],
    [[2026, 4, 4], [2026, 4, 6]],
    [[2026, 5, 1], [2026, 5, 5]],
    [[2026, 6, 19], [2026, 6, 21]],
    [[2026, 9, 25], [2026, 9, 27]],
    [[2026, 10, 1], [2026, 10, 7]],
];
/// Weekend days that are worked for them, by the same notices.
const CHINA_WORKDAYS: [[i64; 3]; 11] = [
    [2025, 1, 26],
    [2025, 2, 8],
    [2025, 4, 27],
    [2025, 9, 28],
    [2025, 10, 11],
    [2026, 1, 4],
    [2026, 2, 14],
    [2026, 2, 28],
    [2026, 5, 9],
    [2026, 9, 20],
    [2026, 10, 10],
];

/// Days since 1970-01-01, which was a Thursday, modulo 7.
const FRIDAY: i64 = 1;
const SATURDAY: i64 = 2;
const SUNDAY: i64 = 3;

/// Whether a day since 1970-01-01 is a Saturday or Sunday.
pub const fn is_weekend(day: i64) -> bool {
    matches!(day.rem_euclid(7), SATURDAY | SUNDAY)
}

/// How event time maps to local days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Local time minus UTC, seconds.
    pub utc_offset_s: i64,
    /// Local days (days since 1970-01-01) that are public holidays, ascending.
    pub holidays: Vec<i64>,
    /// Saturdays and Sundays that are worked, ascending.
    pub workdays: Vec<i64>,
}

impl Default for Calendar {
    /// China Standard Time without holidays.
    fn default() -> Self {
        Self::plain(8 * 3600)
    }
}

impl Calendar {
    /// Days without holidays.
    pub const fn plain(utc_offset_s: i64) -> Self {
        Self {
            utc_offset_s,
            holidays: Vec::new(),
            workdays: Vec::new(),
        }
    }

    /// Days with the public holidays of China from 2025 to 2026, and the weekends worked for them.
    pub fn china(utc_offset_s: i64) -> Self {
        let number = |date| day_number(date).unwrap_or_default();
        let days = CHINA_HOLIDAYS.iter();
        Self {
            utc_offset_s,
            holidays: days
                .flat_map(|&[first, last]| number(first)..=number(last))
                .collect(),
            workdays: CHINA_WORKDAYS.into_iter().map(number).collect(),
        }
    }

    /// The calendar of that name: `cn`, [`Calendar::china`], or `none`, [`Calendar::plain`].
    pub fn named(name: &str, utc_offset_s: i64) -> Option<Self> {
        match name {
            "cn" => Some(Self::china(utc_offset_s)),
            "none" => Some(Self::plain(utc_offset_s)),
            _ => None,
        }
    }

    /// The same with more holidays and worked weekend days, days since 1970-01-01. A day that is both
    /// is a holiday.
    #[must_use]
    pub fn with(mut self, holidays: Vec<i64>, workdays: Vec<i64>) -> Self {
        for (days, more) in [
            (&mut self.holidays, holidays),
            (&mut self.workdays, workdays),
        ] {
            days.extend(more);
            days.sort_unstable();
            days.dedup();
        }
        self
    }

    /// The year of `at`, if holidays are known, but only of later or of earlier years: whoever looks after
    /// the service should tell it more.
    pub fn knows_nothing_of(&self, at: Timestamp) -> Option<i64> {
        let year_of = |day: i64| civil_date(day)[0];
        let known = year_of(*self.holidays.first()?)..=year_of(*self.holidays.last()?);
        let year = year_of(self.local_day(at));
        (!known.contains(&year)).then_some(year)
    }

    /// The number of the local day, days since 1970-01-01.
    fn local_day(&self, at: Timestamp) -> i64 {
        let local_ms = at.plus_secs(self.utc_offset_s).as_millis();
        local_ms.div_euclid(DAY_MS)
    }

    /// Which kind of day a time lies in.
    pub fn day_type(&self, at: Timestamp) -> DayType {
        let day = self.local_day(at);
        if self.holidays.binary_search(&day).is_ok() {
            return DayType::Holiday;
        }
        if is_weekend(day) && self.workdays.binary_search(&day).is_ok() {
            return DayType::Weekday;
        }
        match day.rem_euclid(7) {
            FRIDAY => DayType::Friday,
            SATURDAY => DayType::Saturday,
            SUNDAY => DayType::Sunday,
            _ => DayType::Weekday,
        }
    }

    /// Whether a time is in a workday, and in which half hour of the day.
    pub(super) fn half_hour(&self, at: Timestamp) -> (bool, usize) {
        let (day_type, slot) = self.slot_of_day(at);
        (day_type.is_workday(), slot / (SLOTS_PER_HOUR / 2))
    }

    /// Day type, and which five minutes of the local day, from 0.
    pub fn slot_of_day(&self, at: Timestamp) -> (DayType, usize) {
        let local_ms = at.plus_secs(self.utc_offset_s).as_millis();
        let slot = local_ms.rem_euclid(DAY_MS) / SLOT_MS;
        (self.day_type(at), slot as usize)
    }

    /// Day type and hour-and-slot of a time.
    pub(super) fn slot(&self, at: Timestamp) -> (DayType, usize, usize) {
        let (day_type, slot) = self.slot_of_day(at);
        (day_type, slot / SLOTS_PER_HOUR, slot % SLOTS_PER_HOUR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::read_date;

    fn noon(date: &str) -> Timestamp {
        Timestamp::from_secs(read_date(date).unwrap() * 86_400 + 4 * 3600)
    }

    #[test]
    fn holidays_and_the_weekends_worked_for_them_are_what_they_are() {
        let calendar = Calendar::china(8 * 3600);
        for (date, wanted) in [
            ("2026-02-13", DayType::Friday),
            ("2026-02-14", DayType::Weekday),
            ("2026-02-15", DayType::Holiday),
            ("2026-02-23", DayType::Holiday),
            ("2026-02-24", DayType::Weekday),
            ("2026-02-28", DayType::Weekday),
            ("2026-03-01", DayType::Sunday),
            ("2025-10-08", DayType::Holiday),
            ("2026-11-28", DayType::Saturday),
        ] {
            assert_eq!(calendar.day_type(noon(date)), wanted, "{date}");
        }
        assert!(calendar.holidays.is_sorted() && calendar.workdays.is_sorted());
        // A worked day is one that would be free.
        let plain = Calendar::plain(0);
        let midnight = |&day: &i64| Timestamp::from_secs(day * 86_400);
        let is_free = |day: &i64| !plain.day_type(midnight(day)).is_workday();
        assert!(calendar.workdays.iter().all(is_free));
        assert_eq!(
            Calendar::plain(0).knows_nothing_of(noon("2030-01-01")),
            None
        );
        assert_eq!(calendar.knows_nothing_of(noon("2026-12-31")), None);
        assert_eq!(calendar.knows_nothing_of(noon("2027-01-01")), Some(2027));
        assert_eq!(calendar.knows_nothing_of(noon("2024-12-31")), Some(2024));
        let told = calendar.with(vec![read_date("2027-01-01").unwrap()], Vec::new());
        assert_eq!(told.knows_nothing_of(noon("2027-01-01")), None);
        assert_eq!(told.day_type(noon("2027-01-01")), DayType::Holiday);
    }
}
