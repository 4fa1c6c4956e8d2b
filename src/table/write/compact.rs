//! The same rows, in fewer and fuller files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;

use super::files::RowsWriter;
use crate::table::clustering::sorted;
use crate::table::{Change, DataFile, Kept, Operation, Scan, Snapshot, TableError, Tables, as_they_lie};

/// Which files to write again, and how.
#[derive(Clone, Debug)]
pub struct Compaction {
    /// Only these files; nothing means any.
    pub only: Option<BTreeSet<String>>,
    /// Order rows so that near values of these columns are in near rows; if none are named, as the table's own design
    /// has it. Files that lie so already stay.
    pub order_by: Vec<String>,
    /// A file with fewer bytes of rows that count is small.
    pub small: u64,
    /// A file with more than one hidden row in so many is worth writing again; with 0, hidden rows are no reason.
    pub hidden_one_in: u64,
    /// Fewer small files of a partition than this are left as they are.
    pub at_least: usize,
}

impl Default for Compaction {
    fn default() -> Self {
        Self { only: None, order_by: Vec::new(), small: 96 * 1024 * 1024, hidden_one_in: 10, at_least: 2 }
    }
}

/// Writes small files, and files with many hidden rows, again; nothing if none is worth it.
///
/// No row changes, so the commit says `dataChange = false`. Small files of a partition become one, up to the
/// size of a full file; a small file that is alone in its partition stays, unless rows of it are hidden.
pub async fn compact(
    tables: &Tables,
    base: Arc<Snapshot>,
    wanted: &Compaction,
) -> Result<Option<Change>, TableError> {
    base.check_writable()?;
    let retire = worth_compacting(&base, wanted);
    if retire.is_empty() {
        return Ok(None);
    }
    let scan = Scan::new(base.table(), base.schema(), base.design().layout(), retire.clone());
    let order_by = order_by(&base, wanted);
    let rows = tables.context().read_table(Arc::new(scan))?;
    let rows = sorted(rows, base.partition_columns(), &order_by).await?;
    let mut rows = match &order_by[..] {
        [] => as_they_lie(rows, Kept::All).await?,
        _ => rows.execute_stream().await?,
    };
    let mut writer = RowsWriter::new(tables, base.table(), base.schema(), base.design())?;
    if let Some(label) = label_of(&order_by) {
        writer = writer.labelled(label);
    }
    while let Some(batch) = rows.next().await {
        writer.push(&batch?).await?;
    }
    let (add, _) = writer.finish().await?;
    let (schema, design) = (Arc::clone(base.schema()), base.design().clone());
    let mut change = Change::blank(&base.table().clone(), Some(base), schema, design);
    change.operation = Operation::Optimize;
    change.retire = retire;
    change.add = add.iter().map(|file| file.with_data_change(false)).collect();
    change.count_rows_after();
    Ok(Some(change))
}

/// The files that [`compact`] would write again.
pub fn worth_compacting(base: &Snapshot, wanted: &Compaction) -> Vec<DataFile> {
    let order_by = order_by(base, wanted);
    let partitions = by_partition(base, wanted).into_values();
    partitions.flat_map(|files| worth_writing_again(files, wanted, &order_by)).collect()
}

/// The order that is asked for, else the one that the table always has.
fn order_by(base: &Snapshot, wanted: &Compaction) -> Vec<String> {
    match &wanted.order_by[..] {
        [] => base.design().cluster_by(),
        asked => asked.to_vec(),
    }
}

/// The files that may be written again, by the values of their partition columns.
fn by_partition<'a>(
    base: &'a Snapshot,
    wanted: &Compaction,
) -> BTreeMap<Vec<Option<&'a str>>, Vec<&'a DataFile>> {
    let layout = base.design().layout();
    let mut partitions: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for file in base.files() {
        if wanted.only.as_ref().is_none_or(|only| only.contains(file.path())) {
            let values = layout
                .partition_columns
                .iter()
                .map(|column| file.partition_value(layout.names.in_files(column)));
            partitions.entry(values.collect()).or_default().push(file);
        }
    }
    partitions
}

/// What the names of files say whose rows lie in this order; nothing if they lie in none.
fn label_of(order_by: &[String]) -> Option<String> {
    let mut hasher = crc32fast::Hasher::new();
    for column in order_by {
        hasher.update(column.as_bytes());
        hasher.update(&[0]);
    }
    (!order_by.is_empty()).then(|| format!("-z{:08x}", hasher.finalize()))
}

fn worth_writing_again(files: Vec<&DataFile>, wanted: &Compaction, order_by: &[String]) -> Vec<DataFile> {
    let live = |file: &DataFile| match file.rows_in_file() {
        Some(rows) if rows > 0 => file.size().saturating_mul(file.rows().unwrap_or(rows)) / rows,
        _ => file.size(),
    };
    let is_hollow = |file: &DataFile| {
        file.hidden_rows().saturating_mul(wanted.hidden_one_in) >= file.rows_in_file().unwrap_or(u64::MAX)
    };
    let is_small = |file: &DataFile| live(file) < wanted.small;
    if let Some(label) = label_of(order_by) {
        // What lies in this order already stays, unless it is in pieces.
        let is_ordered = |file: &DataFile| file.path().contains(&label);
        let settled = |file: &DataFile| is_ordered(file) && !is_small(file) && !is_hollow(file);
        let anew: Vec<DataFile> = files.into_iter().filter(|file| !settled(file)).cloned().collect();
        let is_one_piece = matches!(&anew[..], [one] if is_ordered(one) && !is_hollow(one));
        let is_too_few = wanted.at_least > 2 && anew.len() < wanted.at_least && !anew.iter().any(is_hollow);
        return if is_one_piece || is_too_few { Vec::new() } else { anew };
    }
    let small = files.iter().filter(|file| is_small(file)).count();
    let many = small >= wanted.at_least.max(2);
    let worth = |file: &&DataFile| is_hollow(file) || (many && is_small(file));
    files.into_iter().filter(worth).cloned().collect()
}
