//! Where are the bytes kept as they came?

use std::io::Read;
use std::path::Path as FsPath;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, WriteMultipart};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::LandingError;
use super::discover::{ContentHash, FileStamp};
use crate::base::TableName;
use crate::lake::{LakeError, layout};
use crate::table::Tables;

/// Bytes read at a time.
const PIECE: usize = 1024 * 1024;
/// Files up to this size are kept in one request.
const WHOLE: u64 = 4 * 1024 * 1024;

/// Copies a file unchanged into the raw zone of `table`, under its load.
///
/// Constant memory. The load's id is new, so nothing is there yet; if there is, it stays. From a folder to a folder the
/// system copies by itself, and shares the bytes where it can; otherwise they go through us, and the hash of what was
/// copied is returned.
///
/// # Errors
/// [`LakeError::Store`] if something is there or the store fails, [`LandingError::Unreadable`] if the file does,
/// [`LandingError::Moving`] if it is not as long as it was.
pub(super) async fn keep(
    tables: &Tables,
    table: &TableName,
    load: &str,
    file: &FileStamp,
) -> Result<Option<ContentHash>, LandingError> {
    let path = layout::raw(table, load, file.path.replace("://", "/").trim_start_matches('/'));
    let failed = |failure| LandingError::from(LakeError::of_store(path.to_string(), failure));
    if let Some(folder) = tables.lake().folder() {
        let (folder, path, file) = (folder.to_owned(), path.clone(), file.clone());
        let copied = tokio::task::spawn_blocking(move || keep_here(&folder, &path, &file));
        copied.await.expect("copying does not panic, and the runtime is not shutting down")?;
        return Ok(None);
    }
    let store = tables.lake().store();
    if file.size <= WHOLE {
        return keep_whole(&*store, &path, file).await.map(Some);
    }
    if store.head(&path).await.is_ok() {
        return Err(failed(object_store::Error::AlreadyExists {
            path: path.to_string(),
            source: "another file of this load has the same name".into(),
        }));
    }
    let upload = store.put_multipart(&path).await.map_err(failed)?;
    let mut upload = WriteMultipart::new(upload);
    let mut hasher = Sha256::new();
    let mut pieces = pieces_of(file.clone());
    while let Some(piece) = pieces.recv().await {
        match piece {
            Ok(piece) => {
                hasher.update(&piece);
                upload.wait_for_capacity(4).await.map_err(failed)?;
                upload.write(&piece);
            }
            Err(source) => {
                let _ = upload.abort().await;
                return Err(LandingError::Unreadable { path: file.path.clone(), source });
            }
        }
    }
    upload.finish().await.map_err(failed)?;
    Ok(Some(ContentHash::of(hasher)))
}

/// Copies a file to a lake in a folder; it has its name when it is whole and on the disk.
fn keep_here(lake: &FsPath, path: &Path, file: &FileStamp) -> Result<(), LandingError> {
    let failed = |source: std::io::Error| {
        let failure = object_store::Error::Generic { store: "LocalFileSystem", source: source.into() };
        LandingError::from(LakeError::of_store(path.to_string(), failure))
    };
    let unreadable = |source| LandingError::Unreadable { path: file.path.clone(), source };
    let target = lake.join(path.as_ref());
    let folder = target.parent().unwrap_or(lake);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut unnamed = tempfile::Builder::new();
    #[cfg(unix)]
    unnamed.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let copy = unnamed.tempfile_in(folder).map_err(failed)?;
    let mut from = std::fs::File::open(&file.on_disk).map_err(unreadable)?;
    // Between two files the system copies, without a detour through our memory.
    let length = std::io::copy(&mut from, &mut copy.as_file()).map_err(failed)?;
    if length != file.size {
        return Err(LandingError::Moving { path: file.path.clone() });
    }
    copy.as_file().sync_all().map_err(failed)?;
    copy.persist_noclobber(&target).map_err(|error| failed(error.error))?;
    // The name, and those of folders that may be new.
    #[cfg(unix)]
    for above in folder.ancestors().take_while(|above| above.starts_with(lake)) {
        std::fs::File::open(above).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// Copies a small file in one request, which fails if something is there.
async fn keep_whole(
    store: &dyn ObjectStore,
    path: &Path,
    file: &FileStamp,
) -> Result<ContentHash, LandingError> {
    let (mut bytes, mut hasher) = (Vec::new(), Sha256::new());
    let mut pieces = pieces_of(file.clone());
    while let Some(piece) = pieces.recv().await {
        let piece = piece.map_err(|source| LandingError::Unreadable { path: file.path.clone(), source })?;
        hasher.update(&piece);
        bytes.extend(piece);
    }
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    store
        .put_opts(path, bytes.into(), options)
        .await
        .map_err(|failure| LandingError::from(LakeError::of_store(path.to_string(), failure)))?;
    Ok(ContentHash::of(hasher))
}

/// The file's bytes, read on a thread where that may block.
fn pieces_of(file: FileStamp) -> mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut open = match std::fs::File::open(&file.on_disk) {
            Ok(open) => open,
            Err(error) => return drop(sender.blocking_send(Err(error))),
        };
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let read = open.by_ref().take(PIECE as u64).read_to_end(&mut piece);
            let message = match read {
                Ok(0) => return,
                Ok(_) => Ok(piece),
                Err(error) => Err(error),
            };
            let last = message.is_err();
            if sender.blocking_send(message).is_err() || last {
                return;
            }
        }
    });
    receiver
}

/// The folder of a load's raw files, for messages.
pub(super) fn folder(table: &TableName, load: &str) -> Path {
    layout::raw(table, load, "")
}
