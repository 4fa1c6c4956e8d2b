//! What does `\h` say?

use crate::base::{Diagnostic, did_you_mean};

/// What elt adds to SQL.
const ALL: &str = "\
A statement ends with `;`. elt answers the SQL of DataFusion, and besides:

  select * from orders version as of 3;               a table as it was at version 3
  select * from orders timestamp as of '2026-01-31';  … at that instant (UTC)
  select * from orders as of release 2;               … in release 2, views too
  describe history orders limit 5;                    its versions, newest first
  describe orders;  show tables;  show releases;      what there is
  select * from elt.copy_history;  show tables in elt;  what the lake knows of itself
  summarize orders;  from orders where amount > 10;   at a glance; `select *` may be missing
  select * exclude (a) rename (b as c) from t;        all columns but …; columns('^x') too
  select * from 'inbox/*.csv';                        files: CSV, JSON, Parquet, by URL too
  copy into crm.people from 'inbox/';                 each file once (`\\h copy`)
  copy orders to 'orders.csv';                        rows out (`\\h copy`)
  explain select …;  explain analyze select …;        how it is, or was, answered";

/// The statements and clauses that there is more to say about, each after a line `== NAME`.
const TOPICS: &str = include_str!("sql_help.txt");

/// The topics, with what there is to say.
fn topics() -> impl Iterator<Item = (&'static str, &'static str)> {
    TOPICS.split("== ").skip(1).filter_map(|topic| topic.split_once('\n'))
}

/// The topics' names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    topics().map(|(name, _)| name)
}

/// Other words for a topic.
const SYNONYMS: &[(&str, &str)] = &[
    ("WITH", "SELECT"),
    ("WHERE", "SELECT"),
    ("GROUP BY", "SELECT"),
    ("ORDER BY", "SELECT"),
    ("QUALIFY", "SELECT"),
    ("COLUMNS", "SELECT"),
    ("UNION", "SELECT"),
    ("LATERAL", "JOIN"),
    ("TABLESAMPLE", "SAMPLE"),
    ("USING SAMPLE", "SAMPLE"),
    ("TIMESTAMP", "VERSION"),
    ("RELEASE", "VERSION"),
    ("TIME TRAVEL", "VERSION"),
    ("EXECUTE", "PREPARE"),
    ("DEALLOCATE", "PREPARE"),
    ("RESET", "SET"),
    ("TEMP", "CREATE TEMP"),
    ("TEMPORARY", "CREATE TEMP"),
    ("CREATE TEMPORARY", "CREATE TEMP"),
    ("CREATE", "CREATE TABLE"),
    ("CLONE", "CREATE TABLE"),
    ("ALTER", "ALTER TABLE"),
    ("DESC", "DESCRIBE"),
    ("FILES", "FROM"),
    ("READ_CSV", "FROM"),
];

/// What there is to say about a topic; about everything, if there is none.
///
/// # Errors
/// There is no such topic.
pub(super) fn sql_help(topic: &str) -> Result<String, Diagnostic> {
    let words: Vec<String> = topic.trim_end_matches(';').split_whitespace().map(str::to_uppercase).collect();
    if words.is_empty() {
        let names: Vec<&str> = topics().map(|(name, _)| name).collect();
        return Ok(format!("{ALL}\n\nMore on each, as in `\\h merge`:\n{}", in_lines(&names)));
    }
    // `\\h create table t as …` is about `create table`: the longest beginning that is a topic.
    for count in (1..=words.len()).rev() {
        let begun = words[..count].join(" ");
        let named =
            SYNONYMS.iter().find(|(other, _)| *other == begun).map_or(begun.as_str(), |(_, name)| name);
        if let Some((_, text)) = topics().find(|(name, _)| *name == named) {
            return Ok(text.trim_end().to_owned());
        }
    }
    let names: Vec<&str> = topics().map(|(name, _)| name).collect();
    let help = did_you_mean(&words[0], names.iter().copied());
    Err(Diagnostic::error("elt::shell::no_such_topic", format!("there is no more help on `{topic}`"))
        .help(help.unwrap_or_else(|| "`\\h` alone lists what there is help on".to_owned())))
}

/// Names beside each other, in lines of a narrow terminal.
fn in_lines(names: &[&str]) -> String {
    let (mut text, mut width) = (String::new(), 0);
    for name in names {
        let more = name.chars().count() + 2;
        if width + more > 78 {
            text.push('\n');
            width = 0;
        }
        text += &format!("{}{name}", if width == 0 { "  " } else { ", " });
        width += more;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_a_screen_and_knows_its_topics() {
        let all: Vec<&str> = topics().map(|(name, _)| name).collect();
        for topic in [&["", "copy", "COPY INTO"], all.as_slice()].concat() {
            let text = sql_help(topic).unwrap();
            assert!(text.lines().all(|line| line.chars().count() <= 92), "{text}");
            assert!(text.lines().count() <= 40, "{topic}");
        }
        assert!(sql_help("create temp view v as").unwrap().contains("TEMP VIEW"));
        let mistake = sql_help("merg").unwrap_err();
        assert_eq!(mistake.help_text(), Some("did you mean `MERGE`?"));
        for (other, name) in SYNONYMS {
            assert!(all.contains(name) && !all.contains(other), "{other}");
        }
    }
}
