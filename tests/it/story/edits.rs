//! Rows are inserted, updated, deleted and merged by statements, whichever way files are written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use elt::base::{TableName, TableVersion};
use elt::lake::Lake;
use elt::lakehouse::{Lakehouse, Session};
use elt::table::{DataFile, Tables};
use insta::assert_snapshot;
use object_store::memory::InMemory;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::test_lake::{TestLake, cells};

/// Orders, as a table that statements may change.
async fn shop() -> TestLake {
    let lake = TestLake::new();
    lake.sql(
        "create table orders (id bigint not null, city string, n int check (n > 0)) comment 'what was sold'",
    )
    .await;
    lake.sql("insert into orders values (1, 'Oslo', 3), (2, 'Rome', 5), (3, null, 7)").await;
    lake
}

#[tokio::test]
async fn rows_by_name_and_several_values_at_once() {
    let lake = shop().await;
    lake.sql("insert into orders by name select 9 as n, 4 as id").await;
    lake.sql("insert into orders by name select 1 as n, 5 as id, 6 as what").await;
    lake.sql("update orders set (n, city) = (n + 1, 'Bonn') where id = 4").await;
    lake.sql("update orders set (n, city) = (select max(o.n) + orders.id, 'most' from orders o where o.id <> orders.id) where id <= 2").await;
    lake.sql("update orders set (n, city) = (1, 'x', 2)").await;
    lake.sql("update orders set (n, n) = (1, 2)").await;
    lake.sql("select * from orders order by id").await;
    lake.sql("create table moments (at timestamp, day date, n bigint)").await;
    lake.sql("insert into moments values (5, null, 1)").await;
    lake.sql("insert into moments values (null, null, date '2024-01-01')").await;
    lake.sql("insert into moments values (timestamp '2024-01-01', date '2024-01-01', null)").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 3 0 0 2
    sql: INSERT 1 0 0 3
    sql: `main.orders` has no column `what`
    sql: UPDATE 0 1 0 4
    sql: UPDATE 0 2 0 5
    sql: 3 values for 2 columns
    sql: `n` is set twice
    sql: 1 most 11 | 2 most 12 | 3 - 7 | 4 Bonn 10
    sql: CREATE TABLE 0 0 0 6
    sql: a value does not fit column `at`: it is bigint in the rows and timestamp in the table; say in the query what is meant
    sql: a value does not fit column `n`: it is date in the rows and bigint in the table; say in the query what is meant
    sql: INSERT 1 0 0 7
    ");
}

#[tokio::test]
async fn a_statement_that_writes_is_a_release() {
    let lake = shop().await;
    lake.sql("update orders set n = n + 1, city = upper(city) where id < 3").await;
    lake.sql("delete from orders where city is null").await;
    lake.sql("insert into orders (n, id) values (9, 4)").await;
    lake.sql("select * from orders order by id").await;
    lake.sql("select * from orders version as of 1 order by id").await;
    lake.sql("restore table orders to version as of 1").await;
    lake.sql("select count(*), sum(n) from orders").await;
    lake.sql("truncate table orders").await;
    lake.sql("select count(*) from orders").await;
    lake.roll_back(None).await;
    lake.sql("select count(*) from orders").await;
    lake.sql("drop table orders").await;
    lake.sql("select * from orders").await;
    lake.sql("undrop table orders").await;
    lake.sql("select count(*) from orders").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 3 0 0 2
    sql: UPDATE 0 2 0 3
    sql: DELETE 0 0 1 4
    sql: INSERT 1 0 0 5
    sql: 1 OSLO 4 | 2 ROME 6 | 4 - 9
    sql: 1 Oslo 3 | 2 Rome 5 | 3 - 7
    sql: RESTORE 3 0 3 6
    sql: 3 15
    sql: TRUNCATE 0 0 3 7
    sql: 0
    rollback: release 8 (rollback to 6)
    sql: 3
    sql: DROP TABLE 0 0 0 9
    sql: there is no table `main.orders`
    sql: UNDROP TABLE 0 0 0 10
    sql: 3
    ");
}

#[tokio::test]
async fn a_merge_does_for_each_row_what_its_first_fitting_clause_says() {
    let lake = shop().await;
    lake.sql(
        "merge into orders as o
         using (values (1, 'Oslo', 30), (2, 'gone', 0), (9, 'Lima', 1)) as s (id, city, n) on o.id = s.id
         when matched and s.n = 0 then delete
         when matched then update set n = s.n
         when not matched then insert (id, n, city) values (id, n, city)
         when not matched by source and o.n > 100 then delete
         when not matched by source then update set city = 'left'",
    )
    .await;
    lake.sql("select * from orders order by id").await;
    lake.sql("merge into orders using (values (1, 'a', 1), (1, 'b', 2)) as s (id, city, n) on orders.id = s.id when matched then update set *").await;
    lake.sql("merge into orders using (values (1, 'Bonn', 2, date '2024-05-01')) as s (id, city, n, at) on orders.id = s.id when matched then update set *").await;
    lake.sql("merge with schema evolution into orders using (values (1, 'Bonn', 2, date '2024-05-01')) as s (id, city, n, at) on orders.id = s.id when matched then update set * when not matched then insert *").await;
    lake.sql("select * from orders order by id").await;
    lake.sql(
        "merge into orders using (select 1 as id) as s on orders.id = s.id when matched then update set *",
    )
    .await;
    lake.sql("merge into orders using (select null as id) as s on orders.id = s.id when not matched then insert (id, n) values (77, 1)").await;
    lake.sql("select count(*) from orders").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 3 0 0 2
    sql: MERGE 1 2 1 3
    sql: 1 Oslo 30 | 3 left 7 | 9 Lima 1
    sql: two rows are for the same row of `main.orders`: id = 1, city = b, n = 2
    sql: MERGE 0 1 0 4
    sql: MERGE 0 1 0 5
    sql: 1 Bonn 2 2024-05-01 | 3 left 7 - | 9 Lima 1 -
    sql: the source has no column `city` for `*`, and `main.orders` has one
    sql: MERGE 1 0 0 6
    sql: 4
    ");
}

#[tokio::test]
async fn rules_hold_whichever_way_a_row_comes() {
    let lake = shop().await;
    lake.sql("insert into orders values (null, 'x', 1)").await;
    lake.sql("insert into orders values (4, 'x', 0)").await;
    lake.sql("insert into orders (id) values (4)").await;
    lake.sql("update orders set n = n - 3").await;
    lake.sql("merge into orders using (values (4, 'x', -1)) as s (id, city, n) on orders.id = s.id when not matched then insert *").await;
    lake.sql("insert into orders values (4, 'x')").await;
    lake.sql("insert into orders (id, town) values (4, 'x')").await;
    lake.sql("insert into orders values (4, 'x', 1.5)").await;
    lake.sql("insert into orders values (4, 'x', 'many')").await;
    lake.sql("update orders set nn = 1").await;
    lake.sql("alter table orders add constraint small check (n < 6)").await;
    lake.sql("alter table orders add constraint large check (n < 600)").await;
    lake.sql("insert into orders values (4, 'x', 1000)").await;
    lake.sql("alter table orders drop constraint large").await;
    lake.sql("insert into orders values (4, 'x', 1000)").await;
    lake.sql("alter table orders alter column city set not null").await;
    lake.sql("alter table orders set tblproperties ('delta.appendOnly' = 'true')").await;
    lake.sql("delete from orders where id = 1").await;
    lake.sql("insert into orders values (5, 'x', 5)").await;
    lake.sql("select count(*), sum(n) from orders").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 3 0 0 2
    sql: a row for `main.orders` has no `id`, which is NOT NULL: id = null, city = x, n = 1
    sql: a row for `main.orders` breaks the constraint `n_check_1`, CHECK (n > 0): id = 4, city = x, n = 0
    sql: a row for `main.orders` breaks the constraint `n_check_1`, CHECK (n > 0): id = 4, city = null, n = null
    sql: a row for `main.orders` breaks the constraint `n_check_1`, CHECK (n > 0): id = 1, city = Oslo, n = 0
    sql: a row for `main.orders` breaks the constraint `n_check_1`, CHECK (n > 0): id = 4, city = x, n = -1
    sql: 2 values for 3 columns of `main.orders`: id, city, n
    sql: `main.orders` has no column `town`
    sql: a value of column `n` does not fit: it is double in the rows and int in the table; round or cast it in the query, or run with --full-refresh
    sql: 'many' cannot be read as int
    sql: `main.orders` has no column `nn`
    sql: rows of `main.orders` break it already: CHECK (n < 6)
    sql: ALTER TABLE 0 0 0 3
    sql: a row for `main.orders` breaks the constraint `large`, CHECK (n < 600): id = 4, city = x, n = 1000
    sql: ALTER TABLE 0 0 0 4
    sql: INSERT 1 0 0 5
    sql: rows of `main.orders` break it already: `city` NOT NULL
    sql: ALTER TABLE 0 0 0 6
    sql: `main.orders` only takes new rows: its property `delta.appendOnly` is true
    sql: INSERT 1 0 0 7
    sql: 5 1020
    ");
}

#[tokio::test]
async fn rows_are_kept_in_a_folder_for_each_value_of_a_partition_column() {
    let lake = TestLake::on_disk();
    lake.sql("create table days (id int, d date, note string) using delta partitioned by (d, note)").await;
    lake.sql("insert into days select i, date '2024-01-01' + cast(i % 2 as int), case when i = 3 then null when i = 4 then 'a b/c' else 'x' end from generate_series(1, 6) as t (i)").await;
    lake.sql("select * from days order by id").await;
    lake.sql("select id from days where note is null").await;
    lake.sql("select id from days where note = 'a b/c'").await;
    lake.sql("select count(*) from days where d = date '2024-01-02' and note = 'x'").await;
    lake.sql("update days set note = 'y' where d = date '2024-01-01'").await;
    lake.sql("select d, note, count(*) from days group by d, note order by d, note").await;
    lake.sql("insert into days replace where d = date '2024-01-02' values (7, date '2024-01-02', 'z')").await;
    lake.sql("insert overwrite days values (8, date '2024-01-03', 'only'), (9, date '2024-01-03', 'Kraków/50%=ü:?')").await;
    lake.sql("update days set id = id + 1 where id = 9").await;
    lake.sql("delete from days where note like 'o%'").await;
    lake.sql("insert into days values (11, date '2024-01-03', repeat('ß', 200))").await;
    lake.sql("select id, d, left(note, 14) from days order by id").await;
    let mut folders: Vec<String> = std::fs::read_dir(lake.table_folder("main.days"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("d="))
        .collect();
    folders.sort();
    assert_eq!(folders, ["d=2024-01-01", "d=2024-01-02", "d=2024-01-03"]);
    let odd = lake.table_folder("main.days").join("d=2024-01-03/note=Krak%C3%B3w%2F50%25%3D%C3%BC%3A%3F");
    assert!(std::fs::read_dir(odd).unwrap().next().is_some());
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 6 0 0 2
    sql: 1 2024-01-02 x | 2 2024-01-01 x | 3 2024-01-02 - | 4 2024-01-01 a b/c | 5 2024-01-02 x | 6 2024-01-01 x
    sql: 3
    sql: 4
    sql: 2
    sql: UPDATE 0 3 0 3
    sql: 2024-01-01 y 3 | 2024-01-02 x 2 | 2024-01-02 - 1
    sql: INSERT … REPLACE WHERE 1 0 3 4
    sql: INSERT OVERWRITE 2 0 4 5
    sql: UPDATE 0 1 0 6
    sql: DELETE 0 0 1 7
    sql: INSERT 1 0 0 8
    sql: 10 2024-01-03 Kraków/50%=ü:? | 11 2024-01-03 ßßßßßßßßßßßßßß
    ");
}

/// A write to a table of keys and values, in three languages: SQL, a map, and words.
#[derive(Clone, Debug)]
enum Edit {
    Insert(Vec<(i64, i64)>),
    Delete {
        every: i64,
    },
    Update {
        from: i64,
        to: i64,
    },
    Merge(Vec<(i64, i64)>),
    Optimize,
    Order,
    Restore(usize),
    Truncate,
    Replace {
        from: i64,
        with: i64,
    },
    /// A column more; what was called for may be gone again after a restore.
    Grow,
}

fn an_edit() -> impl Strategy<Value = Edit> {
    let pairs = || vec((0_i64..60, -9_i64..9), 1..12);
    prop_oneof![
        4 => pairs().prop_map(Edit::Insert),
        3 => (2_i64..7).prop_map(|every| Edit::Delete { every }),
        3 => (0_i64..60, 0_i64..60).prop_map(|(a, b)| Edit::Update { from: a.min(b), to: a.max(b) }),
        4 => pairs().prop_map(Edit::Merge),
        2 => Just(Edit::Optimize),
        1 => Just(Edit::Order),
        1 => (0_usize..20).prop_map(Edit::Restore),
        1 => Just(Edit::Truncate),
        1 => (0_i64..60, 0_i64..60).prop_map(|(from, with)| Edit::Replace { from, with }),
        1 => Just(Edit::Grow),
    ]
}

/// The rows of the model: keys with their values, keys once each.
type Rows = BTreeMap<i64, i64>;

impl Edit {
    /// The statement, for a table that has had so many versions.
    fn sql(&self, table: &str, rows: &Rows, versions: usize) -> String {
        let values = |pairs: &Rows| {
            let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("({k}, {v})")).collect();
            format!("(values {})", pairs.join(", "))
        };
        match self {
            Self::Insert(pairs) => {
                let new: Rows = pairs.iter().filter(|(k, _)| !rows.contains_key(k)).copied().collect();
                match new.is_empty() {
                    true => format!("delete from {table} where false"),
                    false => format!(
                        "insert into {table} (k, v) {}",
                        values(&new).trim_matches(['(', ')']).to_owned() + ")"
                    ),
                }
            }
            Self::Delete { every } => format!("delete from {table} where k % {every} = 1"),
            Self::Update { from, to } => {
                format!("update {table} set v = v + 1 where k between {from} and {to}")
            }
            Self::Merge(pairs) => format!(
                "merge into {table} as t using {} as s (k, v) on t.k = s.k
                 when matched and s.v < 0 then delete when matched then update set v = t.v + s.v
                 when not matched and s.v >= 0 then insert (k, v) values (s.k, s.v)",
                values(&pairs.iter().copied().collect())
            ),
            Self::Optimize => format!("optimize {table}"),
            Self::Order => format!("optimize {table} zorder by (v)"),
            Self::Restore(to) => {
                format!("restore table {table} to version as of {}", first_of(table) + to % versions)
            }
            Self::Truncate => format!("truncate table {table}"),
            Self::Replace { from, with } => format!(
                "insert into {table} replace where k >= {from} select * from {table} where k >= {from} and k < {with}"
            ),
            Self::Grow => format!("alter table {table} add column c{versions} int"),
        }
    }

    /// What it does to the model.
    fn apply(&self, rows: &mut Rows, history: &[Rows]) {
        match self {
            Self::Insert(pairs) => {
                let new: Rows = pairs.iter().filter(|(k, _)| !rows.contains_key(k)).copied().collect();
                rows.extend(new);
            }
            Self::Delete { every } => rows.retain(|k, _| k % every != 1),
            Self::Update { from, to } => rows.range_mut(from..=to).for_each(|(_, v)| *v += 1),
            Self::Merge(pairs) => {
                for (k, v) in pairs.iter().copied().collect::<Rows>() {
                    match rows.get_mut(&k) {
                        Some(_) if v < 0 => {
                            rows.remove(&k);
                        }
                        Some(own) => *own += v,
                        None if v >= 0 => {
                            rows.insert(k, v);
                        }
                        None => {}
                    }
                }
            }
            Self::Optimize | Self::Order | Self::Grow => {}
            Self::Restore(to) => rows.clone_from(&history[to % history.len()]),
            Self::Truncate => rows.clear(),
            Self::Replace { from, with } => rows.retain(|k, _| k < from || k < with),
        }
    }
}

/// One table for each way of writing, and a map beside them.
#[test]
fn copied_or_hidden_every_version_has_the_rows_of_the_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 12, max_shrink_iters: 60, ..Config::default() });
    let edits = vec(an_edit(), 4..14);
    let case = std::cell::Cell::new(0);
    let left = left_tables();
    let ran = runner.run(&edits, |edits| {
        case.set(case.get() + 1);
        let place = left.as_ref().map(|folder| folder.join(case.get().to_string()));
        runtime.block_on(Box::pin(all_agree(&edits, place.as_deref()))).map_err(TestCaseError::fail)
    });
    ran.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Where other programs look for the tables afterwards: `tests/interop/left.py`.
#[expect(clippy::disallowed_methods, reason = "whoever wants the tables says where")]
fn left_tables() -> Option<std::path::PathBuf> {
    std::env::var("ELT_LEAVE_TABLES").ok().map(Into::into)
}

const WAYS: [(&str, &str); 5] = [
    ("copied", ""),
    ("hidden", "tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read')"),
    (
        "parted",
        "partitioned by (p) tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read')",
    ),
    ("chosen", "tblproperties ('delta.enableDeletionVectors' = 'true')"),
    ("mapped", "tblproperties ('delta.enableDeletionVectors' = 'true', 'delta.columnMapping.mode' = 'name')"),
];

/// The first version with both columns: a column that is added later has another name in the files.
fn first_of(table: &str) -> usize {
    usize::from(table == "mapped")
}

/// Checks every version. With a place the tables stay there, with what each version should hold in `rows.json`.
async fn all_agree(edits: &[Edit], place: Option<&Path>) -> Result<(), String> {
    let folder = TestLake::new();
    let lake = match place {
        Some(place) => {
            std::fs::create_dir_all(place).map_err(|error| error.to_string())?;
            Lake::open(place).map_err(|error| error.to_string())?
        }
        None => Lake::on(Arc::new(InMemory::new()), "memory"),
    };
    let lakehouse = folder.on(lake, 0);
    let mut session = lakehouse.session().await.map_err(|error| error.to_string())?;
    for (way, layout) in WAYS {
        let columns = match way {
            "parted" => "k bigint, v bigint, p bigint",
            "mapped" => "k bigint",
            _ => "k bigint, v bigint",
        };
        session = run(&lakehouse, session, &format!("create table {way} ({columns}) {layout}")).await?;
        if way == "mapped" {
            session = run(&lakehouse, session, "alter table mapped add column v bigint").await?;
        }
    }
    let mut histories: BTreeMap<&str, Vec<Rows>> =
        WAYS.iter().map(|(way, _)| (*way, vec![Rows::new()])).collect();
    let mut rows = Rows::new();
    for edit in edits {
        let before = rows.clone();
        // Going back means something else where a statement made no version.
        if matches!(edit, Edit::Restore(_)) && histories.values().any(|h| *h != histories["copied"]) {
            continue;
        }
        for (way, _) in WAYS {
            let history = histories.get_mut(way).expect("each way has one");
            let sql = parted(way, &edit.sql(way, &before, history.len()));
            let mut after = before.clone();
            edit.apply(&mut after, history);
            let version = version_of(&lakehouse, way).await?;
            session = run(&lakehouse, session, &sql).await?;
            let now = read(&session, &format!("select k, v from {way}")).await?;
            if now != after {
                return Err(format!("{way} after {sql}: {now:?} and not {after:?}"));
            }
            if version_of(&lakehouse, way).await? > version {
                history.push(after.clone());
            }
            rows = after;
        }
    }
    for (way, history) in &histories {
        for (version, wanted) in history.iter().enumerate() {
            let version = first_of(way) + version;
            let then = read(&session, &format!("select k, v from {way} version as of {version}")).await?;
            if then != *wanted {
                return Err(format!("{way} version {version}: {then:?} and not {wanted:?}"));
            }
        }
    }
    for way in histories.keys() {
        grown_as_read(&lakehouse, way).await?;
    }
    if let Some(place) = place {
        let told = histories.iter().map(|(way, history)| {
            let rows = |rows: &Rows| rows.iter().map(|(k, v)| vec![*k, *v]).collect::<Vec<_>>();
            let history: Vec<_> = history.iter().map(rows).collect();
            ((*way).to_owned(), serde_json::json!({"first": first_of(way), "versions": history}))
        });
        let told = serde_json::Value::Object(told.collect()).to_string();
        std::fs::write(place.join("rows.json"), told).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Whether what a process knows of a table, commit by commit, is what its log says.
async fn grown_as_read(lakehouse: &Lakehouse, table: &str) -> Result<(), String> {
    let name = TableName::new("main", table).unwrap();
    let told = async |tables: &Tables, version: u64| {
        let snapshot =
            tables.snapshot(&name, TableVersion(version)).await.map_err(|error| error.to_string())?;
        let file = |file: &DataFile| {
            format!("{} {} {:?} {}", file.path(), file.size(), file.rows(), file.hidden_rows())
        };
        let mut files: Vec<String> = snapshot.files().iter().map(file).collect();
        files.sort();
        Ok::<_, String>((files, snapshot.schema().clone(), snapshot.rows()))
    };
    let anew = Tables::new(lakehouse.tables().lake().clone(), lakehouse.tables().world().clone());
    let newest = version_of(lakehouse, table).await?;
    let mut known = Vec::new();
    for version in 0..=newest {
        known.push(told(lakehouse.tables(), version).await?);
    }
    // Backwards, so that none is worked out from the one before.
    for (version, known) in known.into_iter().enumerate().rev() {
        let version = version as u64;
        let read = told(&anew, version).await?;
        if read != known {
            return Err(format!("{table} version {version}: {known:?}, and in its log {read:?}"));
        }
    }
    Ok(())
}

/// The statement for a table that is partitioned by a third column.
fn parted(way: &str, sql: &str) -> String {
    match way {
        "parted" => match sql.strip_prefix("insert into parted (k, v) ") {
            Some(values) => {
                format!("insert into parted (k, v, p) select k, v, k % 3 from ({values}) as t (k, v)")
            }
            None => sql.replace(
                "then insert (k, v) values (s.k, s.v)",
                "then insert (k, v, p) values (s.k, s.v, s.k % 3)",
            ),
        },
        _ => sql.to_owned(),
    }
}

async fn run(lakehouse: &Lakehouse, session: Session, sql: &str) -> Result<Session, String> {
    let (outcome, session) =
        Box::pin(lakehouse.execute(&session, sql)).await.map_err(|error| format!("{sql}: {error:?}"))?;
    outcome.collect().await.map_err(|error| format!("{sql}: {error:?}"))?;
    Ok(session)
}

async fn read(session: &Session, sql: &str) -> Result<Rows, String> {
    let outcome = Box::pin(session.execute(sql)).await.map_err(|error| format!("{sql}: {error:?}"))?;
    let batches = outcome.collect().await.map_err(|error| format!("{sql}: {error:?}"))?;
    let mut rows = Rows::new();
    for row in cells(&batches) {
        let key = row[0].parse().map_err(|_| format!("{sql}: {row:?}"))?;
        if rows.insert(key, row[1].parse().map_err(|_| format!("{sql}: {row:?}"))?).is_some() {
            return Err(format!("{sql}: the key {key} is there twice"));
        }
    }
    Ok(rows)
}

async fn version_of(lakehouse: &Lakehouse, table: &str) -> Result<u64, String> {
    let commits = lakehouse.history(table, 1).await.map_err(|error| error.to_string())?;
    Ok(commits[0].version.0)
}

/// Ten people at one table, each with a process of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_at_once_lose_nothing_and_double_nothing() {
    const ROUNDS: i64 = 3;
    let lake = TestLake::new();
    lake.sql("create table t (who bigint, n bigint) tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read')").await;
    lake.sql("insert into t values (100, 0), (101, 0)").await;
    let mut writers = tokio::task::JoinSet::new();
    for who in 0..11_i64 {
        let lakehouse = lake.open();
        writers.spawn(async move {
            let session = lakehouse.session().await.unwrap();
            for round in 0..ROUNDS {
                let sql = match who {
                    8 | 9 => format!("merge into t using (values ({})) as s (who) on t.who = s.who when matched then update set n = t.n + 1", 92 + who),
                    10 => "optimize t".to_owned(),
                    _ => format!("insert into t values ({who}, {round})"),
                };
                let (outcome, _) = Box::pin(lakehouse.execute(&session, &sql)).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
                outcome.collect().await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    assert_eq!(
        lake.rows("select count(*), count(distinct who * 100 + n) from t where who < 100").await,
        "24 24"
    );
    assert_eq!(lake.rows("select who, n from t where who >= 100 order by who").await, "100 3 | 101 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_changes_no_row_and_takes_nothing_that_can_be_asked_for() {
    let lake = TestLake::on_disk();
    lake.sql("create table t (n bigint) tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read')").await;
    for n in 0..10 {
        lake.sql(&format!("insert into t values ({n}), ({n} + 100)")).await;
    }
    lake.sql("delete from t where n >= 105").await;
    lake.story();
    lake.sql("vacuum t dry run").await;
    lake.sql("vacuum t retain 0 hours").await;
    lake.maintain(true).await;
    lake.maintain(false).await;
    lake.maintain(false).await;
    lake.sql("select count(*), sum(n) from t").await;
    lake.sql("select count(*) from t version as of 3").await;
    lake.sql("alter table t set tblproperties ('delta.deletedFileRetentionDuration' = 'interval 0 hours')")
        .await;
    let files = || std::fs::read_dir(lake.table_folder("main.t")).unwrap().count();
    let before = files();
    assert_eq!(lake.rows("vacuum t retain 0 hours").await.split('|').count(), 11, "ten files and a vector");
    assert!(files() < before - 8, "{before} files, then {}", files());
    lake.sql("select count(*), sum(n) from t").await;
    lake.roll_back(Some(5)).await;
    for n in 0..50 {
        assert!(lake.rows(&format!("insert into t values ({n})")).await.starts_with("INSERT 1"));
    }
    assert!(lake.table_folder("main.t").join("_delta_log/00000000000000000050.checkpoint.parquet").exists());
    lake.sql("select count(*), sum(n) from t").await;
    assert_snapshot!(lake.story(), @"
    sql: no rows
    sql: 0 hours are less than the 168 that files are kept for
    maintain: compact main.t 10 files to be written again
    maintain: compact main.t 10 files become 1
    maintain: nothing
    sql: 15 555
    sql: 6
    sql: ALTER TABLE 0 0 0 14
    sql: 15 555
    rollback: version 4 of `main.t` cannot be put back: its file part-id-0012.parquet is gone
    sql: 65 1780
    ");
}

#[tokio::test]
async fn what_changed_is_told_of_any_table_however_it_was_written() {
    let lake = TestLake::new();
    for (table, layout) in &WAYS[..2] {
        lake.sql(&format!("create table {table} (k int, v int) {layout}")).await;
        lake.sql(&format!("insert into {table} values (1, 1), (2, 2), (3, 3), (3, 3)")).await;
        lake.sql(&format!("update {table} set v = 20 where k = 2")).await;
        lake.sql(&format!("delete from {table} where k = 3")).await;
        lake.sql(&format!("optimize {table}")).await;
        lake.sql(&format!("restore table {table} to version as of 2")).await;
        lake.sql(&format!(
            "select k, v, _change_type, _commit_version from table_changes('{table}', 0)
             order by _commit_version, _change_type, k"
        ))
        .await;
        lake.sql(&format!("select count(*) from table_changes('main.{table}', 2, 2)")).await;
    }
    lake.sql("select * from table_changes('copied', 1, 99)").await;
    lake.sql("select * from table_changes('nothing', 1)").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 4 0 0 2
    sql: UPDATE 0 1 0 3
    sql: DELETE 0 0 2 4
    sql: OPTIMIZE 0 0 0 5
    sql: RESTORE 4 0 2 6
    sql: 1 1 insert 1 | 2 2 insert 1 | 3 3 insert 1 | 3 3 insert 1 | 2 2 delete 2 | 2 20 insert 2 | 3 3 delete 3 | 3 3 delete 3 | 3 3 insert 5 | 3 3 insert 5
    sql: 2
    sql: CREATE TABLE 0 0 0 7
    sql: INSERT 4 0 0 8
    sql: UPDATE 0 1 0 9
    sql: DELETE 0 0 2 10
    sql: OPTIMIZE 0 0 0 11
    sql: RESTORE 4 0 2 12
    sql: 1 1 insert 1 | 2 2 insert 1 | 3 3 insert 1 | 3 3 insert 1 | 2 2 delete 2 | 2 20 insert 2 | 3 3 delete 3 | 3 3 delete 3 | 3 3 insert 5 | 3 3 insert 5
    sql: 2
    sql: `main.copied` has no version 99
    sql: there is no table `main.nothing`
    ");
}

/// What a statement read is part of it: two that would each do nothing after the other do not both do something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_not_added_on_the_strength_of_what_is_no_longer_so() {
    let lake = TestLake::new();
    lake.sql("create table t (id bigint)").await;
    lake.sql("create table s as select value as id from generate_series(1, 20)").await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let lakehouse = lake.open();
        writers.spawn(async move {
            let session = lakehouse.session().await.unwrap();
            let sql = "insert into t select id from s where id not in (select id from t)";
            Box::pin(lakehouse.execute(&session, sql)).await.unwrap();
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    assert_eq!(lake.rows("select count(*), count(distinct id) from t").await, "20 20");
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_before_it_is_promised() {
    let lake = TestLake::new();
    lake.sql("create table p (a int, k varchar not null) partitioned by (k)").await;
    lake.sql("insert into p values (1, '')").await;
    lake.sql("create table c (a int, check (zz > 0))").await;
    lake.sql("create table c (a int, check (a + 1))").await;
    lake.sql("create table c (a int, b int, constraint k check (a > 0), constraint k check (b > 0))").await;
    lake.sql("create table c (a int, at timestamp, check (coalesce(a, 1) > 0), check (at < now()))").await;
    lake.sql("insert into c values (null, timestamp '2024-01-01 00:00:00')").await;
    lake.sql("insert into c values (-1, timestamp '2024-01-01 00:00:00')").await;
    lake.sql("create table b (a int, k bytea) partitioned by (k)").await;
    lake.sql("create table e (_elt_file int)").await;
    lake.sql("vacuum p retain 99999999999999 hours").await;
    lake.sql(
        "merge into c using (select 1 as a) as s on c.a = s.a when matched then update set a = 1, a = 2",
    )
    .await;
    lake.sql("create table n (id int, v bigint, price decimal(10, 2), r real)").await;
    lake.sql("insert into n values (1, 1, 10.33, 0.1)").await;
    lake.sql("update n set price = price * 1.1").await;
    lake.sql("merge into n using (select 3 as id) as s on n.id = s.id when not matched then insert (id, v) values (s.id, (select count(*) from n where id = 1))").await;
    lake.sql("select * from n order by id").await;
    lake.sql("create table z (a int, f double) partitioned by (f)").await;
    lake.sql("insert into z values (1, -0.0), (2, 0.0)").await;
    lake.sql("select count(*) from z where f = 0.0").await;
    lake.sql("create table g (id int, k varchar) partitioned by (k)").await;
    lake.sql("insert into g values (1, 'a')").await;
    lake.sql("create or replace table g as select id, k from g").await;
    lake.sql("alter table g alter column k set not null").await;
    lake.sql("select * from table_changes('g', 1) order by _commit_version").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: a row for `main.p` has no `k`, which is NOT NULL: a = 1, k = 
    sql: the constraint `check_1` of `main.c`, CHECK (zz > 0), cannot be checked: Schema error: No field named zz.
    Valid fields are a.
    sql: the constraint `check_1` of `main.c`, CHECK (a + 1), cannot be checked: Error during planning: it is not a condition but a value of type Int64
    sql: two constraints are named `k`
    sql: CREATE TABLE 0 0 0 2
    sql: INSERT 1 0 0 3
    sql: a row for `main.c` breaks the constraint `check_1`, CHECK (coalesce(a, 1) > 0): a = -1, at = 2024-01-01T00:00:00
    sql: `k` is binary; partition by a number, a text or a date
    sql: the rows for `main.e` do not fit: a column cannot be named `_elt_file`
    sql: `99999999999999` is not a number of hours
    sql: `a` is set twice
    sql: CREATE TABLE 0 0 0 4
    sql: INSERT 1 0 0 5
    sql: UPDATE 0 1 0 6
    sql: MERGE 1 0 0 7
    sql: 1 1 11.36 0.1 | 3 1 - -
    sql: CREATE TABLE 0 0 0 8
    sql: INSERT 2 0 0 9
    sql: 2
    sql: CREATE TABLE 0 0 0 10
    sql: INSERT 1 0 0 11
    sql: CREATE TABLE 1 0 0 12
    sql: ALTER TABLE 0 0 0 13
    sql: 1 a insert 1 2026-01-01T00:00:19Z
    ");
}

#[tokio::test]
async fn what_replaces_rows_is_what_would_be_replaced_the_next_time() {
    let lake = TestLake::new();
    lake.sql("create table t (day int, n int)").await;
    lake.sql("insert into t values (1, (select 5)), (2, (select count(*) from t))").await;
    lake.sql("insert into t replace where day >= 2 values (2, 7), (3, 8)").await;
    lake.sql("insert into t replace where day >= 2 values (1, 9)").await;
    lake.sql("insert into t (n) replace where day >= 2 values (9)").await;
    lake.sql("merge into t using t on t.day = t.day when matched then delete").await;
    lake.sql("alter table t set tblproperties ('delta.constraints.late' = 'day > 2')").await;
    lake.sql("alter table t set tblproperties ('delta.constraints.late' = 'day >')").await;
    lake.sql("select * from \"T\" order by day").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 2 0 0 2
    sql: INSERT … REPLACE WHERE 2 0 1 3
    sql: a row does not meet REPLACE WHERE day >= 2, so it would not be replaced the next time; correct the row or the condition
    sql: a row does not meet REPLACE WHERE day >= 2, so it would not be replaced the next time; correct the row or the condition
    sql: the table and what is merged into it are both called `t`
    sql: rows of `main.t` break it already: CHECK (day > 2)
    sql: the statement ends where an expression is expected
    sql: 1 5 | 2 7 | 3 8
    ");
}

#[tokio::test]
async fn rows_that_lie_in_the_order_asked_for_stay_there() {
    let lake = TestLake::new();
    lake.sql("create table t as select value as a, value % 7 as b from range(0, 100)").await;
    lake.sql("insert into t values (1000, 1)").await;
    lake.sql("optimize t zorder by (a, b)").await;
    lake.sql("optimize t zorder by (a, b)").await;
    lake.sql("optimize t zorder by (b)").await;
    lake.sql("insert into t values (1001, null)").await;
    lake.sql("optimize t zorder by (b)").await;
    lake.sql("select count(*), sum(a), count(b) from t").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 100 0 0 1
    sql: INSERT 1 0 0 2
    sql: OPTIMIZE 0 0 0 3
    sql: OPTIMIZE 0 0 0 -
    sql: OPTIMIZE 0 0 0 4
    sql: INSERT 1 0 0 5
    sql: OPTIMIZE 0 0 0 6
    sql: 102 6951 101
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_of_a_log_goes_when_nobody_can_ask_for_it() {
    let lake = TestLake::on_disk();
    lake.sql("create table t (n bigint)").await;
    for n in 0..60 {
        assert!(lake.rows(&format!("insert into t values ({n})")).await.starts_with("INSERT 1"));
    }
    let entries = || {
        let log = lake.table_folder("main.t").join("_delta_log");
        let names =
            std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".json")).collect();
        names.sort();
        names
    };
    lake.maintain(false).await;
    assert_eq!(entries()[0], "00000000000000000000.json", "a month is not over");
    lake.sql("alter table t set tblproperties ('delta.logRetentionDuration' = 'interval 0 days')").await;
    lake.story();
    lake.maintain(true).await;
    lake.maintain(false).await;
    assert_eq!(entries()[0], "00000000000000000050.json");
    lake.sql("select count(*), sum(n) from t").await;
    lake.sql("select count(*) from t version as of 55").await;
    lake.sql("select count(*) from t version as of 49").await;
    lake.sql("insert into t values (60)").await;
    lake.sql("delete from t where n < 60").await;
    lake.sql("select count(*) from table_changes('t', 62)").await;
    lake.sql("select count(*) from table_changes('t', 10)").await;
    lake.roll_back(Some(55)).await;
    lake.sql("select count(*), sum(n) from t").await;
    lake.roll_back(Some(5)).await;
    assert_snapshot!(lake.story(), @"
    maintain: log cleanup main.t 50 files of the log
    maintain: log cleanup main.t 50 files of the log
    sql: 60 1770
    sql: 55
    sql: `main.t` has no version 49
    sql: INSERT 1 0 0 64
    sql: DELETE 0 0 60 65
    sql: 61
    sql: `main.t` has no version 10
    rollback: release 66 (rollback to 55)
    sql: 54 1431
    rollback: `main.t` has no version 4
    ");
}

/// Of each file in a table's folder its row groups: their rows, and their bytes as they are packed.
fn row_groups(lake: &TestLake) -> BTreeMap<String, Vec<(i64, i64)>> {
    let folder = lake.table_folder("main.t");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "parquet"));
    files
        .map(|path| {
            let file = std::fs::File::open(&path).unwrap();
            let known = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            let groups = known.metadata().row_groups().iter();
            let groups = groups.map(|group| (group.num_rows(), group.compressed_size())).collect();
            (path.file_name().unwrap().to_string_lossy().into_owned(), groups)
        })
        .collect()
}

#[tokio::test]
async fn row_groups_that_keep_their_rows_are_copied() {
    let lake = TestLake::on_disk();
    let sums = "select count(*), count(distinct id), sum(id), sum(v), min(t), max(t) from t";
    lake.sql(
        "create table t as select value as id, value * 7919 % 100003 as v, 'text ' || value % 1000 as t from range(400000) order by value",
    )
    .await;
    let mut known = row_groups(&lake);
    let mut before = known.first_key_value().unwrap().1.clone();
    let rows = |groups: &[(i64, i64)]| groups.iter().map(|(rows, _)| *rows).collect::<Vec<_>>();
    assert_eq!(rows(&before), [131_072, 131_072, 131_072, 6784]);
    lake.sql(sums).await;
    // The last group is so small that it is written again each time, with what is left of others beside it.
    for (statement, copied, left) in [
        ("delete from t where id between 140000 and 140009", vec![0, 2], [131_062, 131_072, 6784]),
        ("update t set v = 5 where id = 300000", vec![0, 1], [131_062, 131_072, 6783]),
        (
            "merge into t using (select value as id from range(399990, 400010)) s on t.id = s.id \
             when matched then delete when not matched then insert (id, v, t) values (s.id, 0, 'new')",
            vec![0, 1, 2],
            [131_062, 131_072, 6773],
        ),
        ("delete from t where id < 131072 and v <> 1", vec![1, 2], [131_062, 131_072, 6773]),
    ] {
        lake.sql(statement).await;
        lake.sql(sums).await;
        let now = row_groups(&lake);
        let new = now.iter().filter(|(name, _)| !known.contains_key(*name));
        let groups = new.map(|(_, groups)| groups.clone()).max_by_key(Vec::len).unwrap();
        assert_eq!(rows(&groups)[1..], left, "{statement}");
        for at in copied {
            assert_eq!(groups[at], before[at], "{statement}");
        }
        (known, before) = (now, groups);
    }
    lake.sql("select * from t where id in (131072, 139999, 140000, 140010, 262143, 262144, 300000, 393215, 393216, 399989, 399990, 400009) order by id").await;
    lake.sql("select count(*), sum(v) from t version as of 0").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 400000 0 0 1
    sql: 400000 400000 79999800000 20000417658 text 0 text 999
    sql: DELETE 0 0 10 2
    sql: 399990 399990 79998399955 19999793883 text 0 text 999
    sql: UPDATE 0 1 0 3
    sql: 399990 399990 79998399955 19999765156 text 0 text 999
    sql: MERGE 10 0 10 4
    sql: 399990 399990 79998400055 19999150921 new text 999
    sql: DELETE 0 0 131071 5
    sql: 268919 268919 71408578317 13445433825 new text 999
    sql: 131072 28031 text 72 | 139999 18823 text 999 | 140010 5929 text 10 | 262143 48143 text 143 | 262144 56062 text 144 | 300000 5 text 0 | 393215 76174 text 215 | 393216 84093 text 216 | 399989 17869 text 989 | 400009 0 new
    sql: 400000 20000417658
    ");
}
