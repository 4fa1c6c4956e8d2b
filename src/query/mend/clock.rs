//! Which microsecond of the day is it at so many hours, minutes and seconds?
//!
//! `_elt_clock(hour, minute, second)` for a moment, whose day may end at 24:00:00 or at second 60; `_elt_time_of_day` for a time by
//! itself. What no clock shows is an error.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Both of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let of =
        |ends| ScalarUDF::from(Clock { ends, signature: Signature::user_defined(Volatility::Immutable) });
    vec![of(true), of(false)]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Clock {
    /// Whether the end of the day can be told.
    ends: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Clock {
    fn name(&self) -> &str {
        if self.ends { "_elt_clock" } else { "_elt_time_of_day" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types.len() {
            3 => Ok(vec![DataType::Int64, DataType::Int64, DataType::Float64]),
            _ => plan_err!("a time has hours, minutes and seconds"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let array = |at: usize| args.args[at].clone().into_array(rows);
        let (hours, minutes) = (array(0)?, array(1)?);
        let seconds = cast(&array(2)?, &DataType::Float64)?;
        let hours = hours.as_primitive::<Int64Type>().iter();
        let minutes = minutes.as_primitive::<Int64Type>().iter();
        let seconds = seconds.as_primitive::<Float64Type>().iter();
        let micros = hours.zip(minutes).zip(seconds).map(|((hour, minute), second)| {
            let (Some(hour), Some(minute), Some(second)) = (hour, minute, second) else { return Ok(None) };
            match micros(hour, minute, second, self.ends) {
                Some(micros) => Ok(Some(micros)),
                None => exec_err!("there is no time {hour:02}:{minute:02}:{second:02}"),
            }
        });
        let micros: ArrayRef = Arc::new(micros.collect::<Result<Int64Array>>()?);
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&micros, 0)?),
            false => ColumnarValue::Array(micros),
        })
    }
}

/// Microseconds since midnight; nothing if no clock shows it.
#[expect(clippy::cast_possible_truncation, reason = "a minute has few microseconds")]
fn micros(hour: i64, minute: i64, second: f64, ends: bool) -> Option<i64> {
    let is_shown = (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..60.0).contains(&second);
    let is_end = ends
        && ((hour, minute, second) == (24, 0, 0.0)
            || (0..24).contains(&hour) && (0..60).contains(&minute) && second == 60.0);
    (is_shown || is_end).then(|| (hour * 60 + minute) * 60_000_000 + (second * 1e6).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_clock_shows_is_a_time() {
        assert_eq!(micros(1, 2, 3.5, false), Some(3_723_500_000));
        assert_eq!(micros(24, 0, 0.0, true), Some(86_400_000_000));
        assert_eq!(micros(23, 59, 60.0, true), Some(86_400_000_000));
        for (hour, minute, second, ends) in [
            (24, 0, 0.0, false),
            (25, 0, 0.0, true),
            (1, 61, 0.0, true),
            (1, 0, 75.0, true),
            (1, 0, -1.0, true),
            (-1, 0, 0.0, true),
            (1, 0, f64::NAN, true),
        ] {
            assert_eq!(micros(hour, minute, second, ends), None, "{hour}:{minute}:{second}");
        }
    }
}
