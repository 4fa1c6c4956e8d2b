//! How are rows written as CSV, or with tabs?

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::cell::Cells;
use super::{Renderer, ShowOptions};

/// RFC 4180 with a header and lines that end in `\n`. NULL is nothing at all, or what was chosen for it; an empty text is `""`, and
/// one that is as NULL is in quotes too.
pub(super) struct Csv {
    names: Vec<String>,
    between: char,
    header: bool,
    null: String,
}

impl Csv {
    /// With `between` two fields: a comma or a tab.
    pub(super) fn new(schema: &SchemaRef, between: char, options: &ShowOptions) -> Self {
        let names = schema.fields().iter().map(|field| field.name().clone()).collect();
        Self { names, between, header: options.header, null: options.csv_null.clone() }
    }
}

impl Renderer for Csv {
    fn begin(&mut self, page: &mut String) {
        if self.header {
            record(page, self.names.iter().cloned().map(Some), self.between, &self.null);
        }
    }

    fn rows(&mut self, batch: &RecordBatch, page: &mut String) -> Result<(), ArrowError> {
        let mut cells = Cells::of(batch)?;
        for row in 0..batch.num_rows() {
            record(page, cells.row(row), self.between, &self.null);
        }
        Ok(())
    }
}

fn record(page: &mut String, fields: impl Iterator<Item = Option<String>>, between: char, null: &str) {
    for (at, field) in fields.enumerate() {
        if at > 0 {
            page.push(between);
        }
        match field {
            None => page.push_str(null),
            Some(text) if text.is_empty() || text == null || text.contains([between, '"', '\n', '\r']) => {
                page.push('"');
                page.push_str(&text.replace('"', "\"\""));
                page.push('"');
            }
            Some(text) => page.push_str(&text),
        }
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::super::Format;
    use super::super::tests::shown;
    use super::*;

    #[test]
    fn what_needs_quotes_has_them_and_null_is_not_empty() {
        let texts = ["plain", "a,b", "say \"ja\"", "two\nlines", ""];
        let texts: StringArray = texts.into_iter().map(Some).chain([None]).collect();
        let columns: [(&str, ArrayRef); 2] =
            [("n,o", Arc::new((1..7).collect::<Int64Array>())), ("text", Arc::new(texts))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let csv = shown(&[batch.slice(0, 3), batch.slice(3, 3)], Format::Csv, &ShowOptions::default());
        let expected =
            "\"n,o\",text\n1,plain\n2,\"a,b\"\n3,\"say \"\"ja\"\"\"\n4,\"two\nlines\"\n5,\"\"\n6,\n";
        assert_eq!(csv, expected);
    }
}
