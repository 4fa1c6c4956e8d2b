//! What can go wrong with a table?

use datafusion::error::DataFusionError;

use crate::base::{ErrorKind, TableName, TableVersion};
use crate::lake::{LakeError, is_forbidden};

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
    /// Another program spelled a file's path so that an entry of ours would not mean the same file.
    #[error("{path} of `{table}` cannot be taken out: another program spelled it `{raw}` in the log")]
    #[diagnostic(
        code(elt::table::path_spelling),
        help(
            "readers compare paths letter by letter; take that commit back with the program that made it, then go on"
        )
    )]
    PathSpelling {
        /// The table.
        table: TableName,
        /// The file, below the table's root.
        path: String,
        /// How the log has it.
        raw: String,
    },
    /// Parquet files did not become a Delta table.
    #[error("{place} was not converted: {because}")]
    #[diagnostic(code(elt::table::not_converted), help("{help}"))]
    NotConverted {
        /// The folder or URL, as given.
        place: String,
        /// What is wrong, and with which file.
        because: String,
        /// What to do.
        help: String,
    },
    /// Files of an earlier version were deleted.
    #[error("version {version} of `{table}` cannot be put back: its file {path} is gone")]
    #[diagnostic(
        code(elt::table::files_gone),
        help(
            "a vacuum deletes what no release of the last week can reach; go back to a later release, or restore the file from a backup"
        )
    )]
    FilesGone {
        /// The table.
        table: TableName,
        /// The version that was to come back.
        version: TableVersion,
        /// The file, below the table's root.
        path: String,
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
    /// A table cannot be laid out as it was asked for.
    #[error("{because}")]
    #[diagnostic(
        code(elt::table::layout),
        help("name columns of the table after PARTITIONED BY, or in `partition_by`")
    )]
    BadLayout {
        /// Why not.
        because: String,
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
    /// Two rows of a merge or an update are for the same row of the table.
    #[error("two rows are for the same row of `{table}`: {row}")]
    #[diagnostic(
        code(elt::table::matched_twice),
        help(
            "which of them should win is not said: join to one row per key, for example with `group by` or `qualify row_number() over (partition by …) = 1`"
        )
    )]
    MatchedTwice {
        /// The table.
        table: TableName,
        /// The second of them, as `column = value`.
        row: String,
    },
    /// A row has a null where none may be.
    #[error("a row for `{table}` has no `{column}`, which is NOT NULL: {row}")]
    #[diagnostic(
        code(elt::table::null_not_allowed),
        help(
            "give it a value, or take the rule off with `ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL`"
        )
    )]
    NullNotAllowed {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// The row, as `column = value`.
        row: String,
    },
    /// A row breaks a `CHECK` constraint.
    #[error("a row for `{table}` breaks the constraint `{name}`, CHECK ({condition}): {row}")]
    #[diagnostic(
        code(elt::table::constraint_violated),
        help(
            "nothing was written; correct the row, or drop the constraint with `ALTER TABLE {table} DROP CONSTRAINT {name}`"
        )
    )]
    ConstraintViolated {
        /// The table.
        table: TableName,
        /// The constraint.
        name: String,
        /// What must be true.
        condition: String,
        /// The row, as `column = value`.
        row: String,
    },
    /// A `CHECK` constraint of the table cannot be asked.
    #[error("the constraint `{name}` of `{table}`, CHECK ({condition}), cannot be checked: {because}")]
    #[diagnostic(
        code(elt::table::bad_constraint),
        help("no row can be written before it is dropped: `ALTER TABLE {table} DROP CONSTRAINT {name}`")
    )]
    BadConstraint {
        /// The table.
        table: TableName,
        /// The constraint.
        name: String,
        /// What must be true.
        condition: String,
        /// Why not.
        because: String,
    },
    /// Rows of the table may not go.
    #[error("`{table}` only takes new rows: its property `delta.appendOnly` is true")]
    #[diagnostic(
        code(elt::table::append_only),
        help(
            "`ALTER TABLE {table} SET TBLPROPERTIES ('delta.appendOnly' = 'false')` lets rows be deleted and updated"
        )
    )]
    AppendOnly {
        /// The table.
        table: TableName,
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
            Self::TornCommit { .. }
            | Self::FilesGone { .. }
            | Self::DuplicateKey { .. }
            | Self::MatchedTwice { .. }
            | Self::NullNotAllowed { .. }
            | Self::ConstraintViolated { .. }
            | Self::Log { .. } => ErrorKind::Data,
            Self::NoSuchVersion { .. }
            | Self::BeforeFirst { .. }
            | Self::UnsupportedFeature { .. }
            | Self::BadConstraint { .. }
            | Self::BadLayout { .. }
            | Self::NotConverted { .. }
            | Self::PathSpelling { .. }
            | Self::AppendOnly { .. }
            | Self::NotStorable { .. }
            | Self::SchemaMismatch { .. } => ErrorKind::User,
            Self::Rows(error) => kind_of_rows_error(error),
        }
    }
}

/// A query fails for the user's reasons, unless storage is the one that failed.
fn kind_of_rows_error(error: &DataFusionError) -> ErrorKind {
    match error.find_root() {
        DataFusionError::ObjectStore(failure) if is_forbidden(failure) => ErrorKind::Forbidden,
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
