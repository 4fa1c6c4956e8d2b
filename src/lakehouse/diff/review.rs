//! What would a build publish, compared with what readers see?

use std::sync::Arc;

use futures::future::BoxFuture;

use super::super::{Lakehouse, Manifest};
use super::rows::{Comparison, OddKey, Sides};
use super::{Difference, ReleaseDifference, RowChange, at, quoted, usable};
use crate::base::{Result, TableName};
use crate::build::BuildRun;
use crate::query::{Limits, Scope, Session};
use crate::release::Pins;

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
        run: &BuildRun,
        limit: usize,
    ) -> Result<ReleaseDifference> {
        let mut scope = self.scope_of(pins.clone());
        for change in &run.changes {
            scope = scope.with_change(Arc::new(change.clone()));
        }
        let session = Session::new(scope, &self.default_schema, Limits::default());
        let before = pins.release.map_or(0, |release| release.0);
        let mut found = ReleaseDifference { from: before, to: before + 1, ..ReleaseDifference::default() };
        for change in &run.changes {
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
        let views = run.views.iter().filter_map(|(name, view): (&TableName, _)| {
            let change = match pins.views.get(name) {
                Some(was) if was.sql == view.sql => return None,
                Some(_) => RowChange::Changed,
                None => RowChange::Added,
            };
            Some((name.clone(), change))
        });
        found.views = views.collect();
        Ok(found)
    }
}
