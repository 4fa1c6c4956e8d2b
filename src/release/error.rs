//! What can stand between changes and their release?

use crate::base::{ErrorKind, ReleaseNumber, TableName, TableVersion};
use crate::lake::LakeError;
use crate::table::TableError;

/// A release could not be read or published.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ReleaseError {
    /// Storage failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Lake(#[from] LakeError),
    /// A table could not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Table(#[from] TableError),
    /// No release has this number.
    #[error("there is no release {number}")]
    #[diagnostic(code(elt::release::no_such_release), help("{}", newest_words(newest)))]
    NoSuchRelease {
        /// The number asked for.
        number: ReleaseNumber,
        /// The newest there is.
        newest: Option<ReleaseNumber>,
    },
    /// There is nothing to go back to.
    #[error("there is no earlier release to go back to")]
    #[diagnostic(
        code(elt::release::nothing_to_roll_back),
        help("`elt releases` lists the releases of this lake")
    )]
    NothingEarlier,
    /// Another elt published meanwhile.
    #[error("another run published release {number} while this one was at work")]
    #[diagnostic(
        code(elt::release::lost_race),
        help("nothing was published; run the command again, on top of release {number}")
    )]
    LostRace {
        /// The release that came first.
        number: ReleaseNumber,
    },
    /// A program outside elt committed to a table.
    #[error("`{table}` was changed outside elt: {who}, version {found}")]
    #[diagnostic(
        code(elt::release::foreign_commit),
        help(
            "nothing was published and nothing of theirs was overwritten; readers through elt still see {expected}. `elt rollback {release}` puts the table back to release {release} and drops their change; to keep their rows, copy them to a raw file first and land it"
        )
    )]
    ForeignCommit {
        /// The table.
        table: TableName,
        /// The version elt knows of, in words.
        expected: String,
        /// The release that readers see.
        release: ReleaseNumber,
        /// The version found.
        found: TableVersion,
        /// Who did what.
        who: String,
    },
    /// A folder where a new table should go holds a table that elt did not make.
    #[error("`{table}` cannot be created: its folder holds a Delta table that elt did not make ({who})")]
    #[diagnostic(
        code(elt::release::not_our_table),
        help("move `{folder}` away, or give the model another name")
    )]
    NotOurs {
        /// The table.
        table: TableName,
        /// Its folder under the lake's root.
        folder: String,
        /// Who made it.
        who: String,
    },
}

fn newest_words(newest: &Option<ReleaseNumber>) -> String {
    match newest {
        Some(number) => format!("the newest release is {number}; `elt releases` lists them"),
        None => "this lake has no releases yet; `elt build` makes the first".to_owned(),
    }
}

impl ReleaseError {
    /// What it asks of whoever ran the command.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Lake(error) => error.kind(),
            Self::Table(error) => error.kind(),
            Self::NoSuchRelease { .. } | Self::NothingEarlier | Self::NotOurs { .. } => ErrorKind::User,
            Self::LostRace { .. } | Self::ForeignCommit { .. } => ErrorKind::Conflict,
        }
    }
}
