//! Which side of a product of tables is kept in memory?
//!
//! The one with one row, such as an aggregate of all rows. The engine keeps the left side, and goes over all of it for every
//! batch of the right; a right side of one row makes a batch of every row of the left.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::joins::CrossJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// A product of tables turned round, if its right side has one row.
pub(super) fn one_row_left(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(product) = plan.downcast_ref::<CrossJoinExec>() else { return Ok(None) };
    let (left, right) = (product.left(), product.right());
    let is_one = has_one_row(right) && right.output_partitioning().partition_count() == 1;
    if !is_one || has_one_row(left) {
        return Ok(None);
    }
    // It was brought together to be kept, and need not be any more.
    let left = match left.downcast_ref::<CoalescePartitionsExec>() {
        Some(together) if together.fetch().is_none() => Arc::clone(together.input()),
        _ => Arc::clone(left),
    };
    let turned = CrossJoinExec::new(left, Arc::clone(right)).swap_inputs()?;
    // What stands above may count on rows in one place.
    let partitions = plan.output_partitioning().partition_count();
    Ok(Some(match turned.output_partitioning().partition_count() {
        count if count == partitions => turned,
        _ => Arc::new(CoalescePartitionsExec::new(turned)),
    }))
}

/// Whether a plan is an aggregate of all rows.
fn has_one_row(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return aggregate.group_expr().is_empty();
    }
    let passes = plan.downcast_ref::<ProjectionExec>().is_some()
        || plan.downcast_ref::<CoalescePartitionsExec>().is_some();
    passes && plan.children().first().is_some_and(|child| has_one_row(child))
}
