//! How many rows are left of three alike, when one is taken away?
//!
//! Two: `EXCEPT ALL` takes a row away for each one on its right, and `INTERSECT ALL` keeps as many as both sides have. The
//! engine asks of each row whether one like it is there, which is an answer for sets. [`Multisets`] numbers the rows that
//! are alike, on both sides; then no two are.
//!
//! It comes before all other rules: what the engine makes of these two is a join that nothing else makes so early, of all
//! columns, nulls being alike.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::logical_plan::{Join, Window};
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;

/// `EXCEPT ALL` and `INTERSECT ALL` count.
#[derive(Debug)]
pub(super) struct Multisets;

impl AnalyzerRule for Multisets {
    fn name(&self) -> &str {
        "multisets"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let counted = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Join(join) if is_of_multisets(&join) => Ok(Transformed::yes(counted(join)?)),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(counted.data)
    }
}

/// Rows of which no two are alike stay what they are.
fn is_of_multisets(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.on.len() == join.left.schema().fields().len()
        && !matches!(&*join.left, LogicalPlan::Distinct(_))
}

fn counted(join: Join) -> Result<LogicalPlan> {
    let shown = join.left.schema().columns();
    let (left, right) = (numbered(join.left, "_elt_nth_left")?, numbered(join.right, "_elt_nth_right")?);
    let mut on = join.on;
    on.push((nth("_elt_nth_left"), nth("_elt_nth_right")));
    let joined = Join::try_new(
        left,
        right,
        on,
        join.filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let shown = shown.into_iter().map(Expr::Column);
    LogicalPlanBuilder::from(LogicalPlan::Join(joined)).project(shown)?.build()
}

fn nth(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

/// The rows, each with its number among those that are alike.
fn numbered(plan: Arc<LogicalPlan>, name: &str) -> Result<Arc<LogicalPlan>> {
    let alike = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let number =
        Expr::from(WindowFunction::new(row_number_udwf(), Vec::new())).partition_by(alike).build()?;
    Ok(Arc::new(LogicalPlan::Window(Window::try_new(vec![number.alias(name)], plan)?)))
}
