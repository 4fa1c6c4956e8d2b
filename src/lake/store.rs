//! What is a lake, to the rooms above?

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use url::Url;

use super::durable::{DurableLocal, StagedFile};
use super::{LakeError, LakeLock, layout, lock};
use crate::base::World;

/// How long to wait for another writer of the same document.
const BESIDE_ANOTHER: Duration = Duration::from_millis(100);

/// A root folder, or any object store, and what lies under it. Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    store: Arc<dyn ObjectStore>,
    /// The same store, if it is a folder on this machine.
    durable: Option<Arc<DurableLocal>>,
    absent: bool,
    folder: Option<PathBuf>,
    shown: Arc<str>,
    keeps_first: Arc<OnceCell<()>>,
    /// In folders of numbered documents, the newest that was seen.
    newest_seen: Arc<Mutex<BTreeMap<Path, u64>>>,
}

/// A document that is going to be created: [`Lake::place`] gives it its name. Dropped before, it was never there.
#[derive(Debug)]
pub struct StagedDocument {
    path: Path,
    bytes: Bytes,
    /// Its content, if that is on the disk of this machine already.
    here: Option<StagedFile>,
}

/// The files of this machine, lake or not, by their absolute paths: data is read as that of a lake is.
pub fn this_machine() -> Arc<dyn ObjectStore> {
    Arc::new(DurableLocal::everywhere())
}

/// What came of an attempt to write a document that may be written once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Created {
    /// The document is there and holds what was asked: written now, or by an earlier attempt of ours.
    Yes,
    /// Another document was there first.
    TakenBy(Bytes),
}

impl Lake {
    /// Opens the lake in a local folder, and makes the folder if it is not there.
    ///
    /// Everything written through it is on the disk, not only in its cache, before a call returns.
    pub fn create(folder: &FsPath) -> Result<Self, LakeError> {
        let cannot = |because: std::io::Error| LakeError::CannotOpen {
            url: folder.display().to_string(),
            because: because.to_string(),
        };
        std::fs::create_dir_all(folder).map_err(cannot)?;
        let root = folder.canonicalize().map_err(cannot)?;
        let store = DurableLocal::new(&root).map_err(|error| LakeError::CannotOpen {
            url: folder.display().to_string(),
            because: error.to_string(),
        })?;
        let durable = Arc::new(store);
        Ok(Self {
            store: Arc::clone(&durable) as Arc<dyn ObjectStore>,
            durable: Some(durable),
            shown: folder.display().to_string().into(),
            folder: Some(root),
            absent: false,
            keeps_first: Arc::new(OnceCell::new_with(Some(()))),
            newest_seen: Arc::default(),
        })
    }

    /// Whether it can be written to. A store is asked once whether, of two writers of one document, it refuses the
    /// second: everything is decided by that.
    ///
    /// # Errors
    /// [`LakeError::CannotOpen`] if it was opened to be read and its folder is not there,
    /// [`LakeError::KeepsLast`] if the store would keep the second.
    pub async fn check_writable(&self) -> Result<(), LakeError> {
        if self.absent {
            return Err(LakeError::CannotOpen {
                url: self.shown.to_string(),
                because: "there is no such folder; `elt build` and `elt land` make it".to_owned(),
            });
        }
        self.keeps_first.get_or_try_init(|| self.probe()).await.map(|_| ())
    }

    /// Writes the probe document until the store says that it is there already; twice must be enough.
    async fn probe(&self) -> Result<(), LakeError> {
        let path = Path::from(layout::PROBE);
        for _ in 0..2 {
            match self.store.put_opts(&path, "who comes first stays".into(), PutMode::Create.into()).await {
                Ok(_) => {}
                Err(object_store::Error::AlreadyExists { .. }) => return Ok(()),
                Err(
                    object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. },
                ) => break,
                Err(failure) => return Err(unavailable(&path, failure)),
            }
        }
        Err(LakeError::KeepsLast { url: self.shown.to_string() })
    }

    /// Opens the lake in an object store, as `connect` understands the URL. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// [`LakeError::CannotOpen`] if it is no URL of a store that a lake can be in.
    pub fn at(url: &str, env: &BTreeMap<String, String>) -> Result<Self, LakeError> {
        let cannot = |because: String| LakeError::CannotOpen { url: url.to_owned(), because };
        let parsed = Url::parse(url).map_err(|error| cannot(error.to_string()))?;
        const STORES: [&str; 7] = ["s3", "s3a", "gs", "az", "azure", "abfs", "abfss"];
        if !STORES.contains(&parsed.scheme()) {
            let because = format!("a lake is a folder, or under one of {}://", STORES.join("://, "));
            return Err(cannot(because));
        }
        let (store, path) = super::connect(&parsed, env).map_err(cannot)?;
        let store: Arc<dyn ObjectStore> =
            if path.as_ref().is_empty() { store } else { Arc::new(PrefixStore::new(store, path)) };
        Ok(Self::on(store, url.trim_end_matches('/')))
    }

    /// Opens the lake in a local folder to read it. A folder that is not there is an empty lake,
    /// and stays away.
    pub fn open(folder: &FsPath) -> Result<Self, LakeError> {
        if folder.exists() {
            return Self::create(folder);
        }
        Ok(Self {
            store: Arc::new(InMemory::new()),
            durable: None,
            folder: None,
            shown: folder.display().to_string().into(),
            absent: true,
            keeps_first: Arc::default(),
            newest_seen: Arc::default(),
        })
    }

    /// The same lake in a folder that is made now, if it was not there when it was opened.
    pub fn made(&self) -> Result<Self, LakeError> {
        if self.absent { Self::create(FsPath::new(&*self.shown)) } else { Ok(self.clone()) }
    }

    /// Whether it is in a folder that was not there when it was opened.
    pub fn is_absent(&self) -> bool {
        self.absent
    }

    /// A lake on any object store, for tests and embedders. Two writers are kept apart by
    /// [`create_once`](Self::create_once) alone; there is no lock to wait at.
    pub fn on(store: Arc<dyn ObjectStore>, shown: &str) -> Self {
        Self {
            store,
            durable: None,
            folder: None,
            shown: shown.into(),
            absent: false,
            keeps_first: Arc::default(),
            newest_seen: Arc::default(),
        }
    }

    /// The object store, rooted at the lake's root.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    /// The object store, rooted at `path`.
    pub fn store_at(&self, path: &Path) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(Arc::clone(&self.store), path.clone()))
    }

    /// The folder on this machine, if the lake is in one.
    pub fn folder(&self) -> Option<&FsPath> {
        self.folder.as_deref()
    }

    /// Takes the place of the one writer, or says who has it.
    ///
    /// The place is free again when the lock is dropped or the process ends, however it ends.
    ///
    /// # Errors
    /// [`LakeError::Locked`] if another process has it.
    pub fn lock(&self, world: &World, what: &str) -> Result<LakeLock, LakeError> {
        match &self.folder {
            Some(folder) => lock::take(&folder.join(layout::LOCK), world, what),
            None => Ok(LakeLock::none()),
        }
    }

    /// Takes the place of the one who keeps the schedules, or says who has it. Nothing stops two of them in a bucket.
    ///
    /// # Errors
    /// [`LakeError::Taken`] if another process has it.
    pub fn lock_schedules(&self, world: &World) -> Result<LakeLock, LakeError> {
        match &self.folder {
            Some(folder) => lock::take(&folder.join(layout::SCHEDULES_LOCK), world, "schedule")
                .map_err(|error| error.of_place("keeps the schedules of this lake")),
            None => Ok(LakeLock::none()),
        }
    }

    /// Takes the place of the one who replays a run, or says who has it. Nothing stops two of them in a bucket.
    ///
    /// # Errors
    /// [`LakeError::Taken`] if another process has it.
    pub fn lock_replay(&self, world: &World) -> Result<LakeLock, LakeError> {
        match &self.folder {
            Some(folder) => lock::take(&folder.join(layout::REPLAY_LOCK), world, "replay")
                .map_err(|error| error.of_place("replays a run of this lake")),
            None => Ok(LakeLock::none()),
        }
    }

    /// Writes `bytes` at `path` unless something is there. This is how everything is decided.
    ///
    /// A store that timed out may have written; asking again with the same bytes is safe and
    /// answers [`Created::Yes`].
    pub async fn create_once(&self, path: &Path, bytes: impl Into<Bytes>) -> Result<Created, LakeError> {
        self.place(&StagedDocument { path: path.clone(), bytes: bytes.into(), here: None }).await
    }

    /// Makes documents ready that are going to be created one after another. On a local disk their contents, and all data
    /// files that were written before, are synced at once, so that what is left of each is a name.
    pub async fn stage(&self, documents: Vec<(Path, Bytes)>) -> Result<Vec<StagedDocument>, LakeError> {
        let mut here = match &self.durable {
            Some(durable) => {
                let staged = durable.stage(documents.clone()).await;
                staged.map_err(|failure| unavailable(&Path::default(), failure))?
            }
            None => Vec::new(),
        }
        .into_iter();
        let staged =
            documents.into_iter().map(|(path, bytes)| StagedDocument { path, bytes, here: here.next() });
        Ok(staged.collect())
    }

    /// Creates a document as [`create_once`](Self::create_once) does.
    pub async fn place(&self, staged: &StagedDocument) -> Result<Created, LakeError> {
        let StagedDocument { path, bytes, here } = staged;
        loop {
            let placed = match (&self.durable, here) {
                (Some(durable), Some(file)) => durable.place(file).await,
                _ => {
                    self.store.put_opts(path, bytes.clone().into(), PutMode::Create.into()).await.map(|_| ())
                }
            };
            match placed {
                Ok(()) => {
                    self.has_grown(path);
                    return Ok(Created::Yes);
                }
                Err(object_store::Error::AlreadyExists { .. }) => match self.read(path).await? {
                    Some(there) if there == *bytes => return Ok(Created::Yes),
                    Some(there) => return Ok(Created::TakenBy(there)),
                    // S3 says 409 while another writer is at it, who may yet fail.
                    None => tokio::time::sleep(BESIDE_ANOTHER).await,
                },
                Err(failure) => return Err(unavailable(path, failure)),
            }
        }
    }

    /// Writes `bytes` at `path`, over whatever is there.
    pub async fn put(&self, path: &Path, bytes: impl Into<Bytes>) -> Result<(), LakeError> {
        let payload = bytes.into().into();
        self.store.put(path, payload).await.map(|_| ()).map_err(|source| unavailable(path, source))
    }

    /// Gives the file at `from` the path `to` too: as a hard link on a local disk, as a copy that the store makes in a
    /// bucket. Its time is `now`, in milliseconds since 1970, so that nobody takes it for an old one that is not needed.
    pub async fn share(&self, from: &Path, to: &Path, now: i64) -> Result<(), LakeError> {
        self.store.copy(from, to).await.map_err(|source| unavailable(from, source))?;
        let Some(folder) = &self.folder else { return Ok(()) };
        let file = folder.join(to.as_ref());
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now).unwrap_or(0));
        let touched = OpenOptions::new().append(true).open(file).and_then(|file| file.set_modified(now));
        touched.map_err(|because| {
            unavailable(to, object_store::Error::Generic { store: "local disk", source: because.into() })
        })
    }

    /// Reads all of `path`; nothing if it is not there.
    pub async fn read(&self, path: &Path) -> Result<Option<Bytes>, LakeError> {
        let read = async { self.store.get(path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(unavailable(path, source)),
        }
    }

    /// Reads a JSON document; nothing if it is not there.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] if it is empty, torn or not what it should be.
    pub async fn read_json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, LakeError> {
        let Some(bytes) = self.read(path).await? else { return Ok(None) };
        let damaged = |because: String| LakeError::Damaged { path: path.to_string(), because };
        if bytes.is_empty() {
            return Err(damaged("it has no content; a write was lost".to_owned()));
        }
        serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(error.to_string()))
    }

    /// Lists the objects directly or indirectly under `prefix`, in order of their paths.
    pub async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, LakeError> {
        let listed: Result<Vec<_>, _> = self.store.list(Some(prefix)).try_collect().await;
        let mut objects = listed.map_err(|source| unavailable(prefix, source))?;
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }

    /// Lists the objects under `prefix` whose paths come after `offset`, in order of their paths; those before it cost
    /// next to nothing.
    pub async fn list_after(&self, prefix: &Path, offset: &Path) -> Result<Vec<ObjectMeta>, LakeError> {
        let listed: Result<Vec<_>, _> = self.store.list_with_offset(Some(prefix), offset).try_collect().await;
        let mut objects = listed.map_err(|source| unavailable(prefix, source))?;
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }

    /// The numbers of the documents in a folder of numbered documents, in no order. Of those on this machine only the names are read: to
    /// ask for the size and age of ten thousand that nobody wants takes longer than most statements.
    pub async fn numbers(&self, folder: &Path) -> Result<Vec<u64>, LakeError> {
        let Some(place) = self.folder.as_ref().map(|root| root.join(folder.as_ref())) else {
            let listed = self.list(folder).await?;
            return Ok(listed.iter().filter_map(|object| layout::number_of(&object.location)).collect());
        };
        let names = std::fs::read_dir(place).and_then(|entries| {
            let names = entries.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()));
            names.collect::<std::io::Result<Vec<_>>>()
        });
        match names {
            Ok(names) => Ok(names.iter().filter_map(|name| layout::number_in(name)).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => {
                let source = object_store::Error::Generic { store: "folder", source: Box::new(error) };
                Err(unavailable(folder, source))
            }
        }
    }

    /// How large `path` is, in bytes; nothing if it is not there. Its content is not read.
    pub async fn size(&self, path: &Path) -> Result<Option<u64>, LakeError> {
        match self.store.head(path).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(unavailable(path, source)),
        }
    }

    /// Remembers a document that was created, if it comes right after the newest of its folder that this process knows.
    fn has_grown(&self, path: &Path) {
        let folder = Path::from(path.as_ref().rsplit_once('/').map_or("", |(folder, _)| folder));
        let mut seen = self.newest_seen.lock().expect("no holder panics");
        if let (Some(newest), Some(number)) = (seen.get_mut(&folder), layout::number_of(path))
            && number == *newest + 1
        {
            *newest = number;
        }
    }

    /// The number of the newest document in a folder of numbered documents, which only become more and have no gaps.
    ///
    /// One listing the first time. After that the one after the newest that this process knows is asked for, and listed is
    /// only what another process brought.
    pub async fn newest(&self, folder: &Path) -> Result<Option<u64>, LakeError> {
        let seen = self.newest_seen.lock().expect("no holder panics").get(folder).copied();
        let named = |number: u64| folder.clone().join(format!("{number:020}.json"));
        let mut newest = None;
        if let Some(seen) = seen {
            let (same, next) = (named(seen), named(seen + 1));
            match futures::try_join!(self.size(&same), self.size(&next))? {
                (Some(_), None) => return Ok(Some(seen)),
                // What was newest then is listed with what came after it.
                (Some(_), Some(_)) => {
                    let later = self.list_after(folder, &folder.clone().join(format!("{seen:020}"))).await?;
                    newest = later.iter().filter_map(|object| layout::number_of(&object.location)).max();
                }
                // It is another folder by now.
                (None, _) => {}
            }
        }
        if newest.is_none() {
            newest = self.numbers(folder).await?.into_iter().max();
        }
        if let Some(newest) = newest {
            self.newest_seen.lock().expect("no holder panics").insert(folder.clone(), newest);
        }
        Ok(newest)
    }
}

/// The bytes of a JSON document, as the lake keeps it.
pub(crate) fn json(document: &impl Serialize) -> Bytes {
    serde_json::to_vec_pretty(document).expect("our documents hold nothing that JSON cannot").into()
}

fn unavailable(path: &Path, failure: object_store::Error) -> LakeError {
    LakeError::of_store(path.to_string(), failure)
}

impl fmt::Display for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lake({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, PutMultipartOptions, PutOptions,
        PutPayload, PutResult, Result,
    };

    use super::*;

    /// A store that takes no notice of conditions on a put, as old ones do, and counts how often it is listed.
    #[derive(Debug, Default)]
    struct KeepsLast(InMemory, AtomicUsize);

    impl fmt::Display for KeepsLast {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a store that keeps the last")
        }
    }

    #[async_trait]
    impl ObjectStore for KeepsLast {
        async fn put_opts(&self, path: &Path, payload: PutPayload, _: PutOptions) -> Result<PutResult> {
            self.0.put_opts(path, payload, PutOptions::default()).await
        }

        async fn put_multipart_opts(
            &self,
            path: &Path,
            options: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(path, options).await
        }

        async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
            self.0.get_opts(path, options).await
        }

        async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
            self.0.get_ranges(path, ranges).await
        }

        fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.0.delete_stream(paths)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }

    #[tokio::test]
    async fn the_newest_of_numbered_documents_is_found_whoever_brings_it() {
        let store = Arc::new(KeepsLast::default());
        let lake = Lake::on(Arc::clone(&store) as Arc<dyn ObjectStore>, "here");
        // Another process: it has seen nothing of what the first has.
        let other = Lake::on(Arc::clone(&store) as Arc<dyn ObjectStore>, "there");
        let (folder, listings) = (Path::from("docs"), || store.1.swap(0, Ordering::Relaxed));
        let bring = async |lake: &Lake, number: u64| {
            let path = folder.clone().join(format!("{number:020}.json"));
            assert_eq!(lake.create_once(&path, "{}").await.unwrap(), Created::Yes);
        };
        assert_eq!(lake.newest(&folder).await.unwrap(), None);
        bring(&lake, 1).await;
        assert_eq!((lake.newest(&folder).await.unwrap(), listings()), (Some(1), 2));
        for _ in 0..3 {
            assert_eq!((lake.newest(&folder).await.unwrap(), listings()), (Some(1), 0));
        }
        for number in 2..40 {
            bring(&other, number).await;
        }
        assert_eq!((lake.newest(&folder).await.unwrap(), listings()), (Some(39), 1));
        assert_eq!((lake.newest(&folder).await.unwrap(), listings()), (Some(39), 0));
        // Made anew, with fewer.
        for number in (2..40).map(|number| folder.clone().join(format!("{number:020}.json"))) {
            store.0.delete(&number).await.unwrap();
        }
        assert_eq!(lake.newest(&folder).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn numbers_are_told_by_names_in_a_folder_and_in_a_bucket() {
        let place = tempfile::tempdir().unwrap();
        let folder = Path::from("_elt/docs");
        for lake in [Lake::create(place.path()).unwrap(), Lake::on(Arc::new(InMemory::new()), "here")] {
            assert!(lake.numbers(&folder).await.unwrap().is_empty());
            for name in ["00000000000000000003.json", "00000000000000000012.json", "3.txt", "of.json"] {
                let created = lake.create_once(&folder.clone().join(name), "{}").await.unwrap();
                assert_eq!(created, Created::Yes);
            }
            let mut numbers = lake.numbers(&folder).await.unwrap();
            numbers.sort_unstable();
            assert_eq!(numbers, [3, 12]);
            assert_eq!(lake.newest(&folder).await.unwrap(), Some(12));
        }
        let file = place.path().join("_elt/file");
        std::fs::write(&file, "").unwrap();
        let lake = Lake::open(place.path()).unwrap();
        assert!(lake.numbers(&Path::from("_elt/file")).await.is_err());
    }

    #[tokio::test]
    async fn a_store_that_keeps_the_last_of_two_writers_is_refused_before_anything_is_written() {
        let good = Lake::on(Arc::new(InMemory::new()), "good");
        good.check_writable().await.unwrap();
        good.check_writable().await.unwrap();

        let bad = Lake::on(Arc::new(KeepsLast::default()), "bad");
        assert!(matches!(bad.check_writable().await, Err(LakeError::KeepsLast { .. })));
    }

    #[test]
    fn a_url_that_no_lake_can_be_in_is_refused() {
        let none = BTreeMap::new();
        for url in ["https://example.org/lake", "ftp://host/lake", "s3:/typo"] {
            assert!(matches!(Lake::at(url, &none), Err(LakeError::CannotOpen { .. })), "{url}");
        }
        assert_eq!(Lake::at("s3://bucket/lake/", &none).unwrap().to_string(), "s3://bucket/lake");
    }
}
