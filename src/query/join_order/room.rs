//! How much room may the keys of a join have?
//!
//! Rows with a whole number as their key are found in an array, by the number itself, in a fraction of the time that a table of
//! hashes takes: four bytes for each number between the least and the greatest, whether it is there or not. The engine makes
//! such an array where more than one number of seven is there. Keys of a few months of orders, or of the orders of one
//! country, are sparser, and memory is there: so one number of many will do, if the array is a small part of all memory. How far the
//! numbers can be from each other is known from the bounds of the files.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::metrics::BaselineMetrics;

use super::estimate::expected;
use crate::query::mend::{OtherwiseExec, Way};

/// What an array takes for each number.
const BYTES: f64 = 4.0;
/// An array may have this part of all memory: several joins are done at once.
const PART: f64 = 1.0 / 16.0;
/// At least so many of the numbers have to be there: of 2,000 keys among 2 million, a table of hashes stays in the processor's cache, an array does
/// not. TPC-H at 10, CPU s of eight joins that find few of many keys: 27.7 at 0.02, 26.2 at 0.01, 23.8 at 0.005, 24.3 at 0.002.
const SPARSE: f64 = 0.004;
/// So many numbers have an array however few are there: it stays in the cache, too.
const SMALL: usize = 1 << 16;

/// A join whose keys may have more room.
pub(in crate::query) fn roomy(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(join) = plan.downcast_ref::<HashJoinExec>() else { return Ok(None) };
    let [(key, _)] = join.on() else { return Ok(None) };
    if !key.data_type(&join.left().schema())?.is_integer() {
        return Ok(None);
    }
    let range = expected(join.left()).and_then(|kept| kept.domain(key)?.range);
    let array = range.map(|(least, greatest)| (greatest - least + 1.0) * BYTES);
    Ok(Some(Arc::new(OtherwiseExec::new(Arc::clone(plan), Arc::new(Room { array })))))
}

#[derive(Debug)]
struct Room {
    /// The bytes of an array of all its keys, if that is known.
    array: Option<f64>,
}

impl Way for Room {
    fn name(&self) -> &'static str {
        "RoomExec"
    }

    fn detail(&self) -> String {
        match self.array {
            Some(bytes) => format!("an array of {bytes} bytes for all keys"),
            None => "keys of which nothing is known".to_owned(),
        }
    }

    fn run(
        &self,
        step: &Arc<dyn ExecutionPlan>,
        partition: usize,
        context: Arc<TaskContext>,
        _: BaselineMetrics,
    ) -> Result<SendableRecordBatchStream> {
        let fits = self.fits(&context);
        step.execute(partition, with_room(context, fits))
    }
}

impl Room {
    /// Whether an array of all keys is a small part of all memory.
    fn fits(&self, context: &TaskContext) -> bool {
        let all = match context.memory_pool().memory_limit() {
            MemoryLimit::Finite(bytes) => bytes as f64,
            _ => f64::INFINITY,
        };
        self.array.is_some_and(|bytes| bytes <= all * PART)
    }
}

/// The context of a join whose keys may be sparse, or may not. Joins below have one of their own.
fn with_room(context: Arc<TaskContext>, has_room: bool) -> Arc<TaskContext> {
    let usual = datafusion::common::config::ExecutionOptions::default();
    let now = &context.session_config().options().execution;
    let (usual_least, usual_small) =
        (usual.perfect_hash_join_min_key_density, usual.perfect_hash_join_small_build_threshold);
    let least = if has_room { SPARSE } else { usual_least };
    // Whoever has set it has it as it is set.
    let is_set = ![usual_least, SPARSE].contains(&now.perfect_hash_join_min_key_density)
        || ![usual_small, SMALL].contains(&now.perfect_hash_join_small_build_threshold);
    if is_set || now.perfect_hash_join_min_key_density == least {
        return context;
    }
    let mut config = context.session_config().clone();
    let options = &mut config.options_mut().execution;
    options.perfect_hash_join_min_key_density = least;
    options.perfect_hash_join_small_build_threshold = if has_room { SMALL } else { usual_small };
    Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        config,
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        context.runtime_env(),
    ))
}

#[cfg(test)]
mod tests {
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::prelude::SessionConfig;

    use super::*;

    /// How sparse keys may be in a context of so much memory, and within that in one where nothing is known.
    fn least(array: f64, memory: usize, config: SessionConfig) -> (f64, f64) {
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(memory, 1.0).build_arc().unwrap();
        let context = Arc::new(TaskContext::default().with_session_config(config).with_runtime(runtime));
        let density = |context: &TaskContext| {
            context.session_config().options().execution.perfect_hash_join_min_key_density
        };
        let room = Room { array: Some(array) };
        let context = with_room(Arc::clone(&context), room.fits(&context));
        let below = with_room(Arc::clone(&context), Room { array: None }.fits(&context));
        (density(&context), density(&below))
    }

    #[test]
    fn sparse_keys_have_room_where_it_is_a_small_part_of_all_memory() {
        let usual = SessionConfig::new();
        let megabyte = 1 << 20;
        assert_eq!(least(63e6, 1024 * megabyte, usual.clone()), (SPARSE, 0.15));
        assert_eq!(least(70e6, 1024 * megabyte, usual.clone()), (0.15, 0.15));
        assert_eq!(least(70e6, 4096 * megabyte, usual), (SPARSE, 0.15));
        let mut set = SessionConfig::new();
        set.options_mut().execution.perfect_hash_join_min_key_density = 0.5;
        assert_eq!(least(1e3, 1024 * megabyte, set), (0.5, 0.5));
    }
}
