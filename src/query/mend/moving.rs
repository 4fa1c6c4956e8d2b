//! What is the sum of a window that moves on?
//!
//! What its rows add up to, and no more. The engine takes the rows that leave a window away from its sum again, and what was
//! lost while they were there stays lost: after 1e17 the sum of 1 and 2 is 2, after an infinity it is no number, and a
//! variance falls below zero, whose root is none. Here nothing is taken away. The rows of a window lie in two stacks: those
//! that came last, with all of them together, and those that leave next, each together with what came after it. The answer
//! is the two put together. A row goes from the first to the second once, so it is put together with others three times,
//! however long the window is.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef, Float64Type, Schema};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, Expr, GroupsAccumulator, Operator,
    ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs,
};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

/// The aggregates that lose something when doubles are taken away from them.
const LOSSY: [&str; 17] = [
    "sum",
    "avg",
    "var",
    "var_pop",
    "stddev",
    "stddev_pop",
    "covar_samp",
    "covar_pop",
    "corr",
    "regr_slope",
    "regr_intercept",
    "regr_r2",
    "regr_avgx",
    "regr_avgy",
    "regr_sxx",
    "regr_syy",
    "regr_sxy",
];

/// The aggregates that nothing can be taken away from.
const WHOLE: [&str; 18] = [
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "approx_top_k",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "entropy",
    "histogram",
    "kurtosis",
    "kurtosis_pop",
    "mad",
    "mode",
    "skewness",
    "string_agg",
];

/// The aggregates whose windows are ours.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    LOSSY.into_iter().chain(WHOLE).chain(["product"])
}

/// The aggregate `inner`, in whose windows nothing is taken away.
pub(super) fn without_loss(inner: Arc<AggregateUDF>) -> AggregateUDF {
    AggregateUDF::from(Moving { inner })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Moving {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Moving {
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
        let name = self.inner.name();
        let is_lossy = LOSSY.contains(&name) && args.return_field.data_type() == &DataType::Float64;
        if is_lossy && !args.is_distinct && matches!(name, "sum" | "avg") {
            return Ok(Box::new(Stacks::new(Sums { is_average: name == "avg" })));
        }
        let states = States::new(Arc::clone(&self.inner), &args);
        let engines = self.inner.create_sliding_accumulator(args)?;
        match engines.supports_retract_batch() && !is_lossy {
            true => Ok(engines),
            false => Ok(Box::new(Stacks::new(states))),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
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

    fn with_beneficial_ordering(
        self: Arc<Self>,
        is_ordered: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = self.inner.as_ref().clone().with_beneficial_ordering(is_ordered)?;
        Ok(inner.map(|inner| Arc::new(Self { inner: Arc::new(inner) }) as Arc<dyn AggregateUDFImpl>))
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.inner.simplify()
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
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

/// What rows come to, and how two of these are one.
trait Parts: Debug + Send + Sync + 'static {
    type Part: Clone + Debug + Send + Sync;

    /// One for each row.
    fn rows(&self, values: &[ArrayRef]) -> Result<Vec<Self::Part>>;

    /// What the rows of `first` come to with those of `second` behind them.
    fn joined(&self, first: &Self::Part, second: &Self::Part) -> Result<Self::Part>;

    /// The answer of the window, which may have no row.
    fn shown(&self, all: Option<&Self::Part>) -> Result<ScalarValue>;

    /// How many bytes a part takes.
    fn bytes(&self) -> usize {
        size_of::<Self::Part>()
    }
}

/// The rows of a window.
#[derive(Debug)]
struct Stacks<P: Parts> {
    parts: P,
    /// The rows that leave next, the first of them on top, each with all that came after it.
    leaving: Vec<P::Part>,
    /// The rows that came last.
    coming: Vec<P::Part>,
    /// All of `coming`.
    came: Option<P::Part>,
}

impl<P: Parts> Stacks<P> {
    fn new(parts: P) -> Self {
        Self { parts, leaving: Vec::new(), coming: Vec::new(), came: None }
    }

    fn join(&self, first: Option<&P::Part>, second: Option<&P::Part>) -> Result<Option<P::Part>> {
        match (first, second) {
            (Some(first), Some(second)) => self.parts.joined(first, second).map(Some),
            (one, other) => Ok(one.or(other).cloned()),
        }
    }
}

impl<P: Parts> Accumulator for Stacks<P> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for part in self.parts.rows(values)? {
            self.came = self.join(self.came.as_ref(), Some(&part))?;
            self.coming.push(part);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for _ in 0..values[0].len() {
            if self.leaving.is_empty() {
                while let Some(part) = self.coming.pop() {
                    let part = self.join(Some(&part), self.leaving.last())?;
                    self.leaving.extend(part);
                }
                self.came = None;
            }
            self.leaving.pop();
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let all = self.join(self.leaving.last(), self.came.as_ref())?;
        self.parts.shown(all.as_ref())
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        internal_err!("a window is not put together from parts")
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a window is not put together from parts")
    }

    fn size(&self) -> usize {
        size_of::<Self>() + (self.leaving.capacity() + self.coming.capacity()) * self.parts.bytes()
    }
}

/// Sums of doubles and how many there are; nulls do not count.
#[derive(Debug)]
struct Sums {
    is_average: bool,
}

impl Parts for Sums {
    type Part = (u64, f64);

    fn rows(&self, values: &[ArrayRef]) -> Result<Vec<Self::Part>> {
        let numbers = values[0].as_primitive::<Float64Type>();
        Ok(numbers.iter().map(|number| number.map_or((0, 0.0), |number| (1, number))).collect())
    }

    fn joined(&self, first: &Self::Part, second: &Self::Part) -> Result<Self::Part> {
        Ok((first.0 + second.0, first.1 + second.1))
    }

    fn shown(&self, all: Option<&Self::Part>) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(all.filter(|(count, _)| *count > 0).map(
            |(count, sum)| match self.is_average {
                true => sum / *count as f64,
                false => *sum,
            },
        )))
    }
}

/// What the engine's own accumulators have of rows.
#[derive(Debug)]
struct States {
    function: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    is_distinct: bool,
    name: String,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl States {
    fn new(function: Arc<AggregateUDF>, args: &AccumulatorArgs) -> Self {
        Self {
            function,
            return_field: Arc::clone(&args.return_field),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            is_distinct: args.is_distinct,
            name: args.name.to_owned(),
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        }
    }

    fn fresh(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }

    fn of<'a>(&self, parts: impl IntoIterator<Item = &'a Vec<ScalarValue>>) -> Result<Box<dyn Accumulator>> {
        let mut all = self.fresh()?;
        for part in parts {
            let states: Vec<ArrayRef> = part.iter().map(|state| state.to_array()).collect::<Result<_>>()?;
            all.merge_batch(&states)?;
        }
        Ok(all)
    }
}

impl Parts for States {
    type Part = Vec<ScalarValue>;

    fn rows(&self, values: &[ArrayRef]) -> Result<Vec<Self::Part>> {
        let row = |row| {
            let values: Vec<ArrayRef> = values.iter().map(|values| values.slice(row, 1)).collect();
            let mut one = self.fresh()?;
            one.update_batch(&values)?;
            one.state()
        };
        (0..values[0].len()).map(row).collect()
    }

    fn joined(&self, first: &Self::Part, second: &Self::Part) -> Result<Self::Part> {
        self.of([first, second])?.state()
    }

    fn shown(&self, all: Option<&Self::Part>) -> Result<ScalarValue> {
        self.of(all)?.evaluate()
    }

    fn bytes(&self) -> usize {
        // A count, two means, two squares and the product of them; texts and lists take more.
        size_of::<Self::Part>() + 6 * size_of::<ScalarValue>()
    }
}
