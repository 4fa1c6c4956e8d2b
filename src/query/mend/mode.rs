//! Which value is the most frequent?
//!
//! `mode(a)`: of several that are as frequent, the least. And how frequent is each? `histogram(a)`, a map. How much does one
//! of them tell? `entropy(a)`, in bits. And which are the `k` most frequent? `approx_top_k(a, k)`. Nulls do not count.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, MapArray, StructArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use datafusion::physical_expr::expressions::Literal;

/// `mode`
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Mode {
    signature: Signature,
}

impl Mode {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Mode {
    fn name(&self) -> &str {
        "mode"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [one] => Ok(one.clone()),
            _ => internal_err!("`mode` has one argument"),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = args.return_field.data_type().clone();
        Ok(Box::new(Counts { counts: HashMap::new(), data_type, wanted: Wanted::MostFrequent }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(states(args.name, args.return_type()))
    }
}

/// A list of values, and one of how often each was seen.
fn states(name: &str, value: &DataType) -> Vec<FieldRef> {
    let list = |part: &str, item: DataType| {
        let item = Field::new_list_field(item, true);
        Arc::new(Field::new_list(format_state_name(name, part), item, true))
    };
    vec![list("values", value.clone()), list("counts", DataType::Int64)]
}

/// `histogram`
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Histogram {
    signature: Signature,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

/// The fields of the pairs that a histogram is made of.
fn pair(value: &DataType) -> Fields {
    vec![Field::new("key", value.clone(), false), Field::new("value", DataType::Int64, true)].into()
}

impl AggregateUDFImpl for Histogram {
    fn name(&self) -> &str {
        "histogram"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let entries = Field::new("entries", DataType::Struct(pair(&types[0])), false);
        Ok(DataType::Map(Arc::new(entries), false))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = args.expr_fields[0].data_type().clone();
        Ok(Box::new(Counts { counts: HashMap::new(), data_type, wanted: Wanted::All }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(states(args.name, args.input_fields[0].data_type()))
    }
}

/// `entropy`
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Entropy {
    signature: Signature,
}

impl Entropy {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Entropy {
    fn name(&self) -> &str {
        "entropy"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = args.expr_fields[0].data_type().clone();
        Ok(Box::new(Counts { counts: HashMap::new(), data_type, wanted: Wanted::Entropy }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(states(args.name, args.input_fields[0].data_type()))
    }
}

/// `approx_top_k(a, k)`: the `k` most frequent values, the most frequent first, and of several that are as frequent the least.
/// It counts all of them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct TopK {
    signature: Signature,
}

impl TopK {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for TopK {
    fn name(&self) -> &str {
        "approx_top_k"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [one, _] => Ok(DataType::new_list(one.clone(), true)),
            _ => internal_err!("`approx_top_k` has two arguments"),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = args.expr_fields[0].data_type().clone();
        let many = args.exprs[1].downcast_ref::<Literal>().and_then(|literal| match literal.value() {
            ScalarValue::Int64(many) => *many,
            _ => None,
        });
        match many {
            Some(many @ 1..=1_000_000) => {
                let wanted = Wanted::Top(many as usize);
                Ok(Box::new(Counts { counts: HashMap::new(), data_type, wanted }))
            }
            _ => plan_err!("`approx_top_k(a, k)` needs a number from 1 to 1000000 for `k`"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(states(args.name, args.input_fields[0].data_type()))
    }
}

/// What is asked of the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    MostFrequent,
    /// So many of the most frequent.
    Top(usize),
    All,
    Entropy,
}

/// How often each value was seen.
#[derive(Debug)]
struct Counts {
    counts: HashMap<ScalarValue, i64>,
    data_type: DataType,
    wanted: Wanted,
}

impl Counts {
    /// How many bits one of them tells; none if all are the same.
    fn entropy(&self) -> f64 {
        let all = self.counts.values().sum::<i64>() as f64;
        let bits = self.counts.values().map(|count| {
            let share = *count as f64 / all;
            -share * share.log2()
        });
        // Not `-0.0`.
        bits.sum::<f64>().abs()
    }

    /// The most frequent, as a list; null if there is none.
    fn top(&self, many: usize) -> ScalarValue {
        let mut all: Vec<(&ScalarValue, &i64)> = self.counts.iter().collect();
        let order = |a: &ScalarValue, b: &ScalarValue| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
        all.sort_by(|(a, many), (b, more)| more.cmp(many).then_with(|| order(a, b)));
        let values: Vec<ScalarValue> = all.into_iter().take(many).map(|(value, _)| value.clone()).collect();
        match values.is_empty() {
            true => ScalarValue::new_null_list(self.data_type.clone(), true, 1),
            false => ScalarValue::List(ScalarValue::new_list_nullable(&values, &self.data_type)),
        }
    }

    /// All of them, the least value first; null if there is none.
    fn histogram(&self) -> Result<ScalarValue> {
        let mut all: Vec<(&ScalarValue, &i64)> = self.counts.iter().collect();
        all.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        let keys = match all.is_empty() {
            true => new_empty_array(&self.data_type),
            false => ScalarValue::iter_to_array(all.iter().map(|(value, _)| (*value).clone()))?,
        };
        let counts: Int64Array = all.iter().map(|(_, count)| Some(**count)).collect();
        let pairs = StructArray::try_new(pair(&self.data_type), vec![keys, Arc::new(counts)], None)?;
        let entries = Arc::new(Field::new("entries", pairs.data_type().clone(), false));
        let nulls = vec![!all.is_empty()].into();
        let map =
            MapArray::try_new(entries, OffsetBuffer::from_lengths([all.len()]), pairs, Some(nulls), false)?;
        Ok(ScalarValue::Map(Arc::new(map)))
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = &values[0];
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            *self.counts.entry(ScalarValue::try_from_array(values, row)?.compacted()).or_default() += 1;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (values, counts) = (states[0].as_list::<i32>(), states[1].as_list::<i32>());
        for state in 0..values.len() {
            let (values, counts) = (values.value(state), counts.value(state));
            let counts = counts.as_primitive::<Int64Type>();
            for row in 0..values.len() {
                let value = ScalarValue::try_from_array(&values, row)?.compacted();
                *self.counts.entry(value).or_default() += counts.value(row);
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, counts): (Vec<ScalarValue>, Vec<ScalarValue>) =
            self.counts.iter().map(|(value, count)| (value.clone(), ScalarValue::from(*count))).unzip();
        let list =
            |all: &[ScalarValue], of: &DataType| ScalarValue::List(ScalarValue::new_list_nullable(all, of));
        Ok(vec![list(&values, &self.data_type), list(&counts, &DataType::Int64)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match self.wanted {
            Wanted::All => return self.histogram(),
            Wanted::Top(many) => return Ok(self.top(many)),
            Wanted::Entropy => return Ok(ScalarValue::from(self.entropy())),
            Wanted::MostFrequent => {}
        }
        let first = |a: &ScalarValue, b: &ScalarValue| a.partial_cmp(b) == Some(std::cmp::Ordering::Less);
        let mut best: Option<(&ScalarValue, i64)> = None;
        for (value, count) in &self.counts {
            if best.is_none_or(|(other, most)| *count > most || (*count == most && first(value, other))) {
                best = Some((value, *count));
            }
        }
        match best {
            Some((value, _)) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.data_type),
        }
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.counts.keys().map(|value| value.size() + size_of::<i64>()).sum::<usize>()
    }
}
