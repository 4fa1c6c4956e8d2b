//! Which rows came and went, version by version?
//!
//! Told from the log alone, for every table: no feed has to be switched on and stored. In a commit, rows of
//! files that come are inserted and rows of files that go are deleted; rows that a rewrite only copied are
//! both, and cancel out. Of a file whose vector changes, only the rows between the two vectors count.
//!
//! An update is told as the deletion of the old row and the insertion of the new one.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::functions_nested::expr_fn::range;
use datafusion::logical_expr::{Expr, ident, lit, when};
use datafusion::prelude::DataFrame;
use deltalake::kernel::Action;

use super::hidden::Positions;
use super::names::Layout;
use super::{DataFile, Scan, Snapshot, TableError, Tables, history};
use crate::base::{TableName, TableVersion};
use crate::lake::layout;

/// What happened to the row: `insert` or `delete`.
const CHANGE_TYPE: &str = "_change_type";
/// The version that did it.
const COMMIT_VERSION: &str = "_commit_version";
/// When that version was committed, in UTC.
const COMMIT_TIMESTAMP: &str = "_commit_timestamp";

/// The rows that came and went from version `from` to version `to`, both included, in the columns of `to`.
///
/// # Errors
/// [`TableError::NoSuchVersion`] if the log does not reach back to `from`, and
/// [`TableError::FilesGone`], while the rows are read, if a vacuum has taken a file.
pub async fn changes(
    tables: &Tables,
    table: &TableName,
    from: TableVersion,
    to: TableVersion,
) -> Result<Arc<dyn TableProvider>, TableError> {
    let newest = tables.snapshot(table, to).await?;
    newest.check_readable()?;
    let times: BTreeMap<TableVersion, i64> = history(tables, table, to, usize::MAX)
        .await?
        .into_iter()
        .map(|commit| (commit.version, commit.timestamp.timestamp_micros()))
        .collect();
    let mut whole: Option<DataFrame> = None;
    for version in (from.0..=to.0).map(TableVersion) {
        let commit = Moved::by(tables, table, version).await?;
        let rows = commit.rows(tables, &newest)?;
        let told = rows.select(
            columns(newest.schema())
                .chain([
                    ident(CHANGE_TYPE),
                    lit(ScalarValue::Int64(i64::try_from(version.0).ok())).alias(COMMIT_VERSION),
                    lit(ScalarValue::TimestampMicrosecond(times.get(&version).copied(), Some("UTC".into())))
                        .alias(COMMIT_TIMESTAMP),
                ])
                .collect::<Vec<_>>(),
        )?;
        whole = Some(match whole {
            Some(before) => before.union(told)?,
            None => told,
        });
    }
    match whole {
        Some(rows) => Ok(rows.into_view()),
        None => Err(TableError::NoSuchVersion {
            table: table.clone(),
            version: from,
            help: format!("the last version asked for, {to}, is before it"),
        }),
    }
}

/// The files that a commit moves, as far as rows come or go with them.
#[derive(Default)]
struct Moved {
    came: Vec<DataFile>,
    went: Vec<DataFile>,
    /// The partition columns of the files that came, and of those that went, by their names in the log.
    parted: (Vec<String>, Vec<String>),
    /// Files that stay, of which these rows come or go.
    shown: Vec<(DataFile, Positions)>,
    hidden: Vec<(DataFile, Positions)>,
}

impl Moved {
    async fn by(tables: &Tables, table: &TableName, version: TableVersion) -> Result<Self, TableError> {
        let entry = tables.lake().read(&layout::log_entry(table, version)).await?;
        let Some(entry) = entry else {
            return Err(TableError::NoSuchVersion {
                table: table.clone(),
                version,
                help: "its log entry was cleaned away; begin at a later version".to_owned(),
            });
        };
        let before = match version.0.checked_sub(1) {
            Some(before) => Some(tables.snapshot(table, TableVersion(before)).await?),
            None => None,
        };
        let (mut came, mut went) = (Vec::new(), Vec::new());
        for line in String::from_utf8_lossy(&entry).lines() {
            match serde_json::from_str::<Action>(line) {
                Ok(Action::Add(add)) if add.data_change => came.push(DataFile::new(add)),
                Ok(Action::Remove(remove)) if remove.data_change => {
                    let files = before.iter().flat_map(|snapshot| snapshot.files());
                    let is_it = |file: &&DataFile| {
                        file.path() == remove.path && file.vector() == remove.deletion_vector.as_ref()
                    };
                    went.extend(files.filter(is_it).take(1).cloned());
                }
                _ => {}
            }
        }
        let parted = |snapshot: &Snapshot| -> Vec<String> {
            let Layout { partition_columns, names } = snapshot.design().layout();
            partition_columns.iter().map(|column| names.in_files(column).to_owned()).collect()
        };
        let after = tables.snapshot(table, version).await?;
        let parted = (parted(&after), before.as_deref().map(parted).unwrap_or_default());
        let mut moved = Self { parted, ..Self::default() };
        let (store, root) = (tables.lake().store(), layout::table(table));
        for new in came {
            let Some(at) = went.iter().position(|old: &DataFile| old.path() == new.path()) else {
                moved.came.push(new);
                continue;
            };
            let old = went.swap_remove(at);
            let was = old.hidden(store.as_ref(), &root).await?.unwrap_or_default();
            let is = new.hidden(store.as_ref(), &root).await?.unwrap_or_default();
            moved.hidden.push((old, &*is - &*was));
            moved.shown.push((new, &*was - &*is));
        }
        moved.went = went;
        Ok(moved)
    }

    /// The rows, each once for every time that it came or went.
    fn rows(self, tables: &Tables, newest: &Snapshot) -> Result<DataFrame, TableError> {
        let cancels = !self.came.is_empty() && !self.went.is_empty();
        let came = read(tables, newest, self.parted.0, self.came, self.shown)?
            .with_column("_elt_sign", lit(1_i64))?;
        let went = read(tables, newest, self.parted.1, self.went, self.hidden)?
            .with_column("_elt_sign", lit(-1_i64))?;
        let both = came.union(went)?;
        let insert = || -> Result<Expr, TableError> {
            Ok(when(ident("_elt_sign").gt(lit(0_i64)), lit("insert"))
                .otherwise(lit("delete"))?
                .alias(CHANGE_TYPE))
        };
        let own = || columns(newest.schema());
        if !cancels {
            return Ok(both.select(own().chain([insert()?]).collect::<Vec<_>>())?);
        }
        let net = both
            .aggregate(own().collect(), vec![sum(ident("_elt_sign")).alias("_elt_sign")])?
            .filter(ident("_elt_sign").not_eq(lit(0_i64)))?;
        let times = datafusion::functions::math::expr_fn::abs(ident("_elt_sign"));
        let times = range(lit(0_i64), times, lit(1_i64)).alias("_elt_times");
        let repeated = net
            .select(own().chain([insert()?, times]).collect::<Vec<_>>())?
            .unnest_columns(&["_elt_times"])?;
        Ok(repeated.select(own().chain([ident(CHANGE_TYPE)]).collect::<Vec<_>>())?)
    }
}

/// The rows of whole files, and some rows of others.
fn read(
    tables: &Tables,
    newest: &Snapshot,
    partition_columns: Vec<String>,
    whole: Vec<DataFile>,
    parts: Vec<(DataFile, Positions)>,
) -> Result<DataFrame, TableError> {
    // A column may have been null before it was declared not to be.
    let fields = newest.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let Layout { names, .. } = newest.design().layout();
    let is_parted = |column: &&String| partition_columns.iter().any(|own| own == names.in_files(column));
    let partition_columns =
        schema.fields().iter().map(|field| field.name()).filter(is_parted).cloned().collect();
    let layout = Layout { partition_columns, names };
    let scan = |files| Scan::new(newest.table(), &schema, layout.clone(), files);
    let context = tables.context();
    let rows = context.read_table(Arc::new(scan(whole)))?;
    if parts.iter().all(|(_, positions)| positions.is_empty()) {
        return Ok(rows);
    }
    let (files, positions): (Vec<DataFile>, Vec<Positions>) = parts.into_iter().unzip();
    let picked = files.iter().map(|file| file.path().to_owned()).zip(positions).collect();
    Ok(rows.union(context.read_table(Arc::new(scan(files).picking(Arc::new(picked))))?)?)
}

fn columns(schema: &SchemaRef) -> impl Iterator<Item = Expr> + '_ {
    schema.fields().iter().map(|field| ident(field.name()))
}
