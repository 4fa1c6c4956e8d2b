//! How does JSON become rows?
//!
//! Each record is one object. Its members are matched to columns by name; nested objects become structs and lists
//! become lists. A member of a struct that does not fit is rescued alone, under `column.member`; a list is
//! rescued whole, because the places in it matter.
//!
//! Not here: where records end ([`texts`](super::texts)).

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;

use super::literal::Spelling;
use super::target::{Target, Typed};
use super::texts::Texts;
use super::value::{Json, parse_each};
use super::{BATCH_BYTES, BATCH_ROWS, Parsed, Piece, Rejected, Source, Told, column_name, header, internal};
use crate::landing::error::LandingError;
use crate::landing::format::{Format, ReadOptions};
use crate::landing::rescue::{Misfits, fit_texts};

/// The records of a file of JSON, in pieces.
pub(super) struct Rows {
    texts: Texts,
    told: Told,
    shape: Arc<Shape>,
}

/// What its records mean.
struct Shape {
    target: Target,
    spellings: Vec<Spelling>,
}

/// Which column a member belongs to; remembered, because each record asks again.
struct Places<'a> {
    schema: &'a SchemaRef,
    known: HashMap<String, Option<usize>>,
    /// The members of the record before: mostly the next has the same in the same order.
    last: Vec<(&'a str, Option<usize>)>,
}

/// Records of one batch, before they are parsed.
#[derive(Default)]
pub(crate) struct GatheredTexts {
    text: String,
    /// The line on which each record starts, and where in the text it ends.
    ends: Vec<(u64, usize)>,
    read: u64,
    rejected: Vec<Rejected>,
}

/// Takes records until a batch is full or there are no more.
pub(crate) fn gather_texts(texts: &mut Texts, told: &Told) -> Result<GatheredTexts, LandingError> {
    let mut gathered = GatheredTexts::default();
    let mut rejected_bytes = 0;
    while gathered.ends.len() + gathered.rejected.len() < BATCH_ROWS
        && gathered.text.len() + rejected_bytes < BATCH_BYTES
    {
        let Some((line, bytes)) = texts.next().map_err(|error| told.failed(error))? else { break };
        gathered.read += 1;
        match std::str::from_utf8(bytes) {
            Ok(valid) => {
                gathered.text.push_str(valid);
                gathered.ends.push((line, gathered.text.len()));
            }
            Err(_) => {
                let raw = String::from_utf8_lossy(bytes).into_owned();
                rejected_bytes += raw.len();
                gathered.rejected.push(Rejected {
                    line,
                    column: None,
                    error_type: "invalid_utf8",
                    message: "the record is not valid UTF-8".to_owned(),
                    raw,
                });
            }
        }
    }
    Ok(gathered)
}

impl GatheredTexts {
    /// How many records were seen.
    pub(crate) fn read(&self) -> u64 {
        self.read
    }

    /// The records that are text, with their lines.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u64, &str)> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        starts.zip(&self.ends).map(|(start, (line, end))| (*line, &self.text[start..*end]))
    }
}

impl Rows {
    pub(super) fn open(
        source: Source,
        format: Format,
        target: Target,
        options: &ReadOptions,
    ) -> Result<Self, LandingError> {
        let told = source.told();
        let spellings = options.spellings(&target.schema, false);
        let texts = Texts::open(source, format)?;
        Ok(Self { texts, told, shape: Arc::new(Shape { target, spellings }) })
    }

    fn piece(&mut self) -> Result<Option<Piece>, LandingError> {
        let gathered = gather_texts(&mut self.texts, &self.told)?;
        if gathered.read == 0 {
            return Ok(None);
        }
        let shape = Arc::clone(&self.shape);
        Ok(Some(Box::new(move || shape.parsed(gathered))))
    }
}

impl Shape {
    fn parsed(&self, mut gathered: GatheredTexts) -> Result<Parsed, LandingError> {
        let mut rejected = std::mem::take(&mut gathered.rejected);
        let mut objects = Vec::with_capacity(gathered.ends.len());
        let (mut numbers, mut raws) = (Vec::new(), Vec::new());
        let (mut read, mut names) = (rejected.len() as u64, Vec::new());
        for (line, text) in gathered.records() {
            let mut others = None;
            read += parse_each(text, &names, |raw, value| {
                let (error_type, message) = match value {
                    Ok(Json::Object(_, members)) => {
                        if !has_names(&members, &names) {
                            others = Some(members.iter().map(|(name, _)| as_it_stood(name)).collect());
                        }
                        objects.push(members);
                        numbers.push(i64::try_from(line).unwrap_or(i64::MAX));
                        raws.push(raw);
                        return;
                    }
                    Ok(_) => ("not_an_object", "the record is JSON, but no object".to_owned()),
                    Err(reason) => ("invalid_json", reason),
                };
                rejected.push(Rejected { line, column: None, error_type, message, raw: raw.to_owned() });
            });
            names = others.unwrap_or(names);
        }
        rejected.sort_by_key(|rejected| rejected.line);
        let mut misfits = Misfits::default();
        let columns =
            self.typed(&objects, &mut misfits).map_err(|source| internal(&self.target.path, source))?;
        let typed = Typed { columns, misfits, numbers, read, rejected };
        self.target.finish(typed, |row| raws[row].to_owned())
    }

    fn typed<'a>(
        &'a self,
        objects: &'a [Vec<Member<'a>>],
        misfits: &mut Misfits,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let schema = &self.target.schema;
        let mut places = Places { schema, known: HashMap::new(), last: Vec::new() };
        let width = schema.fields().len();
        let mut cells: Vec<Option<&Json<'_>>> = vec![None; objects.len() * width];
        for (row, members) in objects.iter().enumerate() {
            for (at, (name, value)) in members.iter().enumerate() {
                match places.of(at, name) {
                    // The first of two members with one name is the value, the other an extra.
                    Some(column) if cells[column * objects.len() + row].is_none() => {
                        cells[column * objects.len() + row] = Some(value);
                    }
                    _ if *value == Json::Null => {}
                    Some(_) => misfits.keep_json(row, &name.as_ref().into(), value.to_json()),
                    None => misfits.extra_json(row, &column_name(name).into(), value.to_json()),
                }
            }
        }
        let fields = schema.fields().iter().zip(&self.spellings).enumerate();
        fields
            .map(|(at, (field, spelling))| {
                if let Some(nulls) = self.target.unasked(at, objects.len()) {
                    return Ok(nulls);
                }
                let cells = &cells[at * objects.len()..(at + 1) * objects.len()];
                typed(field.data_type(), *spelling, cells, &mut |row, path, json| {
                    misfits.keep_json(row, &format!("{}{path}", field.name()).into(), json);
                })
            })
            .collect()
    }
}

type Member<'a> = (Cow<'a, str>, Json<'a>);

/// Whether the names of a record are the very ones that were expected.
fn has_names(members: &[Member<'_>], names: &[&str]) -> bool {
    let is_it = |((name, _), expected): (&Member<'_>, &&str)| matches!(name, Cow::Borrowed(name) if std::ptr::eq(*name, *expected));
    members.len() == names.len() && members.iter().zip(names).all(is_it)
}

/// A name as the next record may have it too; nothing of one with escapes.
fn as_it_stood<'a>(name: &Cow<'a, str>) -> &'a str {
    match name {
        Cow::Borrowed(name) => name,
        Cow::Owned(_) => "",
    }
}

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
                    let same = |field: &Arc<Field>| field.name() == name;
                    let alike = |field: &Arc<Field>| field.name().to_lowercase() == name.to_lowercase();
                    match fields.iter().position(same).or_else(|| fields.iter().position(alike)) {
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

impl<'a> Places<'a> {
    /// The column of a record's member, which is the `at`th.
    fn of(&mut self, at: usize, name: &'a str) -> Option<usize> {
        match self.last.get_mut(at) {
            Some((last, place)) if *last == name => *place,
            Some(_) => {
                let place = self.by_name(name);
                self.last[at] = (name, place);
                place
            }
            None => {
                let place = self.by_name(name);
                if at == self.last.len() {
                    self.last.push((name, place));
                }
                place
            }
        }
    }

    fn by_name(&mut self, name: &str) -> Option<usize> {
        if let Some(place) = self.known.get(name) {
            return *place;
        }
        let matched = header::matching(self.schema, &[name.to_owned()]);
        let place = matched.iter().position(Option::is_some);
        // Files that use keys as data have no end of names.
        if self.known.len() < 10_000 {
            self.known.insert(name.to_owned(), place);
        }
        place
    }
}

impl Iterator for Rows {
    type Item = Result<Piece, LandingError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.piece().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Inbox, schema, told};
    use super::*;
    use crate::landing::infer::{Look, infer};
    use crate::landing::options::LandOptions;

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
            (
                b"{\"id\":1}{\"id\":2} {\"id\":3}\n{\"id\":4}{\n",
                &["1: 1|-|-", "1: 2|-|-", "1: 3|-|-", "2! invalid_json: {\"id\":4}{", "4 = 3 + 0 + 1"],
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
        let columns =
            infer(std::slice::from_ref(&first), &LandOptions::default(), &[], Look::All).unwrap().schema;
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
