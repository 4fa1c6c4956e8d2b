//! Which of `max(n)` and `max(n::double)` is meant?
//!
//! To the engine both are called `max(t.n)`, as are the keys of `group by ts::date, ts::time`, and it refuses two columns of
//! one name. Where a query holds two expressions that are the same but for their casts, the casts become calls of a function
//! that says its type in its name, and is gone when the query is planned: [`CAST_AS`].

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, GroupByExpr, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, VisitMut,
    VisitorMut,
};

use super::headings::text_of;
use super::spelling::{called, text};

/// The function that is its first argument, which was cast to the type that the second tells.
pub(in crate::query) const CAST_AS: &str = "_elt_cast_as";

/// Gives names to casts where they are needed.
pub(super) fn tell_apart(statement: &mut Statement) {
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Queries);
}

struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let SetExpr::Select(select) = &mut *query.body else { return ControlFlow::Continue(()) };
        let mut known = Known::default();
        each(select, &mut query.order_by, &mut |expr, is_key| known.look(expr, is_key));
        let alike = known.alike();
        if !alike.is_empty() {
            each(select, &mut query.order_by, &mut |expr, _| named(expr, &alike));
        }
        ControlFlow::Continue(())
    }
}

/// Shows every expression of a select, and whether it may be a key of its groups.
fn each(select: &mut Select, order_by: &mut Option<OrderBy>, show: &mut dyn FnMut(&mut Expr, bool)) {
    // A key may be the place of an item, or its name.
    let is_grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(keys, _) => !keys.is_empty(),
    };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            show(expr, is_grouped);
        }
    }
    for expr in [&mut select.having, &mut select.qualify].into_iter().flatten() {
        show(expr, false);
    }
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        for key in keys {
            match key {
                Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => {
                    sets.iter_mut().flatten().for_each(|key| show(key, true));
                }
                key => show(key, true),
            }
        }
    }
    if let Some(OrderBy { kind: OrderByKind::Expressions(sorted), .. }) = order_by {
        sorted.iter_mut().for_each(|sorted| show(&mut sorted.expr, false));
    }
}

/// Calls and keys: each text without casts, with all that it is with them.
#[derive(Default)]
struct Known(BTreeMap<String, Vec<String>>);

impl Known {
    fn look(&mut self, expr: &mut Expr, is_key: bool) {
        struct Look<'a>(&'a mut Known);
        impl VisitorMut for Look<'_> {
            type Break = ();

            fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
                if matches!(expr, Expr::Function(_)) {
                    self.0.add(expr);
                }
                ControlFlow::Continue(())
            }
        }
        if is_key {
            self.add(expr);
        }
        let _: ControlFlow<()> = VisitMut::visit(expr, &mut Look(self));
    }

    fn add(&mut self, expr: &Expr) {
        let whole = text_of(expr);
        let texts = self.0.entry(text_of(&bare(expr))).or_default();
        if !texts.contains(&whole) {
            texts.push(whole);
        }
    }

    /// Those that are the same as another but for casts.
    fn alike(self) -> Vec<String> {
        self.0.into_values().filter(|texts| texts.len() > 1).flatten().collect()
    }
}

/// The expression without casts.
fn bare(expr: &Expr) -> Expr {
    struct Bare;
    impl VisitorMut for Bare {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Cast { expr: inner, .. } | Expr::Nested(inner) = expr {
                *expr = (**inner).clone();
            }
            ControlFlow::Continue(())
        }
    }
    let mut expr = expr.clone();
    let _: ControlFlow<()> = VisitMut::visit(&mut expr, &mut Bare);
    expr
}

/// Names the casts in expressions of these texts.
fn named(expr: &mut Expr, alike: &[String]) {
    struct Find<'a> {
        alike: &'a [String],
        depth: usize,
        /// How deep what is being named stands. What is in it was named with it.
        within: Option<usize>,
    }
    impl VisitorMut for Find<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            self.depth += 1;
            let may_be = self.within.is_none() && matches!(expr, Expr::Function(_) | Expr::Cast { .. });
            if may_be && self.alike.contains(&text_of(expr)) {
                let _: ControlFlow<()> = VisitMut::visit(expr, &mut Name);
                self.within = Some(self.depth);
            }
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, _: &mut Expr) -> ControlFlow<()> {
            if self.within == Some(self.depth) {
                self.within = None;
            }
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    struct Name;
    impl VisitorMut for Name {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Cast { data_type, .. } = expr {
                let data_type = text(&data_type.to_string());
                *expr = called(CAST_AS, [&*expr, &data_type]);
            }
            ControlFlow::Continue(())
        }
    }
    let _: ControlFlow<()> = VisitMut::visit(expr, &mut Find { alike, depth: 0, within: None });
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;
    use super::*;

    #[test]
    fn casts_are_named_where_they_are_all_that_differs() {
        for (sql, means) in [
            (
                "select max(n), max(n::double) from t",
                "SELECT max(n), max(_elt_cast_as(n::DOUBLE, 'DOUBLE')) FROM t",
            ),
            (
                "select ts::date, count(*) from t group by ts::date, ts::time order by ts::date",
                "SELECT _elt_cast_as(ts::DATE, 'DATE'), count(*) FROM t GROUP BY _elt_cast_as(ts::DATE, 'DATE'), \
                 _elt_cast_as(ts::TIME, 'TIME') ORDER BY _elt_cast_as(ts::DATE, 'DATE')",
            ),
            ("select max(n::int), min(n) from t", "SELECT max(n::INT), min(n) FROM t"),
        ] {
            let mut statement = parse_query(sql).unwrap();
            tell_apart(&mut statement);
            assert_eq!(statement.to_string(), means);
        }
    }
}
