//! What would a build publish, compared with what readers see?

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::super::environment::pointed_to;
use super::super::{Lakehouse, Manifest};
use super::release::view_rows;
use super::rows::{Comparison, OddKey, Sides};
use super::{Difference, ReleaseDifference, RowChange, at, in_release, quoted, usable};
use crate::base::{Result, TableName};
use crate::query::{Limits, Scope, Session};
use crate::release::{Pins, View};
use crate::table::Change;

/// Decides whether what a build has made is published.
pub trait Reviewer: Send + Sync {
    /// Whether to publish what makes this difference.
    fn is_wanted<'a>(&'a self, difference: &'a ReleaseDifference) -> BoxFuture<'a, bool>;

    /// Rows of each table that are told one by one, at most.
    fn limit(&self) -> usize;
}

/// A table as it is staged, compared row for row with one of its versions.
pub(in crate::lakehouse) async fn compare_staged(
    lakehouse: &Lakehouse,
    pins: Pins,
    change: &crate::table::Change,
    version: u64,
) -> Result<Difference> {
    let scope = Scope::of(lakehouse.tables().clone(), pins).with_change(Arc::new(change.clone()));
    let session = Session::new(scope, lakehouse.default_schema(), Limits::default());
    let name = change.table();
    let comparison = Comparison {
        session: &session,
        sides: Sides { before: at(name, version), after: quoted(name) },
        key: Vec::new(),
        odd_key: OddKey::WholeRows,
        limit: 0,
    };
    let (old, new) = comparison.columns().await?;
    comparison.run(name.to_string(), &old, &new).await
}

impl Lakehouse {
    /// What a build is about to publish, compared with what readers see.
    pub(in crate::lakehouse) async fn difference_of(
        &self,
        pins: &Pins,
        manifest: &Manifest,
        (changes, views): (&[Change], &BTreeMap<TableName, View>),
        limit: usize,
    ) -> Result<ReleaseDifference> {
        let mut scope = self.scope_of(pins.clone());
        for change in changes {
            scope = scope.with_change(Arc::new(change.clone()));
        }
        for (name, view) in views {
            scope = scope.with_view(name, view.clone());
        }
        let session = Session::new(scope, &self.default_schema, Limits::default());
        let before = pins.release.map_or(0, |release| release.0);
        let mut found = ReleaseDifference { from: before, to: before + 1, ..ReleaseDifference::default() };
        for change in changes {
            let name = change.table();
            let was = pins.tables.get(name).map(|version| version.0);
            let mut comparison = Comparison {
                session: &session,
                sides: Sides {
                    before: was.map_or_else(|| quoted(name), |was| at(name, was)),
                    after: quoted(name),
                },
                key: Vec::new(),
                odd_key: OddKey::WholeRows,
                limit,
            };
            let difference = match was {
                Some(_) => {
                    let (old, new) = comparison.columns().await?;
                    comparison.key = usable(manifest.unique_key(name), &old, &new);
                    comparison.run(name.to_string(), &old, &new).await?
                }
                None => comparison.alone(name.to_string(), RowChange::Added).await?,
            };
            let to = Some(change.version().0);
            found.tables.push(Difference { from: was, to, ..difference });
        }
        found.tables.sort_by(|a, b| a.table.cmp(&b.table));
        for (name, view) in views {
            let change = match pins.views.get(name) {
                Some(was) if was.sql == view.sql => continue,
                Some(_) => RowChange::Changed,
                None => RowChange::Added,
            };
            found.views.push((name.clone(), change));
            // What only points to production is compared there.
            if change == RowChange::Changed && pointed_to(view).is_none() {
                let sides = Sides { before: in_release(name, before), after: quoted(name) };
                found
                    .view_rows
                    .extend(view_rows(&session, name, sides, manifest.unique_key(name), limit).await);
            }
        }
        Ok(found)
    }
}
