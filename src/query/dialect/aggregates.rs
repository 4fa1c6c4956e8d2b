//! What does an aggregate mean with an order, a number, or a list of shares in its brackets?
//!
//! `any_value(a order by b)` is the first that is not null, `mode(a order by b)` the first of the most frequent,
//! `quantile_cont(a, [0.25, 0.75])` a list. Also where `FILTER` and `OVER` go, if a call becomes an expression with
//! aggregates in it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Array, BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, Select, SelectItem, Statement, VisitMut, VisitorMut,
};

use super::functions::{call, expression_of, name_of, plain_args};
use super::headings::text_of;
use super::spelling::called;

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

/// `array_agg(distinct a order by a desc)`, which the engine gives in the order of another aggregate beside it: the list is sorted
/// when it is whole. And several `string_agg(a, ',' order by …)` of one list in different orders, for which the engine has only one
/// order: each becomes a list in its own order, put together.
pub(super) fn keep_orders(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Orders);
}

struct Orders;

impl VisitorMut for Orders {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut orders: Vec<String> = Vec::new();
        let mut each = |show: &mut dyn FnMut(&mut Expr)| {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                    super::outside_queries(expr, &mut *show);
                }
            }
            if let Some(having) = &mut select.having {
                super::outside_queries(having, &mut *show);
            }
        };
        each(&mut |expr| {
            if let Some(sorted) = distinct_in_order(expr) {
                *expr = sorted;
            }
        });
        each(&mut |expr| {
            if let Some((_, order)) = joined_in_order(expr)
                && !orders.contains(&order)
            {
                orders.push(order);
            }
        });
        if orders.len() > 1 {
            each(&mut |expr| {
                if let Some((list, _)) = joined_in_order(expr) {
                    *expr = list;
                }
            });
        }
        ControlFlow::Continue(())
    }
}

/// `array_agg(distinct a order by a desc)` is `array_sort(array_agg(distinct a), 'DESC', …)`, and of `string_agg` what that list is
/// put together.
fn distinct_in_order(expr: &Expr) -> Option<Expr> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArgumentClause::OrderBy(order)] = &list.clauses[..] else { return None };
    let [by] = &order[..] else { return None };
    let is_text = match name_of(function)?.as_str() {
        "array_agg" | "list" => false,
        "string_agg" | "group_concat" | "listagg" => true,
        _ => return None,
    };
    if list.duplicate_treatment != Some(DuplicateTreatment::Distinct) || function.over.is_some() {
        return None;
    }
    let plain = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    let args: Vec<Expr> = list.args.iter().map(plain).collect::<Option<_>>()?;
    let (value, between) = match &args[..] {
        [value] => (value, is_text.then(|| expression_of("','"))),
        [value, between] if is_text => (value, Some(between.clone())),
        _ => return None,
    };
    if text_of(&by.expr) != text_of(value) || by.with_fill.is_some() {
        return None;
    }
    let mut gathered = function.clone();
    gathered.name = Ident::new("array_agg").into();
    if is_text {
        add_filter(&mut gathered, Some(&Expr::IsNotNull(Box::new(Expr::Nested(Box::new(value.clone()))))));
    }
    if let FunctionArguments::List(list) = &mut gathered.args {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value.clone()))];
        list.clauses.clear();
    }
    let is_down = by.options.asc == Some(false);
    let nulls_first = by.options.nulls_first.unwrap_or(is_down);
    let way = expression_of(if is_down { "'DESC'" } else { "'ASC'" });
    let nulls = expression_of(if nulls_first { "'NULLS FIRST'" } else { "'NULLS LAST'" });
    let sorted = called("array_sort", &[Expr::Function(gathered), way, nulls]);
    Some(match between {
        Some(between) => called("array_to_string", &[sorted, between]),
        None => sorted,
    })
}

/// The list that `string_agg(a, ',' order by b)` puts together, and its order.
fn joined_in_order(expr: &Expr) -> Option<(Expr, String)> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let is_joined = matches!(name_of(function)?.as_str(), "string_agg" | "group_concat" | "listagg");
    let [FunctionArgumentClause::OrderBy(order)] = &list.clauses[..] else { return None };
    if !is_joined || function.over.is_some() || list.duplicate_treatment.is_some() {
        return None;
    }
    let plain = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    let args: Vec<Expr> = list.args.iter().map(plain).collect::<Option<_>>()?;
    let (value, between) = match &args[..] {
        [value] => (value, expression_of("','")),
        [value, between] => (value, between.clone()),
        _ => return None,
    };
    let mut gathered = function.clone();
    gathered.name = Ident::new("array_agg").into();
    add_filter(&mut gathered, Some(&Expr::IsNotNull(Box::new(Expr::Nested(Box::new(value.clone()))))));
    if let FunctionArguments::List(list) = &mut gathered.args {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value.clone()))];
    }
    let order = order.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Some((called("array_to_string", &[Expr::Function(gathered), between]), order))
}

/// `count(distinct a, b)` counts the pairs of which neither is null.
pub(super) fn of_several(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    if name_of(function)? != "count" || !is_distinct || list.args.len() < 2 {
        return None;
    }
    let value = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    let values: Vec<Expr> = list.args.iter().map(value).collect::<Option<_>>()?;
    let known = values.iter().map(|value| Expr::IsNotNull(Box::new(Expr::Nested(Box::new(value.clone())))));
    let known = known.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    })?;
    let mut together = expression_of("case when x then y end");
    if let Expr::Case { conditions, .. } = &mut together {
        conditions[0].condition = known;
        conditions[0].result = Expr::Tuple(values);
    }
    let mut counted = function.clone();
    if let FunctionArguments::List(list) = &mut counted.args {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(together))];
    }
    Some(Expr::Function(counted))
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
