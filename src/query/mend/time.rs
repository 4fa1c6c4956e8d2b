//! How fine is time?
//!
//! A lake's time has microseconds, from the year 1 to 9999, as in Delta. The engine prefers nanoseconds, which
//! end in 2262: it brings a timestamp and a text, or a date, to nanoseconds before it compares them, and
//! its own functions return them. [`Microseconds`] makes the same casts earlier and to microseconds;
//! [`functions`] returns the clock and the readers of texts with microseconds.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, Projection, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};
use datafusion::optimizer::AnalyzerRule;

use super::{peers, rewrite_expressions};

/// Texts and dates that meet a timestamp become timestamps of microseconds.
#[derive(Debug)]
pub(super) struct Microseconds;

impl AnalyzerRule for Microseconds {
    fn name(&self) -> &str {
        "microseconds"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = rewrite_expressions(plan, |mut expr, schema| {
            let mut changed = false;
            for group in peers(&mut expr) {
                changed |= align(group, schema, true);
            }
            if let Expr::BinaryExpr(binary) = &mut expr
                && binary.op == Operator::Minus
            {
                changed |= align(vec![&mut binary.left, &mut binary.right], schema, false);
            }
            if let Expr::InSubquery(question) = &mut expr {
                changed |= align_subquery(question, schema)?;
            }
            if let Expr::ScalarFunction(call) = &mut expr {
                changed |= time_arguments(call.func.name(), &mut call.args, schema);
            }
            Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
        })?;
        Ok(plan.transform_up_with_subqueries(align_inputs)?.data)
    }
}

/// Brings operands to one timestamp type, if one is a timestamp and another a date, or a text where
/// `texts` are read. A timestamp of nanoseconds, as a Parquet file may hold, leaves it to the engine.
fn align(operands: Vec<&mut Expr>, schema: &DFSchema, texts: bool) -> bool {
    let types: Option<Vec<DataType>> = operands.iter().map(|expr| expr.get_type(schema).ok()).collect();
    let Some(types) = types else { return false };
    let Some(moment) = common_moment(&types, texts) else { return false };
    for (expr, data_type) in operands.into_iter().zip(types) {
        if data_type.is_temporal() && data_type != moment || data_type.is_string() {
            *expr = cast(std::mem::take(expr), moment.clone());
        }
    }
    true
}

/// The same for what is looked for, and the rows that it is looked for in.
fn align_subquery(question: &mut InSubquery, schema: &DFSchema) -> Result<bool> {
    let rows = &question.subquery.subquery;
    let [(_, field)] = rows.schema().iter().collect::<Vec<_>>()[..] else { return Ok(false) };
    let Ok(wanted) = question.expr.get_type(schema) else { return Ok(false) };
    let found = field.data_type().clone();
    let Some(moment) = common_moment(&[wanted.clone(), found.clone()], true) else { return Ok(false) };
    if wanted != moment {
        *question.expr = cast(std::mem::take(&mut *question.expr), moment.clone());
    }
    if found != moment {
        let column = rows.schema().columns().remove(0);
        let name = column.name.clone();
        let cast_column = vec![cast(Expr::Column(column), moment).alias(name)];
        let projection = Projection::try_new(cast_column, Arc::clone(rows))?;
        question.subquery.subquery = Arc::new(LogicalPlan::Projection(projection));
    }
    Ok(true)
}

/// The timestamp that these types meet at, if a date or text is among them.
fn common_moment(types: &[DataType], texts: bool) -> Option<DataType> {
    let mut zone = None;
    let (mut is_moment, mut is_other) = (false, false);
    for data_type in types {
        match data_type {
            DataType::Timestamp(TimeUnit::Nanosecond, _) => return None,
            DataType::Timestamp(_, tz) => {
                is_moment = true;
                zone = zone.or_else(|| tz.clone());
            }
            DataType::Date32 | DataType::Date64 => is_other = true,
            DataType::Null => {}
            text if texts && text.is_string() => is_other = true,
            _ => return None,
        }
    }
    (is_moment && is_other).then_some(DataType::Timestamp(TimeUnit::Microsecond, zone))
}

/// Dates and texts where a function wants a timestamp.
fn time_arguments(name: &str, args: &mut [Expr], schema: &DFSchema) -> bool {
    let (wanted, dates): (&[usize], bool) = match name {
        "date_trunc" => (&[1], true),
        "date_bin" => (&[1, 2], true),
        "date_part" => (&[1], false),
        _ => return false,
    };
    let mut changed = false;
    // Where bins begin is read as the instants are that they hold.
    let zone = match (name, args.get(1).map(|of| of.get_type(schema))) {
        ("date_bin", Some(Ok(DataType::Timestamp(_, zone)))) => zone,
        _ => None,
    };
    for at in wanted {
        let Some(arg) = args.get_mut(*at) else { continue };
        let Ok(data_type) = arg.get_type(schema) else { continue };
        let is_date = dates && matches!(data_type, DataType::Date32 | DataType::Date64);
        if is_date || data_type.is_string() {
            *arg = cast(std::mem::take(arg), DataType::Timestamp(TimeUnit::Microsecond, zone.clone()));
            changed = true;
        }
    }
    changed
}

/// The keys of a `using` and the inputs of a `union`, which are not expressions.
fn align_inputs(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Join(mut join) => {
            let mut changed = false;
            let (left_schema, right_schema) =
                (Arc::clone(join.left.schema()), Arc::clone(join.right.schema()));
            for (left, right) in &mut join.on {
                let types = (left.get_type(&left_schema), right.get_type(&right_schema));
                let (Ok(left_type), Ok(right_type)) = types else { continue };
                let Some(moment) = common_moment(&[left_type.clone(), right_type.clone()], true) else {
                    continue;
                };
                changed = true;
                for (key, data_type) in [(left, left_type), (right, right_type)] {
                    if data_type != moment {
                        *key = cast(std::mem::take(key), moment.clone());
                    }
                }
            }
            let plan = LogicalPlan::Join(join);
            Ok(if changed { Transformed::yes(plan.recompute_schema()?) } else { Transformed::no(plan) })
        }
        LogicalPlan::Union(mut union) => {
            let columns = union.schema.fields().len();
            let same_width = union.inputs.iter().all(|input| input.schema().fields().len() == columns);
            if !same_width {
                return Ok(Transformed::no(LogicalPlan::Union(union)));
            }
            let of = |input: &LogicalPlan, at: usize| input.schema().field(at).data_type().clone();
            let moments: Vec<Option<DataType>> = (0..columns)
                .map(|at| {
                    let types: Vec<DataType> = union.inputs.iter().map(|input| of(input, at)).collect();
                    common_moment(&types, false)
                })
                .collect();
            if moments.iter().all(Option::is_none) {
                return Ok(Transformed::no(LogicalPlan::Union(union)));
            }
            for input in &mut union.inputs {
                let columns = input.schema().columns().into_iter().zip(&moments).map(|(column, moment)| {
                    let name = (column.relation.clone(), column.name.clone());
                    match moment {
                        Some(moment) => {
                            cast(Expr::Column(column), moment.clone()).alias_qualified(name.0, name.1)
                        }
                        None => Expr::Column(column),
                    }
                });
                let columns = columns.collect();
                *input = Arc::new(LogicalPlan::Projection(Projection::try_new(columns, Arc::clone(input))?));
            }
            Ok(Transformed::yes(LogicalPlan::Union(union).recompute_schema()?))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// The clock and the readers of time, with microseconds.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let config = ConfigOptions::default();
    let read = |inner, unit| ScalarUDF::from(ToMicroseconds::new(inner, unit));
    vec![
        ScalarUDF::from(Now::new(&config)),
        ScalarUDF::from(super::trunc::DateTrunc::new()),
        read(datetime::to_timestamp(&config), None),
        read(datetime::to_timestamp_seconds(&config), Some(TimeUnit::Second)),
        read(datetime::to_timestamp_millis(&config), Some(TimeUnit::Millisecond)),
        read(datetime::to_timestamp_nanos(&config), Some(TimeUnit::Nanosecond)),
        read(datetime::from_unixtime(), Some(TimeUnit::Second)),
    ]
}

/// `now()`, alias `current_timestamp`: when the statement began.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    signature: Signature,
    aliases: Vec<String>,
    zone: Option<Arc<str>>,
}

impl Now {
    fn new(config: &ConfigOptions) -> Self {
        Self {
            signature: Signature::nullary(Volatility::Stable),
            aliases: vec!["current_timestamp".to_owned()],
            zone: config.execution.time_zone.as_deref().map(Arc::from),
        }
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        Some(Self::new(config).into())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, self.zone.clone()))
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), self.return_type(&[])?, false)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("now() is a literal by the time a query runs")
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Some(now) = info.query_execution_start_time() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let now = ScalarValue::TimestampMicrosecond(Some(now.timestamp_micros()), self.zone.clone());
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(now, None)))
    }
}

/// One of the `to_timestamp` family, whose answer is cast to microseconds.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToMicroseconds {
    inner: Arc<ScalarUDF>,
    /// The unit that the engine's function answers in; `to_timestamp` reads seconds.
    unit: Option<TimeUnit>,
}

impl ToMicroseconds {
    fn new(inner: Arc<ScalarUDF>, unit: Option<TimeUnit>) -> Self {
        Self { inner, unit }
    }

    /// Asks a function of the engine, as if it stood in the query itself.
    fn ask(inner: &ScalarUDF, unit: TimeUnit, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Timestamp(_, zone) = args.return_field.data_type() else {
            return internal_err!("{} answers with a timestamp", inner.name());
        };
        let field =
            args.return_field.as_ref().clone().with_data_type(DataType::Timestamp(unit, zone.clone()));
        args.return_field = Arc::new(field);
        inner.invoke_with_args(args)
    }
}

impl ScalarUDFImpl for ToMicroseconds {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = self.inner.inner().with_updated_config(config)?;
        Some(Self::new(Arc::new(inner), self.unit).into())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, None))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = self.inner.return_field_from_args(args)?;
        let DataType::Timestamp(_, zone) = field.data_type() else { return Ok(field) };
        let moment = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
        Ok(Arc::new(field.as_ref().clone().with_data_type(moment)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let moment = args.return_field.data_type().clone();
        let first = args.args.first().map(ColumnarValue::data_type);
        let answer = match (self.unit, first) {
            (Some(unit), _) => Self::ask(&self.inner, unit, args)?,
            // The engine's own reader goes through nanoseconds even for `to_timestamp_micros`.
            (None, Some(text)) if text.is_string() && args.args.len() == 1 => args.args[0].clone(),
            (None, Some(text)) if text.is_string() => {
                let micros = datetime::to_timestamp_micros(&args.config_options);
                Self::ask(&micros, TimeUnit::Microsecond, args)?
            }
            (None, Some(number)) if number.is_integer() => {
                let seconds = datetime::to_timestamp_seconds(&args.config_options);
                Self::ask(&seconds, TimeUnit::Second, args)?
            }
            (None, Some(DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)) => {
                args.args[0].clone()
            }
            (None, _) => Self::ask(&self.inner, TimeUnit::Nanosecond, args)?,
        };
        answer.cast_to(&moment, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_or_a_date_meets_a_timestamp_at_microseconds() {
        let moment = |unit, zone: Option<&str>| DataType::Timestamp(unit, zone.map(Into::into));
        let (milli, micro, nano) = (TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond);
        let of = |types: &[DataType], texts| common_moment(types, texts);
        assert_eq!(of(&[moment(micro, None), DataType::Utf8], true), Some(moment(micro, None)));
        assert_eq!(
            of(&[DataType::Date32, moment(milli, Some("UTC"))], true),
            Some(moment(micro, Some("UTC")))
        );
        assert_eq!(of(&[moment(micro, None), DataType::Utf8], false), None);
        assert_eq!(of(&[moment(micro, None), moment(micro, None)], true), None, "there is nothing to do");
        assert_eq!(of(&[moment(nano, None), DataType::Utf8], true), None, "what a file holds, it keeps");
        assert_eq!(of(&[moment(micro, None), DataType::Int64], true), None);
    }
}
