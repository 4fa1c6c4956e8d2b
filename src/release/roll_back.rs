//! How does the lake go back to an earlier release?

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{ReleaseNumber, TableName, TableVersion, World};
use crate::table::{Change, Tables, write};

use super::publish::Goal;
use super::{
    Learnt, Memory, Pins, Proposal, Published, Release, ReleaseError, ReleaseKind, list, memory, publish,
    release,
};

/// Publishes a new release with the content of an earlier one.
///
/// `to` is the release to go back to; nothing means the newest published one before the current, and before all the
/// others of its run, if a run published several. Of a rollback that is the one before the release that it went back to.
/// Each table whose content differs gets a restore commit, so that programs which read the Delta
/// folders see what readers through elt see. A table that the earlier release did not have is
/// emptied and goes out of sight. Going to the current release itself undoes what a program outside
/// elt did to the tables since.
///
/// No data file is written or deleted. `run` names the run in the commits.
pub async fn roll_back(
    tables: &Tables,
    world: &World,
    current: Pins,
    to: Option<ReleaseNumber>,
    run: String,
) -> Result<Published, ReleaseError> {
    let target = match to {
        Some(number) => release(tables.lake(), number).await?,
        None => earlier(tables, &current).await?,
    };
    let names: Vec<TableName> = target.pins.tables.keys().cloned().collect();
    let mut accepted = BTreeMap::new();
    let mut changes = Vec::new();
    let concerned: BTreeSet<&TableName> = current.tables.keys().chain(&names).collect();
    for table in concerned {
        let Some(head) = tables.head(table).await? else { continue };
        if current.head(table) != Some(head) {
            accepted.insert(table.clone(), head);
        }
        let wanted = target.pins.tables.get(table).copied();
        changes.extend(go_back(tables, table, head, wanted).await?);
    }
    let learnt = remembered_then(tables, &current, &target, &changes).await?;
    let goal = Goal::Exactly { tables: names, views: target.pins.views, schemas: target.pins.schemas };
    let kind = ReleaseKind::Rollback { to: target.number };
    publish(
        tables,
        world,
        Proposal {
            base: current,
            read: BTreeMap::new(),
            accepted,
            kind,
            run,
            changes,
            views: BTreeMap::new(),
            learnt,
            goal,
        },
    )
    .await
}

/// What things were made from, as the release gone back to knew it: what readers see again was made by the code of then. The
/// versions are those that its tables come to have.
async fn remembered_then(
    tables: &Tables,
    current: &Pins,
    target: &Release,
    changes: &[Change],
) -> Result<Learnt, ReleaseError> {
    let now = match current.release {
        Some(number) => memory(tables.lake(), &release(tables.lake(), number).await?).await?,
        None => Memory::new(),
    };
    let mut bases = memory(tables.lake(), target).await?;
    let put_back: BTreeMap<&TableName, TableVersion> =
        changes.iter().map(|change| (change.table(), change.version())).collect();
    for (table, version) in bases.values_mut().flat_map(|basis| &mut basis.tables) {
        if target.pins.tables.get(table) == Some(version)
            && let Some(again) = put_back.get(table)
        {
            *version = *again;
        }
    }
    let forgotten = now.into_keys().filter(|name| !bases.contains_key(name)).collect();
    Ok(Learnt { bases, forgotten })
}

/// The newest published release before the current one whose content is not a rollback's own source.
async fn earlier(tables: &Tables, current: &Pins) -> Result<Release, ReleaseError> {
    let releases = list(tables.lake(), usize::MAX).await?;
    let of = |number: Option<ReleaseNumber>| releases.iter().find(|release| Some(release.number) == number);
    let mut newest = of(current.release);
    // Who goes back once more means the one before that, and not what the first time took away.
    while let Some(Release { kind: ReleaseKind::Rollback { to }, number, .. }) = newest
        && to < number
    {
        newest = of(Some(*to));
    }
    let number = newest.map(|release| release.number).or(current.release);
    let run = newest.filter(|release| release.kind == ReleaseKind::Build).map(|release| release.run.clone());
    let is_of_run =
        |release: &Release| release.kind == ReleaseKind::Build && Some(&release.run) == run.as_ref();
    let before = releases.iter().filter(|release| Some(release.number) < number);
    let mut candidates = before
        .filter(|release| release.is_published() && !release.pins.same_as(current) && !is_of_run(release));
    candidates.next().cloned().ok_or(ReleaseError::NothingEarlier)
}

/// The change that puts one table back, if it needs one. A foreign commit is gone over, not
/// refused: going back is how a user drops it.
async fn go_back(
    tables: &Tables,
    table: &TableName,
    head: TableVersion,
    wanted: Option<TableVersion>,
) -> Result<Option<Change>, ReleaseError> {
    if wanted == Some(head) {
        return Ok(None);
    }
    let now = tables.snapshot(table, head).await?;
    let change = match wanted {
        Some(version) => write::restore(tables, now, &*tables.snapshot(table, version).await?).await?,
        None => write::empty(tables, now).await?,
    };
    Ok(Some(change).filter(|change| !change.is_empty()))
}
