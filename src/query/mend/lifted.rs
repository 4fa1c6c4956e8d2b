//! What if an aggregate, an order or a join asks a subquery?
//!
//! `sum(case when id in (select …) then 1 end)`, `order by (select …)`, `left join u on exists (select …)`: the engine
//! answers subqueries of a list and of a condition, and no others. [`Lifted`] asks them beforehand, in a list of their own
//! below; what stands there now is the column with the answer.

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::Join;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, Subquery};
use datafusion::optimizer::AnalyzerRule;

use super::has_any;

/// Subqueries are asked in lists and conditions alone.
#[derive(Debug)]
pub(super) struct Lifted;

impl AnalyzerRule for Lifted {
    fn name(&self) -> &str {
        "lifted_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        if !has_any(&plan, |expr| subquery_of(expr).is_some())? {
            return Ok(plan);
        }
        let names = Cell::new(0);
        let lifted = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Sort(_) => lift(plan, &names),
            LogicalPlan::Join(join) if join.filter.as_ref().is_some_and(asks) => lift_from(join, &names),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(lifted.data)
    }
}

/// The subquery that an expression asks itself.
fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::InSubquery(question) => Some(&question.subquery),
        Expr::Exists(question) => Some(&question.subquery),
        Expr::SetComparison(question) => Some(&question.subquery),
        _ => None,
    }
}

fn asks(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(subquery_of(expr).is_some())).unwrap_or(false)
}

/// The questions in an expression, each once.
fn questions(expr: &Expr, asked: &mut Vec<Expr>) -> Result<()> {
    expr.apply(|expr| {
        if subquery_of(expr).is_none() {
            return Ok(TreeNodeRecursion::Continue);
        }
        if !asked.contains(expr) {
            asked.push(expr.clone());
        }
        Ok(TreeNodeRecursion::Jump)
    })?;
    Ok(())
}

/// A plan with the answers to questions beside its columns.
fn answered(plan: LogicalPlan, asked: &[(Expr, String)]) -> Result<LogicalPlan> {
    let columns = plan.schema().columns().into_iter().map(Expr::Column);
    let answers = asked.iter().map(|(question, name)| question.clone().alias(name));
    let list: Vec<Expr> = columns.chain(answers).collect();
    LogicalPlanBuilder::from(plan).project(list)?.build()
}

/// The expression with answers in the place of questions.
fn put(expr: Expr, asked: &[(Expr, String)]) -> Result<Expr> {
    let put = expr.transform_down(|expr| match asked.iter().find(|(question, _)| *question == expr) {
        Some((_, name)) => {
            let answer = Expr::Column(Column::new_unqualified(name));
            Ok(Transformed::new(answer, true, TreeNodeRecursion::Jump))
        }
        None => Ok(Transformed::no(expr)),
    })?;
    Ok(put.data)
}

fn name(names: &Cell<usize>) -> String {
    names.set(names.get() + 1);
    format!("_elt_answer_{}", names.get())
}

fn lift(plan: LogicalPlan, names: &Cell<usize>) -> Result<Transformed<LogicalPlan>> {
    let mut asked = Vec::new();
    for expr in plan.expressions() {
        questions(&expr, &mut asked)?;
    }
    if asked.is_empty() {
        return Ok(Transformed::no(plan));
    }
    let asked: Vec<(Expr, String)> = asked.into_iter().map(|question| (question, name(names))).collect();
    let below = answered(plan.inputs()[0].clone(), &asked)?;
    let saved = NamePreserver::new(&plan);
    let exprs = plan.expressions().into_iter().map(|expr| {
        let name = saved.save(&expr);
        Ok(name.restore(put(expr, &asked)?))
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    let columns = plan.schema().columns();
    let lifted = plan.with_new_exprs(exprs, vec![below])?;
    without_answers(lifted, columns).map(Transformed::yes)
}

fn without_answers(plan: LogicalPlan, columns: Vec<Column>) -> Result<LogicalPlan> {
    if plan.schema().fields().len() == columns.len() {
        return Ok(plan);
    }
    LogicalPlanBuilder::from(plan).project(columns.into_iter().map(Expr::Column))?.build()
}

/// Conditions of a join: those of an inner join are asked of the rows that it gives; of another join, each is answered on the
/// side that it speaks of.
fn lift_from(mut join: Join, names: &Cell<usize>) -> Result<Transformed<LogicalPlan>> {
    let columns = join.schema.columns();
    let Some(filter) = join.filter.take() else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
    let (asking, others): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(filter).into_iter().partition(asks);
    if join.join_type == JoinType::Inner {
        join.filter = conjunction(others);
        let rows = LogicalPlanBuilder::from(LogicalPlan::Join(join));
        return Ok(Transformed::yes(match conjunction(asking) {
            Some(condition) => rows.filter(condition)?.build()?,
            None => rows.build()?,
        }));
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut conditions = others;
    for condition in asking {
        let mut asked = Vec::new();
        questions(&condition, &mut asked)?;
        let mut all = Vec::new();
        for question in asked {
            let spoken_of = spoken_of(&question);
            let answer = (question, name(names));
            if spoken_of.iter().all(|column| join.left.schema().has_column(column)) {
                left.push(answer.clone());
            } else if spoken_of.iter().all(|column| join.right.schema().has_column(column)) {
                right.push(answer.clone());
            }
            all.push(answer);
        }
        conditions.push(put(condition, &all)?);
    }
    if !left.is_empty() {
        join.left = Arc::new(answered(join.left.as_ref().clone(), &left)?);
    }
    if !right.is_empty() {
        join.right = Arc::new(answered(join.right.as_ref().clone(), &right)?);
    }
    let joined = Join::try_new(
        join.left,
        join.right,
        join.on,
        conjunction(conditions),
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    without_answers(LogicalPlan::Join(joined), columns).map(Transformed::yes)
}

/// The columns around it that a question speaks of.
fn spoken_of(question: &Expr) -> Vec<Column> {
    let mut columns: Vec<Column> = question.column_refs().into_iter().cloned().collect();
    if let Some(subquery) = subquery_of(question) {
        columns.extend(subquery.outer_ref_columns.iter().filter_map(|column| match column {
            Expr::OuterReferenceColumn(_, column) => Some(column.clone()),
            _ => None,
        }));
    }
    columns
}
