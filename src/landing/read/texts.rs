//! Where does one JSON record end and the next begin?
//!
//! [`Texts`] gives the records of a file and the lines on which they start: one to a line, or, where the file is an array
//! or its objects go over several lines, one after another. What is broken costs as little as it can: in lines one line;
//! elsewhere a record that is no JSON ends where a line begins with the next object.
//!
//! Not here: what a record holds ([`value`](super::value)).

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use serde::de::IgnoredAny;

use super::Source;
use crate::landing::error::LandingError;
use crate::landing::format::Format;

/// The longest record, in bytes.
const LONGEST: u64 = 64 * 1024 * 1024;
/// Bytes in which the first record should end.
const HEAD: usize = 256 * 1024;

/// The records of a JSON file.
pub(crate) enum Texts {
    Lines(Lines<Source>),
    Values(Values<Source>),
}

impl Texts {
    /// Finds out how the records of a file are parted, if its format leaves that open.
    pub(crate) fn open(mut source: Source, format: Format) -> Result<Self, LandingError> {
        if format == Format::JsonLines {
            return Ok(Self::Lines(Lines::new(source)));
        }
        let head = source.look(HEAD)?;
        let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let is_array = head.starts_with(b"[");
        let goes_on = head.starts_with(b"{") && unfinished(line);
        Ok(if is_array || goes_on {
            Self::Values(Values::new(source))
        } else {
            Self::Lines(Lines::new(source))
        })
    }

    /// The next record and the line on which it starts, from 1.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        match self {
            Self::Lines(lines) => lines.next(),
            Self::Values(values) => values.next(),
        }
    }
}

/// Whether a text is the beginning of JSON and not all of it.
fn unfinished(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_err_and(|error| error.is_eof())
}

/// The lines of a text that are not blank, with their numbers.
pub(crate) struct Lines<R> {
    source: BufReader<R>,
    line: u64,
    buffer: Vec<u8>,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source: BufReader::with_capacity(256 * 1024, source), line: 0, buffer: Vec::new() }
    }

    /// The next line that is not blank and its number from 1, without line end and byte order mark.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            self.buffer.clear();
            let length = (&mut self.source).take(LONGEST).read_until(b'\n', &mut self.buffer)? as u64;
            if length == 0 {
                return Ok(None);
            }
            self.line += 1;
            if length == LONGEST {
                let text = format!("line {} is longer than {} MiB", self.line, LONGEST >> 20);
                return Err(io::Error::new(ErrorKind::InvalidData, text));
            }
            let marked = self.line == 1 && self.buffer.starts_with(b"\xEF\xBB\xBF");
            let start = if marked { 3 } else { 0 };
            if !self.buffer[start..].trim_ascii().is_empty() {
                let line = self.buffer[start..].trim_ascii_end();
                return Ok(Some((self.line, line)));
            }
        }
    }
}

/// The values of an array, or of a text that is values one after another.
pub(crate) struct Values<R> {
    source: BufReader<R>,
    /// What was read of the source and belongs to a later record.
    carried: Vec<u8>,
    record: Vec<u8>,
    line: u64,
}

impl<R: Read> Values<R> {
    pub(crate) fn new(source: R) -> Self {
        let source = BufReader::with_capacity(256 * 1024, source);
        Self { source, carried: Vec::new(), record: Vec::new(), line: 1 }
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        self.record.clear();
        let mut scanner = Scanner::default();
        let mut whole = false;
        while !whole {
            let carried = !self.carried.is_empty();
            let bytes = if carried { self.carried.as_slice() } else { fill(&mut self.source)? };
            if bytes.is_empty() {
                break;
            }
            let mut used = 0;
            for byte in bytes {
                match scanner.step(*byte) {
                    Step::Between => self.line += u64::from(*byte == b'\n'),
                    Step::Within => self.record.push(*byte),
                    Step::Last => {
                        self.record.push(*byte);
                        whole = true;
                    }
                    Step::Behind => {
                        whole = true;
                        break;
                    }
                }
                used += 1;
                if whole {
                    break;
                }
            }
            if carried {
                self.carried.drain(..used);
            } else {
                self.source.consume(used);
            }
            if self.record.len() as u64 > LONGEST {
                let text = format!("the record of line {} is longer than {} MiB", self.line, LONGEST >> 20);
                return Err(io::Error::new(ErrorKind::InvalidData, text));
            }
        }
        if self.record.is_empty() {
            return Ok(None);
        }
        self.cut_if_broken();
        let line = self.line;
        self.line += memchr::memchr_iter(b'\n', &self.record).count() as u64;
        Ok(Some((line, self.record.trim_ascii_end())))
    }

    /// A record that is no JSON ends before the line that begins with the next object.
    fn cut_if_broken(&mut self) {
        let begins = |at: &usize| self.record[at + 1..].trim_ascii_start().starts_with(b"{");
        let Some(at) = memchr::memchr_iter(b'\n', &self.record).find(begins) else { return };
        if serde_json::from_slice::<IgnoredAny>(&self.record).is_ok() {
            return;
        }
        let rest = self.record.split_off(at);
        self.carried.splice(..0, rest);
        if self.record.trim_ascii_end().ends_with(b",") {
            let end = self.record.trim_ascii_end().len() - 1;
            self.record.truncate(end);
        }
    }
}

fn fill<R: Read>(source: &mut BufReader<R>) -> io::Result<&[u8]> {
    loop {
        match source.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(source.buffer())
}

/// Follows brackets and quotes, and nothing else.
#[derive(Default)]
struct Scanner {
    begun: bool,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

enum Step {
    /// The byte parts records.
    Between,
    Within,
    /// The byte ends the record.
    Last,
    /// The record ended before the byte.
    Behind,
}

impl Scanner {
    fn step(&mut self, byte: u8) -> Step {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return if !self.in_string && self.depth == 0 { Step::Last } else { Step::Within };
        }
        let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',');
        if !self.begun {
            // The brackets of the array itself, and a byte order mark.
            if blank || matches!(byte, b'[' | b']' | 0xEF | 0xBB | 0xBF) {
                return Step::Between;
            }
            self.begun = true;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth == 0 => return Step::Behind,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Step::Last;
                }
            }
            _ if blank && self.depth == 0 => return Step::Behind,
            _ => {}
        }
        Step::Within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let mut values = Values::new(text.as_bytes());
        let mut told = Vec::new();
        while let Some((line, record)) = values.next().unwrap() {
            told.push(format!("{line} {}", String::from_utf8_lossy(record).replace('\n', "/")));
        }
        told.join("; ")
    }

    #[test]
    fn values_end_where_their_brackets_do() {
        for (text, records) in [
            ("", ""),
            ("[]", ""),
            ("[\n {\"a\":1},\n {\"a\":[2,\n3]}\n]\n", "2 {\"a\":1}; 3 {\"a\":[2,/3]}"),
            ("{\n\"a\":1\n}\n{\"a\":2}", "1 {/\"a\":1/}; 4 {\"a\":2}"),
            ("[1, \"x]\\\"\", null, {\"b\":\"}\"}]", "1 1; 1 \"x]\\\"\"; 1 null; 1 {\"b\":\"}\"}"),
            ("[{\"a\":1}", "1 {\"a\":1}"),
            // What is broken ends where the next object begins a line.
            ("[\n{\"a\":\"x},\n{\"a\":2},\n{\"a\":3}\n]", "2 {\"a\":\"x}; 3 {\"a\":2}; 4 {\"a\":3}"),
            ("[\n{\"a\":[1},\n{\"a\":2}\n]", "2 {\"a\":[1}; 3 {\"a\":2}"),
            ("[\n{\"a\":1},\n{\"a\":", "2 {\"a\":1}; 3 {\"a\":"),
        ] {
            assert_eq!(told(text), records, "{text}");
        }
    }
}
