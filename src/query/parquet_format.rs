//! What do Parquet files promise of their columns?
//!
//! Their bounds leave NaN out: of `1.5, NaN, 1.5` a file says that it has nothing but `1.5`, and the engine, which takes
//! that for a promise, would read `1.5` three times, and answer `max` without looking. So bounds of floating numbers are what
//! they are, hints: [`ParquetFiles`] is the engine's format in all else.
//!
//! Not here: files of the lake's own tables, whose bounds are in the log (`table/file.rs`).

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::file_format::{FileFormat, FileMeta};
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::object_store::{ObjectMeta, ObjectStore};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::ExecutionPlan;

/// Parquet, as the engine reads it, with what its bounds cannot promise taken for hints.
#[derive(Debug, Default)]
pub(super) struct ParquetFiles {
    inner: ParquetFormat,
}

/// The statistics of a file, of which bounds of floating numbers are hints.
fn without_promises(mut statistics: Statistics, schema: &Schema) -> Statistics {
    for (column, field) in statistics.column_statistics.iter_mut().zip(schema.fields()) {
        if matches!(field.data_type(), DataType::Float16 | DataType::Float32 | DataType::Float64) {
            column.min_value = std::mem::take(&mut column.min_value).to_inexact();
            column.max_value = std::mem::take(&mut column.max_value).to_inexact();
        }
    }
    statistics
}

#[async_trait]
impl FileFormat for ParquetFiles {
    fn get_ext(&self) -> String {
        self.inner.get_ext()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        self.inner.get_ext_with_compression(compression)
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        self.inner.compression_type()
    }

    async fn infer_schema(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        objects: &[ObjectMeta],
    ) -> Result<SchemaRef> {
        self.inner.infer_schema(state, store, objects).await
    }

    async fn infer_stats(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        table: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<Statistics> {
        let found = self.inner.infer_stats(state, store, Arc::clone(&table), object).await?;
        Ok(without_promises(found, &table))
    }

    async fn infer_ordering(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        table: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<Option<LexOrdering>> {
        self.inner.infer_ordering(state, store, table, object).await
    }

    async fn infer_stats_and_ordering(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        table: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<FileMeta> {
        let mut found = self.inner.infer_stats_and_ordering(state, store, Arc::clone(&table), object).await?;
        found.statistics = without_promises(found.statistics, &table);
        Ok(found)
    }

    async fn create_physical_plan(
        &self,
        state: &dyn Session,
        scan: FileScanConfig,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.inner.create_physical_plan(state, scan).await
    }

    fn file_source(&self, table: TableSchema) -> Arc<dyn FileSource> {
        self.inner.file_source(table)
    }
}
