//! Which number does `1.19` mean beside a decimal?
//!
//! Exactly 1.19. A literal with a point is a double to the engine, and a double makes doubles of the decimals
//! that it meets: money would be inexact, and a filter could no longer skip files. [`ExactLiterals`] makes
//! such a literal a decimal, also where it meets another literal: 0.1 + 0.2 is 0.3. A division is left alone: its quotient
//! has more digits as a double.
//!
//! The places that `round` keeps are part of its type, and the engine sees them only if they are a literal of its own type:
//! before it brings them to that type, and after it has folded what that made of them, it would see two types.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, cast};
use datafusion::optimizer::AnalyzerRule;

use super::{peers, rewrite_expressions};

/// Literals with a point are decimals where they meet one.
#[derive(Debug)]
pub(super) struct ExactLiterals;

impl AnalyzerRule for ExactLiterals {
    fn name(&self) -> &str {
        "exact_literals"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_expressions(plan, |mut expr, schema| {
            let mut changed = false;
            for group in peers(&mut expr) {
                changed |= align(group, schema);
            }
            if let Expr::BinaryExpr(binary) = &mut expr
                && matches!(
                    binary.op,
                    Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Modulo
                )
            {
                changed |= align(vec![&mut binary.left, &mut binary.right], schema);
            }
            if let Expr::BinaryExpr(binary) = &mut expr {
                if binary.op == Operator::Divide {
                    changed |= widen(&mut binary.left) | widen(&mut binary.right);
                } else {
                    changed |= both(&mut binary.left, &mut binary.right);
                }
            }
            if let Expr::ScalarFunction(call) = &mut expr
                && call.func.name() == "round"
                && let [number, places @ ..] = &mut call.args[..]
            {
                if let Some(exact) = exact(number) {
                    changed = true;
                    *number = Expr::Literal(exact, None);
                }
                if let [places] = places
                    && let Some(count) = whole(places)
                {
                    changed = true;
                    *places = Expr::Literal(ScalarValue::Int32(Some(count)), None);
                }
            }
            Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
        })
    }
}

/// Makes the literals among `operands` exact, if the others are decimals and whole numbers.
fn align(operands: Vec<&mut Expr>, schema: &DFSchema) -> bool {
    let mut literals = Vec::new();
    let mut is_decimal = false;
    for operand in operands {
        if let Some(exact) = exact(operand) {
            literals.push((operand, exact));
            continue;
        }
        match operand.get_type(schema) {
            Ok(DataType::Decimal128(..)) => is_decimal = true,
            Ok(DataType::Null) => {}
            Ok(number) if number.is_integer() => {}
            _ => return false,
        }
    }
    let changed = is_decimal && !literals.is_empty();
    for (operand, exact) in literals.into_iter().filter(|_| is_decimal) {
        *operand = Expr::Literal(exact, None);
    }
    changed
}

/// Makes two literals exact, if one has a point.
fn both(one: &mut Expr, other: &mut Expr) -> bool {
    let is_whole = |expr: &Expr| matches!(expr, Expr::Literal(value, _) if value.data_type().is_integer());
    match (exact(one), exact(other)) {
        (Some(exact), Some(also)) => {
            *one = Expr::Literal(exact, None);
            *other = Expr::Literal(also, None);
            true
        }
        (Some(exact), None) if is_whole(other) => {
            *one = Expr::Literal(exact, None);
            true
        }
        (None, Some(exact)) if is_whole(one) => {
            *other = Expr::Literal(exact, None);
            true
        }
        _ => false,
    }
}

/// Makes a double of what [`both`] made a decimal, where it is divided.
fn widen(operand: &mut Expr) -> bool {
    fn is_made(expr: &Expr) -> bool {
        match expr {
            Expr::Literal(value, _) => value.data_type().is_numeric(),
            Expr::BinaryExpr(binary) => is_made(&binary.left) && is_made(&binary.right),
            _ => false,
        }
    }
    fn is_exact(expr: &Expr) -> bool {
        match expr {
            Expr::Literal(value, _) => matches!(value, ScalarValue::Decimal128(..)),
            Expr::BinaryExpr(binary) => is_exact(&binary.left) || is_exact(&binary.right),
            _ => false,
        }
    }
    let changed = matches!(operand, Expr::BinaryExpr(_)) && is_made(operand) && is_exact(operand);
    if changed {
        *operand = cast(std::mem::take(operand), DataType::Float64);
    }
    changed
}

/// The whole number that an expression is, unless it is one as the engine wants it already.
fn whole(expr: &Expr) -> Option<i32> {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(count)), _) => i32::try_from(*count).ok(),
        Expr::Literal(ScalarValue::Int16(Some(count)), _) => Some(i32::from(*count)),
        Expr::Literal(ScalarValue::Int8(Some(count)), _) => Some(i32::from(*count)),
        Expr::Negative(inner) => match &**inner {
            Expr::Literal(ScalarValue::Int32(Some(count)), _) => count.checked_neg(),
            other => whole(other)?.checked_neg(),
        },
        Expr::Cast(cast) if cast.field.data_type().is_integer() => match &*cast.expr {
            Expr::Literal(ScalarValue::Int32(Some(count)), _) => Some(*count),
            other => whole(other),
        },
        _ => None,
    }
}

/// The decimal that a literal double was written as.
fn exact(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(ScalarValue::Float64(Some(double)), _) => decimal(*double),
        Expr::Negative(inner) => match &**inner {
            Expr::Literal(ScalarValue::Float64(Some(double)), _) => decimal(-double),
            _ => None,
        },
        _ => None,
    }
}

/// Reads the shortest digits that mean this double, which are the ones that a person wrote.
fn decimal(double: f64) -> Option<ScalarValue> {
    if !double.is_finite() {
        return None;
    }
    let text = double.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = u8::try_from(fraction.len()).ok()?;
    let digits = u8::try_from(whole.trim_start_matches('-').len()).ok()? + scale;
    let fits = digits <= DECIMAL128_MAX_PRECISION;
    fits.then(|| ScalarValue::Decimal128(Some(unscaled), digits.max(1), scale.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_is_read_as_it_was_written() {
        assert_eq!(decimal(1.19), Some(ScalarValue::Decimal128(Some(119), 3, 2)));
        assert_eq!(decimal(-0.1), Some(ScalarValue::Decimal128(Some(-1), 2, 1)));
        assert_eq!(decimal(5.0), Some(ScalarValue::Decimal128(Some(5), 1, 0)));
        assert_eq!(decimal(1e60), None);
        assert_eq!(decimal(f64::NAN), None);
    }
}
