//! Statements that are published together, over the wire.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow_flight::sql::{
    CommandStatementIngest, EndTransaction, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use elt::lakehouse::Role;
use elt::serve::ServeLimits;

use crate::serve::{Client, Served, fetch, rows};
use crate::test_lake::{TestLake, rows_of};

async fn lake() -> (TestLake, Served) {
    let lake = TestLake::new();
    lake.write(
        "models/t.sql",
        "{{ config(materialized='table') }} select * from (values (1, 'a'), (2, 'b')) as t (id, name)",
    );
    lake.write("models/u.sql", "{{ config(materialized='table') }} select 1 as id");
    lake.build().await;
    let served = Served::of(lake.open(), Role::Writes, ServeLimits::default()).await;
    (lake, served)
}

async fn within(client: &mut Client, id: &prost::bytes::Bytes, sql: &str) -> String {
    match client.execute(sql.to_owned(), Some(id.clone())).await {
        Ok(info) => match fetch(client, info).await {
            Ok(batches) => {
                let rows: Vec<String> =
                    crate::test_lake::cells(&batches).iter().map(|row| row.join(" ")).collect();
                rows.join(" | ")
            }
            Err(status) => status.message().to_owned(),
        },
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_transaction_is_one_release_or_nothing() {
    let (lake, served) = lake().await;
    let (mut ann, mut bob) = (served.client().await, served.client().await);
    let id = ann.begin_transaction().await.unwrap();
    assert_eq!(within(&mut ann, &id, "insert into t values (3, 'c')").await, "INSERT 1 0 0 -");
    assert_eq!(within(&mut ann, &id, "insert into t values (4, 'd')").await, "INSERT 1 0 0 -");
    assert_eq!(within(&mut ann, &id, "delete from t where id = 1").await, "DELETE 0 0 1 -");
    assert_eq!(within(&mut ann, &id, "update t set name = 'z' where id >= 3").await, "UPDATE 0 2 0 -");
    assert_eq!(within(&mut ann, &id, "create table fresh as select * from t").await, "CREATE TABLE 3 0 0 -");
    assert_eq!(within(&mut ann, &id, "select * from t order by id").await, "2 b | 3 z | 4 z");
    assert_eq!(within(&mut ann, &id, "select count(*) from fresh").await, "3");
    let mut insert = ann.prepare("insert into t values (?, ?)".to_owned(), Some(id.clone())).await.unwrap();
    let values = RecordBatch::try_from_iter([
        ("a", Arc::new(Int64Array::from(vec![5])) as ArrayRef),
        ("b", Arc::new(arrow::array::StringArray::from(vec!["e"])) as ArrayRef),
    ]);
    insert.set_parameters(values.unwrap()).unwrap();
    assert_eq!(insert.execute_update().await.unwrap(), 1);
    let batch =
        RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![7, 8])) as ArrayRef)]).unwrap();
    let order = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Create.into(),
            if_exists: TableExistsOption::Append.into(),
        }),
        table: "u".to_owned(),
        transaction_id: Some(id.clone()),
        ..CommandStatementIngest::default()
    };
    let sent = || futures::stream::iter([Ok(batch.clone())]);
    assert_eq!(ann.execute_ingest(order.clone(), sent()).await.unwrap(), 2);
    // Drivers forget to name the transaction with rows; a table that was made in it takes them too.
    let order = CommandStatementIngest { table: "fresh".to_owned(), transaction_id: None, ..order };
    assert_eq!(ann.execute_ingest(order, sent()).await.unwrap(), 2);
    // A statement that fails leaves the rest as it was; one that is a release of its own is refused.
    assert!(within(&mut ann, &id, "insert into nowhere values (1)").await.contains("there is no table"));
    assert!(within(&mut ann, &id, "vacuum t").await.contains("within a transaction is not supported"));
    assert!(
        within(&mut ann, &id, "set elt.release = 1")
            .await
            .contains("a transaction reads the release that it began with")
    );
    // Nobody else sees any of it.
    assert_eq!(rows(&mut bob, "select count(*) from t").await, "2");
    assert!(rows(&mut bob, "select * from fresh").await.contains("there is no table"));
    assert_eq!(lake.open().releases(9).await.unwrap().len(), 1);
    ann.end_transaction(id.clone(), EndTransaction::Commit).await.unwrap();
    assert_eq!(rows(&mut bob, "select * from t order by id").await, "2 b | 3 z | 4 z | 5 e");
    assert_eq!(rows(&mut bob, "select count(*) from u").await, "3");
    assert_eq!(rows(&mut bob, "select count(*) from fresh").await, "5");
    let releases = lake.open().releases(9).await.unwrap();
    assert_eq!((releases.len(), releases[0].kind_words().as_str()), (2, "TRANSACTION"));
    assert!(within(&mut ann, &id, "select 1").await.contains("not known any more"), "it has ended");

    let id = ann.begin_transaction().await.unwrap();
    within(&mut ann, &id, "delete from t").await;
    within(&mut ann, &id, "drop table u").await;
    assert!(within(&mut ann, &id, "select * from u").await.contains("there is no table"));
    assert_eq!(rows(&mut bob, "select count(*) from u").await, "3");
    ann.end_transaction(id, EndTransaction::Rollback).await.unwrap();
    assert_eq!(rows_of(&lake.open(), "select count(*) from t").await, "4");
    let id = ann.begin_transaction().await.unwrap();
    assert_eq!(
        within(&mut bob, &id, "select count(*) from t").await,
        "4",
        "the same user may go on with it elsewhere"
    );
    ann.end_transaction(id, EndTransaction::Commit).await.unwrap();
    assert_eq!(lake.open().releases(9).await.unwrap().len(), 2, "nothing was written, nothing is published");
    served.stop().await;
}

#[tokio::test]
async fn of_two_transactions_at_the_same_rows_one_is_told_to_try_again() {
    let (lake, served) = lake().await;
    let (mut ann, mut bob) = (served.client().await, served.client().await);
    let (one, other) = (ann.begin_transaction().await.unwrap(), bob.begin_transaction().await.unwrap());
    assert_eq!(within(&mut ann, &one, "select count(*) from t").await, "2");
    assert_eq!(within(&mut bob, &other, "select count(*) from t").await, "2");
    within(&mut ann, &one, "delete from t where id = 1").await;
    within(&mut bob, &other, "update t set name = 'x' where id = 1").await;
    ann.end_transaction(one, EndTransaction::Commit).await.unwrap();
    // What was begun before sees what it saw.
    assert_eq!(within(&mut bob, &other, "select count(*) from t").await, "2");
    let lost = bob.end_transaction(other, EndTransaction::Commit).await.unwrap_err();
    assert!(format!("{lost:?}").contains("Aborted"), "{lost:?}");
    assert_eq!(rows_of(&lake.open(), "select * from t").await, "2 b");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_fetched_from_several_endpoints_and_is_whole() {
    let (_lake, served) = lake().await;
    let mut client = served.client().await;
    client.execute_update("set elt.endpoints = 4".to_owned(), None).await.unwrap();
    let info = client.execute("select value from range(200000)".to_owned(), None).await.unwrap();
    assert_eq!((info.endpoint.len(), info.ordered), (4, false));
    let fetched = info.endpoint.iter().map(|endpoint| {
        let (mut client, ticket) = (client.clone(), endpoint.ticket.clone().unwrap());
        async move {
            let rows = client.do_get(ticket).await.unwrap();
            let batches: Vec<RecordBatch> = futures::TryStreamExt::try_collect(rows).await.unwrap();
            batches
        }
    });
    let all: Vec<RecordBatch> = futures::future::join_all(fetched).await.into_iter().flatten().collect();
    let values = all.iter().flat_map(|batch| {
        let column = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        column.values().to_vec()
    });
    let mut values: Vec<i64> = values.collect();
    values.sort_unstable();
    assert_eq!(values, (0..200_000).collect::<Vec<i64>>(), "each row once");
    // Whoever reads first, each has its share.
    let info = client.execute("select value from range(800000)".to_owned(), None).await.unwrap();
    let mut counted = Vec::new();
    for endpoint in &info.endpoint {
        let rows = client.do_get(endpoint.ticket.clone().unwrap()).await.unwrap();
        let batches: Vec<RecordBatch> = futures::TryStreamExt::try_collect(rows).await.unwrap();
        counted.push(batches.iter().map(RecordBatch::num_rows).sum::<usize>());
    }
    assert_eq!(counted.iter().sum::<usize>(), 800_000);
    assert!(counted.iter().all(|rows| (150_000..250_000).contains(rows)), "{counted:?}");
    let again =
        client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.map(|_| ()).unwrap_err().to_string();
    assert!(again.contains("fetched already"), "{again}");
    // What is asked for in an order comes from one.
    let info = client
        .execute("select value from range(10) order by value desc limit 3".to_owned(), None)
        .await
        .unwrap();
    assert_eq!((info.endpoint.len(), info.ordered), (1, true));
    served.stop().await;
}
