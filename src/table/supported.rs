//! Which tables can elt read, and which can it write without breaking a promise?
//!
//! Told by the features that a table's [`Design`](super::Design) names. One that elt does not know is an error
//! that says which.

use super::design::Role;
use super::{Snapshot, TableError};

impl Snapshot {
    /// Refuses a table whose rows our scan would read wrongly.
    pub(super) fn check_readable(&self) -> Result<(), TableError> {
        const KNOWN: &[&str] = &[
            "columnMapping",
            "deletionVectors",
            "timestampNtz",
            "typeWidening",
            "typeWidening-preview",
            "v2Checkpoint",
            "vacuumProtocolCheck",
        ];
        let features = self.design().features(Role::Reader);
        match features.iter().find(|feature| !KNOWN.contains(&feature.as_str())) {
            Some(feature) => Err(self.unsupported(feature)),
            None => Ok(()),
        }
    }

    /// Refuses a table whose promises our writers would break.
    pub(super) fn check_writable(&self) -> Result<(), TableError> {
        const KNOWN: &[&str] = &[
            "appendOnly",
            "changeDataFeed",
            "checkConstraints",
            "columnMapping",
            "deletionVectors",
            "generatedColumns",
            "invariants",
            "timestampNtz",
            "typeWidening",
            "typeWidening-preview",
            "v2Checkpoint",
            "vacuumProtocolCheck",
        ];
        const UNUSED_UNLESS_IN_COLUMNS: &[&str] = &["identityColumns"];
        self.check_readable()?;
        let design = self.design();
        if let Some(feature) = design.column_feature() {
            return Err(self.unsupported(feature));
        }
        let features = design.features(Role::Writer);
        let known = |feature: &&String| {
            KNOWN.contains(&feature.as_str()) || UNUSED_UNLESS_IN_COLUMNS.contains(&feature.as_str())
        };
        match features.iter().find(|feature| !known(feature)) {
            Some(feature) => Err(self.unsupported(feature)),
            None => Ok(()),
        }
    }

    /// Refuses to take rows out of a table that says that none may go.
    pub(super) fn refuse_if_append_only(&self) -> Result<(), TableError> {
        match self.design().properties().get("delta.appendOnly") {
            Some(value) if value == "true" => Err(TableError::AppendOnly { table: self.table().clone() }),
            _ => Ok(()),
        }
    }

    fn unsupported(&self, feature: &str) -> TableError {
        TableError::UnsupportedFeature { table: self.table().clone(), feature: feature.to_owned() }
    }
}
