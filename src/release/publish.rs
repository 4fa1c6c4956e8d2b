//! How does a set of changes become visible, all of it or none?

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{ReleaseNumber, TableName, TableVersion, World};
use crate::lake::{Created, json, layout};
use crate::table::commit::{self, CommitFacts};
use crate::table::{Change, Tables};

use super::document::{Prepared, PreparedCommit};
use super::recover::{Ending, documents, finish_staged};
use super::{
    Learnt, Memory, Outcome, Pins, Release, ReleaseError, ReleaseKind, TableSummary, View, latest, memory,
};

/// What is to be published.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// What it was made on top of.
    pub base: Pins,
    /// The tables that it was worked out from, which must not have moved since.
    pub read: BTreeMap<TableName, TableVersion>,
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
    /// What the changes and views were made from.
    pub learnt: Learnt,
    /// What readers are to see besides: for a rollback, the pins of the release gone back to.
    pub goal: Goal,
}

/// What becomes of names that no change touches.
#[derive(Clone, Debug)]
pub enum Goal {
    /// They stay as they are.
    Keep,
    /// Some names go out of sight, some come back.
    Names {
        /// Tables and views that readers no longer see.
        hide: Vec<TableName>,
        /// Tables that readers see again, at these versions.
        show: BTreeMap<TableName, TableVersion>,
        /// Schemas that are there from now on, or that are not any more.
        schemas: BTreeMap<String, bool>,
    },
    /// Readers see these names and no others.
    Exactly {
        /// Tables that stay at the version they are left at.
        tables: Vec<TableName>,
        /// Views, in place of all there are.
        views: BTreeMap<TableName, View>,
        /// Schemas that somebody made, in place of all there are.
        schemas: BTreeSet<String>,
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

/// How often a release is proposed again when others publish in the very same moment.
const ATTEMPTS: usize = 64;

/// Publishes a proposal as the next release: all of it, or nothing.
///
/// If others published since `base` and moved none of the tables and names that the proposal is about or was
/// worked out from, it goes on top of theirs; and rows that are only added go on top of a newer version of their table. Safe to
/// interrupt at any point: whoever writes to the lake next finishes or abandons it.
///
/// # Errors
/// [`ReleaseError::LostRace`] if another run published since `base` what this one would change;
/// [`ReleaseError::ForeignCommit`] or [`ReleaseError::NotOurs`] if a table was changed outside elt.
/// In each case nothing was published.
pub async fn publish(
    tables: &Tables,
    world: &World,
    mut proposal: Proposal,
) -> Result<Published, ReleaseError> {
    let lake = tables.lake();
    for _ in 0..ATTEMPTS {
        let newest = latest(lake).await?;
        proposal = on_top_of(tables, newest.as_ref(), proposal).await?;
        let base = proposal.base.release;
        let mut foreign = None;
        for change in &proposal.changes {
            if let Err(error) = check_head(tables, &proposal, change).await {
                foreign = Some(error);
                break;
            }
        }
        if let Some(foreign) = foreign {
            // It may be a release that is being published in this moment.
            super::recover(lake).await?;
            match latest(lake).await?.map(|release| release.number) {
                newest if newest == base => return Err(foreign),
                _ => continue,
            }
        }
        let number = base.map_or(ReleaseNumber(1), ReleaseNumber::next);
        let Some(mut prepared) = prepare(world, proposal.clone(), number)? else {
            return Ok(Published::Nothing);
        };
        prepared.memory_before = newest.as_ref().and_then(Release::memory_at);
        if proposal.learnt.is_empty() {
            prepared.release.memory_in = prepared.memory_before;
        } else {
            let before = match &newest {
                Some(newest) => memory(lake, newest).await?,
                None => Memory::new(),
            };
            let learnt = proposal.learnt.clone();
            prepared.release.memory = Some(learnt.added_to(before, &prepared.release.pins));
        }
        let intent = (layout::prepared(number), json(&prepared));
        let staged = lake.stage([intent].into_iter().chain(documents(&prepared)).collect()).await?;
        let (intent, staged) = staged.split_first().expect("the intent is staged");
        match lake.place(intent).await? {
            Created::Yes => {}
            Created::TakenBy(_) => {
                super::recover(lake).await?;
                continue;
            }
        }
        return match finish_staged(lake, &prepared, staged).await? {
            Ending::Published(release) => Ok(Published::Release(release)),
            Ending::Abandoned(_, foreign) => Err(foreign),
        };
    }
    Err(ReleaseError::LostRace { number: proposal.base.release.unwrap_or(ReleaseNumber(0)) })
}

/// The same proposal on top of what readers see now, if nothing that it is about has moved since its base.
async fn on_top_of(
    tables: &Tables,
    newest: Option<&Release>,
    proposal: Proposal,
) -> Result<Proposal, ReleaseError> {
    if newest.map(|release| release.number) == proposal.base.release {
        return Ok(proposal);
    }
    let Some(newest) = newest else { return Err(ReleaseError::LostRace { number: ReleaseNumber(0) }) };
    let lost = ReleaseError::LostRace { number: newest.number };
    let now = newest.pinned();
    let base = &proposal.base;
    let stays =
        |name: &TableName| base.head(name) == now.head(name) && base.views.get(name) == now.views.get(name);
    let names_stay = match &proposal.goal {
        Goal::Keep => true,
        Goal::Names { hide, show, .. } => hide.iter().chain(show.keys()).all(stays),
        Goal::Exactly { .. } => false,
    };
    let reads_stay = proposal.read.iter().all(|(table, version)| now.tables.get(table) == Some(version));
    if !reads_stay || !names_stay || !proposal.accepted.is_empty() || !proposal.views.keys().all(stays) {
        return Err(lost);
    }
    let mut changes = Vec::with_capacity(proposal.changes.len());
    for change in &proposal.changes {
        let table = change.table();
        if stays(table) {
            changes.push(change.clone());
            continue;
        }
        let Some(version) = now.tables.get(table).copied() else { return Err(lost) };
        match change.on_top_of(tables.snapshot(table, version).await?) {
            Some(change) => changes.push(change),
            None => return Err(lost),
        }
    }
    Ok(Proposal { base: now, changes, ..proposal })
}

/// Refuses a change whose table is not where elt left it.
async fn check_head(tables: &Tables, proposal: &Proposal, change: &Change) -> Result<(), ReleaseError> {
    let table = change.table();
    let left_at = proposal.accepted.get(table).copied().or_else(|| proposal.base.head(table));
    let head = match left_at {
        Some(version) => tables.head_after(table, version).await?,
        None => tables.head(table).await?,
    };
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
    let Proposal { base, read: _, accepted, kind, run, mut changes, views, learnt: _, goal } = proposal;
    changes.retain(|change| !change.is_empty());
    changes.sort_by(|a, b| a.table().cmp(b.table()));
    let at = world.now();
    let mut pins = base.clone();
    for (table, version) in accepted {
        let seen = if pins.tables.contains_key(&table) { &mut pins.tables } else { &mut pins.retired };
        seen.insert(table, version);
    }
    if let Goal::Exactly { tables, views, schemas } = &goal {
        let unseen: Vec<TableName> =
            base.tables.keys().filter(|table| !tables.contains(table)).cloned().collect();
        unseen.iter().for_each(|table| pins.retire(table));
        pins.views.clone_from(views);
        pins.schemas.clone_from(schemas);
    }
    if let Goal::Names { hide, show, schemas } = &goal {
        for name in hide {
            pins.retire(name);
            pins.views.remove(name);
        }
        show.iter().for_each(|(table, version)| pins.pin_table(table, *version));
        for (schema, is_there) in schemas {
            if *is_there {
                pins.schemas.insert(schema.clone())
            } else {
                pins.schemas.remove(schema)
            };
        }
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
            entry: commit::entry(change, &facts),
            undo: commit::undo(change, &facts),
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
        memory: None,
        memory_in: None,
    };
    Ok(Some(Prepared { release, before: base, memory_before: None, commits }))
}
