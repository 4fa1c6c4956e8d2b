//! How do rows become data files?

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::operations::get_num_idx_cols_and_stats_columns;
use futures::StreamExt;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::base::TableName;
use crate::lake::layout;
use crate::table::error::log_error;
use crate::table::schema::conform;
use crate::table::{DataFile, TableError, Tables};

/// Rows a batch handed to the Parquet writer may have.
const WRITE_BATCH: usize = 8192;

/// Writes every row of `rows` into new data files of `table`, under `schema`.
///
/// Returns the files in the order written, none if there are no rows, and how many rows they hold.
/// Memory stays at about one row group. On an error, files already complete stay unreferenced.
pub(super) async fn write_rows(
    tables: &Tables,
    table: &TableName,
    schema: &SchemaRef,
    mut rows: SendableRecordBatchStream,
) -> Result<(Vec<DataFile>, u64), TableError> {
    let store = tables.lake().store_at(&layout::table(table));
    let mut writer = DeltaWriter::new(store, config(schema));
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = conform(&batch?, schema)?;
        if batch.num_rows() > 0 {
            count += batch.num_rows() as u64;
            writer.write(&batch).await.map_err(log_error(table))?;
        }
    }
    let adds = writer.close().await.map_err(log_error(table))?;
    Ok((adds.into_iter().map(|add| DataFile::written(add, schema)).collect(), count))
}

fn config(schema: &SchemaRef) -> WriterConfig {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("1 is a level")))
        .build();
    let (statistics_of, named) = get_num_idx_cols_and_stats_columns(None, HashMap::new());
    WriterConfig::new(schema.clone(), Vec::new(), Some(properties), None, Some(WRITE_BATCH), statistics_of, named)
}
