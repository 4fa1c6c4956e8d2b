//! Which columns of which types do these files hold?
//!
//! [`infer`] reads all of every file, so a type is never refuted by a row further down. A `Guess` remembers
//! what kinds of values a column had, and takes the narrowest type that holds all of them wholly:
//!
//! | seen | type |
//! |---|---|
//! | `true` and `false` only | boolean |
//! | whole numbers that fit 64 bits | bigint |
//! | numbers, whole ones up to 2⁵³ | double |
//! | dates | date |
//! | dates and times without zone | timestamp |
//! | times with zone | timestamptz |
//! | nothing but nulls, anything else, any mixture | varchar |
//!
//! Not here: which of these types a table that exists already should take on.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use super::discover::FileStamp;
use super::error::LandingError;
use super::format::{self, Compression, Format, ReadOptions};
use super::read::literal::{self, Spelling};
use super::read::value::{self, Json};
use super::read::{Lines, Source, column_name, header, parquet};

/// Returns the columns of all `files` together, in the order in which they first appear, all nullable.
///
/// Reads each file to its end with constant memory; rows that would be rejected have no say. The types of
/// `declared` win, and declared columns that no file has come last. In files without a header,
/// declared names are those of the first columns.
///
/// # Errors
/// What keeps a file from being read ([`read`](super::read::read)), and [`LandingError::NotJsonLines`].
pub fn infer(
    files: &[FileStamp],
    options: &ReadOptions,
    declared: &[(String, DataType)],
) -> Result<SchemaRef, LandingError> {
    let declared: Vec<(String, &DataType)> =
        declared.iter().map(|(name, of)| (column_name(name), of)).collect();
    let mut columns = Columns::default();
    for file in files {
        let (format, compression) = format::of(&file.on_disk, options)?;
        match format {
            Format::Csv { delimiter, header } => {
                let source = Source::open(file, compression, "CSV")?;
                let positional: Vec<String> = declared.iter().map(|(name, _)| name.clone()).collect();
                columns.see_csv(source, (delimiter, header), options, &positional)?;
            }
            Format::JsonLines => columns.see_json(file, compression)?,
            Format::Parquet => {
                let stored = parquet::schema(file)?;
                let in_file: Vec<String> = stored.fields().iter().map(|field| field.name().clone()).collect();
                let names = header::column_names(&file.path, &in_file)?;
                for (name, field) in names.iter().zip(stored.fields()) {
                    columns.of(name).see_stored(&landed_type(field.data_type()));
                }
            }
        }
    }
    for (name, _) in &declared {
        columns.of(name);
    }
    let types: HashMap<&str, &DataType> = declared.iter().map(|(name, of)| (name.as_str(), *of)).collect();
    let fields = columns.names.iter().zip(&columns.guesses).map(|(name, guess)| {
        let data_type = types.get(name.as_str()).map(|of| (*of).clone()).or_else(|| guess.data_type());
        Field::new(name, data_type.unwrap_or(DataType::Utf8), true)
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The columns seen so far, in order of appearance.
#[derive(Default)]
struct Columns {
    names: Vec<String>,
    guesses: Vec<Guess>,
    places: HashMap<String, usize>,
}

impl Columns {
    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        self.places.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.guesses.push(Guess::default());
        self.names.len() - 1
    }

    fn of(&mut self, name: &str) -> &mut Guess {
        let place = self.place(name);
        &mut self.guesses[place]
    }

    fn see_csv(
        &mut self,
        source: Source,
        dialect: (u8, bool),
        options: &ReadOptions,
        positional: &[String],
    ) -> Result<(), LandingError> {
        let told = source.told();
        let (mut records, in_file) = header::open_csv(source, dialect, options, positional)?;
        let names = header::column_names(&told.path, &in_file)?;
        let places: Vec<usize> = names.iter().map(|name| self.place(name)).collect();
        while let Some(record) = records.next().map_err(|error| told.failed(error))? {
            if record.fault.is_some() || record.fields.len() != places.len() {
                continue;
            }
            let Ok(text) = std::str::from_utf8(record.bytes) else { continue };
            for (field, place) in record.fields.iter().zip(&places) {
                let guess = &mut self.guesses[*place];
                if guess.kinds & TEXT == 0 {
                    let cell = text[field.start as usize..field.end as usize].trim_ascii();
                    if !options.null_values.iter().any(|null| null == cell) {
                        guess.kinds |= kind_of_text(cell);
                    }
                }
            }
        }
        Ok(())
    }

    fn see_json(&mut self, file: &FileStamp, compression: Compression) -> Result<(), LandingError> {
        let source = Source::open(file, compression, "JSON")?;
        let told = source.told();
        let mut source = Lines::new(source);
        let (mut lines, mut objects) = (0, 0);
        while let Some((_, line)) = source.next().map_err(|error| told.failed(error))? {
            lines += 1;
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let Ok(Json::Object(_, members)) = value::parse(line) else { continue };
            objects += 1;
            for (name, value) in &members {
                let place = match self.places.get(name.as_ref()) {
                    Some(place) => *place,
                    None => {
                        let landed = header::column_names(&told.path, &[name.to_string()])?.remove(0);
                        let place = self.place(&landed);
                        // The next line will have the same name.
                        self.places.insert(name.to_string(), place);
                        place
                    }
                };
                self.guesses[place].see_json(value);
            }
        }
        if lines > 0 && objects == 0 {
            return Err(LandingError::NotJsonLines { path: told.path, lines });
        }
        Ok(())
    }
}

const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
/// A whole number that a double may not hold.
const LARGE: u8 = 4;
const NUMBER: u8 = 8;
const DATE: u8 = 16;
const WALL_TIME: u8 = 32;
const ZONED_TIME: u8 = 64;
const TEXT: u8 = 128;

/// An object with more members than this uses names as data; it stays JSON text.
const MOST_MEMBERS: usize = 500;

/// What is known of a column's values.
#[derive(Clone, Debug, Default)]
struct Guess {
    /// Kinds of scalars seen, as bits.
    kinds: u8,
    members: Option<Vec<(String, Guess)>>,
    items: Option<Box<Guess>>,
    stored: Option<DataType>,
}

fn kind_of_text(text: &str) -> u8 {
    match kind_of_number(text) {
        TEXT if literal::boolean(text, Spelling::Strict).is_some() => BOOLEAN,
        TEXT => kind_of_time(text),
        number => number,
    }
}

fn kind_of_number(text: &str) -> u8 {
    let first = text.as_bytes().first().copied().unwrap_or_default();
    if !first.is_ascii_digit() && !matches!(first, b'-' | b'.') {
        return TEXT;
    }
    match literal::integer(text, Spelling::Strict) {
        Some(value) if value.unsigned_abs() > 1 << 53 => LARGE,
        Some(_) => INTEGER,
        // Whole numbers beyond 64 bits are identifiers, not quantities.
        None if text.bytes().skip(1).all(|byte| byte.is_ascii_digit()) && first != b'.' => TEXT,
        None if literal::double(text, Spelling::Strict).is_some() => NUMBER,
        None => TEXT,
    }
}

fn kind_of_time(text: &str) -> u8 {
    match literal::instant(text) {
        None => TEXT,
        Some(instant) if instant.is_zoned() => ZONED_TIME,
        Some(instant) if instant.is_timed() => WALL_TIME,
        Some(_) => DATE,
    }
}

impl Guess {
    fn see_json(&mut self, value: &Json<'_>) {
        match value {
            Json::Null => {}
            Json::Bool(_) => self.kinds |= BOOLEAN,
            Json::Number(text) => self.kinds |= kind_of_number(text),
            // A number in quotes was meant as text; JSON has no other way to write a time.
            Json::String(text) => self.kinds |= kind_of_time(text),
            Json::List(_, items) => {
                let guess = self.items.get_or_insert_default();
                items.iter().for_each(|item| guess.see_json(item));
            }
            Json::Object(_, members) => {
                let known = self.members.get_or_insert_default();
                for (name, value) in members {
                    match known.iter().position(|(known, _)| known == name) {
                        Some(at) => known[at].1.see_json(value),
                        None if known.len() >= MOST_MEMBERS => self.kinds |= TEXT,
                        None => {
                            let mut guess = Self::default();
                            guess.see_json(value);
                            known.push((name.to_string(), guess));
                        }
                    }
                }
            }
        }
    }

    fn see_stored(&mut self, data_type: &DataType) {
        self.stored = Some(match self.stored.take() {
            Some(before) => widened(&before, data_type),
            None => data_type.clone(),
        });
    }

    /// The narrowest type that holds everything seen, or nothing if that was only nulls.
    fn data_type(&self) -> Option<DataType> {
        let field = |guess: &Self, name: &str| -> FieldRef {
            Arc::new(Field::new(name, guess.data_type().unwrap_or(DataType::Utf8), true))
        };
        let members = self.members.as_ref().map(|members| match members.as_slice() {
            // A struct without members cannot be stored.
            [] => DataType::Utf8,
            members => DataType::Struct(members.iter().map(|(name, guess)| field(guess, name)).collect()),
        });
        let items = self.items.as_ref().map(|items| DataType::List(field(items, "item")));
        let seen = [self.scalar_type(), members, items, self.stored.clone()];
        seen.into_iter().flatten().reduce(|one, other| widened(&one, &other))
    }

    fn scalar_type(&self) -> Option<DataType> {
        const WHOLE: u8 = INTEGER | LARGE;
        const NUMBERS: u8 = INTEGER | NUMBER;
        const TIMES: u8 = DATE | WALL_TIME;
        let only = |kinds: u8| self.kinds & !kinds == 0;
        match self.kinds {
            0 => None,
            BOOLEAN => Some(DataType::Boolean),
            _ if only(WHOLE) => Some(DataType::Int64),
            _ if only(NUMBERS) => Some(DataType::Float64),
            DATE => Some(DataType::Date32),
            _ if only(TIMES) => Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
            ZONED_TIME => Some(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            _ => Some(DataType::Utf8),
        }
    }
}

/// The narrowest type that holds the values of two.
fn widened(one: &DataType, other: &DataType) -> DataType {
    use DataType::{
        Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, List, Struct, Timestamp, Utf8,
    };
    let whole = |of: &DataType| matches!(of, Int8 | Int16 | Int32 | Int64);
    match (one, other) {
        _ if one == other => one.clone(),
        _ if whole(one) && whole(other) => {
            let wider = one.primitive_width() > other.primitive_width();
            if wider { one.clone() } else { other.clone() }
        }
        (Float32 | Float64, number) | (number, Float32 | Float64)
            if whole(number) || matches!(number, Float32 | Float64) =>
        {
            Float64
        }
        (Decimal128(p1, s1), Decimal128(p2, s2)) => {
            let scale = *s1.max(s2);
            let whole_digits = (i16::from(*p1) - i16::from(*s1)).max(i16::from(*p2) - i16::from(*s2));
            match u8::try_from(whole_digits + i16::from(scale)) {
                Ok(precision) if precision <= 38 => Decimal128(precision, scale),
                _ => Utf8,
            }
        }
        (Date32, Timestamp(_, None)) => other.clone(),
        (Timestamp(_, None), Date32) => one.clone(),
        (List(one), List(other)) => {
            List(Arc::new(Field::new("item", widened(one.data_type(), other.data_type()), true)))
        }
        (Struct(one), Struct(other)) => {
            let mut fields: Vec<FieldRef> = one.iter().cloned().collect();
            for field in other {
                match fields.iter_mut().find(|known| known.name() == field.name()) {
                    Some(known) => {
                        let data_type = widened(known.data_type(), field.data_type());
                        *known = Arc::new(Field::new(field.name(), data_type, true));
                    }
                    None => fields.push(Arc::clone(field)),
                }
            }
            Struct(fields.into())
        }
        _ => Utf8,
    }
}

/// The type in which a lake keeps the values of a Parquet column: no unsigned numbers, no dictionaries, all
/// instants in microseconds.
fn landed_type(stored: &DataType) -> DataType {
    let nullable = |field: &FieldRef, name: &str| -> FieldRef {
        Arc::new(Field::new(name, landed_type(field.data_type()), true))
    };
    match stored {
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into()))
        }
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Dictionary(_, values) => landed_type(values),
        DataType::RunEndEncoded(_, values) => landed_type(values.data_type()),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(nullable(item, "item"))
        }
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| nullable(field, field.name())).collect::<Fields>())
        }
        DataType::Map(..) => stored.clone(),
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Date32
        | DataType::Binary => stored.clone(),
        DataType::Date64 => DataType::Date32,
        _ => DataType::Utf8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{parse_data_type, sql_type_name};
    use crate::landing::read::trial;

    fn inferred(files: &[(&str, &str)], options: &ReadOptions, declared: &[(&str, &str)]) -> String {
        let inbox = trial::Inbox::new();
        let files: Vec<FileStamp> =
            files.iter().map(|(name, text)| inbox.file(name, text.as_bytes())).collect();
        let declared: Vec<(String, DataType)> =
            declared.iter().map(|(name, of)| ((*name).to_owned(), parse_data_type(of).unwrap())).collect();
        match infer(&files, options, &declared) {
            Ok(schema) => {
                assert!(schema.fields().iter().all(|field| field.is_nullable()));
                let fields = schema.fields().iter();
                fields
                    .map(|field| format!("{} {}", field.name(), sql_type_name(field.data_type())))
                    .collect::<Vec<_>>()
                    .join(", ")
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn a_column_gets_the_narrowest_type_that_holds_all_of_it() {
        for (values, data_type) in [
            (&["true", "FALSE", ""][..], "boolean"),
            (&["t", "f"], "varchar"),
            (&["1", "-2", " 3 "], "bigint"),
            (&["007", "1"], "varchar"),
            (&["+7"], "varchar"),
            (&["9223372036854775807"], "bigint"),
            (&["9223372036854775808"], "varchar"),
            (&["1", "2.5", "1e3"], "double"),
            (&["9007199254740993", "2.5"], "varchar"),
            (&["NaN"], "varchar"),
            (&["1", "inf"], "varchar"),
            (&["0", "true"], "varchar"),
            (&["2013-01-01"], "date"),
            (&["2013-02-30"], "varchar"),
            (&["2013-01-01", "2013-01-01 10:00:00"], "timestamp"),
            (&["2013-01-01T10:00:00Z", "2013-01-01T10:00:00.5+01:00"], "timestamptz"),
            (&["2013-01-01T10:00:00Z", "2013-01-01 10:00:00"], "varchar"),
            (&["2013-01-01", "1"], "varchar"),
            (&["", "\\N"], "varchar"),
            (&["\"1\"", "\"\""], "bigint"),
            (&["12%"], "varchar"),
        ] {
            let lines: Vec<String> = values.iter().map(|value| format!("{value},x\n")).collect();
            let text = format!("a,b\n{}", lines.concat());
            let expected = format!("a {data_type}, b varchar");
            assert_eq!(inferred(&[("f.csv", &text)], &ReadOptions::default(), &[]), expected, "{values:?}");
        }
    }

    #[test]
    fn json_and_files_together_have_the_types_of_all() {
        for (files, columns) in [
            (
                &[("a.csv", "id,b\n1,x\n"), ("b.csv", "c,ID\n2013-01-01,2.5\n")][..],
                "id double, b varchar, c date",
            ),
            (&[("a.csv", ""), ("b.csv", "id\n")], "id varchar"),
            (&[("a.csv", "id\nbad,row\n7\n")], "id bigint"),
            (
                &[("a.jsonl", "{\"n\":1,\"t\":\"2013-01-01\"}\nnot json\n{\"n\":2.5,\"zip\":\"01234\"}")],
                "n double, t date, zip varchar",
            ),
            (&[("a.jsonl", "{\"n\":12345678901234567890}")], "n varchar"),
            (
                &[("a.jsonl", "{\"o\":{\"x\":1},\"l\":[1]}\n{\"o\":{\"y\":null},\"l\":[]}")],
                "o struct(x bigint, y varchar), l bigint[]",
            ),
            (&[("a.jsonl", "{\"o\":{\"x\":1}}\n{\"o\":[1]}")], "o varchar"),
            (&[("a.jsonl", "{\"o\":{},\"l\":[],\"n\":null}")], "o varchar, l varchar[], n varchar"),
            (&[("a.json", "[\n{\"a\":1}\n]\n")], "a bigint"),
            (&[("a.json", "[{\"a\":1}]\n")], "error: a.json has 1 lines and none of them is a JSON object"),
        ] {
            assert_eq!(inferred(files, &ReadOptions::default(), &[]), columns, "{files:?}");
        }
    }

    #[test]
    fn declared_types_win_and_name_the_columns_of_a_file_without_header() {
        let options = ReadOptions::default();
        let declared = [("Price", "decimal(12,2)"), ("gone", "date")];
        let file = [("a.csv", "id,price\n1,2.5\n")];
        assert_eq!(inferred(&file, &options, &declared), "id bigint, price decimal(12,2), gone date");
        let bare = ReadOptions { header: false, ..options };
        assert_eq!(inferred(&[("a.csv", "1,x\n2,y\n")], &bare, &[]), "_c0 bigint, _c1 varchar");
        assert_eq!(inferred(&[("a.csv", "1,x\n2,y\n")], &bare, &[("id", "int")]), "id int, _c1 varchar");
    }

    #[test]
    fn parquet_types_become_those_of_a_lake() {
        use DataType::{Dictionary, LargeUtf8, Time64, UInt32, UInt64, Utf8View};
        for (stored, landed) in [
            (UInt32, "bigint"),
            (UInt64, "decimal(20,0)"),
            (LargeUtf8, "varchar"),
            (Utf8View, "varchar"),
            (Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)), "varchar"),
            (DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Oslo".into())), "timestamptz"),
            (Time64(TimeUnit::Microsecond), "varchar"),
            (DataType::List(Arc::new(Field::new("element", UInt32, false))), "bigint[]"),
        ] {
            assert_eq!(sql_type_name(&landed_type(&stored)), landed, "{stored}");
        }
    }
}
