//! What is in a list, as what is in a text?
//!
//! `length(x)`: the characters of a text, the elements of a list, the entries of a map. `x[2:3]` of a list or of a text,
//! counted from 1, from the end below 0, and without what is not there. Lists in lists as one.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, MutableArrayData, StringBuilder, make_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, plan_err};
use datafusion::functions::unicode;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let signature = || Signature::user_defined(Volatility::Immutable);
    vec![
        ScalarUDF::from(Length { inner: unicode::character_length(), signature: signature() }),
        slice(),
        ScalarUDF::from(Flatten { signature: signature() }),
        ScalarUDF::from(FirstOfMost { signature: Signature::any(1, Volatility::Immutable) }),
    ]
}

/// `_elt_slice`
pub(super) fn slice() -> ScalarUDF {
    ScalarUDF::from(Slice { signature: Signature::user_defined(Volatility::Immutable) })
}

/// Lists of other layouts as the one that is worked with.
fn as_list(of: &DataType) -> Option<DataType> {
    match of {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => Some(DataType::List(Arc::clone(item))),
        _ => None,
    }
}

/// `length`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Length {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &str {
        "length"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Map(..)] => Ok(types.to_vec()),
            [one] => match as_list(one) {
                Some(list) => Ok(vec![list]),
                None => {
                    let field: FieldRef = Arc::new(Field::new("value", one.clone(), true));
                    let fields = fields_with_udf(&[field], self.inner.as_ref())?;
                    Ok(fields.iter().map(|field| field.data_type().clone()).collect())
                }
            },
            _ => plan_err!("`length` has one argument: a text, a list or a map"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match &types[0] {
            DataType::List(_) | DataType::Map(..) => Ok(DataType::Int64),
            _ => self.inner.return_type(types),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lengths = match args.args[0].data_type() {
            DataType::List(_) => {
                let lists = args.args[0].clone().into_array(args.number_rows)?;
                let lists = lists.as_list::<i32>();
                let length = |row: usize| lists.is_valid(row).then(|| i64::from(lists.value_length(row)));
                (0..lists.len()).map(length).collect::<Int64Array>()
            }
            DataType::Map(..) => {
                let maps = args.args[0].clone().into_array(args.number_rows)?;
                let maps = maps.as_map();
                let length = |row: usize| maps.is_valid(row).then(|| i64::from(maps.value_length(row)));
                (0..maps.len()).map(length).collect::<Int64Array>()
            }
            _ => return self.inner.invoke_with_args(args),
        };
        Ok(ColumnarValue::Array(Arc::new(lengths)))
    }
}

/// `_elt_slice`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Slice {
    signature: Signature,
}

impl ScalarUDFImpl for Slice {
    fn name(&self) -> &str {
        "_elt_slice"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [of, from, to] = types else { return plan_err!("a slice is `x[2:3]`") };
        if let Some(other) = [from, to].into_iter().find(|bound| !(bound.is_integer() || bound.is_null())) {
            let other = crate::base::sql_type_name(other);
            return plan_err!("the arguments of a slice are whole numbers, as in `x[2:3]`, and not {other}");
        }
        let of = match as_list(of) {
            Some(list) => list,
            None if of.is_string() || of.is_null() => DataType::Utf8,
            None => {
                let of = crate::base::sql_type_name(of);
                return plan_err!("the argument of a slice is a list or a text, and this is {of}");
            }
        };
        Ok(vec![of, DataType::Int64, DataType::Int64])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let array = |at: usize| args.args[at].clone().into_array(rows);
        let (of, from, to) = (array(0)?, array(1)?, array(2)?);
        let bound = |bounds: &ArrayRef, row: usize| {
            let bounds = bounds.as_primitive::<Int64Type>();
            bounds.is_valid(row).then(|| bounds.value(row))
        };
        let DataType::List(item) = of.data_type() else {
            let texts = of.as_string::<i32>();
            let mut parts = StringBuilder::new();
            for row in 0..rows {
                if texts.is_null(row) {
                    parts.append_null();
                    continue;
                }
                let text = texts.value(row);
                let (start, end) = place(text.chars().count(), bound(&from, row), bound(&to, row));
                parts.append_value(text.chars().skip(start).take(end - start).collect::<String>());
            }
            return Ok(ColumnarValue::Array(Arc::new(parts.finish())));
        };
        let lists = of.as_list::<i32>();
        let pieces = (0..rows).map(|row| {
            let first = lists.value_offsets()[row] as usize;
            let length = if lists.is_null(row) { 0 } else { lists.value_length(row) as usize };
            let (start, end) = place(length, bound(&from, row), bound(&to, row));
            (first + start, first + end)
        });
        let lists = picked(item, lists.values(), pieces, lists.nulls().cloned())?;
        Ok(ColumnarValue::Array(lists))
    }
}

/// Which of so many elements are in a slice: from the first, up to before the second.
fn place(length: usize, from: Option<i64>, to: Option<i64>) -> (usize, usize) {
    let count = i64::try_from(length).unwrap_or(i64::MAX);
    let counted = |bound: i64| if bound < 0 { count + bound + 1 } else { bound };
    let first = from.map_or(1, counted).max(1);
    let last = to.map_or(count, counted).min(count);
    let start = usize::try_from(first - 1).unwrap_or(0).min(length);
    (start, usize::try_from(last).unwrap_or(0).max(start))
}

/// Lists of stretches of values.
fn picked(
    item: &FieldRef,
    values: &ArrayRef,
    pieces: impl Iterator<Item = (usize, usize)>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let data = values.to_data();
    let mut taken = MutableArrayData::new(vec![&data], false, values.len());
    let mut lengths = Vec::new();
    for (start, end) in pieces {
        taken.try_extend(0, start, end)?;
        lengths.push(end - start);
    }
    let values = make_array(taken.freeze());
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), values, nulls)?))
}

/// `_elt_flatten`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Flatten {
    signature: Signature,
}

/// The list of what is at the bottom of lists in lists.
fn bottom(of: &DataType) -> Option<DataType> {
    let DataType::List(item) = as_list(of)? else { return None };
    Some(bottom(item.data_type()).unwrap_or(DataType::List(item)))
}

/// Lists all the way down, in the one layout.
fn listed(of: &DataType) -> DataType {
    match as_list(of) {
        Some(DataType::List(item)) => {
            let inner = listed(item.data_type());
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(inner)))
        }
        _ => of.clone(),
    }
}

impl ScalarUDFImpl for Flatten {
    fn name(&self) -> &str {
        "_elt_flatten"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [one] if as_list(one).is_some() => Ok(vec![listed(one)]),
            _ => plan_err!("the argument of `unnest(…, recursive := true)` is a list"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let bottom = bottom(&types[0]).unwrap_or_else(|| types[0].clone());
        if let DataType::List(item) = &bottom
            && let DataType::Struct(_) = item.data_type()
        {
            return plan_err!(
                "`unnest(…, recursive := true)` of structs is not supported; their fields are columns by \
                 `select x.* from (select unnest(list) as x)`"
            );
        }
        Ok(bottom)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut lists = args.args[0].clone().into_array(args.number_rows)?;
        loop {
            let outer: &ListArray = lists.as_list();
            let DataType::List(field) = outer.values().data_type() else {
                return Ok(ColumnarValue::Array(lists));
            };
            let inner: &ListArray = outer.values().as_list();
            // Lists that follow each other have their values one behind the other, but for those of nulls.
            let pieces = (0..inner.len()).map(|row| match inner.is_null(row) {
                true => (0, 0),
                false => (inner.value_offsets()[row] as usize, inner.value_offsets()[row + 1] as usize),
            });
            let dense = picked(field, inner.values(), pieces, None)?;
            let dense: &ListArray = dense.as_list();
            let ends = outer.value_offsets().iter().map(|at| dense.value_offsets()[*at as usize]);
            let offsets = OffsetBuffer::new(ends.collect::<Vec<i32>>().into());
            let values = Arc::clone(dense.values());
            lists = Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, outer.nulls().cloned())?);
        }
    }
}

/// `_elt_first_of_most`: of the most frequent items of a list, the one that comes first.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FirstOfMost {
    signature: Signature,
}

impl ScalarUDFImpl for FirstOfMost {
    fn name(&self) -> &str {
        "_elt_first_of_most"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match as_list(&types[0]) {
            Some(DataType::List(item)) => Ok(item.data_type().clone()),
            _ => plan_err!("it is of a list"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = args.args[0].clone().into_array(args.number_rows)?;
        let lists = match as_list(lists.data_type()) {
            Some(list) => cast(&lists, &list)?,
            None => lists,
        };
        let lists: &ListArray = lists.as_list();
        let mut chosen: Vec<Option<u64>> = Vec::with_capacity(lists.len());
        for row in 0..lists.len() {
            if lists.is_null(row) {
                chosen.push(None);
                continue;
            }
            let first = lists.value_offsets()[row] as usize;
            let mut counts = std::collections::HashMap::new();
            for at in first..lists.value_offsets()[row + 1] as usize {
                let item = datafusion::common::ScalarValue::try_from_array(lists.values(), at)?;
                if !item.is_null() {
                    counts.entry(item).or_insert((0_usize, at)).0 += 1;
                }
            }
            let best = counts.into_values().max_by_key(|(count, at)| (*count, std::cmp::Reverse(*at)));
            chosen.push(best.map(|(_, at)| at as u64));
        }
        let chosen = arrow::array::UInt64Array::from(chosen);
        let taken = arrow::compute::take(lists.values(), &chosen, None)?;
        let wanted = args.return_field.data_type();
        Ok(ColumnarValue::Array(if taken.data_type() == wanted { taken } else { cast(&taken, wanted)? }))
    }
}

/// A list of items that may be null.
pub(super) fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_count_from_one_and_from_the_end() {
        for (from, to, wanted) in [
            (None, None, (0, 3)),
            (Some(2), None, (1, 3)),
            (None, Some(2), (0, 2)),
            (Some(-2), None, (1, 3)),
            (None, Some(-2), (0, 2)),
            (Some(0), Some(1), (0, 1)),
            (Some(5), None, (3, 3)),
            (Some(3), Some(1), (2, 2)),
            (Some(i64::MIN + 5), Some(i64::MAX), (0, 3)),
        ] {
            assert_eq!(place(3, from, to), wanted, "{from:?} to {to:?}");
        }
    }
}
