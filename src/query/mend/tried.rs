//! What if an expression has no answer for a row?
//!
//! `_elt_try(true, row -> x)` gives null where `x` fails. It is worked out for all rows at once; where that fails, for each half,
//! and so on, down to the rows that have no answer.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, new_null_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDF,
    HigherOrderUDFImpl, LambdaParametersProgress, ValueOrLambda, Volatility,
};

/// `_elt_try`
pub(super) fn function() -> Arc<HigherOrderUDF> {
    let args = vec![ValueOrLambda::Value(()), ValueOrLambda::Lambda(())];
    let signature = HigherOrderSignature::exact(args, Volatility::Immutable);
    Arc::new(HigherOrderUDF::new_from_impl(Try { signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Try {
    signature: HigherOrderSignature,
}

impl HigherOrderUDFImpl for Try {
    fn name(&self) -> &str {
        "_elt_try"
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        _fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let row = Arc::new(Field::new("row", DataType::Boolean, true));
        Ok(LambdaParametersProgress::Complete(vec![vec![row]]))
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [_, ValueOrLambda::Lambda(of)] => Ok(Arc::new(Field::new("", of.data_type().clone(), true))),
            _ => plan_err!("`try` has one argument"),
        }
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let Some(ValueOrLambda::Lambda(tried)) = args.args.get(1) else {
            return plan_err!("`try` has one argument");
        };
        let wanted = args.return_field.data_type();
        let work_out = |start: usize, length: usize| {
            let row = || Ok(Arc::new(BooleanArray::from(vec![true; length])) as ArrayRef);
            let these = tried.evaluate(&[&row], |captured| {
                Ok(captured.iter().map(|column| column.slice(start, length)).collect())
            })?;
            Ok(cast(&these.into_array(length)?, wanted)?)
        };
        let mut pieces: Vec<ArrayRef> = Vec::new();
        // What is still to be worked out, the first rows last.
        let mut open = vec![(0, args.number_rows)];
        while let Some((start, length)) = open.pop() {
            match work_out(start, length) {
                Ok(piece) => pieces.push(piece),
                Err(error) if is_of_all(&error) => return Err(error),
                Err(_) if length <= 1 => pieces.push(new_null_array(wanted, length)),
                Err(_) => {
                    let half = length / 2;
                    open.extend([(start + half, length - half), (start, half)]);
                }
            }
        }
        let pieces: Vec<_> = pieces.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(if pieces.is_empty() { new_null_array(wanted, 0) } else { concat(&pieces)? }))
    }
}

/// Whether it says nothing about the values: no memory is left, or the engine has a fault.
fn is_of_all(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_) | DataFusionError::Internal(_))
}
