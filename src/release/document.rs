//! What does a release's document say?

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Memory, Pins};
use crate::base::{ReleaseNumber, TableName, TableVersion};
use crate::table::{Effect, Operation};

/// A sealed release. The document under `_elt/releases/`, field for field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its number.
    pub number: ReleaseNumber,
    /// When it was prepared.
    pub at: DateTime<Utc>,
    /// By whom.
    pub user: String,
    /// The run that made it.
    pub run: String,
    /// What made it.
    pub kind: ReleaseKind,
    /// Whether it was published.
    pub outcome: Outcome,
    /// The tables that it moved, with what happened to each.
    pub tables: Vec<TableSummary>,
    /// What readers see.
    pub pins: Pins,
    /// What each name was made from, if this release added to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// The release that has the memory, if it is an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_in: Option<ReleaseNumber>,
}

/// What made a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseKind {
    /// `elt build`
    Build,
    /// `elt land`
    Land,
    /// A statement.
    Sql {
        /// Which: `MERGE`, `CREATE TABLE`, …
        statement: String,
    },
    /// `elt maintain`, or what a build does after publishing.
    Maintain,
    /// `elt rollback` to that release.
    Rollback {
        /// The release whose content it has.
        to: ReleaseNumber,
    },
    /// `elt promote` of an environment.
    Promote {
        /// Its name.
        from: String,
    },
}

/// How a release ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Readers see it.
    Published,
    /// Another program's commit stopped it half-way; readers see what they saw before.
    Abandoned {
        /// Whose commit, on which table.
        because: String,
    },
}

/// What a release did to one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSummary {
    /// The table.
    pub table: TableName,
    /// The version it has now.
    pub version: TableVersion,
    /// What kind of write it was.
    pub operation: Operation,
    /// How many rows and files.
    pub effect: Effect,
}

impl Release {
    /// What readers see, with the number that says so.
    pub fn pinned(&self) -> Pins {
        Pins { release: Some(self.number), ..self.pins.clone() }
    }

    /// Whether readers see it.
    pub fn is_published(&self) -> bool {
        self.outcome == Outcome::Published
    }

    /// Whose commit stopped it, if it was abandoned.
    pub fn abandoned_because(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Published => None,
            Outcome::Abandoned { because } => Some(because),
        }
    }

    /// In a few words: `build`, `rollback to 3`.
    pub fn kind_words(&self) -> String {
        match &self.kind {
            ReleaseKind::Build => "build".to_owned(),
            ReleaseKind::Land => "land".to_owned(),
            ReleaseKind::Sql { statement } => statement.clone(),
            ReleaseKind::Maintain => "maintain".to_owned(),
            ReleaseKind::Rollback { to } => format!("rollback to {to}"),
            ReleaseKind::Promote { from } => format!("promote {from}"),
        }
    }
}

/// What is written down before any table moves: all that publishing needs, to the byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Prepared {
    /// The release, if all goes well.
    pub(super) release: Release,
    /// The release if it is abandoned: what readers saw before.
    pub(super) before: Pins,
    /// The release that had the memory before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) memory_before: Option<ReleaseNumber>,
    /// The log entries, in the order in which they are put.
    pub(super) commits: Vec<PreparedCommit>,
}

/// One entry of one table's log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PreparedCommit {
    pub(super) table: TableName,
    pub(super) version: TableVersion,
    /// The entry's exact text.
    pub(super) entry: String,
    /// The exact text of the entry after it, should it have to be taken back.
    pub(super) undo: String,
    /// Whether readers saw the table before.
    pub(super) existed: bool,
}
