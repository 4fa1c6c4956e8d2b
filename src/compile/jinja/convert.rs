//! Which of dbt's functions only turn one value into another?

use minijinja::value::ValueKind;
use minijinja::{Error, Value};
use serde_json::Value as Json;

use super::call::Call;
use super::mistake::Mistake;
use super::values;

pub(super) fn to_json(call: &Call) -> Result<Value, Error> {
    let json = values::to_json(call.get(0, "value").unwrap_or(&Value::UNDEFINED));
    let is_sorted = call.get(2, "sort_keys").is_some_and(Value::is_true);
    Ok(python_json(&if is_sorted { sorted(json) } else { json }).into())
}

fn sorted(json: Json) -> Json {
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
    // JSON is YAML.
    Ok(python_json(&values::to_json(call.get(0, "value").unwrap_or(&Value::UNDEFINED))).into())
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

/// JSON as Python writes it, with a blank after `,` and `:`.
pub(super) fn python_json(json: &Json) -> String {
    match json {
        Json::Array(items) => format!("[{}]", items.iter().map(python_json).collect::<Vec<_>>().join(", ")),
        Json::Object(entries) => {
            let one = |(key, value): (&String, &Json)| {
                format!("{}: {}", Json::from(key.as_str()), python_json(value))
            };
            format!("{{{}}}", entries.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
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
    match (serde_saphyr::from_str::<Json>(&text), call.get(1, "default")) {
        (Ok(json), _) => Ok(values::from_json(&json)),
        (Err(_), Some(default)) => Ok(default.clone()),
        (Err(_), None) => Err(Mistake::new("elt::jinja", "this is not YAML").into()),
    }
}

pub(super) fn unique(call: &Call) -> Result<Value, Error> {
    let mut seen: Vec<Value> = Vec::new();
    for item in call.positional.first().map(values::items).transpose()?.unwrap_or_default() {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    // Two sets of the same things are equal, in whatever order they were made.
    seen.sort();
    Ok(values::list(seen))
}

pub(super) fn zip(call: &Call) -> Result<Value, Error> {
    let columns: Vec<Vec<Value>> = call.positional.iter().map(values::items).collect::<Result<_, _>>()?;
    let length = columns.iter().map(Vec::len).min().unwrap_or(0);
    Ok(values::list((0..length).map(|row| values::list(columns.iter().map(|column| column[row].clone())))))
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
