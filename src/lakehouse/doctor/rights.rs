//! Which views show more than whoever made them sees?
//!
//! Whoever reads a view reads with the rights of who made it, and so a role that sees a table in part makes no view of it. One from
//! before its role had a row filter or masks, or from a time when that was not looked at, shows all of the table but for what is kept
//! from the reader.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Lakehouse;
use super::{Finding, add};
use crate::base::{Result, TableName};
use crate::release::{Release, ReleaseKind, View};

pub(super) async fn look(lakehouse: &Lakehouse, found: &mut Vec<Finding>) -> Result<()> {
    let mut kept: BTreeMap<String, BTreeSet<TableName>> = BTreeMap::new();
    for role in lakehouse.roles()? {
        let tables: BTreeSet<TableName> = role.row_filters.keys().chain(role.masks.keys()).cloned().collect();
        if !tables.is_empty() {
            kept.insert(role.name, tables);
        }
    }
    let pins = lakehouse.pins().await?;
    if kept.is_empty() || pins.views.is_empty() {
        return Ok(());
    }
    let users = lakehouse.users()?;
    let role_of = |user: &str| users.iter().find(|known| known.name == user)?.named_role.clone();
    let session = lakehouse.session().await?;
    let (mut releases, mut shown) = (None, Vec::new());
    for (name, view) in &pins.views {
        let listening = session.seeing(session.scope().clone().apart());
        // A view that cannot be planned any more shows nothing.
        if Box::pin(listening.check(&view.sql)).await.is_err() {
            continue;
        }
        let reads = listening.scope().reads();
        let past = reads.past.keys().map(|(table, _)| table);
        let read: BTreeSet<&TableName> = reads.tables.keys().chain(reads.views.keys()).chain(past).collect();
        if kept.values().flatten().all(|table| !read.contains(table)) {
            continue;
        }
        let releases = match &releases {
            Some(known) => known,
            None => releases.insert(lakehouse.releases(usize::MAX).await?),
        };
        let Some(user) = maker(releases, name, view) else { continue };
        let Some(role) = role_of(user) else { continue };
        let hidden = kept.get(&role).into_iter().flatten().find(|table| read.contains(table));
        if let Some(table) = hidden {
            shown.push(format!("{name}: made by `{user}`, and `{role}` sees `{table}` in part"));
        }
    }
    add(
        found,
        "shown_by_view",
        "views of tables that whoever made them sees in part, and whoever reads them sees whole",
        shown,
        "elt sql -c \"drop view NAME\", or have it made again by somebody who may show all of it",
    );
    Ok(())
}

/// Who made a view as it is now, by a statement; nothing if a build did.
fn maker<'a>(newest_first: &'a [Release], name: &TableName, view: &View) -> Option<&'a str> {
    let with = newest_first.iter().take_while(|release| release.pins.views.get(name) == Some(view));
    let made = with.last()?;
    matches!(made.kind, ReleaseKind::Sql { .. }).then_some(made.user.as_str())
}
