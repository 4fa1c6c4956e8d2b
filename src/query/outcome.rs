//! What came of a statement?

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};

use super::QueryError;

/// The answer to a statement: rows, as they are found. Dropping it stops the work.
pub struct Outcome {
    schema: SchemaRef,
    rows: SendableRecordBatchStream,
}

impl Outcome {
    pub(super) fn stream(rows: SendableRecordBatchStream) -> Self {
        Self { schema: rows.schema(), rows }
    }

    /// A table of text that is already known. A column that is empty throughout stays.
    pub(super) fn table<const N: usize>(columns: [&str; N], rows: Vec<[Option<String>; N]>) -> Self {
        let fields: Vec<Field> = columns.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let column = |at: usize| -> ArrayRef {
            Arc::new(rows.iter().map(|row| row[at].as_deref()).collect::<StringArray>())
        };
        let batch = RecordBatch::try_new(schema, (0..N).map(column).collect());
        Self::rows(batch.expect("the columns were made for this schema"))
    }

    /// Rows that are already there.
    pub fn rows(batch: RecordBatch) -> Self {
        let schema = batch.schema();
        let one = futures::stream::once(async move { Ok(batch) });
        Self { schema: Arc::clone(&schema), rows: Box::pin(RecordBatchStreamAdapter::new(schema, one)) }
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
