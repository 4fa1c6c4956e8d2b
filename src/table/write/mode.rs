//! Is a file written again, or are its rows hidden?

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How deletes, updates and merges are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteMode {
    /// A touched file is written again without the rows that go. Readers pay nothing, writers the whole file.
    #[default]
    CopyOnWrite,
    /// The rows that go are hidden, the file stays. Writers pay only for what changes, readers a little.
    MergeOnRead,
    /// Each file as suits it: hidden if few of its rows go, else written again.
    Auto,
}

/// With more hidden rows than one in so many, a file is better written again.
const ONE_IN: u64 = 5;
/// A file below this many bytes is written again rather than given a vector.
const SMALL: u64 = 256 * 1024;

impl WriteMode {
    /// As it is written in projects and properties.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CopyOnWrite => "copy-on-write",
            Self::MergeOnRead => "merge-on-read",
            Self::Auto => "auto",
        }
    }

    /// Whether to hide rows of a file of so many bytes and rows, `gone` of which would not count any more.
    pub(super) fn hides(self, bytes: u64, rows: u64, gone: u64) -> bool {
        match self {
            Self::CopyOnWrite => false,
            Self::MergeOnRead => true,
            Self::Auto => bytes >= SMALL && gone.saturating_mul(ONE_IN) <= rows,
        }
    }
}

impl fmt::Display for WriteMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for WriteMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::CopyOnWrite, Self::MergeOnRead, Self::Auto];
        all.into_iter().find(|mode| mode.as_str() == text.replace('_', "-")).ok_or_else(|| {
            format!("`{text}` is not a write mode: write copy-on-write, merge-on-read or auto")
        })
    }
}
