//! How does an optimized plan become steps?

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};

use super::asof::AsOfPlanner;
use super::shared::{self, SharedPlanner};

/// The engine's planner, which knows of as-of joins besides, and works out once what is there twice.
#[derive(Debug)]
pub(super) struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let marked = shared::find(plan)?;
        let plan = marked.as_ref().unwrap_or(plan);
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![
            Arc::new(AsOfPlanner),
            Arc::new(SharedPlanner::default()),
        ]);
        planner.create_physical_plan(plan, session).await
    }
}
