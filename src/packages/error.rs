//! What can go wrong between a list of packages and their files?

use std::path::PathBuf;

use crate::base::ErrorKind;

/// A package could not be had.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PackageError {
    /// The hub, a mirror or a server did not answer, or not with what was asked for.
    #[error("{url} was not had: {because}")]
    #[diagnostic(
        code(elt::packages::unreachable),
        help(
            "run `elt deps` again; behind a firewall, give a mirror: `--hub URL`, DBT_PACKAGE_HUB_URL, or `packages:` in elt.yml; without a network, copy the package to the folder of packages"
        )
    )]
    Unreachable {
        /// The address.
        url: String,
        /// What was said instead.
        because: String,
    },
    /// A server has no such thing.
    #[error("{what} was not found: there is no {url}")]
    #[diagnostic(code(elt::packages::not_found))]
    NotFound {
        /// What was looked for.
        what: String,
        /// The address.
        url: String,
        /// A name that may have been meant.
        #[help]
        help: Option<String>,
    },
    /// A version is written in a way that is none.
    #[error("`{text}` is no version of the package `{package}`")]
    #[diagnostic(
        code(elt::packages::version),
        help(
            "write `1.2.3`, or a bound such as `>=1.2.0`; several go in a list: `[\">=1.0.0\", \"<2.0.0\"]`"
        )
    )]
    BadVersion {
        /// The package.
        package: String,
        /// What is written.
        text: String,
    },
    /// No version is within all bounds.
    #[error("no version of `{package}` will do: {asked}")]
    #[diagnostic(code(elt::packages::no_version))]
    NoVersion {
        /// The package.
        package: String,
        /// Who asks for what.
        asked: String,
        /// The versions that there are.
        #[help]
        help: String,
    },
    /// One repository is asked for in two revisions.
    #[error("`{url}` is asked for in several revisions: {asked}")]
    #[diagnostic(
        code(elt::packages::revisions),
        help("of a repository there can be one revision; give the same everywhere")
    )]
    Revisions {
        /// The repository.
        url: String,
        /// Who asks for what.
        asked: String,
    },
    /// Two packages have one name.
    #[error("two packages are called `{name}`: {one} and {other}")]
    #[diagnostic(
        code(elt::packages::duplicate),
        help("take one of them out; a package may also come from a package that needs it")
    )]
    Duplicate {
        /// The name.
        name: String,
        /// Where the one is from.
        one: String,
        /// Where the other is from.
        other: String,
    },
    /// What was had is no package.
    #[error("{what} is no package: {because}")]
    #[diagnostic(
        code(elt::packages::not_a_package),
        help("a package is a folder with a dbt_project.yml; an archive holds just that folder")
    )]
    NotAPackage {
        /// What was had.
        what: String,
        /// What is wrong with it.
        because: String,
    },
    /// Git failed.
    #[error("git did not get {revision} of {url}: {said}")]
    #[diagnostic(
        code(elt::packages::git),
        help(
            "try `git fetch {url} {revision}` by hand: what it needs (a login, a mirror, another name), `elt deps` needs too"
        )
    )]
    Git {
        /// The repository.
        url: String,
        /// The revision.
        revision: String,
        /// What it said.
        said: String,
    },
    /// There is no git.
    #[error("git cannot be run: {because}")]
    #[diagnostic(code(elt::packages::no_git), help("install git: packages under `git:` are had through it"))]
    NoGit {
        /// Why not.
        because: String,
    },
    /// The lock file says nothing that can be read.
    #[error("package-lock.yml cannot be read: {because}")]
    #[diagnostic(code(elt::packages::lock), help("`elt deps --upgrade` writes it anew"))]
    BadLock {
        /// Why not.
        because: String,
    },
    /// A list of packages has a form that cannot be added to.
    #[error("{file} cannot be added to: {because}")]
    #[diagnostic(code(elt::packages::add), help("add it by hand: {entry}"))]
    CannotAdd {
        /// The file.
        file: String,
        /// Why not.
        because: String,
        /// What was to be added.
        entry: String,
    },
    /// A file or folder of this machine cannot be written or read.
    #[error("{}: {because}", path.display())]
    #[diagnostic(
        code(elt::packages::files),
        help(
            "see whether there is room, and whether you may write there; what was installed before is still there"
        )
    )]
    Files {
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        because: std::io::Error,
    },
}

impl PackageError {
    /// What it asks of whoever ran the command.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::User,
        }
    }
}
