//! How does this CSV file separate, quote and name its fields?
//!
//! [`detect`] looks at the first records of a file and at what is declared. It takes a reading only if the others do
//! not fit; where two do, it asks ([`LandingError::TwoReadings`]), because the wrong one would lose rows or change
//! numbers without anybody noticing.
//!
//! | asked | answered by |
//! |---|---|
//! | delimiter | which of `,` `;` tab `\|` gives all records as many fields as the first |
//! | quote | `"`, unless only `'` makes the records even |
//! | header | what stands above what: a name above numbers, or a number above numbers |
//! | decimal | columns of numbers that only one of `1.5` and `1,5` can be |
//!
//! Not here: types, and the order of day and month, which are for all files of a load together (`infer`).

use super::error::LandingError;
use super::format::ReadOptions;
use super::guess::{Kind, kind_of_text};
use super::read::literal::{Spelling, double, with_point};
use super::read::split::{Marks, Record, Records};
use super::read::{Source, column_name};

/// Bytes that are looked at.
const HEAD: usize = 256 * 1024;
/// Records that are looked at.
const MOST: usize = 1000;
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How a CSV file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) marks: Marks,
    /// Whether the first record holds the names of the columns.
    pub(crate) header: bool,
    /// Whether numbers are written `1.234,5`.
    pub(crate) decimal_comma: bool,
    /// Whether the first line is `sep=;`, as spreadsheets write it.
    pub(crate) says_delimiter: bool,
}

/// Returns how `source` is written. Reads nothing that would not be read again.
///
/// `delimiter` is what the file's name says or the user. `known` are columns that the file is expected to have.
///
/// # Errors
/// [`LandingError::TwoReadings`]; what keeps the file from being read.
pub(crate) fn detect(
    source: &mut Source,
    delimiter: Option<u8>,
    options: &ReadOptions,
    known: &[String],
) -> Result<Dialect, LandingError> {
    let path = source.told().path;
    let head = source.look(HEAD)?;
    let whole = head.len() < HEAD;
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let head = below(head, options.skip_rows);
    if is_json(head) {
        return Err(LandingError::WrongFormat { path, read_as: "CSV", content: "JSON" });
    }
    let (said, head) = match delimiter_line(head) {
        Some((said, rest)) => (Some(said), rest),
        None => (None, head),
    };
    let delimiter = if options.delimiter.is_some() { delimiter } else { said.or(delimiter) };
    let ask = |asked: Asked| asked.error(&path);
    let marks = marks(head, whole, delimiter, options).map_err(ask)?;
    let sample = Sample::take(head, whole, marks);
    let header = match options.header {
        Some(header) => header,
        None => has_header(&sample, known).map_err(ask)?,
    };
    let decimal_comma = match options.decimal_comma {
        Some(comma) => comma,
        None => decimal_comma(&sample, header, options).map_err(ask)?,
    };
    Ok(Dialect { marks, header, decimal_comma, says_delimiter: said.is_some() })
}

/// The delimiter that the first line names, and what stands behind that line.
fn delimiter_line(head: &[u8]) -> Option<(u8, &[u8])> {
    let (line, rest) = head.split_at(memchr::memchr(b'\n', head)? + 1);
    let line = line.trim_ascii_end();
    // A tab is a space too, and gone by now.
    match line.get(..4)?.eq_ignore_ascii_case(b"sep=").then_some(&line[4..])? {
        [delimiter] if delimiter.is_ascii() => Some((*delimiter, rest)),
        _ => None,
    }
}

/// What stands behind the first lines.
fn below(head: &[u8], lines: u64) -> &[u8] {
    (0..lines).fold(head, |head, _| memchr::memchr(b'\n', head).map_or(&[], |end| &head[end + 1..]))
}

/// Whether the first line is an object of JSON.
fn is_json(head: &[u8]) -> bool {
    let line = head.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// Two readings that both fit.
struct Asked {
    option: &'static str,
    one: (String, String),
    other: (String, String),
}

impl Asked {
    fn error(self, path: &str) -> LandingError {
        let (one, other) = (&self.one, &self.other);
        LandingError::TwoReadings {
            path: path.to_owned(),
            one: one.1.clone(),
            other: other.1.clone(),
            help: format!("declare `{0}: {1}` or `{0}: {2}`", self.option, one.0, other.0),
        }
    }
}

/// The fields of the first records, as text.
struct Sample {
    records: Vec<Vec<String>>,
    /// Whether each field had quotes around it.
    quoted: usize,
    faults: usize,
}

impl Sample {
    fn take(head: &[u8], whole: bool, marks: Marks) -> Self {
        let mut sample = Self { records: Vec::new(), quoted: 0, faults: 0 };
        let mut records = Records::new(head, marks);
        while sample.records.len() < MOST {
            let Ok(Some(record)) = records.next() else { break };
            if record.fault.is_some() {
                sample.faults += 1;
                continue;
            }
            sample.quoted += record.fields.iter().filter(|field| field.quoted).count();
            sample.records.push(fields(&record));
        }
        // The last record of a part may be a part itself.
        if !whole && sample.records.len() > 1 && sample.records.len() < MOST {
            sample.records.pop();
        }
        sample
    }

    fn width(&self) -> usize {
        self.records.first().map_or(0, Vec::len)
    }

    /// Which part of the records has as many fields as the first.
    fn evenness(&self) -> f64 {
        let even = self.records.iter().filter(|record| record.len() == self.width()).count();
        even as f64 / (self.records.len() + self.faults).max(1) as f64
    }

    /// The values of a column below the first record.
    fn below(&self, column: usize) -> impl Iterator<Item = &str> {
        let values = self.records.iter().skip(1).filter_map(move |record| record.get(column));
        values.map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

fn fields(record: &Record<'_>) -> Vec<String> {
    let text = |field: &super::read::split::Field| {
        String::from_utf8_lossy(&record.bytes[field.start as usize..field.end as usize]).into_owned()
    };
    record.fields.iter().map(text).collect()
}

fn marks(head: &[u8], whole: bool, delimiter: Option<u8>, options: &ReadOptions) -> Result<Marks, Asked> {
    let quote = options.quote.map(|quote| quote.and_then(|quote| u8::try_from(quote).ok()));
    let usual = Marks {
        delimiter: delimiter.unwrap_or(b','),
        quote: quote.unwrap_or(Some(b'"')),
        comment: options.comment.and_then(|comment| u8::try_from(comment).ok()),
    };
    let usual = match delimiter {
        Some(_) => usual,
        None => Marks { delimiter: likeliest(head, whole, usual)?, ..usual },
    };
    if quote.is_some() || !head.contains(&b'\'') {
        return Ok(usual);
    }
    // Apostrophes are common; as quotes they have to explain more than double quotes do.
    let single = Marks {
        delimiter: match delimiter {
            Some(delimiter) => delimiter,
            None => {
                let single = Marks { quote: Some(b'\''), ..usual };
                likeliest(head, whole, single).unwrap_or(usual.delimiter)
            }
        },
        quote: Some(b'\''),
        ..usual
    };
    let (with_usual, with_single) = (Sample::take(head, whole, usual), Sample::take(head, whole, single));
    if with_usual.quoted > 0
        || with_single.quoted == 0
        || with_single.faults > 0
        || with_single.evenness() < 1.0
    {
        return Ok(usual);
    }
    if with_usual.evenness() < 1.0 {
        return Ok(single);
    }
    let column_of_quoted = (0..with_usual.width()).any(|column| {
        let is_quoted = |value: &str| value.len() > 1 && value.starts_with('\'') && value.ends_with('\'');
        with_usual.below(column).next().is_some() && with_usual.below(column).all(is_quoted)
    });
    if !column_of_quoted {
        return Ok(usual);
    }
    let example = with_usual.records.iter().skip(1).flatten().find(|value| value.starts_with('\''));
    let example = example.cloned().unwrap_or_default();
    Err(Asked {
        option: "quote",
        one: ("\"'\"".into(), format!("{example} is a text in quotes")),
        other: ("'\"'".into(), format!("{example} is a text that has apostrophes")),
    })
}

/// The delimiter that makes the records even.
fn likeliest(head: &[u8], whole: bool, marks: Marks) -> Result<u8, Asked> {
    let mut candidates: Vec<(u8, f64, Sample)> = DELIMITERS
        .into_iter()
        .map(|delimiter| (delimiter, Sample::take(head, whole, Marks { delimiter, ..marks })))
        .filter(|(_, sample)| sample.width() > 1)
        .map(|(delimiter, sample)| (delimiter, sample.evenness(), sample))
        .collect();
    candidates.sort_by(|one, other| other.1.total_cmp(&one.1));
    match candidates.as_slice() {
        [] => Ok(b','),
        [only] => Ok(only.0),
        [first, second, ..] if second.1 < 0.9 * first.1 => Ok(first.0),
        [first, second, ..] => {
            let shown = |delimiter: u8| format!("\"{}\"", char::from(delimiter).escape_default());
            let reading = |(delimiter, _, sample): &(u8, f64, Sample)| {
                let fields: Vec<String> =
                    sample.records[0].iter().map(|field| format!("`{field}`")).collect();
                (
                    shown(*delimiter),
                    format!(
                        "{} columns between {} ({})",
                        sample.width(),
                        shown(*delimiter),
                        fields.join(" ")
                    ),
                )
            };
            Err(Asked { option: "delimiter", one: reading(first), other: reading(second) })
        }
    }
}

/// Whether the first record names the columns.
fn has_header(sample: &Sample, known: &[String]) -> Result<bool, Asked> {
    let Some(first) = sample.records.first() else { return Ok(true) };
    let named = |field: &String| known.iter().any(|name| *name == column_name(field) || name == field.trim());
    let numbered = !known.is_empty() && known.iter().enumerate().all(|(at, name)| *name == format!("_c{at}"));
    if first.iter().any(named) {
        return Ok(true);
    }
    if numbered {
        return Ok(false);
    }
    let mut above_numbers = false;
    let mut like_below = false;
    let mut year = false;
    for (at, field) in first.iter().enumerate() {
        let kind = kind_of_text(field.trim());
        let mut below = sample.below(at).map(kind_of_text).peekable();
        let any_below = below.peek().is_some();
        let values_below = below.all(|kind| kind != Kind::TEXT);
        match kind {
            Kind::TEXT if field.trim().is_empty() => {}
            Kind::TEXT => above_numbers |= any_below && values_below,
            Kind::BOOLEAN => like_below |= any_below && values_below,
            Kind::INTEGER if matches!(field.trim().parse(), Ok(1900..=2100)) => year = true,
            _ => like_below |= values_below,
        }
    }
    let as_data = || ("false".to_owned(), format!("the first line is a row ({})", shown(first)));
    let as_names = || ("true".to_owned(), format!("the first line names the columns ({})", shown(first)));
    let asked = || Err(Asked { option: "header", one: as_names(), other: as_data() });
    match (above_numbers, like_below) {
        (true, true) => asked(),
        (false, true) => Ok(false),
        _ if !known.is_empty() => asked(),
        (true, false) => Ok(true),
        (false, false) if year => asked(),
        (false, false) => Ok(true),
    }
}

fn shown(record: &[String]) -> String {
    let fields: Vec<String> = record.iter().take(4).map(|field| format!("`{}`", field.trim())).collect();
    format!("{}{}", fields.join(" "), if record.len() > 4 { " …" } else { "" })
}

/// Whether numbers have a decimal comma: some column can only be read so.
fn decimal_comma(sample: &Sample, header: bool, options: &ReadOptions) -> Result<bool, Asked> {
    let (mut comma, mut point) = (None, None);
    for column in 0..sample.width() {
        let rows = sample.records.iter().skip(usize::from(header)).filter_map(|record| record.get(column));
        let values: Vec<&str> = rows
            .map(|value| value.trim())
            .filter(|value| !options.null_values.iter().any(|null| null == value))
            .collect();
        let by_comma = Spelling { decimal_comma: true, ..Spelling::STRICT };
        let is_comma = |value: &&&str| {
            value.contains(',')
                && with_point(value).is_some_and(|plain| plain.contains('.'))
                && !in_thousands(value, ',')
        };
        let is_point = |value: &&&str| value.contains('.') && !in_thousands(value, '.');
        let all = |spelling: Spelling| values.iter().all(|value| double(value, spelling).is_some());
        if let Some(example) = values.iter().find(is_comma).filter(|_| all(by_comma)) {
            comma.get_or_insert_with(|| (*example).to_owned());
        }
        if let Some(example) = values.iter().find(is_point).filter(|_| all(Spelling::STRICT)) {
            point.get_or_insert_with(|| (*example).to_owned());
        }
    }
    match (comma, point) {
        (Some(comma), Some(point)) => Err(Asked {
            option: "decimal",
            one: ("\",\"".into(), format!("{comma} is a number and {point} is a text")),
            other: ("\".\"".into(), format!("{point} is a number and {comma} is a text")),
        }),
        (comma, point) => Ok(comma.is_some() || point.is_none() && options.comma_elsewhere),
    }
}

/// Whether a number may have this sign between thousands: `1,234`.
fn in_thousands(value: &str, sign: char) -> bool {
    let mut groups = value.trim_start_matches('-').split(sign);
    let first = groups.next().unwrap_or_default();
    (1..=3).contains(&first.len()) && first != "0" && groups.all(|group| group.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::super::format::{Compression, Format};
    use super::super::read::trial::Inbox;
    use super::*;

    fn told(text: &str, options: &ReadOptions, known: &[&str]) -> String {
        let inbox = Inbox::new();
        let file = inbox.file("f.csv", text.as_bytes());
        let csv = Format::Csv { delimiter: None };
        let mut source = Source::open(&file, csv, Compression::None, options).unwrap();
        let known: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
        let delimiter = options.delimiter.and_then(|delimiter| u8::try_from(delimiter).ok());
        match detect(&mut source, delimiter, options, &known) {
            Ok(Dialect { marks, header, decimal_comma, .. }) => format!(
                "{} {}{}{}",
                char::from(marks.delimiter).escape_default(),
                marks.quote.map_or(' ', char::from),
                if header { " header" } else { "" },
                if decimal_comma { " comma" } else { "" }
            ),
            Err(error) => {
                format!(
                    "{error}; {}",
                    miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default()
                )
            }
        }
    }

    #[test]
    fn a_dialect_is_found_or_asked_for() {
        let plain = ReadOptions::default();
        for (text, found) in [
            ("", ", \" header"),
            ("id,name\n1,a\n", ", \" header"),
            ("id;name\n1;a, b\n2;c\n", "; \" header"),
            ("id\tname\n1\ta\n", "\\t \" header"),
            ("id|name|at\n1|a|2013-01-01\n", "| \" header"),
            ("id,name\n1\n2,b\n3,c,d\n", ", \" header"),
            ("id,note\n1,\"a;b\"\n2,\"c\n;d\"\n", ", \" header"),
            ("id;price\n1;1,5\n2;1.234,50\n", "; \" header comma"),
            ("id;price\n1;1,5\n2;2\n3;\n", "; \" header comma"),
            ("id;price\n1;1.5\n", "; \" header"),
            ("id,price\n1,\"1,234\"\n", ", \" header"),
            ("id;'a;b'\n1;'c;d'\n2;e\n", "; ' header"),
            ("id,name\n1,it's\n2,O'Hara\n", ", \" header"),
            ("1,2.5,x\n2,3.5,y\n", ", \""),
            ("Oslo,2013-01-01\nRome,2013-01-02\n", ", \""),
            ("1,Oslo\n", ", \""),
            ("sep=;\r\nid;price\r\n1;1,5\r\n", "; \" header comma"),
            ("sep=\nx\n", ", \" header"),
            (
                "{\"a\":1,\"b\":2}\n{\"a\":3,\"b\":4}\n",
                "f.csv would be read as CSV, and is JSON; declare its `format` if elt reads it (csv, tsv, json, jsonl, parquet, avro, arrow); otherwise export it as one of these",
            ),
            ("name\nOslo\n", ", \" header"),
            (
                "a,b;c\n1,5;2\n",
                "f.csv reads two ways: 2 columns between \",\" (`a` `b;c`), or 2 columns between \";\" (`a,b` `c`); declare `delimiter: \",\"` or `delimiter: \";\"`",
            ),
            (
                "country,2013,2014\nNorway,1,2\n",
                "f.csv reads two ways: the first line names the columns (`country` `2013` `2014`), or the first line is a row (`country` `2013` `2014`); declare `header: true` or `header: false`",
            ),
            (
                "id;a;b\n1;1,5;2.5\n",
                "f.csv reads two ways: 1,5 is a number and 2.5 is a text, or 2.5 is a number and 1,5 is a text; declare `decimal: \",\"` or `decimal: \".\"`",
            ),
            (
                "id,name\n1,'a'\n2,'b'\n",
                "f.csv reads two ways: 'a' is a text in quotes, or 'a' is a text that has apostrophes; declare `quote: \"'\"` or `quote: '\"'`",
            ),
        ] {
            assert_eq!(told(text, &plain, &[]), found, "{text}");
        }
    }

    #[test]
    fn what_is_declared_or_known_is_not_asked() {
        let declared = ReadOptions {
            delimiter: Some(';'),
            header: Some(false),
            decimal_comma: Some(false),
            ..ReadOptions::default()
        };
        assert_eq!(told("a,b;c\n1,5;2\n", &declared, &[]), "; \"");
        let plain = ReadOptions::default();
        assert_eq!(told("country,2013\nNorway,1\n", &plain, &["country", "2013"]), ", \" header");
        assert_eq!(told("Oslo,Rome\nBonn,Lima\n", &plain, &["_c0", "_c1"]), ", \"");
        assert!(told("Oslo,Rome\nBonn,Lima\n", &plain, &["from", "to"]).contains("two ways"));
    }
}
