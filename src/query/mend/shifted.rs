//! What is in the row so many before, where how many is told by the row?
//!
//! `_elt_lag(x, n, default)` and `_elt_lead`: as `lag` and `lead`, which the engine has for numbers and values that are written
//! out. `_elt_ntile(n)` and `_elt_nth_value(x, n)` likewise. What a call means is settled in `dialect::shifts`.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, UInt64Array};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};

/// All of them.
pub(super) fn functions() -> Vec<WindowUDF> {
    let of = |kind| {
        let signature = Signature::user_defined(Volatility::Immutable);
        WindowUDF::from(Shifted { kind, signature })
    };
    [Kind::Lag, Kind::Lead, Kind::Ntile, Kind::Nth].map(of).into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Lag,
    Lead,
    Ntile,
    Nth,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Shifted {
    kind: Kind,
    signature: Signature,
}

impl WindowUDFImpl for Shifted {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Lag => "_elt_lag",
            Kind::Lead => "_elt_lead",
            Kind::Ntile => "_elt_ntile",
            Kind::Nth => "_elt_nth_value",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.kind, types) {
            (Kind::Ntile, [_]) => Ok(vec![DataType::Int64]),
            (Kind::Nth, [value, _]) => Ok(vec![value.clone(), DataType::Int64]),
            (Kind::Lag | Kind::Lead, [value, _, default]) => match comparison_coercion(value, default) {
                Some(both) => Ok(vec![both.clone(), DataType::Int64, both]),
                None => {
                    plan_err!("the value is {value} and its default {default}, which have no type in common")
                }
            },
            _ => plan_err!("{} has other arguments", self.name()),
        }
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let data_type = match self.kind {
            Kind::Ntile => DataType::Int64,
            _ => args.input_fields()[0].data_type().clone(),
        };
        Ok(Arc::new(Field::new(args.name(), data_type, true)))
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator { kind: self.kind, ignores_nulls: args.ignore_nulls(), row: 0 }))
    }
}

#[derive(Debug)]
struct Evaluator {
    kind: Kind,
    ignores_nulls: bool,
    /// The row that comes next.
    row: usize,
}

impl PartitionEvaluator for Evaluator {
    fn uses_window_frame(&self) -> bool {
        self.kind == Kind::Nth
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        if self.kind == Kind::Ntile {
            return tiles(values[0].as_primitive::<Int64Type>(), rows);
        }
        let (value, by, default) = (&values[0], values[1].as_primitive::<Int64Type>(), &values[2]);
        let kept: Vec<usize> = (0..rows).filter(|row| !self.ignores_nulls || value.is_valid(*row)).collect();
        let places = (0..rows).map(|row| {
            if by.is_null(row) {
                return None;
            }
            let by = if self.kind == Kind::Lag { by.value(row).checked_neg()? } else { by.value(row) };
            // How many that count are before the row, or the first of them at or behind it.
            let at = kept.partition_point(|place| *place < row);
            let is_here = kept.get(at) == Some(&row);
            let at = i64::try_from(at).ok()?;
            let wanted = match by {
                0 => return u64::try_from(row).ok(),
                behind if behind > 0 => at + behind - i64::from(!is_here),
                before => at + before,
            };
            let found = usize::try_from(wanted).ok().and_then(|wanted| kept.get(wanted));
            // The defaults stand behind the values.
            u64::try_from(found.copied().unwrap_or(rows + row)).ok()
        });
        let places: UInt64Array = places.collect();
        Ok(take(&concat(&[value.as_ref(), default.as_ref()])?, &places, None)?)
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        let (value, place) = (&values[0], values[1].as_primitive::<Int64Type>());
        let row = self.row;
        self.row += 1;
        let nothing = || ScalarValue::try_from(value.data_type());
        if row >= place.len() || place.is_null(row) {
            return nothing();
        }
        let wanted = match place.value(row) {
            place if place > 0 => usize::try_from(place).unwrap_or(usize::MAX),
            other => return exec_err!("nth_value counts from 1, and this is {other}"),
        };
        let counted = range.clone().filter(|row| !self.ignores_nulls || value.is_valid(*row)).nth(wanted - 1);
        match counted {
            Some(row) => ScalarValue::try_from_array(value, row),
            None => nothing(),
        }
    }
}

/// The number of the tile that each row is in, of so many that are as large as each other, or larger by one at first.
fn tiles(counts: &Int64Array, rows: usize) -> Result<ArrayRef> {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let tile = |(row, count): (i64, Option<i64>)| match count {
        None => Ok(None),
        Some(count) if count < 1 => exec_err!("ntile needs a number from 1 on, and this is {count}"),
        Some(count) => {
            let (small, larger) = (rows / count, rows % count);
            let in_larger = larger * (small + 1);
            Ok(Some(match row < in_larger {
                true => row / (small + 1) + 1,
                false => larger + (row - in_larger) / small + 1,
            }))
        }
    };
    let tiles: Result<Vec<Option<i64>>> = (0..rows).zip(counts.iter()).map(tile).collect();
    Ok(Arc::new(Int64Array::from(tiles?)))
}
