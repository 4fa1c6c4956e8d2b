//! How is a table read by whoever is not to see all of it?
//!
//! As a [`Guarded`] source of rows: its own plan leaves out rows and puts other values in place of hidden ones, and nothing
//! of the statement around it gets in. A condition of the statement is worked out on what comes out, for a condition that
//! fails on a hidden value, or that is slow for it, would tell of it. Only comparisons of columns with plain values go below,
//! which cannot fail, and by which files are passed over. Nor does anything of the inside get out: no plan, no statistics, no
//! text of a mistake.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session as EngineSession, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{
    BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, Operator, TableProviderFilterPushDown, lit,
};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::StreamExt;

use super::dialect::is_one_expression;
use super::rights::Policy;
use super::{QueryError, SqlMistake};
use crate::base::TableName;

/// What the rows are called within.
const WITHIN: &str = "guarded";

/// A table or view of which only what its plan gives is to be seen.
#[derive(Debug)]
pub(super) struct Guarded {
    name: TableName,
    role: String,
    plan: LogicalPlan,
    schema: SchemaRef,
    kind: TableType,
}

impl Guarded {
    /// What a plan gives of a name that a role reads. The columns are those of `schema`.
    pub(super) fn new(
        name: &TableName,
        role: &str,
        plan: LogicalPlan,
        schema: SchemaRef,
        kind: TableType,
    ) -> Self {
        Self { name: name.clone(), role: role.to_owned(), plan, schema, kind }
    }

    /// The columns of a table once some are masked: those may be null.
    pub(super) fn columns(schema: &Schema, policy: &Policy) -> SchemaRef {
        let field = |field: &FieldRef| match policy.masks.contains_key(&field.name().to_lowercase()) {
            true => Arc::new(field.as_ref().clone().with_nullable(true)),
            false => Arc::clone(field),
        };
        Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
    }

    /// The query that a policy makes of a table with these columns.
    ///
    /// # Errors
    /// A mask is of a column that is not there: what it was to hide would be seen.
    pub(super) fn query(
        name: &TableName,
        role: &str,
        schema: &Schema,
        policy: &Policy,
    ) -> Result<String, QueryError> {
        let is_there =
            |column: &&String| schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(column));
        if let Some(missing) = policy.masks.keys().find(|column| !is_there(column)) {
            tracing::error!("the role `{role}` has a mask of `{missing}`, which `{name}` does not have");
            return Err(unreadable(name, role));
        }
        // Two pieces that only together are SQL could open what they close.
        let texts = policy.filter.iter().chain(policy.masks.values());
        if let Some(text) = texts.clone().find(|text| !is_one_expression(text)) {
            tracing::error!("the role `{role}` has `{text}` for `{name}`, which is no expression");
            return Err(unreadable(name, role));
        }
        let columns = schema.fields().iter().map(|field| {
            let quoted = format!("\"{}\"", field.name().replace('"', "\"\""));
            match policy.masks.get(&field.name().to_lowercase()) {
                Some(mask) => format!("(\n{mask}\n) as {quoted}"),
                None => quoted,
            }
        });
        let columns: Vec<String> = columns.collect();
        let table = format!("\"{}\".\"{}\"", name.schema(), name.table());
        let filter = policy.filter.as_ref().map(|filter| format!(" where (\n{filter}\n)"));
        Ok(format!("select {} from {table}{}", columns.join(", "), filter.unwrap_or_default()))
    }
}

/// What a role hears of a table when what it is to see of it cannot be worked out. The cause is for who keeps the lake.
pub(super) fn unreadable(name: &TableName, role: &str) -> QueryError {
    let what = format!("`{name}` cannot be read as the role `{role}` sees it");
    let help = "tell whoever keeps the lake: its row filter, a mask, or the view's query does not fit any more; the log of the server says why";
    SqlMistake::new("elt::sql::policy", what).help(help).into()
}

#[async_trait]
impl TableProvider for Guarded {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        self.kind
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match cannot_fail(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        state: &dyn EngineSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut plan = LogicalPlanBuilder::from(self.plan.clone()).alias(WITHIN)?;
        for filter in filters {
            plan = plan.filter(within(filter.clone())?)?;
        }
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        let schema = Arc::new(self.schema.project(wanted)?);
        let list: Vec<Expr> = match wanted.is_empty() {
            true => vec![lit(true).alias("row")],
            false => schema.fields().iter().map(|field| Expr::Column(column(field))).collect(),
        };
        plan = plan.project(list)?;
        if limit.is_some() {
            plan = plan.limit(0, limit)?;
        }
        let failed = |error: DataFusionError| {
            tracing::error!("`{}`, as the role `{}` sees it: {error}", self.name, self.role);
            DataFusionError::from(unreadable(&self.name, &self.role))
        };
        let inner = Box::pin(state.create_physical_plan(&plan.build()?)).await.map_err(failed)?;
        Ok(Arc::new(GuardedExec::new(self.name.clone(), self.role.clone(), inner, schema)))
    }
}

fn column(field: &Field) -> Column {
    Column::new(Some(WITHIN), field.name())
}

/// A condition on the columns of the plan within.
fn within(filter: Expr) -> Result<Expr> {
    let renamed = filter.transform(|expr| {
        Ok(match expr {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new(Some(WITHIN), column.name))),
            other => Transformed::no(other),
        })
    })?;
    Ok(renamed.data)
}

/// Whether a condition only compares columns with values: then no value makes it fail, and it can be worked out on any row.
fn cannot_fail(filter: &Expr) -> bool {
    let is_value =
        |expr: &Expr| matches!(expr, Expr::Literal(value, _) if !matches!(value, ScalarValue::Null));
    let is_simple = |expr: &Expr| matches!(expr, Expr::Column(_)) || is_value(expr);
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            cannot_fail(left) && cannot_fail(right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            matches!(
                op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
                    | Operator::IsDistinctFrom
                    | Operator::IsNotDistinctFrom
            ) && is_simple(left)
                && is_simple(right)
        }
        Expr::Not(inner) => cannot_fail(inner),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => matches!(**inner, Expr::Column(_)),
        Expr::InList(list) => matches!(*list.expr, Expr::Column(_)) && list.list.iter().all(is_value),
        Expr::Between(between) => {
            is_simple(&between.expr) && is_simple(&between.low) && is_simple(&between.high)
        }
        _ => false,
    }
}

/// The rows of a plan that nobody sees into.
#[derive(Debug)]
struct GuardedExec {
    name: TableName,
    role: String,
    inner: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl GuardedExec {
    fn new(name: TableName, role: String, inner: Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(inner.output_partitioning().partition_count()),
            inner.pipeline_behavior(),
            inner.boundedness(),
        );
        Self { name, role, inner, schema, properties: Arc::new(properties) }
    }
}

impl DisplayAs for GuardedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardedExec: {} as the role {} sees it", self.name, self.role)
    }
}

impl ExecutionPlan for GuardedExec {
    fn name(&self) -> &'static str {
        "GuardedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// None that anybody sees: no rule of the optimizer reaches through.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = reset_plan_states(Arc::clone(&self.inner))?;
        let (name, role, schema) = (self.name.clone(), self.role.clone(), Arc::clone(&self.schema));
        Ok(Arc::new(Self::new(name, role, inner, schema)))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (name, role, schema) = (self.name.clone(), self.role.clone(), Arc::clone(&self.schema));
        let rows = self.inner.execute(partition, context)?.map(move |batch| match batch {
            Ok(batch) => told(&batch, &schema),
            Err(error) => Err(untold(error, &name, &role)),
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }
}

/// The rows with the columns that were promised.
fn told(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = if schema.fields().is_empty() { Vec::new() } else { batch.columns().to_vec() };
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// A mistake without the values in it, which may be hidden ones.
fn untold(error: DataFusionError, name: &TableName, role: &str) -> DataFusionError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_) => error,
        _ => {
            tracing::error!("`{name}`, as the role `{role}` sees it: {error}");
            unreadable(name, role).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{cast, col};

    use super::*;

    #[test]
    fn only_what_cannot_fail_goes_below() {
        let one = || lit(1_i64);
        for (filter, goes) in [
            (col("a").eq(one()), true),
            (col("a").gt(one()).and(col("b").is_null()), true),
            (col("a").in_list(vec![one(), lit(2_i64)], false), true),
            (col("a").between(one(), lit(5_i64)), true),
            ((one() / col("a")).gt(one()), false),
            (cast(col("a"), arrow::datatypes::DataType::Int32).eq(one()), false),
            (col("a").like(lit("x%")), false),
            (col("a").eq(one()).and((one() / col("a")).gt(one())), false),
        ] {
            assert_eq!(cannot_fail(&filter), goes, "{filter}");
        }
    }
}
