//! How do rows become data files?
//!
//! Written here and not by deltalake's writer, for two reasons found by testing: that one panics when
//! an upload fails, and it takes decimal bounds through `f64`, which makes readers skip rows.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use deltalake::kernel::Add;
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::statistics::statistics_json;
use crate::base::TableName;
use crate::lake::layout;
use crate::table::schema::conform;
use crate::table::{DataFile, TableError, Tables};

/// Bytes after which a file is closed and the next begun.
const FILE_BYTES: usize = 128 * 1024 * 1024;

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
    let (mut files, mut count) = (Vec::new(), 0);
    let mut open: Option<OpenFile> = None;
    while let Some(batch) = rows.next().await {
        let batch = conform(&batch?, schema)?;
        if batch.num_rows() == 0 {
            continue;
        }
        count += batch.num_rows() as u64;
        let file = match &mut open {
            Some(file) => file,
            None => open.insert(OpenFile::begin(tables, &store, schema)?),
        };
        file.writer.write(&batch).await.map_err(failed)?;
        if file.bytes() >= FILE_BYTES {
            let full = open.take().expect("it was just written to");
            files.push(full.finish(tables, schema).await?);
        }
    }
    if let Some(last) = open {
        files.push(last.finish(tables, schema).await?);
    }
    Ok((files, count))
}

/// A file that is being written. Dropped, it leaves nothing that a table refers to.
struct OpenFile {
    name: String,
    writer: AsyncArrowWriter<BufWriter>,
}

impl OpenFile {
    fn begin(tables: &Tables, store: &Arc<dyn ObjectStore>, schema: &SchemaRef) -> Result<Self, TableError> {
        let name = format!("part-{}.zstd.parquet", tables.id());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("1 is a level")))
            .set_created_by(crate::table::commit::ENGINE.to_owned())
            .build();
        let upload = BufWriter::new(Arc::clone(store), Path::from(name.clone()));
        let writer =
            AsyncArrowWriter::try_new(upload, Arc::clone(schema), Some(properties)).map_err(failed)?;
        Ok(Self { name, writer })
    }

    fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    async fn finish(mut self, tables: &Tables, schema: &SchemaRef) -> Result<DataFile, TableError> {
        let metadata = self.writer.finish().await.map_err(failed)?;
        Ok(DataFile(Add {
            path: self.name,
            size: i64::try_from(self.writer.bytes_written()).unwrap_or(i64::MAX),
            modification_time: tables.now_millis(),
            data_change: true,
            stats: Some(statistics_json(&metadata, schema)?),
            ..Add::default()
        }))
    }
}

fn failed(error: ParquetError) -> TableError {
    TableError::Rows(match error {
        ParquetError::External(boxed) => match boxed.downcast::<object_store::Error>() {
            Ok(store) => DataFusionError::ObjectStore(store),
            Err(boxed) => DataFusionError::External(boxed),
        },
        other => DataFusionError::ParquetError(Box::new(other)),
    })
}
