//! How long does it take?
//!
//! To land raw files, to build and test the bundled project, to ask its largest table, to begin a
//! session, to publish. Run `cargo bench`, or `cargo bench query` for a part.
//!
//! The data is the twelve months of flights beside the checkout, if they are there, or else the three
//! that are bundled; `ELT_BENCH_DATA=folder` names another folder of `flights_2013-*.csv.gz`.
//! `query` asks elt and DataFusion's own listing of the same Parquet files the same questions: the one
//! number divided by the other is what tables, versions and releases cost a reader.

#![allow(clippy::print_stderr, reason = "a bench says what it measures")]

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use divan::Bencher;
use divan::counter::ItemsCount;
use elt::base::{Clock, Ids, TableName, Unwatched, World};
use elt::lakehouse::{BuildRequest, Built, Lakehouse, Landed, OpenOptions, Session};
use elt::release::{self, Goal, Learnt, Proposal, ReleaseKind};
use elt::table::{Change, write};
use tempfile::TempDir;

/// The one that the program itself has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Runtime::new().expect("threads can be started"));

/// The project, built once, for whatever only reads.
static NYC: LazyLock<Project> = LazyLock::new(|| {
    let project = Project::fresh();
    project.build();
    project
});

fn main() {
    eprintln!("flights: {} files of {}", flights().len(), data().display());
    divan::main();
}

/// Reads the months' files into a table of a new lake, and publishes that.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn land(bencher: Bencher) {
    let rows: u64 = Project::fresh().land().report.accounts().map(|account| account.loaded).sum();
    bencher
        .counter(ItemsCount::new(rows))
        .with_inputs(Project::fresh)
        .bench_local_refs(|project| project.land());
}

mod build {
    use super::*;

    /// Lands everything, makes every model, asks every test, publishes: all from an empty folder.
    #[divan::bench(sample_count = 3, sample_size = 1)]
    fn from_raw_files(bencher: Bencher) {
        bencher.with_inputs(Project::fresh).bench_local_refs(|project| project.build());
    }

    /// The same when no file is new: tables and views are made again, incremental models have nothing to add.
    #[divan::bench(sample_count = 3, sample_size = 1)]
    fn again(bencher: Bencher) {
        let project = Project::fresh();
        project.build();
        bencher.bench_local(|| project.build());
    }
}

mod query {
    use super::*;

    #[divan::bench(args = READERS, sample_count = 50, sample_size = 1)]
    fn count(bencher: Bencher, reader: &Reader) {
        asked(bencher, *reader, "select count(*) from fct_flights");
    }

    /// Counts with a condition, so that the footers' counts are no answer.
    #[divan::bench(args = READERS, sample_count = 50, sample_size = 1)]
    fn count_late(bencher: Bencher, reader: &Reader) {
        asked(bencher, *reader, "select count(*) from fct_flights where departure_delay_minutes > 60");
    }

    #[divan::bench(args = READERS, sample_count = 50, sample_size = 1)]
    fn group_by(bencher: Bencher, reader: &Reader) {
        asked(
            bencher,
            *reader,
            "select carrier, status, count(*) as flights, avg(arrival_delay_minutes) as late
             from fct_flights group by carrier, status order by flights desc",
        );
    }
}

mod session {
    use super::*;

    /// A session of a lakehouse that is open.
    #[divan::bench(sample_count = 50, sample_size = 1)]
    fn next(bencher: Bencher) {
        let lakehouse = NYC.open();
        bencher.bench_local(|| wait(lakehouse.session()).expect("the lake has a release"));
    }

    /// What a new process does before its first question.
    #[divan::bench(sample_count = 50, sample_size = 1)]
    fn first(bencher: Bencher) {
        bencher.bench_local(|| wait(NYC.open().session()).expect("the lake has a release"));
    }
}

/// Makes one row visible in each of so many tables. Writing the rows is not counted.
#[divan::bench(args = [1, 10, 50], sample_count = 20, sample_size = 1)]
fn publish(bencher: Bencher, tables: u32) {
    let project = Project::fresh();
    let lakehouse = project.open();
    bencher.with_inputs(|| wait(one_row_each(&lakehouse, tables))).bench_local_values(|proposal| {
        let published = wait(release::publish(lakehouse.tables(), lakehouse.world(), proposal));
        published.expect("nobody else writes")
    });
}

/// The bundled project in a folder of its own, with the flights to measure.
struct Project {
    folder: TempDir,
}

impl Project {
    fn fresh() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let home = Path::new(env!("CARGO_MANIFEST_DIR"));
        for part in ["dbt_project.yml", "models", "sql/project", BUNDLED] {
            copy(&home.join(part), &folder.path().join(part));
        }
        let inbox = folder.path().join(BUNDLED);
        for month in flights_of(&inbox) {
            fs::remove_file(month).expect("it was just copied");
        }
        for month in flights() {
            copy(&month, &inbox.join(month.file_name().expect("it is a file")));
        }
        Self { folder }
    }

    fn open(&self) -> Lakehouse {
        let options = OpenOptions { folder: self.folder.path().to_owned(), ..OpenOptions::default() };
        Lakehouse::create(&options, world()).expect("the folder can be written to")
    }

    fn land(&self) -> Landed {
        wait(self.open().land("nyc.flights", &[], &Unwatched)).expect("the flights are in order")
    }

    fn build(&self) -> Built {
        let built =
            wait(self.open().build(&BuildRequest { full: true, ..BuildRequest::default() }, &Unwatched))
                .expect("the project is in order");
        let bad = built.steps.iter().filter(|step| step.verdict.is_bad());
        assert!(built.is_well(), "not well: {:?}", bad.map(|step| &step.name).collect::<Vec<_>>());
        built
    }

    fn session(&self) -> Session {
        wait(self.open().session()).expect("the lake can be read")
    }
}

/// Who answers.
#[derive(Clone, Copy)]
enum Reader {
    Elt,
    PlainParquet,
}

const READERS: [Reader; 2] = [Reader::Elt, Reader::PlainParquet];

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elt => "elt",
            Self::PlainParquet => "plain Parquet",
        })
    }
}

/// Plans and answers a question, in a session that has begun.
fn asked(bencher: Bencher, reader: Reader, sql: &str) {
    let rows =
        |batches: Vec<arrow::array::RecordBatch>| batches.iter().map(|batch| batch.num_rows()).sum::<usize>();
    let session = NYC.session();
    let by_elt = || rows(wait(async { session.query(sql).await?.collect().await }).expect("a fair question"));
    let plain = wait(parquet_of("main/fct_flights"));
    let by_datafusion =
        || rows(wait(async { plain.sql(sql).await?.collect().await }).expect("a fair question"));
    assert_eq!(by_elt(), by_datafusion(), "both see the same table");
    match reader {
        Reader::Elt => bencher.bench_local(by_elt),
        Reader::PlainParquet => bencher.bench_local(by_datafusion),
    }
}

/// DataFusion with nothing but the files of a table that has one version.
async fn parquet_of(table: &str) -> SessionContext {
    let folder = NYC.folder.path().join("lake/tables").join(table);
    let context = SessionContext::new();
    let files = format!("{}/*.parquet", folder.display());
    context
        .register_parquet("fct_flights", files, ParquetReadOptions::default())
        .await
        .expect("the files are there");
    context
}

/// A release to be: one more row in each of so many tables.
async fn one_row_each(lakehouse: &Lakehouse, count: u32) -> Proposal {
    let tables = lakehouse.tables();
    let newest = release::latest(tables.lake()).await.expect("the lake can be read");
    let base = newest.map(|release| release.pinned()).unwrap_or_default();
    let session = lakehouse.session().await.expect("the lake can be read");
    let mut changes: Vec<Change> = Vec::new();
    for number in 0..count {
        let table = TableName::new("ticks", &format!("t{number}")).expect("a plain name");
        let snapshot = match base.head(&table) {
            Some(version) => Some(tables.snapshot(&table, version).await.expect("it was just published")),
            None => None,
        };
        let row = session.query("select 1 as n").await.expect("a fair question").into_stream();
        let change = write::append(tables, &table, snapshot, row, write::NewColumns::Fail).await;
        changes.push(change.expect("the folder can be written to"));
    }
    Proposal {
        base,
        read: BTreeMap::new(),
        accepted: BTreeMap::new(),
        kind: ReleaseKind::Land,
        run: lakehouse.world().id(),
        changes,
        views: BTreeMap::new(),
        learnt: Learnt::default(),
        goal: Goal::Keep,
    }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.block_on(Box::pin(work))
}

/// Where the project's data is, below its root.
const BUNDLED: &str = "tests/data/nycflights13";

/// The folder whose flights are measured.
fn data() -> PathBuf {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let year = home.with_file_name("shared").join("data/nycflights13");
    let asked = std::env::var_os("ELT_BENCH_DATA").map(PathBuf::from);
    asked.or_else(|| year.is_dir().then_some(year)).unwrap_or_else(|| home.join(BUNDLED))
}

fn flights() -> Vec<PathBuf> {
    let months = flights_of(&data());
    assert!(!months.is_empty(), "no flights_*.csv or .csv.gz in {}", data().display());
    months
}

fn flights_of(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let is_month =
        |name: &str| name.starts_with("flights_") && (name.ends_with(".csv.gz") || name.ends_with(".csv"));
    let files = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_month));
    let mut months: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
    months.sort();
    months
}

/// Copies a file, or a folder and all in it.
fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).expect("the checkout is whole").flatten() {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
        return;
    }
    fs::create_dir_all(to.parent().expect("it is below the folder")).expect("the folder can be written to");
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// The real time, and ids that count: measurements need no chance.
fn world() -> World {
    static NEXT: AtomicU64 = AtomicU64::new(0);

    struct WallClock;
    impl Clock for WallClock {
        #[expect(clippy::disallowed_methods, reason = "here the real time comes in")]
        fn now(&self) -> DateTime<Utc> {
            Utc::now()
        }
    }

    struct CountedIds;
    impl Ids for CountedIds {
        fn next(&self) -> String {
            format!("id-{:08}", NEXT.fetch_add(1, Ordering::Relaxed))
        }
    }

    World {
        clock: Arc::new(WallClock),
        ids: Arc::new(CountedIds),
        env: Arc::new(BTreeMap::new()),
        user: "bench".to_owned(),
        host: "bench".to_owned(),
        pid: std::process::id(),
    }
}
