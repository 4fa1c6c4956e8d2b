//! One verb for each thing a user can ask: the front door.
//!
//! A [`Lakehouse`] is a lake and, if there is one, the project that builds it. The command line, the
//! shell and embedding programs call the same verbs, so what they mean cannot drift apart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::base::{
    Diagnostic, Ending, Error, ErrorKind, Event, ReleaseNumber, Result, Step, TableName, Watch, World,
    grouped, parse_data_type,
};
use crate::build::{self, Inputs};
use crate::compile::{self, Facts, SourceNode, YamlRenderer};
use crate::lake::{Lake, LakeError, LakeLock, layout};
use crate::landing::{self, LandRequest, Landing, LandingError, ReadOptions};
use crate::project::{self, LoadOptions, Project};
use crate::query::{Limits, Scope};
use crate::release::{self, Goal, Pins, Proposal, Published, Recovered, ReleaseError, ReleaseKind};
use crate::table::{Change, TableError, Tables};

// What the doors need of the rooms below, so that they name only the front door.
pub use crate::build::{PublishMode, Sample, StepReport, Verdict, Visibility};
pub use crate::compile::{Manifest, Materialization, Node, NodeId, NodeKind, Selector};
pub use crate::landing::{FileAccount, FileOutcome, LandReport};
pub use crate::query::dialect::{Piece, Split, split};
pub use crate::query::{Outcome, QueryError, Session, SqlMistake};
pub use crate::release::Release;
pub use crate::table::Commit;

/// Where a lakehouse is found, and in which shape.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The folder to start from; the project is its nearest parent that is one.
    pub folder: PathBuf,
    /// The lake's folder, over what the project says.
    pub lake: Option<String>,
    /// The target of the profile to use.
    pub target: Option<String>,
    /// Where profiles.yml is.
    pub profiles_dir: Option<PathBuf>,
    /// `--vars`
    pub vars: BTreeMap<String, serde_json::Value>,
}

/// A lake, and the project that builds it, if there is one.
#[derive(Clone, Debug)]
pub struct Lakehouse {
    world: World,
    tables: Tables,
    project: Option<LoadOptions>,
    root: PathBuf,
    default_schema: String,
}

/// What to build, and how.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {
    /// Only these nodes and what their selectors add; all if empty.
    pub select: Vec<Selector>,
    /// Not these.
    pub exclude: Vec<Selector>,
    /// Make incremental models from the beginning.
    pub full_refresh: bool,
    /// What to publish if not everything is well.
    pub publish: PublishMode,
    /// Steps at once; nothing means as many as there are cores, 2 at least.
    pub threads: Option<usize>,
}

/// What a build did.
#[derive(Debug)]
pub struct Built {
    /// The run's id.
    pub run: String,
    /// What was wrong with the project without stopping it.
    pub warnings: Vec<Diagnostic>,
    /// What was landed, by source.
    pub landed: Vec<LandReport>,
    /// Landed tables that were not published, with why.
    pub held_back: BTreeMap<TableName, String>,
    /// What happened to each node.
    pub steps: Vec<StepReport>,
    /// The release that it became, if it became one.
    pub release: Option<Release>,
    /// The release that readers saw before.
    pub before: Option<ReleaseNumber>,
    /// How long it took.
    pub took: Duration,
}

/// What a load did.
#[derive(Debug, Serialize)]
pub struct Landed {
    /// What became of each file.
    pub report: LandReport,
    /// The release that it became; nothing if every file was known.
    pub release: Option<Release>,
}

/// A project, compiled for the lake as it is.
#[derive(Debug)]
pub struct Compiled {
    /// The project as written.
    pub project: Project,
    /// The project as it is meant.
    pub manifest: Manifest,
    /// What is wrong with it without stopping it.
    pub warnings: Vec<Diagnostic>,
}

impl OpenOptions {
    /// Reads `--vars`: a map in YAML, of which JSON is a part.
    pub fn read_vars(text: &str) -> Result<BTreeMap<String, serde_json::Value>> {
        project::read_vars(text).map_err(|error| {
            Error::user(
                "elt::vars",
                format!("`--vars` is not a map: {error}"),
                "write it as `--vars '{\"start\": \"2013-01-01\"}'`",
            )
        })
    }
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
        let folder = found.lake_folder(options)?;
        Ok(found.with(world, open(&folder)?))
    }

    /// The project of a folder on a given lake, wherever the project says its lake is.
    pub fn on(lake: Lake, options: &OpenOptions, world: World) -> Result<Self> {
        Ok(Found::from(options, &world)?.with(world, lake))
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
        let scope = Scope::of(self.tables.clone(), self.pins().await?);
        Ok(Session::new(scope, &self.default_schema, Limits::default()))
    }

    /// A session that sees release `number`, and goes on seeing it.
    pub async fn session_at(&self, number: ReleaseNumber) -> Result<Session> {
        let pins = release::release(self.tables.lake(), number).await?.pinned();
        Ok(Session::new(Scope::of(self.tables.clone(), pins), &self.default_schema, Limits::default()))
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
        self.compile_for(&pins, full_refresh, &self.world.id())
    }

    /// Reads and compiles the project, and picks nodes of it.
    pub async fn select(
        &self,
        include: &[Selector],
        exclude: &[Selector],
    ) -> Result<(Compiled, BTreeSet<NodeId>)> {
        let compiled = self.compile(false).await?;
        let selected = compile::select(&compiled.manifest, include, exclude)?;
        Ok((compiled, selected))
    }

    /// The commits of a table, newest first, up to the version that readers see.
    pub async fn history(&self, table: &str, limit: usize) -> Result<Vec<Commit>> {
        Ok(self.session().await?.history(table, limit).await?)
    }

    /// Loads files into a table and publishes that.
    ///
    /// `table` is a source's `source.table` name, or any `schema.table`. If the project declares it,
    /// its files are read as declared; `patterns` may then be empty for the declared location.
    pub async fn land(&self, table: &str, patterns: &[String], watch: &dyn Watch) -> Result<Landed> {
        let _lock = self.begin_writing("land", watch).await?;
        let pins = self.pins().await?;
        let request = self.land_request(&pins, table, patterns)?;
        let landing = self.land_one(&pins, request, watch).await?;
        watch.on(Event::Publishing);
        let proposal = Proposal {
            base: pins,
            accepted: BTreeMap::new(),
            kind: ReleaseKind::Land,
            run: landing.report.load.clone(),
            changes: landing.changes,
            views: BTreeMap::new(),
            goal: Goal::Keep,
        };
        let published = release::publish(&self.tables, &self.world, proposal).await?;
        Ok(Landed { report: landing.report, release: released(published) })
    }

    /// Lands what is new, builds and tests the selected nodes, and publishes them as one release.
    ///
    /// Nothing is visible to anyone before the end, and then all of it at once. Dropping the future is safe
    /// until [`Event::Publishing`].
    pub async fn build(&self, request: &BuildRequest, watch: &dyn Watch) -> Result<Built> {
        let begun = Instant::now();
        let _lock = self.begin_writing("build", watch).await?;
        let pins = self.pins().await?;
        let run = self.world.id();
        let Compiled { project, manifest, warnings } = self.compile_for(&pins, request.full_refresh, &run)?;
        let selected = compile::select(&manifest, &request.select, &request.exclude)?;
        if let Err(error) = build::write_compiled(&project.target_path, &manifest) {
            watch.on(Event::Note(format!("the compiled SQL was not written: {error}")));
        }
        let (scope, landed, reports) = self.land_sources(&pins, &manifest, &selected, watch).await?;
        let plan = build::plan(&manifest, &pins, &selected, request.full_refresh);
        let inputs = Inputs {
            manifest: &manifest,
            plan: &plan,
            scope,
            landed,
            default_schema: &self.default_schema,
            threads: request.threads.unwrap_or_else(cores),
            publish: request.publish,
        };
        let done = build::run(inputs, watch).await;
        watch.on(Event::Publishing);
        let before = pins.release;
        let proposal = Proposal {
            base: pins,
            accepted: BTreeMap::new(),
            kind: ReleaseKind::Build,
            run: run.clone(),
            changes: done.changes,
            views: done.views,
            goal: Goal::Keep,
        };
        let published = release::publish(&self.tables, &self.world, proposal).await?;
        let built = Built {
            run,
            warnings,
            landed: reports,
            held_back: done.held_back,
            steps: done.steps,
            release: released(published),
            before,
            took: begun.elapsed(),
        };
        self.record(&built).await;
        Ok(built)
    }

    /// Publishes a new release with the content of an earlier one; see [`release::roll_back`].
    pub async fn roll_back(&self, to: Option<ReleaseNumber>, watch: &dyn Watch) -> Result<Option<Release>> {
        let _lock = self.begin_writing("rollback", watch).await?;
        let pins = self.pins().await?;
        watch.on(Event::Publishing);
        let published = release::roll_back(&self.tables, &self.world, pins, to, self.world.id()).await?;
        Ok(released(published))
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
        let lock = self.tables.lake().lock(&self.world, what)?;
        if let Some(Recovered { release }) = release::recover(self.tables.lake()).await? {
            let how = if release.is_published() { "finished" } else { "abandoned" };
            watch.on(Event::Note(format!(
                "{how} release {} of run {}, which had died",
                release.number, release.run
            )));
        }
        Ok(lock)
    }

    fn load(&self) -> Result<(Project, Vec<Diagnostic>)> {
        let Some(options) = &self.project else {
            return Err(Error::user(
                "elt::no_project",
                format!("{} is not in a project", self.root.display()),
                "a project is a folder with `models/`; `elt init NAME` makes one that works at once",
            ));
        };
        let (project, found) = project::load(options, &YamlRenderer::new());
        match project {
            Some(project) => Ok((project, found)),
            None => Err(Error::project(found)),
        }
    }

    fn compile_for(&self, pins: &Pins, full_refresh: bool, run: &str) -> Result<Compiled> {
        let (project, mut found) = self.load()?;
        let facts = Facts {
            existing: pins.tables.keys().cloned().collect(),
            full_refresh,
            run_id: run.to_owned(),
            run_started_at: self.world.now(),
            env: Arc::clone(&self.world.env),
        };
        let (manifest, more) = compile::compile(&project, &facts);
        found.extend(more);
        if found.iter().any(Diagnostic::is_error) {
            return Err(Error::project(found));
        }
        Ok(Compiled { project, manifest, warnings: found })
    }

    /// Lands the declared files of every source that a selected node needs.
    async fn land_sources(
        &self,
        pins: &Pins,
        manifest: &Manifest,
        selected: &BTreeSet<NodeId>,
        watch: &dyn Watch,
    ) -> Result<(Scope, BTreeMap<TableName, Vec<Arc<Change>>>, Vec<LandReport>)> {
        let mut scope = Scope::of(self.tables.clone(), pins.clone());
        let (mut landed, mut reports) = (BTreeMap::new(), Vec::new());
        let needed = |source: &NodeId| {
            selected.contains(source)
                || manifest.descendants(source).iter().any(|below| selected.contains(below))
        };
        for node in manifest.nodes.values() {
            let NodeKind::Source(source) = &node.kind else { continue };
            if source.landing.is_none() || !needed(&node.id) {
                continue;
            }
            let request = declared_request(&self.root, node, source, &[])?;
            let landing = self.land_one(pins, request, watch).await?;
            let changes: Vec<Arc<Change>> = landing.changes.into_iter().map(Arc::new).collect();
            for change in &changes {
                scope = scope.with_change(Arc::clone(change));
            }
            if !changes.is_empty() {
                landed.insert(landing.report.table.clone(), changes);
            }
            reports.push(landing.report);
        }
        Ok((scope, landed, reports))
    }

    async fn land_one(&self, pins: &Pins, request: LandRequest, watch: &dyn Watch) -> Result<Landing> {
        let step = Step { kind: "land".to_owned(), name: request.table.to_string() };
        watch.on(Event::Started(step.clone()));
        let begun = Instant::now();
        let base = self.head(pins, &request.table).await?;
        let rejects = request.table.companion("rejected").map_err(LandingError::from)?;
        let rejected = self.head(pins, &rejects).await?;
        let landed = landing::land(&self.tables, &self.world, request, base, rejected).await;
        let (ending, detail) = match &landed {
            Ok(landing) => land_words(&landing.report),
            Err(error) => (Ending::Failed, error.to_string()),
        };
        watch.on(Event::Finished { step, ending, detail, took: begun.elapsed() });
        Ok(landed?)
    }

    /// A table as elt left it, whether readers see it or not.
    async fn head(&self, pins: &Pins, table: &TableName) -> Result<Option<Arc<crate::table::Snapshot>>> {
        match pins.head(table) {
            Some(version) => Ok(Some(self.tables.snapshot(table, version).await?)),
            None => Ok(None),
        }
    }

    fn land_request(&self, pins: &Pins, table: &str, patterns: &[String]) -> Result<LandRequest> {
        let here = std::path::absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        if self.has_project() {
            let Compiled { manifest, .. } = self.compile_for(pins, false, "land")?;
            for node in manifest.nodes.values() {
                if node.materialization().is_some()
                    && node.relation.as_ref().is_some_and(|name| name.to_string() == table)
                {
                    return Err(not_for_landing(table, "a model makes it"));
                }
                if let NodeKind::Source(source) = &node.kind
                    && (format!("{}.{}", source.source, source.table) == table
                        || node.relation.as_ref().is_some_and(|name| name.to_string() == table))
                {
                    return declared_request(&here, node, source, patterns);
                }
            }
        }
        let name = table.parse::<TableName>().map_err(|error| {
            Error::user(
                "elt::land::name",
                error.to_string(),
                "name the table as `source.table`, for example `crm.people`",
            )
        })?;
        if name.table().ends_with("__rejected")
            || ["information_schema", "elt", "_elt"].contains(&name.schema())
        {
            return Err(not_for_landing(table, "its name is elt's own"));
        }
        if pins.views.contains_key(&name) {
            return Err(not_for_landing(table, "it is a view"));
        }
        if patterns.is_empty() {
            return Err(Error::user(
                "elt::land::no_files",
                format!("no files are given, and the project declares no location for `{name}`"),
                format!("write `elt land {name} FILES…`, or give the source a `location`"),
            ));
        }
        Ok(LandRequest {
            table: name,
            root: here,
            patterns: patterns.to_vec(),
            options: ReadOptions::default(),
            declared: Vec::new(),
            on_change: landing::OnChange::Report,
        })
    }

    /// Keeps the run's report in the lake. What readers see does not depend on it.
    async fn record(&self, built: &Built) {
        let steps: Vec<serde_json::Value> = built.steps.iter().map(step_json).collect();
        let document = serde_json::json!({
            "run": built.run,
            "release": built.release.as_ref().map(|release| release.number),
            "landed": built.landed,
            "results": steps,
            "elapsed_seconds": built.took.as_secs_f64(),
        });
        let bytes = serde_json::to_vec_pretty(&document).expect("reports are plain data");
        if let Err(error) = self.tables.lake().put(&layout::run(&built.run), bytes).await {
            tracing::warn!("the report of run {} was not kept: {error}", built.run);
        }
    }
}

impl Built {
    /// Whether every step ended well.
    pub fn is_well(&self) -> bool {
        !self.steps.iter().any(|step| step.verdict.is_bad())
    }
}

/// One step of a report, as tools read it.
pub fn step_json(step: &StepReport) -> serde_json::Value {
    let (failures, message) = match &step.verdict {
        Verdict::Warned(sample) | Verdict::Failed(sample) => {
            (Some(sample.failures), Some(sample.count_words()))
        }
        Verdict::Broken(error) => (None, Some(error.to_string())),
        Verdict::Skipped { because } => (None, Some(format!("`{because}` failed"))),
        _ => (None, None),
    };
    let effect = if let Verdict::Made(effect) = &step.verdict { Some(effect) } else { None };
    serde_json::json!({
        "unique_id": step.node.to_string(),
        "name": step.name,
        "action": step.action,
        "status": step.verdict.status(),
        "visibility": step.visibility,
        "failures": failures,
        "message": message,
        "rows": effect,
        "place": step.place,
        "execution_time": step.took.as_secs_f64(),
    })
}

/// A lakehouse whose lake is not open yet.
struct Found {
    project: Option<LoadOptions>,
    loaded: Option<Project>,
    root: PathBuf,
}

impl Found {
    fn from(options: &OpenOptions, world: &World) -> Result<Self> {
        let folder = std::path::absolute(&options.folder).map_err(|error| {
            Error::user(
                "elt::folder",
                format!("{}: {error}", options.folder.display()),
                "give a folder that exists",
            )
        })?;
        let root = project::find_root(&folder);
        let load = root.clone().map(|root| LoadOptions {
            root,
            target: options.target.clone(),
            profiles_dir: options.profiles_dir.clone(),
            vars: options.vars.clone(),
            env: Arc::clone(&world.env),
        });
        let loaded = load.as_ref().and_then(|load| project::load(load, &YamlRenderer::new()).0);
        Ok(Self { project: load, loaded, root: root.unwrap_or(folder) })
    }

    /// The lake's folder: as asked for, as the profile says, or `lake` in the root.
    fn lake_folder(&self, options: &OpenOptions) -> Result<PathBuf> {
        let declared = self.loaded.as_ref().and_then(|project| project.target.lake.clone());
        let (lake, from) = match (&options.lake, declared) {
            (Some(lake), _) => (lake.clone(), options.folder.clone()),
            (None, Some(lake)) => (lake, self.root.clone()),
            (None, None) => ("lake".to_owned(), self.root.clone()),
        };
        let path = lake.strip_prefix("file://").unwrap_or(&lake);
        if path.contains("://") {
            let because = "object stores are not supported yet; a lake is a folder".to_owned();
            return Err(LakeError::CannotOpen { url: lake, because }.into());
        }
        Ok(from.join(path))
    }

    fn with(self, world: World, lake: Lake) -> Lakehouse {
        let schema = self.loaded.map_or_else(|| "main".to_owned(), |project| project.target.schema);
        Lakehouse {
            tables: Tables::new(lake, world.clone()),
            world,
            project: self.project,
            root: self.root,
            default_schema: schema,
        }
    }
}

/// How a declared source's files are read.
fn declared_request(
    root: &Path,
    node: &compile::Node,
    source: &SourceNode,
    patterns: &[String],
) -> Result<LandRequest> {
    let landing = source.landing.as_ref();
    let name = node.relation.clone().expect("a source has a table");
    let patterns = match (patterns, landing) {
        ([], Some(landing)) => landing.location.clone(),
        ([], None) => {
            let what = format!(
                "no files are given, and source `{}.{}` has no location",
                source.source, source.table
            );
            let help =
                format!("write `elt land {name} FILES…`, or add `config: {{location: …}}` to the source");
            return Err(Diagnostic::error("elt::land::no_files", what)
                .at(&node.at, "no location")
                .help(help)
                .into());
        }
        (given, _) => given.to_vec(),
    };
    let declared: Vec<_> = node
        .columns
        .iter()
        .filter_map(|column| Some((column.name.clone(), parse_data_type(column.data_type.as_deref()?)?)))
        .collect();
    let usual = ReadOptions::default();
    let options = ReadOptions {
        format: landing.and_then(|landing| landing.format.clone()),
        delimiter: landing.and_then(|landing| landing.delimiter),
        header: landing.and_then(|landing| landing.header).unwrap_or(usual.header),
        null_values: landing.and_then(|landing| landing.null_values.clone()).unwrap_or(usual.null_values),
        declared: declared.iter().map(|(name, _)| name.clone()).collect(),
    };
    let on_change = match landing.map(|landing| landing.on_change).unwrap_or_default() {
        project::OnChange::Report => landing::OnChange::Report,
        project::OnChange::Reload => landing::OnChange::Reload,
        project::OnChange::Fail => landing::OnChange::Fail,
    };
    Ok(LandRequest { table: name, root: root.to_owned(), patterns, options, declared, on_change })
}

fn not_for_landing(table: &str, because: &str) -> Error {
    Error::user(
        "elt::land::not_a_source",
        format!("files cannot be landed in `{table}`: {because}"),
        "land them in a table of their own, `elt land source.table FILES…`, and read that in a model",
    )
}

/// A load in few words: `2 files: read 10, loaded 8, rescued 1, rejected 1; 3 known`.
fn land_words(report: &LandReport) -> (Ending, String) {
    let sum = |of: fn(&landing::FileAccount) -> u64| grouped(report.accounts().map(of).sum());
    let files = report.accounts().count();
    let mut words = Vec::new();
    if files > 0 {
        let noun = if files == 1 { "file" } else { "files" };
        words.push(format!(
            "{files} {noun}: read {}, loaded {}, rescued {}, rejected {}",
            sum(|account| account.read),
            sum(|account| account.loaded),
            sum(|account| account.rescued),
            sum(|account| account.rejected)
        ));
    }
    let count = |is: fn(&FileOutcome) -> bool| report.files.iter().filter(|file| is(file)).count();
    let known = count(|file| matches!(file, FileOutcome::Skipped { .. }));
    let empty = count(|file| matches!(file, FileOutcome::Empty { .. }));
    let counts = [(known, "already loaded"), (empty, "empty")];
    words
        .extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
    let changed: Vec<&str> = report.changed().collect();
    if !changed.is_empty() {
        let files = changed.join(", ");
        words.push(format!(
            "changed since loaded, left as it is (`on_change: reload` would take it): {files}"
        ));
    }
    if words.is_empty() {
        words.push("no files".to_owned());
    }
    let bad = |account: &landing::FileAccount| account.rescued + account.rejected > 0;
    let warn = !changed.is_empty() || report.accounts().any(bad) || report.files.is_empty();
    (if warn { Ending::Warned } else { Ending::Done }, words.join("; "))
}

fn released(published: Published) -> Option<Release> {
    match published {
        Published::Release(release) => Some(*release),
        Published::Nothing => None,
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}

/// Makes a room's error the front door's, with the kind that it has there.
macro_rules! at_the_front_door {
    ($($error:ty),* $(,)?) => { $(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::new(error.kind(), error)
            }
        }
    )* };
}

at_the_front_door!(LakeError, TableError, ReleaseError, LandingError);

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        let kind: ErrorKind = error.kind();
        match error {
            QueryError::Sql(mistake) => {
                let diagnostic = Diagnostic::error(mistake.code(), mistake.message().to_owned());
                Self::new(kind, diagnostic.maybe_help(mistake.help_text().map(str::to_owned)))
            }
            other => Self::new(kind, other),
        }
    }
}
