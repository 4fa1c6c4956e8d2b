//! How do `EXPLAIN` and `SHOW CREATE` look to a person?

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;

use super::Renderer;
use super::cell::{Cells, in_lines};

/// Plans, each below its name, and statements, with their lines as they are: in a box they cannot be read or copied.
#[derive(Default)]
pub(super) struct Plan {
    begun: bool,
}

/// Whether an answer is one to `EXPLAIN` or `SHOW CREATE`.
pub(super) fn is_plan(schema: &SchemaRef) -> bool {
    let names =
        |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let names = names(schema);
    names == ["plan_type", "plan"] || names == ["createtab_stmt"]
}

impl Renderer for Plan {
    fn rows(&mut self, batch: &RecordBatch, page: &mut String) -> Result<(), ArrowError> {
        let mut cells = Cells::of(batch)?;
        for row in 0..batch.num_rows() {
            let texts: Vec<String> = cells.row(row).flatten().collect();
            let space = if std::mem::replace(&mut self.begun, true) { "\n" } else { "" };
            match texts.as_slice() {
                [name, plan] => {
                    page.push_str(&format!("{space}{}\n{}\n", in_lines(name), in_lines(plan.trim_end())));
                }
                [statement] => page.push_str(&format!("{space}{};\n", in_lines(statement.trim_end()))),
                _ => {}
            }
        }
        Ok(())
    }
}
