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
        help(
            "give a folder or a bucket, such as `--lake ./lake` or `--lake s3://bucket/lake`, or `lake:` in profiles.yml"
        )
    )]
    CannotOpen {
        /// The address as given.
        url: String,
        /// Why not.
        because: String,
    },
    /// The store does not hold two writers of one document apart.
    #[error("no lake can be in `{url}`: its store lets a second writer overwrite what a first has decided")]
    #[diagnostic(
        code(elt::lake::keeps_last),
        help(
            "use a store that honours `If-None-Match: *` on PUT (S3, GCS, Azure, and most that speak their protocols, in a recent version)"
        )
    )]
    KeepsLast {
        /// The address as given.
        url: String,
    },
    /// The object store failed.
    #[error("storage failed at `{path}`: {}", told(failure))]
    #[diagnostic(
        code(elt::lake::unavailable),
        help(
            "nothing was published; check the disk, or the network and the credentials, and run the command again"
        )
    )]
    Store {
        /// The path under the lake's root.
        path: String,
        /// The store's own error, which repeats itself at every level of its chain.
        failure: object_store::Error,
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
    #[diagnostic(
        code(elt::lake::locked),
        help("wait until it is done, then run the command again; `elt build --wait` waits for it")
    )]
    Locked {
        /// Who.
        holder: Holder,
    },
}

impl LakeError {
    /// What it asks of whoever ran the command.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::CannotOpen { .. } | Self::KeepsLast { .. } => ErrorKind::User,
            Self::Store { .. } => ErrorKind::Unavailable,
            Self::Damaged { .. } => ErrorKind::Data,
            Self::Locked { .. } => ErrorKind::Conflict,
        }
    }
}

/// What a store's error comes down to: its innermost cause; of an answer in XML, as S3 and Azure give it, what it says.
fn told(error: &object_store::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let text = innermost.to_string();
    let between = |open: &str, close: &str| {
        let from = text.find(open)? + open.len();
        text[from..].find(close).map(|length| &text[from..from + length])
    };
    match (between("<Code>", "</Code>"), between("<Message>", "</Message>")) {
        (Some(code), Some(message)) => format!("{message} ({code})"),
        (Some(code), None) => code.to_owned(),
        _ => text,
    }
}
