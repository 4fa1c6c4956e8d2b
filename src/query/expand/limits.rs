//! How many rows are `LIMIT 10%` and `LIMIT (SELECT …)`?
//!
//! A number that has to be known before the rows are: it is asked for by a query of its own.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, LimitClause, Query, SelectItem, SetExpr,
    TableAlias, TableFactor, Value,
};

use crate::query::dialect::{PERCENT, expression_of, select_all_from};

/// The first number that has to be asked for.
fn number(query: &mut Query) -> Option<&mut Expr> {
    let Some(LimitClause::LimitOffset { limit, offset, .. }) = &mut query.limit_clause else { return None };
    let is_asked = |expr: &&mut Expr| matches!(&**expr, Expr::Subquery(_)) || share(expr).is_some();
    let rows = limit.as_mut().into_iter().chain(offset.as_mut().map(|offset| &mut offset.value));
    rows.into_iter().find(is_asked)
}

/// The percents, if it is so many percent of the rows.
fn share(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Function(Function { name, args: FunctionArguments::List(list), .. })
            if name.to_string() == PERCENT =>
        {
            match &list.args[..] {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(share))] => Some(share),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The query for a number of rows that is not written out.
pub(super) fn asked(query: &mut Query) -> Option<Query> {
    let mut rows = Query { limit_clause: None, order_by: None, with: None, ..query.clone() };
    rows.fetch = None;
    let expr = number(query)?;
    if let Expr::Subquery(query) = expr {
        return Some((**query).clone());
    }
    let share = share(expr)?.clone();
    let alias = TableAlias {
        explicit: true,
        name: sqlparser::ast::Ident::with_quote('"', "_elt_rows"),
        columns: Vec::new(),
        at: None,
    };
    let own = query.with.clone();
    let mut counted = select_all_from(TableFactor::Derived {
        lateral: false,
        subquery: Box::new(rows),
        alias: Some(alias),
        sample: None,
    });
    if let SetExpr::Select(select) = &mut *counted.body {
        select.projection = vec![SelectItem::UnnamedExpr(expression_of(&format!(
            "cast(floor(count(*) * ({share}) / 1e2) as bigint)"
        )))];
    }
    counted.with = own;
    Some(counted)
}

/// Writes the number into the query.
pub(super) fn put(query: &mut Query, values: Vec<(Expr, String)>) {
    let Some(expr) = number(query) else { return };
    *expr = match values.into_iter().next() {
        Some((_, digits)) if digits.parse::<u64>().is_ok() => Expr::value(Value::Number(digits, false)),
        // No row, or null: all of them, as without LIMIT.
        _ => Expr::value(Value::Null),
    };
}
