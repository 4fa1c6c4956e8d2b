//! What number stands for a row?
//!
//! A sample with a seed is the same each time: it keeps the rows whose hash, of all columns and the seed, is small.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Select, Visit, Visitor,
};

use super::Column;
use crate::query::dialect::{ROW_HASH, called, outside_queries};

/// Whether a select asks for hashes of its rows.
pub(super) fn are_asked(select: &Select) -> bool {
    struct Find {
        queries: usize,
    }
    impl Visitor for Find {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.queries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.queries -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match self.queries == 0 && seed_of(expr).is_some() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }
    let asks = |condition: &Expr| Visit::visit(condition, &mut Find { queries: 0 }).is_break();
    [&select.selection, &select.qualify].into_iter().flatten().any(asks)
}

/// Gives hashes their columns.
pub(super) fn spell(select: &mut Select, columns: &[Column]) {
    for condition in [&mut select.selection, &mut select.qualify].into_iter().flatten() {
        outside_queries(condition, |expr| {
            if let Some(seed) = seed_of(expr) {
                let columns = columns.iter().map(Column::expr);
                let values: Vec<Expr> = std::iter::once(seed).chain(columns).collect();
                *expr = called("hash", &values);
            }
        });
    }
}

fn seed_of(expr: &Expr) -> Option<Expr> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else {
        return None;
    };
    match &list.args[..] {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(seed))] if name.to_string() == ROW_HASH => {
            Some(seed.clone())
        }
        _ => None,
    }
}
