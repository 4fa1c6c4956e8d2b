//! Which package is meant, exactly?

use std::path::PathBuf;

/// A package with its version settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    /// A version of a package of the hub.
    Hub {
        /// `owner/name`
        package: String,
        /// As the hub writes it.
        version: String,
        /// The name that it gives itself.
        name: String,
    },
    /// A commit of a repository.
    Git {
        /// Its address.
        url: String,
        /// Its address as it is written in the list, which may hide a secret.
        written: String,
        /// The commit.
        commit: String,
        /// The revision that was asked for.
        asked: String,
        /// The folder in it.
        subdirectory: Option<String>,
        /// The name that it gives itself.
        name: String,
    },
    /// An archive.
    Tarball {
        /// Its address.
        url: String,
        /// Its address as it is written in the list.
        written: String,
        /// The name that it gives itself, or that it is given.
        name: String,
    },
    /// A folder of this machine, which stays where it is.
    Local {
        /// The folder.
        folder: PathBuf,
        /// The folder as it is written in the list.
        written: String,
        /// The name that it gives itself.
        name: String,
    },
    /// A folder among the installed ones that somebody put there; it stays as it is.
    Vendored {
        /// The folder.
        folder: PathBuf,
        /// The name that it gives itself.
        name: String,
    },
}

impl Pin {
    /// The name that it gives itself.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Hub { name, .. }
            | Self::Git { name, .. }
            | Self::Tarball { name, .. }
            | Self::Local { name, .. }
            | Self::Vendored { name, .. } => name,
        }
    }

    /// Where it is from, in the words of the list.
    pub(super) fn from(&self) -> &str {
        match self {
            Self::Hub { package, .. } => package,
            Self::Git { written, .. } | Self::Tarball { written, .. } | Self::Local { written, .. } => {
                written
            }
            Self::Vendored { name, .. } => name,
        }
    }

    /// Which version it is, in words.
    pub(super) fn version(&self) -> String {
        match self {
            Self::Hub { version, .. } => format!("version {version}"),
            Self::Git { commit, .. } => format!("revision {commit}"),
            Self::Tarball { .. } => "tarball".to_owned(),
            Self::Local { .. } => "local".to_owned(),
            Self::Vendored { .. } => "as it is there".to_owned(),
        }
    }

    /// Its keys and values in the lock file.
    pub(super) fn entry(&self) -> Vec<(&'static str, String)> {
        let name = ("name", self.name().to_owned());
        match self {
            Self::Hub { package, version, .. } => {
                vec![name, ("package", package.clone()), ("version", version.clone())]
            }
            Self::Git { written, commit, subdirectory, .. } => {
                let inside = subdirectory.clone().map(|inside| ("subdirectory", inside));
                [name, ("git", written.clone()), ("revision", commit.clone())]
                    .into_iter()
                    .chain(inside)
                    .collect()
            }
            Self::Tarball { written, .. } => vec![name, ("tarball", written.clone())],
            Self::Local { written, .. } => vec![name, ("local", written.clone())],
            Self::Vendored { .. } => Vec::new(),
        }
    }
}
