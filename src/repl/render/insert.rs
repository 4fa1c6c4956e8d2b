//! How are rows written as statements that would insert them?

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;

use super::Renderer;
use super::cell::Cells;

/// `insert into answer (a, b) values (1, 'x');`, one line for each row.
pub(super) struct Inserts {
    begin: String,
    /// Whether a column's values stand without quotes.
    bare: Vec<bool>,
}

impl Inserts {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
        let names: Vec<String> = schema.fields().iter().map(|field| quoted(field.name())).collect();
        let is_bare = |data_type: &DataType| data_type.is_numeric() || *data_type == DataType::Boolean;
        Self {
            begin: format!("insert into answer ({}) values (", names.join(", ")),
            bare: schema.fields().iter().map(|field| is_bare(field.data_type())).collect(),
        }
    }
}

impl Renderer for Inserts {
    fn rows(&mut self, batch: &RecordBatch, page: &mut String) -> Result<(), ArrowError> {
        let mut cells = Cells::of(batch)?;
        for row in 0..batch.num_rows() {
            let values: Vec<String> = cells
                .row(row)
                .zip(&self.bare)
                .map(|(text, bare)| match text {
                    None => "null".to_owned(),
                    Some(text) if *bare && text.parse::<f64>().is_ok_and(f64::is_finite) => text,
                    Some(text) if *bare && ["true", "false"].contains(&text.as_str()) => text,
                    Some(text) => format!("'{}'", text.replace('\'', "''")),
                })
                .collect();
            page.push_str(&format!("{}{});\n", self.begin, values.join(", ")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Float64Array, StringArray};

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
}
