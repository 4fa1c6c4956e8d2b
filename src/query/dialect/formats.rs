//! In whose words is the format of a date written?
//!
//! `YYYY-MM-DD` of Oracle and Postgres, and Java's `yyyy-MM-dd`, become `%Y-%m-%d`, as `strftime` has it.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value, ValueWithSpan};

use super::spelling::name_of;

/// Formats of dates in the words of Oracle, Postgres and Java become those of `strftime`.
pub(super) fn with_format(call: &mut Function) {
    const WITH_FORMAT: [&str; 10] = [
        "from_unixtime",
        "to_char",
        "to_date",
        "to_timestamp",
        "to_varchar",
        "date_format",
        "parse_date",
        "format_date",
        "try_to_date",
        "try_to_timestamp",
    ];
    if !WITH_FORMAT.contains(&name_of(call).as_str()) {
        return;
    }
    let FunctionArguments::List(list) = &mut call.args else { return };
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(ValueWithSpan { value, .. })))] =
        &mut list.args[..]
    else {
        return;
    };
    if let Value::SingleQuotedString(format) = value
        && let Some(other) = strftime(format)
    {
        *format = other;
    }
}

/// `YYYY-MM-DD HH24:MI:SS` and `yyyy-MM-dd HH:mm:ss` as `%Y-%m-%d %H:%M:%S`; nothing for what is neither.
fn strftime(format: &str) -> Option<String> {
    if format.contains('%') || !format.is_ascii() {
        return None;
    }
    // Java tells months from minutes by their case; the others have no case.
    let is_java = format.contains("yyyy")
        && (format.contains("MM") || format.contains("mm:") || format.contains("HH"))
        || format.contains("dd") && format.contains("MM");
    const JAVA: [(&str, &str); 19] = [
        ("yyyy", "%Y"),
        ("yy", "%y"),
        ("MMMM", "%B"),
        ("MMM", "%b"),
        ("MM", "%m"),
        ("dd", "%d"),
        ("d", "%-d"),
        ("HH", "%H"),
        ("hh", "%I"),
        ("mm", "%M"),
        ("ss", "%S"),
        (".SSSSSS", "%.6f"),
        (".SSS", "%.3f"),
        ("EEEE", "%A"),
        ("EEE", "%a"),
        ("E", "%a"),
        ("a", "%p"),
        ("M", "%-m"),
        ("D", "%j"),
    ];
    const PLAIN: [(&str, &str); 24] = [
        ("yyyy", "%Y"),
        ("iyyy", "%G"),
        ("yy", "%y"),
        ("month", "%B"),
        ("mon", "%b"),
        ("mm", "%m"),
        ("mi", "%M"),
        ("ddd", "%j"),
        ("dd", "%d"),
        ("day", "%A"),
        ("dy", "%a"),
        ("d", "%u"),
        ("hh24", "%H"),
        ("hh12", "%I"),
        ("hh", "%I"),
        ("ss", "%S"),
        (".us", "%.6f"),
        (".ff6", "%.6f"),
        (".ms", "%.3f"),
        (".ff3", "%.3f"),
        (".ff", "%.f"),
        ("am", "%p"),
        ("pm", "%p"),
        ("iw", "%V"),
    ];
    let words: &[(&str, &str)] = if is_java { &JAVA } else { &PLAIN };
    let folded = if is_java { format.to_owned() } else { format.to_lowercase() };
    let (mut told, mut at, mut known) = (String::new(), 0, false);
    while at < folded.len() {
        let rest = &folded[at..];
        let next = rest.chars().next()?;
        if let Some((word, means)) = words.iter().find(|(word, _)| rest.starts_with(word)) {
            told.push_str(means);
            known = true;
            at += word.len();
        } else if matches!(next, '\'' | '"') {
            let end = rest[1..].find(next)? + 1;
            told.push_str(&format[at + 1..at + end]);
            at += end + 1;
        } else if next.is_alphabetic() && next != 't' && next != 'T' && next != 'z' && next != 'Z' {
            return None;
        } else {
            told.push_str(format.get(at..at + next.len_utf8())?);
            at += next.len_utf8();
        }
    }
    known.then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        for (format, means) in [
            ("YYYY-MM-DD", "%Y-%m-%d"),
            ("yyyy-mm-dd", "%Y-%m-%d"),
            ("yyyy-MM-dd HH:mm:ss", "%Y-%m-%d %H:%M:%S"),
            ("YYYY-MM-DD HH24:MI:SS.FF3", "%Y-%m-%d %H:%M:%S%.3f"),
            ("DD Mon YYYY", "%d %b %Y"),
            ("YYYYMM", "%Y%m"),
        ] {
            assert_eq!(strftime(format).as_deref(), Some(means), "{format}");
        }
        assert_eq!(strftime("%Y"), None);
        assert_eq!(strftime("999"), None);
    }
}
