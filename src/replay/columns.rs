//! Parquet files as plain columns: the few types our inputs and outputs have, without arrow.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use parquet::basic::{
    Compression, ConvertedType, LogicalType, Repetition, Type as Physical, ZstdLevel,
};
use parquet::column::reader::ColumnReader;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

/// The values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// Single-precision numbers; a null is NaN.
    F32(Vec<f32>),
    /// Double-precision numbers; a null is NaN.
    F64(Vec<f64>),
    /// UTF-8 text; a null is empty.
    Text(Vec<Arc<str>>),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// The value in `row` as a number; text and integers convert, nulls are NaN.
    pub fn number(&self, row: usize) -> f64 {
        match self {
            Self::I32(values) => f64::from(values[row]),
            Self::I64(values) => values[row] as f64,
            Self::F32(values) => f64::from(values[row]),
            Self::F64(values) => values[row],
            Self::Text(values) => values[row].parse().unwrap_or(f64::NAN),
        }
    }
}

/// Reads every column of a file of flat columns.
///
/// # Errors
/// When the file cannot be read, is not Parquet, or has a column type not listed in [`Column`].
pub fn read(path: &Path) -> anyhow::Result<BTreeMap<String, Column>> {
    let place = || format!("reading {}", path.display());
    let file = File::open(path).with_context(place)?;
    let reader = SerializedFileReader::new(file).with_context(place)?;
    let mut columns = BTreeMap::new();
    let descriptors = reader.metadata().file_metadata().schema_descr_ptr();
    for (index, descriptor) in descriptors.columns().iter().enumerate() {
        ensure!(
            descriptor.max_rep_level() == 0 && descriptor.max_def_level() <= 1,
            "{}: column {} is nested",
            path.display(),
            descriptor.name()
        );
        let mut column = match descriptor.physical_type() {
            Physical::INT32 => Column::I32(Vec::new()),
            Physical::INT64 => Column::I64(Vec::new()),
            Physical::FLOAT => Column::F32(Vec::new()),
            Physical::DOUBLE => Column::F64(Vec::new()),
            Physical::BYTE_ARRAY => Column::Text(Vec::new()),
            other => bail!(
                "{}: column {} is {other}",
                path.display(),
                descriptor.name()
            ),
        };
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group).with_context(place)?;
            let rows = usize::try_from(group.metadata().num_rows()).with_context(place)?;
            append(
                &mut column,
                group.get_column_reader(index).with_context(place)?,
                rows,
            )
            .with_context(place)?;
        }
        columns.insert(descriptor.name().to_owned(), column);
    }
    Ok(columns)
}

/// Appends `rows` values of one row group to a column of the same type.
fn append(column: &mut Column, reader: ColumnReader, rows: usize) -> anyhow::Result<()> {
    macro_rules! read_into {
        ($reader:ident, $into:ident, $null:expr, $convert:expr) => {{
            let (mut values, mut levels, mut left) = (Vec::new(), Vec::new(), rows);
            while left > 0 {
                values.clear();
                levels.clear();
                let (records, _, _) =
                    $reader.read_records(left, Some(&mut levels), None, &mut values)?;
                ensure!(records > 0, "{left} rows missing");
                left -= records;
                let mut present = values.drain(..);
                for row in 0..records {
                    let is_null = levels.get(row).is_some_and(|&level| level == 0);
                    let value = if is_null { None } else { present.next() };
                    $into.push(value.map_or($null, $convert));
                }
            }
        }};
    }
    match (reader, column) {
        (ColumnReader::Int32ColumnReader(mut reader), Column::I32(into)) => {
            read_into!(reader, into, 0, |value| value);
        }
        (ColumnReader::Int64ColumnReader(mut reader), Column::I64(into)) => {
            read_into!(reader, into, 0, |value| value);
        }
        (ColumnReader::FloatColumnReader(mut reader), Column::F32(into)) => {
            read_into!(reader, into, f32::NAN, |value| value);
        }
        (ColumnReader::DoubleColumnReader(mut reader), Column::F64(into)) => {
            read_into!(reader, into, f64::NAN, |value| value);
        }
        (ColumnReader::ByteArrayColumnReader(mut reader), Column::Text(into)) => {
            let mut last: Arc<str> = Arc::from("");
            let mut intern = |value: ByteArray| {
                if value.data() != last.as_bytes() {
                    last = Arc::from(String::from_utf8_lossy(value.data()).as_ref());
                }
                last.clone()
            };
            read_into!(reader, into, Arc::from(""), &mut intern);
        }
        _ => bail!("column type changes between row groups"),
    }
    Ok(())
}

/// Writes flat columns, one row group a call, zstd compressed.
pub struct Writer {
    file: SerializedFileWriter<File>,
    width: usize,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

/// The type of a column to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 32-bit integers.
    I32,
    /// 64-bit integers.
    I64,
    /// Single-precision numbers.
    F32,
    /// Double-precision numbers.
    F64,
    /// UTF-8 text.
    Text,
}

impl Writer {
    /// Creates a file with the named columns.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path, columns: &[(&str, Kind)]) -> anyhow::Result<Self> {
        let place = || format!("writing {}", path.display());
        let mut fields = Vec::with_capacity(columns.len());
        for &(name, kind) in columns {
            let physical = match kind {
                Kind::I32 => Physical::INT32,
                Kind::I64 => Physical::INT64,
                Kind::F32 => Physical::FLOAT,
                Kind::F64 => Physical::DOUBLE,
                Kind::Text => Physical::BYTE_ARRAY,
            };
            let mut field =
                Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
            if kind == Kind::Text {
                field = field
                    .with_converted_type(ConvertedType::UTF8)
                    .with_logical_type(Some(LogicalType::String));
            }
            fields.push(Arc::new(field.build().with_context(place)?));
        }
        let schema = Type::group_type_builder("schema")
            .with_fields(fields)
            .build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let file = File::create(path).with_context(place)?;
        let file = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
            .with_context(place)?;
        Ok(Self {
            file,
            width: columns.len(),
        })
    }

    /// Appends rows, given as columns in the order of creation.
    ///
    /// # Errors
    /// When the columns differ in number, length or type from what was declared, or on a write
    /// error.
    pub fn append(&mut self, columns: &[Column]) -> anyhow::Result<()> {
        ensure!(
            columns.len() == self.width,
            "{} columns, {} declared",
            columns.len(),
            self.width
        );
        let rows = columns.first().map_or(0, Column::len);
        ensure!(
            columns.iter().all(|column| column.len() == rows),
            "columns differ in length"
        );
        let mut group = self.file.next_row_group()?;
        for column in columns {
            let Some(mut writer) = group.next_column()? else {
                bail!("a column too many")
            };
            match (writer.untyped(), column) {
                (ColumnWriter::Int32ColumnWriter(writer), Column::I32(values)) => {
                    writer.write_batch(values, None, None)?;
                }
                (ColumnWriter::Int64ColumnWriter(writer), Column::I64(values)) => {
                    writer.write_batch(values, None, None)?;
                }
                (ColumnWriter::FloatColumnWriter(writer), Column::F32(values)) => {
                    writer.write_batch(values, None, None)?;
                }
                (ColumnWriter::DoubleColumnWriter(writer), Column::F64(values)) => {
                    writer.write_batch(values, None, None)?;
                }
                (ColumnWriter::ByteArrayColumnWriter(writer), Column::Text(values)) => {
                    let values: Vec<ByteArray> = values
                        .iter()
                        .map(|value| ByteArray::from(value.as_bytes().to_vec()))
                        .collect();
                    writer.write_batch(&values, None, None)?;
                }
                _ => bail!("a column is not of the declared type"),
            }
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Writes the footer; without it the file is unreadable.
    ///
    /// # Errors
    /// On a write error.
    pub fn close(self) -> anyhow::Result<()> {
        self.file.close()?;
        Ok(())
    }
}
