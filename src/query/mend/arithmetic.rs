//! What comes of a whole number that is too large?
//!
//! An error. The engine's `+`, `-` and `*` wrap around, without a word, and give decimals of 39 digits. [`Checked`] puts functions in their
//! place, once the types are known, that do the same and fail where the answer does not fit. So does `<<` ([`shifts`]).

use arrow::array::{ArrayRef, AsArray, Datum};
use arrow::compute::kernels::numeric::{add, mul, sub};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, exec_err};
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
                    Ok(of @ DataType::Decimal128(DECIMAL128_MAX_PRECISION, _)) => of,
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
            let kernel: fn(&dyn Datum, &dyn Datum) -> std::result::Result<ArrayRef, ArrowError> = match op {
                Operator::Plus => add,
                Operator::Minus => sub,
                _ => mul,
            };
            answer = apply(&answer, right, kernel)?;
        }
        if self.of.is_decimal() {
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
