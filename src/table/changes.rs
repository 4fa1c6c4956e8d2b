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
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::functions_nested::expr_fn::range;
use datafusion::logical_expr::{Expr, ident, lit, when};
use datafusion::prelude::DataFrame;
use deltalake::kernel::Action;

use super::hidden::Positions;
use super::names::{Layout, Names};
use super::{Change, DataFile, Design, Operation, Scan, Snapshot, TableError, Tables, history};
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
    if from > to {
        return Err(TableError::NoSuchVersion {
            table: table.clone(),
            version: from,
            help: format!("the last version asked for, {to}, is before it"),
        });
    }
    let newest = tables.snapshot(table, to).await?;
    newest.check_readable()?;
    let shape = Shape::of(&newest);
    let told = told(tables, &shape, (from.0..=to.0).map(TableVersion), to).await?;
    Ok(shape.all_of(tables, told)?.into_view())
}

/// The rows that came and went after version `after`, up to `pinned`, and then with `change`, if it is to be published
/// on top. The whole table, each row inserted, if there is no such version.
///
/// # Errors
/// As [`changes`].
pub async fn changes_since(
    tables: &Tables,
    after: Option<TableVersion>,
    pinned: Option<&Snapshot>,
    change: Option<&Change>,
) -> Result<Arc<dyn TableProvider>, TableError> {
    if let Some(pinned) = pinned {
        pinned.check_readable()?;
    }
    let shape = match (change, pinned) {
        (Some(change), _) => Shape::after(change),
        (None, Some(pinned)) => Shape::of(pinned),
        (None, None) => return Err(TableError::Rows(DataFusionError::Internal("no table".to_owned()))),
    };
    let now = tables.now_millis().saturating_mul(1000);
    let Some(after) = after else {
        let (scan, version, at) = match (change, pinned) {
            (Some(change), _) => (change.scan(), change.version(), now),
            (None, Some(pinned)) => {
                let times = times(tables, pinned.table(), pinned.version()).await?;
                let at = times.get(&pinned.version()).copied().unwrap_or(now);
                (Scan::of(pinned)?, pinned.version(), at)
            }
            (None, None) => unreachable!("it has a shape"),
        };
        let rows = tables.context().read_table(Arc::new(scan))?;
        let rows = rows.with_column(CHANGE_TYPE, lit("insert"))?;
        return Ok(stamped(rows, shape.schema, version, Some(at))?.into_view());
    };
    let mut told = match pinned {
        Some(pinned) => {
            let versions = (after.0 + 1..=pinned.version().0).map(TableVersion);
            self::told(tables, &shape, versions, pinned.version()).await?
        }
        None => Vec::new(),
    };
    if let Some(change) = change.filter(|change| change.version() > after) {
        let moves = |files: &[DataFile]| -> Vec<DataFile> {
            files.iter().filter(|file| file.add().data_change).cloned().collect()
        };
        let is_rearranged = change.operation() == Operation::Optimize;
        let went = if is_rearranged { Vec::new() } else { change.retire.clone() };
        let parted = (parted(&change.design), change.base.as_deref().map(|base| parted(base.design())));
        let moved = Moved::told(
            tables,
            change.table(),
            moves(&change.add),
            went,
            (parted.0, parted.1.unwrap_or_default()),
        )
        .await?;
        told.push(stamped(moved.rows(tables, &shape)?, shape.schema, change.version(), Some(now))?);
    }
    Ok(shape.all_of(tables, told)?.into_view())
}

/// What the rows look like: those of the newest version.
struct Shape<'a> {
    table: &'a TableName,
    schema: &'a SchemaRef,
    names: Names,
}

impl<'a> Shape<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let names = snapshot.design().layout().names;
        Self { table: snapshot.table(), schema: snapshot.schema(), names }
    }

    fn after(change: &'a Change) -> Self {
        Self { table: change.table(), schema: change.schema(), names: change.design.layout().names }
    }

    /// All of these rows; none, with the same columns, if there are none.
    fn all_of(&self, tables: &Tables, told: Vec<DataFrame>) -> Result<DataFrame, TableError> {
        let mut told = told.into_iter();
        let Some(first) = told.next() else {
            let none = read(tables, self, Vec::new(), Vec::new(), Vec::new())?;
            let none = none.with_column(CHANGE_TYPE, lit("insert"))?;
            return stamped(none, self.schema, TableVersion(0), None);
        };
        Ok(told.try_fold(first, DataFrame::union)?)
    }
}

/// What each of these versions moved.
async fn told(
    tables: &Tables,
    shape: &Shape<'_>,
    versions: impl Iterator<Item = TableVersion>,
    newest: TableVersion,
) -> Result<Vec<DataFrame>, TableError> {
    let times = times(tables, shape.table, newest).await?;
    let mut told = Vec::new();
    for version in versions {
        let moved = Moved::by(tables, shape.table, version).await?;
        told.push(stamped(moved.rows(tables, shape)?, shape.schema, version, times.get(&version).copied())?);
    }
    Ok(told)
}

/// When each version was committed, in microseconds since 1970.
async fn times(
    tables: &Tables,
    table: &TableName,
    newest: TableVersion,
) -> Result<BTreeMap<TableVersion, i64>, TableError> {
    let commits = history(tables, table, newest, usize::MAX).await?;
    Ok(commits.into_iter().map(|commit| (commit.version, commit.timestamp.timestamp_micros())).collect())
}

/// The rows with the version that moved them, and when.
fn stamped(
    rows: DataFrame,
    schema: &SchemaRef,
    version: TableVersion,
    at: Option<i64>,
) -> Result<DataFrame, TableError> {
    let version = ScalarValue::Int64(i64::try_from(version.0).ok());
    let at = ScalarValue::TimestampMicrosecond(at, Some("UTC".into()));
    let told = [ident(CHANGE_TYPE), lit(version).alias(COMMIT_VERSION), lit(at).alias(COMMIT_TIMESTAMP)];
    Ok(rows.select(columns(schema).chain(told).collect::<Vec<_>>())?)
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
        let after = tables.snapshot(table, version).await?;
        let before = before.as_deref().map(|before| parted(before.design())).unwrap_or_default();
        Self::told(tables, table, came, went, (parted(after.design()), before)).await
    }

    /// What it is that these files came, and those went.
    async fn told(
        tables: &Tables,
        table: &TableName,
        came: Vec<DataFile>,
        mut went: Vec<DataFile>,
        parted: (Vec<String>, Vec<String>),
    ) -> Result<Self, TableError> {
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
    fn rows(self, tables: &Tables, newest: &Shape<'_>) -> Result<DataFrame, TableError> {
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
        let own = || columns(newest.schema);
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
    newest: &Shape<'_>,
    partition_columns: Vec<String>,
    whole: Vec<DataFile>,
    parts: Vec<(DataFile, Positions)>,
) -> Result<DataFrame, TableError> {
    // A column may have been null before it was declared not to be.
    let fields = newest.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let names = newest.names.clone();
    let is_parted = |column: &&String| partition_columns.iter().any(|own| own == names.in_files(column));
    let partition_columns =
        schema.fields().iter().map(|field| field.name()).filter(is_parted).cloned().collect();
    let layout = Layout { partition_columns, names };
    let scan = |files| Scan::new(newest.table, &schema, layout.clone(), files);
    let context = tables.context();
    let rows = context.read_table(Arc::new(scan(whole)))?;
    if parts.iter().all(|(_, positions)| positions.is_empty()) {
        return Ok(rows);
    }
    let (files, positions): (Vec<DataFile>, Vec<Positions>) = parts.into_iter().unzip();
    let picked = files.iter().map(|file| file.path().to_owned()).zip(positions).collect();
    Ok(rows.union(context.read_table(Arc::new(scan(files).picking(Arc::new(picked))))?)?)
}

/// The partition columns by their names in the log.
fn parted(design: &Design) -> Vec<String> {
    let Layout { partition_columns, names } = design.layout();
    partition_columns.iter().map(|column| names.in_files(column).to_owned()).collect()
}

fn columns(schema: &SchemaRef) -> impl Iterator<Item = Expr> + '_ {
    schema.fields().iter().map(|field| ident(field.name()))
}
