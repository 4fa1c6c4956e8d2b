//! Is it on the disk yet?
//!
//! `object_store`'s local store never calls `fsync`: after a power cut a commit can be there with no
//! bytes in it, and Delta readers take an empty commit for one without rows. [`DurableLocal`] is
//! that store with the missing half: content before name, name before return.
//!
//! A disk does several syncs at once in about the time of one, and each of them is most of what a small commit takes. So data
//! files, which nobody knows of until a document names them, wait for that document: whatever is written so that
//! it is there or not (`PutMode::Create`) comes after all of them. And the contents of documents that come one after
//! another are brought to the disk together ([`DurableLocal::stage`]), before the first of them has its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryFutureExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};

/// Documents of so many bytes are read at once; what is larger goes the way of data.
const DOCUMENT: u64 = 64 * 1024;

/// How many syncs are under way at once.
const AT_ONCE: usize = 16;

/// A local folder as an object store. Each write is synced before it is told to be done, but of data files: they are
/// synced before the next document that is created.
#[derive(Debug)]
pub(super) struct DurableLocal {
    inner: LocalFileSystem,
    unsynced: Arc<Unsynced>,
}

/// The data files of a folder that may not be on the disk yet.
#[derive(Debug, Default)]
struct Unsynced {
    files: Mutex<Vec<PathBuf>>,
    /// Held while some are synced: who comes second waits for those that the first has taken too.
    turn: tokio::sync::Mutex<()>,
}

impl Unsynced {
    fn add(&self, files: impl IntoIterator<Item = PathBuf>) {
        self.files.lock().expect("no holder panics").extend(files);
    }
}

/// One for each folder in this process, however often it is opened.
static UNSYNCED: Mutex<BTreeMap<PathBuf, Arc<Unsynced>>> = Mutex::new(BTreeMap::new());

/// The content of a document, on the disk under a name that nobody looks for. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct StagedFile {
    staging: PathBuf,
    path: PathBuf,
    location: String,
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.staging);
    }
}

/// Counts the staging files of this process, from a number that no other process begins with, on this
/// machine or on another that shares the disk.
static STAGED: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0) >> 1));

impl DurableLocal {
    /// The store in `root`, which must exist.
    pub(super) fn new(root: &FsPath) -> Result<Self> {
        let mut all = UNSYNCED.lock().expect("no holder panics");
        let unsynced = Arc::clone(all.entry(root.to_owned()).or_default());
        Ok(Self { inner: LocalFileSystem::new_with_prefix(root)?, unsynced })
    }

    /// All files of this machine, by their absolute paths.
    pub(super) fn everywhere() -> Self {
        Self { inner: LocalFileSystem::new(), unsynced: Arc::default() }
    }

    /// Brings the contents of documents to the disk, and every data file that is not there yet, all at once.
    pub(super) async fn stage(&self, documents: Vec<(Path, Bytes)>) -> Result<Vec<StagedFile>> {
        let staged = documents.into_iter().map(|(location, content)| {
            let path = self.inner.path_to_filesystem(&location)?;
            let staging = Self::staging_path(&path);
            Ok((StagedFile { staging, path, location: location.to_string() }, content))
        });
        let staged = staged.collect::<Result<Vec<_>>>()?;
        let contents = many(staged, |(staged, content)| {
            let written = make_parents(&staged.path)
                .and_then(|()| write(&staged.staging, &content.into()))
                .and_then(|file| file.sync_all());
            written.map_err(|e| store_error(&staged.location, e)).map(|()| staged)
        });
        Ok(futures::try_join!(contents, self.sync_data())?.0)
    }

    /// Gives a document its name, if nothing has it yet.
    pub(super) async fn place(&self, staged: &StagedFile) -> Result<()> {
        self.sync_data().await?;
        let (staging, path, location) =
            (staged.staging.clone(), staged.path.clone(), staged.location.clone());
        blocking(move || {
            fs::hard_link(&staging, &path).map_err(|e| of_name(&location, e))?;
            let _ = fs::remove_file(&staging);
            sync_parent(&path).map_err(|e| store_error(&location, e))
        })
        .await
    }

    /// Waits until every data file that was written so far is on the disk.
    async fn sync_data(&self) -> Result<()> {
        let _turn = self.unsynced.turn.lock().await;
        let files = std::mem::take(&mut *self.unsynced.files.lock().expect("no holder panics"));
        if files.is_empty() {
            return Ok(());
        }
        let folders: BTreeSet<PathBuf> =
            files.iter().filter_map(|file| Some(file.parent()?.to_owned())).collect();
        let all = files.iter().cloned().chain(folders).collect();
        let synced = many(all, |path: PathBuf| match File::open(&path).and_then(|file| file.sync_all()) {
            // What was deleted since is in no document.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(store_error(&path.display().to_string(), error))
            }
            _ => Ok(()),
        });
        let synced = synced.await.map(|_| ());
        if synced.is_err() {
            self.unsynced.add(files);
        }
        synced
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
        let later = is_data(location) && mode == PutMode::Overwrite;
        if mode == PutMode::Create {
            self.sync_data().await?;
        }
        let (file, location) = (path.clone(), location.to_string());
        let put = blocking(move || {
            make_parents(&path).map_err(|e| store_error(&location, e))?;
            let written =
                write(&staging, &payload).and_then(|file| if later { Ok(()) } else { file.sync_all() });
            let placed = written.and_then(|()| match mode {
                PutMode::Create => fs::hard_link(&staging, &path),
                PutMode::Overwrite => fs::rename(&staging, &path),
                PutMode::Update(_) => Err(io::ErrorKind::Unsupported.into()),
            });
            let _ = fs::remove_file(&staging);
            placed.map_err(|e| of_name(&location, e))?;
            if !later {
                sync_parent(&path).map_err(|e| store_error(&location, e))?;
            }
            Ok(PutResult { e_tag: None, version: None })
        });
        let put = put.await?;
        if later {
            self.unsynced.add([file]);
        }
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.inner.path_to_filesystem(location)?;
        make_parents(&path).map_err(|e| store_error(location.as_ref(), e))?;
        let inner = self.inner.put_multipart_opts(location, options).await?;
        let later = is_data(location).then(|| Arc::clone(&self.unsynced));
        Ok(Box::new(SyncedUpload { inner, path, location: location.to_string(), later }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if location.extension() == Some("json") && is_whole(&options) {
            let path = self.inner.path_to_filesystem(location)?;
            if let Some(read) = document(location, &path, options.head).transpose() {
                return read;
            }
        }
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (path, wanted) = (self.inner.path_to_filesystem(location)?, ranges.to_vec());
        let read = blocking(move || Ok(read_ranges(&path, &wanted).ok())).await?;
        match read {
            Some(read) => Ok(read),
            // Whatever is wrong, it has the words for.
            None => self.inner.get_ranges(location, ranges).await,
        }
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

/// Whether all of an object is asked for, as it is.
fn is_whole(options: &GetOptions) -> bool {
    let GetOptions {
        if_match, if_none_match, if_modified_since, if_unmodified_since, range, version, ..
    } = options;
    if_match.is_none()
        && if_none_match.is_none()
        && if_modified_since.is_none()
        && if_unmodified_since.is_none()
        && range.is_none()
        && version.is_none()
}

#[cfg(unix)]
fn read_ranges(path: &FsPath, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
    let file = File::open(path)?;
    ranges.iter().map(|range| super::rooms::read(&file, range)).collect()
}

#[cfg(not(unix))]
fn read_ranges(_: &FsPath, _: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A document, read by whoever asks for it: to hand a few hundred bytes that the system has in its memory to another
/// thread and back takes several times as long as reading them. Nothing for what is large, or is no file.
fn document(location: &Path, path: &FsPath, is_head: bool) -> Result<Option<GetResult>> {
    let not_found =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let read = File::open(path).and_then(|mut file| {
        let meta = file.metadata()?;
        if !meta.is_file() || !is_head && meta.len() > DOCUMENT {
            return Ok(None);
        }
        let mut content = Vec::new();
        if !is_head {
            content.reserve_exact(meta.len() as usize);
            file.read_to_end(&mut content)?;
        }
        let size = if is_head { meta.len() } else { content.len() as u64 };
        Ok(Some((meta.modified()?, size, Bytes::from(content))))
    });
    match read {
        Ok(None) => Ok(None),
        Ok(Some((modified, size, content))) => Ok(Some(GetResult {
            payload: GetResultPayload::Stream(futures::stream::once(async { Ok(content) }).boxed()),
            meta: ObjectMeta {
                location: location.clone(),
                last_modified: modified.into(),
                size,
                e_tag: None,
                version: None,
            },
            range: 0..size,
            attributes: Attributes::default(),
        })),
        Err(error) if not_found(&error) => {
            Err(Error::NotFound { path: location.to_string(), source: error.into() })
        }
        // Whatever else there is, the store has its words for it.
        Err(_) => Ok(None),
    }
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

/// A file on its way: synced when it is complete, or later if it is a data file.
#[derive(Debug)]
struct SyncedUpload {
    inner: Box<dyn MultipartUpload>,
    path: PathBuf,
    location: String,
    later: Option<Arc<Unsynced>>,
}

#[async_trait]
impl MultipartUpload for SyncedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await?;
        let (path, location) = (self.path.clone(), self.location.clone());
        match &self.later {
            Some(unsynced) => unsynced.add([path]),
            None => blocking(move || sync_file(&path).map_err(|e| store_error(&location, e))).await?,
        }
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

/// Does something with each of many files, with so many at once as a disk syncs. The results are in the same order.
async fn many<T: Send + 'static, U: Send + 'static>(
    mut files: Vec<T>,
    work: fn(T) -> Result<U>,
) -> Result<Vec<U>> {
    let each = files.len().div_ceil(AT_ONCE).max(1);
    let mut shares = Vec::new();
    while !files.is_empty() {
        let rest = files.split_off(each.min(files.len()));
        let share = std::mem::replace(&mut files, rest);
        shares.push(blocking(move || share.into_iter().map(work).collect::<Result<Vec<_>>>()));
    }
    Ok(futures::future::try_join_all(shares).await?.into_iter().flatten().collect())
}

/// Whether it is a data file or a deletion vector of a table: nobody looks for it until a document names it.
fn is_data(location: &Path) -> bool {
    matches!(location.extension(), Some("parquet" | "bin"))
        && !location.parts().any(|part| part.as_ref() == "_delta_log")
}

fn write(path: &FsPath, payload: &PutPayload) -> io::Result<File> {
    let mut file = File::create(path)?;
    payload.iter().try_for_each(|chunk| file.write_all(chunk))?;
    Ok(file)
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

/// What is wrong if a file does not get its name.
fn of_name(path: &str, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path: path.to_owned(), source: source.into() },
        _ => store_error(path, source),
    }
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

    #[tokio::test]
    async fn what_is_staged_is_nowhere_until_it_has_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableLocal::new(folder.path()).unwrap();
        let names = || -> BTreeSet<_> {
            fs::read_dir(folder.path().join("log")).unwrap().map(|e| e.unwrap().file_name()).collect()
        };
        let paths = ["log/1.json", "log/2.json", "log/3.json"].map(Path::from);
        let staged = store.stage(paths.iter().map(|path| (path.clone(), "ours".into())).collect());
        let staged = staged.await.unwrap();

        assert_eq!(store.list(None).count().await, 0);
        store.place(&staged[0]).await.unwrap();
        store.put(&paths[1], "theirs".into()).await.unwrap();
        assert!(matches!(store.place(&staged[1]).await, Err(Error::AlreadyExists { .. })));
        assert_eq!(store.get(&paths[0]).await.unwrap().bytes().await.unwrap(), "ours");
        assert_eq!(store.get(&paths[1]).await.unwrap().bytes().await.unwrap(), "theirs");
        assert_eq!(names().len(), 4);
        drop(staged);
        assert_eq!(names(), ["1.json", "2.json"].map(Into::into).into());
    }

    #[tokio::test]
    async fn data_files_are_synced_before_the_next_document_is_created() {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableLocal::new(folder.path()).unwrap();
        let again = DurableLocal::new(folder.path()).unwrap();
        let waiting = || store.unsynced.files.lock().unwrap().len();
        for name in ["t/part-1.parquet", "t/deletion.bin", "t/part-2.parquet"] {
            store.put(&Path::from(name), "rows".into()).await.unwrap();
        }
        let mut upload = again.put_multipart(&Path::from("t/part-3.parquet")).await.unwrap();
        upload.put_part("rows".into()).await.unwrap();
        upload.complete().await.unwrap();
        store.put(&Path::from("t/_delta_log/0.checkpoint.parquet"), "rows".into()).await.unwrap();
        store.put(&Path::from("runs/1.json"), "{}".into()).await.unwrap();
        assert_eq!(waiting(), 4);

        store.delete(&Path::from("t/part-1.parquet")).await.unwrap();
        let staged = store.stage(vec![(Path::from("t/_delta_log/0.json"), "{}".into())]).await.unwrap();
        assert_eq!(waiting(), 0);
        store.put(&Path::from("t/part-4.parquet"), "rows".into()).await.unwrap();
        store.place(&staged[0]).await.unwrap();
        assert_eq!(waiting(), 0);
        store.put(&Path::from("t/part-5.parquet"), "rows".into()).await.unwrap();
        store.put_opts(&Path::from("2.json"), "{}".into(), PutMode::Create.into()).await.unwrap();
        assert_eq!(waiting(), 0);
    }

    #[tokio::test]
    async fn files_of_this_machine_are_read_by_their_paths_until_they_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ä file%20.parquet");
        let content: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
        fs::write(&file, &content).unwrap();
        let (path, store) = (Path::from_absolute_path(&file).unwrap(), DurableLocal::everywhere());
        let ranges = [0..300_000, 7..8, 5..70_000];
        let read = store.get_ranges(&path, &ranges).await.unwrap();
        for (range, read) in ranges.iter().zip(read) {
            assert_eq!(read, content[range.start as usize..range.end as usize]);
        }
        assert_eq!(store.head(&path).await.unwrap().size, 300_000);
        let listed: Vec<ObjectMeta> =
            store.list(Some(&Path::from_absolute_path(folder.path()).unwrap())).try_collect().await.unwrap();
        assert_eq!(listed[0].location, path);

        fs::write(&file, "shorter").unwrap();
        assert!(store.get_ranges(&path, &ranges).await.is_err());
        fs::remove_file(&file).unwrap();
        assert!(matches!(store.get_ranges(&path, &ranges).await, Err(Error::NotFound { .. })));
    }
}
