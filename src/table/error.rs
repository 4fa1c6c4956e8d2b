//! What can go wrong with a table?

use datafusion::error::DataFusionError;

use crate::base::{ErrorKind, TableName, TableVersion};
use crate::lake::LakeError;

/// A table could not be read or changed.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum TableError {
    /// Storage failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Lake(#[from] LakeError),
    /// The newest commit has no content, or only a part of it.
    #[error("version {version} of `{table}` is damaged: {because}")]
    #[diagnostic(
        code(elt::table::torn_commit),
        help(
            "`{path}` was not written to its end, most likely by a power cut; other engines would read it as a commit without rows. Restore the file from a backup, or move it away if the release you need pins an earlier version"
        )
    )]
    TornCommit {
        /// The table.
        table: TableName,
        /// The version that the damaged file should make.
        version: TableVersion,
        /// The file, under the lake's root.
        path: String,
        /// What is wrong with it.
        because: String,
    },
    /// The table has no such version.
    #[error("`{table}` has no version {version}")]
    #[diagnostic(code(elt::table::no_such_version), help("{help}"))]
    NoSuchVersion {
        /// The table.
        table: TableName,
        /// The version asked for.
        version: TableVersion,
        /// Which versions there are.
        help: String,
    },
    /// The table did not exist at that time.
    #[error("`{table}` has no version as old as {asked}: its first one is of {first}")]
    #[diagnostic(code(elt::table::before_first_version), help("`elt history {table}` lists the versions"))]
    BeforeFirst {
        /// The table.
        table: TableName,
        /// The time asked for.
        asked: String,
        /// The time of the first version that is still known.
        first: String,
    },
    /// The table carries a Delta feature that elt cannot read or write.
    #[error("`{table}` uses the Delta feature `{feature}`, which elt does not support yet")]
    #[diagnostic(
        code(elt::table::unsupported_feature),
        help(
            "`elt rollback` puts the table back to what elt published last; other engines can still read it"
        )
    )]
    UnsupportedFeature {
        /// The table.
        table: TableName,
        /// The feature's name in the Delta protocol.
        feature: String,
    },
    /// A column's type has no place in a Delta table.
    #[error("column `{column}` of `{table}` has type {data_type}, which a Delta table cannot hold")]
    #[diagnostic(
        code(elt::table::type_not_storable),
        help("cast it in the query, for example `cast({column} as varchar)`")
    )]
    NotStorable {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// Its type.
        data_type: String,
    },
    /// The incoming rows lack a column, or have two of one name.
    #[error("the rows for `{table}` do not fit: {because}")]
    #[diagnostic(code(elt::table::schema_mismatch), help("{help}"))]
    SchemaMismatch {
        /// The table.
        table: TableName,
        /// What does not fit.
        because: String,
        /// What to do.
        help: String,
    },
    /// Two incoming rows have the same key.
    #[error("two incoming rows for `{table}` have the same key: {key}")]
    #[diagnostic(
        code(elt::table::duplicate_key),
        help("a merge needs at most one row per key: deduplicate in the model, or correct its `unique_key`")
    )]
    DuplicateKey {
        /// The table.
        table: TableName,
        /// The key, as `column = value`.
        key: String,
    },
    /// deltalake could not read or make sense of the log.
    #[error("cannot read the Delta log of `{table}`")]
    #[diagnostic(
        code(elt::table::log),
        help("the cause is below; other Delta readers will most likely fail on it too")
    )]
    Log {
        /// The table.
        table: TableName,
        /// deltalake's own error.
        #[source]
        source: Box<deltalake::DeltaTableError>,
    },
    /// The query that gives the rows failed, or a file could not be read or written.
    #[error(transparent)]
    #[diagnostic(code(elt::table::rows))]
    Rows(#[from] DataFusionError),
}

impl TableError {
    /// What it asks of whoever ran the command.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Lake(error) => error.kind(),
            Self::TornCommit { .. } | Self::DuplicateKey { .. } | Self::Log { .. } => ErrorKind::Data,
            Self::NoSuchVersion { .. }
            | Self::BeforeFirst { .. }
            | Self::UnsupportedFeature { .. }
            | Self::NotStorable { .. }
            | Self::SchemaMismatch { .. } => ErrorKind::User,
            Self::Rows(error) => kind_of_rows_error(error),
        }
    }
}

/// A query fails for the user's reasons, unless storage is the one that failed.
fn kind_of_rows_error(error: &DataFusionError) -> ErrorKind {
    match error.find_root() {
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => ErrorKind::Unavailable,
        DataFusionError::Internal(_) => ErrorKind::Internal,
        _ => ErrorKind::User,
    }
}

impl From<TableError> for DataFusionError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Rows(inner) => inner,
            other => Self::External(Box::new(other)),
        }
    }
}

pub(super) fn log_error(table: &TableName) -> impl Fn(deltalake::DeltaTableError) -> TableError {
    let table = table.clone();
    move |source| TableError::Log { table: table.clone(), source: Box::new(source) }
}
