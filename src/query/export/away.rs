//! How do files that were written here get into an object store?
//!
//! `COPY … TO 's3://bucket/orders.parquet'` writes to the disk first, as any COPY does, and sends what is whole. A file is
//! there when all of it has arrived; of a folder, file after file. What is there already is asked about before the
//! first row, and gives way by the same options as on a disk.

use std::io::Read;
use std::path::Path as FsPath;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload, WriteMultipart};
use tempfile::TempDir;
use url::Url;

use super::mistake;
use super::options::{Existing, Options};
use super::place::{Place, is_own};
use crate::lake::Lake;
use crate::query::{QueryError, SqlMistake};
use crate::table::Tables;

/// Bytes sent at a time; files up to this size are sent in one request.
const PIECE: usize = 8 * 1024 * 1024;
/// Requests under way at a time.
const AT_ONCE: usize = 4;

/// A file or a folder in an object store, and where on this disk it is made.
pub(super) struct Away {
    url: String,
    store: Arc<dyn ObjectStore>,
    path: Path,
    here: TempDir,
    existing: Existing,
    folders: bool,
    /// What was there before the first row.
    before: Vec<Path>,
}

impl Away {
    /// Finds the place that `url` means, and whether rows may go there.
    ///
    /// # Errors
    /// The URL is of no store that can be written, in the lake, or taken by what does not give way; the store's own.
    pub(super) async fn find(url: &str, tables: &Tables, options: &Options) -> Result<Self, QueryError> {
        let parsed = Url::parse(url).map_err(|error| mistake(format!("`{url}` is no URL: {error}")))?;
        if matches!(parsed.scheme(), "http" | "https") {
            return Err(mistake(format!("`{url}` is on a web server, which takes no files"))
                .help("copy to s3://, gs://, az:// or abfss://, or to a file here")
                .into());
        }
        if is_in(url, tables.lake()) {
            return Err(mistake(format!("`{url}` is the lake's own, or holds the lake"))
                .help("copy to a folder outside the lake")
                .into());
        }
        let (store, path) =
            tables.connect(&parsed).map_err(|because| mistake(format!("`{url}`: {because}")))?;
        if path.as_ref().is_empty() {
            return Err(mistake(format!("`{url}` names a bucket and no file in it")).into());
        }
        let folders = !options.partition_by.is_empty();
        let failed = |source| failed(url, source);
        let before: Vec<Path> = match folders {
            true => {
                store.list(Some(&path)).map_ok(|meta| meta.location).try_collect().await.map_err(failed)?
            }
            false => match store.head(&path).await {
                Ok(meta) => vec![meta.location],
                Err(object_store::Error::NotFound { .. }) => Vec::new(),
                Err(error) => return Err(failed(error)),
            },
        };
        let away = Self {
            url: url.to_owned(),
            store,
            path,
            here: tempfile::tempdir().map_err(|source| failed_here(url, source))?,
            existing: options.existing,
            folders,
            before,
        };
        away.check()?;
        Ok(away)
    }

    fn check(&self) -> Result<(), SqlMistake> {
        let taken = match self.existing {
            Existing::Keep => true,
            Existing::ByKind => self.folders,
            Existing::Replace | Existing::Beside | Existing::Append => false,
        };
        if taken && !self.before.is_empty() {
            return Err(mistake(format!("`{}` is there already", self.url))
                .help("add `overwrite true` to replace it, or choose another name"));
        }
        let stranger = |path: &&Path| {
            let mut parts = path.prefix_match(&self.path).into_iter().flatten().peekable();
            let mut own = true;
            while let Some(part) = parts.next() {
                own &= is_own(part.as_ref(), parts.peek().is_some());
            }
            !own
        };
        if self.folders
            && self.existing == Existing::Replace
            && let Some(stranger) = self.before.iter().find(stranger)
        {
            return Err(mistake(format!("`{}` holds what no COPY has written: {stranger}", self.url))
                .help("choose another folder, or delete it by hand"));
        }
        Ok(())
    }

    /// Where the rows are written first.
    ///
    /// # Errors
    /// None that the empty folder could cause.
    pub(super) fn place(&self, options: &Options) -> Result<Place, SqlMistake> {
        Place::find(&self.local().to_string_lossy(), None, options)
    }

    fn local(&self) -> std::path::PathBuf {
        self.here.path().join("rows")
    }

    /// Sends what was written, then deletes what had to give way.
    ///
    /// # Errors
    /// The store's; then files of a folder that had arrived are there, and so is what was there before.
    pub(super) async fn send(self) -> Result<(), QueryError> {
        let mut sent = Vec::new();
        if self.folders {
            let mut folders = vec![(self.local(), self.path.clone())];
            while let Some((folder, path)) = folders.pop() {
                let entries = std::fs::read_dir(&folder).map_err(|source| failed_here(&self.url, source))?;
                for entry in entries {
                    let entry = entry.map_err(|source| failed_here(&self.url, source))?;
                    let inside = self.within(&path, &entry.file_name().to_string_lossy())?;
                    match entry.path().is_dir() {
                        true => folders.push((entry.path(), inside)),
                        false => {
                            self.send_file(&entry.path(), &inside).await?;
                            sent.push(inside);
                        }
                    }
                }
            }
        } else {
            self.send_file(&self.local(), &self.path).await?;
            sent.push(self.path.clone());
        }
        if self.existing == Existing::Replace {
            for path in self.before.iter().filter(|path| !sent.contains(path)) {
                self.store.delete(path).await.map_err(|source| failed(&self.url, source))?;
            }
        }
        Ok(())
    }

    /// The place of a file or folder in another; with `append`, a file's name is one that nobody has.
    fn within(&self, folder: &Path, name: &str) -> Result<Path, QueryError> {
        let name = match (self.existing, self.here.path().file_name()) {
            (Existing::Append, Some(mark)) => {
                let mark = mark.to_string_lossy().trim_start_matches(".tmp").to_owned();
                name.replacen("data_0", &format!("data_{mark}"), 1)
            }
            _ => name.to_owned(),
        };
        // Names of folders are escaped already: the store must not escape them again.
        Path::parse(format!("{folder}/{name}"))
            .map_err(|source| failed(&self.url, object_store::Error::InvalidPath { source }))
    }

    async fn send_file(&self, file: &FsPath, path: &Path) -> Result<(), QueryError> {
        let here = |source| failed_here(&self.url, source);
        let there = |source| failed(&self.url, source);
        // Reads that wait for a disk are rare: the file was just written.
        let mut from = std::fs::File::open(file).map_err(here)?;
        let length = from.metadata().map_err(here)?.len();
        if length <= PIECE as u64 {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map_err(here)?;
            let mode = if self.existing == Existing::Keep { PutMode::Create } else { PutMode::Overwrite };
            self.store.put_opts(path, PutPayload::from(bytes), mode.into()).await.map_err(there)?;
            return Ok(());
        }
        let upload = self.store.put_multipart(path).await.map_err(there)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PIECE);
        let mut piece = vec![0; PIECE];
        loop {
            let read = match from.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(source) => {
                    let _ = upload.abort().await;
                    return Err(here(source));
                }
            };
            upload.wait_for_capacity(AT_ONCE).await.map_err(there)?;
            upload.write(&piece[..read]);
        }
        upload.finish().await.map_err(there)?;
        Ok(())
    }
}

/// Whether a URL is in the lake, or the lake in it.
fn is_in(url: &str, lake: &Lake) -> bool {
    let slashed = |text: &str| format!("{}/", text.trim_end_matches('/'));
    let (url, lake) = (slashed(url), slashed(&lake.to_string()));
    url.starts_with(&lake) || lake.starts_with(&url)
}

fn failed(url: &str, source: object_store::Error) -> QueryError {
    QueryError::Export { path: url.to_owned(), source: Box::new(source) }
}

fn failed_here(url: &str, source: std::io::Error) -> QueryError {
    QueryError::Export { path: url.to_owned(), source: Box::new(source) }
}
