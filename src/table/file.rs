//! What does a table's log know of one data file?

use arrow::datatypes::{DataType, Schema};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use deltalake::kernel::{Add, Remove};
use serde_json::Value;

/// A Parquet file that belongs to a table at some version.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFile(pub(super) Add);

impl DataFile {
    /// The path below the table's root.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Bytes on disk.
    pub fn size(&self) -> u64 {
        u64::try_from(self.0.size).unwrap_or(0)
    }

    /// Rows in the file, if the log says.
    pub fn rows(&self) -> Option<u64> {
        self.stats()?.get("numRecords")?.as_u64()
    }

    /// The same file, in other words: equal paths name equal content, data files being immutable.
    pub fn is(&self, other: &Self) -> bool {
        self.0.path == other.0.path && self.0.deletion_vector == other.0.deletion_vector
    }

    /// The action that takes the file out of the table, as of `millis` since 1970.
    pub(super) fn remove(&self, millis: i64) -> Remove {
        Remove {
            path: self.0.path.clone(),
            data_change: true,
            deletion_timestamp: Some(millis),
            extended_file_metadata: Some(true),
            partition_values: Some(self.0.partition_values.clone()),
            size: Some(self.0.size),
            deletion_vector: self.0.deletion_vector.clone(),
            ..Remove::default()
        }
    }

    fn stats(&self) -> Option<Value> {
        serde_json::from_str(self.0.stats.as_deref()?).ok()
    }

    /// What the optimizer may know: the row count exactly, null counts, and bounds of whole
    /// numbers and dates. Other bounds are cut or rounded in the log and stay unknown.
    pub(super) fn statistics(&self, schema: &Schema) -> Statistics {
        let stats = self.stats().unwrap_or_default();
        let mut statistics = Statistics::new_unknown(schema);
        if let Some(rows) = stats.get("numRecords").and_then(Value::as_u64) {
            statistics.num_rows = Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX));
        }
        statistics.total_byte_size = Precision::Inexact(usize::try_from(self.0.size).unwrap_or(usize::MAX));
        for (column, field) in statistics.column_statistics.iter_mut().zip(schema.fields()) {
            *column = column_statistics(&stats, field.name(), field.data_type());
        }
        statistics
    }
}

fn column_statistics(stats: &Value, name: &str, data_type: &DataType) -> ColumnStatistics {
    let bound = |which: &str| {
        let value = stats.get(which).and_then(|values| values.get(name)).and_then(|v| scalar(v, data_type));
        value.map_or(Precision::Absent, Precision::Exact)
    };
    let nulls = stats.get("nullCount").and_then(|counts| counts.get(name)).and_then(Value::as_u64);
    let nulls = nulls.and_then(|count| usize::try_from(count).ok());
    ColumnStatistics {
        null_count: nulls.map_or(Precision::Absent, Precision::Exact),
        min_value: bound("minValues"),
        max_value: bound("maxValues"),
        ..ColumnStatistics::new_unknown()
    }
}

fn scalar(value: &Value, data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            ScalarValue::Int64(Some(value.as_i64()?)).cast_to(data_type).ok()
        }
        DataType::Date32 => ScalarValue::Utf8(Some(value.as_str()?.to_owned())).cast_to(data_type).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn what_the_log_says_exactly_the_optimizer_may_know() {
        let schema = Schema::new(vec![
            Arc::new(Field::new("price", DataType::Decimal128(38, 2), true)),
            Arc::new(Field::new("id", DataType::Int64, true)),
        ]);
        let file = DataFile(Add {
            path: "a.parquet".into(),
            stats: Some(
                r#"{"numRecords":3,"minValues":{"price":1.0,"id":4},"maxValues":{"price":9.0,"id":6},"nullCount":{"id":1}}"#
                    .into(),
            ),
            ..Add::default()
        });

        let statistics = file.statistics(&schema);

        assert_eq!(statistics.num_rows, Precision::Exact(3));
        assert_eq!(statistics.column_statistics[0].max_value, Precision::Absent);
        assert_eq!(statistics.column_statistics[1].max_value, Precision::Exact(ScalarValue::Int64(Some(6))));
        assert_eq!(statistics.column_statistics[1].null_count, Precision::Exact(1));
    }
}
