//! How are rows grouped that come in the order of their keys, or have few groups?
//!
//! What arrives is in order of its time or its number, and stays so in a table's files. A part of such rows needs no table of all
//! groups that it has seen: those of one group stand together, and what comes later belongs to later ones. So the first half of an
//! aggregation looks at each batch: if a key rises through it, and begins where the batches before ended (or lower, after many), its groups are added up from
//! where one begins to where the next does, and handed on at once. Others are looked at for [`FewGroups`]. All that is left goes the way of
//! the engine, which brings the groups of all together in the second half.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, Scalar, UInt64Array};
use arrow::compute::kernels::cmp::lt_eq;
use arrow::compute::{BatchCoalescer, partition, take};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::aggregates::{
    AggregateExec, AggregateMode, aggregate_expressions, evaluate_group_by,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;
use futures::stream::poll_fn;

use super::few_groups::{FewGroups, may_fit};
use super::otherwise::{OtherwiseExec, Way};

/// Batches that have to rise before a key may begin lower again.
const LONG: usize = 8;

/// After so many batches in a row whose keys do not rise no other is looked at.
const PATIENCE: usize = 8;

/// The first half of an aggregation with another way for groups that stand together.
pub(super) fn rising(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(aggregate) = plan.downcast_ref::<AggregateExec>() else { return Ok(None) };
    Ok(if may_rise(aggregate)? {
        Some(Arc::new(OtherwiseExec::new(Arc::clone(plan), Arc::new(Together))))
    } else {
        None
    })
}

/// Whether it is the first of two halves, of functions that add up many groups at a time, with keys that may rise or be few.
fn may_rise(aggregate: &AggregateExec) -> Result<bool> {
    let groups = aggregate.group_expr();
    let is_first_half = *aggregate.mode() == AggregateMode::Partial
        && groups.is_single()
        && !groups.is_empty()
        && aggregate.limit_options().is_none()
        && *aggregate.input_order_mode() == InputOrderMode::Linear;
    if !is_first_half {
        return Ok(false);
    }
    for function in aggregate.aggr_expr() {
        if !is_plain(function)? {
            return Ok(false);
        }
    }
    let types = key_types(aggregate)?;
    Ok(types.iter().any(is_compared) || may_fit(types.iter()))
}

/// Whether many groups are added up at a time, each in room that does not grow with its rows, in whichever order they come.
fn is_plain(function: &AggregateFunctionExpr) -> Result<bool> {
    let is_least_or_greatest = ["min", "max"].contains(&function.fun().name());
    let has_room =
        |field: &FieldRef| field.data_type().is_primitive() || *field.data_type() == DataType::Boolean;
    Ok(function.order_bys().is_empty()
        && function.groups_accumulator_supported()
        && (is_least_or_greatest || function.state_fields()?.iter().all(has_room)))
}

fn key_types(aggregate: &AggregateExec) -> Result<Vec<DataType>> {
    let schema = aggregate.input_schema();
    aggregate.group_expr().expr().iter().map(|(key, _)| key.data_type(&schema)).collect()
}

/// Whether values of a type are compared at once for many rows.
fn is_compared(of: &DataType) -> bool {
    of.is_integer() || of.is_decimal() || of.is_temporal() && !matches!(of, DataType::Interval(_))
}

/// Adds up groups that stand together, and few groups.
#[derive(Debug)]
struct Together;

impl Way for Together {
    fn name(&self) -> &'static str {
        "RisingExec"
    }

    fn detail(&self) -> String {
        "groups that stand together, or are few".to_owned()
    }

    fn run(
        &self,
        step: &Arc<dyn ExecutionPlan>,
        partition: usize,
        context: Arc<TaskContext>,
        baseline: BaselineMetrics,
    ) -> Result<SendableRecordBatchStream> {
        let Some(aggregate) = step.downcast_ref::<AggregateExec>() else {
            return step.execute(partition, context);
        };
        let rows = aggregate.input().execute(partition, Arc::clone(&context))?;
        let schema = step.schema();
        let most = context.session_config().batch_size();
        let found = Arc::new(Mutex::new(Found::new(step, aggregate, most)?));
        let others = Arc::new(Others::new(rows, Arc::clone(&found), baseline.clone()));
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
        let half = Arc::clone(step).replace_children(vec![others], options)?;
        let mut sums = half.execute(0, context)?;
        let mut is_done = false;
        let all = poll_fn(move |waiting| {
            loop {
                let next = match is_done || lock(&found).ready.has_completed_batch() {
                    true => Poll::Ready(None),
                    false => sums.poll_next_unpin(waiting),
                };
                let is_waiting = next.is_pending();
                let groups = match next {
                    Poll::Ready(Some(groups)) => Some(groups),
                    _ => lock(&found).ready.next_completed_batch().map(Ok),
                };
                match groups {
                    Some(groups) => return Poll::Ready(Some(groups.record_output(&baseline))),
                    None if is_waiting => return Poll::Pending,
                    None if is_done => return Poll::Ready(None),
                    None => {
                        is_done = true;
                        let time = half.metrics().and_then(|metrics| metrics.elapsed_compute()).unwrap_or(0);
                        baseline.elapsed_compute().add_duration(Duration::from_nanos(time as u64));
                        lock(&found).finish()?;
                    }
                }
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, all)))
    }
}

/// The groups of one part of the rows that are found here.
struct Found {
    half: Arc<dyn ExecutionPlan>,
    /// What is computed of each row, for each function.
    arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    functions: Vec<Box<dyn GroupsAccumulator>>,
    /// The last value of the key that rises, with its place.
    last: Option<(usize, ArrayRef)>,
    /// Batches through which it has risen, since a lower one began.
    rose: usize,
    /// Batches in a row in which none did.
    missed: usize,
    /// Groups of which there are few, and what is added up for them; nothing if their keys do not fit.
    few: Option<(FewGroups, Vec<Box<dyn GroupsAccumulator>>)>,
    of_rows: Vec<usize>,
    ready: BatchCoalescer,
}

/// What a function is given of a batch, and of which rows.
type Given = (Vec<ArrayRef>, Option<ArrayRef>);

impl Found {
    fn new(half: &Arc<dyn ExecutionPlan>, aggregate: &AggregateExec, most: usize) -> Result<Self> {
        let functions = aggregate.aggr_expr();
        let new = || functions.iter().map(|each| each.create_groups_accumulator()).collect::<Result<_>>();
        let are_few = may_fit(key_types(aggregate)?.iter());
        Ok(Self {
            half: Arc::clone(half),
            arguments: aggregate_expressions(functions, aggregate.mode(), 0)?,
            functions: new()?,
            last: None,
            rose: 0,
            missed: 0,
            few: if are_few { Some((FewGroups::new(), new()?)) } else { None },
            of_rows: Vec::new(),
            ready: BatchCoalescer::new(half.schema(), most).with_biggest_coalesce_batch_size(Some(most / 2)),
        })
    }

    /// Adds up the groups of a batch, if a key of them rises or there are few; says whether it did.
    fn add(&mut self, batch: &RecordBatch) -> Result<bool> {
        let is_tired = self.missed > PATIENCE && self.few.as_ref().is_none_or(|(few, _)| few.is_over());
        if is_tired || batch.num_rows() == 0 {
            return Ok(false);
        }
        let half = Arc::clone(&self.half);
        let Some(aggregate) = half.downcast_ref::<AggregateExec>() else { return Ok(false) };
        let Some(keys) = evaluate_group_by(aggregate.group_expr(), batch)?.pop() else { return Ok(false) };
        if self.missed <= PATIENCE
            && let Some(groups) = self.groups(&keys)?
        {
            self.missed = 0;
            let given = self.given(aggregate, batch)?;
            self.stand_together(keys, &groups, &given)?;
            return Ok(true);
        }
        self.missed += 1;
        let found = self.few.as_mut().is_some_and(|(few, _)| few.find(&keys, &mut self.of_rows));
        if !found {
            return Ok(false);
        }
        let given = self.given(aggregate, batch)?;
        if let Some((few, functions)) = &mut self.few {
            for (function, (arguments, filter)) in functions.iter_mut().zip(&given) {
                let filter = filter.as_ref().map(AsArray::as_boolean);
                function.update_batch(arguments, &self.of_rows, filter, few.len())?;
            }
        }
        Ok(true)
    }

    /// What each function is given of a batch.
    fn given(&self, aggregate: &AggregateExec, batch: &RecordBatch) -> Result<Vec<Given>> {
        let whole = |of: &Arc<dyn PhysicalExpr>| of.evaluate(batch)?.into_array(batch.num_rows());
        let each = self.arguments.iter().zip(aggregate.filter_expr()).map(|(arguments, filter)| {
            let arguments = arguments.iter().map(whole).collect::<Result<_>>()?;
            Ok((arguments, filter.as_ref().map(whole).transpose()?))
        });
        each.collect()
    }

    /// Adds up groups from where one begins to where the next does.
    fn stand_together(
        &mut self,
        keys: Vec<ArrayRef>,
        groups: &[Range<usize>],
        given: &[Given],
    ) -> Result<()> {
        let is_each_alone = groups.len() == keys.first().map_or(0, |key| key.len());
        let mut columns = keys;
        if !is_each_alone {
            let firsts: UInt64Array = groups.iter().map(|group| group.start as u64).collect();
            columns = columns.iter().map(|key| take(key, &firsts, None)).collect::<Result<_, _>>()?;
        }
        self.of_rows.clear();
        for (group, rows) in groups.iter().enumerate() {
            self.of_rows.resize(rows.end, group);
        }
        for (function, (arguments, filter)) in self.functions.iter_mut().zip(given) {
            let filter = filter.as_ref().map(AsArray::as_boolean);
            columns.extend(if is_each_alone {
                function.convert_to_state(arguments, filter)?
            } else {
                function.update_batch(arguments, &self.of_rows, filter, groups.len())?;
                function.state(EmitTo::All)?
            });
        }
        Ok(self.ready.push_batch(RecordBatch::try_new(self.half.schema(), columns)?)?)
    }

    /// Hands on what is still here.
    fn finish(&mut self) -> Result<()> {
        if let Some((few, mut functions)) = self.few.take().filter(|(few, _)| few.len() > 0) {
            let mut columns = few.keys()?;
            for function in &mut functions {
                columns.extend(function.state(EmitTo::All)?);
            }
            self.ready.push_batch(RecordBatch::try_new(self.half.schema(), columns)?)?;
        }
        Ok(self.ready.finish_buffered_batch()?)
    }

    /// From where to where the groups of a batch are; nothing if no key rises, or groups are not told apart by it.
    fn groups(&mut self, keys: &[ArrayRef]) -> Result<Option<Vec<Range<usize>>>> {
        let Some((at, is_lower)) = self.rising(keys)? else { return Ok(None) };
        let groups = partition(keys)?;
        // Where rows have the same of this key, the others come in any order, and the same ones again.
        if keys.len() > 1 && groups.len() * 4 > partition(&keys[at..=at])?.len() * 5 {
            return Ok(None);
        }
        self.rose = if is_lower { 0 } else { self.rose + 1 };
        self.last = Some((at, keys[at].slice(keys[at].len() - 1, 1)));
        Ok(Some(groups.ranges()))
    }

    /// The place of a key that rises, and whether it begins lower than it ended before, as where another file begins.
    fn rising(&self, keys: &[ArrayRef]) -> Result<Option<(usize, bool)>> {
        let known = self.last.as_ref().map(|(at, _)| *at);
        for (at, key) in keys.iter().enumerate() {
            if known.is_some_and(|known| known != at) || !is_compared(key.data_type()) || key.null_count() > 0
            {
                continue;
            }
            let is_lower = match &self.last {
                Some((_, last)) => !lt_eq(&Scalar::new(last), &Scalar::new(&key.slice(0, 1)))?.value(0),
                None => false,
            };
            if is_lower && self.rose < LONG {
                continue;
            }
            let pairs = key.len() - 1;
            if lt_eq(&key.slice(0, pairs), &key.slice(1, pairs))?.true_count() == pairs {
                return Ok(Some((at, is_lower)));
            }
        }
        Ok(None)
    }
}

/// The batches in which no key rises, for the engine's way.
struct Others {
    rows: Mutex<Option<SendableRecordBatchStream>>,
    found: Arc<Mutex<Found>>,
    baseline: BaselineMetrics,
    properties: Arc<PlanProperties>,
}

impl Others {
    fn new(rows: SendableRecordBatchStream, found: Arc<Mutex<Found>>, baseline: BaselineMetrics) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(rows.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { rows: Mutex::new(Some(rows)), found, baseline, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Others").finish_non_exhaustive()
    }
}

impl DisplayAs for Others {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Others")
    }
}

impl ExecutionPlan for Others {
    fn name(&self) -> &'static str {
        "Others"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(mut rows) = lock(&self.rows).take() else {
            return internal_err!("the rows of a part are read once");
        };
        let (schema, found, baseline) = (rows.schema(), Arc::clone(&self.found), self.baseline.clone());
        let others = poll_fn(move |waiting| {
            loop {
                let Some(batch) = ready!(rows.poll_next_unpin(waiting)?) else { return Poll::Ready(None) };
                let _time = baseline.elapsed_compute().timer();
                let mut found = lock(&found);
                if !found.add(&batch)? {
                    return Poll::Ready(Some(Ok(batch)));
                }
                if found.ready.has_completed_batch() {
                    // Whoever waits for the groups of the engine's way looks here first.
                    waiting.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, others)))
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{Int64Type, Schema};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::functions_aggregate::count::count_udaf;
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::aggregate::AggregateExprBuilder;
    use datafusion::physical_expr::expressions::{binary, col, lit};
    use datafusion::physical_plan::aggregates::PhysicalGroupBy;
    use datafusion::physical_plan::collect;

    use super::*;

    type Rows<'a> = &'a [(Option<i64>, &'a str)];

    fn batch(rows: Rows) -> RecordBatch {
        let keys: ArrayRef = Arc::new(rows.iter().map(|(key, _)| *key).collect::<Int64Array>());
        let kinds: ArrayRef = Arc::new(rows.iter().map(|(_, kind)| Some(*kind)).collect::<StringArray>());
        let fields = [("k", keys.data_type(), true), ("kind", kinds.data_type(), true)];
        let fields = fields.map(|(name, of, may)| arrow::datatypes::Field::new(name, of.clone(), may));
        RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), vec![keys, kinds]).unwrap()
    }

    /// What the first half gives: keys and how often each comes, in the order in which they leave.
    async fn halved(batches: &[Rows<'_>], keys: &[&str], but: Option<&str>) -> Vec<String> {
        let batches: Vec<_> = batches.iter().map(|rows| batch(rows)).collect();
        let schema = batches[0].schema();
        let input = MemorySourceConfig::try_new_exec(&[batches], Arc::clone(&schema), None).unwrap();
        let keys: Vec<_> = keys.iter().map(|key| (col(key, &schema).unwrap(), (*key).to_owned())).collect();
        let count = AggregateExprBuilder::new(count_udaf(), vec![col("kind", &schema).unwrap()]);
        let count = count.schema(Arc::clone(&schema)).alias("n").build().unwrap();
        let filter =
            but.map(|but| binary(col("kind", &schema).unwrap(), Operator::NotEq, lit(but), &schema).unwrap());
        let half = AggregateExec::try_new(
            AggregateMode::Partial,
            PhysicalGroupBy::new_single(keys),
            vec![Arc::new(count)],
            vec![filter],
            input,
            schema,
        );
        let half: Arc<dyn ExecutionPlan> = Arc::new(half.unwrap());
        let plan = rising(&half).unwrap().expect("a key that may rise");
        let groups = collect(plan, Arc::default()).await.unwrap();
        let line = |groups: &RecordBatch, row: usize| {
            let count = groups.columns().last().unwrap().as_primitive::<Int64Type>().value(row);
            let keys = groups.columns()[..groups.num_columns() - 1].iter();
            let keys = keys.map(|key| arrow::util::display::array_value_to_string(key, row).unwrap());
            format!("{} {count}", keys.collect::<Vec<_>>().join(" "))
        };
        groups.iter().flat_map(|groups| (0..groups.num_rows()).map(move |row| line(groups, row))).collect()
    }

    #[tokio::test]
    async fn groups_that_stand_together_leave_as_they_come_and_others_go_the_engines_way() {
        let rows = |keys: &'static [i64]| keys.iter().map(|key| (Some(*key), "a")).collect::<Vec<_>>();
        let (first, second, falls, before, last) =
            (rows(&[1, 1, 2]), rows(&[2, 3, 3]), rows(&[9, 8, 9]), rows(&[2, 2]), rows(&[3, 5, 5, 6]));
        let nulls: Rows = &[(Some(7), "a"), (None, "a"), (None, "b")];

        let mut found = halved(&[&first, &second, &falls, &before, nulls, &last], &["k"], None).await;

        // 2 goes on in the second batch, and comes again in one that begins before the others ended.
        found.sort();
        assert_eq!(
            found,
            [" 2", "1 2", "2 1", "2 1", "2 2", "3 1", "3 2", "5 2", "6 1", "7 1", "8 1", "9 2"]
        );
    }

    #[tokio::test]
    async fn of_several_keys_one_rises_and_tells_the_groups_apart() {
        let (a, b) = ("a", "b");
        let apart: Rows = &[(Some(1), a), (Some(1), a), (Some(2), b), (Some(3), a)];
        assert_eq!(halved(&[apart], &["kind", "k"], None).await, ["a 1 2", "b 2 1", "a 3 1"]);
        // As many groups as rows stand together, and three are told apart.
        let mixed: Rows = &[(Some(1), a), (Some(1), b), (Some(1), a), (Some(1), b), (Some(2), a)];
        let mut found = halved(&[mixed], &["k", "kind"], None).await;
        found.sort();
        assert_eq!(found, ["1 a 2", "1 b 2", "2 a 1"]);
    }

    #[tokio::test]
    async fn rows_that_a_function_leaves_out_are_not_counted() {
        let alone: Rows = &[(Some(1), "a"), (Some(2), "b"), (Some(3), "a")];
        assert_eq!(halved(&[alone], &["k"], Some("a")).await, ["1 0", "2 1", "3 0"]);
        let together: Rows = &[(Some(1), "a"), (Some(1), "b"), (Some(3), "a")];
        assert_eq!(halved(&[together], &["k"], Some("a")).await, ["1 1", "3 0"]);
    }

    #[tokio::test]
    async fn many_groups_leave_in_batches_of_the_usual_size() {
        let rows: Vec<_> = (0..100_000).map(|row| (Some(row / 2), "a")).collect();
        let batches: Vec<Rows> = rows.chunks(1000).collect();
        let found = halved(&batches, &["k"], None).await;
        assert_eq!(found.len(), 50_000);
        assert!(found.iter().enumerate().all(|(key, group)| *group == format!("{key} 2")));
    }

    #[tokio::test]
    async fn few_groups_and_many_are_added_up_whatever_their_order() {
        for many in [100, 128, 5003] {
            let rows: Vec<_> = (0..20_000).map(|row| (Some(row * 7919 % many), "a")).collect();
            let batches: Vec<Rows> = rows.chunks(1000).collect();
            let mut found = halved(&batches, &["k"], Some("b")).await;
            found.sort();
            let counts = |key: i64| (0..20_000).filter(|row| row * 7919 % many == key).count();
            let mut expected: Vec<_> = (0..many).map(|key| format!("{key} {}", counts(key))).collect();
            expected.sort();
            assert_eq!(found, expected);
        }
    }

    #[tokio::test]
    async fn where_another_file_begins_keys_rise_again() {
        let rows: Vec<_> = (0..10_000).map(|row| (Some(row / 4), "a")).collect();
        let batches: Vec<Rows> = rows.chunks(1000).chain(rows.chunks(1000)).collect();
        let found = halved(&batches, &["k"], None).await;
        let expected: Vec<_> = (0..2500).chain(0..2500).map(|key| format!("{key} 4")).collect();
        assert_eq!(found, expected);
    }
}
