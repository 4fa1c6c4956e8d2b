//! How is a step of the engine done in another way, where the step itself stays in the plan?
//!
//! [`OtherwiseExec`] stands above it: its columns, parts and order are those of the step, and [`Way`] is how they come about.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    ChildStats, ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions, StatisticsArgs,
};

/// How a step is done.
pub(in crate::query) trait Way: fmt::Debug + Send + Sync + 'static {
    /// What the step above is called in the engine's plans.
    fn name(&self) -> &'static str;

    /// With what it is done.
    fn detail(&self) -> String;

    /// The rows of a part of `step`. What takes time is counted in `baseline`.
    fn run(
        &self,
        step: &Arc<dyn ExecutionPlan>,
        partition: usize,
        context: Arc<TaskContext>,
        baseline: BaselineMetrics,
    ) -> Result<SendableRecordBatchStream>;
}

/// Does the step below in another way.
#[derive(Debug)]
pub(in crate::query) struct OtherwiseExec {
    step: Arc<dyn ExecutionPlan>,
    way: Arc<dyn Way>,
    metrics: ExecutionPlanMetricsSet,
}

impl OtherwiseExec {
    pub(in crate::query) fn new(step: Arc<dyn ExecutionPlan>, way: Arc<dyn Way>) -> Self {
        Self { step, way, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for OtherwiseExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.way.name(), self.way.detail())
    }
}

impl ExecutionPlan for OtherwiseExec {
    fn name(&self) -> &'static str {
        self.way.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.step.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.step]
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
        match children.pop() {
            Some(step) => Ok(Arc::new(Self::new(step, Arc::clone(&self.way)))),
            None => internal_err!("a step is below"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        self.way.run(&self.step, partition, context, baseline)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        step: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(step.first().cloned().unwrap_or_else(|| Arc::new(Statistics::new_unknown(&self.schema()))))
    }
}
