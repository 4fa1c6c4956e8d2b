//! Which part of a date is a letter of Java's patterns, as Spark has them?

use datafusion::common::{Result, exec_err};

use super::{Case, Field, Part, What, push_text};

/// The parts of a pattern: rows of one letter, texts in quotes, and what is no letter.
pub(super) fn parts(pattern: &str) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            if chars.next_if_eq(&'\'').is_some() {
                push_text(&mut parts, "'");
                continue;
            }
            let mut text = String::new();
            loop {
                match chars.next() {
                    Some('\'') if chars.next_if_eq(&'\'').is_some() => text.push('\''),
                    Some('\'') => break,
                    Some(c) => text.push(c),
                    None => return exec_err!("a quote in '{pattern}' has no end"),
                }
            }
            push_text(&mut parts, &text);
            continue;
        }
        if !c.is_ascii_alphabetic() {
            if matches!(c, '[' | ']') {
                return exec_err!(
                    "not supported: `{c}` in '{pattern}', because every part of a pattern is there; write one pattern for each form, \
                     as `coalesce(try_to_timestamp(t, 'yyyy-MM-dd HH:mm'), try_to_timestamp(t, 'yyyy-MM-dd'))`"
                );
            }
            push_text(&mut parts, c.encode_utf8(&mut [0; 4]));
            continue;
        }
        let mut count = 1;
        while chars.next_if_eq(&c).is_some() {
            count += 1;
        }
        match field(c, count) {
            Some(field) => parts.push(Part::Field(field)),
            None if matches!(c, 'T' | 'Y' | 'W' | 'w' | 'u' | 'e' | 'c' | 'A' | 'N' | 'n' | 'B' | 'F') => {
                return exec_err!(
                    "`{}` in '{pattern}' is not supported, because {}; there are G y Q M d D E a h H k K m s S z X x Z",
                    c.to_string().repeat(count),
                    match c {
                        'T' =>
                            "it is no part of a date: a letter that is to stand there is written in quotes, `'T'`",
                        'Y' => "it is the year of a week: the year is `yyyy`",
                        'w' | 'W' =>
                            "weeks are counted differently from land to land: `weekofyear(t)` is the ISO week",
                        'u' | 'e' | 'c' =>
                            "days of the week are counted differently: `isodow(t)` counts from Monday",
                        _ => "Spark has no such part",
                    }
                );
            }
            None => {
                return exec_err!(
                    "`{}` in '{pattern}' is no part of a date; there are G y Q M d D E a h H k K m s S z X x Z, and a text is \
                     written in quotes: 'yyyy-MM-dd''T''HH:mm:ss'",
                    c.to_string().repeat(count)
                );
            }
        }
    }
    Ok(parts)
}

/// What so many of a letter are.
fn field(letter: char, count: usize) -> Option<Field> {
    let number = |what: What| (count <= 2).then(|| Field::of(what, count));
    let name = |what: What| Some(Field::of(what, 0));
    match (letter, count) {
        ('G', 1..=3) => name(What::Era),
        ('y', 2) => Some(Field::of(What::YearEnd(2), 2)),
        ('y', 1..=9) => Some(Field::of(What::Year, count)),
        ('Q' | 'q', 1..=2) => number(What::Quarter),
        ('M' | 'L', 1..=2) => number(What::Month),
        ('M' | 'L', 3) => name(What::MonthShort),
        ('M' | 'L', 4) => name(What::MonthName),
        ('d', _) => number(What::Day),
        ('D', 1..=3) => Some(Field::of(What::DayOfYear, count)),
        ('E', 1..=3) => name(What::DayShort),
        ('E', 4) => name(What::DayName),
        ('a', 1) => Some(Field { case: Case::Upper, ..Field::of(What::Meridiem { dotted: false }, 0) }),
        ('h', _) => number(What::HalfDay),
        ('H', _) => number(What::Hour),
        ('k', _) => number(What::HourFrom1),
        ('K', _) => number(What::HalfDayFrom0),
        ('m', _) => number(What::Minute),
        ('s', _) => number(What::Second),
        ('S', 1..=9) => Some(Field::of(What::Fraction(count), count)),
        ('z', 1..=3) | ('V', 2) => name(What::Offset("UTC")),
        ('X', 1..=5) => name(What::Offset("Z")),
        ('x', 1) => name(What::Offset("+00")),
        ('x', 2 | 4) | ('Z', 1..=3) => name(What::Offset("+0000")),
        ('x', 3 | 5) => name(What::Offset("+00:00")),
        ('Z', 4) | ('O', 1 | 4) => name(What::Offset("GMT")),
        ('Z', 5) => name(What::Offset("Z")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn letters_mean_what_they_mean_to_spark() {
        let at = NaiveDate::from_ymd_opt(2024, 1, 5).unwrap().and_hms_micro_opt(13, 4, 9, 12_345).unwrap();
        for (pattern, wanted) in [
            ("HH:mm", "13:04"),
            ("MMMM d", "January 5"),
            ("M/d/yyyy", "1/5/2024"),
            ("h:mm a", "1:04 PM"),
            ("yyyy/M/d H:m:s.SSS", "2024/1/5 13:4:9.012"),
            ("EEEE, dd MMM yy", "Friday, 05 Jan 24"),
            ("E D DDD", "Fri 5 005"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "2024-01-05T13:04:09.012345Z"),
            ("yyyy 'it''s' ''Q", "2024 it's '1"),
            ("k K S", "13 1 0"),
        ] {
            let mut written = String::new();
            super::super::put(&parts(pattern).unwrap(), &at, &mut written);
            assert_eq!(written, wanted, "{pattern}");
        }
        for pattern in ["w", "YYYY", "yyyy-MM-ddTHH", "b", "'open", "[yyyy]", "ddd", "MMMMM"] {
            assert!(parts(pattern).is_err(), "{pattern}");
        }
    }
}
