//! How does a set of changes become visible, all of it or none?

use std::collections::BTreeMap;

use crate::base::{ReleaseNumber, TableName, TableVersion, World};
use crate::lake::{Created, json, layout};
use crate::table::commit::{self, CommitFacts};
use crate::table::{Change, Tables};

use super::document::{Prepared, PreparedCommit};
use super::recover::{Ending, finish};
use super::{Outcome, Pins, Release, ReleaseError, ReleaseKind, TableSummary, View, latest};

/// What is to be published.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// What it was made on top of.
    pub base: Pins,
    /// Versions that another program made and that the changes go on from knowingly.
    pub accepted: BTreeMap<TableName, TableVersion>,
    /// What makes it.
    pub kind: ReleaseKind,
    /// The run that makes it.
    pub run: String,
    /// The tables that change, one change each.
    pub changes: Vec<Change>,
    /// Views to make or replace.
    pub views: BTreeMap<TableName, View>,
    /// What readers are to see besides: for a rollback, the pins of the release gone back to.
    pub goal: Goal,
}

/// What becomes of names that no change touches.
#[derive(Clone, Debug)]
pub enum Goal {
    /// They stay as they are.
    Keep,
    /// Readers see these names and no others.
    Exactly {
        /// Tables that stay at the version they are left at.
        tables: Vec<TableName>,
        /// Views, in place of all there are.
        views: BTreeMap<TableName, View>,
    },
}

/// What came of it.
#[derive(Clone, Debug)]
#[must_use]
pub enum Published {
    /// The release is out.
    Release(Box<Release>),
    /// There was nothing to publish.
    Nothing,
}

/// Publishes a proposal as the next release: all of it, or nothing.
///
/// Safe to interrupt at any point: whoever writes to the lake next finishes or abandons it.
///
/// # Errors
/// [`ReleaseError::LostRace`] if another run published since `base`;
/// [`ReleaseError::ForeignCommit`] or [`ReleaseError::NotOurs`] if a table was changed outside elt.
/// In each case nothing was published.
pub async fn publish(tables: &Tables, world: &World, proposal: Proposal) -> Result<Published, ReleaseError> {
    let lake = tables.lake();
    let newest = latest(lake).await?.map(|release| release.number);
    if newest != proposal.base.release {
        return Err(ReleaseError::LostRace { number: newest.unwrap_or(ReleaseNumber(0)) });
    }
    for change in &proposal.changes {
        check_head(tables, &proposal, change).await?;
    }
    let number = newest.map_or(ReleaseNumber(1), ReleaseNumber::next);
    let Some(prepared) = prepare(world, proposal, number)? else { return Ok(Published::Nothing) };
    match lake.create_once(&layout::prepared(number), json(&prepared)).await? {
        Created::Yes => {}
        Created::TakenBy(_) => return Err(ReleaseError::LostRace { number }),
    }
    match finish(lake, &prepared).await? {
        Ending::Published(release) => Ok(Published::Release(release)),
        Ending::Abandoned(_, foreign) => Err(foreign),
    }
}

/// Refuses a change whose table is not where elt left it.
async fn check_head(tables: &Tables, proposal: &Proposal, change: &Change) -> Result<(), ReleaseError> {
    let table = change.table();
    let head = tables.head(table).await?;
    let left_at = proposal.accepted.get(table).copied().or_else(|| proposal.base.head(table));
    if head == change.base() && (head.is_none() || left_at == head) {
        return Ok(());
    }
    let Some(found) = head else {
        return Err(ReleaseError::Table(crate::table::TableError::NoSuchVersion {
            table: table.clone(),
            version: change.base().unwrap_or(TableVersion(0)),
            help: "its folder is gone from the lake; restore it from a backup".to_owned(),
        }));
    };
    let entry = tables.lake().read(&layout::log_entry(table, found)).await?.unwrap_or_default();
    let who = commit::author_of(table, &String::from_utf8_lossy(&entry));
    Err(match left_at {
        None => ReleaseError::NotOurs { table: table.clone(), folder: layout::table(table).to_string(), who },
        Some(expected) => ReleaseError::ForeignCommit {
            table: table.clone(),
            expected: format!("version {expected}"),
            release: proposal.base.release.unwrap_or(ReleaseNumber(0)),
            found,
            who,
        },
    })
}

fn prepare(
    world: &World,
    proposal: Proposal,
    number: ReleaseNumber,
) -> Result<Option<Prepared>, ReleaseError> {
    let Proposal { base, accepted, kind, run, mut changes, views, goal } = proposal;
    changes.retain(|change| !change.is_empty());
    changes.sort_by(|a, b| a.table().cmp(b.table()));
    let at = world.now();
    let mut pins = base.clone();
    for (table, version) in accepted {
        let seen = if pins.tables.contains_key(&table) { &mut pins.tables } else { &mut pins.retired };
        seen.insert(table, version);
    }
    if let Goal::Exactly { tables, views } = &goal {
        let unseen: Vec<TableName> =
            base.tables.keys().filter(|table| !tables.contains(table)).cloned().collect();
        unseen.iter().for_each(|table| pins.retire(table));
        pins.views.clone_from(views);
    }
    let mut commits = Vec::new();
    let mut summaries = Vec::new();
    for change in &changes {
        let facts = CommitFacts {
            at,
            user: world.user.clone(),
            run: run.clone(),
            release: number.0,
            table_id: world.id(),
        };
        let table = change.table();
        match &goal {
            Goal::Exactly { tables, .. } if !tables.contains(table) => {
                pins.pin_table(table, change.version());
                pins.retire(table);
            }
            _ => pins.pin_table(table, change.version()),
        }
        commits.push(PreparedCommit {
            table: table.clone(),
            version: change.version(),
            entry: commit::entry(change, &facts)?,
            undo: commit::undo(change, &facts)?,
            existed: base.tables.contains_key(table),
        });
        summaries.push(TableSummary {
            table: table.clone(),
            version: change.version(),
            operation: change.operation(),
            effect: change.effect(),
        });
    }
    if let Goal::Exactly { tables, .. } = &goal {
        for table in tables {
            if let Some(version) = pins.head(table) {
                pins.pin_table(table, version);
            }
        }
    }
    for (name, view) in views {
        if pins.views.get(&name) != Some(&view) {
            pins.pin_view(&name, view);
        }
    }
    if commits.is_empty() && pins == base {
        return Ok(None);
    }
    let release = Release {
        number,
        at,
        user: world.user.clone(),
        run,
        kind,
        outcome: Outcome::Published,
        tables: summaries,
        pins,
    };
    Ok(Some(Prepared { release, before: base, commits }))
}
