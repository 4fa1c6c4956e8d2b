//! How else can a list be taken apart, row by row?
//!
//! `unnest(t.list)` beside the table that has the list, with the place of each item or without; Hive's `LATERAL VIEW
//! explode(…)`, Snowflake's `LATERAL FLATTEN(input => …)`, and `generate_series(1, t.n)`. All of them become the one
//! `UNNEST` that the engine plans; `mend` then plans it beside the rows that it belongs to.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, Join, JoinConstraint, JoinOperator, LateralView, Select,
    SelectItem, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, Value,
    Visit, VisitMut, Visitor, VisitorMut, visit_expressions,
};

use super::spelling::{called, plain_args};
use super::statement::{empty_query, parse_expression};

/// Rewrites what takes lists apart in other words, and names the columns of series.
pub(super) fn respell(statement: &mut Statement) {
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Laterals);
    let mut series = Series { found: false, says_value: None };
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut series);
    if series.found {
        series.says_value = Some(says_value(&statement.to_string()));
        let _: ControlFlow<()> = VisitMut::visit(statement, &mut series);
    }
}

/// `range(3)` has a column `range`, as in DuckDB. The engine calls it `value`; so does whoever writes that name.
struct Series {
    found: bool,
    /// Nothing before the statement was looked at.
    says_value: Option<bool>,
}

impl VisitorMut for Series {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args: Some(_), .. } = factor else {
            return ControlFlow::Continue(());
        };
        let own = name.to_string().to_lowercase();
        let has_names = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
        if !has_names && matches!(own.as_str(), "range" | "generate_series") {
            self.found = true;
            if self.says_value == Some(false) {
                let known = alias.get_or_insert_with(|| self::alias(Ident::new(&own), Vec::new()));
                known.columns.push(column(Ident::with_quote('"', own)));
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether a statement has the word `value`.
fn says_value(sql: &str) -> bool {
    sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word.eq_ignore_ascii_case("value"))
}

struct Laterals;

impl VisitorMut for Laterals {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if select.from.is_empty() || !select.lateral_views.iter().all(|view| unnested(view).is_some()) {
            return ControlFlow::Continue(());
        }
        let views = std::mem::take(&mut select.lateral_views);
        let last = select.from.last_mut().expect("there is one");
        last.joins.extend(views.iter().filter_map(unnested));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let [TableWithJoins { relation, joins }] = &mut select.from[..]
            && joins.is_empty()
            && let Some(other) = of_the_row_around(relation)
        {
            *relation = other;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let Some(other) = as_unnest(factor) {
            *factor = other;
        }
        if let TableFactor::UNNEST { .. } = factor {
            name_columns(factor);
        }
        ControlFlow::Continue(())
    }
}

/// `from unnest(t.list) z(x)` alone, in a subquery of `t`, is `from (select unnest(t.list) as x) z`.
fn of_the_row_around(factor: &TableFactor) -> Option<TableFactor> {
    let TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs,
        with_offset: false,
        with_ordinality: false,
        ..
    } = factor
    else {
        return None;
    };
    let [list] = &array_exprs[..] else { return None };
    let speaks = visit_expressions(list, |expr| match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let name = alias.columns.first().map_or_else(|| alias.name.clone(), |column| column.name.clone());
    if speaks.is_continue() {
        return None;
    }
    let mut query = empty_query();
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection = vec![SelectItem::ExprWithAlias { expr: called("unnest", [list]), alias: name }];
        select.from.clear();
    }
    let alias = TableAlias { columns: Vec::new(), ..alias.clone() };
    Some(TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None })
}

/// `LATERAL VIEW [OUTER] explode(list) t AS item` as a join.
fn unnested(view: &LateralView) -> Option<Join> {
    let Expr::Function(call) = &view.lateral_view else { return None };
    let name = call.name.to_string().to_lowercase();
    let (with_place, outer) = match name.as_str() {
        "explode" | "unnest" => (false, view.outer),
        "explode_outer" => (false, true),
        "posexplode" => (true, view.outer),
        "posexplode_outer" => (true, true),
        _ => return None,
    };
    let list = plain_args(call)?.into_iter().next()?.clone();
    let mut columns = view.lateral_col_alias.clone();
    // Two names are for the keys and the values of a map.
    let is_map = !with_place && columns.len() == 2;
    let mut array_exprs = match is_map {
        true => vec![called("map_keys", [&list]), called("map_values", [&list])],
        false => vec![list.clone()],
    };
    if with_place {
        array_exprs.insert(0, places(&list, 0));
    }
    if columns.is_empty() {
        columns = match with_place {
            true => vec![Ident::new("pos"), Ident::new("col")],
            false => vec![Ident::new("col")],
        };
    }
    let written = view.lateral_view_name.to_string();
    let name = match written.is_empty() {
        true => columns[0].clone(),
        false => Ident::new(written),
    };
    let relation = TableFactor::UNNEST {
        alias: Some(alias(name, columns)),
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
    let join_operator = match outer {
        true => JoinOperator::LeftOuter(JoinConstraint::On(Expr::value(Value::Boolean(true)))),
        false => JoinOperator::CrossJoin(JoinConstraint::None),
    };
    Some(Join { relation, global: false, join_operator })
}

/// Functions that give several columns in a list: `posexplode(list)` the place, counted from 0, and the item, `stack(2, a, b, c, d)`
/// two rows of two columns, `explode(map) as (k, v)` keys and values.
pub(super) fn places_beside(projection: &mut Vec<SelectItem>) {
    if !projection.iter().any(|item| several(item).is_some()) {
        return;
    }
    let spelled = projection.drain(..).flat_map(|item| match several(&item) {
        Some(items) => items,
        None => vec![item],
    });
    *projection = spelled.collect();
}

/// The columns that an item of a list stands for, if it stands for several.
fn several(item: &SelectItem) -> Option<Vec<SelectItem>> {
    let (call, names) = match item {
        SelectItem::UnnamedExpr(Expr::Function(call)) => (call, &[][..]),
        SelectItem::ExprWithAliases { expr: Expr::Function(call), aliases } => (call, &aliases[..]),
        _ => return None,
    };
    let args = plain_args(call)?;
    let (lists, usual): (Vec<Expr>, Vec<String>) =
        match (call.name.to_string().to_lowercase().as_str(), &args[..]) {
            ("posexplode", [list]) => {
                (vec![places(list, 0), (*list).clone()], vec!["pos".to_owned(), "col".to_owned()])
            }
            ("explode", [map]) if names.len() == 2 => {
                (vec![called("map_keys", [*map]), called("map_values", [*map])], Vec::new())
            }
            ("stack", [Expr::Value(rows), values @ ..]) if !values.is_empty() => {
                let rows: usize = rows.value.to_string().parse::<usize>().ok().filter(|rows| *rows > 0)?;
                let width = values.len().div_ceil(rows);
                let null = Expr::value(Value::Null);
                let column = |column: usize| {
                    let cells =
                        (0..rows).map(|row| values.get(row * width + column).map_or(&null, |cell| *cell));
                    called("make_array", cells)
                };
                ((0..width).map(column).collect(), (0..width).map(|at| format!("col{at}")).collect())
            }
            _ => return None,
        };
    let name = |at: usize| match names.get(at) {
        Some(name) => name.clone(),
        None => Ident::new(usual.get(at).map_or("col", String::as_str)),
    };
    let column = |(at, list): (usize, &Expr)| SelectItem::ExprWithAlias {
        expr: called("unnest", [list]),
        alias: name(at),
    };
    Some(lists.iter().enumerate().map(column).collect())
}

/// `unnest`, `explode`, `flatten` and series of a number of each row, written as functions.
fn as_unnest(factor: &TableFactor) -> Option<TableFactor> {
    let (name, args, with_ordinality, alias) = match factor {
        TableFactor::Function { name, args, with_ordinality, alias, .. } => {
            (name, args, *with_ordinality, alias)
        }
        TableFactor::Table { name, args: Some(args), with_ordinality, alias, .. } => {
            (name, &args.args, *with_ordinality, alias)
        }
        _ => return None,
    };
    let name = name.to_string().to_lowercase();
    let unnest = |array_exprs: Vec<Expr>, alias: Option<TableAlias>| TableFactor::UNNEST {
        alias,
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality,
    };
    let plain: Vec<&Expr> = args
        .iter()
        .filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect();
    match name.as_str() {
        "unnest" | "explode" if plain.len() == args.len() && !plain.is_empty() => {
            Some(unnest(plain.into_iter().cloned().collect(), alias.clone()))
        }
        "flatten" => {
            let input = args.iter().find_map(|arg| match arg {
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. }
                    if name.value.eq_ignore_ascii_case("input") =>
                {
                    Some(expr.clone())
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            })?;
            if args.len() != 1 {
                return None;
            }
            let columns = vec![Ident::new("value"), Ident::new("index")];
            let name = alias.as_ref().map_or_else(|| Ident::new("flatten"), |alias| alias.name.clone());
            Some(unnest(vec![input.clone(), places(&input, 0)], Some(self::alias(name, columns))))
        }
        "json_each" if (1..=2).contains(&plain.len()) && plain.len() == args.len() => {
            let inside = match plain.get(1) {
                Some(path) => called("_elt_json_get", [plain[0], *path]),
                None => plain[0].clone(),
            };
            let parts = ["_elt_json_places", "_elt_json_values", "_elt_json_kinds"];
            let parts = parts.into_iter().map(|part| called(part, [&inside])).collect();
            let columns = ["key", "value", "type"].map(Ident::new).into();
            let name = alias.as_ref().map_or_else(|| Ident::new("json_each"), |alias| alias.name.clone());
            Some(unnest(parts, Some(self::alias(name, columns))))
        }
        "json_tree" if (1..=2).contains(&plain.len()) && plain.len() == args.len() => {
            let columns = ["key", "value", "type", "atom", "id", "parent", "fullkey", "path"];
            let part = |column: &str| called(&format!("_elt_json_tree_{column}"), plain.iter().copied());
            let parts = columns.iter().map(|column| part(column)).collect();
            let name = alias.as_ref().map_or_else(|| Ident::new("json_tree"), |alias| alias.name.clone());
            Some(unnest(parts, Some(self::alias(name, columns.map(Ident::new).into()))))
        }
        "generate_series" | "range"
            if plain.len() == args.len() && (plain.iter().any(|arg| depends(arg)) || is_of_time(&plain)) =>
        {
            let series = called(&name, plain);
            let alias = alias.clone().unwrap_or_else(|| self::alias(Ident::new(&name), Vec::new()));
            Some(unnest(vec![series], Some(alias)))
        }
        _ => None,
    }
}

/// Whether a series goes on by an interval.
fn is_of_time(args: &[&Expr]) -> bool {
    let is_interval = |expr: &Expr| match expr {
        Expr::Interval(_) => true,
        Expr::Cast { data_type, .. } => data_type.to_string().to_uppercase().starts_with("INTERVAL"),
        Expr::Function(call) => {
            let name = call.name.to_string().to_lowercase();
            name.starts_with("to_") || name == "make_interval"
        }
        _ => false,
    };
    args.len() == 3 && is_interval(args[2])
}

/// Whether an expression has another value for another row.
fn depends(expr: &Expr) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Subquery(_) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    Visit::visit(expr, &mut Find).is_break()
}

/// Gives its columns names, and counts its items where that is asked for.
fn name_columns(factor: &mut TableFactor) {
    let TableFactor::UNNEST { alias, array_exprs, with_offset, with_offset_alias, with_ordinality } = factor
    else {
        return;
    };
    let place = match (*with_ordinality, *with_offset) {
        (true, _) => Some((1, Ident::new("ordinality"))),
        (false, true) => Some((0, with_offset_alias.take().unwrap_or_else(|| Ident::new("offset")))),
        (false, false) => None,
    };
    let [list] = &array_exprs[..] else { return };
    let mut known = alias.take().unwrap_or_else(|| self::alias(Ident::new("unnest"), Vec::new()));
    if known.columns.is_empty() {
        // One column and no name for it: it is called as the table is.
        known.columns.push(column(known.name.clone()));
    }
    if let Some((first, name)) = place {
        let places = places(list, first);
        array_exprs.push(places);
        if known.columns.len() == 1 {
            known.columns.push(column(name));
        }
        (*with_offset, *with_ordinality) = (false, false);
    }
    *alias = Some(known);
}

/// The places of a list's items, counted from `first`.
fn places(list: &Expr, first: u8) -> Expr {
    let text = match first {
        0 => "range(0, cast(coalesce(array_length(x), 0) as bigint))",
        _ => "range(1, cast(coalesce(array_length(x), 0) as bigint) + 1)",
    };
    let mut places = parse_expression(text).expect("our own words are correct");
    struct Put<'a>(&'a Expr);
    impl VisitorMut for Put<'_> {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if matches!(expr, Expr::Identifier(name) if name.value == "x") {
                *expr = self.0.clone();
            }
            ControlFlow::Continue(())
        }
    }
    let _: ControlFlow<()> = VisitMut::visit(&mut places, &mut Put(list));
    places
}

fn alias(name: Ident, columns: Vec<Ident>) -> TableAlias {
    TableAlias { explicit: true, name, columns: columns.into_iter().map(column).collect(), at: None }
}

fn column(name: Ident) -> TableAliasColumnDef {
    TableAliasColumnDef { name, data_type: None }
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;
    use super::*;

    fn said(sql: &str) -> String {
        let mut statement = parse_query(sql).unwrap();
        respell(&mut statement);
        statement.to_string()
    }

    #[test]
    fn lists_are_taken_apart_in_one_way() {
        assert_eq!(said("select 1 from t, unnest(t.a) as y"), "SELECT 1 FROM t, UNNEST(t.a) AS y (y)");
        assert_eq!(said("select 1 from t, lateral unnest(t.a) u(y)"), "SELECT 1 FROM t, UNNEST(t.a) u (y)");
        assert_eq!(
            said("select 1 from t lateral view outer explode(a) u as y"),
            "SELECT 1 FROM t LEFT OUTER JOIN UNNEST(a) AS u (y) ON true"
        );
        assert_eq!(
            said("select 1 from unnest([1]) as y with offset as o"),
            "SELECT 1 FROM UNNEST([1], range(0, CAST(coalesce(array_length([1]), 0) AS BIGINT))) AS y (y, o)"
        );
        assert_eq!(
            said("select 1 from t cross join generate_series(1, t.n) as s(i)"),
            "SELECT 1 FROM t CROSS JOIN UNNEST(generate_series(1, t.n)) AS s (i)"
        );
        assert_eq!(said("select 1 from range(3)"), "SELECT 1 FROM range(3) AS range (\"range\")");
        assert_eq!(
            said("select 1 from range(3) r, range(2) s(i)"),
            "SELECT 1 FROM range(3) r (\"range\"), range(2) s (i)"
        );
        assert_eq!(said("select value from range(3)"), "SELECT value FROM range(3)");
    }
}
