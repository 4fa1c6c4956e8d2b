//! How is something done with the rows on their way from one step of the engine to another?
//!
//! Batch by batch: [`EachBatchExec`] is the step, [`Work`] what is done. Columns, parts and order stay as they come.

use std::fmt;
use std::future::ready;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildStats, ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions, StatisticsArgs,
};
use futures::StreamExt;

/// What is done with each batch.
pub(in crate::query) trait Work: fmt::Debug + Send + Sync + 'static {
    /// What the step is called in the engine's plans.
    fn name(&self) -> &'static str;

    /// With what it is done.
    fn detail(&self) -> String;

    /// Whether all rows come out again.
    fn keeps_all(&self) -> bool;

    /// What is computed of each row.
    fn looks_at(&self) -> Option<&Arc<dyn PhysicalExpr>>;

    /// What is done with the batches of one part, from its first on.
    fn begin(&self) -> Box<dyn FnMut(RecordBatch) -> Result<RecordBatch> + Send>;
}

/// Does something with each batch.
#[derive(Debug)]
pub(in crate::query) struct EachBatchExec {
    input: Arc<dyn ExecutionPlan>,
    work: Arc<dyn Work>,
    metrics: ExecutionPlanMetricsSet,
}

impl EachBatchExec {
    pub(in crate::query) fn new(input: Arc<dyn ExecutionPlan>, work: Arc<dyn Work>) -> Self {
        Self { input, work, metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The step below.
    pub(in crate::query) fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }
}

impl DisplayAs for EachBatchExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.work.name(), self.work.detail())
    }
}

impl ExecutionPlan for EachBatchExec {
    fn name(&self) -> &'static str {
        self.work.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop() else {
            return Err(DataFusionError::Internal("batches come from somewhere".to_owned()));
        };
        Ok(Arc::new(Self::new(input, Arc::clone(&self.work))))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.work.looks_at().map_or(Ok(TreeNodeRecursion::Continue), f)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let mut work = self.work.begin();
        let rows = input.filter_map(move |batch| {
            let done = batch.and_then(|batch| {
                let _time = baseline.elapsed_compute().timer();
                work(batch)
            });
            let is_nothing = done.as_ref().is_ok_and(|batch| batch.num_rows() == 0);
            ready((!is_nothing).then(|| done.record_output(&baseline)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        input: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(match input.first() {
            Some(input) if self.work.keeps_all() => Arc::clone(input),
            Some(input) => Arc::new(input.as_ref().clone().to_inexact()),
            None => Arc::new(Statistics::new_unknown(&self.schema())),
        })
    }
}
