//! Which functions of lists are there for what is asked of the catalog?

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Builder, ListArray, ListBuilder, StringArray, StringBuilder,
    StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::error::Result;

use super::facts::Facts;
use super::functions::{Functions, texts};

pub(super) fn register(functions: &Functions<'_>, facts: &Arc<Facts>) {
    let list = |of: DataType| DataType::List(Arc::new(Field::new("item", of, true)));
    functions.add("pg_no_array", list(DataType::Utf8), |_, rows| {
        let mut lists = ListBuilder::new(StringBuilder::new());
        (0..rows).for_each(|_| lists.append(true));
        Ok(Arc::new(lists.finish()))
    });
    functions.add("current_schemas", list(DataType::Utf8), {
        let near = facts.default_schema.clone();
        move |columns, rows| {
            let with_own = columns.first().is_some_and(|flags| {
                flags
                    .as_boolean_opt()
                    .is_some_and(|flags| !flags.is_empty() && flags.is_valid(0) && flags.value(0))
            });
            let mut lists = ListBuilder::new(StringBuilder::new());
            for _ in 0..rows {
                if with_own {
                    lists.values().append_value("pg_catalog");
                }
                lists.values().append_value(&near);
                lists.append(true);
            }
            Ok(Arc::new(lists.finish()))
        }
    });
    functions.add("array_to_string", DataType::Utf8, |columns, rows| {
        let (Some(lists), Some(between)) = (columns.first(), columns.get(1)) else {
            return Ok(Arc::new(StringArray::new_null(rows)));
        };
        let DataType::List(_) = lists.data_type() else { return Ok(Arc::new(texts(lists)?)) };
        let (lists, between) = (lists.as_list::<i32>(), texts(between)?);
        let instead = columns.get(2).map(texts).transpose()?;
        let row = |row: usize| -> Result<Option<String>> {
            if lists.is_null(row) || between.is_null(row) {
                return Ok(None);
            }
            let items = texts(&lists.value(row))?;
            let instead = instead.as_ref().filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row));
            let parts: Vec<&str> = items.iter().filter_map(|item| item.or(instead)).collect();
            Ok(Some(parts.join(between.value(row))))
        };
        Ok(Arc::new((0..rows).map(row).collect::<Result<StringArray>>()?))
    });
    functions.add("pg_subscripts", list(DataType::Int64), |columns, rows| {
        let mut lists = ListBuilder::new(Int64Builder::new());
        for row in 0..rows {
            let length = columns
                .first()
                .and_then(|column| column.as_list_opt::<i32>())
                .filter(|all| all.is_valid(row));
            let length = length.map_or(0, |all| i64::from(all.value_length(row)));
            (1..=length).for_each(|place| lists.values().append_value(place));
            lists.append(true);
        }
        Ok(Arc::new(lists.finish()))
    });
    let fields =
        Fields::from(vec![Field::new("x", DataType::Int32, true), Field::new("n", DataType::Int32, true)]);
    let pair = Arc::new(Field::new("item", DataType::Struct(fields.clone()), true));
    functions.add("pg_expand", DataType::List(Arc::clone(&pair)), move |columns, rows| {
        let (mut values, mut places, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows {
            let list = columns
                .first()
                .and_then(|column| column.as_list_opt::<i32>())
                .filter(|all| all.is_valid(row));
            let items = match list {
                Some(all) => cast(&all.value(row), &DataType::Int32)?,
                None => Arc::new(Int32Array::new_null(0)) as ArrayRef,
            };
            let items = items.as_primitive::<arrow::datatypes::Int32Type>();
            values.extend(items.iter());
            places.extend((1..=items.len()).map(|place| i32::try_from(place).ok()));
            lengths.push(items.len());
        }
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int32Array::from(values)), Arc::new(Int32Array::from(places))];
        let pairs = StructArray::try_new(fields.clone(), columns, None)?;
        Ok(Arc::new(ListArray::try_new(
            Arc::clone(&pair),
            OffsetBuffer::from_lengths(lengths),
            Arc::new(pairs),
            None,
        )?))
    });
    functions.add("json_build_object", DataType::Utf8, |columns, rows| {
        let written = columns.iter().map(texts).collect::<Result<Vec<_>>>()?;
        let row = |row: usize| {
            let mut object = serde_json::Map::new();
            for (pair, of) in written.chunks(2).zip(columns.chunks(2)) {
                let [name, value] = pair else { continue };
                let text = value.is_valid(row).then(|| value.value(row));
                let is_bare = of[1].data_type().is_numeric() || *of[1].data_type() == DataType::Boolean;
                let value = match text {
                    None => serde_json::Value::Null,
                    Some(text) if is_bare => serde_json::from_str(text).unwrap_or(serde_json::Value::Null),
                    Some(text) => text.into(),
                };
                object.insert(name.value(row).to_owned(), value);
            }
            Some(serde_json::Value::Object(object).to_string())
        };
        Ok(Arc::new((0..rows).map(row).collect::<StringArray>()))
    });
}
