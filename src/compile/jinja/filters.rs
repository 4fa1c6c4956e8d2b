//! Which filters and tests does dbt's Jinja have beyond the library's?

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value};

use super::values;

/// Adds them.
pub(super) fn add(env: &mut Environment<'static>) {
    for name in ["as_text", "string"] {
        env.add_filter(name, |value: Value| value.to_string());
    }
    env.add_filter("as_native", |value: Value| value);
    env.add_filter("as_bool", as_bool);
    env.add_filter("as_number", as_number);
    env.add_filter("int", |value: Value, default: Option<i64>| {
        lenient_int(&value).unwrap_or(default.unwrap_or(0))
    });
    env.add_filter("float", |value: Value, default: Option<f64>| {
        value.to_string().trim().parse::<f64>().unwrap_or(default.unwrap_or(0.0))
    });
    env.add_filter("list", |value: Value| values::items(&value).map(values::list));
    env.add_test("sequence", |value: Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String)
    });
    env.add_test("iterable", |value: Value| {
        value.try_iter().is_ok() && !value.is_undefined() && !value.is_none()
    });
    env.add_test("callable", |value: Value| {
        value.as_object().is_some()
            && !matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable)
    });
    env.add_function("__list", |value: Value| values::items(&value).map(values::list));
    env.add_function("__dict", |value: Value| values::dict(values::entries(&value)));
    env.add_function("__own", values::own);
}

fn lenient_int(value: &Value) -> Option<i64> {
    let text = value.to_string();
    let text = text.trim();
    match text {
        "True" | "true" => Some(1),
        "False" | "false" => Some(0),
        text => text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|number| number.trunc() as i64)),
    }
}

fn as_bool(value: Value) -> Result<bool, Error> {
    match value.to_string().trim() {
        "True" | "true" | "1" => Ok(true),
        "False" | "false" | "0" => Ok(false),
        other => Err(Error::new(ErrorKind::InvalidOperation, format!("`{other}` is neither true nor false"))),
    }
}

fn as_number(value: Value) -> Result<Value, Error> {
    let text = value.to_string();
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return Ok(number.into());
    }
    let number = text.parse::<f64>();
    number
        .map(Value::from)
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("`{text}` is not a number")))
}
