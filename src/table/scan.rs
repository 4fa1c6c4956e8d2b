//! How are a table's rows read?
//!
//! A [`Scan`] is a list of data files with one schema, as DataFusion's own Parquet source reads
//! them: several files and several parts of a file at once, statistics from the log for the
//! optimizer, filters pushed down. It is built from a [`Snapshot`](super::Snapshot), or from a
//! [`Change`](super::Change), which is how unpublished rows are read.
//!
//! With [`Scan::with_file_column`] each row also says which file it is in; writers find the rows to
//! touch that way.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue, Statistics, project_schema, stats::Precision};
use datafusion::datasource::TableType;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion_datasource::source::DataSourceExec;
use datafusion_datasource::{PartitionedFile, TableSchema};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::{DataFile, Snapshot, TableError, tables::store_url};
use crate::base::TableName;
use crate::lake::layout;

/// The hidden column that names the data file a row is in.
pub const FILE_COLUMN: &str = "_file";

/// A table's data files, ready to be read. Columns are matched by name; a file that lacks one gives nulls.
#[derive(Clone, Debug)]
pub struct Scan {
    root: Path,
    columns: SchemaRef,
    files: Vec<DataFile>,
    file_column: Option<FieldRef>,
    shown: SchemaRef,
}

impl Scan {
    /// Reads `files` of `table` as rows of `columns`.
    pub(super) fn new(table: &TableName, columns: SchemaRef, files: Vec<DataFile>) -> Self {
        let shown = Arc::clone(&columns);
        Self { root: layout::table(table), columns, files, file_column: None, shown }
    }

    /// Reads a published version.
    ///
    /// # Errors
    /// [`TableError::UnsupportedFeature`] if its rows cannot be told from its files alone.
    pub fn of(snapshot: &Snapshot) -> Result<Self, TableError> {
        snapshot.check_supported()?;
        Ok(Self::new(snapshot.table(), Arc::clone(snapshot.schema()), snapshot.files().to_vec()))
    }

    /// Shows the column [`FILE_COLUMN`] after the others.
    #[must_use]
    pub fn with_file_column(mut self) -> Self {
        let key = Box::new(DataType::UInt16);
        let field =
            Arc::new(Field::new(FILE_COLUMN, DataType::Dictionary(key, Box::new(DataType::Utf8)), false));
        let mut fields: Vec<FieldRef> = self.columns.fields().iter().cloned().collect();
        fields.push(Arc::clone(&field));
        self.shown = Arc::new(Schema::new(fields));
        self.file_column = Some(field);
        self
    }

    /// Rows, if the log says so for every file.
    pub fn rows(&self) -> Option<u64> {
        self.files.iter().map(DataFile::rows).sum()
    }

    fn partitioned_file(&self, file: &DataFile) -> PartitionedFile {
        let mut part = PartitionedFile::new_from_meta(ObjectMeta {
            location: Path::from_iter(self.root.parts().chain(Path::from(file.path()).parts())),
            last_modified: DateTime::<Utc>::UNIX_EPOCH,
            size: file.size(),
            e_tag: None,
            version: None,
        });
        if self.file_column.is_some() {
            let name = ScalarValue::Utf8(Some(file.path().to_owned()));
            part.partition_values = vec![ScalarValue::Dictionary(Box::new(DataType::UInt16), Box::new(name))];
        }
        part.with_statistics(Arc::new(file.statistics(&self.columns)))
    }

    fn whole_statistics(&self) -> Statistics {
        let mut whole = Statistics::new_unknown(&self.shown);
        let each: Vec<Statistics> = self.files.iter().map(|file| file.statistics(&self.columns)).collect();
        let sum = |of: &dyn Fn(&Statistics) -> Precision<usize>| {
            each.iter().map(of).reduce(|a, b| a.add(&b)).unwrap_or(Precision::Exact(0))
        };
        whole.num_rows = sum(&|statistics| statistics.num_rows);
        whole.total_byte_size = sum(&|statistics| statistics.total_byte_size);
        for (at, column) in whole.column_statistics.iter_mut().enumerate().take(self.columns.fields().len()) {
            let parts = || each.iter().map(|statistics| &statistics.column_statistics[at]);
            column.null_count =
                parts().map(|part| part.null_count).reduce(|a, b| a.add(&b)).unwrap_or(Precision::Exact(0));
            column.min_value = bound(parts().map(|part| &part.min_value), |a, b| a.min(b));
            column.max_value = bound(parts().map(|part| &part.max_value), |a, b| a.max(b));
        }
        whole
    }
}

/// Folds the files' bounds to the table's; nothing if a file has none.
fn bound<'a>(
    mut bounds: impl Iterator<Item = &'a Precision<ScalarValue>>,
    fold: impl Fn(&Precision<ScalarValue>, &Precision<ScalarValue>) -> Precision<ScalarValue>,
) -> Precision<ScalarValue> {
    let Some(first) = bounds.next() else { return Precision::Absent };
    bounds.fold(first.clone(), |folded, next| fold(&folded, next))
}

#[async_trait]
impl TableProvider for Scan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shown)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.whole_statistics())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = TableSchema::builder(Arc::clone(&self.columns))
            .with_table_partition_cols(self.file_column.iter().cloned().collect::<Vec<_>>())
            .build();
        let options = session.config_options().execution.parquet.clone();
        let mut source =
            ParquetSource::new(schema).with_table_parquet_options(datafusion::config::TableParquetOptions {
                global: options,
                ..Default::default()
            });
        if let Some(filter) = conjunction(filters.to_vec()) {
            let schema = DFSchema::try_from(Arc::clone(&self.shown))?;
            source = source.with_predicate(session.create_physical_expr(filter, &schema)?);
        }
        if self.files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.shown, projection)?)));
        }
        let files = FileGroup::new(self.files.iter().map(|file| self.partitioned_file(file)).collect());
        let config = FileScanConfigBuilder::new(store_url(), Arc::new(source))
            .with_file_groups(files.split_files(session.config().target_partitions()))
            .with_statistics(self.whole_statistics())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
