//! Which whole number is `2.5::int`?
//!
//! The nearest, as in Postgres and DuckDB: of two, the one further from zero for decimals, the even one for doubles (IEEE 754).
//! The engine cuts.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite_expressions;

/// Casts to whole numbers round.
#[derive(Debug)]
pub(super) struct Casts;

impl AnalyzerRule for Casts {
    fn name(&self) -> &str {
        "rounded_casts"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rounded =
            Arc::new(ScalarUDF::from(Nearest { signature: Signature::any(1, Volatility::Immutable) }));
        rewrite_expressions(plan, |mut expr, schema| {
            let (value, to) = match &mut expr {
                Expr::Cast(cast) => (&mut cast.expr, &cast.field),
                Expr::TryCast(cast) => (&mut cast.expr, &cast.field),
                _ => return Ok(Transformed::no(expr)),
            };
            let has_fraction = matches!(
                value.get_type(schema),
                Ok(DataType::Float32 | DataType::Float64 | DataType::Decimal128(_, 1..))
            );
            if !to.data_type().is_integer() || !has_fraction {
                return Ok(Transformed::no(expr));
            }
            let whole = rounded.call(vec![std::mem::take(&mut **value)]);
            **value = whole;
            Ok(Transformed::yes(expr))
        })
    }
}

/// The nearest whole number, in the type of what it is near.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Nearest {
    signature: Signature,
}

impl ScalarUDFImpl for Nearest {
    fn name(&self) -> &str {
        "_elt_nearest"
    }

    /// A cast does not change what a column is called.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|value| value.schema_name().to_string()).unwrap_or_default())
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(Expr::to_string).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().map_or_else(|| exec_err!("a number is rounded"), Ok)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let nearest = nearest(&arrays[0])?;
        Ok(match args.args[0] {
            ColumnarValue::Scalar(_) => {
                ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&nearest, 0)?)
            }
            ColumnarValue::Array(_) => ColumnarValue::Array(nearest),
        })
    }
}

fn nearest(numbers: &ArrayRef) -> Result<ArrayRef> {
    Ok(match numbers.data_type() {
        DataType::Float32 => {
            Arc::new(numbers.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::round_ties_even))
        }
        DataType::Float64 => {
            Arc::new(numbers.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even))
        }
        DataType::Decimal128(precision, scale) => {
            let unit = 10_i128.pow(u32::try_from(*scale).unwrap_or(0));
            let half = |number: i128| if number < 0 { -unit / 2 } else { unit / 2 };
            let whole = |number: i128| (number.saturating_add(half(number))) / unit * unit;
            let numbers = numbers.as_primitive::<Decimal128Type>().unary::<_, Decimal128Type>(whole);
            Arc::new(numbers.with_data_type(DataType::Decimal128(*precision, *scale)))
        }
        other => return exec_err!("{other} has no fraction"),
    })
}
