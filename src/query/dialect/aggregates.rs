//! What does an aggregate mean with an order, a number, or a list of shares in its brackets?
//!
//! `any_value(a order by b)` is the first that is not null, `mode(a order by b)` the first of the most frequent,
//! `quantile_cont(a, [0.25, 0.75])` a list. Also where `FILTER` and `OVER` go, if a call becomes an expression with
//! aggregates in it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Array, BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, VisitMut, VisitorMut,
};

use super::functions::{call, expression_of, name_of, plain_args};

/// The aggregates that our own expressions are made of.
const OF_EXPRESSIONS: &[&str] = &[
    "approx_distinct",
    "approx_percentile_cont",
    "array_agg",
    "avg",
    "count",
    "first_value",
    "percentile_cont",
    "stddev_pop",
    "string_agg",
    "sum",
];

/// Gives the aggregates of an expression the `FILTER` and `OVER` of the call that it stands for. False if there is none.
pub(super) fn narrow(expression: &mut Expr, function: &Function) -> bool {
    let mut narrower = Narrower { function, found: false };
    let _: ControlFlow<()> = expression.visit(&mut narrower);
    narrower.found
}

struct Narrower<'a> {
    function: &'a Function,
    found: bool,
}

impl VisitorMut for Narrower<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(own) = expr
            && name_of(own).is_some_and(|name| OF_EXPRESSIONS.contains(&name.as_str()))
        {
            self.found = true;
            own.over.clone_from(&self.function.over);
            add_filter(own, self.function.filter.as_deref());
        }
        ControlFlow::Continue(())
    }
}

/// Lets a call see only rows of which this is also true.
fn add_filter(function: &mut Function, more: Option<&Expr>) {
    let Some(more) = more else { return };
    let both = match function.filter.take() {
        Some(first) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(first)),
            op: BinaryOperator::And,
            right: Box::new(Expr::Nested(Box::new(more.clone()))),
        },
        None => more.clone(),
    };
    function.filter = Some(Box::new(both));
}

/// `any_value(a order by b)`, `mode(a order by b)`.
pub(super) fn in_order(function: &Function) -> Option<Expr> {
    let name = name_of(function)?;
    if !matches!(name.as_str(), "any_value" | "arbitrary" | "mode") {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let has_order = list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)));
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = &list.args[..] else { return None };
    if !has_order {
        return None;
    }
    let mut ordered = function.clone();
    let is_mode = name == "mode";
    ordered.name = Ident::new(if is_mode { "array_agg" } else { "first_value" }).into();
    add_filter(&mut ordered, Some(&Expr::IsNotNull(Box::new(Expr::Nested(Box::new(value.clone()))))));
    let mut whole = expression_of("_elt_first_of_most(x)");
    let ordered = Expr::Function(ordered);
    match &mut whole {
        Expr::Function(outer) if is_mode => {
            if let FunctionArguments::List(list) = &mut outer.args {
                list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(ordered))];
            }
            Some(whole)
        }
        _ => Some(ordered),
    }
}

/// `string_agg(a order by b)`, `string_agg(distinct a)`: a comma is between them.
pub(super) fn with_comma(function: &Function) -> Option<Expr> {
    let name = name_of(function)?;
    if !matches!(name.as_str(), "string_agg" | "group_concat" | "listagg") {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    if list.args.len() != 1 || (list.clauses.is_empty() && !is_distinct) {
        return None;
    }
    let mut joined = function.clone();
    joined.name = Ident::new("string_agg").into();
    if let FunctionArguments::List(list) = &mut joined.args {
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(expression_of("','"))));
    }
    Some(Expr::Function(joined))
}

/// `quantile_cont(a, [0.25, 0.75])`, as a list of calls with one share each.
pub(super) fn each_share(function: &Function) -> Option<Vec<Expr>> {
    const WITH_SHARE: [&str; 9] = [
        "json_extract",
        "json_extract_string",
        "quantile",
        "quantile_cont",
        "quantile_disc",
        "percentile",
        "percentile_cont",
        "approx_quantile",
        "approx_percentile",
    ];
    let name = name_of(function)?;
    if !WITH_SHARE.contains(&name.as_str()) {
        return None;
    }
    let args = plain_args(function)?;
    let [value, shares] = &args[..] else { return None };
    let shares: Vec<Expr> = match shares {
        Expr::Array(Array { elem, .. }) => elem.clone(),
        Expr::Function(list)
            if name_of(list).is_some_and(|name| matches!(name.as_str(), "make_array" | "array")) =>
        {
            plain_args(list)?
        }
        _ => return None,
    };
    Some(shares.into_iter().map(|share| call(function, &name, vec![value.clone(), share])).collect())
}
