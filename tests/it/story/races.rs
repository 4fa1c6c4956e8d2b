//! Two writers begin at the same version of a table. Whatever they do, it ends as if the second had waited.

use std::sync::Arc;

use elt::lake::Lake;
use elt::lakehouse::{Lakehouse, Session};
use object_store::memory::InMemory;

use crate::test_lake::{TestLake, rows_of};

/// What can be done to a table of keys and values.
const WRITES: [(&str, &str); 10] = [
    ("append", "insert into t values (90, 1)"),
    ("insert from itself", "insert into t select k + 100, v from t where k % 2 = 0"),
    ("delete", "delete from t where k % 3 = 0"),
    ("update", "update t set v = v + 10 where k >= 2"),
    (
        "merge",
        "merge into t using (values (3, 7), (50, 1)) as s (k, v) on t.k = s.k when matched then update set v = t.v + s.v when not matched then insert *",
    ),
    ("overwrite", "insert overwrite t select k, v from t where k < 4"),
    ("replace where", "insert into t replace where k > 3 select k, v + 100 from t where k > 3"),
    ("optimize", "optimize t"),
    ("truncate", "truncate table t"),
    ("restore", "restore table t to version as of 1"),
];

async fn run(lakehouse: &Lakehouse, session: &Session, sql: &str) {
    let done = Box::pin(lakehouse.execute(session, sql)).await;
    let (outcome, _) = done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    outcome.collect().await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// A table of two files, each with rows of its own.
async fn begun(folder: &TestLake, properties: &str) -> Lakehouse {
    let lakehouse = folder.on(Lake::on(Arc::new(InMemory::new()), "memory"), 0);
    for sql in [
        &format!("create table t (k bigint, v bigint) {properties}"),
        "insert into t values (1, 1), (2, 2), (3, 3)",
        "insert into t values (4, 4), (5, 5), (6, 6)",
    ] {
        run(&lakehouse, &lakehouse.session().await.unwrap(), sql).await;
    }
    lakehouse
}

async fn every_pair_ends_as_if_the_second_had_waited(properties: &str) {
    let folder = TestLake::on_disk();
    for (first, one) in WRITES {
        for (second, other) in WRITES {
            let waited = begun(&folder, properties).await;
            for sql in [one, other] {
                run(&waited, &waited.session().await.unwrap(), sql).await;
            }
            let raced = begun(&folder, properties).await;
            let (here, there) = (raced.session().await.unwrap(), raced.session().await.unwrap());
            run(&raced, &here, one).await;
            run(&raced, &there, other).await;
            let all = "select k, v from t order by k, v";
            assert_eq!(rows_of(&raced, all).await, rows_of(&waited, all).await, "{first}, then {second}");
        }
    }
}

#[tokio::test]
async fn of_writers_that_copy_files() {
    every_pair_ends_as_if_the_second_had_waited("").await;
}

#[tokio::test]
async fn of_writers_that_hide_rows() {
    let hidden = "tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read')";
    every_pair_ends_as_if_the_second_had_waited(hidden).await;
}
