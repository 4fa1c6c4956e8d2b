//! Two releases, table by table.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::Lakehouse;
use super::rows::{Comparison, OddKey, Sides};
use super::{Difference, RowChange, at, in_release, quoted, usable};
use crate::base::{ReleaseNumber, Result, TableName};
use crate::query::Session;
use crate::release;

/// What is different from one release to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReleaseDifference {
    /// The earlier release.
    pub from: u64,
    /// The later release.
    pub to: u64,
    /// The tables that are at another version, or came or went. One whose rows are the same is among them.
    pub tables: Vec<Difference>,
    /// The views that came, went or have another query.
    pub views: Vec<(TableName, RowChange)>,
    /// The rows of those that have another query, as far as both queries can still be asked.
    pub view_rows: Vec<Difference>,
}

impl ReleaseDifference {
    /// Whether readers see the same.
    pub fn is_nothing(&self) -> bool {
        self.views.is_empty() && self.tables.iter().all(Difference::is_nothing)
    }
}

impl Lakehouse {
    /// Compares what readers see in two releases. Rows are told apart by the keys that the project has now.
    ///
    /// Reads both versions of every table that is at another version, of at most `limit` rows each tells what became of them.
    ///
    /// # Errors
    /// There is no such release, or a version that it has was vacuumed.
    pub async fn diff_releases(
        &self,
        from: ReleaseNumber,
        to: ReleaseNumber,
        limit: usize,
    ) -> Result<ReleaseDifference> {
        let lake = self.tables.lake();
        let (old, new) = (release::release(lake, from).await?.pins, release::release(lake, to).await?.pins);
        // A session of the newest release sees the tables of both, unless they are gone from sight.
        let (before, after) = (self.session_at(from).await?, self.session_at(to).await?);
        let compiled = self.compile_for(&release::Pins::default(), false, "diff").ok();
        let mut found = ReleaseDifference { from: from.0, to: to.0, ..ReleaseDifference::default() };
        let names: BTreeSet<&TableName> = old.tables.keys().chain(new.tables.keys()).collect();
        for name in names {
            let (was, is) = (old.tables.get(name), new.tables.get(name));
            if was == is {
                continue;
            }
            // The later version of a table can look back at the earlier one.
            let session = if is >= was { &after } else { &before };
            let side = |version: Option<&crate::base::TableVersion>| {
                version.map_or_else(|| quoted(name), |version| at(name, version.0))
            };
            let mut comparison = Comparison {
                session,
                sides: Sides { before: side(was), after: side(is) },
                key: Vec::new(),
                odd_key: OddKey::WholeRows,
                limit,
            };
            let difference = match (was, is) {
                (Some(_), Some(_)) => {
                    let (old, new) = comparison.columns().await?;
                    let key = compiled.as_ref().map(|compiled| compiled.manifest.unique_key(name));
                    comparison.key = usable(key.unwrap_or_default(), &old, &new);
                    comparison.run(name.to_string(), &old, &new).await?
                }
                (None, _) => comparison.alone(name.to_string(), RowChange::Added).await?,
                (_, None) => comparison.alone(name.to_string(), RowChange::Removed).await?,
            };
            let number = |version: Option<&crate::base::TableVersion>| version.map(|version| version.0);
            found.tables.push(Difference { from: number(was), to: number(is), ..difference });
        }
        let views: BTreeSet<&TableName> = old.views.keys().chain(new.views.keys()).collect();
        for name in views {
            let change = match (old.views.get(name), new.views.get(name)) {
                (Some(was), Some(is)) if was.sql == is.sql => continue,
                (Some(_), Some(_)) => RowChange::Changed,
                (None, _) => RowChange::Added,
                (_, None) => RowChange::Removed,
            };
            found.views.push((name.clone(), change));
            if change == RowChange::Changed {
                let session = if to >= from { &after } else { &before };
                let sides = Sides { before: in_release(name, from.0), after: in_release(name, to.0) };
                let key = compiled.as_ref().map(|compiled| compiled.manifest.unique_key(name));
                let rows = view_rows(session, name, sides, key.unwrap_or_default(), limit).await;
                found.view_rows.extend(rows);
            }
        }
        Ok(found)
    }
}

/// What a view shows with one query and with another; nothing if one of them fits nothing any more.
pub(super) async fn view_rows(
    session: &Session,
    name: &TableName,
    sides: Sides,
    key: Vec<String>,
    limit: usize,
) -> Option<Difference> {
    let mut comparison = Comparison { session, sides, key: Vec::new(), odd_key: OddKey::WholeRows, limit };
    let (old, new) = comparison.columns().await.ok()?;
    comparison.key = usable(key, &old, &new);
    comparison.run(name.to_string(), &old, &new).await.ok()
}
