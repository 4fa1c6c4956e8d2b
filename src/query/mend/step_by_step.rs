//! How does a rule go through a plan whose steps it looks at one by one?

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

/// What stands in the place of a step, with the same columns; nothing if it stays.
pub(in crate::query) type Instead = fn(&Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>>;

/// Puts other steps in the place of some, those below first.
#[derive(Debug)]
pub(in crate::query) struct StepByStep {
    pub(in crate::query) name: &'static str,
    pub(in crate::query) instead: Instead,
}

impl PhysicalOptimizerRule for StepByStep {
    fn name(&self) -> &str {
        self.name
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|step| {
            Ok((self.instead)(&step)?.map_or_else(|| Transformed::no(step), Transformed::yes))
        });
        changed.data()
    }

    fn schema_check(&self) -> bool {
        true
    }
}
