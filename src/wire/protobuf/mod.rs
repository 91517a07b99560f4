//! The native columnar batch in protobuf: one message holds the same field of all its records side
//! by side, differences first, about 20 bytes a record. `docs/wire.md` has the `.proto` text.
//!
//! The decoder walks the columns in place. A message that is valid protobuf but not laid out as
//! one packed run a column (another writer may split them) is read through prost instead, with
//! the same result.

use prost::Message;

use crate::observation::{Decoded, Origin, RejectReason};
use crate::units::{Position, SubjectId};

use super::record::{Fix, ProbeRecord};

mod columns;

use columns::{Columns, Varints};

/// Position steps of one degree.
const STEPS_PER_DEG: f64 = 1e7;

/// Speed steps of one m/s.
const STEPS_PER_MPS: f64 = 100.0;

/// Heading steps of one degree.
const STEPS_PER_HEADING_DEG: f64 = 10.0;

/// The message on the wire. Element `i` of every column belongs to record `i`; `speed` and
/// `heading` may be left out whole.
#[derive(Clone, PartialEq, prost::Message)]
struct ProbeBatch {
    /// Event time of the first record before its difference, ms since the Unix epoch.
    #[prost(sint64, tag = "1")]
    base_ts_ms: i64,
    /// Milliseconds since the record before.
    #[prost(sint64, repeated, tag = "2")]
    ts_delta_ms: Vec<i64>,
    /// Pseudonyms.
    #[prost(fixed64, repeated, tag = "3")]
    subject: Vec<u64>,
    /// Longitude less that of the record before, 1e-7 degree; the first counts from 0.
    #[prost(sint64, repeated, tag = "4")]
    lon_delta_e7: Vec<i64>,
    /// Latitude less that of the record before, 1e-7 degree; the first counts from 0.
    #[prost(sint64, repeated, tag = "5")]
    lat_delta_e7: Vec<i64>,
    /// Speed in 0.01 m/s plus 1; 0 is unknown.
    #[prost(uint64, repeated, tag = "6")]
    speed_cmps_plus_1: Vec<u64>,
    /// Heading in 0.1 degree plus 1; 0 is unknown.
    #[prost(uint64, repeated, tag = "7")]
    heading_deci_deg_plus_1: Vec<u64>,
}

/// Adds what `payload` holds to `out`. Records beyond `records_max` and records with values out of
/// range are counted; a payload that breaks off, breaks the grammar or has columns of different
/// length is refused whole and counts one.
pub fn decode(payload: &[u8], records_max: usize, out: &mut Decoded) {
    let kept = out.observations.len();
    let counted = out.rejected.clone();
    let result = match Columns::parse(payload) {
        Some(columns) => decode_columns(columns, records_max, out),
        None => decode_with_prost(payload, records_max, out),
    };
    if let Err(reason) = result {
        out.observations.truncate(kept);
        out.rejected = counted;
        out.rejected.add(reason, 1);
    }
}

/// Sums the differences of one batch up to records.
#[derive(Default)]
struct Running {
    ts_ms: i64,
    lon_e7: i64,
    lat_e7: i64,
}

/// One element of every column.
struct Row {
    ts_delta_ms: i64,
    subject: u64,
    lon_delta_e7: i64,
    lat_delta_e7: i64,
    speed_plus_1: u64,
    heading_plus_1: u64,
}

impl Running {
    #[inline]
    fn push(&mut self, row: &Row, out: &mut Decoded) {
        // Wrapping sums are as good as any: a batch that wraps has left every range before.
        self.ts_ms = self.ts_ms.wrapping_add(row.ts_delta_ms);
        self.lon_e7 = self.lon_e7.wrapping_add(row.lon_delta_e7);
        self.lat_e7 = self.lat_e7.wrapping_add(row.lat_delta_e7);
        let known = |plus_1: u64, steps_per_unit: f64| {
            plus_1
                .checked_sub(1)
                .map(|steps| steps as f64 / steps_per_unit)
        };
        let fix = Fix {
            observed_ms: self.ts_ms,
            subject: SubjectId(row.subject),
            position: Position::new(
                self.lon_e7 as f64 / STEPS_PER_DEG,
                self.lat_e7 as f64 / STEPS_PER_DEG,
            ),
            speed_mps: known(row.speed_plus_1, STEPS_PER_MPS),
            heading_deg: known(row.heading_plus_1, STEPS_PER_HEADING_DEG),
        };
        match fix.observation(Origin::Probe) {
            Ok(observation) => out.observations.push(observation),
            Err(reason) => out.rejected.add(reason, 1),
        }
    }
}

/// Checks that the columns belong together and returns how many records to read.
fn record_count(
    subjects: usize,
    required: [usize; 3],
    optional: [usize; 2],
    records_max: usize,
    out: &mut Decoded,
) -> Result<usize, RejectReason> {
    let agree = required.iter().all(|count| *count == subjects)
        && optional
            .iter()
            .all(|count| *count == subjects || *count == 0);
    if !agree {
        return Err(RejectReason::Malformed);
    }
    let excess = subjects.saturating_sub(records_max);
    out.rejected
        .add(RejectReason::TooManyRecords, excess as u64);
    Ok(subjects - excess)
}

fn decode_columns(
    columns: Columns<'_>,
    records_max: usize,
    out: &mut Decoded,
) -> Result<(), RejectReason> {
    let (subjects, torn) = columns.subject.as_chunks::<8>();
    if !torn.is_empty() {
        return Err(RejectReason::Malformed);
    }
    let count = record_count(
        subjects.len(),
        [columns.ts, columns.lon, columns.lat].map(Varints::count),
        [columns.speed, columns.heading].map(Varints::count),
        records_max,
        out,
    )?;
    let Columns {
        mut ts,
        mut lon,
        mut lat,
        mut speed,
        mut heading,
        ..
    } = columns;
    let (no_speed, no_heading) = (speed.is_empty(), heading.is_empty());
    let mut running = Running {
        ts_ms: columns.base_ts_ms,
        ..Running::default()
    };
    out.observations.reserve(count);
    for (index, subject) in subjects.iter().enumerate() {
        let row = Row {
            ts_delta_ms: ts.next_signed()?,
            subject: u64::from_le_bytes(*subject),
            lon_delta_e7: lon.next_signed()?,
            lat_delta_e7: lat.next_signed()?,
            speed_plus_1: if no_speed { 0 } else { speed.next()? },
            heading_plus_1: if no_heading { 0 } else { heading.next()? },
        };
        if index < count {
            running.push(&row, out);
        }
    }
    Ok(())
}

#[cold]
fn decode_with_prost(
    payload: &[u8],
    records_max: usize,
    out: &mut Decoded,
) -> Result<(), RejectReason> {
    // prost does not tell a payload that breaks off from one that is nonsense.
    let batch = ProbeBatch::decode(payload).map_err(|_error| RejectReason::Malformed)?;
    let count = record_count(
        batch.subject.len(),
        [&batch.ts_delta_ms, &batch.lon_delta_e7, &batch.lat_delta_e7].map(Vec::len),
        [&batch.speed_cmps_plus_1, &batch.heading_deci_deg_plus_1].map(Vec::len),
        records_max,
        out,
    )?;
    let mut running = Running {
        ts_ms: batch.base_ts_ms,
        ..Running::default()
    };
    let optional = |column: &[u64], index: usize| column.get(index).copied().unwrap_or(0);
    for index in 0..count {
        let row = Row {
            ts_delta_ms: batch.ts_delta_ms[index],
            subject: batch.subject[index],
            lon_delta_e7: batch.lon_delta_e7[index],
            lat_delta_e7: batch.lat_delta_e7[index],
            speed_plus_1: optional(&batch.speed_cmps_plus_1, index),
            heading_plus_1: optional(&batch.heading_deci_deg_plus_1, index),
        };
        running.push(&row, out);
    }
    Ok(())
}

/// Appends `records` to `out` as one batch message.
///
/// Positions are kept to 1e-7 degree (1 cm), speeds to 0.01 m/s, headings to 0.1 degree; names
/// leave as their pseudonyms, acceleration and kind do not leave. Values are not checked; a
/// negative or non-finite speed or heading leaves as 0.
pub fn encode_batch(records: &[ProbeRecord<'_>], out: &mut Vec<u8>) {
    let steps = |value: Option<f32>, per_unit: f64| match value.map(|v| f64::from(v) * per_unit) {
        None => 0,
        Some(steps) => steps.round() as u64 + 1,
    };
    let mut batch = ProbeBatch::with_capacity(records.len());
    batch.base_ts_ms = records.first().map_or(0, |r| r.observed_at.as_millis());
    let (mut ts_ms, mut lon_e7, mut lat_e7) = (batch.base_ts_ms, 0, 0);
    for record in records {
        let ms = record.observed_at.as_millis();
        let lon = (record.position.lon_deg * STEPS_PER_DEG).round() as i64;
        let lat = (record.position.lat_deg * STEPS_PER_DEG).round() as i64;
        batch.ts_delta_ms.push(ms.wrapping_sub(ts_ms));
        batch.subject.push(record.id.subject().0);
        batch.lon_delta_e7.push(lon.wrapping_sub(lon_e7));
        batch.lat_delta_e7.push(lat.wrapping_sub(lat_e7));
        batch
            .speed_cmps_plus_1
            .push(steps(record.speed_mps, STEPS_PER_MPS));
        batch
            .heading_deci_deg_plus_1
            .push(steps(record.heading_deg, STEPS_PER_HEADING_DEG));
        (ts_ms, lon_e7, lat_e7) = (ms, lon, lat);
    }
    out.reserve(batch.encoded_len());
    // `encode_raw` writes into a growing buffer, which cannot run out of room.
    batch.encode_raw(out);
}

impl ProbeBatch {
    fn with_capacity(count: usize) -> Self {
        Self {
            base_ts_ms: 0,
            ts_delta_ms: Vec::with_capacity(count),
            subject: Vec::with_capacity(count),
            lon_delta_e7: Vec::with_capacity(count),
            lat_delta_e7: Vec::with_capacity(count),
            speed_cmps_plus_1: Vec::with_capacity(count),
            heading_deci_deg_plus_1: Vec::with_capacity(count),
        }
    }
}

#[cfg(test)]
mod tests;
