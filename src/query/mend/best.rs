//! What is in the row where something else is largest, in a window?
//!
//! `_elt_arg_max(a, b)` and `_elt_arg_min(a, b)` over a window: the engine has no aggregate with an order there. Rows where `b`
//! is null do not count; of several, the first counts.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

/// Both.
pub(super) fn functions() -> Vec<AggregateUDF> {
    let of =
        |better| AggregateUDF::from(Best { better, signature: Signature::any(2, Volatility::Immutable) });
    [Ordering::Greater, Ordering::Less].map(of).into()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Best {
    better: Ordering,
    signature: Signature,
}

impl AggregateUDFImpl for Best {
    fn name(&self) -> &str {
        if self.better == Ordering::Greater { "_elt_arg_max" } else { "_elt_arg_min" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [value, _] => Ok(value.clone()),
            _ => internal_err!("it has two arguments"),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types = [args.expr_fields[0].data_type().clone(), args.expr_fields[1].data_type().clone()];
        Ok(Box::new(Rows { better: self.better, types, rows: VecDeque::new(), slides: false }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types = [args.expr_fields[0].data_type().clone(), args.expr_fields[1].data_type().clone()];
        Ok(Box::new(Rows { better: self.better, types, rows: VecDeque::new(), slides: true }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let part = |name: &str, at: usize| {
            let data_type = args.input_fields[at].data_type().clone();
            Arc::new(Field::new(format_state_name(args.name, name), data_type, true))
        };
        Ok(vec![part("value", 0), part("by", 1)])
    }
}

/// The rows that may still be the best: all of a frame that moves on, or the best so far.
#[derive(Debug)]
struct Rows {
    better: Ordering,
    types: [DataType; 2],
    rows: VecDeque<(ScalarValue, ScalarValue)>,
    slides: bool,
}

impl Rows {
    fn best(&self) -> Option<&(ScalarValue, ScalarValue)> {
        let mut best: Option<&(ScalarValue, ScalarValue)> = None;
        for row in self.rows.iter().filter(|(_, by)| !by.is_null()) {
            if best.is_none_or(|(_, known)| row.1.partial_cmp(known) == Some(self.better)) {
                best = Some(row);
            }
        }
        best
    }
}

impl Accumulator for Rows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for row in 0..values[0].len() {
            let by = ScalarValue::try_from_array(&values[1], row)?.compacted();
            if !self.slides {
                let is_better =
                    self.best().is_none_or(|(_, known)| by.partial_cmp(known) == Some(self.better));
                if by.is_null() || !is_better {
                    continue;
                }
                self.rows.clear();
            }
            self.rows.push_back((ScalarValue::try_from_array(&values[0], row)?.compacted(), by));
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.rows.drain(..values[0].len().min(self.rows.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        self.slides
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        match self.best() {
            Some((value, by)) => Ok(vec![value.clone(), by.clone()]),
            None => self.types.iter().map(ScalarValue::try_from).collect(),
        }
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match self.best() {
            Some((value, _)) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.types[0]),
        }
    }

    fn size(&self) -> usize {
        let rows: usize = self.rows.iter().map(|(value, by)| value.size() + by.size()).sum();
        size_of_val(self) + rows
    }
}
