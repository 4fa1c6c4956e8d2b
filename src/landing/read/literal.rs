//! Which value does a text spell, exactly?
//!
//! Each function returns the value, or nothing if the text spells no such value or the type would lose a part
//! of it: a digit. Texts come without surrounding spaces.
//!
//! Not here: dates and times (`moment`).

use std::borrow::Cow;

use super::moment::DateOrder;

/// How freely a value may be spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spelling {
    /// For types that the user declared: also `007`, `+7`, `yes`, `NaN`, an instant without a zone. For types that
    /// were inferred only what leaves no doubt: `007` is a code, `1` is no boolean.
    pub(crate) free: bool,
    /// Whether numbers are written `1.234,5`.
    pub(crate) decimal_comma: bool,
    /// What `01/02/2013` means.
    pub(crate) dates: DateOrder,
}

impl Spelling {
    /// What leaves no doubt.
    pub(crate) const STRICT: Self = Self { free: false, decimal_comma: false, dates: DateOrder::Ymd };
    /// What a declared type allows.
    #[cfg(test)]
    pub(crate) const FREE: Self = Self { free: true, decimal_comma: false, dates: DateOrder::Ymd };
}

/// `true` or `false` in any case; freely also t, f, yes, no, y, n, 1, 0.
pub(crate) fn boolean(text: &str, spelling: Spelling) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") {
        return Some(true);
    }
    if is("false") {
        return Some(false);
    }
    match spelling.free {
        true if ["t", "yes", "y", "1"].into_iter().any(is) => Some(true),
        true if ["f", "no", "n", "0"].into_iter().any(is) => Some(false),
        _ => None,
    }
}

/// A whole number without fraction or exponent.
pub(crate) fn integer(text: &str, spelling: Spelling) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] if spelling.free => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || (!spelling.free && padded(digits)) {
        return None;
    }
    let mut value = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Counted downwards, because the least i64 has no positive twin.
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// A number; a whole number only if a double holds all its digits. Freely also NaN and infinities.
pub(crate) fn double(text: &str, spelling: Spelling) -> Option<f64> {
    if spelling.decimal_comma {
        let text = with_point(text)?;
        return double(&text, Spelling { decimal_comma: false, ..spelling });
    }
    let bytes = text.as_bytes();
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let plain = unsigned.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    if !spelling.free && (!plain || padded(unsigned)) {
        return None;
    }
    if let Some(value) = short(bytes) {
        return Some(value);
    }
    let value: f64 = text.parse().ok()?;
    if value.is_infinite() && unsigned.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let whole = unsigned.len() > 15 && unsigned.iter().all(u8::is_ascii_digit);
    // Up to 15 digits always fit.
    (!whole || text.parse::<i128>().is_ok_and(|exact| value as i128 == exact)).then_some(value)
}

/// `-12.34`, if it has no more than 15 digits. A double holds both them and the power of ten exactly, and the quotient of
/// two such numbers is the nearest double (W. D. Clinger, *How to Read Floating Point Numbers Accurately*, 1990).
fn short(text: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (mut value, mut point) = (0_u64, None);
    if digits.len() > 16 || !digits.first()?.is_ascii_digit() || !digits.last()?.is_ascii_digit() {
        return None;
    }
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let fraction = point.map_or(0, |at| digits.len() - at - 1);
    if digits.len() - usize::from(point.is_some()) > 15 {
        return None;
    }
    let value = value as f64 / POWERS[fraction];
    Some(if negative { -value } else { value })
}

/// A number written with a decimal comma, written with a point: `1.234,5` is `1234.5`.
///
/// Points part groups of three digits, or there are none.
pub(crate) fn with_point(text: &str) -> Option<Cow<'_, str>> {
    let (whole, fraction) = match text.split_once(',') {
        Some((whole, fraction)) if !fraction.contains([',', '.']) => (whole, Some(fraction)),
        Some(_) => return None,
        None => (text, None),
    };
    let mut groups = whole.split('.');
    let first = groups.next().unwrap_or_default();
    let unsigned = first.trim_start_matches(['-', '+']);
    let mut grouped = groups.clone().peekable();
    let is_grouped = grouped.peek().is_some();
    if is_grouped && (unsigned.is_empty() || unsigned.len() > 3 || !grouped.all(|group| group.len() == 3)) {
        return None;
    }
    match (is_grouped, fraction) {
        (false, None) => Some(Cow::Borrowed(text)),
        (_, fraction) => {
            let whole: String = std::iter::once(first).chain(groups).collect();
            Some(Cow::Owned(fraction.map_or_else(|| whole.clone(), |fraction| format!("{whole}.{fraction}"))))
        }
    }
}

/// The unscaled value of a decimal, if it has no more digits than `precision` and `scale` allow.
///
/// Zeros at the end of the fraction do not count; `1e3` is 1000.
pub(crate) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, number) = match number.as_bytes().first()? {
        b'-' => (true, &number[1..]),
        b'+' => (false, &number[1..]),
        _ => (false, number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let mut value = 0i128;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    let shift = i32::from(scale).checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let power = 10i128.checked_pow(shift.unsigned_abs());
    let unscaled = match (value, power) {
        (0, _) => 0,
        (_, None) => return None,
        (_, Some(power)) if shift >= 0 => value.checked_mul(power)?,
        (_, Some(power)) if value % power == 0 => value / power,
        _ => return None,
    };
    let fits = unscaled < 10i128.checked_pow(u32::from(precision))?;
    fits.then_some(if negative { -unscaled } else { unscaled })
}

/// Whether a number is written with zeros that it does not need in front.
fn padded(digits: &[u8]) -> bool {
    matches!(digits, [b'0', b'0'..=b'9', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Spelling = Spelling::STRICT;
    const FREE: Spelling = Spelling::FREE;

    #[test]
    fn integers_keep_every_digit() {
        for (text, strict, free) in [
            ("0", Some(0), Some(0)),
            ("-0", Some(0), Some(0)),
            ("42", Some(42), Some(42)),
            ("9223372036854775807", Some(i64::MAX), Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN), Some(i64::MIN)),
            ("9223372036854775808", None, None),
            ("007", None, Some(7)),
            ("+7", None, Some(7)),
            ("-01", None, Some(-1)),
            ("1.0", None, None),
            ("1e3", None, None),
            ("1_000", None, None),
            ("", None, None),
            ("-", None, None),
            ("٣", None, None),
        ] {
            assert_eq!((integer(text, STRICT), integer(text, FREE)), (strict, free), "{text}");
        }
    }

    #[test]
    fn a_short_number_is_the_double_that_the_standard_library_reads() {
        for whole in ["0", "-0", "1", "7", "-12", "999999999999999", "1234567890123456", "99999999999999999"]
        {
            for fraction in
                ["", ".", ".0", ".1", ".30", ".07", ".005", ".123456789012345", ".00000000000001", ".1.2"]
            {
                let text = format!("{whole}{fraction}");
                if let Some(value) = short(text.as_bytes()) {
                    assert_eq!(Ok(value.to_bits()), text.parse::<f64>().map(f64::to_bits), "{text}");
                }
            }
        }
        for (text, is_short) in [
            ("0.1", true),
            ("-8.25", true),
            ("1.", false),
            (".5", false),
            ("1e3", false),
            ("", false),
            ("-", false),
        ] {
            assert_eq!(short(text.as_bytes()).is_some(), is_short, "{text}");
        }
        let mut digits = 1_u64;
        for _ in 0..10_000 {
            digits = digits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = digits >> 14;
            let text = format!("{}.{:02}", number % 10_000_000_000_000 / 100, number % 100);
            assert_eq!(short(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn doubles_are_numbers_unless_declared() {
        for (text, strict, free) in [
            ("1.5", Some(1.5), Some(1.5)),
            ("-.5", Some(-0.5), Some(-0.5)),
            ("1e3", Some(1000.0), Some(1000.0)),
            ("10.357019999999999", Some(10.357_019_999_999_999), Some(10.357_019_999_999_999)),
            ("9007199254740992", Some(9_007_199_254_740_992.0), Some(9_007_199_254_740_992.0)),
            ("9007199254740993", None, None),
            ("1e999", None, None),
            ("00.5", None, Some(0.5)),
            ("inf", None, Some(f64::INFINITY)),
            ("-infinity", None, Some(f64::NEG_INFINITY)),
            (".", None, None),
            ("-", None, None),
            ("12%", None, None),
            ("1,5", None, None),
        ] {
            assert_eq!((double(text, STRICT), double(text, FREE)), (strict, free), "{text}");
        }
        assert!(double("NaN", STRICT).is_none() && double("NaN", FREE).is_some_and(f64::is_nan));
    }

    #[test]
    fn booleans_are_words_unless_declared() {
        for (text, strict, free) in [
            ("TRUE", Some(true), Some(true)),
            ("false", Some(false), Some(false)),
            ("t", None, Some(true)),
            ("No", None, Some(false)),
            ("1", None, Some(true)),
            ("2", None, None),
        ] {
            assert_eq!((boolean(text, STRICT), boolean(text, FREE)), (strict, free), "{text}");
        }
    }

    #[test]
    fn decimals_are_exact_or_nothing() {
        for (text, precision, scale, unscaled) in [
            ("12.34", 5, 2, Some(1234)),
            ("-12.3", 5, 2, Some(-1230)),
            ("12.340", 5, 2, Some(1234)),
            ("12.345", 5, 2, None),
            ("999.99", 5, 2, Some(99_999)),
            ("1000", 5, 2, None),
            ("1e2", 5, 2, Some(10_000)),
            ("15e-1", 5, 2, Some(150)),
            ("15e-3", 5, 2, None),
            ("0e99", 5, 2, Some(0)),
            (".5", 5, 2, Some(50)),
            (
                "99999999999999999999999999999999999999",
                38,
                0,
                Some(99_999_999_999_999_999_999_999_999_999_999_999_999),
            ),
            ("999999999999999999999999999999999999999", 38, 0, None),
            ("NaN", 5, 2, None),
            (".", 5, 2, None),
            ("-", 5, 2, None),
            ("1e", 5, 2, None),
        ] {
            assert_eq!(decimal(text, precision, scale), unscaled, "{text}");
        }
    }

    #[test]
    fn a_decimal_comma_is_a_point_elsewhere() {
        for (text, with) in [
            ("1,5", Some("1.5")),
            ("-1.234.567,89", Some("-1234567.89")),
            ("1.234", Some("1234")),
            ("12", Some("12")),
            ("1.5", None),
            ("1.2345,6", None),
            ("1,2,3", None),
        ] {
            assert_eq!(with_point(text).as_deref(), with, "{text}");
        }
        let comma = Spelling { decimal_comma: true, ..STRICT };
        assert_eq!((double("1.234,5", comma), double("1.5", comma)), (Some(1234.5), None));
    }
}
