//! How are values put into a text?
//!
//! `printf('%d of %s', n, name)` and Spark's `format_string`, with C's conversions; and DuckDB's `format('{} of {}', n, name)`, in
//! the same function: a text with `{}` and without a conversion is one of those. Postgres' `format` has `%s`, which is the
//! same in both. Null makes null.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::braces;

/// `_elt_printf`
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(Printf { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Printf {
    signature: Signature,
}

impl ScalarUDFImpl for Printf {
    fn name(&self) -> &str {
        "_elt_printf"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = args
            .args
            .iter()
            .map(|value| Ok(cast(&value.clone().into_array(args.number_rows)?, &DataType::Utf8)?))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let mut written = StringBuilder::new();
        for row in 0..args.number_rows {
            if texts.iter().any(|column| column.is_null(row)) {
                written.append_null();
                continue;
            }
            let values: Vec<&str> =
                texts.iter().skip(1).map(|column| column.as_string::<i32>().value(row)).collect();
            written.append_value(put(texts[0].as_string::<i32>().value(row), &values)?);
        }
        Ok(ColumnarValue::Array(Arc::new(written.finish())))
    }
}

/// The text with the values in it.
pub(super) fn put(text: &str, values: &[&str]) -> Result<String> {
    if text.contains('{') && !text.contains('%') {
        return braces::in_braces(text, values);
    }
    let (mut written, mut values_left) = (String::new(), values.iter());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            written.push(c);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            written.push('%');
            continue;
        }
        let mut form = Form::default();
        let (mut precision, mut is_precision) = (String::new(), false);
        let (mut width, mut place) = (String::new(), None);
        let conversion = loop {
            match chars.next() {
                // `%2$s` is the second value.
                Some('$') if !width.is_empty() && place.is_none() => {
                    place = std::mem::take(&mut width).parse::<usize>().ok();
                }
                Some(' ') if width.is_empty() => form.space = true,
                Some('-') if width.is_empty() => form.left = true,
                Some('+') if width.is_empty() => form.plus = true,
                Some(',') => form.grouped = true,
                Some('0') if width.is_empty() && !is_precision => form.zeros = true,
                Some('.') => is_precision = true,
                Some(digit @ '0'..='9') if is_precision => precision.push(digit),
                Some(digit @ '0'..='9') => width.push(digit),
                Some('l') => {}
                Some(conversion) => break conversion,
                None => {
                    return exec_err!("`{text}` ends with half a conversion; write `%%` for a percent sign");
                }
            }
        };
        // A number that is too large for a number is too large.
        form.width = if width.is_empty() { 0 } else { width.parse().unwrap_or(usize::MAX) };
        form.precision = is_precision.then(|| match precision.is_empty() {
            true => 0,
            false => precision.parse().unwrap_or(usize::MAX),
        });
        let value = match place {
            Some(place) => place.checked_sub(1).and_then(|at| values.get(at)),
            None => values_left.next(),
        };
        let Some(value) = value else {
            return exec_err!("`{text}` wants more values than it is given");
        };
        form.write(&mut written, conversion, value)?;
    }
    Ok(written)
}

/// How a value is to be written.
#[derive(Debug, Default)]
struct Form {
    left: bool,
    plus: bool,
    space: bool,
    zeros: bool,
    grouped: bool,
    width: usize,
    precision: Option<usize>,
}

/// Letters that one value is written with at most, of those that are only asked for.
pub(super) const WIDEST: usize = 10_000;

impl Form {
    fn write(&self, to: &mut String, conversion: char, value: &str) -> Result<()> {
        let asked = match conversion {
            's' | 'S' | 'c' | 'C' | 'b' | 'B' => self.width,
            _ => self.width.max(self.precision.unwrap_or(0)),
        };
        if asked > WIDEST {
            return exec_err!(
                "`%{conversion}` with {asked} letters or digits is too wide: {WIDEST} are the most"
            );
        }
        let whole = || match value.parse::<i128>() {
            Ok(number) => Ok(number),
            Err(_) => match value.parse::<f64>() {
                Ok(number) if number.fract() == 0.0 => Ok(number as i128),
                _ => exec_err!("`{value}` is no whole number, which `%{conversion}` writes"),
            },
        };
        let number = || match value.parse::<f64>() {
            Ok(number) => Ok(number),
            Err(_) => exec_err!("`{value}` is no number, which `%{conversion}` writes"),
        };
        let digits = self.precision.unwrap_or(6);
        let mut text = match conversion {
            's' | 'S' => match self.precision {
                Some(most) => value.chars().take(most).collect(),
                None => value.to_owned(),
            },
            'd' | 'i' | 'u' => self.grouped(whole()?.to_string()),
            'x' => format!("{:x}", whole()?),
            'X' => format!("{:X}", whole()?),
            'o' => format!("{:o}", whole()?),
            'b' | 'B' => value.to_owned(),
            // A letter, or the number of one.
            'c' | 'C' => match value.parse::<u32>().ok().filter(|_| value.len() > 1).map(char::from_u32) {
                Some(letter) => letter.unwrap_or(char::REPLACEMENT_CHARACTER).to_string(),
                None => value.chars().take(1).collect(),
            },
            'f' | 'F' => self.grouped(format!("{:.digits$}", number()?)),
            'e' | 'E' => exponent(number()?, digits, conversion == 'E'),
            'g' | 'G' => number()?.to_string(),
            other => {
                return exec_err!(
                    "`%{other}` is no conversion; there are %s, %d, %f, %e, %g, %x, %o, %c and %b"
                );
            }
        };
        if matches!(conversion, 'S' | 'C' | 'B') {
            text = text.to_uppercase();
        }
        let is_number = !matches!(conversion, 's' | 'S' | 'c' | 'C' | 'b' | 'B');
        if self.space && is_number && !self.plus && !text.starts_with('-') {
            text.insert(0, ' ');
        }
        if self.plus && is_number && !text.starts_with('-') {
            text.insert(0, '+');
        }
        let missing = self.width.saturating_sub(text.chars().count());
        match (self.left, self.zeros && is_number) {
            (true, _) => write!(to, "{text}{}", " ".repeat(missing)),
            (false, true) => {
                let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
                write!(to, "{sign}{}{digits}", "0".repeat(missing))
            }
            (false, false) => write!(to, "{}{text}", " ".repeat(missing)),
        }
        .expect("a text takes all that is written");
        Ok(())
    }

    /// A number by thousands, if that is asked for.
    fn grouped(&self, number: String) -> String {
        if self.grouped { by_thousands(&number, ',') } else { number }
    }
}

/// A number with a sign between its thousands.
pub(super) fn by_thousands(number: &str, between: char) -> String {
    let (sign, number) = number.split_at(usize::from(number.starts_with('-')));
    let (whole, rest) = number.find('.').map_or((number, ""), |at| number.split_at(at));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(between);
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

/// `1.5e+03`, as C writes it.
fn exponent(number: f64, digits: usize, is_upper: bool) -> String {
    if !number.is_finite() {
        return number.to_string();
    }
    let text = format!("{number:.digits$e}");
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{mantissa}{}{sign}{power:0>2}", if is_upper { 'E' } else { 'e' })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_c_and_python_do() {
        for (text, values, written) in [
            ("%d of %s", &["3", "ten"][..], "3 of ten"),
            ("%05.1f|%-6s|%6s|", &["3.14159", "ab", "cd"], "003.1|ab    |    cd|"),
            ("%,d %+d %x %%", &["1234567", "5", "255"], "1,234,567 +5 ff %"),
            ("%e %.2s", &["1500", "abc"], "1.500000e+03 ab"),
            ("%2$s-%1$s|% d", &["5", "b"], "b-5| 5"),
            ("%S %b", &["x", "true"], "X true"),
            ("%c%c%c %e", &["65", "8364", "x", "NaN"], "A€x NaN"),
            ("{} of {}", &["3", "ten"], "3 of ten"),
            ("{1}-{0} {{x}} {0:.2f}", &["1.005", "b"], "b-1.005 {x} 1.00"),
            (
                "{:,} {:,} {:,.2f} {:_}",
                &["1234567", "-1234.5", "1234567.891", "1234"],
                "1,234,567 -1,234.5 1,234,567.89 1_234",
            ),
            (
                "{:>4}|{:<4}|{:^4}|{:*^5}|{:4}|{:4}|",
                &["a", "b", "c", "d", "e", "5"],
                "   a|b   | c  |**d**|e   |   5|",
            ),
            (
                "{:05} {:+} {:x} {:t.} {:+.1f} {:b}",
                &["42", "5", "255", "1234567", "2.25", "5"],
                "00042 +5 ff 1.234.567 +2.2 101",
            ),
        ] {
            assert_eq!(put(text, values).unwrap(), written, "{text}");
        }
        for (text, values) in [("%d", &["x"][..]), ("%d", &[]), ("50%", &[]), ("%k", &["1"]), ("{a}", &["1"])]
        {
            assert!(put(text, values).is_err(), "{text}");
        }
        for text in ["%2000000000d", "%.1000000000f", "%99999999999999999999s", "{:.70000f}", "{:>2000000}"] {
            assert!(put(text, &["1.5"]).is_err(), "{text}");
        }
        assert_eq!(put("%9000s", &["x"]).unwrap().len(), 9000);
    }
}
