//! Does a number fit a type without a sign?
//!
//! A lake has none: `x::utinyint` is a `smallint` from 0 to 255. `_elt_within(number, most, type)` says what is not in the range.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// With an error, and with null for what does not fit.
pub(super) fn functions() -> [ScalarUDF; 2] {
    [false, true]
        .map(|is_try| ScalarUDF::from(Within { is_try, signature: Signature::any(3, Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Within {
    is_try: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Within {
    fn name(&self) -> &str {
        if self.is_try { "_elt_try_within" } else { "_elt_within" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args[0].clone().into_array(args.number_rows)?;
        let text = |at: usize| match &args.args[at] {
            ColumnarValue::Scalar(value) => value.try_as_str().flatten().unwrap_or_default().to_owned(),
            ColumnarValue::Array(_) => String::new(),
        };
        let (most, of) = (text(1).parse::<i128>().unwrap_or(i128::MAX), text(2));
        let numbers = cast(&values, &DataType::Decimal128(38, 0))?;
        let numbers = numbers.as_primitive::<Decimal128Type>();
        let outside = numbers.iter().flatten().find(|number| !(0..=most).contains(number));
        let Some(outside) = outside else { return Ok(ColumnarValue::Array(values)) };
        if !self.is_try {
            return exec_err!("{outside} is no {of}, which is from 0 to {most}");
        }
        let fitting: Decimal128Array =
            numbers.iter().map(|number| number.filter(|number| (0..=most).contains(number))).collect();
        let fitting = fitting.with_precision_and_scale(38, 0)?;
        debug_assert_eq!(fitting.len(), values.len());
        Ok(ColumnarValue::Array(cast(&(Arc::new(fitting) as arrow::array::ArrayRef), values.data_type())?))
    }
}
