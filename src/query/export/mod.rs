//! How do rows get out?
//!
//! `COPY … TO 'file'`, or to a URL of an object store (`away`): the rows of a query, as they come, into a file with a temporary name, which is given its own when
//! the last row is in it and on the disk. So a reader finds the whole file or none, whatever happens to us; and memory is
//! bounded whatever the number of rows. With `PARTITION_BY` the rows are sorted first, so that one file is open at a time.
//!
//! Not here: what stands on a terminal (`repl`).

mod away;
mod csv;
mod options;
mod place;
mod straight;
mod writer;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::ident;
use futures::StreamExt;
use tokio::sync::mpsc;

use super::dialect::CopyTo;
use super::thrift::Purpose;
use super::{Outcome, QueryError, Session, SqlMistake};
use away::Away;
use options::Options;
use place::{Place, Written};

/// Writes the rows of a query to a file, or to a folder of files. Returns how many.
///
/// # Errors
/// The query fails, an option is wrong, or the file cannot be written. Then what was there before is there still.
pub(super) async fn copy_to(session: &Session, copy: CopyTo) -> Result<Outcome, QueryError> {
    let mut options = Options::read(&copy.file, &copy.options)?;
    let mut plan = Box::pin(session.plan(*copy.query)).await?;
    let schema = std::sync::Arc::new(plan.schema().as_arrow().clone());
    options.check(&schema)?;
    let tables = session.scope().tables();
    let away = match copy.file.contains("://") {
        true => Some(Box::pin(Away::find(&copy.file, tables, &options)).await?),
        false => None,
    };
    let place = match &away {
        Some(away) => away.place(&options)?,
        None => Place::find(&copy.file, tables.lake().folder(), &options)?,
    };
    if !options.partition_by.is_empty() {
        let by = options.partition_by.iter().map(|column| ident(column).sort(true, false));
        plan = LogicalPlanBuilder::from(plan).sort(by)?.build()?;
    }
    let rows = session.rows_of_plan_for(plan, Purpose::Write).await?.into_stream();
    let Written { rows, files, bytes } = written(rows, place, options).await?;
    if let Some(away) = away {
        Box::pin(away.send()).await?;
    }
    let numbers = [rows, files, bytes].map(|number| Some(number.to_string()));
    let names = ["rows", "files", "bytes"];
    Ok(Outcome::table(names, &names, vec![numbers]))
}

/// Hands rows over to a thread that writes them; that thread gives up if we do.
async fn written(
    mut rows: SendableRecordBatchStream,
    place: Place,
    options: Options,
) -> Result<Written, QueryError> {
    let schema = rows.schema();
    let (sender, mut receiver) = mpsc::channel::<Option<RecordBatch>>(2);
    let writer = tokio::task::spawn_blocking(move || {
        let mut files = place.open(schema, options)?;
        while let Some(batch) = receiver.blocking_recv() {
            match batch {
                Some(batch) => files.write(&batch)?,
                None => return files.publish().map(Some),
            }
        }
        // Whoever asked for the rows went away before the last: what was written goes too.
        Ok::<_, QueryError>(None)
    });
    let mut failed = None;
    while let Some(batch) = rows.next().await {
        match batch {
            Ok(batch) => {
                if sender.send(Some(batch)).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                failed = Some(QueryError::from(error));
                break;
            }
        }
    }
    if failed.is_none() {
        // A writer that has stopped says itself why.
        let _ = sender.send(None).await;
    }
    drop(sender);
    let written = writer.await.expect("writers do not panic, and the runtime is not shutting down");
    match failed {
        Some(error) => Err(error),
        None => Ok(written?.expect("the last row was announced")),
    }
}

fn mistake(message: impl Into<String>) -> SqlMistake {
    SqlMistake::new("elt::sql::copy", message)
}
