//! How are the columns of a data file encoded?
//!
//! Parquet's writer begins a dictionary for every column, and gives it up when it outgrows its page: looking up the values
//! until then is for nothing. So the first rows are looked at. A column in which next to nothing repeats has no dictionary.
//!
//! Whole numbers, dates and money are kept as differences (`DELTA_BINARY_PACKED`, which every reader of Parquet 2 knows) wherever these
//! take about as many bits as places in a dictionary would, with their share of the dictionary: they are unpacked in less
//! time than anything else, and written in less. Of TPC-H's `lineitem` at 1, CPU ms of counting a column's values above one (a process without one
//! takes 22): `l_orderkey` 38 instead of 76 by a dictionary in Zstandard (3.9 instead of 10.2 MB), `l_extendedprice` 54 instead of 87
//! in Snappy (18.4 instead of 31.0 MB), `l_suppkey` 45 instead of 59; but of `l_quantity`, fifty values far from each other, 50 instead of 51 (10.6
//! instead of 4.6 MB).
//!
//! What takes time when it is read again is unpacking: texts are packed by Zstandard, which takes a fifth to a third of the room that
//! Snappy does; what has a fixed width, of which it takes hardly less, by Snappy, unless it is in order and not kept as differences; and large
//! differences not at all.
//!
//! A row group is what one core reads, and what is passed over by its bounds: of a million rows, as Parquet's writer makes them, there is one
//! in most tables.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use arrow::row::{RowConverter, SortField};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

/// Rows that are looked at, and fewer tell nothing.
const SAMPLE: usize = 8192;
const LEAST: usize = 2048;
/// Of so many rows in a hundred that differ, a dictionary outgrows its page: it holds some hundred thousand values.
const DIFFERENT: usize = 98;

/// Differences may take so many bits more than places in a dictionary: they are looked up nowhere.
const MORE: f64 = 2.0;

/// Differences of so many bits are as good as any others: nothing packs them further.
const FULL: f64 = 4.0;

/// Values that stand behind so many of their like on average are kept by how often they come.
const LONG: usize = 16;

/// Differences that are packed together.
const NEIGHBOURS: usize = 64;

/// Rows of a row group. Eight times as many took up to 4 % less CPU time, and 5 % less room, in nine of TPC-H's queries.
const ROW_GROUP: usize = 128 * 1024;

/// How a file is written that begins with these rows, under the names that its columns have there.
pub(super) fn properties(first: &RecordBatch) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("1 is a level")))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_created_by(crate::table::commit::ENGINE.to_owned());
    for (field, column) in first.schema_ref().fields().iter().zip(first.columns()) {
        let Some(seen) = seen(column) else { continue };
        let path = || ColumnPath::new(vec![field.name().clone()]);
        let are_differences = seen.differences.is_some_and(|bits| bits <= seen.places(column) + MORE);
        let packing = match seen.differences {
            Some(bits) if are_differences && bits >= FULL => Some(Compression::UNCOMPRESSED),
            _ if are_differences || !seen.is_ordered => Some(Compression::SNAPPY),
            _ => None,
        };
        if let Some(packing) = packing.filter(|_| has_width(field.data_type())) {
            properties = properties.set_column_compression(path(), packing);
        }
        if are_differences {
            properties = properties.set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED);
        }
        if are_differences || seen.hardly_repeats() {
            properties = properties.set_column_dictionary_enabled(path(), false);
        }
    }
    properties.build()
}

/// What the first values of a column are like.
struct Seen {
    values: usize,
    different: usize,
    /// Values that stand behind others.
    changes: usize,
    /// None is less than the one before.
    is_ordered: bool,
    /// Bits that the difference to the one before takes, if they are whole numbers.
    differences: Option<f64>,
}

impl Seen {
    /// Nearly every value stands there once.
    fn hardly_repeats(&self) -> bool {
        self.different * 100 >= self.values * DIFFERENT
    }

    /// Bits that the place of a value in a dictionary takes, with its share of the dictionary of a row group.
    fn places(&self, column: &ArrayRef) -> f64 {
        if self.hardly_repeats() {
            return f64::INFINITY;
        }
        if self.changes * LONG <= self.values {
            return f64::NEG_INFINITY; // a run of one place takes no room, and no time
        }
        // So many values there are in all if so many of them are among the first, each as often as any other.
        let seen = |all: f64, rows: usize| all * (1.0 - (-(rows as f64) / all).exp());
        let (mut few, mut many) = (self.different as f64, 1e9);
        for _ in 0..60 {
            let half = f64::midpoint(few, many);
            if seen(half, self.values) < self.different as f64 { few = half } else { many = half }
        }
        let entries = seen(few, ROW_GROUP).max(1.0);
        let width = column.data_type().primitive_width().map_or(64, |bytes| 8 * bytes.min(8));
        entries.log2().ceil() + entries * width as f64 / ROW_GROUP as f64
    }
}

/// Looks at the first values of a column; nothing if there are too few to tell, or they are not to be compared.
fn seen(column: &ArrayRef) -> Option<Seen> {
    let column = column.slice(0, column.len().min(SAMPLE));
    let values = column.len() - column.null_count();
    if values < LEAST || column.data_type().is_nested() {
        return None;
    }
    let differences = numbers(&column).map(|numbers| difference(&numbers));
    let converter = RowConverter::new(vec![SortField::new(column.data_type().clone())]).ok()?;
    let rows = converter.convert_columns(&[column]).ok()?;
    let different: HashSet<&[u8]> = rows.iter().map(|row| row.data()).collect();
    let changes = rows.iter().zip(rows.iter().skip(1)).filter(|(one, other)| one != other).count();
    Some(Seen {
        values,
        different: different.len(),
        changes,
        is_ordered: rows.iter().is_sorted(),
        differences,
    })
}

/// The values that are there of a column that Parquet keeps as 32 or 64 bit integers.
fn numbers(column: &ArrayRef) -> Option<Vec<i64>> {
    use DataType as T;
    match column.data_type() {
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Date32 | T::Timestamp(_, _) => {
            let whole = match column.data_type() {
                T::Date32 => cast(column, &T::Int32).ok()?,
                _ => Arc::clone(column),
            };
            let whole = cast(&whole, &T::Int64).ok()?;
            Some(whole.as_primitive::<Int64Type>().iter().flatten().collect())
        }
        T::Decimal128(precision, _) if *precision <= 18 => {
            let each = column.as_primitive::<Decimal128Type>().iter().flatten();
            Some(each.map(|value| value as i64).collect())
        }
        _ => None,
    }
}

/// Bits of the difference between a value and the one before, packed with their neighbours as Parquet's format has it: as much more than the
/// least of them.
fn difference(numbers: &[i64]) -> f64 {
    let steps: Vec<i64> = numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    let packs = steps.chunks(NEIGHBOURS).map(|pack| {
        let (least, most) =
            pack.iter().fold((i64::MAX, i64::MIN), |(a, b), step| (a.min(*step), b.max(*step)));
        let bits = u64::BITS - (most.wrapping_sub(least) as u64).leading_zeros();
        f64::from(bits) * pack.len() as f64
    });
    packs.sum::<f64>() / steps.len().max(1) as f64
}

/// Whether every value of a type takes the same room.
fn has_width(data_type: &DataType) -> bool {
    data_type.primitive_width().is_some()
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    #[test]
    fn columns_are_encoded_by_what_is_in_them() {
        let rows = 3000;
        let prices = (0..rows).map(|n| i128::from(n * 104_729 % 100_003));
        let money =
            Decimal128Array::from_iter_values(prices.clone()).with_precision_and_scale(15, 2).unwrap();
        let much = Decimal128Array::from_iter_values(prices).with_precision_and_scale(38, 2).unwrap();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("number", Arc::new(Int64Array::from_iter_values(0..rows))),
            ("few", Arc::new(Int64Array::from_iter_values((0..rows).map(|n| n % 9)))),
            ("half", Arc::new(Int64Array::from_iter_values((0..rows).map(|n| n / 2)))),
            ("far", Arc::new(Int64Array::from_iter_values((0..rows).map(|n| (n * 7919 % 50) * 1_000_003)))),
            ("some", Arc::new(Int64Array::from_iter_values((0..rows).map(|n| n * 7919 % 800)))),
            ("runs", Arc::new(Int64Array::from_iter_values((0..rows).map(|n| n / 100 % 3)))),
            ("day", Arc::new(Date32Array::from_iter_values((0..3000).map(|n| n * 7919 % 365)))),
            ("money", Arc::new(money)),
            ("much", Arc::new(much)),
            ("mostly null", Arc::new(Int64Array::from_iter((0..rows).map(|n| (n % 9 == 0).then_some(n))))),
            ("a.text", Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("key {n}"))))),
            ("measure", Arc::new(Float64Array::from_iter_values((0..rows).map(|n| n as f64 / 7.0)))),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
            .collect();
        let batch = RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            columns.iter().map(|(_, column)| Arc::clone(column)).collect(),
        )
        .unwrap();
        let told = |properties: WriterProperties| {
            let column = |(name, _): &(&str, ArrayRef)| {
                let path = ColumnPath::new(vec![(*name).to_owned()]);
                let dictionary = properties.dictionary_enabled(&path);
                let (encoding, packed) = (properties.encoding(&path), properties.compression(&path));
                format!("{name} {dictionary} {encoding:?} {packed}")
            };
            columns.iter().map(column).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            told(properties(&batch)),
            "number false Some(DELTA_BINARY_PACKED) SNAPPY, few false Some(DELTA_BINARY_PACKED) UNCOMPRESSED, half false Some(DELTA_BINARY_PACKED) SNAPPY, far true None SNAPPY, some false Some(DELTA_BINARY_PACKED) UNCOMPRESSED, runs true None SNAPPY, day false Some(DELTA_BINARY_PACKED) UNCOMPRESSED, money false Some(DELTA_BINARY_PACKED) UNCOMPRESSED, much false None SNAPPY, mostly null true None ZSTD(ZstdLevel(1)), a.text false None ZSTD(ZstdLevel(1)), measure false None ZSTD(ZstdLevel(1))"
        );
        let few = told(properties(&batch.slice(0, 1000)));
        assert!(!few.contains("false"), "too few to tell: {few}");
    }
}
