//! In which order are the items of a list, if something else says so?
//!
//! `_elt_in_order(list, 'asc last, desc first')`: the items are structs, of which the last field is wanted and those before it
//! are the keys. Aggregates with an order over a window are made of it (`dialect::shifts`).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortColumn, SortOptions, concat, lexsort_to_indices, take};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The function.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(InOrder { signature: Signature::any(2, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct InOrder {
    signature: Signature,
}

/// The last field of the structs in a list.
fn wanted(list: &DataType) -> Result<DataType> {
    let DataType::List(item) = list else { return internal_err!("a list is put in order") };
    match item.data_type() {
        DataType::Struct(fields) if !fields.is_empty() => Ok(fields[fields.len() - 1].data_type().clone()),
        _ => internal_err!("a list of structs is put in order"),
    }
}

impl ScalarUDFImpl for InOrder {
    fn name(&self) -> &str {
        "_elt_in_order"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(wanted(&types[0])?, true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = args.args[0].clone().into_array(args.number_rows)?;
        let ColumnarValue::Scalar(orders) = &args.args[1] else {
            return exec_err!("the order is the same for all rows");
        };
        let orders = orders.try_as_str().flatten().unwrap_or_default();
        let options: Vec<SortOptions> = orders
            .split(", ")
            .map(|order| SortOptions {
                descending: order.starts_with("desc"),
                nulls_first: order.ends_with("first"),
            })
            .collect();
        let lists: &ListArray = lists.as_list();
        let mut sorted: Vec<ArrayRef> = Vec::with_capacity(lists.len());
        for list in lists.iter().flatten() {
            let items = list.as_struct();
            let (values, keys) = match items.columns().split_last() {
                Some((values, keys)) if keys.len() == options.len() => (values, keys),
                _ => return internal_err!("there is an order for each key"),
            };
            let keys: Vec<SortColumn> = keys
                .iter()
                .zip(&options)
                .map(|(key, options)| SortColumn { values: Arc::clone(key), options: Some(*options) })
                .collect();
            sorted.push(take(values, &lexsort_to_indices(&keys, None)?, None)?);
        }
        let item = Arc::new(Field::new_list_field(wanted(lists.data_type())?, true));
        let parts: Vec<&dyn Array> = sorted.iter().map(AsRef::as_ref).collect();
        let values = match parts.is_empty() {
            true => arrow::array::new_empty_array(item.data_type()),
            false => concat(&parts)?,
        };
        let lengths =
            (0..lists.len()).map(|row| if lists.is_null(row) { 0 } else { lists.value_length(row) });
        let offsets =
            OffsetBuffer::from_lengths(lengths.map(|length| usize::try_from(length).unwrap_or_default()));
        let lists = ListArray::try_new(item, offsets, values, lists.nulls().cloned())?;
        Ok(ColumnarValue::Array(Arc::new(lists)))
    }
}
