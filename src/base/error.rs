//! What went wrong, and what should a person or a scheduler do about it?

use std::fmt;

use super::Diagnostic;

/// The result of a verb at the front door.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an [`Error`] asks of whoever ran the command. It fixes the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The project, the SQL or the command is wrong. Change it, run again.
    User,
    /// Data broke a promise: a test failed, a load does not add up, a file is damaged.
    Data,
    /// Somebody committed first. Nothing was published; run again.
    Conflict,
    /// Storage did not answer. Nothing was published; run again.
    Unavailable,
    /// Storage does not let this user in. Nothing was published; the credentials have to be changed.
    Forbidden,
    /// Interrupted by the user. Nothing was published.
    Interrupted,
    /// Told to stop, by SIGTERM. Nothing was published.
    Terminated,
    /// A bug in elt. Report it with the run's id.
    Internal,
}

impl ErrorKind {
    /// The exit code: 2 to change something, credentials among it, 1 for data, 75 (`EX_TEMPFAIL`) to run again, 130 after
    /// Ctrl-C, 143 after SIGTERM.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::User | Self::Forbidden | Self::Internal => 2,
            Self::Data => 1,
            Self::Conflict | Self::Unavailable => 75,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// Everything that can go wrong behind the front door, ready to be shown.
pub struct Error {
    kind: ErrorKind,
    shown: Shown,
}

enum Shown {
    One(Box<dyn miette::Diagnostic + Send + Sync>),
    Many(Vec<Diagnostic>),
}

impl Error {
    /// An error of `kind` that shows `diagnostic`.
    pub fn new(kind: ErrorKind, diagnostic: impl miette::Diagnostic + Send + Sync + 'static) -> Self {
        Self { kind, shown: Shown::One(Box::new(diagnostic)) }
    }

    /// All the mistakes of a project at once. `diagnostics` should hold at least one error.
    pub fn project(diagnostics: Vec<Diagnostic>) -> Self {
        Self { kind: ErrorKind::User, shown: Shown::Many(diagnostics) }
    }

    /// The user's mistake, in one sentence, with what to do next.
    pub fn user(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, Diagnostic::error(code, message).help(help))
    }

    /// What it asks of whoever ran the command.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the work was given up because somebody wanted it to end.
    pub fn is_stop(&self) -> bool {
        matches!(self.kind, ErrorKind::Interrupted | ErrorKind::Terminated)
    }

    /// The diagnostics to show, at least one.
    pub fn diagnostics(&self) -> Vec<&(dyn miette::Diagnostic + Send + Sync)> {
        match &self.shown {
            Shown::One(one) => vec![&**one],
            Shown::Many(many) => many.iter().map(|d| d as &(dyn miette::Diagnostic + Send + Sync)).collect(),
        }
    }
}

impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::new(ErrorKind::User, diagnostic)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.diagnostics().iter().map(|d| d.to_string()).collect();
        f.write_str(&texts.join("\n"))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)?;
        for diagnostic in self.diagnostics() {
            let mut cause = diagnostic.source();
            while let Some(error) = cause {
                write!(f, "\n  because: {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
