//! How does `EXPLAIN` look to a person?

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;

use super::Renderer;
use super::cell::{Cells, in_lines};

/// Plans, each below its name, with their lines as they are: a plan in a box cannot be read.
pub(super) struct Plan;

/// Whether an answer is one to `EXPLAIN`.
pub(super) fn is_plan(schema: &SchemaRef) -> bool {
    let names = |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    names(schema) == ["plan_type", "plan"]
}

impl Renderer for Plan {
    fn rows(&mut self, batch: &RecordBatch, page: &mut String) -> Result<(), ArrowError> {
        let mut cells = Cells::of(batch)?;
        for row in 0..batch.num_rows() {
            let texts: Vec<String> = cells.row(row).flatten().collect();
            if let [name, plan] = texts.as_slice() {
                page.push_str(&format!("{}\n{}\n\n", in_lines(name), in_lines(plan.trim_end())));
            }
        }
        Ok(())
    }

    fn end(&mut self, page: &mut String) {
        page.truncate(page.trim_end().len());
        page.push('\n');
    }
}
