//! How is a data file written again without some of its rows?
//!
//! A row group that keeps all its rows is copied as it is, encoded and compressed, with its bounds and its index of pages; only the others are read and
//! written. A change of rows that lie together costs what it touches then, not the whole file.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::{Buf, Bytes};
use chrono::DateTime;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::DataFusionError;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection,
};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::reader::{ChunkReader, Length};

use super::files::{OpenFile, failed};
use crate::base::TableName;
use crate::lake::layout;
use crate::table::hidden::Positions;
use crate::table::left::{count, left};
use crate::table::{DataFile, TableError, Tables};

/// Rows of a row group below which it is put together with others sooner than copied.
const SMALL: u64 = 32 * 1024;

/// Rows that are read at once.
const BATCH: usize = 8192;

/// Writes a file again, under this name, without the rows at `gone`. `stored` are the columns that the table's files have now.
///
/// Gives nothing, and writes nothing, if the file's columns are others, if it has no index of its pages, or if no part of it would be copied.
pub(super) async fn without(
    tables: &Tables,
    table: &TableName,
    stored: &SchemaRef,
    file: &DataFile,
    gone: &Positions,
    name: String,
) -> std::result::Result<Option<DataFile>, TableError> {
    let store = tables.lake().store_at(&layout::table(table));
    let Ok(path) = Path::parse(file.path()) else { return Ok(None) };
    let object = ObjectMeta {
        location: path,
        last_modified: DateTime::UNIX_EPOCH,
        size: file.size(),
        e_tag: None,
        version: None,
    };
    let metadata = DFParquetMetadata::new(store.as_ref(), &object);
    let metadata = metadata.with_page_index_policy(Some(PageIndexPolicy::Optional)).fetch_metadata().await?;
    let known =
        ArrowReaderMetadata::try_new(Arc::clone(&metadata), ArrowReaderOptions::new()).map_err(failed)?;
    let is_indexed = metadata.column_index().is_some() && metadata.offset_index().is_some();
    if !is_indexed || !is_same(known.schema(), stored) {
        return Ok(None);
    }
    let parts = parts(&metadata, gone);
    if !parts.iter().any(|part| part.selection.is_none()) {
        return Ok(None);
    }
    let old = Old { store: Arc::clone(&store), path: object.location, known };
    // How columns are encoded is decided by the first rows, as for any file.
    let mut begun = match parts.iter().find(|part| part.selection.is_some()) {
        Some(part) => Some(old.rows(part).await?),
        None => None,
    };
    let mut ahead = begun.as_mut().and_then(Iterator::next).transpose().map_err(DataFusionError::from)?;
    let conform = |batch: RecordBatch| {
        RecordBatch::try_new(Arc::clone(stored), batch.columns().to_vec()).map_err(DataFusionError::from)
    };
    let first = ahead.clone().map_or_else(|| Ok(RecordBatch::new_empty(Arc::clone(stored))), conform)?;
    let mut open = OpenFile::begin(&store, stored, &first, name)?;
    if !open.writer.has_columns_of(&metadata) {
        return Ok(None);
    }
    for part in parts {
        if part.selection.is_none() {
            let group = old.group(part.group).await?;
            open.writer.copy(&group, old.columns(part.group)).await.map_err(failed)?;
            continue;
        }
        let rows = match begun.take() {
            Some(rows) => rows,
            None => old.rows(&part).await?,
        };
        for batch in ahead.take().map(Ok).into_iter().chain(rows) {
            let batch = conform(batch.map_err(DataFusionError::from)?)?;
            open.writer.write(&batch).await.map_err(failed)?;
        }
    }
    Ok(Some(open.finish(tables, stored, file.add().partition_values.clone()).await?))
}

/// The file that there is.
struct Old {
    store: Arc<dyn ObjectStore>,
    path: Path,
    known: ArrowReaderMetadata,
}

impl Old {
    /// The bytes of a row group.
    async fn group(&self, group: usize) -> std::result::Result<Group, DataFusionError> {
        let columns = self.known.metadata().row_group(group).columns();
        let ranges = columns.iter().map(|column| {
            let (from, length) = column.byte_range();
            from..from + length
        });
        let ranges: Vec<Range<u64>> = ranges.collect();
        let bytes = self.store.get_ranges(&self.path, &ranges).await?;
        Ok(Group(ranges.iter().map(|range| range.start).zip(bytes).collect()))
    }

    /// What its footer says of the columns of a row group.
    fn columns(&self, group: usize) -> Vec<ColumnCloseResult> {
        let metadata = self.known.metadata();
        let known = metadata.row_group(group);
        let columns = known.columns().iter().enumerate().map(|(at, column)| ColumnCloseResult {
            bytes_written: column.byte_range().1,
            rows_written: u64::try_from(known.num_rows()).unwrap_or(0),
            metadata: column.clone(),
            bloom_filter: None,
            column_index: metadata.column_index().map(|index| index[group][at].clone()),
            offset_index: metadata.offset_index().map(|index| index[group][at].clone()),
        });
        columns.collect()
    }

    /// The rows of a part.
    async fn rows(&self, part: &Part) -> std::result::Result<ParquetRecordBatchReader, TableError> {
        let group = self.group(part.group).await?;
        let mut rows = ParquetRecordBatchReaderBuilder::new_with_metadata(group, self.known.clone())
            .with_batch_size(BATCH)
            .with_row_groups(vec![part.group]);
        if let Some(selection) = &part.selection {
            rows = rows.with_row_selection(selection.clone());
        }
        rows.build().map_err(failed)
    }
}

/// The path of a file with this in its name, in the folder of another.
pub(super) fn beside(path: &str, id: &str) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{folder}{slash}part-{id}.parquet")
}

/// Whether columns are called alike, and of the same types.
fn is_same(one: &SchemaRef, other: &SchemaRef) -> bool {
    let is_same = |(one, other): (&arrow::datatypes::FieldRef, &arrow::datatypes::FieldRef)| {
        one.name() == other.name()
            && one.data_type() == other.data_type()
            && one.is_nullable() == other.is_nullable()
    };
    one.fields().len() == other.fields().len() && one.fields().iter().zip(other.fields()).all(is_same)
}

/// A row group that stays, in whole or in part.
struct Part {
    group: usize,
    /// The rows that stay; nothing if it is copied.
    selection: Option<RowSelection>,
}

/// The row groups of which rows stay, in their order.
fn parts(metadata: &ParquetMetaData, gone: &Positions) -> Vec<Part> {
    let mut from = 0;
    let mut parts = Vec::new();
    for (group, known) in metadata.row_groups().iter().enumerate() {
        let rows = u64::try_from(known.num_rows()).unwrap_or(0);
        let own = from..from + rows;
        from += rows;
        let gone_here = count(gone, &own);
        if gone_here < rows {
            let is_copied = gone_here == 0 && rows >= SMALL;
            parts.push(Part { group, selection: (!is_copied).then(|| left(gone, own)) });
        }
    }
    parts
}

/// The bytes of a row group: of each column where they begin in the file, and they.
pub(super) struct Group(Vec<(u64, Bytes)>);

impl Group {
    fn from(&self, start: u64) -> Result<Bytes> {
        let within = |(from, bytes): &(u64, Bytes)| {
            let at = usize::try_from(start.checked_sub(*from)?).ok()?;
            (at < bytes.len()).then(|| bytes.slice(at..))
        };
        let found = self.0.iter().find_map(within);
        found.ok_or_else(|| ParquetError::EOF(format!("nothing is known of byte {start}")))
    }
}

impl Length for Group {
    fn len(&self) -> u64 {
        self.0.iter().map(|(from, bytes)| from + bytes.len() as u64).max().unwrap_or(0)
    }
}

impl ChunkReader for Group {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.from(start)?;
        match bytes.len() < length {
            true => Err(ParquetError::EOF(format!("{length} bytes from {start} on are not in one column"))),
            false => Ok(bytes.slice(..length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::properties::WriterProperties;

    use super::*;

    /// A file with row groups of `SMALL` rows, the last of ten.
    fn file() -> Bytes {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..(4 * SMALL + 10) as i64));
        let rows = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let groups = WriterProperties::builder().set_max_row_group_row_count(Some(SMALL as usize)).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(groups)).unwrap();
        writer.write(&rows).unwrap();
        writer.into_inner().unwrap().into()
    }

    #[test]
    fn groups_that_keep_their_rows_are_copied_and_of_others_the_rest_stays() {
        let file = file();
        let all = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
        let metadata = Arc::clone(all.metadata());
        let mut gone = Positions::new();
        gone.insert_range(SMALL..SMALL + 1);
        gone.insert_range(SMALL + 5..2 * SMALL);
        gone.insert_range(2 * SMALL..3 * SMALL);

        let parts = parts(&metadata, &gone);

        let groups: Vec<(usize, Option<usize>)> = parts
            .iter()
            .map(|part| (part.group, part.selection.as_ref().map(RowSelection::row_count)))
            .collect();
        assert_eq!(groups, [(0, None), (1, Some(4)), (3, None), (4, Some(10))]);
        for (part, expected) in [(&parts[1], SMALL + 1..SMALL + 5), (&parts[3], 4 * SMALL..4 * SMALL + 10)] {
            let rows = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
            let rows =
                rows.with_row_groups(vec![part.group]).with_row_selection(part.selection.clone().unwrap());
            let found: Vec<i64> = rows
                .build()
                .unwrap()
                .flat_map(|batch| {
                    let column = Arc::clone(batch.unwrap().column(0));
                    let column = column.as_any().downcast_ref::<Int64Array>().unwrap().clone();
                    column.values().to_vec()
                })
                .collect();
            assert_eq!(found, expected.map(|n| n as i64).collect::<Vec<_>>());
        }
        assert!(
            !super::parts(&metadata, &(0..4 * SMALL).collect()).iter().any(|part| part.selection.is_none())
        );
    }

    #[test]
    fn a_file_is_written_beside_the_one_before() {
        assert_eq!(beside("part-1.parquet", "2"), "part-2.parquet");
        assert_eq!(beside("month=2013-01-01/part-1.parquet", "2"), "month=2013-01-01/part-2.parquet");
    }
}
