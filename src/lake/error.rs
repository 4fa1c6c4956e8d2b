//! What can go wrong between us and the bytes?

use crate::base::ErrorKind;

use super::Holder;

/// Storage did not do what it was asked.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum LakeError {
    /// The lake's address is not one that this program can open.
    #[error("cannot open the lake `{url}`: {because}")]
    #[diagnostic(
        code(elt::lake::cannot_open),
        help("give a folder, such as `--lake ./lake`, or `lake: ./lake` in profiles.yml")
    )]
    CannotOpen {
        /// The address as given.
        url: String,
        /// Why not.
        because: String,
    },
    /// The object store failed.
    #[error("storage failed at `{path}`")]
    #[diagnostic(
        code(elt::lake::unavailable),
        help("nothing was published; check the disk or the network and run the command again")
    )]
    Store {
        /// The path under the lake's root.
        path: String,
        /// The store's own error.
        #[source]
        source: object_store::Error,
    },
    /// A document of the lake cannot be read back.
    #[error("`{path}` is damaged: {because}")]
    #[diagnostic(
        code(elt::lake::damaged),
        help("restore the file from a backup; elt does not guess what it said")
    )]
    Damaged {
        /// The path under the lake's root.
        path: String,
        /// What is wrong with it.
        because: String,
    },
    /// Another process is writing to this lake.
    #[error("another process is writing to this lake: {holder}")]
    #[diagnostic(code(elt::lake::locked), help("wait until it is done, then run the command again"))]
    Locked {
        /// Who.
        holder: Holder,
    },
}

impl LakeError {
    /// What it asks of whoever ran the command.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::CannotOpen { .. } => ErrorKind::User,
            Self::Store { .. } => ErrorKind::Unavailable,
            Self::Damaged { .. } => ErrorKind::Data,
            Self::Locked { .. } => ErrorKind::Conflict,
        }
    }
}
