//! Where do nulls go that `order by a` says nothing of, and what is `^`?
//!
//! Where they go in the engine of who wrote it. It is written out, so that a view keeps its order whoever reads it. What `/`
//! means is in `division`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArgumentClause, FunctionArguments, NamedWindowExpr, OrderByExpr,
    OrderByKind, OrderByOptions, Query, Select, Statement, VisitMut, VisitorMut, WindowSpec, WindowType,
};

use super::division::divide;
use super::spelling::called;
use crate::base::{NullOrder, Unsaid};

/// Gives a statement the meaning that it has for who wrote it. Has to come before our own words, which say what they mean.
///
/// With `has_xor`, `^` is XOR to them; to all others it is a power.
pub(in crate::query) fn as_meant(statement: &mut Statement, unsaid: Unsaid, has_xor: bool) {
    divide(statement, unsaid.division);
    if !has_xor {
        let _: ControlFlow<()> = VisitMut::visit(statement, &mut Powers);
    }
    if !unsaid.nulls.is_default() {
        let _: ControlFlow<()> = VisitMut::visit(statement, &mut Sort(unsaid.nulls));
    }
}

struct Powers;

impl VisitorMut for Powers {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::BinaryOp { left, op: BinaryOperator::BitwiseXor, right } = expr {
            *expr = called("power", [&**left, &**right]);
        }
        ControlFlow::Continue(())
    }
}

struct Sort(NullOrder);

impl Sort {
    fn say(&self, options: &mut OrderByOptions) {
        let descending = options.asc == Some(false);
        options.nulls_first.get_or_insert(self.0.is_first(descending));
    }

    fn each(&self, sorted: &mut [OrderByExpr]) {
        sorted.iter_mut().for_each(|sorted| self.say(&mut sorted.options));
    }

    fn window(&self, window: &mut WindowSpec) {
        self.each(&mut window.order_by);
    }
}

impl VisitorMut for Sort {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        match query.order_by.as_mut().map(|order_by| &mut order_by.kind) {
            Some(OrderByKind::Expressions(sorted)) => self.each(sorted),
            Some(OrderByKind::All(options)) => self.say(options),
            None => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for window in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(window) = &mut window.1 {
                self.window(window);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        if let Some(WindowType::WindowSpec(window)) = &mut call.over {
            self.window(window);
        }
        if let FunctionArguments::List(list) = &mut call.args {
            for clause in &mut list.clauses {
                if let FunctionArgumentClause::OrderBy(sorted) = clause {
                    self.each(sorted);
                }
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;
    use super::*;

    #[test]
    fn a_caret_is_a_power_unless_it_is_xor() {
        for (has_xor, means) in [(false, "SELECT 2 * power(3, 2) + 1"), (true, "SELECT 2 * 3 ^ 2 + 1")] {
            let mut statement = parse_query("select 2 * 3 ^ 2 + 1").unwrap();
            as_meant(&mut statement, Unsaid::default(), has_xor);
            assert_eq!(statement.to_string(), means);
        }
    }

    #[test]
    fn the_order_of_nulls_is_written_out() {
        let said = |sql: &str, nulls| {
            let mut statement = parse_query(sql).unwrap();
            as_meant(&mut statement, Unsaid { nulls, ..Unsaid::default() }, false);
            statement.to_string()
        };
        let sql = "SELECT rank() OVER (ORDER BY a) FROM t ORDER BY a DESC, b NULLS FIRST";
        assert_eq!(said(sql, NullOrder::Largest), sql);
        assert_eq!(
            said(sql, NullOrder::Last),
            "SELECT rank() OVER (ORDER BY a NULLS LAST) FROM t ORDER BY a DESC NULLS LAST, b NULLS FIRST"
        );
        assert_eq!(
            said(sql, NullOrder::Smallest),
            "SELECT rank() OVER (ORDER BY a NULLS FIRST) FROM t ORDER BY a DESC NULLS LAST, b NULLS FIRST"
        );
        assert_eq!(
            said("select array_agg(a order by b desc) from t window w as (order by c)", NullOrder::Last),
            "SELECT array_agg(a ORDER BY b DESC NULLS LAST) FROM t WINDOW w AS (ORDER BY c NULLS LAST)"
        );
    }
}
