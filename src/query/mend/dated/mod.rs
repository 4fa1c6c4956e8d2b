//! What does `yyyy-MM-dd` mean, and what `FMMonth DD, YYYY`?
//!
//! A pattern of a date is in the words of Java, as Spark and Databricks have them, in those of Postgres and Oracle, or of
//! `strftime`, if there is a percent sign in it. Each is read into [`Part`]s, which a moment is written by ([`put`]) and a text
//! read by ([`reading`]). A letter that means nothing is an error, and never part of the answer.

mod functions;
mod java;
mod numbers;
mod postgres;

use std::fmt::Write as _;

use chrono::{Datelike, NaiveDateTime, Timelike};
use datafusion::common::{Result, exec_err};

pub(super) use functions::functions;

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// Something of a moment, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    what: What,
    /// So many digits at least, or letters.
    width: usize,
    case: Case,
    /// Whether `st`, `nd`, `rd` or `th` follows; in capitals or not.
    ordinal: Option<Case>,
}

impl Field {
    fn of(what: What, width: usize) -> Self {
        Self { what, width, case: Case::Capital, ordinal: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Capital,
    Upper,
    Lower,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Year,
    /// So many of the year's last digits.
    YearEnd(u32),
    /// `2,024`
    YearInThousands,
    IsoYear,
    IsoYearEnd(u32),
    Era,
    Century,
    Quarter,
    Month,
    MonthName,
    MonthShort,
    Roman,
    /// The week of the year, of which the first has a Thursday.
    IsoWeek,
    /// The week of the year, of which the first begins on its first day.
    Week,
    WeekOfMonth,
    Day,
    DayOfYear,
    DayName,
    DayShort,
    /// From 1, which is Sunday.
    FromSunday,
    /// From 1, which is Monday.
    FromMonday,
    Hour,
    /// From 1 to 24.
    HourFrom1,
    /// From 1 to 12.
    HalfDay,
    /// From 0 to 11.
    HalfDayFrom0,
    Minute,
    Second,
    SecondOfDay,
    /// So many digits of a second's fraction.
    Fraction(usize),
    /// `AM`, or `A.M.`
    Meridiem {
        dotted: bool,
    },
    /// The day's number in the count of astronomers.
    Julian,
    /// How far it is from UTC, in the words that stand for UTC itself.
    Offset(&'static str),
}

/// In whose words a pattern is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Words {
    Java,
    Postgres,
    Strftime,
}

/// In whose words a pattern is, where `usual` are those that the function has. What is nonsense in these and means something in
/// the others is in the others: `YYYY-MM-DD` for Java, minutes behind hours that are written `mm` for Postgres.
fn words_of(pattern: &str, usual: Words) -> Words {
    if pattern.contains('%') {
        return Words::Strftime;
    }
    let has = |wanted: &[&str]| wanted.iter().any(|wanted| pattern.contains(wanted));
    let is_java = has(&["H:mm", "h:mm", "Hmm", "hmm"]) && !has(&["MI", "HH24", "hh24"]);
    let only_months = pattern.contains("mm") && !has(&["MM", "H", "h"]);
    let is_postgres = only_months
        || has(&["YY", "DD", "MI", "HH24", "hh24", "HH12", "hh12", "FM", "IW", "IYYY", "WW", "MS", "US"])
        || has(&["Mon", "MON", "mon", "Day", "DAY", "day", "Dy", "DY", "TZ"]);
    match usual {
        Words::Java if is_postgres && !is_java => Words::Postgres,
        Words::Postgres if is_java => Words::Java,
        usual => usual,
    }
}

/// The parts of a pattern that is not in the words of `strftime`.
fn parts_of(pattern: &str, words: Words) -> Result<Vec<Part>> {
    match words {
        Words::Java => java::parts(pattern),
        _ => postgres::parts(pattern),
    }
}

/// Adds text to the last part, if that is text.
fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Text(last)) => last.push_str(text),
        _ if text.is_empty() => {}
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// Writes a moment by a pattern.
fn put(parts: &[Part], at: &NaiveDateTime, written: &mut String) {
    for part in parts {
        match part {
            Part::Text(text) => written.push_str(text),
            Part::Field(field) => put_field(field, at, written),
        }
    }
}

/// A number or a word.
enum Told {
    Number(i64),
    Word(&'static str),
}

fn told(what: What, at: &NaiveDateTime) -> Told {
    use Told::{Number, Word};
    let month = at.month0() as usize;
    let weekday = at.weekday().num_days_from_monday() as usize;
    let last = |year: i32, digits: u32| i64::from(year).rem_euclid(10_i64.pow(digits));
    match what {
        What::Year | What::YearInThousands => Number(at.year().into()),
        What::YearEnd(digits) => Number(last(at.year(), digits)),
        What::IsoYear => Number(at.iso_week().year().into()),
        What::IsoYearEnd(digits) => Number(last(at.iso_week().year(), digits)),
        What::Era => Word(if at.year() > 0 { "AD" } else { "BC" }),
        What::Century => Number((i64::from(at.year()) + 99).div_euclid(100)),
        What::Quarter => Number(i64::from(at.month0()) / 3 + 1),
        What::Month => Number(at.month().into()),
        What::MonthName => Word(MONTHS[month]),
        What::MonthShort => Word(&MONTHS[month][..3]),
        What::Roman => Word(ROMAN[month]),
        What::IsoWeek => Number(at.iso_week().week().into()),
        What::Week => Number(i64::from(at.ordinal0()) / 7 + 1),
        What::WeekOfMonth => Number(i64::from(at.day0()) / 7 + 1),
        What::Day => Number(at.day().into()),
        What::DayOfYear => Number(at.ordinal().into()),
        What::DayName => Word(DAYS[weekday]),
        What::DayShort => Word(&DAYS[weekday][..3]),
        What::FromSunday => Number(i64::from(at.weekday().num_days_from_sunday()) + 1),
        What::FromMonday => Number(i64::from(at.weekday().num_days_from_monday()) + 1),
        What::Hour => Number(at.hour().into()),
        What::HourFrom1 => Number(if at.hour() == 0 { 24 } else { at.hour().into() }),
        What::HalfDay => Number(at.hour12().1.into()),
        What::HalfDayFrom0 => Number(i64::from(at.hour()) % 12),
        What::Minute => Number(at.minute().into()),
        What::Second => Number(at.second().into()),
        What::SecondOfDay => Number(at.num_seconds_from_midnight().into()),
        What::Fraction(digits) => {
            let nanos = i64::from(at.nanosecond() % 1_000_000_000);
            Number(nanos / 10_i64.pow(9 - u32::try_from(digits).unwrap_or(9).min(9)))
        }
        What::Meridiem { dotted } => Word(match (dotted, at.hour() < 12) {
            (false, true) => "AM",
            (false, false) => "PM",
            (true, true) => "A.M.",
            (true, false) => "P.M.",
        }),
        What::Julian => Number(i64::from(at.num_days_from_ce()) + 1_721_425),
        What::Offset(utc) => Word(utc),
    }
}

fn put_field(field: &Field, at: &NaiveDateTime, written: &mut String) {
    let width = field.width;
    match told(field.what, at) {
        Told::Word(word) => {
            let word = match field.case {
                Case::Capital => word.to_owned(),
                Case::Upper => word.to_uppercase(),
                Case::Lower => word.to_lowercase(),
            };
            let _ = write!(written, "{word:<width$}");
        }
        Told::Number(year) if field.what == What::YearInThousands => {
            let _ = write!(written, "{},{:03}", year / 1000, year % 1000);
        }
        Told::Number(number) => {
            let width = if number < 0 { width + 1 } else { width };
            let _ = write!(written, "{number:0width$}");
            if let Some(case) = field.ordinal {
                let end = ending(number);
                written.push_str(&if case == Case::Upper { end.to_uppercase() } else { end.to_owned() });
            }
        }
    }
}

/// `st` of 1 and 21, `th` of 11.
fn ending(number: i64) -> &'static str {
    match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

/// A pattern in the words by which chrono reads.
fn reading(pattern: &str, parts: &[Part]) -> Result<String> {
    let mut told = String::new();
    for part in parts {
        let field = match part {
            Part::Text(text) => {
                told.push_str(&text.replace('%', "%%"));
                continue;
            }
            Part::Field(field) => field,
        };
        let word = match field.what {
            What::Year => "%Y",
            What::YearEnd(2) => "%y",
            What::IsoYear => "%G",
            What::Month => "%m",
            What::MonthName => "%B",
            What::MonthShort => "%b",
            What::IsoWeek => "%V",
            What::Day => "%d",
            What::DayOfYear => "%j",
            What::DayName => "%A",
            What::DayShort => "%a",
            What::FromMonday => "%u",
            What::Hour => "%H",
            What::HalfDay => "%I",
            What::Minute => "%M",
            What::Second => "%S",
            What::Meridiem { dotted: false } => "%p",
            What::Offset(_) => "%#z",
            // Behind a point, a fraction has as many digits as there are.
            What::Fraction(_) if told.ends_with('.') => {
                told.pop();
                "%.f"
            }
            What::Fraction(3) => "%3f",
            What::Fraction(6) => "%6f",
            What::Fraction(9) => "%9f",
            _ => {
                return exec_err!(
                    "not supported: to read a text by '{pattern}', because it has a part that says no day or time by itself; \
                     write it with year, month and day: 'yyyy-MM-dd HH:mm:ss', or '%Y-%m-%d %H:%M:%S'"
                );
            }
        };
        told.push_str(word);
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_told_apart_by_what_only_one_can_mean() {
        for (pattern, usual, wanted) in [
            ("yyyy-MM-dd", Words::Java, Words::Java),
            ("YYYY-MM-DD", Words::Java, Words::Postgres),
            ("yyyy-mm-dd", Words::Java, Words::Postgres),
            ("HH:mm", Words::Java, Words::Java),
            ("HH:mm", Words::Postgres, Words::Java),
            ("HH24:MI", Words::Java, Words::Postgres),
            ("D", Words::Postgres, Words::Postgres),
            ("D", Words::Java, Words::Java),
            ("%H:%M", Words::Java, Words::Strftime),
        ] {
            assert_eq!(words_of(pattern, usual), wanted, "{pattern}");
        }
    }
}
