//! Reads states back: only the row groups that can hold what is asked for, only the rows of them
//! from the first to the last segment asked for, and only the columns that history needs.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::statistics::Statistics;

use crate::state::Provenance;
use crate::units::Timestamp;

/// What history needs of a state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) segment: u32,
    pub(super) start_ms: i64,
    pub(super) speed_mps: f32,
    pub(super) level: u8,
    pub(super) provenance: Provenance,
    /// Road users, flow veh/h and queue m, where they are known.
    pub(super) samples: Option<u32>,
    pub(super) flow_vph: Option<f32>,
    pub(super) queue_m: Option<f32>,
}

/// What is asked of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Network version, as files name it.
    pub(super) network: &'a str,
    /// Segments, ascending.
    pub(super) segments: &'a [u32],
    /// First start, ms.
    pub(super) from_ms: i64,
    /// First start that is not wanted any more, ms.
    pub(super) to_ms: i64,
}

fn open(path: &Path) -> anyhow::Result<SerializedFileReader<File>> {
    Ok(SerializedFileReader::new(File::open(path)?)?)
}

fn metadata(reader: &SerializedFileReader<File>, key: &str) -> Option<String> {
    let pairs = reader.metadata().file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.clone()
}

/// Start of the last minute in a file.
pub(super) fn last_start(path: &Path) -> anyhow::Result<Timestamp> {
    let text = metadata(&open(path)?, "last_start_ms").context("no last_start_ms")?;
    Ok(Timestamp::from_millis(text.parse()?))
}

/// Which minutes a file holds, and of which network version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) network: String,
    /// Starts of the first and the last minute, ms.
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
}

/// Reads the span of a file.
pub(super) fn span(path: &Path) -> anyhow::Result<Span> {
    let reader = open(path)?;
    let text = |key: &str| metadata(&reader, key).with_context(|| format!("no {key}"));
    Ok(Span {
        network: text("network")?,
        first_ms: text("first_start_ms")?.parse()?,
        last_ms: text("last_start_ms")?.parse()?,
    })
}

/// Calls `visit` for every state of a file that is wanted; returns how many rows were decoded for
/// it, or `None` where the file is of another network version.
pub(super) fn scan(
    path: &Path,
    wanted: &Wanted<'_>,
    mut visit: impl FnMut(&Seen),
) -> anyhow::Result<Option<u64>> {
    let reader = open(path)?;
    if metadata(&reader, "network").as_deref() != Some(wanted.network) {
        return Ok(None);
    }
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let index_of = |name: &str| {
        let found = schema.columns().iter().position(|c| c.name() == name);
        found.with_context(|| format!("no column {name}"))
    };
    let names = [
        "segment",
        "start",
        "speed_mps",
        "level",
        "provenance",
        "samples",
        "flow_vph",
        "queue_length_m",
    ];
    let mut columns = [0; 8];
    for (column, name) in columns.iter_mut().zip(names) {
        *column = index_of(name)?;
    }
    let mut rows_read = 0;
    for index in 0..reader.num_row_groups() {
        if may_hold(reader.metadata().row_group(index), columns, wanted) {
            let group = reader.get_row_group(index)?;
            rows_read += scan_group(&*group, columns, wanted, &mut visit)?;
        }
    }
    Ok(Some(rows_read))
}

/// Whether the statistics of a row group leave room for something wanted.
fn may_hold(group: &RowGroupMetaData, columns: [usize; 8], wanted: &Wanted<'_>) -> bool {
    let of_segments = match group.column(columns[0]).statistics() {
        Some(Statistics::Int32(range)) => range.min_opt().zip(range.max_opt()),
        _ => None,
    };
    let of_starts = match group.column(columns[1]).statistics() {
        Some(Statistics::Int64(range)) => range.min_opt().zip(range.max_opt()),
        _ => None,
    };
    of_segments.is_none_or(|(&first, &last)| {
        let next = wanted.segments.partition_point(|&id| (id as i32) < first);
        wanted
            .segments
            .get(next)
            .is_some_and(|&id| id as i32 <= last)
    }) && of_starts.is_none_or(|(&first, &last)| first < wanted.to_ms && last >= wanted.from_ms)
}

/// The values of `count` rows behind `skip` rows, with their definition levels where the column has
/// nulls.
fn read<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    skip: usize,
    count: usize,
    has_nulls: bool,
) -> anyhow::Result<(Vec<T::T>, Vec<i16>)> {
    ensure!(reader.skip_records(skip)? == skip, "rows are missing");
    let (mut values, mut levels) = (Vec::with_capacity(count), Vec::new());
    let mut left = count;
    while left > 0 {
        let levels = has_nulls.then_some(&mut levels);
        let (records, _, _) = reader.read_records(left, levels, None, &mut values)?;
        ensure!(records > 0, "rows are missing");
        left -= records;
    }
    Ok((values, levels))
}

fn whole_numbers(
    reader: ColumnReader,
    skip: usize,
    count: usize,
    has_nulls: bool,
) -> anyhow::Result<(Vec<i32>, Vec<i16>)> {
    match reader {
        ColumnReader::Int32ColumnReader(reader) => read(reader, skip, count, has_nulls),
        _ => bail!("a column is not int32"),
    }
}

fn numbers(
    reader: ColumnReader,
    skip: usize,
    count: usize,
    has_nulls: bool,
) -> anyhow::Result<(Vec<f32>, Vec<i16>)> {
    match reader {
        ColumnReader::FloatColumnReader(reader) => read(reader, skip, count, has_nulls),
        _ => bail!("a column is not float"),
    }
}

fn scan_group(
    group: &dyn RowGroupReader,
    columns: [usize; 8],
    wanted: &Wanted<'_>,
    visit: &mut impl FnMut(&Seen),
) -> anyhow::Result<u64> {
    let rows = usize::try_from(group.metadata().num_rows())?;
    let [
        segment,
        start,
        speed,
        level,
        provenance,
        samples,
        flow,
        queue,
    ] = columns;
    let column = |index: usize| group.get_column_reader(index);
    let (segments, _) = whole_numbers(column(segment)?, 0, rows, false)?;
    // Rows are in segment order.
    let (Some(&first), Some(&last)) = (wanted.segments.first(), wanted.segments.last()) else {
        return Ok(0);
    };
    let skip = segments.partition_point(|&id| id < first as i32);
    let end = segments.partition_point(|&id| id <= last as i32);
    let count = end.saturating_sub(skip);
    if count == 0 {
        return Ok(0);
    }
    let (starts, _) = match column(start)? {
        ColumnReader::Int64ColumnReader(reader) => read(reader, skip, count, false)?,
        _ => bail!("start is not int64"),
    };
    let (speeds, _) = numbers(column(speed)?, skip, count, false)?;
    let (levels, _) = whole_numbers(column(level)?, skip, count, false)?;
    let provenances: Vec<ByteArray> = match column(provenance)? {
        ColumnReader::ByteArrayColumnReader(reader) => read(reader, skip, count, false)?.0,
        _ => bail!("provenance is no text"),
    };
    let (samples, with_samples) = whole_numbers(column(samples)?, skip, count, true)?;
    let (flows, with_flow) = numbers(column(flow)?, skip, count, true)?;
    let (queues, with_queue) = numbers(column(queue)?, skip, count, true)?;
    let (mut samples, mut flows, mut queues) =
        (samples.into_iter(), flows.into_iter(), queues.into_iter());
    for row in 0..count {
        let seen = Seen {
            segment: segments[skip + row] as u32,
            start_ms: starts[row],
            speed_mps: speeds[row],
            level: u8::try_from(levels[row].clamp(1, 5)).unwrap_or(1),
            provenance: match provenances[row].data() {
                b"observed" => Provenance::Observed,
                b"estimated" => Provenance::Estimated,
                _ => Provenance::Profile,
            },
            samples: present(&with_samples, row, &mut samples).map(i32::unsigned_abs),
            flow_vph: present(&with_flow, row, &mut flows),
            queue_m: present(&with_queue, row, &mut queues),
        };
        if (wanted.from_ms..wanted.to_ms).contains(&seen.start_ms)
            && wanted.segments.binary_search(&seen.segment).is_ok()
        {
            visit(&seen);
        }
    }
    Ok(count as u64)
}

/// The next value, where `row` has one.
fn present<T>(levels: &[i16], row: usize, values: &mut impl Iterator<Item = T>) -> Option<T> {
    (levels.get(row) == Some(&1))
        .then(|| values.next())
        .flatten()
}
