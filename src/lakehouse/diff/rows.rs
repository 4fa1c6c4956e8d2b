//! Which rows of two sides are the same?
//!
//! Two queries, as anybody could write them: one counts, one tells some of the rows that differ.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::{ChangedRow, ColumnDifference, Difference, RowChange, wrong};
use crate::base::Result;
use crate::query::Session;

/// How both sides are read.
pub(super) struct Sides {
    pub(super) before: String,
    pub(super) after: String,
}

/// Whether a key that does not tell rows apart is a mistake, or whole rows are compared then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OddKey {
    Mistake,
    WholeRows,
}

/// What is compared, and how.
pub(super) struct Comparison<'a> {
    pub(super) session: &'a Session,
    pub(super) sides: Sides,
    /// The columns that tell rows apart; whole rows are compared if there are none.
    pub(super) key: Vec<String>,
    pub(super) odd_key: OddKey,
    /// Rows that are told one by one, at most.
    pub(super) limit: usize,
}

impl Comparison<'_> {
    /// The columns of both sides.
    pub(super) async fn columns(&self) -> Result<(Vec<String>, Vec<String>)> {
        let Self { session, sides, .. } = self;
        Ok((columns(session, &sides.before).await?, columns(session, &sides.after).await?))
    }

    /// Compares both sides, of which these are the columns.
    pub(super) async fn run(mut self, table: String, old: &[String], new: &[String]) -> Result<Difference> {
        let shared: Vec<String> = new.iter().filter(|column| old.contains(column)).cloned().collect();
        let alone = |these: &[String], those: &[String], change| {
            let only = these.iter().filter(|column| !those.contains(column));
            only.map(|name| ColumnDifference { name: name.clone(), change, rows: 0 }).collect::<Vec<_>>()
        };
        if !self.key.is_empty()
            && let Err(error) = check_key(self.session, &self.sides, &self.key).await
        {
            match self.odd_key {
                OddKey::Mistake => return Err(error),
                OddKey::WholeRows => self.key.clear(),
            }
        }
        let mut difference = Difference {
            table,
            key: self.key.clone(),
            columns: [alone(new, old, RowChange::Added), alone(old, new, RowChange::Removed)].concat(),
            ..Difference::default()
        };
        let Self { session, sides, key, limit, .. } = self;
        match key.is_empty() {
            true => by_rows(session, &sides, &shared, limit, &mut difference).await?,
            false => by_key(session, &sides, &key, &shared, limit, &mut difference).await?,
        }
        Ok(difference)
    }

    /// Tells of rows that have nothing to be compared with: all of them came, or went.
    pub(super) async fn alone(self, table: String, change: RowChange) -> Result<Difference> {
        let side = if change == RowChange::Added { &self.sides.after } else { &self.sides.before };
        let count = numbers(self.session, &format!("select count(*) from {side}")).await?;
        let count = count.first().copied().unwrap_or_default();
        let (added, removed) = if change == RowChange::Added { (count, 0) } else { (0, count) };
        Ok(Difference { table, added, removed, whole: Some(change), ..Difference::default() })
    }
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
    let differs = |column: &String| format!("(a.{0} is distinct from b.{0})", quote(column));
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
