//! Which instant does a text mean, if one says how it is written?
//!
//! `strptime('05/01/2024 10:11', '%d/%m/%Y %H:%M')`, with one format or with several, of which the first that fits counts.
//! What a format leaves out is the beginning: January, the first, midnight. `%f` are the digits of a fraction, `%g`
//! milliseconds, `%n` nanoseconds, as in DuckDB.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{NaiveDate, NaiveDateTime};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// `strptime` and `try_strptime`
pub(super) fn functions() -> Vec<ScalarUDF> {
    let of = |is_try| Strptime { is_try, signature: Signature::user_defined(Volatility::Immutable) };
    vec![ScalarUDF::from(of(false)), ScalarUDF::from(of(true))]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Strptime {
    is_try: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Strptime {
    fn name(&self) -> &str {
        if self.is_try { "try_strptime" } else { "strptime" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let texts = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        match types {
            [_, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)] => {
                Ok(vec![DataType::Utf8, texts])
            }
            [_, _] => Ok(vec![DataType::Utf8; 2]),
            _ => datafusion::common::plan_err!("`{}` has a text and a format", self.name()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, None))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let texts = cast(&args.args[0].clone().into_array(rows)?, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        let formats = args.args[1].clone().into_array(rows)?;
        // Formats are mostly the same in all rows.
        let mut known: (Vec<String>, Vec<Vec<Item<'static>>>) = (Vec::new(), Vec::new());
        let mut read = TimestampMicrosecondBuilder::with_capacity(rows);
        for row in 0..rows {
            let of_row = formats_of(&formats, row)?;
            if texts.is_null(row) || of_row.is_empty() {
                read.append_null();
                continue;
            }
            if known.0 != of_row {
                let items = of_row.iter().map(|format| items(format)).collect::<Result<Vec<_>>>()?;
                known = (of_row, items);
            }
            let text = texts.value(row);
            match known.1.iter().find_map(|items| instant(text, items)) {
                Some(at) => read.append_value(at.and_utc().timestamp_micros()),
                None if self.is_try => read.append_null(),
                None => return exec_err!("'{text}' is not written as '{}' says", known.0.join("' or '")),
            }
        }
        let read: ArrayRef = Arc::new(read.finish());
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&read, 0)?),
            false => ColumnarValue::Array(read),
        })
    }
}

fn formats_of(formats: &ArrayRef, row: usize) -> Result<Vec<String>> {
    if formats.is_null(row) {
        return Ok(Vec::new());
    }
    let texts = match formats.data_type() {
        DataType::List(_) => formats.as_list::<i32>().value(row),
        _ => formats.slice(row, 1),
    };
    let texts = cast(&texts, &DataType::Utf8)?;
    Ok(texts.as_string::<i32>().iter().flatten().map(str::to_owned).collect())
}

/// A format in chrono's words.
pub(super) fn items(format: &str) -> Result<Vec<Item<'static>>> {
    let mut told = String::with_capacity(format.len());
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            told.push(c);
            continue;
        }
        match chars.next() {
            // Behind a point, a fraction has as many digits as there are.
            Some('f' | 'g' | 'n') if told.ends_with('.') => {
                told.pop();
                told.push_str("%.f");
            }
            Some('f') => told.push_str("%6f"),
            Some('g') => told.push_str("%3f"),
            Some('n') => told.push_str("%9f"),
            Some(other) => told.extend(['%', other]),
            None => told.push('%'),
        }
    }
    match StrftimeItems::new(&told).parse_to_owned() {
        Ok(items) => Ok(items),
        Err(_) => exec_err!("'{format}' is no format of a time; write it as '%Y-%m-%d %H:%M:%S'"),
    }
}

pub(super) fn instant(text: &str, items: &[Item<'_>]) -> Option<NaiveDateTime> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text.trim(), items.iter()).ok()?;
    if parsed.timestamp().is_some() {
        return parsed.to_naive_datetime_with_offset(0).ok();
    }
    let date = match parsed.to_naive_date() {
        Ok(date) => date,
        Err(_) => from_the_beginning(&parsed)?,
    };
    let time = match parsed.to_naive_time() {
        Ok(time) => time,
        Err(_) => {
            match (parsed.hour_div_12(), parsed.hour_mod_12()) {
                (None, None) => parsed.set_hour(0).ok()?,
                (None, Some(_)) => parsed.set_ampm(false).ok()?,
                _ => {}
            }
            if parsed.minute().is_none() {
                parsed.set_minute(0).ok()?;
            }
            parsed.to_naive_time().ok()?
        }
    };
    let wall = date.and_time(time);
    match parsed.offset() {
        Some(seconds) => wall.checked_sub_signed(chrono::TimeDelta::seconds(seconds.into())),
        None => Some(wall),
    }
}

/// The day, where the year, the month or the day is not told.
fn from_the_beginning(parsed: &Parsed) -> Option<NaiveDate> {
    let mut parsed = parsed.clone();
    let has_year = parsed.year().is_some() || parsed.year_mod_100().is_some() || parsed.isoyear().is_some();
    if !has_year {
        parsed.set_year(1900).ok()?;
    }
    if let Ok(date) = parsed.to_naive_date() {
        return Some(date);
    }
    if parsed.month().is_none() {
        parsed.set_month(1).ok()?;
    }
    if parsed.day().is_none() {
        parsed.set_day(1).ok()?;
    }
    parsed.to_naive_date().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_is_the_beginning() {
        for (text, format, wanted) in [
            ("2024-01-05T10:11:12.5", "%Y-%m-%dT%H:%M:%S.%f", "2024-01-05 10:11:12.500"),
            ("05/01/2024", "%d/%m/%Y", "2024-01-05 00:00:00"),
            ("2024-03", "%Y-%m", "2024-03-01 00:00:00"),
            ("10 PM", "%I %p", "1900-01-01 22:00:00"),
            ("10:11", "%H:%M", "1900-01-01 10:11:00"),
            ("10", "%H", "1900-01-01 10:00:00"),
            ("5 Feb 24", "%d %b %y", "2024-02-05 00:00:00"),
            ("2024-01-05 10:00:00+0200", "%Y-%m-%d %H:%M:%S%z", "2024-01-05 08:00:00"),
            ("2024 100", "%Y %j", "2024-04-09 00:00:00"),
        ] {
            let read = instant(text, &items(format).unwrap())
                .map(|at| at.format("%Y-%m-%d %H:%M:%S%.f").to_string());
            assert_eq!(read.as_deref(), Some(wanted), "{text} by {format}");
        }
        assert_eq!(instant("2024-13-05", &items("%Y-%m-%d").unwrap()), None);
        assert!(items("%Q!").is_err());
    }
}
