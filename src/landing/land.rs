//! One load: some files into one table.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{col, lit};
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::mpsc;

use super::discover::{FileStamp, discover};
use super::ledger::{Known, Ledger};
use super::read::{Parsed, RESCUED_DATA, ROW_NUMBER, landed_schema, read};
use super::rejects::{self, Reject};
use super::{FileAccount, LandingError, ReadOptions, infer, raw};
use crate::base::{TableName, World};
use crate::table::write::{NewColumns, append, replace_where};
use crate::table::{Change, Snapshot, Tables};

/// The column that says which file a row is from.
const FILE_PATH: &str = "_file_path";
/// The column that says when that file was last written.
const FILE_TIME: &str = "_file_modification_time";
/// The column that says which load brought the row. Ids of later loads sort after those of earlier ones.
const LOAD_ID: &str = "_load_id";

/// What to do with a file that was loaded and has changed since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// Leave it and say so.
    #[default]
    Report,
    /// Take its old rows out and the new ones in.
    Reload,
    /// Refuse the load.
    Fail,
}

/// Which files, into which table, read how.
#[derive(Clone, Debug)]
pub struct LandRequest {
    /// The table.
    pub table: TableName,
    /// Where relative paths begin.
    pub root: PathBuf,
    /// Files, folders and globs.
    pub patterns: Vec<String>,
    /// How they are read.
    pub options: ReadOptions,
    /// Columns whose types are declared.
    pub declared: Vec<(String, DataType)>,
    /// What to do with changed files.
    pub on_change: OnChange,
}

/// A load, not yet published.
#[derive(Debug)]
pub struct Landing {
    /// The change of the table and, if there are rejects, of the table of rejects.
    pub changes: Vec<Change>,
    /// What was done, file by file.
    pub report: LandReport,
}

/// What a load did.
#[derive(Clone, Debug, Serialize)]
pub struct LandReport {
    /// The table.
    pub table: TableName,
    /// The load's id, also in the column `_load_id`.
    pub load: String,
    /// What became of each file, by path.
    pub files: Vec<FileOutcome>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum FileOutcome {
    /// Its rows are in the change.
    Loaded(FileAccount),
    /// Its rows are in the change, in place of those it had before.
    Reloaded(FileAccount),
    /// It was loaded before and is the same.
    Skipped {
        /// The file.
        path: String,
    },
    /// It was loaded before and has changed; the rows of before stay.
    Changed {
        /// The file.
        path: String,
    },
    /// It says nothing: no rows and no columns.
    Empty {
        /// The file.
        path: String,
    },
}

impl LandReport {
    /// The accounts of the files that were loaded.
    pub fn accounts(&self) -> impl Iterator<Item = &FileAccount> {
        self.files.iter().filter_map(|file| match file {
            FileOutcome::Loaded(account) | FileOutcome::Reloaded(account) => Some(account),
            _ => None,
        })
    }

    /// The files that have changed since they were loaded, and were left.
    pub fn changed(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|file| match file {
            FileOutcome::Changed { path } => Some(path.as_str()),
            _ => None,
        })
    }
}

/// Loads the files that the table does not have yet. Publishes nothing.
///
/// `base` and `rejected` are the table and its table of rejects as readers see them, if they exist.
/// New files are read into the table's types; the first load infers them. Columns that the table
/// lacks are rescued. Memory is constant but for rejected records.
///
/// # Errors
/// [`LandingError`]; then nothing of the load is kept but copies in the raw zone that nothing refers to.
pub async fn land(
    tables: &Tables,
    world: &World,
    request: LandRequest,
    base: Option<Arc<Snapshot>>,
    rejected: Option<Arc<Snapshot>>,
) -> Result<Landing, LandingError> {
    let load = format!("{}-{}", world.now().format("%Y%m%dT%H%M%S%.3f"), short(&world.id()));
    let (root, patterns) = (request.root.clone(), request.patterns.clone());
    let found = blocking(move || discover(&root, &patterns)).await?;
    let ledger = Arc::new(Ledger::read(tables, base.as_ref(), &found).await?);
    let (mut outcomes, taken) = sort_out(found, Arc::clone(&ledger), request.on_change).await?;
    let mut report = |mut files: Vec<FileOutcome>| {
        files.append(&mut outcomes);
        files.sort_by(|a, b| path_of(a).cmp(path_of(b)));
        LandReport { table: request.table.clone(), load: load.clone(), files }
    };
    if taken.is_empty() {
        return Ok(Landing { changes: Vec::new(), report: report(Vec::new()) });
    }
    let schema = columns(&request, base.as_ref(), &taken).await?;
    if schema.fields().is_empty() {
        let empty = taken.into_iter().map(|(file, _)| FileOutcome::Empty { path: file.path });
        return Ok(Landing { changes: Vec::new(), report: report(empty.collect()) });
    }
    let mut contents = Vec::with_capacity(taken.len());
    for (file, _) in &taken {
        contents.push(raw::keep(tables, &request.table, &load, file).await?);
    }
    let books = Arc::new(Mutex::new(Books::default()));
    let files: Vec<FileStamp> = taken.iter().map(|(file, _)| file.clone()).collect();
    let rows = rows_of(files, schema, request.options.clone(), load.clone(), Arc::clone(&books));
    let replaced: Vec<String> =
        taken.iter().filter(|(_, again)| *again).map(|(file, _)| file.path.clone()).collect();
    let mut change = match base {
        Some(base) if !replaced.is_empty() => {
            let gone = col(FILE_PATH).in_list(replaced.iter().map(lit).collect(), false);
            replace_where(tables, base, gone, rows, NewColumns::Ignore).await?
        }
        base => append(tables, &request.table, base, rows, NewColumns::Ignore).await?,
    };
    for ((file, _), content) in taken.iter().zip(contents) {
        unchanged_meanwhile(file)?;
        change = ledger.enter(change, file, content);
    }
    let Books { accounts, rejects } = std::mem::take(&mut *books.lock().expect("the reader has ended"));
    accounts.iter().try_for_each(FileAccount::check)?;
    let account_json = serde_json::to_value(&accounts).expect("accounts are plain data");
    change = change.with_provenance("load_id", load.clone()).with_provenance("files", account_json);
    change = change.with_provenance("raw", raw::folder(&request.table, &load).to_string());
    let mut changes = vec![change];
    if !rejects.is_empty() {
        changes.push(rejects_change(tables, &request.table, rejected, &rejects, &load).await?);
    }
    let outcome = |account: FileAccount| match replaced.contains(&account.path) {
        true => FileOutcome::Reloaded(account),
        false => FileOutcome::Loaded(account),
    };
    Ok(Landing { changes, report: report(accounts.into_iter().map(outcome).collect()) })
}

/// What is written down while files are read.
#[derive(Default)]
struct Books {
    accounts: Vec<FileAccount>,
    rejects: Vec<Reject>,
}

/// The files to load, each with whether it was loaded before; and the outcomes of the others.
type SortedOut = (Vec<FileOutcome>, Vec<(FileStamp, bool)>);

async fn sort_out(
    found: Vec<FileStamp>,
    ledger: Arc<Ledger>,
    on_change: OnChange,
) -> Result<SortedOut, LandingError> {
    blocking(move || {
        let (mut outcomes, mut taken) = (Vec::new(), Vec::new());
        for file in found {
            match (ledger.look_up(&file)?, on_change) {
                (Known::New, _) => taken.push((file, false)),
                (Known::Changed, OnChange::Reload) => taken.push((file, true)),
                (Known::Changed, OnChange::Fail) => return Err(LandingError::Changed { path: file.path }),
                (Known::Changed, OnChange::Report) => outcomes.push(FileOutcome::Changed { path: file.path }),
                (Known::Same, _) => outcomes.push(FileOutcome::Skipped { path: file.path }),
            }
        }
        Ok((outcomes, taken))
    })
    .await
}

/// The data columns: those of the table if it exists, otherwise those of the files.
async fn columns(
    request: &LandRequest,
    base: Option<&Arc<Snapshot>>,
    taken: &[(FileStamp, bool)],
) -> Result<SchemaRef, LandingError> {
    if let Some(base) = base {
        let own = [RESCUED_DATA, FILE_PATH, FILE_TIME, ROW_NUMBER, LOAD_ID];
        let data = base.schema().fields().iter().filter(|field| !own.contains(&field.name().as_str()));
        return Ok(Arc::new(Schema::new(data.cloned().collect::<Vec<_>>())));
    }
    let files: Vec<FileStamp> = taken.iter().map(|(file, _)| file.clone()).collect();
    let (options, declared) = (request.options.clone(), request.declared.clone());
    blocking(move || infer::infer(&files, &options, &declared)).await
}

/// The rows of all files, one file after the other, read on a thread where that may block.
///
/// What the books say is complete when the stream has ended without an error.
fn rows_of(
    files: Vec<FileStamp>,
    schema: SchemaRef,
    options: ReadOptions,
    load: String,
    books: Arc<Mutex<Books>>,
) -> SendableRecordBatchStream {
    let landed = with_provenance(&landed_schema(&schema));
    let (sender, receiver) = mpsc::channel::<Result<RecordBatch, DataFusionError>>(2);
    let out = Arc::clone(&landed);
    tokio::task::spawn_blocking(move || {
        for file in files {
            let mut account = FileAccount::new(&file.path);
            let read_all = read(&file, &schema, &options).and_then(|batches| {
                for parsed in batches {
                    let parsed = parsed?;
                    account.add(&parsed);
                    let batch = placed(&parsed, &out, &file, &load);
                    let rejects = parsed.rejected.into_iter();
                    let rejects = rejects.map(|record| Reject { file: file.path.clone(), record });
                    books.lock().expect("no holder panics").rejects.extend(rejects);
                    if sender.blocking_send(batch).is_err() {
                        return Ok(());
                    }
                }
                Ok(())
            });
            if let Err(error) = read_all {
                return drop(sender.blocking_send(Err(DataFusionError::External(Box::new(error)))));
            }
            books.lock().expect("no holder panics").accounts.push(account);
        }
    });
    let rows = futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|batch| (batch, receiver))
    });
    Box::pin(RecordBatchStreamAdapter::new(landed, rows.fuse()))
}

/// The landed columns, then where each row is from.
fn with_provenance(landed: &Schema) -> SchemaRef {
    let own = landed.fields().iter().filter(|field| field.name() != ROW_NUMBER).cloned();
    let mut fields: Vec<Arc<Field>> = own.collect();
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let origin = [
        (FILE_PATH, DataType::Utf8),
        (FILE_TIME, instant),
        (ROW_NUMBER, DataType::Int64),
        (LOAD_ID, DataType::Utf8),
    ];
    fields.extend(origin.map(|(name, data_type)| Arc::new(Field::new(name, data_type, true))));
    Arc::new(Schema::new(fields))
}

fn placed(
    parsed: &Parsed,
    schema: &SchemaRef,
    file: &FileStamp,
    load: &str,
) -> Result<RecordBatch, DataFusionError> {
    let rows = parsed.batch.num_rows();
    let repeated = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        FILE_PATH => repeated(&file.path),
        LOAD_ID => repeated(load),
        FILE_TIME => {
            let micros = TimestampMicrosecondArray::from(vec![file.modified.timestamp_micros(); rows]);
            Arc::new(micros.with_timezone("UTC"))
        }
        name => Arc::clone(
            parsed.batch.column_by_name(name).expect("the reader gives every column of the schema"),
        ),
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect())?)
}

async fn rejects_change(
    tables: &Tables,
    table: &TableName,
    base: Option<Arc<Snapshot>>,
    rejects: &[Reject],
    load: &str,
) -> Result<Change, LandingError> {
    let name = table.companion(rejects::SUFFIX)?;
    let batch = rejects::batch(rejects, load);
    let schema = batch.schema();
    let rows = RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(batch)]));
    let change = append(tables, &name, base, Box::pin(rows), NewColumns::Append).await?;
    Ok(change.with_provenance("load_id", load))
}

/// A file that was written to while it was read is not landed: its copy and its rows may differ.
fn unchanged_meanwhile(file: &FileStamp) -> Result<(), LandingError> {
    let now = std::fs::metadata(&file.on_disk)
        .map_err(|source| LandingError::Unreadable { path: file.path.clone(), source })?;
    let same_time =
        now.modified().is_ok_and(|time| chrono::DateTime::<chrono::Utc>::from(time) == file.modified);
    if now.len() == file.size && same_time {
        return Ok(());
    }
    Err(LandingError::Moving { path: file.path.clone() })
}

fn path_of(outcome: &FileOutcome) -> &str {
    match outcome {
        FileOutcome::Loaded(account) | FileOutcome::Reloaded(account) => &account.path,
        FileOutcome::Skipped { path } | FileOutcome::Changed { path } | FileOutcome::Empty { path } => path,
    }
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
