//! What is different in a table from one version to another?
//!
//! With a key rows are found again: those that came, those that went, and those that stayed with other values, counted
//! by column. Without one whole rows are compared, and a row that changed has gone and come. The work is two queries, as
//! anybody could write them; they read only columns that both versions have.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde::Serialize;

use super::Lakehouse;
use crate::base::{Error, Result, TableName};
use crate::query::Session;

/// What is to be compared.
#[derive(Clone, Debug, Default)]
pub struct DiffRequest {
    /// The table, as written.
    pub table: String,
    /// The earlier version; the one before `to` if nothing.
    pub from: Option<u64>,
    /// The later version; the one that readers see if nothing.
    pub to: Option<u64>,
    /// The columns that tell rows apart; the model's unique key if there are none.
    pub key: Vec<String>,
    /// Rows that are told one by one, at most.
    pub limit: usize,
}

/// What is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// The earlier version.
    pub from: u64,
    /// The later version.
    pub to: u64,
    /// The columns that told rows apart; none if whole rows were compared.
    pub key: Vec<String>,
    /// Rows that only the later version has.
    pub added: u64,
    /// Rows that only the earlier version has.
    pub removed: u64,
    /// Rows of both with other values; none if whole rows were compared.
    pub changed: u64,
    /// Rows that are the same in both.
    pub unchanged: u64,
    /// The columns that differ, in the later version's order.
    pub columns: Vec<ColumnDifference>,
    /// Some of the rows that differ.
    pub rows: Vec<ChangedRow>,
}

/// A column that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnDifference {
    /// Its name.
    pub name: String,
    /// Whether it is in one version only, or has other values.
    pub change: RowChange,
    /// In how many rows of both versions its values differ.
    pub rows: u64,
}

/// What became of a row, or of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowChange {
    /// It came.
    Added,
    /// It went.
    Removed,
    /// It is another.
    Changed,
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedRow {
    /// What became of it.
    pub change: RowChange,
    /// The values of its key; of all its columns, if there is no key.
    pub key: Vec<Option<String>>,
    /// The columns that differ, with the value before and the value after.
    pub values: Vec<(String, Option<String>, Option<String>)>,
}

impl Lakehouse {
    /// Compares two versions of a table.
    ///
    /// # Errors
    /// There is no such table or version, it is a view, or the key does not tell its rows apart.
    pub async fn diff(&self, request: &DiffRequest) -> Result<Difference> {
        let session = self.session().await?;
        let commits = session.history(&request.table, 1).await?;
        let newest = commits.first().map_or(0, |commit| commit.version.0);
        let to = request.to.unwrap_or(newest);
        let from = request.from.unwrap_or_else(|| to.saturating_sub(1));
        let name = TableName::parse(&request.table, self.default_schema())
            .map_err(|error| wrong(error.to_string(), "write `table` or `schema.table`"))?;
        let quoted = format!("\"{}\".\"{}\"", name.schema(), name.table());
        let sides = Sides {
            before: format!("{quoted} version as of {from}"),
            after: format!("{quoted} version as of {to}"),
        };
        let (old, new) = (columns(&session, &sides.before).await?, columns(&session, &sides.after).await?);
        let key = self.key_of(request, &name, &old, &new)?;
        let shared: Vec<String> = new.iter().filter(|column| old.contains(column)).cloned().collect();
        let alone = |these: &[String], those: &[String], change| {
            let only = these.iter().filter(|column| !those.contains(column));
            only.map(|name| ColumnDifference { name: name.clone(), change, rows: 0 }).collect::<Vec<_>>()
        };
        let mut difference = Difference {
            table: name.to_string(),
            from,
            to,
            key: key.clone(),
            added: 0,
            removed: 0,
            changed: 0,
            unchanged: 0,
            columns: [alone(&new, &old, RowChange::Added), alone(&old, &new, RowChange::Removed)].concat(),
            rows: Vec::new(),
        };
        match key.is_empty() {
            true => by_rows(&session, &sides, &shared, request.limit, &mut difference).await?,
            false => {
                check_key(&session, &sides, &key).await?;
                by_key(&session, &sides, &key, &shared, request.limit, &mut difference).await?;
            }
        }
        Ok(difference)
    }

    /// The columns that tell rows apart: as asked for, or as the model says.
    fn key_of(
        &self,
        request: &DiffRequest,
        name: &TableName,
        old: &[String],
        new: &[String],
    ) -> Result<Vec<String>> {
        let has = |column: &String| old.contains(column) && new.contains(column);
        if let Some(missing) = request.key.iter().find(|column| !has(column)) {
            let what = format!("the column `{missing}` is not in both versions of `{name}`");
            return Err(wrong(
                what,
                &format!(
                    "both have: {}",
                    new.iter().filter(|name| has(name)).cloned().collect::<Vec<_>>().join(", ")
                ),
            ));
        }
        if !request.key.is_empty() {
            return Ok(request.key.clone());
        }
        let pins = crate::release::Pins::default();
        let Ok(compiled) = self.compile_for(&pins, false, "diff") else { return Ok(Vec::new()) };
        let key = compiled.manifest.unique_key(name);
        Ok(key.into_iter().filter(has).collect())
    }
}

/// How both versions are read.
struct Sides {
    before: String,
    after: String,
}

fn wrong(what: String, help: &str) -> Error {
    Error::user("elt::diff", what, help)
}

async fn columns(session: &Session, table: &str) -> Result<Vec<String>> {
    let schema = session.check(&format!("select * from {table}")).await?;
    Ok(schema.fields().iter().map(|field| field.name().clone()).collect())
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list(columns: &[String]) -> String {
    columns.iter().map(|column| quote(column)).collect::<Vec<_>>().join(", ")
}

/// The only row of a query, as numbers.
async fn numbers(session: &Session, sql: &str) -> Result<Vec<u64>> {
    let batches = session.query(sql).await?.collect().await?;
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok(Vec::new()) };
    let number = |column: &arrow::array::ArrayRef| {
        let column = cast(column, &DataType::UInt64).ok()?;
        let column = column.as_primitive::<arrow::datatypes::UInt64Type>();
        (!column.is_null(0)).then(|| column.value(0))
    };
    Ok(batch.columns().iter().map(|column| number(column).unwrap_or(0)).collect())
}

/// The rows of a query, as texts.
async fn texts(session: &Session, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
    let mut rows = Vec::new();
    for batch in session.query(sql).await?.collect().await? {
        let options = arrow::util::display::FormatOptions::default();
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| arrow::util::display::ArrayFormatter::try_new(column, &options))
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| wrong(format!("the rows cannot be told: {error}"), "give `--limit 0`"))?;
        for row in 0..batch.num_rows() {
            let cell =
                |at: usize| (!batch.column(at).is_null(row)).then(|| columns[at].value(row).to_string());
            rows.push((0..columns.len()).map(cell).collect());
        }
    }
    Ok(rows)
}

async fn check_key(session: &Session, sides: &Sides, key: &[String]) -> Result<()> {
    for side in [&sides.before, &sides.after] {
        let keys = list(key);
        let sql = format!("select count(*) from (select 1 from {side} group by {keys} having count(*) > 1)");
        if let Some(twice @ 1..) = numbers(session, &sql).await?.first().copied() {
            let what =
                format!("{keys} does not tell rows apart: {twice} values come more than once in {side}");
            return Err(wrong(
                what,
                "name other columns: `--key a,b`; `--key` is not needed to compare whole rows",
            ));
        }
    }
    Ok(())
}

async fn by_key(
    session: &Session,
    sides: &Sides,
    key: &[String],
    shared: &[String],
    limit: usize,
    difference: &mut Difference,
) -> Result<()> {
    let others: Vec<&String> = shared.iter().filter(|column| !key.contains(column)).collect();
    let differs = |column: &String| format!("a.{0} is distinct from b.{0}", quote(column));
    let any = match others.is_empty() {
        true => "false".to_owned(),
        false => others.iter().map(|column| differs(column)).collect::<Vec<_>>().join(" or "),
    };
    let on =
        key.iter().map(|column| format!("a.{0} = b.{0}", quote(column))).collect::<Vec<_>>().join(" and ");
    let from = format!(
        "(select *, true as \"__a\" from {}) a full join (select *, true as \"__b\" from {}) b on {on}",
        sides.before, sides.after
    );
    let both = "\"__a\" and \"__b\"";
    let mut counts = vec![
        "count(*) filter (where \"__a\" is null)".to_owned(),
        "count(*) filter (where \"__b\" is null)".to_owned(),
        format!("count(*) filter (where {both} and ({any}))"),
        format!("count(*) filter (where {both} and not ({any}))"),
    ];
    counts.extend(
        others.iter().map(|column| format!("count(*) filter (where {both} and {})", differs(column))),
    );
    let found = numbers(session, &format!("select {} from {from}", counts.join(", "))).await?;
    let [added, removed, changed, unchanged, each @ ..] = found.as_slice() else { return Ok(()) };
    (difference.added, difference.removed) = (*added, *removed);
    (difference.changed, difference.unchanged) = (*changed, *unchanged);
    for (name, rows) in others.iter().zip(each).filter(|(_, rows)| **rows > 0) {
        let change = RowChange::Changed;
        difference.columns.push(ColumnDifference { name: (*name).clone(), change, rows: *rows });
    }
    if limit == 0 || added + removed + changed == 0 {
        return Ok(());
    }
    let keys = key.iter().map(|column| format!("coalesce(a.{0}, b.{0})", quote(column)));
    let values =
        others.iter().flat_map(|column| [format!("a.{}", quote(column)), format!("b.{}", quote(column))]);
    let shown: Vec<String> =
        keys.chain(values).enumerate().map(|(at, expr)| format!("{expr} as c{at}")).collect();
    let order: Vec<String> = (0..key.len()).map(|at| format!("c{at}")).collect();
    let sql = format!(
        "select case when \"__a\" is null then 'added' when \"__b\" is null then 'removed' else 'changed' end as what, {} \
         from {from} where \"__a\" is null or \"__b\" is null or {any} order by {} limit {limit}",
        shown.join(", "),
        order.join(", ")
    );
    for row in texts(session, &sql).await? {
        let Some((what, cells)) = row.split_first() else { continue };
        let (keys, values) = cells.split_at(key.len());
        let change = match what.as_deref() {
            Some("added") => RowChange::Added,
            Some("removed") => RowChange::Removed,
            _ => RowChange::Changed,
        };
        let pairs = others.iter().zip(values.chunks(2));
        let values = pairs
            .filter(|(_, pair)| change == RowChange::Changed && pair[0] != pair[1])
            .map(|(name, pair)| ((*name).clone(), pair[0].clone(), pair[1].clone()))
            .collect();
        difference.rows.push(ChangedRow { change, key: keys.to_vec(), values });
    }
    Ok(())
}

async fn by_rows(
    session: &Session,
    sides: &Sides,
    shared: &[String],
    limit: usize,
    difference: &mut Difference,
) -> Result<()> {
    let columns = list(shared);
    let (before, after) =
        (format!("select {columns} from {}", sides.before), format!("select {columns} from {}", sides.after));
    let (came, went) = (format!("{after} except all {before}"), format!("{before} except all {after}"));
    let sql = format!(
        "select (select count(*) from ({came})), (select count(*) from ({went})), (select count(*) from {})",
        sides.after
    );
    let found = numbers(session, &sql).await?;
    if let [added, removed, all] = found.as_slice() {
        (difference.added, difference.removed) = (*added, *removed);
        difference.unchanged = all.saturating_sub(*added);
    }
    let names: BTreeSet<&String> = shared.iter().collect();
    for (change, sql, count) in
        [(RowChange::Removed, went, difference.removed), (RowChange::Added, came, difference.added)]
    {
        if limit == 0 || count == 0 || names.is_empty() {
            continue;
        }
        for key in texts(session, &format!("select * from ({sql}) limit {limit}")).await? {
            difference.rows.push(ChangedRow { change, key, values: Vec::new() });
        }
    }
    difference.rows.truncate(limit);
    Ok(())
}
