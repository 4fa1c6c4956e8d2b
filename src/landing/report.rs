//! What did a load do?

use serde::Serialize;

use super::FileAccount;
use super::evolve::{NewColumn, WiderColumn};
use crate::base::TableName;

/// What a load did, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct LandReport {
    /// The table.
    pub table: TableName,
    /// The load's id, also in the column `_load_id`.
    pub load: String,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// What became of each file, by path.
    pub files: Vec<FileOutcome>,
    /// How many files were left for another load, because this one had enough.
    pub waiting: usize,
    /// The columns that the table was given.
    pub added: Vec<NewColumn>,
    /// The columns that hold more than they did.
    pub widened: Vec<WiderColumn>,
    /// The first rejected records: where they are and what is wrong with them.
    pub first_rejects: Vec<String>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum FileOutcome {
    /// Its rows are in the change.
    Loaded(FileAccount),
    /// Its rows are in the change, in place of those it had before.
    Reloaded(FileAccount),
    /// It was loaded before and is the same.
    Skipped {
        /// The file.
        path: String,
    },
    /// It was loaded before and has changed; the rows of before stay.
    Changed {
        /// The file.
        path: String,
    },
    /// Its bytes were loaded under another name; it was left out.
    Copy {
        /// The file.
        path: String,
        /// The file that was loaded, in words.
        of: String,
    },
    /// It says nothing: no rows and no columns.
    Empty {
        /// The file.
        path: String,
    },
    /// It cannot be read, and nothing of it was loaded. The next load tries again.
    Failed {
        /// The file.
        path: String,
        /// What is wrong with it.
        error: String,
    },
}

impl LandReport {
    pub(super) fn new(table: &TableName, load: &str, dry_run: bool) -> Self {
        Self {
            table: table.clone(),
            load: load.to_owned(),
            dry_run,
            files: Vec::new(),
            waiting: 0,
            added: Vec::new(),
            widened: Vec::new(),
            first_rejects: Vec::new(),
        }
    }

    pub(super) fn finish(&mut self, mut files: Vec<FileOutcome>) {
        files.sort_by(|one, other| one.path().cmp(other.path()));
        self.files = files;
    }

    /// The accounts of the files that were loaded.
    pub fn accounts(&self) -> impl Iterator<Item = &FileAccount> {
        self.files.iter().filter_map(|file| match file {
            FileOutcome::Loaded(account) | FileOutcome::Reloaded(account) => Some(account),
            _ => None,
        })
    }

    /// The files that have changed since they were loaded, and were left.
    pub fn changed(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|file| match file {
            FileOutcome::Changed { path } => Some(path.as_str()),
            _ => None,
        })
    }

    /// The files that cannot be read, with what is wrong with each.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|file| match file {
            FileOutcome::Failed { path, error } => Some((path.as_str(), error.as_str())),
            _ => None,
        })
    }

    /// The files whose bytes were loaded under another name, and were left out.
    pub fn copies(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|file| match file {
            FileOutcome::Copy { path, .. } => Some(path.as_str()),
            _ => None,
        })
    }
}

impl FileOutcome {
    /// The file.
    pub fn path(&self) -> &str {
        match self {
            Self::Loaded(account) | Self::Reloaded(account) => &account.path,
            Self::Skipped { path }
            | Self::Changed { path }
            | Self::Copy { path, .. }
            | Self::Empty { path }
            | Self::Failed { path, .. } => path,
        }
    }

    /// What became of it, in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Loaded(_) => "loaded",
            Self::Reloaded(_) => "reloaded",
            Self::Skipped { .. } => "known",
            Self::Changed { .. } => "changed",
            Self::Copy { .. } => "copy",
            Self::Empty { .. } => "empty",
            Self::Failed { .. } => "failed",
        }
    }
}
