//! One load: some files into one table.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};

use super::attempt::Attempt;
use super::discover::{ContentHash, FileStamp, content_hash, discover};
use super::fetch::{self, fetch};
use super::infer::{Look, infer};
use super::ledger::{Known, Ledger};
use super::options::{LandOptions, OnKnown};
use super::parallel::in_order;
use super::read::{RESCUED_DATA, ROW_NUMBER, column_name};
use super::reading::{Books, FILE_PATH, FILE_TIME, LOAD_ID, whole_schema};
use super::report::{FileOutcome, LandReport};
use super::{FileAccount, LandingError, Shape, format, raw};
use crate::base::{TableName, World};
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
    /// What becomes of their rows before they are rows of the table.
    pub shape: Option<Arc<dyn Shape>>,
    /// Whether the columns of files are the table's in their order, whatever they are called.
    pub by_position: bool,
    /// How long a file has to be left alone before it is taken. Files that are said to be of the future are taken.
    pub settle: Option<Duration>,
    /// The most that one load takes; the oldest files come first, and the others wait.
    pub portion: Portion,
    /// Whether it is no error if not one file can be read that was to be loaded.
    pub may_be_nothing: bool,
    /// Whether nothing is to be written: no change, no copies, only the report of what would be.
    pub dry_run: bool,
    /// How many rows a dry run looks at, and those that come with them; nothing means all.
    pub first_rows: Option<u64>,
}

/// How much one load takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// So many files.
    pub files: usize,
    /// So many bytes of files, but always one file.
    pub bytes: u64,
}

impl Portion {
    /// Everything there is.
    pub const ALL: Self = Self { files: usize::MAX, bytes: u64::MAX };

    /// Keeps of some files those that a load takes, the oldest, and returns how many others there are.
    fn cut(self, files: &mut Vec<FileStamp>) -> usize {
        if self == Self::ALL {
            return 0;
        }
        files.sort_by(|one, other| (one.modified, &one.path).cmp(&(other.modified, &other.path)));
        let mut bytes = 0_u64;
        let fits = files.iter().take(self.files.max(1)).enumerate().take_while(|(at, file)| {
            bytes = bytes.saturating_add(file.size);
            *at == 0 || bytes <= self.bytes
        });
        let fits = fits.count();
        files.drain(fits..).count()
    }
}

/// A table as elt left it.
#[derive(Clone, Debug)]
pub struct Before {
    /// The table.
    pub snapshot: Arc<Snapshot>,
    /// Whether readers see it. A table that was dropped is made anew by a load, and knows of no files.
    pub is_seen: bool,
}

/// The table that readers see.
pub(super) fn seen(before: Option<&Before>) -> Option<Arc<Snapshot>> {
    before.filter(|before| before.is_seen).map(|before| Arc::clone(&before.snapshot))
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
/// `before` and `rejected` are the table and its table of rejects as elt left them, if they exist.
/// New files are read into the table's types; the first load infers them, later loads those of new columns. Memory is
/// bounded whatever the files' size. A dry run reads everything and writes nothing.
///
/// # Errors
/// [`LandingError`]; then nothing of the load is kept but copies in the raw zone that nothing refers to.
pub async fn land(
    tables: &Tables,
    world: &World,
    mut request: LandRequest,
    before: Option<Before>,
    rejected: Option<Before>,
) -> Result<Landing, LandingError> {
    let base = seen(before.as_ref());
    let load = format!("{}-{}", world.now().format("%Y%m%dT%H%M%S%.3f"), short(&world.id()));
    request.options.read.declared = request.options.hints.iter().map(|(name, _)| column_name(name)).collect();
    if base.is_none() && !request.options.new_tables {
        return Err(LandingError::NoTable { table: request.table.to_string() });
    }
    format::check(&request.options.read)?;
    if request.by_position && request.shape.is_none() {
        let Some(base) = &base else {
            return Err(LandingError::NoTablePositions { table: request.table.to_string() });
        };
        let columns = data_columns(base.schema());
        request.options.read.names =
            Some(columns.fields().iter().map(|field| field.name().clone()).collect());
    }
    let found = find(&request, world).await?;
    let data = base.as_ref().map(|base| data_columns(base.schema()));
    // Columns of files that are selected from have nothing to do with those of the table.
    let known: Vec<String> = match &request.shape {
        Some(_) => Vec::new(),
        None => data.iter().flat_map(|data| data.fields().iter().map(|field| field.name().clone())).collect(),
    };
    let mut ledger = match &before {
        Some(Before { snapshot, is_seen: false }) => Ledger::anew(tables, snapshot).await?,
        _ => Ledger::read(tables, base.as_ref(), &found, &known).await?,
    };
    let Sorted { mut outcomes, taken, waiting } =
        sort_out(tables, &request, base.as_ref(), &mut ledger, found).await?;
    let mut report = LandReport::new(&request.table, &load, request.dry_run);
    report.waiting = waiting;
    if taken.is_empty() {
        report.finish(outcomes);
        return Ok(Landing { changes: Vec::new(), report });
    }
    let attempt = Attempt {
        tables,
        request: &request,
        base: before,
        rejected,
        data,
        habits: ledger.habits(&known),
        known,
        load: load.clone(),
    };
    let unhashed = taken.iter().filter(|file| file.content.is_none()).map(|file| file.stamp.clone());
    let unhashed: Vec<FileStamp> = unhashed.collect();
    let hashing = blocking(move || hashed(unhashed));
    let (read, hashes) = futures::join!(attempt.until_read(taken, &mut outcomes), hashing);
    let (mut taken, taking) = match read? {
        Some(done) => done,
        None => {
            report.finish(outcomes);
            return Ok(Landing { changes: Vec::new(), report });
        }
    };
    let mut hashes: HashMap<String, ContentHash> =
        hashes?.into_iter().map(|(file, content)| (file.path, content)).collect();
    for file in &mut taken {
        file.content = file.content.or_else(|| hashes.remove(&file.stamp.path));
    }
    (report.added, report.widened) = (taking.plan.added, taking.plan.widened);
    let Books { accounts, first_rejects, .. } = taking.books;
    let outcome =
        |account: FileAccount| match taken.iter().any(|file| file.again && file.stamp.path == account.path) {
            true => FileOutcome::Reloaded(account),
            false => FileOutcome::Loaded(account),
        };
    let mut changes = Vec::new();
    if let Some((mut change, rejects)) = taking.written {
        if !request.options.external {
            keep_raw(tables, &request, &load, &taken).await?;
        }
        for file in &taken {
            unchanged_meanwhile(&file.stamp)?;
            let content = file.content.expect("what was read was hashed");
            change = ledger.enter(change, &file.stamp, content);
        }
        change = ledger.enter_habits(change, &taking.habits);
        let failed: Vec<&FileOutcome> =
            outcomes.iter().filter(|file| matches!(file, FileOutcome::Failed { .. })).collect();
        if !failed.is_empty() {
            change = change.with_provenance("failed", json(&failed));
        }
        change = change.with_provenance("load_id", load.clone()).with_provenance("files", json(&accounts));
        if !request.options.external {
            change = change.with_provenance("raw", raw::folder(&request.table, &load).to_string());
        }
        changes.push(change);
        changes.extend(rejects.map(|rejects| rejects.with_provenance("load_id", load.clone())));
    }
    report.first_rejects = first_rejects;
    report.finish(outcomes.into_iter().chain(accounts.into_iter().map(outcome)).collect());
    Ok(Landing { changes, report })
}

fn json(documents: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(documents).expect("accounts are plain data")
}

/// Copies the files' bytes into the raw zone, and sees to it that they are those that were read.
async fn keep_raw(
    tables: &Tables,
    request: &LandRequest,
    load: &str,
    taken: &[Taken],
) -> Result<(), LandingError> {
    for file in taken {
        let kept = raw::keep(tables, &request.table, load, &file.stamp).await?;
        if kept.is_some_and(|kept| Some(kept) != file.content) {
            return Err(LandingError::Moving { path: file.stamp.path.clone() });
        }
    }
    Ok(())
}

/// A file that is to be loaded.
#[derive(Clone)]
pub(super) struct Taken {
    pub(super) stamp: FileStamp,
    /// The hash of its bytes; nothing if it is worked out while the rows are read.
    pub(super) content: Option<ContentHash>,
    /// Whether rows of it are in the table, which have to give way.
    pub(super) again: bool,
}

struct Sorted {
    outcomes: Vec<FileOutcome>,
    taken: Vec<Taken>,
    /// How many files are left for another load.
    waiting: usize,
}

/// The columns that a table gets if its files are landed now for the first time, as far as the beginnings of the files
/// tell. Nothing if there are no files, or they are not on this machine.
///
/// # Errors
/// What keeps a file from being read.
pub async fn foresee(mut request: LandRequest) -> Result<Option<SchemaRef>, LandingError> {
    request.options.read.declared = request.options.hints.iter().map(|(name, _)| column_name(name)).collect();
    format::check(&request.options.read)?;
    if request.patterns.iter().any(|pattern| fetch::is_url(pattern)) {
        return Ok(None);
    }
    blocking(move || {
        let files = match discover(&request.root, &request.patterns) {
            Ok(files) if !files.is_empty() => files,
            Ok(_) | Err(LandingError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let inferred = infer(&files, &request.options, &[], Look::Beginning)?;
        Ok(Some(whole_schema(&inferred.schema, &request.options)))
    })
    .await
}

/// The files that patterns mean, here and elsewhere, by their paths.
pub(super) async fn found(
    root: &Path,
    patterns: &[String],
    world: &World,
) -> Result<BTreeMap<String, FileStamp>, LandingError> {
    let (urls, local): (Vec<String>, Vec<String>) =
        patterns.iter().cloned().partition(|pattern| fetch::is_url(pattern));
    let root = root.to_owned();
    let mut files = blocking(move || discover(&root, &local)).await?;
    for url in urls {
        files.extend(fetch::list(&url, &world.env).await?);
    }
    Ok(files.into_iter().map(|file| (file.path.clone(), file)).collect())
}

async fn find(request: &LandRequest, world: &World) -> Result<Vec<FileStamp>, LandingError> {
    let mut found = found(&request.root, &request.patterns, world).await?;
    found.extend(request.at_hand.iter().map(|file| (file.path.clone(), file.clone())));
    let now = world.now();
    found.retain(|_, file| request.options.wants(file.modified));
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
            touched.push(file);
        }
    }
    let waiting = request.portion.cut(&mut touched);
    let mut here = Vec::with_capacity(touched.len());
    for file in touched {
        here.push(fetch(file).await?);
    }
    let hashed = if base.is_none() && sizes_differ(&here) {
        here.into_iter().map(|file| (file, None)).collect()
    } else {
        let hashed = blocking(move || hashed(here)).await?;
        hashed.into_iter().map(|(file, content)| (file, Some(content))).collect::<Vec<_>>()
    };
    ledger.read_contents(tables, base, hashed.iter().filter_map(|(_, content)| *content)).await?;
    let mut taken: Vec<Taken> = Vec::new();
    let mut seen: HashMap<ContentHash, String> = HashMap::new();
    for (stamp, content) in hashed {
        let path = stamp.path.clone();
        let again = ledger.has_path(&path);
        let copied = content.and_then(|content| seen.get(&content)).filter(|_| stamp.size > 0).cloned();
        let known = content.map_or(Known::New, |content| ledger.look_up(&stamp, content));
        let (policy, outcome, error) = match (known, copied) {
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
                seen.extend(content.map(|content| (content, stamp.path.clone())));
                taken.push(Taken { stamp, content, again });
            }
        }
    }
    Ok(Sorted { outcomes, taken, waiting })
}

/// Whether no two of the files can be the same: then nobody has to know what is in them before they are read.
fn sizes_differ(files: &[FileStamp]) -> bool {
    let mut sizes: Vec<u64> = files.iter().map(|file| file.size).collect();
    sizes.sort_unstable();
    sizes.windows(2).all(|pair| pair[0] != pair[1])
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

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LandingError> + Send + 'static,
) -> Result<T, LandingError> {
    tokio::task::spawn_blocking(work)
        .await
        .expect("readers do not panic, and the runtime is not shutting down")
}
