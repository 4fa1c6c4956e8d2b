//! What does a program get that asks over the wire?
//!
//! Rust's own client against a server on a free port. What the drivers of other languages do is checked by
//! `tests/interop/flight.py`.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int32Type, Schema};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    Any, Command, CommandGetDbSchemas, CommandGetTables, CommandGetXdbcTypeInfo, CommandStatementIngest,
    CommandStatementQuery, ProstMessageExt, SqlInfo, TableDefinitionOptions, TableExistsOption,
    TableNotExistOption,
};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightData, FlightDescriptor,
    FlightInfo, HandshakeRequest, Ticket,
};
use elt::lakehouse::{BuildRequest, Lakehouse, Role};
use elt::serve::{ServeLimits, ServeOptions, Server, Token};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::test_lake::{TestLake, cells};

pub(crate) type Client = FlightSqlServiceClient<Channel>;

pub(crate) const TOKEN: &str = "let-me-in";

/// A server of a lake, which ends with it.
pub(crate) struct Served {
    address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn of(lakehouse: Lakehouse, role: Role, limits: ServeLimits) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        let options = ServeOptions {
            listen,
            token: Token::Given(TOKEN.to_owned()),
            role,
            tls: None,
            limits,
            http: None,
            postgres: None,
        };
        let server = Server::bind(lakehouse, options).await.unwrap();
        let address = server.address();
        let (stop, told) = oneshot::channel::<()>();
        let ended = tokio::spawn(async move {
            server.run(async { drop(told.await) }, std::future::pending()).await.unwrap()
        });
        Self { address, stop: Some(stop), ended }
    }

    pub(crate) async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// A client that has shown its password.
    pub(crate) async fn client(&self) -> Client {
        let mut client = FlightSqlServiceClient::new(self.channel().await);
        client.handshake("ann", TOKEN).await.unwrap();
        client
    }

    /// A client that has shown the password of a user.
    pub(crate) async fn user(&self, name: &str, password: &str) -> Result<Client, Status> {
        let mut client = FlightSqlServiceClient::new(self.channel().await);
        client.handshake(name, password).await.map_err(status)?;
        Ok(client)
    }

    /// The protocol without help, for what the client leaves out.
    pub(crate) async fn bare(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new(self.channel().await)
    }

    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.ended.await.unwrap();
    }
}

/// A lake with three people, served.
async fn served(role: Role) -> (TestLake, Served) {
    let lake = TestLake::new();
    let people = "{{ config(materialized='table') }} select * from (values (1, 'Ann'), (2, 'Bob'), (3, null)) as t (id, name)";
    lake.write("models/people.sql", people);
    lake.write("models/seen.sql", "{{ config(materialized='view') }} select id from {{ ref('people') }}");
    lake.build().await;
    let served = Served::of(lake.open(), role, ServeLimits::default()).await;
    (lake, served)
}

/// The rows of an info's only ticket, and that its columns are those that were promised.
pub(crate) async fn fetch(client: &mut Client, info: FlightInfo) -> Result<Vec<RecordBatch>, Status> {
    let promised = info.clone().try_decode_schema().unwrap();
    let [endpoint] = &info.endpoint[..] else { panic!("one endpoint") };
    assert!(endpoint.location.is_empty(), "clients fetch from where they are connected");
    let mut rows = client.do_get(endpoint.ticket.clone().unwrap()).await.map_err(status)?;
    let mut batches = Vec::new();
    while let Some(batch) = rows.next().await {
        batches.push(batch.map_err(status)?);
    }
    assert_eq!(**rows.schema().expect("columns come even without rows"), promised);
    Ok(batches)
}

pub(crate) async fn rows(client: &mut Client, sql: &str) -> String {
    match ask(client, sql).await {
        Ok(batches) => shown(&batches),
        Err(status) => format!("{}: {}", status.code(), status.message()),
    }
}

pub(crate) async fn ask(client: &mut Client, sql: &str) -> Result<Vec<RecordBatch>, Status> {
    let info = client.execute(sql.to_owned(), None).await.map_err(status)?;
    fetch(client, info).await
}

fn shown(batches: &[RecordBatch]) -> String {
    let rows: Vec<String> = cells(batches).iter().map(|row| row.join(" ")).collect();
    if rows.is_empty() { "no rows".to_owned() } else { rows.join(" | ") }
}

/// The status inside the client's error.
fn status(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => Status::unknown(other.to_string()),
    }
}

fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

#[tokio::test]
async fn a_client_asks_and_gets_the_columns_that_it_was_promised() {
    let (_lake, served) = served(Role::Reads).await;
    let mut client = served.client().await;
    assert_eq!(rows(&mut client, "select * from people order by id").await, "1 Ann | 2 Bob | 3 -");
    assert_eq!(rows(&mut client, "select count(*) from seen").await, "3");
    assert_eq!(rows(&mut client, "select * from people where false").await, "no rows");
    assert_eq!(rows(&mut client, "show schemas").await, "main");
    assert_eq!(rows(&mut client, "describe people").await, "id bigint YES | name varchar YES");
    for sql in [
        "select arrow_cast('x', 'Utf8View') as v, arrow_cast('y', 'Dictionary(Int32, Utf8)') as d, null as n",
        "select arrow_cast(['a'], 'LargeList(LargeUtf8)') as l, named_struct('a', arrow_cast('b', 'LargeUtf8')) as s",
        "select min(id), max(name), count(*) over () from people group by id, name",
        "select arrow_cast('x', 'Utf8View') as v where false",
        "explain select 1",
        "summarize people",
        "select map(['k'], [1]) as m, 1::decimal(5,2) as d, date '2020-01-01' as day, interval '1 day' as i, x'00ff' as b",
    ] {
        ask(&mut client, sql).await.unwrap_or_else(|status| panic!("{sql}: {}", status.message()));
    }
    let plain = ask(&mut client, "select arrow_cast('x', 'Utf8View') as v").await.unwrap();
    assert_eq!(*plain[0].column(0).data_type(), DataType::Utf8);
    served.stop().await;
}

#[tokio::test]
async fn whoever_shows_no_token_is_let_into_nothing() {
    let (_lake, served) = served(Role::Reads).await;
    let mut bare = served.bare().await;
    let descriptor = || FlightDescriptor::new_cmd(vec![]);
    let empty = || futures::stream::empty::<FlightData>();
    let codes = [
        bare.get_flight_info(descriptor()).await.unwrap_err().code(),
        bare.get_schema(descriptor()).await.unwrap_err().code(),
        bare.poll_flight_info(descriptor()).await.unwrap_err().code(),
        bare.do_get(Ticket::new(vec![])).await.unwrap_err().code(),
        bare.do_put(empty()).await.unwrap_err().code(),
        bare.do_action(Action::new("CloseSession", vec![])).await.unwrap_err().code(),
        bare.list_actions(arrow_flight::Empty {}).await.unwrap_err().code(),
        bare.handshake(futures::stream::empty::<HandshakeRequest>()).await.unwrap_err().code(),
        bare.get_flight_info(with_token("wrong", descriptor())).await.unwrap_err().code(),
    ];
    assert_eq!(codes, [Code::Unauthenticated; 9]);
    let mut client = FlightSqlServiceClient::new(served.channel().await);
    assert!(client.handshake("ann", "wrong").await.is_err());
    // A driver that has a token shakes hands with it, and sends nothing.
    let hello = with_token(TOKEN, futures::stream::empty::<HandshakeRequest>());
    bare.handshake(hello).await.unwrap();
    client.set_token(TOKEN.to_owned());
    assert_eq!(rows(&mut client, "select 1").await, "1");
    served.stop().await;
}

#[tokio::test]
async fn users_have_a_password_and_a_role_and_releases_their_names() {
    let (lake, served) = served(Role::Reads).await;
    lake.open().add_user("ann", "writes", "ann's own").unwrap();
    lake.open().add_user("bob", "reads", "bob's own").unwrap();
    assert!(lake.open().add_user("bob", "reads", "another").is_err());
    assert!(lake.open().add_user("a: b", "reads", "another").is_err());
    let client = async |user: &str, password: &str| {
        let mut client = FlightSqlServiceClient::new(served.channel().await);
        client.handshake(user, password).await.map(|_| client)
    };
    for (user, password) in [("ann", "bob's own"), ("ann", ""), ("eve", "ann's own"), ("", "")] {
        assert!(client(user, password).await.is_err(), "{user}");
    }
    let mut bob = client("bob", "bob's own").await.unwrap();
    assert_eq!(rows(&mut bob, "select count(*) from people").await, "3");
    assert!(bob.execute_update("delete from people".to_owned(), None).await.is_err());
    let mut ann = client("ann", "ann's own").await.unwrap();
    assert_eq!(ann.execute_update("delete from people where id = 1".to_owned(), None).await.unwrap(), 1);
    assert_eq!(lake.open().releases(1).await.unwrap()[0].user, "ann");
    served.stop().await;
}

#[tokio::test]
async fn who_may_only_read_changes_nothing_through_any_door() {
    let (lake, served) = served(Role::Reads).await;
    let mut client = served.client().await;
    for sql in [
        "insert into people values (4, 'Eve')",
        "create table t as select 1 as a",
        "delete from people",
        "drop table people",
        "vacuum people",
        "optimize people",
        "merge into people p using people s on p.id = s.id when matched then delete",
    ] {
        for said in [
            client.execute(sql.to_owned(), None).await.map(|_| ()).map_err(status).unwrap_err(),
            client.execute_update(sql.to_owned(), None).await.map_err(status).unwrap_err(),
        ] {
            assert_eq!(said.code(), Code::PermissionDenied, "{sql}");
            assert!(said.message().contains("you may only read"), "{sql}");
        }
        let mut prepared = client.prepare(sql.to_owned(), None).await.unwrap();
        assert!(prepared.execute().await.is_err(), "{sql}");
        assert!(prepared.execute_update().await.is_err(), "{sql}");
        prepared.close().await.unwrap();
    }
    let batch =
        RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    assert!(
        client
            .execute_ingest(ingest("people", TableExistsOption::Append), stream(vec![batch]))
            .await
            .is_err()
    );
    for sql in [
        "copy people to '/tmp/people.csv'",
        "copy (select 1) to '/tmp/one.parquet'",
        "copy into people from '/etc/passwd'",
        "create external table t stored as csv location '/etc/passwd'",
        "select * from '/etc/passwd'",
        "select * from read_csv('/etc/passwd')",
        "describe '/etc/passwd'",
        "select * from \"@file:csv:58:false\".\"/etc/passwd\"",
        "select * into t from people",
        "set datafusion.runtime.memory_limit = '1G'",
        "create function f() returns int return 1",
    ] {
        let said = client.execute(sql.to_owned(), None).await.map(|_| ()).expect_err(sql).to_string();
        assert!(!said.contains("Error(") && !said.contains("backtrace"), "{sql}: {said}");
    }
    assert_eq!(lake.open().releases(9).await.unwrap().len(), 1, "nothing was published");
    served.stop().await;
}

#[tokio::test]
async fn a_statement_that_writes_is_executed_once_and_is_one_release() {
    let (lake, served) = served(Role::Writes).await;
    let mut client = served.client().await;
    let info = client.execute("insert into people values (4, 'Eve')".to_owned(), None).await.unwrap();
    assert_eq!(rows(&mut client, "select count(*) from people").await, "4", "whether it is fetched or not");
    assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), "INSERT 1 0 0 2");
    assert_eq!(client.execute_update("delete from people where id < 3".to_owned(), None).await.unwrap(), 2);
    assert_eq!(
        client.execute_update("create table t (a bigint, b varchar)".to_owned(), None).await.unwrap(),
        0
    );
    let error = client.execute_update("select 1".to_owned(), None).await.unwrap_err().to_string();
    assert!(error.contains("execute it as a query"), "{error}");

    let mut insert = client.prepare("insert into t values (?, ?)".to_owned(), None).await.unwrap();
    let values = RecordBatch::try_from_iter([
        ("a", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        ("b", Arc::new(StringArray::from(vec![Some("it's"), None])) as ArrayRef),
    ]);
    insert.set_parameters(values.unwrap()).unwrap();
    assert_eq!(insert.execute_update().await.unwrap(), 2);
    insert.close().await.unwrap();
    assert_eq!(rows(&mut client, "select * from t order by a").await, "1 it's | 2 -");
    let kinds: Vec<String> =
        lake.open().releases(9).await.unwrap().iter().map(|release| release.kind_words()).collect();
    assert_eq!(kinds, ["INSERT", "CREATE TABLE", "DELETE", "INSERT", "build"], "two rows are one release");
    served.stop().await;
}

#[tokio::test]
async fn prepared_statements_know_their_columns_and_their_places() {
    let (_lake, served) = served(Role::Writes).await;
    let mut client = served.client().await;
    let mut by_id = client
        .prepare("select name, id from people where id = ? or name = ?".to_owned(), None)
        .await
        .unwrap();
    let types = |schema: &Schema| schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
    assert_eq!(types(by_id.dataset_schema().unwrap()), [DataType::Utf8, DataType::Int64]);
    assert_eq!(types(by_id.parameter_schema().unwrap()), [DataType::Int64, DataType::Utf8]);
    for (id, name, found) in [(1, "Bob", "Ann 1 | Bob 2"), (3, "", "- 3"), (9, "x' or 'a' = 'a", "no rows")] {
        let values = RecordBatch::try_from_iter([
            ("1", Arc::new(Int64Array::from(vec![id])) as ArrayRef),
            ("2", Arc::new(StringArray::from(vec![name])) as ArrayRef),
        ]);
        by_id.set_parameters(values.unwrap()).unwrap();
        let info = by_id.execute().await.unwrap();
        assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), found);
    }
    by_id.close().await.unwrap();

    let insert = client.prepare("insert into people values ($1, $2)".to_owned(), None).await.unwrap();
    assert_eq!(types(insert.parameter_schema().unwrap()), [DataType::Int64, DataType::Utf8]);
    assert!(insert.dataset_schema().unwrap().fields().is_empty(), "by this drivers know what changes tables");
    for (sql, wanted) in [
        ("select coalesce(?, 1)", vec![DataType::Int64]),
        ("select id from people where case when ? then id = ? end", vec![DataType::Boolean, DataType::Int64]),
        ("select * from people where id in (?, ?) limit ?", vec![DataType::Int64; 3]),
        ("select sum(id) + ? from people", vec![DataType::Int64]),
        ("insert into people select coalesce(?, id), name from people", vec![DataType::Int64]),
    ] {
        let prepared = client.prepare(sql.to_owned(), None).await.unwrap();
        assert_eq!(types(prepared.parameter_schema().unwrap()), wanted, "{sql}");
    }
    let mut unknown = client.prepare("select ?".to_owned(), None).await.unwrap();
    assert_eq!(types(unknown.parameter_schema().unwrap()), [DataType::Utf8]);
    let error = unknown.execute().await.unwrap_err().to_string();
    assert!(error.contains("was given none"), "{error}");
    served.stop().await;
}

#[tokio::test]
async fn rows_are_taken_in_whole_as_one_release() {
    let (lake, served) = served(Role::Writes).await;
    let mut client = served.client().await;
    let batch = |ids: Vec<i64>| {
        RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(ids)) as ArrayRef)]).unwrap()
    };
    let order = |exists| ingest("raw.events", exists);
    let two = || stream(vec![batch(vec![1, 2]), batch(vec![3])]);
    assert_eq!(client.execute_ingest(order(TableExistsOption::Fail), two()).await.unwrap(), 3);
    let error = client.execute_ingest(order(TableExistsOption::Fail), two()).await.unwrap_err().to_string();
    assert!(error.contains("exists already"), "{error}");
    assert_eq!(client.execute_ingest(order(TableExistsOption::Append), two()).await.unwrap(), 3);
    assert_eq!(rows(&mut client, "select count(*), sum(id) from raw.events").await, "6 12");
    assert_eq!(client.execute_ingest(order(TableExistsOption::Replace), two()).await.unwrap(), 3);
    assert_eq!(rows(&mut client, "select count(*) from raw.events").await, "3");
    let other =
        RecordBatch::try_from_iter([("other", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    let error = client
        .execute_ingest(order(TableExistsOption::Append), stream(vec![other]))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("`raw.events` has no column `other`"), "{error}");
    assert_eq!(lake.open().releases(99).await.unwrap().len(), 4, "a build and three releases");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_who_send_rows_for_a_new_table_at_once_make_it_once() {
    let (_lake, served) = served(Role::Writes).await;
    let sent = (0..12_i64).map(|number| {
        let served = &served;
        async move {
            let mut client = served.client().await;
            let ids = Arc::new(Int64Array::from(vec![number; 100])) as ArrayRef;
            let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
            client.execute_ingest(ingest("raw.fresh", TableExistsOption::Append), stream(vec![batch])).await
        }
    });
    for counted in futures::future::join_all(sent).await {
        assert_eq!(counted.unwrap(), 100);
    }
    let mut client = served.client().await;
    assert_eq!(rows(&mut client, "select count(*), count(distinct id) from raw.fresh").await, "1200 12");
    // Of those who may only make it, one does.
    let sent = (0..6_i64).map(|number| {
        let served = &served;
        async move {
            let mut client = served.client().await;
            let ids = Arc::new(Int64Array::from(vec![number; 10])) as ArrayRef;
            let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
            client.execute_ingest(ingest("raw.only", TableExistsOption::Fail), stream(vec![batch])).await
        }
    });
    let sent = futures::future::join_all(sent).await;
    assert_eq!(sent.iter().filter(|sent| sent.is_ok()).count(), 1);
    let errors = sent.into_iter().filter_map(std::result::Result::err);
    assert!(errors.map(|error| error.to_string()).all(|error| error.contains("`raw.only` exists already")));
    assert_eq!(rows(&mut client, "select count(*) from raw.only").await, "10");
    served.stop().await;
}

fn ingest(table: &str, exists: TableExistsOption) -> CommandStatementIngest {
    let options =
        TableDefinitionOptions { if_not_exist: TableNotExistOption::Create.into(), if_exists: exists.into() };
    let (schema, table) = table.split_once('.').unwrap_or(("main", table));
    CommandStatementIngest {
        table_definition_options: Some(options),
        table: table.to_owned(),
        schema: Some(schema.to_owned()),
        ..CommandStatementIngest::default()
    }
}

fn stream(
    batches: Vec<RecordBatch>,
) -> impl futures::Stream<Item = arrow_flight::error::Result<RecordBatch>> + Send {
    futures::stream::iter(batches.into_iter().map(Ok))
}

#[tokio::test]
async fn what_a_client_sets_is_its_own_and_lasts() {
    let (lake, served) = served(Role::Writes).await;
    let (mut ann, mut bob) = (served.client().await, served.client().await);
    ann.execute_update("insert into people values (4, 'Eve')".to_owned(), None).await.unwrap();
    ann.execute_update("set elt.release = 1".to_owned(), None).await.unwrap();
    lake.build().await;
    assert_eq!(rows(&mut ann, "select count(*) from people").await, "3");
    assert_eq!(rows(&mut bob, "select max(release) from (select 1 as release)").await, "1");
    let error = ann.execute_update("delete from people".to_owned(), None).await.unwrap_err().to_string();
    assert!(error.contains("a release never changes"), "{error}");
    ann.execute_update("set elt.release = default".to_owned(), None).await.unwrap();
    ann.execute_update("set elt.arrow_native = true".to_owned(), None).await.unwrap();
    let native = ask(&mut ann, "select arrow_cast('x', 'Utf8View') as v").await.unwrap();
    assert_eq!(*native[0].column(0).data_type(), DataType::Utf8View);
    for (sql, word) in [
        ("set elt.relese = 1", "did you mean `elt.release`"),
        ("set elt.release = 99", "there is no release 99"),
        ("set schema = nowhere", "there are: main"),
        ("set time zone = 'Mars'", "there is no time zone"),
    ] {
        let error = bob.execute_update(sql.to_owned(), None).await.unwrap_err().to_string();
        assert!(error.contains(word), "{sql}: {error}");
    }
    // One who shows the server's token on every call gets a token of its own with the first wish.
    let mut bare = served.bare().await;
    let wish = CommandStatementQuery { query: "set elt.release = 1".to_owned(), transaction_id: None };
    let wish = FlightDescriptor::new_cmd(wish.as_any().encode_to_vec());
    let answer = bare.get_flight_info(with_token(TOKEN, wish)).await.unwrap();
    let token =
        answer.metadata().get("authorization").unwrap().to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let mut apart = FlightSqlServiceClient::new(served.channel().await);
    apart.set_token(token.to_owned());
    assert_eq!(rows(&mut apart, "select count(*) from people").await, "3");
    served.stop().await;
}

#[tokio::test]
async fn tools_find_what_there_is() {
    let (_lake, served) = served(Role::Reads).await;
    let mut client = served.client().await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), "elt");
    let info = client.get_db_schemas(CommandGetDbSchemas::default()).await.unwrap();
    assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), "elt main");
    let info = client.get_table_types().await.unwrap();
    assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), "BASE TABLE | VIEW");
    for (pattern, types, found) in [
        (None, vec![], "elt main people BASE TABLE | elt main seen VIEW"),
        (Some("pe%"), vec![], "elt main people BASE TABLE"),
        (Some("_een"), vec!["table".to_owned(), "VIEW".to_owned()], "elt main seen VIEW"),
        (None, vec!["table".to_owned()], "elt main people BASE TABLE"),
        (Some("x"), vec![], "no rows"),
    ] {
        let asked = CommandGetTables {
            table_name_filter_pattern: pattern.map(str::to_owned),
            table_types: types,
            ..CommandGetTables::default()
        };
        let info = client.get_tables(asked).await.unwrap();
        assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), found);
    }
    let asked = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
    let info = client.get_tables(asked).await.unwrap();
    let batches = fetch(&mut client, info).await.unwrap();
    assert_eq!(batches.len(), 1, "some drivers read one batch");
    let bytes = batches[0].column_by_name("table_schema").unwrap().as_binary::<i32>().value(0).to_vec();
    let columns = Schema::try_from(arrow_flight::IpcMessage(bytes.into())).unwrap();
    let info = client.execute("select * from people".to_owned(), None).await.unwrap();
    let promised = info.try_decode_schema().unwrap();
    for (told, promised) in columns.fields().iter().zip(promised.fields()) {
        assert_eq!((told.name(), told.data_type()), (promised.name(), promised.data_type()));
        assert_eq!(
            told.metadata()["ARROW:FLIGHT:SQL:TYPE_NAME"],
            promised.metadata()["ARROW:FLIGHT:SQL:TYPE_NAME"]
        );
    }
    let info = client.get_sql_info(vec![SqlInfo::FlightSqlServerTransaction]).await.unwrap();
    assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), "8 {int32_bitmask=1}");
    let info = client.get_sql_info(vec![]).await.unwrap();
    assert!(fetch(&mut client, info).await.unwrap()[0].num_rows() > 60);
    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: Some(12) }).await.unwrap();
    let types = fetch(&mut client, info).await.unwrap();
    assert_eq!(types[0].column(0).as_string::<i32>().value(0), "VARCHAR");
    assert_eq!(types[0].column(1).as_primitive::<Int32Type>().value(0), 12);
    let info = client.get_primary_keys(arrow_flight::sql::CommandGetPrimaryKeys::default()).await.unwrap();
    assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), "no rows");
    let info = client.get_imported_keys(arrow_flight::sql::CommandGetImportedKeys::default()).await.unwrap();
    assert_eq!(info.clone().try_decode_schema().unwrap().fields().len(), 13);
    assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), "no rows");

    let asked = CommandStatementQuery { query: "select id from people".to_owned(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(asked.as_any().encode_to_vec());
    let mut bare = served.bare().await;
    let told = bare.get_schema(with_token(TOKEN, descriptor.clone())).await.unwrap().into_inner();
    let told = Schema::try_from(arrow_flight::IpcMessage(told.schema)).unwrap();
    assert_eq!(told.field(0).name(), "id");
    let polled = bare.poll_flight_info(with_token(TOKEN, descriptor)).await.unwrap().into_inner();
    assert_eq!((polled.progress, polled.flight_descriptor), (Some(1.0), None));
    served.stop().await;
}

#[tokio::test]
async fn tools_are_told_what_the_project_says_of_its_columns() {
    let lake = TestLake::new();
    lake.write("models/t.sql", "{{ config(materialized='table') }} select 1 as id, 'x' as \"Name\"");
    lake.write("models/v.sql", "{{ config(materialized='view') }} select id from {{ ref('t') }}");
    lake.write(
        "models/all.yml",
        "
models:
  - name: t
    description: who there is
    columns:
      - {name: id, description: a number of each}
      - {name: name, description: how it is called}
  - name: v
    columns:
      - {name: id, description: the same number}
",
    );
    lake.build().await;
    let served = Served::of(lake.open(), Role::Reads, ServeLimits::default()).await;
    let mut client = served.client().await;
    let expected =
        ["t: who there is", "id: a number of each", "Name: how it is called", "v: ", "id: the same number"];
    assert_eq!(remarks(&mut client).await, expected);
    // What is written anew is told anew, without a build.
    lake.write("models/all.yml", "models: [{name: t, description: whoever there is}]");
    assert_eq!(remarks(&mut client).await, ["t: whoever there is", "id: ", "Name: ", "v: ", "id: "]);
    // What cannot be read takes nothing away.
    lake.write("models/all.yml", "models: [{name: t, description");
    assert_eq!(remarks(&mut client).await[0], "t: whoever there is");
    served.stop().await;
}

/// The tables and columns that there are, each with what is said of it.
async fn remarks(client: &mut Client) -> Vec<String> {
    let asked = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
    let info = client.get_tables(asked).await.unwrap();
    let batch = fetch(client, info).await.unwrap().remove(0);
    let (names, schemas) =
        (batch.column_by_name("table_name").unwrap(), batch.column_by_name("table_schema").unwrap());
    let mut told = Vec::new();
    for row in 0..batch.num_rows() {
        let bytes = schemas.as_binary::<i32>().value(row).to_vec();
        let columns = Schema::try_from(arrow_flight::IpcMessage(bytes.into())).unwrap();
        let remarks =
            |of: &std::collections::HashMap<String, String>| of.get("ARROW:FLIGHT:SQL:REMARKS").cloned();
        let table = names.as_string::<i32>().value(row);
        told.push(format!("{table}: {}", remarks(columns.metadata()).unwrap_or_default()));
        for field in columns.fields() {
            told.push(format!("{}: {}", field.name(), remarks(field.metadata()).unwrap_or_default()));
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_clients_see_one_release_each_while_others_are_published() {
    let (lake, served) = served(Role::Writes).await;
    let mut clients = Vec::new();
    for _ in 0..32 {
        clients.push(served.client().await);
    }
    // Every release has as many rows in `a` as in `b`.
    let mut writer = served.client().await;
    writer.execute_update("create table pair (a bigint)".to_owned(), None).await.unwrap();
    let asking = clients.into_iter().map(|mut client| async move {
        for _ in 0..6 {
            let sql = "select (select count(*) from pair) - (select count(distinct a) from pair) as torn, (select count(*) from people)";
            assert_eq!(rows(&mut client, sql).await, "0 3");
        }
    });
    let asking = futures::future::join_all(asking.map(tokio::spawn));
    let writing = async {
        for number in 0..6 {
            writer.execute_update(format!("insert into pair values ({number})"), None).await.unwrap();
        }
        let all = BuildRequest { full: true, ..BuildRequest::default() };
        Box::pin(lake.open().build(&all, &elt::base::Unwatched)).await.unwrap();
    };
    let (asked, ()) = futures::join!(asking, writing);
    asked.into_iter().for_each(Result::unwrap);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_ends_with_its_reader_and_when_it_is_told_to() {
    let lake = TestLake::new();
    let limits = ServeLimits {
        running: 1,
        waiting: 1,
        patience: Duration::from_millis(300),
        ..ServeLimits::default()
    };
    let served = Served::of(lake.open(), Role::Reads, limits).await;
    let mut client = served.client().await;
    let endless = "select a.value from range(100000000) a cross join range(1000) b";

    // A reader that has its first rows and reads no further holds the only turn; the next is told so.
    let info = client.execute(endless.to_owned(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut reader = client.do_get(ticket).await.unwrap();
    assert!(reader.next().await.unwrap().unwrap().num_rows() > 0);
    let busy = rows(&mut client, "select 1").await;
    assert!(busy.contains("the server is busy"), "{busy}");

    // It goes away, and its turn is free.
    drop(reader);
    assert_eq!(eventually(&mut client, "select 1").await, "1");

    // One that is told to stop says so.
    let info = client.execute(endless.to_owned(), None).await.unwrap();
    let mut reader = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    assert!(reader.next().await.unwrap().is_ok());
    let request = CancelFlightInfoRequest::new(info);
    let action = Action::new("CancelFlightInfo", request.encode_to_vec());
    let mut answers =
        served.bare().await.do_action(with_token(TOKEN, action.clone())).await.unwrap().into_inner();
    let answer = CancelFlightInfoResult::decode(answers.message().await.unwrap().unwrap().body).unwrap();
    assert_eq!(answer.status(), CancelStatus::NotCancellable, "it is somebody else's");
    let mut answers = client.do_action(Request::new(action)).await.unwrap();
    let answer = CancelFlightInfoResult::decode(answers.message().await.unwrap().unwrap().body).unwrap();
    assert_eq!(answer.status(), CancelStatus::Cancelled);
    let ended = reader.try_for_each(|_| futures::future::ready(Ok(()))).await.unwrap_err().to_string();
    assert!(ended.contains("the statement was cancelled"), "{ended}");
    assert_eq!(eventually(&mut client, "select 1").await, "1");

    // The server stops although somebody is in the middle of an answer.
    let info = client.execute(endless.to_owned(), None).await.unwrap();
    let mut reader = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    assert!(reader.next().await.unwrap().is_ok());
    drop(reader);
    served.stop().await;
}

/// Asks until the server has noticed that somebody left.
/// A query, as it is asked for.
fn asked(sql: &str) -> FlightDescriptor {
    let query = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
    FlightDescriptor::new_cmd(query.as_any().encode_to_vec())
}

#[tokio::test]
async fn a_long_query_is_polled_for_and_can_be_cancelled_meanwhile() {
    let (_lake, served) = served(Role::Reads).await;
    let (mut bare, mut client) = (served.bare().await, served.client().await);
    let polled = bare.poll_flight_info(with_token(TOKEN, asked("select id from people order by id"))).await;
    let polled = polled.unwrap().into_inner();
    assert!(polled.flight_descriptor.is_none() && polled.progress == Some(1.0), "it is there: {polled:?}");
    client.set_token(TOKEN.to_owned());
    let info = polled.info.unwrap();
    assert_eq!(cells(&fetch(&mut client, info).await.unwrap()), [["1"], ["2"], ["3"]]);

    let slow =
        "select count(*) from range(1000000) a cross join range(1000000) b where a.value + b.value < 0";
    let polled = bare.poll_flight_info(with_token(TOKEN, asked(slow))).await.unwrap().into_inner();
    let (info, next) = (polled.info.unwrap(), polled.flight_descriptor.unwrap());
    assert!(info.endpoint.is_empty() && polled.progress.is_some_and(|done| done < 1.0), "{info:?}");
    assert_eq!(info.clone().try_decode_schema().unwrap().fields().len(), 1);
    let again = bare.poll_flight_info(with_token(TOKEN, next.clone())).await.unwrap().into_inner();
    assert!(again.flight_descriptor.is_some());
    let request = CancelFlightInfoRequest { info: Some(info) };
    let action = Action { r#type: "CancelFlightInfo".to_owned(), body: request.encode_to_vec().into() };
    let mut answer = bare.do_action(with_token(TOKEN, action)).await.unwrap().into_inner();
    let answer = answer.message().await.unwrap().unwrap();
    let answer = CancelFlightInfoResult::decode(&*answer.body).unwrap();
    assert_eq!(answer.status(), CancelStatus::Cancelled);
    let ended = bare.poll_flight_info(with_token(TOKEN, next)).await.unwrap_err();
    assert!([Code::Cancelled, Code::NotFound].contains(&ended.code()), "{ended:?}");
    let wrong = bare.poll_flight_info(with_token(TOKEN, asked("select * from nowhere"))).await.unwrap_err();
    assert!(wrong.message().contains("there is no table"), "{wrong:?}");
    served.stop().await;
}

async fn eventually(client: &mut Client, sql: &str) -> String {
    for _ in 0..40 {
        let said = rows(client, sql).await;
        if !said.contains("busy") {
            return said;
        }
    }
    "still busy".to_owned()
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_told_so() {
    let lake = TestLake::new();
    let limits = ServeLimits { time: Duration::from_millis(400), ..ServeLimits::default() };
    let served = Served::of(lake.open(), Role::Reads, limits).await;
    let mut client = served.client().await;
    let said = rows(
        &mut client,
        "select count(*) from range(30000) a cross join range(10000) b where a.value + b.value < 0",
    )
    .await;
    assert!(said.contains("took longer than"), "{said}");
    served.stop().await;
}

#[tokio::test]
async fn nonsense_is_an_error_and_never_the_end() {
    let (_lake, served) = served(Role::Writes).await;
    let mut bare = served.bare().await;
    let mut seed = 7_u64;
    let mut chance = move |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % most
    };
    let sound = [
        CommandStatementQuery { query: "select 1".to_owned(), transaction_id: None }.as_any().encode_to_vec(),
        CommandGetTables { include_schema: true, ..CommandGetTables::default() }.as_any().encode_to_vec(),
        ingest("t", TableExistsOption::Append).as_any().encode_to_vec(),
        Any { type_url: "x/y".to_owned(), value: vec![1, 2].into() }.encode_to_vec(),
    ];
    for round in 0..200_usize {
        let mut bytes = sound[round % sound.len()].clone();
        for _ in 0..chance(4) {
            let at = usize::try_from(chance(bytes.len() as u64)).unwrap();
            bytes[at] = u8::try_from(chance(256)).unwrap();
        }
        bytes.truncate(bytes.len() - usize::try_from(chance(3)).unwrap());
        let descriptor = FlightDescriptor::new_cmd(bytes.clone());
        drop(bare.get_flight_info(with_token(TOKEN, descriptor.clone())).await);
        drop(bare.get_schema(with_token(TOKEN, descriptor.clone())).await);
        if let Ok(answer) = bare.do_get(with_token(TOKEN, Ticket::new(bytes.clone()))).await {
            drop(answer.into_inner().try_collect::<Vec<_>>().await);
        }
        for name in
            ["CreatePreparedStatement", "CancelFlightInfo", "SetSessionOptions", "CancelQuery", "Nothing"]
        {
            drop(bare.do_action(with_token(TOKEN, Action::new(name, bytes.clone()))).await);
        }
        let mut rows = vec![0_u8; usize::try_from(chance(64)).unwrap()];
        rows.iter_mut().for_each(|byte| *byte = u8::try_from(chance(256)).unwrap());
        let data =
            FlightData { data_header: rows.clone().into(), data_body: rows.into(), ..FlightData::default() };
        let first = FlightData { flight_descriptor: Some(descriptor), ..data.clone() };
        drop(bare.do_put(with_token(TOKEN, futures::stream::iter([first, data]))).await);
    }
    let mut client = served.client().await;
    for sql in [
        "",
        ";",
        "select",
        "select '",
        "\u{0}",
        "select 1; select 2",
        "((((((((",
        "select * from \"",
        "set",
        "set a",
    ] {
        assert_eq!(ask(&mut client, sql).await.expect_err(sql).code(), Code::InvalidArgument, "{sql}");
    }
    let deep = format!("select {}1{}", "(".repeat(3000), ")".repeat(3000));
    assert!(client.execute(deep, None).await.is_err());
    assert_eq!(rows(&mut client, "select 1").await, "1");
    assert!(matches!(Command::try_from(Any::default()), Ok(Command::Unknown(_))));
    served.stop().await;
}
