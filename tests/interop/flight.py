"""Does `elt serve` answer the drivers that people have: ADBC for Flight SQL, and pyarrow's own client?

Started by `run.py`, in the environment with the drivers. It serves a copy of the project and asks as notebooks and BI
tools do: by the lines that the server prints, with values of every type, in the middle of builds, and badly.
"""

import argparse
import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from contextlib import contextmanager
from datetime import date, datetime, time as clock, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import adbc_driver_flightsql.dbapi as flight
import adbc_driver_manager.dbapi as dbapi
import pyarrow as pa
import pyarrow.flight

from lake import Lakehouse

PASSED = []


def check(name: str, holds: object, said: object = "") -> None:
    """Takes note of what holds, and ends the run at what does not."""
    if not holds:
        sys.exit(f"FAILED: {name}: {said}")
    PASSED.append(name)


class Server:
    """`elt serve`, and what it printed when it began."""

    def __init__(self, lakehouse: Lakehouse, *options: str) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in ("ELT_LAKE", "DBT_PROJECT_DIR", "ELT_TOKEN")}
        command = [lakehouse.elt, "serve", "--listen", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(
            command, cwd=lakehouse.root, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.said = []
        for line in self.process.stderr:
            self.said.append(line.rstrip())
            if "Ctrl-C" in line:
                break
        said = "\n".join(self.said)
        self.url = re.search(r" at (grpc\S*)", said)[1]
        token = re.search(r"token.*: (\w+)$", said, re.MULTILINE)
        self.token = token and token[1]

    def connect(self, **options: str) -> dbapi.Connection:
        """A connection, as the README makes one."""
        wishes = {"username": "elt", "password": self.token} | {key.replace("__", "."): value for key, value in options.items()}
        return flight.connect(self.url, wishes, autocommit=True)

    def memory(self) -> int:
        """Mebibytes that the server takes now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024

    def worked(self) -> float:
        """Seconds that the server has computed."""
        ticks = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> int:
        """Tells it to stop, as a service manager does. Returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextmanager
def serving(lakehouse: Lakehouse, *options: str):
    """A server that ends whatever happens."""
    server = Server(lakehouse, *options)
    try:
        yield server
    finally:
        server.process.kill()


def rows(cursor, sql: str, values=None) -> list:
    """All rows of a query."""
    cursor.execute(sql, values)
    return cursor.fetchall()


def refused(cursor, sql: str, error: type, words: str) -> None:
    """Insists on how a statement is refused."""
    try:
        cursor.execute(sql)
        cursor.fetchall()
    except error as problem:
        check(f"`{sql}` is refused in words", words in str(problem), problem)
        check(f"`{sql}` is refused in people's words", not re.search(r"Error\(|backtrace|panicked", str(problem)), problem)
        return
    check(f"`{sql}` is refused", False)


def printed_lines(server: Server) -> None:
    """What the server prints can be copied."""
    python = [line.strip() for line in server.said if line.startswith("  ") and ("flight" in line) and "jdbc:" not in line]
    names = {}
    exec("\n".join(python), names)  # noqa: S102: the point is to run what was printed
    with names["connection"] as connection, connection.cursor() as cursor:
        check("the printed lines of Python connect", rows(cursor, "select 1 + 1") == [(2,)])
    check("the printed line of JDBC is whole", any("jdbc:arrow-flight-sql://127.0.0.1" in line for line in server.said))


def values_of_every_type(connection) -> None:
    """What goes in as a value comes out the same."""
    values = [
        1, -1, 2**63 - 1, -(2**63), 1.5, -0.25, float("inf"), True, False, "", "it's", "ü🙂", 'a"b', "a ? $1 -- b", b"\x00\xff",
        date(2024, 2, 29), datetime(2024, 2, 29, 1, 2, 3, 456789), datetime(2024, 2, 29, 1, 2, 3, tzinfo=timezone.utc),
        Decimal("123.45"), Decimal("-0.05"), clock(1, 2, 3),
    ]
    with connection.cursor() as cursor:
        for value in values:
            check(f"the value {value!r} comes back", rows(cursor, "select ? as v", (value,)) == [(value,)], rows(cursor, "select ? as v", (value,)))
        check("null comes back", rows(cursor, "select ? as v, ? is null", (None, None)) == [(None, True)])
        found = rows(cursor, "select carrier from carrier_months where carrier = ? and flights > ? and month >= ? limit 1", ("VX", 1, date(2013, 1, 1)))
        check("values find rows", found == [("VX",)], found)


def parameters_of_every_type(connection) -> None:
    """Whatever type a driver gives its values, they are the same values; columns and places have their types beforehand."""
    whole, moment = Decimal("12345678901234567890123456789.5"), datetime(2024, 1, 1, 3, 4, 5)
    for values in [
        pa.array([[1, 2, None]]), pa.array([["a", None]]), pa.array([[[1], [2]]]), pa.array([[1, 2]], pa.large_list(pa.int64())),
        pa.array([[1, 2]], pa.list_(pa.int64(), 2)), pa.array([{"a": 1, "b": "x"}]), pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([None]), pa.array([None], pa.int64()), pa.array([None], pa.list_(pa.string())), pa.array([whole]),
        pa.array([Decimal("1.25")], pa.decimal256(50, 2)), pa.array([moment], pa.timestamp("s")), pa.array([moment], pa.timestamp("ns")),
        pa.array([moment], pa.timestamp("us", "Europe/Oslo")), pa.array([b"\x00\xff"], pa.large_binary()), pa.array([b"ab"], pa.binary(2)),
        pa.array([b"x"], pa.binary_view()), pa.array(["x"], pa.large_string()), pa.array(["x"], pa.string_view()),
        pa.array(["x"]).dictionary_encode(), pa.array([2**64 - 1], pa.uint64()), pa.array([-1], pa.int8()), pa.array([1.5], pa.float16()),
        pa.array([1.5], pa.float32()), pa.array([True]), pa.array([date(2024, 2, 29)], pa.date64()), pa.array([clock(1, 2, 3)], pa.time32("s")),
        pa.array([pa.MonthDayNano([1, 2, 3])]),
    ]:
        with connection.cursor() as cursor:
            cursor.adbc_prepare("select ? as v")
            cursor.execute("select ? as v", pa.table({"p": values}))
            found = cursor.fetch_arrow_table()["v"]
            check(f"a value of type {values.type} comes back", found.to_pylist() == values.to_pylist(), found)
    with connection.cursor() as cursor:
        cursor.execute("select date '2024-01-01' + ?", pa.table({"p": pa.array([timedelta(days=1)])}))
        check("a duration is an interval", cursor.fetchone()[0].day == 2)
        for sql, types in [
            ("select * from carrier_months where month > ? and flights between ? and ?", ["date32[day]", "int64", "int64"]),
            ("select cast(? as timestamptz), ?::bytea, ?::decimal(10, 2), ?::int[]", ["timestamp[us, tz=UTC]", "binary", "decimal128(10, 2)", "list<item: int32>"]),
        ]:
            told = [str(field.type) for field in cursor.adbc_prepare(sql)]
            check(f"the places of `{sql}` have their types", told == types, told)


def session_options(server: Server) -> None:
    """What drivers set by the protocol, and not by a statement: catalog, schema, release, time zone, types of texts."""
    with server.connect() as connection, connection.cursor() as cursor:
        def put(name: str, value: str) -> str:
            connection.adbc_connection.set_options(**{f"adbc.flight.sql.session.option.{name}": value})
            return connection.adbc_connection.get_option("adbc.flight.sql.session.options")

        for name, value, told in [
            ("catalog", "elt", '"catalog":"elt"'), ("schema", "nyc", '"schema":"nyc"'), ("release", "1", '"elt.release":"1"'),
            ("time_zone", "Europe/Oslo", '"timezone":"Europe/Oslo"'), ("elt.arrow_native", "true", '"elt.arrow_native":"true"'),
        ]:
            check(f"the session option {name} is kept", told in put(name, value), told)
        check("a schema that is set is where names are looked for", rows(cursor, "select count(*) from planes") == [(3322,)])
        cursor.execute("select carrier from main.carrier_months")
        check("native types are views", cursor.fetch_arrow_table().schema.field("carrier").type == pa.string_view())
        for name, value in [("catalog", "other"), ("schema", "nowhere"), ("release", "99"), ("time_zone", "Mars/Olympus"), ("nonsense", "1")]:
            try:
                put(name, value)
                check(f"the session option {name} cannot be {value}", False)
            except dbapi.Error as error:
                check(f"the session option {name} cannot be {value}", f"'{name}'" in str(error), error)
        kept = connection.adbc_connection.get_option("adbc.flight.sql.session.options")
        check("what is refused changes nothing", '"schema":"nyc"' in kept and '"elt.release":"1"' in kept, kept)
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("select carrier from carrier_months")
        check("other clients have plain types", cursor.fetch_arrow_table().schema.field("carrier").type == pa.string())


def tables_of_every_type(lakehouse: Lakehouse, connection) -> None:
    """Every table is read, its columns those of the metadata; plain and native types hold the same rows."""
    with connection.cursor() as cursor:
        for table in lakehouse.tables():
            cursor.execute(f"select * from {table}")
            plain = cursor.fetch_arrow_table()
            check(f"{table} has all its rows", plain.num_rows == table.rows)
            known = connection.adbc_get_table_schema(table.name, db_schema_filter=table.schema)
            check(f"{table} has the columns that were told", known.names == plain.schema.names and known.types == plain.schema.types, known)
            cursor.execute("set elt.arrow_native = true")
            cursor.execute(f"select * from {table}")
            native = cursor.fetch_arrow_table()
            cursor.execute("set elt.arrow_native = default")
            check(f"{table} is the same in native types", native.to_pylist() == plain.to_pylist() or plain.num_rows > 100)


def writing(connection) -> None:
    """Statements are executed once, and rows are taken in, each as one release."""
    def release(cursor) -> int:
        return rows(cursor, "show releases")[0][0]

    with connection.cursor() as cursor:
        before = release(cursor)
        cursor.execute("create table notes (id bigint, note varchar)")
        cursor.execute("insert into notes values (1, 'one')")
        cursor.executemany("insert into notes values (?, ?)", [(2, "two"), (3, None)])
        check("executemany counts its rows", cursor.rowcount == 2, cursor.rowcount)
        cursor.execute("update notes set note = 'drei' where id = ?", (3,))
        check("statements are executed once", rows(cursor, "select * from notes order by id") == [(1, "one"), (2, "two"), (3, "drei")])
        check("each statement is one release", release(cursor) == before + 4, release(cursor))
        table = pa.table({"id": pa.array([1, 2, 3]), "at": pa.array([datetime(2024, 1, 1)] * 3, pa.timestamp("us")), "list": [[1], [], None]})
        for mode, expected in [("create", 3), ("append", 6), ("replace", 3), ("create_append", 6)]:
            cursor.adbc_ingest("taken_in", table, mode=mode)
            check(f"rows are taken in: {mode}", rows(cursor, "select count(*) from taken_in") == [(expected,)])
        check("each ingest is one release", release(cursor) == before + 8)
        try:
            cursor.adbc_ingest("taken_in", table, mode="create")
            check("a table that exists is not made again", False)
        except dbapi.Error as error:
            check("a table that exists is not made again", "exists already" in str(error))
        reader = pa.RecordBatchReader.from_batches(table.schema, iter(table.to_batches() * 100))
        cursor.adbc_ingest("streamed", reader, mode="create")
        check("a stream of batches is taken in", rows(cursor, "select count(*) from streamed") == [(300,)])
        for name in ("notes", "taken_in", "streamed"):
            cursor.execute(f"drop table {name}")


def what_there_is(connection) -> None:
    """What a tree of tables asks."""
    check("the catalog is told", connection.adbc_current_catalog == "elt" and connection.adbc_current_db_schema == "main")
    check("the types of tables are told", connection.adbc_get_table_types() == ["BASE TABLE", "VIEW"])
    check("the server is told", connection.adbc_get_info()["vendor_name"] == "elt")
    objects = connection.adbc_get_objects(depth="all", table_name_filter="carrier%").read_all().to_pylist()
    [schema] = [schema for schema in objects[0]["catalog_db_schemas"] if schema["db_schema_tables"]]
    [table] = schema["db_schema_tables"]
    columns = {column["column_name"]: column["xdbc_type_name"] for column in table["table_columns"]}
    check("columns are told with SQL's types", columns["carrier"] == "VARCHAR" and columns["month"] == "DATE", columns)
    told = connection.adbc_get_table_schema("fct_flights").field("carrier").metadata
    check("columns are described as in the project's YAML", told[b"ARROW:FLIGHT:SQL:REMARKS"] == b"Two letters for the airline", told)
    with connection.cursor() as cursor:
        schema = cursor.adbc_execute_schema("select 1 as a, 'x' as b")
        check("the columns of a query are told before it runs", schema.names == ["a", "b"])


def many_at_once(server: Server, connection) -> None:
    """Twelve send rows for a table that is not there; an answer is fetched in parts."""
    table, mistakes = pa.table({"id": list(range(100))}), []

    def send() -> None:
        try:
            with server.connect() as own, own.cursor() as cursor:
                cursor.adbc_ingest("sent_by_many", table, mode="create_append")
        except dbapi.Error as error:
            mistakes.append(str(error))

    threads = [threading.Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    with connection.cursor() as cursor:
        check("twelve make one table", not mistakes, mistakes)
        check("and lose no row", rows(cursor, "select count(*) from sent_by_many") == [(1200,)])
        cursor.execute("drop table sent_by_many")
        cursor.execute("set elt.endpoints = 4")
        parts, _ = cursor.adbc_execute_partitions("select value from range(2000000)")
        shares = []
        for part in parts:
            with connection.cursor() as reader:
                reader.adbc_read_partition(part)
                shares.append(reader.fetch_arrow_table().num_rows)
        cursor.execute("set elt.endpoints = default")
        check("each part has its share, whoever reads first", sum(shares) == 2_000_000 and min(shares) > 400_000, shares)


def unstoppable(server: Server, connection) -> None:
    """What works for long on one value is refused, or ends with its time."""
    with connection.cursor() as cursor:
        items = "(select array_agg(value) as a from range(20000000))"
        for function in ("array_distinct(a)", "array_intersect(a, a)", "array_union(a, [1])"):
            refused(cursor, f"select array_length({function}) from {items}", dbapi.Error, "takes too long")
        refused(cursor, "select regexp_count(repeat('ab', 100000000), '(a|b)c')", dbapi.Error, "takes too long")
        cursor.execute("set elt.query_timeout = '1s'")
        begun = time.monotonic()
        for sql in (
            "select sum(array_length(array_distinct(range(4000000 + v)))) from range(16) t(v)",
            "select reduce(range(60000000), 0, (x, y) -> x + y)",
            "select sum(length(initcap(repeat('ab c', 5000000 + v)))) from range(48) t(v)",
        ):
            refused(cursor, sql, dbapi.Error, "took longer than 1 s")
        check("what is stopped is stopped in time", time.monotonic() - begun < 20, time.monotonic() - begun)
        cursor.execute("set elt.query_timeout = default")
        time.sleep(3)
        before = server.worked()
        time.sleep(2)
        check("and computes no more", server.worked() - before < 0.5, server.worked() - before)
        told = []

        def ask() -> None:
            try:
                rows(cursor, "select count(*) from range(1000000) a cross join range(1000000) b where a.value + b.value < 0")
            except dbapi.Error as error:
                told.append(str(error))

        asking, begun = threading.Thread(target=ask), time.monotonic()
        asking.start()
        time.sleep(1)
        cursor.adbc_cancel()
        asking.join(timeout=20)
        check("what is cancelled ends", told and "CANCEL" in told[0].upper() and time.monotonic() - begun < 10, told)


def sessions(server: Server, connection) -> None:
    """What is set holds for one connection, also for one that shows its token on every call."""
    bearer = flight.connect(server.url, {"adbc.flight.sql.authorization_header": f"Bearer {server.token}"}, autocommit=True)
    with bearer, bearer.cursor() as pinned, connection.cursor() as other:
        pinned.execute("set elt.release = 1")
        other.execute("create table later as select 1 as a")
        refused(pinned, "select * from later", dbapi.Error, "there is no table `main.later`")
        check("other connections read on", rows(other, "select * from later") == [(1,)])
        pinned.execute("set elt.release = default")
        check("the newest release is read again", rows(pinned, "select * from later") == [(1,)])
        other.execute("drop table later")
    moment = "select timestamptz '2024-03-10 07:30:00+00' as t, cast(timestamptz '2024-03-10 03:00:00+00' as date) as d"
    with flight.connect(server.url, {"username": "elt", "password": server.token}, autocommit=True) as there, there.cursor() as cursor:
        there.adbc_connection.set_options(**{"adbc.flight.sql.session.option.time_zone": "America/New_York"})
        found = rows(cursor, moment)[0]
        told = there.adbc_connection.get_option("adbc.flight.sql.session.options")
        check("and is told", '"America/New_York"' in told and '"catalog":"elt"' in told, told)
        check("a session option is a time zone", found[0].isoformat() == "2024-03-10T03:30:00-04:00", found)
        check("dates are those of the zone", found[1] == date(2024, 3, 9), found)
        with connection.cursor() as other:
            check("others are in UTC", rows(other, moment)[0][0].isoformat() == "2024-03-10T07:30:00+00:00")


def mistakes(server: Server, connection) -> None:
    """Mistakes are told in words, and by kind."""
    with connection.cursor() as cursor:
        refused(cursor, "select * from carrier_moths", dbapi.ProgrammingError, "did you mean `carrier_months`")
        refused(cursor, "selec 1", dbapi.ProgrammingError, "line 1, column 1")
        refused(cursor, "select 1 / 0 from carrier_months where carrier = 'VX'", dbapi.Error, "")
        refused(cursor, "select * from '/etc/passwd'", dbapi.Error, "files cannot be read by name here")
        refused(cursor, "copy carrier_months to '/tmp/x.csv'", dbapi.Error, "files cannot be copied here")
        refused(cursor, "set datafusion.execution.target_partitions = 500", dbapi.Error, "cannot be set here")
        check("after mistakes it goes on", rows(cursor, "select 1") == [(1,)])
    try:
        flight.connect(server.url, {"username": "elt", "password": "wrong"}, autocommit=True)
        check("a wrong password is refused", False)
    except dbapi.Error as error:
        check("a wrong password is refused", "UNAUTHENTICATED" in str(error), error)


def reading_only(lakehouse: Lakehouse) -> None:
    """Without `--writable` nothing is changed."""
    with serving(lakehouse) as server, server.connect() as connection, connection.cursor() as cursor:
        refused(cursor, "create table t as select 1 as a", dbapi.Error, "you may only read")
        try:
            cursor.adbc_ingest("t", pa.table({"a": [1]}), mode="create")
            check("rows are not taken in", False)
        except dbapi.Error as error:
            check("rows are not taken in", "only read" in str(error) or "PERMISSION" in str(error), error)
        check("but it answers", rows(cursor, "select count(*) > 0 from carrier_months") == [(True,)])
        check("it says so to tools", server.said[0].find("reading only") > 0)


def arrow_client(server: Server) -> None:
    """pyarrow's own client, which knows nothing of SQL: the protocol as it is on the wire."""
    client = pyarrow.flight.FlightClient(server.url.replace("grpc://", "grpc+tcp://"))
    header = client.authenticate_basic_token("elt", server.token)
    options = pyarrow.flight.FlightCallOptions(headers=[header])

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    kind = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    command = field(1, kind) + field(2, field(1, b"select 42 as answer"))
    descriptor = pyarrow.flight.FlightDescriptor.for_command(command)
    info = client.get_flight_info(descriptor, options)
    check("one endpoint without a location", len(info.endpoints) == 1 and not info.endpoints[0].locations)
    table = client.do_get(info.endpoints[0].ticket, options).read_all()
    check("pyarrow reads the answer", table.to_pydict() == {"answer": [42]} and table.schema == info.schema)
    check("GetSchema tells the same", client.get_schema(descriptor, options).schema == info.schema)
    def varint(number: int) -> bytes:
        low, rest = number & 127, number >> 7
        return bytes([low | 128]) + varint(rest) if rest else bytes([low])

    def text(number: int, content: str) -> bytes:
        return bytes([number << 3 | 2]) + varint(len(content)) + content.encode()

    for name, body, least in [
        ("GetCatalogs", b"", 1), ("GetDbSchemas", b"", 2), ("GetDbSchemas", text(2, "ma_n"), 1), ("GetTables", b"", 10),
        ("GetTables", text(3, "carrier%"), 1), ("GetTables", text(4, "VIEW"), 1), ("GetTables", bytes([5 << 3, 1]), 10), ("GetTableTypes", b"", 2),
        ("GetSqlInfo", b"", 60), ("GetXdbcTypeInfo", b"", 20), ("GetXdbcTypeInfo", bytes([1 << 3, 12]), 1), ("GetPrimaryKeys", text(3, "fct_flights"), 1),
        ("GetImportedKeys", text(3, "fct_flights"), 0), ("GetExportedKeys", text(3, "dim_airports"), 0),
        ("GetCrossReference", text(3, "dim_airports") + text(6, "fct_flights"), 0),
    ]:
        wrapped = text(1, f"type.googleapis.com/arrow.flight.protocol.sql.Command{name}") + bytes([2 << 3 | 2]) + varint(len(body)) + body
        asked = pyarrow.flight.FlightDescriptor.for_command(wrapped)
        promised = client.get_flight_info(asked, options)
        [endpoint] = promised.endpoints
        told = client.do_get(endpoint.ticket, options).read_all()
        check(f"{name} gives the columns that it promised", told.schema == promised.schema == client.get_schema(asked, options).schema, told.schema)
        check(f"{name} is answered", told.num_rows >= least, told.num_rows)
    check("actions are listed", "CancelFlightInfo" in {action.type for action in client.list_actions(options)})
    unpadded = base64.b64encode(f"me:{server.token}".encode()).rstrip(b"=")
    basic = pyarrow.flight.FlightCallOptions(headers=[(b"authorization", b"Basic " + unpadded)])
    check("a password on every call does too", client.get_flight_info(descriptor, basic).schema == info.schema)
    for nonsense in (b"", b"\x0a", b"\xff" * 40, kind, field(1, kind) + field(2, b"\xff\xff")):
        try:
            client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(nonsense), options)
            check("nonsense is refused", False)
        except pyarrow.flight.FlightError as error:
            check("nonsense is refused", "internal" not in str(error).lower(), error)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            check("nonsense is refused", True)


def crowd(lakehouse: Lakehouse, server: Server) -> None:
    """32 clients ask while builds are published; each answer is of one release."""
    torn, asked, stop = [], [0], threading.Event()

    def ask() -> None:
        with server.connect() as connection, connection.cursor() as cursor:
            while not stop.is_set():
                one, other = rows(cursor, "select (select count(*) from fct_flights), (select count(*) from fct_flights where true)")[0]
                asked[0] += 1
                if one != other:
                    torn.append((one, other))

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        lakehouse.run("build", "--full", "--select", "carrier_months")
    stop.set()
    for thread in threads:
        thread.join(timeout=120)
    check("32 clients end", not any(thread.is_alive() for thread in threads))
    check("no answer is of two releases", not torn and asked[0] >= 32, (torn[:3], asked))
    print(f"      {asked[0]} answers for 32 clients during two builds")


def bounded(server: Server) -> None:
    """Large answers, slow readers and vanished ones take no memory."""
    many = 20_000_000
    sql = f"select value, value * 2 as twice, 'some text ' || value as t from range({many})"
    with server.connect() as connection, connection.cursor() as cursor:
        rows(cursor, "select 1")
        before = server.memory()
        begun, counted, most = time.monotonic(), 0, 0
        cursor.execute(sql)
        for number, batch in enumerate(cursor.fetch_record_batch()):
            counted += batch.num_rows
            if number % 100 == 0:
                most = max(most, server.memory())
        took = time.monotonic() - begun
        check("a large answer comes whole", counted == many, counted)
        check("a large answer takes bounded memory", most - before < 400, f"{before} MiB, then {most} MiB")
        print(f"      {many:,} rows in {took:.1f} s, {before} MiB before and {most} MiB at most")
    with server.connect() as slow:
        cursor = slow.cursor()
        cursor.execute(sql)
        reader = cursor.fetch_record_batch()
        reader.read_next_batch()
        time.sleep(3)
        check("a slow reader takes bounded memory", server.memory() - before < 400, server.memory())
        with server.connect() as connection, connection.cursor() as other:
            check("others are answered meanwhile", rows(other, "select 2") == [(2,)])
        reader.close()
        cursor.close()
    script = f"""
import adbc_driver_flightsql.dbapi as flight, os
cursor = flight.connect({server.url!r}, {{"username": "x", "password": {server.token!r}}}, autocommit=True).cursor()
cursor.execute({sql!r})
cursor.fetch_record_batch().read_next_batch()
os.kill(os.getpid(), 9)
"""
    for _ in range(12):
        subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=False, capture_output=True)
    with server.connect() as connection, connection.cursor() as cursor:
        check("readers that were killed leave their turns", rows(cursor, "select 3") == [(3,)])


def users(lakehouse: Lakehouse) -> None:
    """Users have passwords and roles; with users no token is made."""
    def added(*arguments: str) -> str:
        return re.search(r": (\w+)$", lakehouse.run("user", "add", *arguments).stderr.strip(), re.MULTILINE)[1]

    passwords = {"ann": added("ann", "--writes"), "bob": added("bob")}
    check("of a password only its hash is kept", not any(word in (lakehouse.root / "elt.yml").read_text() for word in passwords.values()))
    with serving(lakehouse) as server:
        def connect(user: str, password: str):
            return flight.connect(server.url, {"username": user, "password": password}, autocommit=True)

        check("with users there is no token", server.token is None and any("users of elt.yml: bob, ann" in line for line in server.said), server.said)
        with connect("ann", passwords["ann"]) as connection, connection.cursor() as cursor:
            cursor.execute("create table anns as select 1 as a")
            check("a user who writes is recorded", rows(cursor, "show releases")[0][2] == "ann")
            cursor.execute("drop table anns")
        with connect("bob", passwords["bob"]) as connection, connection.cursor() as cursor:
            refused(cursor, "create table bobs as select 1 as a", dbapi.Error, "you may only read")
        for user, password in [("ann", passwords["bob"]), ("eve", passwords["ann"]), ("ann", "")]:
            try:
                connect(user, password)
                check(f"{user} is not let in by another's password", False)
            except dbapi.Error as error:
                check(f"{user} is not let in by another's password", "UNAUTHENTICATED" in str(error), error)
    (lakehouse.root / "elt.yml").unlink()


def encrypted(lakehouse: Lakehouse, folder: Path) -> None:
    """With a certificate nothing is told in the open."""
    if not shutil.which("openssl"):
        print("      openssl is not here: TLS IS NOT CHECKED")
        return
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        check=True, capture_output=True,
    )
    with serving(lakehouse, "--tls-cert", certificate, "--tls-key", key) as server:
        check("the address says that it is encrypted", server.url.startswith("grpc+tls://"), server.url)
        with server.connect(adbc__flight__sql__client_option__tls_root_certs=certificate.read_text()) as connection:
            with connection.cursor() as cursor:
                check("an encrypted connection is answered", rows(cursor, "select 1") == [(1,)])
        try:
            flight.connect(server.url.replace("+tls", ""), {"username": "elt", "password": server.token}, autocommit=True)
            check("an open connection is refused", False)
        except dbapi.Error:
            check("an open connection is refused", True)


def main() -> int:
    """Reads the command line that `run.py` made, and serves a copy of the project."""
    parser = argparse.ArgumentParser()
    parser.add_argument("elt", type=Path)
    parser.add_argument("project", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="elt-flight-") as folder:
        project = Path(folder) / "project"
        project.mkdir()
        lakehouse = Lakehouse(arguments.elt, arguments.project, project)
        lakehouse.run("build")
        with serving(lakehouse, "--writable", "--max-queries", "8") as server:
            printed_lines(server)
            with server.connect() as connection:
                values_of_every_type(connection)
                parameters_of_every_type(connection)
                tables_of_every_type(lakehouse, connection)
                what_there_is(connection)
                writing(connection)
                many_at_once(server, connection)
                unstoppable(server, connection)
                sessions(server, connection)
                mistakes(server, connection)
            session_options(server)
            arrow_client(server)
            crowd(lakehouse, server)
            bounded(server)
            check("it stops when it is told to, and well", server.stop() == 0)
        reading_only(lakehouse)
        users(lakehouse)
        encrypted(lakehouse, Path(folder))
    print(f"flight: {len(PASSED)} checks passed in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
