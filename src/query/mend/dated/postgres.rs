//! Which part of a date is a word of Postgres' and Oracle's patterns?
//!
//! Words have the case of what they write: `MONTH`, `Month`, `month`. `FM` in front of one takes its zeros and blanks away, `th`
//! behind a number makes it `5th`.

use datafusion::common::{Result, exec_err};

use super::{Case, Field, Part, What, push_text};

/// The words, the longer before those that they begin with, with their widths. In capitals, as all are looked up.
const WORDS: &[(&str, What, usize)] = &[
    ("Y,YYY", What::YearInThousands, 0),
    ("YYYY", What::Year, 4),
    ("YYY", What::YearEnd(3), 3),
    ("YY", What::YearEnd(2), 2),
    ("Y", What::YearEnd(1), 1),
    ("IYYY", What::IsoYear, 4),
    ("IYY", What::IsoYearEnd(3), 3),
    ("IY", What::IsoYearEnd(2), 2),
    ("IW", What::IsoWeek, 2),
    ("ID", What::FromMonday, 1),
    ("I", What::IsoYearEnd(1), 1),
    ("BC", What::Era, 0),
    ("AD", What::Era, 0),
    ("CC", What::Century, 2),
    ("Q", What::Quarter, 1),
    ("MONTH", What::MonthName, 9),
    ("MON", What::MonthShort, 0),
    ("MM", What::Month, 2),
    ("MI", What::Minute, 2),
    ("MS", What::Fraction(3), 3),
    ("US", What::Fraction(6), 6),
    ("RM", What::Roman, 4),
    ("WW", What::Week, 2),
    ("W", What::WeekOfMonth, 1),
    ("DAY", What::DayName, 9),
    ("DDD", What::DayOfYear, 3),
    ("DD", What::Day, 2),
    ("DY", What::DayShort, 0),
    ("D", What::FromSunday, 1),
    ("J", What::Julian, 0),
    ("HH24", What::Hour, 2),
    ("HH12", What::HalfDay, 2),
    ("HH", What::HalfDay, 2),
    ("SSSSS", What::SecondOfDay, 0),
    ("SSSS", What::SecondOfDay, 0),
    ("SS", What::Second, 2),
    ("FF1", What::Fraction(1), 1),
    ("FF2", What::Fraction(2), 2),
    ("FF3", What::Fraction(3), 3),
    ("FF4", What::Fraction(4), 4),
    ("FF5", What::Fraction(5), 5),
    ("FF6", What::Fraction(6), 6),
    ("FF9", What::Fraction(9), 9),
    ("FF", What::Fraction(6), 6),
    ("A.M.", What::Meridiem { dotted: true }, 0),
    ("P.M.", What::Meridiem { dotted: true }, 0),
    ("AM", What::Meridiem { dotted: false }, 0),
    ("PM", What::Meridiem { dotted: false }, 0),
    ("TZH:TZM", What::Offset("+00:00"), 0),
    ("TZHTZM", What::Offset("+0000"), 0),
    ("TZH", What::Offset("+00"), 0),
    ("TZD", What::Offset("UTC"), 0),
    ("TZR", What::Offset("UTC"), 0),
    ("TZ", What::Offset("UTC"), 0),
    ("OF", What::Offset("+00"), 0),
];

/// The parts of a pattern: words, texts in double quotes, and what is no letter. A `T` or a `Z` of its own stands for itself.
pub(super) fn parts(pattern: &str) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    let mut is_short = false;
    let begins =
        |rest: &str, word: &str| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            let Some(end) = rest[1..].find('"') else {
                return exec_err!("a quote in '{pattern}' has no end");
            };
            push_text(&mut parts, &rest[1..=end]);
            rest = &rest[end + 2..];
        } else if begins(rest, "FM") || begins(rest, "FX") {
            is_short |= begins(rest, "FM");
            rest = &rest[2..];
        } else if let Some((word, what, width)) = WORDS.iter().find(|(word, ..)| begins(rest, word)) {
            let case = case_of(&rest[..word.len()], *what);
            let width = if is_short { 0 } else { *width };
            // What is part of a year, or of a second, needs its zeros.
            let width = match what {
                What::Fraction(digits) => *digits,
                _ => width,
            };
            rest = &rest[word.len()..];
            let mut field = Field { what: *what, width, case, ordinal: None };
            if begins(rest, "TH") && !begins(rest, "THH") {
                field.ordinal = Some(case_of(&rest[..2], *what));
                rest = &rest[2..];
            }
            parts.push(Part::Field(field));
            is_short = false;
        } else if c.is_alphabetic() && !matches!(c, 'T' | 'Z') {
            return exec_err!(
                "`{c}` in '{pattern}' is no part of a date; write YYYY, MM, Mon, Month, DD, Day, Q, IW, HH24, HH12, MI, SS, MS, US, AM, \
                 and a text in double quotes"
            );
        } else {
            push_text(&mut parts, &rest[..c.len_utf8()]);
            rest = &rest[c.len_utf8()..];
        }
    }
    Ok(parts)
}

/// How a word is written says how what it stands for is.
fn case_of(written: &str, what: What) -> Case {
    let mut letters = written.chars().filter(char::is_ascii_alphabetic);
    let (first, second) = (letters.next(), letters.next());
    match (first, second) {
        (Some(first), _) if first.is_lowercase() => Case::Lower,
        (_, Some(second)) if second.is_lowercase() && !matches!(what, What::Meridiem { .. }) => Case::Capital,
        _ => Case::Upper,
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn words_mean_what_they_mean_to_postgres() {
        let at = NaiveDate::from_ymd_opt(2024, 1, 5).unwrap().and_hms_micro_opt(13, 4, 9, 12_345).unwrap();
        for (pattern, wanted) in [
            ("YYYY-MM-DD HH24:MI:SS", "2024-01-05 13:04:09"),
            ("yyyy-mm-dd", "2024-01-05"),
            ("D", "6"),
            ("ID", "5"),
            ("YYYY-Q", "2024-1"),
            ("FMMonth FMDD, YYYY", "January 5, 2024"),
            ("Month|DAY|dy", "January  |FRIDAY   |fri"),
            ("WW", "01"),
            ("W", "1"),
            ("MS", "012"),
            ("US", "012345"),
            ("J", "2460315"),
            ("FMDDth Mon YY", "5th Jan 24"),
            ("HH12:MI PM", "01:04 PM"),
            ("HH:MI a.m.", "01:04 p.m."),
            ("YYYY-MM-DDTHH24:MI:SSZ", "2024-01-05T13:04:09Z"),
            ("\"day\" DDD", "day 005"),
            ("CC Y,YYY IYYY-IW", "21 2,024 2024-01"),
            ("SSSS", "47049"),
            ("RM", "I   "),
        ] {
            let mut written = String::new();
            super::super::put(&parts(pattern).unwrap(), &at, &mut written);
            assert_eq!(written, wanted, "{pattern}");
        }
        for pattern in ["bbb", "YYYY-MM-DD at HH", "\"open"] {
            assert!(parts(pattern).is_err(), "{pattern}");
        }
    }
}
