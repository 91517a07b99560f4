//! Series to learn from: one row every five minutes, one column a segment or sensor.
//!
//! A dataset is a folder with `dataset.toml` (name, quantity, unit, step, licence), `series.csv`
//! (`time`, then one column each; empty is missing), `graph.csv` (`from,to,weight` by column name)
//! and optionally `segments.csv` (`segment,class,lanes,length_m,limit_mps,signal`) and `events.csv`
//! (`kind,segment,from,until`). This room gets their bytes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{FeatureContext, RoadGraph, STEP_MS, SegmentAttributes, column_names};
use crate::network::{Network, NetworkVersion, RoadClass};
use crate::state::Calendar;
use crate::units::{Timestamp, read_date};

/// Why a dataset could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// One of the files is malformed.
    #[error("{file}, line {line}: {problem}")]
    Malformed {
        /// Which file.
        file: &'static str,
        /// Line, from 1; 0 where none can be named.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// The series cannot be learnt from.
    #[error("dataset {0}")]
    Unfit(String),
}

/// What `dataset.toml` says; other keys are ignored.
#[derive(Clone, Debug, Deserialize)]
struct Header {
    name: String,
    quantity: String,
    unit: String,
    step_s: i64,
    #[serde(default)]
    timezone: Option<String>,
    #[serde(default)]
    calendar: Option<String>,
    #[serde(default)]
    zero_is_missing: bool,
    #[serde(default)]
    licence: Option<String>,
}

/// What kind of disturbance an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Something blocks a road; `incident` in files.
    Incident,
    /// Bad weather; `weather` in files.
    Weather,
}

/// Something that disturbs traffic for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownEvent {
    /// What it is.
    pub kind: EventKind,
    /// The column it concerns; `None`: all.
    pub column: Option<u32>,
    /// When it begins, local time as if it were UTC.
    pub from: Timestamp,
    /// When it is over.
    pub until: Timestamp,
}

/// A series in memory. Speeds are in m/s, other quantities in their own unit.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// Its licence.
    pub licence: String,
    /// The unit of the file.
    pub unit: String,
    /// Whether the quantity is speed; only then is a low value congestion.
    pub is_speed: bool,
    /// What one m/s (or one unit of another quantity) is in the unit of the file.
    pub units_per_value: f64,
    /// The network whose segments are the columns, in id order, where there is one.
    pub network: Option<NetworkVersion>,
    /// Local time of each row's start, as if local time were UTC.
    pub times: Vec<Timestamp>,
    /// Column names.
    pub columns: Vec<String>,
    /// `[row][column]`; not a number where missing.
    pub values: Vec<f32>,
    /// Who is next to whom.
    pub graph: RoadGraph,
    /// Facts of each column, where known.
    pub attributes: Vec<Option<SegmentAttributes>>,
    /// What disturbed traffic, where that is known.
    pub events: Vec<KnownEvent>,
    /// Which days are days off. Its offset is 0, because times are local.
    pub calendar: Calendar,
}

impl Dataset {
    /// Reads a dataset from the bytes of its files.
    ///
    /// # Errors
    /// When a file is malformed, the step is not 300 s, or columns and graph do not fit together.
    pub fn parse(
        header: &[u8],
        series: &[u8],
        graph: &[u8],
        segments: Option<&[u8]>,
        events: Option<&[u8]>,
    ) -> Result<Self, DatasetError> {
        let header = read_header(header)?;
        if header.step_s * 1000 != STEP_MS {
            return Err(DatasetError::Unfit(format!(
                "has steps of {} s, 300 wanted",
                header.step_s
            )));
        }
        let per_mps = match (header.quantity.as_str(), header.unit.as_str()) {
            ("speed", "mph") => 3600.0 / 1609.344,
            ("speed", "km/h" | "kmh") => 3.6,
            ("speed", "m/s") => 1.0,
            ("speed", unit) => {
                return Err(DatasetError::Unfit(format!(
                    "has speeds in unknown unit {unit}"
                )));
            }
            _ => 1.0,
        };
        let offset_s = utc_offset_s(header.timezone.as_deref());
        let (columns, times, mut values) = read_series(series, offset_s)?;
        for value in &mut values {
            if header.zero_is_missing && value.abs() < 1e-9 {
                *value = f32::NAN;
            }
            *value /= per_mps as f32;
        }
        let index: BTreeMap<&str, u32> = (0u32..)
            .zip(&columns)
            .map(|(index, name)| (name.as_str(), index))
            .collect();
        let graph = read_graph(graph, &index)?;
        let attributes = match segments {
            Some(bytes) => read_segments(bytes, &index)?,
            None => vec![None; columns.len()],
        };
        let events = match events {
            Some(bytes) => read_events(bytes, &index, offset_s)?,
            None => Vec::new(),
        };
        let calendar = match header.calendar.as_deref() {
            Some(name) => Calendar::named(name, 0)
                .ok_or_else(|| DatasetError::Unfit(format!("has unknown calendar {name}")))?,
            None => Calendar::plain(0),
        };
        Ok(Self {
            name: header.name,
            licence: header.licence.unwrap_or_default(),
            unit: header.unit,
            is_speed: header.quantity == "speed",
            units_per_value: per_mps,
            network: None,
            times,
            columns,
            values,
            graph,
            attributes,
            events,
            calendar,
        })
    }

    /// Speeds of the segments of `network`, `[row][segment]`, m/s, not a number where missing; a row
    /// every five minutes from local time `start` on. Errors are told in km/h.
    pub fn of_network(
        network: &Network,
        name: String,
        licence: String,
        start: Timestamp,
        speeds_mps: Vec<f32>,
    ) -> Self {
        let rows = speeds_mps.len() / network.segment_count().max(1);
        Self {
            name,
            licence,
            unit: "km/h".to_owned(),
            is_speed: true,
            units_per_value: 3.6,
            network: Some(network.version()),
            times: (0..rows as i64)
                .map(|row| start.plus_millis(row * STEP_MS))
                .collect(),
            columns: column_names(network),
            values: speeds_mps,
            graph: RoadGraph::from_network(network),
            attributes: FeatureContext::known_attributes(network),
            events: Vec::new(),
            calendar: Calendar::plain(0),
        }
    }

    /// The same with what disturbed traffic.
    #[must_use]
    pub fn with_events(self, events: Vec<KnownEvent>) -> Self {
        Self { events, ..self }
    }

    /// The same with days off.
    #[must_use]
    pub fn with_calendar(self, calendar: Calendar) -> Self {
        Self { calendar, ..self }
    }

    /// How many rows there are.
    pub fn row_count(&self) -> usize {
        self.times.len()
    }

    /// How many columns there are.
    pub fn column_count(&self) -> usize {
        self.columns.len()
    }

    /// The value in a cell; `None` where missing.
    pub fn value(&self, row: usize, column: usize) -> Option<f32> {
        let value = self.values[row * self.columns.len() + column];
        (!value.is_nan()).then_some(value)
    }
}

fn malformed(file: &'static str, line: u64, problem: impl std::fmt::Display) -> DatasetError {
    DatasetError::Malformed {
        file,
        line,
        problem: problem.to_string(),
    }
}

fn read_header(bytes: &[u8]) -> Result<Header, DatasetError> {
    let file = "dataset.toml";
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(file, 0, error))?;
    toml::from_str(text).map_err(|error| malformed(file, 0, error))
}

/// Seconds that `+08:00` stands for; 0 where nothing readable is said.
fn utc_offset_s(text: Option<&str>) -> i64 {
    let parse = |text: &str| -> Option<i64> {
        let (hours, minutes) = text.get(1..)?.split_once(':')?;
        let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
        Some(if text.starts_with('-') {
            -seconds
        } else {
            seconds
        })
    };
    text.and_then(parse).unwrap_or(0)
}

type Series = (Vec<String>, Vec<Timestamp>, Vec<f32>);

fn read_series(bytes: &[u8], offset_s: i64) -> Result<Series, DatasetError> {
    let file = "series.csv";
    let mut reader = csv::Reader::from_reader(bytes);
    let headers = reader
        .headers()
        .map_err(|error| malformed(file, 1, error))?;
    let columns: Vec<String> = headers.iter().skip(1).map(str::to_owned).collect();
    if columns.is_empty() {
        return Err(malformed(file, 1, "no columns after time"));
    }
    let (mut times, mut values) = (Vec::new(), Vec::new());
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        if !reader
            .read_record(&mut record)
            .map_err(|error| malformed(file, line, error))?
        {
            break;
        }
        let text = record.get(0).unwrap_or_default();
        let time = parse_time(text, offset_s)
            .ok_or_else(|| malformed(file, line, format!("time {text} is not readable")))?;
        let gap_ms = times.last().map(|&last| time.millis_since(last));
        if gap_ms.is_some_and(|gap_ms| gap_ms != STEP_MS) {
            return Err(malformed(file, line, "rows are not 300 s apart"));
        }
        times.push(time);
        for cell in record.iter().skip(1) {
            let value = match cell.trim() {
                "" => f32::NAN,
                text => text
                    .parse::<f32>()
                    .map_err(|error| malformed(file, line, format!("{text}: {error}")))?,
            };
            values.push(if value.is_finite() { value } else { f32::NAN });
        }
    }
    Ok((columns, times, values))
}

/// `2012-03-01T00:05:00` is local already; a bare number counts seconds, since 1970 in UTC or, when
/// small, since the start of a simulation.
fn parse_time(text: &str, offset_s: i64) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        let seconds = seconds as i64;
        let is_simulated = seconds < 946_684_800;
        return Some(Timestamp::from_secs(if is_simulated {
            seconds
        } else {
            seconds + offset_s
        }));
    }
    let (date, clock) = text.split_once(['T', ' '])?;
    let mut clock = clock.get(..8)?.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (
        clock.next()?.ok()?,
        clock.next()?.ok()?,
        clock.next()?.ok()?,
    );
    let days = read_date(date)?;
    Some(Timestamp::from_secs(
        days * 86_400 + hour * 3_600 + minute * 60 + second,
    ))
}

fn read_graph(bytes: &[u8], index: &BTreeMap<&str, u32>) -> Result<RoadGraph, DatasetError> {
    let file = "graph.csv";
    let mut edges = Vec::new();
    for record in csv::Reader::from_reader(bytes).records() {
        let record = record.map_err(|error| malformed(file, 0, error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let end = |at: usize| record.get(at).and_then(|name| index.get(name)).copied();
        let weight = match record.get(2) {
            Some(text) => text
                .parse::<f32>()
                .map_err(|error| malformed(file, line, error))?,
            None => 1.0,
        };
        // Edges to places without a column are of no use here.
        if let (Some(from), Some(to)) = (end(0), end(1)) {
            edges.push((from, to, weight));
        }
    }
    Ok(RoadGraph::from_edges(index.len(), &edges))
}

fn read_segments(
    bytes: &[u8],
    index: &BTreeMap<&str, u32>,
) -> Result<Vec<Option<SegmentAttributes>>, DatasetError> {
    let file = "segments.csv";
    let mut reader = csv::Reader::from_reader(bytes);
    let headers = reader
        .headers()
        .map_err(|error| malformed(file, 1, error))?
        .clone();
    let place = |names: &[&str]| headers.iter().position(|header| names.contains(&header));
    let name_at = place(&["segment", "id", "sensor"])
        .ok_or_else(|| malformed(file, 1, "column segment is missing"))?;
    let [class_at, lanes_at, length_at, limit_at, signal_at] =
        ["class", "lanes", "length_m", "limit_mps", "signal"].map(|name| place(&[name]));
    let mut attributes = vec![None; index.len()];
    for record in reader.records() {
        let record = record.map_err(|error| malformed(file, 0, error))?;
        let Some(&column) = record.get(name_at).and_then(|name| index.get(name)) else {
            continue;
        };
        let text = |at: Option<usize>| at.and_then(|at| record.get(at)).map(str::trim);
        let number = |at: Option<usize>| text(at).and_then(|text| text.parse::<f32>().ok());
        let class = RoadClass::ALL
            .into_iter()
            .find(|class| Some(class.label()) == text(class_at))
            .unwrap_or(RoadClass::Minor);
        attributes[column as usize] = Some(SegmentAttributes {
            class,
            lanes: number(lanes_at).unwrap_or(1.0),
            length_m: number(length_at)
                .filter(|length_m| length_m.is_finite() && *length_m > 0.0)
                .unwrap_or(200.0),
            limit_mps: number(limit_at).unwrap_or(class.default_speed_mps()),
            is_signalised: matches!(text(signal_at), Some("1" | "true")),
        });
    }
    Ok(attributes)
}

/// Events on columns that are not there are left out: a network may be told of more than is measured.
fn read_events(
    bytes: &[u8],
    index: &BTreeMap<&str, u32>,
    offset_s: i64,
) -> Result<Vec<KnownEvent>, DatasetError> {
    let file = "events.csv";
    let mut events = Vec::new();
    for record in csv::Reader::from_reader(bytes).records() {
        let record = record.map_err(|error| malformed(file, 0, error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let text = |at: usize| record.get(at).unwrap_or_default().trim();
        let kind = match text(0) {
            "incident" => EventKind::Incident,
            "weather" => EventKind::Weather,
            other => return Err(malformed(file, line, format!("kind {other} is unknown"))),
        };
        let time = |at: usize| {
            let unreadable = || malformed(file, line, format!("time {} is not readable", text(at)));
            parse_time(text(at), offset_s).ok_or_else(unreadable)
        };
        let (from, until) = (time(2)?, time(3)?);
        if until <= from {
            return Err(malformed(file, line, "it does not end after it begins"));
        }
        let column = index.get(text(1)).copied();
        if text(1).is_empty() || column.is_some() {
            events.push(KnownEvent {
                kind,
                column,
                from,
                until,
            });
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_local() {
        let read = |text| parse_time(text, 28_800).map(Timestamp::as_secs);
        assert_eq!(read("2012-03-01T00:05:00"), Some(1_330_560_300));
        assert_eq!(read("2000-02-29 23:59:59"), Some(951_868_799));
        assert_eq!(read("600"), Some(600));
        assert_eq!(read("1330531500"), Some(1_330_560_300));
        assert_eq!(read("noon"), None);
    }

    #[test]
    fn a_folder_is_read_with_its_gaps() {
        let header = b"name='a'\nquantity='speed'\nunit='km/h'\nstep_s=300\nzero_is_missing=true\n";
        let series = b"time,x,y\n0,36,0\n300,,72\n";
        let graph = b"from,to,weight\nx,y,0.5\nx,elsewhere,1\n";
        let segments = b"segment,class,lanes,length_m,limit_mps,signal\ny,trunk,3,400,22,1\n";
        let events =
            b"kind,segment,from,until\nincident,y,60,240\nincident,z,0,9\nweather,,0,300\n";
        let dataset = Dataset::parse(header, series, graph, Some(segments), Some(events)).unwrap();
        assert_eq!(dataset.row_count(), 2);
        assert!((dataset.value(0, 0).unwrap() - 10.0).abs() < 1e-5);
        assert_eq!(dataset.value(0, 1), None);
        assert_eq!(dataset.value(1, 0), None);
        assert!(dataset.attributes[0].is_none());
        assert!(dataset.attributes[1].is_some_and(|facts| facts.class == RoadClass::Trunk));
        let uneven = b"time,x\n0,1\n900,2\n";
        assert!(Dataset::parse(header, uneven, graph, None, None).is_err());
        let incident = KnownEvent {
            kind: EventKind::Incident,
            column: Some(1),
            from: Timestamp::from_secs(60),
            until: Timestamp::from_secs(240),
        };
        assert_eq!(dataset.events[0], incident);
        assert_eq!((dataset.events.len(), dataset.events[1].column), (2, None));
        for strange in [
            "kind,segment,from,until\nfog,,0,9\n",
            "kind,segment,from,until\nweather,,noon,9\n",
        ] {
            let read = Dataset::parse(header, series, graph, None, Some(strange.as_bytes()));
            assert!(matches!(
                read,
                Err(DatasetError::Malformed {
                    file: "events.csv",
                    line: 2,
                    ..
                })
            ));
        }
    }
}
