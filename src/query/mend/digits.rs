//! With which digits is a number, or a text, written?
//!
//! `hex` and `bin` write a whole number, or the bytes of a text, in sixteens and in twos; `unhex` reads it again.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// All of them, and `typeof`.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let signature = || Signature::user_defined(Volatility::Immutable);
    vec![
        ScalarUDF::from(Digits { how: How::Hex, signature: signature() }),
        ScalarUDF::from(Digits { how: How::Bin, signature: signature() }),
        ScalarUDF::from(Digits { how: How::Unhex, signature: signature() }),
        ScalarUDF::from(TypeOf { signature: Signature::any(1, Volatility::Immutable) }),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum How {
    Hex,
    Bin,
    Unhex,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Digits {
    how: How,
    signature: Signature,
}

impl ScalarUDFImpl for Digits {
    fn name(&self) -> &str {
        match self.how {
            How::Hex => "hex",
            How::Bin => "bin",
            How::Unhex => "unhex",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [one] = types else { return plan_err!("`{}` has one argument", self.name()) };
        let wanted = match one {
            of if of.is_unsigned_integer() => DataType::UInt64,
            of if of.is_integer() => DataType::Int64,
            of if of.is_string() || of.is_null() => DataType::Utf8,
            of if of.is_binary() => DataType::Binary,
            other => {
                let other = crate::base::sql_type_name(other);
                return plan_err!(
                    "the argument of `{}` is a whole number or a text, not {other}",
                    self.name()
                );
            }
        };
        Ok(vec![if self.how == How::Unhex { DataType::Utf8 } else { wanted }])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.how == How::Unhex { DataType::Binary } else { DataType::Utf8 })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args[0].clone().into_array(args.number_rows)?;
        if self.how == How::Unhex {
            return Ok(ColumnarValue::Array(unhex(&values)?));
        }
        let number = |value: u64| match self.how {
            How::Hex => format!("{value:X}"),
            _ => format!("{value:b}"),
        };
        let bytes = |bytes: &[u8]| {
            let mut digits = String::with_capacity(bytes.len() * 2);
            for byte in bytes {
                let written = match self.how {
                    How::Hex => write!(digits, "{byte:02X}"),
                    _ => write!(digits, "{byte:08b}"),
                };
                written.expect("a text takes all that is written");
            }
            digits
        };
        let mut answer = StringBuilder::new();
        for row in 0..values.len() {
            if values.is_null(row) {
                answer.append_null();
                continue;
            }
            answer.append_value(match values.data_type() {
                // A negative number as its 64 bits.
                DataType::Int64 => number(values.as_primitive::<Int64Type>().value(row) as u64),
                DataType::UInt64 => number(values.as_primitive::<UInt64Type>().value(row)),
                DataType::Binary => bytes(values.as_binary::<i32>().value(row)),
                _ => bytes(values.as_string::<i32>().value(row).as_bytes()),
            });
        }
        Ok(ColumnarValue::Array(Arc::new(answer.finish())))
    }
}

fn unhex(texts: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let mut answer = BinaryBuilder::new();
    for text in texts.iter() {
        let Some(text) = text else {
            answer.append_null();
            continue;
        };
        let Some(digits) = text.chars().map(|c| c.to_digit(16)).collect::<Option<Vec<u32>>>() else {
            return exec_err!("'{text}' is not written in hexadecimal digits");
        };
        // A digit is missing in front.
        let digits = if digits.len().is_multiple_of(2) { digits } else { [vec![0], digits].concat() };
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
        answer.append_value(bytes);
    }
    Ok(Arc::new(answer.finish()))
}

/// `typeof(x)`, in SQL's words.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TypeOf {
    signature: Signature,
}

impl ScalarUDFImpl for TypeOf {
    fn name(&self) -> &str {
        "typeof"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = crate::base::sql_type_name(args.arg_fields[0].data_type());
        Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::from(name)))
    }
}
