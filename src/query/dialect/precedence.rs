//! What belongs together in `a is distinct from b or c`?
//!
//! `(a is distinct from b) or c`, as in the standard: IS binds tighter than NOT, AND and OR. The parser takes all that
//! follows for the right side, `a is distinct from (b or c)`, which is an error if `c` is a condition and `b` none, and
//! another answer if both are. [`regroup`] puts it right, where no brackets say that it was meant.
//!
//! Has to come first: expressions that are made later have no brackets where they need none.

use std::mem;
use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, Statement, UnaryOperator, Value, VisitMut, VisitorMut};

/// Lets IS DISTINCT FROM end before AND and OR.
pub(super) fn regroup(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Regroup);
}

struct Regroup;

impl VisitorMut for Regroup {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) if is_and_or(right) => {
                sink(expr, is_and_or);
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr: right } if is_and_or(right) => {
                sink(expr, is_and_or);
            }
            Expr::BinaryOp { op: BinaryOperator::And, right, .. } if is_or(right) => sink(expr, is_or),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Makes the right side of `expr` the whole, and `expr` its first part: the first from the left that is none of `loose`.
fn sink(expr: &mut Expr, loose: fn(&Expr) -> bool) {
    let mut whole = mem::replace(right_of(expr), nothing());
    let mut first = &mut whole;
    while loose(first) {
        let Expr::BinaryOp { left, .. } = first else { unreachable!("what is loose has two sides") };
        first = left;
    }
    mem::swap(right_of(expr), first);
    *first = mem::replace(expr, nothing());
    *expr = whole;
}

fn right_of(expr: &mut Expr) -> &mut Expr {
    match expr {
        Expr::IsDistinctFrom(_, right)
        | Expr::IsNotDistinctFrom(_, right)
        | Expr::BinaryOp { right, .. }
        | Expr::UnaryOp { expr: right, .. } => right,
        _ => unreachable!("only what has a right side sinks"),
    }
}

fn is_or(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::Or, .. })
}

fn is_and_or(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. })
}

fn nothing() -> Expr {
    Expr::value(Value::Null)
}

#[cfg(test)]
mod tests {
    use sqlparser::parser::Parser;

    use super::*;
    use crate::query::dialect::EltDialect;

    #[test]
    fn is_distinct_from_ends_before_and_and_or() {
        for (text, grouped) in [
            ("a IS DISTINCT FROM b OR c", "(a IS DISTINCT FROM b) OR c"),
            ("a IS NOT DISTINCT FROM b AND c", "(a IS NOT DISTINCT FROM b) AND c"),
            ("x AND a IS DISTINCT FROM b OR c", "(x AND (a IS DISTINCT FROM b)) OR c"),
            ("x OR a IS DISTINCT FROM b AND c OR d", "x OR (((a IS DISTINCT FROM b) AND c) OR d)"),
            ("NOT a IS DISTINCT FROM b OR c", "(NOT (a IS DISTINCT FROM b)) OR c"),
            (
                "a IS DISTINCT FROM b OR c IS DISTINCT FROM d OR e",
                "(a IS DISTINCT FROM b) OR ((c IS DISTINCT FROM d) OR e)",
            ),
            ("a IS DISTINCT FROM (b OR c)", "a IS DISTINCT FROM ((b OR c))"),
            ("a IS DISTINCT FROM b + 1", "a IS DISTINCT FROM (b + 1)"),
            ("x AND (y OR z)", "x AND ((y OR z))"),
        ] {
            let sql = format!("SELECT {text}");
            let mut statement = Parser::parse_sql(&EltDialect::default(), &sql).unwrap().remove(0);
            regroup(&mut statement);
            let Statement::Query(query) = statement else { panic!("{text}") };
            let select = query.body.as_select().unwrap();
            let sqlparser::ast::SelectItem::UnnamedExpr(expr) = &select.projection[0] else {
                panic!("{text}")
            };
            assert_eq!(spelled(expr), grouped, "{text}");
        }
    }

    /// The expression with all its brackets.
    fn spelled(expr: &Expr) -> String {
        let inner = |expr: &Expr| match expr {
            Expr::Identifier(name) => name.to_string(),
            Expr::Value(value) => value.to_string(),
            other => format!("({})", spelled(other)),
        };
        match expr {
            Expr::BinaryOp { left, op, right } => format!("{} {op} {}", inner(left), inner(right)),
            Expr::IsDistinctFrom(left, right) => format!("{} IS DISTINCT FROM {}", inner(left), inner(right)),
            Expr::IsNotDistinctFrom(left, right) => {
                format!("{} IS NOT DISTINCT FROM {}", inner(left), inner(right))
            }
            Expr::UnaryOp { op, expr } => format!("{op} {}", inner(expr)),
            Expr::Nested(expr) => format!("({})", spelled(expr)),
            other => other.to_string(),
        }
    }
}
