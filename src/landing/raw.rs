//! Where are the bytes kept as they came?

use std::io::Read;

use object_store::path::Path;
use object_store::{ObjectStoreExt, WriteMultipart};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::LandingError;
use super::discover::{ContentHash, FileStamp};
use crate::base::TableName;
use crate::lake::{LakeError, layout};
use crate::table::Tables;

/// Bytes read at a time.
const PIECE: usize = 1024 * 1024;

/// Copies a file unchanged into the raw zone of `table`, under its load.
///
/// Returns the hash of the bytes that were copied. Constant memory. The
/// load's id is new, so nothing is ever overwritten.
pub(super) async fn keep(
    tables: &Tables,
    table: &TableName,
    load: &str,
    file: &FileStamp,
) -> Result<ContentHash, LandingError> {
    let path = layout::raw(table, load, file.path.replace("://", "/").trim_start_matches('/'));
    let failed = |failure| LandingError::from(LakeError::Store { path: path.to_string(), failure });
    let upload = tables.lake().store().put_multipart(&path).await.map_err(failed)?;
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
