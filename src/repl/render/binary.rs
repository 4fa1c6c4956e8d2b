//! How do rows become a Parquet or an Arrow file?

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_ipc::writer::FileWriter;
use futures::Stream;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{Format, ShowError, Shown, Watched, count, flushed};
use crate::lakehouse::QueryError;

/// Rows of a row group: what is kept in memory before it is written.
const ROW_GROUP: usize = 128 * 1024;

type Out<'a> = &'a mut (dyn Write + Send);

/// Writes rows as a file, as they come.
///
/// # Errors
/// The query fails, or a column has a type that the format does not have. What was written is no whole file then.
pub(super) async fn show(
    schema: &SchemaRef,
    batches: &mut Watched<impl Stream<Item = Result<RecordBatch, QueryError>> + Unpin>,
    format: Format,
    mut out: Out<'_>,
) -> Result<Shown, ShowError> {
    let cannot = |because: ArrowError| match because {
        ArrowError::IoError(_, error) => ShowError::Write(error),
        because => ShowError::Value { format, because },
    };
    let mut file = FileOf::begin(&mut out, schema, format).map_err(cannot)?;
    let mut rows = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        rows += count(batch.num_rows());
        match file.write(&batch).map_err(cannot) {
            Err(ShowError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(Shown { rows, whole: false });
            }
            written => written?,
        }
    }
    batches.meter.clear();
    file.end().map_err(cannot)?;
    Ok(Shown { rows, whole: flushed(out)? })
}

enum FileOf<'a, 'b> {
    Parquet(Box<ArrowWriter<&'b mut Out<'a>>>),
    Arrow(Box<FileWriter<&'b mut Out<'a>>>),
}

impl<'a, 'b> FileOf<'a, 'b> {
    fn begin(out: &'b mut Out<'a>, schema: &SchemaRef, format: Format) -> Result<Self, ArrowError> {
        if format == Format::Arrow {
            return Ok(Self::Arrow(Box::new(FileWriter::try_new(out, schema)?)));
        }
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        Ok(Self::Parquet(Box::new(ArrowWriter::try_new(out, SchemaRef::clone(schema), Some(properties))?)))
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        match self {
            Self::Parquet(writer) => Ok(writer.write(batch)?),
            Self::Arrow(writer) => writer.write(batch),
        }
    }

    fn end(self) -> Result<(), ArrowError> {
        match self {
            Self::Parquet(writer) => writer.close().map(drop).map_err(ArrowError::from),
            Self::Arrow(mut writer) => writer.finish(),
        }
    }
}
