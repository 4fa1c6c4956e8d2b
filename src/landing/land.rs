//! One load: some files into one table.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{ident, lit};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::discover::{ContentHash, FileStamp, content_hash, discover};
use super::evolve::{self, Plan};
use super::fetch::{self, fetch};
use super::infer::infer;
use super::ledger::{Habits, Known, Ledger};
use super::options::{LandOptions, OnKnown};
use super::parallel::in_order;
use super::read::{RESCUED_DATA, ROW_NUMBER, column_name};
use super::reading::{Books, FILE_PATH, FILE_TIME, LOAD_ID, Reading};
use super::rejects::{self, Reject};
use super::report::{FileOutcome, LandReport};
use super::rewrite::{keep_digits, with_rows_before};
use super::{FileAccount, LandingError, raw};
use crate::base::{TableName, World};
use crate::table::write::{NewColumns, append, overwrite, replace_where};
use crate::table::{Change, Snapshot, Tables};

/// Which files, into which table, how.
#[derive(Clone, Debug)]
pub struct LandRequest {
    /// The table.
    pub table: TableName,
    /// Where relative paths begin.
    pub root: PathBuf,
    /// Files, folders, globs and URLs.
    pub patterns: Vec<String>,
    /// Files that are here already, whatever they are called: standard input.
    pub at_hand: Vec<FileStamp>,
    /// How they are taken.
    pub options: LandOptions,
    /// How long a file has to be left alone before it is taken. Files that are said to be of the future are taken.
    pub settle: Option<Duration>,
    /// Whether nothing is to be written: no change, no copies, only the report of what would be.
    pub dry_run: bool,
}

/// A load, not yet published.
#[derive(Debug)]
pub struct Landing {
    /// The change of the table and, if there are rejects, of the table of rejects.
    pub changes: Vec<Change>,
    /// What was done, file by file.
    pub report: LandReport,
}

/// Loads the files that the table does not have yet. Publishes nothing.
///
/// `base` and `rejected` are the table and its table of rejects as readers see them, if they exist.
/// New files are read into the table's types; the first load infers them, later loads those of new columns. Memory is
/// bounded whatever the files' size. A dry run reads everything and writes nothing.
///
/// # Errors
/// [`LandingError`]; then nothing of the load is kept but copies in the raw zone that nothing refers to.
pub async fn land(
    tables: &Tables,
    world: &World,
    mut request: LandRequest,
    base: Option<Arc<Snapshot>>,
    rejected: Option<Arc<Snapshot>>,
) -> Result<Landing, LandingError> {
    let load = format!("{}-{}", world.now().format("%Y%m%dT%H%M%S%.3f"), short(&world.id()));
    request.options.read.declared = request.options.hints.iter().map(|(name, _)| column_name(name)).collect();
    if base.is_none() && !request.options.new_tables {
        return Err(LandingError::NoTable { table: request.table.to_string() });
    }
    let found = find(&request, world).await?;
    let data = base.as_ref().map(|base| data_columns(base.schema()));
    let known: Vec<String> =
        data.iter().flat_map(|data| data.fields().iter().map(|field| field.name().clone())).collect();
    let mut ledger = Ledger::read(tables, base.as_ref(), &found, &known).await?;
    let Sorted { mut outcomes, taken } =
        sort_out(tables, &request, base.as_ref(), &mut ledger, found).await?;
    let mut report = LandReport::new(&request.table, &load, request.dry_run);
    if taken.is_empty() {
        report.finish(outcomes);
        return Ok(Landing { changes: Vec::new(), report });
    }
    let habits = ledger.habits(&known);
    let (mut plan, habits) = columns(&mut request.options, data.as_ref(), &known, &taken, habits).await?;
    if plan.schema.fields().is_empty() {
        outcomes.extend(taken.into_iter().map(|file| FileOutcome::Empty { path: file.stamp.path }));
        report.finish(outcomes);
        return Ok(Landing { changes: Vec::new(), report });
    }
    if let Some(base) = &base {
        keep_digits(tables, base, &mut plan).await?;
    }
    (report.added, report.widened) = (plan.added.clone(), plan.widened.clone());
    let reading = Reading {
        files: taken.iter().map(|file| file.stamp.clone()).collect(),
        schema: Arc::clone(&plan.schema),
        options: request.options.clone(),
        load: load.clone(),
    };
    let outcome =
        |account: FileAccount| match taken.iter().any(|file| file.again && file.stamp.path == account.path) {
            true => FileOutcome::Reloaded(account),
            false => FileOutcome::Loaded(account),
        };
    if request.dry_run {
        let books = blocking(move || reading.run(|_| true, |_| true)).await?;
        report.first_rejects = books.first_rejects;
        report.finish(outcomes.into_iter().chain(books.accounts.into_iter().map(outcome)).collect());
        return Ok(Landing { changes: Vec::new(), report });
    }
    if !request.options.external {
        for file in &taken {
            let kept = raw::keep(tables, &request.table, &load, &file.stamp).await?;
            if kept != file.content {
                return Err(LandingError::Moving { path: file.stamp.path.clone() });
            }
        }
    }
    let replaced: Vec<String> =
        taken.iter().filter(|file| file.again).map(|file| file.stamp.path.clone()).collect();
    let writing = Writing { tables, table: &request.table, base, rejected, replaced: &replaced, plan: &plan };
    let (mut change, rejects, books) = writing.write(reading).await?;
    for file in &taken {
        unchanged_meanwhile(&file.stamp)?;
        change = ledger.enter(change, &file.stamp, file.content);
    }
    change = ledger.enter_habits(change, &habits);
    let account_json = serde_json::to_value(&books.accounts).expect("accounts are plain data");
    change = change.with_provenance("load_id", load.clone()).with_provenance("files", account_json);
    if !request.options.external {
        change = change.with_provenance("raw", raw::folder(&request.table, &load).to_string());
    }
    let mut changes = vec![change];
    changes.extend(rejects.map(|rejects| rejects.with_provenance("load_id", load.clone())));
    report.first_rejects = books.first_rejects;
    report.finish(outcomes.into_iter().chain(books.accounts.into_iter().map(outcome)).collect());
    Ok(Landing { changes, report })
}

/// A file that is to be loaded.
struct Taken {
    stamp: FileStamp,
    content: ContentHash,
    /// Whether rows of it are in the table, which have to give way.
    again: bool,
}

struct Sorted {
    outcomes: Vec<FileOutcome>,
    taken: Vec<Taken>,
}

async fn find(request: &LandRequest, world: &World) -> Result<Vec<FileStamp>, LandingError> {
    let (urls, local): (Vec<String>, Vec<String>) =
        request.patterns.iter().cloned().partition(|pattern| fetch::is_url(pattern));
    let root = request.root.clone();
    let mut found: BTreeMap<String, FileStamp> = BTreeMap::new();
    let here = blocking(move || discover(&root, &local)).await?;
    let mut add =
        |files: Vec<FileStamp>| found.extend(files.into_iter().map(|file| (file.path.clone(), file)));
    add(here);
    add(request.at_hand.clone());
    for url in urls {
        add(fetch::list(&url, &world.env).await?);
    }
    let now = world.now();
    let is_settled = |file: &FileStamp| match request.settle {
        Some(settle) => now.signed_duration_since(file.modified).to_std().map_or(true, |age| age >= settle),
        None => true,
    };
    Ok(found.into_values().filter(is_settled).collect())
}

/// Which files are loaded, and what becomes of the others.
async fn sort_out(
    tables: &Tables,
    request: &LandRequest,
    base: Option<&Arc<Snapshot>>,
    ledger: &mut Ledger,
    found: Vec<FileStamp>,
) -> Result<Sorted, LandingError> {
    let options = &request.options;
    let mut outcomes = Vec::new();
    let mut touched = Vec::new();
    for file in found {
        if ledger.is_untouched(&file) && !options.force {
            outcomes.push(FileOutcome::Skipped { path: file.path });
        } else {
            touched.push(fetch(file).await?);
        }
    }
    let hashed = blocking(move || hashed(touched)).await?;
    ledger.read_contents(tables, base, hashed.iter().map(|(_, content)| *content)).await?;
    let mut taken: Vec<Taken> = Vec::new();
    let mut seen: HashMap<ContentHash, String> = HashMap::new();
    for (stamp, content) in hashed {
        let path = stamp.path.clone();
        let again = ledger.has_path(&path);
        let copied = seen.get(&content).filter(|_| stamp.size > 0).cloned();
        let (policy, outcome, error) = match (ledger.look_up(&stamp, content), copied) {
            (Known::Same, _) if !options.force => {
                outcomes.push(FileOutcome::Skipped { path });
                continue;
            }
            (Known::Changed, _) => (
                options.on_change,
                FileOutcome::Changed { path: path.clone() },
                LandingError::Changed { path },
            ),
            (Known::Copy(version), _) => {
                let of = format!("a file that version {version} of the table loaded");
                (
                    options.on_copy,
                    FileOutcome::Copy { path: path.clone(), of: of.clone() },
                    LandingError::Copied { path, of },
                )
            }
            (Known::New, Some(of)) => (
                options.on_copy,
                FileOutcome::Copy { path: path.clone(), of: of.clone() },
                LandingError::Copied { path, of },
            ),
            (Known::New | Known::Same, _) => {
                (OnKnown::Reload, FileOutcome::Skipped { path: path.clone() }, LandingError::Changed { path })
            }
        };
        match if options.force { OnKnown::Reload } else { policy } {
            OnKnown::Fail => return Err(error),
            OnKnown::Report => outcomes.push(outcome),
            OnKnown::Reload => {
                if again && base.is_some_and(|base| base.schema().field_with_name(FILE_PATH).is_err()) {
                    return Err(LandingError::NoProvenance { path: stamp.path });
                }
                seen.insert(content, stamp.path.clone());
                taken.push(Taken { stamp, content, again });
            }
        }
    }
    Ok(Sorted { outcomes, taken })
}

/// The files with their hashes, computed on all cores.
fn hashed(files: Vec<FileStamp>) -> Result<Vec<(FileStamp, ContentHash)>, LandingError> {
    let mut hashed = Vec::with_capacity(files.len());
    let mut failed = None;
    let hash = |file: FileStamp| {
        let content = content_hash(&file.on_disk);
        (file, content)
    };
    in_order(files.into_iter(), hash, |(file, content)| match content {
        Ok(content) => {
            hashed.push((file, content));
            true
        }
        Err(error) => {
            failed = Some(error);
            false
        }
    });
    failed.map_or(Ok(hashed), Err)
}

/// The data columns of a landed table: not those that landing adds.
fn data_columns(schema: &Schema) -> SchemaRef {
    let own = [RESCUED_DATA, FILE_PATH, FILE_TIME, ROW_NUMBER, LOAD_ID];
    let data = schema.fields().iter().filter(|field| !own.contains(&field.name().as_str()));
    Arc::new(Schema::new(data.cloned().collect::<Vec<_>>()))
}

/// Decides the table's columns, and how dates and numbers are written in `options`; returns what was told about that.
async fn columns(
    options: &mut LandOptions,
    data: Option<&SchemaRef>,
    known: &[String],
    taken: &[Taken],
    habits: Habits,
) -> Result<(Plan, Habits), LandingError> {
    options.read.orders = habits.orders.clone();
    options.read.comma_elsewhere = habits.decimal_comma;
    let mut habits = habits;
    let plan = match data {
        Some(data) if !evolve::needs_inference(Some(data), options) => {
            Plan { schema: Arc::clone(data), added: Vec::new(), widened: Vec::new() }
        }
        data => {
            let files: Vec<FileStamp> = taken.iter().map(|file| file.stamp.clone()).collect();
            let (how, known) = (options.clone(), known.to_vec());
            let inferred = blocking(move || infer(&files, &how, &known)).await?;
            habits.decimal_comma |= inferred.decimal_comma;
            habits.orders.extend(inferred.orders.iter().cloned());
            evolve::plan(data, &inferred, options)
        }
    };
    options.read.orders = habits.orders.clone();
    options.read.comma_elsewhere = habits.decimal_comma;
    Ok((plan, habits))
}

/// What a load is written to.
struct Writing<'a> {
    tables: &'a Tables,
    table: &'a TableName,
    base: Option<Arc<Snapshot>>,
    rejected: Option<Arc<Snapshot>>,
    replaced: &'a [String],
    plan: &'a Plan,
}

impl Writing<'_> {
    /// Reads the files on a thread where that may block, and writes rows and rejects side by side as they come.
    async fn write(self, reading: Reading) -> Result<(Change, Option<Change>, Books), LandingError> {
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
        let name = self.table.companion(rejects::SUFFIX)?;
        let rejects = streamed(rejects::batch(&[], "").schema(), rejects);
        let rejects = append(self.tables, &name, self.rejected.clone(), rejects, NewColumns::Append);
        let (change, rejects) = futures::join!(self.rows(streamed(schema, rows)), rejects);
        // What went wrong with the files says more than what then went wrong with writing them.
        let books = reader.await.expect("readers do not panic, and the runtime is not shutting down")?;
        let rejects = rejects?;
        Ok((change?, (books.rejected > 0).then_some(rejects), books))
    }

    async fn rows(&self, rows: SendableRecordBatchStream) -> Result<Change, LandingError> {
        let gone = || ident(FILE_PATH).in_list(self.replaced.iter().map(lit).collect(), false);
        Ok(match self.base.clone() {
            Some(base) if !self.plan.widened.is_empty() => {
                let stays = (!self.replaced.is_empty()).then(|| gone().is_not_true());
                let rows = with_rows_before(self.tables, &base, stays, rows).await?;
                overwrite(self.tables, self.table, Some(base), rows).await?
            }
            Some(base) if !self.replaced.is_empty() => {
                replace_where(self.tables, base, gone(), rows, NewColumns::Append).await?
            }
            base => append(self.tables, self.table, base, rows, NewColumns::Append).await?,
        })
    }
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

/// A file that was written to while it was read is not landed: its copy and its rows may differ.
fn unchanged_meanwhile(file: &FileStamp) -> Result<(), LandingError> {
    if file.copy.is_some() {
        return Ok(());
    }
    let now = std::fs::metadata(&file.on_disk)
        .map_err(|source| LandingError::Unreadable { path: file.path.clone(), source })?;
    let same_time =
        now.modified().is_ok_and(|time| chrono::DateTime::<chrono::Utc>::from(time) == file.modified);
    if now.len() == file.size && same_time {
        return Ok(());
    }
    Err(LandingError::Moving { path: file.path.clone() })
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LandingError> + Send + 'static,
) -> Result<T, LandingError> {
    tokio::task::spawn_blocking(work)
        .await
        .expect("readers do not panic, and the runtime is not shutting down")
}
