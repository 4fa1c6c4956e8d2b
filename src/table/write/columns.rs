//! How do rows become the columns of a file?
//!
//! Encoding and compressing take most of a write, and Parquet's writer does them column after column. Here the columns of a batch
//! are dealt out to the cores; what comes out is the same file. Memory is that of one row group, encoded.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use object_store::buffered::BufWriter;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowLeafColumn, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use tokio::task::JoinSet;

use super::again::Group;

/// Bytes of a batch that are encoded sooner than they are dealt out.
const SMALL: usize = 64 * 1024;

/// A Parquet file that is being written.
pub(super) struct ColumnsWriter {
    file: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    upload: BufWriter,
    schema: SchemaRef,
    /// Rows of a row group, at most.
    most: usize,
    /// The columns of the row group that is open; none before its first rows.
    open: Vec<ArrowColumnWriter>,
    /// Rows in it.
    rows: usize,
    /// Row groups that are done.
    groups: usize,
}

impl ColumnsWriter {
    pub(super) fn new(upload: BufWriter, schema: &SchemaRef, properties: WriterProperties) -> Result<Self> {
        let most = properties.max_row_group_row_count().unwrap_or(1024 * 1024);
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties))?;
        let (file, factory) = writer.into_serialized_writer()?;
        let (open, schema) = (Vec::new(), Arc::clone(schema));
        Ok(Self { file, factory, upload, schema, most, open, rows: 0, groups: 0 })
    }

    /// About how many bytes the file has by now.
    pub(super) fn bytes(&self) -> usize {
        let open = self.open.iter().map(ArrowColumnWriter::get_estimated_total_bytes);
        self.file.bytes_written() + open.sum::<usize>()
    }

    /// Writes rows that have the columns of the file.
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut from = 0;
        while from < batch.num_rows() {
            let rows = (batch.num_rows() - from).min(self.most - self.rows);
            self.encode(&batch.slice(from, rows)).await?;
            (from, self.rows) = (from + rows, self.rows + rows);
            if self.rows == self.most {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Whether another file has the same columns, written as this one writes them.
    pub(super) fn has_columns_of(&self, other: &ParquetMetaData) -> bool {
        let fields = |schema: &SchemaDescriptor| schema.root_schema().get_fields().to_vec();
        fields(self.file.schema_descr()) == fields(other.file_metadata().schema_descr())
    }

    /// Copies the columns of a row group of another file.
    pub(super) async fn copy(&mut self, from: &Group, columns: Vec<ColumnCloseResult>) -> Result<()> {
        self.flush().await?;
        let mut group = self.file.next_row_group()?;
        for column in columns {
            group.append_column(from, column)?;
        }
        group.close()?;
        self.groups += 1;
        self.send().await
    }

    /// Finishes the file. Returns what stands at its end, and how large it is.
    pub(super) async fn finish(mut self) -> Result<(ParquetMetaData, usize)> {
        self.flush().await?;
        let metadata = self.file.finish()?;
        self.send().await?;
        AsyncFileWriter::complete(&mut self.upload).await?;
        Ok((metadata, self.file.bytes_written()))
    }

    async fn encode(&mut self, rows: &RecordBatch) -> Result<()> {
        if self.open.is_empty() {
            self.open = self.factory.create_column_writers(self.groups)?;
        }
        let mut leaves = Vec::with_capacity(self.open.len());
        for (field, column) in self.schema.fields().iter().zip(rows.columns()) {
            let bytes = column.to_data().get_slice_memory_size().unwrap_or(0);
            leaves.extend(compute_leaves(field, column)?.into_iter().map(|leaf| (bytes, leaf)));
        }
        let work = std::mem::take(&mut self.open).into_iter().zip(leaves);
        let work = work.map(|(column, (bytes, leaf))| (bytes, (column, leaf))).collect();
        self.open = each(work, |(mut column, leaf): (ArrowColumnWriter, ArrowLeafColumn)| {
            column.write(&leaf)?;
            Ok(column)
        })
        .await?;
        Ok(())
    }

    /// Ends the row group.
    async fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let open = std::mem::take(&mut self.open).into_iter().map(|column| (column.memory_size(), column));
        let chunks: Vec<ArrowColumnChunk> = each(open.collect(), ArrowColumnWriter::close).await?;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        (self.rows, self.groups) = (0, self.groups + 1);
        self.send().await
    }

    /// Sends off what is written.
    async fn send(&mut self) -> Result<()> {
        let bytes = std::mem::take(self.file.inner_mut());
        AsyncFileWriter::write(&mut self.upload, bytes.into()).await
    }
}

/// Does something with each of the items, which have these sizes, on all cores. The results are in the same order.
async fn each<T, U>(items: Vec<(usize, T)>, work: fn(T) -> Result<U>) -> Result<Vec<U>>
where
    T: Send + 'static,
    U: Send + 'static,
{
    let bytes: usize = items.iter().map(|(bytes, _)| bytes).sum();
    // How many cores there are is asked of several files of the system.
    let cores = match bytes < SMALL {
        true => 1,
        false => std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(items.len()),
    };
    if cores < 2 {
        return items.into_iter().map(|(_, item)| work(item)).collect();
    }
    let mut shares: Vec<(usize, Vec<(usize, T)>)> = (0..cores).map(|_| (0, Vec::new())).collect();
    for (at, (bytes, item)) in items.into_iter().enumerate() {
        let least = shares.iter_mut().min_by_key(|(bytes, _)| *bytes).expect("there are cores");
        least.0 += bytes + 1;
        least.1.push((at, item));
    }
    let done = move |share: Vec<(usize, T)>| {
        share.into_iter().map(|(at, item)| Ok((at, work(item)?))).collect::<Result<Vec<_>>>()
    };
    // One share is done here; the others on threads that nobody waits for elsewhere.
    let (_, own) = shares.pop().expect("there are cores");
    let mut others = JoinSet::new();
    for (_, share) in shares {
        others.spawn_blocking(move || done(share));
    }
    let mut all = done(own)?;
    while let Some(other) = others.join_next().await {
        all.extend(other.map_err(|error| ParquetError::External(Box::new(error)))??);
    }
    all.sort_unstable_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, item)| item).collect())
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[tokio::test]
    async fn row_groups_are_as_large_as_they_may_be_and_every_row_is_read_again() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let path = Path::from("t.parquet");
        let batch = |from: i64, rows: i64| {
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + rows));
            let texts = (from..from + rows).map(|n| (n % 3 > 0).then(|| format!("text {n}")));
            let texts: ArrayRef = Arc::new(StringArray::from_iter(texts));
            RecordBatch::try_from_iter_with_nullable([("n", numbers, false), ("t", texts, true)]).unwrap()
        };
        let schema = batch(0, 1).schema();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(7000)).build();
        let upload = BufWriter::new(Arc::clone(&store), path.clone());
        let mut writer = ColumnsWriter::new(upload, &schema, properties).unwrap();
        let mut from = 0;
        for rows in [1, 6999, 0, 15_000, 10] {
            writer.write(&batch(from, rows)).await.unwrap();
            from += rows;
        }
        assert!(writer.bytes() > 10_000);
        let (metadata, size) = writer.finish().await.unwrap();

        let groups: Vec<i64> = metadata.row_groups().iter().map(|group| group.num_rows()).collect();
        assert_eq!(groups, [7000, 7000, 7000, 1010]);
        let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes.len(), size);
        let read = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        assert_eq!(read.schema(), &schema);
        let read: Vec<RecordBatch> = read.build().unwrap().map(Result::unwrap).collect();
        assert_eq!(arrow::compute::concat_batches(&schema, &read).unwrap(), batch(0, 22_010));
    }
}
