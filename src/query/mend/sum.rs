//! What is the sum of numbers that outgrows their type?
//!
//! An error, whatever the order in which they are added. The engine's `sum` wraps around. [`CheckedSum`] adds
//! in 128 bits, where 2⁶³ rows of the largest bigint fit, and looks at the end whether the answer fits
//! its type: bigint, ubigint, or a decimal of 38 digits. Everything else is summed by the engine.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, ListArray, PrimitiveArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type};
use datafusion::common::types::{NativeType, logical_boolean, logical_int64};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, internal_err};
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Coercion, EmitTo, Expr, GroupsAccumulator, Operator, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs, TypeSignature, TypeSignatureClass,
};

/// How sums are kept until they are whole.
const STATE: DataType = DataType::Decimal128(38, 0);

/// `sum`, which never wraps around.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CheckedSum {
    inner: Sum,
    signature: Signature,
}

impl CheckedSum {
    pub(super) fn new() -> Self {
        let inner = Sum::new();
        let mut signatures = match &inner.signature().type_signature {
            TypeSignature::OneOf(all) => all.clone(),
            one => vec![one.clone()],
        };
        // How often something is true.
        let booleans = vec![TypeSignatureClass::Native(logical_boolean())];
        let whole = TypeSignatureClass::Native(logical_int64());
        let counted = Coercion::new_implicit(whole, booleans, NativeType::Int64);
        signatures.push(TypeSignature::Coercible(vec![counted]));
        let signature = Signature::one_of(signatures, inner.signature().volatility);
        Self { inner, signature }
    }
}

/// Whether a sum of this type is ours.
fn is_checked(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..))
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if types == [DataType::Null] {
            return Ok(DataType::Int64);
        }
        self.inner.return_type(types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = args.return_field.data_type();
        match (is_checked(data_type), args.is_distinct) {
            (true, true) => Ok(Box::new(DistinctSum { seen: HashSet::new(), data_type: data_type.clone() })),
            (true, false) => Ok(Box::new(RunningSum { total: 0, count: 0, data_type: data_type.clone() })),
            (false, _) => self.inner.accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match is_checked(args.return_field.data_type()) && !args.is_distinct {
            true => self.accumulator(args),
            false => self.inner.create_sliding_accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if !is_checked(args.return_type()) {
            return self.inner.state_fields(args);
        }
        Ok(vec![Arc::new(if args.is_distinct {
            let item = Field::new_list_field(STATE, true);
            Field::new_list(format_state_name(args.name, "sum distinct"), item, false)
        } else {
            Field::new(format_state_name(args.name, "sum"), STATE, true)
        })])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let data_type = args.return_field.data_type();
        match is_checked(data_type) {
            true => Ok(Box::new(GroupSums::new(data_type))),
            false => self.inner.create_groups_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.set_monotonicity(data_type)
    }

    fn value_from_stats(&self, args: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.value_from_stats(args)
    }

    /// The engine would add the literal afterwards, once for each row, and could wrap around there.
    fn simplify_expr_op_literal(
        &self,
        _function: &AggregateFunction,
        _arg: &Expr,
        _op: Operator,
        _literal: &Expr,
        _arg_is_left: bool,
    ) -> Result<Option<Expr>> {
        Ok(None)
    }
}

/// Gives each number of an array to `each`, with its row.
fn for_each(array: &ArrayRef, mut each: impl FnMut(usize, i128) -> Result<()>) -> Result<()> {
    macro_rules! walk {
        ($type:ty) => {{
            let array = array.as_primitive::<$type>();
            match array.nulls() {
                None => array
                    .values()
                    .iter()
                    .enumerate()
                    .try_for_each(|(row, value)| each(row, i128::from(*value))),
                Some(nulls) => {
                    nulls.valid_indices().try_for_each(|row| each(row, i128::from(array.value(row))))
                }
            }
        }};
    }
    match array.data_type() {
        DataType::Int64 => walk!(Int64Type),
        DataType::UInt64 => walk!(UInt64Type),
        DataType::Decimal128(..) => walk!(Decimal128Type),
        DataType::Null => Ok(()),
        other => internal_err!("sum was not coerced: {other}"),
    }
}

/// Groups up to which rows take turns at several totals: a processor waits for a total that it has just written.
const FEW: usize = 64;
/// How many totals a group has then.
const TURNS: usize = 4;

/// Adds numbers, none of them null, each to the total of its group. That one outgrew 128 bits is told at the end: the query
/// fails, and totals count no more.
fn add_each<T: Copy>(totals: &mut [i128], values: &[T], groups: &[usize]) -> Result<()>
where
    i128: From<T>,
{
    if totals.len() <= FEW
        && values.len() > TURNS * FEW
        && let Some(sums) = in_turns(totals, values, groups)
    {
        totals.copy_from_slice(&sums);
        return Ok(());
    }
    let mut outgrown = false;
    for (value, group) in values.iter().zip(groups) {
        let total = &mut totals[*group];
        let (sum, over) = total.overflowing_add(i128::from(*value));
        *total = sum;
        outgrown |= over;
    }
    if outgrown { Err(too_large()) } else { Ok(()) }
}

/// What the totals of a few groups become; nothing if one of several that a group has for the moment is outgrown, which the total of
/// all need not be.
fn in_turns<T: Copy>(totals: &[i128], values: &[T], groups: &[usize]) -> Option<Vec<i128>>
where
    i128: From<T>,
{
    let mut parts = vec![0_i128; TURNS * FEW];
    let mut outgrown = false;
    let mut add = |turn: usize, value: T, group: usize| {
        let part = &mut parts[turn * FEW + group];
        let (sum, over) = part.overflowing_add(i128::from(value));
        *part = sum;
        outgrown |= over;
    };
    let (values, groups) = (values.chunks_exact(TURNS), groups.chunks_exact(TURNS));
    let rest = values.remainder().iter().zip(groups.remainder());
    for (values, groups) in values.zip(groups) {
        for turn in 0..TURNS {
            add(turn, values[turn], groups[turn]);
        }
    }
    rest.for_each(|(value, group)| add(0, *value, *group));
    if outgrown {
        return None;
    }
    let of_group = |(group, total): (usize, &i128)| {
        (0..TURNS).try_fold(*total, |sum, turn| sum.checked_add(parts[turn * FEW + group]))
    };
    totals.iter().enumerate().map(of_group).collect()
}

/// The same of one total.
fn add_all<T: Copy>(total: i128, values: &[T]) -> Result<i128>
where
    i128: From<T>,
{
    let (sum, outgrown) = values.iter().fold((total, false), |(total, outgrown), value| {
        let (sum, over) = total.overflowing_add(i128::from(*value));
        (sum, outgrown | over)
    });
    if outgrown { Err(too_large()) } else { Ok(sum) }
}

fn plus(total: i128, value: i128) -> Result<i128> {
    total.checked_add(value).ok_or_else(too_large)
}

fn too_large() -> DataFusionError {
    DataFusionError::Execution("the sum is too large for its type".to_owned())
}

/// The sum as its type holds it, or the error that it does not.
fn finished(total: Option<i128>, data_type: &DataType) -> Result<ScalarValue> {
    let fits = |digits: u8| total.is_none_or(|total| total.unsigned_abs() < 10_u128.pow(u32::from(digits)));
    Ok(match data_type {
        DataType::Int64 => ScalarValue::Int64(total.map(i64::try_from).transpose().map_err(|_| too_large())?),
        DataType::UInt64 => {
            ScalarValue::UInt64(total.map(u64::try_from).transpose().map_err(|_| too_large())?)
        }
        DataType::Decimal128(precision, scale) if fits(*precision) => {
            ScalarValue::Decimal128(total, *precision, *scale)
        }
        _ => return exec_err!("the sum is too large for its type"),
    })
}

fn state(total: Option<i128>) -> ScalarValue {
    ScalarValue::Decimal128(total, 38, 0)
}

/// One sum; values may leave it again, as they do when a window moves on.
#[derive(Debug)]
struct RunningSum {
    total: i128,
    /// How many values are in it.
    count: u64,
    data_type: DataType,
}

impl RunningSum {
    fn known(&self) -> Option<i128> {
        (self.count > 0).then_some(self.total)
    }
}

impl Accumulator for RunningSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = &values[0];
        if values.null_count() == 0 {
            self.total = match values.data_type() {
                DataType::Null => return Ok(()),
                DataType::Int64 => add_all(self.total, values.as_primitive::<Int64Type>().values())?,
                DataType::UInt64 => add_all(self.total, values.as_primitive::<UInt64Type>().values())?,
                DataType::Decimal128(..) => {
                    add_all(self.total, values.as_primitive::<Decimal128Type>().values())?
                }
                other => return internal_err!("sum was not coerced: {other}"),
            };
            self.count += values.len() as u64;
            return Ok(());
        }
        for_each(values, |_, value| {
            self.total = plus(self.total, value)?;
            self.count += 1;
            Ok(())
        })
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for_each(&values[0], |_, value| {
            self.total = self.total.checked_sub(value).ok_or_else(too_large)?;
            self.count -= 1;
            Ok(())
        })
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![state(self.known())])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        finished(self.known(), &self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sum of the different values.
#[derive(Debug)]
struct DistinctSum {
    seen: HashSet<i128>,
    data_type: DataType,
}

impl Accumulator for DistinctSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for_each(&values[0], |_, value| {
            self.seen.insert(value);
            Ok(())
        })
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists: &ListArray = states[0].as_list();
        lists.iter().flatten().try_for_each(|values| self.update_batch(&[values]))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<ScalarValue> = self.seen.iter().map(|value| state(Some(*value))).collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list(&values, &STATE, true))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let total = self.seen.iter().try_fold(0, |total, value| plus(total, *value))?;
        finished((!self.seen.is_empty()).then_some(total), &self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.seen.capacity() * size_of::<i128>()
    }
}

/// Sums as numbers of a type; an error if one of them does not fit it.
fn fitting<T: ArrowPrimitiveType>(sums: &Decimal128Array) -> Result<PrimitiveArray<T>>
where
    T::Native: TryFrom<i128>,
{
    let fitting = sums.values().iter().map(|sum| T::Native::try_from(*sum));
    let fitting = fitting.collect::<std::result::Result<Vec<_>, _>>().map_err(|_| too_large())?;
    Ok(PrimitiveArray::new(fitting.into(), sums.nulls().cloned()))
}

/// A sum for each group.
#[derive(Debug)]
struct GroupSums {
    totals: Vec<i128>,
    /// Whether the group has seen a value.
    seen: Vec<bool>,
    /// How many have seen none.
    unseen: usize,
    data_type: DataType,
}

impl GroupSums {
    fn new(data_type: &DataType) -> Self {
        Self { totals: Vec::new(), seen: Vec::new(), unseen: 0, data_type: data_type.clone() }
    }

    /// Adds numbers none of which is null or left out.
    fn add_each(&mut self, values: &ArrayRef, groups: &[usize]) -> Result<()> {
        let totals = &mut self.totals;
        match values.data_type() {
            DataType::Null => return Ok(()),
            DataType::Int64 => add_each(totals, values.as_primitive::<Int64Type>().values(), groups)?,
            DataType::UInt64 => add_each(totals, values.as_primitive::<UInt64Type>().values(), groups)?,
            DataType::Decimal128(..) => {
                add_each(totals, values.as_primitive::<Decimal128Type>().values(), groups)?;
            }
            other => return internal_err!("sum was not coerced: {other}"),
        }
        // Soon all groups have seen one, and nobody has to look any more.
        if self.unseen > 0 {
            for group in groups {
                self.unseen -= usize::from(!std::mem::replace(&mut self.seen[*group], true));
            }
        }
        Ok(())
    }

    /// The sums of groups, in the memory in which they were added up.
    fn take(&mut self, emit: EmitTo) -> Decimal128Array {
        let totals = emit.take_needed(&mut self.totals);
        let seen = emit.take_needed(&mut self.seen);
        let nulls = (self.unseen > 0).then(|| NullBuffer::from(seen)).filter(|nulls| nulls.null_count() > 0);
        self.unseen -= nulls.as_ref().map_or(0, NullBuffer::null_count);
        Decimal128Array::new(totals.into(), nulls)
    }
}

impl GroupsAccumulator for GroupSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> Result<()> {
        self.unseen += total_groups.saturating_sub(self.seen.len());
        self.totals.resize(total_groups, 0);
        self.seen.resize(total_groups, false);
        if filter.is_none() && values[0].null_count() == 0 {
            return self.add_each(&values[0], groups);
        }
        for_each(&values[0], |row, value| {
            if filter.is_some_and(|filter| !filter.is_valid(row) || !filter.value(row)) {
                return Ok(());
            }
            let group = groups[row];
            self.totals[group] = plus(self.totals[group], value)?;
            self.unseen -= usize::from(!std::mem::replace(&mut self.seen[group], true));
            Ok(())
        })
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total_groups: usize) -> Result<()> {
        self.update_batch(values, groups, None, total_groups)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        // A group that has seen nothing has a sum of 0, which fits.
        let sums = self.take(emit);
        Ok(match &self.data_type {
            DataType::Int64 => Arc::new(fitting::<Int64Type>(&sums)?),
            DataType::UInt64 => Arc::new(fitting::<UInt64Type>(&sums)?),
            DataType::Decimal128(precision, scale) => {
                sums.validate_decimal_precision(*precision).map_err(|_| too_large())?;
                Arc::new(sums.with_precision_and_scale(*precision, *scale)?)
            }
            other => return internal_err!("sum was not coerced: {other}"),
        })
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = self.take(emit);
        Ok(vec![Arc::new(sums.with_data_type(STATE))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut single = Self::new(&self.data_type);
        let rows = values[0].len();
        single.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
        single.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.totals.capacity() * size_of::<i128>() + self.seen.capacity()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, UInt64Array};
    use proptest::prelude::*;

    use super::*;

    /// Sums as they are told in words: one value after another, each looked at.
    fn told(values: &[Option<i128>], groups: &[usize], all: usize) -> Option<Vec<Option<i128>>> {
        let mut sums: Vec<Option<i128>> = vec![None; all];
        for (value, group) in values.iter().zip(groups) {
            if let Some(value) = value {
                sums[*group] = Some(sums[*group].unwrap_or(0).checked_add(*value)?);
            }
        }
        Some(sums)
    }

    fn array(data_type: &DataType, values: &[Option<i128>]) -> ArrayRef {
        match data_type {
            DataType::Int64 => {
                Arc::new(values.iter().map(|value| value.map(|value| value as i64)).collect::<Int64Array>())
            }
            DataType::UInt64 => {
                Arc::new(values.iter().map(|value| value.map(|value| value as u64)).collect::<UInt64Array>())
            }
            other => {
                Arc::new(values.iter().copied().collect::<Decimal128Array>().with_data_type(other.clone()))
            }
        }
    }

    fn values_of(data_type: &DataType) -> BoxedStrategy<i128> {
        match data_type {
            DataType::Int64 => prop_oneof![
                any::<i64>().prop_map(i128::from),
                Just(i128::from(i64::MAX)),
                Just(i128::from(i64::MIN))
            ]
            .boxed(),
            DataType::UInt64 => {
                prop_oneof![any::<u64>().prop_map(i128::from), Just(i128::from(u64::MAX))].boxed()
            }
            _ => prop_oneof![any::<i64>().prop_map(i128::from), any::<i128>(), Just(i128::MAX)].boxed(),
        }
    }

    proptest! {
        /// With nulls or without, in however many batches: the sums are the same, or an error all the same.
        #[test]
        fn sums_by_groups_are_those_of_adding_one_by_one(
            (data_type, batches) in prop::sample::select(vec![
                DataType::Int64,
                DataType::UInt64,
                DataType::Decimal128(38, 2),
            ])
            .prop_flat_map(|data_type| {
                let value = values_of(&data_type);
                let plain = prop::collection::vec((value.clone().prop_map(Some), 0..5_usize), 0..20).boxed();
                let holes = prop::collection::vec((prop::option::of(value), 0..5_usize), 0..20).boxed();
                (Just(data_type), prop::collection::vec(prop_oneof![plain, holes], 1..4))
            }),
            emitted in 0..5_usize,
        ) {
            let mut sums = GroupSums::new(&data_type);
            let mut outgrown = false;
            for (at, batch) in batches.iter().enumerate() {
                let (values, groups): (Vec<_>, Vec<_>) = batch.iter().cloned().unzip();
                // Groups become known as they are seen.
                let known = if at + 1 == batches.len() { 5 } else { groups.iter().max().map_or(0, |most| most + 1).max(sums.seen.len()) };
                outgrown |= sums.update_batch(&[array(&data_type, &values)], &groups, None, known).is_err();
            }
            let (values, groups): (Vec<_>, Vec<_>) = batches.iter().flatten().cloned().unzip();
            let expected = told(&values, &groups, 5);
            prop_assert_eq!(outgrown, expected.is_none());
            let mut one = RunningSum { total: 0, count: 0, data_type: data_type.clone() };
            let alone: Result<()> = batches.iter().try_for_each(|batch| {
                let values: Vec<_> = batch.iter().map(|(value, _)| *value).collect();
                one.update_batch(&[array(&data_type, &values)])
            });
            let whole = told(&values, &vec![0; values.len()], 1);
            prop_assert_eq!(alone.is_err(), whole.is_none());
            if let Some(whole) = whole {
                prop_assert_eq!(one.known(), whole[0]);
            }
            if let Some(expected) = expected {
                // What was handed out is gone, the others are where they were.
                prop_assert_eq!(sums.take(EmitTo::First(emitted)).iter().collect::<Vec<_>>(), expected[..emitted].to_vec());
                prop_assert_eq!(sums.unseen, expected[emitted..].iter().filter(|sum| sum.is_none()).count());
                prop_assert_eq!(sums.take(EmitTo::All).iter().collect::<Vec<_>>(), expected[emitted..].to_vec());
            }
        }

        /// Few groups of many rows, some of them as large as can be.
        #[test]
        fn sums_that_take_turns_are_the_same(
            rows in prop::collection::vec((prop_oneof![9 => any::<i64>().prop_map(i128::from), 1 => any::<i128>()], 0..7_usize), 0..40),
        ) {
            let (values, groups): (Vec<i128>, Vec<usize>) = rows.into_iter().cycle().take(700).unzip();
            let mut totals = vec![0; 7];
            let sum = add_each(&mut totals, &values, &groups);
            let expected = told(&values.iter().map(|value| Some(*value)).collect::<Vec<_>>(), &groups, 7);
            if let Some(expected) = expected {
                prop_assert!(sum.is_ok());
                for (total, expected) in totals.iter().zip(expected) {
                    prop_assert_eq!(*total, expected.unwrap_or(0));
                }
            }
        }
    }
}
