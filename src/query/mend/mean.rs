//! What is the middle of some dates?
//!
//! An instant: `avg`, `median` and `percentile_cont` of dates and instants, as in DuckDB. The engine's aggregates are of
//! numbers; they are asked of microseconds, the average without losing any.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::types::{NativeType, logical_date, logical_float64};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, Documentation, Expr, GroupsAccumulator, Operator,
    ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs, TypeSignature, TypeSignatureClass,
};

use super::percentile::{Exact, ExactGroups, Share};

/// The aggregates that are also of dates and instants.
pub(super) const NAMES: [&str; 3] = ["avg", "median", "percentile_cont"];

/// An aggregate of numbers, also of dates and instants.
pub(super) fn of_time(inner: Arc<AggregateUDF>) -> AggregateUDF {
    let mut signatures = match &inner.signature().type_signature {
        TypeSignature::OneOf(all) => all.clone(),
        one => vec![one.clone()],
    };
    let share = || {
        let number = TypeSignatureClass::Native(logical_float64());
        Coercion::new_implicit(number, vec![TypeSignatureClass::Numeric], NativeType::Float64)
    };
    for class in [TypeSignatureClass::Timestamp, TypeSignatureClass::Native(logical_date())] {
        let mut args = vec![Coercion::new_exact(class)];
        args.extend((inner.name() == "percentile_cont").then(share));
        signatures.push(TypeSignature::Coercible(args));
    }
    let signature = Signature::one_of(signatures, inner.signature().volatility);
    AggregateUDF::from(OfTime { inner, signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfTime {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

/// The instant that the answer is, if it is of dates or instants. What is of nulls alone is counted too.
fn moment(of: &DataType) -> Option<DataType> {
    match of {
        DataType::Null => Some(DataType::Float64),
        DataType::Date32 | DataType::Date64 => Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
        DataType::Timestamp(_, zone) => Some(DataType::Timestamp(TimeUnit::Microsecond, zone.clone())),
        _ => None,
    }
}

fn renamed(field: &FieldRef, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

impl OfTime {
    /// The numbers that the engine is asked of.
    fn numbers(&self) -> DataType {
        match self.inner.name() {
            "avg" => DataType::Decimal128(19, 0),
            _ => DataType::Float64,
        }
    }
}

impl OfTime {
    /// The accumulator that `make` makes, given numbers for instants, and exact.
    fn accumulator_by(
        &self,
        args: AccumulatorArgs,
        make: impl Fn(AccumulatorArgs) -> Result<Box<dyn Accumulator>>,
    ) -> Result<Box<dyn Accumulator>> {
        let share = self.share(&args)?;
        let is_distinct = args.is_distinct;
        let exact = |inner, of: &DataType| match share {
            Some(share) => Box::new(Exact { inner, share, is_distinct, of: of.clone() }),
            None => inner,
        };
        let Some(moment) = moment(args.expr_fields[0].data_type()) else {
            let of = args.return_field.data_type().clone();
            return Ok(exact(make(args)?, &of));
        };
        let numbers = self.numbers();
        let mut fields = args.expr_fields.to_vec();
        fields[0] = renamed(&fields[0], numbers.clone());
        let types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
        let return_field = renamed(&args.return_field, self.inner.return_type(&types)?);
        let inner = self.inner.accumulator(AccumulatorArgs { return_field, expr_fields: &fields, ..args })?;
        Ok(Box::new(Counted { inner: exact(inner, &numbers), moment, numbers }))
    }

    /// The share that is asked for, if it is.
    fn share(&self, args: &AccumulatorArgs) -> Result<Option<Share>> {
        (self.inner.name() == "percentile_cont").then(|| Share::asked(args)).transpose()
    }
}

impl AggregateUDFImpl for OfTime {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match moment(&types[0]) {
            Some(moment) => Ok(moment),
            None => self.inner.return_type(types),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.accumulator_by(args, |args| self.inner.accumulator(args))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.accumulator_by(args, |args| self.inner.create_sliding_accumulator(args))
    }
    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if moment(args.input_fields[0].data_type()).is_none() {
            return self.inner.state_fields(args);
        }
        let mut fields = args.input_fields.to_vec();
        fields[0] = renamed(&fields[0], self.numbers());
        let types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
        let return_field = renamed(&args.return_field, self.inner.return_type(&types)?);
        self.inner.state_fields(StateFieldsArgs { input_fields: &fields, return_field, ..args })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        moment(args.expr_fields[0].data_type()).is_none() && self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let (share, of) = (self.share(&args)?, args.return_field.data_type().clone());
        let inner = self.inner.create_groups_accumulator(args)?;
        Ok(match share {
            Some(share) => Box::new(ExactGroups { inner, share, of }),
            None => inner,
        })
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    /// The engine makes a minimum of the share 0, which of dates is a date and no instant.
    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        let inner = self.inner.simplify()?;
        Some(Box::new(move |call: AggregateFunction, info: &SimplifyContext| {
            let of = call.params.args.first().and_then(|arg| info.get_data_type(arg).ok());
            match of.as_ref().and_then(moment) {
                Some(_) => Ok(Expr::AggregateFunction(call)),
                None => inner(call, info),
            }
        }))
    }

    fn simplify_expr_op_literal(
        &self,
        function: &AggregateFunction,
        arg: &Expr,
        op: Operator,
        literal: &Expr,
        arg_is_left: bool,
    ) -> Result<Option<Expr>> {
        self.inner.inner().simplify_expr_op_literal(function, arg, op, literal, arg_is_left)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_udf()
    }

    fn value_from_stats(&self, args: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.value_from_stats(args)
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// An aggregate that is given microseconds for instants, and whose answer is microseconds.
#[derive(Debug)]
struct Counted {
    inner: Box<dyn Accumulator>,
    moment: DataType,
    numbers: DataType,
}

impl Counted {
    fn counted(&self, values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let micros = cast(&cast(&values[0], &self.moment)?, &DataType::Int64)?;
        let mut counted = values.to_vec();
        counted[0] = cast(&micros, &self.numbers)?;
        Ok(counted)
    }
}

impl Accumulator for Counted {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let counted = self.counted(values)?;
        self.inner.update_batch(&counted)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let counted = self.counted(values)?;
        self.inner.retract_batch(&counted)
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
        let micros = match self.inner.evaluate()? {
            ScalarValue::Float64(micros) => micros.map(|micros| micros.floor() as i64),
            ScalarValue::Decimal128(value, _, scale) => {
                let unit = 10_i128.pow(u32::try_from(scale).unwrap_or(0));
                value.and_then(|value| i64::try_from((value + unit / 2).div_euclid(unit)).ok())
            }
            value if value.is_null() => None,
            other => return exec_err!("the middle of instants is a number, and not {other}"),
        };
        ScalarValue::Int64(micros).cast_to(&self.moment)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.inner.size()
    }
}
