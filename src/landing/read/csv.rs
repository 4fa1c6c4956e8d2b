//! How do the records of a CSV file become rows?
//!
//! [`Rows`] gathers records until a batch is full, then types it column by column. A record is rejected
//! if its quotes are broken, it is not UTF-8, or it has more or fewer fields than the header.

use std::sync::{Arc, Mutex};

use arrow::datatypes::DataType;

use super::literal::Spelling;
use super::split::{Field, Record, Records};
use super::target::{Target, Typed};
use super::{BATCH_BYTES, BATCH_ROWS, Parsed, Piece, Rejected, Source, Told, header, internal};
use crate::landing::error::LandingError;
use crate::landing::format::ReadOptions;
use crate::landing::rescue::{Misfits, fit_texts};

/// The records of a CSV file, in pieces.
pub(super) struct Rows {
    records: Records<Source>,
    told: Told,
    shape: Arc<Shape>,
}

/// What its records mean.
struct Shape {
    target: Target,
    /// For each column of the table, which field of a record it is and how freely it is spelled.
    columns: Vec<(Option<usize>, Spelling)>,
    /// Fields that the table has no column for, with the names they would have.
    extras: Vec<(usize, Arc<str>)>,
    width: usize,
    nulls: Nulls,
    /// Room for records that is not needed any more: fresh memory is dearer than what was used a moment ago.
    spare: Mutex<Vec<Gathered>>,
}

/// Records of one batch, before they are typed.
#[derive(Default)]
pub(crate) struct Gathered {
    text: String,
    cells: Vec<Cell>,
    lines: Vec<i64>,
    /// Where in the text each record is as it stands in the file.
    raws: Vec<(u32, u32)>,
    width: usize,
    quote: u8,
    read: u64,
    rejected: Vec<Rejected>,
    rejected_bytes: usize,
}

/// Where in the text of the batch a field is.
#[derive(Clone, Copy)]
struct Cell {
    start: u32,
    /// The end, and in the highest bit whether the field was quoted.
    end: u32,
}

const QUOTED: u32 = 1 << 31;

/// Takes records until a batch is full or there are no more.
pub(crate) fn gather(
    records: &mut Records<Source>,
    width: usize,
    told: &Told,
) -> Result<Gathered, LandingError> {
    gather_in(Gathered::default(), records, width, told)
}

/// The same, in room that is there already and empty.
fn gather_in(
    room: Gathered,
    records: &mut Records<Source>,
    width: usize,
    told: &Told,
) -> Result<Gathered, LandingError> {
    let mut gathered = Gathered { width, quote: records.quote(), ..room };
    while gathered.lines.len() + gathered.rejected.len() < BATCH_ROWS
        && gathered.text.len() + gathered.rejected_bytes < BATCH_BYTES
    {
        let Some(record) = records.next().map_err(|error| told.failed(error))? else { break };
        gathered.read += 1;
        gathered.take(&record, width);
    }
    Ok(gathered)
}

impl Rows {
    /// Reads the header and matches its columns.
    pub(super) fn open(
        source: Source,
        delimiter: Option<u8>,
        target: Target,
        options: &ReadOptions,
    ) -> Result<Self, LandingError> {
        let told = source.told();
        let expected: Vec<String> = target.schema.fields().iter().map(|field| field.name().clone()).collect();
        let opened = header::open_csv(source, delimiter, options, &expected)?;
        let names = header::column_names(&told.path, &opened.in_file, options)?;
        let matched = header::matching(&target.schema, &opened.in_file);
        let extras = (0..names.len())
            .filter(|at| !matched.contains(&Some(*at)))
            .map(|at| (at, names[at].as_str().into()))
            .collect();
        let decimal_comma = opened.decimal_comma;
        let shape = Shape {
            columns: matched.into_iter().zip(options.spellings(&target.schema, decimal_comma)).collect(),
            target,
            extras,
            width: names.len(),
            nulls: Nulls::of(&options.null_values),
            spare: Mutex::default(),
        };
        Ok(Self { records: opened.records, told, shape: Arc::new(shape) })
    }

    fn piece(&mut self) -> Result<Option<Piece>, LandingError> {
        let room = self.shape.spare.lock().expect("no holder panics").pop().unwrap_or_default();
        let gathered = gather_in(room, &mut self.records, self.shape.width, &self.told)?;
        if gathered.read == 0 {
            return Ok(None);
        }
        let shape = Arc::clone(&self.shape);
        Ok(Some(Box::new(move || shape.typed(gathered))))
    }
}

impl Shape {
    fn typed(&self, mut gathered: Gathered) -> Result<Parsed, LandingError> {
        let rows = gathered.lines.len();
        let mut misfits = Misfits::default();
        let mut columns = Vec::with_capacity(self.columns.len() + 2);
        let fields = self.target.schema.fields().iter().zip(&self.columns);
        for (at, (field, (place, spelling))) in fields.enumerate() {
            if let Some(nulls) = self.target.unasked(at, rows) {
                columns.push(nulls);
                continue;
            }
            let column: Arc<str> = field.name().as_str().into();
            let as_text = matches!(field.data_type(), DataType::Utf8 | DataType::Binary);
            let cells = (0..rows).map(|row| {
                let (text, quoted) = gathered.cell(row, (*place)?);
                let null =
                    if as_text { !quoted && self.is_null(text) } else { self.is_null(text.trim_ascii()) };
                (!null).then_some(text)
            });
            let misfit = |row, text: &str| misfits.keep_text(row, &column, text);
            let array = fit_texts(field.data_type(), *spelling, cells, misfit);
            columns.push(array.map_err(|source| internal(&self.target.path, source))?);
        }
        for (place, name) in &self.extras {
            for row in 0..rows {
                let (text, quoted) = gathered.cell(row, *place);
                if quoted || !self.is_null(text) {
                    misfits.extra_text(row, name, text);
                }
            }
        }
        let (numbers, rejected) =
            (std::mem::take(&mut gathered.lines), std::mem::take(&mut gathered.rejected));
        let typed = Typed { columns, misfits, numbers, read: gathered.read, rejected };
        let parsed = self.target.finish(typed, |row| gathered.raw(row).to_owned());
        self.spare.lock().expect("no holder panics").push(gathered.emptied());
        parsed
    }

    fn is_null(&self, text: &str) -> bool {
        self.nulls.has(text)
    }
}

/// The texts that stand for a null. Most texts are known not to by their first byte.
struct Nulls {
    texts: Vec<String>,
    firsts: [bool; 256],
    empty: bool,
}

impl Nulls {
    fn of(texts: &[String]) -> Self {
        let mut firsts = [false; 256];
        for first in texts.iter().filter_map(|text| text.as_bytes().first()) {
            firsts[usize::from(*first)] = true;
        }
        Self { texts: texts.to_vec(), firsts, empty: texts.iter().any(String::is_empty) }
    }

    fn has(&self, text: &str) -> bool {
        match text.as_bytes().first() {
            None => self.empty,
            Some(first) => self.firsts[usize::from(*first)] && self.texts.iter().any(|null| null == text),
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Piece, LandingError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.piece().transpose()
    }
}

impl Gathered {
    /// Its room, without what was in it.
    fn emptied(mut self) -> Self {
        self.text.clear();
        self.cells.clear();
        self.raws.clear();
        Self { text: self.text, cells: self.cells, raws: self.raws, ..Self::default() }
    }

    /// Makes the record a row, or rejects it.
    fn take(&mut self, record: &Record<'_>, width: usize) {
        if let Some(fault) = record.fault {
            return self.reject(record, fault.error_type(), fault.message().to_owned());
        }
        let found = record.fields.len();
        if found != width {
            let error_type = if found < width { "too_few_fields" } else { "too_many_fields" };
            return self.reject(
                record,
                error_type,
                format!("{found} field{} where the header has {width}", if found == 1 { "" } else { "s" }),
            );
        }
        let Ok(text) = std::str::from_utf8(record.bytes) else {
            return self.reject(record, "invalid_utf8", "the record is not valid UTF-8".to_owned());
        };
        // A batch is full long before its text reaches 2 GiB: BATCH_BYTES and one record.
        let base = self.text.len() as u32;
        self.text.push_str(text);
        for field in record.fields {
            let (start, end) = if field.doubled {
                self.undouble(text, field)
            } else {
                (base + field.start, base + field.end)
            };
            self.cells.push(Cell { start, end: if field.quoted { end | QUOTED } else { end } });
        }
        self.lines.push(i64::try_from(record.line).unwrap_or(i64::MAX));
        self.raws.push((base, base + text.len() as u32));
    }

    /// Appends a field with its doubled quotes made single, and returns where it is.
    fn undouble(&mut self, text: &str, field: &Field) -> (u32, u32) {
        let start = self.text.len() as u32;
        let quote = char::from(self.quote);
        let doubled = String::from_iter([quote, quote]);
        let single = text[field.start as usize..field.end as usize].replace(&doubled, &doubled[1..]);
        self.text.push_str(&single);
        (start, self.text.len() as u32)
    }

    fn reject(&mut self, record: &Record<'_>, error_type: &'static str, message: String) {
        let raw = String::from_utf8_lossy(record.bytes).into_owned();
        self.rejected_bytes += raw.len();
        self.rejected.push(Rejected { line: record.line, column: None, error_type, message, raw });
    }

    /// How many records are whole.
    pub(crate) fn rows(&self) -> usize {
        self.lines.len()
    }

    /// How many records were seen.
    pub(crate) fn read(&self) -> u64 {
        self.read
    }

    /// The line on which a record starts.
    pub(crate) fn line(&self, row: usize) -> i64 {
        self.lines[row]
    }

    /// A field's text, and whether it had quotes around it.
    pub(crate) fn cell(&self, row: usize, at: usize) -> (&str, bool) {
        let Cell { start, end } = self.cells[row * self.width + at];
        (&self.text[start as usize..(end & !QUOTED) as usize], end & QUOTED != 0)
    }

    fn raw(&self, row: usize) -> &str {
        let (start, end) = self.raws[row];
        &self.text[start as usize..end as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Inbox, gzipped, schema, told};
    use super::*;
    use crate::landing::options::LandOptions;

    #[test]
    fn each_record_is_a_row_or_rejected_with_its_line() {
        let columns = schema("id bigint, name varchar");
        for (text, rows) in [
            (&b""[..], &["0 = 0 + 0 + 0"][..]),
            (b"id,name\n", &["0 = 0 + 0 + 0"]),
            (b"id,name\r\n\r\n1,a\r\n\r\n2,b", &["3: 1|a", "5: 2|b", "2 = 2 + 0 + 0"]),
            (b"\xEF\xBB\xBFid,name\n1,a\n", &["2: 1|a", "1 = 1 + 0 + 0"]),
            (b"id,name\n1,\"a\nb, \"\"c\"\"\"\n2,d\n", &["2: 1|a\nb, \"c\"", "4: 2|d", "2 = 2 + 0 + 0"]),
            (b"Name, ID \na, 1 \n", &["2: 1|a", "1 = 1 + 0 + 0"]),
            (b"id\n1\n\\N\n\n", &["2: 1|-", "3: -|-", "4: -|-", "3 = 3 + 0 + 0"]),
            (b"id,name\n,\n\"\",\"\"\n", &["2: -|-", "3: -|", "2 = 2 + 0 + 0"]),
            (
                b"id,name\n1\n2,b\n3,c,d\n",
                &["3: 2|b", "2! too_few_fields: 1", "4! too_many_fields: 3,c,d", "3 = 1 + 0 + 2"],
            ),
            (b"id,name\n1,\xFF\n2,b\n", &["3: 2|b", "2! invalid_utf8: 1,\u{fffd}", "2 = 1 + 0 + 1"]),
            (b"id,name\n1,\"a\n2,b\n", &["3: 2|b", "2! unclosed_quote: 1,\"a", "2 = 1 + 0 + 1"]),
            (b"id,name\n1,\"a\"b\n2,b\n", &["3: 2|b", "2! text_after_quote: 1,\"a\"b", "2 = 1 + 0 + 1"]),
            (
                b"id,name\n1.0,a\nx y,b\n",
                &["2: -|a {\"id\":\"1.0\"}", "3: -|b {\"id\":\"x y\"}", "2 = 0 + 2 + 0"],
            ),
            (
                b"id,name,Tail Num\n1,a,N1\nx,b,\"N\"\"2\"\n3,c,\n",
                &[
                    "2: 1|a {\"tail_num\":\"N1\"}",
                    "3: -|b {\"id\":\"x\",\"tail_num\":\"N\\\"2\"}",
                    "4: 3|c",
                    "3 = 1 + 2 + 0",
                ],
            ),
            (
                b",id,name,\n0,1,a,\n1,2,b,x\n",
                &["2: 1|a {\"_c0\":\"0\"}", "3: 2|b {\"_c0\":\"1\",\"_c3\":\"x\"}", "2 = 0 + 2 + 0"],
            ),
            (b"id;name\n1;a\n", &["2: 1|a", "1 = 1 + 0 + 0"]),
            (
                b"id,name\r1,a\r",
                &["error: f.csv is text in a form that is not read: lines that end in CR alone"],
            ),
            (b"\xFF\xFEi\0d\0\n\x007\0", &["2: 7|-", "1 = 1 + 0 + 0"]),
        ] {
            let file = Inbox::new();
            let file_stamp = file.file("f.csv", text);
            let shown = String::from_utf8_lossy(text);
            assert_eq!(told(&file_stamp, &columns, &ReadOptions::default()), rows, "{shown}");
        }
    }

    #[test]
    fn declared_columns_are_spelled_more_freely() {
        let inbox = Inbox::new();
        let file = inbox.file("f.csv", b"b,d,i\nyes,NaN,007\n");
        let columns = schema("b boolean, d double, i bigint");
        let mut options = ReadOptions::default();
        let rescued = "2: -|-|- {\"b\":\"yes\",\"d\":\"NaN\",\"i\":\"007\"}";
        assert_eq!(told(&file, &columns, &options), [rescued, "1 = 0 + 1 + 0"]);
        options.declared = vec!["b".into(), "d".into(), "i".into()];
        assert_eq!(told(&file, &columns, &options), ["2: true|NaN|7", "1 = 1 + 0 + 0"]);
    }

    #[test]
    fn nulls_are_as_declared_and_quoted_text_is_text() {
        let inbox = Inbox::new();
        let file = inbox.file("f.csv", b"id,code\nNA,NA\n\"NA\",\"NA\"\n NA ,\n");
        let options = ReadOptions { null_values: vec!["NA".into()], ..ReadOptions::default() };
        let rows = ["2: -|-", "3: -|NA", "4: -|", "3 = 3 + 0 + 0"];
        assert_eq!(told(&file, &schema("id bigint, code varchar"), &options), rows);
    }

    #[test]
    fn without_a_header_columns_go_by_position() {
        let inbox = Inbox::new();
        let file = inbox.file("f.csv", b"1,a,x\n2,b,y\n3,c\n");
        let options = ReadOptions { header: Some(false), ..ReadOptions::default() };
        let rows =
            ["1: 1|a {\"_c2\":\"x\"}", "2: 2|b {\"_c2\":\"y\"}", "3! too_few_fields: 3,c", "3 = 0 + 2 + 1"];
        assert_eq!(told(&file, &schema("id bigint, name varchar"), &options), rows);
    }

    #[test]
    fn a_damaged_gzip_file_fails_and_is_never_just_shorter() {
        let inbox = Inbox::new();
        let columns = schema("id bigint");
        let text: String =
            std::iter::once("id\n".to_owned()).chain((0..50_000).map(|id| format!("{id}\n"))).collect();
        let packed = gzipped(text.as_bytes());
        let whole = told(&inbox.file("f.csv.gz", &packed), &columns, &ReadOptions::default());
        assert_eq!(whole.last().map(String::as_str), Some("50000 = 50000 + 0 + 0"));
        let two = [packed.clone(), gzipped(b"50000\n")].concat();
        let whole = told(&inbox.file("f.csv.gz", &two), &columns, &ReadOptions::default());
        assert_eq!(whole.last().map(String::as_str), Some("50001 = 50001 + 0 + 0"));
        for length in [0, 5, 11, packed.len() / 2, packed.len() - 8, packed.len() - 1] {
            let file = inbox.file("f.csv.gz", &packed[..length]);
            let damaged = ["error: f.csv.gz is damaged: it cannot be read to its end as gzip"];
            assert_eq!(told(&file, &columns, &ReadOptions::default()), damaged, "cut to {length} bytes");
        }
        let mut flipped = packed;
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x55;
        assert!(
            told(&inbox.file("f.csv.gz", &flipped), &columns, &ReadOptions::default())[0]
                .starts_with("error")
        );
    }

    #[test]
    fn batches_are_bounded_by_rows_and_by_bytes() {
        let inbox = Inbox::new();
        let columns = schema("t varchar");
        for (rows, width, batches) in [(20_000, 1, vec![8192, 8192, 3616]), (5, 3_000_000, vec![3, 2])] {
            let text = format!("t\n{}", format!("{}\n", "x".repeat(width)).repeat(rows));
            let file = inbox.file("f.csv", text.as_bytes());
            let read = super::super::read(&file, &columns, &LandOptions::default()).unwrap();
            assert_eq!(
                read.map(|piece| piece.unwrap()().unwrap().batch.num_rows()).collect::<Vec<_>>(),
                batches
            );
        }
    }
}
