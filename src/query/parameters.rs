//! Which values stand where a statement leaves places for them?
//!
//! Places are `?`, in order, or `$1`, `$2`. They are found among the statement's tokens, so that a question mark in a
//! text or a comment is none. Values come as rows of a batch and are written into the statement as SQL
//! writes them: what is planned then has the types that the values have.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::SqlMistake;
use super::dialect::{LineStarts, tokenize};
use crate::base::sql_type_name;

/// A place for a value in a statement's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it is, in bytes.
    start: usize,
    end: usize,
    /// Which value, counted from 0.
    value: usize,
    /// Whether it is behind LIMIT or OFFSET, or in the brackets of `range`.
    pub(super) is_count: bool,
}

impl Place {
    /// Which value stands there, counted from 0.
    pub(super) fn value(&self) -> usize {
        self.value
    }
}

/// The places of a statement, in the order of its text.
pub(super) fn places(sql: &str) -> Result<Vec<Place>, SqlMistake> {
    places_of(sql, &tokenize(sql)?)
}

fn places_of(sql: &str, tokens: &[TokenWithSpan]) -> Result<Vec<Place>, SqlMistake> {
    let lines = LineStarts::of(sql);
    let mut found = Vec::new();
    let mut next = 0;
    let mut is_count = false;
    // The words in front of the brackets that are open, and the last word.
    let (mut calls, mut word): (Vec<String>, String) = (Vec::new(), String::new());
    for token in tokens {
        match &token.token {
            Token::LParen => calls.push(std::mem::take(&mut word)),
            Token::RParen => drop(calls.pop()),
            Token::Word(name) => word = name.value.to_lowercase(),
            Token::Whitespace(_) => {}
            _ => word.clear(),
        }
        let Token::Placeholder(text) = &token.token else {
            if !matches!(token.token, Token::Whitespace(_)) {
                is_count = matches!(&token.token, Token::Word(word)
                    if matches!(word.keyword, Keyword::LIMIT | Keyword::OFFSET));
            }
            continue;
        };
        let Location { line, column } = token.span.start;
        let value = match text.trim_start_matches(['?', '$']) {
            "" if text == "?" => {
                next += 1;
                next - 1
            }
            number => match number.parse::<usize>() {
                Ok(number) if (1..=MOST).contains(&number) => number - 1,
                _ => {
                    let mistake = SqlMistake::new(
                        "elt::sql::parameters",
                        format!("`{text}` is not a place for a value"),
                    );
                    return Err(mistake.at(line, column).help("write `?`, or `$1`, `$2`, … up to `$65535`"));
                }
            },
        };
        let start = lines.byte(sql, token.span.start);
        let is_count = is_count || calls.last().is_some_and(|call| call == "range");
        found.push(Place { start, end: start + text.len(), value, is_count });
    }
    Ok(found)
}

/// Places that a statement may have.
const MOST: usize = 65_535;

/// How many values the places ask for.
pub(super) fn asked_for(places: &[Place]) -> usize {
    places.iter().map(|place| place.value + 1).max().unwrap_or(0)
}

/// The statement with `written(n)` at the place of value `n`.
pub(super) fn filled(sql: &str, places: &[Place], written: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(sql.len() + places.len() * 8);
    let mut done = 0;
    for place in places {
        text.push_str(&sql[done..place.start]);
        text.push_str(&written(place.value));
        done = place.end;
    }
    text.push_str(&sql[done..]);
    text
}

/// The statement with the values of row `row` in its places.
///
/// # Errors
/// There are fewer columns than places, or a value has a type that SQL does not write.
pub fn bound(sql: &str, values: &RecordBatch, row: usize) -> Result<String, SqlMistake> {
    let places = places(sql)?;
    let written = literals(&places, values, row)?;
    Ok(filled(sql, &places, |value| written[value].clone()))
}

/// The statements that carry a statement out for every row of `values`.
///
/// An `INSERT … VALUES (…)` becomes one statement with all rows; any other is one for each row.
pub fn bound_rows(sql: &str, values: &RecordBatch) -> Result<Vec<String>, SqlMistake> {
    let tokens = tokenize(sql)?;
    let places = places_of(sql, &tokens)?;
    let rows = 0..values.num_rows();
    let Some((open, close)) = only_row(sql, &tokens).filter(|(open, close)| {
        !places.is_empty() && places.iter().all(|place| place.start > *open && place.end < *close)
    }) else {
        return rows.map(|row| bound(sql, values, row)).collect();
    };
    let inside: Vec<Place> = places
        .iter()
        .map(|place| Place { start: place.start - open, end: place.end - open, ..place.clone() })
        .collect();
    let mut text = sql[..open].to_owned();
    for row in rows {
        let written = literals(&places, values, row)?;
        text.push_str(if row == 0 { "" } else { ", " });
        text.push_str(&filled(&sql[open..close], &inside, |value| written[value].clone()));
    }
    Ok(if values.num_rows() == 0 { Vec::new() } else { vec![text] })
}

/// From where to where the only row of an `INSERT … VALUES (…)` goes, in bytes; nothing for other statements.
fn only_row(sql: &str, tokens: &[TokenWithSpan]) -> Option<(usize, usize)> {
    let is_solid = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
    let solid: Vec<&TokenWithSpan> = tokens.iter().filter(is_solid).collect();
    let is_word = |token: &TokenWithSpan, keyword: Keyword| matches!(&token.token, Token::Word(word) if word.keyword == keyword);
    if !is_word(solid.first()?, Keyword::INSERT) {
        return None;
    }
    let values = solid.iter().position(|token| is_word(token, Keyword::VALUES))?;
    let open = solid.get(values + 1).filter(|token| token.token == Token::LParen)?;
    let mut depth = 0_usize;
    let mut close = None;
    for (at, token) in solid.iter().enumerate().skip(values + 1) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.checked_sub(1)?,
            _ => continue,
        }
        if depth == 0 {
            close = Some(at);
            break;
        }
    }
    let close = close?;
    let ends = solid[close + 1..].iter().all(|token| token.token == Token::SemiColon);
    let byte = |token: &TokenWithSpan| LineStarts::of(sql).byte(sql, token.span.start);
    ends.then(|| (byte(open), byte(solid[close]) + 1))
}

/// The values of a row, as SQL writes them.
fn literals(places: &[Place], values: &RecordBatch, row: usize) -> Result<Vec<String>, SqlMistake> {
    let asked = asked_for(places);
    let given = values.num_columns();
    if given != asked {
        let has = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        let message =
            format!("the statement has {} and was given {}", has(asked, "place"), has(given, "value"));
        let mistake = SqlMistake::new("elt::sql::parameters", message);
        return Err(mistake.help("give a value for each `?`, and no other"));
    }
    values.columns()[..asked].iter().map(|column| literal(column, row)).collect()
}

/// A value, as SQL writes it.
fn literal(column: &ArrayRef, row: usize) -> Result<String, SqlMistake> {
    if column.is_null(row) {
        // A text is what drivers give when nothing is known of a place; of every other type it is said which.
        let of = column.data_type();
        let is_plain =
            (of.is_numeric() && !of.is_unsigned_integer()) || of.is_temporal() || *of == DataType::Boolean;
        return Ok(match is_plain && !matches!(of, DataType::Duration(_) | DataType::Interval(_)) {
            true => format!("CAST(NULL AS {})", sql_type_name(of)),
            false => "NULL".to_owned(),
        });
    }
    let shown = || shown(column, row);
    let cast = |text: String, name: &str| format!("CAST('{text}' AS {name})");
    let data_type = column.data_type();
    Ok(match data_type {
        DataType::Null => "NULL".to_owned(),
        DataType::Boolean => shown()?.to_uppercase(),
        integer if integer.is_integer() => match shown()? {
            // Its digits alone are more than the type holds.
            least if least == i64::MIN.to_string() => cast(least, "BIGINT"),
            negative if negative.starts_with('-') => format!("({negative})"),
            digits => digits,
        },
        DataType::Float16 | DataType::Float32 => cast(shown()?, "REAL"),
        DataType::Float64 => cast(shown()?, "DOUBLE"),
        decimal if decimal.is_decimal() => cast(shown()?, &sql_type_name(decimal)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => quoted(&shown()?),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            format!("X'{}'", shown()?)
        }
        DataType::Date32 | DataType::Date64 => cast(shown()?.chars().take(10).collect(), "DATE"),
        DataType::Time32(_) | DataType::Time64(_) => cast(shown()?, "TIME"),
        DataType::Timestamp(TimeUnit::Nanosecond, _)
            if column.as_primitive::<TimestampNanosecondType>().value(row) % 1_000 != 0 =>
        {
            let what = format!("{} cannot be given to a statement: instants have microseconds", shown()?);
            return Err(SqlMistake::new("elt::sql::parameters", what).help(
                "cut it before it is sent: in pandas `.dt.floor('us')`, in polars `.dt.cast_time_unit('us')`",
            ));
        }
        DataType::Timestamp(_, None) => cast(shown()?, "TIMESTAMP"),
        DataType::Timestamp(_, Some(_)) => cast(shown()?, "TIMESTAMP WITH TIME ZONE"),
        DataType::Interval(_) => format!("INTERVAL '{}'", shown()?),
        DataType::Duration(unit) => {
            let unit = match unit {
                TimeUnit::Second => "seconds",
                TimeUnit::Millisecond => "milliseconds",
                TimeUnit::Microsecond => "microseconds",
                TimeUnit::Nanosecond => "nanoseconds",
            };
            let count = arrow::compute::cast(column, &DataType::Int64).map_err(|_| no_literal(data_type))?;
            format!("INTERVAL '{} {unit}'", self::shown(&count, row)?)
        }
        DataType::Dictionary(_, values) => {
            let values = arrow::compute::cast(column, values).map_err(|_| no_literal(data_type))?;
            literal(&values, row)?
        }
        DataType::List(item) => list_of(item.data_type(), &column.as_list::<i32>().value(row))?,
        DataType::LargeList(item) => list_of(item.data_type(), &column.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(item, _) => {
            list_of(item.data_type(), &column.as_fixed_size_list().value(row))?
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            format!("map({}, {})", list(entries.column(0))?, list(entries.column(1))?)
        }
        DataType::Struct(fields) => {
            let values = column.as_struct();
            let mut text = "named_struct(".to_owned();
            for (at, field) in fields.iter().enumerate() {
                let between = if at == 0 { "" } else { ", " };
                let value = literal(values.column(at), row)?;
                let _ = write!(text, "{between}{}, {value}", quoted(field.name()));
            }
            text + ")"
        }
        other => return Err(no_literal(other)),
    })
}

/// A list whose items keep their type, where their digits alone are another.
fn list_of(item: &DataType, items: &ArrayRef) -> Result<String, SqlMistake> {
    let written = list(items)?;
    let is_narrow = matches!(item, DataType::Int8 | DataType::Int16 | DataType::Int32);
    Ok(if is_narrow { format!("CAST({written} AS {}[])", sql_type_name(item)) } else { written })
}

fn list(items: &ArrayRef) -> Result<String, SqlMistake> {
    let items = (0..items.len()).map(|at| literal(items, at)).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("make_array({})", items.join(", ")))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn shown(column: &ArrayRef, row: usize) -> Result<String, SqlMistake> {
    let options = FormatOptions::default().with_display_error(false);
    let wrong = |_| no_literal(column.data_type());
    let formatter = ArrayFormatter::try_new(column, &options).map_err(wrong)?;
    formatter.value(row).try_to_string().map_err(wrong)
}

fn no_literal(data_type: &DataType) -> SqlMistake {
    let what = format!("a value of type {} cannot be given to a statement", sql_type_name(data_type));
    SqlMistake::new("elt::sql::parameters", what)
        .help("give it as a text, and cast it in the statement: `?::date`")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray};

    use super::*;

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        RecordBatch::try_from_iter(columns.into_iter().enumerate().map(|(at, c)| (format!("c{at}"), c)))
            .unwrap()
    }

    #[test]
    fn values_stand_where_the_places_are_and_nowhere_else() {
        let values = batch(vec![
            Arc::new(Int64Array::from(vec![7, -7])),
            Arc::new(StringArray::from(vec![Some("it's"), None])),
        ]);
        let sql = "select ?, 'a ? b', -- ? \n ü-?, $1";
        assert_eq!(bound(sql, &values, 0).unwrap(), "select 7, 'a ? b', -- ? \n ü-'it''s', 7");
        assert_eq!(bound("select 1 -?, $2", &values, 1).unwrap(), "select 1 -(-7), NULL");
        let few = bound("select ?, ?, ?", &values, 0).unwrap_err();
        assert_eq!(few.message(), "the statement has 3 places and was given 2 values");
        let many = bound("select ?", &values, 0).unwrap_err();
        assert_eq!(many.message(), "the statement has 1 place and was given 2 values");
        assert!(places("select ? limit ?").unwrap()[1].is_count);
        let counts = |sql: &str| places(sql).unwrap().iter().map(|place| place.is_count).collect::<Vec<_>>();
        assert_eq!(counts("select * from range(1, ?), f(?)"), [true, false]);
        let nothing = batch(vec![Arc::new(Int64Array::from(vec![None::<i64>]))]);
        assert_eq!(bound("select ?", &nothing, 0).unwrap(), "select CAST(NULL AS bigint)");
        assert!(bound("select $name", &values, 0).is_err());
        assert!(bound("select $0", &values, 0).is_err());
    }

    #[test]
    fn every_type_is_written_as_sql_writes_it() {
        let columns: Vec<(ArrayRef, &str)> = vec![
            (Arc::new(Int64Array::from(vec![i64::MIN])), "CAST('-9223372036854775808' AS BIGINT)"),
            (Arc::new(Float64Array::from(vec![f64::INFINITY])), "CAST('inf' AS DOUBLE)"),
            (Arc::new(Date32Array::from(vec![0])), "CAST('1970-01-01' AS DATE)"),
            (
                Arc::new(Decimal128Array::from(vec![-105]).with_precision_and_scale(10, 2).unwrap()),
                "CAST('-1.05' AS decimal(10,2))",
            ),
            (Arc::new(arrow::array::BooleanArray::from(vec![true])), "TRUE"),
            (
                Arc::new(arrow::array::ListArray::from_iter_primitive::<arrow::datatypes::Int8Type, _, _>([
                    Some([Some(1), None]),
                ])),
                "CAST(make_array(1, CAST(NULL AS tinyint)) AS tinyint[])",
            ),
            (Arc::new(arrow::array::BinaryArray::from(vec![&b"\x00\xff"[..]])), "X'00ff'"),
        ];
        for (column, written) in columns {
            assert_eq!(literal(&column, 0).unwrap(), written);
        }
    }

    #[test]
    fn an_instant_between_two_microseconds_is_no_value() {
        let instants = |nanoseconds: i64| -> ArrayRef {
            Arc::new(arrow::array::TimestampNanosecondArray::from(vec![nanoseconds]))
        };
        assert!(literal(&instants(5_000), 0).is_ok());
        let refused = literal(&instants(5), 0).unwrap_err();
        assert!(refused.message().contains("instants have microseconds"), "{}", refused.message());
    }

    #[test]
    fn an_insert_of_many_rows_is_one_statement() {
        let values = batch(vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]);
        let inserted = bound_rows("insert into t (a, b) values (?, upper('?'));", &values).unwrap();
        assert_eq!(
            inserted,
            ["insert into t (a, b) values (1, upper('?')), (2, upper('?')), (3, upper('?'))"]
        );
        let deleted = bound_rows("delete from t where a = ?", &values).unwrap();
        assert_eq!(deleted.len(), 3);
        assert_eq!(deleted[2], "delete from t where a = 3");
    }
}
