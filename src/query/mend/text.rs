//! How is an instant written as a text? And an interval: see `interval_text`.
//!
//! `2024-01-31 10:00:00`, as Postgres, DuckDB and Snowflake have it, with as many digits of a second as there are; with
//! a time zone, `2024-01-31 10:00:00+00`. Keys that are hashes of texts come out as in those engines. DataFusion writes
//! `2024-01-31T10:00:00`.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDateTime, Offset, TimeZone, Timelike};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::nested_text::nested_texts;
use super::rewrite_expressions;
use crate::query::interval_text::interval_texts;

/// Casts of instants to texts become calls of our writer.
#[derive(Debug)]
pub(super) struct Instants {
    writer: Arc<ScalarUDF>,
}

impl Instants {
    pub(super) fn new() -> Self {
        let writer = Written { signature: Signature::any(1, Volatility::Immutable) };
        Self { writer: Arc::new(ScalarUDF::from(writer)) }
    }
}

impl AnalyzerRule for Instants {
    fn name(&self) -> &str {
        "instants_as_text"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_expressions(plan, |expr, schema| {
            let (inner, to) = match &expr {
                Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
                Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
                _ => return Ok(Transformed::no(expr)),
            };
            let is_instant = inner.get_type(schema).is_ok_and(|of| {
                matches!(of, DataType::Timestamp(..) | DataType::Interval(_) | DataType::Duration(_))
                    || is_nested(&of)
            });
            if !is_instant || !to.is_string() {
                return Ok(Transformed::no(expr));
            }
            let (inner, to) = (inner.as_ref().clone(), to.clone());
            let written = self.writer.call(vec![inner]);
            Ok(Transformed::yes(match to {
                DataType::Utf8 => written,
                other => datafusion::logical_expr::cast(written, other),
            }))
        })
    }
}

/// `_elt_text`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Written {
    signature: Signature,
}

impl ScalarUDFImpl for Written {
    fn name(&self) -> &str {
        "_elt_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = &args.args[..] else { return exec_err!("it is one instant") };
        let instants = value.clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(match plain_texts(&instants)? {
            Some(texts) => texts,
            None => Arc::new(nested_texts(&instants)?),
        }))
    }
}

/// Whether a value is written in parts: those that the engine does not write, or not as it writes instants in them.
fn is_nested(of: &DataType) -> bool {
    matches!(of, DataType::Struct(_) | DataType::Map(..) | DataType::List(_))
}

/// Instants and intervals as texts; nothing for other types.
pub(super) fn plain_texts(values: &ArrayRef) -> Result<Option<ArrayRef>> {
    if let DataType::Timestamp(..) = values.data_type() {
        return written(values).map(Some);
    }
    Ok(interval_texts(values).map(|texts| Arc::new(texts) as ArrayRef))
}

fn written(instants: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Timestamp(_, zone) = instants.data_type() else { return exec_err!("it is an instant") };
    let parsed = zone.as_deref().map(str::parse::<Tz>).transpose()?;
    let micros = cast(instants, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
    let micros = micros.as_primitive::<TimestampMicrosecondType>();
    let mut texts = StringBuilder::with_capacity(micros.len(), micros.len() * 20);
    let mut text = String::new();
    for row in 0..micros.len() {
        if micros.is_null(row) {
            texts.append_null();
            continue;
        }
        let Some(instant) = DateTime::from_timestamp_micros(micros.value(row)) else {
            return exec_err!("an instant is out of range: {}", micros.value(row));
        };
        text.clear();
        match &parsed {
            None => write_instant(instant.naive_utc(), &mut text),
            Some(zone) => {
                let local = zone.from_utc_datetime(&instant.naive_utc());
                write_instant(local.naive_local(), &mut text);
                write_offset(local.offset().fix().local_minus_utc(), &mut text);
            }
        }
        texts.append_value(&text);
    }
    Ok(Arc::new(texts.finish()))
}

fn write_instant(instant: NaiveDateTime, text: &mut String) {
    let fits = write!(text, "{}", instant.format("%Y-%m-%d %H:%M:%S"));
    fits.expect("writing to a text does not fail");
    let micros = instant.nanosecond() / 1000;
    if micros > 0 {
        let digits = format!(".{micros:06}");
        text.push_str(digits.trim_end_matches('0'));
    }
}

/// `+00`, `-05`, `+05:30`
fn write_offset(seconds: i32, text: &mut String) {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    text.push_str(&format!("{sign}{:02}", minutes / 60));
    if minutes % 60 > 0 {
        text.push_str(&format!(":{:02}", minutes % 60));
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::TimestampMicrosecondArray;

    use super::*;

    #[test]
    fn an_instant_has_the_digits_that_it_has() {
        let told = |micros: i64, zone: Option<&str>| {
            let array = TimestampMicrosecondArray::from(vec![micros]).with_timezone_opt(zone);
            written(&(Arc::new(array) as ArrayRef)).unwrap().as_string::<i32>().value(0).to_owned()
        };
        assert_eq!(told(0, None), "1970-01-01 00:00:00");
        assert_eq!(told(1_500_000, None), "1970-01-01 00:00:01.5");
        assert_eq!(told(1, None), "1970-01-01 00:00:00.000001");
        assert_eq!(told(-1_000_000, None), "1969-12-31 23:59:59");
        assert_eq!(told(0, Some("UTC")), "1970-01-01 00:00:00+00");
        assert_eq!(told(0, Some("Asia/Kolkata")), "1970-01-01 05:30:00+05:30");
    }
}
