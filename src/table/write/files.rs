//! How do rows become data files?
//!
//! Written here and not by deltalake's writer, for two reasons found by testing: that one panics when
//! an upload fails, and it takes decimal bounds through `f64`, which makes readers skip rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use deltalake::kernel::Add;
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::errors::ParquetError;

use super::columns::ColumnsWriter;
use super::encoding::properties;
use super::generated::Generated;
use super::rules::Rules;
use super::statistics::statistics_json;
use crate::base::TableName;
use crate::lake::layout;
use crate::table::clustering::arranged;
use crate::table::names::Names;
use crate::table::schema::conform;
use crate::table::{DataFile, Design, TableError, Tables};

/// Bytes after which a file is closed and the next begun.
const FILE_BYTES: usize = 128 * 1024 * 1024;

/// Files that are open at once, one for each partition. One more, and the largest is closed.
const OPEN_FILES: usize = 64;

/// The columns that are in a table's files, as they are named there.
pub(super) fn stored(schema: &SchemaRef, design: &Design) -> SchemaRef {
    let is_stored = |field: &&FieldRef| !design.partition_columns().iter().any(|name| name == field.name());
    let fields: Vec<FieldRef> = schema.fields().iter().filter(is_stored).cloned().collect();
    design.layout().names.stored(&Arc::new(Schema::new(fields)))
}

/// Writes every row of `rows` into new data files of `table`, under `schema`.
///
/// Returns the files, none if there are no rows, and how many rows they hold. Memory stays at about one row
/// group for each partition that is being written. On an error, files already complete stay unreferenced.
pub(super) async fn write_rows(
    tables: &Tables,
    table: &TableName,
    schema: &SchemaRef,
    design: &Design,
    rows: SendableRecordBatchStream,
) -> Result<(Vec<DataFile>, u64), TableError> {
    write_rows_as(tables, table, schema, design, rows, None).await
}

/// The same; the first of the files has this in its name, if something is given.
pub(super) async fn write_rows_as(
    tables: &Tables,
    table: &TableName,
    schema: &SchemaRef,
    design: &Design,
    rows: SendableRecordBatchStream,
    name: Option<String>,
) -> Result<(Vec<DataFile>, u64), TableError> {
    let mut writer = RowsWriter { first: name, ..RowsWriter::new(tables, table, schema, design)? };
    let mut rows = arranged(tables, design, rows).await?;
    while let Some(batch) = rows.next().await {
        writer.push(&batch?).await?;
    }
    writer.finish().await
}

/// Takes rows, gives files. Dropped before the end, it leaves nothing that a table refers to.
pub(super) struct RowsWriter<'a> {
    tables: &'a Tables,
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    /// The columns that are in the files, as they are named there.
    stored: SchemaRef,
    names: Names,
    partition_columns: Vec<usize>,
    rules: Rules,
    generated: Generated,
    /// Stands in the names of the files.
    label: String,
    /// What tells the next file from others, if that was given.
    first: Option<String>,
    open: BTreeMap<Partition, OpenFile>,
    files: Vec<DataFile>,
    rows: u64,
}

/// The values of the partition columns, as the log spells them; null is nothing.
type Partition = Vec<Option<String>>;

impl<'a> RowsWriter<'a> {
    pub(super) fn new(
        tables: &'a Tables,
        table: &TableName,
        schema: &SchemaRef,
        design: &Design,
    ) -> Result<Self, TableError> {
        let partition_columns: Vec<usize> =
            design.partition_columns().iter().filter_map(|name| schema.index_of(name).ok()).collect();
        Ok(Self {
            tables,
            store: tables.lake().store_at(&layout::table(table)),
            schema: Arc::clone(schema),
            stored: stored(schema, design),
            names: design.layout().names,
            partition_columns,
            rules: Rules::of(tables, table, schema, design)?,
            generated: Generated::of(tables, table, schema, design)?,
            label: String::new(),
            first: None,
            open: BTreeMap::new(),
            files: Vec::new(),
            rows: 0,
        })
    }

    /// Puts a label into the names of the files.
    pub(super) fn labelled(mut self, label: String) -> Self {
        self.label = label;
        self
    }

    /// Writes some rows; columns are matched by name.
    pub(super) async fn push(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rules.check_nulls(batch)?;
        let batch = self.generated.fill(conform(batch, &self.schema)?)?;
        self.rules.check(&batch)?;
        self.rows += batch.num_rows() as u64;
        if self.partition_columns.is_empty() {
            return self.push_to(Partition::new(), batch).await;
        }
        for (partition, rows) in self.by_partition(&batch)? {
            self.push_to(partition, rows).await?;
        }
        Ok(())
    }

    async fn push_to(&mut self, partition: Partition, batch: RecordBatch) -> Result<(), TableError> {
        let batch = self.names.store(&batch, &self.stored).map_err(DataFusionError::from)?;
        if !self.open.contains_key(&partition) {
            if self.open.len() >= OPEN_FILES {
                let largest = self.open.iter().max_by_key(|(_, file)| file.writer.bytes());
                if let Some(largest) = largest.map(|(partition, _)| partition.clone()) {
                    self.close(&largest).await?;
                }
            }
            let folder = self.folder(&partition);
            let id = self.first.take().unwrap_or_else(|| self.tables.id());
            let name = format!("{folder}part-{id}{}.parquet", self.label);
            let file = OpenFile::begin(&self.store, &self.stored, &batch, name)?;
            self.open.insert(partition.clone(), file);
        }
        let file = self.open.get_mut(&partition).expect("it was just opened");
        file.writer.write(&batch).await.map_err(failed)?;
        if file.writer.bytes() >= FILE_BYTES {
            self.close(&partition).await?;
        }
        Ok(())
    }

    async fn close(&mut self, partition: &Partition) -> Result<(), TableError> {
        let Some(file) = self.open.remove(partition) else { return Ok(()) };
        let names = self.partition_columns.iter();
        let names = names.map(|at| self.names.in_files(self.schema.field(*at).name()).to_owned());
        let values: HashMap<String, Option<String>> = names.zip(partition.iter().cloned()).collect();
        self.files.push(file.finish(self.tables, &self.stored, values).await?);
        Ok(())
    }

    /// Finishes what is open. Returns the files and how many rows they hold.
    pub(super) async fn finish(mut self) -> Result<(Vec<DataFile>, u64), TableError> {
        let open: Vec<Partition> = self.open.keys().cloned().collect();
        for partition in open {
            self.close(&partition).await?;
        }
        Ok((self.files, self.rows))
    }

    /// The rows of each partition, without the partition columns.
    fn by_partition(&self, batch: &RecordBatch) -> Result<Vec<(Partition, RecordBatch)>, TableError> {
        let columns: Vec<&ArrayRef> = self.partition_columns.iter().map(|at| batch.column(*at)).collect();
        let options = FormatOptions::default()
            .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.6f"))
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.6f"));
        let shown: Result<Vec<ArrayFormatter<'_>>, _> =
            columns.iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options)).collect();
        let shown = shown.map_err(DataFusionError::from)?;
        let mut rows: BTreeMap<Partition, Vec<u32>> = BTreeMap::new();
        for row in 0..batch.num_rows() {
            let value = |(column, shown): (&&ArrayRef, &ArrayFormatter<'_>)| {
                let text = column.is_valid(row).then(|| shown.value(row).to_string());
                text.filter(|text| !text.is_empty())
            };
            let partition: Partition = columns.iter().zip(&shown).map(value).collect();
            // The log says nothing for an empty text, as it does for a null.
            let must = |at: &usize| !self.schema.field(*at).is_nullable();
            let lacks =
                self.partition_columns.iter().zip(&partition).find(|(at, value)| value.is_none() && must(at));
            if let Some((at, _)) = lacks {
                return Err(self.rules.null_at(self.schema.field(*at).name(), batch, row));
            }
            rows.entry(partition).or_default().push(u32::try_from(row).unwrap_or(u32::MAX));
        }
        let stored: Vec<usize> =
            (0..batch.num_columns()).filter(|at| !self.partition_columns.contains(at)).collect();
        let stored = batch.project(&stored).map_err(DataFusionError::from)?;
        let part = |(partition, rows): (Partition, Vec<u32>)| {
            let rows = take_record_batch(&stored, &UInt32Array::from(rows)).map_err(DataFusionError::from)?;
            Ok((partition, rows))
        };
        rows.into_iter().map(part).collect()
    }

    /// `month=2013-01-01/`. A value that is too long for the name of a folder has none; the log says it anyway.
    fn folder(&self, partition: &Partition) -> String {
        const LONGEST: usize = 200;
        let folders = self.partition_columns.iter().zip(partition).map(|(at, value)| {
            let name = self.names.in_files(self.schema.field(*at).name());
            let folder = layout::partition(name, value.as_deref());
            (folder.len() <= LONGEST).then(|| folder + "/")
        });
        folders.collect::<Option<String>>().unwrap_or_default()
    }
}

/// A file that is being written.
pub(super) struct OpenFile {
    name: String,
    pub(super) writer: ColumnsWriter,
}

impl OpenFile {
    /// `first` are the first rows that are going to be written.
    pub(super) fn begin(
        store: &Arc<dyn ObjectStore>,
        schema: &SchemaRef,
        first: &RecordBatch,
        name: String,
    ) -> Result<Self, TableError> {
        let path = Path::parse(&name).expect("what stands in a folder's name is escaped");
        let upload = BufWriter::new(Arc::clone(store), path);
        let writer = ColumnsWriter::new(upload, schema, properties(first)).map_err(failed)?;
        Ok(Self { name, writer })
    }

    pub(super) async fn finish(
        self,
        tables: &Tables,
        schema: &SchemaRef,
        partition_values: HashMap<String, Option<String>>,
    ) -> Result<DataFile, TableError> {
        let (metadata, size) = self.writer.finish().await.map_err(failed)?;
        Ok(DataFile::new(Add {
            path: self.name,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            modification_time: tables.now_millis(),
            data_change: true,
            partition_values,
            stats: Some(statistics_json(&metadata, schema)?),
            ..Add::default()
        }))
    }
}

pub(super) fn failed(error: ParquetError) -> TableError {
    TableError::Rows(match error {
        ParquetError::External(boxed) => match boxed.downcast::<object_store::Error>() {
            Ok(store) => DataFusionError::ObjectStore(store),
            Err(boxed) => DataFusionError::External(boxed),
        },
        other => DataFusionError::ParquetError(Box::new(other)),
    })
}
