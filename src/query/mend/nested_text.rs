//! How are structs, maps and lists written as a text?
//!
//! `{'a': 1, 'b': x}`, `{k=v}` and `[1, 2]`, as DuckDB has them: a text in them has quotes where it would be read otherwise.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};

use super::text::plain_texts;
use crate::base::is_wanted;

/// The values of a nested column as texts.
pub(super) fn nested_texts(values: &ArrayRef) -> Result<StringArray> {
    let texts = (0..values.len()).map(|row| match values.is_null(row) {
        true => Ok(None),
        false => {
            let mut text = String::new();
            write(values, row, false, &mut text)?;
            Ok(Some(text))
        }
    });
    Ok(texts.collect::<Result<Vec<_>>>()?.into())
}

fn write(values: &ArrayRef, row: usize, is_inside: bool, out: &mut String) -> Result<()> {
    if values.is_null(row) || *values.data_type() == DataType::Null {
        out.push_str("NULL");
        return Ok(());
    }
    match values.data_type() {
        DataType::Struct(fields) => {
            out.push('{');
            for (at, (field, column)) in fields.iter().zip(values.as_struct().columns()).enumerate() {
                out.push_str(if at == 0 { "'" } else { ", '" });
                out.push_str(field.name());
                out.push_str("': ");
                write(column, row, true, out)?;
            }
            out.push('}');
        }
        DataType::Map(..) => {
            let map = values.as_map();
            let pairs = map.value(row);
            out.push('{');
            for at in 0..pairs.len() {
                out.push_str(if at == 0 { "" } else { ", " });
                write(pairs.column(0), at, true, out)?;
                out.push('=');
                write(pairs.column(1), at, true, out)?;
            }
            out.push('}');
        }
        DataType::List(_) => {
            let items = values.as_list::<i32>().value(row);
            out.push('[');
            for at in 0..items.len() {
                if at % 1024 == 1023 && !is_wanted() {
                    return exec_err!("nobody waits for this text any more");
                }
                out.push_str(if at == 0 { "" } else { ", " });
                write(&items, at, true, out)?;
            }
            out.push(']');
        }
        data_type => {
            let one = values.slice(row, 1);
            let text = match plain_texts(&one)? {
                Some(texts) => texts,
                None => cast(&one, &DataType::Utf8)?,
            };
            let text = text.as_string::<i32>().value(0);
            match is_inside && data_type.is_string() && is_odd(text) {
                true => {
                    out.push('\'');
                    for letter in text.chars() {
                        if matches!(letter, '\'' | '\\') {
                            out.push('\\');
                        }
                        out.push(letter);
                    }
                    out.push('\'');
                }
                false => out.push_str(text),
            }
        }
    }
    Ok(())
}

/// Whether a text would be read otherwise without quotes.
fn is_odd(text: &str) -> bool {
    text.is_empty()
        || text != text.trim()
        || text.eq_ignore_ascii_case("null")
        || text.contains(['"', '\'', '(', ')', ',', ':', '=', '[', ']', '{', '}', '\\'])
}
