//! What comes of a whole number that is too large?
//!
//! An error. The engine's `+`, `-` and `*` wrap around, without a word, and give decimals of 39 digits. [`Checked`] puts functions in their
//! place, once the types are known, that do the same and fail where the answer does not fit; decimals that are small are not asked one by one. So does `<<` ([`shifts`]).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Array};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::numeric::{add, mul, sub};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr_common::datum::apply;

use super::{rewrite_expressions, shifts};

/// Whole numbers that outgrow their type are an error.
#[derive(Debug)]
pub(super) struct Checked;

impl AnalyzerRule for Checked {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_expressions(plan, |expr, schema| {
            let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &expr else {
                return Ok(Transformed::no(expr));
            };
            if CheckedOperators::name_of(*op).is_none() {
                let of = match (left.get_type(schema), right.get_type(schema)) {
                    (Ok(left), Ok(right)) if left == right => left,
                    _ => return Ok(Transformed::no(expr)),
                };
                return Ok(match shifts::checked(left, *op, right, &of) {
                    Some(shift) => Transformed::yes(shift),
                    None => Transformed::no(expr),
                });
            }
            // What stands before in the row is known, and need not be looked through once more.
            let before = CheckedOperators::in_row_with(left, *op);
            let left_type = before.map_or_else(|| left.get_type(schema), |before| Ok(before.of.clone()));
            let of = match (left_type, right.get_type(schema)) {
                (Ok(left), Ok(right)) if left == right && left.is_integer() => left,
                (Ok(DataType::Decimal128(..)), Ok(DataType::Decimal128(..))) => match expr.get_type(schema) {
                    Ok(of @ DataType::Decimal128(..)) => of,
                    _ => return Ok(Transformed::no(expr)),
                },
                _ => return Ok(Transformed::no(expr)),
            };
            let mut ops = before.map_or_else(Vec::new, |before| before.ops.clone());
            ops.push(*op);
            let Expr::BinaryExpr(BinaryExpr { left, right, .. }) = expr else {
                return Ok(Transformed::no(expr));
            };
            let mut operands = match *left {
                Expr::ScalarFunction(call) if ops.len() > 1 => call.args,
                first => vec![first],
            };
            operands.push(*right);
            Ok(Transformed::yes(ScalarUDF::from(CheckedOperators::of(ops, of)).call(operands)))
        })
    }
}

/// `+`, `-` or `*` of numbers of one type, from left to right. A row of whole numbers is one call, however long it is: so it
/// is not deep, and what it is called and of which type it is need not be asked anew for each of its beginnings.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedOperators {
    /// One fewer than there are operands; all of one precedence.
    ops: Vec<Operator>,
    /// The answer's type.
    of: DataType,
    signature: Signature,
}

impl CheckedOperators {
    fn of(ops: Vec<Operator>, of: DataType) -> Self {
        let signature = Signature::any(ops.len() + 1, Volatility::Immutable);
        Self { ops, of, signature }
    }

    fn name_of(op: Operator) -> Option<&'static str> {
        Some(match op {
            Operator::Plus => "checked_add",
            Operator::Minus => "checked_subtract",
            Operator::Multiply => "checked_multiply",
            _ => return None,
        })
    }

    /// The row of whole numbers that `op` goes on, if `left` is one.
    fn in_row_with(left: &Expr, op: Operator) -> Option<&Self> {
        let Expr::ScalarFunction(call) = left else { return None };
        let row = call.func.inner().downcast_ref::<Self>()?;
        let goes_on = row.ops.last().is_some_and(|last| last.precedence() == op.precedence());
        (goes_on && row.of.is_integer()).then_some(row)
    }

    /// The answer for decimals so small that it fits whatever they are, which is looked at with the values, not with their
    /// types; nothing if one is larger, or if they have to be scaled first.
    fn easily(&self, op: Operator, left: &ColumnarValue, right: &ColumnarValue) -> Option<ArrayRef> {
        let DataType::Decimal128(precision, scale) = &self.of else { return None };
        let (mut left, mut right) = (Decimals::of(left)?, Decimals::of(right)?);
        let is_product = op == Operator::Multiply;
        if is_product && i16::from(left.scale) + i16::from(right.scale) != i16::from(*scale) {
            return None;
        }
        if !is_product {
            (left, right) = (left.at_scale(*scale)?, right.at_scale(*scale)?);
        }
        let values = match op {
            Operator::Multiply => each_if(&left, &right, |left, right| {
                // 126 bits at most: 8.5e37.
                let (low, by) = (i128::from(left as i64), i128::from(right as i64));
                (low * by, low == left && by == right)
            }),
            Operator::Plus => each_if(&left, &right, |left, right| {
                (left.wrapping_add(right), is_small(left) && is_small(right))
            }),
            Operator::Minus => each_if(&left, &right, |left, right| {
                (left.wrapping_sub(right), is_small(left) && is_small(right))
            }),
            _ => None,
        }?;
        let nulls = NullBuffer::union(left.nulls, right.nulls);
        let answers = Decimal128Array::new(values.into(), nulls);
        Some(Arc::new(answers.with_precision_and_scale(*precision, *scale).ok()?))
    }

    /// The operators between their operands, which is what it is called in plans and headings.
    fn spelt(&self, operands: impl Iterator<Item = String>) -> String {
        let mut text = String::new();
        for (at, operand) in operands.enumerate() {
            if let Some(op) = at.checked_sub(1).and_then(|at| self.ops.get(at)) {
                text.push_str(&format!(" {op} "));
            }
            text.push_str(&operand);
        }
        text
    }
}

/// The numbers of a column, or the one that stands for all rows.
struct Decimals<'a> {
    values: Values<'a>,
    nulls: Option<&'a NullBuffer>,
    scale: i8,
}

#[derive(Clone, Copy)]
enum Values<'a> {
    Each(&'a [i128]),
    One(i128),
}

impl<'a> Decimals<'a> {
    fn of(value: &'a ColumnarValue) -> Option<Self> {
        match value {
            ColumnarValue::Array(array) => {
                let DataType::Decimal128(_, scale) = array.data_type() else { return None };
                let values = Values::Each(array.as_primitive_opt::<Decimal128Type>()?.values());
                Some(Self { values, nulls: array.nulls(), scale: *scale })
            }
            ColumnarValue::Scalar(ScalarValue::Decimal128(Some(value), _, scale)) => {
                Some(Self { values: Values::One(*value), nulls: None, scale: *scale })
            }
            ColumnarValue::Scalar(_) => None,
        }
    }

    /// The same with more digits after the point, if that is done for all rows at once.
    fn at_scale(self, scale: i8) -> Option<Self> {
        let more = u32::try_from(i16::from(scale) - i16::from(self.scale)).ok()?;
        let values = match self.values {
            values if more == 0 => values,
            Values::One(value) => Values::One(value.checked_mul(10_i128.checked_pow(more)?)?),
            Values::Each(_) => return None,
        };
        Some(Self { values, scale, ..self })
    }
}

/// Whether two such numbers have a sum below 10³⁸.
fn is_small(value: i128) -> bool {
    const BOUND: i128 = 1 << 125;
    (-BOUND..BOUND).contains(&value)
}

/// The answer of each row, if `easy` says of all of them that it is right. Two numbers that stand for all rows are left to
/// others.
fn each_if(
    left: &Decimals<'_>,
    right: &Decimals<'_>,
    easy: impl Fn(i128, i128) -> (i128, bool),
) -> Option<Vec<i128>> {
    let mut are_right = true;
    let mut each = |left: i128, right: i128| {
        let (answer, is_right) = easy(left, right);
        are_right &= is_right;
        answer
    };
    let answers: Vec<i128> = match (left.values, right.values) {
        (Values::One(left), Values::Each(right)) => right.iter().map(|right| each(left, *right)).collect(),
        (Values::Each(left), Values::One(right)) => left.iter().map(|left| each(*left, right)).collect(),
        (Values::Each(left), Values::Each(right)) if left.len() == right.len() => {
            left.iter().zip(right).map(|(left, right)| each(*left, *right)).collect()
        }
        _ => return None,
    };
    are_right.then_some(answers)
}

impl ScalarUDFImpl for CheckedOperators {
    fn name(&self) -> &str {
        self.ops.first().and_then(|op| Self::name_of(*op)).unwrap_or("checked")
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let precedence = self.ops.first().map_or(0, Operator::precedence);
        let operand = |arg: &Expr| match arg {
            Expr::BinaryExpr(inner) if inner.op.precedence() < precedence => format!("({arg})"),
            _ => arg.to_string(),
        };
        Ok(self.spelt(args.iter().map(operand)))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.spelt(args.iter().map(|arg| arg.schema_name().to_string())))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.of.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((first, rest)) = args.args.split_first() else {
            return exec_err!("{} has two operands", self.name());
        };
        let mut answer = first.clone();
        for (op, right) in self.ops.iter().zip(rest) {
            if let Some(easy) = self.easily(*op, &answer, right) {
                return Ok(ColumnarValue::Array(easy));
            }
            let kernel: fn(&dyn Datum, &dyn Datum) -> std::result::Result<ArrayRef, ArrowError> = match op {
                Operator::Plus => add,
                Operator::Minus => sub,
                _ => mul,
            };
            answer = apply(&answer, right, kernel)?;
        }
        if matches!(self.of, DataType::Decimal128(DECIMAL128_MAX_PRECISION, _)) {
            let answers = answer.to_array(1)?;
            if let Some(answers) = answers.as_primitive_opt::<Decimal128Type>() {
                answers.validate_decimal_precision(DECIMAL128_MAX_PRECISION)?;
            }
        }
        Ok(answer)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let Some((first, rest)) = inputs.split_first() else { return Ok(SortProperties::Unordered) };
        let sorted = self.ops.iter().zip(rest).fold(first.sort_properties, |left, (op, right)| match op {
            Operator::Plus => left.add(&right.sort_properties),
            Operator::Minus => left.sub(&right.sort_properties),
            _ => SortProperties::Unordered,
        });
        Ok(sorted)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimals(values: &[Option<i128>], precision: u8, scale: i8) -> ColumnarValue {
        let values: Decimal128Array = values.iter().copied().collect();
        ColumnarValue::Array(Arc::new(values.with_data_type(DataType::Decimal128(precision, scale))))
    }

    fn number() -> impl Strategy<Value = Option<i128>> {
        let edges =
            [i128::from(i64::MAX), i128::from(i64::MIN), 1 << 125, (1 << 125) - 1, -(1 << 125), i128::MAX];
        prop_oneof![
            4 => any::<i64>().prop_map(|value| Some(i128::from(value))),
            1 => any::<i128>().prop_map(Some),
            1 => prop::sample::select(edges.to_vec()).prop_map(Some),
            1 => Just(None),
        ]
    }

    proptest! {
        /// What is answered without looking at each row is what the kernels answer that do.
        #[test]
        fn small_decimals_give_what_large_ones_would(
            pairs in prop::collection::vec((number(), number()), 1..6),
            kind in 0..5_usize,
            ones in 0..3_usize,
        ) {
            let (op, scales) = [
                (Operator::Plus, (4, 4, 4)),
                (Operator::Minus, (4, 4, 4)),
                (Operator::Multiply, (2, 4, 6)),
                (Operator::Plus, (2, 0, 2)),
                (Operator::Minus, (0, 2, 2)),
            ][kind];
            let of = DataType::Decimal128(38, scales.2);
            type Kernel = fn(&dyn Datum, &dyn Datum) -> std::result::Result<ArrayRef, ArrowError>;
            let kernels: [Kernel; 5] = [add, sub, mul, add, sub];
            let (lefts, rights): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let (mut left, mut right) = (decimals(&lefts, 38, scales.0), decimals(&rights, 38, scales.1));
            if ones == 1 {
                left = ColumnarValue::Scalar(ScalarValue::Decimal128(lefts[0], 38, scales.0));
            }
            if ones == 2 {
                right = ColumnarValue::Scalar(ScalarValue::Decimal128(rights[0], 38, scales.1));
            }
            let easy = CheckedOperators::of(vec![op], of.clone()).easily(op, &left, &right);
            if let Some(easy) = easy {
                let slow = apply(&left, &right, kernels[kind]).unwrap().to_array(1).unwrap();
                slow.as_primitive::<Decimal128Type>().validate_decimal_precision(38).unwrap();
                prop_assert_eq!(slow.data_type(), &of);
                prop_assert_eq!(&slow, &easy);
            }
        }
    }

    #[test]
    fn money_is_easy_and_columns_that_have_to_be_scaled_are_not() {
        let money = decimals(&[Some(1_050), None, Some(-99_999_999)], 15, 2);
        let rates = decimals(&[Some(94), Some(100), Some(7)], 23, 2);
        let product = CheckedOperators::of(vec![Operator::Multiply], DataType::Decimal128(38, 4));
        let answer = product.easily(Operator::Multiply, &money, &rates).unwrap();
        assert_eq!(
            answer.as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>(),
            [Some(98_700), None, Some(-699_999_993)]
        );
        let sum = CheckedOperators::of(vec![Operator::Plus], DataType::Decimal128(38, 4));
        assert!(sum.easily(Operator::Plus, &money, &rates).is_none());
        let rest = CheckedOperators::of(vec![Operator::Minus], DataType::Decimal128(17, 2));
        let one = ColumnarValue::Scalar(ScalarValue::Decimal128(Some(1), 1, 0));
        let answer = rest.easily(Operator::Minus, &one, &rates).unwrap();
        assert_eq!(answer.data_type(), &DataType::Decimal128(17, 2));
        assert_eq!(answer.as_primitive::<Decimal128Type>().values(), &[6, 0, 93]);
        let large = decimals(&[Some(i128::from(i64::MAX) + 1), None, None], 38, 2);
        assert!(product.easily(Operator::Multiply, &large, &rates).is_none());
    }
}
