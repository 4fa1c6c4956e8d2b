//! What becomes of a value that does not fit its column?
//!
//! It is null there, and [`Misfits`] keeps the original under the column's name, to be put into
//! `_rescued_data`. A value fits if the column's type holds all of it: `1.0` does not fit an integer, nor
//! 12.345 a decimal with two places.
//!
//! Typing is columnar: one loop per column, chosen once by its type.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanArray, BooleanBuilder, PrimitiveBuilder,
    RecordBatch, StringArray, StringBuilder, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Schema, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::nested;
use super::read::literal::{self, Spelling};
use super::read::moment;

/// Values of one batch that did not fit, or had no column.
#[derive(Debug, Default)]
pub(crate) struct Misfits {
    values: Vec<Misfit>,
}

/// A value that found no place.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) row: usize,
    /// The column, or `column.member` within it.
    pub(crate) column: Arc<str>,
    /// The value as JSON.
    pub(crate) json: String,
    /// Whether it is the column that the table lacks, not the type that it does not fit.
    pub(crate) is_extra: bool,
}

impl Misfits {
    /// Keeps a text that does not fit its column.
    pub(crate) fn keep_text(&mut self, row: usize, column: &Arc<str>, text: &str) {
        self.keep_json(row, column, json_text(text));
    }

    /// Keeps a value that does not fit its column and is JSON already.
    pub(crate) fn keep_json(&mut self, row: usize, column: &Arc<str>, json: String) {
        self.keep(Misfit { row, column: Arc::clone(column), json, is_extra: false });
    }

    /// Keeps a text that has no column.
    pub(crate) fn extra_text(&mut self, row: usize, column: &Arc<str>, text: &str) {
        self.extra_json(row, column, json_text(text));
    }

    /// Keeps a value that has no column and is JSON already.
    pub(crate) fn extra_json(&mut self, row: usize, column: &Arc<str>, json: String) {
        self.keep(Misfit { row, column: Arc::clone(column), json, is_extra: true });
    }

    pub(crate) fn keep(&mut self, misfit: Misfit) {
        self.values.push(misfit);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values by row; within a row as they were kept.
    pub(crate) fn into_values(mut self) -> Vec<Misfit> {
        self.values.sort_by_key(|misfit| misfit.row);
        self.values
    }

    /// Returns the column `_rescued_data` of a batch with `rows` rows of the file at `path`, and in how many it is not
    /// null. Behind the values stands the file they are from, as `_file_path`.
    pub(crate) fn finish(self, rows: usize, path: &str) -> (StringArray, u64) {
        if self.values.is_empty() {
            return (StringArray::new_null(rows), 0);
        }
        let values = self.into_values();
        let origin = format!(",\"_file_path\":{}}}", json_text(path));
        let mut column = StringBuilder::new();
        let mut rescued = 0;
        let mut object = String::new();
        for values in values.chunk_by(|one, next| one.row == next.row) {
            column.append_nulls(values[0].row - column_len(&column));
            object.clear();
            for value in values {
                object.push(if object.is_empty() { '{' } else { ',' });
                object.push_str(&json_text(&value.column));
                object.push(':');
                object.push_str(&value.json);
            }
            object.push_str(&origin);
            column.append_value(&object);
            rescued += 1;
        }
        column.append_nulls(rows - column_len(&column));
        (column.finish(), rescued)
    }
}

fn column_len(column: &StringBuilder) -> usize {
    arrow::array::ArrayBuilder::len(column)
}

/// A text as a JSON string.
pub(crate) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Types a column of texts. `misfit` is told the row and the text of each that does not fit, which is null in the
/// column. Spaces around a value do not count, except in a varchar or binary column.
///
/// # Errors
/// Only for a `data_type` that no text can be cast to.
pub(crate) fn fit_texts<'a>(
    data_type: &DataType,
    spelling: Spelling,
    cells: impl ExactSizeIterator<Item = Option<&'a str>>,
    mut misfit: impl FnMut(usize, &str),
) -> Result<ArrayRef, ArrowError> {
    let integer = |text: &str| literal::integer(text, spelling);
    let instant = |text: &str| moment::instant(text, spelling.dates);
    Ok(match data_type {
        DataType::Utf8 => {
            let mut column = StringBuilder::with_capacity(cells.len(), cells.len() * 16);
            cells.for_each(|cell| column.append_option(cell));
            Arc::new(column.finish())
        }
        DataType::Binary => {
            let mut column = BinaryBuilder::with_capacity(cells.len(), cells.len() * 16);
            cells.for_each(|cell| column.append_option(cell));
            Arc::new(column.finish())
        }
        DataType::Boolean => {
            let mut column = BooleanBuilder::with_capacity(cells.len());
            for (row, cell) in cells.enumerate() {
                let value = cell.and_then(|text| literal::boolean(text.trim_ascii(), spelling));
                if let (None, Some(text)) = (value, cell) {
                    misfit(row, text);
                }
                column.append_option(value);
            }
            Arc::new(column.finish())
        }
        DataType::Int64 => fit::<Int64Type>(data_type, cells, integer, misfit),
        DataType::Int32 => fit::<Int32Type>(data_type, cells, |text| integer(text)?.try_into().ok(), misfit),
        DataType::Int16 => fit::<Int16Type>(data_type, cells, |text| integer(text)?.try_into().ok(), misfit),
        DataType::Int8 => fit::<Int8Type>(data_type, cells, |text| integer(text)?.try_into().ok(), misfit),
        DataType::Float64 => {
            fit::<Float64Type>(data_type, cells, |text| literal::double(text, spelling), misfit)
        }
        DataType::Float32 => {
            let float = |text: &str| {
                let double = literal::double(text, spelling)?;
                let plain = if spelling.decimal_comma { literal::with_point(text)? } else { text.into() };
                let float = plain.parse::<f32>().ok()?;
                // A whole number keeps all its digits, or does not fit.
                let whole = plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
                let fits = double.is_infinite() == float.is_infinite();
                (fits && (!whole || f64::from(float) == double)).then_some(float)
            };
            fit::<Float32Type>(data_type, cells, float, misfit)
        }
        DataType::Decimal128(precision, scale) => {
            let exact = |text: &str| match spelling.decimal_comma {
                true => literal::decimal(&literal::with_point(text)?, *precision, *scale),
                false => literal::decimal(text, *precision, *scale),
            };
            fit::<Decimal128Type>(data_type, cells, exact, misfit)
        }
        DataType::Date32 => {
            fit::<Date32Type>(data_type, cells, |text| moment::date(text, spelling.dates), misfit)
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            let wall = |text: &str| instant(text)?.without_zone(spelling);
            fit::<TimestampMicrosecondType>(data_type, cells, wall, misfit)
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let utc = |text: &str| instant(text)?.in_utc(spelling);
            fit::<TimestampMicrosecondType>(data_type, cells, utc, misfit)
        }
        DataType::Null => new_null_array(
            data_type,
            cells
                .enumerate()
                .inspect(|(row, cell)| {
                    if let Some(text) = cell {
                        misfit(*row, text);
                    }
                })
                .count(),
        ),
        _ => {
            let texts: StringArray = cells.collect();
            fit_array(data_type, &(Arc::new(texts) as ArrayRef), spelling, &mut |row, _, text| {
                misfit(row, text)
            })?
        }
    })
}

fn fit<'a, T: ArrowPrimitiveType>(
    data_type: &DataType,
    cells: impl ExactSizeIterator<Item = Option<&'a str>>,
    spelled: impl Fn(&str) -> Option<T::Native>,
    mut misfit: impl FnMut(usize, &str),
) -> ArrayRef {
    let mut column = PrimitiveBuilder::<T>::with_capacity(cells.len()).with_data_type(data_type.clone());
    for (row, cell) in cells.enumerate() {
        match cell {
            None => column.append_null(),
            Some(text) => match spelled(text.trim_ascii()) {
                Some(value) => column.append_value(value),
                None => {
                    misfit(row, text);
                    column.append_null();
                }
            },
        }
    }
    Arc::new(column.finish())
}

/// Casts a typed column. `misfit` is told the row, the place within the value (empty, or `.member`) and the text of each
/// value that the cast would change, which is null in the result.
///
/// # Errors
/// If a value cannot even be shown as text.
pub(crate) fn fit_array(
    data_type: &DataType,
    column: &ArrayRef,
    spelling: Spelling,
    misfit: &mut dyn FnMut(usize, &str, &str),
) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == data_type {
        return Ok(Arc::clone(column));
    }
    if let Some(parts) = nested::fit(data_type, column, spelling, misfit) {
        return parts;
    }
    if column.data_type().is_null() && !data_type.is_null() {
        return Ok(arrow::array::new_null_array(data_type, column.len()));
    }
    // The engine would take a number for days or microseconds since 1970, and an instant for a number.
    let (from, to) = (column.data_type(), data_type);
    if from.is_numeric() && to.is_temporal() || from.is_temporal() && to.is_numeric() {
        fit_array(&DataType::Null, column, Spelling::STRICT, misfit)?;
        return Ok(arrow::array::new_null_array(data_type, column.len()));
    }
    let texts = matches!(column.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let known = matches!(
        data_type,
        DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal128(..)
            | DataType::Date32
            | DataType::Timestamp(TimeUnit::Microsecond, _)
    );
    if texts && known {
        let texts = arrow::compute::cast(column, &DataType::Utf8)?;
        let texts = arrow::array::AsArray::as_string::<i32>(&texts);
        return fit_texts(data_type, spelling, texts.iter(), |row, text| misfit(row, "", text));
    }
    if *data_type == DataType::Utf8 && column.data_type().is_nested() {
        return as_json(column);
    }
    let safely = CastOptions { safe: true, ..CastOptions::default() };
    let cast = cast_with_options(column, data_type, &safely)
        .unwrap_or_else(|_| new_null_array(data_type, column.len()));
    // What comes back the same was held wholly. As text everything is, if it is there.
    let back = match data_type {
        DataType::Utf8 => None,
        _ => cast_with_options(&cast, column.data_type(), &safely).ok(),
    };
    if back.as_ref().is_some_and(|back| back.as_ref() == column.as_ref()) {
        return Ok(cast);
    }
    let nested = if column.data_type().is_nested() { Some(as_json(column)?) } else { None };
    let shown = nested.as_ref().unwrap_or(column);
    let shown = ArrayFormatter::try_new(shown, &FormatOptions::default())?;
    let mut lost = Vec::with_capacity(column.len());
    for row in 0..column.len() {
        let same = match &back {
            Some(back) => back.slice(row, 1).as_ref() == column.slice(row, 1).as_ref(),
            None => column.is_null(row) || *data_type == DataType::Utf8 && cast.is_valid(row),
        };
        if !same {
            misfit(row, "", &shown.value(row).try_to_string()?);
        }
        lost.push(!same);
    }
    arrow::compute::nullif(&cast, &BooleanArray::from(lost))
}

/// A column of structs, lists or maps as JSON texts; as plain texts where JSON cannot say it.
fn as_json(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let mut texts = StringBuilder::new();
    let field = Field::new("v", column.data_type().clone(), true);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::clone(column)])?;
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    let written = writer.write(&batch).and_then(|()| writer.finish()).is_ok();
    match String::from_utf8(writer.into_inner()) {
        Ok(lines) if written => {
            for (row, line) in lines.lines().enumerate() {
                let value = line.strip_prefix("{\"v\":").and_then(|line| line.strip_suffix('}'));
                texts.append_option(value.filter(|_| column.is_valid(row)));
            }
        }
        _ => {
            // A map whose keys are no texts, for example.
            let shown = ArrayFormatter::try_new(column, &FormatOptions::default())?;
            for row in 0..column.len() {
                let text = if column.is_valid(row) { Some(shown.value(row).try_to_string()?) } else { None };
                texts.append_option(text);
            }
        }
    }
    Ok(Arc::new(texts.finish()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, TimestampNanosecondArray};

    use super::*;

    fn fitted(data_type: &DataType, spelling: Spelling, cells: &[Option<&str>]) -> (String, Vec<String>) {
        let mut misfits = Vec::new();
        let column = fit_texts(data_type, spelling, cells.iter().copied(), |row, text| {
            misfits.push(format!("{row}:{text}"))
        });
        (shown(&column.unwrap()), misfits)
    }

    fn shown(column: &ArrayRef) -> String {
        let shown = ArrayFormatter::try_new(column, &FormatOptions::default().with_null("-")).unwrap();
        (0..column.len()).map(|row| shown.value(row).to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_text_becomes_the_type_or_is_kept() {
        const STRICT: Spelling = Spelling::STRICT;
        const FREE: Spelling = Spelling::FREE;
        let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (data_type, spelling, cells, column, misfits) in [
            (DataType::Int64, STRICT, vec![" 7 ", "1.0", "007"], "7 - -", vec!["1:1.0", "2:007"]),
            (DataType::Int64, FREE, vec!["007", "+7", "x"], "7 7 -", vec!["2:x"]),
            (DataType::Int16, FREE, vec!["32767", "32768"], "32767 -", vec!["1:32768"]),
            (DataType::Float64, STRICT, vec!["1.5", "NaN"], "1.5 -", vec!["1:NaN"]),
            (DataType::Float64, FREE, vec!["NaN"], "NaN", vec![]),
            (DataType::Float32, FREE, vec!["1.5", "1e300", "inf"], "1.5 - inf", vec!["1:1e300"]),
            (
                DataType::Float32,
                FREE,
                vec!["0.1", "16777216", "-16777217"],
                "0.1 16777216.0 -",
                vec!["2:-16777217"],
            ),
            (DataType::Boolean, STRICT, vec!["TRUE", "t"], "true -", vec!["1:t"]),
            (DataType::Boolean, FREE, vec!["yes", "0"], "true false", vec![]),
            (
                DataType::Decimal128(5, 2),
                FREE,
                vec!["12.3", "12.345", "1234.5"],
                "12.30 - -",
                vec!["1:12.345", "2:1234.5"],
            ),
            (
                DataType::Date32,
                STRICT,
                vec!["2013-01-31", "2013-02-30"],
                "2013-01-31 -",
                vec!["1:2013-02-30"],
            ),
            (
                micros(None),
                STRICT,
                vec!["2013-01-01", "2013-01-01 10:00Z"],
                "2013-01-01T00:00:00 -",
                vec!["1:2013-01-01 10:00Z"],
            ),
            (
                micros(Some("UTC")),
                STRICT,
                vec!["2013-01-01T10:00:00+01:00", "2013-01-01 10:00"],
                "2013-01-01T09:00:00Z -",
                vec!["1:2013-01-01 10:00"],
            ),
            (DataType::Utf8, STRICT, vec![" 7 "], " 7 ", vec![]),
            (DataType::UInt8, STRICT, vec!["7", "-7"], "7 -", vec!["1:-7"]),
            (
                DataType::Time64(TimeUnit::Microsecond),
                STRICT,
                vec!["10:00:00", "x"],
                "10:00:00 -",
                vec!["1:x"],
            ),
        ] {
            let cells: Vec<Option<&str>> = cells.into_iter().map(Some).collect();
            let misfits = misfits.into_iter().map(str::to_owned).collect();
            assert_eq!(
                fitted(&data_type, spelling, &cells),
                (column.to_owned(), misfits),
                "{data_type} {cells:?}"
            );
        }
    }

    #[test]
    fn a_cast_that_changes_a_value_is_no_fit() {
        let nanos = TimestampNanosecondArray::from(vec![Some(1_000), Some(1_001), None]);
        for (column, data_type, fits, misfits) in [
            (
                Arc::new(Float64Array::from(vec![1.0, 1.5, f64::NAN])) as ArrayRef,
                DataType::Int64,
                "1 - -",
                vec!["1:1.5", "2:NaN"],
            ),
            (
                Arc::new(Int64Array::from(vec![1, (1 << 53) + 1])),
                DataType::Float64,
                "1.0 -",
                vec!["1:9007199254740993"],
            ),
            (Arc::new(Int64Array::from(vec![1, 300])), DataType::Int8, "1 -", vec!["1:300"]),
            (Arc::new(Int64Array::from(vec![1, 2])), DataType::Utf8, "1 2", vec![]),
            (Arc::new(StringArray::from(vec!["1", "1.0"])), DataType::Int64, "1 -", vec!["1:1.0"]),
            (
                Arc::new(nanos),
                DataType::Timestamp(TimeUnit::Microsecond, None),
                "1970-01-01T00:00:00.000001 - -",
                vec!["1:1970-01-01T00:00:00.000001001"],
            ),
        ] {
            let mut told = Vec::new();
            let fitted = fit_array(&data_type, &column, Spelling::STRICT, &mut |row, _, text| {
                told.push(format!("{row}:{text}"))
            });
            assert_eq!(
                (shown(&fitted.unwrap()).as_str(), told),
                (fits, misfits.into_iter().map(str::to_owned).collect())
            );
        }
    }

    #[test]
    fn rescued_data_is_one_object_for_each_row_that_needs_one() {
        let mut misfits = Misfits::default();
        misfits.keep_text(3, &"b".into(), "x\"y");
        misfits.keep_text(1, &"a".into(), "1.0");
        misfits.keep_json(3, &"c".into(), "[1]".to_owned());
        let (column, rescued) = misfits.finish(5, "f");
        assert_eq!(rescued, 2);
        let cells: Vec<_> = column.iter().collect();
        assert_eq!(
            cells,
            [
                None,
                Some(r#"{"a":"1.0","_file_path":"f"}"#),
                None,
                Some(r#"{"b":"x\"y","c":[1],"_file_path":"f"}"#),
                None
            ]
        );
    }
}
