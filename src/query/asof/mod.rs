//! How is an as-of join answered?
//!
//! `a ASOF JOIN b ON a.k = b.k AND a.t >= b.t`: each row of `a` with the one row of `b` that has its key and is nearest
//! in time. The engine has no such join. Here it is a step of its own: a [`AsOfJoin`] among the logical steps, made where
//! the SQL is planned, and an [`AsOfJoinExec`] among the physical, which merges both sides sorted by key and time. Sorting
//! and bringing equal keys together are the engine's, and so is spilling; the step itself keeps a few batches.

mod exec;
mod node;
mod relation;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use exec::AsOfJoinExec;
use node::AsOfJoin;
pub(super) use relation::AsOfRelations;

/// Whether a step is an as-of join: it gives the columns of its left side, and then those of its right.
pub(super) fn is_as_of_join(node: &dyn UserDefinedLogicalNode) -> bool {
    node.as_any().is::<AsOfJoin>()
}

/// Knows how an as-of join is done.
pub(super) struct AsOfPlanner;

#[async_trait]
impl ExtensionPlanner for AsOfPlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(join), [left, right]) = (node.as_any().downcast_ref::<AsOfJoin>(), inputs) else {
            return Ok(None);
        };
        let sides = join.sides()?;
        let expr = |expr, schema| planner.create_physical_expr(expr, schema, session, context);
        let keys =
            sides.keys.iter().map(|(a, b)| Ok((expr(a, join.left.schema())?, expr(b, join.right.schema())?)));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let time = (expr(&sides.time.0, join.left.schema())?, expr(&sides.time.1, join.right.schema())?);
        let schema = Arc::clone(join.schema.inner());
        let (left, right) = (Arc::clone(left), Arc::clone(right));
        Ok(Some(Arc::new(AsOfJoinExec::new(
            left,
            right,
            keys,
            time,
            sides.nearest,
            join.keeps_left,
            schema,
        )?)))
    }
}
