//! How far is it from one day to another, and what day is it then?
//!
//! `_elt_date_diff('month', a, b)` counts how often a month begins after `a` and not after `b`, as DuckDB, Snowflake and
//! dbt's `datediff` do; `_elt_date_sub` counts whole ones, as DuckDB's `date_sub`. `_elt_date_add('month', n, a)` goes on by so many months, to the last day of a shorter one.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int64Array, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::datatypes::{Field, FieldRef};
use chrono::{DateTime, Months};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::trunc::{DAY, Unit};
use super::zones::{elsewhere, instant, wall_clocks};

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let signature = || Signature::any(3, Volatility::Immutable);
    vec![
        ScalarUDF::from(Between { signature: signature() }),
        ScalarUDF::from(GoOn { signature: signature() }),
        ScalarUDF::from(Whole { signature: signature() }),
    ]
}

const PARTS: &str =
    "`year`, `quarter`, `month`, `week`, `day`, `hour`, `minute`, `second`, `millisecond`, `microsecond`";

/// The part that the first argument names.
fn part(given: Option<&ColumnarValue>) -> Result<Unit> {
    let Some(ColumnarValue::Scalar(word)) = given else {
        return exec_err!("the part of time is one for all rows: {PARTS}");
    };
    let word = word.try_as_str().flatten().unwrap_or_default().to_lowercase();
    let word = word.strip_suffix('s').unwrap_or(&word);
    match Unit::parse(word) {
        Some(unit) => Ok(unit),
        None => exec_err!("`{word}` is no part of time; there are {PARTS}"),
    }
}

/// Moments as they are counted by a unit: whole days as clocks show them, less as it goes by.
fn micros(unit: Unit, value: &ColumnarValue, rows: usize) -> Result<TimestampMicrosecondArray> {
    let array = value.clone().into_array(rows)?;
    if unit.is_of_days() {
        return wall_clocks(&array);
    }
    let micros = cast(&array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    Ok(micros.as_primitive::<TimestampMicrosecondType>().clone())
}

/// `_elt_date_diff`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Between {
    signature: Signature,
}

impl ScalarUDFImpl for Between {
    fn name(&self) -> &str {
        "_elt_date_diff"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let unit = part(args.args.first())?;
        let (from, to) =
            (micros(unit, &args.args[1], args.number_rows)?, micros(unit, &args.args[2], args.number_rows)?);
        let pairs = from.iter().zip(to.iter());
        let told: Int64Array = pairs.map(|(from, to)| Some(unit.number(to?) - unit.number(from?))).collect();
        Ok(ColumnarValue::Array(Arc::new(told)))
    }
}

/// `_elt_date_sub`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    signature: Signature,
}

impl ScalarUDFImpl for Whole {
    fn name(&self) -> &str {
        "_elt_date_sub"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let unit = part(args.args.first())?;
        let (from, to) =
            (micros(unit, &args.args[1], args.number_rows)?, micros(unit, &args.args[2], args.number_rows)?);
        let pairs = from.iter().zip(to.iter());
        let told: Int64Array = pairs.map(|(from, to)| Some(unit.whole(from?, to?))).collect();
        Ok(ColumnarValue::Array(Arc::new(told)))
    }
}

/// `_elt_date_add`
#[derive(Debug, PartialEq, Eq, Hash)]
struct GoOn {
    signature: Signature,
}

impl ScalarUDFImpl for GoOn {
    fn name(&self) -> &str {
        "_elt_date_add"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("its type depends on the part of time")
    }

    /// A date stays one, unless it is moved by less than a day.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let word = args.scalar_arguments.first().copied().flatten();
        let unit = part(word.map(|word| ColumnarValue::Scalar(word.clone())).as_ref())?;
        let data_type = match args.arg_fields.get(2).map(|field| field.data_type()) {
            Some(DataType::Date32) if unit.is_of_days() => DataType::Date32,
            Some(DataType::Timestamp(_, zone)) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            _ => DataType::Timestamp(TimeUnit::Microsecond, None),
        };
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let unit = part(args.args.first())?;
        let steps = cast(&args.args[1].clone().into_array(args.number_rows)?, &DataType::Int64)?;
        let from = micros(unit, &args.args[2], args.number_rows)?;
        let pairs = steps.as_primitive::<Int64Type>().iter().zip(from.iter());
        let moved = pairs.map(|(steps, from)| match (steps, from) {
            (Some(steps), Some(from)) => match unit.moved(from, steps) {
                Some(moved) => Ok(Some(moved)),
                None => exec_err!("{steps} steps lead out of the calendar"),
            },
            _ => Ok(None),
        });
        let mut moved: TimestampMicrosecondArray = moved.collect::<Result<Vec<_>>>()?.into();
        let wanted = args.return_field.data_type();
        if let Some(zone) = elsewhere(wanted)?.filter(|_| unit.is_of_days()) {
            moved = moved.unary_opt(|micros| instant(zone, micros));
        }
        let moved: ArrayRef = match wanted {
            DataType::Date32 => {
                let days = moved
                    .iter()
                    .map(|micros| micros.and_then(|micros| i32::try_from(micros.div_euclid(DAY)).ok()));
                Arc::new(days.collect::<Date32Array>().with_data_type(DataType::Date32))
            }
            DataType::Timestamp(_, zone) => Arc::new(moved.with_timezone_opt(zone.clone())),
            other => cast(&moved, other)?,
        };
        debug_assert!(
            *moved.data_type() != DataType::Date32 || moved.as_primitive_opt::<Date32Type>().is_some()
        );
        Ok(ColumnarValue::Array(moved))
    }
}

impl Unit {
    /// Whether it is made of whole days.
    fn is_of_days(self) -> bool {
        match self {
            Self::Micros(length) => length >= DAY,
            Self::Week | Self::Months(_) => true,
        }
    }

    /// The number of the unit that a moment is in.
    fn number(self, micros: i64) -> i64 {
        match self {
            Self::Micros(length) => micros.div_euclid(length),
            Self::Week => self.start(micros).div_euclid(7 * DAY),
            Self::Months(length) => {
                let date = DateTime::from_timestamp_micros(micros).unwrap_or_default();
                let months = i64::from(chrono::Datelike::year(&date)) * 12
                    + i64::from(chrono::Datelike::month0(&date));
                months.div_euclid(i64::from(length))
            }
        }
    }

    /// How many whole units are between two moments.
    fn whole(self, from: i64, to: i64) -> i64 {
        match self {
            Self::Micros(length) => (to - from) / length,
            Self::Week => (to - from) / (7 * DAY),
            Self::Months(_) => {
                let (early, late) = (from.min(to), from.max(to));
                // The number of begun ones is it, or one too many.
                let begun = self.number(late) - self.number(early);
                let mut count = begun + 1;
                while count > 0 && self.moved(early, count).is_none_or(|moved| moved > late) {
                    count -= 1;
                }
                if from <= to { count } else { -count }
            }
        }
    }

    /// The moment so many units later.
    fn moved(self, micros: i64, steps: i64) -> Option<i64> {
        match self {
            Self::Micros(length) => micros.checked_add(length.checked_mul(steps)?),
            Self::Week => micros.checked_add((7 * DAY).checked_mul(steps)?),
            Self::Months(length) => {
                let date = DateTime::from_timestamp_micros(micros)?;
                let months = Months::new(u32::try_from(steps.unsigned_abs()).ok()?.checked_mul(length)?);
                let moved =
                    if steps < 0 { date.checked_sub_months(months) } else { date.checked_add_months(months) };
                Some(moved?.timestamp_micros())
            }
        }
    }
}
