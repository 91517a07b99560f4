//! Local time and days off as they are written, and as `state` uses them.

use super::Problems;
use super::raw::RawState;
use crate::state::{Calendar, is_weekend};
use crate::units::{date_of, read_date};

/// The calendar that `state` has, with the reasons why it is none.
pub(super) fn resolve(state: &RawState, problems: &mut Problems) -> Calendar {
    let named = problems.take("state.calendar", named(state));
    let mut days = |key, dates: &[String]| -> Vec<i64> {
        let days = dates.iter().map(|date| local_day(date));
        days.filter_map(|day| problems.take(key, day)).collect()
    };
    let holidays = days("state.holidays", &state.holidays);
    let workdays = days("state.workdays", &state.workdays);
    for &day in workdays.iter().filter(|&&day| !is_weekend(day)) {
        let date = date_of(day);
        problems
            .0
            .push(format!("state.workdays: {date} is no Saturday or Sunday"));
    }
    named.unwrap_or_default().with(holidays, workdays)
}

fn named(state: &RawState) -> Result<Calendar, String> {
    let name = &state.calendar;
    Calendar::named(name, state.utc_offset_s)
        .ok_or_else(|| format!("{name:?} is neither \"cn\" nor \"none\""))
}

/// Reads a local date as days since 1970-01-01.
fn local_day(date: &str) -> Result<i64, String> {
    read_date(date).ok_or_else(|| format!("{date:?} is no date of the form YYYY-MM-DD"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_day_numbers() {
        assert_eq!(local_day("2026-10-01"), Ok(20_727));
        assert!(local_day("2026-13-01").is_err());
        let free = (20_000..20_007).filter(|&day| is_weekend(day)).map(date_of);
        assert_eq!(free.collect::<Vec<_>>(), ["2024-10-05", "2024-10-06"]);
    }

    #[test]
    fn what_is_no_calendar_is_told_all_together() {
        let state = RawState {
            calendar: "de".into(),
            holidays: vec!["2026-13-01".into()],
            workdays: vec!["2026-11-27".into(), "2026-11-28".into()],
            ..RawState::default()
        };
        let mut problems = Problems::default();
        let calendar = resolve(&state, &mut problems);
        let told = problems.0.join("; ");
        for part in [
            "\"de\" is neither",
            "2026-13-01",
            "2026-11-27 is no Saturday",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(problems.0.len(), 3, "{told}");
        assert_eq!(calendar.workdays.len(), 2);
    }
}
