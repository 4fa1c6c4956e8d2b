//! What if a join's table of keys does not fit into memory?
//!
//! A hash join keeps one side in memory and cannot put it on disk. When that fails before a row was given, the
//! query is planned once more with joins of sorted rows, which spill.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{StreamExt, TryStreamExt, stream};

use super::Progress;
use super::mend::planning;
use super::pausing::pausing;
use crate::base::{Waiting, large_pages};
use crate::table::{Kept, in_order, keep_order, metered};

/// What each sort sets aside for merging what it spilled, in bytes. The engine's own 10 MB leave nothing of a small limit.
const MERGE_RESERVE: usize = 1024 * 1024;

/// Rows that are handed on at a time. Each of the many sorts must be able to hold some batches.
const BATCH: usize = 1024;

/// So many rows to read are worth large pages of memory.
const MANY: usize = 1_000_000;

/// What becomes of the rows of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// They are looked at.
    Answer,
    /// They are written: where the query goes through the rows of a table one by one, in the order in which they lie.
    Write,
}

/// The rows of a query, found in the fastest way that memory allows, and how far that is.
pub(super) async fn rows(
    frame: DataFrame,
    purpose: Purpose,
) -> Result<(SendableRecordBatchStream, Progress)> {
    let (mut state, logical) = frame.clone().into_parts();
    let logical = planning(|| state.optimize(&logical))?;
    let kept = (purpose == Purpose::Write).then(|| row_by_row(&logical)).transpose()?.flatten();
    if let Some(kept) = kept {
        keep_order(state.config_mut().options_mut(), kept);
    }
    let (plan, waiting) = pausing(state.query_planner().create_physical_plan(&logical, &state).await?)?;
    // What this query takes is counted apart from what others take of the same pool.
    let context = TaskContext::from(&state);
    let (runtime, peak) = metered(&context.runtime_env(), None);
    let progress = Progress::of(&plan, peak);
    if progress.seen().total >= Some(MANY) {
        large_pages();
    }
    let context = Arc::new(context.with_runtime(Arc::clone(&runtime)));
    if kept.is_some() {
        return Ok((held(in_order(&plan, &context)?, waiting), progress));
    }
    let mut fast = execute_stream(Arc::clone(&plan), context)?;
    if !joins_by_hash(&plan)? {
        return Ok((held(fast, waiting), progress));
    }
    let schema = fast.schema();
    let begun = async move {
        match fast.next().await {
            Some(Err(error)) if is_short_of_memory(&error) => {
                tracing::debug!("a hash join did not fit into memory, joining sorted rows: {error}");
                drop((fast, plan));
                let mut slow = sorted(frame, runtime).await?;
                match slow.next().await {
                    // The engine's joins of sorted rows know fewer cases than those by hash.
                    Some(Err(other)) if !is_short_of_memory(&other) => Err(error),
                    first => Ok(rejoined(first, slow)),
                }
            }
            first => Ok(rejoined(first, fast)),
        }
    };
    let rows = RecordBatchStreamAdapter::new(schema, stream::once(Box::pin(begun)).try_flatten());
    Ok((held(Box::pin(rows), waiting), progress))
}

/// The same rows, which are wanted for as long as they are held.
fn held(rows: SendableRecordBatchStream, waiting: Waiting) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let rows = rows.inspect(move |_| {
        let _ = &waiting;
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

/// A stream of which the first batch was taken, whole again.
fn rejoined(
    first: Option<Result<RecordBatch>>,
    rest: SendableRecordBatchStream,
) -> SendableRecordBatchStream {
    let schema = rest.schema();
    Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(first).chain(rest)))
}

/// The same rows by joins that can spill.
async fn sorted(frame: DataFrame, runtime: Arc<RuntimeEnv>) -> Result<SendableRecordBatchStream> {
    let (mut state, plan) = frame.into_parts();
    let config = std::mem::take(state.config_mut());
    *state.config_mut() = config.with_batch_size(BATCH);
    let options = state.config_mut().options_mut();
    options.optimizer.prefer_hash_join = false;
    options.execution.sort_spill_reservation_bytes = MERGE_RESERVE;
    let frame = DataFrame::new(state, plan);
    let plan = frame.clone().create_physical_plan().await?;
    execute_stream(plan, Arc::new(frame.task_ctx().with_runtime(runtime)))
}

/// How many of the rows stay, of a query that takes the rows of tables one by one; nothing for other queries.
fn row_by_row(plan: &LogicalPlan) -> Result<Option<Kept>> {
    let (mut kept, mut is_more, mut reads) = (Kept::All, false, false);
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Filter(_) => kept = Kept::Some,
            LogicalPlan::TableScan(scan) => {
                reads = true;
                if !scan.filters.is_empty() {
                    kept = Kept::Some;
                }
            }
            LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {}
            _ => is_more = true,
        }
        Ok(if is_more { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok((reads && !is_more).then_some(kept))
}

fn joins_by_hash(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        found |= node.is::<HashJoinExec>();
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn is_short_of_memory(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use datafusion::execution::memory_pool::FairSpillPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    #[tokio::test]
    async fn a_join_that_does_not_fit_is_done_on_disk() {
        let pool = Arc::new(FairSpillPool::new(40 * 1024 * 1024));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
        let config = SessionConfig::new().with_target_partitions(2);
        let context = SessionContext::new_with_config_rt(config, runtime);
        let sql = "select count(*), sum(a.k) from
            (select value as k, nullif(repeat('x', 150) || value, '') as t from range(0, 300000)) a
            left join (select value * 2 as k, nullif(repeat('y', 150) || value, '') as t from range(0, 300000)) b
            on a.k = b.k and a.t <> b.t";
        let frame = context.sql(sql).await.unwrap();
        let error = frame.clone().collect().await.unwrap_err();
        assert!(is_short_of_memory(&error), "the test asks for too little: {error}");

        let found: Vec<RecordBatch> =
            rows(frame, Purpose::Answer).await.unwrap().0.try_collect().await.unwrap();
        let cell = |column: usize| found[0].column(column).as_primitive::<Int64Type>().value(0);
        assert_eq!((cell(0), cell(1)), (300_000, 299_999 * 150_000));
    }

    #[tokio::test]
    async fn a_sort_that_spills_tells_how_much_memory_it_held() {
        let pool = Arc::new(FairSpillPool::new(24 * 1024 * 1024));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool.clone()).build_arc().unwrap();
        let config = SessionConfig::new().with_target_partitions(1);
        let context = SessionContext::new_with_config_rt(config, runtime);
        let sql = "select value, repeat('x', 150) || value as t from range(0, 300000) order by t desc";
        let (rows, progress) = rows(context.sql(sql).await.unwrap(), Purpose::Answer).await.unwrap();
        drop(rows.try_collect::<Vec<RecordBatch>>().await.unwrap());
        let used = progress.used();
        assert!(used.spilled > 0, "the test asks for too little");
        assert!(used.memory > 4 * 1024 * 1024 && used.memory <= 24 * 1024 * 1024, "{used:?}");
    }
}
