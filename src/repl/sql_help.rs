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
  select * from 'inbox/*.csv';                        files: CSV, JSON, Parquet
  copy into crm.people from 'inbox/';                 each file once (`\\h copy`)
  copy orders to 'orders.csv';                        rows out (`\\h copy`)
  explain select …;  explain analyze select …;        how it is, or was, answered";

const COPY: &str = "\
COPY INTO t FROM 'files' [option …]     loads files, each once, as `elt land` does

  files          a file, a folder, a glob or a URL (s3, gs, az, https)
  FILEFORMAT = csv | tsv | json | jsonl | parquet | avro | arrow
                 otherwise each file's name tells
  FILES = ('a.csv', …)   PATTERN = '*.{csv,gz}'      of the folder only these
  FORMAT_OPTIONS ('header' = 'true', 'sep' = ';', 'nullValue' = 'NA', …)
                 the options of landing, in dbt's or Databricks' spelling
  COPY_OPTIONS ('force' = 'true', 'mergeSchema' = 'true')
                 load again what is known; whether new columns are added (they
                 are, unless 'false' makes them an error)
  VALIDATE [ALL | n ROWS]     tells what would happen, and writes nothing

COPY t TO 'file' [(option, …)]          writes rows to a file, whole or not at all
COPY (select …) TO 'file' [(option, …)]

  FORMAT csv | tsv | json | jsonl | parquet | arrow  otherwise the name tells
  COMPRESSION gzip | zstd | bzip2 | xz | none        otherwise the name tells
                 of Parquet: snappy | zstd | gzip | lz4 | brotli | none
  HEADER, DELIMITER ';', QUOTE '\"', NULL 'NA', FORCE_QUOTE *
  DATEFORMAT '%d.%m.%Y', TIMESTAMPFORMAT '…'         of CSV
  ARRAY          of JSON: one array instead of lines
  ROW_GROUP_SIZE n
  PARTITION_BY (a, b), WRITE_PARTITION_COLUMNS       folders `a=1/b=2`
  OVERWRITE      replace what is there; a file is replaced anyway, unless
                 `OVERWRITE false`
  OVERWRITE_OR_IGNORE, APPEND                        new files beside the old";

/// The topics that there is more to say about.
const TOPICS: &[(&str, &str)] = &[("COPY", COPY)];

/// What there is to say about a topic; about everything, if there is none.
///
/// # Errors
/// There is no such topic.
pub(super) fn sql_help(topic: &str) -> Result<String, Diagnostic> {
    let first = topic.split_whitespace().next().unwrap_or_default();
    if first.is_empty() {
        return Ok(ALL.to_owned());
    }
    let found = TOPICS.iter().find(|(name, _)| name.eq_ignore_ascii_case(first));
    found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| {
        let help = did_you_mean(&first.to_uppercase(), TOPICS.iter().map(|(name, _)| *name));
        Diagnostic::error("elt::shell::no_such_topic", format!("there is no more help on `{first}`")).help(
            help.unwrap_or_else(|| {
                "`\\h` alone shows what elt adds to SQL; `\\h copy` is about files".to_owned()
            }),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_a_screen_and_knows_its_topics() {
        for topic in ["", "copy", "COPY INTO"] {
            let text = sql_help(topic).unwrap();
            assert!(text.lines().all(|line| line.chars().count() <= 92), "{text}");
            assert!(text.lines().count() <= 40, "{topic}");
        }
        assert_eq!(sql_help("merge").unwrap_err().message(), "there is no more help on `merge`");
    }
}
