//! Which value has a share of the others below it?
//!
//! `percentile_cont(0.9)` lies between two values, as far as the share says (SQL:2003, inverse distribution functions). The
//! engine cuts that to six digits. Its accumulators keep the values, as state; the answer is worked out here.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, ColumnarValue, EmitTo, GroupsAccumulator};

/// Which value is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    of: f64,
    is_descending: bool,
}

impl Share {
    /// What a call of `percentile_cont` asks for. The engine has seen to it that the share is a constant from 0 to 1.
    pub(super) fn asked(args: &AccumulatorArgs) -> Result<Self> {
        let nothing = RecordBatch::new_empty(Schema::empty().into());
        let share = match args.exprs.get(1).map(|share| share.evaluate(&nothing)).transpose()? {
            Some(ColumnarValue::Scalar(share)) => share.cast_to(&DataType::Float64)?,
            _ => return exec_err!("the share of a percentile is a number from 0 to 1"),
        };
        let ScalarValue::Float64(Some(of)) = share else {
            return exec_err!("the share of a percentile is a number from 0 to 1");
        };
        let is_descending = args.order_bys.first().is_some_and(|by| by.options.descending);
        Ok(Self { of, is_descending })
    }

    /// The value, or nothing if there are none.
    fn among(self, values: &ArrayRef) -> Result<Option<f64>> {
        let values = cast(values, &DataType::Float64)?;
        let mut values: Vec<f64> = values.as_primitive::<Float64Type>().iter().flatten().collect();
        let Some(last) = values.len().checked_sub(1) else { return Ok(None) };
        let place = self.of * last as f64;
        let below = (place.floor() as usize).min(last);
        let fraction = place - below as f64;
        let order = |one: &f64, other: &f64| match self.is_descending {
            false => one.total_cmp(other),
            true => other.total_cmp(one),
        };
        let (_, value, after) = values.select_nth_unstable_by(below, order);
        let value = *value;
        let next = after.iter().copied().min_by(|one, other| order(one, other));
        Ok(Some(match next {
            Some(next) if fraction > 0.0 => value + (next - value) * fraction,
            _ => value,
        }))
    }
}

/// The engine's accumulator, asked for its values.
#[derive(Debug)]
pub(super) struct Exact {
    pub(super) inner: Box<dyn Accumulator>,
    pub(super) share: Share,
    /// Whether it is of distinct values, which stay where they are when they are asked for.
    pub(super) is_distinct: bool,
    /// The type of the answer.
    pub(super) of: DataType,
}

impl Accumulator for Exact {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let state = self.inner.state()?;
        let [state] = &state[..] else { return exec_err!("a percentile keeps one list") };
        let list = state.to_array()?;
        // A window asks again after more rows. Distinct values would be counted once more, and outlast their rows.
        if !self.is_distinct {
            self.inner.merge_batch(&[std::sync::Arc::clone(&list)])?;
        }
        let values = list.as_list::<i32>().value(0);
        ScalarValue::Float64(self.share.among(&values)?).cast_to(&self.of)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.inner.size()
    }
}

/// The same for many groups.
pub(super) struct ExactGroups {
    pub(super) inner: Box<dyn GroupsAccumulator>,
    pub(super) share: Share,
    /// The type of the answers.
    pub(super) of: DataType,
}

impl GroupsAccumulator for ExactGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.update_batch(values, group_indices, filter, total_num_groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.merge_batch(values, group_indices, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let state = self.inner.state(emit_to)?;
        let [lists] = &state[..] else { return exec_err!("a percentile keeps one list") };
        let lists = lists.as_list::<i32>();
        let mut answers = Float64Array::builder(lists.len());
        for group in 0..lists.len() {
            let answer = if lists.is_null(group) { None } else { self.share.among(&lists.value(group))? };
            answers.append_option(answer);
        }
        Ok(cast(&answers.finish(), &self.of)?)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_share_lies_between_two_values() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(1e7), None, Some(1.0)]));
        for (of, is_descending, value) in [
            (0.9, true, 1_000_000.9),
            (0.9, false, 9_000_000.1),
            (0.0, false, 1.0),
            (1.0, false, 1e7),
            (1.0, true, 1.0),
        ] {
            let found = Share { of, is_descending }.among(&values).unwrap().unwrap();
            assert!((found - value).abs() < 1e-8, "{of}: {found}");
        }
        let none: ArrayRef = Arc::new(Float64Array::new_null(2));
        assert_eq!(Share { of: 0.5, is_descending: false }.among(&none).unwrap(), None);
    }
}
