//! What keeps a lake quick and small?
//!
//! Many small files become few, files with many hidden rows are written again, long logs get checkpoints,
//! and files that no release of the last week can reach are deleted, and the beginnings of logs that no release of the
//! last month can. None of it changes a row.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chrono::Duration;
use serde::Serialize;

use super::environment::looked_back_at;
use super::{Lakehouse, released};
use crate::base::{Error, Event, Result, TableName, TableVersion, Watch};
use crate::release::{self, Goal, Learnt, Pins, Proposal, Release, ReleaseKind};
use crate::table::write::{Compaction, compact, worth_compacting};
use crate::table::{
    CHECKPOINT_EVERY, Change, TableError, Unneeded, default_retention, delete, expired, last_checkpoint,
    log_retention, unneeded, write_checkpoint,
};

/// A partition with so many small files is worth a compaction of its own.
pub(super) const SMALL_FILES: usize = 8;
/// A build compacts no table with more bytes than this: it is to end soon.
const BUILD_BUDGET: u64 = 256 * 1024 * 1024;

/// What maintenance did to a table, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct Maintained {
    /// The table.
    pub table: TableName,
    /// `compact`, `checkpoint`, `vacuum`, `log cleanup` or `run cleanup`.
    pub action: &'static str,
    /// In a few words: `12 files become 1`.
    pub detail: String,
}

/// What maintenance did, or would do.
#[derive(Debug, Default)]
pub struct Maintenance {
    /// Action by action.
    pub done: Vec<Maintained>,
    /// The release that has the compacted tables; nothing if none was.
    pub release: Option<Release>,
    /// Tables that could not be read, and why. Nothing was done for them.
    pub failed: Vec<(TableName, TableError)>,
}

impl Lakehouse {
    /// Does what is due for one table, or for all: compaction, checkpoint, vacuum, log cleanup; and for all, reports of runs
    /// are deleted that `elt.yml` does not keep any longer.
    ///
    /// With `dry_run` it only says what is due. Of many tables, one that cannot be read does not hold back the others.
    pub async fn maintain(
        &self,
        table: Option<&str>,
        dry_run: bool,
        watch: &dyn Watch,
    ) -> Result<Maintenance> {
        let _lock = if dry_run { None } else { Some(self.begin_writing("maintain", watch).await?) };
        let pins = self.pins().await?;
        let only = table.map(|table| self.pinned_table(&pins, table)).transpose()?;
        let mut done = Maintenance::default();
        let mut tables = Vec::new();
        for (name, version) in &pins.tables {
            if only.as_ref().is_some_and(|only| only != name) {
                continue;
            }
            match self.tables.snapshot(name, *version).await {
                Err(error) if only.is_none() => done.failed.push((name.clone(), error)),
                read => {
                    read?;
                    tables.push(name.clone());
                }
            }
        }
        let wanted = Compaction { at_least: SMALL_FILES, ..Compaction::default() };
        if dry_run {
            done.done.extend(self.worth_compacting(&pins, &tables, &wanted).await?);
        } else {
            let compacted = self.compacted(&pins, &tables, &wanted, u64::MAX, &mut done).await?;
            done.release = self.publish_compacted(pins, compacted).await?;
        }
        let pins = self.pins().await?;
        let mut before = LookBack::default();
        for table in &tables {
            let Some(version) = pins.tables.get(table).copied() else { continue };
            let last = last_checkpoint(&self.tables, table, version).await?.map_or(0, |last| last.0);
            if version.0 >= last + CHECKPOINT_EVERY {
                let detail = format!("{} commits since the last", version.0 - last);
                if !dry_run {
                    write_checkpoint(&self.tables, table, version).await?;
                }
                done.done.push(Maintained { table: table.clone(), action: "checkpoint", detail });
            }
            let files = self.vacuum_table(table, default_retention(), dry_run, &mut before).await?;
            if !files.is_empty() {
                let bytes: u64 = files.iter().map(|file| file.bytes).sum();
                let detail = format!("{} files, {bytes} bytes", files.len());
                done.done.push(Maintained { table: table.clone(), action: "vacuum", detail });
            }
            let entries = self.clean_log(table, version, dry_run, &mut before).await?;
            if !entries.is_empty() {
                let detail = format!("{} files of the log", entries.len());
                done.done.push(Maintained { table: table.clone(), action: "log cleanup", detail });
            }
        }
        if only.is_none() {
            done.done.extend(self.clean_runs(dry_run).await?);
        }
        Ok(done)
    }

    /// After a build: checkpoints that are due, and compaction as far as it is quick. Never fails the build.
    pub(super) async fn maintain_after(&self, release: &Release) -> Maintenance {
        let mut done = Maintenance::default();
        for summary in &release.tables {
            self.checkpoint_if_due(&summary.table, summary.version).await;
        }
        let tables: Vec<TableName> = release.tables.iter().map(|summary| summary.table.clone()).collect();
        let wanted = Compaction { at_least: 2 * SMALL_FILES, hidden_one_in: 4, ..Compaction::default() };
        let pins = release.pinned();
        let compacted = self.compacted(&pins, &tables, &wanted, BUILD_BUDGET, &mut done).await;
        let published = match compacted {
            Ok(changes) => self.publish_compacted(pins, changes).await,
            Err(error) => Err(error),
        };
        match published {
            Ok(release) => done.release = release,
            Err(error) => {
                done.done.clear();
                tracing::warn!("maintenance after release {} did not succeed: {error}", release.number);
            }
        }
        match self.clean_runs(false).await {
            Ok(cleaned) => done.done.extend(cleaned),
            Err(error) => tracing::warn!("reports of old runs were not deleted: {error}"),
        }
        done
    }

    /// Writes a checkpoint at every so many versions. Without it everything is slower and nothing is wrong.
    pub(super) async fn checkpoint_if_due(&self, table: &TableName, version: TableVersion) {
        if version.0 == 0 || !version.0.is_multiple_of(CHECKPOINT_EVERY) {
            return;
        }
        if let Err(error) = write_checkpoint(&self.tables, table, version).await {
            tracing::warn!("no checkpoint of {table} at {version}: {error}");
        }
    }

    /// Deletes the files of a table that nobody can ask for any more, and says which.
    ///
    /// Versions that were current in the last `retain`, and all pinned by the newest release, stay.
    pub async fn vacuum(
        &self,
        table: &str,
        retain: Option<Duration>,
        dry_run: bool,
        watch: &dyn Watch,
    ) -> Result<Vec<Unneeded>> {
        let _lock = if dry_run { None } else { Some(self.begin_writing("vacuum", watch).await?) };
        let pins = self.pins().await?;
        let table = self.pinned_table(&pins, table)?;
        let retain = retain.unwrap_or_else(default_retention);
        if retain < default_retention() {
            let version = pins.tables.get(&table).copied().unwrap_or(TableVersion(0));
            let snapshot = self.tables.snapshot(&table, version).await?;
            if !snapshot.design().allows_short_retention() {
                return Err(Error::user(
                    "elt::vacuum::retention",
                    format!(
                        "{} hours are less than the {} that files are kept for",
                        retain.num_hours(),
                        default_retention().num_hours()
                    ),
                    format!(
                        "queries that run, and `version as of`, need those files; if that is meant, say so first: `ALTER TABLE {table} SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 0 hours')`"
                    ),
                ));
            }
        }
        self.vacuum_table(&table, retain, dry_run, &mut LookBack::default()).await
    }

    pub(super) async fn vacuum_table(
        &self,
        table: &TableName,
        retain: Duration,
        dry_run: bool,
        before: &mut LookBack,
    ) -> Result<Vec<Unneeded>> {
        let mut files = self.unneeded(table, retain, before).await?;
        if !dry_run {
            // What a replay left that died was never of use to anyone, however young it is.
            let dead = self.dead_replays(table).await?;
            files.extend(
                dead.into_iter()
                    .filter(|dead| !files.iter().any(|file| file.path == dead.path))
                    .collect::<Vec<_>>(),
            );
            delete(&self.tables, &files).await?;
        }
        Ok(files)
    }

    async fn unneeded(
        &self,
        table: &TableName,
        retain: Duration,
        before: &mut LookBack,
    ) -> Result<Vec<Unneeded>> {
        let Some(oldest) = before.at(self, retain).await?.map(|pins| pins.head(table)) else {
            return Ok(Vec::new());
        };
        let oldest = oldest.unwrap_or(TableVersion(0)).min(before.pointed(self, table).await?);
        Ok(unneeded(&self.tables, table, oldest, retain).await?)
    }

    /// Deletes the beginning of a log that is long past, and says what.
    async fn clean_log(
        &self,
        table: &TableName,
        version: TableVersion,
        dry_run: bool,
        before: &mut LookBack,
    ) -> Result<Vec<Unneeded>> {
        let snapshot = self.tables.snapshot(table, version).await?;
        let retain = log_retention(&snapshot);
        let Some(oldest) = before.at(self, retain).await?.map(|pins| pins.head(table)) else {
            return Ok(Vec::new());
        };
        let oldest = oldest.unwrap_or(TableVersion(0)).min(before.pointed(self, table).await?);
        let entries = expired(&self.tables, &snapshot, oldest, retain).await?;
        if !dry_run {
            delete(&self.tables, &entries).await?;
        }
        Ok(entries)
    }

    fn pinned_table(&self, pins: &Pins, table: &str) -> Result<TableName> {
        let name = TableName::parse(table, &self.default_schema).map_err(|error| {
            Error::user("elt::no_such_table", error.to_string(), "`elt sql -c \"show tables\"` lists them")
        })?;
        match pins.tables.contains_key(&name) {
            true => Ok(name),
            false => Err(Error::user(
                "elt::no_such_table",
                format!("there is no table `{name}`"),
                "`elt sql -c \"show tables\"` lists them; a view has no files",
            )),
        }
    }

    async fn compacted(
        &self,
        pins: &Pins,
        tables: &[TableName],
        wanted: &Compaction,
        budget: u64,
        done: &mut Maintenance,
    ) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for table in tables {
            let Some(version) = pins.tables.get(table).copied() else { continue };
            let snapshot = self.tables.snapshot(table, version).await?;
            if snapshot.files().iter().map(crate::table::DataFile::size).sum::<u64>() > budget {
                continue;
            }
            if let Some(change) = compact(&self.tables, snapshot, wanted).await? {
                let (from, to) = change.file_counts();
                let detail = format!("{from} files become {to}");
                done.done.push(Maintained { table: table.clone(), action: "compact", detail });
                changes.push(change);
            }
        }
        Ok(changes)
    }

    async fn worth_compacting(
        &self,
        pins: &Pins,
        tables: &[TableName],
        wanted: &Compaction,
    ) -> Result<Vec<Maintained>> {
        let mut due = Vec::new();
        for table in tables {
            let Some(version) = pins.tables.get(table).copied() else { continue };
            let files = worth_compacting(&*self.tables.snapshot(table, version).await?, wanted).len();
            if files > 0 {
                let detail = format!("{files} files to be written again");
                due.push(Maintained { table: table.clone(), action: "compact", detail });
            }
        }
        Ok(due)
    }

    async fn publish_compacted(&self, base: Pins, changes: Vec<Change>) -> Result<Option<Release>> {
        if changes.is_empty() {
            return Ok(None);
        }
        let proposal = Proposal {
            base,
            read: BTreeMap::new(),
            accepted: BTreeMap::new(),
            kind: ReleaseKind::Maintain,
            run: self.world.id(),
            changes,
            views: BTreeMap::new(),
            learnt: Learnt::default(),
            goal: Goal::Keep,
        };
        Ok(released(release::publish(&self.tables, &self.world, proposal).await?))
    }
}

/// What readers saw some time ago, and what pointers of environments still show: each is looked up once, however many tables
/// are asked about. All releases since then are read for it.
#[derive(Debug, Default)]
pub(super) struct LookBack {
    then: BTreeMap<Duration, Option<Pins>>,
    pointed: Option<BTreeMap<TableName, TableVersion>>,
}

impl LookBack {
    /// What was current so long ago; the first release if that is later, nothing if there is none.
    async fn at(&mut self, lakehouse: &Lakehouse, ago: Duration) -> Result<Option<&Pins>> {
        if let Entry::Vacant(place) = self.then.entry(ago) {
            let pins = match lakehouse.world.now().checked_sub_signed(ago) {
                Some(since) => release::current_at(lakehouse.tables.lake(), since).await?,
                None => None,
            };
            place.insert(pins.map(|release| release.pins));
        }
        Ok(self.then[&ago].as_ref())
    }

    /// The oldest version of a table that a pointer of an environment looks back at; the last there can be if none does.
    async fn pointed(&mut self, lakehouse: &Lakehouse, table: &TableName) -> Result<TableVersion> {
        if self.pointed.is_none() {
            let mut oldest: BTreeMap<TableName, TableVersion> = BTreeMap::new();
            for number in looked_back_at(&lakehouse.pins().await?) {
                let pins = release::release(lakehouse.tables.lake(), number).await?.pins;
                for (name, version) in pins.tables {
                    let known = oldest.entry(name).or_insert(version);
                    *known = version.min(*known);
                }
            }
            self.pointed = Some(oldest);
        }
        let found = self.pointed.as_ref().and_then(|oldest| oldest.get(table));
        Ok(found.copied().unwrap_or(TableVersion(u64::MAX)))
    }
}

/// Tells a watcher what was done.
pub(super) fn tell(done: &Maintenance, watch: &dyn Watch) {
    for action in &done.done {
        watch.on(Event::Note(format!("{} {}: {}", action.action, action.table, action.detail)));
    }
}
