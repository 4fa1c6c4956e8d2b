//! How are a table's rows read?
//!
//! A [`Scan`] is a list of data files with one schema, as DataFusion's own Parquet source reads
//! them: several files and several parts of a file at once, statistics from the log for the
//! optimizer, filters pushed down. It is built from a [`Snapshot`](super::Snapshot), or from a
//! [`Change`](super::Change), which is how unpublished rows are read. Hidden rows are stepped over while a
//! file is decoded; files that cannot hold a row that is asked for are not opened.
//!
//! With [`Scan::with_places`] each row also says which file it is in and where; writers find the rows to
//! touch that way, and [`Scan::picking`] reads just some.
//!
//! Not here: which files those are (`skip`), and what a deletion vector is (`hidden`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue, Statistics, project_schema, stats::Precision};
use datafusion::datasource::TableType;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, DefaultParquetFileReaderFactory, ParquetRowSelection,
    metadata::DFParquetMetadata,
};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::MetricBuilder;
use datafusion_datasource::file::FileSource;
use datafusion_datasource::source::DataSourceExec;
use datafusion_datasource::{PartitionedFile, TableSchema};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use parquet::arrow::RowNumber;

use super::hidden::Positions;
use super::left::{MANY, left, parts};
use super::names::Layout;
use super::skip::needed;
use super::{DataFile, Snapshot, TableError, tables::store_url};
use crate::base::TableName;
use crate::lake::layout;

/// The hidden column that names the data file a row is in.
pub const FILE_COLUMN: &str = "_elt_file";

/// The hidden column that counts the rows of the file before this one, hidden rows included.
pub const POSITION_COLUMN: &str = "_elt_position";

/// The count that a plan has of a table's files, whether they are read or not.
pub const FILES_OF_TABLE: &str = "files_of_table";

/// The count of those that are read.
pub const FILES_TO_READ: &str = "files_to_read";

/// A table's data files, ready to be read. Columns are matched by name; a file that lacks one gives nulls.
#[derive(Clone, Debug)]
pub struct Scan {
    root: Path,
    columns: SchemaRef,
    layout: Layout,
    store: ObjectStoreUrl,
    files: Vec<DataFile>,
    picked: Option<Arc<BTreeMap<String, Positions>>>,
    passed_over: Option<Arc<BTreeMap<String, Positions>>>,
    places: bool,
}

impl Scan {
    /// Reads `files` of `table` as rows of `columns`.
    pub(super) fn new(table: &TableName, columns: &Schema, layout: Layout, files: Vec<DataFile>) -> Self {
        Self {
            root: layout::table(table),
            columns: viewed(columns),
            layout,
            store: store_url(),
            files,
            picked: None,
            passed_over: None,
            places: false,
        }
    }

    /// Reads a published version.
    ///
    /// # Errors
    /// [`TableError::UnsupportedFeature`] if its rows cannot be told from its files alone.
    pub fn of(snapshot: &Snapshot) -> Result<Self, TableError> {
        snapshot.check_readable()?;
        let files = snapshot.files().to_vec();
        Ok(Self::new(snapshot.table(), snapshot.schema(), snapshot.design().layout(), files))
    }

    /// Reads the files from another store than the lake's.
    #[must_use]
    pub(super) fn in_store(mut self, url: &ObjectStoreUrl) -> Self {
        self.store = url.clone();
        self
    }

    /// Shows the columns [`FILE_COLUMN`] and [`POSITION_COLUMN`] after the others.
    #[must_use]
    pub fn with_places(mut self) -> Self {
        self.places = true;
        self
    }

    /// Reads these rows of these files, and nothing else. Hidden rows stay hidden.
    #[must_use]
    pub(super) fn picking(mut self, rows: Arc<BTreeMap<String, Positions>>) -> Self {
        self.files.retain(|file| rows.contains_key(file.path()));
        self.picked = Some(rows);
        self
    }

    /// Reads all but these rows.
    #[must_use]
    pub(super) fn passing_over(mut self, rows: Arc<BTreeMap<String, Positions>>) -> Self {
        self.passed_over = Some(rows);
        self
    }

    /// Rows, if the log says so for every file.
    pub fn rows(&self) -> Option<u64> {
        self.files.iter().map(DataFile::rows).sum()
    }

    /// The columns that are in the files, those that are in the log, and those that say where a row is.
    fn table_schema(&self) -> TableSchema {
        let is_partition =
            |field: &FieldRef| self.layout.partition_columns.iter().any(|name| name == field.name());
        let (logged, stored): (Vec<FieldRef>, Vec<FieldRef>) =
            self.columns.fields().iter().cloned().partition(is_partition);
        let mut logged = logged;
        let schema = TableSchema::builder(Arc::new(Schema::new(stored)));
        if !self.places {
            return schema.with_table_partition_cols(logged).build();
        }
        logged.push(Arc::new(file_field()));
        schema
            .with_table_partition_cols(logged)
            .with_virtual_columns(vec![Arc::new(position_field())])
            .build()
    }

    /// A file as the engine reads it: as one, or as several one after another.
    async fn partitioned_files(
        &self,
        file: &DataFile,
        logged: &[FieldRef],
        store: &dyn ObjectStore,
        footers: Option<Arc<FileMetadataCache>>,
    ) -> Result<Vec<PartitionedFile>> {
        let mut part = PartitionedFile::new_from_meta(ObjectMeta {
            location: file.location(&self.root)?,
            last_modified: DateTime::<Utc>::UNIX_EPOCH,
            size: file.size(),
            e_tag: None,
            version: None,
        });
        let values = logged.iter().map(|field| match field.name().as_str() {
            FILE_COLUMN if self.places => {
                let name = ScalarValue::Utf8(Some(file.path().to_owned()));
                Ok(ScalarValue::Dictionary(Box::new(DataType::UInt16), Box::new(name)))
            }
            name => {
                partition_scalar(file.partition_value(self.layout.names.in_files(name)), field.data_type())
            }
        });
        part.partition_values = values.collect::<Result<_>>()?;
        part = part.with_statistics(Arc::new(file.statistics(&self.stored_columns(), &self.layout.names)));
        Ok(match self.gone(file, store).await? {
            None => vec![part],
            Some((gone, rows)) if gone.len() < MANY => {
                vec![part.with_extension(ParquetRowSelection::new(left(&gone, 0..rows)))]
            }
            Some((gone, rows)) => {
                let footer = DFParquetMetadata::new(store, &part.object_meta);
                let footer = footer.with_file_metadata_cache(footers).fetch_metadata().await?;
                parts(&part, footer.row_groups(), &gone, rows)?
            }
        })
    }

    fn stored_columns(&self) -> Schema {
        let stored =
            |field: &&FieldRef| !self.layout.partition_columns.iter().any(|name| name == field.name());
        Schema::new(self.columns.fields().iter().filter(stored).cloned().collect::<Vec<_>>())
    }

    /// Which rows of a file not to decode, and how many there are in it; nothing if all are.
    async fn gone(&self, file: &DataFile, store: &dyn ObjectStore) -> Result<Option<(Positions, u64)>> {
        let hidden = file.hidden(store, &self.root).await?;
        let over = self.passed_over.as_ref().and_then(|over| over.get(file.path()));
        let picked = self.picked.as_ref().and_then(|picked| picked.get(file.path()));
        if hidden.is_none() && over.is_none() && picked.is_none() {
            return Ok(None);
        }
        let Some(rows) = file.rows_in_file() else {
            let because =
                format!("the log does not say how many rows {} has, and some are hidden", file.path());
            return Err(DataFusionError::External(because.into()));
        };
        let mut gone = hidden.as_deref().cloned().unwrap_or_default();
        if let Some(over) = over {
            gone |= over;
        }
        if let Some(picked) = picked {
            let mut others = Positions::new();
            others.insert_range(0..rows);
            gone |= others - picked;
        }
        Ok(Some((gone, rows)))
    }

    fn whole_statistics(&self) -> Statistics {
        let shown = self.schema();
        let mut whole = Statistics::new_unknown(&shown);
        let each: Vec<Statistics> =
            self.files.iter().map(|file| file.statistics(&self.columns, &self.layout.names)).collect();
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
        if self.picked.is_some() || self.passed_over.is_some() {
            whole = whole.to_inexact();
        }
        whole
    }
}

/// Text and bytes as views: what the engine compares and groups fastest, and Parquet gives without a copy.
fn viewed(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        DataType::Binary => Arc::new(field.as_ref().clone().with_data_type(DataType::BinaryView)),
        _ => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn file_field() -> Field {
    let key = Box::new(DataType::UInt16);
    Field::new(FILE_COLUMN, DataType::Dictionary(key, Box::new(DataType::Utf8)), false)
}

fn position_field() -> Field {
    Field::new(POSITION_COLUMN, DataType::Int64, false).with_extension_type(RowNumber)
}

/// A partition value in its column's type: text, as the protocol's *Partition Value Serialization* has it.
fn partition_scalar(value: Option<&str>, data_type: &DataType) -> Result<ScalarValue> {
    match value {
        None => ScalarValue::try_from(data_type),
        Some(text) => ScalarValue::Utf8(Some(text.to_owned())).cast_to(data_type),
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
        if !self.places {
            return Arc::clone(&self.columns);
        }
        let mut fields: Vec<FieldRef> = self.columns.fields().iter().cloned().collect();
        fields.extend([Arc::new(file_field()), Arc::new(position_field())]);
        Arc::new(Schema::new(fields))
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
        let shown = self.schema();
        let schema = self.table_schema();
        let inner = Arc::clone(schema.table_schema());
        let mut options = session.config_options().execution.parquet.clone();
        options.pushdown_filters &= !self.layout.names.reach_inside();
        let source = ParquetSource::new(schema.clone()).with_table_parquet_options(
            datafusion::config::TableParquetOptions { global: options, ..Default::default() },
        );
        let mut scan = self.clone();
        if let Some(filter) = conjunction(filters.to_vec()) {
            let filter = session.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(&inner))?)?;
            scan.files = needed(&self.files, &self.columns, &self.layout, &filter)?;
        } else if let Some(limit) = limit {
            scan.files = first_files(&self.files, limit);
        }
        if scan.files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&shown, projection)?)));
        }
        count_files(&source, self.files.len(), scan.files.len());
        let store = session.runtime_env().object_store(&self.store)?;
        // Data files never change under their name, so a footer is read once for all queries.
        // Footers are remembered by path alone, and another store may have the same paths.
        let is_own = self.store == store_url();
        let footers = is_own.then(|| session.runtime_env().cache_manager.get_file_metadata_cache());
        let source = match &footers {
            Some(footers) => {
                let reader = CachedParquetFileReaderFactory::new(Arc::clone(&store), Arc::clone(footers));
                source.with_parquet_file_reader_factory(Arc::new(reader))
            }
            None => source.with_parquet_file_reader_factory(Arc::new(DefaultParquetFileReaderFactory::new(
                Arc::clone(&store),
            ))),
        };
        let logged: Vec<FieldRef> = schema.table_partition_cols().iter().cloned().collect();
        let mut files = Vec::with_capacity(scan.files.len());
        for file in &scan.files {
            files.extend(scan.partitioned_files(file, &logged, store.as_ref(), footers.clone()).await?);
        }
        let inner_index = |at: usize| inner.index_of(shown.field(at).name());
        let wanted: Vec<usize> = match projection {
            Some(columns) => columns.iter().map(|at| inner_index(*at)).collect::<Result<_, _>>()?,
            None => (0..shown.fields().len()).map(inner_index).collect::<Result<_, _>>()?,
        };
        let config = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(FileGroup::new(files).split_files(session.config().target_partitions()))
            .with_statistics(in_order_of(&inner, &shown, scan.whole_statistics()))
            .with_projection_indices(Some(wanted))?
            .with_limit(limit);
        let config = match self.layout.names.are_plain() {
            true => config.build(),
            false => config.with_expr_adapter(Some(Arc::new(self.layout.names.clone()))).build(),
        };
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Leaves with a plan how many files the table has, and how many of them are read.
fn count_files(source: &ParquetSource, all: usize, read: usize) {
    let metrics = FileSource::metrics(source);
    for (name, count) in [(FILES_OF_TABLE, all), (FILES_TO_READ, read)] {
        MetricBuilder::new(metrics).global_counter(name).add(count);
    }
}

/// As many of the files as hold so many rows.
fn first_files(files: &[DataFile], limit: usize) -> Vec<DataFile> {
    let mut rows = 0;
    let mut taken = Vec::new();
    for file in files {
        if rows >= limit as u64 {
            break;
        }
        rows += file.rows().unwrap_or(0);
        taken.push(file.clone());
    }
    taken
}

/// The statistics of `shown`'s columns, for `inner`, which has the same in another order.
fn in_order_of(inner: &Schema, shown: &Schema, statistics: Statistics) -> Statistics {
    let of = |field: &FieldRef| {
        let at = shown.index_of(field.name()).ok();
        at.and_then(|at| statistics.column_statistics.get(at).cloned()).unwrap_or_default()
    };
    Statistics { column_statistics: inner.fields().iter().map(of).collect(), ..statistics }
}
