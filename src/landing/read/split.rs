//! Where does one record of a CSV file end and the next begin?
//!
//! [`Records`] finds records and fields in one pass over the bytes, and knows on which physical line
//! each record starts. Line ends are LF or CRLF. Blank lines are no records, unless there is but one column
//! ([`blank_lines_are_records`](Records::blank_lines_are_records)): there a null is written so.
//!
//! A quote that is never closed would swallow the rest of the file, good rows and all. So when a quoted field goes
//! wrong in a record of several lines, only the first of these lines is faulty, and reading
//! goes on with the second. What follows is read as usual, except that up to the place of
//! the fault a quote inside an unquoted field is a fault too: such a line may be the
//! tail of a broken record.
//!
//! Not here: what the fields mean, or whether there are as many as there should be.

use std::io::{self, ErrorKind, Read};

use memchr::{memchr, memchr_iter, memchr2};

/// The longest record, in bytes. A quoted field that goes on for longer counts as never closed.
const LONGEST: usize = 16 * 1024 * 1024;

/// What parts and holds together the fields of a CSV text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The byte between two fields.
    pub(crate) delimiter: u8,
    /// The byte around a field; doubled, it stands for itself.
    pub(crate) quote: Option<u8>,
    /// The first byte of lines that are no records.
    pub(crate) comment: Option<u8>,
}

impl Marks {
    /// Fields parted by `delimiter`, with `"` around them.
    #[cfg(test)]
    pub(crate) fn usual(delimiter: u8) -> Self {
        Self { delimiter, quote: Some(b'"'), comment: None }
    }
}

/// One record. Borrowed from the buffer until the next is asked for.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// The physical line on which it starts, counted from 1.
    pub(crate) line: u64,
    /// Its bytes without the line end.
    pub(crate) bytes: &'a [u8],
    /// Its fields; none if there is a fault.
    pub(crate) fields: &'a [Field],
    /// Why its fields cannot be told apart.
    pub(crate) fault: Option<Fault>,
}

/// A field: its bytes in the record, without the quotes around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) quoted: bool,
    /// Whether two quotes in it stand for one.
    pub(crate) doubled: bool,
}

/// What can be wrong with quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A quote is opened and the file ends.
    Unclosed,
    /// A quoted field goes on after its closing quote.
    TextAfter,
    /// A quote in an unquoted field, where a broken record came before.
    Stray,
}

impl Fault {
    /// The word for it in tables of rejected rows.
    pub(crate) fn error_type(self) -> &'static str {
        match self {
            Self::Unclosed => "unclosed_quote",
            Self::TextAfter => "text_after_quote",
            Self::Stray => "stray_quote",
        }
    }

    /// The sentence for it.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Unclosed => "a field starts with a quote that is never closed",
            Self::TextAfter => {
                "a field goes on after its closing quote; a quote inside a quoted field must be doubled"
            }
            Self::Stray => "a quote inside an unquoted field, on the lines of a broken record",
        }
    }
}

/// The records of a CSV text, one after another.
pub(crate) struct Records<R> {
    source: R,
    marks: Marks,
    buffer: Vec<u8>,
    /// The bytes not yet given out are `buffer[start..filled]`.
    start: usize,
    filled: usize,
    ended: bool,
    blank_is_record: bool,
    /// The line on which `start` is.
    line: u64,
    /// Up to this line, quotes in unquoted fields are faults.
    doubtful_until: u64,
    fields: Vec<Field>,
    /// Where the last record started, to give it out again.
    last: (usize, u64),
}

/// What one look at the buffer finds.
enum Found {
    Record {
        length: usize,
        consumed: usize,
        newlines: u64,
        fault: Option<Fault>,
    },
    /// The buffer ends before the record does.
    Unfinished {
        in_quotes: bool,
    },
}

impl<R: Read> Records<R> {
    /// Reads `source` as text whose fields are parted by `marks`.
    pub(crate) fn new(source: R, marks: Marks) -> Self {
        Self {
            source,
            marks,
            buffer: vec![0; 256 * 1024],
            start: 0,
            filled: 0,
            ended: false,
            blank_is_record: false,
            line: 1,
            doubtful_until: 0,
            fields: Vec::new(),
            last: (0, 1),
        }
    }

    /// The byte around fields; if there is none, `"`, which then is never doubled.
    pub(crate) fn quote(&self) -> u8 {
        self.marks.quote.unwrap_or(b'"')
    }

    /// From here on a blank line is a record of one empty field.
    pub(crate) fn blank_lines_are_records(&mut self) {
        self.blank_is_record = true;
    }

    /// The next record, or nothing at the end of the file.
    ///
    /// # Errors
    /// What the source says; [`ErrorKind::InvalidData`] for a line longer than 16 MiB.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record<'_>>> {
        loop {
            if !self.blank_is_record {
                self.skip_blank_lines();
            }
            if self.skip_comment()? {
                continue;
            }
            if self.start == self.filled && self.ended {
                return Ok(None);
            }
            let full = self.filled - self.start >= LONGEST;
            let data = &self.buffer[self.start..self.filled];
            let found = scan(data, self.marks, self.ended, &mut self.fields);
            let (length, consumed, newlines, fault) = match found {
                Found::Record { length, consumed, newlines, mut fault } => {
                    if fault.is_none()
                        && self.line <= self.doubtful_until
                        && has_stray_quote(data, self.marks.quote, &self.fields)
                    {
                        fault = Some(Fault::Stray);
                    }
                    (length, consumed, newlines, fault)
                }
                Found::Unfinished { .. } if !self.ended && !full => {
                    self.fill()?;
                    continue;
                }
                Found::Unfinished { in_quotes } => {
                    let whole_line = self.ended || memchr(b'\n', data).is_some();
                    if !in_quotes || !whole_line {
                        let text = format!("line {} is longer than {} MiB", self.line, LONGEST >> 20);
                        return Err(io::Error::new(ErrorKind::InvalidData, text));
                    }
                    (data.len(), data.len(), u64::from(data.contains(&b'\n')) + 1, Some(Fault::Unclosed))
                }
            };
            let (length, consumed, newlines) = if fault.is_some() && newlines > 1 {
                if fault == Some(Fault::TextAfter) {
                    self.doubtful_until = self.doubtful_until.max(self.line + newlines - 1);
                }
                let line_end = memchr(b'\n', data).unwrap_or(data.len());
                (without_return(&data[..line_end]).len(), (line_end + 1).min(data.len()), 1)
            } else {
                (length, consumed, newlines)
            };
            let (start, line) = (self.start, self.line);
            self.last = (start, line);
            self.start += consumed;
            self.line += newlines;
            let bytes = &self.buffer[start..start + length];
            let fields = if fault.is_none() { self.fields.as_slice() } else { &[] };
            return Ok(Some(Record { line, bytes, fields, fault }));
        }
    }

    /// Makes [`next`](Self::next) give out the last record again. Only right after it was given out.
    pub(crate) fn again(&mut self) {
        (self.start, self.line) = self.last;
    }

    /// Skips a byte order mark, and returns the first bytes of the text (as many as 4).
    ///
    /// # Errors
    /// What the source says.
    pub(crate) fn skip_mark(&mut self) -> io::Result<[u8; 4]> {
        while self.filled < 4 && !self.ended {
            self.fill()?;
        }
        let mut first = [b' '; 4];
        let length = self.filled.min(4);
        first[..length].copy_from_slice(&self.buffer[..length]);
        if first.starts_with(b"\xEF\xBB\xBF") {
            self.start = 3;
        }
        Ok(first)
    }

    /// Skips lines, whatever they hold.
    ///
    /// # Errors
    /// What the source says.
    pub(crate) fn skip_lines(&mut self, lines: u64) -> io::Result<()> {
        (0..lines).try_for_each(|_| self.skip_line())
    }

    /// Skips a line that is a comment. Returns whether there was one.
    fn skip_comment(&mut self) -> io::Result<bool> {
        let Some(mark) = self.marks.comment else { return Ok(false) };
        if self.start == self.filled && !self.ended {
            self.fill()?;
        }
        let is_comment = self.buffer[self.start..self.filled].first() == Some(&mark);
        if is_comment {
            self.skip_line()?;
        }
        Ok(is_comment)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            match memchr(b'\n', &self.buffer[self.start..self.filled]) {
                Some(length) => self.start += length + 1,
                None => {
                    self.start = self.filled;
                    if !self.ended {
                        self.fill()?;
                        continue;
                    }
                }
            }
            self.line += 1;
            return Ok(());
        }
    }

    fn skip_blank_lines(&mut self) {
        loop {
            let skipped = match &self.buffer[self.start..self.filled] {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                [b'\r'] if self.ended => 1,
                _ => return,
            };
            self.start += skipped;
            self.line += 1;
        }
    }

    /// Reads more bytes behind those that are still needed.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.start = 0;
        }
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        // Filled to the brim, so that a long record is looked at few times.
        while self.filled < self.buffer.len() {
            match self.source.read(&mut self.buffer[self.filled..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(length) => self.filled += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Finds the record at the start of `data` and its fields.
fn scan(data: &[u8], Marks { delimiter, quote, .. }: Marks, ended: bool, fields: &mut Vec<Field>) -> Found {
    fields.clear();
    let (mut at, mut newlines, mut fault) = (0, 1, None);
    loop {
        let field_start = at;
        let mut quoted = None;
        if let (Some(quote), Some(first)) = (quote, data.get(at))
            && quote == *first
        {
            let Some(closed) = closing_quote(data, quote, at + 1) else {
                return Found::Unfinished { in_quotes: true };
            };
            newlines += closed.newlines;
            at = closed.at + 1;
            quoted = Some(closed);
        }
        let after_quote = at;
        let Some(length) = memchr2(delimiter, b'\n', &data[at..]) else {
            if !ended {
                return Found::Unfinished { in_quotes: false };
            }
            let length = without_return(data).len().max(after_quote);
            fault = fault.or(finish(field_start, length, after_quote, quoted, fields));
            return Found::Record { length, consumed: data.len(), newlines, fault };
        };
        at += length;
        if data[at] == delimiter {
            fault = fault.or(finish(field_start, at, after_quote, quoted, fields));
            at += 1;
        } else {
            let length = without_return(&data[..at]).len().max(after_quote);
            fault = fault.or(finish(field_start, length, after_quote, quoted, fields));
            return Found::Record { length, consumed: at + 1, newlines, fault };
        }
    }
}

struct Closed {
    /// Where the closing quote is.
    at: usize,
    doubled: bool,
    newlines: u64,
}

fn closing_quote(data: &[u8], quote: u8, mut at: usize) -> Option<Closed> {
    let (mut doubled, mut newlines) = (false, 0);
    loop {
        let length = memchr(quote, data.get(at..)?)?;
        newlines += memchr_iter(b'\n', &data[at..at + length]).count() as u64;
        at += length;
        if data.get(at + 1) != Some(&quote) {
            return Some(Closed { at, doubled, newlines });
        }
        doubled = true;
        at += 2;
    }
}

/// Notes the field in `start..end`; a quoted one must end at `after_quote`.
fn finish(
    start: usize,
    end: usize,
    after_quote: usize,
    quoted: Option<Closed>,
    fields: &mut Vec<Field>,
) -> Option<Fault> {
    let (start, inner_end, doubled) = match &quoted {
        Some(closed) => (start + 1, closed.at, closed.doubled),
        None => (start, end, false),
    };
    // A record is at most 32 MiB, the size of a grown buffer.
    fields.push(Field { start: start as u32, end: inner_end as u32, quoted: quoted.is_some(), doubled });
    (quoted.is_some() && end > after_quote).then_some(Fault::TextAfter)
}

fn has_stray_quote(data: &[u8], quote: Option<u8>, fields: &[Field]) -> bool {
    let Some(quote) = quote else { return false };
    fields
        .iter()
        .any(|field| !field.quoted && data[field.start as usize..field.end as usize].contains(&quote))
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out one byte at a time, as slowly as a source can.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.0.len().min(1).min(into.len());
            into[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn told(source: impl Read) -> String {
        let mut records = Records::new(source, Marks::usual(b','));
        records.skip_mark().unwrap();
        let mut told = Vec::new();
        while let Some(record) = records.next().unwrap() {
            let text = |field: &Field| {
                String::from_utf8_lossy(&record.bytes[field.start as usize..field.end as usize])
                    .escape_debug()
                    .to_string()
            };
            let fields: Vec<String> = record.fields.iter().map(text).collect();
            told.push(match record.fault {
                Some(fault) => format!("{} {}", record.line, fault.error_type()),
                None => format!("{} {}", record.line, fields.join("|")),
            });
        }
        told.join("; ")
    }

    #[test]
    fn where_there_is_one_column_a_blank_line_is_a_record() {
        for source in [b"a\n\nb\r\n\r\n\n".as_slice(), b"a\n\nb\n\n\r\n"] {
            let mut records = Records::new(Dripping(source), Marks::usual(b','));
            records.blank_lines_are_records();
            let mut lengths = Vec::new();
            while let Some(record) = records.next().unwrap() {
                assert_eq!(record.fields.len(), 1);
                lengths.push((record.line, record.bytes.len()));
            }
            assert_eq!(lengths, [(1, 1), (2, 0), (3, 1), (4, 0), (5, 0)]);
        }
    }

    #[test]
    fn records_know_their_lines() {
        for (text, records) in [
            ("", ""),
            ("\n\r\n\r", ""),
            ("a,b\n1,2", "1 a|b; 2 1|2"),
            ("a,b\r\n1,2\r\n", "1 a|b; 2 1|2"),
            ("\u{feff}a,b\n1,2\n", "1 a|b; 2 1|2"),
            ("a\n\n\r\nb\n", "1 a; 4 b"),
            (",\n", "1 |"),
            ("a,", "1 a|"),
            ("\"\"\n", "1 "),
            ("\"x, y\",\"l1\nl2\r\nl3\",z\nend,,\n", r"1 x, y|l1\nl2\r\nl3|z; 4 end||"),
            ("\"he said \"\"hi\"\"\"\r\n2\n", "1 he said \\\"\\\"hi\\\"\\\"; 2 2"),
            ("5\" pipe,1\n", "1 5\\\" pipe|1"),
            ("a\rb,c\r", "1 a\\rb|c"),
            // Broken quotes cost one line, not the rest of the file.
            ("1,\"a\n2,b\n3,c\n", "1 unclosed_quote; 2 2|b; 3 3|c"),
            ("1,\"a", "1 unclosed_quote"),
            ("1,\"a\"b,2\n3,4\n", "1 text_after_quote; 2 3|4"),
            ("1,\"a\n\"2\",\"b\"\n3,c\n", "1 text_after_quote; 2 2|b; 3 3|c"),
            ("1,\"a\nb\"c,2\n3,4\"\n", "1 text_after_quote; 2 stray_quote; 3 3|4\\\""),
        ] {
            assert_eq!(told(text.as_bytes()), records, "{text:?}");
            assert_eq!(told(Dripping(text.as_bytes())), records, "{text:?}, byte by byte");
        }
    }

    /// Tries every text of up to six of the bytes that matter: between records there are line ends only.
    #[test]
    fn no_byte_is_lost_and_no_line_is_misnumbered() {
        let line_ends = |text: &[u8], mut at: usize| {
            while text[at..].starts_with(b"\n") || text[at..].starts_with(b"\r\n") {
                at += if text[at] == b'\n' { 1 } else { 2 };
            }
            at
        };
        let mut texts: Vec<Vec<u8>> = vec![Vec::new()];
        for _ in 0..6 {
            let longer = |text: &Vec<u8>| b"a,\"\n\r".map(|byte| [text.as_slice(), &[byte]].concat());
            texts = texts.iter().flat_map(longer).collect();
            for text in &texts {
                let shown = String::from_utf8_lossy(text);
                let mut records = Records::new(text.as_slice(), Marks::usual(b','));
                let mut at = 0;
                while let Some(record) = records.next().unwrap() {
                    at = line_ends(text, at);
                    assert!(text[at..].starts_with(record.bytes), "{shown:?}");
                    let newlines = text[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
                    assert_eq!(record.line, newlines + 1, "{shown:?}");
                    at += record.bytes.len();
                }
                assert!(matches!(&text[line_ends(text, at)..], b"" | b"\r"), "{shown:?}");
            }
        }
    }

    #[test]
    fn a_record_may_be_longer_than_the_buffer() {
        let long = "x".repeat(1_000_000);
        let text = format!("\"{long}\n{long}\",1\n2,3\n");
        let mut records = Records::new(text.as_bytes(), Marks::usual(b','));
        assert_eq!(records.next().unwrap().map(|record| record.bytes.len()), Some(2_000_005));
        assert_eq!(records.next().unwrap().map(|record| record.line), Some(3));
        let endless = io::repeat(b'x');
        assert_eq!(
            Records::new(endless, Marks::usual(b',')).next().unwrap_err().kind(),
            ErrorKind::InvalidData
        );
    }
}
