//! How are rows written as a table of a web page?

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::cell::{Cells, is_right_aligned};
use super::{Renderer, ShowOptions};

/// One `<table>`, without a page around it. Numbers stand right.
pub(super) struct Html<'a> {
    options: &'a ShowOptions,
    columns: Vec<(String, bool)>,
}

impl<'a> Html<'a> {
    pub(super) fn new(schema: &SchemaRef, options: &'a ShowOptions) -> Self {
        let columns =
            schema.fields().iter().map(|field| (field.name().clone(), is_right_aligned(field.data_type())));
        Self { options, columns: columns.collect() }
    }
}

impl Renderer for Html<'_> {
    fn begin(&mut self, page: &mut String) {
        page.push_str("<table>\n<thead><tr>");
        for (name, _) in &self.columns {
            page.push_str(&format!("<th>{}</th>", escaped(name)));
        }
        page.push_str("</tr></thead>\n<tbody>\n");
    }

    fn rows(&mut self, batch: &RecordBatch, page: &mut String) -> Result<(), ArrowError> {
        let mut cells = Cells::of(batch)?;
        for row in 0..batch.num_rows() {
            page.push_str("<tr>");
            for (text, (_, right)) in cells.row(row).zip(&self.columns) {
                let text = text.unwrap_or_else(|| self.options.null.clone());
                let open = if *right { "<td align=\"right\">" } else { "<td>" };
                page.push_str(&format!("{open}{}</td>", escaped(&text)));
            }
            page.push_str("</tr>\n");
        }
        Ok(())
    }

    fn end(&mut self, page: &mut String) {
        page.push_str("</tbody>\n</table>\n");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::super::tests::shown;
    use super::super::{Format, ShowOptions};
    use super::*;

    #[test]
    fn what_a_page_would_read_as_a_tag_is_escaped() {
        let columns: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from(vec![1, 2]))),
            ("a<b", Arc::new(StringArray::from(vec![Some("x & <y>"), None]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let html = shown(&[batch], Format::Html, &ShowOptions::default());
        let rows = "<tr><td align=\"right\">1</td><td>x &amp; &lt;y&gt;</td></tr>\n<tr><td align=\"right\">2</td><td>NULL</td></tr>\n";
        let head = "<table>\n<thead><tr><th>n</th><th>a&lt;b</th></tr></thead>\n<tbody>\n";
        assert_eq!(html, format!("{head}{rows}</tbody>\n</table>\n"));
    }
}
