//! What value is a word of YAML that stands without quotes?
//!
//! dbt reads its files by YAML 1.1, as Python's PyYAML has it: `yes` and `off` are booleans, `012` is ten, `1e3` is a text for
//! want of a dot and a sign, `12:30` is a number of minutes. [`resolve`] is those rules, for keys and values alike.
//! Only dates and times stay the texts that they are written as.

use serde_json::Value;

/// The value of a word. A word that is no null, boolean or number is a text.
///
/// What JSON has no number for (`.inf`, `.nan`, whole numbers of more than 64 bits) is the text that Python writes for it.
pub(super) fn resolve(word: &str) -> Value {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return true.into(),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return false.into(),
        _ => {}
    }
    // A number begins with a sign, a digit or a dot.
    if !word.starts_with(['-', '+', '.']) && !word.starts_with(|c: char| c.is_ascii_digit()) {
        return word.into();
    }
    whole(word).or_else(|| fraction(word)).unwrap_or_else(|| word.into())
}

/// A sign and the rest.
fn signed(word: &str) -> (bool, &str) {
    match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    }
}

fn whole(word: &str) -> Option<Value> {
    let (is_negative, digits) = signed(word);
    let plain = |digits: &str| digits.replace('_', "");
    let of_base = |digits: &str, base: u32| {
        let is_one = !digits.is_empty() && digits.chars().all(|c| c == '_' || c.is_digit(base));
        let digits = plain(digits);
        (is_one && !digits.is_empty()).then(|| i128::from_str_radix(&digits, base).ok())
    };
    let number = if let Some(rest) = digits.strip_prefix("0b") {
        of_base(rest, 2)?
    } else if let Some(rest) = digits.strip_prefix("0x") {
        of_base(rest, 16)?
    } else if digits == "0" {
        Some(0)
    } else if let Some(rest) = digits.strip_prefix('0') {
        of_base(rest, 8)?
    } else if digits.contains(':') {
        Some(i128::from(sixties(digits)?))
    } else {
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        of_base(digits, 10)?
    };
    let Some(number) = number.map(|number| if is_negative { -number } else { number }) else {
        return Some(plain(word.trim_start_matches('+')).into());
    };
    let small = i64::try_from(number).map(Value::from).or_else(|_| u64::try_from(number).map(Value::from));
    Some(small.unwrap_or_else(|_| number.to_string().into()))
}

/// `1:30:00`: a number by sixties.
fn sixties(digits: &str) -> Option<i64> {
    let mut parts = digits.split(':');
    let first = parts.next().filter(|first| first.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut number: i64 = first.replace('_', "").parse().ok()?;
    for part in parts {
        let is_part = matches!(part.len(), 1 | 2) && part.chars().all(|c| c.is_ascii_digit());
        let part: i64 = part.parse().ok().filter(|part| is_part && *part < 60)?;
        number = number.checked_mul(60)?.checked_add(part)?;
    }
    Some(number)
}

fn fraction(word: &str) -> Option<Value> {
    let (is_negative, rest) = signed(word);
    match rest {
        ".inf" | ".Inf" | ".INF" => return Some(if is_negative { "-inf" } else { "inf" }.into()),
        ".nan" | ".NaN" | ".NAN" if rest == word => return Some("nan".into()),
        _ => {}
    }
    let (before, after) = rest.split_once('.')?;
    let is_digits = |text: &str| text.chars().all(|c| c == '_' || c.is_ascii_digit());
    if before.contains(':') {
        let seconds: f64 =
            format!("0.{}", after.replace('_', "")).parse().ok().filter(|_| is_digits(after))?;
        let number = sixties(before)? as f64 + seconds;
        return Some(if is_negative { -number } else { number }.into());
    }
    // An exponent has a sign.
    let (after, exponent) = match after.split_once(['e', 'E']) {
        Some((after, exponent)) => {
            let digits = exponent.strip_prefix(['-', '+'])?;
            if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
                return None;
            }
            (after, exponent)
        }
        None => (after, "0"),
    };
    let is_one = match before {
        "" => after.starts_with(|c: char| c.is_ascii_digit()) && rest == word,
        before => before.starts_with(|c: char| c.is_ascii_digit()),
    };
    if !is_one || !is_digits(before) || !is_digits(after) {
        return None;
    }
    let text = format!("0{}.{}0e{exponent}", before.replace('_', ""), after.replace('_', ""));
    let number: f64 = text.parse().ok()?;
    Some(if is_negative { -number } else { number }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_python_reads_them_as() {
        for (word, value) in [
            ("yes", "true"),
            ("On", "true"),
            ("OFF", "false"),
            ("no", "false"),
            ("y", "\"y\""),
            ("n", "\"n\""),
            ("yEs", "\"yEs\""),
            ("~", "null"),
            ("NULL", "null"),
            ("nULL", "\"nULL\""),
            ("012", "10"),
            ("-012", "-10"),
            ("08", "\"08\""),
            ("0", "0"),
            ("00", "0"),
            ("0o14", "\"0o14\""),
            ("0x1F", "31"),
            ("0b101", "5"),
            ("1_000", "1000"),
            ("+5", "5"),
            ("-5", "-5"),
            ("5-", "\"5-\""),
            ("1e3", "\"1e3\""),
            ("1.0e3", "\"1.0e3\""),
            ("1.0e+3", "1000.0"),
            ("1.5", "1.5"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("-.5", "\"-.5\""),
            ("1.2.3", "\"1.2.3\""),
            ("12:30", "750"),
            ("1:30:00", "5400"),
            ("06:30", "\"06:30\""),
            ("1:99", "\"1:99\""),
            ("1:30.5", "90.5"),
            ("08:30.5", "510.5"),
            ("_1", "\"_1\""),
            ("0x", "\"0x\""),
            ("-1.5", "-1.5"),
            (".inf", "\"inf\""),
            ("-.INF", "\"-inf\""),
            (".nan", "\"nan\""),
            ("2024-01-01", "\"2024-01-01\""),
            ("123456789012345678901234567890", "\"123456789012345678901234567890\""),
            ("18446744073709551615", "18446744073709551615"),
            ("v1", "\"v1\""),
            ("-", "\"-\""),
            ("+", "\"+\""),
            (".", "\".\""),
        ] {
            assert_eq!(resolve(word).to_string(), value, "{word}");
        }
    }
}
