//! By what are rows sorted that the list does not show as it is?
//!
//! `select n as id from t order by t.id`: the engine knows one `id`. `select unnest(list) from t order by t.id`: it sorts what
//! is taken apart, where there is no `id` any more. So what is sorted by becomes a column of the list, in a query inside;
//! the query around it sorts by that and leaves it out. A subquery may lose its order, so it is the outermost that sorts.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SetExpr, Statement, TableAlias, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};

use super::scopes::{folded, outside_queries};
use super::statement::{empty_query, parse_query};

/// Puts what is sorted by into the list where the engine would not find it, or find another.
pub(super) fn outside(statement: &mut Statement) {
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Sorted);
}

struct Sorted;

impl VisitorMut for Sorted {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = &query.order_by else {
            return ControlFlow::Continue(());
        };
        let SetExpr::Select(select) = &mut *query.body else { return ControlFlow::Continue(()) };
        let outputs = outputs(select);
        let renamed = rename(select, keys);
        if renamed.is_empty()
            && !(select.projection.iter().any(takes_apart)
                && keys.iter().any(|key| !is_output(key, &outputs)))
        {
            return ControlFlow::Continue(());
        }
        move_out(query, &outputs, renamed);
        ControlFlow::Continue(())
    }
}

/// A name that the list gives: the expression behind it.
type Outputs = BTreeMap<String, Expr>;
/// The names that columns got, and those that were written, by the folded ones.
type Renamed = BTreeMap<String, (Ident, Ident)>;

fn outputs(select: &Select) -> Outputs {
    let mut outputs = Outputs::new();
    for item in &select.projection {
        if let SelectItem::ExprWithAlias { expr, alias } = item {
            outputs.entry(folded(alias)).or_insert_with(|| expr.clone());
        }
    }
    outputs
}

/// Gives columns that are called as others that are sorted by names of their own.
fn rename(select: &mut Select, keys: &[OrderByExpr]) -> Renamed {
    let mut by = Vec::new();
    for key in keys {
        outside_queries(&mut key.expr.clone(), |expr| {
            if let Expr::CompoundIdentifier(path) = expr {
                by.push(path.clone());
            }
        });
    }
    let mut renamed = Renamed::new();
    for item in &mut select.projection {
        let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
        let name = folded(alias);
        let is_itself = |path: &[Ident]| match &*expr {
            Expr::CompoundIdentifier(own) => own.iter().map(folded).eq(path.iter().map(folded)),
            Expr::Identifier(own) => folded(own) == name,
            _ => false,
        };
        let is_sorted_by =
            by.iter().any(|path| path.last().is_some_and(|last| folded(last) == name) && !is_itself(path));
        if is_sorted_by && !renamed.contains_key(&name) {
            let own = Ident::with_quote('"', format!("_elt_sorted_{}", renamed.len()));
            let written = std::mem::replace(alias, own.clone());
            renamed.insert(name, (own, written));
        }
    }
    renamed
}

/// Whether a column takes lists apart, or structs, which give more columns than one.
fn takes_apart(item: &SelectItem) -> bool {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return false };
    let mut found = false;
    outside_queries(&mut expr.clone(), |expr| {
        if let Expr::Function(call) = expr {
            let name = call.name.to_string().to_lowercase();
            found |= ["unnest", "explode", "posexplode"].contains(&name.as_str());
        }
    });
    found
}

/// Whether it is a place in the list, or a name that the list gives.
fn is_output(key: &OrderByExpr, outputs: &Outputs) -> bool {
    match &key.expr {
        Expr::Value(_) => true,
        Expr::Identifier(name) => outputs.contains_key(&folded(name)),
        _ => false,
    }
}

/// Puts a query around another, which sorts its rows and has their limit.
fn move_out(query: &mut Query, outputs: &Outputs, renamed: Renamed) {
    let mut inner = std::mem::replace(query, empty_query());
    query.with = inner.with.take();
    let Some(OrderBy { kind: OrderByKind::Expressions(keys), interpolate }) = inner.order_by.take() else {
        return;
    };
    let SetExpr::Select(select) = &mut *inner.body else { return };
    let mut hidden: Vec<SelectItem> = Vec::new();
    let mut sorted: Vec<OrderByExpr> = Vec::new();
    let mut is_found = true;
    for key in &keys {
        let expr = match in_list(&key.expr, select, &renamed) {
            Some(expr) => expr,
            None => {
                is_found &= may_be_hidden(&key.expr, select);
                let name = Ident::with_quote('"', format!("_elt_key_{}", hidden.len()));
                let mut expr = key.expr.clone();
                written_out(&mut expr, outputs);
                hidden.push(SelectItem::ExprWithAlias { expr, alias: name.clone() });
                Expr::Identifier(name)
            }
        };
        sorted.push(OrderByExpr { expr, ..key.clone() });
    }
    // `distinct on (a) … order by a, b` chooses by the order, and is sorted by it.
    let chooses = matches!(select.distinct, Some(Distinct::On(_)));
    if chooses || !is_found {
        let mut keys = keys;
        for key in &mut keys {
            renamed_in(&mut key.expr, &renamed);
        }
        inner.order_by = Some(OrderBy { kind: OrderByKind::Expressions(keys), interpolate: None });
    }
    let mut words = "select *".to_owned();
    if is_found && !hidden.is_empty() {
        let names: Vec<String> = (0..hidden.len()).map(|at| format!("\"_elt_key_{at}\"")).collect();
        words.push_str(&format!(" exclude ({})", names.join(", ")));
        select.projection.extend(hidden);
    }
    if !renamed.is_empty() {
        let pairs: Vec<String> =
            renamed.values().map(|(own, written)| format!("{own} as {written}")).collect();
        words.push_str(&format!(" rename ({})", pairs.join(", ")));
    }
    words.push_str(" from t");
    let top = select.top.take();
    (query.limit_clause, query.fetch) = (inner.limit_clause.take(), inner.fetch.take());
    query.pipe_operators = std::mem::take(&mut inner.pipe_operators);
    let name = Ident::with_quote('"', "_elt_rows");
    let alias = TableAlias { explicit: true, name, columns: Vec::new(), at: None };
    let subquery = Box::new(inner);
    let relation = TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None };
    if let Ok(Statement::Query(star)) = parse_query(&words)
        && let SetExpr::Select(mut star) = *star.body
    {
        star.from = vec![TableWithJoins { relation, joins: Vec::new() }];
        star.top = top;
        *query.body = SetExpr::Select(star);
    }
    if is_found {
        query.order_by = Some(OrderBy { kind: OrderByKind::Expressions(sorted), interpolate });
    }
}

/// A key by its place or its name, if it stands in the list.
fn in_list(key: &Expr, select: &Select, renamed: &Renamed) -> Option<Expr> {
    if let Expr::Value(_) = key {
        return Some(key.clone());
    }
    let is_alias = |item: &&SelectItem| match (item, key) {
        (SelectItem::ExprWithAlias { alias, .. }, Expr::Identifier(name)) => folded(alias) == folded(name),
        _ => false,
    };
    if let Expr::Identifier(name) = key {
        if let Some((own, _)) = renamed.get(&folded(name)) {
            return Some(Expr::Identifier(own.clone()));
        }
        if let Some(SelectItem::ExprWithAlias { alias, .. }) = select.projection.iter().find(is_alias) {
            return Some(Expr::Identifier(alias.clone()));
        }
    }
    let text = key.to_string();
    for (at, item) in select.projection.iter().enumerate() {
        match item {
            SelectItem::UnnamedExpr(expr) if expr.to_string() == text => {
                return Some(Expr::value(Value::Number((at + 1).to_string(), false)));
            }
            SelectItem::ExprWithAlias { expr, alias } if expr.to_string() == text => {
                return Some(Expr::Identifier(alias.clone()));
            }
            _ => {}
        }
        // Nobody knows yet how many columns it is.
        if takes_apart(item) || !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
        {
            break;
        }
    }
    None
}

/// Whether a column more leaves the rows as they are. Where it does not, SQL has no such key, and the engine says so.
fn may_be_hidden(key: &Expr, select: &Select) -> bool {
    let is_column = matches!(key, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    let is_grouped_by = is_column && matches!(select.group_by, GroupByExpr::All(_));
    !matches!(select.distinct, Some(Distinct::Distinct)) && !is_grouped_by
}

/// Puts the expressions behind names of the list in their place.
fn written_out(expr: &mut Expr, outputs: &Outputs) {
    outside_queries(expr, |expr| {
        if let Expr::Identifier(name) = expr
            && let Some(meant) = outputs.get(&folded(name))
        {
            *expr = Expr::Nested(Box::new(meant.clone()));
        }
    });
}

fn renamed_in(expr: &mut Expr, renamed: &Renamed) {
    outside_queries(expr, |expr| {
        if let Expr::Identifier(name) = expr
            && let Some((own, _)) = renamed.get(&folded(name))
        {
            *name = own.clone();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(sql: &str) -> String {
        let mut statement = parse_query(sql).unwrap();
        outside(&mut statement);
        statement.to_string()
    }

    #[test]
    fn the_outermost_query_sorts() {
        for (sql, means) in [
            (
                "select n as id, x from t order by t.id, id desc limit 3",
                "SELECT * EXCLUDE (\"_elt_key_0\") RENAME (\"_elt_sorted_0\" AS id) FROM (SELECT n AS \"_elt_sorted_0\", \
                 x, t.id AS \"_elt_key_0\" FROM t) AS \"_elt_rows\" ORDER BY \"_elt_key_0\", \"_elt_sorted_0\" DESC \
                 LIMIT 3",
            ),
            (
                "select n as id, id from t order by t.id + id, 2, id",
                "SELECT * EXCLUDE (\"_elt_key_0\") RENAME (\"_elt_sorted_0\" AS id) FROM (SELECT n AS \"_elt_sorted_0\", \
                 id, t.id + (n) AS \"_elt_key_0\" FROM t) AS \"_elt_rows\" ORDER BY \"_elt_key_0\", 2, \"_elt_sorted_0\"",
            ),
            (
                "select unnest(l), a from t order by b",
                "SELECT * EXCLUDE (\"_elt_key_0\") FROM (SELECT unnest(l), a, b AS \"_elt_key_0\" FROM t) AS \"_elt_rows\" \
                 ORDER BY \"_elt_key_0\"",
            ),
            (
                "select distinct n as id, t.id as j from t order by t.id",
                "SELECT * RENAME (\"_elt_sorted_0\" AS id) FROM (SELECT DISTINCT n AS \"_elt_sorted_0\", t.id AS j FROM t) \
                 AS \"_elt_rows\" ORDER BY j",
            ),
            (
                "select distinct n as id from t order by t.id",
                "SELECT * RENAME (\"_elt_sorted_0\" AS id) FROM (SELECT DISTINCT n AS \"_elt_sorted_0\" FROM t ORDER BY \
                 t.id) AS \"_elt_rows\"",
            ),
            (
                "with c as (select 1) select distinct on (t.g) n as id from t order by t.g, t.id",
                "WITH c AS (SELECT 1) SELECT * EXCLUDE (\"_elt_key_0\", \"_elt_key_1\") RENAME (\"_elt_sorted_0\" AS id) \
                 FROM (SELECT DISTINCT ON (t.g) n AS \"_elt_sorted_0\", t.g AS \"_elt_key_0\", t.id AS \"_elt_key_1\" FROM \
                 t ORDER BY t.g, t.id) AS \"_elt_rows\" ORDER BY \"_elt_key_0\", \"_elt_key_1\"",
            ),
        ] {
            assert_eq!(said(sql), means);
        }
        for same in [
            "SELECT t.id AS id FROM t ORDER BY t.id",
            "SELECT n AS m FROM t ORDER BY t.id",
            "SELECT unnest(l) AS x FROM t ORDER BY x, 1",
        ] {
            assert_eq!(said(same), same);
        }
    }
}
