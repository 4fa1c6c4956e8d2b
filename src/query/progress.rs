//! How far is a query?
//!
//! Its plan counts what it does while it does it. What the leaves have read, against what the files say they hold, is
//! how far it is; work above the leaves that begins when all is read is not counted.

use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

/// What a query has done up to now can be asked of it.
#[derive(Clone)]
pub struct Progress {
    plan: Arc<dyn ExecutionPlan>,
    leaves: Vec<Arc<dyn ExecutionPlan>>,
    total: Option<usize>,
}

/// What a query took of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The most memory that each of its steps held, added up, in bytes. Steps that say nothing of it are not counted.
    pub memory: u64,
    /// What was put on disk because it did not fit into memory, in bytes.
    pub spilled: u64,
}

/// What was read by a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Rows read or skipped.
    pub rows: usize,
    /// Rows that there are, as far as the files know.
    pub total: Option<usize>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("seen", &self.seen()).finish_non_exhaustive()
    }
}

impl Progress {
    /// The progress of a plan that runs, or will.
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        let mut leaves = Vec::new();
        collect(plan, &mut leaves);
        let mut total = Some(0);
        for leaf in &leaves {
            let statistics = statistics(leaf.as_ref());
            let rows = statistics.and_then(|statistics| statistics.num_rows.get_value().copied());
            total = total.zip(rows).map(|(total, rows)| total + rows);
        }
        Self { plan: Arc::clone(plan), leaves, total: total.filter(|total| *total > 0) }
    }

    /// What it took of the machine by now.
    pub fn used(&self) -> Used {
        let mut used = Used::default();
        add_used(&self.plan, &mut used);
        used
    }

    /// What was read by now.
    pub fn seen(&self) -> Seen {
        let mut rows = 0;
        for leaf in &self.leaves {
            for metric in leaf.metrics().iter().flat_map(|metrics| metrics.iter()) {
                match metric.value() {
                    MetricValue::OutputRows(count) => rows += count.value(),
                    MetricValue::Count { name, count } if name == "pushdown_rows_pruned" => {
                        rows += count.value()
                    }
                    MetricValue::PruningMetrics { name, pruning_metrics }
                        if name == "page_index_rows_pruned" =>
                    {
                        rows += pruning_metrics.pruned();
                    }
                    _ => {}
                }
            }
        }
        Seen { rows, total: self.total }
    }
}

fn add_used(plan: &Arc<dyn ExecutionPlan>, used: &mut Used) {
    for metric in plan.metrics().iter().flat_map(|metrics| metrics.iter()) {
        match metric.value() {
            MetricValue::PeakMemoryUsage { gauge, .. } => used.memory += gauge.value() as u64,
            MetricValue::SpilledBytes(count) => used.spilled += count.value() as u64,
            _ => {}
        }
    }
    plan.children().into_iter().for_each(|child| add_used(child, used));
}

/// What a plan expects of its rows.
pub(super) fn statistics(plan: &dyn ExecutionPlan) -> Option<Arc<Statistics>> {
    StatisticsContext::new().compute(plan, &StatisticsArgs::new()).ok()
}

fn collect(plan: &Arc<dyn ExecutionPlan>, leaves: &mut Vec<Arc<dyn ExecutionPlan>>) {
    let children = plan.children();
    if children.is_empty() {
        leaves.push(Arc::clone(plan));
    }
    children.into_iter().for_each(|child| collect(child, leaves));
}
