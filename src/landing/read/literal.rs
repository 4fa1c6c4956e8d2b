//! Which value does a text spell, exactly?
//!
//! Each function returns the value, or nothing if the text spells no such value or the type would lose a part
//! of it: a digit, a fraction of a microsecond, a zone. Texts come without surrounding spaces.

use std::borrow::Cow;

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

/// Which of the numbers of a date comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOrder {
    /// `2013-02-01`; a date that begins with its day or month is none.
    #[default]
    Ymd,
    /// `01/02/2013` is in February.
    Dmy,
    /// `01/02/2013` is in January.
    Mdy,
}

impl Spelling {
    /// What leaves no doubt.
    pub(crate) const STRICT: Self = Self { free: false, decimal_comma: false, dates: DateOrder::Ymd };
    /// What a declared type allows.
    #[cfg(test)]
    pub(crate) const FREE: Self = Self { free: true, decimal_comma: false, dates: DateOrder::Ymd };
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
    let value: f64 = text.parse().ok()?;
    if value.is_infinite() && unsigned.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let whole = unsigned.len() > 15 && unsigned.iter().all(u8::is_ascii_digit);
    // Up to 15 digits always fit.
    (!whole || text.parse::<i128>().is_ok_and(|exact| value as i128 == exact)).then_some(value)
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

/// `2013-01-31`, `2013/1/31`, `31-Dec-2013` and, in the order that is given, `31/12/2013` as days since 1970.
pub(crate) fn date(text: &str, order: DateOrder) -> Option<i32> {
    let bytes = text.as_bytes();
    if let &[a, b, c, d, b'-', e, f, b'-', g, h] = bytes {
        return days(number(&[a, b, c, d])?, number(&[e, f])?, number(&[g, h])?);
    }
    let (one, two, three) = parts(text)?;
    let short = |part: &str| if part.len() <= 2 { number(part.as_bytes()) } else { None };
    let year = |part: &str| if part.len() == 4 { number(part.as_bytes()) } else { None };
    if let Some(month) = month_named(two) {
        return days(year(three)?, month, short(one)?);
    }
    match (year(one), order) {
        (Some(year), _) => days(year, short(two)?, short(three)?),
        (None, DateOrder::Dmy) => days(year(three)?, short(two)?, short(one)?),
        (None, DateOrder::Mdy) => days(year(three)?, short(one)?, short(two)?),
        (None, DateOrder::Ymd) => None,
    }
}

/// The three parts of a date, which the same sign parts: `/`, `.` or `-`.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let sign = text.chars().find(|letter| matches!(letter, '/' | '.' | '-'))?;
    let mut parts = text.split(sign);
    let three = (parts.next()?, parts.next()?, parts.next()?);
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (parts.next().is_none() && [three.0, three.1, three.2].into_iter().all(plain)).then_some(three)
}

fn month_named(text: &str) -> Option<i64> {
    const NAMES: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    (1..).zip(NAMES).find(|(_, name)| text.eq_ignore_ascii_case(name)).map(|(month, _)| month)
}

/// `2013-01-31`, `2013-01-31 10:00`, `2013-01-31T10:00:00.123456`, each time also with `Z` or `+01:00`; the day in
/// any of the forms of [`date`], the hour also with AM or PM.
pub(crate) fn instant(text: &str, order: DateOrder) -> Option<Instant> {
    if !text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let end = match text.as_bytes().get(10) {
        None | Some(b'T' | b't' | b' ') if text.as_bytes().get(4) == Some(&b'-') => text.len().min(10),
        _ => text.find(' ').unwrap_or(text.len()),
    };
    let (day, rest) = text.split_at_checked(end)?;
    let midnight = i64::from(date(day, order)?) * DAY;
    if rest.is_empty() {
        return Some(Instant { wall: midnight, ahead: None, timed: false });
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let half = rest.len().checked_sub(3).and_then(|at| rest.split_at_checked(at)).and_then(|(time, half)| {
        Some((
            time,
            if half.eq_ignore_ascii_case(" am") {
                0
            } else if half.eq_ignore_ascii_case(" pm") {
                12
            } else {
                return None;
            },
        ))
    });
    if let Some((time, afternoon)) = half {
        let wall = midnight + time_of_half_day(time, afternoon)?;
        return Some(Instant { wall, ahead: None, timed: true });
    }
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
        match self.ahead {
            Some(minutes) => Some(self.wall - minutes * 60_000_000),
            None => spelling.free.then_some(self.wall),
        }
    }

    /// Microseconds since 1970 on a clock without zone; freely, the zone may be given if it is UTC.
    pub(crate) fn without_zone(self, spelling: Spelling) -> Option<i64> {
        let plain = self.ahead.is_none() || (self.ahead == Some(0) && spelling.free);
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

/// `11:59:00` before noon or after it; twelve is the first hour.
fn time_of_half_day(text: &str, afternoon: i64) -> Option<i64> {
    let (hour, rest) = text.split_once(':')?;
    let hour = if hour.len() <= 2 { number(hour.as_bytes())? } else { return None };
    if !(1..=12).contains(&hour) {
        return None;
    }
    time_of_day(&format!("{:02}:{rest}", hour % 12 + afternoon))
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
    use super::*;

    const STRICT: Spelling = Spelling::STRICT;
    const FREE: Spelling = Spelling::FREE;
    const ISO: DateOrder = DateOrder::Ymd;

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
            ("2013-1-1", Some(15_706)),
            ("01/02/2013", None),
            ("20130101", None),
        ] {
            assert_eq!(date(text, ISO), day, "{text}");
        }
    }

    #[test]
    fn days_and_months_come_in_the_order_that_is_given() {
        let first_of_february = 15_737;
        for (text, iso, day_first, month_first) in [
            ("01/02/2013", None, Some(first_of_february), Some(15_707)),
            ("1.2.2013", None, Some(first_of_february), Some(15_707)),
            ("13/02/2013", None, Some(first_of_february + 12), None),
            ("2013/2/1", Some(first_of_february), Some(first_of_february), Some(first_of_february)),
            ("01-Feb-2013", Some(first_of_february), Some(first_of_february), Some(first_of_february)),
            ("1/2.2013", None, None, None),
            ("1/2/13", None, None, None),
            ("1/2/2013/4", None, None, None),
            ("10.1.2013.5", None, None, None),
        ] {
            let read = [ISO, DateOrder::Dmy, DateOrder::Mdy].map(|order| date(text, order));
            assert_eq!(read, [iso, day_first, month_first], "{text}");
        }
        let evening =
            instant("02/01/2013 11:59:00 PM", DateOrder::Mdy).and_then(|at| at.without_zone(STRICT));
        assert_eq!(evening, Some(i64::from(first_of_february + 1) * DAY - 60_000_000));
        let midnight = instant("1.2.2013 12:00 am", DateOrder::Dmy).and_then(|at| at.without_zone(STRICT));
        assert_eq!(midnight, Some(i64::from(first_of_february) * DAY));
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
            let read = instant(text, ISO);
            assert_eq!(read.and_then(|instant| instant.in_utc(STRICT)), utc, "{text}");
            assert_eq!(read.and_then(|instant| instant.without_zone(STRICT)), zoneless, "{text}");
        }
        assert_eq!(instant("2013-01-01 10:00", ISO).and_then(|i| i.in_utc(FREE)), Some(day + 10 * hour));
        assert_eq!(
            instant("2013-01-01 10:00Z", ISO).and_then(|i| i.without_zone(FREE)),
            Some(day + 10 * hour)
        );
        assert_eq!(instant("2013-01-01 10:00+01", ISO).and_then(|i| i.without_zone(FREE)), None);
    }
}
