//! Which state of a table, or of the lake, is meant?

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A Delta log position. Versions of one table can be compared; of two tables, never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableVersion(pub u64);

/// The number of a release: 1 for the first, one more for each after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReleaseNumber(pub u64);

impl TableVersion {
    /// The version that the next commit makes.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl ReleaseNumber {
    /// The number of the release after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A point in a table's past, as a user names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AsOf {
    /// `VERSION AS OF 3`
    Version(TableVersion),
    /// `TIMESTAMP AS OF '2026-01-01'`: the newest version committed at or before that instant.
    Timestamp(DateTime<Utc>),
    /// `AS OF RELEASE 2`: the version that release pinned.
    Release(ReleaseNumber),
}

impl fmt::Display for TableVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ReleaseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
