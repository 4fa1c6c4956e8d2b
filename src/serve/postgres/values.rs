//! What do clients send as values?
//!
//! A value comes as text or in PostgreSQL's binary form, of a type that the client tells or that the statement gives its place. Either way it
//! becomes a column of one row, of the type that it has here.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, RecordBatch, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options, concat};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalUnit, Schema, TimeUnit};
use pgwire::api::Type;
use pgwire::api::portal::{Format, Portal};
use pgwire::error::{PgWireError, PgWireResult};

use super::mistakes::wrong;
use super::numbers::{binary_number, number};
use crate::lakehouse::PgCatalog;

/// Days and microseconds from 1970 to 2000, where PostgreSQL counts from.
const DAYS: i32 = 10_957;
const MICROS: i64 = 946_684_800_000_000;

/// The values of a portal, as one row. `inferred` are the types that the statement gives its places.
pub(super) fn given<S: Clone>(
    portal: &Portal<S>,
    inferred: &Schema,
    described: &[Type],
) -> PgWireResult<Option<RecordBatch>> {
    let count = portal.parameter_len();
    if count == 0 {
        return Ok(None);
    }
    if let Format::Individual(formats) = &portal.parameter_format
        && formats.len() < count
    {
        return Err(wrong("08P01", format!("{count} values have {} formats", formats.len())));
    }
    let mut fields = Vec::with_capacity(count);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(count);
    for at in 0..count {
        let wanted = inferred.fields().get(at).map(|field| field.data_type().clone());
        let told = portal.statement.parameter_types.get(at).cloned().flatten();
        let told = told.filter(|told| *told != Type::UNKNOWN);
        let meant = told.clone().or_else(|| described.get(at).cloned()).unwrap_or(Type::TEXT);
        let bytes = portal.parameters.get(at).and_then(Option::as_ref);
        let value = match bytes {
            None => nothing(&meant),
            Some(bytes) if portal.parameter_format.is_binary(at) => binary(bytes, &meant, at)?,
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => written(text, &meant, at)?,
                Err(_) => return Err(wrong("22021", format!("the value {} is no text in UTF-8", at + 1))),
            },
        };
        let value = match wanted {
            // A type that the client does not tell is the one that the statement gives.
            Some(wanted)
                if told.is_none() && ![DataType::Utf8, value.data_type().clone()].contains(&wanted) =>
            {
                cast(&value, &wanted)
                    .map_err(|error| wrong("22P02", format!("the value {} does not fit: {error}", at + 1)))?
            }
            _ => value,
        };
        fields.push(Field::new(format!("p{at}"), value.data_type().clone(), true));
        columns.push(value);
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
    batch.map(Some).map_err(|error| wrong("22P02", error.to_string()))
}

/// The type of a list's items, if it is one.
fn items_of(meant: &Type) -> Option<Type> {
    Some(match *meant {
        Type::BOOL_ARRAY => Type::BOOL,
        Type::BYTEA_ARRAY => Type::BYTEA,
        Type::INT2_ARRAY => Type::INT2,
        Type::INT4_ARRAY => Type::INT4,
        Type::INT8_ARRAY => Type::INT8,
        Type::OID_ARRAY => Type::OID,
        Type::FLOAT4_ARRAY => Type::FLOAT4,
        Type::FLOAT8_ARRAY => Type::FLOAT8,
        Type::NUMERIC_ARRAY => Type::NUMERIC,
        Type::TEXT_ARRAY => Type::TEXT,
        Type::VARCHAR_ARRAY => Type::VARCHAR,
        Type::BPCHAR_ARRAY => Type::BPCHAR,
        Type::NAME_ARRAY => Type::NAME,
        Type::CHAR_ARRAY => Type::CHAR,
        Type::DATE_ARRAY => Type::DATE,
        Type::TIME_ARRAY => Type::TIME,
        Type::TIMESTAMP_ARRAY => Type::TIMESTAMP,
        Type::TIMESTAMPTZ_ARRAY => Type::TIMESTAMPTZ,
        Type::INTERVAL_ARRAY => Type::INTERVAL,
        Type::UUID_ARRAY => Type::UUID,
        Type::JSON_ARRAY => Type::JSON,
        Type::JSONB_ARRAY => Type::JSONB,
        Type::XML_ARRAY => Type::XML,
        Type::REGCLASS_ARRAY => Type::REGCLASS,
        Type::REGTYPE_ARRAY => Type::REGTYPE,
        _ => return None,
    })
}

/// The type that values of one of PostgreSQL's have here.
fn kept_as(meant: &Type) -> DataType {
    if let Some(of) = items_of(meant) {
        return DataType::List(Arc::new(Field::new("item", kept_as(&of), true)));
    }
    match *meant {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 | Type::OID | Type::REGCLASS | Type::REGTYPE => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::NUMERIC => DataType::Decimal128(38, 9),
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Type::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => DataType::Utf8,
    }
}

/// No value of a type.
pub(super) fn nothing(meant: &Type) -> ArrayRef {
    new_null_array(&kept_as(meant), 1)
}

/// A value is not one of its type.
fn unread(at: usize, meant: &Type) -> PgWireError {
    wrong("22P02", format!("the value {} cannot be read as {}", at + 1, meant.name()))
}

/// A value in PostgreSQL's binary form.
fn binary(bytes: &[u8], meant: &Type, at: usize) -> PgWireResult<ArrayRef> {
    fn exactly<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
        bytes.try_into().ok()
    }
    if let Some(of) = items_of(meant) {
        return binary_list(bytes, &of, at)?.ok_or_else(|| unread(at, meant));
    }
    let text = || std::str::from_utf8(bytes).ok();
    let one = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let read: Option<ArrayRef> = match *meant {
        Type::BOOL => exactly::<1>(bytes).map(|[byte]| Arc::new(BooleanArray::from(vec![byte != 0])) as _),
        Type::INT2 => {
            exactly(bytes).map(|all| Arc::new(Int16Array::from(vec![i16::from_be_bytes(all)])) as _)
        }
        Type::INT4 => {
            exactly(bytes).map(|all| Arc::new(Int32Array::from(vec![i32::from_be_bytes(all)])) as _)
        }
        Type::INT8 => {
            exactly(bytes).map(|all| Arc::new(Int64Array::from(vec![i64::from_be_bytes(all)])) as _)
        }
        Type::OID | Type::REGCLASS | Type::REGTYPE => exactly(bytes)
            .map(|all| Arc::new(Int64Array::from(vec![i64::from(u32::from_be_bytes(all))])) as _),
        Type::FLOAT4 => {
            exactly(bytes).map(|all| Arc::new(Float32Array::from(vec![f32::from_be_bytes(all)])) as _)
        }
        Type::FLOAT8 => {
            exactly(bytes).map(|all| Arc::new(Float64Array::from(vec![f64::from_be_bytes(all)])) as _)
        }
        Type::NUMERIC => binary_number(bytes).and_then(|text| number(&text)),
        Type::BYTEA => Some(Arc::new(BinaryArray::from(vec![bytes]))),
        Type::DATE => exactly(bytes)
            .and_then(|all| i32::from_be_bytes(all).checked_add(DAYS))
            .filter(|day| (-200_000_000..200_000_000).contains(day))
            .map(|day| Arc::new(Date32Array::from(vec![day])) as _),
        Type::TIME => exactly(bytes)
            .map(|all| Arc::new(Time64MicrosecondArray::from(vec![i64::from_be_bytes(all)])) as _),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            exactly(bytes).and_then(|all| i64::from_be_bytes(all).checked_add(MICROS)).map(|moment| {
                let moment = TimestampMicrosecondArray::from(vec![moment]);
                let zone = (*meant == Type::TIMESTAMPTZ).then_some("UTC");
                Arc::new(moment.with_timezone_opt(zone)) as _
            })
        }
        Type::INTERVAL => exactly::<16>(bytes).and_then(|all| {
            let micros = i64::from_be_bytes(all[..8].try_into().ok()?);
            let days = i32::from_be_bytes(all[8..12].try_into().ok()?);
            let months = i32::from_be_bytes(all[12..].try_into().ok()?);
            interval(months, days, micros)
        }),
        Type::UUID => exactly::<16>(bytes).map(|all| one(&uuid::Uuid::from_bytes(all).to_string())),
        Type::JSONB => text().and_then(|text| text.strip_prefix('\u{1}')).map(one),
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::UNKNOWN
        | Type::JSON
        | Type::XML
        | Type::CHAR => text().map(one),
        _ => {
            let what = format!(
                "a value of the type {} in binary form is not supported: send it as text",
                meant.name()
            );
            return Err(wrong("0A000", what));
        }
    };
    read.ok_or_else(|| unread(at, meant))
}

/// A list in PostgreSQL's binary form, however deep; nothing if it is none.
fn binary_list(bytes: &[u8], of: &Type, at: usize) -> PgWireResult<Option<ArrayRef>> {
    let mut rest = bytes;
    let mut word = || -> Option<i32> {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        rest = tail;
        Some(i32::from_be_bytes(*head))
    };
    let (Some(depth), Some(_), Some(_)) = (word(), word(), word()) else { return Ok(None) };
    if !(0..=6).contains(&depth) {
        return Ok(None);
    }
    let mut lengths = Vec::new();
    for _ in 0..depth {
        let (Some(length), Some(_)) = (word(), word()) else { return Ok(None) };
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        lengths.push(length);
    }
    let mut items: Vec<ArrayRef> = Vec::new();
    while !rest.is_empty() {
        let Some((head, tail)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        match usize::try_from(i32::from_be_bytes(*head)) {
            Err(_) => {
                items.push(nothing(of));
                rest = tail;
            }
            Ok(length) => {
                let Some((item, tail)) = tail.split_at_checked(length) else { return Ok(None) };
                items.push(binary(item, of, at)?);
                rest = tail;
            }
        }
    }
    let count = if lengths.is_empty() {
        Some(0)
    } else {
        lengths.iter().try_fold(1_usize, |all, one| all.checked_mul(*one))
    };
    if count != Some(items.len()) {
        return Ok(None);
    }
    let mut list = together(&items, of)?;
    for length in lengths.iter().skip(1).rev() {
        list = listed(&list, std::iter::repeat_n(*length, list.len() / (*length).max(1)))?;
    }
    let length = list.len();
    listed(&list, [length]).map(Some)
}

/// Items as one column.
pub(super) fn together(items: &[ArrayRef], of: &Type) -> PgWireResult<ArrayRef> {
    if items.is_empty() {
        return Ok(new_empty_array(&kept_as(of)));
    }
    // Numbers have the digits that they need: the widest is for all.
    let widest = |one: &ArrayRef, other: &ArrayRef| match (one.data_type(), other.data_type()) {
        (DataType::Float64, _) | (_, DataType::Float64) => DataType::Float64,
        (DataType::Decimal128(_, a), DataType::Decimal128(_, b)) => DataType::Decimal128(38, (*a).max(*b)),
        (DataType::Decimal256(_, a), DataType::Decimal128(_, b) | DataType::Decimal256(_, b))
        | (DataType::Decimal128(_, a), DataType::Decimal256(_, b)) => DataType::Decimal256(76, (*a).max(*b)),
        (one, _) => one.clone(),
    };
    let mut data_type = items[0].data_type().clone();
    for item in items {
        data_type = widest(&new_empty_array(&data_type), item);
    }
    let safe = CastOptions { safe: false, ..CastOptions::default() };
    let items =
        items.iter().map(|item| cast_with_options(item, &data_type, &safe)).collect::<Result<Vec<_>, _>>();
    let items = items.map_err(|error| wrong("22003", error.to_string()))?;
    let items: Vec<&dyn Array> = items.iter().map(AsRef::as_ref).collect();
    concat(&items).map_err(|error| wrong("22P02", error.to_string()))
}

/// A column of lists of these lengths.
fn listed(items: &ArrayRef, lengths: impl IntoIterator<Item = usize>) -> PgWireResult<ArrayRef> {
    let field = Arc::new(Field::new("item", items.data_type().clone(), true));
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), Arc::clone(items), None);
    list.map(|list| Arc::new(list) as ArrayRef).map_err(|error| wrong("22P02", error.to_string()))
}

fn interval(months: i32, days: i32, micros: i64) -> Option<ArrayRef> {
    let nanos = micros.checked_mul(1000)?;
    Some(Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(months, days, nanos)])))
}

/// A value as text.
pub(super) fn written(text: &str, meant: &Type, at: usize) -> PgWireResult<ArrayRef> {
    if let Some(of) = items_of(meant) {
        return super::lists::read(text)
            .ok_or_else(|| unread(at, meant))
            .and_then(|items| written_list(&items, &of, at));
    }
    let column: ArrayRef = Arc::new(StringArray::from(vec![text.trim()]));
    let as_it_is = || Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let read = match *meant {
        Type::BOOL => match text.trim().to_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => {
                Some(Arc::new(BooleanArray::from(vec![true])) as ArrayRef)
            }
            "f" | "false" | "n" | "no" | "off" | "0" => {
                Some(Arc::new(BooleanArray::from(vec![false])) as ArrayRef)
            }
            _ => None,
        },
        Type::NUMERIC => number(text.trim()),
        Type::BYTEA => {
            bytes(text).map(|bytes| Arc::new(BinaryArray::from(vec![bytes.as_slice()])) as ArrayRef)
        }
        Type::INTERVAL => super::numbers::interval_words(text)
            .and_then(|(months, days, micros)| interval(months, days, micros)),
        _ => match kept_as(meant) {
            DataType::Utf8 => Some(as_it_is()),
            plain => {
                let safe = CastOptions { safe: false, ..CastOptions::default() };
                cast_with_options(&column, &plain, &safe).ok()
            }
        },
    };
    read.ok_or_else(|| unread(at, meant))
}

fn written_list(items: &[super::lists::Item], of: &Type, at: usize) -> PgWireResult<ArrayRef> {
    use super::lists::Item;
    let nested = items.iter().any(|item| matches!(item, Item::List(_)));
    let read = |item: &Item| match item {
        Item::Null if nested => Err(unread(at, of)),
        Item::Null => Ok(nothing(of)),
        Item::Text(_) if nested => Err(unread(at, of)),
        Item::Text(text) => written(text, of, at),
        Item::List(items) => written_list(items, of, at),
    };
    let items = items.iter().map(read).collect::<PgWireResult<Vec<_>>>()?;
    let list = together(&items, of)?;
    let length = list.len();
    listed(&list, [length])
}

/// Bytes as PostgreSQL writes them: `\x00ff`, or with `\000` for what is no letter.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x") {
        let digits = digits.as_bytes();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        return (digits.len() % 2 == 0).then(|| digits.chunks(2).map(pair).collect()).flatten();
    }
    let (mut read, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            read.push(*first);
        } else if let Some(tail) = rest.strip_prefix(b"\\") {
            read.push(b'\\');
            rest = tail;
        } else {
            let (digits, tail) = rest.split_at_checked(3)?;
            read.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?);
            rest = tail;
        }
    }
    Some(read)
}

/// The types of a statement's places: those that they have, those that they are cast to, or lists where one is compared with any of them.
pub(super) fn types_of(sql: &str, places: &Schema) -> Vec<Type> {
    if places.fields().is_empty() {
        return Vec::new();
    }
    let (cast, lists) = (PgCatalog::places(sql).0, super::lists::asked(sql));
    let type_of = |(at, field): (usize, &arrow::datatypes::FieldRef)| match cast.get(at) {
        _ if *field.data_type() != DataType::Utf8 => {
            arrow_pg::datatypes::into_pg_type(field.data_type()).unwrap_or(Type::TEXT)
        }
        Some(name) if !name.is_empty() => type_named(name),
        _ if lists.contains(&at) => Type::TEXT_ARRAY,
        _ => Type::TEXT,
    };
    places.fields().iter().enumerate().map(type_of).collect()
}

/// A type by its name in SQL; a text, if it is another.
pub(super) fn type_named(name: &str) -> Type {
    // How many digits there are is said of a value, and not of the type that it is sent as.
    let plain = match (name.find('('), name.find(')')) {
        (Some(from), Some(to)) if from < to => format!("{}{}", name[..from].trim_end(), &name[to + 1..]),
        _ => name.to_owned(),
    };
    match plain.as_str() {
        "oid" => Type::OID,
        "oid[]" => Type::OID_ARRAY,
        "smallint" | "int2" => Type::INT2,
        "int" | "integer" | "int4" => Type::INT4,
        "int[]" | "integer[]" | "int4[]" => Type::INT4_ARRAY,
        "bigint" | "int8" => Type::INT8,
        "bigint[]" | "int8[]" => Type::INT8_ARRAY,
        "boolean" | "bool" => Type::BOOL,
        "text[]" | "varchar[]" | "name[]" => Type::TEXT_ARRAY,
        "real" | "float4" => Type::FLOAT4,
        "double precision" | "double" | "float8" => Type::FLOAT8,
        "double precision[]" | "float8[]" => Type::FLOAT8_ARRAY,
        "numeric" | "decimal" => Type::NUMERIC,
        "numeric[]" | "decimal[]" => Type::NUMERIC_ARRAY,
        "boolean[]" | "bool[]" => Type::BOOL_ARRAY,
        "date" => Type::DATE,
        "date[]" => Type::DATE_ARRAY,
        "time" | "time without time zone" => Type::TIME,
        "timestamp" | "timestamp without time zone" => Type::TIMESTAMP,
        "timestamp[]" => Type::TIMESTAMP_ARRAY,
        "timestamptz" | "timestamp with time zone" => Type::TIMESTAMPTZ,
        "timestamptz[]" => Type::TIMESTAMPTZ_ARRAY,
        "interval" => Type::INTERVAL,
        "uuid" => Type::UUID,
        "bytea" => Type::BYTEA,
        _ => Type::TEXT,
    }
}

/// A list of items of a type that the lake has; of texts, if PostgreSQL has no other.
pub(super) fn list_of(items: &DataType) -> Type {
    match arrow_pg::datatypes::into_pg_type(items).unwrap_or(Type::TEXT) {
        Type::BOOL => Type::BOOL_ARRAY,
        Type::INT2 => Type::INT2_ARRAY,
        Type::INT4 => Type::INT4_ARRAY,
        Type::INT8 => Type::INT8_ARRAY,
        Type::FLOAT4 => Type::FLOAT4_ARRAY,
        Type::FLOAT8 => Type::FLOAT8_ARRAY,
        Type::NUMERIC => Type::NUMERIC_ARRAY,
        Type::DATE => Type::DATE_ARRAY,
        Type::TIMESTAMP => Type::TIMESTAMP_ARRAY,
        Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
        _ => Type::TEXT_ARRAY,
    }
}

#[cfg(test)]
mod tests {
    use arrow::util::display::array_value_to_string;

    use super::*;

    fn shown(read: PgWireResult<ArrayRef>) -> String {
        let column = read.unwrap();
        assert_eq!(column.len(), 1);
        array_value_to_string(&column, 0).unwrap()
    }

    #[test]
    fn values_of_every_type_are_read_in_both_forms() {
        let micros = (86_400_000_000_i64 + 1).to_be_bytes();
        let uuid = [0_u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let span: Vec<u8> =
            [&3_000_000_i64.to_be_bytes()[..], &2_i32.to_be_bytes(), &14_i32.to_be_bytes()].concat();
        for (meant, text, bytes, as_shown) in [
            (Type::BOOL, "t", &[1_u8][..], "true"),
            (Type::INT4, "-7", &(-7_i32).to_be_bytes(), "-7"),
            (Type::DATE, "2000-01-02", &1_i32.to_be_bytes(), "2000-01-02"),
            (Type::TIME, "00:00:03", &3_000_000_i64.to_be_bytes(), "00:00:03"),
            (Type::TIMESTAMP, "2000-01-02 00:00:00.000001", &micros, "2000-01-02T00:00:00.000001"),
            (Type::TIMESTAMPTZ, "2000-01-02 02:00:00.000001+02", &micros, "2000-01-02T00:00:00.000001Z"),
            (
                Type::UUID,
                "00010203-0405-0607-0809-0a0b0c0d0e0f",
                &uuid,
                "00010203-0405-0607-0809-0a0b0c0d0e0f",
            ),
            (Type::BYTEA, "\\x00ff", &[0, 255], "00ff"),
            (Type::JSONB, "{}", &[1, b'{', b'}'], "{}"),
            (Type::INTERVAL, "1 year 2 mons 2 days 00:00:03", &span, "14 mons 2 days 3.000000000 secs"),
        ] {
            assert_eq!(shown(written(text, &meant, 0)), as_shown, "{meant}");
            assert_eq!(shown(binary(bytes, &meant, 0)), as_shown, "{meant}");
        }
        assert!(binary(&[1, 2, 3], &Type::INT4, 0).is_err());
        assert!(binary(b"12:00", &Type::TIME, 0).is_err());
        assert!(written("x", &Type::INT4, 0).is_err());
        assert!(binary(&[1], &Type::INET, 0).is_err());
    }

    #[test]
    fn types_go_by_their_names_whatever_their_measures() {
        assert_eq!(type_named("numeric(10,2)"), Type::NUMERIC);
        assert_eq!(type_named("timestamp(3) with time zone"), Type::TIMESTAMPTZ);
        assert_eq!(type_named("varchar(10)"), Type::TEXT);
        assert_eq!(list_of(&DataType::Int64), Type::INT8_ARRAY);
    }

    #[test]
    fn lists_are_read_in_both_forms() {
        let words = |words: &[i32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        let ones = words(&[1, 1, 23, 2, 1, 4, 7, -1]);
        assert_eq!(shown(binary(&ones, &Type::INT4_ARRAY, 0)), "[7, ]");
        assert_eq!(shown(written("{7,NULL}", &Type::INT4_ARRAY, 0)), "[7, ]");
        let deep = words(&[2, 0, 23, 2, 1, 1, 1, 4, 7, 4, 8]);
        assert_eq!(shown(binary(&deep, &Type::INT4_ARRAY, 0)), "[[7], [8]]");
        assert_eq!(shown(written("{{7},{8}}", &Type::INT4_ARRAY, 0)), "[[7], [8]]");
        assert_eq!(shown(binary(&words(&[0, 0, 23]), &Type::INT4_ARRAY, 0)), "[]");
        assert_eq!(shown(written("{1.5,20.25}", &Type::NUMERIC_ARRAY, 0)), "[1.50, 20.25]");
        assert_eq!(shown(written(r#"{"a,b",c}"#, &Type::TEXT_ARRAY, 0)), "[a,b, c]");
        for broken in [&words(&[1, 0, 23])[..], &words(&[1, 0, 23, 2, 1, 4, 7]), &words(&[9, 0, 23]), &[1, 2]]
        {
            assert!(binary(broken, &Type::INT4_ARRAY, 0).is_err());
        }
    }
}
