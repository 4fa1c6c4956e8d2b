//! Which of dbt's functions only turn one value into another?

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, Value};
use serde_json::Value as Json;

use super::call::Call;
use super::emit;
use super::mistake::Mistake;
use super::values;

pub(super) fn to_json(call: &Call) -> Result<Value, Error> {
    let json = values::to_json(call.get(0, "value").unwrap_or(&Value::UNDEFINED));
    let is_sorted = call.get(2, "sort_keys").is_some_and(Value::is_true);
    Ok(emit::json(&if is_sorted { sorted(json) } else { json }).into())
}

/// The same with the keys of each mapping in order.
pub(super) fn sorted(json: Json) -> Json {
    match json {
        Json::Object(entries) => {
            let mut entries: Vec<_> = entries.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(entries.into_iter().collect())
        }
        Json::Array(items) => items.into_iter().map(sorted).collect(),
        scalar => scalar,
    }
}

/// The MD5 of a text, in hexadecimal.
pub(in crate::compile) fn md5_hex(text: &str) -> String {
    use md5::{Digest, Md5};
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn to_yaml(call: &Call) -> Result<Value, Error> {
    let is_sorted = call.get(2, "sort_keys").is_some_and(Value::is_true);
    Ok(emit::yaml(call.get(0, "value").unwrap_or(&Value::UNDEFINED), is_sorted).into())
}

/// `diff_of_two_dicts(a, b)`: the values of each key of `a` that `b` lacks under it.
pub(super) fn dict_difference(call: &Call) -> Result<Value, Error> {
    let of = |at: usize| call.positional.get(at).map(values::entries).unwrap_or_default();
    let other = of(1);
    let mut left = Vec::new();
    for (key, list) in of(0) {
        let there = other.iter().find(|(known, _)| *known == key).map(|(_, list)| values::items(list));
        let there = there.transpose()?.unwrap_or_default();
        let more: Vec<Value> =
            values::items(&list)?.into_iter().filter(|item| !there.contains(item)).collect();
        if !more.is_empty() {
            left.push((key, values::list(more)));
        }
    }
    Ok(values::dict(left))
}

pub(super) fn from_json(call: &Call) -> Result<Value, Error> {
    let text = call.text(0, "string")?;
    match (serde_json::from_str::<Json>(&text), call.get(1, "default")) {
        (Ok(json), _) => Ok(values::from_json(&json)),
        (Err(_), Some(default)) => Ok(default.clone()),
        (Err(why), None) => Err(Mistake::new("elt::jinja", format!("this is not JSON: {why}")).into()),
    }
}

pub(super) fn from_yaml(call: &Call) -> Result<Value, Error> {
    let text = call.text(0, "value")?;
    match (crate::project::read_yaml(&text), call.get(1, "default")) {
        (Ok(json), _) => Ok(values::from_json(&json)),
        (Err(_), Some(default)) => Ok(default.clone()),
        (Err(why), None) => Err(Mistake::new("elt::jinja", format!("this is not YAML: {why}")).into()),
    }
}

/// `set(value, default)`: the default, or none, if the value cannot be walked.
pub(super) fn set(call: &Call) -> Result<Value, Error> {
    match set_strict(call) {
        Ok(set) => Ok(set),
        Err(_) => Ok(call.get(1, "default").cloned().unwrap_or_else(|| Value::from(()))),
    }
}

/// `set_strict(value)`
pub(super) fn set_strict(call: &Call) -> Result<Value, Error> {
    Ok(values::set(call.get(0, "value").map(walked).transpose()?.unwrap_or_default()))
}

/// `zip(…, default)`: the default, or none, if one of the arguments cannot be walked.
pub(super) fn zip(call: &Call) -> Result<Value, Error> {
    match zip_strict(call) {
        Ok(rows) => Ok(rows),
        Err(_) => Ok(call.named.get("default").cloned().unwrap_or_else(|| Value::from(()))),
    }
}

/// `zip_strict(…)`
pub(super) fn zip_strict(call: &Call) -> Result<Value, Error> {
    let columns: Vec<Vec<Value>> = call.positional.iter().map(walked).collect::<Result<_, _>>()?;
    let length = columns.iter().map(Vec::len).min().unwrap_or(0);
    let row = |row: usize| Tuple::from(columns.iter().map(|column| column[row].clone()).collect::<Vec<_>>());
    Ok(values::list((0..length).map(|at| Value::from(row(at)))))
}

/// The items of a value; null and what is not defined have none to walk.
fn walked(value: &Value) -> Result<Vec<Value>, Error> {
    if value.is_none() || value.is_undefined() {
        return Err(Mistake::new("elt::jinja", format!("`{value}` cannot be walked")).into());
    }
    values::items(value)
}

pub(super) fn make_dict(call: &Call) -> Result<Value, Error> {
    let mut pairs = Vec::new();
    if let Some(first) = call.positional.first() {
        if first.kind() == ValueKind::Map {
            pairs.extend(values::entries(first));
        } else {
            for pair in values::items(first)? {
                pairs.push((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?));
            }
        }
    }
    let named =
        call.order.iter().filter_map(|key| Some((Value::from(key.as_str()), call.named.get(key)?.clone())));
    pairs.extend(named);
    Ok(values::dict(pairs))
}
