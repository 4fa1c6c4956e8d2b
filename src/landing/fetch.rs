//! How do files that are not here become files here?
//!
//! Files in an object store or on a web server are listed there, known by their URL, size, time and ETag, and only copied
//! here if they are new; standard input is copied here to be known at all, by its content. A copy is gone when the
//! last [`FileStamp`] that needs it is.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use url::Url;

use super::discover::{ContentHash, FileStamp, partition, partitions};
use super::error::LandingError;
use crate::lake::connect;

/// Where a file is that is not here.
#[derive(Clone, Debug)]
pub(super) struct Elsewhere {
    store: Arc<dyn ObjectStore>,
    path: Path,
}

/// Whether a pattern means something elsewhere.
pub fn is_url(pattern: &str) -> bool {
    pattern.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '+')
    })
}

/// Returns the files that a URL means: a file, a folder or a glob; of web servers only a file.
///
/// A folder of a store means its own files, and those of folders inside it that are named `column=value`, as here.
/// `env` has the credentials and settings, as [`connect`] reads them.
///
/// # Errors
/// [`LandingError::BadUrl`], [`LandingError::NotFound`], [`LandingError::BadPattern`] and [`LandingError::Elsewhere`].
pub(super) async fn list(
    pattern: &str,
    env: &BTreeMap<String, String>,
) -> Result<Vec<FileStamp>, LandingError> {
    let bad = |because: String| LandingError::BadUrl { url: pattern.to_owned(), because };
    // `?` is a wildcard to whoever writes a pattern, and the beginning of a query to web servers.
    let escaped = if pattern.starts_with("http") { pattern.to_owned() } else { pattern.replace('?', "%3F") };
    let url = Url::parse(&escaped).map_err(|error| bad(error.to_string()))?;
    let web = matches!(url.scheme(), "http" | "https");
    let (store, path) = connect(&url, env).map_err(bad)?;
    let failed = |source| LandingError::Elsewhere { url: pattern.to_owned(), source };
    let origin = origin(&url);
    let stamp = |meta: ObjectMeta| FileStamp {
        path: if web { url.to_string() } else { format!("{origin}{}", meta.location) },
        found_as: meta.location.to_string(),
        on_disk: std::path::PathBuf::new(),
        size: meta.size,
        modified: meta.last_modified,
        etag: meta.e_tag,
        partitions: partitions(meta.location.as_ref()),
        elsewhere: Some(Elsewhere { store: Arc::clone(&store), path: meta.location }),
        copy: None,
    };
    let text = path.as_ref();
    if !web && let Some(wild) = text.find(['*', '?', '[']) {
        let shape = glob::Pattern::new(text)
            .map_err(|source| LandingError::BadPattern { pattern: pattern.to_owned(), source })?;
        let folder = text[..wild].rsplit_once('/').map(|(folder, _)| Path::from(folder));
        let exactly = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let metas: Vec<ObjectMeta> = store.list(folder.as_ref()).try_collect().await.map_err(failed)?;
        let fits = |meta: &ObjectMeta| shape.matches_with(meta.location.as_ref(), exactly);
        return Ok(metas.into_iter().filter(fits).map(stamp).collect());
    }
    // A bucket as a whole is no file, though some stores answer as if it were.
    if !path.as_ref().is_empty() {
        match store.head(&path).await {
            Ok(meta) => return Ok(vec![stamp(meta)]),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    if web {
        return Err(LandingError::NotFound { path: pattern.to_owned(), help: None });
    }
    let found = files_in(&*store, path).await.map_err(failed)?;
    if found.is_empty() {
        return Err(LandingError::NotFound { path: pattern.to_owned(), help: None });
    }
    Ok(found.into_iter().map(stamp).collect())
}

/// The files of a folder, and of folders inside it that are named `column=value`, but for those that begin with a dot.
async fn files_in(store: &dyn ObjectStore, folder: Path) -> object_store::Result<Vec<ObjectMeta>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder]);
    while let Some(folder) = folders.pop() {
        let listed = store.list_with_delimiter(Some(&folder)).await?;
        let visible = |meta: &ObjectMeta| !meta.location.filename().unwrap_or_default().starts_with('.');
        found.extend(listed.objects.into_iter().filter(visible));
        let names_a_column = |path: &Path| path.filename().is_some_and(|name| partition(name).is_some());
        folders.extend(listed.common_prefixes.into_iter().filter(names_a_column));
    }
    Ok(found)
}

/// What stands before the path in a URL: `s3://bucket/`.
fn origin(url: &Url) -> String {
    format!("{}/", &url[..url::Position::BeforePath])
}

/// Copies a file here that is elsewhere; of others nothing is to be done.
///
/// # Errors
/// [`LandingError::Elsewhere`] if it cannot be read to its end, [`LandingError::Unreadable`] if there is no room here.
pub(super) async fn fetch(mut file: FileStamp) -> Result<FileStamp, LandingError> {
    let Some(Elsewhere { store, path }) = &file.elsewhere else { return Ok(file) };
    if file.copy.is_some() {
        return Ok(file);
    }
    let unreadable = |source| LandingError::Unreadable { path: file.path.clone(), source };
    let failed = |source| LandingError::Elsewhere { url: file.path.clone(), source };
    let mut copy = tempfile::NamedTempFile::new().map_err(unreadable)?;
    let mut pieces = store.get(path).await.map_err(failed)?.into_stream();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(failed)?;
        length += piece.len() as u64;
        copy.write_all(&piece).map_err(unreadable)?;
    }
    copy.flush().map_err(unreadable)?;
    if length != file.size {
        return Err(LandingError::Moving { path: file.path });
    }
    let copy = copy.into_temp_path();
    file.on_disk = copy.to_path_buf();
    file.copy = Some(Arc::new(copy));
    Ok(file)
}

/// Copies a stream of bytes here and names it by its content: `stdin/` and the beginning of its SHA-256.
///
/// # Errors
/// [`LandingError::Unreadable`] if it cannot be read to its end, or there is no room here.
pub fn take_in(bytes: &mut dyn Read, now: chrono::DateTime<chrono::Utc>) -> Result<FileStamp, LandingError> {
    let unreadable = |source| LandingError::Unreadable { path: "standard input".to_owned(), source };
    let mut copy = tempfile::NamedTempFile::new().map_err(unreadable)?;
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = bytes.read(&mut piece).map_err(unreadable)?;
        if length == 0 {
            break;
        }
        hasher.update(&piece[..length]);
        size += length as u64;
        copy.write_all(&piece[..length]).map_err(unreadable)?;
    }
    copy.flush().map_err(unreadable)?;
    let copy = copy.into_temp_path();
    let path = format!("stdin/{}", &ContentHash::of(hasher).to_string()[..16]);
    Ok(FileStamp {
        found_as: path.clone(),
        path,
        on_disk: copy.to_path_buf(),
        size,
        modified: now,
        etag: None,
        partitions: Vec::new(),
        elsewhere: None,
        copy: Some(Arc::new(copy)),
    })
}
