//! Places of detectors from CSV: cameras, radars and loops given by where they look.
//!
//! Columns `id`, `lon`, `lat` (WGS-84 degrees), `heading` (degrees clockwise from north in which the
//! observed traffic drives); optional `lane` (from the right, 0 first; default 0) and `length` (m,
//! default 0). A length of 0 is a point. Otherwise the detector sees so much road before `lon`,
//! `lat`: for a radar or camera at a stop line that is the stop line.

use csv::StringRecord;

use super::DetectorTable;
use super::detector::{DETECTOR_COUNT_MAX, DetectorError, DetectorKind, DetectorPlace};
use crate::network::{Candidate, Network};
use crate::units::{Position, heading_difference_deg};

/// How far a detector may stand from the middle of its road, m. Chosen: a wide carriageway.
const DISTANCE_MAX_M: f32 = 30.0;

/// How far the traffic's heading may lie off the segment's, degrees. Chosen: tells the carriageways
/// of a road, and a road from its cross streets.
const HEADING_OFF_MAX_DEG: f32 = 45.0;

impl DetectorTable {
    /// Adds the detectors of a file: rows of CSV where its name ends in `.csv`, else a SUMO
    /// additional file ([`DetectorTable::read_sumo`]).
    ///
    /// The columns of CSV are `id`, `lon`, `lat` (WGS-84) and `heading` (degrees clockwise from
    /// north, of the traffic), and where wanted `lane` (from the right, 0 first) and `length` (m of
    /// road seen before that place; 0 or none for a point). A detector belongs to the nearest
    /// segment within 30 m that leads the same way; its stretch ends at the start of the segment at
    /// the latest. One without such a segment is skipped and listed by [`DetectorTable::skipped`].
    ///
    /// # Errors
    /// When the bytes are not of that form (the message names the line) or hold too many detectors.
    pub fn read(
        &mut self,
        network: &Network,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), DetectorError> {
        if name.ends_with(".csv") {
            self.read_csv(network, bytes)
        } else {
            self.read_sumo(network, bytes)
        }
    }

    fn read_csv(&mut self, network: &Network, bytes: &[u8]) -> Result<(), DetectorError> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let header = reader.headers().map_err(|error| csv_error(1, &error))?;
        let columns = Columns::of(header)?;
        for record in reader.records() {
            let record = record.map_err(|error| {
                let line = error.position().map_or(0, csv::Position::line);
                csv_error(line, &error)
            })?;
            let row = columns.row(&record)?;
            match row.place(network) {
                Some(place) => self.insert(row.id, place),
                None => self.skip(row.id),
            }
            if self.len() > DETECTOR_COUNT_MAX {
                return Err(DetectorError::TooMany);
            }
        }
        Ok(())
    }
}

fn csv_error(line: u64, problem: &dyn std::fmt::Display) -> DetectorError {
    DetectorError::Csv {
        line,
        problem: problem.to_string(),
    }
}

/// Where each column stands.
struct Columns {
    id: usize,
    /// Longitude, latitude and heading.
    numbers: [usize; 3],
    lane: Option<usize>,
    length: Option<usize>,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, DetectorError> {
        let find = |name: &str| header.iter().position(|found| found == name);
        let need = |name: &str| {
            find(name).ok_or_else(|| csv_error(1, &format!("column `{name}` is missing")))
        };
        Ok(Self {
            id: need("id")?,
            numbers: [need("lon")?, need("lat")?, need("heading")?],
            lane: find("lane"),
            length: find("length"),
        })
    }

    fn row<'a>(&self, record: &'a StringRecord) -> Result<Row<'a>, DetectorError> {
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |index: usize| record.get(index).unwrap_or_default();
        let number = |index: usize, what: &str| -> Result<f64, DetectorError> {
            let number: Option<f64> = cell(index).parse().ok();
            let number = number.filter(|number| number.is_finite());
            number.ok_or_else(|| csv_error(line, &format!("{what} `{}`", cell(index))))
        };
        let optional = |index: Option<usize>, what: &str| match index {
            Some(index) if !cell(index).is_empty() => number(index, what),
            _ => Ok(0.0),
        };
        let [lon, lat, heading] = self.numbers;
        let position = Position::new(number(lon, "lon")?, number(lat, "lat")?);
        let lane = optional(self.lane, "lane")?;
        let length_m = optional(self.length, "length")?;
        if cell(self.id).is_empty() {
            return Err(csv_error(line, &"id is empty"));
        }
        if !position.is_valid() {
            return Err(csv_error(line, &"lon and lat are no position"));
        }
        if !(0.0..=255.0).contains(&lane) || lane.fract() > 0.0 {
            return Err(csv_error(
                line,
                &format!("lane {lane} is no number of a lane"),
            ));
        }
        if length_m < 0.0 {
            return Err(csv_error(line, &format!("length {length_m} m is negative")));
        }
        Ok(Row {
            id: cell(self.id),
            position,
            heading_deg: number(heading, "heading")?.rem_euclid(360.0) as f32,
            lane: lane as u8,
            length_m: length_m as f32,
        })
    }
}

/// One row, checked.
struct Row<'a> {
    id: &'a str,
    position: Position,
    heading_deg: f32,
    lane: u8,
    length_m: f32,
}

impl Row<'_> {
    fn place(&self, network: &Network) -> Option<DetectorPlace> {
        let point = network.frame().to_point(self.position);
        let mut nearest: Option<Candidate> = None;
        network.candidates_within(point, DISTANCE_MAX_M, &mut |found| {
            let off_deg = heading_difference_deg(found.heading_deg, self.heading_deg).abs();
            let is_nearer = nearest.is_none_or(|best| found.distance_m < best.distance_m);
            if off_deg <= HEADING_OFF_MAX_DEG && is_nearer {
                nearest = Some(found);
            }
        });
        let nearest = nearest?;
        let length_m = self.length_m.min(nearest.offset_m);
        Some(DetectorPlace {
            segment: nearest.segment,
            offset_m: nearest.offset_m - length_m,
            length_m,
            lane: self.lane,
            kind: match self.length_m > 0.0 {
                true => DetectorKind::Area,
                false => DetectorKind::Point,
            },
        })
    }
}
