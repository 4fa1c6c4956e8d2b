//! In which order are the conditions of a filter worked out, and for which rows?
//!
//! The engine works `a AND b` out as two: where few rows are left by the first, it picks them out, with all their columns, and puts the answers of
//! the second back row by row, which takes longer than comparing numbers of all rows. Here what is cheap is asked first, of all rows, bit by bit; what is dear,
//! such as patterns and functions, of the rows that are left, with the columns that it looks at. NULL is no row here, as for any filter.
//!
//! A condition that would fail for rows that others have thrown away is not asked of them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::{BooleanBuffer, MutableBuffer};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Schema};
use arrow::util::bit_util;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, IsNotNullExpr, IsNullExpr, Literal, NotExpr,
};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ExecutionPlanProperties, ReplaceChildrenOptions,
};

/// Has filters ask their conditions one after another. What a condition says of the values of rows is not seen in it any more, so this comes when
/// all is decided that is decided by it; and what is known of a filter's rows stays what it was.
#[derive(Debug)]
pub(super) struct CheapFirst;

impl PhysicalOptimizerRule for CheapFirst {
    fn name(&self) -> &str {
        "cheap_first"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        cheap_first(plan)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn cheap_first(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let children: Vec<_> = plan.children().into_iter().map(Arc::clone).collect();
    let mut changed = false;
    let mut others = Vec::with_capacity(children.len());
    for child in children {
        let other = cheap_first(Arc::clone(&child))?;
        changed |= !Arc::ptr_eq(&other, &child);
        others.push(other);
    }
    let plan = match changed {
        true => plan.replace_children(others, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep))?,
        false => plan,
    };
    // That one value is left of a column is part of what is known of an order.
    let filter =
        plan.downcast_ref::<FilterExec>().filter(|filter| filter.input().output_ordering().is_none());
    let Some(filter) = filter else { return Ok(plan) };
    match Connected::of(filter.predicate(), &filter.input().schema())? {
        Some(predicate) => {
            Ok(Arc::new(FilterExecBuilder::from(filter).with_predicate(Arc::new(predicate)).build()?))
        }
        None => Ok(plan),
    }
}

/// Conditions of which all, or any, have to be true.
#[derive(Debug)]
struct Connected {
    is_all: bool,
    /// In the order in which they are asked.
    parts: Vec<Part>,
    is_cheap: bool,
}

/// One of them.
#[derive(Debug)]
struct Part {
    condition: Arc<dyn PhysicalExpr>,
    /// The same over the columns alone that it looks at, and the places of these; nothing if it is asked of all rows.
    of_few: Option<(Arc<dyn PhysicalExpr>, Vec<usize>)>,
}

impl Connected {
    /// The conditions that an expression connects; nothing if it connects none.
    fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<Self>> {
        let operator = match expr.downcast_ref::<BinaryExpr>().map(BinaryExpr::op) {
            Some(operator @ (Operator::And | Operator::Or)) => *operator,
            _ => return Ok(None),
        };
        let (mut cheap, mut dear) = (Vec::new(), Vec::new());
        let mut left = vec![expr];
        while let Some(next) = left.pop() {
            match next.downcast_ref::<BinaryExpr>() {
                Some(binary) if *binary.op() == operator => left.extend([binary.right(), binary.left()]),
                _ => {
                    let inner = Self::of(next, schema)?;
                    let is_cheap =
                        inner.as_ref().map_or_else(|| is_cheap(next, schema), |inner| inner.is_cheap);
                    let condition = inner.map_or_else(|| Arc::clone(next), |inner| Arc::new(inner) as _);
                    if is_cheap { cheap.push(condition) } else { dear.push(condition) }
                }
            }
        }
        let is_cheap = dear.is_empty();
        let cheap = cheap.into_iter().map(|condition| Part::new(condition, true));
        let parts = cheap.chain(dear.into_iter().map(|condition| Part::new(condition, false)));
        let parts = parts.collect::<Result<_>>()?;
        Ok(Some(Self { is_all: operator == Operator::And, parts, is_cheap }))
    }
}

/// Whether a condition compares columns with one another or with values, and these are of a kind that is compared quickly.
fn is_cheap(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let is_given = |expr: &Arc<dyn PhysicalExpr>| {
        let is_one = expr.downcast_ref::<Column>().is_some() || expr.downcast_ref::<Literal>().is_some();
        is_one && expr.data_type(schema).is_ok_and(|kind| !kind.is_nested())
    };
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        return binary.op().supports_propagation() && is_given(binary.left()) && is_given(binary.right());
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return is_cheap(not.arg(), schema);
    }
    let of_null = expr.downcast_ref::<IsNullExpr>().map(IsNullExpr::arg);
    let of_null = of_null.or_else(|| expr.downcast_ref::<IsNotNullExpr>().map(IsNotNullExpr::arg));
    is_given(of_null.unwrap_or(expr))
}

impl Part {
    fn new(condition: Arc<dyn PhysicalExpr>, is_cheap: bool) -> Result<Self> {
        let mut places: Vec<usize> = collect_columns(&condition).iter().map(Column::index).collect();
        places.sort_unstable();
        places.dedup();
        if is_cheap || places.is_empty() {
            return Ok(Self { condition, of_few: None });
        }
        let of_few = Arc::clone(&condition).transform(|expr| {
            let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
            let place = places.binary_search(&column.index()).unwrap_or_default();
            Ok(Transformed::yes(Arc::new(Column::new(column.name(), place)) as _))
        });
        Ok(Self { condition, of_few: Some((of_few.data()?, places)) })
    }

    /// For which rows the condition is true. Nothing has to be known of rows that are not open.
    fn true_rows(&self, batch: &RecordBatch, open: &BooleanBuffer, count: usize) -> Result<BooleanBuffer> {
        let rows = batch.num_rows();
        let Some((condition, places)) = self.of_few.as_ref().filter(|_| count < rows) else {
            return true_rows(self.condition.evaluate(batch)?, rows);
        };
        let wanted = BooleanArray::new(open.clone(), None);
        let few = filter_record_batch(&batch.project(places)?, &wanted)?;
        let found = true_rows(condition.evaluate(&few)?, few.num_rows())?;
        let mut bits = MutableBuffer::new_null(rows);
        for (at, row) in open.set_indices().enumerate() {
            if found.value(at) {
                bit_util::set_bit(bits.as_slice_mut(), row);
            }
        }
        Ok(BooleanBuffer::new(bits.into(), 0, rows))
    }
}

/// The rows for which an answer is true.
pub(super) fn true_rows(answer: ColumnarValue, rows: usize) -> Result<BooleanBuffer> {
    match answer {
        ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))) => Ok(BooleanBuffer::new_set(rows)),
        ColumnarValue::Scalar(ScalarValue::Boolean(_) | ScalarValue::Null) => {
            Ok(BooleanBuffer::new_unset(rows))
        }
        ColumnarValue::Array(found) if found.data_type() == &DataType::Boolean => {
            let found = found.as_boolean();
            Ok(match found.nulls() {
                Some(nulls) => found.values() & nulls.inner(),
                None => found.values().clone(),
            })
        }
        _ => internal_err!("a condition is true or false"),
    }
}

impl PhysicalExpr for Connected {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        // The rows that are not decided yet: for all, those that none has thrown away; for any, those that none has taken.
        let mut open = BooleanBuffer::new_set(rows);
        for part in &self.parts {
            let count = open.count_set_bits();
            if count == 0 {
                break;
            }
            let found = part.true_rows(batch, &open, count)?;
            open = if self.is_all { &open & &found } else { &open & &!&found };
        }
        let found = if self.is_all { open } else { !&open };
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(found, None))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.parts.iter().map(|part| &part.condition).collect()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let parts = children.into_iter().zip(&self.parts);
        let parts = parts.map(|(condition, before)| Part::new(condition, before.of_few.is_none()));
        let parts = parts.collect::<Result<_>>()?;
        Ok(Arc::new(Self { is_all: self.is_all, parts, is_cheap: self.is_cheap }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Connected {
    fn eq(&self, other: &Self) -> bool {
        self.is_all == other.is_all && self.children() == other.children()
    }
}

impl Eq for Connected {}

impl Hash for Connected {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.is_all.hash(state);
        self.children().hash(state);
    }
}

impl fmt::Display for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.parts.iter().enumerate() {
            let word = if self.is_all { " AND " } else { " OR " };
            f.write_str(if at == 0 { "" } else { word })?;
            match part.condition.downcast_ref::<Self>() {
                Some(inner) if self.is_all => write!(f, "({inner})")?,
                _ => write!(f, "{}", part.condition)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringViewArray};
    use datafusion::physical_expr::expressions::{CastExpr, binary, col, like, lit};

    use super::*;

    type Condition = Arc<dyn PhysicalExpr>;

    fn batch() -> RecordBatch {
        let rows = 0..1000_i64;
        let a = rows.clone().map(|row| (row % 7 != 3).then_some(row * 37 % 101));
        let b = rows
            .map(|row| (row % 5 != 2).then(|| format!("{}{}", row % 13, ["x", "yy", ""][row as usize % 3])));
        let a: ArrayRef = Arc::new(Int64Array::from_iter(a));
        let b: ArrayRef = Arc::new(StringViewArray::from_iter(b));
        RecordBatch::try_from_iter_with_nullable([("a", a, true), ("b", b, true)]).unwrap()
    }

    fn joined(left: Condition, operator: Operator, right: Condition, schema: &Schema) -> Condition {
        binary(left, operator, right, schema).unwrap()
    }

    /// A condition that some digits stand for.
    fn condition(digits: &mut impl Iterator<Item = u64>, depth: usize, schema: &Schema) -> Condition {
        let (a, b) = (col("a", schema).unwrap(), col("b", schema).unwrap());
        let mut next = |below: u64| digits.next().unwrap() % below;
        match next(if depth == 0 { 5 } else { 9 }) {
            0 => joined(a, Operator::Lt, lit(next(101) as i64), schema),
            1 => joined(b, Operator::NotEq, lit(ScalarValue::Utf8View(Some(next(13).to_string()))), schema),
            2 => like(false, false, b, lit(ScalarValue::Utf8View(Some(format!("{}%y%", next(3))))), schema)
                .unwrap(),
            3 => Arc::new(IsNullExpr::new(a)),
            4 => Arc::new(NotExpr::new(joined(a, Operator::Gt, lit(next(101) as i64), schema))),
            kind => {
                let operator = if kind < 7 { Operator::And } else { Operator::Or };
                let left = condition(digits, depth - 1, schema);
                joined(left, operator, condition(digits, depth - 1, schema), schema)
            }
        }
    }

    #[test]
    fn the_rows_are_those_of_the_engine() {
        let batch = batch();
        let schema = batch.schema();
        let mut state = 1_u64;
        let mut digits = std::iter::from_fn(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Some(state >> 33)
        });
        let mut connected = 0;
        for _ in 0..400 {
            let asked = condition(&mut digits, 4, &schema);
            let Some(ours) = Connected::of(&asked, &schema).unwrap() else { continue };
            connected += 1;
            let rows = batch.num_rows();
            let expected = true_rows(asked.evaluate(&batch).unwrap(), rows).unwrap();
            assert_eq!(true_rows(ours.evaluate(&batch).unwrap(), rows).unwrap(), expected, "{asked}");
            let again = Arc::new(ours);
            let children = again.children().into_iter().cloned().collect();
            let again = again.with_new_children(children).unwrap();
            assert_eq!(true_rows(again.evaluate(&batch).unwrap(), rows).unwrap(), expected, "{asked}");
        }
        assert!(connected > 100);
    }

    #[test]
    fn what_fails_is_not_asked_of_rows_that_are_gone() {
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec!["1", "one", "20", "30"]));
        let batch = RecordBatch::try_from_iter([("t", texts)]).unwrap();
        let schema = batch.schema();
        let t = || col("t", &schema).unwrap();
        let number = || Arc::new(CastExpr::new(t(), DataType::Int64, None));
        let is_many = || joined(number(), Operator::Gt, lit(10_i64), &schema);
        let is_word =
            || joined(t(), Operator::NotEq, lit(ScalarValue::Utf8View(Some("one".into()))), &schema);
        let asked = joined(is_many(), Operator::And, is_word(), &schema);
        assert!(asked.evaluate(&batch).is_err());

        let ours = Connected::of(&asked, &schema).unwrap().unwrap();

        let found = true_rows(ours.evaluate(&batch).unwrap(), 4).unwrap();
        assert_eq!(found.set_indices().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(ours.to_string(), "t@0 != one AND CAST(t@0 AS Int64) > 10");
        assert!(Connected::of(&is_word(), &schema).unwrap().is_none());

        // Also within another condition, which is asked of few rows itself.
        let asked = joined(
            joined(Arc::new(NotExpr::new(is_word())), Operator::Or, is_many(), &schema),
            Operator::And,
            like(false, false, t(), lit(ScalarValue::Utf8View(Some("%n%".into()))), &schema).unwrap(),
            &schema,
        );
        let asked = joined(
            like(false, false, t(), lit(ScalarValue::Utf8View(Some("_%".into()))), &schema).unwrap(),
            Operator::And,
            asked,
            &schema,
        );
        let ours = Connected::of(&asked, &schema).unwrap().unwrap();
        let found = true_rows(ours.evaluate(&batch).unwrap(), 4).unwrap();
        assert_eq!(found.set_indices().collect::<Vec<_>>(), [1]);
    }
}
