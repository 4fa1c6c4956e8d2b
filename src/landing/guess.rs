//! What kinds of values has a column had so far?
//!
//! A [`Guess`] adds up what is seen, in any order and on any thread, and takes the narrowest type that holds all of it
//! ([`data_type`](Guess::data_type)); the table of types stands in [`infer`](super::infer).

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};

use super::error::LandingError;
use super::read::Gathered;
use super::read::literal::{self, Spelling};
use super::read::moment::{self, DateOrder};
use super::read::value::Json;
use super::widen::widened;

/// Kinds of scalars, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kind(u16);

impl Kind {
    pub(crate) const BOOLEAN: Self = Self(1);
    pub(crate) const INTEGER: Self = Self(2);
    /// A whole number that a double may not hold.
    const LARGE: Self = Self(4);
    const NUMBER: Self = Self(8);
    const DATE: Self = Self(16);
    const WALL_TIME: Self = Self(32);
    const ZONED_TIME: Self = Self(64);
    pub(crate) const TEXT: Self = Self(128);
    /// A date that can only begin with its day.
    const DAY_FIRST: Self = Self(256);
    /// A date that can only begin with its month.
    const MONTH_FIRST: Self = Self(512);
    /// A date that may begin with either.
    const EITHER: Self = Self(1024);

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn only(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }
}

/// An object with more members than this uses names as data; it stays JSON text.
const MOST_MEMBERS: usize = 500;

/// What is known of a column's values.
#[derive(Clone, Debug, Default)]
pub(super) struct Guess {
    kinds: Kind,
    members: Option<Vec<(String, Guess)>>,
    items: Option<Box<Guess>>,
    pub(super) stored: Option<DataType>,
    /// The first date that may begin with its day or its month, and where it is.
    doubtful: Option<(String, String, u64)>,
}

/// The kind of a text without spaces around it.
pub(crate) fn kind_of_text(text: &str) -> Kind {
    match kind_of_number(text) {
        Kind::TEXT if literal::boolean(text, Spelling::STRICT).is_some() => Kind::BOOLEAN,
        Kind::TEXT => kind_of_time(text),
        number => number,
    }
}

fn kind_of_cell(text: &str, comma: bool) -> Kind {
    if comma && text.as_bytes().first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-') {
        let by_comma = Spelling { decimal_comma: true, ..Spelling::STRICT };
        return match text.contains([',', '.']) {
            true if literal::double(text, by_comma).is_some() => Kind::NUMBER,
            true if text.contains(',') => Kind::TEXT,
            _ => kind_of_text(text),
        };
    }
    kind_of_text(text)
}

fn kind_of_number(text: &str) -> Kind {
    let first = text.as_bytes().first().copied().unwrap_or_default();
    if !first.is_ascii_digit() && !matches!(first, b'-' | b'.') {
        return Kind::TEXT;
    }
    match literal::integer(text, Spelling::STRICT) {
        Some(value) if value.unsigned_abs() > 1 << 53 => Kind::LARGE,
        Some(_) => Kind::INTEGER,
        // Whole numbers beyond 64 bits are identifiers, not quantities.
        None if text.bytes().skip(1).all(|byte| byte.is_ascii_digit()) && first != b'.' => Kind::TEXT,
        None if literal::double(text, Spelling::STRICT).is_some() => Kind::NUMBER,
        None => Kind::TEXT,
    }
}

fn kind_of_time(text: &str) -> Kind {
    if let Some(instant) = moment::instant(text, DateOrder::Ymd) {
        return match (instant.is_zoned(), instant.is_timed()) {
            (true, _) => Kind::ZONED_TIME,
            (false, true) => Kind::WALL_TIME,
            (false, false) => Kind::DATE,
        };
    }
    let readings = (moment::instant(text, DateOrder::Dmy), moment::instant(text, DateOrder::Mdy));
    let (order, instant) = match readings {
        (Some(instant), Some(_)) => (Kind::EITHER, instant),
        (Some(instant), None) => (Kind::DAY_FIRST, instant),
        (None, Some(instant)) => (Kind::MONTH_FIRST, instant),
        (None, None) => return Kind::TEXT,
    };
    match (instant.is_zoned(), instant.is_timed()) {
        (true, _) => Kind::ZONED_TIME.or(order),
        (false, true) => Kind::WALL_TIME.or(order),
        (false, false) => Kind::DATE.or(order),
    }
}

/// Where a member is among those that are known: in a struct, names that differ in case are one.
fn place(known: &[(String, Guess)], name: &str) -> Option<usize> {
    let same = |(known, _): &(String, Guess)| known == name;
    let alike = |(known, _): &(String, Guess)| known.to_lowercase() == name.to_lowercase();
    known.iter().position(same).or_else(|| known.iter().position(alike))
}

impl Guess {
    pub(super) fn see(&mut self, kind: Kind, text: &str, path: &str, line: u64) {
        self.kinds = self.kinds.or(kind);
        if kind.has(Kind::EITHER) && self.doubtful.is_none() {
            self.doubtful = Some((text.to_owned(), path.to_owned(), line));
        }
    }

    pub(super) fn see_cells(
        &mut self,
        gathered: &Gathered,
        at: usize,
        comma: bool,
        nulls: &[String],
        path: &str,
    ) {
        for row in 0..gathered.rows() {
            if self.kinds.has(Kind::TEXT) {
                return;
            }
            let cell = gathered.cell(row, at).0.trim_ascii();
            if !nulls.iter().any(|null| null == cell) {
                let line = u64::try_from(gathered.line(row)).unwrap_or(0);
                self.see(kind_of_cell(cell, comma), cell, path, line);
            }
        }
    }

    pub(super) fn see_json(&mut self, value: &Json<'_>, path: &str, line: u64) {
        match value {
            Json::Null => {}
            Json::Bool(_) => self.kinds = self.kinds.or(Kind::BOOLEAN),
            Json::Number(text) => self.kinds = self.kinds.or(kind_of_number(text)),
            // A number in quotes was meant as text; JSON has no other way to write a time.
            Json::String(text) => self.see(kind_of_time(text), text, path, line),
            Json::List(_, items) => {
                let guess = self.items.get_or_insert_default();
                items.iter().for_each(|item| guess.see_json(item, path, line));
            }
            Json::Object(_, members) => {
                let known = self.members.get_or_insert_default();
                for (name, value) in members {
                    match place(known, name) {
                        Some(at) => known[at].1.see_json(value, path, line),
                        None if known.len() >= MOST_MEMBERS => self.kinds = self.kinds.or(Kind::TEXT),
                        None => {
                            let mut guess = Self::default();
                            guess.see_json(value, path, line);
                            known.push((name.to_string(), guess));
                        }
                    }
                }
            }
        }
    }

    pub(super) fn see_stored(&mut self, data_type: &DataType) {
        self.stored = Some(match self.stored.take() {
            Some(before) => widened(&before, data_type),
            None => data_type.clone(),
        });
    }

    /// Takes in what was seen further down.
    pub(super) fn merge(&mut self, later: Self) {
        self.kinds = self.kinds.or(later.kinds);
        self.doubtful = self.doubtful.take().or(later.doubtful);
        if let Some(stored) = later.stored {
            self.see_stored(&stored);
        }
        if let Some(items) = later.items {
            self.items.get_or_insert_default().merge(*items);
        }
        if let Some(members) = later.members {
            let known = self.members.get_or_insert_default();
            for (name, guess) in members {
                match place(known, &name) {
                    Some(at) => known[at].1.merge(guess),
                    None if known.len() >= MOST_MEMBERS => self.kinds = self.kinds.or(Kind::TEXT),
                    None => known.push((name, guess)),
                }
            }
        }
    }

    pub(super) fn has_values(&self) -> bool {
        self.kinds != Kind::default()
            || self.members.is_some()
            || self.items.is_some()
            || self.stored.is_some()
    }

    /// Which number of the column's dates is the month, if they are dates that do not begin with the year.
    pub(super) fn order(
        &self,
        column: &str,
        declared: Option<DateOrder>,
    ) -> Result<Option<DateOrder>, LandingError> {
        let dates = Kind::DATE.or(Kind::WALL_TIME).or(Kind::ZONED_TIME);
        let orders = Kind::DAY_FIRST.or(Kind::MONTH_FIRST).or(Kind::EITHER);
        if !self.kinds.has(orders) || !self.kinds.only(dates.or(orders)) || declared.is_some() {
            return Ok(declared.filter(|_| self.kinds.has(orders)));
        }
        match (self.kinds.has(Kind::DAY_FIRST), self.kinds.has(Kind::MONTH_FIRST), &self.doubtful) {
            (true, false, _) => Ok(Some(DateOrder::Dmy)),
            (false, true, _) => Ok(Some(DateOrder::Mdy)),
            (false, false, Some((text, path, line))) => Err(LandingError::TwoReadings {
                path: if *line > 0 { format!("{path}:{line}") } else { path.clone() },
                one: format!("`{text}` of column `{column}` begins with the day"),
                other: "it begins with the month".to_owned(),
                help: "declare `date_order: DMY` or `date_order: MDY`, or the column as varchar".to_owned(),
            }),
            _ => Ok(None),
        }
    }

    /// The narrowest type that holds everything seen, or nothing if that was only nulls.
    pub(super) fn data_type(&self) -> Option<DataType> {
        let field = |guess: &Self, name: &str| -> FieldRef {
            Arc::new(Field::new(name, guess.inner_type().unwrap_or(DataType::Utf8), true))
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

    /// The type within a list or a struct, where only dates that begin with the year are dates.
    fn inner_type(&self) -> Option<DataType> {
        let orders = Kind::DAY_FIRST.or(Kind::MONTH_FIRST).or(Kind::EITHER);
        if self.kinds.has(orders) { Some(DataType::Utf8) } else { self.data_type() }
    }

    fn scalar_type(&self) -> Option<DataType> {
        const WHOLE: Kind = Kind::INTEGER.or(Kind::LARGE);
        const NUMBERS: Kind = Kind::INTEGER.or(Kind::NUMBER);
        const ORDERS: Kind = Kind::DAY_FIRST.or(Kind::MONTH_FIRST).or(Kind::EITHER);
        if self.kinds.has(Kind::DAY_FIRST) && self.kinds.has(Kind::MONTH_FIRST) {
            return Some(DataType::Utf8);
        }
        let kinds = Kind(self.kinds.0 & !ORDERS.0);
        match kinds {
            _ if kinds == Kind::default() => None,
            Kind::BOOLEAN => Some(DataType::Boolean),
            _ if kinds.only(WHOLE) => Some(DataType::Int64),
            _ if kinds.only(NUMBERS) => Some(DataType::Float64),
            Kind::DATE => Some(DataType::Date32),
            _ if kinds.only(Kind::DATE.or(Kind::WALL_TIME)) => {
                Some(DataType::Timestamp(TimeUnit::Microsecond, None))
            }
            Kind::ZONED_TIME => Some(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            _ => Some(DataType::Utf8),
        }
    }
}
