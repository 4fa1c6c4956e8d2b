//! Which rows of a data file are left to read, where some do not count?
//!
//! A file with few gaps is read as one, with a list of what to read and what to step over. The reader of Parquet splits that list off
//! for each row group, and copies what remains of it each time: with a million gaps in a hundred row groups that takes
//! longer than reading. So a file with many is read as several, of a few row groups each ([`parts`]).

use std::ops::Range;
use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::error::{DataFusionError, Result};
use datafusion_datasource::PartitionedFile;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::RowGroupMetaData;

use super::hidden::Positions;

/// Rows that do not count from which on a file is read as several.
pub(super) const MANY: u64 = 4096;

/// Row groups that are read as one then.
const GROUPS: usize = 4;

/// What to read of the rows at `rows`, and what to step over: `gone`.
pub(super) fn left(gone: &Positions, rows: Range<u64>) -> RowSelection {
    let length = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
    let mut selectors = Vec::new();
    let mut done = rows.start;
    let mut named = gone.iter();
    named.advance_to(rows.start);
    let mut named = named.take_while(|position| *position < rows.end).peekable();
    while let Some(first) = named.next() {
        let mut end = first + 1;
        while named.next_if_eq(&end).is_some() {
            end += 1;
        }
        if first > done {
            selectors.push(RowSelector::select(length(first - done)));
        }
        selectors.push(RowSelector::skip(length(end - first)));
        done = end;
    }
    if rows.end > done {
        selectors.push(RowSelector::select(length(rows.end - done)));
    }
    RowSelection::from(selectors)
}

/// How many of the positions are at `rows`.
pub(super) fn count(gone: &Positions, rows: &Range<u64>) -> u64 {
    let before = |position: u64| position.checked_sub(1).map_or(0, |last| gone.rank(last));
    before(rows.end) - before(rows.start)
}

/// A file, as files of a few of its row groups each, one after another; those without a row left to read are not among them, but for one if
/// no row is left at all.
///
/// # Errors
/// The file has not as many rows as the log says.
pub(super) fn parts(
    file: &PartitionedFile,
    groups: &[RowGroupMetaData],
    gone: &Positions,
    rows: u64,
) -> Result<Vec<PartitionedFile>> {
    let mut from = 0;
    let mut each = Vec::with_capacity(groups.len());
    for group in groups {
        let own = from..from + u64::try_from(group.num_rows()).unwrap_or(0);
        from = own.end;
        each.push((own.end - own.start - count(gone, &own), own));
    }
    if from != rows {
        let because = format!("the log says {rows} rows, and {} has {from}", file.object_meta.location);
        return Err(DataFusionError::External(because.into()));
    }
    let mut parts = Vec::new();
    for (at, some) in each.chunks(GROUPS).enumerate() {
        let mut access = ParquetAccessPlan::new_none(groups.len());
        for (within, (count, own)) in some.iter().enumerate() {
            let access_of = match *count {
                0 => RowGroupAccess::Skip,
                all if all == own.end - own.start => RowGroupAccess::Scan,
                _ => RowGroupAccess::Selection(left(gone, own.clone())),
            };
            access.set(at * GROUPS + within, access_of);
        }
        let count: u64 = some.iter().map(|(count, _)| count).sum();
        if count == 0 {
            continue;
        }
        let mut part = file.clone();
        if let Some(statistics) = &mut part.statistics {
            // What is known of the values of all is a bound for some.
            let mut of_part = statistics.as_ref().clone().to_inexact();
            of_part.num_rows = Precision::Inexact(usize::try_from(count).unwrap_or(usize::MAX));
            of_part.total_byte_size = Precision::Absent;
            *statistics = Arc::new(of_part);
        }
        parts.push(part.with_extension(access));
    }
    if parts.is_empty() {
        parts.push(file.clone().with_extension(ParquetAccessPlan::new_none(groups.len())));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::properties::WriterProperties;

    use super::*;

    #[test]
    fn positions_become_runs() {
        let gone: Positions = [0, 1, 5, 9].into_iter().collect();
        let over = left(&gone, 0..10);
        assert_eq!((over.row_count(), over.skipped_row_count()), (6, 4));
        let some = left(&gone, 4..9);
        assert_eq!((some.row_count(), some.skipped_row_count()), (4, 1));
        assert_eq!(left(&Positions::new(), 0..3).row_count(), 3);
        assert_eq!(left(&[0, 1, 2].into_iter().collect(), 0..3).row_count(), 0);
        assert_eq!((count(&gone, &(0..10)), count(&gone, &(1..5)), count(&gone, &(5..6))), (4, 1, 1));
    }

    #[test]
    fn a_file_with_many_gaps_is_several_of_a_few_row_groups_each() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let rows = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let of_ten = WriterProperties::builder().set_max_row_group_row_count(Some(10)).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(of_ten)).unwrap();
        writer.write(&rows).unwrap();
        let bytes = bytes::Bytes::from(writer.into_inner().unwrap());
        let known = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let groups = known.metadata().row_groups();
        let file = PartitionedFile::new("x.parquet", 1);
        // All of the second row group, some of the third, and all of the fifth to the eighth.
        let gone: Positions = (10..20).chain([25]).chain(40..80).collect();

        let found = parts(&file, groups, &gone, 100).unwrap();

        let read = |part: &PartitionedFile| {
            let access = part.extensions.get::<ParquetAccessPlan>().unwrap();
            access.row_group_indexes()
        };
        assert_eq!(found.iter().map(read).collect::<Vec<_>>(), [vec![0, 2, 3], vec![8, 9]]);
        let nothing = parts(&file, groups, &(0..100).collect(), 100).unwrap();
        assert_eq!(nothing.iter().map(read).collect::<Vec<_>>(), [Vec::<usize>::new()]);
        let error = parts(&file, groups, &gone, 101).unwrap_err();
        assert!(error.to_string().contains("the log says 101 rows"), "{error}");
    }
}
