//! Rows are updated by key, the others added.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::JoinType;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::prelude::DataFrame;

use super::NewColumns;
use super::append::{append, missing};
use super::touch::{Touched, settle};
use crate::base::{TableName, did_you_mean};
use crate::table::schema::drift;
use crate::table::{Change, FILE_COLUMN, Operation, POSITION_COLUMN, Scan, Snapshot, TableError, Tables};

/// Puts `rows` into `base`; a row of the table whose key is among theirs gives way to theirs.
///
/// The incoming rows become the new files as they are, all columns replaced. To find the rows that give
/// way, only key columns are read; they are hidden, or their files written again, as the table's
/// [`WriteMode`](super::WriteMode) has it. A key with a null in it matches nothing, as in SQL.
///
/// # Errors
/// [`TableError::DuplicateKey`] if two incoming rows have the same key, and
/// [`TableError::SchemaMismatch`] if a key column is in neither the rows nor the table.
pub async fn merge(
    tables: &Tables,
    base: Arc<Snapshot>,
    key: &[String],
    rows: SendableRecordBatchStream,
    new_columns: NewColumns,
) -> Result<Change, TableError> {
    check_key(base.table(), key, &rows.schema())?;
    check_key(base.table(), key, base.schema())?;
    let lacking = drift(base.schema(), &rows.schema()).missing;
    if !lacking.is_empty() && new_columns != NewColumns::Fail {
        return Err(missing(&base, &lacking));
    }
    let mut change = append(tables, base.table(), Some(Arc::clone(&base)), rows, new_columns).await?;
    let incoming = Scan::new(base.table(), change.schema(), change.design.layout(), change.add.clone());
    let incoming = tables.context().read_table(Arc::new(incoming))?;
    refuse_duplicates(base.table(), key, incoming.clone()).await?;

    let columns: Vec<&str> = key.iter().map(String::as_str).collect();
    let source_keys = incoming.select(key.iter().map(ident))?;
    let target = tables.context().read_table(Arc::new(Scan::of(&base)?.with_places()))?;
    let places = columns.iter().copied().chain([FILE_COLUMN, POSITION_COLUMN]).map(ident);
    let target = target.select(places)?;
    let matched = target.join(source_keys, JoinType::LeftSemi, &columns, &columns, None)?;
    let touched = Touched::by(matched.execute_stream().await?).await?;
    let updated = touched.rows();
    if updated > 0 {
        base.refuse_if_append_only()?;
    }
    let settled = settle(tables, &base, touched, base.design().write_mode()).await?;
    change.operation = Operation::Merge;
    change.effect.added -= updated.min(change.effect.added);
    change.effect.updated = updated;
    change.retire = settled.retire;
    change.add.extend(settled.add);
    change.count_rows_after();
    Ok(change)
}

fn check_key(table: &TableName, key: &[String], schema: &arrow::datatypes::Schema) -> Result<(), TableError> {
    for name in key {
        if schema.column_with_name(name).is_none() {
            let known = schema.fields().iter().map(|field| field.name().as_str());
            return Err(TableError::SchemaMismatch {
                table: table.clone(),
                because: format!("`unique_key` names the column `{name}`, which is not there"),
                help: did_you_mean(name, known)
                    .unwrap_or_else(|| "correct `unique_key`, or select the column in the model".to_owned()),
            });
        }
    }
    Ok(())
}

async fn refuse_duplicates(table: &TableName, key: &[String], rows: DataFrame) -> Result<(), TableError> {
    let columns: Vec<Expr> = key.iter().map(ident).collect();
    let whole = columns.iter().cloned().map(Expr::is_not_null).reduce(Expr::and).unwrap_or(lit(true));
    let twice = rows
        .filter(whole)?
        .aggregate(columns, vec![count(lit(1_i64)).alias("__rows")])?
        .filter(ident("__rows").gt(lit(1_i64)))?
        .limit(0, Some(1))?
        .collect()
        .await?;
    match twice.iter().find(|batch| batch.num_rows() > 0) {
        Some(batch) => Err(TableError::DuplicateKey { table: table.clone(), key: show_key(batch, key)? }),
        None => Ok(()),
    }
}

fn show_key(batch: &RecordBatch, key: &[String]) -> Result<String, TableError> {
    let options = FormatOptions::default();
    let parts = key.iter().enumerate().map(|(at, name)| {
        let shown = ArrayFormatter::try_new(batch.column(at), &options)?.value(0).to_string();
        Ok(format!("{name} = {shown}"))
    });
    let parts: Result<Vec<String>, arrow::error::ArrowError> = parts.collect();
    Ok(parts.map_err(datafusion::error::DataFusionError::from)?.join(", "))
}
