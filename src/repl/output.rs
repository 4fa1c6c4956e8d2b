//! Where do answers go, if not to the screen?
//!
//! Into a file or into another program, and from there nowhere else: what is not an answer is told on standard error
//! all the same.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::render::Format;
use crate::base::{Diagnostic, Error, ErrorKind, Result};

/// A file, or a program that reads what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Program(String),
}

impl Place {
    /// `rows.csv`, `'my rows.csv'` or `|sort`; nothing for the screen.
    pub(super) fn read(text: &str) -> Option<Self> {
        if let Some(line) = text.strip_prefix('|') {
            return Some(Self::Program(line.trim().to_owned())).filter(|_| !line.trim().is_empty());
        }
        let quoted = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
        let bare = quoted('\'').or_else(|| quoted('"')).unwrap_or(text);
        (!bare.is_empty() && bare != "stdout").then(|| Self::File(PathBuf::from(bare)))
    }

    /// The format that a file's name asks for.
    fn format(&self) -> Option<Format> {
        let Self::File(path) = self else { return None };
        let ending = path.extension()?.to_str()?.to_lowercase();
        match ending.as_str() {
            "csv" => Some(Format::Csv),
            "tsv" => Some(Format::Tsv),
            "json" => Some(Format::Json),
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            "md" => Some(Format::Markdown),
            "html" => Some(Format::Html),
            "parquet" => Some(Format::Parquet),
            "arrow" | "feather" => Some(Format::Arrow),
            _ => None,
        }
    }
}

/// A place that was opened.
pub(super) struct Target {
    place: Place,
    out: Option<Box<dyn Write + Send>>,
    child: Option<Child>,
    /// The format that the place asks for.
    pub(super) format: Option<Format>,
    /// Whether an answer is in it that no other can follow.
    is_full: bool,
}

impl Target {
    /// Opens a place; a file is made anew.
    pub(super) fn open(place: Place) -> Result<Self> {
        let format = place.format();
        let (out, child): (Box<dyn Write + Send>, _) = match &place {
            Place::File(path) => {
                let file = File::create(path).map_err(|error| cannot("write", path, &error))?;
                (Box::new(BufWriter::new(file)), None)
            }
            Place::Program(line) => {
                let mut command = Command::new("sh");
                command.arg("-c").arg(line).stdin(Stdio::piped());
                let mut child = command.spawn().map_err(|error| cannot("run", Path::new("sh"), &error))?;
                let out = child.stdin.take().expect("its standard input is ours");
                (Box::new(BufWriter::new(out)), Some(child))
            }
        };
        Ok(Self { place, out: Some(out), child, format, is_full: false })
    }

    /// Where an answer in this format is written.
    ///
    /// # Errors
    /// There is an answer in it already that is a whole file.
    pub(super) fn answer(&mut self, format: Format) -> Result<&mut (dyn Write + Send)> {
        if self.is_full {
            let what = format!("{self} holds an answer already, and one is a whole file");
            return Err(Error::user("elt::shell::full", what, "send the next to another file: `\\o FILE`"));
        }
        self.is_full = format.is_binary();
        Ok(self.out.as_mut().expect("it is open until it is closed"))
    }

    /// After an answer that failed part-way: a file that would be no whole file is made anew.
    pub(super) fn abandon(&mut self, format: Format) -> Result<()> {
        if let (true, Place::File(path)) = (format.is_binary(), &self.place) {
            let file = File::create(path).map_err(|error| cannot("write", path, &error))?;
            self.out = Some(Box::new(BufWriter::new(file)));
            self.is_full = false;
        }
        Ok(())
    }

    /// Closes it; waits for a program to end.
    pub(super) fn close(mut self) -> Result<()> {
        self.shut().map_err(|error| match &self.place {
            Place::File(path) => cannot("write", path, &error),
            Place::Program(line) => cannot("run", Path::new(line), &error),
        })
    }

    fn shut(&mut self) -> io::Result<()> {
        let flushed = match self.out.take() {
            Some(mut out) => out.flush(),
            None => Ok(()),
        };
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        match flushed {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.shut(); // whoever wants to know closes it
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::File(path) => write!(f, "{}", path.display()),
            Place::Program(line) => write!(f, "|{line}"),
        }
    }
}

pub(super) fn cannot(what: &str, path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot {what} {}: {error}", path.display());
    Error::new(ErrorKind::User, Diagnostic::error("elt::shell::file", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_format_and_a_bar_a_program() {
        let format = |text: &str| Place::read(text).and_then(|place| place.format());
        assert_eq!(format("a.PARQUET"), Some(Format::Parquet));
        assert_eq!(format("'my rows.jsonl'"), Some(Format::Jsonl));
        assert_eq!(format("rows.txt"), None);
        assert_eq!(Place::read("| sort -u"), Some(Place::Program("sort -u".into())));
        assert_eq!(Place::read(""), None);
        assert_eq!(Place::read("|"), None);
    }

    #[test]
    fn a_program_gets_the_answers_and_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sorted");
        let line = format!("sort > '{}'", file.display());
        let mut target = Target::open(Place::Program(line)).unwrap();
        target.answer(Format::Csv).unwrap().write_all(b"b\na\n").unwrap();
        target.close().unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "a\nb\n");
        let mut gone = Target::open(Place::Program("true".into())).unwrap();
        let _ = gone.answer(Format::Csv).unwrap().write_all(b"x");
        gone.close().unwrap();
        let mut full = Target::open(Place::File(folder.path().join("x.arrow"))).unwrap();
        full.answer(Format::Arrow).unwrap();
        assert!(full.answer(Format::Arrow).is_err());
    }
}
