//! How does an as-of join get from SQL into a plan?

use std::sync::Arc;

use datafusion::common::{Column, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::logical_plan::Extension;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, Operator};
use sqlparser::ast::TableFactor;

use super::node::AsOfJoin;
use crate::query::dialect::asof_of;
use crate::query::{QueryError, SqlMistake};

/// Plans what `dialect::asof` put into brackets.
#[derive(Debug)]
pub(in crate::query) struct AsOfRelations;

const HELP: &str =
    "write `a asof join b on a.key = b.key and a.time >= b.time`: equal keys, and one comparison of times";

fn wrong(what: impl Into<String>) -> DataFusionError {
    QueryError::Sql(SqlMistake::new("elt::sql::asof", what).help(HELP)).into()
}

impl RelationPlanner for AsOfRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let Some(join) = asof_of(&relation) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        if join.is_natural {
            return Err(wrong("an as-of join cannot be NATURAL"));
        }
        let left = context.plan(join.left)?;
        let right = context.plan(join.right)?;
        let (mut keys, mut times, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(on) = join.on {
            let schema = left.schema().join(right.schema())?;
            for condition in split_conjunction_owned(context.sql_to_expr(on, &schema)?) {
                match &condition {
                    Expr::BinaryExpr(BinaryExpr { op: Operator::Eq, .. }) => keys.push(condition),
                    Expr::BinaryExpr(BinaryExpr {
                        op: Operator::Gt | Operator::GtEq | Operator::Lt | Operator::LtEq,
                        ..
                    }) => times.push(condition),
                    other => {
                        return Err(wrong(format!(
                            "`{}` cannot be a condition of an as-of join",
                            other.human_display()
                        )));
                    }
                }
            }
        }
        let count = join.using.len();
        for (at, name) in join.using.into_iter().enumerate() {
            let name = context.object_name_to_table_reference(name)?.table().to_owned();
            let column = |plan: &LogicalPlan| {
                let found = plan.schema().qualified_field_with_unqualified_name(&name);
                found.map(|(table, field)| Column::new(table.cloned(), field.name()))
            };
            let (a, b) = (column(&left)?, column(&right)?);
            let is_time = times.is_empty() && at + 1 == count;
            let op = if is_time { Operator::GtEq } else { Operator::Eq };
            let condition = Expr::BinaryExpr(BinaryExpr::new(
                Box::new(Expr::Column(a)),
                op,
                Box::new(Expr::Column(b.clone())),
            ));
            if is_time {
                times.push(condition)
            } else {
                keys.push(condition)
            }
            hidden.push(b);
        }
        let [time] = times.as_slice() else {
            return Err(wrong(match times.len() {
                0 => "an as-of join needs a comparison of two times".to_owned(),
                many => format!("an as-of join has one comparison of times, and these are {many}"),
            }));
        };
        let join = AsOfJoin::new(Arc::new(left), Arc::new(right), keys, time.clone(), join.keeps_left)?;
        if let Err(error) = join.sides() {
            return Err(wrong(error.strip_backtrace().trim_start_matches("Error during planning: ")));
        }
        let mut plan = LogicalPlan::Extension(Extension { node: Arc::new(join) });
        if !hidden.is_empty() {
            // Columns of USING are shown once, as the left has them.
            let columns = plan.schema().columns().into_iter().filter(|column| !hidden.contains(column));
            let columns: Vec<Expr> = columns.map(Expr::Column).collect();
            if columns.is_empty() {
                return plan_err!("an as-of join gives no column");
            }
            plan = LogicalPlanBuilder::from(plan).project(columns)?.build()?;
        }
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}
