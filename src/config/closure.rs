//! Planned closures as they are written, and as `state` uses them.

use serde::{Deserialize, Serialize};
use toml::value::{Datetime, Offset};

use super::Problems;
use crate::state::ClosureDraft;
use crate::units::{Timestamp, civil_ms};

/// Most sources of one closure.
const SOURCES_MAX: usize = 10_000;

/// One entry of `[[state.closures]]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawClosure {
    /// What it is called where something is wrong with it.
    pub id: String,
    /// Ids of the network's source (OSM ways, SUMO edges, CSV rows): all of each, or with `+` or `-`
    /// behind the id one direction.
    pub sources: Vec<String>,
    /// When it begins: a TOML date and time, local (`state.utc_offset_s`) where it has no offset.
    pub from: Datetime,
    /// When the road is open again.
    pub until: Datetime,
}

/// The closure, with the reasons why it is none; whether it fits the network is found later.
pub(super) fn resolve(
    raw: &RawClosure,
    utc_offset_s: i64,
    problems: &mut Problems,
) -> ClosureDraft {
    let mut time = |name: &str, at: &Datetime| {
        let time = time_of(at, utc_offset_s);
        if time.is_none() {
            let key = format!("state.closures: {:?}", raw.id);
            problems
                .0
                .push(format!("{key}: {name} = {at} is no date with a time"));
        }
        time.unwrap_or_default()
    };
    let (from, until) = (time("from", &raw.from), time("until", &raw.until));
    let mut wrong = |what: &str| {
        problems
            .0
            .push(format!("state.closures: {:?} {what}", raw.id))
    };
    if until <= from {
        wrong("does not end after it begins");
    }
    if raw.sources.is_empty() || raw.sources.len() > SOURCES_MAX {
        wrong("needs 1 to 10 000 sources");
    }
    ClosureDraft {
        id: raw.id.clone(),
        sources: raw.sources.clone(),
        from,
        until,
    }
}

fn time_of(at: &Datetime, utc_offset_s: i64) -> Option<Timestamp> {
    let (date, time) = (at.date?, at.time?);
    let date = [date.year.into(), date.month.into(), date.day.into()];
    let clock = [time.hour, time.minute, time.second.unwrap_or_default()].map(i64::from);
    let offset_s = match at.offset {
        Some(Offset::Z) => 0,
        Some(Offset::Custom { minutes }) => 60 * i64::from(minutes),
        None => utc_offset_s,
    };
    let local = Timestamp::from_millis(civil_ms(date, clock)?);
    Some(local.plus_secs(-offset_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local_unless_they_say_otherwise() {
        let told = |from: &str| {
            let text =
                format!("id = 'n'\nsources = ['a']\nfrom = {from}\nuntil = 2026-12-02T05:00:00Z");
            let raw: RawClosure = toml::from_str(&text).expect("known keys");
            let mut problems = Problems::default();
            let draft = resolve(&raw, 8 * 3600, &mut problems);
            (draft, problems.0.join("; "))
        };
        // `date -u -d 2026-12-01T14:00:00Z +%s`
        for from in [
            "2026-12-01T22:00:00",
            "2026-12-01T22:00:00+08:00",
            "2026-12-01T14:00:00Z",
        ] {
            let (draft, problems) = told(from);
            assert_eq!(
                (draft.from.as_secs(), problems.as_str()),
                (1_796_133_600, ""),
                "{from}"
            );
        }
        let (_, problems) = told("2026-12-01");
        assert!(
            problems.contains("from = 2026-12-01 is no date with a time"),
            "{problems}"
        );
    }
}
