//! Which functions write and read by a pattern?
//!
//! `date_format(t, p)` and `from_unixtime(n, p)` in Java's words, `to_char(t, p)` in those of Postgres, numbers too; `to_date(s, p)`
//! and `to_timestamp(s, p)` in Java's, with `try_…` for null where a text is written otherwise.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, StringBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, TimeUnit};
use arrow::util::display::FormatOptions;
use chrono::format::Item;
use chrono::{DateTime, NaiveDateTime};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::super::strptime;
use super::super::zones::wall_clocks;
use super::numbers::Pattern;
use super::{Part, Words, parts_of, put, reading, words_of};

/// All of them.
pub(in crate::query::mend) fn functions() -> Vec<ScalarUDF> {
    let signature = || Signature::user_defined(Volatility::Immutable);
    let writes = [("_elt_date_format", Words::Java), ("_elt_to_char", Words::Postgres)];
    let writes = writes.map(|(name, usual)| ScalarUDF::from(Write { name, usual, signature: signature() }));
    let reads = [
        ("_elt_to_date", true, false),
        ("_elt_to_timestamp", false, false),
        ("_elt_try_to_date", true, true),
        ("_elt_try_to_timestamp", false, true),
    ];
    let reads = reads.map(|(name, is_date, is_try)| {
        ScalarUDF::from(Read { name, is_date, is_try, signature: signature() })
    });
    writes.into_iter().chain(reads).collect()
}

const MOMENT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

fn told(name: &str) -> &str {
    name.trim_start_matches("_elt_")
}

/// A moment, or a number, as a text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Write {
    name: &'static str,
    usual: Words,
    signature: Signature,
}

/// What a pattern of a row says, once for all rows that have it.
enum Way {
    Parts(Vec<Part>),
    Strftime(Vec<Item<'static>>),
}

impl Way {
    fn of(pattern: &str, usual: Words) -> Result<Self> {
        Ok(match words_of(pattern, usual) {
            Words::Strftime => Self::Strftime(strptime::items(pattern)?),
            words => Self::Parts(parts_of(pattern, words)?),
        })
    }

    fn put(&self, at: &NaiveDateTime, written: &mut String) {
        use std::fmt::Write as _;
        match self {
            Self::Parts(parts) => put(parts, at, written),
            Self::Strftime(items) => {
                // A zone can be asked for, so there is one.
                let _ = write!(written, "{}", at.and_utc().format_with_items(items.iter()));
            }
        }
    }
}

impl ScalarUDFImpl for Write {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [of, _] = types else { return plan_err!("`{}` has a value and a pattern", told(self.name)) };
        let of = match of {
            // An instant is written as the clock of its zone shows it.
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            DataType::Date32 | DataType::Date64 | DataType::Null => MOMENT,
            DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
            text if text.is_string() => MOMENT,
            number if number.is_numeric() && self.usual == Words::Postgres => number.clone(),
            other => {
                return plan_err!(
                    "`{}` writes a date or a time, and this is {}; cast it: `x::timestamp`",
                    told(self.name),
                    crate::base::sql_type_name(other)
                );
            }
        };
        Ok(vec![of, DataType::Utf8])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        over_rows(&args.args, args.number_rows, |values, patterns| match values.data_type() {
            DataType::Timestamp(..) => self.moments(&wall_clocks(values)?, patterns),
            DataType::Time64(_) => {
                let micros = cast(values, &DataType::Int64)?;
                self.moments(&wall_clocks(&cast(&micros, &MOMENT)?)?, patterns)
            }
            _ => numbers(values, patterns),
        })
    }
}

impl Write {
    fn moments(&self, moments: &TimestampMicrosecondArray, patterns: &ArrayRef) -> Result<ArrayRef> {
        let patterns = patterns.as_string::<i32>();
        let mut known: Option<(&str, Way)> = None;
        let mut all = StringBuilder::new();
        for row in 0..moments.len() {
            if moments.is_null(row) || patterns.is_null(row) {
                all.append_null();
                continue;
            }
            let pattern = patterns.value(row);
            let way = match known.take() {
                Some((last, way)) if last == pattern => way,
                _ => Way::of(pattern, self.usual)?,
            };
            let Some(at) = DateTime::from_timestamp_micros(moments.value(row)) else {
                return exec_err!("a moment is too far away to be written");
            };
            let mut written = String::new();
            way.put(&at.naive_utc(), &mut written);
            all.append_value(&written);
            known = Some((pattern, way));
        }
        Ok(Arc::new(all.finish()))
    }
}

fn numbers(values: &ArrayRef, patterns: &ArrayRef) -> Result<ArrayRef> {
    let patterns = patterns.as_string::<i32>();
    let strict = CastOptions { safe: false, format_options: FormatOptions::default() };
    let mut all = StringBuilder::new();
    for row in 0..values.len() {
        if values.is_null(row) || patterns.is_null(row) {
            all.append_null();
            continue;
        }
        let pattern = Pattern::read(patterns.value(row))?;
        let scale = i8::try_from(pattern.fraction).unwrap_or(i8::MAX);
        let exact = DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale);
        let number = cast_with_options(&values.slice(row, 1), &exact, &strict)?;
        all.append_value(pattern.put(number.as_primitive::<Decimal128Type>().value(0)));
    }
    Ok(Arc::new(all.finish()))
}

/// A text as a date or a moment.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Read {
    name: &'static str,
    is_date: bool,
    is_try: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Read {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, _] => Ok(vec![DataType::Utf8; 2]),
            _ => plan_err!("`{}` has a text and a pattern", told(self.name)),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.is_date { DataType::Date32 } else { MOMENT })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        over_rows(&args.args, args.number_rows, |texts, patterns| {
            let (texts, patterns) = (texts.as_string::<i32>(), patterns.as_string::<i32>());
            let mut known: Option<(&str, Vec<Item<'static>>)> = None;
            let mut all = TimestampMicrosecondBuilder::with_capacity(texts.len());
            for row in 0..texts.len() {
                if texts.is_null(row) || patterns.is_null(row) {
                    all.append_null();
                    continue;
                }
                let (text, pattern) = (texts.value(row), patterns.value(row));
                let items = match known.take() {
                    Some((last, items)) if last == pattern => items,
                    _ => match words_of(pattern, Words::Java) {
                        Words::Strftime => strptime::items(pattern)?,
                        words => strptime::items(&reading(pattern, &parts_of(pattern, words)?)?)?,
                    },
                };
                match strptime::instant(text, &items) {
                    Some(at) => all.append_value(at.and_utc().timestamp_micros()),
                    None if self.is_try => all.append_null(),
                    None => return exec_err!("'{text}' is not written as '{pattern}' says"),
                }
                known = Some((pattern, items));
            }
            let all: ArrayRef = Arc::new(all.finish());
            Ok(if self.is_date { cast(&all, &DataType::Date32)? } else { all })
        })
    }
}

/// Works on rows, or on one row where nothing differs from row to row.
fn over_rows(
    args: &[ColumnarValue],
    rows: usize,
    work: impl FnOnce(&ArrayRef, &ArrayRef) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let is_scalar = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if is_scalar { 1 } else { rows };
    let [value, pattern] = args else { return exec_err!("there are a value and a pattern") };
    let answer = work(&value.clone().into_array(rows)?, &pattern.clone().into_array(rows)?)?;
    Ok(match is_scalar {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?),
        false => ColumnarValue::Array(answer),
    })
}
