//! What is 2 divided by 3, in decimals?
//!
//! 0.666667, to as many digits as the type has: rounded, half away from zero, as SQL's decimals are. The engine cuts.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, i256};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite_expressions;

/// Quotients of decimals are rounded.
#[derive(Debug)]
pub(super) struct Rounded;

impl AnalyzerRule for Rounded {
    fn name(&self) -> &str {
        "rounded_quotients"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_expressions(plan, |expr, schema| {
            let Expr::BinaryExpr(binary) = &expr else { return Ok(Transformed::no(expr)) };
            if binary.op != Operator::Divide {
                return Ok(Transformed::no(expr));
            }
            let types = (binary.left.get_type(schema), binary.right.get_type(schema), expr.get_type(schema));
            let (
                Ok(DataType::Decimal128(..)),
                Ok(DataType::Decimal128(..)),
                Ok(of @ DataType::Decimal128(..)),
            ) = types
            else {
                return Ok(Transformed::no(expr));
            };
            let Expr::BinaryExpr(BinaryExpr { left, right, .. }) = expr else {
                return Ok(Transformed::no(expr));
            };
            Ok(Transformed::yes(quotient(of, *left, *right)))
        })
    }
}

/// `dividend / divisor`, both decimals, as a decimal of this type.
pub(super) fn quotient(of: DataType, dividend: Expr, divisor: Expr) -> Expr {
    let function = Quotient { of, signature: Signature::any(2, Volatility::Immutable) };
    ScalarUDF::from(function).call(vec![dividend, divisor])
}

/// `/` of two decimals, as a decimal of this type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Quotient {
    of: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Quotient {
    fn name(&self) -> &str {
        "rounded_divide"
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = args else { return Ok(self.name().to_owned()) };
        let operand = |arg: &Expr| match arg {
            Expr::BinaryExpr(inner) if inner.op.precedence() < Operator::Divide.precedence() => {
                format!("({arg})")
            }
            _ => arg.to_string(),
        };
        Ok(format!("{} / {}", operand(left), operand(right)))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = args else { return Ok(self.name().to_owned()) };
        Ok(format!("{} / {}", left.schema_name(), right.schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.of.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = &args.args[..] else { return exec_err!("a quotient is of two numbers") };
        let DataType::Decimal128(precision, scale) = self.of else {
            return exec_err!("a quotient is a decimal");
        };
        let scale_of = |of: &DataType| match of {
            DataType::Decimal128(_, scale) => Ok(i32::from(*scale)),
            other => exec_err!("a quotient is not of a {other}"),
        };
        let (left, right) = (left.to_array(args.number_rows)?, right.to_array(args.number_rows)?);
        // dividend * 10^up / divisor has the scale of the quotient.
        let up = i32::from(scale) - scale_of(left.data_type())? + scale_of(right.data_type())?;
        let (tens, down) = (power(up.unsigned_abs())?, up < 0);
        let (left, right) = (left.as_primitive::<Decimal128Type>(), right.as_primitive::<Decimal128Type>());
        let mut quotients = Decimal128Array::builder(left.len());
        for row in 0..left.len() {
            if left.is_null(row) || right.is_null(row) {
                quotients.append_null();
                continue;
            }
            let (dividend, divisor) = (left.value(row), right.value(row));
            if divisor == 0 {
                return Err(ArrowError::DivideByZero.into());
            }
            let quotient = match (dividend.checked_mul(tens), down) {
                (Some(dividend), false) => rounded(dividend, divisor),
                _ => rounded_wide(dividend, divisor, tens, down),
            };
            match quotient {
                Some(quotient) => quotients.append_value(quotient),
                None => {
                    return exec_err!("a quotient is too large for decimal({precision},{scale})");
                }
            }
        }
        let quotients = quotients.finish().with_precision_and_scale(precision, scale)?;
        quotients.validate_decimal_precision(precision)?;
        Ok(ColumnarValue::Array(Arc::new(quotients)))
    }
}

fn power(of_ten: u32) -> Result<i128> {
    10_i128.checked_pow(of_ten).ok_or_else(|| exec_datafusion_err!("a quotient has too many digits"))
}

/// The whole number that is nearest to the quotient; of two, the one further from zero.
fn rounded(dividend: i128, divisor: i128) -> Option<i128> {
    let (quotient, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    let is_half = rest.unsigned_abs() >= divisor.unsigned_abs() - rest.unsigned_abs();
    if rest == 0 || !is_half {
        return Some(quotient);
    }
    let away = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
    quotient.checked_add(away)
}

fn rounded_wide(dividend: i128, divisor: i128, tens: i128, down: bool) -> Option<i128> {
    let (dividend, divisor, tens) =
        (i256::from_i128(dividend), i256::from_i128(divisor), i256::from_i128(tens));
    let (dividend, divisor) = match down {
        true => (dividend, divisor.checked_mul(tens)?),
        false => (dividend.checked_mul(tens)?, divisor),
    };
    let (quotient, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    let (rest, whole) = (rest.wrapping_abs(), divisor.wrapping_abs());
    if rest == i256::ZERO || rest < whole.wrapping_sub(rest) {
        return quotient.to_i128();
    }
    let away = if (dividend < i256::ZERO) == (divisor < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
    quotient.checked_add(away)?.to_i128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_away_from_zero() {
        for (dividend, divisor, quotient) in [
            (2_000_000, 3, 666_667),
            (-2_000_000, 3, -666_667),
            (1, 2, 1),
            (-1, 2, -1),
            (1, -2, -1),
            (1, 3, 0),
            (5, 5, 1),
            (i128::MAX, 1, i128::MAX),
        ] {
            assert_eq!(rounded(dividend, divisor), Some(quotient), "{dividend} / {divisor}");
            assert_eq!(rounded_wide(dividend, divisor, 1, false), Some(quotient), "{dividend} / {divisor}");
        }
        assert_eq!(rounded_wide(1_234_567, 10, 10, true), Some(12_346));
    }
}
