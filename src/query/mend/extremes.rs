//! Which is the largest of some doubles, for each group?
//!
//! NaN, if it is among them, and else the largest, be it minus infinity; the smallest is NaN only where there is nothing else. The
//! engine's groups forget what came before a NaN, and know nothing below the smallest finite number. Here they are asked of whole
//! numbers that are in the order of the doubles.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type, Int32Type, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs,
};

/// The aggregates that look for the largest and the smallest.
pub(super) const NAMES: [&str; 2] = ["max", "min"];

/// The aggregate `inner`, which knows NaN and the infinities.
pub(super) fn of_all(inner: Arc<AggregateUDF>) -> AggregateUDF {
    AggregateUDF::from(Extreme { inner })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(fields)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let whole = match args.return_field.data_type() {
            DataType::Float64 => DataType::Int64,
            DataType::Float32 => DataType::Int32,
            _ => return self.inner.create_groups_accumulator(args),
        };
        let return_field = Arc::new(Field::new(args.return_field.name(), whole, true));
        let inner = self.inner.create_groups_accumulator(AccumulatorArgs { return_field, ..args })?;
        Ok(Box::new(InOrder { inner }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_udf()
    }

    fn value_from_stats(&self, args: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.value_from_stats(args)
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// Groups of doubles, kept as whole numbers in the same order.
struct InOrder {
    inner: Box<dyn GroupsAccumulator>,
}

impl GroupsAccumulator for InOrder {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.update_batch(&ranked(values), group_indices, filter, total_num_groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.merge_batch(&ranked(values), group_indices, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(doubles(&self.inner.evaluate(emit_to)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(self.inner.state(emit_to)?.iter().map(doubles).collect())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        Ok(self.inner.convert_to_state(&ranked(values), filter)?.iter().map(doubles).collect())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.inner.size()
    }
}

/// Whole numbers in the order of these doubles; NaN is the largest.
fn ranked(values: &[ArrayRef]) -> Vec<ArrayRef> {
    let each = |values: &ArrayRef| -> ArrayRef {
        match values.data_type() {
            DataType::Float32 => {
                Arc::new(values.as_primitive::<Float32Type>().unary::<_, Int32Type>(|value| {
                    let value = if value.is_nan() { f32::NAN } else { value };
                    turned_32(value.to_bits().cast_signed())
                }))
            }
            _ => Arc::new(values.as_primitive::<Float64Type>().unary::<_, Int64Type>(|value| {
                let value = if value.is_nan() { f64::NAN } else { value };
                turned_64(value.to_bits().cast_signed())
            })),
        }
    };
    values.iter().map(each).collect()
}

/// The doubles again.
fn doubles(ranks: &ArrayRef) -> ArrayRef {
    match ranks.data_type() {
        DataType::Int32 => Arc::new(
            ranks
                .as_primitive::<Int32Type>()
                .unary::<_, Float32Type>(|rank| f32::from_bits(turned_32(rank).cast_unsigned())),
        ),
        _ => Arc::new(
            ranks
                .as_primitive::<Int64Type>()
                .unary::<_, Float64Type>(|rank| f64::from_bits(turned_64(rank).cast_unsigned())),
        ),
    }
}

/// Turns the order of what is below zero around; done twice, it is as it was.
fn turned_64(bits: i64) -> i64 {
    bits ^ ((bits >> 63) & i64::MAX)
}

/// The same of half as many bits.
fn turned_32(bits: i32) -> i32 {
    bits ^ ((bits >> 31) & i32::MAX)
}

#[cfg(test)]
mod tests {
    use arrow::array::Float64Array;

    use super::*;

    #[test]
    fn ranks_are_in_the_order_of_doubles_and_become_them_again() {
        let sorted = [f64::NEG_INFINITY, f64::MIN, -1.5, -0.0, 0.0, 1e-300, 2.0, f64::INFINITY];
        let values: ArrayRef = Arc::new(Float64Array::from(sorted.to_vec()));
        let [ranks] = &ranked(&[Arc::clone(&values)])[..] else { panic!("one list") };
        assert!(ranks.as_primitive::<Int64Type>().values().is_sorted());
        assert_eq!(&doubles(ranks), &values);
        let odd: ArrayRef = Arc::new(Float64Array::from(vec![f64::INFINITY, -f64::NAN]));
        let [ranks] = &ranked(&[odd])[..] else { panic!("one list") };
        assert!(ranks.as_primitive::<Int64Type>().values().is_sorted());
    }
}
