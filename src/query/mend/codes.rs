//! Which small functions of other engines has the engine nothing for?
//!
//! `soundex` and `crc32` of texts, numbers in other bases (`conv`, `to_base`), `gamma` and `lgamma`, the double next to another, the
//! bytes of a text, and an error that a row gives (`error`, `raise_error`).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringBuilder};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    [
        Kind::Soundex,
        Kind::Crc32,
        Kind::Base,
        Kind::ToBase,
        Kind::Gamma,
        Kind::LogGamma,
        Kind::NextAfter,
        Kind::Octets,
        Kind::Error,
    ]
    .map(|kind| {
        // An error is not worked out before there is a row that has it.
        let volatility = if kind == Kind::Error { Volatility::Volatile } else { Volatility::Immutable };
        ScalarUDF::from(Code { kind, signature: Signature::user_defined(volatility) })
    })
    .into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Soundex,
    Crc32,
    Base,
    ToBase,
    Gamma,
    LogGamma,
    NextAfter,
    Octets,
    Error,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Code {
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for Code {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Soundex => "soundex",
            Kind::Crc32 => "crc32",
            Kind::Base => "conv",
            Kind::ToBase => "to_base",
            Kind::Gamma => "gamma",
            Kind::LogGamma => "lgamma",
            Kind::NextAfter => "nextafter",
            Kind::Octets => "octet_length",
            Kind::Error => "error",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        use DataType::{Float64, Int64, Utf8};
        match (self.kind, types.len()) {
            (Kind::Soundex | Kind::Crc32 | Kind::Error, 1) => Ok(vec![Utf8]),
            (Kind::Base, 3) => Ok(vec![Utf8, Int64, Int64]),
            (Kind::ToBase, 2) => Ok(vec![Int64, Int64]),
            (Kind::ToBase, 3) => Ok(vec![Int64, Int64, Int64]),
            (Kind::Gamma | Kind::LogGamma, 1) => Ok(vec![Float64]),
            (Kind::NextAfter, 2) => Ok(vec![Float64, Float64]),
            (Kind::Octets, 1) => match &types[0] {
                text if text.is_string() || text.is_null() => Ok(vec![Utf8]),
                bytes if bytes.is_binary() => Ok(vec![DataType::Binary]),
                _ => plan_err!("`octet_length` is of a text or of bytes"),
            },
            _ => plan_err!("`{}` has another number of arguments", self.name()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Soundex | Kind::Base | Kind::ToBase => DataType::Utf8,
            Kind::Crc32 => DataType::Int64,
            Kind::Octets => DataType::Int32,
            Kind::Gamma | Kind::LogGamma | Kind::NextAfter => DataType::Float64,
            Kind::Error => DataType::Null,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let arrays: Vec<ArrayRef> =
            args.args.into_iter().map(|arg| arg.into_array(rows)).collect::<Result<_>>()?;
        let answer = self.told(&arrays, rows)?;
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?),
            false => ColumnarValue::Array(answer),
        })
    }
}

impl Code {
    fn told(&self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let text = |at: usize, row: usize| {
            let texts = arrays[at].as_string::<i32>();
            texts.is_valid(row).then(|| texts.value(row))
        };
        let number = |at: usize, row: usize| {
            let numbers = arrays.get(at)?.as_primitive::<Int64Type>();
            numbers.is_valid(row).then(|| numbers.value(row))
        };
        let double = |at: usize, row: usize| {
            let doubles = arrays[at].as_primitive::<Float64Type>();
            doubles.is_valid(row).then(|| doubles.value(row))
        };
        let doubles = |of: &dyn Fn(f64) -> f64| -> ArrayRef {
            Arc::new((0..rows).map(|row| double(0, row).map(of)).collect::<Float64Array>())
        };
        Ok(match self.kind {
            Kind::Crc32 => {
                let code = |row| text(0, row).map(|text| i64::from(crc32(text.as_bytes())));
                Arc::new((0..rows).map(code).collect::<Int64Array>())
            }
            Kind::Octets => arrow::compute::kernels::length::length(&arrays[0])?,
            Kind::Gamma => doubles(&gamma),
            Kind::LogGamma => doubles(&log_gamma),
            Kind::NextAfter => {
                let next = |row| Some(next_after(double(0, row)?, double(1, row)?));
                Arc::new((0..rows).map(next).collect::<Float64Array>())
            }
            Kind::Error => {
                for row in 0..rows {
                    if let Some(words) = text(0, row) {
                        return exec_err!("{words}");
                    }
                }
                arrow::array::new_null_array(&DataType::Null, rows)
            }
            Kind::Soundex | Kind::Base | Kind::ToBase => {
                let mut all = StringBuilder::new();
                for row in 0..rows {
                    let code = match self.kind {
                        Kind::Soundex => text(0, row).map(soundex),
                        Kind::Base => match (text(0, row), number(1, row), number(2, row)) {
                            (Some(text), Some(from), Some(to)) => converted(text, from, to),
                            _ => None,
                        },
                        _ => match (number(0, row), number(1, row)) {
                            (Some(value), Some(base)) if value >= 0 && (2..=36).contains(&base) => {
                                let digits = in_base(value.unsigned_abs(), base.unsigned_abs());
                                let width = usize::try_from(number(2, row).unwrap_or(0)).unwrap_or(0).min(64);
                                Some(format!("{digits:0>width$}"))
                            }
                            (Some(number), Some(base)) => {
                                return exec_err!(
                                    "`to_base({number}, {base})`: the number is 0 or more, and the base from 2 to 36"
                                );
                            }
                            _ => None,
                        },
                    };
                    all.append_option(code);
                }
                Arc::new(all.finish())
            }
        })
    }
}

/// How a name sounds in English: a letter and three digits.
fn soundex(text: &str) -> String {
    let code = |letter: char| match letter.to_ascii_uppercase() {
        'B' | 'F' | 'P' | 'V' => '1',
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => '2',
        'D' | 'T' => '3',
        'L' => '4',
        'M' | 'N' => '5',
        'R' => '6',
        'H' | 'W' => '-',
        _ => '0',
    };
    let Some(first) = text.chars().next().filter(char::is_ascii_alphabetic) else { return text.to_owned() };
    let mut told = String::from(first.to_ascii_uppercase());
    let mut last = code(first);
    for letter in text.chars().skip(1).filter(char::is_ascii_alphabetic) {
        let digit = code(letter);
        // What H and W part sounds as one.
        if digit == '-' {
            continue;
        }
        if digit != '0' && digit != last {
            told.push(digit);
        }
        last = digit;
        if told.len() == 4 {
            break;
        }
    }
    format!("{told:0<4}")
}

/// The check of zip files and PNGs.
fn crc32(bytes: &[u8]) -> u32 {
    let mut check = u32::MAX;
    for byte in bytes {
        check ^= u32::from(*byte);
        for _ in 0..8 {
            let odd = check & 1 == 1;
            check >>= 1;
            if odd {
                check ^= 0xEDB8_8320;
            }
        }
    }
    !check
}

fn in_base(mut number: u64, base: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % base).unwrap_or(0);
        digits.extend(char::from_digit(digit, 36).map(|digit| digit.to_ascii_uppercase()));
        number /= base;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// A number in another base, as far as it is one; nothing if the bases are none.
fn converted(text: &str, from: i64, to: i64) -> Option<String> {
    let base = |base: i64| u32::try_from(base.unsigned_abs()).ok().filter(|base| (2..=36).contains(base));
    let (from, to) = (base(from)?, base(to)?);
    let text = text.trim();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let end = digits.find(|c: char| !c.is_digit(from)).unwrap_or(digits.len());
    if digits.is_empty() {
        return None;
    }
    let number = match &digits[..end] {
        "" => 0,
        digits => u64::from_str_radix(digits, from).unwrap_or(u64::MAX),
    };
    // Below 0 it is what has the same bits, as in Spark and MySQL.
    let number = if is_negative { number.wrapping_neg() } else { number };
    Some(in_base(number, to.into()))
}

/// Up to this whole number the gamma function's value is one that a double holds.
const MOST_EXACT: f64 = 23.0;

/// The logarithm of the gamma function's size (Lanczos).
fn log_gamma(x: f64) -> f64 {
    use std::f64::consts::PI;
    const PARTS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x <= 0.0 && x.fract() == 0.0 {
        return f64::INFINITY;
    }
    if x.fract() == 0.0 && x <= MOST_EXACT {
        return gamma(x).ln();
    }
    if x < 0.5 {
        return (PI / (PI * x).sin().abs()).ln() - log_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let far = x + 7.5;
    let sum =
        PARTS[1..].iter().zip(1_u8..).fold(PARTS[0], |sum, (part, at)| sum + part / (x + f64::from(at)));
    0.5 * (2.0 * PI).ln() + (x + 0.5) * far.ln() - far + sum.ln()
}

/// The gamma function: the factorial of the number before, exact for whole numbers that have one.
fn gamma(x: f64) -> f64 {
    if x <= 0.0 && x.fract() == 0.0 {
        return f64::NAN;
    }
    if x.fract() == 0.0 && x <= MOST_EXACT {
        let mut product = 1.0;
        let mut factor = 2.0;
        while factor < x {
            product *= factor;
            factor += 1.0;
        }
        return product;
    }
    let is_negative = x < 0.0 && x.floor().rem_euclid(2.0) == 1.0;
    let size = log_gamma(x).exp();
    if is_negative { -size } else { size }
}

fn next_after(from: f64, to: f64) -> f64 {
    match from.partial_cmp(&to) {
        Some(std::cmp::Ordering::Less) => from.next_up(),
        Some(std::cmp::Ordering::Greater) => from.next_down(),
        Some(std::cmp::Ordering::Equal) => to,
        None => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_others() {
        for (text, wanted) in [
            ("Robert", "R163"),
            ("Rupert", "R163"),
            ("Ashcraft", "A261"),
            ("Tymczak", "T522"),
            ("Pfister", "P236"),
        ] {
            assert_eq!(soundex(text), wanted, "{text}");
        }
        assert_eq!(crc32(b"Spark"), 1_557_323_817);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(in_base(10, 2), "1010");
        assert_eq!(converted("100", 2, 10).as_deref(), Some("4"));
        assert_eq!(converted("-10", 16, 16).as_deref(), Some("FFFFFFFFFFFFFFF0"));
        assert_eq!(converted("1g", 16, 10).as_deref(), Some("1"));
    }

    #[test]
    fn gamma_goes_on_where_factorials_end() {
        assert_eq!(gamma(5.0), 24.0);
        assert_eq!(gamma(1.0), 1.0);
        assert!((gamma(0.5) - std::f64::consts::PI.sqrt()).abs() < 1e-12);
        assert!((gamma(-0.5) + 2.0 * std::f64::consts::PI.sqrt()).abs() < 1e-12);
        assert!((log_gamma(10.0) - 12.801_827_480_081_469).abs() < 1e-12);
        assert_eq!(next_after(1.0, 2.0), 1.000_000_000_000_000_2);
    }
}
