//! Which whole number, which day and which instant does a text mean that is not written as usual?
//!
//! `'1e2'` is 100, `'2.5'` rounded is 3, and blanks around a value are nothing, as in DuckDB. The engine reads what is usual,
//! and what it leaves is read here; instants are all ours ([`instants`]).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options, interleave, nullif};
use arrow::datatypes::{DataType, Decimal128Type, TimeUnit};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::reading::instants;
use super::{has_any, rewrite_expressions};

/// Casts of texts to whole numbers, days and instants.
#[derive(Debug)]
pub(super) struct Texts;

impl AnalyzerRule for Texts {
    fn name(&self) -> &str {
        "texts_as_values"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        if !has_any(&plan, |expr| reader(expr).is_some())? {
            return Ok(plan);
        }
        rewrite_expressions(plan, |expr, schema| {
            let Some((inner, reader)) = reader(&expr) else { return Ok(Transformed::no(expr)) };
            if !inner.get_type(schema).is_ok_and(|of| of.is_string()) {
                return Ok(Transformed::no(expr));
            }
            Ok(Transformed::yes(match inner {
                // What is written in the statement is read once, and a mistake in it is one wherever it stands.
                Expr::Literal(text, _) => {
                    let read = read(&text.to_array()?, &reader.to, reader.is_try)?;
                    Expr::Literal(ScalarValue::try_from_array(&read, 0)?, None)
                }
                other => ScalarUDF::from(reader).call(vec![other.clone()]),
            }))
        })
    }
}

fn reader(expr: &Expr) -> Option<(&Expr, Reader)> {
    let (inner, to, is_try) = match expr {
        Expr::Cast(cast) => (&cast.expr, cast.field.data_type(), false),
        Expr::TryCast(cast) => (&cast.expr, cast.field.data_type(), true),
        _ => return None,
    };
    let is_read = to.is_signed_integer()
        || matches!(to, DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _));
    let signature = Signature::any(1, Volatility::Immutable);
    is_read.then(|| (&**inner, Reader { to: to.clone(), is_try, signature }))
}

/// `_elt_read`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Reader {
    to: DataType,
    is_try: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Reader {
    fn name(&self) -> &str {
        if self.is_try { "_elt_try_read" } else { "_elt_read" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts] = &args.args[..] else { return exec_err!("it is one text") };
        Ok(match texts {
            ColumnarValue::Scalar(text) => {
                let read = read(&text.to_array()?, &self.to, self.is_try)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&read, 0)?)
            }
            ColumnarValue::Array(texts) => ColumnarValue::Array(read(texts, &self.to, self.is_try)?),
        })
    }
}

fn read(texts: &ArrayRef, to: &DataType, is_try: bool) -> Result<ArrayRef> {
    if let DataType::Timestamp(_, zone) = to {
        return instants(texts, zone.clone(), is_try);
    }
    let mut usual = cast_with_options(texts, to, &CastOptions { safe: true, ..CastOptions::default() })?;
    if *to == DataType::Date32 {
        usual = of_whole_texts(&usual, texts)?;
    }
    if usual.null_count() == texts.null_count() {
        return Ok(usual);
    }
    let texts = cast(texts, &DataType::Utf8)?;
    let texts: &StringArray = texts.as_string();
    let mut others: Vec<ArrayRef> = vec![Arc::clone(&usual)];
    let mut places: Vec<(usize, usize)> = (0..texts.len()).map(|row| (0, row)).collect();
    for row in (0..texts.len()).filter(|row| texts.is_valid(*row) && usual.is_null(*row)) {
        match unusual(texts.value(row), to) {
            Some(value) => {
                places[row] = (others.len(), 0);
                others.push(value);
            }
            None if is_try => {}
            None => {
                let text = texts.value(row);
                return Err(ArrowError::CastError(format!(
                    "Cannot cast string '{text}' to value of {to} type"
                ))
                .into());
            }
        }
    }
    let others: Vec<&dyn Array> = others.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&others, &places)?)
}

/// The days without those that only the beginning of a text means: the engine reads `2026-01-1x` as the first of January.
fn of_whole_texts(days: &ArrayRef, texts: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let is_of_a_part =
        (0..texts.len()).map(|row| Some(texts.is_valid(row) && !may_be_a_day(texts.value(row))));
    let is_of_a_part: BooleanArray = is_of_a_part.collect();
    match is_of_a_part.true_count() {
        0 => Ok(Arc::clone(days)),
        _ => Ok(nullif(days, &is_of_a_part)?),
    }
}

/// Whether a text has nothing in it that no day has; longer ones are read to their ends.
fn may_be_a_day(text: &str) -> bool {
    text.len() > 10 || text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// One value that is written in another way.
fn unusual(text: &str, to: &DataType) -> Option<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let text = text.trim();
    if *to == DataType::Date32 {
        if !may_be_a_day(text) {
            return None;
        }
        let texts: ArrayRef = Arc::new(StringArray::from(vec![text]));
        return cast_with_options(&texts, to, &strict).ok();
    }
    let whole = whole(text)?;
    let number = arrow::array::PrimitiveArray::<Decimal128Type>::from(vec![whole]);
    let number: ArrayRef = Arc::new(number.with_precision_and_scale(38, 0).ok()?);
    cast_with_options(&number, to, &strict).ok()
}

/// The whole number next to what is written; of two, the one further from zero.
fn whole(text: &str) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (before, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{before}{behind}");
    if all.is_empty() || all.len() > 60 || !all.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // Where the point is once the exponent has moved it.
    let point = i32::try_from(before.len()).ok()?.checked_add(exponent)?;
    if point > 39 {
        return None;
    }
    let kept = usize::try_from(point).unwrap_or(0);
    let whole = format!("{:0<kept$}", &all[..kept.min(all.len())]);
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let is_half = point >= 0 && all.as_bytes().get(kept).is_some_and(|digit| *digit >= b'5');
    Some(sign * (whole + i128::from(is_half)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, number) in [
            ("1e2", Some(100)),
            ("2.5", Some(3)),
            ("-2.5", Some(-3)),
            ("2.49", Some(2)),
            (".5", Some(1)),
            ("0.04", Some(0)),
            ("1.25e1", Some(13)),
            ("12e-1", Some(1)),
            ("5e-1", Some(1)),
            ("5e-2", Some(0)),
            ("+7", Some(7)),
            ("", None),
            ("-", None),
            ("1e", None),
            ("1e99", None),
            ("x", None),
            ("1 2", None),
        ] {
            assert_eq!(whole(text), number, "{text}");
        }
    }
}
