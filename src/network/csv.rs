//! Reads networks from CSV rows of two-point roads.
//!
//! Columns `from`, `to` (junction names), `highway` (OSM class), `lon1`, `lat1`, `lon2`, `lat2`
//! (WGS-84 degrees) and `len_m`; optional `id`, `oneway` (`yes`, `no`, `-1`), `lanes` (in each
//! direction), `limit_mps` and `name`. A row without `oneway` gets its direction recovered from
//! its class and its neighbours; a row without `id` is called by its number, from 0.

use std::collections::BTreeMap;

use csv::StringRecord;

use super::builder::{NetworkBuilder, SegmentDraft, middle_of};
use super::directions::{Stretch, one_way};
use super::model::{Network, SegmentFlags};
use super::report::{ImportReport, NetworkFormat, Omission};
use super::{NetworkError, tags};
use crate::units::{JunctionId, LocalFrame, Position};

/// One row, checked.
struct Row {
    from: String,
    to: String,
    shape: [Position; 2],
    road: tags::HighwayClass,
    length_m: f32,
    id: String,
    /// `Some(1)` along, `Some(-1)` against, `Some(0)` both ways, `None` not said.
    oneway: Option<i8>,
    lanes: Option<u8>,
    limit_mps: Option<f32>,
    name: Option<String>,
}

/// Where each column stands.
struct Columns {
    required: [usize; 8],
    id: Option<usize>,
    oneway: Option<usize>,
    lanes: Option<usize>,
    limit_mps: Option<usize>,
    name: Option<usize>,
}

const REQUIRED: [&str; 8] = [
    "from", "to", "highway", "lon1", "lat1", "lon2", "lat2", "len_m",
];

/// Reads a network from the bytes of a CSV file; `input` names it in messages.
///
/// # Errors
/// When a column is missing, a row can't be understood (the message names its line), or no road is
/// left.
pub fn read(input: &str, bytes: &[u8]) -> Result<(Network, ImportReport), NetworkError> {
    let mut report = ImportReport::new(NetworkFormat::Csv);
    let rows = rows(input, bytes, &mut report)?;
    let Some(middle) = middle_of(rows.iter().flat_map(|row| row.shape)) else {
        return Err(NetworkError::Empty {
            input: input.to_owned(),
        });
    };
    let recovered = recover_directions(&rows, middle, &mut report);

    let mut builder = NetworkBuilder::new(middle);
    let mut junctions: BTreeMap<&str, JunctionId> = BTreeMap::new();
    for (row, recovered) in rows.iter().zip(recovered) {
        let [start, end] = row.shape;
        let from = *junctions
            .entry(&row.from)
            .or_insert_with(|| builder.add_junction(start, false));
        let to = *junctions
            .entry(&row.to)
            .or_insert_with(|| builder.add_junction(end, false));
        let direction = row.oneway.unwrap_or(i8::from(recovered));
        let directions: &[i8] = match direction {
            1 => &[1],
            -1 => &[-1],
            _ => &[1, -1],
        };
        for &source_dir in directions {
            builder.add_segment(draft(row, from, to, source_dir))?;
        }
    }
    builder.connect_all(&mut |_, _| false);
    let network = builder.build()?;
    Ok((network, report))
}

fn draft(row: &Row, from: JunctionId, to: JunctionId, source_dir: i8) -> SegmentDraft {
    let along = source_dir > 0;
    let [start, end] = row.shape;
    SegmentDraft {
        from: if along { from } else { to },
        to: if along { to } else { from },
        shape: if along {
            vec![start, end]
        } else {
            vec![end, start]
        },
        length_m: Some(row.length_m),
        class: row.road.class,
        limit_mps: row.limit_mps,
        lanes: row.lanes,
        flags: SegmentFlags::default().with(SegmentFlags::LINK, row.road.is_link),
        layer: 0,
        source_id: row.id.clone(),
        source_dir,
        source_pair: 0,
        name: row.name.clone(),
        name_en: None,
    }
}

fn recover_directions(rows: &[Row], middle: Position, report: &mut ImportReport) -> Vec<bool> {
    let unsaid = rows.iter().filter(|row| row.oneway.is_none()).count();
    if unsaid == 0 {
        return vec![false; rows.len()];
    }
    let frame = LocalFrame::new(middle);
    let stretches: Vec<Stretch> = rows
        .iter()
        .map(|row| Stretch {
            from: frame.to_point(row.shape[0]),
            to: frame.to_point(row.shape[1]),
            class: row.road.class,
            is_link: row.road.is_link,
        })
        .collect();
    report.notes.push(format!(
        "{unsaid} roads don't say whether they are one-way: recovered from class and opposite \
         carriageways"
    ));
    one_way(&stretches)
}

fn rows(input: &str, bytes: &[u8], report: &mut ImportReport) -> Result<Vec<Row>, NetworkError> {
    let malformed = |place: String, problem: String| NetworkError::Malformed {
        input: input.to_owned(),
        place,
        problem,
    };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let header = reader
        .headers()
        .map_err(|error| malformed("line 1".into(), error.to_string()))?;
    let columns = columns(header).map_err(|problem| malformed("line 1".into(), problem))?;
    let mut rows = Vec::new();
    let mut record = StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                let line = error.position().map_or(line, csv::Position::line);
                return Err(malformed(format!("line {line}"), plain(&error)));
            }
        }
        let number = report.roads_read;
        report.roads_read += 1;
        let line = record.position().map_or(line, csv::Position::line);
        match row(&record, &columns, number) {
            Ok(row) => rows.push(row),
            Err(Problem::Omitted(cause)) => report.omit(cause),
            Err(Problem::Malformed(problem)) => {
                return Err(malformed(format!("line {line}"), problem));
            }
        }
    }
    Ok(rows)
}

/// The message of a CSV error without the position it repeats.
fn plain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("{len} fields, {expected_len} expected"),
        csv::ErrorKind::Utf8 { err, .. } => err.to_string(),
        _ => error.to_string(),
    }
}

fn columns(header: &StringRecord) -> Result<Columns, String> {
    let place = |name: &str| header.iter().position(|column| column == name);
    let mut required = [0; REQUIRED.len()];
    for (slot, name) in required.iter_mut().zip(REQUIRED) {
        *slot = place(name).ok_or_else(|| format!("column {name} is missing"))?;
    }
    Ok(Columns {
        required,
        id: place("id"),
        oneway: place("oneway"),
        lanes: place("lanes"),
        limit_mps: place("limit_mps"),
        name: place("name"),
    })
}

enum Problem {
    Omitted(Omission),
    Malformed(String),
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Malformed(problem)
    }
}

fn row(record: &StringRecord, columns: &Columns, number: u64) -> Result<Row, Problem> {
    let text = |column: usize| record.get(column).unwrap_or_default();
    let optional = |column: Option<usize>| column.map(text).filter(|text| !text.is_empty());
    let [from, to, highway, lon1, lat1, lon2, lat2, len_m] = columns.required;
    let read = |column: usize, name: &str| {
        text(column)
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
            .ok_or_else(|| format!("{name} {:?} is not a number", text(column)))
    };
    let shape = [
        Position::new(read(lon1, "lon1")?, read(lat1, "lat1")?),
        Position::new(read(lon2, "lon2")?, read(lat2, "lat2")?),
    ];
    if let Some(bad) = shape.iter().find(|position| !position.is_valid()) {
        let problem = format!("position {}, {} out of range", bad.lon_deg, bad.lat_deg);
        return Err(Problem::Malformed(problem));
    }
    let length_m = read(len_m, "len_m")? as f32;
    let oneway = optional(columns.oneway).map(direction).transpose()?;
    let lanes = optional(columns.lanes)
        .map(|text| {
            text.parse::<u8>()
                .ok()
                .filter(|&lanes| lanes > 0)
                .ok_or_else(|| format!("lanes {text:?} is not a number 1..=255"))
        })
        .transpose()?;
    let limit_mps = optional(columns.limit_mps)
        .map(|text| {
            text.parse::<f32>()
                .ok()
                .filter(|limit| limit.is_finite() && *limit > 0.0)
                .ok_or_else(|| format!("limit_mps {text:?} is not a speed above 0"))
        })
        .transpose()?;
    let road = tags::highway_class(text(highway)).map_err(Problem::Omitted)?;
    if length_m <= 0.0 {
        return Err(Problem::Omitted(Omission::NoLength));
    }
    Ok(Row {
        from: text(from).to_owned(),
        to: text(to).to_owned(),
        shape,
        road,
        length_m,
        id: optional(columns.id).map_or_else(|| number.to_string(), str::to_owned),
        oneway,
        lanes,
        limit_mps,
        name: optional(columns.name).map(str::to_owned),
    })
}

fn direction(text: &str) -> Result<i8, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" => Ok(1),
        "no" | "false" | "0" => Ok(0),
        "-1" | "reverse" => Ok(-1),
        _ => Err(format!("oneway {text:?} is none of yes, no, -1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::RoadClass;
    use crate::units::SegmentId;

    //        c
    //        │ 2 (both ways)
    //  a ──► b ──► d      0 and 1 one-way by their column
    const SMALL: &str = "\
from,to,highway,lon1,lat1,lon2,lat2,len_m,id,oneway,lanes,limit_mps,name
a,b,primary,114.30,30.55,114.301,30.55,96,r0,yes,3,16.67,珞喻路
b,d,primary_link,114.301,30.55,114.302,30.55,96,r1,yes,,,
b,c,residential,114.301,30.55,114.301,30.551,111,r2,no,,,
";

    fn problem(text: &str) -> String {
        read("x.csv", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn reads_every_column() {
        let (network, report) = read("x.csv", SMALL.as_bytes()).unwrap();
        assert_eq!((network.segment_count(), network.junction_count()), (4, 4));
        assert_eq!(report.roads_read, 3);
        let first = network.segment(SegmentId(0));
        assert_eq!((first.class(), first.lanes), (RoadClass::Primary, 3));
        assert!((first.limit_mps - 16.67).abs() < 1e-4 && (first.length_m - 96.0).abs() < 1e-4);
        assert_eq!(network.source_id(SegmentId(0)), "r0");
        assert_eq!(network.name(SegmentId(0)), Some("珞喻路"));
        assert_eq!(network.name(SegmentId(1)), None);
        let link = network.segment(SegmentId(1));
        assert!(link.flags.contains(SegmentFlags::LINK));
        assert_eq!((link.lanes, link.class()), (2, RoadClass::Primary));
        let (up, down) = (network.segment(SegmentId(2)), network.segment(SegmentId(3)));
        assert_eq!((up.source_dir, down.source_dir), (1, -1));
        assert_eq!(up.twin(), Some(SegmentId(3)));
        assert_eq!(
            network.shape(SegmentId(3))[0],
            network.shape(SegmentId(2))[1]
        );
        let exits: Vec<u32> = network
            .movements_from(SegmentId(0))
            .iter()
            .map(|movement| movement.to().0)
            .collect();
        assert_eq!(exits, [1, 2]);
        let back: Vec<u32> = network
            .movements_from(SegmentId(3))
            .iter()
            .map(|movement| movement.to().0)
            .collect();
        assert_eq!(back, [1]);
    }

    #[test]
    fn a_row_without_id_is_called_by_its_number() {
        let text = "from,to,highway,lon1,lat1,lon2,lat2,len_m\n\
                    1,2,footway,114,30,114.001,30,96\n\
                    2,3,motorway,114.001,30,114.002,30,96\n";
        let (network, report) = read("x.csv", text.as_bytes()).unwrap();
        assert_eq!(network.source_id(SegmentId(0)), "1");
        assert_eq!(network.segment_count(), 1);
        assert_eq!(report.omitted(Omission::NotForVehicles), 1);
    }

    #[test]
    fn says_where_a_row_is_wrong() {
        let rows = |row: &str| format!("from,to,highway,lon1,lat1,lon2,lat2,len_m\n{row}\n");
        assert_eq!(
            problem("from,to\n"),
            "x.csv: line 1: column highway is missing"
        );
        assert_eq!(
            problem(&rows("1,2,primary,114,30,abc,30,96")),
            "x.csv: line 2: lon2 \"abc\" is not a number"
        );
        assert_eq!(
            problem(&rows("1,2,primary,114,30,114,91,96")),
            "x.csv: line 2: position 114, 91 out of range"
        );
        assert_eq!(
            problem(&rows("1,2,primary,114,30")),
            "x.csv: line 2: 5 fields, 8 expected"
        );
        assert_eq!(problem(&rows("")), "x.csv: no drivable segment found");
        assert_eq!(problem(""), "x.csv: line 1: column from is missing");
    }

    #[test]
    fn reads_wuhan() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../shared/data/networks/wuhan_edges_wgs84.csv.gz"
        );
        let Ok(bytes) = std::fs::read(path) else {
            println!("skipped: {path} is absent");
            return;
        };
        let (network, report) = crate::network::load("wuhan", bytes).unwrap();
        assert_eq!(report.roads_read, 92_667);
        assert_eq!(report.omitted(Omission::NotForVehicles), 639);
        assert!((138_000..143_000).contains(&network.segment_count()));
        let mut near = 0;
        let centre = network
            .frame()
            .to_point(Position::new(114.2999512, 30.5955177));
        network.candidates_within(centre, 200.0, &mut |_| near += 1);
        assert!(near > 0);
    }
}
