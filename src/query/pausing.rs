//! Where does a plan let go of its thread?
//!
//! The engine pauses where rows are read. A join of everything with everything reads a moment and computes for hours: in
//! between it has to let go of its thread, or nobody can stop it. The engine's own pauses draw on what a task may do in one go,
//! which a hundred joins one upon another use up before the lowest has done anything, every time anew; so ours are counted by
//! what each has given.
//!
//! A join by a condition that nothing fulfils gives nothing for as long as it computes. Its condition asks whether the rows are
//! wanted still, and is a mistake once they are not. So do functions that work for long on one batch: the plan says on behalf of whom
//! they do.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::exec_err;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::{HigherOrderFunctionExpr, PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{Stream, StreamExt};

use crate::base::{Waiting, Wanted, waiting, wanted_by};

/// Batches between two pauses.
const BATCHES: usize = 16;

/// The same plan, which pauses now and then where few rows become many, and gives up once what is returned beside it is dropped.
pub(super) fn pausing(plan: Arc<dyn ExecutionPlan>) -> Result<(Arc<dyn ExecutionPlan>, Waiting)> {
    let (waiting, wanted) = waiting();
    let paused = plan.transform_up(|node| {
        let pauses = node.name().ends_with("JoinExec") || node.name() == "UnnestExec";
        if !pauses && !calls(&node)? {
            return Ok(Transformed::no(node));
        }
        let node = match asking(&node, &wanted)? {
            Some(asking) => asking,
            None => node,
        };
        let batches = if pauses { BATCHES } else { usize::MAX };
        let paused = PausingExec::new(node, batches, wanted.clone());
        Ok(Transformed::yes(Arc::new(paused) as Arc<dyn ExecutionPlan>))
    });
    Ok((paused?.data, waiting))
}

/// Whether a step calls functions.
fn calls(node: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(&mut |expr| {
        expr.apply(|part| {
            found |= part.is::<ScalarFunctionExpr>() || part.is::<HigherOrderFunctionExpr>();
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

/// The same join, whose condition asks whether it is wanted still; nothing for other plans.
fn asking(node: &Arc<dyn ExecutionPlan>, wanted: &Wanted) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() else { return Ok(None) };
    let Some(filter) = join.filter() else { return Ok(None) };
    let condition = Asking { condition: Arc::clone(filter.expression()), wanted: wanted.clone() };
    let filter =
        JoinFilter::new(Arc::new(condition), filter.column_indices().to_vec(), Arc::clone(filter.schema()));
    let same =
        NestedLoopJoinExecBuilder::new(Arc::clone(join.left()), Arc::clone(join.right()), *join.join_type())
            .with_projection_ref(join.projection().clone())
            .with_filter(Some(filter))
            .build()?;
    Ok(Some(Arc::new(same)))
}

/// A condition that is worked out only for whoever waits for it.
#[derive(Debug)]
struct Asking {
    condition: Arc<dyn PhysicalExpr>,
    wanted: Wanted,
}

impl PartialEq for Asking {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition) && self.wanted.is_the_same(&other.wanted)
    }
}

impl Eq for Asking {}

impl Hash for Asking {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for Asking {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.condition.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.condition.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        match self.wanted.is() {
            true => self.condition.evaluate(batch),
            false => exec_err!("nobody waits for these rows any more"),
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let condition = children.pop().unwrap_or_else(|| Arc::clone(&self.condition));
        Ok(Arc::new(Self { condition, wanted: self.wanted.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}

/// The rows of a plan, with pauses, worked out for whoever waits for them.
#[derive(Debug)]
struct PausingExec {
    inner: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    /// Batches between two pauses.
    batches: usize,
    wanted: Wanted,
}

impl PausingExec {
    fn new(inner: Arc<dyn ExecutionPlan>, batches: usize, wanted: Wanted) -> Self {
        let mut properties = inner.properties().as_ref().clone();
        if batches < usize::MAX {
            properties = properties.with_scheduling_type(SchedulingType::Cooperative);
        }
        Self { inner, properties: Arc::new(properties), batches, wanted }
    }
}

impl DisplayAs for PausingExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())
    }
}

impl ExecutionPlan for PausingExec {
    fn name(&self) -> &'static str {
        "PausingExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(match children.pop() {
            Some(inner) => Arc::new(Self::new(inner, self.batches, self.wanted.clone())),
            None => self,
        })
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.inner.execute(partition, context)?;
        Ok(Box::pin(Pausing { rows, given: 0, batches: self.batches, wanted: self.wanted.clone() }))
    }
}

struct Pausing {
    rows: SendableRecordBatchStream,
    given: usize,
    batches: usize,
    wanted: Wanted,
}

impl Stream for Pausing {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.given >= this.batches {
            this.given = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = wanted_by(&this.wanted, || this.rows.poll_next_unpin(context));
        this.given += usize::from(next.is_ready());
        next
    }
}

impl RecordBatchStream for Pausing {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}
