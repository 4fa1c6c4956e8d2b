//! What are the pieces of a text between a separator?
//!
//! `_elt_split(text, separator)`, as DuckDB's `string_split`: with an empty separator the letters, and of an empty text one empty
//! piece, or no letter.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::elements::list_of;

/// `_elt_split`
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(Apart { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Apart {
    signature: Signature,
}

impl ScalarUDFImpl for Apart {
    fn name(&self) -> &'static str {
        "_elt_split"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, _] => Ok(vec![DataType::Utf8; 2]),
            _ => plan_err!("`string_split` has a text and a separator"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(list_of(DataType::Utf8))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let (texts, separators) =
            (args.args[0].clone().into_array(rows)?, args.args[1].clone().into_array(rows)?);
        let (texts, separators) = (texts.as_string::<i32>(), separators.as_string::<i32>());
        let mut lists = ListBuilder::new(StringBuilder::new());
        for row in 0..rows {
            if texts.is_null(row) || separators.is_null(row) {
                lists.append_null();
                continue;
            }
            let (text, separator) = (texts.value(row), separators.value(row));
            if separator.is_empty() {
                let mut letter = [0; 4];
                text.chars().for_each(|c| lists.values().append_value(c.encode_utf8(&mut letter)));
            } else {
                text.split(separator).for_each(|piece| lists.values().append_value(piece));
            }
            lists.append(true);
        }
        let lists: ArrayRef = Arc::new(lists.finish());
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&lists, 0)?),
            false => ColumnarValue::Array(lists),
        })
    }
}
