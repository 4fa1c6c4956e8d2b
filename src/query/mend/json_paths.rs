//! What is at all the places of a JSON text that a path leads to?
//!
//! `_elt_json_all(text, '$.a[*].b')` and `…, '$..b')` give a list of what is there, each as JSON; `_elt_json_all_texts` each as a
//! plain text. `json_contains(text, part)`: is a part of it somewhere in it? Numbers are told in their shortest form.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanBuilder, ListBuilder, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use serde_json::Value;

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let signature = || Signature::string(2, Volatility::Immutable);
    let of = |wanted| ScalarUDF::from(Paths { wanted, signature: signature() });
    [Wanted::Json, Wanted::Texts, Wanted::Contains].map(of).into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wanted {
    Json,
    Texts,
    Contains,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Paths {
    wanted: Wanted,
    signature: Signature,
}

impl ScalarUDFImpl for Paths {
    fn name(&self) -> &str {
        match self.wanted {
            Wanted::Json => "_elt_json_all",
            Wanted::Texts => "_elt_json_all_texts",
            Wanted::Contains => "json_contains",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.wanted {
            Wanted::Contains => DataType::Boolean,
            _ => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = |at: usize| cast(&args.args[at].clone().into_array(args.number_rows)?, &DataType::Utf8);
        let (texts, others) = (texts(0)?, texts(1)?);
        let (texts, others): (&StringArray, &StringArray) = (texts.as_string(), others.as_string());
        let pairs = texts.iter().zip(others.iter()).map(|(text, other)| text.zip(other));
        if self.wanted == Wanted::Contains {
            let mut told = BooleanBuilder::new();
            for pair in pairs {
                told.append_option(match pair {
                    Some((text, part)) => Some(contains(&read(text)?, &read(part)?)),
                    None => None,
                });
            }
            return Ok(ColumnarValue::Array(Arc::new(told.finish())));
        }
        let mut lists = ListBuilder::new(StringBuilder::new());
        for pair in pairs {
            let Some((text, path)) = pair else {
                lists.append_null();
                continue;
            };
            let steps = steps(path)?;
            let Ok(whole) = serde_json::from_str::<Value>(text) else {
                lists.append_null();
                continue;
            };
            let mut found = vec![&whole];
            for step in &steps {
                found = found.into_iter().flat_map(|value| step.of(value)).collect();
            }
            for value in found {
                match (value, self.wanted) {
                    (Value::String(text), Wanted::Texts) => lists.values().append_value(text),
                    (Value::Null, Wanted::Texts) => lists.values().append_null(),
                    (value, _) => lists.values().append_value(value.to_string()),
                }
            }
            lists.append(true);
        }
        Ok(ColumnarValue::Array(Arc::new(lists.finish())))
    }
}

fn read(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| exec_datafusion_err!("`{text}` is no JSON: {error}"))
}

/// Whether a part is in a value, or in something that is in it: of an object some members, of a list some items.
fn contains(value: &Value, part: &Value) -> bool {
    let here = match (value, part) {
        (Value::Object(members), Value::Object(wanted)) => {
            wanted.iter().all(|(key, part)| members.get(key).is_some_and(|member| contains(member, part)))
        }
        (Value::Array(items), Value::Array(wanted)) => {
            wanted.iter().all(|part| items.iter().any(|item| contains(item, part)))
        }
        (value, part) => value == part,
    };
    here || match value {
        Value::Array(items) => items.iter().any(|item| contains(item, part)),
        Value::Object(members) => members.values().any(|member| contains(member, part)),
        _ => false,
    }
}

/// One step of a path.
#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Item(i64),
    Members,
    Items,
    /// The value, and all that is in it.
    Everything,
}

impl Step {
    fn of<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Key(key), Value::Object(members)) => members.get(key).into_iter().collect(),
            (Self::Item(at), Value::Array(items)) => {
                let at = if *at < 0 { at + items.len() as i64 } else { *at };
                usize::try_from(at).ok().and_then(|at| items.get(at)).into_iter().collect()
            }
            (Self::Members, Value::Object(members)) => members.values().collect(),
            (Self::Items, Value::Array(items)) => items.iter().collect(),
            (Self::Everything, value) => {
                let mut all = vec![value];
                match value {
                    Value::Object(members) => all.extend(members.values().flat_map(|member| self.of(member))),
                    Value::Array(items) => all.extend(items.iter().flat_map(|item| self.of(item))),
                    _ => {}
                }
                all
            }
            _ => Vec::new(),
        }
    }
}

/// The steps of `$.a[*]..b`.
fn steps(path: &str) -> Result<Vec<Step>> {
    let wrong = || -> Result<Vec<Step>> {
        exec_err!("`{path}` is no path into JSON; one is written `$.a[0].b`, `$.a[*]` or `$..b`")
    };
    let Some(mut rest) = path.strip_prefix('$') else { return wrong() };
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("..") {
            steps.push(Step::Everything);
            rest = after;
            if rest.starts_with('[') {
                continue;
            }
        } else if let Some(after) = rest.strip_prefix('[') {
            let Some((inside, after)) = after.split_once(']') else { return wrong() };
            steps.push(match inside.trim() {
                "*" => Step::Items,
                from_end if from_end.starts_with('#') => match from_end[1..].parse::<i64>() {
                    Ok(at) if at < 0 => Step::Item(at),
                    _ => return wrong(),
                },
                number => match number.parse() {
                    Ok(at) => Step::Item(at),
                    Err(_) => Step::Key(number.trim_matches(['\'', '"']).to_owned()),
                },
            });
            rest = after;
            continue;
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = after;
        } else {
            return wrong();
        }
        // A key, up to the next step.
        let key = match rest.strip_prefix('"') {
            Some(quoted) => {
                let Some((key, after)) = quoted.split_once('"') else { return wrong() };
                rest = after;
                Step::Key(key.to_owned())
            }
            None => {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (key, after) = rest.split_at(end);
                rest = after;
                match key {
                    "" => return wrong(),
                    "*" => Step::Members,
                    key => Step::Key(key.to_owned()),
                }
            }
        };
        steps.push(key);
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_all_its_places() {
        let text = r#"{"a": [1, {"b": 2}, [3]], "c": {"b": "x"}}"#;
        let whole = read(text).unwrap();
        let told = |path: &str| {
            let mut found = vec![&whole];
            for step in steps(path).unwrap() {
                found = found.into_iter().flat_map(|value| step.of(value)).collect();
            }
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told("$.a[*]"), r#"1 {"b":2} [3]"#);
        assert_eq!(told("$..b"), r#"2 "x""#);
        assert_eq!(told("$.*.b"), r#""x""#);
        assert_eq!(told("$.a[#-1][0]"), "3");
        assert!(steps("a.b").is_err() && steps("$.").is_err() && steps("$[1").is_err());
    }
}
