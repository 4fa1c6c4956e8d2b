//! How are rows written as a Markdown table?

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::cell::{Cells, in_lines, is_right_aligned};
use super::{Renderer, ShowOptions};

/// A pipe table as GitHub reads it. Numbers stand right; a line's end becomes `<br>`.
pub(super) struct Markdown<'a> {
    options: &'a ShowOptions,
    columns: Vec<(String, bool)>,
}

impl<'a> Markdown<'a> {
    pub(super) fn new(schema: &SchemaRef, options: &'a ShowOptions) -> Self {
        let columns =
            schema.fields().iter().map(|field| (field.name().clone(), is_right_aligned(field.data_type())));
        Self { options, columns: columns.collect() }
    }
}

impl Renderer for Markdown<'_> {
    fn begin(&mut self, page: &mut String) {
        line(page, self.columns.iter().map(|(name, _)| escaped(name)));
        line(page, self.columns.iter().map(|(_, right)| if *right { "---:" } else { "---" }.to_owned()));
    }

    fn rows(&mut self, batch: &RecordBatch, page: &mut String) -> Result<(), ArrowError> {
        let mut cells = Cells::of(batch)?;
        for row in 0..batch.num_rows() {
            let texts = cells
                .row(row)
                .map(|text| text.map_or_else(|| self.options.null.clone(), |text| escaped(&text)));
            line(page, texts);
        }
        Ok(())
    }
}

fn line(page: &mut String, cells: impl Iterator<Item = String>) {
    for cell in cells {
        page.push_str("| ");
        page.push_str(&cell);
        page.push(' ');
    }
    page.push_str("|\n");
}

/// A backslash is escaped too: GitHub would otherwise read `\|` of the data as an escaped pipe.
fn escaped(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;");
    in_lines(&text).replace('\n', "<br>")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::super::tests::shown;
    use super::super::{Format, ShowOptions};
    use super::*;

    #[test]
    fn pipes_and_lines_stay_in_their_cell() {
        let columns: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from(vec![Some(1), Some(2), None]))),
            ("a|b", Arc::new(StringArray::from(vec![r"x|y \| <b>", "two\r\nlines", ""]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        insta::assert_snapshot!(shown(&[batch], Format::Markdown, &ShowOptions::default()), @r"
        | n | a\|b |
        | ---: | --- |
        | 1 | x\|y \\\| &lt;b> |
        | 2 | two<br>lines |
        | NULL |  |
        ");
    }
}
