//! How does `EXPLAIN` look to a person?

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;

use super::Renderer;
use super::cell::{Cells, in_lines};

/// Plans, each below its name, with their lines as they are: a plan in a box cannot be read.
#[derive(Default)]
pub(super) struct Plan {
    begun: bool,
}

/// Whether an answer is one to `EXPLAIN`.
pub(super) fn is_plan(schema: &SchemaRef) -> bool {
    let names =
        |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    names(schema) == ["plan_type", "plan"]
}

impl Renderer for Plan {
    fn rows(&mut self, batch: &RecordBatch, page: &mut String) -> Result<(), ArrowError> {
        let mut cells = Cells::of(batch)?;
        for row in 0..batch.num_rows() {
            let texts: Vec<String> = cells.row(row).flatten().collect();
            if let [name, plan] = texts.as_slice() {
                let space = if std::mem::replace(&mut self.begun, true) { "\n" } else { "" };
                page.push_str(&format!("{space}{}\n{}\n", in_lines(name), in_lines(plan.trim_end())));
            }
        }
        Ok(())
    }
}
