//! Is it on the disk yet?
//!
//! `object_store`'s local store never calls `fsync`: after a power cut a commit can be there with no
//! bytes in it, and Delta readers take an empty commit for one without rows. [`DurableLocal`] is
//! that store with the missing half: content before name, name before return.

use std::fmt;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path as FsPath, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryFutureExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// A local folder as an object store, each write synced before it is told to be done.
#[derive(Debug)]
pub(super) struct DurableLocal {
    inner: LocalFileSystem,
}

/// Counts the staging files of this process, from a number that no other process begins with, on this
/// machine or on another that shares the disk.
static STAGED: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0) >> 1));

impl DurableLocal {
    /// The store in `root`, which must exist.
    pub(super) fn new(root: &FsPath) -> Result<Self> {
        Ok(Self { inner: LocalFileSystem::new_with_prefix(root)? })
    }

    /// A name beside `path` that `LocalFileSystem` does not list: `<name>#<digits>`.
    fn staging_path(path: &FsPath) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{}", STAGED.fetch_add(1, Ordering::Relaxed)));
        PathBuf::from(name)
    }
}

#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let path = self.inner.path_to_filesystem(location)?;
        let staging = Self::staging_path(&path);
        let mode = options.mode;
        let location = location.to_string();
        blocking(move || {
            make_parents(&path).map_err(|e| store_error(&location, e))?;
            let placed = write_synced(&staging, &payload).and_then(|()| match mode {
                PutMode::Create => fs::hard_link(&staging, &path),
                PutMode::Overwrite => fs::rename(&staging, &path),
                PutMode::Update(_) => Err(io::ErrorKind::Unsupported.into()),
            });
            let _ = fs::remove_file(&staging);
            match placed {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    Err(Error::AlreadyExists { path: location, source: error.into() })
                }
                Err(error) => Err(store_error(&location, error)),
                Ok(()) => {
                    sync_parent(&path).map_err(|e| store_error(&location, e))?;
                    Ok(PutResult { e_tag: None, version: None })
                }
            }
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.inner.path_to_filesystem(location)?;
        make_parents(&path).map_err(|e| store_error(location.as_ref(), e))?;
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(SyncedUpload { inner, path, location: location.to_string() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> Result<Vec<bytes::Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    /// In order of the paths, as object stores list. A folder has no order of its own, and Delta's
    /// kernel takes a log that is listed out of order for one with gaps.
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.inner.list(prefix).try_collect::<Vec<_>>();
        let sorted = listed.map_ok(|mut objects| {
            objects.sort_by(|a, b| a.location.cmp(&b.location));
            futures::stream::iter(objects.into_iter().map(Ok))
        });
        sorted.try_flatten_stream().boxed()
    }

    /// What comes after `offset`. Of a folder of plain files, as logs and releases are, only those are looked at: asking
    /// for the size and age of ten thousand files that nobody wants takes longer than everything else a commit does.
    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (all, offset) = (self.list(prefix), offset.clone());
        let folder =
            prefix.and_then(|prefix| Some((prefix.clone(), self.inner.path_to_filesystem(prefix).ok()?)));
        let from = offset.clone();
        let some = blocking(move || match folder {
            Some((prefix, folder)) => files_after(&prefix, &folder, &from).transpose(),
            None => Ok(None),
        });
        let listed = some.map_ok(move |some| match some {
            Some(metas) => futures::stream::iter(metas.into_iter().map(Ok)).boxed(),
            None => all.try_filter(move |meta| std::future::ready(meta.location > offset)).boxed(),
        });
        listed.try_flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        let path = self.inner.path_to_filesystem(to)?;
        let location = to.to_string();
        blocking(move || sync_file(&path).map_err(|e| store_error(&location, e))).await
    }
}

/// The files of a folder whose paths come after `from`, in order; nothing if there are folders in it, or names that a path
/// would have to escape.
fn files_after(prefix: &Path, folder: &FsPath, from: &Path) -> Option<Result<Vec<ObjectMeta>>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Ok(Vec::new())),
        entries => entries.ok()?,
    };
    let mut wanted = Vec::new();
    for entry in entries {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.contains('#') {
            continue; // being written
        }
        if !entry.file_type().ok()?.is_file() || !name.bytes().all(plain) {
            return None;
        }
        let path = prefix.clone().join(name);
        if path > *from {
            wanted.push((path, entry.path()));
        }
    }
    wanted.sort();
    let metas = wanted.into_iter().map(|(path, file)| meta_of(path, &file));
    // What is gone since the folder was read is not there.
    Some(metas.filter(|meta| !matches!(meta, Err(Error::NotFound { .. }))).collect())
}

fn meta_of(location: Path, file: &FsPath) -> Result<ObjectMeta> {
    let meta = fs::metadata(file).and_then(|meta| Ok((meta.modified()?, meta.len())));
    match meta {
        Ok((modified, size)) => {
            Ok(ObjectMeta { location, last_modified: modified.into(), size, e_tag: None, version: None })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::NotFound { path: location.to_string(), source: error.into() })
        }
        Err(error) => Err(store_error(location.as_ref(), error)),
    }
}

impl fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "durable {}", self.inner)
    }
}

/// A data file on its way: synced when it is complete.
#[derive(Debug)]
struct SyncedUpload {
    inner: Box<dyn MultipartUpload>,
    path: PathBuf,
    location: String,
}

#[async_trait]
impl MultipartUpload for SyncedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await?;
        let (path, location) = (self.path.clone(), self.location.clone());
        blocking(move || sync_file(&path).map_err(|e| store_error(&location, e))).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::JoinError { source: error }),
    }
}

fn write_synced(path: &FsPath, payload: &PutPayload) -> io::Result<()> {
    let mut file = File::create(path)?;
    payload.iter().try_for_each(|chunk| file.write_all(chunk))?;
    file.sync_all()
}

fn sync_file(path: &FsPath) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    sync_parent(path)
}

fn sync_parent(path: &FsPath) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes a folder's list of names durable. Windows has no such call and needs none.
fn sync_folder(folder: &FsPath) -> io::Result<()> {
    if cfg!(windows) { Ok(()) } else { File::open(folder)?.sync_all() }
}

/// Makes the folders above `path`, and makes durable that they are there.
fn make_parents(path: &FsPath) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    if folder.is_dir() {
        return Ok(());
    }
    let missing: Vec<&FsPath> = folder.ancestors().take_while(|above| !above.is_dir()).collect();
    fs::create_dir_all(folder)?;
    missing.into_iter().filter_map(FsPath::parent).try_for_each(sync_folder)
}

fn store_error(path: &str, source: io::Error) -> Error {
    Error::Generic { store: "local disk", source: format!("{path}: {source}").into() }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use object_store::{ObjectStoreExt, PutMode};

    use super::*;

    #[tokio::test]
    async fn a_document_is_created_once_and_listed_in_order_and_staging_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableLocal::new(folder.path()).unwrap();
        let path = Path::from("a/b/c.json");
        let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };

        store.put_opts(&path, "one".into(), create()).await.unwrap();
        let second = store.put_opts(&path, "two".into(), create()).await;

        assert!(matches!(second, Err(Error::AlreadyExists { .. })));
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "one");
        store.put(&path, "three".into()).await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "three");
        for number in [30, 7, 12, 1, 25, 3, 18] {
            store.put(&Path::from(format!("log/{number:020}.json")), "x".into()).await.unwrap();
        }
        let listed: Vec<ObjectMeta> = store.list(Some(&Path::from("log"))).try_collect().await.unwrap();
        assert!(listed.is_sorted_by_key(|object| object.location.clone()));
        let after = async |offset: &str| {
            let metas =
                store.list_with_offset(Some(&Path::from("log")), &Path::from(format!("log/{offset}")));
            let metas: Vec<ObjectMeta> = metas.try_collect().await.unwrap();
            let number = |meta: &ObjectMeta| meta.location.filename().unwrap().get(17..20).map(str::to_owned);
            metas.iter().filter_map(|meta| Some((number(meta)?, meta.size))).collect::<Vec<_>>()
        };
        let late = [("025".to_owned(), 1), ("030".to_owned(), 1)];
        assert_eq!(after(&format!("{:020}", 25)).await, late);
        assert_eq!(after(&format!("{:020}.json", 18)).await, late);
        store.put(&Path::from("log/_sidecars/x"), "x".into()).await.unwrap();
        assert_eq!(after(&format!("{:020}", 25)).await, late);
        let names: Vec<_> =
            fs::read_dir(folder.path().join("a/b")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["c.json"]);
    }
}
