//! How does a wide row look, one column a line?

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::cell::{Cells, in_lines, in_one_line, pad, width};
use super::{Renderer, ShowOptions, count, dim, rows_words};
use crate::base::grouped;

/// Rows one below the other, each with a line for every column. Texts keep their lines.
pub(super) struct Lines<'a> {
    options: &'a ShowOptions,
    names: Vec<String>,
    rows: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(schema: &SchemaRef, options: &'a ShowOptions) -> Self {
        let names = schema.fields().iter().map(|field| in_one_line(field.name()).into_owned());
        Self { options, names: names.collect(), rows: 0 }
    }

    fn most(&self) -> u64 {
        self.options.max_rows.map_or(u64::MAX, count)
    }
}

/// One row, a line for each column.
pub(super) fn record(
    page: &mut String,
    number: u64,
    cells: Vec<(&str, Option<String>)>,
    options: &ShowOptions,
) {
    let room = cells.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let title = format!("─[ row {} ]", grouped(number));
    let rule = (room + 12).saturating_sub(width(&title));
    page.push_str(&dim(&(title + &"─".repeat(rule)), options.color));
    page.push('\n');
    for (name, text) in cells {
        pad(page, name, name, room, false);
        let text = match text {
            None => dim(&options.null, options.color),
            Some(text) if text == options.null => format!("'{text}'"),
            Some(text) => in_lines(&text).replace('\n', &format!("\n{} │ ", " ".repeat(room))),
        };
        page.push_str(" │ ");
        page.push_str(&text);
        page.push('\n');
    }
}

impl Renderer for Lines<'_> {
    fn rows(&mut self, batch: &RecordBatch, page: &mut String) -> Result<(), ArrowError> {
        let mut cells = Cells::of(batch)?;
        for row in 0..batch.num_rows() {
            self.rows += 1;
            if self.rows > self.most() {
                continue;
            }
            let names = self.names.iter().map(String::as_str);
            record(page, self.rows, names.zip(cells.row(row)).collect(), self.options);
        }
        Ok(())
    }

    fn end(&mut self, page: &mut String) {
        page.push_str(&rows_words(self.rows));
        if self.rows > self.most() {
            page.push_str(&format!(" (first {} shown)", grouped(self.most())));
        }
        page.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::super::tests::shown;
    use super::super::{Format, ShowOptions};
    use super::*;

    #[test]
    fn each_column_has_its_line() {
        let columns: [(&str, ArrayRef); 2] = [
            ("id", Arc::new(Int64Array::from(vec![1, 2]))),
            ("remark", Arc::new(StringArray::from(vec![Some("two\nlines"), None]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        insta::assert_snapshot!(shown(&[batch], Format::Line, &ShowOptions::default()), @r"
        ─[ row 1 ]────────
        id     │ 1
        remark │ two
               │ lines
        ─[ row 2 ]────────
        id     │ 2
        remark │ NULL
        2 rows
        ");
    }
}
