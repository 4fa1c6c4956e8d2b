//! Which rows of two sides are the same?
//!
//! Two queries, as anybody could write them: one counts, one tells some of the rows that differ.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, SchemaRef};

use super::{ChangedRow, ColumnDifference, Difference, RowChange, wrong};
use crate::base::{Result, sql_type_name};
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

/// A column that both sides have.
struct Shared {
    name: String,
    before: DataType,
    after: DataType,
}

impl Comparison<'_> {
    /// The columns of both sides.
    pub(super) async fn columns(&self) -> Result<(SchemaRef, SchemaRef)> {
        let Self { session, sides, .. } = self;
        let columns = async |side: &str| session.check(&format!("select * from {side}")).await;
        Ok((columns(&sides.before).await?, columns(&sides.after).await?))
    }

    /// Compares both sides, of which these are the columns.
    pub(super) async fn run(mut self, table: String, old: &Schema, new: &Schema) -> Result<Difference> {
        let shared = new.fields().iter().filter_map(|field| {
            let before = old.field_with_name(field.name()).ok()?.data_type().clone();
            Some(Shared { name: field.name().clone(), before, after: field.data_type().clone() })
        });
        let shared: Vec<Shared> = shared.collect();
        let alone = |these: &Schema, those: &Schema, change| {
            let only = these.fields().iter().filter(|field| those.field_with_name(field.name()).is_err());
            let told = only.map(|field| ColumnDifference {
                name: field.name().clone(),
                change,
                rows: 0,
                types: None,
            });
            told.collect::<Vec<_>>()
        };
        let (keys, others): (Vec<&Shared>, Vec<&Shared>) =
            shared.iter().partition(|column| self.key.contains(&column.name));
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
        let Self { session, sides, limit, .. } = self;
        let each = match difference.key.is_empty() {
            true => by_rows(session, &sides, &shared, limit, &mut difference).await?,
            false => by_key(session, &sides, (&keys, &others), limit, &mut difference).await?,
        };
        for column in &shared {
            let rows = each.get(&column.name).copied().unwrap_or_default();
            let types = column.types();
            if rows > 0 || types.is_some() {
                let (name, change) = (column.name.clone(), RowChange::Changed);
                difference.columns.push(ColumnDifference { name, change, rows, types });
            }
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

impl Shared {
    /// The types, as they are called, if they are not the same.
    fn types(&self) -> Option<(String, String)> {
        let (before, after) = (sql_type_name(&self.before), sql_type_name(&self.after));
        (before != after).then_some((before, after))
    }

    /// What both sides are cast to so that they can be compared; nothing if they can be as they are.
    fn common_type(&self) -> Option<String> {
        let (before, after) = (&self.before, &self.after);
        self.types()?;
        let is_moment = |data_type: &DataType| {
            matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
        };
        let digits = |data_type: &DataType| match data_type {
            DataType::Decimal128(precision, scale) => Some((i16::from(*precision), i16::from(*scale))),
            whole if whole.is_integer() => Some((20, 0)),
            _ => None,
        };
        if before.is_numeric() && after.is_numeric() {
            let (Some((a, a_scale)), Some((b, b_scale))) = (digits(before), digits(after)) else {
                return Some("double".to_owned());
            };
            let (whole, scale) = ((a - a_scale).max(b - b_scale), a_scale.max(b_scale));
            return Some(match whole + scale {
                ..=38 => format!("decimal({}, {scale})", whole + scale),
                _ => "double".to_owned(),
            });
        }
        Some(if is_moment(before) && is_moment(after) { "timestamp" } else { "varchar" }.to_owned())
    }

    /// The column of one side, as it is compared with that of the other; `of` is what stands before its name.
    fn value(&self, of: &str, data_type: &DataType) -> String {
        let column = format!("{of}{}", quote(&self.name));
        match self.common_type() {
            None => column,
            Some(_) if data_type.is_binary() => format!("encode({column}, 'hex')"),
            Some(common) => format!("cast({column} as {common})"),
        }
    }

    fn was(&self, of: &str) -> String {
        self.value(of, &self.before)
    }

    fn is(&self, of: &str) -> String {
        self.value(of, &self.after)
    }
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

/// Finds rows again by their key; nulls of keys are one value. Returns in how many rows each column differs.
async fn by_key(
    session: &Session,
    sides: &Sides,
    (key, others): (&[&Shared], &[&Shared]),
    limit: usize,
    difference: &mut Difference,
) -> Result<BTreeMap<String, u64>> {
    let differs = |column: &Shared| format!("({} is distinct from {})", column.was("a."), column.is("b."));
    let any = match others.is_empty() {
        true => "false".to_owned(),
        false => others.iter().map(|column| differs(column)).collect::<Vec<_>>().join(" or "),
    };
    let same = |column: &&Shared| format!("{} is not distinct from {}", column.was("a."), column.is("b."));
    let on = key.iter().map(same).collect::<Vec<_>>().join(" and ");
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
    let [added, removed, changed, unchanged, each @ ..] = found.as_slice() else {
        return Ok(BTreeMap::new());
    };
    (difference.added, difference.removed) = (*added, *removed);
    (difference.changed, difference.unchanged) = (*changed, *unchanged);
    let each = others.iter().zip(each).map(|(column, rows)| (column.name.clone(), *rows)).collect();
    if limit == 0 || added + removed + changed == 0 {
        return Ok(each);
    }
    let keys = key.iter().map(|column| format!("coalesce({}, {})", column.was("a."), column.is("b.")));
    let values = others.iter().flat_map(|column| {
        let name = quote(&column.name);
        [format!("a.{name}"), format!("b.{name}")]
    });
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
            .map(|(column, pair)| (column.name.clone(), pair[0].clone(), pair[1].clone()))
            .collect();
        difference.rows.push(ChangedRow { change, key: keys.to_vec(), values });
    }
    Ok(each)
}

/// Compares whole rows, as far as both sides have columns; without any no row is like another.
async fn by_rows(
    session: &Session,
    sides: &Sides,
    shared: &[Shared],
    limit: usize,
    difference: &mut Difference,
) -> Result<BTreeMap<String, u64>> {
    let nothing = BTreeMap::new();
    if shared.is_empty() {
        let sql =
            format!("select (select count(*) from {}), (select count(*) from {})", sides.after, sides.before);
        if let [added, removed] = numbers(session, &sql).await?[..] {
            (difference.added, difference.removed) = (added, removed);
        }
        return Ok(nothing);
    }
    let columns = |value: &dyn Fn(&Shared) -> String| {
        let each = shared.iter().map(|column| format!("{} as {}", value(column), quote(&column.name)));
        each.collect::<Vec<_>>().join(", ")
    };
    let names: Vec<String> = shared.iter().map(|column| column.name.clone()).collect();
    // Each row counts for one where it came and against it where it was, so that both sides are read once.
    let counted = format!(
        "select {names}, sum(\"__one\") as \"__n\" from (select {is}, 1 as \"__one\" from {after} \
         union all select {was}, -1 from {before}) group by {names} having sum(\"__one\") <> 0",
        names = list(&names),
        is = columns(&|column| column.is("")),
        was = columns(&|column| column.was("")),
        after = sides.after,
        before = sides.before,
    );
    let sql = format!(
        "select coalesce(sum(\"__n\") filter (where \"__n\" > 0), 0), \
         coalesce(-sum(\"__n\") filter (where \"__n\" < 0), 0), (select count(*) from {}) from ({counted})",
        sides.after
    );
    let found = numbers(session, &sql).await?;
    if let [added, removed, all] = found.as_slice() {
        (difference.added, difference.removed) = (*added, *removed);
        difference.unchanged = all.saturating_sub(*added);
    }
    for (change, sign, count) in
        [(RowChange::Removed, "<", difference.removed), (RowChange::Added, ">", difference.added)]
    {
        if limit == 0 || count == 0 {
            continue;
        }
        let sql = format!("select * from ({counted}) where \"__n\" {sign} 0 limit {limit}");
        for mut key in texts(session, &sql).await? {
            let times = key.pop().flatten().and_then(|n| n.parse::<i64>().ok()).map_or(1, i64::unsigned_abs);
            for _ in 0..times.min(limit as u64) {
                difference.rows.push(ChangedRow { change, key: key.clone(), values: Vec::new() });
            }
        }
    }
    difference.rows.truncate(limit);
    Ok(nothing)
}
