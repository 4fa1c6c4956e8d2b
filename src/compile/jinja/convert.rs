//! Which of dbt's functions only turn one value into another?

use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};
use serde_json::Value as Json;

use super::call::Call;
use super::mistake::Mistake;
use super::scope::Scope;
use super::time::Instant;
use super::values;

pub(super) fn to_json(call: &Call) -> Result<Value, Error> {
    Ok(python_json(&values::to_json(call.positional.first().unwrap_or(&Value::UNDEFINED))).into())
}

/// JSON as Python writes it, with a blank after `,` and `:`.
fn python_json(json: &Json) -> String {
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

pub(super) fn now(scope: &Arc<Scope>, _: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    Ok(Value::from_object(Instant { at: scope.given.run_started_at, date_only: false }))
}

pub(super) fn today(scope: &Arc<Scope>, _: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    Ok(Value::from_object(Instant { at: scope.given.run_started_at, date_only: true }))
}
