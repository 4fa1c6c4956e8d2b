//! A lake and a project in a temporary folder, with a clock that is moved and ids that are counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use elt::base::{Clock, Error, Ids, ReleaseNumber, Unwatched, World};
use elt::lake::Lake;
use elt::lakehouse::{
    BuildRequest, Built, Lakehouse, LandOrder, Landed, OpenOptions, PromoteRequest, PublishMode, Verdict,
    Visibility,
};
use elt::landing::FileOutcome;

/// A clock that moves one second each time it is asked.
pub(crate) struct SteppingClock(AtomicI64);

impl Clock for SteppingClock {
    fn now(&self) -> DateTime<Utc> {
        let second = self.0.fetch_add(1, Ordering::Relaxed);
        DateTime::from_timestamp(1_767_225_600 + second, 0).expect("tests end before the sun does")
    }
}

/// Ids that count: `id-0001`, `id-0002`, …
pub(crate) struct CountedIds(AtomicU64);

impl Ids for CountedIds {
    fn next(&self) -> String {
        format!("id-{:04}", self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A world in which nothing wobbles. `start` keeps two of them apart.
pub(crate) fn test_world(start: u32) -> World {
    World {
        clock: Arc::new(SteppingClock(AtomicI64::new(i64::from(start) * 3600))),
        ids: Arc::new(CountedIds(AtomicU64::new(u64::from(start) * 1000))),
        env: Arc::new(BTreeMap::new()),
        user: "tester".into(),
        host: "testhost".into(),
        pid: std::process::id(),
    }
}

/// Where lakes are instead of beside their project, if it is set: `s3://bucket`.
const BUCKET: &str = "ELT_TEST_BUCKET";

/// A project in a temporary folder, its lake, and a transcript of what was done.
pub(crate) struct TestLake {
    folder: Arc<tempfile::TempDir>,
    options: OpenOptions,
    world: World,
    transcript: Mutex<String>,
}

impl TestLake {
    /// An empty folder, and a lake in it or in the bucket that the environment names.
    #[expect(clippy::disallowed_methods, reason = "tests have no other door to the environment")]
    pub(crate) fn new() -> Self {
        let mut lake = Self::on_disk();
        if let Ok(bucket) = std::env::var(BUCKET) {
            let own = lake.path().file_name().expect("a temporary folder has a name").display();
            lake.options.lake = Some(format!("{bucket}/{own}"));
            lake.world.env = Arc::new(std::env::vars().filter(|(key, _)| key.starts_with("AWS_")).collect());
        }
        lake
    }

    /// An empty folder for a lake whose files are looked at.
    pub(crate) fn on_disk() -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder can be made"));
        let options = OpenOptions { folder: folder.path().to_owned(), ..OpenOptions::default() };
        let lake = Self { folder, options, world: test_world(0), transcript: Mutex::default() };
        lake.write("dbt_project.yml", "name: test\n");
        lake
    }

    /// Sets a variable of the environment.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        Arc::make_mut(&mut self.world.env).insert(name.to_owned(), value.to_owned());
    }

    /// Turns to a target of the profile.
    pub(crate) fn target(&mut self, name: &str) {
        self.options.target = Some(name.to_owned());
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the files of a Delta table are.
    pub(crate) fn table_folder(&self, name: &str) -> PathBuf {
        self.path().join("lake/tables").join(name.replace('.', "/"))
    }

    /// Writes a file of the project; indentation common to all lines is taken off.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let full = self.path().join(path);
        std::fs::create_dir_all(full.parent().expect("project files are in the folder")).unwrap();
        std::fs::write(full, unindented(text)).unwrap();
    }

    /// The lakehouse as a new process would open it.
    pub(crate) fn open(&self) -> Lakehouse {
        Lakehouse::create(&self.options, self.world.clone()).unwrap()
    }

    /// The same with another clock.
    pub(crate) fn open_at(&self, clock: Arc<dyn Clock>) -> Lakehouse {
        let world = World { clock, ..self.world.clone() };
        Lakehouse::create(&self.options, world).unwrap()
    }

    /// The project on another object store.
    pub(crate) fn on(&self, lake: Lake, start: u32) -> Lakehouse {
        Lakehouse::on(lake, &self.options, test_world(start)).unwrap()
    }

    /// Builds everything, up to date or not, and writes down what was said.
    pub(crate) async fn build(&self) -> Built {
        self.build_with(&BuildRequest { full: true, ..BuildRequest::default() }).await
    }

    /// Builds what has to be built, as `elt build` does, and writes down what was said.
    pub(crate) async fn build_due(&self) -> Built {
        self.build_with(&BuildRequest::default()).await
    }

    /// Builds as asked, and writes down what was said.
    pub(crate) async fn build_with(&self, request: &BuildRequest) -> Built {
        self.try_build(request).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// Writes down what a build would do, without what is up to date; and checks that looking touched nothing.
    pub(crate) async fn plan(&self) {
        let lakehouse = self.open();
        let before = self.all_files();
        let planned = Box::pin(lakehouse.plan(&BuildRequest::default())).await;
        let planned = planned.unwrap_or_else(|error| panic!("{error:?}"));
        let steps = planned.steps.iter().filter(|step| step.action.is_some());
        let steps: Vec<String> =
            steps.map(|step| format!("plan: {} {}\n", step.name, step.because)).collect();
        let rest = planned.steps.len() - steps.len();
        self.say(&format!("{}plan: {rest} up to date\n", steps.concat()));
        assert_eq!(self.all_files(), before, "a plan touches nothing");
    }

    /// Builds and publishes what passes.
    pub(crate) async fn build_passing(&self) -> Built {
        let publish = PublishMode::Passing;
        self.build_with(&BuildRequest { publish, full: true, ..BuildRequest::default() }).await
    }

    /// Builds as asked.
    pub(crate) async fn try_build(&self, request: &BuildRequest) -> Result<Built, Error> {
        let request = BuildRequest { threads: Some(1), ..request.clone() };
        let built = Box::pin(self.open().build(&request, &Unwatched)).await;
        match &built {
            Ok(built) => self.say(&told(built)),
            Err(error) => self.say(&format!("build: {error}\n")),
        }
        built
    }

    /// Lands text as a file of the folder `inbox`.
    pub(crate) async fn land(&self, table: &str, file: &str, text: &str) {
        self.write(&format!("inbox/{file}"), text);
        self.land_as(table, &[&format!("inbox/{file}")], &[]).await;
    }

    /// Lands files with options.
    pub(crate) async fn land_as(&self, table: &str, files: &[&str], options: &[(&str, &str)]) {
        self.order(table, files, options, false).await;
    }

    /// Tells what landing files would do.
    pub(crate) async fn validate(&self, table: &str, files: &[&str]) {
        self.order(table, files, &[], true).await;
    }

    async fn order(&self, table: &str, files: &[&str], options: &[(&str, &str)], dry_run: bool) {
        match self.try_land(table, files, options, dry_run).await {
            Ok(Landed { report, release }) => {
                let mut told = format!("land: {}  {}", report.table, files_told(&report.files));
                for column in &report.added {
                    let _ = write!(told, "  +{} {}", column.name, column.data_type);
                }
                for column in &report.widened {
                    let _ = write!(told, "  {} {} -> {}", column.name, column.from, column.to);
                }
                let release = release.map(|release| format!("release {}", release.number));
                let nothing = if dry_run { "dry run" } else { "nothing new" };
                let _ = writeln!(told, "  {}", release.as_deref().unwrap_or(nothing));
                for reject in report.first_rejects.iter().filter(|_| dry_run) {
                    let _ = writeln!(told, "      {reject}");
                }
                self.say(&told);
            }
            Err(error) => self.say(&format!("land: {error}\n")),
        }
    }

    /// Lands files with options, and says nothing.
    pub(crate) async fn try_land(
        &self,
        table: &str,
        files: &[&str],
        options: &[(&str, &str)],
        dry_run: bool,
    ) -> Result<Landed, Error> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let order = LandOrder {
            table: table.to_owned(),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
            options: options.iter().map(owned).collect(),
            dry_run,
            ..LandOrder::default()
        };
        Box::pin(self.open().land_files(&order, &Unwatched)).await
    }

    /// Writes bytes as they are.
    pub(crate) fn write_bytes(&self, path: &str, bytes: &[u8]) {
        let full = self.path().join(path);
        std::fs::create_dir_all(full.parent().expect("project files are in the folder")).unwrap();
        std::fs::write(full, bytes).unwrap();
    }

    /// Writes a line of one's own into the transcript.
    pub(crate) fn note(&self, line: &str) {
        self.say(&format!("{line}\n"));
    }

    /// Every file of the lake, with its size; none if it is in a store elsewhere.
    pub(crate) fn all_files(&self) -> Vec<(PathBuf, u64)> {
        let lake = self.path().join("lake");
        let (mut files, mut folders) = (Vec::new(), if lake.is_dir() { vec![lake] } else { vec![] });
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.metadata().unwrap() {
                    meta if meta.is_dir() => folders.push(entry.path()),
                    meta => files.push((entry.path(), meta.len())),
                }
            }
        }
        files.sort();
        files
    }

    /// Goes back, and writes down to what.
    pub(crate) async fn roll_back(&self, to: Option<u64>) {
        let rolled = Box::pin(self.open().roll_back(to.map(ReleaseNumber), &Unwatched)).await;
        self.say(&match rolled {
            Ok(Some(release)) => format!("rollback: release {} ({})\n", release.number, release.kind_words()),
            Ok(None) => "rollback: nothing to do\n".to_owned(),
            Err(error) => format!("rollback: {error}\n"),
        });
    }

    /// Promotes an environment, and writes down what became of it.
    pub(crate) async fn promote(&self, name: &str) {
        self.promote_as(PromoteRequest { environment: name.to_owned(), ..PromoteRequest::default() }).await;
    }

    /// Promotes as asked, and writes down what became of it.
    pub(crate) async fn promote_as(&self, request: PromoteRequest) {
        let promoted = Box::pin(self.open().promote(&request, None, &Unwatched)).await;
        self.say(&match promoted {
            Ok(promoted) => {
                let names: Vec<String> =
                    promoted.names.iter().map(|(from, to)| format!("{from} > {to}")).collect();
                let release = promoted
                    .release
                    .map(|release| format!("release {} ({})", release.number, release.kind_words()));
                format!("promote: {} {}\n", release.unwrap_or_else(|| "nothing".into()), names.join(", "))
            }
            Err(error) => format!("promote: {error}\n"),
        });
    }

    /// Maintains all tables, or asks what is due, and writes it down.
    pub(crate) async fn maintain(&self, dry_run: bool) {
        let done = Box::pin(self.open().maintain(None, dry_run, &Unwatched)).await.unwrap();
        let actions = done.done.iter().map(|done| format!("{} {} {}", done.action, done.table, done.detail));
        let actions: Vec<String> = actions.collect();
        self.say(&format!(
            "maintain: {}\n",
            if actions.is_empty() { "nothing".to_owned() } else { actions.join(", ") }
        ));
    }

    /// Asks for rows, and writes them down: `1 Oslo | 2 Rome`.
    pub(crate) async fn sql(&self, sql: &str) {
        let rows = self.rows(sql).await;
        self.say(&format!("sql: {rows}\n"));
    }

    /// The rows of a query in one line, or what was wrong with it.
    pub(crate) async fn rows(&self, sql: &str) -> String {
        rows_of(&self.open(), sql).await
    }

    /// The transcript so far; it begins anew.
    pub(crate) fn story(&self) -> String {
        std::mem::take(&mut *self.transcript.lock().unwrap())
    }

    fn say(&self, line: &str) {
        self.transcript.lock().unwrap().push_str(line);
    }
}

/// The rows of a statement in one line, or what was wrong with it.
pub(crate) async fn rows_of(lakehouse: &Lakehouse, sql: &str) -> String {
    let answered = async {
        let session = lakehouse.session().await?;
        let (outcome, _) = Box::pin(lakehouse.execute(&session, sql)).await?;
        Ok::<_, Error>(outcome.collect().await?)
    };
    match answered.await {
        Err(error) => error.to_string(),
        Ok(batches) => {
            let rows: Vec<String> = cells(&batches).iter().map(|row| row.join(" ")).collect();
            if rows.is_empty() { "no rows".to_owned() } else { rows.join(" | ") }
        }
    }
}

/// Every value as text, row by row; `-` is null.
pub(crate) fn cells(batches: &[arrow::array::RecordBatch]) -> Vec<Vec<String>> {
    let options = arrow::util::display::FormatOptions::default().with_null("-");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|c| arrow::util::display::ArrayFormatter::try_new(c, &options).unwrap())
            .collect();
        let row = |row: usize| columns.iter().map(|c| c.value(row).to_string()).collect();
        rows.extend((0..batch.num_rows()).map(row));
    }
    rows
}

/// What a build did, one line a thing, without times.
pub(crate) fn told(built: &Built) -> String {
    let mut text = String::new();
    for report in &built.landed {
        let _ = writeln!(text, "build: landed {}  {}", report.table, files_told(&report.files));
    }
    for step in &built.steps {
        let what = match &step.verdict {
            Verdict::Made(effect) => format!("{} ({effect})", step.action),
            Verdict::Passed => "pass".to_owned(),
            Verdict::Warned(sample) => format!("warn {}", sample.count_words()),
            Verdict::Failed(sample) => {
                let from: Vec<String> =
                    sample.origins.iter().map(|o| format!(" {}:{}", o.file, o.line)).collect();
                format!("FAIL {}{}", sample.count_words(), from.join(""))
            }
            Verdict::Partly(_, error) => format!("SOME BATCHES FAILED {error}"),
            Verdict::Broken(error) => format!("ERROR {error}"),
            Verdict::Skipped { because } => format!("skipped, `{because}` failed"),
        };
        let seen = match &step.visibility {
            Visibility::NotPublished { because } => format!("  NOT PUBLISHED: {because}"),
            _ => String::new(),
        };
        let _ = writeln!(text, "build: {} {what}{seen}", step.name);
    }
    if !built.up_to_date.is_empty() {
        let _ = writeln!(text, "build: up to date: {}", built.up_to_date.join(", "));
    }
    let release =
        built.release.as_ref().map_or("no release".into(), |release| format!("release {}", release.number));
    let _ = writeln!(text, "build: {release}");
    text
}

fn files_told(files: &[FileOutcome]) -> String {
    let told = files.iter().map(|file| match file {
        FileOutcome::Loaded(a) | FileOutcome::Reloaded(a) => {
            format!("read {} loaded {} rescued {} rejected {}", a.read, a.loaded, a.rescued, a.rejected)
        }
        FileOutcome::Skipped { .. } => "known".to_owned(),
        FileOutcome::Changed { path } => format!("changed: {path}"),
        FileOutcome::Copy { of, .. } => format!("copy of {of}"),
        FileOutcome::Empty { .. } => "empty".to_owned(),
        FileOutcome::Failed { error, .. } => format!("failed: {error}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

fn unindented(text: &str) -> String {
    let lines: Vec<&str> = text.strip_prefix('\n').unwrap_or(text).lines().collect();
    let indents =
        lines.iter().filter(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start().len());
    let common = indents.min().unwrap_or(0);
    let cut: Vec<&str> = lines.iter().map(|line| line.get(common..).unwrap_or("").trim_end()).collect();
    format!("{}\n", cut.join("\n").trim_end())
}
