//! How does an optimized plan become steps?

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
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
        match planner().create_physical_plan(plan, session).await {
            Err(error) if is_at_odds_with_itself(&error) => {
                planner().create_physical_plan(&without_equalities(plan)?, session).await
            }
            planned => planned,
        }
    }
}

fn planner() -> DefaultPhysicalPlanner {
    DefaultPhysicalPlanner::with_extension_planners(vec![
        Arc::new(AsOfPlanner),
        Arc::new(SharedPlanner::default()),
    ])
}

/// Whether steps were planned that do not give the order that the next one needs.
fn is_at_odds_with_itself(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::Plan(message) if message.contains("does not satisfy order requirements"))
}

/// The plan with `coalesce(a, '0') IN ('0')` for `coalesce(a, '0') = '0'`.
///
/// Of an equality the engine's scans conclude that every `'0'` may be written as `coalesce(a, '0')`, also those in what rows
/// are sorted by, and no longer know the sorting again. A list of one value says the same, and nothing is concluded of it.
fn without_equalities(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let of_one = |expr: Expr| {
        expr.transform_up(|expr| match expr {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
                let (value, constant) = match (&*left, &*right) {
                    (Expr::Literal(..), _) => (right, left),
                    _ => (left, right),
                };
                let is_concluded_of = matches!(*constant, Expr::Literal(..))
                    && !matches!(*value, Expr::Column(_) | Expr::Literal(..));
                Ok(match is_concluded_of {
                    true => Transformed::yes(Expr::InList(InList::new(value, vec![*constant], false))),
                    false => {
                        Transformed::no(Expr::BinaryExpr(BinaryExpr::new(value, Operator::Eq, constant)))
                    }
                })
            }
            other => Ok(Transformed::no(other)),
        })
    };
    let rewritten = plan.clone().transform_down_with_subqueries(|node| match node {
        LogicalPlan::Filter(_) | LogicalPlan::TableScan(_) => node.map_expressions(of_one),
        node => Ok(Transformed::no(node)),
    })?;
    Ok(rewritten.data)
}
