//! How are the rows of an answer dealt to several readers?
//!
//! In turn, some to each, so that each gets about as many as any other, whoever reads first. What the others have not come for waits
//! in memory while there is some, and then on disk.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::QueryError;

/// Rows of an answer, or why there are no more.
pub type Dealt<E> = BoxStream<'static, std::result::Result<RecordBatch, E>>;

/// Rows that are taken once.
struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        rows.unwrap_or_else(|| {
            let nothing = futures::stream::empty();
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), nothing))
        })
    }
}

/// The rows of an answer with these columns, for so many readers. Whatever it is that ends them, each reader is told, as `told` has it of
/// errors that are not the answer's own.
///
/// # Errors
/// The engine cannot deal them.
pub(super) fn dealt<E: Error + Clone + Send + Sync + 'static>(
    schema: &SchemaRef,
    rows: Dealt<E>,
    readers: usize,
    context: &Arc<TaskContext>,
    told: fn(QueryError) -> E,
) -> Result<Vec<Dealt<E>>> {
    let rows = rows.map_err(|error| DataFusionError::External(Box::new(error)));
    let rows = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), rows));
    let once = Once { schema: Arc::clone(schema), rows: Mutex::new(Some(rows)) };
    let source =
        StreamingTableExec::try_new(Arc::clone(schema), vec![Arc::new(once)], None, [], false, None)?;
    let dealt = RepartitionExec::try_new(Arc::new(source), Partitioning::RoundRobinBatch(readers))?;
    let own = move |error: DataFusionError| {
        let own = match error.find_root() {
            DataFusionError::External(own) => own.downcast_ref::<E>().cloned(),
            _ => None,
        };
        own.unwrap_or_else(|| told(error.into()))
    };
    (0..readers).map(|reader| Ok(dealt.execute(reader, Arc::clone(context))?.map_err(own).boxed())).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    #[derive(Clone, Debug, PartialEq, thiserror::Error)]
    #[error("{0}")]
    struct Mistake(String);

    fn batches(count: i64) -> Vec<RecordBatch> {
        let batch = |number| {
            let numbers: ArrayRef = Arc::new(Int64Array::from(vec![number; 1000]));
            RecordBatch::try_from_iter([("n", numbers)]).unwrap()
        };
        (0..count).map(batch).collect()
    }

    fn parts(rows: Vec<std::result::Result<RecordBatch, Mistake>>, readers: usize) -> Vec<Dealt<Mistake>> {
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(1 << 20, 1.0).build_arc().unwrap();
        let context = SessionContext::new_with_config_rt(SessionConfig::new(), runtime).task_ctx();
        let schema = batches(1)[0].schema();
        let told = |error: QueryError| Mistake(error.to_string());
        dealt(&schema, futures::stream::iter(rows).boxed(), readers, &context, told).unwrap()
    }

    #[tokio::test]
    async fn each_reader_has_its_share_whoever_reads_first() {
        let mut shares = Vec::new();
        for part in parts(batches(1000).into_iter().map(Ok).collect(), 4) {
            let rows: Vec<RecordBatch> = part.try_collect().await.unwrap();
            shares.push(rows.iter().map(RecordBatch::num_rows).sum::<usize>());
        }
        assert_eq!(shares, [250_000; 4], "more than there is memory for, read one after another");
    }

    #[tokio::test]
    async fn a_mistake_is_told_to_each_reader() {
        let mut rows: Vec<_> = batches(10).into_iter().map(Ok).collect();
        rows.push(Err(Mistake("the disk is full".to_owned())));
        for part in parts(rows, 2) {
            let told = part.try_collect::<Vec<RecordBatch>>().await.unwrap_err();
            assert_eq!(told, Mistake("the disk is full".to_owned()));
        }
    }
}
