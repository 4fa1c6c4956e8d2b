//! One file per verb.

pub(super) mod build;
pub(super) mod clean;
pub(super) mod clone;
pub(super) mod deps;
pub(super) mod diff;
pub(super) mod docs;
pub(super) mod doctor;
pub(super) mod history;
pub(super) mod init;
pub(super) mod land;
pub(super) mod lineage;
pub(super) mod ls;
pub(super) mod maintain;
pub(super) mod operation;
pub(super) mod plan;
pub(super) mod promote;
pub(super) mod releases;
pub(super) mod replay;
mod review;
pub(super) mod rollback;
pub(super) mod schedule;
pub(super) mod serve;
pub(super) mod shell_files;
pub(super) mod sql;
pub(super) mod study;
pub(super) mod user;

use std::io::Write as _;

use crate::base::{Error, Result};

/// Writes a text and a line end to standard output. A reader that has gone away is no error.
pub(super) fn print_text(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::user(
            "elt::output",
            format!("cannot write the output: {error}"),
            "check where it is written to",
        )),
        _ => Ok(()),
    }
}

/// Lays out rows of text in columns, the names above them.
fn columns<const N: usize>(names: [&str; N], rows: &[[String; N]]) -> String {
    let width = |at: usize| {
        rows.iter().map(|row| row[at].chars().count()).chain([names[at].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| {
            let missing = width.saturating_sub(cell.chars().count());
            // A column can be wider than what a format can say.
            format!("{cell}{}", " ".repeat(missing))
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(names.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let long = "x".repeat(70_000);
        let rows = [[long.clone(), "a".to_owned()], ["ü".to_owned(), String::new()]];
        let told = columns(["one", "two"], &rows);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], format!("one{}  two", " ".repeat(69_997)));
        assert_eq!((lines[1], lines[2]), (&*format!("{long}  a"), "ü"));
    }
}
