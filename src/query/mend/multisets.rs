//! How often is a row left that EXCEPT ALL takes away once?
//!
//! Once less: of three rows that are the same, one on the right takes one. The engine takes all of them, and INTERSECT ALL keeps
//! all of them. So the rows that are the same are numbered on both sides, and the numbers are compared with the rest.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;

// What the numbers of both sides are called.
const LEFT: &str = "_elt_left_number";
const RIGHT: &str = "_elt_right_number";

/// EXCEPT ALL and INTERSECT ALL count. Has to come before whatever else makes such joins.
#[derive(Debug)]
pub(super) struct Multisets;

impl AnalyzerRule for Multisets {
    fn name(&self) -> &str {
        "multisets"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| match &plan {
            LogicalPlan::Join(join) if is_of_all(join) => Ok(Transformed::yes(counted(join)?)),
            _ => Ok(Transformed::no(plan)),
        })
        .data()
    }
}

/// Whether the engine's planner made it of EXCEPT ALL or INTERSECT ALL. Without ALL the rows of the left are distinct.
fn is_of_all(join: &Join) -> bool {
    let columns = join.left.schema().fields().len();
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && columns > 0
        && join.on.len() == columns
        && join.right.schema().fields().len() == columns
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(_))
        && join.left.schema().fields().iter().all(|field| field.name() != LEFT)
}

fn counted(join: &Join) -> Result<LogicalPlan> {
    let given = join.left.schema().columns().into_iter().map(Expr::Column);
    let mut on = join.on.clone();
    on.push((Expr::Column(Column::from_name(LEFT)), Expr::Column(Column::from_name(RIGHT))));
    let left = Arc::new(numbered(&join.left, LEFT)?);
    let right = Arc::new(numbered(&join.right, RIGHT)?);
    let counted = Join::try_new(
        left,
        right,
        on,
        None,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    LogicalPlanBuilder::from(LogicalPlan::Join(counted)).project(given)?.build()
}

/// Rows with their numbers among those that are the same.
fn numbered(side: &Arc<LogicalPlan>, name: &str) -> Result<LogicalPlan> {
    let columns = side.schema().columns().into_iter().map(Expr::Column).collect();
    let number = row_number().partition_by(columns).build()?.alias(name);
    LogicalPlanBuilder::from(Arc::clone(side)).window([number])?.build()
}
