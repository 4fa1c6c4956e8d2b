//! Which value does a text spell, exactly?
//!
//! Each function returns the value, or nothing if the text spells no such value or the type would lose a part
//! of it: a digit, a fraction of a microsecond, a zone. Texts come without surrounding spaces.

/// How freely a value may be spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// For types that were inferred: only what leaves no doubt. `007` is a code, `1` is no boolean.
    Strict,
    /// For types that the user declared: also `007`, `+7`, `yes`, `NaN`, an instant without a zone.
    Free,
}

/// A date, perhaps with a time, perhaps with a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instant {
    /// Microseconds since 1970 on the clock that the text shows.
    wall: i64,
    /// How far that clock is ahead of UTC, in minutes, if the text says so.
    ahead: Option<i64>,
    /// Whether there is a time of day.
    timed: bool,
}

const DAY: i64 = 86_400_000_000;

/// `true` or `false` in any case; freely also t, f, yes, no, y, n, 1, 0.
pub(crate) fn boolean(text: &str, spelling: Spelling) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") {
        return Some(true);
    }
    if is("false") {
        return Some(false);
    }
    match spelling {
        Spelling::Strict => None,
        Spelling::Free if ["t", "yes", "y", "1"].into_iter().any(is) => Some(true),
        Spelling::Free if ["f", "no", "n", "0"].into_iter().any(is) => Some(false),
        Spelling::Free => None,
    }
}

/// A whole number without fraction or exponent.
pub(crate) fn integer(text: &str, spelling: Spelling) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] if spelling == Spelling::Free => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || (spelling == Spelling::Strict && padded(digits)) {
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
    let bytes = text.as_bytes();
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let plain = unsigned.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    if spelling == Spelling::Strict && (!plain || padded(unsigned)) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    if value.is_infinite() && unsigned.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let whole = unsigned.len() > 15 && unsigned.iter().all(u8::is_ascii_digit);
    // Up to 15 digits always fit.
    (!whole || text.parse::<i128>().is_ok_and(|exact| value as i128 == exact)).then_some(value)
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

/// `2013-01-31` as days since 1970.
pub(crate) fn date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    let &[a, b, c, d, b'-', e, f, b'-', g, h] = bytes else { return None };
    days(number(&[a, b, c, d])?, number(&[e, f])?, number(&[g, h])?)
}

/// `2013-01-31`, `2013-01-31 10:00`, `2013-01-31T10:00:00.123456`, each time also with `Z` or `+01:00`.
pub(crate) fn instant(text: &str) -> Option<Instant> {
    let (day, rest) = text.split_at_checked(10)?;
    let midnight = i64::from(date(day)?) * DAY;
    if rest.is_empty() {
        return Some(Instant { wall: midnight, ahead: None, timed: false });
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone_at);
    Some(Instant { wall: midnight + time_of_day(time)?, ahead: zone_ahead(zone.trim_start())?, timed: true })
}

impl Instant {
    /// Whether a time of day is given.
    pub(crate) fn is_timed(self) -> bool {
        self.timed
    }

    /// Whether a zone is given.
    pub(crate) fn is_zoned(self) -> bool {
        self.ahead.is_some()
    }

    /// Microseconds since 1970 in UTC; freely, UTC is meant if no zone is given.
    pub(crate) fn in_utc(self, spelling: Spelling) -> Option<i64> {
        match (self.ahead, spelling) {
            (Some(minutes), _) => Some(self.wall - minutes * 60_000_000),
            (None, Spelling::Free) => Some(self.wall),
            (None, Spelling::Strict) => None,
        }
    }

    /// Microseconds since 1970 on a clock without zone; freely, the zone may be given if it is UTC.
    pub(crate) fn without_zone(self, spelling: Spelling) -> Option<i64> {
        let plain = self.ahead.is_none() || (self.ahead == Some(0) && spelling == Spelling::Free);
        plain.then_some(self.wall)
    }
}

/// Whether a number is written with zeros that it does not need in front.
fn padded(digits: &[u8]) -> bool {
    matches!(digits, [b'0', b'0'..=b'9', ..])
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0i64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// `10:00`, `10:00:00`, `10:00:00.123456` as microseconds. More digits only if they are zeros.
fn time_of_day(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock.as_bytes(), fraction.as_bytes()),
        None => (bytes, &b"0"[..]),
    };
    let (hour, minute, second) = match *clock {
        [a, b, b':', c, d] if clock.len() == bytes.len() => (number(&[a, b])?, number(&[c, d])?, 0),
        [a, b, b':', c, d, b':', e, f] => (number(&[a, b])?, number(&[c, d])?, number(&[e, f])?),
        _ => return None,
    };
    let (kept, dropped) = fraction.split_at(fraction.len().min(6));
    if hour > 23 || minute > 59 || second > 59 || kept.is_empty() || dropped.iter().any(|byte| *byte != b'0')
    {
        return None;
    }
    let micros = number(kept)? * [1, 100_000, 10_000, 1_000, 100, 10, 1][kept.len()];
    Some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

/// The zone's distance from UTC in minutes: some, none if no zone is written, or not a zone.
fn zone_ahead(text: &str) -> Option<Option<i64>> {
    let (sign, digits) = match text.as_bytes() {
        [] => return Some(None),
        b"Z" | b"z" | b"UTC" => return Some(Some(0)),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match *digits {
        [a, b] => (number(&[a, b])?, 0),
        [a, b, c, d] | [a, b, b':', c, d] => (number(&[a, b])?, number(&[c, d])?),
        _ => return None,
    };
    (hours <= 18 && minutes <= 59).then_some(Some(sign * (hours * 60 + minutes)))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, if there is such a day.
fn days(year: i64, month: i64, day: i64) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || year == 0 {
        return None;
    }
    // Years that begin in March put the leap day last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    i32::try_from(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468).ok()
}

#[cfg(test)]
mod tests {
    use super::Spelling::{Free, Strict};
    use super::*;

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
            assert_eq!((integer(text, Strict), integer(text, Free)), (strict, free), "{text}");
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
            assert_eq!((double(text, Strict), double(text, Free)), (strict, free), "{text}");
        }
        assert!(double("NaN", Strict).is_none() && double("NaN", Free).is_some_and(f64::is_nan));
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
            assert_eq!((boolean(text, Strict), boolean(text, Free)), (strict, free), "{text}");
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
    fn dates_are_days_of_the_calendar() {
        for (text, day) in [
            ("1970-01-01", Some(0)),
            ("2013-01-01", Some(15_706)),
            ("2000-02-29", Some(11_016)),
            ("0001-01-01", Some(-719_162)),
            ("9999-12-31", Some(2_932_896)),
            ("1900-02-29", None),
            ("2013-13-01", None),
            ("2013-04-31", None),
            ("2013-1-1", None),
            ("01/02/2013", None),
            ("20130101", None),
        ] {
            assert_eq!(date(text), day, "{text}");
        }
    }

    #[test]
    fn instants_keep_zone_and_microseconds() {
        let day = 15_706 * DAY;
        let hour = 3_600_000_000;
        for (text, utc, zoneless) in [
            ("2013-01-01", None, Some(day)),
            ("2013-01-01 10:00", None, Some(day + 10 * hour)),
            ("2013-01-01 10:00:00.5", None, Some(day + 10 * hour + 500_000)),
            ("2013-01-01T10:00:00Z", Some(day + 10 * hour), None),
            ("2013-01-01T10:00:00.000001+02:00", Some(day + 8 * hour + 1), None),
            ("2013-01-01 10:00:00 -0130", Some(day + 11 * hour + hour / 2), None),
            ("2013-01-01 10:00:00+02", Some(day + 8 * hour), None),
            ("2013-01-01 10:00:00 UTC", Some(day + 10 * hour), None),
            ("2013-01-01 10:00:00.123456000", None, Some(day + 10 * hour + 123_456)),
            ("2013-01-01 10:00:00.123456789", None, None),
            ("2013-01-01 25:00:00", None, None),
            ("2013-01-01 10:00:60", None, None),
            ("2013-01-01 10:00.5", None, None),
            ("2013-01-01 10:00:00.", None, None),
            ("2013-01-01x10:00:00", None, None),
            ("2013-01-0é", None, None),
        ] {
            let read = instant(text);
            assert_eq!(read.and_then(|instant| instant.in_utc(Strict)), utc, "{text}");
            assert_eq!(read.and_then(|instant| instant.without_zone(Strict)), zoneless, "{text}");
        }
        assert_eq!(instant("2013-01-01 10:00").and_then(|i| i.in_utc(Free)), Some(day + 10 * hour));
        assert_eq!(instant("2013-01-01 10:00Z").and_then(|i| i.without_zone(Free)), Some(day + 10 * hour));
        assert_eq!(instant("2013-01-01 10:00+01").and_then(|i| i.without_zone(Free)), None);
    }
}
