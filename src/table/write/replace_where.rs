//! The rows that a predicate picks are replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::Expr;
use datafusion::prelude::{DataFrame, cast, col, lit};

use super::NewColumns;
use super::append::append;
use super::files::write_rows;
use crate::table::{Change, DataFile, FILE_COLUMN, Operation, Scan, Snapshot, TableError, Tables};

/// Takes out the rows of `base` for which `predicate` is true, and puts `rows` in.
///
/// Copy-on-write: files without such a row stay, the others are rewritten without them.
pub async fn replace_where(
    tables: &Tables,
    base: Arc<Snapshot>,
    predicate: Expr,
    rows: SendableRecordBatchStream,
    new_columns: NewColumns,
) -> Result<Change, TableError> {
    let picked = tables.context().read_table(Arc::new(Scan::of(&base)?.with_file_column()))?;
    let picked = picked.filter(predicate.clone())?;
    let touched = rows_by_file(picked).await?;
    let stays = |files: DataFrame| files.filter(predicate.is_not_true());
    let (retire, rewritten) = rewrite(tables, &base, &touched, stays).await?;
    let mut change = append(tables, base.table(), Some(Arc::clone(&base)), rows, new_columns).await?;
    change.operation = Operation::ReplaceWhere;
    change.effect.removed = touched.values().sum();
    change.retire = retire;
    change.add.extend(rewritten);
    change.count_rows_after();
    Ok(change)
}

/// Counts the rows of a frame by the data file they are in.
pub(super) async fn rows_by_file(rows: DataFrame) -> Result<BTreeMap<String, u64>, TableError> {
    let file = cast(col(FILE_COLUMN), arrow::datatypes::DataType::Utf8).alias("file");
    let counted = rows.aggregate(vec![file], vec![count(lit(1_i64)).alias("rows")])?.collect().await?;
    let mut by_file = BTreeMap::new();
    for batch in counted {
        let files = batch.column(0).as_string::<i32>();
        let counts = batch.column(1).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            by_file.insert(files.value(row).to_owned(), u64::try_from(counts.value(row)).unwrap_or(0));
        }
        debug_assert_eq!(files.null_count(), 0);
    }
    Ok(by_file)
}

/// Rewrites the touched files with the rows that `keep` lets through.
///
/// Returns the files to retire and the files that stand in for them.
pub(super) async fn rewrite(
    tables: &Tables,
    base: &Snapshot,
    touched: &BTreeMap<String, u64>,
    keep: impl FnOnce(DataFrame) -> datafusion::error::Result<DataFrame>,
) -> Result<(Vec<DataFile>, Vec<DataFile>), TableError> {
    let retire: Vec<DataFile> =
        base.files().iter().filter(|file| touched.contains_key(file.path())).cloned().collect();
    if retire.is_empty() {
        return Ok((retire, Vec::new()));
    }
    let scan = Scan::new(base.table(), Arc::clone(base.schema()), retire.clone());
    let kept = keep(tables.context().read_table(Arc::new(scan))?)?;
    let (rewritten, _) =
        write_rows(tables, base.table(), base.schema(), kept.execute_stream().await?).await?;
    Ok((retire, rewritten))
}
