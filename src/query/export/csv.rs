//! How are rows written as CSV?
//!
//! So that whoever reads it can tell an empty text from NULL: the text is quoted, NULL is not. Nested values are JSON.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::options::Csv;
use crate::query::interval_text::interval_texts;

/// Writes the names of the columns.
pub(super) fn header(schema: &SchemaRef, csv: &Csv, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for (at, field) in schema.fields().iter().enumerate() {
        if at > 0 {
            line.push(csv.delimiter);
        }
        text(field.name(), csv, &mut line);
    }
    line.push('\n');
    out.write_all(line.as_bytes())
}

/// Writes rows, each as a line.
pub(super) fn rows(batch: &RecordBatch, csv: &Csv, out: &mut dyn Write) -> Result<(), ArrowError> {
    let formats = FormatOptions::new()
        .with_date_format(Some(csv.date.as_deref().unwrap_or("%Y-%m-%d")))
        .with_timestamp_format(Some(csv.timestamp.as_deref().unwrap_or("%Y-%m-%d %H:%M:%S%.f")))
        .with_timestamp_tz_format(Some(csv.timestamp.as_deref().unwrap_or("%Y-%m-%d %H:%M:%S%.f%:z")));
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .map(|column| match interval_texts(column) {
            Some(texts) => Ok(Arc::new(texts) as ArrayRef),
            None if column.data_type().is_nested() => as_json(column),
            None => Ok(Arc::clone(column)),
        })
        .collect::<Result<_, _>>()?;
    let cells: Vec<Cells<'_>> =
        columns.iter().map(|column| Cells::of(column, &formats)).collect::<Result<_, _>>()?;
    let (mut lines, mut value) = (String::new(), String::new());
    for row in 0..batch.num_rows() {
        for (at, cells) in cells.iter().enumerate() {
            if at > 0 {
                lines.push(csv.delimiter);
            }
            if cells.is_null(row) {
                lines.push_str(&csv.null);
                continue;
            }
            match cells {
                Cells::Text(texts) => text(texts.value(row), csv, &mut lines),
                Cells::Other(column, _)
                    if is_plain(column.data_type()) && !csv.quote_all && csv.null.is_empty() =>
                {
                    cells.write(row, &mut lines)?;
                }
                Cells::Other(..) => {
                    value.clear();
                    cells.write(row, &mut value)?;
                    text(&value, csv, &mut lines);
                }
            }
        }
        lines.push('\n');
        if lines.len() > 1 << 16 {
            out.write_all(lines.as_bytes())?;
            lines.clear();
        }
    }
    Ok(out.write_all(lines.as_bytes())?)
}

/// The values of a column, as text.
enum Cells<'a> {
    Text(&'a StringArray),
    Other(&'a ArrayRef, ArrayFormatter<'a>),
}

impl<'a> Cells<'a> {
    fn of(column: &'a ArrayRef, formats: &FormatOptions<'a>) -> Result<Self, ArrowError> {
        Ok(match column.as_string_opt::<i32>() {
            Some(texts) => Self::Text(texts),
            None => Self::Other(column, ArrayFormatter::try_new(column.as_ref(), formats)?),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(texts) => texts.is_null(row),
            Self::Other(column, _) => column.is_null(row),
        }
    }

    fn write(&self, row: usize, into: &mut String) -> Result<(), ArrowError> {
        match self {
            Self::Text(texts) => into.push_str(texts.value(row)),
            // Writing to a text fails only if the value has no text.
            Self::Other(column, cells) => {
                write!(into, "{}", cells.value(row).try_to_string()?).map_err(|_| {
                    ArrowError::ComputeError(format!("a value of {} has no text", column.data_type()))
                })?
            }
        }
        Ok(())
    }
}

/// Whether no value of a type can hold a delimiter. (A delimiter may be a digit, but nobody reads that again.)
fn is_plain(data_type: &DataType) -> bool {
    data_type.is_integer() || *data_type == DataType::Boolean
}

/// Writes a value, quoted if it would be understood otherwise without.
fn text(value: &str, csv: &Csv, line: &mut String) {
    let special =
        |letter: char| letter == csv.delimiter || letter == csv.quote || letter == '\n' || letter == '\r';
    let is_odd = value.is_empty()
        || value == csv.null
        // What other programs write for NULL, and landing reads as one.
        || value == "\\N"
        || value.contains(special)
        || value.starts_with(' ')
        || value.ends_with(' ');
    if !is_odd && !csv.quote_all {
        line.push_str(value);
        return;
    }
    line.push(csv.quote);
    for letter in value.chars() {
        if letter == csv.quote {
            line.push(letter);
        }
        line.push(letter);
    }
    line.push(csv.quote);
}

/// Nested values as texts of JSON.
fn as_json(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let schema = Schema::new(vec![Field::new("v", column.data_type().clone(), true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::clone(column)])?;
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(&batch)?;
    writer.finish()?;
    let lines =
        String::from_utf8(writer.into_inner()).map_err(|error| ArrowError::JsonError(error.to_string()))?;
    // Each line is `{"v":…}`.
    let value =
        |line: &str| line.strip_prefix("{\"v\":").and_then(|rest| rest.strip_suffix('}')).map(str::to_owned);
    let texts = lines.lines().enumerate().map(|(row, line)| value(line).filter(|_| column.is_valid(row)));
    Ok(Arc::new(texts.collect::<StringArray>()))
}
