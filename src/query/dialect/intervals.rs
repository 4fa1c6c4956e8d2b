//! How else is an interval written?
//!
//! `interval '1 quarter'`, `interval 2 days`, `interval (n) hours`, `interval '1 day 04:05:06'`.

use sqlparser::ast::{BinaryOperator, DateTimeField, Expr, Interval, UnaryOperator, Value, ValueWithSpan};

use super::spelling::{called, text};

/// A quarter is three months.
pub(super) fn without_quarters(interval: &mut Interval) {
    let is_quarter =
        |word: &str| matches!(word.to_lowercase().as_str(), "quarter" | "quarters" | "qtr" | "qtrs");
    if interval.leading_field.as_ref().is_some_and(|field| is_quarter(&field.to_string())) {
        let months = Expr::BinaryOp {
            left: Box::new(Expr::Nested(interval.value.clone())),
            op: BinaryOperator::Multiply,
            right: Box::new(Expr::value(Value::Number("3".to_owned(), false))),
        };
        let plain = match &*interval.value {
            Expr::Value(ValueWithSpan {
                value: Value::Number(n, _) | Value::SingleQuotedString(n), ..
            }) => n.trim().parse::<i64>().ok().map(|n| text(&(n * 3).to_string())),
            _ => None,
        };
        *interval.value = plain.unwrap_or(months);
        interval.leading_field = Some(DateTimeField::Month);
        return;
    }
    if let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(written), .. }) = &mut *interval.value
    {
        let words: Vec<&str> = written.split_whitespace().collect();
        if words.iter().any(|word| is_quarter(word)) {
            let mut told: Vec<String> = Vec::new();
            for word in words {
                match told.last().and_then(|last| last.parse::<i64>().ok()) {
                    Some(n) if is_quarter(word) => {
                        told.pop();
                        told.push(format!("{} months", n * 3));
                    }
                    _ => told.push(word.to_owned()),
                }
            }
            *written = told.join(" ");
        }
    }
}

/// An interval whose number is no literal as a call; one whose number is, as a text. Nothing else is changed.
pub(super) fn plain(interval: &mut Interval) -> Option<Expr> {
    if let Some(spelled) = of_fields(interval) {
        *interval.value = text(&spelled);
        (interval.leading_field, interval.last_field) = (None, None);
        return None;
    }
    if let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(written), .. }) = &mut *interval.value
    {
        if interval.leading_field.is_none()
            && let Some(spelled) = without_clock(written)
        {
            *written = spelled;
        }
        return None;
    }
    let field = interval.leading_field.as_ref()?;
    if let Some(number) = number(&interval.value) {
        *interval.value = text(&number);
        return None;
    }
    let nothing = Expr::value(Value::Number("0".to_owned(), false));
    let place = place(field)?;
    let parts: Vec<&Expr> = (0..7).map(|at| if at == place { &*interval.value } else { &nothing }).collect();
    Some(called("_elt_interval", parts))
}

/// A number with or without a sign and brackets, as it is written.
fn number(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => Some(digits.clone()),
        Expr::Nested(inner) => number(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => number(expr).map(|digits| format!("-{digits}")),
        _ => None,
    }
}

/// Which argument of `make_interval` a part of time is.
fn place(field: &DateTimeField) -> Option<usize> {
    let word = field.to_string().to_lowercase();
    let names = ["year", "month", "week", "day", "hour", "minute", "second"];
    names.iter().position(|name| *name == word.strip_suffix('s').unwrap_or(&word))
}

/// `interval '1-2' year to month` as `1 years 2 months`, `'1 02:03' day to minute` as `1 days 02 hours 03 minutes`.
fn of_fields(interval: &Interval) -> Option<String> {
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(written), .. }) = &*interval.value
    else {
        return None;
    };
    const FIELDS: [&str; 6] = ["year", "month", "day", "hour", "minute", "second"];
    let place = |field: &Option<DateTimeField>| {
        let word = field.as_ref()?.to_string().to_lowercase();
        FIELDS.iter().position(|name| *name == word.strip_suffix('s').unwrap_or(&word))
    };
    let (from, to) = (place(&interval.leading_field)?, place(&interval.last_field)?);
    // Months have no fixed number of days.
    let is_of_one_kind = from < to && (to == 1 || from >= 2);
    let (sign, digits) = match written.trim().strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", written.trim().trim_start_matches('+')),
    };
    let parts: Vec<&str> = digits.split(['-', ' ', ':']).collect();
    let is_number =
        |part: &&str| part.starts_with(|c: char| c.is_ascii_digit()) && part.parse::<f64>().is_ok();
    if !is_of_one_kind || parts.len() != to - from + 1 || !parts.iter().all(is_number) {
        return None;
    }
    let named = parts.iter().zip(&FIELDS[from..=to]).map(|(part, field)| format!("{sign}{part} {field}s"));
    Some(named.collect::<Vec<_>>().join(" "))
}

/// `1 day -04:05:06` as `1 day -4 hours -5 minutes -6 seconds`; nothing if no time of day is in it.
fn without_clock(written: &str) -> Option<String> {
    let mut words: Vec<String> = written.split_whitespace().map(str::to_owned).collect();
    let clock = words.pop().filter(|word| word.contains(':'))?;
    let (sign, digits) = match clock.strip_prefix(['-', '+']) {
        Some(digits) if clock.starts_with('-') => ("-", digits),
        Some(digits) => ("", digits),
        None => ("", &*clock),
    };
    let parts: Vec<&str> = digits.split(':').collect();
    let (last, whole) = parts.split_last()?;
    let is_whole = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_second = last.parse::<f64>().is_ok() && last.starts_with(|c: char| c.is_ascii_digit());
    if !whole.iter().all(is_whole) || !is_second || parts.len() > 3 {
        return None;
    }
    for (part, unit) in parts.iter().zip(["hours", "minutes", "seconds"]) {
        words.push(format!("{sign}{part} {unit}"));
    }
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::spelling::respell;
    use super::super::statement::parse_query;

    #[test]
    fn intervals_are_spelled_out() {
        for (sql, means) in [
            ("select interval 2 days", "SELECT INTERVAL '2' DAYS"),
            ("select interval (2) hours", "SELECT INTERVAL '2' HOURS"),
            ("select interval (n + 1) days", "SELECT _elt_interval(0, 0, 0, (n + 1), 0, 0, 0)"),
            (
                "select interval '3 days -04:05:06.5'",
                "SELECT INTERVAL '3 days -04 hours -05 minutes -06.5 seconds'",
            ),
            ("select interval '1:30'", "SELECT INTERVAL '1 hours 30 minutes'"),
            ("select interval 'a:b'", "SELECT INTERVAL 'a:b'"),
            ("select interval '-1-2' year to month", "SELECT INTERVAL '-1 years -2 months'"),
            (
                "select interval '1 02:03:04.5' day to second",
                "SELECT INTERVAL '1 days 02 hours 03 minutes 04.5 seconds'",
            ),
            ("select interval '1' year to month", "SELECT INTERVAL '1' YEAR TO MONTH"),
        ] {
            let mut statement = parse_query(sql).unwrap();
            respell(&mut statement);
            assert_eq!(statement.to_string(), means);
        }
    }
}
