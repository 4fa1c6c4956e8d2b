//! What becomes of the columns of files before they are those of the table?
//!
//! Nothing, as a rule; for a `COPY INTO … FROM (SELECT …)` what the SELECT says. Landing does not know SQL: whoever does
//! gives it a [`Shape`]. A shape makes one row of every row, in their order, so that the account holds.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;

use super::LandingError;
use super::evolve::NewColumn;
use super::options::{LandOptions, OnNewColumn};
use super::read::column_name;
use crate::base::sql_type_name;

/// What rows of files become on their way into a table.
#[async_trait]
pub trait Shape: Debug + Send + Sync {
    /// Columns of the files that go into a column of the table as they are, each with that column. They are read as its
    /// type, so that nothing is lost between.
    fn as_they_are(&self, table: Option<&Schema>) -> Vec<(String, String)>;

    /// The rows of the table: one for each row of `files`, in their order, and at the end the columns that `own` names as
    /// they are.
    ///
    /// # Errors
    /// The shape does not fit the files or the table. A row that cannot be made is an error of the stream.
    async fn rows(
        &self,
        files: SendableRecordBatchStream,
        own: &[String],
        table: Option<&Schema>,
    ) -> Result<SendableRecordBatchStream, LandingError>;
}

/// The columns of the files, those that go into the table as they are with the types of the table.
pub(super) fn with_types_of(
    files: &SchemaRef,
    table: Option<&SchemaRef>,
    shape: &dyn Shape,
) -> (SchemaRef, Vec<String>) {
    let pairs = shape.as_they_are(table.map(AsRef::as_ref));
    let mut typed = Vec::new();
    let field = |field: &Arc<Field>| {
        let goes = pairs.iter().find(|(own, _)| own == field.name() || column_name(own) == *field.name());
        let into = goes.and_then(|(_, into)| table?.field_with_name(into).ok());
        match into {
            Some(into) => {
                typed.push(field.name().clone());
                Arc::new(field.as_ref().clone().with_data_type(into.data_type().clone()))
            }
            None => Arc::clone(field),
        }
    };
    let fields = files.fields().iter().map(field).collect::<Vec<_>>();
    (Arc::new(Schema::new(fields)), typed)
}

/// The columns of shaped rows that the table lacks.
///
/// # Errors
/// The options do not want new columns.
pub(super) fn added(
    shaped: &Schema,
    own: &[String],
    table: Option<&SchemaRef>,
    options: &LandOptions,
) -> Result<Vec<NewColumn>, LandingError> {
    let Some(table) = table else { return Ok(Vec::new()) };
    let is_new = |field: &&Arc<Field>| {
        !own.contains(field.name()) && table.fields().iter().all(|known| known.name() != field.name())
    };
    let new = shaped.fields().iter().filter(is_new);
    let new: Vec<NewColumn> = new
        .map(|field| NewColumn { name: field.name().clone(), data_type: sql_type_name(field.data_type()) })
        .collect();
    match (new.first(), options.columns) {
        (None, _) | (_, OnNewColumn::Add) => Ok(new),
        (Some(column), _) => Err(LandingError::SelectedColumn { column: column.name.clone() }),
    }
}
