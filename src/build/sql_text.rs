//! How are names and values written in the SQL that a build makes?

use arrow::datatypes::DataType;
use serde_json::Value;

use crate::base::{TableName, parse_data_type, sql_type_name};

/// A name, quoted.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table's name, quoted.
pub fn table(name: &TableName) -> String {
    format!("{}.{}", quoted(name.schema()), quoted(name.table()))
}

/// A text as a SQL literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `expression` as `data_type`, if that type has a name in SQL; as it is otherwise.
pub(super) fn cast(expression: &str, data_type: &DataType) -> String {
    let name = sql_type_name(data_type);
    match parse_data_type(&name) {
        Some(_) => format!("cast({expression} as {})", sql_name(&name)),
        None => expression.to_owned(),
    }
}

/// `expression` of the type `from` as `to`: fields of structs by their names, those that are missing null.
pub(super) fn brought(expression: &str, from: &DataType, to: &DataType) -> String {
    match (from, to) {
        (from, to) if from == to => expression.to_owned(),
        (DataType::Struct(given), DataType::Struct(fields)) => {
            let part = |field: &std::sync::Arc<arrow::datatypes::Field>| {
                let there = given.iter().find(|other| other.name().eq_ignore_ascii_case(field.name()));
                let value = match there {
                    Some(other) => {
                        let part = format!("{expression}[{}]", literal(other.name()));
                        brought(&part, other.data_type(), field.data_type())
                    }
                    None => cast("null", field.data_type()),
                };
                format!("{}, {value}", literal(field.name()))
            };
            let parts = fields.iter().map(part).collect::<Vec<_>>().join(", ");
            format!("case when {expression} is null then null else named_struct({parts}) end")
        }
        (_, to) => cast(expression, to),
    }
}

/// The name of a type as the engine reads it.
fn sql_name(name: &str) -> &str {
    match name {
        "timestamptz" => "timestamp with time zone",
        "binary" => "bytea",
        other => other,
    }
}

/// A value of YAML or JSON as a SQL literal.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => literal(text),
        Value::Array(items) => format!("[{}]", items.iter().map(self::value).collect::<Vec<_>>().join(", ")),
        Value::Object(_) => literal(&value.to_string()),
    }
}
