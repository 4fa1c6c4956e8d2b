//! How far is a query?
//!
//! Its plan counts what it does while it does it. What the leaves have read, against what the files say they hold, is
//! how far it is; work above the leaves that begins when all is read is not counted.

use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

use super::shared;
use crate::table::Peak;

/// What a query has done up to now can be asked of it.
#[derive(Clone)]
pub struct Progress {
    plan: Arc<dyn ExecutionPlan>,
    leaves: Vec<Arc<dyn ExecutionPlan>>,
    total: Option<usize>,
    peak: Peak,
}

/// What a query took of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The most memory that its steps held at once, in bytes. What they do not ask for, such as a batch on its way, is not
    /// counted.
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
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>, peak: Peak) -> Self {
        let mut leaves = Vec::new();
        collect(plan, &mut leaves);
        let mut total = Some(0);
        for leaf in &leaves {
            let statistics = statistics(leaf.as_ref());
            let rows = statistics.and_then(|statistics| statistics.num_rows.get_value().copied());
            total = total.zip(rows).map(|(total, rows)| total + rows);
        }
        Self { plan: Arc::clone(plan), leaves, total: total.filter(|total| *total > 0), peak }
    }

    /// What it took of the machine by now.
    pub fn used(&self) -> Used {
        Used { memory: self.peak.bytes(), spilled: spilled(&self.plan) }
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

/// The bytes that the steps of a plan have put on disk.
fn spilled(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let metrics = plan.metrics();
    let own = metrics.iter().flat_map(|metrics| metrics.iter()).map(|metric| match metric.value() {
        MetricValue::SpilledBytes(count) => count.value() as u64,
        _ => 0,
    });
    own.sum::<u64>() + plan.children().into_iter().map(spilled).sum::<u64>()
}

/// What a plan expects of its rows.
pub(super) fn statistics(plan: &dyn ExecutionPlan) -> Option<Arc<Statistics>> {
    StatisticsContext::new().compute(plan, &StatisticsArgs::new()).ok()
}

fn collect(plan: &Arc<dyn ExecutionPlan>, leaves: &mut Vec<Arc<dyn ExecutionPlan>>) {
    let children = plan.children();
    if children.is_empty() && !shared::is_again(plan.as_ref()) {
        leaves.push(Arc::clone(plan));
    }
    children.into_iter().for_each(|child| collect(child, leaves));
}
