//! One verb for each thing a user can ask: the front door.
//!
//! A [`Lakehouse`] is a lake and, if there is one, the project that builds it. The command line, the
//! shell and embedding programs call the same verbs, so what they mean cannot drift apart.
//!
//! Here: the verbs. Beside it: how a lakehouse is found ([`OpenOptions`]), what the verbs are asked and
//! what they answer ([`BuildRequest`], [`Built`], [`Landed`]), and how declared files are landed.

mod before;
mod check;
mod copy;
mod defer;
mod deps;
mod described;
mod diff;
mod doctor;
mod document;
mod environment;
mod errors;
mod freshness;
mod hooks;
mod ingest;
mod keys;
mod known;
mod land;
mod lineage;
mod main_job;
mod maintain;
mod open;
mod openlineage;
mod operation;
mod plan;
mod portions;
mod promote;
mod recorder;
mod replay;
mod report;
mod roles;
mod runs;
mod schedule;
mod sources;
mod statement;
mod storage;
mod study;
mod telemetry;
mod transaction;
mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::{
    Diagnostic, Division, Error, Event, NullOrder, ReleaseNumber, Result, Span, Strictness, Unsaid, Watch,
    World,
};
use crate::build;
use crate::compile::{self, Facts, YamlRenderer};
use crate::lake::{Lake, LakeError, LakeLock};
use crate::packages;
use crate::project::{self, LoadOptions, Project};
use crate::query::{Limits, Scope};
use crate::release::{self, Pins, Published, Recovered};
use crate::table::Tables;
use open::{Found, Place};

pub use before::{Before, Listed, listed};
pub use check::Checked;
pub use defer::{CloneRequest, Cloned, Defer};
pub use deps::{Deps, DepsRequest};
pub use described::{Declared, Described};
pub use diff::{
    ChangedRow, ColumnDifference, DiffRequest, Difference, ReleaseDifference, Reviewer, RowChange,
};
pub use doctor::Finding;
pub use document::{DOCS, DocumentRequest, Documented, SITE_FILES};
pub use freshness::Age;
pub use ingest::Rows;
pub use keys::TableKey;
pub use known::{DESCRIPTION, Known};
pub use land::LandOrder;
pub use lineage::{LineageEdge, LineageGraph, LineageNode, LineageRequest};
pub use maintain::{Maintained, Maintenance};
pub use open::OpenOptions;
pub use open::{WrittenFlags, written_flags};
pub use operation::Operated;
pub use promote::{PromoteRequest, Promoted};
pub use replay::{Replayed, ReplayedTable};
pub use report::{
    BuildRequest, Built, Compiled, GoesOn, Kinds, Landed, Planned, PlannedNode, Purpose, step_json,
};
pub use roles::rights_of;
pub use runs::{LastRun, RunsSeen};
pub(crate) use schedule::gone_since;
pub use schedule::{Attendant, Remembered, ScheduleNews, Scheduled, ScheduledRun};
pub use storage::{Storage, TableStorage};
pub use study::{INLINE, Studied, StudyRequest, Unfinished};
pub use transaction::Transaction;
pub use users::is_password_of;

// What the doors need of the rooms below, so that they name only the front door.
pub use crate::build::{Action, PublishMode, Reason, Sample, StepReport, Verdict, Visibility};
pub use crate::compile::{
    DBT_VERSION, Earlier, Indirect, Manifest, Materialization, Node, NodeId, NodeKind,
    Sample as SampleWindow, Selector,
};
pub use crate::landing::discover::FileStamp;
pub use crate::landing::{FileAccount, FileOutcome, LandOptions, LandReport, Portion};
pub use crate::packages::{
    InstallReport, InstalledPackage, NewPackage, Origin, PackageState, post_json_again, post_json_once,
};
pub use crate::project::{Catchup, Role, RoleLimits, RoleRights, Schedule, USERS_FILE, User};
pub use crate::query::dialect::{Piece, Split, split};
pub use crate::query::{
    Dealt, Files, GivenUp, IfAbsent, IfThere, Outcome, Prepared, Progress, QueryError, Rights, Seen, Session,
    SqlMistake, Statement, StatementKind, bound, bound_rows, interval_texts, shown_variable, time_zone,
};
#[cfg(feature = "postgres")]
pub use crate::query::{PG_VERSION, PgAsker, PgBackend, PgBackends, PgCatalog, PgKey, is_idle, pg_settings};
pub use crate::release::Release;
pub use crate::table::Commit;

/// A lake, and the project that builds it, if there is one.
#[derive(Clone, Debug)]
pub struct Lakehouse {
    world: World,
    tables: Tables,
    project: Option<LoadOptions>,
    root: PathBuf,
    default_schema: String,
    unsaid: Unsaid,
    strictness: Strictness,
    no_artifacts: bool,
    reads_all: bool,
    checks_version: bool,
    target_path: Option<PathBuf>,
    invocation: Option<String>,
}

/// How a session sees the lake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Manner {
    /// The release; the newest if nothing.
    pub release: Option<ReleaseNumber>,
    /// The schema of names without one; the lakehouse's own if nothing.
    pub schema: Option<String>,
    /// The time zone that instants are told in, one that [`time_zone`] gave; UTC if nothing.
    pub time_zone: Option<String>,
    /// Whether files outside the lake can be read by name.
    pub files: Files,
    /// What `/` gives of whole numbers; as the project's profile has it if nothing.
    pub division: Option<Division>,
    /// Where nulls are among sorted rows; as the project's profile has it if nothing.
    pub nulls: Option<NullOrder>,
    /// Bytes of memory that a statement may take; nothing means what all of them share.
    pub memory: Option<usize>,
}

impl Lakehouse {
    /// Opens the lakehouse that a folder is in. Makes nothing; a lake that is not there is empty.
    pub fn open(options: &OpenOptions, world: World) -> Result<Self> {
        Self::at(options, world, Lake::open)
    }

    /// Opens the lakehouse that a folder is in to write to it, and makes the lake if it is not there.
    pub fn create(options: &OpenOptions, world: World) -> Result<Self> {
        Self::at(options, world, Lake::create)
    }

    fn at(
        options: &OpenOptions,
        world: World,
        open: impl Fn(&Path) -> Result<Lake, LakeError>,
    ) -> Result<Self> {
        let found = Found::from(options, &world)?;
        let lake = match found.place(options) {
            Place::Folder(folder) => open(&folder)?,
            Place::Url(url) => Lake::at(&url, &world.env)?,
        };
        Ok(found.with(world, lake))
    }

    /// The project of a folder on a given lake, wherever the project says its lake is.
    pub fn on(lake: Lake, options: &OpenOptions, world: World) -> Result<Self> {
        Ok(Found::from(options, &world)?.with(world, lake))
    }

    /// The same lakehouse with its lake, which is made if it is not there; nothing if it is there already.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn with_lake(&self) -> Result<Option<Self>> {
        if !self.tables.lake().is_absent() {
            return Ok(None);
        }
        let tables = Tables::new(self.tables.lake().made()?, self.world.clone());
        Ok(Some(Self { tables, ..self.clone() }))
    }

    /// The lake's tables.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Whether there is a project.
    pub fn has_project(&self) -> bool {
        self.project.is_some()
    }

    /// The folder that relative paths start from: the project's root, if there is one.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The time, the ids and the environment that it works with.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// A session that sees the newest release, and goes on seeing it.
    pub async fn session(&self) -> Result<Session> {
        let scope = self.scope_of(self.pins().await?);
        Ok(Session::new(scope, &self.default_schema, Limits::default()))
    }

    /// The same session of the newest release; nothing if that is the one it reads.
    pub async fn newer(&self, session: &Session) -> Result<Option<Session>> {
        let pins = self.pins().await?;
        Ok((pins.release != session.scope().pins().release).then(|| session.of(pins)))
    }

    /// A session that sees release `number`, and goes on seeing it.
    pub async fn session_at(&self, number: ReleaseNumber) -> Result<Session> {
        let pins = release::release(self.tables.lake(), number).await?.pinned();
        Ok(Session::new(self.scope_of(pins), &self.default_schema, Limits::default()))
    }

    /// A session that is as its user wants it, of the newest release or of one that was asked for.
    ///
    /// With `rights` it sees what they cover; without, everything.
    pub async fn session_as(&self, manner: &Manner, rights: Option<Arc<Rights>>) -> Result<Session> {
        let pins = match manner.release {
            Some(number) => release::release(self.tables.lake(), number).await?.pinned(),
            None => self.pins().await?,
        };
        let schema = manner.schema.as_deref().unwrap_or(&self.default_schema);
        let limits = Limits { files: manner.files, memory: manner.memory, ..Limits::default() };
        let scope = self.scope_of(pins).for_rights(rights);
        let own = scope.unsaid();
        let scope = scope.meant_by(Unsaid {
            division: manner.division.unwrap_or(own.division),
            nulls: manner.nulls.unwrap_or(own.nulls),
        });
        Ok(Session::new(scope, schema, limits).in_zone(manner.time_zone.as_deref()))
    }

    /// What a release shows to the project.
    fn scope_of(&self, pins: Pins) -> Scope {
        Scope::of(self.tables.clone(), pins).meant_by(self.unsaid)
    }

    /// Whether the project's target is an environment beside production, which it reads instead of making everything.
    ///
    /// # Errors
    /// What is wrong with the project.
    pub fn is_environment(&self) -> Result<bool> {
        Ok(self.load()?.0.target.production.is_some())
    }

    /// The schema of names that are written without one.
    pub fn default_schema(&self) -> &str {
        &self.default_schema
    }

    /// The sealed releases, newest first.
    pub async fn releases(&self, limit: usize) -> Result<Vec<Release>> {
        Ok(release::list(self.tables.lake(), limit).await?)
    }

    /// Reads and compiles the project.
    ///
    /// # Errors
    /// All its mistakes at once.
    pub async fn compile(&self, full_refresh: bool) -> Result<Compiled> {
        let pins = self.pins().await?;
        self.compile_for(&pins, full_refresh, &self.run_id())
    }

    /// Reads and compiles the project, and picks nodes of it, exposures, metrics and the like among them.
    pub async fn select(
        &self,
        include: &[Selector],
        exclude: &[Selector],
        earlier: &Earlier,
    ) -> Result<(Compiled, BTreeSet<NodeId>)> {
        let mut compiled = self.compile(false).await?;
        let earlier = self.compared(earlier, &compiled.project);
        let pins = self.pins().await?;
        let (facts, selectors) = (self.facts(&pins, &self.run_id()), include.iter().chain(exclude));
        let production = compiled.project.target.production.as_deref();
        let earlier = Box::pin(self.against_release(earlier, production, &facts, &pins, selectors)).await?;
        let selected = compile::select_with_documents(&compiled.manifest, include, exclude, &earlier)?;
        let unmatched = compile::unmatched(&compiled.manifest, include, exclude, &earlier);
        compiled.warnings.extend(self.judged(unmatched)?);
        Ok((compiled, selected))
    }

    /// The commits of a table, newest first, up to the version that readers see.
    pub async fn history(&self, table: &str, limit: usize) -> Result<Vec<Commit>> {
        Ok(self.session().await?.history(table, limit).await?)
    }

    /// Publishes a new release with the content of an earlier one; see [`release::roll_back`].
    pub async fn roll_back(&self, to: Option<ReleaseNumber>, watch: &dyn Watch) -> Result<Option<Release>> {
        self.roll_back_within(to, Duration::ZERO, watch).await
    }

    /// The same, and waits for up to `patience` while another process writes to the lake.
    pub async fn roll_back_within(
        &self,
        to: Option<ReleaseNumber>,
        patience: Duration,
        watch: &dyn Watch,
    ) -> Result<Option<Release>> {
        let _lock = self.begin_writing_within(patience, "rollback", watch).await?;
        let pins = self.pins().await?;
        watch.on(Event::Publishing);
        let (teller, before) = (self.teller(), pins.clone());
        let published = match release::roll_back(&self.tables, &self.world, pins, to, self.world.id()).await {
            Ok(published) => published,
            Err(error) => {
                let error = Error::from(error);
                self.tell_not_moved(teller.as_ref(), "rollback", &error).await;
                return Err(error);
            }
        };
        let release = released(published);
        if let Some(release) = &release {
            let moved = release.pins.moved_since(&before).into_iter().map(|name| (None, name));
            self.tell_moved(teller.as_ref(), "rollback", &moved.collect::<Vec<_>>(), &before, release).await;
        }
        Ok(release)
    }

    /// Deletes the artifacts that elt made for the project, and says which. The lake is not touched.
    pub fn clean(&self) -> Result<Vec<PathBuf>> {
        let target = self.load()?.0.target_path;
        build::clean(&target).map_err(|error| {
            Error::user(
                "elt::clean",
                format!("cannot clean {}: {error}", target.display()),
                "delete it by hand",
            )
        })
    }

    /// What readers see now.
    async fn pins(&self) -> Result<Pins> {
        Ok(release::latest(self.tables.lake()).await?.map(|release| release.pinned()).unwrap_or_default())
    }

    /// Takes the writer's place and finishes what a writer before may have left.
    async fn begin_writing(&self, what: &str, watch: &dyn Watch) -> Result<LakeLock> {
        self.begin_writing_within(Duration::ZERO, what, watch).await
    }

    /// The same, and waits for up to `patience` while another process has the writer's place. Loads wait for each other,
    /// because a load is short and its files are not another's.
    async fn begin_writing_within(
        &self,
        patience: Duration,
        what: &str,
        watch: &dyn Watch,
    ) -> Result<LakeLock> {
        self.tables.lake().check_writable().await?;
        let (begun, mut told) = (Instant::now(), false);
        let lock = loop {
            match self.tables.lake().lock(&self.world, what) {
                Err(LakeError::Locked { holder })
                    if begun.elapsed() < patience
                        || [what, holder.what.as_str()] == ["land"; 2] && begun.elapsed() < A_LOAD =>
                {
                    if !std::mem::replace(&mut told, true) {
                        watch.on(Event::Note(format!("waiting for {holder}")));
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                taken => break taken?,
            }
        };
        if let Some(Recovered { release }) = release::recover(self.tables.lake()).await? {
            let how = if release.is_published() { "finished" } else { "abandoned" };
            watch.on(Event::Note(format!(
                "{how} release {} of run {}, which had died",
                release.number, release.run
            )));
        }
        self.bury(watch).await?;
        Ok(lock)
    }

    /// The project, read and not compiled: nothing of the lake is asked for it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn project(&self) -> Result<Project> {
        Ok(self.load()?.0)
    }

    fn load(&self) -> Result<(Project, Vec<Diagnostic>)> {
        let Some(options) = &self.project else {
            return Err(self.no_project());
        };
        let (project, mut found) = project::load(options, &YamlRenderer::new());
        if self.checks_version {
            let required = project.iter().flat_map(|project| &project.requires_dbt);
            found.extend(required.filter_map(|(package, bound, at)| unmet(package, bound, at)));
        }
        match project {
            Some(project) => Ok((project, found)),
            None => Err(Error::project(found)),
        }
    }

    /// Refuses to tell of a folder that is in no project and is no lake, as if there were nothing to tell.
    ///
    /// # Errors
    /// `elt::no_project`.
    pub fn check_there(&self) -> Result<()> {
        match self.project.is_none() && self.tables.lake().is_absent() {
            true => Err(self.no_project()),
            false => Ok(()),
        }
    }

    fn no_project(&self) -> Error {
        Error::user(
            "elt::no_project",
            format!("{} is not in a project", self.root.display()),
            "a project is a folder with `models/`; `elt init NAME` makes one that works at once",
        )
    }

    fn facts(&self, pins: &Pins, run: &str) -> Facts {
        Facts {
            existing: pins.tables.keys().cloned().collect(),
            full_refresh: false,
            store_failures: false,
            empty: false,
            sample: None,
            command: "compile".to_owned(),
            event_time_start: None,
            event_time_end: None,
            batches: BTreeMap::new(),
            deferred: BTreeMap::new(),
            run_id: run.to_owned(),
            run_started_at: self.world.now(),
            entry: build::manifest_entry,
            env: Arc::clone(&self.world.env),
        }
    }

    fn compile_for(&self, pins: &Pins, full_refresh: bool, run: &str) -> Result<Compiled> {
        self.compile_with(&Facts { full_refresh, ..self.facts(pins, run) })
    }

    fn compile_with(&self, facts: &Facts) -> Result<Compiled> {
        let (project, mut found) = self.load()?;
        // Without its packages nothing in a project is what it seems: one mistake is told, not its echoes.
        if found.iter().any(|one| one.stable_code() == "elt::package_not_found") {
            found.retain(Diagnostic::is_error);
            return Err(Error::project(found));
        }
        let (manifest, more) = compile::compile(&project, facts);
        found.extend(more);
        let warnings = self.judged(found)?;
        Ok(Compiled { project, manifest, warnings })
    }

    /// What is left to tell of what was found, if there is no mistake among it.
    fn judged(&self, found: Vec<Diagnostic>) -> Result<Vec<Diagnostic>> {
        let found = self.strictness.judge(found);
        match found.iter().any(Diagnostic::is_error) {
            true => Err(Error::project(found)),
            false => Ok(found),
        }
    }

    /// Reads and compiles the project to list what it holds, and remembers that for the next time.
    pub async fn list(&self) -> Result<Compiled> {
        let began = self.world.now();
        let compiled = self.compile(false).await?;
        self.remember(&compiled, began, false).await?;
        Ok(compiled)
    }

    /// Whether a folder is the one that artifacts go to, so that a state in it is gone with the next run.
    pub fn is_target_path(&self, folder: &Path) -> bool {
        let same = |target: &PathBuf| match (target.canonicalize(), folder.canonicalize()) {
            (Ok(target), Ok(folder)) => target == folder,
            _ => false,
        };
        self.target_path.as_ref().is_some_and(same)
    }

    /// Whether a warning of this code is a mistake to whoever asks.
    pub fn is_mistake(&self, code: &str) -> bool {
        self.strictness.is_mistake(code)
    }

    /// The id of a run that begins.
    fn run_id(&self) -> String {
        self.invocation.clone().unwrap_or_else(|| self.world.id())
    }

    fn write_artifact(
        &self,
        target: &Path,
        name: &str,
        artifact: &impl serde::Serialize,
    ) -> std::io::Result<()> {
        if self.no_artifacts { Ok(()) } else { build::write_artifact(target, name, artifact) }
    }
}

/// What there is to say of a package that needs another version of dbt than the one whose projects are built here.
fn unmet(package: &str, bound: &str, at: &Span) -> Option<Diagnostic> {
    let what = match packages::is_within(DBT_VERSION, bound) {
        Ok(true) => return None,
        Ok(false) => format!(
            "This version of dbt is not supported with the '{package}' package: it needs dbt {bound}, and elt builds projects of dbt {DBT_VERSION}"
        ),
        Err(why) => why,
    };
    let told = Diagnostic::error("elt::dbt_version", what).at(at, "needed here");
    Some(told.help("take another version of the package, or give `--no-version-check`"))
}

/// How often a process that waits for the writer's place looks whether it is free.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long one load waits for others.
const A_LOAD: Duration = Duration::from_mins(30);

fn released(published: Published) -> Option<Release> {
    match published {
        Published::Release(release) => Some(*release),
        Published::Nothing => None,
    }
}
