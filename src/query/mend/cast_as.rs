//! A cast that says its type in its name: see [`CAST_AS`].

use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::query::dialect::CAST_AS;

/// The function that is its first argument.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(CastAs { signature: Signature::any(2, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CastAs {
    signature: Signature,
}

impl ScalarUDFImpl for CastAs {
    fn name(&self) -> &str {
        CAST_AS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [value, Expr::Literal(data_type, _)] = args else {
            return exec_err!("a cast is of a value to a type");
        };
        Ok(format!("CAST({} AS {data_type})", value.schema_name()))
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(Expr::to_string).unwrap_or_default())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().map_or_else(|| exec_err!("a cast is of a value"), Ok)
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match args.into_iter().next() {
            Some(value) => Ok(ExprSimplifyResult::Simplified(value)),
            None => exec_err!("a cast is of a value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.into_iter().next().map_or_else(|| exec_err!("a cast is of a value"), Ok)
    }
}
