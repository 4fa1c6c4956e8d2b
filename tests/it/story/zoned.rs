//! What does somebody see, and write, whose session is in a time zone?

use elt::lakehouse::{Lakehouse, Role, Session};
use elt::serve::ServeLimits;

use crate::serve::{Served, ask, rows};
use crate::test_lake::{TestLake, cells};

async fn run(lakehouse: &Lakehouse, session: &Session, sql: &str) -> (Vec<Vec<String>>, Session) {
    let done = Box::pin(lakehouse.execute(session, sql)).await;
    let (outcome, session) = done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let told = outcome.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    (cells(&told), session)
}

#[tokio::test]
async fn what_is_written_in_a_time_zone_is_kept_in_utc() {
    let lake = TestLake::new();
    let lakehouse = lake.open();
    lake.sql("create table seen (id int, ts timestamptz)").await;
    lake.sql("create view by_day as select ts::date as day, count(*) as n from seen group by 1").await;
    let session = lakehouse.session().await.unwrap();
    let (_, mut session) = run(&lakehouse, &session, "set time zone 'America/New_York'").await;
    for sql in [
        "insert into seen values (1, '2024-06-30 23:00'), (2, timestamp '2024-01-01 20:00'), (3, timestamptz '2024-01-02 12:00+00')",
        "insert into seen select 4, date '2024-05-01'",
        "update seen set ts = ts + interval '1 hour' where ts = '2024-01-02 07:00'",
        "merge into seen using (select 5 as id, timestamp '2024-07-04 21:00' as ts) s on seen.id = s.id when not matched then insert (id, ts) values (s.id, s.ts)",
        "delete from seen where ts::date = '2024-05-01'",
        "create table copied as select id, ts, ts::date as day from seen",
        "create table made (id int, ts timestamptz)",
        "alter table made add column at timestamptz",
        "insert into made values (1, '2024-06-30 23:00', date '2024-07-01')",
    ] {
        session = run(&lakehouse, &session, sql).await.1;
        session = lakehouse.newer(&session).await.unwrap().unwrap_or(session);
    }
    let (there, _) = run(&lakehouse, &session, "select id, ts::varchar from seen order by id").await;
    assert_eq!(
        there,
        [
            ["1", "2024-06-30 23:00:00-04"],
            ["2", "2024-01-01 20:00:00-05"],
            ["3", "2024-01-02 08:00:00-05"],
            ["5", "2024-07-04 21:00:00-04"],
        ]
    );
    let kept = "1 2024-07-01 03:00:00+00 | 2 2024-01-02 01:00:00+00 | 3 2024-01-02 13:00:00+00 | 5 2024-07-05 01:00:00+00";
    assert_eq!(lake.rows("select id, ts::varchar from seen order by id").await, kept);
    assert_eq!(lake.rows("select id, ts::varchar from copied order by id").await, kept);
    assert_eq!(
        lake.rows("select ts::varchar, at::varchar from made").await,
        "2024-07-01 03:00:00+00 2024-07-01 04:00:00+00"
    );
    assert_eq!(
        lake.rows("select count(*) from copied where day <> ts::date").await,
        "3",
        "days were those of New York"
    );
    let (days, _) = run(&lakehouse, &session, "select day, n from by_day order by 1").await;
    assert_eq!(
        days,
        [["2024-01-01", "1"], ["2024-01-02", "1"], ["2024-06-30", "1"], ["2024-07-04", "1"]],
        "a view is read in the zone of who reads it"
    );
    assert_eq!(lake.rows("select count(*) from by_day where day = '2024-01-02' and n = 2").await, "1");
    // Files are left out by their statistics as before.
    for wanted in ["2024-07-04", "2024-07-04 20:00:00-04"] {
        let sql = format!("explain analyze select count(*) from copied where ts >= '{wanted}'");
        let (plan, _) = run(&lakehouse, &session, &sql).await;
        let plan = format!("{plan:?}");
        assert!(!plan.contains("CAST(ts AS") && plan.contains("ts >= "), "{plan}");
    }
}

#[tokio::test]
async fn clients_have_a_time_zone_each_and_policies_have_none() {
    let lake = TestLake::new();
    let table = "{{ config(materialized='table') }} select * from (values (1, timestamptz '2024-06-30 23:30+00'), (2, timestamptz '2024-07-01 02:00+00')) as t (id, ts)";
    lake.write("models/seen.sql", table);
    lake.build().await;
    lake.write(
        "elt.yml",
        "roles:\n  analyst:\n    grants: [select on table main.seen]\n    row_filters: {main.seen: \"ts < timestamptz '2024-07-01' and ts::date <= '2024-06-30'\"}\n",
    );
    lake.open().add_user("amy", "analyst", "secret-enough").unwrap();
    let served = Served::of(lake.open(), Role::Reads, ServeLimits::default()).await;
    let mut client = served.client().await;
    let sql = "select id, ts::date from seen order by id";
    assert_eq!(rows(&mut client, sql).await, "1 2024-06-30 | 2 2024-07-01");
    client.execute_update("set time zone = 'america/new_york'".to_owned(), None).await.unwrap();
    assert_eq!(rows(&mut client, "show timezone").await, "timezone America/New_York");
    assert_eq!(rows(&mut client, sql).await, "1 2024-06-30 | 2 2024-06-30", "what is kept is kept by zone");
    let found = ask(&mut client, "select ts, now() as n from seen").await.unwrap();
    for column in found[0].columns() {
        assert!(column.data_type().to_string().contains("America/New_York"), "{}", column.data_type());
    }
    let prepared = client.prepare("select count(*) from seen where ts < ?".to_owned(), None).await.unwrap();
    assert_eq!(prepared.parameter_schema().unwrap().fields().len(), 1);
    let within = client.begin_transaction().await.unwrap();
    let info = client.execute(sql.to_owned(), Some(within.clone())).await.unwrap();
    crate::serve::fetch(&mut client, info).await.unwrap();
    client.execute_update("set timezone = default".to_owned(), Some(within.clone())).await.unwrap();
    let info = client.execute(sql.to_owned(), Some(within.clone())).await.unwrap();
    let found = crate::serve::fetch(&mut client, info).await.unwrap();
    assert_eq!(
        cells(&found),
        [["1", "2024-06-30"], ["2", "2024-07-01"]],
        "it is read so in the transaction too"
    );
    let refused = client.execute_update("set elt.release = 1".to_owned(), Some(within.clone())).await;
    assert!(refused.unwrap_err().to_string().contains("reads the release that it began with"));
    client.end_transaction(within, arrow_flight::sql::EndTransaction::Rollback).await.unwrap();
    let mut amy = served.user("amy", "secret-enough").await.unwrap();
    for zone in ["UTC", "Pacific/Kiritimati", "America/New_York"] {
        amy.execute_update(format!("set time zone = '{zone}'"), None).await.unwrap();
        assert_eq!(rows(&mut amy, "select id from seen").await, "1", "{zone}");
    }
    served.stop().await;
}
