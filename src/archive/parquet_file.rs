//! One Parquet file: columns of a table, row group by row group, zstd.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use parquet::basic::{
    Compression, ConvertedType, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical,
    ZstdLevel,
};
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type};

use super::journal;
use super::tables::{ColumnSpec, Kind, Table};

/// The values of a column that are not null, and which rows they belong to.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) values: Values,
    /// 1 for a value, 0 for a null, a row each.
    levels: Vec<i16>,
}

/// Values of one type.
#[derive(Debug)]
pub(super) enum Values {
    Int(Vec<i32>),
    Time(Vec<i64>),
    Float(Vec<f32>),
    Text(Vec<ByteArray>),
    Flag(Vec<bool>),
}

/// One value on its way into a column.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Int(i32),
    Time(i64),
    Float(f32),
    Text(ByteArray),
    Flag(bool),
}

impl Cells {
    pub(super) fn new(kind: Kind, rows: usize) -> Self {
        Self {
            values: match kind {
                Kind::Int => Values::Int(Vec::with_capacity(rows)),
                Kind::Time => Values::Time(Vec::with_capacity(rows)),
                Kind::Float => Values::Float(Vec::with_capacity(rows)),
                Kind::Text => Values::Text(Vec::with_capacity(rows)),
                Kind::Flag => Values::Flag(Vec::with_capacity(rows)),
            },
            levels: Vec::with_capacity(rows),
        }
    }

    /// Adds a row; a value of another type is a null.
    pub(super) fn push(&mut self, value: Value) {
        let level = match (&mut self.values, value) {
            (Values::Int(values), Value::Int(value)) => {
                values.push(value);
                1
            }
            (Values::Time(values), Value::Time(value)) => {
                values.push(value);
                1
            }
            (Values::Float(values), Value::Float(value)) => {
                values.push(value);
                1
            }
            (Values::Text(values), Value::Text(value)) => {
                values.push(value);
                1
            }
            (Values::Flag(values), Value::Flag(value)) => {
                values.push(value);
                1
            }
            _ => 0,
        };
        self.levels.push(level);
    }
}

fn schema(table: &Table) -> anyhow::Result<Type> {
    let mut fields = Vec::with_capacity(table.columns.len());
    for column in table.columns {
        let physical = match column.kind {
            Kind::Int => Physical::INT32,
            Kind::Time => Physical::INT64,
            Kind::Float => Physical::FLOAT,
            Kind::Text => Physical::BYTE_ARRAY,
            Kind::Flag => Physical::BOOLEAN,
        };
        let repetition = if column.is_nullable {
            Repetition::OPTIONAL
        } else {
            Repetition::REQUIRED
        };
        let field = Type::primitive_type_builder(column.name, physical).with_repetition(repetition);
        let field = match column.kind {
            Kind::Text => field
                .with_converted_type(ConvertedType::UTF8)
                .with_logical_type(Some(LogicalType::String)),
            Kind::Time => field
                .with_converted_type(ConvertedType::TIMESTAMP_MILLIS)
                .with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
            _ => field,
        };
        fields.push(Arc::new(field.build()?));
    }
    Ok(Type::group_type_builder("schema")
        .with_fields(fields)
        .build()?)
}

/// Writes a file at `path`: `group(i)` gives the columns of row group `i` in the table's order, and
/// `None` behind the last. Returns its rows and bytes.
pub(super) fn write(
    path: &Path,
    table: &Table,
    metadata: &[(&str, String)],
    mut group: impl FnMut(usize) -> Option<Vec<Cells>>,
) -> anyhow::Result<(u64, u64)> {
    let place = || format!("writing {}", path.display());
    let pairs = metadata
        .iter()
        .map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("roadcast ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(pairs.collect()));
    for column in table.columns {
        // Minute by minute: the differences are one number.
        if column.kind == Kind::Time {
            let path = ColumnPath::from(column.name);
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    let file = journal::create(path).with_context(place)?;
    let schema = Arc::new(schema(table).with_context(place)?);
    let mut file = SerializedFileWriter::new(file, schema, Arc::new(properties.build()))
        .with_context(place)?;
    let (mut rows, mut index) = (0, 0);
    while let Some(columns) = group(index) {
        rows += append(&mut file, table.columns, &columns).with_context(place)?;
        index += 1;
    }
    let mut written = file.into_inner().with_context(place)?;
    std::io::Write::flush(&mut written).with_context(place)?;
    written.sync_all().with_context(place)?;
    let bytes = written.metadata().with_context(place)?.len();
    Ok((rows, bytes))
}

fn append(
    file: &mut SerializedFileWriter<File>,
    specs: &[ColumnSpec],
    columns: &[Cells],
) -> anyhow::Result<u64> {
    let rows = columns.first().map_or(0, |cells| cells.levels.len());
    ensure!(
        columns.len() == specs.len() && columns.iter().all(|cells| cells.levels.len() == rows),
        "columns differ from the table"
    );
    let mut group = file.next_row_group()?;
    for (cells, spec) in columns.iter().zip(specs) {
        let levels = spec.is_nullable.then_some(cells.levels.as_slice());
        let Some(mut writer) = group.next_column()? else {
            bail!("a column too many")
        };
        match (writer.untyped(), &cells.values) {
            (ColumnWriter::Int32ColumnWriter(writer), Values::Int(values)) => {
                put(writer, values, levels, rows)?;
            }
            (ColumnWriter::Int64ColumnWriter(writer), Values::Time(values)) => {
                put(writer, values, levels, rows)?;
            }
            (ColumnWriter::FloatColumnWriter(writer), Values::Float(values)) => {
                put(writer, values, levels, rows)?;
            }
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Text(values)) => {
                put(writer, values, levels, rows)?;
            }
            (ColumnWriter::BoolColumnWriter(writer), Values::Flag(values)) => {
                put(writer, values, levels, rows)?;
            }
            _ => bail!("column {} is not of its type", spec.name),
        }
        writer.close()?;
    }
    group.close()?;
    Ok(rows as u64)
}

fn put<T: DataType>(
    writer: &mut ColumnWriterImpl<'_, T>,
    values: &[T::T],
    levels: Option<&[i16]>,
    rows: usize,
) -> anyhow::Result<()> {
    ensure!(
        levels.is_some() || values.len() == rows,
        "a null where none may be"
    );
    writer.write_batch(values, levels, None)?;
    Ok(())
}
