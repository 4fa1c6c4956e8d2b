//! What does `/` mean between whole numbers?
//!
//! Either what is whole of it, which is what the engine gives, or all of it. In the latter case the operator is another one
//! with the same sign ([`EXACT`]), whose meaning is settled when the types are known (`mend::interval`). So a view keeps
//! what it meant, whoever reads it.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, Statement, VisitMut, VisitorMut};

use crate::base::Division;

/// The operator whose quotients have fractions, as it is written.
pub(in crate::query) const EXACT: &str = "/";

/// Gives `/` its meaning. Has to come before our own words, in which it means what it means to the engine.
pub(in crate::query) fn divide(statement: &mut Statement, division: Division) {
    struct Divide;
    impl VisitorMut for Divide {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::BinaryOp { op: op @ BinaryOperator::Divide, .. } = expr {
                *op = BinaryOperator::Custom(EXACT.to_owned());
            }
            ControlFlow::Continue(())
        }
    }
    if division == Division::Exact {
        let _: ControlFlow<()> = statement.visit(&mut Divide);
    }
}
