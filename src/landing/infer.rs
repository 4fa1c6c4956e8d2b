//! Which columns of which types do these files hold?
//!
//! [`infer`] reads all of every file, so a type is never refuted by a row further down; or only the beginnings of large
//! ones, and then says so, for whoever reads the rows to notice if it is. A `Guess` remembers
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
//! `31/01/2013` is a date if all dates of the column agree on which number is the month, and a question to the user if
//! none of them tells.
//!
//! Not here: which of these types a table that exists already should take on (`evolve`).

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::discover::FileStamp;
use super::error::LandingError;
use super::format::{Format, ReadOptions};
use super::guess::{Guess, kind_of_text};
use super::options::{LandOptions, OnMisfit};
use super::parallel::in_order;
use super::read::json::{GatheredTexts, gather_texts};
use super::read::moment::DateOrder;
use super::read::texts::Texts;
use super::read::value::{self, Json};
use super::read::{Gathered, Source, gather, header, stored};
use super::widen::landed_type;

/// What files hold.
#[derive(Clone, Debug)]
pub struct Inferred {
    /// Their columns in the order in which they first appear, all nullable; declared columns that no file has come last.
    pub schema: SchemaRef,
    /// Whether each column has a value anywhere.
    pub has_values: Vec<bool>,
    /// Which number of a date is the month, for columns that told.
    pub orders: Vec<(String, DateOrder)>,
    /// Whether numbers are written `1.234,5` in any of the files.
    pub decimal_comma: bool,
    /// Whether a file was not looked at to its end.
    pub is_a_guess: bool,
}

impl Inferred {
    /// The columns without a value and a declared type, by their places.
    pub(super) fn without_values(&self, options: &LandOptions) -> Vec<usize> {
        let is_declared = |name: &String| options.read.declared.contains(name);
        let columns = self.schema.fields().iter().zip(&self.has_values).enumerate();
        let empty = columns.filter(|(_, (field, has_value))| !**has_value && !is_declared(field.name()));
        empty.map(|(at, _)| at).collect()
    }

    /// The columns whose types nobody declared and no value tells.
    pub(super) fn untyped(&self, options: &LandOptions) -> Vec<String> {
        let places = if options.read.infer_types { self.without_values(options) } else { Vec::new() };
        places.into_iter().map(|at| self.schema.field(at).name().clone()).collect()
    }

    /// Those of some columns whose types are told by values here.
    pub(super) fn typed<'a>(&'a self, columns: &'a [String]) -> impl Iterator<Item = String> + 'a {
        let seen = self.schema.fields().iter().zip(&self.has_values).filter(|(_, has_values)| **has_values);
        seen.map(|(field, _)| field.name()).filter(|name| columns.contains(name)).cloned()
    }
}

/// How much of each file to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// All of it.
    All,
    /// The beginning, if the file is large.
    Beginning,
}

impl Look {
    /// Pieces of a few hundred kilobytes, or of thousands of records, to look at.
    fn pieces(self) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::Beginning => 16,
        }
    }
}

/// Returns the columns of all `files` together.
///
/// Reads each file to its end, or as far as `look` says, on all cores and with constant memory; rows that would be rejected have no say. The types
/// that the options' hints declare win. In files without a header, declared names are those of the first columns.
/// `known` are the table's columns, if it exists: a CSV file that has no others is not read beyond its header.
///
/// # Errors
/// What keeps a file from being read ([`read`](super::read::read)), [`LandingError::NotJson`] and
/// [`LandingError::TwoReadings`].
pub fn infer(
    files: &[FileStamp],
    options: &LandOptions,
    known: &[String],
    look: Look,
) -> Result<Inferred, LandingError> {
    let declared: Vec<(String, &DataType)> =
        options.hints.iter().map(|(name, of)| (options.read.name_of(name), of)).collect();
    let positional: Vec<String> = if known.is_empty() {
        declared.iter().map(|(name, _)| name.clone()).collect()
    } else {
        known.to_vec()
    };
    let small = |file: &FileStamp| file.is_small(&options.read);
    let see = |file: &FileStamp, cores: Cores| {
        let pieces = if small(file) { usize::MAX } else { look.pieces() };
        let mut columns = Columns::default();
        let comma = columns.see_file(file, options, &positional, known, Effort { cores, pieces })?;
        Ok((columns, comma))
    };
    let mut columns = Columns::default();
    let mut decimal_comma = false;
    let mut failed = None;
    let mut add = |seen: Result<(Columns, bool), LandingError>| match seen {
        Ok((seen, comma)) => {
            columns.merge(seen);
            decimal_comma |= comma;
            true
        }
        Err(error) => {
            failed = Some(error);
            false
        }
    };
    for files in files.chunk_by(|one, next| small(one) == small(next)) {
        // Small files side by side, large ones one after the other, each on all cores.
        if small(&files[0]) {
            in_order(files.iter(), |file| see(file, Cores::One), &mut add);
        } else {
            let _ = files.iter().all(|file| add(see(file, Cores::All)));
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    for (name, _) in &declared {
        columns.of(name);
    }
    let types: HashMap<&str, &DataType> = declared.iter().map(|(name, of)| (name.as_str(), *of)).collect();
    columns.inferred(&types, &options.read, decimal_comma)
}

/// How many cores to look with.
#[derive(Clone, Copy, PartialEq)]
enum Cores {
    One,
    All,
}

/// How to look at one file: with which cores, at how many pieces at most.
#[derive(Clone, Copy)]
struct Effort {
    cores: Cores,
    pieces: usize,
}

impl Effort {
    /// Does `work` to every item, or to the first ones. Returns whether there may have been more.
    fn spread<T: Send, R: Send>(
        self,
        items: impl Iterator<Item = T>,
        work: impl Fn(T) -> R + Sync,
        mut each: impl FnMut(R) -> bool,
    ) -> bool {
        let mut taken = 0;
        let mut items = items.take(self.pieces).inspect(|_| taken += 1);
        match self.cores {
            Cores::All => in_order(&mut items, work, each),
            Cores::One => {
                let _ = items.all(|item| each(work(item)));
            }
        }
        drop(items);
        taken == self.pieces
    }
}

/// The columns seen so far, in order of appearance.
#[derive(Default)]
struct Columns {
    names: Vec<String>,
    guesses: Vec<Guess>,
    places: HashMap<String, usize>,
    /// Whether there may be more in the files than was looked at.
    cut: bool,
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

    /// Takes in what was seen further down.
    fn merge(&mut self, later: Self) {
        for (name, guess) in later.names.iter().zip(later.guesses) {
            self.of(name).merge(guess);
        }
        self.cut |= later.cut;
    }

    /// Looks at a file, and returns whether its numbers have a decimal comma.
    fn see_file(
        &mut self,
        file: &FileStamp,
        options: &LandOptions,
        positional: &[String],
        known: &[String],
        effort: Effort,
    ) -> Result<bool, LandingError> {
        let (format, compression) = file.format(&options.read)?;
        let open = || Source::open(file, format, compression, &options.read);
        let mut comma = false;
        match format {
            Format::Csv { delimiter } => {
                comma = self.see_csv((open()?, delimiter), options, positional, known, effort)?;
            }
            Format::JsonLines | Format::Json => self.see_json((open()?, format), &options.read, effort)?,
            Format::Parquet | Format::Avro | Format::Arrow => {
                let stored = stored::open(file, format, &options.read)?.schema;
                let in_file: Vec<String> = stored.fields().iter().map(|field| field.name().clone()).collect();
                let names = header::column_names(&file.path, &in_file, &options.read)?;
                for (name, field) in names.iter().zip(stored.fields()) {
                    let guess = self.of(name);
                    if !field.data_type().is_null() {
                        guess.see_stored(&landed_type(field.data_type()));
                    }
                }
            }
        }
        if options.read.hive {
            for (name, value) in &file.partitions {
                let guess = self.of(name);
                if let Some(value) = value {
                    guess.see(kind_of_text(value), value, &file.path, 0);
                }
            }
        }
        Ok(comma)
    }

    /// Reads a CSV file, and returns whether its numbers have a decimal comma.
    fn see_csv(
        &mut self,
        (source, delimiter): (Source, Option<u8>),
        options: &LandOptions,
        positional: &[String],
        known: &[String],
        effort: Effort,
    ) -> Result<bool, LandingError> {
        let told = source.told();
        let mut opened = header::open_csv(source, delimiter, &options.read, positional)?;
        let names = header::column_names(&told.path, &opened.in_file, &options.read)?;
        let places: Vec<usize> = names.iter().map(|name| self.place(name)).collect();
        let all_known = !known.is_empty() && names.iter().all(|name| known.contains(name));
        if all_known && options.types != OnMisfit::Widen {
            return Ok(opened.decimal_comma);
        }
        let (width, comma) = (names.len(), opened.decimal_comma);
        let pieces = until_end(|| gather(&mut opened.records, width, &told), |gathered| gathered.read() == 0);
        let nulls = &options.read.null_values;
        let look = |gathered: Result<Gathered, LandingError>| {
            gathered.map(|gathered| {
                let mut guesses = vec![Guess::default(); width];
                for (at, guess) in guesses.iter_mut().enumerate() {
                    guess.see_cells(&gathered, at, comma, nulls, &told.path);
                }
                guesses
            })
        };
        let mut failed = None;
        let cut = effort.spread(pieces, look, |guesses| match guesses {
            Ok(guesses) => {
                for (place, guess) in places.iter().zip(guesses) {
                    self.guesses[*place].merge(guess);
                }
                true
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        self.cut |= cut;
        failed.map_or(Ok(comma), Err)
    }

    fn see_json(
        &mut self,
        (source, format): (Source, Format),
        options: &ReadOptions,
        effort: Effort,
    ) -> Result<(), LandingError> {
        let told = source.told();
        let mut texts = Texts::open(source, format)?;
        let (mut read, mut objects) = (0, 0);
        let mut failed = None;
        let pieces = until_end(|| gather_texts(&mut texts, &told), |gathered| gathered.read() == 0);
        let look = |gathered: Result<GatheredTexts, LandingError>| {
            let gathered = gathered?;
            let mut columns = Columns::default();
            let objects = columns.see_texts(&gathered, &told.path, options)?;
            Ok((columns, gathered.read(), objects))
        };
        let cut = effort.spread(pieces, look, |seen| match seen {
            Ok((columns, more, more_objects)) => {
                read += more;
                objects += more_objects;
                self.merge(columns);
                true
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        self.cut |= cut;
        if read > 0 && objects == 0 {
            return Err(LandingError::NotJson { path: told.path, records: read });
        }
        Ok(())
    }

    /// Looks at the objects among some records, and returns how many there were.
    fn see_texts(
        &mut self,
        gathered: &GatheredTexts,
        path: &str,
        options: &ReadOptions,
    ) -> Result<u64, LandingError> {
        let mut objects = 0;
        let mut failed = None;
        for (line, text) in gathered.records() {
            value::parse_each(text, &[], |_, value| {
                let Ok(Json::Object(_, members)) = value else { return };
                objects += 1;
                if let Err(error) = self.see_members(&members, path, line, options) {
                    failed.get_or_insert(error);
                }
            });
        }
        failed.map_or(Ok(objects), Err)
    }

    fn see_members(
        &mut self,
        members: &[(Cow<'_, str>, Json<'_>)],
        path: &str,
        line: u64,
        options: &ReadOptions,
    ) -> Result<(), LandingError> {
        for (name, value) in members {
            let place = match self.places.get(name.as_ref()) {
                Some(place) => *place,
                // A member without a name is no column; its values are rescued.
                None if name.trim().is_empty() => continue,
                None => {
                    let landed = header::column_names(path, &[name.to_string()], options)?.remove(0);
                    let place = self.place(&landed);
                    // The next record will have the same name.
                    self.places.insert(name.to_string(), place);
                    place
                }
            };
            self.guesses[place].see_json(value, path, line);
        }
        Ok(())
    }

    fn inferred(
        self,
        types: &HashMap<&str, &DataType>,
        options: &ReadOptions,
        decimal_comma: bool,
    ) -> Result<Inferred, LandingError> {
        let (mut fields, mut orders, mut has_values) = (Vec::new(), Vec::new(), Vec::new());
        for (name, guess) in self.names.iter().zip(&self.guesses) {
            let declared = types.get(name.as_str()).map(|of| (*of).clone());
            let remembered = options.orders.iter().any(|(column, _)| column == name);
            let takes_dates =
                declared.as_ref().is_none_or(|of| matches!(of, DataType::Date32 | DataType::Timestamp(..)));
            if takes_dates
                && !remembered
                && options.infer_types
                && let Some(order) = guess.order(name, options.date_order)?
            {
                orders.push((name.clone(), order));
            }
            let guessed = || {
                if options.infer_types || guess.stored.is_some() { guess.data_type() } else { None }
            };
            let data_type = declared.or_else(guessed).unwrap_or(DataType::Utf8);
            has_values.push(guess.has_values());
            fields.push(Field::new(name, data_type, true));
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Inferred { schema, has_values, orders, decimal_comma, is_a_guess: self.cut })
    }
}

/// What `take` gives until it gives nothing, or an error.
fn until_end<'a, T, E>(
    mut take: impl FnMut() -> Result<T, E> + 'a,
    is_nothing: impl Fn(&T) -> bool + 'a,
) -> impl Iterator<Item = Result<T, E>> + 'a {
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let taken = take();
        ended = taken.as_ref().map_or(true, &is_nothing);
        if taken.as_ref().is_ok_and(&is_nothing) { None } else { Some(taken) }
    })
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
        let options = LandOptions { read: options.clone(), hints: declared, ..LandOptions::default() };
        match infer(&files, &options, &[], Look::All) {
            Ok(Inferred { schema, .. }) => {
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
            (&["31/01/2013", "01/02/2013"], "date"),
            (&["01/31/2013", "01/02/2013 10:30"], "timestamp"),
            (&["31/01/2013", "01/31/2013"], "varchar"),
            (&["31/01/2013", "x"], "varchar"),
            (&["01-Feb-2013"], "date"),
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
            (&[("a.jsonl", "{\"o\":{\"K\":1,\"k\":2.5}}{\"\":1}")], "o struct(K double)"),
            (&[("a.jsonl", "{\"o\":{},\"l\":[],\"n\":null}")], "o varchar, l varchar[], n varchar"),
            (&[("a.json", "[\n{\"a\":1}\n]\n")], "a bigint"),
            (&[("a.json", "[{\"a\":1},{\"a\":2.5}]\n")], "a double"),
            (&[("a.jsonl", "[{\"a\":1}]\n")], "error: a.jsonl has 1 record and none is a JSON object"),
        ] {
            assert_eq!(inferred(files, &ReadOptions::default(), &[]), columns, "{files:?}");
        }
    }

    #[test]
    fn a_date_that_does_not_tell_its_order_is_a_question() {
        let file = [("a.csv", "at,x\n05/05/2013,1\n01/02/2013,2\n")];
        let asked = "error: a.csv:2 reads two ways: `05/05/2013` of column `at` begins with the day, or it begins with the month";
        assert_eq!(inferred(&file, &ReadOptions::default(), &[]), asked);
        let declared = ReadOptions { date_order: Some(DateOrder::Dmy), ..ReadOptions::default() };
        assert_eq!(inferred(&file, &declared, &[]), "at date, x bigint");
        assert_eq!(inferred(&file, &ReadOptions::default(), &[("at", "varchar")]), "at varchar, x bigint");
    }

    #[test]
    fn declared_types_win_and_name_the_columns_of_a_file_without_header() {
        let options = ReadOptions::default();
        let declared = [("Price", "decimal(12,2)"), ("gone", "date")];
        let file = [("a.csv", "id,price\n1,2.5\n")];
        assert_eq!(inferred(&file, &options, &declared), "id bigint, price decimal(12,2), gone date");
        let bare = ReadOptions { header: Some(false), ..options };
        assert_eq!(inferred(&[("a.csv", "1,x\n2,y\n")], &bare, &[]), "_c0 bigint, _c1 varchar");
        assert_eq!(inferred(&[("a.csv", "1,x\n2,y\n")], &bare, &[("id", "int")]), "id int, _c1 varchar");
    }
}
