//! Which day, or which moment, does a text spell?
//!
//! Nothing if it spells none, or if a part of it would be lost: a fraction of a microsecond, a zone. `01/02/2013` has two
//! readings; which one is meant, [`DateOrder`] says. Texts come without surrounding spaces.

use super::literal::Spelling;

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
    // What most files have: `2013-01-31 10:00:00`.
    if let &[a, b, c, d, b'-', e, f, b'-', g, h, b'T' | b't' | b' ', i, j, b':', k, l, b':', m, n] =
        text.as_bytes()
    {
        let day = days(number(&[a, b, c, d])?, number(&[e, f])?, number(&[g, h])?)?;
        let (hour, minute, second) = (number(&[i, j])?, number(&[k, l])?, number(&[m, n])?);
        let micros = ((hour * 60 + minute) * 60 + second) * 1_000_000;
        let wall = i64::from(day) * DAY + micros;
        return (hour < 24 && minute < 60 && second < 60).then_some(Instant {
            wall,
            ahead: None,
            timed: true,
        });
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

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0i64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Spelling = Spelling::STRICT;
    const FREE: Spelling = Spelling::FREE;
    const ISO: DateOrder = DateOrder::Ymd;

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
