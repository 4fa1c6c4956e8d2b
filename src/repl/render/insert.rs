//! How are rows written as statements that would insert them?
//!
//! So that the statements give the same rows: bytes as `x'41'`, lists, structs and maps as SQL writes them, and in these each
//! value with its type.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::ArrayFormatter;

use super::Renderer;
use super::cell::PLAIN;
use crate::base::sql_type_name;
use crate::lakehouse::interval_texts;

/// `insert into answer (a, b) values (1, 'x');`, one line for each row.
pub(super) struct Inserts {
    begin: String,
}

impl Inserts {
    /// For a table that is called `table`, as SQL writes it.
    pub(super) fn new(schema: &SchemaRef, table: &str) -> Self {
        let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
        let names: Vec<String> = schema.fields().iter().map(|field| quoted(field.name())).collect();
        Self { begin: format!("insert into {table} ({}) values (", names.join(", ")) }
    }
}

impl Renderer for Inserts {
    fn rows(&mut self, batch: &RecordBatch, page: &mut String) -> Result<(), ArrowError> {
        let columns = batch.columns().iter().map(Values::of).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let values =
                columns.iter().map(|column| column.literal(row, false)).collect::<Result<Vec<_>, _>>()?;
            page.push_str(&format!("{}{});\n", self.begin, values.join(", ")));
        }
        Ok(())
    }
}

/// A column whose values are written as literals.
struct Values<'a> {
    array: &'a ArrayRef,
    texts: Texts<'a>,
}

enum Texts<'a> {
    Plain(ArrayFormatter<'a>),
    Interval(StringArray),
    /// The values are made of others.
    Parts,
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self, ArrowError> {
        let texts = match (array.data_type().is_nested(), interval_texts(array)) {
            (true, _) => Texts::Parts,
            (false, Some(texts)) => Texts::Interval(texts),
            (false, None) => Texts::Plain(ArrayFormatter::try_new(array, &PLAIN)?),
        };
        Ok(Self { array, texts })
    }

    /// One value; `typed` if nothing around it says of which type it is.
    fn literal(&self, row: usize, typed: bool) -> Result<String, ArrowError> {
        let of = self.array.data_type();
        if of.is_null() || self.array.is_null(row) {
            return Ok("null".to_owned());
        }
        let text = match &self.texts {
            Texts::Parts => return parts(self.array, row),
            Texts::Plain(texts) => texts.value(row).to_string(),
            Texts::Interval(texts) => texts.value(row).to_owned(),
        };
        let is_bare = match of {
            DataType::Boolean => true,
            of if of.is_numeric() => text.parse::<f64>().is_ok_and(f64::is_finite),
            _ => false,
        };
        let is_bytes = matches!(
            of,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
        );
        let quoted = || format!("'{}'", text.replace('\'', "''"));
        Ok(match typed && !of.is_string() {
            _ if is_bare => text,
            _ if is_bytes => format!("x'{text}'"),
            true => format!("{}::{}", quoted(), sql_type_name(of)),
            false => quoted(),
        })
    }
}

/// A list, struct or map.
fn parts(array: &ArrayRef, row: usize) -> Result<String, ArrowError> {
    let all = |items: &ArrayRef| -> Result<String, ArrowError> {
        let values = Values::of(items)?;
        let written = (0..items.len()).map(|at| values.literal(at, true)).collect::<Result<Vec<_>, _>>()?;
        Ok(format!("[{}]", written.join(", ")))
    };
    match array.data_type() {
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members = fields.iter().zip(columns).map(|(field, column)| {
                let name = field.name().replace('\'', "''");
                Ok(format!("'{name}': {}", Values::of(column)?.literal(row, true)?))
            });
            Ok(format!("{{{}}}", members.collect::<Result<Vec<_>, ArrowError>>()?.join(", ")))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            Ok(format!("map({}, {})", all(entries.column(0))?, all(entries.column(1))?))
        }
        DataType::List(_) => all(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => all(&array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => all(&array.as_fixed_size_list().value(row)),
        _ => Values::of(&cast(&array.slice(row, 1), &DataType::Utf8)?)?.literal(0, false),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryArray, BooleanArray, Float64Array, ListArray, MapArray, StructArray};
    use arrow::array::{Date32Array, Int32Array, StringArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Int32Type};

    use super::super::tests::shown;
    use super::super::{Format, ShowOptions};
    use super::*;

    #[test]
    fn values_can_be_read_back() {
        let columns: [(&str, ArrayRef); 3] = [
            ("x", Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN)]))),
            ("a b", Arc::new(StringArray::from(vec![Some("it's"), None]))),
            ("ok", Arc::new(BooleanArray::from(vec![true, false]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let sql = shown(&[batch], Format::Insert, &ShowOptions::default());
        let begin = "insert into answer (\"x\", \"a b\", \"ok\") values (";
        assert_eq!(sql, format!("{begin}1.5, 'it''s', true);\n{begin}'NaN', null, false);\n"));
    }

    #[test]
    fn bytes_and_what_is_made_of_others_are_written_as_sql_has_them() {
        let numbers = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]);
        let field = |name: &str, of| Arc::new(Field::new(name, of, true));
        let who = StructArray::from(vec![
            (field("it's", DataType::Utf8), Arc::new(StringArray::from(vec!["x'y"])) as ArrayRef),
            (field("day", DataType::Date32), Arc::new(Date32Array::from(vec![0])) as ArrayRef),
        ]);
        let entries = StructArray::from(vec![
            (
                Arc::new(Field::new("key", DataType::Utf8, false)),
                Arc::new(StringArray::from(vec!["a"])) as ArrayRef,
            ),
            (field("value", DataType::Int32), Arc::new(Int32Array::from(vec![Some(1)])) as ArrayRef),
        ]);
        let kind = Arc::new(Field::new("entries", entries.data_type().clone(), false));
        let map = MapArray::new(kind, OffsetBuffer::from_lengths([1]), entries, None, false);
        let columns: [(&str, ArrayRef); 4] = [
            ("b", Arc::new(BinaryArray::from(vec![b"x".as_slice()]))),
            ("l", Arc::new(numbers)),
            ("s", Arc::new(who)),
            ("m", Arc::new(map)),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let options = ShowOptions { insert_into: "main.t".to_owned(), ..ShowOptions::default() };
        let sql = shown(&[batch], Format::Insert, &options);
        assert_eq!(
            sql,
            "insert into main.t (\"b\", \"l\", \"s\", \"m\") values (x'78', [1, null], \
             {'it''s': 'x''y', 'day': '1970-01-01'::date}, map(['a'], [1]));\n"
        );
    }
}
