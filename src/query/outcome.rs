//! What came of a statement?

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};

use super::{Progress, QueryError};

/// The answer to a statement: rows, as they are found. Dropping it stops the work.
pub struct Outcome {
    schema: SchemaRef,
    rows: SendableRecordBatchStream,
    progress: Option<Progress>,
}

impl Outcome {
    pub(super) fn stream(rows: SendableRecordBatchStream) -> Self {
        Self { schema: rows.schema(), rows, progress: None }
    }

    /// The same, with what tells how far it is.
    pub(super) fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// The same columns, their rows by way of another stream.
    pub(super) fn through(
        mut self,
        way: impl FnOnce(SendableRecordBatchStream) -> SendableRecordBatchStream,
    ) -> Self {
        self.rows = way(self.rows);
        self
    }

    /// How far the query is; nothing if its rows were there at once.
    pub fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// A table that is already known, as text. The columns named in `numbers` become whole numbers.
    pub fn table<const N: usize>(
        columns: [&str; N],
        numbers: &[&str],
        rows: Vec<[Option<String>; N]>,
    ) -> Self {
        let is_number = |at: usize| numbers.contains(&columns[at]);
        let data_type = |at: usize| if is_number(at) { DataType::Int64 } else { DataType::Utf8 };
        let fields: Vec<Field> = (0..N).map(|at| Field::new(columns[at], data_type(at), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let column = |at: usize| -> ArrayRef {
            let cells = rows.iter().map(|row| row[at].as_deref());
            match is_number(at) {
                true => Arc::new(
                    cells.map(|cell| cell.and_then(|text| text.parse().ok())).collect::<Int64Array>(),
                ),
                false => Arc::new(cells.collect::<StringArray>()),
            }
        };
        let batch = RecordBatch::try_new(schema, (0..N).map(column).collect());
        Self::rows(batch.expect("the columns were made for this schema"))
    }

    /// An answer without columns.
    pub fn nothing() -> Self {
        Self::rows(RecordBatch::new_empty(Arc::new(Schema::empty())))
    }

    /// Rows that are already there.
    pub fn rows(batch: RecordBatch) -> Self {
        let schema = batch.schema();
        let one = futures::stream::once(async move { Ok(batch) });
        Self::stream(Box::pin(RecordBatchStreamAdapter::new(schema, one)))
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next rows; nothing after the last.
    ///
    /// # Errors
    /// The query failed; what came before is not the whole answer.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        self.rows.next().await.map(|batch| batch.map_err(QueryError::from))
    }

    /// All rows. For answers known to be small.
    pub async fn collect(self) -> Result<Vec<RecordBatch>, QueryError> {
        Ok(self.rows.try_collect().await?)
    }

    /// The rows as the engine's own stream, for whoever writes them to a table.
    pub fn into_stream(self) -> SendableRecordBatchStream {
        self.rows
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("schema", &self.schema).finish_non_exhaustive()
    }
}
