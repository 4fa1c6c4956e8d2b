//! How is a long log kept quick to read?
//!
//! A checkpoint is a Parquet file that says in one place what all commits up to it say. Readers begin
//! there. It is written beside the log, after the commit and apart from it: without it everything is slower
//! and nothing is wrong.

use std::collections::HashMap;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::DataFusionError;
use datafusion::prelude::{ParquetReadOptions, col};
use deltalake::DeltaTable;
use deltalake::checkpoints::create_checkpoint;

use super::error::log_error;
use super::tables::store_url;
use super::{TableError, Tables};
use crate::base::{TableName, TableVersion};
use crate::lake::layout;

/// How many commits since the last checkpoint make the next one due.
pub const CHECKPOINT_EVERY: u64 = 50;

/// The newest checkpoint of a table that is not newer than `upto`; nothing if there is none in one piece.
pub async fn last_checkpoint(
    tables: &Tables,
    table: &TableName,
    upto: TableVersion,
) -> Result<Option<TableVersion>, TableError> {
    let log = tables.lake().list(&layout::log(table)).await?;
    let versions = log.iter().filter_map(|object| layout::checkpoint_of(&object.location));
    Ok(versions.map(TableVersion).filter(|version| *version <= upto).max())
}

/// Writes a checkpoint of a table at `version`.
pub async fn write_checkpoint(
    tables: &Tables,
    table: &TableName,
    version: TableVersion,
) -> Result<(), TableError> {
    let mut delta = DeltaTable::new(tables.log_store(table));
    delta.load_version(version.0).await.map_err(log_error(table))?;
    create_checkpoint(&delta, None).await.map_err(log_error(table))
}

/// The `txn` actions that a checkpoint remembers.
pub(super) async fn transactions_at(
    tables: &Tables,
    table: &TableName,
    checkpoint: TableVersion,
) -> Result<HashMap<String, i64>, TableError> {
    let path = layout::checkpoint(table, checkpoint);
    let url = format!("{}{path}", store_url().as_str());
    let options = ParquetReadOptions::default().file_extension(".parquet");
    let rows = tables.context().read_parquet(url, options).await?;
    let rows = rows.filter(col("txn").is_not_null())?.select(vec![col("txn")])?.collect().await?;
    let mut found = HashMap::new();
    for batch in rows {
        let txn = batch.column(0).as_struct();
        let field = |name: &str, data_type: &DataType| {
            let column = txn
                .column_by_name(name)
                .ok_or_else(|| DataFusionError::External(format!("{path} has no txn.{name}").into()))?;
            Ok::<_, DataFusionError>(cast(column, data_type)?)
        };
        let (apps, versions) = (field("appId", &DataType::Utf8)?, field("version", &DataType::Int64)?);
        let (apps, versions) = (apps.as_string::<i32>(), versions.as_primitive::<Int64Type>());
        let named = (0..batch.num_rows()).filter(|row| apps.is_valid(*row) && versions.is_valid(*row));
        found.extend(named.map(|row| (apps.value(row).to_owned(), versions.value(row))));
    }
    Ok(found)
}
