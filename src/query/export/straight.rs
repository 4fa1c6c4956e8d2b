//! What if the name of a file is that of a pipe?
//!
//! Or of a terminal, of `/dev/null`, of `/dev/stdout`. Nothing may take its place, and whoever reads at its other end waits for
//! the bytes as they come. So they are written into it, and what was written stays if the rest fails.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens what takes bytes as they come. Waits for a reader, if it is a pipe that nobody reads.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// Whether something that is no regular file and no folder has that name, as written or with its links followed.
///
/// # Errors
/// It takes no bytes as they come: a disk, a socket; or the file that this program's own answers go to.
#[cfg(unix)]
pub(super) fn is_one(path: &Path, real: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileTypeExt;
    let refused = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    let Ok(meta) = fs::metadata(path).or_else(|_| fs::metadata(real)) else { return Ok(false) };
    let kind = meta.file_type();
    if kind.is_fifo() || kind.is_char_device() {
        return Ok(true);
    }
    match kind.is_file() || kind.is_dir() {
        // The name leads away from the handle that is written to, and two would write over each other.
        true if is_handle(path) => refused("it is a file by another name; write the file's own name"),
        true => Ok(false),
        false => refused("it is neither a file nor a pipe; choose another name"),
    }
}

/// Elsewhere no name is that of a pipe.
#[cfg(not(unix))]
pub(super) fn is_one(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Whether a name leads to an open file of this program, as `/dev/stdout` does.
#[cfg(unix)]
fn is_handle(path: &Path) -> bool {
    /// As many links as a system follows.
    const MOST: usize = 40;
    let own = Path::new("/proc").join(std::process::id().to_string()).join("fd");
    let mut at = path.to_owned();
    for _ in 0..MOST {
        let Some(folder) = at.parent() else { return false };
        if folder == own || folder == Path::new("/dev/fd") || folder == Path::new("/proc/self/fd") {
            return true;
        }
        let Ok(next) = fs::read_link(&at) else { return false };
        at = folder.join(next);
    }
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        assert!(!is_one(&file, &file).unwrap(), "what is not there becomes a file");
        fs::write(&file, "").unwrap();
        assert!(!is_one(&file, &file).unwrap());
        let null = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &null).unwrap();
        assert!(is_one(&null, &null).unwrap());
        let socket = folder.path().join("socket");
        let _open = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(is_one(&socket, &socket).is_err());
        let link = folder.path().join("out");
        std::os::unix::fs::symlink("/proc/self/fd/1", &link).unwrap();
        assert!(is_handle(&link) && !is_handle(&file));
    }
}
