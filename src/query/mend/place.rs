//! Of which type is a value that is not there yet?
//!
//! `coalesce(?, 1)` wants a whole number, though nobody says so. [`function`] stands in such a place for a value without a type, and what
//! type coercion makes of it is what is wanted ([`wanted`]).

use std::collections::HashMap;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// What the function is called; its argument is the number of the place.
pub(in crate::query) const PLACE: &str = "_elt_place";

/// It.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(Place { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Place {
    signature: Signature,
}

impl ScalarUDFImpl for Place {
    fn name(&self) -> &str {
        PLACE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Null)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Null))
    }
}

/// The types that an analyzed plan casts places to, by their numbers.
///
/// # Errors
/// The plan cannot be walked, which does not happen.
pub(in crate::query) fn wanted(plan: &LogicalPlan) -> Result<HashMap<i64, DataType>> {
    let mut found = HashMap::new();
    plan.apply_with_subqueries(|part| {
        part.apply_expressions(|expr| {
            expr.exists(|expr| {
                let (inner, to) = match expr {
                    Expr::Cast(cast) => (&*cast.expr, cast.field.data_type()),
                    Expr::TryCast(cast) => (&*cast.expr, cast.field.data_type()),
                    _ => return Ok(false),
                };
                if let Some(number) = number(inner).filter(|_| !to.is_null()) {
                    found.entry(number).or_insert_with(|| to.clone());
                }
                Ok(false)
            })?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

fn number(expr: &Expr) -> Option<i64> {
    let Expr::ScalarFunction(call) = expr else { return None };
    match (call.func.name(), &call.args[..]) {
        (PLACE, [Expr::Literal(ScalarValue::Int64(number), _)]) => *number,
        _ => None,
    }
}
