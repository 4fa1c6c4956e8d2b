//! Does the data keep its promise?

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::executed::Executed;
use super::report::{Origin, Sample, Verdict};
use crate::compile::{Node, TestNode, TestSeverity};
use crate::query::{QueryError, Session};

/// Asks a test for the rows that break it.
///
/// dbt's rule: the failures are what `fail_calc` makes of the failing rows, of the first `limit` of
/// them if there is a limit; `error_if` and `warn_if` judge that number.
pub(super) async fn ask(
    session: &Session,
    node: &Node,
    test: &TestNode,
    executed: &Executed,
) -> Result<Verdict, QueryError> {
    let limit = test.limit.map(|limit| format!(" limit {limit}")).unwrap_or_default();
    let counted =
        format!("select {} as failures from (\n{}\n{limit}) dbt_internal_test", test.fail_calc, node.sql);
    executed.note(counted.as_str());
    let counted = session.query(&counted).await.map_err(one_line_up)?.collect().await?;
    let failures = number(&counted).unwrap_or(0.0);
    let is_error = test.severity == TestSeverity::Error && test.error_if.holds(failures);
    if !is_error && !test.warn_if.holds(failures) {
        return Ok(Verdict::Passed);
    }
    let rows = format!("select * from (\n{}\n) dbt_internal_test limit {}", node.sql, Sample::ROWS);
    let rows = session.query(&rows).await.map_err(one_line_up)?.collect().await?;
    let rows = first_rows(&rows)?;
    let origins = rows.as_ref().map(origins).unwrap_or_default();
    let sample = Sample { failures, rows, origins };
    Ok(if is_error { Verdict::Failed(sample) } else { Verdict::Warned(sample) })
}

/// The first few rows of an answer, in one batch; nothing if there is no row.
pub(super) fn first_rows(batches: &[RecordBatch]) -> Result<Option<RecordBatch>, QueryError> {
    let whole = batches.first().map(|first| arrow::compute::concat_batches(first.schema_ref(), batches));
    let whole = whole.transpose().map_err(datafusion::error::DataFusionError::from)?;
    let few = whole.map(|rows| rows.slice(0, rows.num_rows().min(Sample::ROWS)));
    Ok(few.filter(|rows| rows.num_rows() > 0))
}

/// The test's own SQL begins on the second line of what is asked; its mistakes are told from its first.
fn one_line_up(error: QueryError) -> QueryError {
    match error {
        QueryError::Sql(mistake) => QueryError::Sql(mistake.lines_up(1)),
        other => other,
    }
}

fn number(batches: &[RecordBatch]) -> Option<f64> {
    let batch = batches.iter().find(|batch| batch.num_rows() > 0)?;
    let column = cast(batch.column(0), &DataType::Float64).ok()?;
    let column = column.as_primitive::<Float64Type>();
    column.is_valid(0).then(|| column.value(0))
}

/// Where rows came from that still carry the columns of landing.
fn origins(rows: &RecordBatch) -> Vec<Origin> {
    let (Some(files), Some(lines)) = (rows.column_by_name("_file_path"), rows.column_by_name("_row_number"))
    else {
        return Vec::new();
    };
    let (Ok(files), Ok(lines)) = (cast(files, &DataType::Utf8), cast(lines, &DataType::Int64)) else {
        return Vec::new();
    };
    let (files, lines) = (files.as_string::<i32>(), lines.as_primitive::<Int64Type>());
    let known = (0..rows.num_rows()).filter(|row| files.is_valid(*row) && lines.is_valid(*row));
    known.map(|row| Origin { file: files.value(row).to_owned(), line: lines.value(row) }).collect()
}
