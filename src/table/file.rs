//! What does a table's log know of one data file?

use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use chrono::{DateTime, NaiveDateTime};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::error::DataFusionError;
use deltalake::kernel::{Add, DeletionVectorDescriptor, Remove};
use object_store::ObjectStore;
use object_store::path::Path;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::hidden::{self, Positions};
use super::names::Names;

/// A Parquet file that belongs to a table at some version, with the rows of it that are hidden.
///
/// Cheap to clone; clones share what was read of it.
#[derive(Clone, Debug)]
pub struct DataFile(Arc<Entry>);

#[derive(Debug)]
struct Entry {
    add: Add,
    stats: OnceLock<Value>,
    hidden: OnceCell<Arc<Positions>>,
}

impl DataFile {
    pub(super) fn new(add: Add) -> Self {
        Self(Arc::new(Entry { add, stats: OnceLock::new(), hidden: OnceCell::new() }))
    }

    /// The path below the table's root.
    pub fn path(&self) -> &str {
        &self.0.add.path
    }

    /// Where it is in the store, the table's root being at `root`.
    ///
    /// # Errors
    /// If it is not below the root: shallow clones of other engines name files that way.
    pub fn location(&self, root: &Path) -> Result<Path, DataFusionError> {
        let path = self.path();
        let elsewhere = path.contains("://") || path.starts_with('/') || path.starts_with("file:");
        let below = (!elsewhere).then(|| Path::parse(path).ok()).flatten();
        let below = below.ok_or_else(|| {
            let because =
                format!("the data file `{path}` is not in the table's own folder; elt reads no such tables");
            DataFusionError::Plan(because)
        })?;
        Ok(Path::from_iter(root.parts().chain(below.parts())))
    }

    /// Bytes on disk.
    pub fn size(&self) -> u64 {
        u64::try_from(self.0.add.size).unwrap_or(0)
    }

    /// Rows that count, if the log says.
    pub fn rows(&self) -> Option<u64> {
        Some(self.rows_in_file()?.saturating_sub(self.hidden_rows()))
    }

    /// Rows in the file, hidden ones too, if the log says.
    pub fn rows_in_file(&self) -> Option<u64> {
        self.stats().get("numRecords")?.as_u64()
    }

    /// How many of its rows are hidden.
    pub fn hidden_rows(&self) -> u64 {
        self.vector().map_or(0, |vector| u64::try_from(vector.cardinality).unwrap_or(0))
    }

    /// The value that all its rows have in a partition column, as the log spells it and names the column.
    pub(super) fn partition_value(&self, column: &str) -> Option<&str> {
        self.0.add.partition_values.get(column)?.as_deref().filter(|value| !value.is_empty())
    }

    /// The entry of the log.
    pub(super) fn add(&self) -> &Add {
        &self.0.add
    }

    /// The deletion vector that goes with it.
    pub(super) fn vector(&self) -> Option<&DeletionVectorDescriptor> {
        self.0.add.deletion_vector.as_ref()
    }

    /// Its hidden rows, read once.
    pub(super) async fn hidden(
        &self,
        store: &dyn ObjectStore,
        root: &Path,
    ) -> Result<Option<Arc<Positions>>, DataFusionError> {
        let Some(vector) = self.vector() else { return Ok(None) };
        let read =
            self.0.hidden.get_or_try_init(|| async { hidden::read(store, root, vector).await.map(Arc::new) });
        Ok(Some(Arc::clone(read.await?)))
    }

    /// The same file with other rows hidden.
    ///
    /// Its bounds stay: they hold for fewer rows too, but need no longer be met.
    pub(super) fn with_hidden(&self, vector: DeletionVectorDescriptor, at_millis: i64) -> Self {
        let mut add = self.0.add.clone();
        add.stats = add.stats.as_deref().map(with_loose_bounds);
        add.deletion_vector = Some(vector);
        add.modification_time = at_millis;
        add.data_change = true;
        Self::new(add)
    }

    /// The same file, as an entry that says whether rows come or go with it.
    pub(super) fn with_data_change(&self, data_change: bool) -> Self {
        Self::new(Add { data_change, ..self.0.add.clone() })
    }

    /// The same entry of a table: equal paths name equal content, data files being immutable.
    pub fn is(&self, other: &Self) -> bool {
        self.path() == other.path() && self.vector() == other.vector()
    }

    /// The action that takes the file out of the table, as of `millis` since 1970.
    pub(super) fn remove(&self, millis: i64, data_change: bool) -> Remove {
        let add = &self.0.add;
        Remove {
            path: add.path.clone(),
            data_change,
            deletion_timestamp: Some(millis),
            extended_file_metadata: Some(true),
            partition_values: Some(add.partition_values.clone()),
            size: Some(add.size),
            deletion_vector: add.deletion_vector.clone(),
            ..Remove::default()
        }
    }

    fn stats(&self) -> &Value {
        self.0.stats.get_or_init(|| {
            let text = self.0.add.stats.as_deref().unwrap_or("null");
            serde_json::from_str(text).unwrap_or_default()
        })
    }

    /// What the optimizer may know: the row count exactly; null counts and bounds of whole numbers and dates
    /// exactly as long as no row is hidden, and single letters as hints. Other bounds are cut or rounded in the log and are not told here.
    pub(super) fn statistics(&self, schema: &Schema, names: &Names) -> Statistics {
        let mut statistics = Statistics::new_unknown(schema);
        let rows = self.rows().and_then(|rows| usize::try_from(rows).ok());
        statistics.num_rows = rows.map_or(Precision::Absent, Precision::Exact);
        // What the rows take in memory decides which side of a join is kept there; the file's size says little of that.
        let width: usize = schema.fields().iter().map(|field| width(field.data_type())).sum();
        let bytes = match rows {
            Some(rows) => rows.saturating_mul(width),
            None => usize::try_from(self.size()).unwrap_or(usize::MAX),
        };
        statistics.total_byte_size = Precision::Inexact(bytes);
        for (column, field) in statistics.column_statistics.iter_mut().zip(schema.fields()) {
            let known = |value| {
                if self.vector().is_some() { Precision::Inexact(value) } else { Precision::Exact(value) }
            };
            let in_log = names.in_files(field.name());
            let bound = |side| {
                let bound = self.bound(field, in_log, side)?;
                match bound.is_met {
                    true => Some(known(bound.value)),
                    // Between one letter and another there are few values.
                    false => is_letter(&bound.value).then_some(Precision::Inexact(bound.value)),
                }
            };
            let nulls = self.nulls(in_log).map(|nulls| match self.vector() {
                Some(_) => Precision::Inexact(nulls),
                None => Precision::Exact(nulls),
            });
            *column = ColumnStatistics {
                null_count: nulls.unwrap_or(Precision::Absent),
                min_value: bound(Side::Min).unwrap_or_default(),
                max_value: bound(Side::Max).unwrap_or_default(),
                ..ColumnStatistics::new_unknown()
            };
        }
        statistics
    }

    /// Nulls in a column by its name in the log, hidden rows counted too.
    pub(super) fn nulls(&self, column: &str) -> Option<usize> {
        let count = self.stats().get("nullCount")?.get(column)?.as_u64()?;
        usize::try_from(count).ok()
    }

    /// A value that no value of a column is beyond; nothing if the log, where it is named so, does not say.
    pub(super) fn bound(&self, field: &Field, in_log: &str, side: Side) -> Option<Bound> {
        let values = self.stats().get(match side {
            Side::Min => "minValues",
            Side::Max => "maxValues",
        })?;
        bound(values.get(in_log)?, field.data_type(), side)
    }
}

/// About how many bytes a value takes in memory.
fn width(data_type: &DataType) -> usize {
    match data_type {
        DataType::Boolean => 1,
        DataType::Struct(fields) => fields.iter().map(|field| width(field.data_type())).sum(),
        DataType::List(item) => 4 + 4 * width(item.data_type()),
        other => other.primitive_width().unwrap_or(32),
    }
}

impl PartialEq for DataFile {
    fn eq(&self, other: &Self) -> bool {
        self.0.add == other.0.add
    }
}

/// Below or above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Min,
    Max,
}

/// A bound of a column's values in a file.
pub(super) struct Bound {
    pub(super) value: ScalarValue,
    /// Whether a row has just this value, when none is hidden.
    pub(super) is_met: bool,
}

/// Reads a bound as cautiously as the least careful writer needs it: text may be cut, times may be cut to
/// milliseconds, decimals may have gone through a double, and NaN is above every bound but not counted.
fn bound(value: &Value, data_type: &DataType, side: Side) -> Option<Bound> {
    let (value, is_met) = match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            (ScalarValue::Int64(Some(value.as_i64()?)).cast_to(data_type).ok()?, true)
        }
        DataType::Date32 => {
            (ScalarValue::Utf8(Some(value.as_str()?.to_owned())).cast_to(data_type).ok()?, true)
        }
        DataType::Boolean => (ScalarValue::Boolean(Some(value.as_bool()?)), true),
        DataType::Float32 | DataType::Float64 if side == Side::Min => {
            (ScalarValue::Float64(Some(below(value.as_f64()?))).cast_to(data_type).ok()?, false)
        }
        DataType::Decimal128(precision, _) if *precision <= 15 => {
            let text = ScalarValue::Utf8(Some(value.as_number()?.to_string()));
            (text.cast_to(data_type).ok()?, false)
        }
        DataType::Utf8 | DataType::Utf8View => {
            (ScalarValue::Utf8(Some(value.as_str()?.to_owned())).cast_to(data_type).ok()?, false)
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = instant(value.as_str()?)?;
            let micros = if side == Side::Max { micros.checked_add(999)? } else { micros };
            (ScalarValue::TimestampMicrosecond(Some(micros), zone.clone()), false)
        }
        _ => return None,
    };
    (!value.is_null()).then_some(Bound { value, is_met })
}

/// Whether a value is a text of one character.
fn is_letter(value: &ScalarValue) -> bool {
    value.try_as_str().flatten().is_some_and(|text| text.chars().count() == 1)
}

/// A little less, as the column may have been a float when the bound was written: the shortest digits that name a
/// float may be above it.
fn below(bound: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "the nearest float is what is wanted")]
    let float = bound as f32;
    if float.is_finite() { bound.min(float.next_down().into()) } else { bound }
}

/// Microseconds since 1970 of a time as statistics write it, with a zone or without.
fn instant(text: &str) -> Option<i64> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(instant) => Some(instant.timestamp_micros()),
        Err(_) => Some(
            NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?.and_utc().timestamp_micros(),
        ),
    }
}

/// Says in a file's statistics that their bounds need not be met. No digit of them is touched.
fn with_loose_bounds(stats: &str) -> String {
    if stats.contains("\"tightBounds\"") {
        return stats.replace("\"tightBounds\":true", "\"tightBounds\":false");
    }
    match stats.trim_end().strip_suffix('}') {
        Some(rest) if rest.trim() == "{" => "{\"tightBounds\":false}".to_owned(),
        Some(rest) => format!("{rest},\"tightBounds\":false}}"),
        None => stats.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(stats: &str) -> DataFile {
        DataFile::new(Add { path: "a.parquet".into(), stats: Some(stats.into()), ..Add::default() })
    }

    #[test]
    fn what_the_log_says_exactly_the_optimizer_may_know() {
        let schema = Schema::new(vec![
            Field::new("price", DataType::Decimal128(38, 2), true),
            Field::new("id", DataType::Int64, true),
        ]);
        let file = file(
            r#"{"numRecords":3,"minValues":{"price":1.0,"id":4},"maxValues":{"price":9.0,"id":6},"nullCount":{"id":1}}"#,
        );

        let statistics = file.statistics(&schema, &Names::default());

        assert_eq!(statistics.num_rows, Precision::Exact(3));
        assert_eq!(statistics.total_byte_size, Precision::Inexact(3 * (16 + 8)));
        assert_eq!(statistics.column_statistics[0].max_value, Precision::Absent);
        assert_eq!(statistics.column_statistics[1].max_value, Precision::Exact(ScalarValue::Int64(Some(6))));
        assert_eq!(statistics.column_statistics[1].null_count, Precision::Exact(1));

        let vector = DeletionVectorDescriptor {
            storage_type: Default::default(),
            path_or_inline_dv: String::new(),
            offset: None,
            size_in_bytes: 0,
            cardinality: 2,
        };
        let fewer = file.with_hidden(vector, 0).statistics(&schema, &Names::default());
        assert_eq!(fewer.num_rows, Precision::Exact(1));
        assert_eq!(fewer.column_statistics[1].max_value, Precision::Inexact(ScalarValue::Int64(Some(6))));
    }

    #[test]
    fn a_bound_holds_whoever_wrote_it() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let most = |text: &str| bound(&Value::from(text), &micros, Side::Max).unwrap().value;
        let after =
            NaiveDateTime::parse_from_str("2013-01-01T00:00:00.001999", "%Y-%m-%dT%H:%M:%S%.f").unwrap();
        let after = ScalarValue::TimestampMicrosecond(Some(after.and_utc().timestamp_micros()), None);
        assert_eq!(most("2013-01-01T00:00:00.001"), after);
        assert_eq!(most("2013-01-01T00:00:00.001Z"), after);
        assert!(bound(&Value::from(1.5), &DataType::Float64, Side::Max).is_none(), "NaN is above it");
        assert!(!bound(&Value::from("a"), &DataType::Utf8View, Side::Min).unwrap().is_met);
    }

    #[test]
    fn statistics_keep_their_digits_when_rows_are_hidden() {
        assert_eq!(
            with_loose_bounds(r#"{"numRecords":1,"minValues":{"d":9007199254740993.01}}"#),
            r#"{"numRecords":1,"minValues":{"d":9007199254740993.01},"tightBounds":false}"#
        );
        assert_eq!(with_loose_bounds(r#"{"tightBounds":true}"#), r#"{"tightBounds":false}"#);
        assert_eq!(with_loose_bounds("{}"), r#"{"tightBounds":false}"#);
    }
}
