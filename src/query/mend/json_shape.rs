//! Which shape has a text that is JSON, and how does it get another?
//!
//! `json_structure` tells its shape, `json_transform` gives it the one that is asked for, as a struct or a list,
//! `json_merge_patch` lays one over another, and `json_each` has its members row by row. What does not fit is null.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, ListArray, ListBuilder, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::json::{along, compact, is_valid, items, kind, members, plain, quoted, separate, write};
use crate::base::parse_data_type;

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use What as W;
    [W::Transform, W::Structure, W::Patch, W::Member, W::Exists, W::Places, W::Values, W::Kinds]
        .map(|what| {
            ScalarUDF::from(Shape { what, signature: Signature::variadic_any(Volatility::Immutable) })
        })
        .into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    /// `json_transform(text, '{"a": "BIGINT"}')`
    Transform,
    /// `json_structure(text)`
    Structure,
    /// `json_merge_patch(text, patch)`
    Patch,
    /// `_elt_json_member(key, value)`: `"key":value`
    Member,
    /// `json_exists(text, path)`
    Exists,
    /// `_elt_json_places(text)`: keys, or places of a list
    Places,
    /// `_elt_json_values(text)`
    Values,
    /// `_elt_json_kinds(text)`
    Kinds,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Shape {
    what: What,
    signature: Signature,
}

impl ScalarUDFImpl for Shape {
    fn name(&self) -> &str {
        match self.what {
            What::Transform => "json_transform",
            What::Structure => "json_structure",
            What::Patch => "json_merge_patch",
            What::Member => "_elt_json_member",
            What::Exists => "json_exists",
            What::Places => "_elt_json_places",
            What::Values => "_elt_json_values",
            What::Kinds => "_elt_json_kinds",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.what {
            What::Transform => return plan_err!("its type depends on the shape"),
            What::Exists => DataType::Boolean,
            What::Places | What::Values | What::Kinds => super::elements::list_of(DataType::Utf8),
            _ => DataType::Utf8,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let wanted = match self.what {
            What::Structure | What::Places | What::Values | What::Kinds => 1,
            _ => 2,
        };
        if args.arg_fields.len() != wanted {
            return plan_err!("`{}` has {wanted} arguments", self.name());
        }
        let data_type = match self.what {
            What::Transform => {
                let text = args.scalar_arguments[1].and_then(|shape| shape.try_as_str().flatten());
                match text.map(str::trim).and_then(shaped) {
                    Some(data_type) => data_type,
                    None => {
                        return plan_err!(
                            "the shape of `json_transform` is a text such as '{{\"a\": \"bigint\", \"b\": [\"varchar\"]}}'"
                        );
                    }
                }
            }
            _ => self.return_type(&[])?,
        };
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.iter().map(|arg| arg.clone().into_array(rows)).collect::<Result<Vec<_>>>()?;
        if self.what == What::Member {
            return Ok(ColumnarValue::Array(member_of(&arrays, rows)?));
        }
        let texts =
            arrays.iter().map(|array| Ok(cast(array, &DataType::Utf8)?)).collect::<Result<Vec<_>>>()?;
        let texts: Vec<&StringArray> = texts.iter().map(|texts| texts.as_string::<i32>()).collect();
        let at =
            |column: usize, row: usize| texts[column].is_valid(row).then(|| texts[column].value(row).trim());
        Ok(ColumnarValue::Array(match self.what {
            What::Transform => {
                let all: Vec<Option<&str>> = (0..rows).map(|row| at(0, row)).collect();
                transformed(args.return_field.data_type(), &all)?
            }
            What::Exists => {
                let mut answer = BooleanBuilder::new();
                for row in 0..rows {
                    let there = match (at(0, row), at(1, row)) {
                        (Some(json), Some(path)) if path.starts_with('$') => {
                            Some(along(json, path)?.is_some())
                        }
                        (Some(json), Some(key)) => {
                            Some(members(json).is_some_and(|all| all.iter().any(|(name, _)| name == key)))
                        }
                        _ => None,
                    };
                    answer.append_option(there);
                }
                Arc::new(answer.finish())
            }
            What::Places | What::Values | What::Kinds => {
                let mut answer = ListBuilder::new(StringBuilder::new());
                for row in 0..rows {
                    let all = at(0, row).and_then(entries);
                    for (place, value) in all.iter().flatten() {
                        match self.what {
                            What::Places => answer.values().append_value(place),
                            What::Values => answer.values().append_value(compact(value)),
                            _ => answer.values().append_option(kind(value)),
                        }
                    }
                    answer.append(all.is_some());
                }
                Arc::new(answer.finish())
            }
            _ => {
                let mut answer = StringBuilder::new();
                for row in 0..rows {
                    let Some(json) = at(0, row) else {
                        answer.append_null();
                        continue;
                    };
                    if !is_valid(json) {
                        return exec_err!("this is not JSON: {}", json.chars().take(60).collect::<String>());
                    }
                    match self.what {
                        What::Structure => answer.append_value(structure(json)),
                        _ => answer.append_option(at(1, row).map(|patch| patched(json, patch))),
                    }
                }
                Arc::new(answer.finish())
            }
        }))
    }
}

fn member_of(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let keys = cast(&arrays[0], &DataType::Utf8)?;
    let keys = keys.as_string::<i32>();
    let mut answer = StringBuilder::new();
    for row in 0..rows {
        if keys.is_null(row) {
            return exec_err!("a key of an object is null");
        }
        let mut member = quoted(keys.value(row));
        member.push(':');
        write(arrays[1].as_ref(), row, &mut member)?;
        answer.append_value(member);
    }
    Ok(Arc::new(answer.finish()))
}

/// The members of an object with their keys, or the items of a list with their places.
pub(super) fn entries(json: &str) -> Option<Vec<(String, &str)>> {
    match json.starts_with('[') {
        true => Some(items(json)?.into_iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect()),
        false => members(json),
    }
}

/// The type that a shape describes: `"bigint"`, `["bigint"]`, `{"a": "bigint"}`.
fn shaped(shape: &str) -> Option<DataType> {
    if shape.starts_with('[') {
        let [item] = items(shape)?[..] else { return None };
        return Some(super::elements::list_of(shaped(item)?));
    }
    if shape.starts_with('{') {
        let field = |(name, shape): (String, &str)| Some(Field::new(name, shaped(shape)?, true));
        let fields = members(shape)?.into_iter().map(field).collect::<Option<Vec<_>>>()?;
        return (!fields.is_empty()).then(|| DataType::Struct(fields.into()));
    }
    let name = plain(shape)?;
    match name.to_lowercase().as_str() {
        "json" | "null" => Some(DataType::Utf8),
        "ubigint" => Some(DataType::UInt64),
        name => parse_data_type(name),
    }
}

/// Texts in a shape.
fn transformed(data_type: &DataType, texts: &[Option<&str>]) -> Result<ArrayRef> {
    match data_type {
        DataType::Struct(fields) => {
            let objects: Vec<Option<Vec<(String, &str)>>> =
                texts.iter().map(|text| text.and_then(members)).collect();
            let valid = NullBuffer::from_iter(objects.iter().map(Option::is_some));
            let column = |field: &FieldRef| {
                let mut values: Vec<Option<&str>> = Vec::with_capacity(objects.len());
                for members in &objects {
                    let mut members = members.iter().flatten().rev();
                    let found = members.find(|(name, _)| name == field.name()).map(|(_, value)| *value);
                    values.push(found.filter(|value| *value != "null"));
                }
                transformed(field.data_type(), &values)
            };
            let columns = fields.iter().map(column).collect::<Result<Vec<_>>>()?;
            let fields: Fields = fields.clone();
            Ok(Arc::new(StructArray::try_new(fields, columns, Some(valid))?))
        }
        DataType::List(item) => {
            let lists: Vec<Option<Vec<&str>>> = texts.iter().map(|text| text.and_then(items)).collect();
            let valid = NullBuffer::from_iter(lists.iter().map(Option::is_some));
            let lengths = lists.iter().map(|list| list.as_ref().map_or(0, Vec::len));
            let lengths = OffsetBuffer::from_lengths(lengths);
            let all =
                lists.iter().flatten().flatten().map(|value| Some(*value).filter(|value| *value != "null"));
            let values = transformed(item.data_type(), &all.collect::<Vec<_>>())?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), lengths, values, Some(valid))?))
        }
        other => {
            let texts: StringArray = texts.iter().map(|text| text.and_then(plain)).collect();
            let safe = CastOptions { safe: true, ..CastOptions::default() };
            Ok(match other {
                DataType::Timestamp(_, zone) => {
                    super::reading::instants(&(Arc::new(texts) as ArrayRef), zone.clone(), true)?
                }
                other => cast_with_options(&texts, other, &safe)?,
            })
        }
    }
}

/// The shape of a text, in the words that `json_transform` takes.
fn structure(json: &str) -> String {
    if let Some(items) = items(json) {
        let mut shapes: Vec<String> = items.iter().map(|item| structure(item)).collect();
        shapes.sort();
        shapes.dedup();
        shapes.retain(|shape| shape != "\"NULL\"");
        return match &shapes[..] {
            [] => "[\"NULL\"]".to_owned(),
            [one] => format!("[{one}]"),
            many if many
                .iter()
                .all(|shape| ["\"UBIGINT\"", "\"BIGINT\"", "\"DOUBLE\""].contains(&shape.as_str())) =>
            {
                let has_fractions = many.iter().any(|shape| shape == "\"DOUBLE\"");
                (if has_fractions { "[\"DOUBLE\"]" } else { "[\"BIGINT\"]" }).to_owned()
            }
            _ => "[\"JSON\"]".to_owned(),
        };
    }
    if let Some(members) = members(json) {
        let mut told = String::from("{");
        for (at, (name, value)) in members.iter().enumerate() {
            separate(at, &mut told);
            told.push_str(&quoted(name));
            told.push(':');
            told.push_str(&structure(value));
        }
        told.push('}');
        return told;
    }
    let name = match kind(json) {
        Some("BIGINT") if !json.starts_with('-') => "UBIGINT",
        Some(name) => name,
        None => "JSON",
    };
    format!("\"{name}\"")
}

/// RFC 7386: members of the patch are laid over those of the text, null takes one away.
fn patched(json: &str, patch: &str) -> String {
    let Some(changes) = members(patch) else { return compact(patch) };
    let mut all: Vec<(String, String)> =
        members(json).unwrap_or_default().into_iter().map(|(name, value)| (name, compact(value))).collect();
    for (name, change) in changes {
        let at = all.iter().position(|(known, _)| *known == name);
        match (at, change) {
            (Some(at), "null") => drop(all.remove(at)),
            (None, "null") => {}
            (Some(at), change) => all[at].1 = patched(&all[at].1.clone(), change),
            (None, change) => all.push((name, patched("null", change))),
        }
    }
    let mut told = String::from("{");
    for (at, (name, value)) in all.iter().enumerate() {
        separate(at, &mut told);
        told.push_str(&quoted(name));
        told.push(':');
        told.push_str(value);
    }
    told.push('}');
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_and_asked_for_in_the_same_words() {
        let told = structure(r#"{"a":1,"b":["x",null],"c":{"d":true},"e":[1,-2.5],"f":[]}"#);
        assert_eq!(
            told,
            r#"{"a":"UBIGINT","b":["VARCHAR"],"c":{"d":"BOOLEAN"},"e":["DOUBLE"],"f":["NULL"]}"#
        );
        assert!(shaped(&told).is_some());
        assert_eq!(shaped("\"nothing\""), None);
        assert_eq!(shaped("[\"int\", \"int\"]"), None);
    }

    #[test]
    fn a_patch_is_laid_over_a_text() {
        for (json, patch, wanted) in [
            (r#"{"a":1,"b":2}"#, r#"{"b":null,"c":3}"#, r#"{"a":1,"c":3}"#),
            (r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"b":null}}"#, r#"{"a":{"c":2}}"#),
            (r#"[1]"#, r#"{"a":1}"#, r#"{"a":1}"#),
            (r#"{"a":1}"#, "[2]", "[2]"),
        ] {
            assert_eq!(patched(json, patch), wanted, "{json} with {patch}");
        }
    }
}
