//! Inputs of a replay: probe files, detector files, trace CSVs and recordings, merged by time.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;

use super::columns::{self, Column};
use super::recording::{Entry, Recording};
use crate::observation::{DetectorReading, RawMessage};
use crate::units::{Position, SourceId, Timestamp};
use crate::wire::{ProbeRecord, VehicleName, protobuf};

/// The topic under which records of files enter; the native protobuf decoder serves it.
pub const FILE_TOPIC: &str = "roadcast/v1/vehicle/replay/batch/up";

/// One thing to feed the engine with.
#[derive(Clone, Debug)]
pub enum Item {
    /// A message, received at the given time.
    Message(Timestamp, RawMessage),
    /// A detector reading, known at the given time.
    Detector(Timestamp, DetectorReading),
}

impl Item {
    /// When it became known.
    pub fn known_at(&self) -> Timestamp {
        match self {
            Self::Message(now, _) | Self::Detector(now, _) => *now,
        }
    }
}

/// Everything a replay reads, in the order in which it is fed.
#[derive(Debug)]
pub struct Inputs {
    probes: Vec<ProbeRow>,
    names: Vec<Arc<str>>,
    readings: Vec<DetectorReading>,
    recordings: Vec<RecordedEntries>,
}

/// One probe record of a file.
#[derive(Clone, Copy, Debug)]
struct ProbeRow {
    time_ms: i64,
    /// File, as given on the command line.
    source: u32,
    name: u32,
    position: Position,
    speed_mps: Option<f32>,
    heading_deg: Option<f32>,
}

impl Inputs {
    /// Opens and reads the files; recordings are read while they are fed.
    ///
    /// # Errors
    /// When a file cannot be read or is of no known kind.
    pub fn open(paths: &[impl AsRef<Path>]) -> anyhow::Result<Self> {
        let mut inputs = Self {
            probes: Vec::new(),
            names: Vec::new(),
            readings: Vec::new(),
            recordings: Vec::new(),
        };
        for (source, path) in paths.iter().enumerate() {
            let path = path.as_ref();
            inputs
                .open_one(path, source as u32)
                .with_context(|| path.display().to_string())?;
        }
        // Stable: rows of one file and time keep their order.
        inputs.probes.sort_by_key(|row| (row.time_ms, row.source));
        inputs.readings.sort_by_key(|reading| reading.end);
        Ok(inputs)
    }

    fn open_one(&mut self, path: &Path, source: u32) -> anyhow::Result<()> {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.ends_with(".parquet") {
            let columns = columns::read(path)?;
            if columns.contains_key("angle") {
                return self.add_probes(&columns, source);
            }
            if columns.contains_key("begin") && columns.contains_key("id") {
                return self.add_detectors(&columns);
            }
            bail!("neither probes (t, id, lon, lat, speed, angle) nor SUMO detectors");
        }
        if name.ends_with(".csv") || name.ends_with(".csv.gz") {
            return self.add_traces(path, source);
        }
        self.recordings.push(RecordedEntries::open(path)?);
        Ok(())
    }

    /// Probes as SUMO's FCD export writes them: t s, lon and lat 1e-6 degree, speed cm/s, angle
    /// 0.1 degree clockwise from north.
    fn add_probes(&mut self, columns: &Columns, source: u32) -> anyhow::Result<()> {
        let ids = text(columns, "id")?;
        let (time, lon) = (column(columns, "t")?, column(columns, "lon")?);
        let (lat, speed) = (column(columns, "lat")?, column(columns, "speed")?);
        let angle = column(columns, "angle")?;
        let mut last: Option<(Arc<str>, u32)> = None;
        let mut known = std::collections::BTreeMap::new();
        for (row, id) in ids.iter().enumerate() {
            let name = match &last {
                Some((text, name)) if Arc::ptr_eq(text, id) => *name,
                _ => *known.entry(id.clone()).or_insert_with(|| {
                    self.names.push(id.clone());
                    self.names.len() as u32 - 1
                }),
            };
            last = Some((id.clone(), name));
            self.probes.push(ProbeRow {
                time_ms: (time.number(row) * 1e3).round() as i64,
                source,
                name,
                position: Position::new(lon.number(row) / 1e6, lat.number(row) / 1e6),
                speed_mps: Some((speed.number(row) / 100.0) as f32),
                heading_deg: Some((angle.number(row) / 10.0) as f32),
            });
        }
        Ok(())
    }

    /// Loops (`e1`) and lane areas (`e2`) as SUMO writes them; -1 means that nothing was seen.
    fn add_detectors(&mut self, columns: &Columns) -> anyhow::Result<()> {
        let ids = text(columns, "id")?;
        let (begin, end) = (column(columns, "begin")?, column(columns, "end")?);
        let is_loop = columns.contains_key("nVehContrib");
        let is_area = columns.contains_key("meanSpeed");
        ensure!(
            is_loop || is_area,
            "neither loops (nVehContrib) nor lane areas (meanSpeed)"
        );
        let (count, speed, occupancy) = if is_loop {
            ("nVehContrib", "speed", "occupancy")
        } else {
            ("nVehSeen", "meanSpeed", "meanOccupancy")
        };
        let (count, speed) = (column(columns, count)?, column(columns, speed)?);
        let occupancy = column(columns, occupancy)?;
        let seen = |value: f64| (value >= 0.0).then_some(value as f32);
        for (row, id) in ids.iter().enumerate() {
            let area = |name: &str| -> anyhow::Result<Option<f32>> {
                if is_loop {
                    Ok(None)
                } else {
                    Ok(seen(column(columns, name)?.number(row)))
                }
            };
            self.readings.push(DetectorReading {
                start: Timestamp::from_millis((begin.number(row) * 1e3).round() as i64),
                end: Timestamp::from_millis((end.number(row) * 1e3).round() as i64),
                detector: id.clone(),
                vehicle_count: seen(count.number(row)).unwrap_or(0.0),
                speed_mps: seen(speed.number(row)),
                occupancy: seen(occupancy.number(row)).map(|percent| percent / 100.0),
                sampled_seconds: area("sampledSeconds")?,
                queue_length_m: area("maxJamLengthInMeters")?,
            });
        }
        Ok(())
    }

    fn add_traces(&mut self, path: &Path, source: u32) -> anyhow::Result<()> {
        let file = std::fs::read(path)?;
        let mut bytes = Vec::new();
        if file.starts_with(&[0x1f, 0x8b]) {
            flate2::read::MultiGzDecoder::new(file.as_slice()).read_to_end(&mut bytes)?;
        } else {
            bytes = file;
        }
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let headers = reader.headers()?.clone();
        let find = |name: &str| headers.iter().position(|header| header == name);
        let need = |name: &str| find(name).with_context(|| format!("column {name} is missing"));
        let (trace, time) = (need("trace_id")?, need("t")?);
        let (lon, lat) = (need("lon")?, need("lat")?);
        let (speed, heading) = (find("speed_mps"), find("heading_deg"));
        let mut known = std::collections::BTreeMap::new();
        for (row, record) in reader.records().enumerate() {
            let record = record?;
            let number = |index: usize| -> anyhow::Result<f64> {
                let field = record.get(index).unwrap_or_default();
                field
                    .parse()
                    .with_context(|| format!("line {}: number {field:?}", row + 2))
            };
            let optional = |index: Option<usize>| {
                let value = index.and_then(|index| record.get(index)?.parse::<f32>().ok());
                value.filter(|value| value.is_finite())
            };
            let id = record.get(trace).unwrap_or_default();
            let name = *known.entry(id.to_owned()).or_insert_with(|| {
                self.names.push(Arc::from(id));
                self.names.len() as u32 - 1
            });
            self.probes.push(ProbeRow {
                time_ms: (number(time)? * 1e3).round() as i64,
                source,
                name,
                position: Position::new(number(lon)?, number(lat)?),
                speed_mps: optional(speed),
                heading_deg: optional(heading),
            });
        }
        Ok(())
    }

    /// Encodes everything into messages of at most `batch` records, in order of time.
    ///
    /// # Errors
    /// When a recording breaks off inside.
    pub fn into_items(self, batch: usize) -> anyhow::Result<Vec<Item>> {
        let mut items = Vec::new();
        self.for_each(batch, &mut |item| {
            items.push(item);
            Ok(())
        })?;
        Ok(items)
    }

    /// Encodes everything into messages of at most `batch` records and hands it over in order of
    /// time, reading recordings as it goes. Records of recordings keep the messages they were recorded in.
    ///
    /// # Errors
    /// When a recording breaks off inside, or `feed` fails.
    pub fn for_each(
        mut self,
        batch: usize,
        feed: &mut dyn FnMut(Item) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut recorded = Vec::new();
        for recording in &mut self.recordings {
            recorded.push(recording.next_entry()?);
        }
        let (mut probe, mut reading) = (0, 0);
        loop {
            let probe_time = self.probes.get(probe).map(|row| row.time_ms);
            let reading_time = self
                .readings
                .get(reading)
                .map(|reading| reading.end.as_millis());
            let recording = recorded
                .iter()
                .enumerate()
                .filter_map(|(index, entry)| Some((entry.as_ref()?.0.as_millis(), index)))
                .min();
            let recorded_time = recording.map(|(time, _)| time);
            let Some(next) = [reading_time, probe_time, recorded_time]
                .into_iter()
                .flatten()
                .min()
            else {
                return Ok(());
            };
            if reading_time == Some(next) {
                let item = self.readings[reading].clone();
                feed(Item::Detector(item.end, item))?;
                reading += 1;
            } else if probe_time == Some(next) {
                // A message ends where another input comes in between, so that the order of records
                // does not depend on the batch.
                let until = [reading_time, recorded_time].into_iter().flatten().min();
                let source = self.probes[probe].source;
                let first = probe;
                while probe - first < batch
                    && self.probes.get(probe).is_some_and(|row| {
                        row.source == source && until.is_none_or(|until| row.time_ms < until)
                            || probe == first
                    })
                {
                    probe += 1;
                }
                feed(self.message(first..probe))?;
            } else if let Some((_, index)) = recording {
                let following = self.recordings[index].next_entry()?;
                if let Some((now, message)) = std::mem::replace(&mut recorded[index], following) {
                    feed(Item::Message(now, message))?;
                }
            }
        }
    }

    fn message(&self, rows: std::ops::Range<usize>) -> Item {
        let rows = &self.probes[rows];
        let record = |row: &ProbeRow| ProbeRecord {
            id: VehicleName::Text(&self.names[row.name as usize]),
            observed_at: Timestamp::from_millis(row.time_ms),
            position: row.position,
            speed_mps: row.speed_mps,
            heading_deg: row.heading_deg,
            accel_mps2: None,
            kind: None,
        };
        let records: Vec<ProbeRecord<'_>> = rows.iter().map(record).collect();
        let mut payload = Vec::new();
        protobuf::encode_batch(&records, &mut payload);
        let newest = rows.iter().map(|row| row.time_ms).max().unwrap_or_default();
        let now = Timestamp::from_millis(newest);
        let message = RawMessage {
            received_at: now,
            source: SourceId(rows[0].source),
            topic: FILE_TOPIC.into(),
            payload: Bytes::from(payload),
        };
        Item::Message(now, message)
    }
}

/// The entries of one recording, one at a time.
#[derive(Debug)]
struct RecordedEntries {
    recording: Recording,
    block: std::collections::VecDeque<Entry>,
}

impl RecordedEntries {
    fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            recording: Recording::open(path)?,
            block: Default::default(),
        })
    }

    fn next_entry(&mut self) -> anyhow::Result<Option<Entry>> {
        let mut entries = Vec::new();
        while self.block.is_empty() {
            if !self.recording.next_block(&mut entries)? {
                return Ok(None);
            }
            self.block.extend(entries.drain(..));
        }
        Ok(self.block.pop_front())
    }
}

type Columns = std::collections::BTreeMap<String, Column>;

fn column<'a>(columns: &'a Columns, name: &str) -> anyhow::Result<&'a Column> {
    columns
        .get(name)
        .with_context(|| format!("column {name} is missing"))
}

fn text<'a>(columns: &'a Columns, name: &str) -> anyhow::Result<&'a [Arc<str>]> {
    match column(columns, name)? {
        Column::Text(values) => Ok(values),
        _ => bail!("column {name} is not text"),
    }
}
