//! When a running engine would know of the events of a dataset: an incident once traffic shows it, and
//! a little longer than it lasts; weather as it is.

use std::ops::Range;

use super::{Dataset, Disturbances, EventKind, KnownEvent, OpenIncident, STEP_MS};
use crate::units::{SegmentId, Timestamp};

/// An incident shows in the first row that ends so much later than it begins and in which its segment
/// is slower than usual by more than [`SLOWER`], a share of free flow (chosen: about the delay and the
/// evidence of `state::incident`, docs/incidents.md).
const SHOWS_AFTER_MS: i64 = 120_000;
const SLOWER: f32 = 0.2;
/// It is taken for open as long after its end, as a clearing incident is.
const CLEARS_AFTER_MS: i64 = 300_000;

/// An incident, and the newest rows with which it is known and not over.
#[derive(Clone, Debug, PartialEq)]
struct Noticed {
    column: u32,
    from: Timestamp,
    newest: Range<usize>,
}

/// What would be known at each row of one dataset.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NoticedEvents {
    incidents: Vec<Noticed>,
    weather: Vec<KnownEvent>,
}

impl NoticedEvents {
    /// `deviation(row, column)` is how far a cell is from what is usual, in shares of free flow.
    pub(super) fn new(dataset: &Dataset, deviation: impl Fn(usize, usize) -> Option<f32>) -> Self {
        let of_kind = |kind| {
            dataset
                .events
                .iter()
                .filter(move |event| event.kind == kind)
        };
        // The first row that ends later than `at`.
        let row_after = |at: Timestamp| {
            let is_before = |&start: &Timestamp| start.plus_millis(STEP_MS) <= at;
            dataset.times.partition_point(is_before)
        };
        let notice = |event: &KnownEvent| {
            let column = event.column?;
            let end = row_after(event.until.plus_millis(CLEARS_AFTER_MS));
            let shows =
                |&row: &usize| deviation(row, column as usize).is_some_and(|by| by < -SLOWER);
            let first = (row_after(event.from.plus_millis(SHOWS_AFTER_MS))..end).find(shows)?;
            Some(Noticed {
                column,
                from: event.from,
                newest: first..end,
            })
        };
        Self {
            incidents: of_kind(EventKind::Incident).filter_map(notice).collect(),
            weather: of_kind(EventKind::Weather).copied().collect(),
        }
    }

    /// The newest rows with which each incident is known and not over.
    pub(super) fn incident_rows(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.incidents.iter().map(|known| known.newest.clone())
    }

    /// What is known of `columns` columns at `now`, the end of row `newest`.
    pub(super) fn at(&self, newest: usize, now: Timestamp, columns: usize) -> Disturbances {
        let open = self
            .incidents
            .iter()
            .filter(|known| known.newest.contains(&newest));
        let incidents = open.map(|known| OpenIncident {
            segment: SegmentId(known.column),
            age_min: now.millis_since(known.from) as f32 / 60_000.0,
        });
        let mut bad_weather = Vec::new();
        for event in self
            .weather
            .iter()
            .filter(|event| event.from < now && now <= event.until)
        {
            bad_weather.resize(columns, false);
            match event.column {
                Some(column) => bad_weather[column as usize] = true,
                None => bad_weather.fill(true),
            }
        }
        Disturbances {
            incidents: incidents.collect(),
            bad_weather,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_known_once_it_shows_and_not_before() {
        let header = b"name='a'\nquantity='speed'\nunit='m/s'\nstep_s=300\n";
        let mut series = String::from("time,x,y\n");
        (0..20).for_each(|row| series.push_str(&format!("{},10,10\n", 300 * row)));
        let events = b"kind,segment,from,until\nincident,y,900,2400\nincident,x,900,2400\nweather,,1500,1800\n";
        let dataset =
            Dataset::parse(header, series.as_bytes(), b"from,to\n", None, Some(events)).unwrap();
        // Column y falls in row 4, 1200 to 1500 s; x never does.
        let by = |row: usize, column: usize| Some(if column == 1 && row >= 4 { -0.5 } else { 0.0 });
        let noticed = NoticedEvents::new(&dataset, by);
        let at =
            |newest: usize| noticed.at(newest, Timestamp::from_secs(300 * (newest as i64 + 1)), 2);
        assert!(at(3).incidents.is_empty());
        let known = OpenIncident {
            segment: SegmentId(1),
            age_min: 10.0,
        };
        assert_eq!(at(4).incidents, [known]);
        assert_eq!(
            at(8).incidents.len(),
            1,
            "it ends at 2400 s and clears until 2700 s"
        );
        assert!(at(9).incidents.is_empty());
        assert!(at(4).bad_weather.is_empty() && at(6).bad_weather.is_empty());
        assert_eq!(at(5).bad_weather, [true, true]);
    }
}
