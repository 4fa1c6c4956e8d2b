//! In which order are rows that have no columns?
//!
//! In any: they are all alike. `select count(*) from (select * from t order by random() limit 10)` asks for none of the columns,
//! and the engine, which keeps the first ten of a sort by taking pieces of their columns, has nothing to take.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Takes the order away from rows without columns, and leaves how many of them are wanted.
#[derive(Debug)]
pub(super) struct Unordered;

impl OptimizerRule for Unordered {
    fn name(&self) -> &'static str {
        "rows_without_columns_have_no_order"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Sort(sort) = &plan else { return Ok(Transformed::no(plan)) };
        if !sort.input.schema().fields().is_empty() {
            return Ok(Transformed::no(plan));
        }
        let input = sort.input.as_ref().clone();
        let rows = match sort.fetch {
            Some(most) => LogicalPlanBuilder::from(input).limit(0, Some(most))?.build()?,
            None => input,
        };
        Ok(Transformed::yes(rows))
    }
}
