//! How do lines of JSON become rows?
//!
//! Each line is one object. Its members are matched to columns by name; nested objects become structs and lists
//! become lists. A member of a struct that does not fit is rescued alone, under `column.member`; a list is
//! rescued whole, because the places in it matter.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;

use super::literal::Spelling;
use super::value::{Json, parse};
use super::{
    BATCH_BYTES, BATCH_ROWS, Parsed, Rejected, Source, Told, column_name, header, internal, landed_batch,
    landed_schema,
};
use crate::landing::error::LandingError;
use crate::landing::format::ReadOptions;
use crate::landing::rescue::{Misfits, fit_texts};

/// The longest line, in bytes.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The rows of a file of JSON lines, in batches.
pub(super) struct Rows {
    lines: Lines<Source>,
    told: Told,
    schema: SchemaRef,
    landed: SchemaRef,
    spellings: Vec<Spelling>,
    places: Places,
}

/// Which column a member belongs to; remembered, because each line asks again.
struct Places {
    schema: SchemaRef,
    known: HashMap<String, Option<usize>>,
}

/// The lines of a text that are not blank, with their numbers.
pub(crate) struct Lines<R> {
    source: BufReader<R>,
    line: u64,
    buffer: Vec<u8>,
}

impl Rows {
    pub(super) fn open(source: Source, schema: &SchemaRef, options: &ReadOptions) -> Self {
        Self {
            told: source.told(),
            lines: Lines::new(source),
            landed: landed_schema(schema),
            spellings: options.spellings(schema),
            places: Places { schema: Arc::clone(schema), known: HashMap::new() },
            schema: Arc::clone(schema),
        }
    }

    fn batch(&mut self) -> Result<Option<Parsed>, LandingError> {
        let (mut text, mut ends, mut read) = (String::new(), Vec::new(), 0);
        let (mut rejected, mut rejected_bytes) = (Vec::new(), 0);
        while ends.len() + rejected.len() < BATCH_ROWS && text.len() + rejected_bytes < BATCH_BYTES {
            let Some((line, bytes)) = self.lines.next().map_err(|error| self.told.failed(error))? else {
                break;
            };
            read += 1;
            match std::str::from_utf8(bytes) {
                Ok(valid) => {
                    text.push_str(valid);
                    ends.push((line, text.len()));
                }
                Err(_) => {
                    let raw = String::from_utf8_lossy(bytes).into_owned();
                    rejected_bytes += raw.len();
                    rejected.push(Rejected {
                        line,
                        column: None,
                        error_type: "invalid_utf8",
                        message: "the line is not valid UTF-8".to_owned(),
                        raw,
                    });
                }
            }
        }
        if read == 0 {
            return Ok(None);
        }
        let (mut objects, mut numbers, mut start) = (Vec::with_capacity(ends.len()), Vec::new(), 0);
        for (line, end) in ends {
            let raw = &text[start..end];
            start = end;
            let (error_type, message) = match parse(raw) {
                Ok(Json::Object(_, members)) => {
                    objects.push(members);
                    numbers.push(i64::try_from(line).unwrap_or(i64::MAX));
                    continue;
                }
                Ok(_) => ("not_an_object", "the line holds JSON, but no object".to_owned()),
                Err(reason) => ("invalid_json", reason),
            };
            rejected.push(Rejected { line, column: None, error_type, message, raw: raw.to_owned() });
        }
        rejected.sort_by_key(|rejected| rejected.line);
        let mut misfits = Misfits::default();
        let columns =
            self.typed(&objects, &mut misfits).map_err(|source| internal(&self.told.path, source))?;
        let (batch, rescued) = landed_batch(&self.told.path, &self.landed, columns, misfits, numbers)?;
        Ok(Some(Parsed { batch, read, rescued, rejected }))
    }

    fn typed<'a>(
        &mut self,
        objects: &'a [Vec<Member<'a>>],
        misfits: &mut Misfits,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let width = self.schema.fields().len();
        let mut cells: Vec<Option<&Json<'_>>> = vec![None; objects.len() * width];
        for (row, members) in objects.iter().enumerate() {
            for (name, value) in members {
                match self.places.of(name) {
                    // The first of two members with one name is the value, the other an extra.
                    Some(column) if cells[column * objects.len() + row].is_none() => {
                        cells[column * objects.len() + row] = Some(value);
                    }
                    _ if *value == Json::Null => {}
                    Some(_) => misfits.keep_json(row, &name.as_ref().into(), value.to_json()),
                    None => misfits.keep_json(row, &column_name(name).into(), value.to_json()),
                }
            }
        }
        let fields = self.schema.fields().iter().zip(&self.spellings).enumerate();
        fields
            .map(|(at, (field, spelling))| {
                let cells = &cells[at * objects.len()..(at + 1) * objects.len()];
                typed(field.data_type(), *spelling, cells, &mut |row, path, json| {
                    misfits.keep_json(row, &format!("{}{path}", field.name()).into(), json);
                })
            })
            .collect()
    }
}

type Member<'a> = (std::borrow::Cow<'a, str>, Json<'a>);

/// Types a column of JSON values. `misfit` is told the row, the place within the value (empty, or `.member`)
/// and the JSON of what does not fit.
fn typed(
    data_type: &DataType,
    spelling: Spelling,
    cells: &[Option<&Json<'_>>],
    misfit: &mut dyn FnMut(usize, &str, String),
) -> Result<ArrayRef, ArrowError> {
    match data_type {
        DataType::Struct(fields) => {
            let mut present = Vec::with_capacity(cells.len());
            let mut children: Vec<Vec<Option<&Json<'_>>>> = vec![vec![None; cells.len()]; fields.len()];
            for (row, cell) in cells.iter().enumerate() {
                let Some(Json::Object(_, members)) = cell else {
                    report(row, *cell, misfit);
                    present.push(false);
                    continue;
                };
                present.push(true);
                for (name, value) in members {
                    match fields.iter().position(|field| field.name() == name) {
                        Some(at) if children[at][row].is_none() => children[at][row] = Some(value),
                        _ if *value == Json::Null => {}
                        _ => misfit(row, &format!(".{name}"), value.to_json()),
                    }
                }
            }
            let typed_child = |(field, cells): (&Arc<Field>, Vec<_>)| {
                typed(field.data_type(), spelling, &cells, &mut |row, path, json| {
                    misfit(row, &format!(".{}{path}", field.name()), json);
                })
            };
            let children: Vec<ArrayRef> =
                fields.iter().zip(children).map(typed_child).collect::<Result<_, _>>()?;
            let nulls = Some(NullBuffer::from(present));
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), children, nulls, cells.len())?))
        }
        DataType::List(item) => {
            let (mut children, mut owners, mut lengths) =
                (Vec::new(), Vec::new(), Vec::with_capacity(cells.len()));
            let mut fits = Vec::with_capacity(cells.len());
            for (row, cell) in cells.iter().enumerate() {
                let items = if let Some(Json::List(_, items)) = cell { Some(items) } else { None };
                fits.push(items.is_some());
                let items = items.map(Vec::as_slice).unwrap_or_default();
                children.extend(items.iter().map(Some));
                owners.extend(std::iter::repeat_n(row, items.len()));
                lengths.push(items.len());
            }
            let values =
                typed(item.data_type(), spelling, &children, &mut |child, _, _| fits[owners[child]] = false)?;
            for (row, cell) in cells.iter().enumerate().filter(|(row, _)| !fits[*row]) {
                report(row, *cell, misfit);
            }
            let offsets = OffsetBuffer::from_lengths(lengths);
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, Some(NullBuffer::from(fits)))?))
        }
        _ => {
            let texts = cells.iter().map(|cell| cell.and_then(Json::as_text));
            fit_texts(data_type, spelling, texts, |row, _| report(row, cells[row], misfit))
        }
    }
}

fn report(row: usize, cell: Option<&Json<'_>>, misfit: &mut dyn FnMut(usize, &str, String)) {
    if let Some(value) = cell.filter(|value| **value != Json::Null) {
        misfit(row, "", value.to_json());
    }
}

impl Places {
    fn of(&mut self, name: &str) -> Option<usize> {
        if let Some(place) = self.known.get(name) {
            return *place;
        }
        let matched = header::matching(&self.schema, &[name.to_owned()]);
        let place = matched.iter().position(Option::is_some);
        // Files that use keys as data have no end of names.
        if self.known.len() < 10_000 {
            self.known.insert(name.to_owned(), place);
        }
        place
    }
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

impl Iterator for Rows {
    type Item = Result<Parsed, LandingError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Inbox, schema, told};
    use super::*;
    use crate::landing::infer::infer;

    #[test]
    fn each_line_is_a_row_or_rejected() {
        let columns = schema("id bigint, name varchar, at timestamptz");
        for (text, rows) in [
            (&b""[..], &["0 = 0 + 0 + 0"][..]),
            (b"\xEF\xBB\xBF{\"id\":1}\r\n\r\n{\"name\":\"a\"}", &["1: 1|-|-", "3: -|a|-", "2 = 2 + 0 + 0"]),
            (
                b"{\"id\":1}\n{oops}\n[1]\n7\n\"\xFF\"\n",
                &[
                    "1: 1|-|-",
                    "2! invalid_json: {oops}",
                    "3! not_an_object: [1]",
                    "4! not_an_object: 7",
                    "5! invalid_utf8: \"\u{fffd}\"",
                    "5 = 1 + 0 + 4",
                ],
            ),
            (
                b"{\"id\":\"x\",\"name\":1.10,\"at\":\"2013-01-01T10:00:00Z\"}",
                &["1: -|1.10|2013-01-01T10:00:00Z {\"id\":\"x\"}", "1 = 0 + 1 + 0"],
            ),
            (
                b"{\"id\":true,\"name\":{\"a\":[1]},\"at\":5}",
                &["1: -|{\"a\":[1]}|- {\"id\":true,\"at\":5}", "1 = 0 + 1 + 0"],
            ),
            (
                b"{\"ID\":1,\"Home Town\":\"Oslo\",\"gone\":null}",
                &["1: 1|-|- {\"home_town\":\"Oslo\"}", "1 = 0 + 1 + 0"],
            ),
            (b"{\"id\":1,\"id\":2}", &["1: 1|-|- {\"id\":2}", "1 = 0 + 1 + 0"]),
            (b"{\"id\":12345678901234567890}", &["1: -|-|- {\"id\":12345678901234567890}", "1 = 0 + 1 + 0"]),
        ] {
            let inbox = Inbox::new();
            let file = inbox.file("f.jsonl", text);
            assert_eq!(
                told(&file, &columns, &ReadOptions::default()),
                rows,
                "{}",
                String::from_utf8_lossy(text)
            );
        }
    }

    #[test]
    fn nested_values_keep_their_shape_and_their_misfits() {
        let inbox = Inbox::new();
        let first =
            inbox.file("a.jsonl", b"{\"o\":{\"x\":1,\"d\":{\"y\":true}},\"l\":[1,2],\"m\":[{\"k\":1}]}");
        let columns = infer(std::slice::from_ref(&first), &ReadOptions::default(), &[]).unwrap();
        let later = inbox.file("b.jsonl", b"{\"o\":{\"x\":\"one\",\"z\":0,\"d\":{\"y\":false,\"w\":[]}},\"l\":[3,null]}\n{\"o\":5,\"l\":[1,\"two\"],\"m\":[{\"k\":2},{\"k\":2,\"j\":3}]}\n");
        assert_eq!(
            told(&first, &columns, &ReadOptions::default()),
            ["1: {x: 1, d: {y: true}}|[1, 2]|[{k: 1}]", "1 = 1 + 0 + 0"]
        );
        assert_eq!(
            told(&later, &columns, &ReadOptions::default()),
            [
                "1: {x: -, d: {y: false}}|[3, -]|- {\"o.z\":0,\"o.x\":\"one\",\"o.d.w\":[]}",
                "2: -|-|- {\"o\":5,\"l\":[1,\"two\"],\"m\":[{\"k\":2},{\"k\":2,\"j\":3}]}",
                "2 = 0 + 2 + 0",
            ]
        );
    }
}
