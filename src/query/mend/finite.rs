//! Is a number, or a day, one that can be counted with? And how many bits of a number are set?

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let signature = || Signature::any(1, Volatility::Immutable);
    let of = |asked| ScalarUDF::from(Asked { asked, signature: signature() });
    [What::IsFinite, What::IsInfinite, What::Bits].map(of).into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    IsFinite,
    IsInfinite,
    Bits,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    asked: What,
    signature: Signature,
}

impl ScalarUDFImpl for Asked {
    fn name(&self) -> &str {
        match self.asked {
            What::IsFinite => "isfinite",
            What::IsInfinite => "isinf",
            What::Bits => "bit_count",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.asked == What::Bits { DataType::Int64 } else { DataType::Boolean })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args[0].clone().into_array(args.number_rows)?;
        let told: ArrayRef = match (self.asked, values.data_type()) {
            (What::Bits, _) => Arc::new(bits(&values)?),
            (asked, DataType::Float16 | DataType::Float32 | DataType::Float64) => {
                let values = cast(&values, &DataType::Float64)?;
                let is = |value: f64| match asked {
                    What::IsFinite => value.is_finite(),
                    _ => value.is_infinite(),
                };
                let values = values.as_primitive::<Float64Type>().iter();
                Arc::new(values.map(|value| value.map(is)).collect::<BooleanArray>())
            }
            // Whole numbers, decimals, days and instants end somewhere.
            (asked, _) => {
                let rows =
                    (0..values.len()).map(|row| values.is_valid(row).then_some(asked == What::IsFinite));
                Arc::new(rows.collect::<BooleanArray>())
            }
        };
        Ok(ColumnarValue::Array(told))
    }
}

/// How many bits are set in each number, as it is stored.
fn bits(values: &ArrayRef) -> Result<Int64Array> {
    Ok(match values.data_type() {
        DataType::Int8 => count(values.as_primitive::<Int8Type>().iter(), i8::count_ones),
        DataType::Int16 => count(values.as_primitive::<Int16Type>().iter(), i16::count_ones),
        DataType::Int32 => count(values.as_primitive::<Int32Type>().iter(), i32::count_ones),
        DataType::Int64 => count(values.as_primitive::<Int64Type>().iter(), i64::count_ones),
        DataType::Null => Int64Array::new_null(values.len()),
        other => {
            return exec_err!(
                "bit_count is of a whole number, and this is {}",
                crate::base::sql_type_name(other)
            );
        }
    })
}

fn count<T>(values: impl Iterator<Item = Option<T>>, ones: fn(T) -> u32) -> Int64Array {
    values.map(|value| value.map(|value| i64::from(ones(value)))).collect()
}
