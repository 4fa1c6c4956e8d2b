//! From the environment's names and versions to production's.

use std::collections::{BTreeMap, BTreeSet};

use super::Taken;

use crate::base::{TableName, TableVersion};
use crate::build::Code;
use crate::query::{ColumnOf, Lineage, MadeOf};
use crate::release::{Basis, View, mark};

/// What things of the environment are in production.
pub(super) struct Map<'a> {
    pub(super) taken: &'a [Taken<'a>],
    /// The versions that production's tables come to have.
    pub(super) versions: BTreeMap<TableName, TableVersion>,
    pub(super) views: &'a BTreeMap<TableName, View>,
    /// Names of the environment that only point to production, which was read itself.
    pub(super) pointers: BTreeSet<&'a TableName>,
}

impl Map<'_> {
    fn name(&self, name: &TableName) -> TableName {
        let found = self.taken.iter().find(|one| one.from == *name);
        found.map_or_else(|| name.clone(), |one| one.to.clone())
    }

    fn tables(&self, tables: &BTreeMap<TableName, TableVersion>) -> BTreeMap<TableName, TableVersion> {
        let there = tables.iter().map(|(name, version)| {
            let name = self.name(name);
            let version = self.versions.get(&name).copied().unwrap_or(*version);
            (name, version)
        });
        there.collect()
    }

    /// What a thing was made from, as production would have it.
    pub(super) fn basis(&self, basis: &Basis, code: &Code, own: Option<&TableName>) -> Basis {
        let mut tables = basis.tables.clone();
        tables.retain(|name, _| Some(name) != own);
        let views = basis.views.iter();
        let views = views.filter(|(name, _)| Some(*name) != own && !self.pointers.contains(name));
        let views = views.map(|(name, marked)| {
            let name = self.name(name);
            let marked = self.views.get(&name).map_or_else(|| marked.clone(), mark);
            (name, marked)
        });
        Basis { tables: self.tables(&tables), views: views.collect(), ..code.instead_of(basis) }
    }

    /// Which columns of which versions a table was made of, as production would have it.
    pub(super) fn made_of(&self, of: MadeOf) -> MadeOf {
        let column = |of: ColumnOf| ColumnOf { table: self.name(&of.table), ..of };
        let Lineage { columns, rows, tables, past } = of.lineage;
        let columns = columns.into_iter().map(|(name, from)| {
            let from = from.into_iter().map(|(of, way)| (column(of), way)).collect();
            (name, from)
        });
        let lineage = Lineage {
            columns: columns.collect(),
            rows: rows.into_iter().map(|(of, how)| (column(of), how)).collect(),
            tables: tables.iter().map(|name| self.name(name)).collect(),
            past: past.into_iter().map(|(name, then)| (self.name(&name), then)).collect(),
        };
        MadeOf { tables: self.tables(&of.tables), lineage }
    }
}
