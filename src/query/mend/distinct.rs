//! Has a sum the same type beside `count(distinct …)`?
//!
//! The engine counts distinct values by grouping twice, and sums the sums of the first groups. A decimal then has room
//! for more digits than the query was planned with, and whatever is compared with it fails. Where the rewriting gives
//! other types than were planned, the aggregate stays as it is.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The engine's rules, with ours in the place of that one.
pub(super) fn optimizer_rules() -> Vec<Rule> {
    let guarded = |rule: Rule| -> Rule {
        match rule.name() {
            "single_distinct_aggregation_to_group_by" => Arc::new(SameTypes { rule }),
            _ => rule,
        }
    };
    Optimizer::new().rules.into_iter().map(guarded).collect()
}

/// A rule that may not change types.
#[derive(Debug)]
struct SameTypes {
    rule: Rule,
}

impl OptimizerRule for SameTypes {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(_) = &plan else { return self.rule.rewrite(plan, config) };
        let rewritten = self.rule.rewrite(plan.clone(), config)?;
        let types = |plan: &LogicalPlan| -> Vec<_> {
            plan.schema().fields().iter().map(|field| field.data_type().clone()).collect()
        };
        if rewritten.transformed && types(&rewritten.data) != types(&plan) {
            return Ok(Transformed::no(plan));
        }
        Ok(rewritten)
    }
}
