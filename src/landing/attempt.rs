//! How do the files of a load become changes, if some of them cannot be read or columns were guessed wrongly?
//!
//! In one go, if all is well. A file that turns out to be damaged half-way is set aside, if the options allow it, and
//! the others are begun anew: nothing is visible yet, so nothing has to be taken back. Columns that a table does not have
//! yet are guessed from the beginnings of its files; if a row further down does not fit, all of every file is looked at,
//! and the load begins anew with that. So a guess saves a look at most, and never changes what is loaded.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{ident, lit};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::LandingError;
use super::discover::FileStamp;
use super::evolve::{self, Plan};
use super::infer::{Look, infer};
use super::land::{Before, LandRequest, Taken, blocking, seen};
use super::ledger::Habits;
use super::options::{LandOptions, OnDamaged};
use super::parallel::in_order;
use super::read::{RESCUED_DATA, ROW_NUMBER, read};
use super::reading::{Books, FILE_PATH, FILE_TIME, LOAD_ID, Reading};
use super::rejects::{self, Reject};
use super::report::FileOutcome;
use super::rewrite::{keep_digits, takes_as_it_is, with_rows_before};
use super::shape;
use crate::base::TableName;
use crate::table::write::{NewColumns, append_as, overwrite, overwrite_as, replace_where};
use crate::table::{Change, Layout, TableError, Tables};

/// What a load is from beginning to end.
pub(super) struct Attempt<'a> {
    pub(super) tables: &'a Tables,
    pub(super) request: &'a LandRequest,
    pub(super) base: Option<Before>,
    pub(super) rejected: Option<Before>,
    /// The table's data columns, if there is a table.
    pub(super) data: Option<SchemaRef>,
    /// Their names.
    pub(super) known: Vec<String>,
    /// What earlier files told about dates and numbers.
    pub(super) habits: Habits,
    pub(super) load: String,
}

/// Files that were read, and what came of them.
pub(super) struct Taking {
    pub(super) plan: Plan,
    pub(super) habits: Habits,
    pub(super) books: Books,
    /// The change of the table and that of its rejects; nothing in a dry run.
    pub(super) written: Option<(Change, Option<Change>)>,
}

/// What came of reading files once.
enum Read {
    Done(Box<Taking>),
    /// There is not one column.
    Nothing,
    /// A row did not fit what was guessed.
    Misfit,
}

/// Why reading failed, and what it was reading with.
struct Trouble {
    error: LandingError,
    options: LandOptions,
    schema: Option<SchemaRef>,
}

impl Attempt<'_> {
    /// Reads the files, and those that are left if some cannot be read. Returns which they are; nothing if there is
    /// nothing to write. What becomes of the others is added to `outcomes`.
    pub(super) async fn until_read(
        &self,
        mut taken: Vec<Taken>,
        outcomes: &mut Vec<FileOutcome>,
    ) -> Result<Option<(Vec<Taken>, Taking)>, LandingError> {
        let mut look = if self.request.shape.is_some() { Look::All } else { Look::Beginning };
        loop {
            match self.read(&taken, look).await {
                Ok(Read::Done(taking)) => return Ok(Some((taken, *taking))),
                Ok(Read::Nothing) => {
                    outcomes
                        .extend(taken.into_iter().map(|file| FileOutcome::Empty { path: file.stamp.path }));
                    return Ok(None);
                }
                Ok(Read::Misfit) => look = Look::All,
                Err(trouble) if look == Look::Beginning && may_be_a_wrong_guess(&trouble.error) => {
                    look = Look::All;
                }
                Err(trouble) => {
                    let failed = self.set_aside(&mut taken, trouble).await?;
                    outcomes.extend(failed);
                    if taken.is_empty() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Takes the files that cannot be read out of those that are to be loaded.
    ///
    /// # Errors
    /// The trouble itself, if no file alone is to blame, if all are, or if the options want it.
    async fn set_aside(
        &self,
        taken: &mut Vec<Taken>,
        trouble: Trouble,
    ) -> Result<Vec<FileOutcome>, LandingError> {
        let Trouble { error, options, schema } = trouble;
        if self.request.options.on_damaged == OnDamaged::Fail || !error.is_of_one_file() {
            return Err(error);
        }
        let files: Vec<FileStamp> = taken.iter().map(|file| file.stamp.clone()).collect();
        let known = self.known.clone();
        let failing = blocking(move || Ok(failing(&files, &options, &known, schema.as_ref()))).await?;
        let all = failing.len() == taken.len() && !self.request.may_be_nothing;
        if failing.is_empty() || all {
            return Err(error);
        }
        taken.retain(|file| !failing.iter().any(|failed| failed.path() == file.stamp.path));
        Ok(failing)
    }

    async fn read(&self, taken: &[Taken], look: Look) -> Result<Read, Trouble> {
        let mut options = self.request.options.clone();
        let in_columns = |error| Trouble { error, options: self.request.options.clone(), schema: None };
        let (mut plan, habits, doubtful) =
            self.columns(&mut options, taken, look).await.map_err(in_columns)?;
        if plan.schema.fields().is_empty() {
            return Ok(Read::Nothing);
        }
        if let Some(base) = &seen(self.base.as_ref())
            && self.request.shape.is_none()
        {
            keep_digits(self.tables, base, &mut plan).await.map_err(in_columns)?;
        }
        if self.request.shape.is_some() {
            options.provenance = true;
        }
        let reading = Reading {
            files: taken.iter().map(|file| file.stamp.clone()).collect(),
            schema: Arc::clone(&plan.schema),
            options: options.clone(),
            load: self.load.clone(),
            doubtful,
        };
        let of_files = Arc::clone(&plan.schema);
        let in_rows =
            |error| Trouble { error, options: options.clone(), schema: Some(Arc::clone(&of_files)) };
        let (books, written) = match self.request.dry_run && self.request.shape.is_none() {
            true => {
                let (mut seen, most) = (0_u64, self.request.first_rows.unwrap_or(u64::MAX));
                let enough = move |batch: RecordBatch| {
                    seen += batch.num_rows() as u64;
                    seen < most
                };
                (blocking(move || reading.run(enough, |_| true)).await.map_err(in_rows)?, None)
            }
            false => {
                let (change, books) = self.write(reading, taken, &mut plan).await.map_err(in_rows)?;
                (books, change)
            }
        };
        if books.misfit {
            return Ok(Read::Misfit);
        }
        Ok(Read::Done(Box::new(Taking { plan, habits, books, written })))
    }

    /// Decides the table's columns, and how dates and numbers are written in `options`. Returns also what was told
    /// about that, and which columns are not to be trusted if the files hold anything further down.
    async fn columns(
        &self,
        options: &mut LandOptions,
        taken: &[Taken],
        look: Look,
    ) -> Result<(Plan, Habits, Option<Vec<usize>>), LandingError> {
        let mut habits = self.habits.clone();
        options.read.orders = habits.orders.clone();
        options.read.comma_elsewhere = habits.decimal_comma;
        let data = self.data.as_ref().filter(|_| self.request.shape.is_none());
        let untyped = self.untyped();
        habits.typed = habits.untyped.iter().filter(|column| !untyped.contains(column)).cloned().collect();
        habits.untyped.clear();
        let (mut plan, doubtful) = match data {
            Some(data) if !evolve::needs_inference(Some(data), options, &untyped) => {
                (Plan { schema: Arc::clone(data), added: Vec::new(), widened: Vec::new() }, None)
            }
            data => {
                let files: Vec<FileStamp> = taken.iter().map(|file| file.stamp.clone()).collect();
                let mut known = self.known.clone();
                known.retain(|column| !untyped.contains(column));
                let how = options.clone();
                let inferred = blocking(move || infer(&files, &how, &known, look)).await?;
                match data {
                    None => habits.untyped = inferred.untyped(options),
                    Some(_) => habits.typed.extend(inferred.typed(&untyped)),
                }
                habits.decimal_comma |= inferred.decimal_comma;
                habits.orders.extend(inferred.orders.iter().cloned());
                // A table's own columns are no guess. One that it lacks and whose first values are further down has no
                // place in the plan: its values would be rescued, which refutes the guess.
                let doubtful = inferred.is_a_guess.then(|| match data {
                    Some(_) => Vec::new(),
                    None => inferred.without_values(options),
                });
                (evolve::plan(data, &inferred, options, &untyped), doubtful)
            }
        };
        options.read.orders = habits.orders.clone();
        options.read.comma_elsewhere = habits.decimal_comma;
        if let Some(shape) = &self.request.shape {
            let (schema, typed) = shape::with_types_of(&plan.schema, self.data.as_ref(), shape.as_ref());
            plan.schema = schema;
            options.read.declared.extend(typed);
        }
        Ok((plan, habits, doubtful))
    }

    /// The table's columns whose types nobody chose, and that no row has a value in.
    fn untyped(&self) -> Vec<String> {
        let (Some(base), None) = (seen(self.base.as_ref()), &self.request.shape) else { return Vec::new() };
        let is_open = |column: &&String| {
            let declared = self.request.options.read.declared.contains(column);
            !declared && self.request.options.read.infer_types && base.is_all_null(column)
        };
        self.habits.untyped.iter().filter(is_open).cloned().collect()
    }

    /// Reads the files on a thread where that may block, and writes rows and rejects side by side as they come.
    async fn write(
        &self,
        reading: Reading,
        taken: &[Taken],
        plan: &mut Plan,
    ) -> Result<(Option<(Change, Option<Change>)>, Books), LandingError> {
        let schema = reading.schema();
        let (sender, rows) = mpsc::channel::<Result<RecordBatch, DataFusionError>>(2);
        let (refused, rejects) = mpsc::channel::<Result<RecordBatch, DataFusionError>>(2);
        let load = reading.load.clone();
        let reader = tokio::task::spawn_blocking(move || {
            let take = |batch| sender.blocking_send(Ok(batch)).is_ok();
            let refuse =
                |rejects: &[Reject]| refused.blocking_send(Ok(rejects::batch(rejects, &load))).is_ok();
            let books = reading.run(take, refuse);
            if books.is_err() {
                // A stream that just ended would be taken for all of the rows.
                let failed = || DataFusionError::Execution("the files could not be read".to_owned());
                drop(sender.blocking_send(Err(failed())));
                drop(refused.blocking_send(Err(failed())));
            }
            books
        });
        let name = self.request.table.companion(rejects::SUFFIX)?;
        let replaced: Vec<String> =
            taken.iter().filter(|file| file.again).map(|file| file.stamp.path.clone()).collect();
        let rejects = streamed(rejects::batch(&[], "").schema(), rejects);
        let plain = Layout::default();
        let rejects = async {
            Ok::<_, LandingError>(match (self.request.dry_run, seen(self.rejected.as_ref())) {
                (true, _) => drained(rejects, None).await.map(|()| None)?,
                // What was rejected of the editions that go, goes with them.
                (false, Some(base)) if !replaced.is_empty() => Some(
                    replace_where(self.tables, base, from(&replaced), rejects, NewColumns::Append).await?,
                ),
                _ => Some(add(self.tables, &name, self.rejected.as_ref(), rejects, &plain).await?),
            })
        };
        let rows = async {
            let rows = self.shaped(streamed(schema, rows), plan).await?;
            match self.request.dry_run {
                true => drained(rows, self.request.first_rows).await.map(|()| None),
                false => self.rows(rows, &replaced, plan).await.map(Some),
            }
        };
        let (change, rejects) = futures::join!(rows, rejects);
        // What went wrong with the files says more than what then went wrong with writing them.
        let books = reader.await.expect("readers do not panic, and the runtime is not shutting down")?;
        let rejects = rejects?.filter(|change| books.rejected > 0 || change.effect().removed > 0);
        Ok((change?.map(|change| (change, rejects)), books))
    }

    /// What the shape makes of the rows of the files, if there is one.
    async fn shaped(
        &self,
        rows: SendableRecordBatchStream,
        plan: &mut Plan,
    ) -> Result<SendableRecordBatchStream, LandingError> {
        let Some(shape) = &self.request.shape else { return Ok(rows) };
        let own = [RESCUED_DATA, FILE_PATH, FILE_TIME, ROW_NUMBER, LOAD_ID].map(str::to_owned);
        let mut rows = shape.rows(rows, &own, self.data.as_ref().map(AsRef::as_ref)).await?;
        if !self.request.options.provenance {
            rows = first_columns(rows, own.len() - 1);
        }
        plan.added = shape::added(&rows.schema(), &own, self.data.as_ref(), &self.request.options)?;
        Ok(rows)
    }

    async fn rows(
        &self,
        rows: SendableRecordBatchStream,
        replaced: &[String],
        plan: &Plan,
    ) -> Result<Change, LandingError> {
        let (tables, table) = (self.tables, &self.request.table);
        let gone = || from(replaced);
        let layout = &self.request.options.layout;
        Ok(layout.kept(match seen(self.base.as_ref()) {
            Some(base) if !plan.widened.is_empty() && !takes_as_it_is(&base, &plan.schema)? => {
                let stays = (!replaced.is_empty()).then(|| gone().is_not_true());
                let rows = with_rows_before(tables, &base, stays, rows).await?;
                overwrite(tables, table, Some(base), rows).await?
            }
            Some(base) if !replaced.is_empty() => {
                replace_where(tables, base, gone(), rows, NewColumns::Append).await?
            }
            _ => add(tables, table, self.base.as_ref(), rows, layout).await?,
        }))
    }
}

/// Whether a row is from one of these files.
fn from(files: &[String]) -> Expr {
    ident(FILE_PATH).in_list(files.iter().map(lit).collect(), false)
}

/// Adds rows to a table; to one that nobody sees any more, in place of what it was.
async fn add(
    tables: &Tables,
    table: &TableName,
    before: Option<&Before>,
    rows: SendableRecordBatchStream,
    layout: &Layout,
) -> Result<Change, TableError> {
    let anew = |design| layout.anew(design);
    match before {
        Some(Before { snapshot, is_seen: false }) => {
            overwrite_as(tables, table, Some(Arc::clone(snapshot)), rows, anew).await
        }
        before => append_as(tables, table, seen(before), rows, NewColumns::Append, anew).await,
    }
}

/// Whether an error may have its reason in columns that were guessed.
fn may_be_a_wrong_guess(error: &LandingError) -> bool {
    matches!(
        error,
        LandingError::Misfit { .. }
            | LandingError::NewColumn { .. }
            | LandingError::TwoReadings { .. }
            | LandingError::TooManyRejected { .. }
            | LandingError::NotJson { .. }
    )
}

/// The files that cannot be read to their end, each looked at alone.
fn failing(
    files: &[FileStamp],
    options: &LandOptions,
    known: &[String],
    schema: Option<&SchemaRef>,
) -> Vec<FileOutcome> {
    let check = |file: &FileStamp| match schema {
        Some(schema) => read(file, schema, options)
            .and_then(|mut pieces| pieces.try_for_each(|piece| piece.and_then(|piece| piece()).map(drop))),
        None => infer(std::slice::from_ref(file), options, known, Look::All).map(drop),
    };
    let mut failing = Vec::new();
    in_order(
        files.iter(),
        |file| (file, check(file)),
        |(file, checked)| {
            if let Err(error) = checked
                && error.is_of_one_file()
            {
                failing.push(FileOutcome::Failed { path: file.path.clone(), error: error.with_cause() });
            }
            true
        },
    );
    failing
}

/// The rows without their last columns.
fn first_columns(rows: SendableRecordBatchStream, without: usize) -> SendableRecordBatchStream {
    let kept: Vec<usize> = (0..rows.schema().fields().len() - without).collect();
    let schema = Arc::new(rows.schema().project(&kept).expect("there are as many columns"));
    let rows = rows.map(move |batch| Ok(batch?.project(&kept)?));
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

/// Looks at the rows of a stream, or the first ones, and keeps none.
async fn drained(mut rows: SendableRecordBatchStream, most: Option<u64>) -> Result<(), LandingError> {
    let mut seen = 0;
    while most.is_none_or(|most| seen < most)
        && let Some(batch) = rows.next().await
    {
        seen += batch.map_err(TableError::Rows)?.num_rows() as u64;
    }
    Ok(())
}

fn streamed(
    schema: SchemaRef,
    receiver: mpsc::Receiver<Result<RecordBatch, DataFusionError>>,
) -> SendableRecordBatchStream {
    let rows = futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|batch| (batch, receiver))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows.fuse()))
}
