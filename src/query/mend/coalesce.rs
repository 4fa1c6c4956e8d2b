//! What is the type of a date, or else a text?
//!
//! A date: `coalesce(valid_to, '2099-01-01')` means the day, as in Postgres. The engine has no common type for the two.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions::core::coalesce;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The engine's `coalesce`, in which texts beside dates and instants are read as such.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(Coalesce { inner: coalesce(), signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Coalesce {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Coalesce {
    fn name(&self) -> &str {
        "coalesce"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.inner().return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.inner().return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.inner().simplify(args, info)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.inner().invoke_with_args(args)
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.inner().conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.inner.inner().short_circuits()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match moment(types) {
            Some(moment) => Ok(vec![moment; types.len()]),
            None => self.inner.inner().coerce_types(types),
        }
    }
}

/// The type of dates or instants that stand beside texts and nothing else.
fn moment(types: &[DataType]) -> Option<DataType> {
    let is_moment = |of: &&DataType| matches!(of, DataType::Date32 | DataType::Timestamp(..));
    let has_text = types.iter().any(DataType::is_string);
    let only = types.iter().all(|of| of.is_string() || of.is_null() || is_moment(&of));
    let instant = types.iter().find(|of| matches!(of, DataType::Timestamp(..)));
    let found = instant.or_else(|| types.iter().find(is_moment))?;
    (has_text && only).then(|| found.clone())
}
