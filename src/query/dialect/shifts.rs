//! What do windows mean that the engine has in part?
//!
//! `lag(x, n)`, `ntile(n)` and `nth_value(x, n)` where a row says what `n` is, a frame whose bounds are worked out
//! (`1 + 1 preceding`), `arg_max(a, b) over (…)`, and aggregates with an order of their own, `array_agg(x order by y) over (…)`.
//! Names of windows are put in their places before (`windows`).

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Ident, OrderByExpr, Statement, UnaryOperator, Value, ValueWithSpan, VisitMut,
    VisitorMut, WindowFrameBound, WindowSpec, WindowType,
};

use super::functions::{expression_of, name_of};
use super::spelling::{called, text};
use crate::query::SqlMistake;

/// Puts them into words that the engine knows.
///
/// # Errors
/// A bound of a frame that differs from row to row; an aggregate that takes no order in a window.
pub(super) fn spell(statement: &mut Statement) -> Result<(), SqlMistake> {
    match VisitMut::visit(statement, &mut Speller) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(mistake) => Err(*mistake),
    }
}

type Flow = ControlFlow<Box<SqlMistake>>;

struct Speller;

impl VisitorMut for Speller {
    type Break = Box<SqlMistake>;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let Some(WindowType::WindowSpec(spec)) = &mut function.over else { return ControlFlow::Continue(()) };
        bounds(spec)?;
        shift(function);
        if let Some(other) = in_order(function)? {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}

fn refuse<T>(what: String, help: &str) -> ControlFlow<Box<SqlMistake>, T> {
    ControlFlow::Break(Box::new(SqlMistake::new("elt::sql::not_supported", what).help(help)))
}

/// Whether the engine takes it for a literal.
fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_literal(expr),
        _ => false,
    }
}

/// The whole number that an expression is, if it is made of numbers.
fn number(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => digits.parse().ok(),
        Expr::Nested(inner) => number(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => number(expr)?.checked_neg(),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => number(expr),
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (number(left)?, number(right)?);
            match op {
                BinaryOperator::Plus => left.checked_add(right),
                BinaryOperator::Minus => left.checked_sub(right),
                BinaryOperator::Multiply => left.checked_mul(right),
                _ => None,
            }
        }
        _ => None,
    }
}

fn written(number: i64) -> Expr {
    expression_of(&number.to_string())
}

/// Bounds of a frame that are worked out are written out.
fn bounds(spec: &mut WindowSpec) -> Flow {
    let Some(frame) = &mut spec.window_frame else { return ControlFlow::Continue(()) };
    for bound in [Some(&mut frame.start_bound), frame.end_bound.as_mut()].into_iter().flatten() {
        let (WindowFrameBound::Preceding(Some(far)) | WindowFrameBound::Following(Some(far))) = bound else {
            continue;
        };
        if is_literal(far) || matches!(**far, Expr::Interval(_) | Expr::TypedString(_) | Expr::Cast { .. }) {
            continue;
        }
        match number(far) {
            Some(number) => **far = written(number),
            None => {
                return refuse(
                    format!("a frame that goes `{far}` far is not supported"),
                    "write a number or an interval: `rows between 2 preceding and current row`; what differs from row to row \
                     is a join: `join t b on b.i between a.i - a.far and a.i`",
                );
            }
        }
    }
    ControlFlow::Continue(())
}

/// The arguments, if there is nothing else in the brackets but how nulls are treated.
fn args_of(function: &mut Function) -> Option<&mut Vec<FunctionArg>> {
    let FunctionArguments::List(list) = &mut function.args else { return None };
    let is_plain = list.duplicate_treatment.is_none()
        && list
            .clauses
            .iter()
            .all(|clause| matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(_)))
        && list.args.iter().all(|arg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(_))));
    is_plain.then_some(&mut list.args)
}

fn value_of(arg: &FunctionArg) -> Option<&Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// `lag`, `lead`, `ntile` and `nth_value` with arguments that are no literals; `arg_max` and `arg_min`.
fn shift(function: &mut Function) {
    let Some(name) = name_of(function) else { return };
    let own = match name.as_str() {
        "lag" => "_elt_lag",
        "lead" => "_elt_lead",
        "ntile" => "_elt_ntile",
        "nth_value" => "_elt_nth_value",
        "arg_max" | "argmax" | "max_by" | "arg_max_null" => "_elt_arg_max",
        "arg_min" | "argmin" | "min_by" | "arg_min_null" => "_elt_arg_min",
        _ => return,
    };
    let Some(args) = args_of(function) else { return };
    let count = args.len();
    let is_own = match own {
        "_elt_arg_max" | "_elt_arg_min" => {
            // A row without a value does not count for DuckDB's, and does for Databricks' `max_by`.
            if let ("arg_max" | "argmax" | "arg_min" | "argmin", [of, by]) = (name.as_str(), &mut args[..])
                && let (Some(of), Some(known)) = (value_of(of).cloned(), value_of(by).cloned())
            {
                let mut meant = expression_of("case when (x) is not null then y end");
                if let Expr::Case { conditions, .. } = &mut meant {
                    conditions[0].condition = Expr::IsNotNull(Box::new(Expr::Nested(Box::new(of))));
                    conditions[0].result = known;
                }
                *by = FunctionArg::Unnamed(FunctionArgExpr::Expr(meant));
            }
            count == 2
        }
        "_elt_ntile" if count != 1 => return,
        _ => {
            let first = usize::from(own != "_elt_ntile");
            for arg in args.iter_mut().skip(first).take(1) {
                if let Some(number) = value_of(arg).filter(|value| !is_literal(value)).and_then(number) {
                    *arg = FunctionArg::Unnamed(FunctionArgExpr::Expr(written(number)));
                }
            }
            args.iter().skip(first).filter_map(value_of).any(|value| !is_literal(value))
        }
    };
    if !is_own {
        return;
    }
    if matches!(own, "_elt_lag" | "_elt_lead") && count == 2 {
        args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::value(Value::Null))));
    }
    function.name = Ident::new(own).into();
}

/// An aggregate with an order of its own over a window.
fn in_order(function: &Function) -> ControlFlow<Box<SqlMistake>, Option<Expr>> {
    let Some(name) = name_of(function) else { return ControlFlow::Continue(None) };
    let FunctionArguments::List(list) = &function.args else { return ControlFlow::Continue(None) };
    let order: Vec<OrderByExpr> = list
        .clauses
        .iter()
        .filter_map(|clause| match clause {
            FunctionArgumentClause::OrderBy(order) => Some(order.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    let Some(value) = list.args.first().and_then(value_of).filter(|_| !order.is_empty()) else {
        return ControlFlow::Continue(None);
    };
    let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let keeps_nulls = match name.as_str() {
        "array_agg" | "list" | "first" | "first_value" | "last" | "last_value" => true,
        "string_agg" | "group_concat" | "listagg" | "any_value" | "arbitrary" => false,
        // These give the same in any order.
        "sum" | "count" | "min" | "max" | "avg" | "mean" | "bool_and" | "bool_or" | "every" | "product" => {
            let mut plain = function.clone();
            if let FunctionArguments::List(list) = &mut plain.args {
                list.clauses.retain(|clause| !matches!(clause, FunctionArgumentClause::OrderBy(_)));
            }
            return ControlFlow::Continue(Some(Expr::Function(plain)));
        }
        _ => {
            return refuse(
                format!("`{name}` with an order of its own over a window is not supported"),
                "put the order into the window: `over (partition by g order by k)`",
            );
        }
    };
    if is_distinct {
        return refuse(
            format!("`{name}` of distinct values in an order over a window is not supported"),
            "take the values from a subquery: `(select array_agg(distinct x order by x) from t b where b.g = a.g)`",
        );
    }
    let mut fields = Vec::new();
    let mut orders = Vec::new();
    for (at, OrderByExpr { expr, options, .. }) in order.iter().enumerate() {
        fields.extend([text(&format!("k{at}")), expr.clone()]);
        let descending = options.asc == Some(false);
        let nulls_first = options.nulls_first.unwrap_or(descending);
        orders.push(format!(
            "{} {}",
            if descending { "desc" } else { "asc" },
            if nulls_first { "first" } else { "last" }
        ));
    }
    fields.extend([text("v"), value.clone()]);
    let mut all = function.clone();
    all.name = Ident::new("array_agg").into();
    if let FunctionArguments::List(list) = &mut all.args {
        list.clauses.clear();
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(called("named_struct", &fields)))];
    }
    if !keeps_nulls {
        let is_there = Expr::IsNotNull(Box::new(Expr::Nested(Box::new(value.clone()))));
        all.filter = Some(Box::new(match all.filter.take() {
            Some(filter) => Expr::BinaryOp {
                left: Box::new(Expr::Nested(filter)),
                op: BinaryOperator::And,
                right: Box::new(is_there),
            },
            None => is_there,
        }));
    }
    let sorted = called("_elt_in_order", &[Expr::Function(all), text(&orders.join(", "))]);
    ControlFlow::Continue(Some(match name.as_str() {
        "array_agg" | "list" => sorted,
        "first" | "first_value" | "any_value" | "arbitrary" => {
            called("array_element", &[sorted, expression_of("1")])
        }
        "last" | "last_value" => called("array_element", &[sorted, expression_of("-1")]),
        _ => {
            let between = list.args.get(1).and_then(value_of).cloned().unwrap_or_else(|| text(","));
            called("array_to_string", &[sorted, between])
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;
    use super::*;

    #[test]
    fn what_is_worked_out_is_written_out() {
        for (sql, means) in [
            ("select lag(x, 1 + 1) over (order by i) from t", "SELECT lag(x, 2) OVER (ORDER BY i) FROM t"),
            (
                "select lag(x, i) over (order by i) from t",
                "SELECT _elt_lag(x, i, NULL) OVER (ORDER BY i) FROM t",
            ),
            (
                "select lead(x, 1, x * 2) over (order by i) from t",
                "SELECT _elt_lead(x, 1, x * 2) OVER (ORDER BY i) FROM t",
            ),
            ("select lag(x, 1, 0) over (order by i) from t", "SELECT lag(x, 1, 0) OVER (ORDER BY i) FROM t"),
            ("select ntile(2 * 2) over (order by i) from t", "SELECT ntile(4) OVER (ORDER BY i) FROM t"),
            (
                "select sum(x) over (order by i rows between 1 + 1 preceding and (2) following) from t",
                "SELECT sum(x) OVER (ORDER BY i ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING) FROM t",
            ),
            (
                "select string_agg(x, '-' order by y desc) over (partition by g) from t",
                "SELECT array_to_string(_elt_in_order(array_agg(named_struct('k0', y, 'v', x)) FILTER (WHERE (x) IS NOT NULL) \
                 OVER (PARTITION BY g), 'desc first'), '-') FROM t",
            ),
        ] {
            let mut statement = parse_query(sql).unwrap();
            spell(&mut statement).unwrap();
            assert_eq!(statement.to_string(), means, "{sql}");
        }
    }
}
