//! How are rows given to several places?
//!
//! Each of the places has the steps below it until all is decided; then those of the first are used for all ([`Once`]),
//! partition by partition. Rows are kept as they come until every place has had them. What does not fit into memory goes to a
//! file, and is read from there. A place that comes later than was told, as when a plan is run again, works its rows out
//! itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use arrow::array::RecordBatch;
use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{
    Transformed, TransformedResult, TreeNode, TreeNodeRecursion, TreeNodeRewriter,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SpillFile, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput, SpillMetrics,
};
use datafusion::physical_plan::spill::{SpillManager, get_record_batch_memory_size};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildStats, ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    PlanProperties, ReplaceChildrenOptions, StatisticsArgs,
};
use futures::{StreamExt, stream};

/// The rows that several places of a plan want.
#[derive(Debug)]
pub(super) struct SharedRows {
    at: usize,
    uses: usize,
    /// The steps that work them out, of the place that began first.
    source: OnceLock<Source>,
}

#[derive(Debug)]
struct Source {
    steps: Arc<dyn ExecutionPlan>,
    parts: Vec<Arc<Part>>,
}

/// The rows of one partition.
#[derive(Debug)]
struct Part {
    /// Places that have not begun yet, and those that have not come to their end.
    wanted: Mutex<Wanted>,
    rows: tokio::sync::Mutex<Rows>,
}

#[derive(Debug)]
struct Wanted {
    to_begin: usize,
    to_end: usize,
}

struct Rows {
    kept: Vec<RecordBatch>,
    memory: Option<MemoryReservation>,
    rest: Rest,
}

/// Where the rows are that are not kept in memory.
enum Rest {
    NotBegun,
    Coming(SendableRecordBatchStream),
    InFile(Arc<dyn SpillFile>),
    Nothing,
    Failed(Arc<DataFusionError>),
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("kept", &self.kept.len()).finish_non_exhaustive()
    }
}

impl SharedRows {
    pub(super) fn new(at: usize, uses: usize) -> Self {
        Self { at, uses, source: OnceLock::new() }
    }

    /// The rows of a partition for one more place; nothing if it has to work them out itself.
    fn part(&self, partition: usize, steps: &Arc<dyn ExecutionPlan>) -> Option<(&Source, Arc<Part>)> {
        let source = self.source.get_or_init(|| {
            let part = || Part {
                wanted: Mutex::new(Wanted { to_begin: self.uses, to_end: self.uses }),
                rows: tokio::sync::Mutex::new(Rows { kept: Vec::new(), memory: None, rest: Rest::NotBegun }),
            };
            let count = steps.output_partitioning().partition_count();
            Source { steps: Arc::clone(steps), parts: (0..count).map(|_| Arc::new(part())).collect() }
        });
        if source.parts.len() != steps.output_partitioning().partition_count() {
            return None;
        }
        let part = source.parts.get(partition)?;
        let mut wanted = part.wanted.lock().expect("no holder panics");
        wanted.to_begin = wanted.to_begin.checked_sub(1)?;
        drop(wanted);
        Some((source, Arc::clone(part)))
    }
}

/// One place's way through the rows of a partition. Dropped, it is at its end.
struct Reader {
    part: Arc<Part>,
    steps: Arc<dyn ExecutionPlan>,
    partition: usize,
    context: Arc<TaskContext>,
    spills: SpillManager,
    next: usize,
    file: Option<SendableRecordBatchStream>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut wanted = self.part.wanted.lock().expect("no holder panics");
        wanted.to_end = wanted.to_end.saturating_sub(1);
        if wanted.to_end == 0
            && let Ok(mut rows) = self.part.rows.try_lock()
        {
            *rows = Rows { kept: Vec::new(), memory: None, rest: Rest::Nothing };
        }
    }
}

impl Reader {
    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        if let Some(file) = &mut self.file {
            return file.next().await;
        }
        let part = Arc::clone(&self.part);
        let mut rows = part.rows.lock().await;
        if let Some(batch) = rows.kept.get(self.next) {
            self.next += 1;
            return Some(Ok(batch.clone()));
        }
        if let Rest::NotBegun = rows.rest {
            match self.steps.execute(self.partition, Arc::clone(&self.context)) {
                Ok(coming) => rows.rest = Rest::Coming(coming),
                Err(error) => rows.rest = Rest::Failed(Arc::new(error)),
            }
            let memory = MemoryConsumer::new("shared rows").with_can_spill(true);
            rows.memory = Some(memory.register(self.context.memory_pool()));
        }
        if let Rest::Coming(coming) = &mut rows.rest {
            match coming.next().await {
                Some(Ok(batch)) => {
                    let bytes = get_record_batch_memory_size(&batch);
                    if rows.memory.as_mut().is_some_and(|memory| memory.try_grow(bytes).is_ok()) {
                        rows.kept.push(batch.clone());
                        self.next += 1;
                        return Some(Ok(batch));
                    }
                    rows.rest = match std::mem::replace(&mut rows.rest, Rest::Nothing) {
                        Rest::Coming(coming) => put_away(self.spills.clone(), batch, coming).await,
                        other => other,
                    };
                }
                Some(Err(error)) => rows.rest = Rest::Failed(Arc::new(error)),
                None => rows.rest = Rest::Nothing,
            }
        }
        match &rows.rest {
            Rest::InFile(file) => {
                let file = self.spills.read_spill_as_stream(Arc::clone(file), None);
                drop(rows);
                match file {
                    Ok(file) => self.file.insert(file).next().await,
                    Err(error) => Some(Err(error)),
                }
            }
            Rest::Failed(error) => Some(Err(DataFusionError::Shared(Arc::clone(error)))),
            Rest::NotBegun | Rest::Coming(_) | Rest::Nothing => None,
        }
    }
}

/// Brings the rest of the rows into a file.
async fn put_away(spills: SpillManager, first: RecordBatch, mut coming: SendableRecordBatchStream) -> Rest {
    let written = async {
        let mut file = spills.create_in_progress_file("shared rows")?;
        file.append_batch(&first)?;
        while let Some(batch) = coming.next().await {
            file.append_batch(&batch?)?;
        }
        file.finish()
    };
    match written.await {
        Ok(Some(file)) => Rest::InFile(file),
        Ok(None) => Rest::Nothing,
        Err(error) => Rest::Failed(Arc::new(error)),
    }
}

/// One of the places.
#[derive(Debug)]
pub(super) struct SharedExec {
    input: Arc<dyn ExecutionPlan>,
    rows: Arc<SharedRows>,
    /// Whether the steps below are those of another place, and are told there.
    is_again: bool,
    metrics: ExecutionPlanMetricsSet,
}

impl SharedExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, rows: Arc<SharedRows>) -> Self {
        Self { input, rows, is_again: false, metrics: ExecutionPlanMetricsSet::new() }
    }
}

/// Whether a step only gives again what another one works out.
pub(in crate::query) fn is_again(step: &dyn ExecutionPlan) -> bool {
    step.downcast_ref::<SharedExec>().is_some_and(|shared| shared.is_again)
}

/// The last rule: the steps of one place are the steps of all.
#[derive(Debug)]
pub(in crate::query) struct Once;

impl PhysicalOptimizerRule for Once {
    fn name(&self) -> &str {
        "once"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.rewrite(&mut Places::default()).data()
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The steps of the places that were met, by what they share.
#[derive(Default)]
struct Places(HashMap<usize, Arc<dyn ExecutionPlan>>);

impl TreeNodeRewriter for Places {
    type Node = Arc<dyn ExecutionPlan>;

    fn f_down(&mut self, node: Self::Node) -> Result<Transformed<Self::Node>> {
        let Some(shared) = node.downcast_ref::<SharedExec>() else { return Ok(Transformed::no(node)) };
        let Some(steps) = self.0.get(&shared.rows.at) else { return Ok(Transformed::no(node)) };
        let partitions = |steps: &Arc<dyn ExecutionPlan>| steps.output_partitioning().partition_count();
        if partitions(steps) != partitions(&shared.input) {
            return Ok(Transformed::yes(Arc::clone(&shared.input)));
        }
        let again = SharedExec::new(Arc::clone(steps), Arc::clone(&shared.rows));
        Ok(Transformed::yes(Arc::new(SharedExec { is_again: true, ..again })))
    }

    fn f_up(&mut self, node: Self::Node) -> Result<Transformed<Self::Node>> {
        if let Some(shared) = node.downcast_ref::<SharedExec>() {
            self.0.entry(shared.rows.at).or_insert_with(|| Arc::clone(&shared.input));
        }
        Ok(Transformed::no(node))
    }
}

impl DisplayAs for SharedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedExec: #{}", self.rows.at + 1)?;
        if self.is_again { f.write_str(" again") } else { write!(f, " for {} places", self.rows.uses) }
    }
}

impl ExecutionPlan for SharedExec {
    fn name(&self) -> &'static str {
        "SharedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        if self.is_again { Vec::new() } else { vec![&self.input] }
    }

    /// What is below has to be the same in all places, whatever stands above.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        self.children().iter().map(|_| false).collect()
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) => Ok(Arc::new(Self::new(input, Arc::clone(&self.rows)))),
            None if self.is_again => Ok(self),
            None => Err(DataFusionError::Internal("shared rows come from somewhere".to_owned())),
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
        let Some((source, part)) = self.rows.part(partition, &self.input) else {
            return self.input.execute(partition, context);
        };
        let schema = self.input.schema();
        let spilled = SpillMetrics::new(&self.metrics, partition);
        let reader = Reader {
            part,
            steps: Arc::clone(&source.steps),
            partition,
            spills: SpillManager::new(context.runtime_env(), spilled, Arc::clone(&schema)),
            context,
            next: 0,
            file: None,
        };
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let rows = stream::unfold(Some(reader), move |reader| {
            let baseline = baseline.clone();
            async move {
                let mut reader = reader?;
                let batch = reader.next().await?.record_output(&baseline);
                let reader = batch.is_ok().then_some(reader);
                Some((batch, reader))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.children().iter().map(|_| ChildStats::At(partition)).collect()
    }

    fn statistics_from_inputs(
        &self,
        input: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let unknown = || Arc::new(Statistics::new_unknown(&self.input.schema()));
        Ok(input.first().map_or_else(unknown, Arc::clone))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::Int64Type;
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_plan::limit::LocalLimitExec;
    use futures::TryStreamExt;

    use super::*;

    fn sum(batches: &[RecordBatch]) -> i64 {
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values()).sum()
    }

    #[tokio::test]
    async fn rows_are_worked_out_once_and_come_from_a_file_if_they_do_not_fit_into_memory() {
        for room in [0, 1500, 1 << 20] {
            let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(room));
            let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::clone(&pool)).build_arc().unwrap();
            let context = Arc::new(TaskContext::default().with_runtime(runtime));
            let batch = |from: i64| {
                let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + 100));
                RecordBatch::try_from_iter([("n", numbers)]).unwrap()
            };
            let batches = vec![batch(0), batch(100), batch(200)];
            let schema = batches[0].schema();
            let input = MemorySourceConfig::try_new_exec(&[batches], schema, None).unwrap();
            // It counts what it gives.
            let input: Arc<dyn ExecutionPlan> = Arc::new(LocalLimitExec::new(input, 1000));
            let rows = Arc::new(SharedRows::new(0, 2));
            let place = || SharedExec::new(Arc::clone(&input), Arc::clone(&rows));
            let (one, two) = (place(), place());
            let mut first = one.execute(0, Arc::clone(&context)).unwrap();
            let second = two.execute(0, Arc::clone(&context)).unwrap();

            let begun = first.next().await.unwrap().unwrap();
            assert_eq!(sum(&second.try_collect::<Vec<_>>().await.unwrap()), 44_850, "{room}");
            let rest = first.try_collect::<Vec<_>>().await.unwrap();
            assert_eq!(sum(&[begun]) + sum(&rest), 44_850, "{room}");
            assert_eq!(input.metrics().unwrap().output_rows(), Some(300), "{room}");
            assert_eq!(pool.reserved(), 0, "{room}");

            let third = place().execute(0, context).unwrap();
            assert_eq!(sum(&third.try_collect::<Vec<_>>().await.unwrap()), 44_850, "{room}");
            assert_eq!(input.metrics().unwrap().output_rows(), Some(600), "{room}");
        }
    }
}
