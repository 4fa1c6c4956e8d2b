//! How are rows read that are going to be written again?
//!
//! The engine reads several parts of a table at once and gives their rows as they come. A file that is written of them has rows
//! from everywhere in each of its row groups, and its statistics keep nobody from reading all of them. Here parts are read at
//! once as well, each a few batches ahead, and given one after another: rows that lay near each other still do.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::DataFrame;
use futures::{StreamExt, stream};

use super::TableError;

/// Batches that each part is read ahead.
const AHEAD: usize = 4;

/// How much of the rows that are read is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All of them: whoever writes them is slower than one reader.
    All,
    /// Perhaps few, so that reading is most of the work: files are read in several parts at once.
    Some,
}

/// Settings with which the parts of a plan that goes through its rows one by one are where the rows are, one after another.
pub fn keep_order(options: &mut ConfigOptions, kept: Kept) {
    options.optimizer.repartition_file_scans = kept == Kept::Some;
    options.optimizer.enable_round_robin_repartition = false;
    options.execution.enable_file_stream_work_stealing = false;
}

/// The rows of a plan, one part after another.
///
/// # Errors
/// A part cannot be begun.
pub fn in_order(
    plan: &Arc<dyn ExecutionPlan>,
    context: &Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let parts = 0..plan.output_partitioning().partition_count();
    let parts = parts.map(|part| Ok(spawn_buffered(plan.execute(part, Arc::clone(context))?, AHEAD)));
    let parts: Vec<SendableRecordBatchStream> = parts.collect::<Result<_>>()?;
    let rows = stream::iter(parts).flatten();
    Ok(Box::pin(RecordBatchStreamAdapter::new(plan.schema(), rows)))
}

/// All rows of a table, or those that meet a condition, as they lie.
///
/// # Errors
/// The frame cannot be planned.
pub async fn as_they_lie(
    rows: DataFrame,
    kept: Kept,
) -> std::result::Result<SendableRecordBatchStream, TableError> {
    let (mut state, plan) = rows.into_parts();
    keep_order(state.config_mut().options_mut(), kept);
    let rows = DataFrame::new(state, plan);
    let context = Arc::new(rows.task_ctx());
    Ok(in_order(&rows.create_physical_plan().await?, &context)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext, col, lit};
    use futures::TryStreamExt;
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::*;

    /// A folder of files of rows 0, 1, 2 …, each in many row groups.
    fn files(rows: i64, files: i64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, false)]));
        for file in 0..files {
            let keys = Int64Array::from_iter_values(file * rows..(file + 1) * rows);
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(keys)]).unwrap();
            let groups = WriterProperties::builder().set_max_row_group_row_count(Some(4096)).build();
            let to = std::fs::File::create(folder.path().join(format!("{file:03}.parquet"))).unwrap();
            let mut writer = ArrowWriter::try_new(to, Arc::clone(&schema), Some(groups)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        }
        folder
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn parts_that_are_read_at_once_come_one_after_another() {
        for (rows, count, kept) in [(200_000, 1, Kept::Some), (40_000, 5, Kept::All), (40_000, 5, Kept::Some)]
        {
            let folder = files(rows, count);
            let mut config = SessionConfig::new().with_target_partitions(4);
            config.options_mut().optimizer.repartition_file_min_size = 1;
            let context = SessionContext::new_with_config(config);
            let place = folder.path().to_str().unwrap();
            let read = async || {
                let frame = context.read_parquet(place, ParquetReadOptions::default()).await.unwrap();
                frame.filter(col("k").not_eq(lit(7_i64))).unwrap()
            };
            let batches: Vec<RecordBatch> =
                as_they_lie(read().await, kept).await.unwrap().try_collect().await.unwrap();
            let keys = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values());
            let expected: Vec<i64> = (0..rows * count).filter(|key| *key != 7).collect();
            assert!(keys.eq(&expected), "{count} files, {kept:?}");

            // Otherwise they come as they are found.
            let plan = read().await.create_physical_plan().await.unwrap();
            assert!(plan.output_partitioning().partition_count() > 1, "nothing is read at once");
        }
    }
}
