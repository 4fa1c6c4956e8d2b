//! When does planning end that nobody waits for any more?
//!
//! Between two rules. A plan that is large takes seconds, and none of them lets go of its thread.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig, OptimizerRule};

use crate::base::is_wanted;
use crate::query::{QueryError, SqlMistake};

/// Ends planning that is not wanted; a rule that changes nothing.
#[derive(Debug)]
pub(super) struct Unwanted;

impl Unwanted {
    fn end() -> Result<()> {
        match is_wanted() {
            true => Ok(()),
            false => {
                let mistake =
                    SqlMistake::new("elt::sql::cancelled", "nobody waits for the statement any more");
                Err(QueryError::from(mistake).into())
            }
        }
    }
}

impl AnalyzerRule for Unwanted {
    fn name(&self) -> &str {
        "unwanted"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Self::end().map(|()| plan)
    }
}

impl OptimizerRule for Unwanted {
    fn name(&self) -> &str {
        "unwanted"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        Self::end().map(|()| Transformed::no(plan))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::LogicalPlanBuilder;

    use super::*;
    use crate::base::while_wanted;

    #[tokio::test]
    async fn planning_ends_when_nobody_waits() {
        let plan = || LogicalPlanBuilder::empty(true).build().unwrap();
        assert!(Unwanted.analyze(plan(), &ConfigOptions::new()).is_ok());
        let (waiting, work) = while_wanted(async { Unwanted.analyze(plan(), &ConfigOptions::new()) });
        drop(waiting);
        assert!(work.await.unwrap_err().to_string().contains("nobody waits"));
    }
}
