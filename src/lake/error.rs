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
    /// The object store lets nobody in with these credentials, or not there.
    #[error("storage forbids it at `{path}`: {}", told(failure))]
    #[diagnostic(
        code(elt::lake::forbidden),
        help(
            "nothing was published; it takes other credentials or permissions: on a disk the owner and mode of the folder, in a bucket AWS_ACCESS_KEY_ID and the like, which `elt debug` names"
        )
    )]
    Forbidden {
        /// The path under the lake's root.
        path: String,
        /// The store's own error.
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
    /// Another process does for this lake what one process does at a time.
    #[error("another process {does} already: {holder}")]
    #[diagnostic(
        code(elt::lake::taken),
        help("builds and loads go on beside it; end that process, or wait for it, to have another one")
    )]
    Taken {
        /// What.
        does: &'static str,
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
            Self::Forbidden { .. } => ErrorKind::Forbidden,
            Self::Damaged { .. } => ErrorKind::Data,
            Self::Locked { .. } | Self::Taken { .. } => ErrorKind::Conflict,
        }
    }

    /// The same of a place that is not the writer's.
    pub(super) fn of_place(self, does: &'static str) -> Self {
        match self {
            Self::Locked { holder } => Self::Taken { does, holder },
            other => other,
        }
    }

    /// What a store could not do at a path, by whether it would do it for another user.
    pub fn of_store(path: impl Into<String>, failure: object_store::Error) -> Self {
        let path = path.into();
        if is_forbidden(&failure) { Self::Forbidden { path, failure } } else { Self::Store { path, failure } }
    }
}

/// Whether a store refuses because of who asks.
pub fn is_forbidden(failure: &object_store::Error) -> bool {
    use std::error::Error as _;
    match failure {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => true,
        other => {
            let io = other.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
            io.is_some_and(|io| io.kind() == std::io::ErrorKind::PermissionDenied)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_let_in_is_not_told_to_come_back_later() {
        let denied = object_store::Error::PermissionDenied { path: "x".into(), source: "403".into() };
        let error = LakeError::of_store("x", denied);
        assert_eq!((error.kind(), error.kind().exit_code()), (ErrorKind::Forbidden, 2));
        let io = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        assert!(is_forbidden(&object_store::Error::Generic { store: "disk", source: io.into() }));
        let away = object_store::Error::Generic { store: "S3", source: "no route to host".into() };
        assert_eq!(LakeError::of_store("x", away).kind(), ErrorKind::Unavailable);
    }
}
