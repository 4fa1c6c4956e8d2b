//! Where do the files go, and what becomes of what is there?
//!
//! Everything is written beside its place under a name that begins with `.elt-`, and moved when it is whole. What was
//! not moved is deleted, also if whoever asked goes away. The lake's own folder is closed: a file among those of a table
//! would be a guest that nobody knows, or the end of the table.
//!
//! A pipe, a terminal and what else is no regular file stays what it is: rows go straight into it ([`straight`]).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::compute::partition;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tempfile::{NamedTempFile, TempDir};

use super::mistake;
use super::options::{Existing, Options};
use super::straight;
use super::writer::FileOf;
use crate::lake::layout;
use crate::query::{QueryError, SqlMistake};

/// Where rows go: a path that was found fit for them.
pub(super) struct Place {
    path: PathBuf,
    /// Whether what is there takes bytes as they come.
    is_straight: bool,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) rows: u64,
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// The files of one statement while they are written.
pub(super) struct Files {
    path: PathBuf,
    schema: SchemaRef,
    /// The places of the columns that name folders.
    by: Vec<usize>,
    options: Options,
    written: Written,
    begun: Begun,
}

/// What lies under a temporary name.
enum Begun {
    One { file: FileOf, temporary: NamedTempFile },
    Straight { file: FileOf },
    Folder { temporary: TempDir, open: Option<(PathBuf, FileOf)> },
}

impl Place {
    /// Finds the place that `file` means, and whether rows may go there.
    ///
    /// # Errors
    /// It is elsewhere, in the lake, in no folder, or taken by what does not give way.
    pub(super) fn find(file: &str, lake: Option<&Path>, options: &Options) -> Result<Self, SqlMistake> {
        let absolute = std::path::absolute(file).map_err(|error| cannot(file, &error))?;
        let Some((parent, name)) = absolute.parent().zip(absolute.file_name()) else {
            return Err(mistake(format!("`{file}` is no name of a file")));
        };
        let folder = parent.canonicalize().map_err(|error| {
            cannot(file, &error).help(format!("make the folder first: {}", parent.display()))
        })?;
        let path = folder.join(name);
        // A link is followed, so that nothing gets into the lake through a back door.
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if lake.is_some_and(|lake| real.starts_with(lake) || lake.starts_with(&real)) {
            return Err(mistake(format!("`{file}` is the lake's own, or holds the lake"))
                .help("copy to a folder outside the lake"));
        }
        let is_straight = straight::is_one(&path, &real).map_err(|error| cannot(file, &error))?;
        let place = Self { path: real, is_straight };
        if !is_straight {
            place.check(file, options)?;
        } else if !options.partition_by.is_empty() {
            return Err(mistake(format!("`{file}` is no folder, and a folder is to be written"))
                .help("choose another name, or leave `partition_by` out"));
        }
        Ok(place)
    }

    fn check(&self, file: &str, options: &Options) -> Result<(), SqlMistake> {
        let Ok(meta) = fs::metadata(&self.path) else { return Ok(()) };
        let is_folder = meta.is_dir();
        if is_folder == options.partition_by.is_empty() {
            let (is, wanted) = if is_folder { ("a folder", "a file") } else { ("a file", "a folder") };
            return Err(mistake(format!("`{file}` is {is}, and {wanted} is to be written"))
                .help("choose another name"));
        }
        let taken = || {
            mistake(format!("`{file}` is there already"))
                .help("add `overwrite true` to replace it, or choose another name")
        };
        match options.existing {
            Existing::Keep => Err(taken()),
            Existing::ByKind if is_folder && !is_empty(&self.path) => Err(taken()),
            Existing::Replace if is_folder => match stranger(&self.path) {
                Some(stranger) => {
                    Err(mistake(format!("`{file}` holds what no COPY has written: {stranger}"))
                        .help("choose another folder, or delete it by hand"))
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Begins to write.
    pub(super) fn open(self, schema: SchemaRef, options: Options) -> Result<Files, QueryError> {
        let failed = |source| failed(&self.path, source);
        let parent = self.path.parent().expect("a place is in a folder");
        let by: Vec<usize> =
            options.partition_by.iter().filter_map(|column| schema.index_of(column).ok()).collect();
        let begun = if self.is_straight {
            let file = straight::open(&self.path).map_err(failed)?;
            let file = FileOf::begin(file, &schema, &options).map_err(|error| refused(&self.path, error))?;
            Begun::Straight { file }
        } else if by.is_empty() {
            let temporary = temporary().tempfile_in(parent).map_err(failed)?;
            let file = temporary.reopen().map_err(failed)?;
            let file = FileOf::begin(file, &schema, &options).map_err(|error| refused(&self.path, error))?;
            Begun::One { file, temporary }
        } else {
            Begun::Folder { temporary: temporary_folder().tempdir_in(parent).map_err(failed)?, open: None }
        };
        Ok(Files { path: self.path, schema, by, options, written: Written::default(), begun })
    }
}

impl Files {
    /// Adds rows. With folders, rows of one folder have to come one after another.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let refused = |error| refused(&self.path, error);
        match &mut self.begun {
            Begun::One { file, .. } | Begun::Straight { file } => {
                file.write(batch, &self.options).map_err(refused)?
            }
            Begun::Folder { temporary, open } => {
                let keys: Vec<_> = self.by.iter().map(|at| Arc::clone(batch.column(*at))).collect();
                let rest: Vec<usize> = (0..batch.num_columns())
                    .filter(|at| self.options.keep_partition_columns || !self.by.contains(at))
                    .collect();
                for range in partition(&keys).map_err(refused)?.ranges() {
                    let folder = folder_of(&self.schema, batch, &self.by, range.start).map_err(refused)?;
                    if open.as_ref().is_none_or(|(known, _)| *known != folder) {
                        if let Some((_, before)) = open.take() {
                            self.written.bytes += before.end().map_err(refused)?;
                        }
                        let file = temporary.path().join(&folder);
                        fs::create_dir_all(&file).map_err(|source| failed(&self.path, source))?;
                        let file = file.join(format!("data_0.{}", self.options.ending()));
                        let file = fs::File::create_new(file).map_err(|source| failed(&self.path, source))?;
                        let schema = Arc::new(Schema::new(
                            rest.iter().map(|at| self.schema.field(*at).clone()).collect::<Vec<_>>(),
                        ));
                        *open = Some((folder, FileOf::begin(file, &schema, &self.options).map_err(refused)?));
                        self.written.files += 1;
                    }
                    let rows = batch.slice(range.start, range.len()).project(&rest).map_err(refused)?;
                    if let Some((_, file)) = open {
                        file.write(&rows, &self.options).map_err(refused)?;
                    }
                }
            }
        }
        self.written.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Ends the files and gives them their names.
    pub(super) fn publish(mut self) -> Result<Written, QueryError> {
        let (path, failing) = (self.path.clone(), |source| failed(&self.path, source));
        match self.begun {
            Begun::One { file, temporary } => {
                self.written.bytes = file.end().map_err(|error| refused(&path, error))?;
                self.written.files = 1;
                match self.options.existing {
                    // Somebody may have made it meanwhile.
                    Existing::Keep => temporary.persist_noclobber(&path).map(drop),
                    _ => temporary.persist(&path).map(drop),
                }
                .map_err(|error| failing(error.error))?;
            }
            Begun::Straight { file } => {
                self.written.bytes = file.end().map_err(|error| refused(&path, error))?;
                self.written.files = 1;
                return Ok(self.written);
            }
            Begun::Folder { temporary, open } => {
                if let Some((_, last)) = open {
                    self.written.bytes += last.end().map_err(|error| refused(&path, error))?;
                }
                let mark = unique_mark(&temporary);
                move_folder(&temporary, &path, self.options.existing, &mark).map_err(failing)?;
            }
        }
        sync_folder(&path);
        Ok(self.written)
    }
}

/// Puts a folder that is whole in its place.
fn move_folder(temporary: &TempDir, path: &Path, existing: Existing, mark: &str) -> io::Result<()> {
    match existing {
        Existing::Beside => move_files(temporary.path(), path, None),
        Existing::Append => move_files(temporary.path(), path, Some(mark)),
        _ => {
            if path.exists() {
                // An empty folder, or one that may be replaced: it goes when the new one is there.
                let old = temporary_folder().tempdir_in(path.parent().unwrap_or(path))?;
                fs::rename(path, old.path().join("old"))?;
            }
            fs::rename(temporary.path(), path)
        }
    }
}

/// Moves every file to the same place in another folder; with a mark, under a name that nobody has.
fn move_files(from: &Path, to: &Path, mark: Option<&str>) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            move_files(&entry.path(), &to.join(&name), mark)?;
            continue;
        }
        let name = match mark {
            Some(mark) => name.to_string_lossy().replacen("data_0", &format!("data_{mark}"), 1).into(),
            None => name,
        };
        fs::rename(entry.path(), to.join(name))?;
    }
    Ok(())
}

/// The random part of a temporary name.
fn unique_mark(temporary: &TempDir) -> String {
    let name = temporary.path().file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_default().trim_start_matches(".elt-").trim_end_matches(".part").to_owned()
}

/// `year=2013/city=New%20York`, as readers of Hive's folders understand it.
fn folder_of(schema: &Schema, batch: &RecordBatch, by: &[usize], row: usize) -> Result<PathBuf, ArrowError> {
    let formats = FormatOptions::new().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"));
    let mut folder = PathBuf::new();
    for at in by {
        let column = batch.column(*at);
        let value = match column.is_null(row) {
            true => None,
            false => Some(ArrayFormatter::try_new(column.as_ref(), &formats)?.value(row).try_to_string()?),
        };
        folder.push(layout::partition(schema.field(*at).name(), value.as_deref()));
    }
    Ok(folder)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Something in a folder that no COPY with `PARTITION_BY` writes.
fn stranger(folder: &Path) -> Option<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let own = |entry: &fs::DirEntry| {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        is_own(&entry.file_name().to_string_lossy(), is_folder)
    };
    entries.filter(|entry| !own(entry)).map(|entry| entry.file_name().to_string_lossy().into_owned()).min()
}

/// Whether a COPY with `PARTITION_BY` may have given a file or folder that name.
pub(super) fn is_own(name: &str, is_folder: bool) -> bool {
    if is_folder { name.contains('=') } else { name.starts_with("data_") }
}

fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".elt-").suffix(".part");
    #[cfg(unix)]
    {
        // As any other file, and not only for its owner.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder
}

fn temporary_folder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".elt-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder
}

/// Sees to it that the new name outlives a loss of power, where that can be asked for.
fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent().and_then(|parent| fs::File::open(parent).ok()) {
        let _ = folder.sync_all();
    }
}

fn cannot(file: &str, error: &io::Error) -> SqlMistake {
    mistake(format!("cannot write `{file}`: {error}"))
}

fn failed(path: &Path, source: io::Error) -> QueryError {
    QueryError::Export { path: path.display().to_string(), source: Box::new(source) }
}

/// The format refuses the rows, or the disk does.
fn refused(path: &Path, error: ArrowError) -> QueryError {
    QueryError::Export { path: path.display().to_string(), source: Box::new(error) }
}
