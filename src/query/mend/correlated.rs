//! What if a subquery asks the row around it in a way that the engine has no join for?
//!
//! The engine takes a correlated subquery apart if all that it asks of the row is that columns are equal. [`Correlated`]
//! takes on the others before it sees them: comparisons of any kind, `order by … limit n`, window functions, unions, a
//! value that only the rows themselves show to be one, and the same after `lateral`. The subquery becomes a plan of all
//! its answers at once ([`depend`]), which is joined to the rows that asked.

use std::cell::Cell;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, exec_err};
use datafusion::functions_aggregate::expr_fn::{count, first_value};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::{FetchType, Filter, Join, SubqueryAlias};
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Subquery, Volatility, check_subquery_expr, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::decorrelate::PullUpCorrelatedExpr;

use super::dependent::{Domain, depend, reaches_out, refers, speaks_of};
use super::has_any;

/// Joins for subqueries that the engine has none for.
#[derive(Debug)]
pub(super) struct Correlated;

impl AnalyzerRule for Correlated {
    fn name(&self) -> &str {
        "correlated"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        if !has_any(&plan, |expr| matches!(expr, Expr::OuterReferenceColumn(..)))? {
            return Ok(plan);
        }
        let names = Cell::new(0);
        let joined = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Join(join) => lateral(join, &names),
            plan if plan.inputs().len() == 1 => values(plan, &names),
            plan => Ok(Transformed::no(plan)),
        })?;
        Ok(joined.data)
    }
}

/// What is asked of the rows of a subquery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// The only one.
    Value,
    /// All of them, beside those that asked.
    Rows,
    /// Whether one is equal.
    Member,
    /// Whether there are any.
    Any,
}

/// Whether the engine gives the right answer to what a subquery asks of the row around it.
pub(super) fn is_joined(subquery: &Subquery, asks: Asks, around: &DFSchema) -> bool {
    let is_near = speaks_of(&subquery.subquery, around) && !reaches_out(&subquery.subquery);
    if !is_near || !is_simple(&subquery.subquery, asks, false) {
        return false;
    }
    let mut pull_up =
        PullUpCorrelatedExpr::new().with_need_handle_count_bug(true).with_exists_sub_query(asks == Asks::Any);
    let pulled = subquery.subquery.as_ref().clone().rewrite(&mut pull_up);
    pulled.is_ok() && pull_up.can_pull_up
}

/// Whether a condition may be taken out of this plan without changing what the rest of it gives. The engine does so
/// whatever stands above the condition: a window function would count the rows of all values, the right side of an outer
/// join would lose rows, of two aggregates only one would be grouped as it should, and an aggregate of no rows, which is a
/// row, would be none.
fn is_simple(plan: &LogicalPlan, asks: Asks, aggregated: bool) -> bool {
    if !refers(plan) {
        return true;
    }
    match plan {
        // What is worked out of an aggregate of no rows in two steps, or is a constant beside it, would be null.
        LogicalPlan::Projection(list)
            if matches!(&*list.input, LogicalPlan::Projection(_)) && is_aggregate(&list.input) =>
        {
            false
        }
        LogicalPlan::Projection(_) | LogicalPlan::Sort(_) => {
            plan.inputs().into_iter().all(|input| is_simple(input, asks, aggregated))
        }
        LogicalPlan::Filter(filter) => {
            !is_aggregate(&filter.input) && is_simple(&filter.input, asks, aggregated)
        }
        LogicalPlan::Limit(limit) => {
            let some = matches!(limit.get_fetch_type(), Ok(FetchType::Literal(None | Some(1..))));
            asks == Asks::Any && limit.skip.is_none() && some && is_simple(&limit.input, asks, aggregated)
        }
        LogicalPlan::Distinct(_) => {
            asks != Asks::Rows && plan.inputs().into_iter().all(|input| is_simple(input, asks, aggregated))
        }
        LogicalPlan::Aggregate(aggregate) => {
            let fits = match asks {
                Asks::Value => true,
                Asks::Rows => !aggregate.aggr_expr.is_empty(),
                Asks::Member | Asks::Any => !aggregate.group_expr.is_empty(),
            };
            fits && !aggregated && is_simple(&aggregate.input, asks, true)
        }
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner => {
                is_simple(&join.left, asks, aggregated) && is_simple(&join.right, asks, aggregated)
            }
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => {
                !refers(&join.right) && is_simple(&join.left, asks, aggregated)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether what is filtered are groups: then the filter is a HAVING.
fn is_aggregate(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_) => {
            plan.inputs().first().is_some_and(|input| is_aggregate(input))
        }
        _ => false,
    }
}

/// Whether a plan cannot give more than one row.
fn is_single(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Limit(limit) => matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(..=1)))),
        LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_) => plan.inputs().first().is_some_and(|input| is_single(input)),
        _ => false,
    }
}

/// Subqueries that are values, in the expressions of a part of a plan.
fn values(plan: LogicalPlan, names: &Cell<usize>) -> Result<Transformed<LogicalPlan>> {
    let mut asked: Vec<Expr> = Vec::new();
    let around = merge_schema(&plan.inputs());
    plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            let own = matches!(expr, Expr::ScalarSubquery(subquery)
                if refers(&subquery.subquery) && !asked.contains(expr)
                    && (check_subquery_expr(&plan, &subquery.subquery, expr).is_err() || !is_joined(subquery, Asks::Value, &around)));
            if own {
                asked.push(expr.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    if asked.is_empty() {
        return Ok(Transformed::no(plan));
    }
    let plan = others_first(plan, &asked)?;
    let before = plan.inputs()[0].clone();
    let mut rows = before.clone();
    let mut answers: Vec<(Expr, Column)> = Vec::new();
    for asking in asked {
        let Expr::ScalarSubquery(subquery) = &asking else { continue };
        let subquery = subquery.subquery.as_ref();
        let Some(domain) = Domain::of(subquery, &before, names) else { continue };
        let [value]: [Column; 1] =
            subquery.schema().columns().try_into().unwrap_or_else(|_| [Column::new_unqualified("")]);
        if value.name.is_empty() {
            continue;
        }
        let Some(mut all) = depend(subquery, &domain)? else { continue };
        let answer = domain.name("value");
        let keys: Vec<Expr> = all.keys.iter().cloned().map(Expr::Column).collect();
        let mut plan = LogicalPlanBuilder::from(all.plan);
        let shown = match is_single(subquery) {
            true => Expr::Column(value),
            false => {
                let number = domain.name("rows");
                let first = domain.name("first");
                let counted = [
                    first_value(Expr::Column(value), Vec::new()).alias(&first),
                    count(lit(1)).alias(&number),
                ];
                plan = plan.aggregate(keys.clone(), counted)?;
                let column = |name: &str| Expr::Column(Column::new_unqualified(name));
                ScalarUDF::from(OnlyOne::new()).call(vec![column(&first), column(&number)])
            }
        };
        all.plan = plan.project(keys.into_iter().chain([shown.alias(&answer)]))?.build()?;
        let Some(joined) = all.beside(rows.clone(), &domain.columns, JoinType::Left, None)? else {
            continue;
        };
        rows = joined;
        answers.push((asking.clone(), Column::new_unqualified(answer)));
    }
    if answers.is_empty() {
        return Ok(Transformed::no(plan));
    }
    let saved = NamePreserver::new(&plan);
    let exprs = plan.expressions().into_iter().map(|expr| {
        let name = saved.save(&expr);
        let answered =
            expr.transform_down(|expr| match answers.iter().find(|(asking, _)| *asking == expr) {
                Some((_, answer)) => {
                    Ok(Transformed::new(Expr::Column(answer.clone()), true, TreeNodeRecursion::Jump))
                }
                None => Ok(Transformed::no(expr)),
            })?;
        Ok(name.restore(answered.data))
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    let columns = plan.schema().columns();
    let answered = plan.with_new_exprs(exprs, vec![rows])?;
    let has_more = answered.schema().fields().len() > columns.len();
    Ok(Transformed::yes(match has_more {
        true => LogicalPlanBuilder::from(answered).project(columns.into_iter().map(Expr::Column))?.build()?,
        false => answered,
    }))
}

/// A filter, below it one with the conditions that ask no such subquery: nothing is asked for rows that they leave out.
fn others_first(plan: LogicalPlan, asked: &[Expr]) -> Result<LogicalPlan> {
    let LogicalPlan::Filter(filter) = &plan else { return Ok(plan) };
    let asks = |expr: &Expr| expr.exists(|expr| Ok(asked.contains(expr))).unwrap_or(true);
    let (asking, others): (Vec<&Expr>, Vec<&Expr>) =
        split_conjunction(&filter.predicate).into_iter().partition(|expr| asks(expr) || expr.is_volatile());
    let others = conjunction(others.into_iter().cloned());
    let (Some(asking), Some(others)) = (conjunction(asking.into_iter().cloned()), others) else {
        return Ok(plan);
    };
    let below = Filter::try_new(others, Arc::clone(&filter.input))?;
    Ok(LogicalPlan::Filter(Filter::try_new(asking, Arc::new(LogicalPlan::Filter(below)))?))
}

/// A subquery that stands in FROM.
fn lateral(join: Join, names: &Cell<usize>) -> Result<Transformed<LogicalPlan>> {
    let (input, alias) = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            (input.as_ref(), Some(alias.clone()))
        }
        other => (other, None),
    };
    // The engine calls it a subquery only if it asks the rows beside it itself, and not by a subquery of its own.
    let (rows, has_a_join) = match input {
        LogicalPlan::Subquery(subquery) => {
            (subquery.subquery.as_ref(), is_joined(subquery, Asks::Rows, join.left.schema()))
        }
        other => (other, false),
    };
    let is_known = matches!(join.join_type, JoinType::Inner | JoinType::Left) && join.on.is_empty();
    if !is_known || has_a_join || !refers(rows) {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let Some(domain) = Domain::of(rows, &join.left, names).filter(|domain| !domain.columns.is_empty()) else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    let Some(mut all) = depend(rows, &domain)? else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    if let Some(alias) = alias {
        all.plan = LogicalPlanBuilder::from(all.plan).alias(alias.clone())?.build()?;
        all.keys = all.keys.iter().map(|key| Column::new(Some(alias.clone()), &key.name)).collect();
    }
    let joined =
        all.beside(join.left.as_ref().clone(), &domain.columns, join.join_type, join.filter.clone())?;
    let Some(joined) = joined else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
    let shown = join.schema.columns().into_iter().map(Expr::Column);
    Ok(Transformed::yes(LogicalPlanBuilder::from(joined).project(shown)?.build()?))
}

/// `only_one(value, n)`: the value, if it is the only one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OnlyOne {
    signature: Signature,
}

impl OnlyOne {
    fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for OnlyOne {
    fn name(&self) -> &str {
        "only_one"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, number] = args.args.as_slice() else { return exec_err!("only_one takes two arguments") };
        let numbers = number.to_array(args.number_rows)?;
        for row in 0..numbers.len() {
            if let ScalarValue::Int64(Some(2..)) = ScalarValue::try_from_array(&numbers, row)? {
                return exec_err!("a subquery that stands for a value gives more than one row");
            }
        }
        Ok(value.clone())
    }
}
