//! What is in a text that is JSON?
//!
//! A lake keeps JSON as text. `_elt_json_get(text, step, …)` goes into it and gives what is there as JSON, `_elt_json_text`
//! as a plain text; a step is a key, a place in a list, or a path such as `$.a[0].b`. The text is walked as it stands, so
//! a number keeps its digits and an object its order. What is not JSON has nothing in it.
//!
//! Not here: the names by which people call these, `->`, `json_extract_string`, `get_json_object` (`dialect`).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, Int64Builder, ListBuilder, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use What as W;
    let all = [
        W::Get,
        W::Field,
        W::Text,
        W::Length,
        W::Keys,
        W::Kind,
        W::IsValid,
        W::Parse,
        W::TryParse,
        W::Make,
        W::Cast,
        W::Object,
        W::List,
    ];
    let signature = || Signature::variadic_any(Volatility::Immutable);
    let none = || {
        Signature::one_of(
            vec![
                datafusion::logical_expr::TypeSignature::Nullary,
                datafusion::logical_expr::TypeSignature::VariadicAny,
            ],
            Volatility::Immutable,
        )
    };
    let one = |what: What| Json {
        what,
        signature: if matches!(what, W::Object | W::List) { none() } else { signature() },
    };
    all.map(|what| ScalarUDF::from(one(what))).into()
}

/// What `j.a` is called, where `j` is a column of texts.
pub(super) const FIELD: &str = "_elt_json_field";

/// What makes a value JSON that is cast to it.
const CAST: &str = "_elt_json";

/// The function that goes into JSON: `_elt_json_get`, or the one that stands for `j.a`.
pub(super) fn step(is_field: bool) -> ScalarUDF {
    let what = if is_field { What::Field } else { What::Get };
    ScalarUDF::from(Json { what, signature: Signature::variadic_any(Volatility::Immutable) })
}

/// Whether a function gives JSON.
pub(super) fn gives_json(function: &ScalarUDF) -> bool {
    function.inner().downcast_ref::<Json>().is_some_and(|json| {
        use What as W;
        matches!(
            json.what,
            W::Get | W::Field | W::Parse | W::TryParse | W::Make | W::Cast | W::Object | W::List
        )
    })
}

/// What a function tells of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    /// What is at a place, as JSON.
    Get,
    /// The same, where a column with a name behind it was written, `j.a`.
    Field,
    /// What is at a place, as a plain text.
    Text,
    /// How many items a list has.
    Length,
    /// The keys of an object.
    Keys,
    /// Which kind of value it is.
    Kind,
    /// Whether it is JSON.
    IsValid,
    /// The same without blanks, or an error.
    Parse,
    /// The same without blanks, or null.
    TryParse,
    /// A value as JSON.
    Make,
    /// A value that is cast to JSON: a text is JSON already.
    Cast,
    /// An object of keys and values.
    Object,
    /// A list of values.
    List,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Json {
    what: What,
    signature: Signature,
}

impl ScalarUDFImpl for Json {
    fn name(&self) -> &str {
        match self.what {
            What::Get => "_elt_json_get",
            What::Field => FIELD,
            What::Text => "_elt_json_text",
            What::Length => "json_array_length",
            What::Keys => "json_keys",
            What::Kind => "json_type",
            What::IsValid => "json_valid",
            What::Parse => "parse_json",
            What::TryParse => "try_parse_json",
            What::Make => "to_json",
            What::Cast => CAST,
            What::Object => "json_object",
            What::List => "json_array",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        match self.what {
            What::Object if args.len() % 2 == 1 => {
                plan_err!("an object is made of keys and values, and the last key has no value")
            }
            What::Length => Ok(DataType::Int64),
            What::Keys => Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))),
            What::IsValid => Ok(DataType::Boolean),
            _ => Ok(DataType::Utf8),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let all_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if all_scalar { 1 } else { rows };
        let arrays: Vec<ArrayRef> =
            args.args.into_iter().map(|arg| arg.into_array(rows)).collect::<Result<_>>()?;
        let answer: ArrayRef = match self.what {
            What::Cast if arrays[0].data_type().is_string() => cast(&arrays[0], &DataType::Utf8)?,
            What::Make | What::Cast | What::Object | What::List => self.made(&arrays, rows)?,
            _ => self.told(&arrays, rows)?,
        };
        match all_scalar {
            true => Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&answer, 0)?)),
            false => Ok(ColumnarValue::Array(answer)),
        }
    }
}

impl Json {
    fn told(&self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let texts = cast(&arrays[0], &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        let steps = arrays[1..].iter().map(Steps::of).collect::<Result<Vec<_>>>()?;
        // The text, and what is in it at the place that the row asks for.
        let at = |row: usize| -> Result<Option<&str>> {
            let mut here = texts.is_valid(row).then(|| texts.value(row).trim());
            for steps in &steps {
                let Some(inside) = here else { break };
                here = steps.go(row, inside)?;
            }
            Ok(here)
        };
        Ok(match self.what {
            What::Length => {
                let mut answer = Int64Builder::with_capacity(rows);
                for row in 0..rows {
                    answer.append_option(at(row)?.and_then(items).map(|items| items.len() as i64));
                }
                Arc::new(answer.finish())
            }
            What::Keys => {
                let mut answer = ListBuilder::new(StringBuilder::new());
                for row in 0..rows {
                    let keys = at(row)?.and_then(members);
                    for (key, _) in keys.iter().flatten() {
                        answer.values().append_value(key);
                    }
                    answer.append(keys.is_some());
                }
                Arc::new(answer.finish())
            }
            What::IsValid => {
                let mut answer = BooleanBuilder::with_capacity(rows);
                for row in 0..rows {
                    answer.append_option(at(row)?.map(is_valid));
                }
                Arc::new(answer.finish())
            }
            _ => {
                let mut answer = StringBuilder::new();
                for row in 0..rows {
                    let here = at(row)?;
                    answer.append_option(match (self.what, here) {
                        (_, None) => None,
                        (What::Text, Some(json)) => plain(json),
                        (What::Kind, Some(json)) => kind(json).map(str::to_owned),
                        (What::Parse, Some(json)) if !is_valid(json) => {
                            return exec_err!(
                                "this is not JSON: {}",
                                json.chars().take(60).collect::<String>()
                            );
                        }
                        (What::TryParse, Some(json)) if !is_valid(json) => None,
                        (_, Some(json)) => Some(compact(json)),
                    });
                }
                Arc::new(answer.finish())
            }
        })
    }

    fn made(&self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let mut answer = StringBuilder::new();
        for row in 0..rows {
            let mut json = String::new();
            match self.what {
                What::Make | What::Cast => write(arrays[0].as_ref(), row, &mut json)?,
                What::List => {
                    json.push('[');
                    for (at, array) in arrays.iter().enumerate() {
                        separate(at, &mut json);
                        write(array.as_ref(), row, &mut json)?;
                    }
                    json.push(']');
                }
                _ => {
                    json.push('{');
                    for (at, pair) in arrays.chunks(2).enumerate() {
                        separate(at, &mut json);
                        let keys = cast(&pair[0], &DataType::Utf8)?;
                        let keys = keys.as_string::<i32>();
                        if keys.is_null(row) {
                            return exec_err!("a key of an object is null");
                        }
                        json.push_str(&quoted(keys.value(row)));
                        json.push(':');
                        write(pair[1].as_ref(), row, &mut json)?;
                    }
                    json.push('}');
                }
            }
            let nothing = || arrays[0].is_null(row) || *arrays[0].data_type() == DataType::Null;
            match matches!(self.what, What::Make | What::Cast) && nothing() {
                true => answer.append_null(),
                false => answer.append_value(json),
            }
        }
        Ok(Arc::new(answer.finish()))
    }
}

/// One step down, for every row.
enum Steps {
    Keys(ArrayRef),
    Places(ArrayRef),
}

impl Steps {
    fn of(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            number if number.is_integer() => Self::Places(cast(array, &DataType::Int64)?),
            _ => Self::Keys(cast(array, &DataType::Utf8)?),
        })
    }

    fn go<'a>(&self, row: usize, json: &'a str) -> Result<Option<&'a str>> {
        Ok(match self {
            Self::Places(places) => {
                let places = places.as_primitive::<Int64Type>();
                places.is_valid(row).then(|| item(json, places.value(row))).flatten()
            }
            Self::Keys(keys) => {
                let keys = keys.as_string::<i32>();
                if keys.is_null(row) {
                    return Ok(None);
                }
                match keys.value(row) {
                    path if path.starts_with('$') => along(json, path)?,
                    // What has no such key of its own is asked along it.
                    path if path.starts_with('/') => member(json, path).or_else(|| pointed(json, path)),
                    key => member(json, key),
                }
            }
        })
    }
}

/// What is at the end of a path: `$.a.b[0]."a key"['another']`.
pub(super) fn along<'a>(json: &'a str, path: &str) -> Result<Option<&'a str>> {
    let mut here = Some(json);
    let mut rest = &path[1..];
    while !rest.is_empty() {
        let Some(inside) = here else { return Ok(None) };
        if let Some(after) = rest.strip_prefix('.') {
            let (key, end) = match after.strip_prefix('"') {
                Some(quoted) => match quoted.find('"') {
                    Some(end) => (&quoted[..end], end + 2),
                    None => return exec_err!("`{path}` is no path into JSON: a quote is not closed"),
                },
                None => {
                    let end = after.find(['.', '[']).unwrap_or(after.len());
                    (&after[..end], end)
                }
            };
            if key.is_empty() || key == "*" {
                return exec_err!(
                    "not supported: `{path}`, because a path leads to one place; name a key after each point"
                );
            }
            here = member(inside, key);
            rest = &after[end..];
        } else if let Some(after) = rest.strip_prefix('[') {
            let Some(end) = after.find(']') else {
                return exec_err!("`{path}` is no path into JSON: a bracket is not closed");
            };
            let step = after[..end].trim();
            let key = step.strip_prefix(['\'', '"']).and_then(|key| key.strip_suffix(['\'', '"']));
            here = match (key, step.trim_start_matches('#').parse::<i64>()) {
                (Some(key), _) => member(inside, key),
                (None, Ok(place)) => item(inside, place),
                _ => {
                    return exec_err!(
                        "not supported: `{path}`, because a path leads to one place; write a number for `{step}`"
                    );
                }
            };
            rest = &after[end + 1..];
        } else {
            return exec_err!("`{path}` is no path into JSON; write `$.key[0]`");
        }
    }
    Ok(here)
}

/// What is at the end of a JSON pointer: `/a/0/b`, where `~1` is a stroke and `~0` a wave.
fn pointed<'a>(json: &'a str, path: &str) -> Option<&'a str> {
    let mut steps = path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
    steps.try_fold(json, |here, step| member(here, &step))
}

/// The value of a key of an object; or, as others have it, the item of a list at a place that is written as text.
fn member<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    if json.starts_with('[') {
        return item(json, key.parse().ok()?);
    }
    // Of two members of one name the last counts, as in most readers.
    members(json)?.into_iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
}

/// An item of a list, counted from 0; from the end, if the place is below 0.
fn item(json: &str, place: i64) -> Option<&str> {
    let items = items(json)?;
    let at = if place < 0 { items.len() as i64 + place } else { place };
    items.get(usize::try_from(at).ok()?).copied()
}

pub(super) fn items(json: &str) -> Option<Vec<&str>> {
    let inside = json.strip_prefix('[')?.strip_suffix(']')?;
    if inside.trim().is_empty() {
        return Some(Vec::new());
    }
    parts(inside, ',')
}

pub(super) fn members(json: &str) -> Option<Vec<(String, &str)>> {
    let inside = json.strip_prefix('{')?.strip_suffix('}')?;
    if inside.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut all = Vec::new();
    for part in parts(inside, ',')? {
        let end = string_end(Some(part).filter(|part| part.starts_with('"'))?)?;
        let key = serde_json::from_str(&part[..end]).ok()?;
        let value = part[end..].trim_start().strip_prefix(':')?;
        all.push((key, value.trim()));
    }
    Some(all)
}

/// The byte after a string that the text begins with.
fn string_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// The text between separators that stand in no string, list or object.
fn parts(text: &str, separator: char) -> Option<Vec<&str>> {
    let (bytes, separator) = (text.as_bytes(), separator as u8);
    let (mut all, mut start, mut depth, mut at) = (Vec::new(), 0, 0_usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at += string_end(&text[at..])? - 1,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1)?,
            byte if byte == separator && depth == 0 => {
                all.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    all.push(text[start..].trim());
    (depth == 0).then_some(all)
}

pub(super) fn is_valid(json: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok()
}

/// A value as a plain text: a string without its quotes, nothing for null.
pub(super) fn plain(json: &str) -> Option<String> {
    match json {
        "null" | "" => None,
        text if text.starts_with('"') => serde_json::from_str(text).ok(),
        other => Some(compact(other)),
    }
}

/// The same without blanks between its parts.
pub(super) fn compact(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(quote) = rest.find('"') {
        compact.extend(rest[..quote].chars().filter(|c| !c.is_whitespace()));
        let end = string_end(&rest[quote..]).map_or(rest.len(), |end| quote + end);
        compact.push_str(&rest[quote..end]);
        rest = &rest[end..];
    }
    compact.extend(rest.chars().filter(|c| !c.is_whitespace()));
    compact
}

pub(super) fn kind(json: &str) -> Option<&'static str> {
    Some(match json.as_bytes().first()? {
        b'{' => "OBJECT",
        b'[' => "ARRAY",
        b'"' => "VARCHAR",
        b't' | b'f' => "BOOLEAN",
        b'n' => "NULL",
        _ if json.parse::<i64>().is_ok() => "BIGINT",
        _ if json.parse::<u64>().is_ok() => "UBIGINT",
        _ if json.parse::<f64>().is_ok() => "DOUBLE",
        _ => return None,
    })
}

pub(super) fn separate(at: usize, json: &mut String) {
    if at > 0 {
        json.push(',');
    }
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Writes one value of a column as JSON.
pub(super) fn write(array: &dyn Array, row: usize, json: &mut String) -> Result<()> {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        json.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Struct(fields) => {
            json.push('{');
            for (at, (field, column)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                separate(at, json);
                json.push_str(&quoted(field.name()));
                json.push(':');
                write(column.as_ref(), row, json)?;
            }
            json.push('}');
        }
        DataType::List(_) => write_list(&array.as_list::<i32>().value(row), json)?,
        DataType::LargeList(_) => write_list(&array.as_list::<i64>().value(row), json)?,
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            json.push('{');
            for at in 0..entries.len() {
                separate(at, json);
                let keys = cast(entries.column(0), &DataType::Utf8)?;
                json.push_str(&quoted(keys.as_string::<i32>().value(at)));
                json.push(':');
                write(entries.column(1).as_ref(), at, json)?;
            }
            json.push('}');
        }
        data_type => {
            let options = FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"));
            let shown = ArrayFormatter::try_new(array, &options)?.value(row).to_string();
            let is_number = data_type.is_numeric() && shown.parse::<f64>().is_ok_and(f64::is_finite);
            match is_number || *data_type == DataType::Boolean {
                true => json.push_str(&shown),
                false if data_type.is_numeric() => json.push_str("null"),
                false => json.push_str(&quoted(&shown)),
            }
        }
    }
    Ok(())
}

fn write_list(items: &ArrayRef, json: &mut String) -> Result<()> {
    json.push('[');
    for at in 0..items.len() {
        separate(at, json);
        write(items.as_ref(), at, json)?;
    }
    json.push(']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_into_a_text() {
        let json = r#" {"a": {"b": [1.50, {"c d": "x\"y"}, null]}, "a,b": [], "é": "ü"} "#.trim();
        let at = |path: &str| along(json, path).unwrap().map(str::to_owned);
        assert_eq!(at("$.a.b[0]").as_deref(), Some("1.50"));
        assert_eq!(at(r#"$.a.b[1]."c d""#).as_deref().and_then(plain).as_deref(), Some("x\"y"));
        assert_eq!(at("$.a.b[-1]").as_deref().and_then(plain), None);
        assert_eq!(at("$['a,b']").as_deref(), Some("[]"));
        assert_eq!(at("$.é").as_deref().and_then(plain).as_deref(), Some("ü"));
        assert_eq!(at("$.a.x.y"), None);
        assert_eq!(compact(json), r#"{"a":{"b":[1.50,{"c d":"x\"y"},null]},"a,b":[],"é":"ü"}"#);
        assert!(along(json, "$.*").is_err() && along(json, "$[").is_err());
        assert_eq!(pointed(json, "/a/b/0"), Some("1.50"));
        assert_eq!(pointed(r#"{"a/b": {"~": 1}}"#, "/a~1b/~0"), Some("1"));
        assert_eq!(pointed(json, "/a/x/y"), None);
    }

    #[test]
    fn what_is_not_json_has_nothing_in_it() {
        for broken in ["", "{", "{\"a\"", "{\"a\":", "{a:1}", "[1,", "]", "\"", "{\"a\":[}", "\\"] {
            assert_eq!(member(broken, "a"), None, "{broken}");
            assert_eq!(item(broken, 1), None, "{broken}");
            compact(broken);
            plain(broken);
        }
    }
}
