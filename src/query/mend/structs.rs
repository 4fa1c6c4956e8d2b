//! How does a struct get another field, and how do pairs become a map?
//!
//! `_elt_struct_insert(s, 'name', value, …)` adds fields, or gives them other values, and `_elt_struct_at(s, 1)` is the first;
//! `map_from_entries` makes a map of pairs, and `map_concat` one of several, of which the last has its way.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt32Array, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let any = || Signature::variadic_any(Volatility::Immutable);
    vec![
        ScalarUDF::from(Insert { signature: any() }),
        ScalarUDF::from(At { signature: Signature::any(2, Volatility::Immutable) }),
        ScalarUDF::from(FromEntries { signature: any() }),
        ScalarUDF::from(Concat { signature: Signature::user_defined(Volatility::Immutable) }),
    ]
}

/// `_elt_struct_insert`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Insert {
    signature: Signature,
}

impl ScalarUDFImpl for Insert {
    fn name(&self) -> &str {
        "_elt_struct_insert"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("its type depends on the names of the fields")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(DataType::Struct(fields)) = args.arg_fields.first().map(|field| field.data_type()) else {
            return plan_err!("`struct_insert` is of a struct: `struct_insert(s, name := value)`");
        };
        let mut fields: Vec<FieldRef> = fields.iter().cloned().collect();
        for at in (1..args.arg_fields.len()).step_by(2) {
            let name =
                args.scalar_arguments[at].and_then(|name| name.try_as_str().flatten()).unwrap_or_default();
            let field = Arc::new(Field::new(name, args.arg_fields[at + 1].data_type().clone(), true));
            match fields.iter_mut().find(|known| known.name() == name) {
                Some(known) => *known = field,
                None => fields.push(field),
            }
        }
        Ok(Arc::new(Field::new(self.name(), DataType::Struct(fields.into()), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let DataType::Struct(fields) = args.return_field.data_type() else {
            return exec_err!("it is a struct");
        };
        let before = args.args[0].clone().into_array(rows)?;
        let before = before.as_struct();
        let mut columns = Vec::with_capacity(fields.len());
        for field in fields {
            let given = (1..args.args.len()).step_by(2).rev().find(|at| {
                matches!(&args.args[*at], ColumnarValue::Scalar(name) if name.try_as_str().flatten() == Some(field.name()))
            });
            let column = match (given, before.column_by_name(field.name())) {
                (Some(at), _) => args.args[at + 1].clone().into_array(rows)?,
                // Of a struct that is null, the fields are.
                (None, Some(column)) => cleared(column, before.nulls())?,
                (None, None) => new_null_array(field.data_type(), rows),
            };
            columns.push(column);
        }
        let fields = fields.iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true)));
        let made = StructArray::try_new_with_length(fields.collect(), columns, None, rows)?;
        let made: ArrayRef = Arc::new(made);
        let wanted = args.return_field.data_type();
        Ok(ColumnarValue::Array(if made.data_type() == wanted { made } else { cast(&made, wanted)? }))
    }
}

/// `_elt_struct_at`
#[derive(Debug, PartialEq, Eq, Hash)]
struct At {
    signature: Signature,
}

/// Which field a number means, counted from 0.
fn field_at(fields: &Fields, place: Option<&ScalarValue>) -> Result<usize> {
    let place = place.map(|place| place.cast_to(&DataType::Int64)).transpose()?;
    let Some(ScalarValue::Int64(Some(place))) = place else {
        return plan_err!("which field is wanted is written as a number: `struct_extract(s, 1)`");
    };
    let at = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
    match at.filter(|at| *at < fields.len()) {
        Some(at) => Ok(at),
        None => plan_err!("there is no field {place} in the struct, which has {}", fields.len()),
    }
}

impl ScalarUDFImpl for At {
    fn name(&self) -> &str {
        "_elt_struct_at"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("its type depends on the field")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(DataType::Struct(fields)) = args.arg_fields.first().map(|field| field.data_type()) else {
            return plan_err!("`struct_extract` is of a struct: `struct_extract(s, 'name')`");
        };
        let at = field_at(fields, args.scalar_arguments.get(1).copied().flatten())?;
        Ok(Arc::new(Field::new(self.name(), fields[at].data_type().clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.args[0].clone().into_array(args.number_rows)?;
        let rows = rows.as_struct();
        let ColumnarValue::Scalar(place) = &args.args[1] else { return exec_err!("the place is a number") };
        let column = rows.column(field_at(rows.fields(), Some(place))?);
        Ok(ColumnarValue::Array(cleared(column, rows.nulls())?))
    }
}

/// A column that is null where its struct is.
fn cleared(column: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<ArrayRef> {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else { return Ok(Arc::clone(column)) };
    let rows = (0..column.len()).map(|row| nulls.is_valid(row).then(|| u32::try_from(row).ok()).flatten());
    Ok(take(column, &rows.collect::<UInt32Array>(), None)?)
}

/// The type of a map, as the engine makes one.
fn map_of(key: &DataType, value: &DataType) -> DataType {
    let fields =
        Fields::from(vec![Field::new("key", key.clone(), false), Field::new("value", value.clone(), true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields), false)), false)
}

/// Maps of keys and values that follow each other.
fn maps(
    of: &DataType,
    keys: ArrayRef,
    values: ArrayRef,
    lengths: Vec<usize>,
    nulls: NullBuffer,
) -> Result<ArrayRef> {
    let DataType::Map(entry, is_sorted) = of else { return exec_err!("it is a map") };
    let DataType::Struct(fields) = entry.data_type() else { return exec_err!("it has keys and values") };
    let keys = cast(&keys, fields[0].data_type())?;
    let values = cast(&values, fields[1].data_type())?;
    if keys.null_count() > 0 {
        return exec_err!("a key of a map is null");
    }
    let entries = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::try_new(Arc::clone(entry), offsets, entries, Some(nulls), *is_sorted)?))
}

/// Which of a list of keys count: of two that are the same, the last.
fn last_of_each(keys: &ArrayRef, range: std::ops::Range<usize>) -> Result<Vec<u32>> {
    let mut places: Vec<u32> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for at in range {
        let key = ScalarValue::try_from_array(keys, at)?;
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        match known.entry(key) {
            std::collections::hash_map::Entry::Occupied(place) => places[*place.get()] = at,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(places.len());
                places.push(at);
            }
        }
    }
    Ok(places)
}

/// `map_from_entries`
#[derive(Debug, PartialEq, Eq, Hash)]
struct FromEntries {
    signature: Signature,
}

impl ScalarUDFImpl for FromEntries {
    fn name(&self) -> &str {
        "map_from_entries"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if let [DataType::List(item)] = types
            && let DataType::Struct(pair) = item.data_type()
            && let [key, value] = &pair[..]
        {
            return Ok(map_of(key.data_type(), value.data_type()));
        }
        plan_err!(
            "`map_from_entries` is of a list of pairs: `map_from_entries([struct('a', 1), struct('b', 2)])`"
        )
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = args.args[0].clone().into_array(args.number_rows)?;
        let lists: &ListArray = lists.as_list();
        let pairs = lists.values().as_struct();
        let (mut chosen, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..lists.len() {
            let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
            let of_row = if lists.is_null(row) { Vec::new() } else { last_of_each(pairs.column(0), range)? };
            lengths.push(of_row.len());
            valid.push(lists.is_valid(row));
            chosen.extend(of_row);
        }
        let chosen = UInt32Array::from(chosen);
        let (keys, values) = (take(pairs.column(0), &chosen, None)?, take(pairs.column(1), &chosen, None)?);
        let made = maps(args.return_field.data_type(), keys, values, lengths, NullBuffer::from(valid))?;
        Ok(ColumnarValue::Array(made))
    }
}

/// `map_concat`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concat {
    signature: Signature,
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &str {
        "map_concat"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let wanted = types.iter().find(|of| matches!(of, DataType::Map(..)));
        let all_maps = types.iter().all(|of| matches!(of, DataType::Map(..) | DataType::Null));
        match wanted {
            Some(map) if all_maps => Ok(vec![map.clone(); types.len()]),
            _ => plan_err!(
                "the arguments of `map_concat` are maps: `map_concat(map {{'a': 1}}, map {{'b': 2}})`"
            ),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(DataType::Map(entry, _)) => match entry.data_type() {
                DataType::Struct(pair) => Ok(map_of(pair[0].data_type(), pair[1].data_type())),
                other => plan_err!("a map of {other}"),
            },
            _ => plan_err!("`map_concat` is of maps"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.iter().map(|arg| arg.clone().into_array(rows)).collect::<Result<Vec<_>>>()?;
        let all: Vec<&MapArray> = arrays.iter().map(|array| array.as_map()).collect();
        let keys = concat(&all.iter().map(|map| map.keys().as_ref()).collect::<Vec<_>>())?;
        let values = concat(&all.iter().map(|map| map.values().as_ref()).collect::<Vec<_>>())?;
        let (mut chosen, mut lengths) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let mut places = Vec::new();
            let mut before = 0;
            for map in &all {
                if map.is_valid(row) {
                    let ends = map.value_offsets();
                    places.extend(before + ends[row] as usize..before + ends[row + 1] as usize);
                }
                before += map.keys().len();
            }
            let places = UInt32Array::from_iter_values(places.into_iter().map(|at| at as u32));
            let of_row = take(&keys, &places, None)?;
            let last = last_of_each(&of_row, 0..of_row.len())?;
            lengths.push(last.len());
            chosen.extend(last.into_iter().map(|at| places.value(at as usize)));
        }
        let chosen = UInt32Array::from(chosen);
        let (keys, values) = (take(&keys, &chosen, None)?, take(&values, &chosen, None)?);
        let nulls = NullBuffer::new_valid(rows);
        Ok(ColumnarValue::Array(maps(args.return_field.data_type(), keys, values, lengths, nulls)?))
    }
}
