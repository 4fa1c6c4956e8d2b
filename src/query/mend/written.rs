//! How is a text written without accents, in a URL, and an amount of bytes for people?
//!
//! `strip_accents`, `url_encode`, `url_decode`, `format_bytes` (units of 1024) and `_elt_decimal_bytes` (of 1000); and a JSON
//! text over lines, `json_pretty`.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use Form as F;
    let all = [F::WithoutAccents, F::Encoded, F::Decoded, F::Pretty, F::Bytes, F::DecimalBytes];
    let signature = |form: Form| match form {
        F::Bytes | F::DecimalBytes => Signature::exact(vec![DataType::Int64], Volatility::Immutable),
        _ => Signature::string(1, Volatility::Immutable),
    };
    all.map(|form| ScalarUDF::from(Written { form, signature: signature(form) })).into()
}

/// A way to write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    WithoutAccents,
    Encoded,
    Decoded,
    Pretty,
    Bytes,
    DecimalBytes,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Written {
    form: Form,
    signature: Signature,
}

/// What a URL's part can hold as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl ScalarUDFImpl for Written {
    fn name(&self) -> &str {
        match self.form {
            Form::WithoutAccents => "strip_accents",
            Form::Encoded => "url_encode",
            Form::Decoded => "url_decode",
            Form::Pretty => "json_pretty",
            Form::Bytes => "format_bytes",
            Form::DecimalBytes => "_elt_decimal_bytes",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args[0].clone().into_array(args.number_rows)?;
        if matches!(self.form, Form::Bytes | Form::DecimalBytes) {
            let binary = self.form == Form::Bytes;
            let values = values.as_primitive::<Int64Type>().iter();
            let told: StringArray = values.map(|bytes| bytes.map(|bytes| amount(bytes, binary))).collect();
            return Ok(ColumnarValue::Array(Arc::new(told)));
        }
        let values = cast(&values, &DataType::Utf8)?;
        let write = |text: &str| match self.form {
            Form::WithoutAccents => {
                Ok(text.nfd().filter(|letter| !is_combining_mark(*letter)).nfc().collect())
            }
            Form::Encoded => Ok(utf8_percent_encode(text, PLAIN).to_string().replace("%7E", "~")),
            Form::Decoded => percent_decode_str(text)
                .decode_utf8()
                .map(|text| text.into_owned())
                .map_err(|_| exec_datafusion_err!("`{text}` is no text in UTF-8 once it is decoded")),
            _ => pretty(text),
        };
        let told = values.as_string::<i32>().iter().map(|text| text.map(write).transpose());
        let told: StringArray = told.collect::<Result<Vec<_>>>()?.into();
        Ok(ColumnarValue::Array(Arc::new(told)))
    }
}

/// `16.0 KiB`, `16.3 kB`; what is less than one unit, in bytes.
fn amount(bytes: i64, binary: bool) -> String {
    let units = match binary {
        true => ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"],
        false => ["kB", "MB", "GB", "TB", "PB", "EB"],
    };
    let step: u64 = if binary { 1024 } else { 1000 };
    let sign = if bytes < 0 { "-" } else { "" };
    let whole = bytes.unsigned_abs();
    if whole < step {
        return format!("{sign}{whole} {}", if whole == 1 { "byte" } else { "bytes" });
    }
    let (mut unit, mut size) = (0, step);
    while unit + 1 < units.len() && whole / size >= step {
        (unit, size) = (unit + 1, size * step);
    }
    // Cut, not rounded: 1023.99 KiB is no MiB.
    let tenths = u128::from(whole) * 10 / u128::from(size);
    format!("{sign}{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// JSON over lines, four blanks for each step in.
fn pretty(text: &str) -> Result<String> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| exec_datafusion_err!("this is no JSON: {error}"))?;
    let mut out = String::new();
    lines(&value, 0, &mut out);
    Ok(out)
}

fn lines(value: &serde_json::Value, depth: usize, out: &mut String) {
    let blank = |depth: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    };
    match value {
        serde_json::Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                blank(depth + 1, out);
                lines(item, depth + 1, out);
            }
            blank(depth, out);
            out.push(']');
        }
        serde_json::Value::Object(members) if !members.is_empty() => {
            out.push('{');
            for (at, (key, member)) in members.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                blank(depth + 1, out);
                let _ = write!(out, "{}: ", serde_json::json!(key)); // a String takes everything
                lines(member, depth + 1, out);
            }
            blank(depth, out);
            out.push('}');
        }
        plain => {
            let _ = write!(out, "{plain}"); // a String takes everything
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_one_digit_behind_the_point() {
        for (bytes, binary, decimal) in [
            (0, "0 bytes", "0 bytes"),
            (1, "1 byte", "1 byte"),
            (1023, "1023 bytes", "1.0 kB"),
            (16_384, "16.0 KiB", "16.3 kB"),
            (-1_048_575, "-1023.9 KiB", "-1.0 MB"),
            (i64::MAX, "7.9 EiB", "9.2 EB"),
        ] {
            assert_eq!((amount(bytes, true).as_str(), amount(bytes, false).as_str()), (binary, decimal));
        }
    }
}
