//! How is a table of the catalog written down?
//!
//! Its columns as one text, `name:letter` each, and its rows as cells. The letters are those of [`data_type`].

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int16Array, Int16Builder, Int32Array, Int32Builder, Int64Array,
    ListBuilder, RecordBatch, RecordBatchOptions, StringArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::error::Result;

/// What stands in one column of one row.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Null,
    Text(String),
    Whole(i64),
    Flag(bool),
    Places(Vec<i64>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<Option<&String>> for Cell {
    fn from(text: Option<&String>) -> Self {
        text.map_or(Self::Null, Self::from)
    }
}

impl From<i32> for Cell {
    fn from(number: i32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// The type of a letter.
fn data_type(letter: &str) -> DataType {
    let list = |of| DataType::List(Arc::new(Field::new("item", of, true)));
    match letter {
        "b" => DataType::Boolean,
        // A small number, a number, an oid, a large number.
        "s" => DataType::Int16,
        "i" | "o" => DataType::Int32,
        "l" => DataType::Int64,
        "f" => DataType::Float64,
        // A moment; lists of texts, of small numbers, of oids.
        "z" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "a" => list(DataType::Utf8),
        "n" => list(DataType::Int16),
        "v" => list(DataType::Int32),
        // A text, `t`, and a text of one letter, `c`.
        _ => DataType::Utf8,
    }
}

/// A table of these columns and rows. Cells that are missing at the end of a row are null.
pub(super) fn table(columns: &str, rows: &[Vec<Cell>]) -> Result<Arc<dyn TableProvider>> {
    let columns: Vec<(&str, &str)> =
        columns.split_whitespace().filter_map(|column| column.split_once(':')).collect();
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, letter)| {
            // How the library that writes answers is told of types that Arrow does not have.
            let meant = match *letter {
                "o" => HashMap::from([("pg.oid_alias".to_owned(), "oid".to_owned())]),
                "c" => HashMap::from([("pg.char".to_owned(), "true".to_owned())]),
                _ => HashMap::new(),
            };
            Field::new(*name, data_type(letter), true).with_metadata(meant)
        })
        .collect();
    let arrays = columns.iter().enumerate().map(|(at, (_, letter))| column(rows, at, letter));
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays.collect(), &options)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

fn column(rows: &[Vec<Cell>], at: usize, letter: &str) -> ArrayRef {
    let cells = || rows.iter().map(move |row| row.get(at).unwrap_or(&Cell::Null));
    let whole = |cell: &Cell| match cell {
        Cell::Whole(number) => Some(*number),
        _ => None,
    };
    match letter {
        "b" => Arc::new(
            cells()
                .map(|cell| match cell {
                    Cell::Flag(flag) => Some(*flag),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        "s" => Arc::new(
            cells().map(|cell| whole(cell).and_then(|n| i16::try_from(n).ok())).collect::<Int16Array>(),
        ),
        "i" | "o" => Arc::new(
            cells().map(|cell| whole(cell).and_then(|n| i32::try_from(n).ok())).collect::<Int32Array>(),
        ),
        "l" => Arc::new(cells().map(whole).collect::<Int64Array>()),
        "f" => Arc::new(cells().map(|cell| whole(cell).map(|n| n as f64)).collect::<Float64Array>()),
        // Moments and rights are not kept here.
        "z" | "a" => new_null_array(&data_type(letter), rows.len()),
        "n" => {
            let mut lists = ListBuilder::new(Int16Builder::new());
            for cell in cells() {
                let places = if let Cell::Places(places) = cell { Some(places) } else { None };
                let places_of = places.into_iter().flatten().filter_map(|n| i16::try_from(*n).ok());
                places_of.for_each(|place| lists.values().append_value(place));
                lists.append(places.is_some());
            }
            Arc::new(lists.finish())
        }
        "v" => {
            let mut lists = ListBuilder::new(Int32Builder::new());
            for cell in cells() {
                let places = if let Cell::Places(places) = cell { Some(places) } else { None };
                let places_of = places.into_iter().flatten().filter_map(|n| i32::try_from(*n).ok());
                places_of.for_each(|place| lists.values().append_value(place));
                lists.append(places.is_some());
            }
            Arc::new(lists.finish())
        }
        _ => Arc::new(
            cells()
                .map(|cell| match cell {
                    Cell::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect::<StringArray>(),
        ),
    }
}
