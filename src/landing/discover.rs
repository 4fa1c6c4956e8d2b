//! Which files are meant, and what are they now?
//!
//! A [`FileStamp`] is a file as it was found: where, how big, how old. Whether it was landed before is the
//! ledger's question; its [`content_hash`] settles that when size and age do not.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::LandingError;
use super::fetch::Elsewhere;
use super::format::{self, Compression, Format, ReadOptions};
use super::read::column_name;
use crate::base::did_you_mean;

/// A file as it was found.
#[derive(Clone, Debug)]
pub struct FileStamp {
    /// The path as tables record it: of the file itself, whatever links lead to it; relative to the root if below
    /// it, else absolute; with `/`. Of a file elsewhere, its URL.
    pub path: String,
    /// Where to open it. Of a file elsewhere, nowhere until it is [fetched](super::fetch).
    pub on_disk: PathBuf,
    /// Its size in bytes, as stored.
    pub size: u64,
    /// When it was last written, by the clock of where it is.
    pub modified: DateTime<Utc>,
    /// What its store calls this edition of it.
    pub etag: Option<String>,
    /// What its folders say that are named `column=value`; nothing for a null.
    pub partitions: Vec<(String, Option<String>)>,
    /// The name under which it was found, which tells its format.
    pub(super) found_as: String,
    /// Where it is, if not here.
    pub(super) elsewhere: Option<Elsewhere>,
    /// Its copy here, for as long as it is needed.
    pub(super) copy: Option<Arc<tempfile::TempPath>>,
}

/// The SHA-256 of a file's bytes as stored, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash([u8; 32]);

/// Returns the files that `patterns` mean, sorted by path, each once.
///
/// A pattern is a file, a folder (its own files, and those of folders inside it that are named `column=value`) or a
/// glob; a relative one starts at `root`. Files whose names start with a dot are only found by their own name. A glob
/// may find nothing. `root` should be absolute, or relative to the current folder. Two links to one file are one file.
///
/// # Errors
/// [`LandingError::NotFound`] if a pattern without wildcards names nothing; [`LandingError::BadPattern`];
/// [`LandingError::Unreadable`] if a folder cannot be listed.
pub fn discover(root: &Path, patterns: &[String]) -> Result<Vec<FileStamp>, LandingError> {
    let root = cleaned(root)?;
    let real_root = fs::canonicalize(&root).unwrap_or_else(|_| root.clone());
    let mut found = BTreeMap::new();
    for pattern in patterns {
        for on_disk in matches(&root, pattern)? {
            let stamp = stamp(&real_root, &on_disk)?;
            found.insert(stamp.path.clone(), stamp);
        }
    }
    Ok(found.into_values().collect())
}

/// Returns the SHA-256 of the file's bytes, read in pieces of 64 KiB.
///
/// # Errors
/// [`LandingError::Unreadable`] if the file cannot be read to its end.
pub fn content_hash(path: &Path) -> Result<ContentHash, LandingError> {
    let mut file = File::open(path).map_err(|source| unreadable(path, source))?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(ContentHash::of(hasher)),
            Ok(length) => hasher.update(&piece[..length]),
            Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(unreadable(path, source)),
        }
    }
}

impl ContentHash {
    /// The hash of everything that `hasher` was fed.
    pub(super) fn of(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// The first 63 bits as a number that is never negative, for logs that keep only integers.
    pub fn as_i63(&self) -> i64 {
        self.0[..8].iter().fold(0i64, |number, byte| (number << 8) | i64::from(*byte)) & i64::MAX
    }
}

/// Which paths a pattern means; a path that exists is itself, whatever letters it has.
fn matches(root: &Path, pattern: &str) -> Result<Vec<PathBuf>, LandingError> {
    let literal = cleaned(&root.join(pattern))?;
    if literal.is_dir() {
        return files_in(&literal);
    }
    if literal.exists() {
        return Ok(vec![literal]);
    }
    if !pattern.contains(['*', '?', '[']) {
        let name = literal.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let neighbours = literal.parent().map(names_in).unwrap_or_default();
        let help = did_you_mean(&name, neighbours.iter().map(String::as_str));
        return Err(LandingError::NotFound { path: pattern.to_owned(), help });
    }
    let whole = if Path::new(pattern).is_absolute() {
        pattern.to_owned()
    } else {
        format!("{}/{pattern}", glob::Pattern::escape(text_of(root)?))
    };
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let paths = glob::glob_with(&whole, options)
        .map_err(|source| LandingError::BadPattern { pattern: pattern.to_owned(), source })?;
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|error| {
            let path = error.path().to_owned();
            unreadable(&path, error.into())
        })?;
        if path.is_file() {
            files.push(cleaned(&path)?);
        }
    }
    Ok(files)
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, LandingError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|source| unreadable(folder, source))? {
        let entry = entry.map_err(|source| unreadable(folder, source))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if name.starts_with('.') {
            continue;
        }
        if path.is_file() {
            files.push(path);
        } else if partition(&name).is_some() && path.is_dir() {
            files.extend(files_in(&path)?);
        }
    }
    Ok(files)
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn stamp(root: &Path, found: &Path) -> Result<FileStamp, LandingError> {
    let on_disk = fs::canonicalize(found).map_err(|source| unreadable(found, source))?;
    let meta = fs::metadata(&on_disk).map_err(|source| unreadable(&on_disk, source))?;
    let modified = meta.modified().map_err(|source| unreadable(&on_disk, source))?;
    let recorded = text_of(on_disk.strip_prefix(root).unwrap_or(&on_disk))?.to_owned();
    let path = if std::path::MAIN_SEPARATOR == '/' { recorded } else { recorded.replace('\\', "/") };
    Ok(FileStamp {
        partitions: partitions(&path),
        path,
        found_as: text_of(found)?.to_owned(),
        on_disk,
        size: meta.len(),
        modified: modified.into(),
        etag: None,
        elsewhere: None,
        copy: None,
    })
}

impl FileStamp {
    /// Whether the file is better read whole on one thread than in pieces on many.
    pub(super) fn is_small(&self, options: &ReadOptions) -> bool {
        let plain =
            |(format, packed): (Format, Compression)| packed == Compression::None && !format.is_binary();
        self.size <= if self.format(options).is_ok_and(plain) { SMALL } else { SMALL_PACKED }
    }

    /// How the file is to be read, by the name under which it was found and by `options`.
    ///
    /// # Errors
    /// Those of [`format::of`].
    pub fn format(&self, options: &ReadOptions) -> Result<(Format, Compression), LandingError> {
        let found = format::of(Path::new(&self.found_as), options).map_err(|error| match error {
            LandingError::UnknownFormat { .. } => LandingError::UnknownFormat { path: self.path.clone() },
            other => other,
        })?;
        if options.names.is_some() && matches!(found.0, Format::Json | Format::JsonLines) {
            return Err(LandingError::NoPositions { path: self.path.clone() });
        }
        Ok(found)
    }
}

/// Files up to this size are read whole, each on one thread.
const SMALL: u64 = 4 * 1024 * 1024;
/// Packed files up to this size; nobody knows how large they are inside.
const SMALL_PACKED: u64 = 256 * 1024;

/// What the folders of a path say that are named `column=value`.
pub(super) fn partitions(path: &str) -> Vec<(String, Option<String>)> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders.split('/').filter_map(partition).collect()
}

/// What writers of Hive's folders put in place of a null.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// What a folder's name says of a column, if it does.
pub(super) fn partition(folder: &str) -> Option<(String, Option<String>)> {
    let (name, value) = folder.split_once('=')?;
    let plain =
        !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || "_- ".contains(letter));
    let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
    plain.then(|| (column_name(name), Some(value).filter(|value| value != HIVE_NULL && !value.is_empty())))
}

/// An absolute path without `.` and `..`. Links stay as they are: the user's name for a file is its name.
fn cleaned(path: &Path) -> Result<PathBuf, LandingError> {
    let absolute = std::path::absolute(path).map_err(|source| unreadable(path, source))?;
    let mut cleaned = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            other => cleaned.push(other),
        }
    }
    Ok(cleaned)
}

fn text_of(path: &Path) -> Result<&str, LandingError> {
    path.to_str().ok_or_else(|| LandingError::FileName { path: path.display().to_string() })
}

fn unreadable(path: &Path, source: std::io::Error) -> LandingError {
    LandingError::Unreadable { path: path.display().to_string(), source }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// A text that is not a content hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not 64 hexadecimal digits")]
pub struct NotAHash(String);

impl FromStr for ContentHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let wrong = || NotAHash(text.to_owned());
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut hash = [0; 32];
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for ContentHash {
    type Error = NotAHash;
    fn try_from(text: String) -> Result<Self, NotAHash> {
        text.parse()
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "root/in/b.csv",
            "root/in/a.csv",
            "root/in/.c.csv",
            "root/in/deep/d.csv",
            "root/by/year=2013/f.csv",
            "root/in/e[1].csv",
            "out.csv",
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(dir.path().join("root/in/a.csv"), dir.path().join("root/link.csv"))
                .unwrap();
            std::os::unix::fs::symlink(dir.path().join("root/in"), dir.path().join("root/linked")).unwrap();
        }
        dir
    }

    #[test]
    fn files_folders_and_globs_find_each_file_once_and_in_order() {
        let dir = inbox();
        let outside = cleaned(&dir.path().join("out.csv")).unwrap().display().to_string();
        for (patterns, paths) in [
            (vec!["in"], vec!["in/a.csv", "in/b.csv", "in/e[1].csv"]),
            (vec!["in/b.csv", "./in/../in/a.csv", "in/*.csv"], vec!["in/a.csv", "in/b.csv", "in/e[1].csv"]),
            (vec!["**/d.csv"], vec!["in/deep/d.csv"]),
            (vec!["in/e[1].csv"], vec!["in/e[1].csv"]),
            (vec!["in/.c.csv"], vec!["in/.c.csv"]),
            (vec!["by"], vec!["by/year=2013/f.csv"]),
            (vec!["link.csv", "in/a.csv", "linked/a.csv"], vec!["in/a.csv"]),
            (vec!["../out.csv"], vec![outside.as_str()]),
            (vec!["../*.csv"], vec![outside.as_str()]),
            (vec!["in/*.json", "none/*.csv"], vec![]),
        ] {
            let patterns: Vec<String> = patterns.into_iter().map(str::to_owned).collect();
            let found = discover(&dir.path().join("root"), &patterns).unwrap();
            assert_eq!(
                found.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
                paths,
                "{patterns:?}"
            );
            assert!(found.iter().all(|file| file.size == fs::metadata(&file.on_disk).unwrap().len()));
        }
    }

    #[test]
    fn folders_that_name_a_column_say_its_value() {
        for (path, said) in [
            ("in/a.csv", vec![]),
            ("year=2013/month=01/a.csv", vec![("year", Some("2013")), ("month", Some("01"))]),
            ("Home Town=New%20York/a=b.csv", vec![("home_town", Some("New York"))]),
            ("x=__HIVE_DEFAULT_PARTITION__/a.csv", vec![("x", None)]),
        ] {
            let said: Vec<_> = said
                .into_iter()
                .map(|(n, v): (&str, Option<&str>)| (n.to_owned(), v.map(str::to_owned)))
                .collect();
            assert_eq!(partitions(path), said, "{path}");
        }
    }

    #[test]
    fn a_missing_file_names_its_neighbour() {
        let dir = inbox();
        let error = discover(&dir.path().join("root"), &["in/bb.csv".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "there is no file or folder: in/bb.csv");
        let help = miette::Diagnostic::help(&error).unwrap().to_string();
        assert_eq!(help, "did you mean `b.csv`?");
        let error = discover(dir.path(), &["in/[.csv".to_owned()]).unwrap_err();
        assert!(matches!(error, LandingError::BadPattern { .. }), "{error:?}");
    }

    #[test]
    fn content_hashes_are_sha_256_and_go_there_and_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        fs::write(&path, "abc").unwrap();
        let hash = content_hash(&path).unwrap();
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), hex);
        assert_eq!(hex.parse(), Ok(hash));
        assert_eq!(hash.as_i63(), 0x3a78_16bf_8f01_cfea);
        assert!("abc".parse::<ContentHash>().is_err());
    }
}
