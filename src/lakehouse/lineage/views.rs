//! Is a view made of the same columns in another release?
//!
//! A view has no commit that says what it is made of, so it is planned; and a lake may have a thousand releases of it. It
//! is made of the same as long as its text, the views below it and what the tables below are (columns, not rows) are the same.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::base::{ReleaseNumber, TableName, TableVersion};
use crate::query::Lineage;
use crate::release::{Pins, View};
use crate::table::Commit;

/// A view upon so many others is planned each time.
const DEEPEST: usize = 64;

/// What views are made of, as far as it is known.
#[derive(Default)]
pub(super) struct Views {
    /// The versions in which tables came to be what they are, in order.
    definitions: BTreeMap<TableName, Vec<TableVersion>>,
    /// What a view with this text reads as it is.
    read: BTreeMap<String, Vec<TableName>>,
    /// By what decides about it.
    lineages: BTreeMap<String, Lineage>,
    /// What decides about views of one release, by their texts.
    identities: (Option<ReleaseNumber>, BTreeMap<String, String>),
}

impl Views {
    /// Takes note of all commits of a table.
    pub(super) fn defined(&mut self, table: &TableName, commits: &[Commit]) {
        let mut versions: Vec<TableVersion> =
            commits.iter().filter(|commit| commit.defines).map(|commit| commit.version).collect();
        versions.sort();
        self.definitions.insert(table.clone(), versions);
    }

    /// What a view is made of that these pins have, if that is known.
    pub(super) fn known(&mut self, view: &View, pins: &Pins) -> Option<&Lineage> {
        let identity = self.identity(view, pins, 0)?;
        self.lineages.get(&identity)
    }

    /// Takes note of what a view is made of.
    pub(super) fn learn(&mut self, view: &View, lineage: &Lineage, pins: &Pins) {
        self.read.insert(view.sql.clone(), lineage.tables.iter().cloned().collect());
        if let Some(identity) = self.identity(view, pins, 0) {
            self.lineages.insert(identity, lineage.clone());
        }
    }

    /// A hash of all that decides what a view is made of; nothing as long as not all of it is known.
    fn identity(&mut self, view: &View, pins: &Pins, depth: usize) -> Option<String> {
        if self.definitions.is_empty() || depth > DEEPEST {
            return None;
        }
        if self.identities.0 != pins.release {
            self.identities = (pins.release, BTreeMap::new());
        }
        if let Some(known) = self.identities.1.get(&view.sql) {
            return Some(known.clone());
        }
        let mut hash = Sha256::new().chain_update(&view.sql);
        for name in self.read.get(&view.sql)?.clone() {
            if let Some(below) = pins.views.get(&name) {
                hash.update(self.identity(below, pins, depth + 1)?);
            } else if !name.is_outside() {
                let version = pins.tables.get(&name)?;
                let defined = self.definitions.get(&name)?.iter().rfind(|defined| *defined <= version)?;
                hash.update(format!("\0{name}\0{defined}"));
            }
        }
        let identity: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.identities.1.insert(view.sql.clone(), identity.clone());
        Some(identity)
    }
}
