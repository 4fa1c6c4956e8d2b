//! What is `1 << 64`?
//!
//! An error, as is every `<<` whose bits do not fit: a whole number does not wrap. The engine shifts by what is left of the
//! distance, so that `1 << 64` is 1. To the right all bits are gone in the end, and 0 is left, as in DuckDB.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type};
use arrow::util::display::FormatOptions;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// A shift that fails where bits are lost, in the place of the engine's; nothing for other operators and types.
pub(super) fn checked(left: &Expr, op: Operator, right: &Expr, of: &DataType) -> Option<Expr> {
    let is_shift = matches!(op, Operator::BitwiseShiftLeft | Operator::BitwiseShiftRight);
    (is_shift && of.is_integer()).then(|| {
        let signature = Signature::any(2, Volatility::Immutable);
        ScalarUDF::from(Shift { op, of: of.clone(), signature }).call(vec![left.clone(), right.clone()])
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Shift {
    op: Operator,
    of: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Shift {
    fn name(&self) -> &str {
        if self.op == Operator::BitwiseShiftLeft { "checked_shift_left" } else { "checked_shift_right" }
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = args else { return exec_err!("a shift has two operands") };
        Ok(format!("{left} {} {right}", self.op))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = args else { return exec_err!("a shift has two operands") };
        Ok(format!("{} {} {}", left.schema_name(), self.op, right.schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.of.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        const WIDE: DataType = DataType::Decimal128(38, 0);
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let array = |at: usize| args.args[at].clone().into_array(rows);
        let (numbers, by) = (cast(&array(0)?, &WIDE)?, cast(&array(1)?, &WIDE)?);
        let pairs = numbers.as_primitive::<Decimal128Type>().iter().zip(by.as_primitive::<Decimal128Type>());
        let bits = self.of.primitive_width().map_or(64, |bytes| bytes as i128 * 8);
        let shifted = pairs.map(|(number, by)| {
            let (Some(number), Some(by)) = (number, by) else { return Ok(None) };
            match shifted(number, by, bits, self.op == Operator::BitwiseShiftLeft) {
                Some(shifted) => Ok(Some(shifted)),
                None => {
                    exec_err!("{number} << {by} does not fit into {}", crate::base::sql_type_name(&self.of))
                }
            }
        });
        let shifted: Decimal128Array = shifted.collect::<Result<_>>()?;
        let shifted: ArrayRef = Arc::new(shifted.with_precision_and_scale(38, 0)?);
        let strict = CastOptions { safe: false, format_options: FormatOptions::default() };
        let shifted = cast_with_options(&shifted, &self.of, &strict)?;
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&shifted, 0)?),
            false => ColumnarValue::Array(shifted),
        })
    }
}

/// The number with its bits moved; nothing if some do not fit.
fn shifted(number: i128, by: i128, bits: i128, to_the_left: bool) -> Option<i128> {
    if !(0..bits).contains(&by) {
        return match (to_the_left, number) {
            (false, _) => Some(0),
            (true, 0) if by >= 0 => Some(0),
            (true, _) => None,
        };
    }
    if !to_the_left {
        return Some(number >> by);
    }
    // No whole number of a column has more than 64 bits, so nothing is lost here.
    let wide = number << by;
    let most = (1_i128 << (bits - 1)) - 1;
    (-most - 1..=most).contains(&wide).then_some(wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_that_do_not_fit_are_missed() {
        for (number, by, left, wanted) in [
            (1, 62, true, Some(1 << 62)),
            (1, 63, true, None),
            (1, 64, true, None),
            (1, -1, true, None),
            (-1, 63, true, Some(i128::from(i64::MIN))),
            (i64::MAX.into(), 1, true, None),
            (0, 80, true, Some(0)),
            (8, 1, false, Some(4)),
            (-8, 1, false, Some(-4)),
            (1, 64, false, Some(0)),
            (1, -1, false, Some(0)),
        ] {
            assert_eq!(shifted(number, by, 64, left), wanted, "{number} by {by}");
        }
    }
}
