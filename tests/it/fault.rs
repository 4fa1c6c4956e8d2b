//! A store that dies at its n-th call, for every n; what is promised is what a fresh process sees.

mod verbs;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use elt::base::{Error, Unwatched};
use elt::lake::Lake;
use elt::lakehouse::{BuildRequest, Lakehouse, PublishMode, Purpose};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::test_lake::{TestLake, rows_of, test_world, told};

/// An object store whose process dies at its n-th call: that call and all after it fail.
///
/// `after_effect` lets the fatal call do its work and fail only then, like a time-out.
#[derive(Debug)]
struct DyingStore {
    inner: Arc<InMemory>,
    calls_left: AtomicI64,
    after_effect: bool,
    dead: AtomicBool,
}

enum Breath {
    Alive,
    Last,
    None,
}

impl DyingStore {
    fn new(inner: &Arc<InMemory>, calls_left: i64, after_effect: bool) -> Arc<Self> {
        let (inner, calls_left) = (Arc::clone(inner), AtomicI64::new(calls_left));
        Arc::new(Self { inner, calls_left, after_effect, dead: AtomicBool::new(false) })
    }

    fn breathe(&self) -> Breath {
        if self.dead.load(Ordering::SeqCst) {
            return Breath::None;
        }
        match self.calls_left.fetch_sub(1, Ordering::SeqCst) {
            left if left > 0 => Breath::Alive,
            _ => {
                self.dead.store(true, Ordering::SeqCst);
                Breath::Last
            }
        }
    }

    fn died() -> object_store::Error {
        object_store::Error::Generic { store: "dying", source: "the process is dead".into() }
    }
}

impl fmt::Display for DyingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DyingStore")
    }
}

/// Does `$work` if the store lives; at its last breath only if it dies after the effect.
macro_rules! while_alive {
    ($store:expr, $work:expr) => {
        match $store.breathe() {
            Breath::Alive => $work,
            Breath::Last if $store.after_effect => {
                let _ = $work;
                Err(DyingStore::died())
            }
            _ => Err(DyingStore::died()),
        }
    };
}

#[async_trait]
impl ObjectStore for DyingStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        while_alive!(self, self.inner.put_opts(path, payload, options).await)
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        while_alive!(self, self.inner.put_multipart_opts(path, options).await)
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        while_alive!(self, self.inner.get_opts(path, options).await)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        while_alive!(self, self.inner.get_ranges(path, ranges).await)
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.breathe() {
            Breath::Alive => self.inner.delete_stream(paths),
            _ => futures::stream::once(async { Err(Self::died()) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.breathe() {
            Breath::Alive => self.inner.list(prefix),
            _ => futures::stream::once(async { Err(Self::died()) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        while_alive!(self, self.inner.list_with_delimiter(prefix).await)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        while_alive!(self, self.inner.copy_opts(from, to, options).await)
    }
}

/// A copy of everything a store holds.
async fn copy_of(store: &InMemory) -> Arc<InMemory> {
    Arc::new(store.fork())
}

fn lake_on(store: Arc<dyn ObjectStore>) -> Lake {
    Lake::on(store, "memory")
}

/// Two tables that must move together, a view, and an incremental model.
fn project() -> TestLake {
    let lake = TestLake::new();
    lake.write(
        "models/sources.yml",
        "
        sources:
          - name: crm
            tables:
              - name: people
                config: {location: 'inbox/people_*.csv'}
        ",
    );
    lake.write(
        "models/people.sql",
        "{{ config(materialized='table') }} select id, city from {{ source('crm', 'people') }}",
    );
    lake.write(
        "models/cities.sql",
        "{{ config(materialized='view') }} select city, count(*) as n from {{ ref('people') }} group by city",
    );
    lake.write(
        "models/log.sql",
        "
        {{ config(materialized='incremental', unique_key='id') }}
        select id, city, _load_id as load from {{ source('crm', 'people') }}
        {% if is_incremental() %} where _load_id > (select max(load) from {{ this }}) {% endif %}
        ",
    );
    lake.write("inbox/people_1.csv", "id,city\n1,Oslo\n2,Rome");
    lake
}

const SEEN: [&str; 3] = [
    "select id, city from people order by id, city",
    "select city, n from cities order by city",
    "select id, city from log order by id",
];

async fn seen(lakehouse: &Lakehouse) -> String {
    let mut all = Vec::new();
    for sql in SEEN {
        all.push(rows_of(lakehouse, sql).await);
    }
    all.join(" // ")
}

async fn build(lakehouse: &Lakehouse) -> Result<(), Error> {
    let request = BuildRequest { threads: Some(1), ..BuildRequest::default() };
    let built = Box::pin(lakehouse.build(&request, &Unwatched)).await?;
    assert!(built.is_well() || built.release.is_none());
    if built.is_well() { Ok(()) } else { Err(Error::user("test", told(&built), "")) }
}

async fn rollback(lakehouse: &Lakehouse) -> Result<(), Error> {
    Box::pin(lakehouse.roll_back(None, &Unwatched)).await.map(|_| ())
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    SecondBuild,
    Rollback,
}

/// A lake with one release, or for a rollback two; and the project as it is for the victim.
async fn before_the_murder(victim: Victim) -> (TestLake, Arc<InMemory>) {
    let project = project();
    let store = Arc::new(InMemory::new());
    build(&project.on(lake_on(store.clone()), 0)).await.unwrap();
    project.write("inbox/people_2.csv", "id,city\n2,Paris\n3,Lima");
    if victim == Victim::Rollback {
        build(&project.on(lake_on(store.clone()), 1)).await.unwrap();
    }
    (project, store)
}

async fn strike(victim: Victim, lakehouse: &Lakehouse) -> Result<(), Error> {
    match victim {
        Victim::SecondBuild => build(lakehouse).await,
        Victim::Rollback => rollback(lakehouse).await,
    }
}

async fn all_or_nothing_wherever_it_dies(victim: Victim, after_effect: bool) {
    let (project, before_store) = before_the_murder(victim).await;
    let before = seen(&project.on(lake_on(before_store.clone()), 5)).await;
    let rehearsal = copy_of(&before_store).await;
    let counting = DyingStore::new(&rehearsal, i64::MAX, after_effect);
    strike(victim, &project.on(lake_on(counting.clone()), 2)).await.unwrap();
    let calls = i64::MAX - counting.calls_left.load(Ordering::SeqCst);
    let after = seen(&project.on(lake_on(rehearsal), 5)).await;
    assert_ne!(before, after, "the victim changes what readers see, or the test shows nothing");
    assert!(calls > 20, "{calls} calls");

    // A build goes on where the dead one was; after a rollback it lands again what was taken back.
    let in_the_end = if victim == Victim::SecondBuild { &after } else { &before };
    let mut ends = [0, 0];
    for call in 0..calls {
        let store = copy_of(&before_store).await;
        let dying = DyingStore::new(&store, call, after_effect);
        // Its very last calls may be ones whose failure does not matter, such as keeping the run's report.
        let _ = strike(victim, &project.on(lake_on(dying), 2)).await;

        let fresh = project.on(lake_on(store.clone()), 3);
        let now = seen(&fresh).await;
        assert!(now == before || now == after, "killed at call {call} of {calls}, readers saw:\n{now}");
        ends[usize::from(now == after)] += 1;

        build(&fresh)
            .await
            .unwrap_or_else(|error| panic!("killed at call {call}, the next build failed: {error:?}"));
        let settled = seen(&project.on(lake_on(store.clone()), 4)).await;
        assert_eq!(settled, *in_the_end, "killed at call {call}, the next build published something else");
        assert!(heads_agree(&store).await, "killed at call {call}, the Delta heads are not what readers see");
    }
    // A rollback's last call is the seal: only a time-out can kill it after readers see the new state.
    let after_the_seal = victim == Victim::SecondBuild || after_effect;
    assert!(ends[0] > 0 && (ends[1] > 0) == after_the_seal, "deaths before the seal, and after: {ends:?}");
}

/// Whether the newest version of every Delta table is the one that the newest release pins.
async fn heads_agree(store: &Arc<InMemory>) -> bool {
    let lake = lake_on(store.clone());
    let release = elt::release::latest(&lake).await.unwrap().unwrap();
    let tables = elt::table::Tables::new(lake, test_world(9));
    for (table, version) in &release.pins.tables {
        if tables.head(table).await.unwrap() != Some(*version) {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn a_build_is_all_or_nothing_wherever_it_dies() {
    all_or_nothing_wherever_it_dies(Victim::SecondBuild, false).await;
}

#[tokio::test]
async fn a_build_is_all_or_nothing_wherever_its_store_times_out() {
    all_or_nothing_wherever_it_dies(Victim::SecondBuild, true).await;
}

#[tokio::test]
async fn a_rollback_is_all_or_nothing_wherever_it_dies() {
    all_or_nothing_wherever_it_dies(Victim::Rollback, false).await;
}

#[tokio::test]
async fn a_rollback_is_all_or_nothing_wherever_its_store_times_out() {
    all_or_nothing_wherever_it_dies(Victim::Rollback, true).await;
}

#[tokio::test]
async fn two_builds_at_once_are_one_release_and_one_refusal() {
    let (project, store) = before_the_murder(Victim::SecondBuild).await;
    let alone = copy_of(&store).await;
    build(&project.on(lake_on(alone.clone()), 1)).await.unwrap();
    let (one, other) = (project.on(lake_on(store.clone()), 1), project.on(lake_on(store.clone()), 2));
    let (a, b) = futures::join!(build(&one), build(&other));
    let refused: Vec<&Error> = [&a, &b].into_iter().filter_map(|result| result.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "{a:?} {b:?}");
    assert_eq!(refused[0].kind().exit_code(), 75, "{refused:?}");
    let fresh = project.on(lake_on(store.clone()), 3);
    assert_eq!(seen(&fresh).await, seen(&project.on(lake_on(alone), 3)).await);
    build(&fresh).await.unwrap();
    assert!(heads_agree(&store).await);
}

#[tokio::test]
async fn a_foreign_commit_in_the_middle_of_publishing_is_not_overwritten() {
    let (project, store) = before_the_murder(Victim::SecondBuild).await;
    let before = seen(&project.on(lake_on(store.clone()), 5)).await;
    // Die right after the release was prepared, then let another program take the place of one of its commits.
    let prepared = Path::from("_elt/prepared/00000000000000000002.json");
    let mut call = 0;
    loop {
        call += 1;
        let copy = copy_of(&store).await;
        let _ = build(&project.on(lake_on(DyingStore::new(&copy, call, false)), 2)).await;
        if copy.head(&prepared).await.is_err() {
            continue;
        }
        let foreign = Path::from("tables/main/people/_delta_log/00000000000000000001.json");
        assert!(copy.head(&foreign).await.is_err(), "it died before any table moved");
        let theirs = "{\"commitInfo\":{\"operation\":\"DELETE\",\"engineInfo\":\"another-engine:9\"}}\n";
        copy.put(&foreign, theirs.into()).await.unwrap();

        let error = build(&project.on(lake_on(copy.clone()), 3)).await.unwrap_err();

        assert_eq!(error.kind().exit_code(), 75);
        assert!(error.to_string().contains("another-engine:9"), "{error}");
        let fresh = project.on(lake_on(copy.clone()), 5);
        assert_eq!(seen(&fresh).await, before, "the half-published release was taken back");
        assert_eq!(copy.get(&foreign).await.unwrap().bytes().await.unwrap(), theirs);
        let releases = fresh.releases(10).await.unwrap();
        assert!(!releases[0].is_published() && releases[1].is_published());

        // Going to the release that readers see drops the foreign change; then all goes on.
        Box::pin(fresh.roll_back(Some(releases[1].number), &Unwatched)).await.unwrap();
        assert_eq!(seen(&fresh).await, before);
        build(&project.on(lake_on(copy.clone()), 4)).await.unwrap();
        assert!(heads_agree(&copy).await);
        break;
    }
}

/// Statements that write, each on a table whose rows are hidden, not copied, and that has two files.
const STATEMENTS: [&str; 10] = [
    "insert into t values (9, 'new')",
    "update t set word = upper(word) where n > 1",
    "delete from t where n = 2",
    "merge into t using (values (1, 'one'), (7, 'seven')) as s (n, word) on t.n = s.n
     when matched then update set * when not matched then insert * when not matched by source then delete",
    "optimize t",
    "restore table t to version as of 1",
    "alter table t add column more date",
    "create or replace table t as select n from t",
    "create table twin shallow clone t",
    "drop table t",
];

async fn shown(lakehouse: &Lakehouse) -> String {
    let mut all = Vec::new();
    for sql in ["select * from t order by n", "describe detail t", "show tables"] {
        all.push(rows_of(lakehouse, sql).await);
    }
    all.join(" // ")
}

async fn a_statement_is_all_or_nothing(after_effect: bool) {
    let project = TestLake::new();
    let before_store = Arc::new(InMemory::new());
    let start = project.on(lake_on(before_store.clone()), 0);
    for sql in [
        "create table t (n int, word string) tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read')",
        "insert into t values (1, 'a'), (2, 'b')",
        "insert into t values (3, 'c'), (4, null)",
    ] {
        assert!(!rows_of(&start, sql).await.is_empty());
    }
    let before = shown(&project.on(lake_on(before_store.clone()), 5)).await;
    for sql in STATEMENTS {
        let rehearsal = copy_of(&before_store).await;
        let counting = DyingStore::new(&rehearsal, i64::MAX, after_effect);
        let told = rows_of(&project.on(lake_on(counting.clone()), 2), sql).await;
        let calls = i64::MAX - counting.calls_left.load(Ordering::SeqCst);
        let after = shown(&project.on(lake_on(rehearsal), 5)).await;
        assert_ne!(before, after, "{sql} changes what readers see, or the test shows nothing: {told}");
        for call in 0..calls {
            let store = copy_of(&before_store).await;
            let dying = DyingStore::new(&store, call, after_effect);
            let _ = rows_of(&project.on(lake_on(dying), 2), sql).await;

            let fresh = project.on(lake_on(store.clone()), 5);
            let now = shown(&fresh).await;
            assert!(now == before || now == after, "{sql} killed at call {call} of {calls}:\n{now}");
            let next = rows_of(&fresh, "create table other as select 1 as one").await;
            assert!(next.starts_with("CREATE TABLE"), "{sql} killed at call {call}, then: {next}");
            let settled =
                shown(&project.on(lake_on(store.clone()), 5)).await.replace(" | main other table 0 1", "");
            let settled =
                settled.replace("main other table 0 1 | ", "").replace("main other table 0 1", "no rows");
            assert!(
                settled == before || settled == after,
                "{sql} killed at call {call} of {calls}, in the end:\\n{settled}\n{after}"
            );
            assert!(
                heads_agree(&store).await,
                "{sql} killed at call {call}: the Delta heads are not what readers see"
            );
        }
    }
}

#[tokio::test]
async fn a_statement_is_all_or_nothing_wherever_it_dies() {
    a_statement_is_all_or_nothing(false).await;
}

#[tokio::test]
async fn a_statement_is_all_or_nothing_wherever_its_store_times_out() {
    a_statement_is_all_or_nothing(true).await;
}

/// Kills a load at each storage call it makes; the next one completes it, and nothing is there twice.
#[tokio::test]
async fn a_load_leaves_nothing_or_all_and_the_next_completes_it() {
    let project = TestLake::new();
    project.write("inbox/a.csv", "id,city\n1,Oslo\n2\n3,Rome");
    let store = Arc::new(InMemory::new());
    let load = async |lakehouse: &Lakehouse| {
        Box::pin(lakehouse.land("crm.people", &["inbox".to_owned()], &Unwatched)).await.map(|_| ())
    };
    let seen = async |lakehouse: &Lakehouse| {
        let rows = rows_of(lakehouse, "select id, city from crm.people order by id").await;
        rows + " // " + &rows_of(lakehouse, "select line from crm.people__rejected").await
    };
    load(&project.on(lake_on(store.clone()), 0)).await.unwrap();
    project.write("inbox/b.csv", "id,city,age\n4,Lima,7\n5,Kyiv\n");
    let before = seen(&project.on(lake_on(store.clone()), 5)).await;
    let rehearsal = copy_of(&store).await;
    let counting = DyingStore::new(&rehearsal, i64::MAX, false);
    load(&project.on(lake_on(counting.clone()), 2)).await.unwrap();
    let calls = i64::MAX - counting.calls_left.load(Ordering::SeqCst);
    let after = seen(&project.on(lake_on(rehearsal), 5)).await;
    assert_eq!(after, "1 Oslo | 3 Rome | 4 Lima // 3 | 3");
    for call in 0..calls {
        let store = copy_of(&store).await;
        let _ = load(&project.on(lake_on(DyingStore::new(&store, call, false)), 2)).await;
        let now = seen(&project.on(lake_on(store.clone()), 5)).await;
        assert!(now == before || now == after, "killed at call {call} of {calls}, readers saw:\n{now}");
        load(&project.on(lake_on(store.clone()), 3)).await.unwrap();
        assert_eq!(seen(&project.on(lake_on(store.clone()), 4)).await, after, "killed at call {call}");
    }
}

/// A command that publishes piece by piece, on a project whose data has moved on since it was last run.
struct Piecemeal {
    purpose: Purpose,
    /// What readers see of each thing, in the order in which the things are made.
    seen: &'static [&'static str],
    /// Of the things, those that show what the one before them has: they change with it.
    together: &'static [usize],
}

const PIECEMEAL: [Piecemeal; 3] = [
    Piecemeal {
        purpose: Purpose::Run,
        seen: &[
            "select id, city from people order by id, city",
            "select city, n from cities order by city",
            "select id, city from log order by id, city",
            "select count(*) as n from (select distinct id from log)",
        ],
        together: &[1],
    },
    Piecemeal {
        purpose: Purpose::Seed,
        seen: &["select * from codes order by id", "select * from words order by id"],
        together: &[],
    },
    Piecemeal {
        purpose: Purpose::Snapshot,
        seen: &[
            "select id, name, dbt_valid_to is null as now from codes_then order by id, name, now",
            "select id, name, dbt_valid_to is null as now from words_then order by id, name, now",
        ],
        together: &[],
    },
];

impl Piecemeal {
    /// The project before, and as it is for the command.
    fn project(&self, is_later: bool) -> TestLake {
        let lake = project();
        // Rows that are only added would be there twice if a piece were published twice.
        lake.write(
            "models/log.sql",
            "
            {{ config(materialized='incremental') }}
            select id, city, _load_id as load from {{ source('crm', 'people') }}
            {% if is_incremental() %} where _load_id > (select max(load) from {{ this }}) {% endif %}
            ",
        );
        lake.write("models/log_of_today.sql", "select count(*) as n from {{ ref('log') }}");
        for name in ["codes", "words"] {
            let rows = if is_later { "1,eins\n3,drei" } else { "1,one\n2,two" };
            lake.write(&format!("seeds/{name}.csv"), &format!("id,name\n{rows}\n"));
            lake.write(
                &format!("snapshots/{name}.yml"),
                &format!(
                    "snapshots: [{{name: {name}_then, relation: \"ref('{name}')\", config: {{unique_key: id, \
                     strategy: check, check_cols: all, hard_deletes: invalidate}}}}]"
                ),
            );
        }
        lake.write("models/last.sql", "{{ config(materialized='table') }} select 1 as one");
        if is_later {
            lake.write("inbox/people_2.csv", "id,city\n2,Paris\n3,Lima");
        }
        lake
    }

    async fn go(&self, lakehouse: &Lakehouse) -> Result<(), Error> {
        let request = BuildRequest {
            purpose: self.purpose,
            publish: PublishMode::Each,
            pace: Some(Duration::ZERO),
            threads: Some(1),
            ..BuildRequest::default()
        };
        let built = Box::pin(lakehouse.build(&request, &Unwatched)).await?;
        if built.is_well() { Ok(()) } else { Err(Error::user("test", told(&built), "")) }
    }

    async fn seen(&self, lakehouse: &Lakehouse) -> Vec<String> {
        let mut all = Vec::new();
        for sql in self.seen {
            all.push(rows_of(lakehouse, sql).await);
        }
        all
    }

    /// A lake in which all is made once; for snapshots, what they look at has changed since.
    async fn before(&self) -> Arc<InMemory> {
        let store = Arc::new(InMemory::new());
        let project = self.project(false);
        build(&project.on(lake_on(store.clone()), 0)).await.unwrap();
        if self.purpose == Purpose::Snapshot {
            let seeds = BuildRequest { purpose: Purpose::Seed, full: true, ..BuildRequest::default() };
            let project = self.project(true);
            let lakehouse = project.on(lake_on(store.clone()), 1);
            assert!(Box::pin(lakehouse.build(&seeds, &Unwatched)).await.unwrap().is_well());
        }
        store
    }

    async fn leaves_whole_releases(&self, after_effect: bool) {
        let (project, before_store) = (self.project(true), self.before().await);
        let lakehouse = |store: &Arc<InMemory>, start| project.on(lake_on(store.clone()), start);
        let before = self.seen(&lakehouse(&before_store, 5)).await;
        let rehearsal = copy_of(&before_store).await;
        let counting = DyingStore::new(&rehearsal, i64::MAX, after_effect);
        self.go(&project.on(lake_on(counting.clone()), 2)).await.unwrap();
        let calls = i64::MAX - counting.calls_left.load(Ordering::SeqCst);
        let after = self.seen(&lakehouse(&rehearsal, 5)).await;
        let changes = before.iter().zip(&after).all(|(before, after)| before != after);
        assert!(changes, "all that is looked at changes, or the test shows nothing: {before:?} {after:?}");
        let mut half_done = 0;
        // Half of the calls say as much where the effect is there: each was tried without it.
        for call in (0..calls).step_by(1 + usize::from(after_effect)) {
            let store = copy_of(&before_store).await;
            let dying = DyingStore::new(&store, call, after_effect);
            let _ = self.go(&project.on(lake_on(dying), 2)).await;

            let fresh = lakehouse(&store, 3);
            let now = self.seen(&fresh).await;
            let at = format!("{:?} killed at call {call} of {calls}", self.purpose);
            let is_new: Vec<bool> = now.iter().zip(&after).map(|(now, after)| now == after).collect();
            for (place, seen) in now.iter().enumerate() {
                assert!(is_new[place] || *seen == before[place], "{at}, readers saw a half of it: {seen}");
            }
            for place in self.together {
                assert_eq!(is_new[*place], is_new[place - 1], "{at}, a view does not show what it reads");
            }
            half_done += usize::from(is_new.contains(&true) && is_new.contains(&false));

            self.go(&fresh).await.unwrap_or_else(|error| panic!("{at}, the next run failed: {error:?}"));
            assert_eq!(
                self.seen(&lakehouse(&store, 4)).await,
                after,
                "{at}, the next run made something else"
            );
            assert!(heads_agree(&store).await, "{at}, the Delta heads are not what readers see");
        }
        assert!(half_done > 0, "{:?} publishes piece by piece, so some deaths leave a part", self.purpose);
    }
}

#[tokio::test]
async fn a_run_that_publishes_piece_by_piece_leaves_whole_releases_wherever_it_dies() {
    PIECEMEAL[0].leaves_whole_releases(false).await;
}

#[tokio::test]
async fn a_run_that_publishes_piece_by_piece_leaves_whole_releases_wherever_its_store_times_out() {
    PIECEMEAL[0].leaves_whole_releases(true).await;
}

#[tokio::test]
async fn seeds_and_snapshots_leave_whole_releases_wherever_they_die() {
    for command in &PIECEMEAL[1..] {
        command.leaves_whole_releases(false).await;
        command.leaves_whole_releases(true).await;
    }
}
