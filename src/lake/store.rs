//! What is a lake, to the rooms above?

use std::fmt;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::durable::DurableLocal;
use super::{LakeError, LakeLock, layout, lock};
use crate::base::World;

/// A root folder, or any object store, and what lies under it. Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    store: Arc<dyn ObjectStore>,
    absent: bool,
    folder: Option<PathBuf>,
    shown: Arc<str>,
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
        Ok(Self {
            store: Arc::new(store),
            shown: folder.display().to_string().into(),
            folder: Some(root),
            absent: false,
        })
    }

    /// Whether it can be written to.
    ///
    /// # Errors
    /// [`LakeError::CannotOpen`] if it was opened to be read and its folder is not there.
    pub fn check_writable(&self) -> Result<(), LakeError> {
        match self.absent {
            false => Ok(()),
            true => Err(LakeError::CannotOpen {
                url: self.shown.to_string(),
                because: "there is no such folder; `elt build` and `elt land` make it".to_owned(),
            }),
        }
    }

    /// Opens the lake in a local folder to read it. A folder that is not there is an empty lake,
    /// and stays away.
    pub fn open(folder: &FsPath) -> Result<Self, LakeError> {
        if folder.exists() {
            return Self::create(folder);
        }
        Ok(Self {
            store: Arc::new(InMemory::new()),
            folder: None,
            shown: folder.display().to_string().into(),
            absent: true,
        })
    }

    /// A lake on any object store, for tests and embedders. Two writers are kept apart by
    /// [`create_once`](Self::create_once) alone; there is no lock to wait at.
    pub fn on(store: Arc<dyn ObjectStore>, shown: &str) -> Self {
        Self { store, folder: None, shown: shown.into(), absent: false }
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

    /// Writes `bytes` at `path` unless something is there. This is how everything is decided.
    ///
    /// A store that timed out may have written; asking again with the same bytes is safe and
    /// answers [`Created::Yes`].
    pub async fn create_once(&self, path: &Path, bytes: impl Into<Bytes>) -> Result<Created, LakeError> {
        let bytes = bytes.into();
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(path, bytes.clone().into(), options).await {
            Ok(_) => Ok(Created::Yes),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let there = self.read(path).await?.unwrap_or_default();
                Ok(if there == bytes { Created::Yes } else { Created::TakenBy(there) })
            }
            Err(source) => Err(unavailable(path, source)),
        }
    }

    /// Writes `bytes` at `path`, over whatever is there.
    pub async fn put(&self, path: &Path, bytes: impl Into<Bytes>) -> Result<(), LakeError> {
        let payload = bytes.into().into();
        self.store.put(path, payload).await.map(|_| ()).map_err(|source| unavailable(path, source))
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
}

/// The bytes of a JSON document, as the lake keeps it.
pub(crate) fn json(document: &impl Serialize) -> Bytes {
    serde_json::to_vec_pretty(document).expect("our documents hold nothing that JSON cannot").into()
}

fn unavailable(path: &Path, source: object_store::Error) -> LakeError {
    LakeError::Store { path: path.to_string(), source }
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
