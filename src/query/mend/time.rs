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
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};
use datafusion::optimizer::AnalyzerRule;

use super::meeting::{Meeting, bring_together, meet};
use super::rewrite_expressions;

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
            if let Expr::BinaryExpr(binary) = &mut expr
                && binary.op == Operator::Minus
            {
                let moment = |types: &[DataType]| common_moment(types, false);
                changed |= meet(vec![&mut binary.left, &mut binary.right], schema, &moment);
            }
            if let Expr::ScalarFunction(call) = &mut expr {
                changed |= time_arguments(call.func.name(), &mut call.args, schema);
            }
            Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
        })?;
        bring_together(plan, &|types, meeting| common_moment(types, meeting == Meeting::Compared))
    }
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
