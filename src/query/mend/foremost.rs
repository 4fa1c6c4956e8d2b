//! Which rows can still be among the first of an order?
//!
//! The engine keeps the first rows in a heap, row by row: of rows that come in the opposite order each takes the place of another. Of a
//! batch of thousands hardly any are among the first ten of the batch, and those are found at once for all. So below such a heap
//! stands a step that lets only those through: it knows a key that as many rows as are wanted do not come after, and no row
//! that does is wanted.
//!
//! Only the first key is looked at. Rows that have the same are for the heap to tell apart.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, Scalar};
use arrow::compute::kernels::cmp::{gt_eq, lt_eq};
use arrow::compute::{
    SortOptions, concat, filter, filter_record_batch, prep_null_mask_filter, sort_to_indices, take,
};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr, ScalarFunctionExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ExecutionPlanProperties, ReplaceChildrenOptions,
};

use super::each_batch::{EachBatchExec, Work};
use super::nan_kept::ITSELF;

/// The most rows that may be wanted: a batch has to have many more.
const MOST: usize = 1000;

/// A batch with fewer rows than so many times those that are wanted goes through as it is, and so does one of which more than this
/// part is left: it would be copied for little.
const MANY: usize = 4;

/// For so many batches at most no nearer key is looked for, where looking did not help.
const PATIENCE: usize = 64;

/// A heap of `order by … limit` to which only rows come that can be among the first.
pub(super) fn foremost(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(below) = below(plan)? else { return Ok(None) };
    // The order, the parts and the columns are those from below. The heap tells the scan what it has, as before.
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    Ok(Some(Arc::clone(plan).replace_children(vec![Arc::new(below)], options)?))
}

/// What stands below a heap; nothing if the plan is no heap, or would not gain.
fn below(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<EachBatchExec>> {
    let few = plan.fetch().filter(|rows| (1..=MOST).contains(rows));
    let Some((sort, rows)) = plan.downcast_ref::<SortExec>().zip(few) else { return Ok(None) };
    let (input, key) = (sort.input(), sort.expr().first());
    // What is computed would be computed twice, and not be the same each time.
    if !is_column(&key.expr) || !is_compared(&key.expr.data_type(&input.schema())?) {
        return Ok(None);
    }
    // Of rows that come in order of the key the heap knows itself when it has seen enough.
    if input.equivalence_properties().ordering_satisfy([key.clone()])? {
        return Ok(None);
    }
    Ok(Some(EachBatchExec::new(Arc::clone(input), Arc::new(First { key: key.clone(), rows }))))
}

/// Whether it is a column, with one NaN or as it is.
fn is_column(key: &Arc<dyn PhysicalExpr>) -> bool {
    let itself = key.downcast_ref::<ScalarFunctionExpr>().filter(|call| call.name() == ITSELF);
    let of = itself.and_then(|call| call.args().first()).unwrap_or(key);
    of.downcast_ref::<Column>().is_some()
}

/// Whether values are compared and sorted by the same order, and differ enough for it to help.
fn is_compared(of: &DataType) -> bool {
    match of {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Interval(_) => false,
        of => of.is_primitive(),
    }
}

/// Lets rows through that can be among the first `rows` by `key`; others may come too.
#[derive(Debug)]
struct First {
    key: PhysicalSortExpr,
    rows: usize,
}

impl Work for First {
    fn name(&self) -> &'static str {
        "ForemostExec"
    }

    fn detail(&self) -> String {
        format!("{} by {}", self.rows, self.key)
    }

    fn keeps_all(&self) -> bool {
        false
    }

    fn looks_at(&self) -> Option<&Arc<dyn PhysicalExpr>> {
        Some(&self.key.expr)
    }

    fn begin(&self) -> Box<dyn FnMut(RecordBatch) -> Result<RecordBatch> + Send> {
        let mut bound = Bound::new(self.key.clone(), self.rows);
        Box::new(move |batch| bound.left(batch))
    }
}

/// What is known of the rows that were let through.
struct Bound {
    key: PhysicalSortExpr,
    /// How many rows are wanted.
    rows: usize,
    /// A key, alone, that at least so many rows do not come after.
    nearest: Option<ArrayRef>,
    /// For how many batches no nearer one is looked for, now and after the next time that it does not help.
    rest: usize,
    patience: usize,
}

impl Bound {
    fn new(key: PhysicalSortExpr, rows: usize) -> Self {
        Self { key, rows, nearest: None, rest: 0, patience: 1 }
    }

    /// The rows of a batch that can be among the first.
    fn left(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        if batch.num_rows() < self.rows * MANY {
            return Ok(batch);
        }
        let keys = self.key.expr.evaluate(&batch)?.into_array(batch.num_rows())?;
        let mut left = match &self.nearest {
            Some(nearest) => not_after(&keys, nearest, self.key.options)?,
            None => BooleanArray::from(vec![true; keys.len()]),
        };
        if left.true_count() >= self.rows * MANY {
            if self.rest > 0 {
                self.rest -= 1;
            } else {
                left = self.nearer(&keys, left)?;
            }
        }
        if left.true_count() > batch.num_rows() / MANY {
            return Ok(batch);
        }
        Ok(filter_record_batch(&batch, &left)?)
    }

    /// Of keys that many of are `left`, those that are when a nearer key was looked for.
    fn nearer(&mut self, keys: &ArrayRef, left: BooleanArray) -> Result<BooleanArray> {
        let before = left.true_count();
        // Rows that come in an order, whichever, have theirs at one end.
        let end = self.rows * MANY / 2;
        let ends = concat(&[&keys.slice(0, end), &keys.slice(keys.len() - end, end)])?;
        let mut left = self.nearer_among(&ends, keys, left)?;
        if left.true_count() >= self.rows * MANY {
            let among = filter(keys, &left)?;
            left = self.nearer_among(&among, keys, left)?;
        }
        if left.true_count() > before / 2 {
            self.rest = self.patience;
            self.patience = (self.patience * 2).min(PATIENCE);
        } else {
            self.patience = 1;
        }
        Ok(left)
    }

    /// Takes the last that is wanted of some keys for the bound if it is nearer, and tells which of all keys are left by it.
    fn nearer_among(&mut self, some: &ArrayRef, keys: &ArrayRef, left: BooleanArray) -> Result<BooleanArray> {
        let first = sort_to_indices(some, Some(self.key.options), Some(self.rows))?;
        let last = take(some, &first.slice(first.len() - 1, 1), None)?;
        let fewer = arrow::compute::and(&left, &not_after(keys, &last, self.key.options)?)?;
        if fewer.true_count() == left.true_count() {
            return Ok(left);
        }
        self.nearest = Some(last);
        Ok(fewer)
    }
}

/// Which keys do not come after one.
fn not_after(keys: &ArrayRef, one: &ArrayRef, options: SortOptions) -> Result<BooleanArray> {
    if one.is_null(0) {
        return Ok(match options.nulls_first {
            true => arrow::compute::is_null(keys)?,
            false => BooleanArray::from(vec![true; keys.len()]),
        });
    }
    let one = Scalar::new(one);
    let not_after = if options.descending { gt_eq(keys, &one)? } else { lt_eq(keys, &one)? };
    Ok(match not_after.nulls() {
        None => not_after,
        Some(known) if options.nulls_first => BooleanArray::new(not_after.values() | &!known.inner(), None),
        Some(_) => prep_null_mask_filter(&not_after),
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray};
    use arrow::compute::concat_batches;
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::physical_expr::expressions::{binary, col, lit};
    use datafusion::physical_expr::{LexOrdering, PhysicalExprRef};
    use datafusion::physical_plan::collect;
    use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
    use datafusion::scalar::ScalarValue;

    use super::*;

    const ROWS: usize = 30_000;

    /// Rows in an order, or in none: `x`, the same as text, and their number.
    fn rows(x: impl Fn(usize) -> Option<f64>) -> Vec<RecordBatch> {
        let batch = |from: usize| {
            let (at, x) = (from..from + 3000, || (from..from + 3000).map(&x));
            let text = x().map(|x| x.map(|x| format!("{x:09.1}")));
            let columns: [(_, ArrayRef, _); 3] = [
                ("x", Arc::new(x().collect::<Float64Array>()), true),
                ("text", Arc::new(text.collect::<StringArray>()), true),
                ("k", Arc::new(at.map(|at| at as i64).collect::<Int64Array>()), true),
            ];
            RecordBatch::try_from_iter_with_nullable(columns).unwrap()
        };
        (0..ROWS).step_by(3000).map(batch).collect()
    }

    fn heap(
        parts: &[Vec<RecordBatch>],
        keys: &[(&str, SortOptions)],
        first: usize,
    ) -> Arc<dyn ExecutionPlan> {
        let schema = parts[0][0].schema();
        let key = |(name, options): &(&str, SortOptions)| {
            PhysicalSortExpr::new(col(name, &schema).unwrap(), *options)
        };
        let order = LexOrdering::new(keys.iter().map(key)).unwrap();
        let input = MemorySourceConfig::try_new_exec(parts, Arc::clone(&schema), None).unwrap();
        let sort = SortExec::new(order, input).with_preserve_partitioning(true).with_fetch(Some(first));
        Arc::new(sort)
    }

    fn mended(plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        foremost(plan).unwrap().unwrap_or_else(|| Arc::clone(plan))
    }

    /// The first rows of all parts.
    async fn first(sort: &Arc<dyn ExecutionPlan>) -> RecordBatch {
        let order = sort.downcast_ref::<SortExec>().unwrap().expr().clone();
        let merged = SortPreservingMergeExec::new(order, Arc::clone(sort)).with_fetch(sort.fetch());
        let batches = collect(Arc::new(merged), Arc::default()).await.unwrap();
        concat_batches(&sort.schema(), &batches).unwrap()
    }

    fn let_through(sort: &Arc<dyn ExecutionPlan>) -> usize {
        let step = Arc::clone(sort.children()[0]);
        assert_eq!(step.name(), "ForemostExec");
        step.metrics().unwrap().output_rows().unwrap()
    }

    fn scattered(at: usize) -> f64 {
        (at * 7919 % 10_007) as f64
    }

    #[tokio::test]
    async fn the_first_rows_are_those_of_the_heap_alone() {
        type Arrangement = fn(usize) -> Option<f64>;
        let arrangements: [(&str, Arrangement); 9] = [
            ("upwards", |at| Some(at as f64)),
            ("downwards", |at| Some((ROWS - at) as f64)),
            ("in no order", |at| Some(scattered(at))),
            ("few values", |at| Some((at % 3) as f64)),
            ("one value", |_| Some(1.0)),
            ("nothing", |_| None),
            ("much of nothing", |at| (at % 3 == 0).then_some(scattered(at))),
            ("nothing but few", |at| (at % 5000 == 0).then_some(at as f64)),
            ("no numbers", |at| match at % 4 {
                0 => Some(f64::NAN),
                1 => Some(-f64::NAN),
                2 => (at % 1000 < 998).then_some(if at % 8 == 2 { 0.0 } else { -0.0 }),
                _ => Some(if at % 999 == 0 { f64::INFINITY } else { f64::NEG_INFINITY }),
            }),
        ];
        for (of, arrangement) in arrangements {
            let all = rows(arrangement);
            let parts = [all[..4].to_vec(), all[4..].to_vec()];
            for (descending, nulls_first) in [(false, false), (false, true), (true, false), (true, true)] {
                let options = SortOptions { descending, nulls_first };
                for (count, key) in [(1, "x"), (10, "x"), (10, "text"), (700, "x"), (1000, "text")] {
                    let keys = [(key, options), ("k", SortOptions::default())];
                    let alone = first(&heap(&parts, &keys, count)).await;
                    let both = mended(&heap(&parts, &keys, count));
                    assert_eq!(first(&both).await, alone, "{count} by {key}, {options:?}, {of}");
                    assert!(let_through(&both) <= ROWS);
                }
            }
        }
    }

    #[tokio::test]
    async fn hardly_more_rows_come_to_the_heap_than_are_wanted() {
        let last = SortOptions { descending: true, nulls_first: false };
        for (arrangement, most) in [(rows(|at| Some(at as f64)), 100), (rows(|at| Some(scattered(at))), 400)]
        {
            let sort = mended(&heap(&[arrangement], &[("x", last)], 10));
            first(&sort).await;
            assert!(let_through(&sort) <= most, "{}", let_through(&sort));
        }
        // Two thirds cannot be told apart by their first key: nothing is copied for that.
        let sort = mended(&heap(&[rows(|at| Some((at % 3) as f64 / 2.0))], &[("x", last), ("k", last)], 10));
        first(&sort).await;
        assert_eq!(let_through(&sort), ROWS);
    }

    #[test]
    fn a_bound_that_is_not_found_is_looked_for_less_and_less() {
        let last = SortOptions { descending: true, nulls_first: false };
        let batch = rows(|at| Some((at % 3) as f64)).remove(0);
        let key = PhysicalSortExpr::new(col("x", &batch.schema()).unwrap(), last);
        let mut bound = Bound::new(key, 10);
        for _ in 0..300 {
            bound.left(batch.clone()).unwrap();
        }
        assert_eq!((bound.patience, bound.rest > 0), (PATIENCE, true));
    }

    #[test]
    fn it_stands_below_heaps_that_gain_and_leaves_their_condition_to_the_scan() {
        let parts = [rows(|at| Some(at as f64))];
        let up = SortOptions::default();
        let told =
            |plan: &Arc<dyn ExecutionPlan>| plan.dynamic_expressions_produced()[0].expression_id().unwrap();
        let plain = heap(&parts, &[("x", up)], 10);
        let with = mended(&plain);
        assert_eq!(with.children()[0].name(), "ForemostExec");
        assert_eq!(told(&plain), told(&with));

        let is_left = |plan: Arc<dyn ExecutionPlan>| mended(&plan).children()[0].name() == "DataSourceExec";
        assert!(is_left(heap(&parts, &[("x", up)], MOST + 1)));
        let all = heap(&parts, &[("x", up)], 10);
        let all = all.downcast_ref::<SortExec>().unwrap();
        assert!(is_left(Arc::new(SortExec::new(all.expr().clone(), Arc::clone(all.input())))));
        let schema = parts[0][0].schema();
        let (x, two) = (col("x", &schema).unwrap(), lit(ScalarValue::from(2.0)));
        let twice: PhysicalExprRef =
            binary(x, datafusion::logical_expr::Operator::Multiply, two, &schema).unwrap();
        let order = LexOrdering::new([PhysicalSortExpr::new_default(twice)]).unwrap();
        let computed = SortExec::new(order, Arc::clone(all.input())).with_fetch(Some(10));
        assert!(is_left(Arc::new(computed)));
        let by = all.expr().clone();
        let input = MemorySourceConfig::try_new(&parts, schema, None).unwrap();
        let sorted = input.try_with_sort_information(vec![by.clone()]).unwrap();
        let sorted = datafusion::datasource::source::DataSourceExec::from_data_source(sorted);
        assert!(is_left(Arc::new(SortExec::new(by, sorted).with_fetch(Some(10)))));
    }
}
