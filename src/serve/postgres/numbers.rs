//! How are numbers and spans of time written in PostgreSQL?

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;

/// A number in binary form, as text: groups of four digits, the first of `weight` groups before the point.
pub(super) fn binary_number(bytes: &[u8]) -> Option<String> {
    let words: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let [count, weight, sign, scale, groups @ ..] = &words[..] else { return None };
    if usize::from(*count) != groups.len() || bytes.len() % 2 != 0 || groups.iter().any(|group| *group > 9999)
    {
        return None;
    }
    match sign {
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => {}
    }
    let weight = i32::from(i16::from_be_bytes(weight.to_be_bytes()));
    let group = |place: i32| {
        let at = usize::try_from(weight - place).ok();
        at.and_then(|at| groups.get(at)).copied().unwrap_or(0)
    };
    let mut text = if *sign == 0x4000 { "-".to_owned() } else { String::new() };
    for place in (0..=weight.max(0)).rev() {
        let _ = write!(text, "{:04}", group(place));
    }
    let scale = usize::from(*scale);
    let mut digits = String::new();
    let mut place = -1;
    while digits.len() < scale {
        let _ = write!(digits, "{:04}", group(place));
        place -= 1;
    }
    digits.truncate(scale);
    if !digits.is_empty() {
        let _ = write!(text, ".{digits}");
    }
    Some(text)
}

/// An exact number as it is written, in binary form: what [`binary_number`] reads.
pub(super) fn number_bytes(text: &str) -> Vec<u8> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (0x4000_u16, digits),
        None => (0, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
    let scale = part.len();
    let part = format!("{part}{}", "0".repeat((4 - scale % 4) % 4));
    let all = format!("{whole}{part}");
    let mut groups: Vec<u16> =
        (0..all.len() / 4).map(|at| all[4 * at..4 * at + 4].parse().unwrap_or(0)).collect();
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let weight = whole.len() as i64 / 4 - 1 - leading as i64;
    let weight = if groups.is_empty() { 0 } else { weight };
    let head = [groups.len() as u16, weight as i16 as u16, sign, scale as u16];
    head.iter().chain(&groups).flat_map(|word| word.to_be_bytes()).collect()
}

/// A number, exact as it is written; what no exact number is, as a floating one.
pub(super) fn number(text: &str) -> Option<ArrayRef> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (is_negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !(whole.is_empty() && part.is_empty())
        && (whole.bytes().chain(part.bytes())).all(|b| b.is_ascii_digit());
    if !is_number {
        let special = ["nan", "infinity", "-infinity", "inf", "-inf"].contains(&text.to_lowercase().as_str());
        let value = special.then(|| text.parse::<f64>().ok()).flatten()?;
        return Some(Arc::new(Float64Array::from(vec![value])));
    }
    if !(-76..=76).contains(&exponent) {
        return text.parse::<f64>().ok().map(|value| Arc::new(Float64Array::from(vec![value])) as ArrayRef);
    }
    // The point moves by the exponent.
    let scale = i32::try_from(part.len()).ok()? - exponent;
    let mut all = format!("{whole}{part}").trim_start_matches('0').to_owned();
    if scale < 0 {
        all.extend(std::iter::repeat_n('0', scale.unsigned_abs() as usize));
    }
    let scale = usize::try_from(scale.max(0)).ok()?;
    while all.len() <= scale {
        all.insert(0, '0');
    }
    let point = all.len() - scale;
    let sign = if is_negative { "-" } else { "" };
    let plain = format!("{sign}{}{}{}", &all[..point], if scale > 0 { "." } else { "" }, &all[point..]);
    let scale = i8::try_from(scale).ok()?;
    let data_type = match all.len() {
        0..=38 => DataType::Decimal128(38, scale),
        39..=76 => DataType::Decimal256(76, scale),
        _ => return None,
    };
    let column = StringArray::from(vec![plain]);
    cast_with_options(&column, &data_type, &CastOptions { safe: false, ..CastOptions::default() }).ok()
}

/// A span of time as it is written: months, days, and microseconds.
///
/// `1 year 2 mons -3 days 04:05:06.5`, Python's `1 day, 0:00:03`, and `P1Y2M3DT4H5M6S`.
pub(super) fn interval_words(text: &str) -> Option<(i32, i32, i64)> {
    let text = text.trim().to_lowercase();
    let spaced = match text.strip_prefix('p') {
        Some(parts) => iso(parts)?,
        None => text.replace(',', " "),
    };
    let mut words = spaced.split_whitespace().peekable();
    let (mut months, mut days, mut micros) = (0_f64, 0_f64, 0_i64);
    words.peek()?;
    while let Some(word) = words.next() {
        if word.contains(':') {
            micros = micros.checked_add(clock(word)?)?;
            continue;
        }
        if word == "ago" {
            return Some((whole(-months)?, whole(-days)?, -micros));
        }
        let end = word.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(word.len());
        let amount: f64 = word[..end].parse().ok()?;
        let unit = if end < word.len() { &word[end..] } else { words.next()? };
        let (per_month, per_day, per_micro) =
            match if unit == "ms" { "msec" } else { unit.trim_end_matches('s') } {
                "y" | "yr" | "year" => (12.0, 0.0, 0.0),
                "mon" | "month" => (1.0, 0.0, 0.0),
                "w" | "week" => (0.0, 7.0, 0.0),
                "d" | "day" => (0.0, 1.0, 0.0),
                "h" | "hr" | "hour" => (0.0, 0.0, 3.6e9),
                "m" | "min" | "minute" => (0.0, 0.0, 6e7),
                "" | "sec" | "second" => (0.0, 0.0, 1e6),
                "ms" | "msec" | "millisecond" => (0.0, 0.0, 1e3),
                "u" | "usec" | "microsecond" => (0.0, 0.0, 1.0),
                _ => return None,
            };
        months += amount * per_month;
        days += amount * per_day;
        micros = micros.checked_add(rounded(amount * per_micro)?)?;
    }
    // Half a day is twelve hours.
    let rest = rounded(days.fract() * 8.64e10)?;
    Some((whole(months)?, whole(days.trunc())?, micros.checked_add(rest)?))
}

fn rounded(value: f64) -> Option<i64> {
    (value.abs() < 9e18).then(|| value.round() as i64)
}

fn whole(value: f64) -> Option<i32> {
    rounded(value).and_then(|value| i32::try_from(value).ok())
}

/// `-01:02:03.5` in microseconds.
fn clock(word: &str) -> Option<i64> {
    let (sign, word) = match word.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    let mut parts = word.split(':');
    let (hours, minutes) = (parts.next()?.parse::<i64>().ok()?, parts.next()?.parse::<i64>().ok()?);
    let seconds = parts.next().map_or(Some(0.0), |part| part.parse::<f64>().ok())?;
    let whole = hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60_000_000)?;
    (parts.next().is_none() && seconds >= 0.0).then_some(())?;
    whole.checked_add(rounded(seconds * 1e6)?)?.checked_mul(sign)
}

/// `1Y2M3DT4H5M6S` in words.
fn iso(parts: &str) -> Option<String> {
    let (mut text, mut amount, mut is_time) = (String::new(), String::new(), false);
    for letter in parts.chars() {
        if letter == 't' {
            is_time = true;
        } else if letter.is_ascii_alphabetic() {
            let unit = match (letter, is_time) {
                ('y', false) => "year",
                ('m', false) => "month",
                ('w', false) => "week",
                ('d', false) => "day",
                ('h', true) => "hour",
                ('m', true) => "minute",
                ('s', true) => "second",
                _ => return None,
            };
            let _ = write!(text, "{} {unit} ", std::mem::take(&mut amount));
        } else {
            amount.push(letter);
        }
    }
    amount.is_empty().then_some(text)
}

#[cfg(test)]
mod tests {
    use arrow::util::display::array_value_to_string;

    use super::*;

    #[test]
    fn numbers_are_exact() {
        let shown = |text: &str| number(text).map(|column| array_value_to_string(&column, 0).unwrap());
        for (text, exact) in [
            ("1.230", "1.230"),
            ("-0.00012", "-0.00012"),
            ("1E+3", "1000"),
            ("1.5e-3", "0.0015"),
            ("0", "0"),
            (".5", "0.5"),
            ("10000000000000000000000000000000000000001", "10000000000000000000000000000000000000001"),
            ("NaN", "NaN"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(exact), "{text}");
        }
        assert!(number("1.2.3").is_none() && number("x").is_none() && number("").is_none());
        let bytes: Vec<u8> =
            [2_u16, 0, 0x4000, 3, 12, 3450].iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(binary_number(&bytes).as_deref(), Some("-0012.345"));
        assert_eq!(binary_number(&[0, 1]), None);
        for exact in ["0", "0.00", "-0.0001", "12345.6789", "10000000000", "100000000000000000000000000000.5"]
        {
            let read = binary_number(&number_bytes(exact)).unwrap();
            let (sign, digits) = exact.strip_prefix('-').map_or(("", exact), |digits| ("-", digits));
            let plain = read.trim_start_matches('-').trim_start_matches('0');
            let plain = if plain.is_empty() || plain.starts_with('.') {
                format!("0{plain}")
            } else {
                plain.to_owned()
            };
            assert_eq!((plain.as_str(), read.starts_with('-')), (digits, sign == "-"), "{exact}");
        }
    }

    #[test]
    fn spans_of_time_are_read_in_every_style() {
        let hour = 3_600_000_000;
        for (text, read) in [
            ("1 day, 0:00:03", (0, 1, 3_000_000)),
            ("-1 day, 23:59:59.5", (0, -1, 24 * hour - 500_000)),
            ("1 year 2 mons -3 days -04:00:00", (14, -3, -4 * hour)),
            ("P1Y2M3DT4H5M6S", (14, 3, 4 * hour + 306_000_000)),
            ("1.5 days", (0, 1, 12 * hour)),
            ("2h", (0, 0, 2 * hour)),
        ] {
            assert_eq!(interval_words(text), Some(read), "{text}");
        }
        for nonsense in ["", "1", "x", "1 parsec", "P1", "1:2:3:4"] {
            assert_eq!(interval_words(nonsense), None, "{nonsense}");
        }
    }
}
