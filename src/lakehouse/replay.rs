//! Would a run make the same again from what it read then?
//!
//! The commits of a run say which versions of which tables each of its own was made from, and by which code. Replaying
//! makes each table again from exactly those, on top of the version that was there before, and compares it row for
//! row with what the run published. Nothing is published. What is staged meanwhile has a mark in its name, and is deleted at
//! the end; if the process dies before, the next maintenance finds it by the mark.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::diff::compare_staged;
use super::{Compiled, Difference, Lakehouse, NodeId, PublishMode};
use crate::base::{Error, Ids, Result, TableName, TableVersion, Watch, World, parse_instant};
use crate::build::{self, Asked, Code, Inputs, Known};
use crate::compile::Facts;
use crate::lake::layout;
use crate::query::{MadeOf, made_of};
use crate::release::{self, Basis, Pins, Release};
use crate::table::{Change, Tables, Unneeded, delete, history, vectors_brought};

/// What came of replaying a run.
#[derive(Debug, Serialize)]
pub struct Replayed {
    /// The run.
    pub run: String,
    /// Its releases.
    pub releases: Vec<u64>,
    /// Its tables, in the order in which they are made.
    pub tables: Vec<ReplayedTable>,
}

/// What came of one table.
#[derive(Debug, Serialize)]
pub struct ReplayedTable {
    /// The table.
    pub table: TableName,
    /// The version that the run made.
    pub version: u64,
    /// The versions that it was made from.
    pub from: BTreeMap<TableName, TableVersion>,
    /// How it compares with what was made again; nothing if it was not.
    pub difference: Option<Difference>,
    /// Why it was not made again, or why it may well be another.
    pub because: Option<String>,
}

impl ReplayedTable {
    /// Whether it was made again, and is the same.
    pub fn is_same(&self) -> bool {
        self.difference.as_ref().is_some_and(Difference::is_nothing)
    }
}

/// A table of a run.
struct Made {
    table: TableName,
    version: TableVersion,
    node: String,
    fingerprint: Option<String>,
    /// What the run remembered of it.
    basis: Option<Basis>,
    of: MadeOf,
}

/// How the ids begin that files of a replay are named by.
const MARK: &str = "replay-";

/// Ids of files that are looked at and deleted.
struct Marked(Arc<dyn Ids>);

impl Ids for Marked {
    fn next(&self) -> String {
        format!("{MARK}{}", self.0.next())
    }
}

/// What was made only to be compared: the tables, and the files besides their data.
#[derive(Default)]
struct Staged(Mutex<(BTreeSet<TableName>, Vec<String>)>);

impl Staged {
    /// Takes note that files of a table, and of those that accompany it, are about to be written.
    fn begins(&self, table: &TableName) {
        let beside = ["elt_new", "elt_rows", "quarantine", "quarantine__elt_new"];
        let beside = beside.iter().filter_map(|suffix| table.companion(suffix).ok());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.extend(beside.chain([table.clone()]));
    }

    fn made(&self, changes: &[Change]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .extend(changes.iter().flat_map(vectors_brought));
    }
}

/// Where a run stood.
#[derive(Clone, Copy)]
struct Replay<'a> {
    manifest: &'a super::Manifest,
    before: &'a Pins,
    after: &'a Pins,
    started: DateTime<Utc>,
    staged: &'a Staged,
}

impl Lakehouse {
    /// Makes the tables of a run again, from the versions that it read, and compares. `run` is its id, or how it begins, or
    /// the number of a release that it published. Nothing of it stays. Whoever watches may call it off.
    ///
    /// # Errors
    /// There is no such run that published something, another process replays a run of this lake, or the project cannot be
    /// compiled. What is wrong with one table is told of that table.
    pub async fn replay(&self, run: &str, watch: &dyn Watch) -> Result<Replayed> {
        let lake = self.tables.lake();
        lake.check_writable().await?;
        let _alone = lake.lock_replay(&self.world)?;
        let world = World { ids: Arc::new(Marked(Arc::clone(&self.world.ids))), ..self.world.clone() };
        let marked = Self { tables: Tables::new(lake.clone(), world), ..self.clone() };
        let staged = Staged::default();
        let mut work = Box::pin(marked.replay_run(run, &staged, watch));
        let replayed = tokio::select! {
            replayed = &mut work => replayed,
            stop = watch.called_off() => Err(stop.error(false)),
        };
        drop(work);
        let (tables, others) = staged.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut files: Vec<Unneeded> = others.into_iter().map(|path| Unneeded { path, bytes: 0 }).collect();
        for table in &tables {
            files.extend(self.replayed_files(table).await?);
        }
        delete(&self.tables, &files).await?;
        replayed
    }

    /// The files of a table that replays have written: nothing refers to them.
    async fn replayed_files(&self, table: &TableName) -> Result<Vec<Unneeded>> {
        let listed = self.tables.lake().list(&layout::table(table)).await?;
        let own = format!("part-{MARK}");
        let own = listed
            .into_iter()
            .filter(|file| file.location.filename().is_some_and(|name| name.starts_with(&own)));
        Ok(own.map(|file| Unneeded { path: file.location.to_string(), bytes: file.size }).collect())
    }

    /// The same of replays that died; none while one is at work. In a bucket nobody knows whether one is.
    pub(super) async fn dead_replays(&self, table: &TableName) -> Result<Vec<Unneeded>> {
        let lake = self.tables.lake();
        if lake.folder().is_none() {
            return Ok(Vec::new());
        }
        match lake.lock_replay(&self.world) {
            Ok(_alone) => {
                let beside = ["elt_new", "elt_rows"].iter().filter_map(|suffix| table.companion(suffix).ok());
                let mut files = Vec::new();
                for name in beside.chain([table.clone()]) {
                    files.extend(self.replayed_files(&name).await?);
                }
                Ok(files)
            }
            Err(_) => Ok(Vec::new()),
        }
    }

    async fn replay_run(&self, run: &str, staged: &Staged, watch: &dyn Watch) -> Result<Replayed> {
        let mut releases = release::list(self.tables.lake(), usize::MAX).await?;
        let number = run.parse::<u64>().ok();
        let of_number = number.and_then(|number| releases.iter().find(|release| release.number.0 == number));
        let run = of_number.map_or(run, |release| release.run.as_str()).to_owned();
        releases.retain(|release| release.is_published() && !run.is_empty() && release.run.starts_with(&run));
        releases.reverse();
        let ids: BTreeSet<&String> = releases.iter().map(|release| &release.run).collect();
        let (Some(first), Some(last), 1) = (releases.first(), releases.last(), ids.len()) else {
            let what = match ids.len() {
                0 => format!("no run `{run}` has published anything"),
                _ => format!("`{run}` is the beginning of {} runs", ids.len()),
            };
            let help = "`elt releases` shows the run of each release; its number will do, too";
            return Err(Error::user("elt::replay", what, help));
        };
        let before = match first.number.0.checked_sub(1).filter(|number| *number > 0) {
            Some(number) => {
                release::release(self.tables.lake(), crate::base::ReleaseNumber(number)).await?.pinned()
            }
            None => Pins::default(),
        };
        let started = self.started(first).await?;
        let facts =
            Facts { run_started_at: started, command: "build".to_owned(), ..self.facts(&before, &first.run) };
        let Compiled { manifest, .. } = self.compile_with(&facts)?;
        let mut made = self.made_by(&releases).await?;
        let memory = release::memory(self.tables.lake(), last).await?;
        for made in &mut made {
            let basis = memory.get(&made.table.to_string());
            made.basis = basis.filter(|basis| Some(&basis.code) == made.fingerprint.as_ref()).cloned();
        }
        if made.is_empty() {
            let what = format!(
                "the run `{run}` ({}) made no table by a query of the project, so there is nothing to make again",
                first.kind_words()
            );
            let help = "`elt diff --release A B` compares what readers saw before and after it";
            return Err(Error::user("elt::replay", what, help));
        }
        let mut tables = Vec::new();
        for id in manifest.order() {
            for made in made.iter().filter(|made| made.node == id.as_str()) {
                staged.begins(&made.table);
                let of = Replay { manifest: &manifest, before: &before, after: &last.pins, started, staged };
                let replayed = Box::pin(self.replay_one(made, &id, &of, watch)).await;
                let (difference, because) = match replayed {
                    Ok((difference, because)) => (Some(difference), because),
                    Err(because) => (None, Some(because)),
                };
                let (table, version, from) = (made.table.clone(), made.version.0, made.of.tables.clone());
                tables.push(ReplayedTable { table, version, from, difference, because });
            }
        }
        let gone = made.iter().filter(|made| !manifest.nodes.keys().any(|id| id.as_str() == made.node));
        tables.extend(gone.map(|made| ReplayedTable {
            table: made.table.clone(),
            version: made.version.0,
            from: made.of.tables.clone(),
            difference: None,
            because: Some(format!("the project has no `{}` any more", made.node)),
        }));
        let numbers = releases.iter().map(|release| release.number.0).collect();
        Ok(Replayed { run: first.run.clone(), releases: numbers, tables })
    }

    /// When a run started: as its report says, or its first release.
    async fn started(&self, first: &Release) -> Result<DateTime<Utc>> {
        let report: Option<serde_json::Value> =
            self.tables.lake().read_json(&layout::run(&first.run)).await?;
        let said = report.as_ref().and_then(|report| parse_instant(report["started_at"].as_str()?));
        Ok(said.unwrap_or(first.at))
    }

    /// The tables that a run made of others.
    async fn made_by(&self, releases: &[Release]) -> Result<Vec<Made>> {
        let mut made = Vec::new();
        for summary in releases.iter().flat_map(|release| &release.tables) {
            let commits = history(&self.tables, &summary.table, summary.version, 1).await?;
            let Some(commit) = commits.first().filter(|commit| commit.version == summary.version) else {
                continue;
            };
            let text =
                |key: &str| commit.provenance.get(key).and_then(|value| value.as_str()).map(str::to_owned);
            let (Some(node), Some(of)) = (text("model"), made_of(commit)) else { continue };
            let (table, version) = (summary.table.clone(), summary.version);
            made.push(Made { table, version, node, fingerprint: text("fingerprint"), basis: None, of });
        }
        Ok(made)
    }

    /// Makes one table again, and compares; or says why it cannot.
    async fn replay_one(
        &self,
        made: &Made,
        id: &NodeId,
        of: &Replay<'_>,
        watch: &dyn Watch,
    ) -> std::result::Result<(Difference, Option<String>), String> {
        let Replay { manifest, before, after, started, staged } = *of;
        let node = manifest.node(id);
        let is_same = made.fingerprint.as_deref() == Some(node.fingerprint.as_str());
        // Another spelling of the same is no change.
        let is_said = || made.basis.as_ref().is_some_and(|basis| Code::of(node).has_made(basis));
        if !node.is_late && !is_same && !is_said() {
            return Err("its code has changed since, and not only in how it is spelled; check out the project as it was then".to_owned());
        }
        let mut pins = Pins { views: after.views.clone(), tables: made.of.tables.clone(), ..Pins::default() };
        pins.tables.remove(&made.table);
        if let Some(base) = made.version.0.checked_sub(1).map(TableVersion) {
            match before.tables.contains_key(&made.table) {
                true => drop(pins.tables.insert(made.table.clone(), base)),
                false => drop(pins.retired.insert(made.table.clone(), base)),
            }
        }
        let selected = BTreeSet::from([id.clone()]);
        let asked = Asked { all: true, ..Asked::default() };
        let plan = build::plan(manifest, &pins, &selected, asked, &Known::default(), &self.default_schema);
        let inputs = Inputs {
            manifest,
            plan: &plan,
            scope: self.scope_of(pins.clone()),
            landed: BTreeMap::new(),
            default_schema: &self.default_schema,
            threads: 1,
            publish: PublishMode::All,
            started,
            fail_fast: false,
            warnings_fail: false,
            publisher: None,
        };
        let done = Box::pin(build::run(inputs, watch)).await;
        let beyond = done.learnt.values().flat_map(|basis| &basis.beyond).next();
        let because = beyond.map(|on| format!("it depends on {on}"));
        staged.made(&done.changes);
        let Some(change) = done.changes.iter().find(|change| *change.table() == made.table) else {
            let failed = done.steps.iter().find_map(|step| match &step.verdict {
                super::Verdict::Broken(error) => Some(error.to_string()),
                _ => None,
            });
            return Err(failed.unwrap_or_else(|| "it gave no table".to_owned()));
        };
        pins.pin_table(&made.table, made.version);
        let compared = compare_staged(self, pins, change, made.version.0).await;
        compared.map(|difference| (difference, because)).map_err(|error| error.to_string())
    }
}
