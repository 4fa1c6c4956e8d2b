//! What does a Parquet file say of itself?
//!
//! `parquet_metadata('f.parquet')` and its like: row groups with their bounds, the schema, the file as a whole, and what its writer noted,
//! from its footer alone. Columns are called as DuckDB calls them, so that what was written for it goes on working.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::DateTime;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::error::Result;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::statistics::Statistics;
use parquet::schema::types::Type;

use super::error::VALUE;
use super::{QueryError, SqlMistake};

/// What is asked of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Facts {
    /// Each column of each row group.
    RowGroups,
    /// Each field of the schema, as Parquet has it.
    Schema,
    /// Each file.
    Files,
    /// What its writer noted, by keys.
    Notes,
}

/// A value of one of the kinds that columns have.
enum Cell {
    Number(Option<i64>),
    Text(Option<String>),
    Truth(Option<bool>),
}

fn number(value: impl TryInto<i64>) -> Cell {
    Cell::Number(value.try_into().ok())
}

fn maybe<T: TryInto<i64>>(value: Option<T>) -> Cell {
    Cell::Number(value.and_then(|value| value.try_into().ok()))
}

fn text(value: impl ToString) -> Cell {
    Cell::Text(Some(value.to_string()))
}

type Row = Vec<(&'static str, Cell)>;

/// The facts of files, each with the name that it is shown by, as a table. Reads footers, and blocks meanwhile.
///
/// # Errors
/// A file cannot be read, or is no Parquet.
pub(super) fn facts(facts: Facts, files: &[(String, PathBuf)]) -> Result<Arc<dyn TableProvider>> {
    let mut rows: Vec<Row> = Vec::new();
    for (name, path) in files {
        let wrong = |because: &dyn std::fmt::Display| -> QueryError {
            SqlMistake::new(VALUE, format!("`{name}` cannot be read as Parquet: {because}"))
                .help("a file whose footer is whole is wanted; `from 'file'` reads others")
                .into()
        };
        let file = File::open(path).map_err(|error| wrong(&error))?;
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).map_err(|error| wrong(&error))?;
        match facts {
            Facts::RowGroups => rows.extend(row_groups(name, &metadata)),
            Facts::Schema => fields(name, metadata.file_metadata().schema(), &mut rows),
            Facts::Files => {
                rows.push(whole(name, &metadata, path).map_err(|error| wrong(&error))?);
            }
            Facts::Notes => rows.extend(notes(name, &metadata)),
        }
    }
    let batch = batch(facts, rows)?;
    Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
}

/// Rows as columns; without a row, those that there would be.
fn batch(facts: Facts, rows: Vec<Row>) -> Result<RecordBatch> {
    let count = rows.len();
    let mut rows = rows;
    if rows.is_empty() {
        // A schema has a root, and a file is a row.
        rows.push(if facts == Facts::Notes { note("", "", None) } else { of_chunk("", None) });
    }
    let names: Vec<&'static str> = rows[0].iter().map(|(name, _)| *name).collect();
    let mut columns: Vec<Vec<Cell>> = names.iter().map(|_| Vec::with_capacity(count)).collect();
    for row in rows {
        columns.iter_mut().zip(row).for_each(|(column, (_, cell))| column.push(cell));
    }
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (name, column) in names.into_iter().zip(columns) {
        let (data_type, array): (DataType, ArrayRef) = match column.first() {
            Some(Cell::Number(_)) => {
                let values =
                    column.into_iter().map(|cell| if let Cell::Number(value) = cell { value } else { None });
                (DataType::Int64, Arc::new(values.collect::<Int64Array>()))
            }
            Some(Cell::Truth(_)) => {
                let values =
                    column.into_iter().map(|cell| if let Cell::Truth(value) = cell { value } else { None });
                (DataType::Boolean, Arc::new(values.collect::<BooleanArray>()))
            }
            _ => {
                let values =
                    column.into_iter().map(|cell| if let Cell::Text(value) = cell { value } else { None });
                (DataType::Utf8, Arc::new(values.collect::<StringArray>()))
            }
        };
        fields.push(Field::new(name, data_type, true));
        arrays.push(array.slice(0, count));
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

fn row_groups(name: &str, metadata: &ParquetMetaData) -> Vec<Row> {
    let groups = metadata.row_groups().iter().enumerate();
    let chunks = groups.flat_map(|(at, group)| {
        let columns = group.columns().iter().enumerate();
        columns.map(move |(column, chunk)| of_chunk(name, Some((at, group, column, chunk))))
    });
    chunks.collect()
}

/// A column of a row group, by their places; without one, a row of which the names are what counts.
fn of_chunk(name: &str, of: Option<(usize, &RowGroupMetaData, usize, &ColumnChunkMetaData)>) -> Row {
    let group = of.map(|(_, group, ..)| group);
    let chunk = of.map(|(.., chunk)| chunk);
    let told = chunk.and_then(ColumnChunkMetaData::statistics);
    let (least, most) = chunk.map(bounds).unwrap_or_default();
    let encodings = chunk.map(|chunk| {
        chunk.encodings().map(|encoding| format!("{encoding:?}")).collect::<Vec<_>>().join(", ")
    });
    let compression = chunk.map(|chunk| {
        let told = format!("{:?}", chunk.compression());
        told.split('(').next().unwrap_or_default().to_owned()
    });
    vec![
        ("file_name", text(name)),
        ("row_group_id", maybe(of.map(|(at, ..)| at))),
        ("row_group_num_rows", maybe(group.map(RowGroupMetaData::num_rows))),
        ("row_group_num_columns", maybe(group.map(RowGroupMetaData::num_columns))),
        ("row_group_bytes", maybe(group.map(RowGroupMetaData::total_byte_size))),
        ("column_id", maybe(of.map(|(.., column, _)| column))),
        ("file_offset", maybe(chunk.map(ColumnChunkMetaData::file_offset))),
        ("num_values", maybe(chunk.map(ColumnChunkMetaData::num_values))),
        ("path_in_schema", Cell::Text(chunk.map(|chunk| chunk.column_path().parts().join(", ")))),
        ("type", Cell::Text(chunk.map(|chunk| format!("{:?}", chunk.column_type())))),
        ("stats_min", Cell::Text(least.clone())),
        ("stats_max", Cell::Text(most.clone())),
        ("stats_null_count", maybe(told.and_then(Statistics::null_count_opt))),
        ("stats_distinct_count", maybe(told.and_then(Statistics::distinct_count_opt))),
        ("stats_min_value", Cell::Text(least)),
        ("stats_max_value", Cell::Text(most)),
        ("compression", Cell::Text(compression)),
        ("encodings", Cell::Text(encodings)),
        ("index_page_offset", maybe(chunk.and_then(ColumnChunkMetaData::index_page_offset))),
        ("dictionary_page_offset", maybe(chunk.and_then(ColumnChunkMetaData::dictionary_page_offset))),
        ("data_page_offset", maybe(chunk.map(ColumnChunkMetaData::data_page_offset))),
        ("total_compressed_size", maybe(chunk.map(ColumnChunkMetaData::compressed_size))),
        ("total_uncompressed_size", maybe(chunk.map(ColumnChunkMetaData::uncompressed_size))),
        ("bloom_filter_offset", maybe(chunk.and_then(ColumnChunkMetaData::bloom_filter_offset))),
        ("bloom_filter_length", maybe(chunk.and_then(ColumnChunkMetaData::bloom_filter_length))),
        ("min_is_exact", Cell::Truth(told.map(Statistics::min_is_exact))),
        ("max_is_exact", Cell::Truth(told.map(Statistics::max_is_exact))),
        ("row_group_compressed_bytes", maybe(group.map(RowGroupMetaData::compressed_size))),
        ("column_index_offset", maybe(chunk.and_then(ColumnChunkMetaData::column_index_offset))),
        ("column_index_length", maybe(chunk.and_then(ColumnChunkMetaData::column_index_length))),
        ("offset_index_offset", maybe(chunk.and_then(ColumnChunkMetaData::offset_index_offset))),
        ("offset_index_length", maybe(chunk.and_then(ColumnChunkMetaData::offset_index_length))),
    ]
}

/// The fields below a type, itself first, counted on from the rows that there are.
fn fields(name: &str, field: &Type, rows: &mut Vec<Row>) {
    let before =
        rows.iter().filter(|row| matches!(&row[0].1, Cell::Text(Some(file)) if file == name)).count();
    let told = field.get_basic_info();
    let is_leaf = field.is_primitive();
    let repetition =
        if told.has_repetition() { format!("{:?}", told.repetition()) } else { "REQUIRED".to_owned() };
    let converted = told.converted_type();
    let converted = (converted != ConvertedType::NONE).then(|| format!("{converted:?}"));
    let length = match field {
        Type::PrimitiveType { type_length, .. } if *type_length > 0 => Some(type_length.to_string()),
        _ => None,
    };
    let is_decimal = converted.as_deref() == Some("DECIMAL");
    rows.push(vec![
        ("file_name", text(name)),
        ("name", text(field.name())),
        ("type", Cell::Text(is_leaf.then(|| format!("{:?}", field.get_physical_type())))),
        ("type_length", Cell::Text(length)),
        ("repetition_type", text(repetition)),
        ("num_children", maybe((!is_leaf).then(|| field.get_fields().len()))),
        ("converted_type", Cell::Text(converted)),
        ("scale", maybe((is_leaf && is_decimal).then(|| field.get_scale()))),
        ("precision", maybe((is_leaf && is_decimal).then(|| field.get_precision()))),
        ("field_id", maybe(told.has_id().then(|| told.id()))),
        ("logical_type", Cell::Text(told.logical_type_ref().map(|of| format!("{of:?}")))),
        ("column_id", number(before)),
    ]);
    if !is_leaf {
        field.get_fields().iter().for_each(|below| fields(name, below, rows));
    }
}

fn whole(name: &str, metadata: &ParquetMetaData, path: &Path) -> std::io::Result<Row> {
    let told = metadata.file_metadata();
    let mut file = File::open(path)?;
    let size = file.seek(SeekFrom::End(0))?;
    // The length of the footer, and four letters, are at the end.
    file.seek(SeekFrom::End(-8))?;
    let mut footer = [0; 4];
    file.read_exact(&mut footer)?;
    Ok(vec![
        ("file_name", text(name)),
        ("created_by", Cell::Text(told.created_by().map(str::to_owned))),
        ("num_rows", number(told.num_rows())),
        ("num_row_groups", number(metadata.num_row_groups())),
        ("format_version", number(told.version())),
        ("encryption_algorithm", Cell::Text(None)),
        ("footer_signing_key_metadata", Cell::Text(None)),
        ("file_size_bytes", number(size)),
        ("footer_size", number(u32::from_le_bytes(footer))),
    ])
}

fn note(name: &str, key: &str, value: Option<&str>) -> Row {
    vec![("file_name", text(name)), ("key", text(key)), ("value", Cell::Text(value.map(str::to_owned)))]
}

fn notes(name: &str, metadata: &ParquetMetaData) -> Vec<Row> {
    let noted = metadata.file_metadata().key_value_metadata().into_iter().flatten();
    noted.map(|pair| note(name, &pair.key, pair.value.as_deref())).collect()
}

/// The least and the greatest value of a column in a row group, as a person reads them.
fn bounds(chunk: &ColumnChunkMetaData) -> (Option<String>, Option<String>) {
    let column = chunk.column_descr();
    let (converted, logical) = (column.converted_type(), column.logical_type_ref());
    let scale = (converted == ConvertedType::DECIMAL).then(|| column.type_scale());
    let is_text = matches!(converted, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON)
        || matches!(logical, Some(LogicalType::String | LogicalType::Enum | LogicalType::Json));
    let whole = |value: i64| -> String {
        let per_second = match (converted, logical) {
            (ConvertedType::TIMESTAMP_MILLIS, _) => Some(1_000),
            (ConvertedType::TIMESTAMP_MICROS, _) => Some(1_000_000),
            (_, Some(LogicalType::Timestamp(of))) => Some(match of.unit {
                TimeUnit::MILLIS => 1_000,
                TimeUnit::MICROS => 1_000_000,
                TimeUnit::NANOS => 1_000_000_000,
            }),
            _ => None,
        };
        if let Some(per_second) = per_second {
            let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
            let instant =
                DateTime::from_timestamp(value.div_euclid(per_second), nanos.try_into().unwrap_or(0));
            return instant.map_or_else(|| value.to_string(), |at| at.naive_utc().to_string());
        }
        if let Some(scale) = scale {
            return decimal(value.into(), scale);
        }
        match (converted, logical) {
            (ConvertedType::DATE, _) | (_, Some(LogicalType::Date)) => {
                let day = DateTime::from_timestamp(value.saturating_mul(86_400), 0);
                day.map_or_else(|| value.to_string(), |at| at.date_naive().to_string())
            }
            (ConvertedType::UINT_32, _) => u32::try_from(value & 0xFFFF_FFFF).unwrap_or_default().to_string(),
            (ConvertedType::UINT_64, _) => value.cast_unsigned().to_string(),
            _ => value.to_string(),
        }
    };
    let bytes = |value: &[u8]| -> String {
        match (scale, std::str::from_utf8(value)) {
            (Some(scale), _) if value.len() <= 16 => {
                let sign = if value.first().is_some_and(|first| *first > 127) { -1 } else { 0 };
                decimal(value.iter().fold(sign, |sum: i128, byte| (sum << 8) | i128::from(*byte)), scale)
            }
            (None, Ok(known)) if is_text || known.chars().all(|c| !c.is_control()) => known.to_owned(),
            _ => value.iter().map(|byte| format!("\\x{byte:02X}")).collect(),
        }
    };
    let double = |value: f64| format!("{value:?}");
    match chunk.statistics() {
        None => (None, None),
        Some(Statistics::Boolean(of)) => {
            (of.min_opt().map(ToString::to_string), of.max_opt().map(ToString::to_string))
        }
        Some(Statistics::Int32(of)) => {
            let of_both = |value: &i32| whole(i64::from(*value));
            (of.min_opt().map(of_both), of.max_opt().map(of_both))
        }
        Some(Statistics::Int64(of)) => {
            let of_both = |value: &i64| whole(*value);
            (of.min_opt().map(of_both), of.max_opt().map(of_both))
        }
        Some(Statistics::Float(of)) => {
            let of_both = |value: &f32| format!("{value:?}");
            (of.min_opt().map(of_both), of.max_opt().map(of_both))
        }
        Some(Statistics::Double(of)) => {
            let of_both = |value: &f64| double(*value);
            (of.min_opt().map(of_both), of.max_opt().map(of_both))
        }
        Some(other) => (other.min_bytes_opt().map(bytes), other.max_bytes_opt().map(bytes)),
    }
}

/// A whole number with so many of its digits behind the point.
fn decimal(value: i128, scale: i32) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    if scale == 0 {
        return value.to_string();
    }
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{part}", if value < 0 { "-" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn decimals_have_their_point() {
        for (value, scale, told) in [(150, 2, "1.50"), (-5, 2, "-0.05"), (7, 0, "7"), (-1234, 1, "-123.4")] {
            assert_eq!(decimal(value, scale), told);
        }
    }
}
