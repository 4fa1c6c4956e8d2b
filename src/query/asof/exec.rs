//! How are two sorted sides merged?
//!
//! Both come sorted by keys and time, equal keys in the same partition. For each row of the left the right is gone on
//! with until the next row would be too late; the last before it, or the next itself if later rows are wanted, is the
//! partner if its keys are the same. So each side is read once, and of the right only the batches are kept that
//! rows of the left at hand refer to.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::{SortOptions, interleave, take};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, ReplaceChildrenOptions, apply_expression_roots,
};
use futures::{StreamExt, stream};

use super::node::Nearest;

type Pair = (Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>);

/// Batches of the right that are kept for one batch that goes out.
const KEPT: usize = 64;

/// An as-of join of two sorted sides.
#[derive(Debug)]
pub(super) struct AsOfJoinExec {
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
    keys: Vec<Pair>,
    time: Pair,
    nearest: Nearest,
    keeps_left: bool,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl AsOfJoinExec {
    pub(super) fn new(
        left: Arc<dyn ExecutionPlan>,
        right: Arc<dyn ExecutionPlan>,
        keys: Vec<Pair>,
        time: Pair,
        nearest: Nearest,
        keeps_left: bool,
        schema: SchemaRef,
    ) -> Result<Self> {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            datafusion::physical_expr::Partitioning::UnknownPartitioning(
                left.output_partitioning().partition_count(),
            ),
            left.pipeline_behavior(),
            left.boundedness(),
        );
        let metrics = ExecutionPlanMetricsSet::new();
        let properties = Arc::new(properties);
        Ok(Self { left, right, keys, time, nearest, keeps_left, schema, properties, metrics })
    }

    fn ordering(&self, is_left: bool) -> Option<OrderingRequirements> {
        let side = |pair: &Pair| Arc::clone(if is_left { &pair.0 } else { &pair.1 });
        let exprs =
            self.keys.iter().chain([&self.time]).map(|pair| PhysicalSortExpr::new(side(pair), SORTED));
        LexOrdering::new(exprs).map(OrderingRequirements::from)
    }
}

/// How both sides are sorted.
const SORTED: SortOptions = SortOptions { descending: false, nulls_first: true };

impl DisplayAs for AsOfJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match (self.nearest.is_before, self.nearest.may_be_equal) {
            (true, true) => ">=",
            (true, false) => ">",
            (false, true) => "<=",
            (false, false) => "<",
        };
        let keys = self.keys.iter().map(|(a, b)| format!("{a} = {b}"));
        let conditions: Vec<String> = keys.chain([format!("{} {op} {}", self.time.0, self.time.1)]).collect();
        let kind = if self.keeps_left { "left" } else { "inner" };
        write!(f, "AsOfJoinExec: {kind} on {}", conditions.join(" and "))
    }
}

impl ExecutionPlan for AsOfJoinExec {
    fn name(&self) -> &'static str {
        "AsOfJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.left, &self.right]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        if self.keys.is_empty() {
            return InputDistributionRequirements::new(vec![Distribution::SinglePartition; 2]);
        }
        let (left, right) = self.keys.iter().cloned().unzip();
        InputDistributionRequirements::co_partitioned(vec![
            Distribution::KeyPartitioned(left),
            Distribution::KeyPartitioned(right),
        ])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.ordering(true), self.ordering(false)]
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(right), Some(left)) = (children.pop(), children.pop()) else {
            return Err(DataFusionError::Internal("an as-of join has two sides".to_owned()));
        };
        let (keys, time, schema) = (self.keys.clone(), self.time.clone(), Arc::clone(&self.schema));
        Ok(Arc::new(Self::new(left, right, keys, time, self.nearest, self.keeps_left, schema)?))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let pairs = self.keys.iter().chain([&self.time]);
        apply_expression_roots(pairs.flat_map(|(a, b)| [a, b]), f)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let key_types: Vec<SortField> = self
            .keys
            .iter()
            .map(|(key, _)| Ok(SortField::new_with_options(key.data_type(&self.left.schema())?, SORTED)))
            .collect::<Result<_>>()?;
        let time_type = SortField::new_with_options(self.time.0.data_type(&self.left.schema())?, SORTED);
        let (left_keys, right_keys) = self.keys.iter().cloned().unzip();
        let merge = Merge {
            left: self.left.execute(partition, Arc::clone(&context))?,
            right: Right {
                rows: self.right.execute(partition, context)?,
                exprs: (right_keys, Arc::clone(&self.time.1)),
                kept: Vec::new(),
                batch: 0,
                row: 0,
                is_done: false,
            },
            exprs: (left_keys, Arc::clone(&self.time.0)),
            order: Order { keys: RowConverter::new(key_types)?, time: RowConverter::new(vec![time_type])? },
            nearest: self.nearest,
            keeps_left: self.keeps_left,
            schema: Arc::clone(&self.schema),
            nulls: self
                .right
                .schema()
                .fields()
                .iter()
                .map(|field| new_null_array(field.data_type(), 1))
                .collect(),
            current: None,
            partner: None,
            baseline,
        };
        let rows = stream::try_unfold(merge, |mut merge| async move {
            Ok(merge.next().await?.map(|batch| (batch, merge)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Makes keys and times comparable.
struct Order {
    keys: RowConverter,
    time: RowConverter,
}

/// A batch of one side, with what its rows are compared by.
struct Sorted {
    batch: RecordBatch,
    keys: Rows,
    time: Rows,
    /// Rows whose keys or time are null: they match nothing.
    is_null: Vec<bool>,
}

impl Sorted {
    fn of(
        batch: RecordBatch,
        exprs: &(Vec<Arc<dyn PhysicalExpr>>, Arc<dyn PhysicalExpr>),
        order: &mut Order,
    ) -> Result<Self> {
        let rows = batch.num_rows();
        let value = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(&batch)?.into_array(rows);
        let keys: Vec<ArrayRef> = exprs.0.iter().map(value).collect::<Result<_>>()?;
        let time = value(&exprs.1)?;
        let mut is_null = vec![false; rows];
        for array in keys.iter().chain([&time]) {
            if let Some(nulls) = array.logical_nulls() {
                is_null.iter_mut().enumerate().for_each(|(at, is_null)| *is_null |= nulls.is_null(at));
            }
        }
        let keys = match keys.is_empty() {
            true => order.keys.empty_rows(0, 0),
            false => order.keys.convert_columns(&keys)?,
        };
        Ok(Self { keys, time: order.time.convert_columns(&[time])?, is_null, batch })
    }

    fn compare_keys(&self, at: usize, other: &Self, other_at: usize) -> Ordering {
        match self.keys.num_rows() == 0 || other.keys.num_rows() == 0 {
            true => Ordering::Equal,
            false => self.keys.row(at).cmp(&other.keys.row(other_at)),
        }
    }
}

/// The right side, and how far it was gone on with.
struct Right {
    rows: SendableRecordBatchStream,
    exprs: (Vec<Arc<dyn PhysicalExpr>>, Arc<dyn PhysicalExpr>),
    /// Batches that may be referred to; the last is the one at hand.
    kept: Vec<Arc<Sorted>>,
    /// The batch and the row that come next.
    batch: usize,
    row: usize,
    is_done: bool,
}

impl Right {
    /// The batch and the row that come next, nulls passed over.
    async fn peek(&mut self, order: &mut Order) -> Result<Peeked> {
        loop {
            if let Some(at_hand) = self.kept.get(self.batch) {
                while self.row < at_hand.batch.num_rows() && at_hand.is_null[self.row] {
                    self.row += 1;
                }
                if self.row < at_hand.batch.num_rows() {
                    return Ok(Peeked::Row(self.batch, self.row));
                }
            }
            if self.is_done {
                return Ok(Peeked::End);
            }
            if self.kept.len() >= KEPT {
                return Ok(Peeked::NoRoom);
            }
            match self.rows.next().await.transpose()? {
                None => self.is_done = true,
                Some(batch) => {
                    self.kept.push(Arc::new(Sorted::of(batch, &self.exprs, order)?));
                    (self.batch, self.row) = (self.kept.len() - 1, 0);
                }
            }
        }
    }
}

/// What comes next on the right.
#[derive(Clone, Copy)]
enum Peeked {
    Row(usize, usize),
    End,
    /// What was found so far has to go out before more is read.
    NoRoom,
}

/// The merge of one partition.
struct Merge {
    left: SendableRecordBatchStream,
    right: Right,
    exprs: (Vec<Arc<dyn PhysicalExpr>>, Arc<dyn PhysicalExpr>),
    order: Order,
    nearest: Nearest,
    keeps_left: bool,
    schema: SchemaRef,
    /// A row of nulls.
    nulls: Vec<ArrayRef>,
    /// The batch of the left at hand, and its next row.
    current: Option<(Arc<Sorted>, usize)>,
    /// The last row of the right that was early enough.
    partner: Option<(usize, usize)>,
    baseline: BaselineMetrics,
}

impl Merge {
    /// The next rows; nothing after the last.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let (left, start) = match self.current.take() {
                Some((left, row)) if row < left.batch.num_rows() => (left, row),
                _ => match self.left.next().await.transpose()? {
                    None => return Ok(None),
                    Some(batch) => (Arc::new(Sorted::of(batch, &self.exprs, &mut self.order)?), 0),
                },
            };
            let mut partners: Vec<Option<(usize, usize)>> = Vec::with_capacity(left.batch.num_rows() - start);
            let mut row = start;
            while row < left.batch.num_rows() {
                let partner = match left.is_null[row] {
                    true => Some(None),
                    false => self.partner_of(&left, row).await?,
                };
                let Some(partner) = partner else { break };
                partners.push(partner);
                row += 1;
            }
            let batch = self.joined(&left, start, &partners)?;
            self.forget();
            self.current = Some((left, row));
            if batch.num_rows() > 0 {
                return Ok(Some(batch.record_output(&self.baseline)));
            }
        }
    }

    /// The row of the right that belongs to a row of the left, if there is one; nothing, if what was found so far has to
    /// go out first.
    async fn partner_of(&mut self, left: &Sorted, row: usize) -> Result<Option<Option<(usize, usize)>>> {
        let next = loop {
            let (batch, at) = match self.right.peek(&mut self.order).await? {
                Peeked::NoRoom => return Ok(None),
                Peeked::End => break None,
                Peeked::Row(batch, at) => (batch, at),
            };
            let right = &self.right.kept[batch];
            let keys = right.compare_keys(at, left, row);
            let time = right.time.row(at).cmp(&left.time.row(row));
            let is_early = match (keys, self.nearest.is_before, self.nearest.may_be_equal) {
                (Ordering::Less, ..) => true,
                (Ordering::Greater, ..) => false,
                (Ordering::Equal, true, true) | (Ordering::Equal, false, false) => time != Ordering::Greater,
                (Ordering::Equal, true, false) | (Ordering::Equal, false, true) => time == Ordering::Less,
            };
            if !is_early {
                break Some((batch, at));
            }
            self.partner = Some((batch, at));
            self.right.row += 1;
        };
        let found = if self.nearest.is_before { self.partner } else { next };
        let has_same_keys = |(batch, at): &(usize, usize)| {
            self.right.kept[*batch].compare_keys(*at, left, row) == Ordering::Equal
        };
        Ok(Some(found.filter(has_same_keys)))
    }

    /// Rows of the left from `start` on, each beside its partner.
    fn joined(
        &self,
        left: &Sorted,
        start: usize,
        partners: &[Option<(usize, usize)>],
    ) -> Result<RecordBatch> {
        let is_kept = |partner: &Option<(usize, usize)>| self.keeps_left || partner.is_some();
        let rows: UInt32Array = partners
            .iter()
            .enumerate()
            .filter(|(_, partner)| is_kept(partner))
            .map(|(at, _)| u32::try_from(start + at).unwrap_or(u32::MAX))
            .collect();
        // The first array of each column is the row of nulls.
        let places: Vec<(usize, usize)> = partners
            .iter()
            .filter(|partner| is_kept(partner))
            .map(|partner| partner.map_or((0, 0), |(batch, row)| (batch + 1, row)))
            .collect();
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for column in left.batch.columns() {
            columns.push(take(column, &rows, None)?);
        }
        for (at, null) in self.nulls.iter().enumerate() {
            let mut arrays: Vec<&dyn Array> = vec![null.as_ref()];
            arrays.extend(self.right.kept.iter().map(|kept| kept.batch.column(at).as_ref()));
            columns.push(interleave(&arrays, &places)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    /// Lets go of batches of the right that nothing can refer to any more.
    fn forget(&mut self) {
        let at_hand = self.right.batch.min(self.right.kept.len().saturating_sub(1));
        let first = self.partner.map_or(at_hand, |(batch, _)| batch.min(at_hand));
        // A partner far behind stays, and what lies between it and the batch at hand does not.
        let mut kept = Vec::new();
        if first < at_hand {
            kept.push(Arc::clone(&self.right.kept[first]));
            self.partner = self.partner.map(|(_, row)| (0, row));
        }
        if let Some(now) = self.right.kept.get(at_hand) {
            kept.push(Arc::clone(now));
        }
        let last = kept.len().saturating_sub(1);
        if first == at_hand {
            self.partner = self.partner.map(|(_, row)| (last, row));
        }
        self.right.batch = if self.right.batch > at_hand { kept.len() } else { last };
        self.right.kept = kept;
    }
}
