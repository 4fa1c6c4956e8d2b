//! What if a cell of VALUES is a query, or a column of the query around it?
//!
//! The engine cannot work it out there; it can in a select list. `VALUES (1, (select 5))` becomes
//! `SELECT 1 AS column1, (select 5) AS column2`, several rows a UNION ALL.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, SelectItem, SetExpr, SetOperator, SetQuantifier, Values, visit_expressions,
};

use super::statement::empty_query;

/// Rewrites such a VALUES; leaves every other query as it is.
pub(super) fn as_selects(body: &mut SetExpr) {
    let SetExpr::Values(Values { rows, .. }) = body else { return };
    let is_query = |expr: &Expr| {
        let is_query = matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. });
        is_query || matches!(expr, Expr::CompoundIdentifier(_))
    };
    let found = visit_expressions(&*rows, |expr| match is_query(expr) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    if found.is_continue() {
        return;
    }
    let selects = std::mem::take(rows).into_iter().filter_map(|row| {
        let mut select = *empty_query().body;
        let SetExpr::Select(inner) = &mut select else { return None };
        let named =
            |(at, expr)| SelectItem::ExprWithAlias { expr, alias: Ident::new(format!("column{}", at + 1)) };
        inner.projection = row.content.into_iter().enumerate().map(named).collect();
        inner.from.clear();
        Some(select)
    });
    let union = |left: SetExpr, right: SetExpr| SetExpr::SetOperation {
        op: SetOperator::Union,
        set_quantifier: SetQuantifier::All,
        left: Box::new(left),
        right: Box::new(right),
    };
    if let Some(whole) = selects.reduce(union) {
        *body = whole;
    }
}
