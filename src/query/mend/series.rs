//! Which values are between two others?
//!
//! `range(a, b, step)` up to the last, `generate_series(a, b, step)` with it, as lists. By months a series goes on from the
//! day that it has come to: the 31st of January, the 29th of February, the 29th of March, as in Postgres and DuckDB. A list
//! that no memory holds is an error; `from range(n)` makes rows as they are wanted.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use chrono::{DateTime, Months};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::trunc::DAY;
use super::zones::{elsewhere, instant, wall_clock};
use crate::base::is_wanted;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
/// How many values the lists of one batch hold: half a GiB.
pub(super) const MOST: usize = 1 << 26;

/// `range` and `generate_series`
pub(super) fn functions() -> Vec<ScalarUDF> {
    let series = |with_last| Series { with_last, signature: Signature::user_defined(Volatility::Immutable) };
    vec![ScalarUDF::from(series(false)), ScalarUDF::from(series(true))]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    with_last: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Series {
    fn name(&self) -> &str {
        if self.with_last { "generate_series" } else { "range" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let is_number = |of: &DataType| of.is_integer() || of.is_null();
        match types {
            [_] | [_, _] | [_, _, _] if types.iter().all(is_number) => Ok(vec![DataType::Int64; types.len()]),
            [from, to, DataType::Interval(_) | DataType::Duration(_)] => {
                let is_date = |of: &DataType| matches!(of, DataType::Date32 | DataType::Null);
                let zone = [from, to].into_iter().find_map(|of| match of {
                    DataType::Timestamp(_, zone) => zone.clone(),
                    _ => None,
                });
                let moment = match is_date(from) && is_date(to) {
                    true => DataType::Date32,
                    false => DataType::Timestamp(TimeUnit::Microsecond, zone),
                };
                Ok(vec![moment.clone(), moment, INTERVAL])
            }
            [DataType::Date32, DataType::Date32] => Ok(vec![DataType::Date32, DataType::Date32]),
            _ => plan_err!(
                "the arguments of `{}` are whole numbers, or two dates or timestamps and an interval",
                self.name()
            ),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(types[0].clone(), true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.iter().map(|arg| arg.clone().into_array(rows)).collect::<Result<Vec<_>>>()?;
        let item = arrays[0].data_type().clone();
        let mut found = Found {
            values: Vec::new(),
            lengths: Vec::with_capacity(rows),
            valid: Vec::with_capacity(rows),
            before: 0,
        };
        for row in 0..rows {
            let is_null = arrays.iter().any(|array| array.is_null(row));
            if !is_null {
                match item {
                    DataType::Int64 => self.numbers(&arrays, row, &mut found)?,
                    _ => self.moments(&arrays, row, &mut found)?,
                }
            }
            found.end(!is_null);
        }
        let values = Int64Array::from(found.values);
        let values: ArrayRef = match &item {
            DataType::Int64 => Arc::new(values),
            DataType::Date32 => {
                let days = values.unary::<_, arrow::datatypes::Int32Type>(|micros| (micros / DAY) as i32);
                cast(&days, &DataType::Date32)?
            }
            moment => {
                Arc::new(values.reinterpret_cast::<TimestampMicrosecondType>().with_data_type(moment.clone()))
            }
        };
        let field = Arc::new(Field::new_list_field(item, true));
        let nulls = NullBuffer::from(found.valid);
        let lists =
            ListArray::try_new(field, OffsetBuffer::from_lengths(found.lengths), values, Some(nulls))?;
        Ok(ColumnarValue::Array(Arc::new(lists)))
    }
}

/// The lists so far.
struct Found {
    values: Vec<i64>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
    /// How many values are in the lists that are ended.
    before: usize,
}

impl Found {
    fn end(&mut self, is_valid: bool) {
        self.lengths.push(self.values.len() - self.before);
        self.before = self.values.len();
        self.valid.push(is_valid);
    }

    fn push(&mut self, value: i64) -> Result<()> {
        if self.values.len() == MOST {
            return too_long(None);
        }
        if self.values.len() % 4096 == 4095 && !is_wanted() {
            return exec_err!("nobody waits for this list any more");
        }
        self.values.push(value);
        Ok(())
    }
}

fn too_long<T>(length: Option<i128>) -> Result<T> {
    match length {
        Some(length) => exec_err!("a list of {length} values is too long"),
        None => exec_err!("a list of more than {MOST} values is too long"),
    }
}

impl Series {
    fn numbers(&self, arrays: &[ArrayRef], row: usize, found: &mut Found) -> Result<()> {
        let number = |at: usize| i128::from(arrays[at].as_primitive::<Int64Type>().value(row));
        let (from, to, step) = match arrays.len() {
            1 => (0, number(0), 1),
            2 => (number(0), number(1), 1),
            _ => (number(0), number(1), number(2)),
        };
        if step == 0 {
            return exec_err!("`{}` cannot go on by steps of 0", self.name());
        }
        let way = if step > 0 { to - from } else { from - to };
        let length = match (way, self.with_last) {
            (way, _) if way < 0 => 0,
            (way, true) => way / step.abs() + 1,
            (way, false) => (way + step.abs() - 1) / step.abs(),
        };
        let fits = usize::try_from(length).is_ok_and(|length| found.values.len() + length <= MOST);
        if !fits {
            return too_long(Some(length));
        }
        let mut value = from;
        for _ in 0..length {
            found.values.push(value as i64); // between two of them
            value += step;
        }
        Ok(())
    }

    fn moments(&self, arrays: &[ArrayRef], row: usize, found: &mut Found) -> Result<()> {
        let moment = |at: usize| match arrays[at].data_type() {
            DataType::Date32 => {
                i64::from(arrays[at].as_primitive::<arrow::datatypes::Date32Type>().value(row)) * DAY
            }
            _ => arrays[at].as_primitive::<TimestampMicrosecondType>().value(row),
        };
        let (mut at, last) = (moment(0), moment(1));
        let step = match arrays.get(2) {
            Some(steps) => steps.as_primitive::<IntervalMonthDayNanoType>().value(row),
            None => IntervalMonthDayNano { months: 0, days: 1, nanoseconds: 0 },
        };
        let is_date = *arrays[0].data_type() == DataType::Date32;
        if is_date && step.nanoseconds != 0 {
            return exec_err!(
                "a series of dates goes on by whole days; begin with a timestamp: `d::timestamp`"
            );
        }
        let zone = elsewhere(arrays[0].data_type())?;
        let moved = |at, by| moved_in(zone, at, by);
        let Some(second) = moved(at, step) else { return exec_err!("the series leads out of the calendar") };
        if second == at {
            return exec_err!("`{}` cannot go on by an interval of 0", self.name());
        }
        let is_up = second > at;
        loop {
            let is_inside = if is_up { at < last } else { at > last };
            if !(is_inside || self.with_last && at == last) {
                return Ok(());
            }
            found.push(at)?;
            match moved(at, step) {
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
    }
}

/// A moment so much later: whole days by the clocks of a time zone.
fn moved_in(zone: Option<Tz>, at: i64, by: IntervalMonthDayNano) -> Option<i64> {
    let Some(zone) = zone else { return moved(at, by) };
    let days = IntervalMonthDayNano { nanoseconds: 0, ..by };
    let there = match (by.months, by.days) {
        (0, 0) => at,
        _ => instant(zone, moved(wall_clock(zone, at)?, days)?)?,
    };
    there.checked_add(by.nanoseconds / 1_000)
}

fn moved(at: i64, by: IntervalMonthDayNano) -> Option<i64> {
    let mut at = at;
    if by.months != 0 {
        let date = DateTime::from_timestamp_micros(at)?;
        let months = Months::new(by.months.unsigned_abs());
        let there =
            if by.months < 0 { date.checked_sub_months(months) } else { date.checked_add_months(months) };
        at = there?.timestamp_micros();
    }
    at.checked_add(i64::from(by.days).checked_mul(DAY)?)?.checked_add(by.nanoseconds / 1_000)
}
