//! Which instant does a text mean?
//!
//! `2024-01-05 10:11` and `2024-1-5T10:11:12.5+02:00` are instants, as in Postgres and DuckDB. Where no time zone is
//! asked for, the time is what the clock on the wall showed, and an offset that is written changes nothing; where one is,
//! the offset counts, and without it the session's zone does. The engine wants seconds, and takes the offset off.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondBuilder};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::DataType;
use chrono::{NaiveDate, NaiveDateTime, Utc};
use datafusion::common::{Result, exec_err};

/// The instants that texts mean. One that means none is an error, or null where that is allowed.
pub(super) fn instants(texts: &ArrayRef, zone: Option<Arc<str>>, or_null: bool) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let parsed = zone.as_deref().map(str::parse::<Tz>).transpose()?;
    let mut read = TimestampMicrosecondBuilder::with_capacity(texts.len());
    for row in 0..texts.len() {
        if texts.is_null(row) {
            read.append_null();
            continue;
        }
        let text = texts.value(row);
        match instant(text, parsed.as_ref()) {
            None if !or_null => {
                let wanted = if zone.is_some() { "timestamptz" } else { "timestamp" };
                return exec_err!("'{text}' cannot be read as {wanted}");
            }
            micros => read.append_option(micros),
        }
    }
    Ok(Arc::new(read.finish().with_timezone_opt(zone)))
}

/// The instant, in microseconds since 1970.
fn instant(text: &str, zone: Option<&Tz>) -> Option<i64> {
    let text = text.trim();
    let Some((wall, offset)) = read(text) else {
        // Other forms that the engine knows: `20240105T101112Z`, the name of a zone at the end.
        return match zone {
            Some(zone) => string_to_datetime(zone, text).ok().map(|at| at.timestamp_micros()),
            None => string_to_datetime(&Utc, text).ok().map(|at| at.timestamp_micros()),
        };
    };
    let micros = wall.and_utc().timestamp_micros();
    match (zone, offset) {
        (None, _) => Some(micros),
        (Some(_), Some(seconds)) => micros.checked_sub(i64::from(seconds) * 1_000_000),
        (Some(zone), None) => super::zones::instant(*zone, micros),
    }
}

/// What the clock showed, and the offset in seconds that is written behind it.
fn read(text: &str) -> Option<(NaiveDateTime, Option<i32>)> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.digits(4, 6)?;
    rest.take(b"-")?;
    let month = rest.digits(1, 2)?;
    rest.take(b"-")?;
    let day = rest.digits(1, 2)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    if rest.0.is_empty() {
        return Some((date.and_hms_opt(0, 0, 0)?, None));
    }
    if rest.take(b"Tt").is_none() {
        rest.take(b" ")?;
        rest.blanks();
    }
    let hour = rest.digits(1, 2)?;
    rest.take(b":")?;
    let minute = rest.digits(2, 2)?;
    let (mut second, mut micros) = (0, 0);
    if rest.take(b":").is_some() {
        second = rest.digits(2, 2)?;
        if rest.take(b".").is_some() {
            micros = rest.fraction()?;
        }
    }
    let offset = rest.offset()?;
    let wall = match (hour, minute, second, micros) {
        (24, 0, 0, 0) => date.succ_opt()?.and_hms_opt(0, 0, 0)?,
        _ => date.and_hms_micro_opt(hour, minute, second, micros)?,
    };
    Some((wall, offset))
}

/// What of a text is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take(&mut self, any_of: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        any_of.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn blanks(&mut self) {
        while self.take(b" ").is_some() {}
    }

    /// A number of so many digits.
    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        (count >= least).then(|| digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }

    /// The digits of a fraction, as microseconds; what is smaller is left out.
    fn fraction(&mut self) -> Option<u32> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let six = digits.iter().chain(std::iter::repeat(&b'0')).take(6);
        (1..=9).contains(&count).then(|| six.fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }

    /// Nothing, `Z`, `UTC`, `+02`, `+0200`, `-05:30` or `+05:30:15`, and nothing behind it.
    fn offset(&mut self) -> Option<Option<i32>> {
        self.blanks();
        if self.0.is_empty() {
            return Some(None);
        }
        if self.0.eq_ignore_ascii_case(b"z") || self.0.eq_ignore_ascii_case(b"utc") {
            return Some(Some(0));
        }
        let sign = if self.take(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.digits(1, 2)?;
        let mut minutes = 0;
        let mut seconds = 0;
        if !self.0.is_empty() {
            let is_apart = self.take(b":").is_some();
            minutes = self.digits(2, 2)?;
            if is_apart && self.take(b":").is_some() {
                seconds = self.digits(2, 2)?;
            }
        }
        let is_whole = self.0.is_empty() && hours < 24 && minutes < 60 && seconds < 60;
        let total = i32::try_from(hours * 3600 + minutes * 60 + seconds).ok()?;
        is_whole.then_some(Some(sign * total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_in_other_engines() {
        let berlin: Tz = "Europe/Berlin".parse().unwrap();
        let told = |text: &str, zone: Option<&Tz>| {
            let at = chrono::DateTime::from_timestamp_micros(instant(text, zone)?)?;
            Some(at.format("%Y-%m-%d %H:%M:%S%.f").to_string())
        };
        for (text, wall, there) in [
            ("2024-01-05", "2024-01-05 00:00:00", "2024-01-04 23:00:00"),
            ("2024-1-5 1:02", "2024-01-05 01:02:00", "2024-01-05 00:02:00"),
            (" 2024-07-05T10:11 ", "2024-07-05 10:11:00", "2024-07-05 08:11:00"),
            ("2024-01-05 10:11:12.5", "2024-01-05 10:11:12.500", "2024-01-05 09:11:12.500"),
            ("2024-01-05 10:11:12.1234567", "2024-01-05 10:11:12.123456", "2024-01-05 09:11:12.123456"),
            ("2024-01-05T10:00:00+02:00", "2024-01-05 10:00:00", "2024-01-05 08:00:00"),
            ("2024-01-05 10:00:00 -0530", "2024-01-05 10:00:00", "2024-01-05 15:30:00"),
            ("2024-01-05 10:00Z", "2024-01-05 10:00:00", "2024-01-05 10:00:00"),
            ("2024-01-05 24:00", "2024-01-06 00:00:00", "2024-01-05 23:00:00"),
            ("2024-03-31 02:30", "2024-03-31 02:30:00", "2024-03-31 01:30:00"),
            ("2024-10-27 02:30", "2024-10-27 02:30:00", "2024-10-27 01:30:00"),
            ("0001-01-01", "0001-01-01 00:00:00", "0000-12-31 23:06:32"),
        ] {
            assert_eq!(told(text, None).as_deref(), Some(wall), "{text}");
            assert_eq!(told(text, Some(&berlin)).as_deref(), Some(there), "{text}");
        }
        for wrong in [
            "",
            "soon",
            "2024-02-30",
            "2024-01-05 25:00",
            "2024-01-05 10:60",
            "2024-01-05 10:00+99",
            "2024-01-05 10:11x",
            "24-01-05",
        ] {
            assert_eq!(told(wrong, None), None, "{wrong}");
        }
    }
}
