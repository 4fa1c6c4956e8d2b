//! What was each thing made from?
//!
//! A release remembers the [`Basis`] of every table and view that was made, and of every test that held: the code and
//! the exact versions. Whoever is about to make one of them again can see whether anything would come out otherwise.
//! The [`Memory`] stands in the document of the last release that added to it; later documents say which one that is.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Pins, Release, ReleaseError, View, release};
use crate::base::{ReleaseNumber, TableName, TableVersion};
use crate::lake::Lake;

/// What things were made from: tables and views by their names, tests by names with a `:`, which no table has.
pub type Memory = BTreeMap<String, Basis>;

/// What one thing was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The fingerprint of the code.
    pub code: String,
    /// What the code says, without regard to how it is spelled; empty where nobody knows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub meaning: String,
    /// The program that made it, with its version.
    pub engine: String,
    /// The tables that it was made from, and the table that it is, at their versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<TableName, TableVersion>,
    /// The views that it was made from, and the view that it is, by [`mark`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub views: BTreeMap<TableName, String>,
    /// What else it was made from that may be different at any time, in words.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub beyond: BTreeSet<String>,
}

/// What a release adds to the memory.
#[derive(Clone, Debug, Default)]
pub struct Learnt {
    /// What was made, or held, and from what.
    pub bases: Memory,
    /// Tests that there are no more.
    pub forgotten: BTreeSet<String>,
}

impl Learnt {
    /// Whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        self.bases.is_empty() && self.forgotten.is_empty()
    }

    /// The memory with this added, of what readers see through `pins`.
    pub(super) fn added_to(self, mut memory: Memory, pins: &Pins) -> Memory {
        memory.extend(self.bases);
        memory.retain(|name, _| {
            let name_there =
                |name: &TableName| pins.tables.contains_key(name) || pins.views.contains_key(name);
            !self.forgotten.contains(name) && table_name(name).is_none_or(|name| name_there(&name))
        });
        completed(memory, pins)
    }
}

/// The memory, and in it of what `pins` has been made which version it is.
pub fn completed(mut memory: Memory, pins: &Pins) -> Memory {
    for (name, basis) in &mut memory {
        let Some(name) = table_name(name) else { continue };
        // What was made in this release has the version that this release gave it.
        if let (None, Some(version)) = (basis.tables.get(&name), pins.tables.get(&name)) {
            basis.tables.insert(name.clone(), *version);
        }
        if let (None, Some(view)) = (basis.views.get(&name), pins.views.get(&name)) {
            basis.views.insert(name, mark(view));
        }
    }
    memory
}

fn table_name(name: &str) -> Option<TableName> {
    name.parse().ok().filter(|_| !name.contains(':'))
}

/// A short text by which a view is known again.
pub fn mark(view: &View) -> String {
    let hash = Sha256::new().chain_update(&view.sql).chain_update([0]).chain_update(&view.description);
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns what the names of a release were made from. One more read at most.
pub async fn memory(lake: &Lake, of: &Release) -> Result<Memory, ReleaseError> {
    match (&of.memory, of.memory_in) {
        (Some(memory), _) => Ok(memory.clone()),
        (None, Some(number)) => Ok(release(lake, number).await?.memory.unwrap_or_default()),
        (None, None) => Ok(Memory::new()),
    }
}

impl Release {
    /// The release whose document has the memory, this one or an earlier one.
    pub fn memory_at(&self) -> Option<ReleaseNumber> {
        self.memory.as_ref().map(|_| self.number).or(self.memory_in)
    }
}
