//! What can stop one step of a build?

use std::time::Duration;

use miette::Diagnostic as _;

use crate::base::{Diagnostic, Error, ErrorKind};
use crate::compile::Node;
use crate::query::{QueryError, VALUE};
use crate::table::TableError;

/// A model could not be made, or a test could not be asked.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum BuildError {
    /// Its SQL is wrong; the diagnostic points into the file that the user wrote.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sql(Diagnostic),
    /// Its SQL is right, and answering it failed.
    #[error("`{node}` failed: {source}")]
    #[diagnostic(code(elt::build::query))]
    Query {
        /// The node.
        node: String,
        /// What failed.
        #[source]
        source: QueryError,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// Its table could not be written.
    #[error("`{node}` failed: {source}")]
    #[diagnostic(code(elt::build::table))]
    Table {
        /// The node.
        node: String,
        /// What failed.
        #[source]
        source: TableError,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// It took longer than it may.
    #[error("`{node}` took longer than {most:?}, and was stopped")]
    #[diagnostic(code(elt::build::timeout), help("give it a longer `timeout`, or less to do"))]
    TooLong {
        /// The node.
        node: String,
        /// How long it may take.
        most: Duration,
    },
}

/// The code of an expectation that is broken.
const EXPECTATION: &str = "elt::expectation_broken";

impl BuildError {
    pub(super) fn too_long(node: &Node, most: Duration) -> Self {
        Self::TooLong { node: node.name.clone(), most }
    }

    /// Whether it may go well if it is tried again: storage did not answer, or it took too long.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unavailable | ErrorKind::Conflict)
    }

    /// An error of answering a node's SQL, shown in the node's file where its place is known.
    pub(super) fn query(node: &Node, error: QueryError) -> Self {
        match error {
            QueryError::Sql(mistake) => {
                let at = match mistake.place() {
                    Some((line, column)) => node.locate(line, column),
                    None => node.at.clone(),
                };
                let message = format!("{} `{}`: {}", node.resource_type(), node.name, mistake.message());
                let diagnostic = Diagnostic::error(mistake.code(), message).at(&at, "here");
                Self::Sql(diagnostic.maybe_help(mistake.help_text().map(str::to_owned)))
            }
            QueryError::Table(error) => Self::table(node, error),
            source => {
                let help = source.help().map(|help| help.to_string());
                Self::Query { node: node.name.clone(), source, help }
            }
        }
    }

    /// Rows break an expectation that is not to be broken.
    pub(super) fn broken(node: &Node, kept: &super::Kept) -> Self {
        let message = format!(
            "model `{}`: {} of {} rows break the expectation `{}`",
            node.shown(),
            kept.violated,
            kept.rows,
            kept.name
        );
        let help = "correct the rows, or set `on_violation` to warn, drop or quarantine";
        Self::Sql(Diagnostic::error(EXPECTATION, message).at(&node.at, "of this model").help(help))
    }

    /// What is wrong with a node beyond its SQL.
    pub(super) fn wrong(node: &Node, why: String) -> Self {
        let message = format!("{} `{}`: {why}", node.resource_type().replace('_', " "), node.name);
        Self::Sql(Diagnostic::error("elt::build::node", message).at(&node.at, "here"))
    }

    /// An error of writing a node's table. The rows come from its SQL, so that may be what failed.
    pub(super) fn table(node: &Node, error: TableError) -> Self {
        match error {
            TableError::Rows(inner) => match QueryError::from(inner) {
                QueryError::Table(source) => Self::of_table(node, source),
                other => Self::query(node, other),
            },
            source => Self::of_table(node, source),
        }
    }

    fn of_table(node: &Node, source: TableError) -> Self {
        let help = source.help().map(|help| help.to_string());
        Self::Table { node: node.name.clone(), source, help }
    }

    /// The same as a diagnostic, at the node if it has no better place.
    pub(super) fn into_diagnostic(self, node: &Node) -> Diagnostic {
        match self {
            Self::Sql(diagnostic) => diagnostic,
            other => {
                let help = other.help().map(|help| help.to_string());
                let diagnostic = Diagnostic::error("elt::build::node", other.to_string());
                diagnostic.at(&node.at, "here").maybe_help(help)
            }
        }
    }

    /// Whether rows were asked of what is not made yet.
    pub(super) fn is_of_rows_to_come(&self) -> bool {
        match self {
            Self::Sql(diagnostic) => diagnostic.stable_code() == crate::query::NO_ROWS,
            Self::Query { source, .. } => source.is_of_rows_to_come(),
            _ => false,
        }
    }

    /// What it asks of whoever ran the command.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Sql(diagnostic) if matches!(diagnostic.stable_code(), VALUE | EXPECTATION) => {
                ErrorKind::Data
            }
            Self::Sql(_) => ErrorKind::User,
            Self::TooLong { .. } => ErrorKind::Unavailable,
            Self::Query { source, .. } => source.kind(),
            Self::Table { source, .. } => source.kind(),
        }
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::new(error.kind(), error)
    }
}
