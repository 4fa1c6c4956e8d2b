//! What comes of a whole number that is too large?
//!
//! An error. The engine's `+`, `-` and `*` wrap around, without a word, and give decimals of 39 digits. [`Checked`] puts functions in their
//! place, once the types are known, that do the same and fail where the answer does not fit.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Datum};
use arrow::compute::kernels::numeric::{add, mul, sub};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr_common::datum::apply;

use super::rewrite_expressions;

/// Whole numbers that outgrow their type are an error.
#[derive(Debug)]
pub(super) struct Checked;

impl AnalyzerRule for Checked {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_expressions(plan, |expr, schema| {
            let Expr::BinaryExpr(binary) = &expr else { return Ok(Transformed::no(expr)) };
            let Some(function) = CheckedOperator::of(binary.op) else { return Ok(Transformed::no(expr)) };
            let function = match (binary.left.get_type(schema), binary.right.get_type(schema)) {
                (Ok(left), Ok(right)) if left == right && left.is_integer() => function,
                (Ok(DataType::Decimal128(..)), Ok(DataType::Decimal128(..))) => match expr.get_type(schema) {
                    Ok(of @ DataType::Decimal128(DECIMAL128_MAX_PRECISION, _)) => {
                        CheckedOperator { decimal: Some(of), ..function }
                    }
                    _ => return Ok(Transformed::no(expr)),
                },
                _ => return Ok(Transformed::no(expr)),
            };
            let Expr::BinaryExpr(BinaryExpr { left, right, .. }) = expr else {
                return Ok(Transformed::no(expr));
            };
            let function = Arc::new(ScalarUDF::from(function));
            let call = ScalarFunction::new_udf(function, vec![*left, *right]);
            Ok(Transformed::yes(Expr::ScalarFunction(call)))
        })
    }
}

/// `+`, `-` or `*` of two whole numbers of one type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedOperator {
    op: Operator,
    name: &'static str,
    /// The answer's type, if it is a decimal.
    decimal: Option<DataType>,
    signature: Signature,
}

impl CheckedOperator {
    fn of(op: Operator) -> Option<Self> {
        let name = match op {
            Operator::Plus => "checked_add",
            Operator::Minus => "checked_subtract",
            Operator::Multiply => "checked_multiply",
            _ => return None,
        };
        Some(Self { op, name, decimal: None, signature: Signature::any(2, Volatility::Immutable) })
    }

    /// The operator between its operands, which is what it is called in plans and headings.
    fn spelt(&self, args: &[Expr]) -> Option<Expr> {
        let [left, right] = args else { return None };
        let (left, right) = (Box::new(left.clone()), Box::new(right.clone()));
        Some(Expr::BinaryExpr(BinaryExpr { left, op: self.op, right }))
    }
}

impl ScalarUDFImpl for CheckedOperator {
    fn name(&self) -> &str {
        self.name
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.spelt(args).map_or_else(|| self.name.to_owned(), |expr| expr.to_string()))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.spelt(args).map_or_else(|| self.name.to_owned(), |expr| expr.schema_name().to_string()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (types, &self.decimal) {
            (_, Some(decimal)) => Ok(decimal.clone()),
            ([first, _], None) => Ok(first.clone()),
            _ => exec_err!("{} has two operands", self.name),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return exec_err!("{} has two operands", self.name);
        };
        let kernel: fn(&dyn Datum, &dyn Datum) -> std::result::Result<ArrayRef, ArrowError> = match self.op {
            Operator::Plus => add,
            Operator::Minus => sub,
            _ => mul,
        };
        let answer = apply(left, right, kernel)?;
        if self.decimal.is_some() {
            let answers = answer.to_array(1)?;
            if let Some(answers) = answers.as_primitive_opt::<Decimal128Type>() {
                answers.validate_decimal_precision(DECIMAL128_MAX_PRECISION)?;
            }
        }
        Ok(answer)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let [left, right] = inputs else { return Ok(SortProperties::Unordered) };
        Ok(match self.op {
            Operator::Plus => left.sort_properties.add(&right.sort_properties),
            Operator::Minus => left.sort_properties.sub(&right.sort_properties),
            _ => SortProperties::Unordered,
        })
    }
}
