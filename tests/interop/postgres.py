"""Do PostgreSQL's clients find their way: psql, psycopg, SQLAlchemy?

    python3 tests/interop/postgres.py ELT PROJECT

Of an elt that was built with `--features postgres`, else it says so and checks nothing. `run.py` starts it in the environment with
the drivers. What Metabase and Superset ask when they connect is here as they ask it.
"""

import argparse
import datetime
import decimal
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from lake import Lakehouse

PASSED = []


def check(name: str, holds: object, said: object = "") -> None:
    """Takes note of what holds, and ends the run at what does not."""
    if not holds:
        sys.exit(f"FAILED: {name}: {said}")
    PASSED.append(name)


class Server:
    """`elt serve --postgres`."""

    def __init__(self, lakehouse: Lakehouse, *options: str) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in ("ELT_LAKE", "DBT_PROJECT_DIR", "ELT_TOKEN")}
        command = [lakehouse.elt, "serve", "--listen", "127.0.0.1:0", "--postgres", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(command, cwd=lakehouse.root, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.said = []
        for line in self.process.stderr:
            self.said.append(line.rstrip())
            if "Ctrl-C" in line:
                break
        said = "\n".join(self.said)
        self.is_built = "built without" not in said
        found = re.search(r"psql \"host=(\S+) port=(\d+)", said)
        self.host, self.port = (found[1], int(found[2])) if found else ("", 0)
        token = re.search(r"^token.*: (\w+)$", said, re.MULTILINE)
        self.token = token and token[1]


def psql(server: Server, sql: str, user: str = "elt", password: str = "") -> str:
    """What psql prints."""
    environment = os.environ | {"PGPASSWORD": password or server.token or "", "PAGER": "cat"}
    where = f"host={server.host} port={server.port} user={user} dbname=elt sslmode=disable"
    done = subprocess.run(["psql", where, "-X", "-c", sql], env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def shell(server: Server) -> None:
    """psql, with its backslash commands."""
    if not shutil.which("psql"):
        print("      psql is not here: IT IS NOT CHECKED")
        return
    check("psql asks", "46" in psql(server, "select count(*) from carrier_months"))
    for command, words in [
        ("\\d", ["carrier_months", "fct_flights", "table", "view"]),
        ("\\dt", ["carrier_months", "table"]),
        ("\\dv", ["stg_airlines", "view"]),
        ("\\d carrier_months", ["month", "date", "carrier", "text", "flights", "bigint", "on_time_share", "double precision"]),
        ("\\dn", ["main", "nyc"]),
        ("\\l", ["elt"]),
        ("\\dt nyc.*", ["planes", "weather"]),
        ("\\conninfo", ["elt"]),
        ("\\d+ carrier_months", ["Stats target", "month", "carrier"]),
        ("\\d+ stg_airlines", ["View definition", "select"]),
        ("\\sv stg_airlines", ["CREATE OR REPLACE VIEW", "stg_airlines", "select"]),
        ("\\dt+", ["carrier_months", "Size", "Description"]),
        ("\\dv+", ["stg_airlines", "view"]),
        ("\\du", ["elt", "Attributes"]),
        ("\\dn+", ["main", "Description"]),
        ("\\dp", ["carrier_months", "Access privileges"]),
        ("\\l+", ["elt", "UTF8"]),
        ("\\dT", ["List of data types"]),
        ("\\df", ["List of functions"]),
        ("\\dd", ["Object descriptions"]),
    ]:
        told = psql(server, command)
        check(f"psql's {command}", all(word in told for word in words) and "ERROR" not in told, told)
    check("psql lists the one database", "postgres" not in psql(server, "\\l"), psql(server, "\\l"))
    for command in ["\\di", "\\ds", "\\dm", "\\dx", "\\dc", "\\dC", "\\dD", "\\ddp", "\\dE", "\\des", "\\deu", "\\dew", "\\dF", "\\dL", "\\do",
                    "\\dP", "\\drds", "\\dRp", "\\dRs", "\\dy", "\\dX", "\\dA", "\\dAc", "\\dAf", "\\da", "\\dconfig", "\\db", "\\dO", "\\dC+", "\\dD+", "\\dP+"]:
        told = psql(server, command)
        check(f"psql's {command} is answered", "ERROR" not in told, told)
    told = psql(server, "\\sf now")
    check("psql's \\sf says that there is nothing to be shown", "there is no function `now` whose source" in told, told)
    told = psql(server, "\\copy (select 1 as a, 'x,y' as b) to stdout (format csv, header)")
    check("psql's \\copy sends lines", told == 'a,b\n1,"x,y"\n', told)
    told = psql(server, "select * from carrier_moths")
    check("a mistake is told with a hint", "there is no table `main.carrier_moths`" in told and "HINT:  did you mean" in told, told)
    check("a wrong password is refused", "the name or the password is wrong" in psql(server, "select 1", password="wrong"))


def drivers(server: Server) -> None:
    """psycopg: values of every type, both ways; transactions; portions; cancelled queries."""
    import psycopg

    where = f"host={server.host} port={server.port} user=elt password={server.token} dbname=elt sslmode=disable"
    with psycopg.connect(where, autocommit=True) as connection:
        instant = datetime.datetime(2024, 2, 29, 1, 2, 3, 456789)
        for value in [1, -1, 2**62, 1.5, True, False, "", "it's", "ü🙂", datetime.date(2024, 2, 29), instant, instant.replace(tzinfo=datetime.timezone.utc),
                      decimal.Decimal("123.45"), b"\x00\xff", None]:
            found = connection.execute("select %s as v", (value,)).fetchone()[0]
            check(f"the value {value!r} comes back", found == value or str(found) == str(value), found)
            with connection.cursor(binary=True) as cursor:
                found = cursor.execute("select %s as v", (value,)).fetchone()[0]
                check(f"the value {value!r} comes back in binary form", found == value or str(found) == str(value), found)
        row = connection.execute(
            "select 1::smallint, 2::int, 3::bigint, 1.5::real, 2.5::double, 1.25::decimal(10,2), true, 'x', date '2024-02-29', "
            "timestamp '2024-02-29 01:02:03', time '01:02:03', interval '1 day', x'00ff', [1, 2, null], ['a', 'b'], null, {'a': 1}, map(['k'], [1])"
        ).fetchone()
        check("every type is read", row[:6] == (1, 2, 3, 1.5, 2.5, decimal.Decimal("1.25")) and row[13] == [1, 2, None] and row[14] == ["a", "b"], row)
        check("what PostgreSQL does not have comes as JSON", row[16] == {"a": 1} and row[17] == {"k": 1}, row)
        span = datetime.timedelta(days=1, seconds=3)
        for value in [datetime.time(1, 2, 3, 5), span, -span, uuid.UUID(int=5), [1, 2], [1, None], [1.5], ["a", None], ["a,b", 'c"d', "{}", ""], [[1, 2], [3, 4]], [instant],
                      [instant.date()], [True], [decimal.Decimal("1.5")], [b"\x00\xff"], [2**40], decimal.Decimal("-0.00012"), decimal.Decimal(10**25),
                      decimal.Decimal(10**30), decimal.Decimal("-12345678901234567890123456789.123456789")]:
            for kind, cursor in [("%s", connection.cursor()), ("%b", connection.cursor(binary=True))]:
                if kind == "%s" and isinstance(value, list) and isinstance(value[0], str):
                    # Texts are sent without a type, and what has none is a text.
                    continue
                found = cursor.execute(f"select {kind} as v", (value,)).fetchone()[0]
                check(f"the value {value!r} comes back by {kind}", found == value or str(found) == str(value), found)
        for kind in ["%s", "%b", "%t"]:
            found = connection.execute(f"select value from range(9) where value = any({kind})", ([1, 7, None],)).fetchall()
            check(f"a list of values finds rows by {kind}", found == [(1,), (7,)], found)
        found = connection.execute("select '{1,2}'::int[], '{a,\"b c\"}'::text[]").fetchone()
        check("lists can be written as PostgreSQL writes them", found == ([1, 2], ["a", "b c"]), found)
        found = connection.execute("select carrier from carrier_months where carrier = %s and flights > %s and month >= %s limit 1", ("VX", 1, datetime.date(2013, 1, 1))).fetchall()
        check("values find rows", found == [("VX",)], found)
        check("rows come", len(connection.execute("select * from fct_flights").fetchall()) == 80789)
        told = connection.execute("select col_description('fct_flights'::regclass, 6), obj_description('fct_flights'::regclass, 'pg_class')").fetchone()
        check("tables and columns are described as in the project's YAML", told[1] and any(
            text == ("Two letters for the airline",)
            for text in connection.execute("select description from pg_description where objoid = 'fct_flights'::regclass")
        ), told)
        check("no rows come with columns", connection.execute("select id from (select 1 as id) where id = 2").description[0].name == "id")
        cursor = connection.execute("create table notes (id bigint, note varchar)")
        cursor = connection.execute("insert into notes values (1, 'one'), (2, 'two')")
        check("what was written is counted", (cursor.rowcount, cursor.statusmessage) == (2, "INSERT 0 2"), cursor.statusmessage)
        cursor.executemany("insert into notes values (%s, %s)", [(3, "three"), (4, None)])
        check("many are written", connection.execute("select count(*) from notes").fetchone() == (4,))
        check("changes are counted", connection.execute("update notes set note = 'x' where id < 3").rowcount == 2)
        check("a settled schema holds", connection.execute("set search_path to nyc").statusmessage == "SET")
        check("and is used", connection.execute("select count(*) from planes").fetchone() == (3322,))
        connection.execute("set search_path to main")
        for sql, code in [("selec 1", "42601"), ("select nocol from notes", "42703"), ("select * from nowhere", "42P01"), ("select nofn(1)", "42883"),
                          ("create table notes (a int)", "42P07"), ("select * from '/etc/passwd'", "42501"), ("savepoint a", "25P01"), ("select 'nowhere'::regclass", "42P01"),
                          ("select current_setting('nothing')", "42704"), ("set search_path to main, nyc", "22023")]:
            try:
                connection.execute(sql)
                check(f"`{sql}` is refused", False)
            except psycopg.Error as error:
                check(f"`{sql}` is refused as PostgreSQL would", error.sqlstate == code, (error.sqlstate, str(error)))
        with connection.cursor().copy("copy (select 1, 'a\tb', null) to stdout") as copy:
            check("rows are copied", list(copy.rows()) == [("1", "a\tb", None)])
        connection.execute("create table copied (id bigint, note varchar, day date, list bigint[])")
        cursor = connection.cursor()
        with cursor.copy("copy copied (id, note, day) from stdin") as copy:
            for row in [(1, "it's \\ a\ttab", datetime.date(2024, 2, 29)), (2, None, None)]:
                copy.write_row(row)
        check("what was copied is counted", cursor.rowcount == 2, cursor.rowcount)
        with cursor.copy("copy copied from stdin (format csv, header)") as copy:
            copy.write('id,note,day,list\n3,"a, ""b""\nc",,"{1,2}"\n4,"",2024-01-01,\n')
        found = connection.execute("select * from copied order by id").fetchall()
        check("rows are copied in", found == [(1, "it's \\ a\ttab", datetime.date(2024, 2, 29), None), (2, None, None, None), (3, 'a, "b"\nc', None, [1, 2]),
                                              (4, "", datetime.date(2024, 1, 1), None)], found)
        try:
            with cursor.copy("copy copied (id) from stdin") as copy:
                copy.write("5\nx\n")
            check("what cannot be read is refused", False)
        except psycopg.Error as error:
            check("what cannot be read is refused", "row 2, column `id`" in str(error), str(error))
        check("and nothing of it was written", connection.execute("select count(*) from copied").fetchone() == (4,))
    with psycopg.connect(where) as connection:
        connection.execute("insert into notes values (100, 'stays')")
        connection.execute("savepoint first")
        connection.execute("insert into notes values (101, 'goes')")
        try:
            connection.execute("select * from nowhere")
        except psycopg.Error:
            pass
        connection.execute("rollback to savepoint first")
        found = connection.execute("select count(*) from notes where id > 99").fetchone()
        check("a savepoint is gone back to, after a mistake too", found == (1,), found)
        with connection.transaction():
            connection.execute("insert into notes values (102, 'stays')")
        check("a transaction within one", connection.execute("select count(*) from notes where id > 99").fetchone() == (2,))
        connection.rollback()
        check("all of it is rolled back", connection.execute("select count(*) from notes where id > 99").fetchone() == (0,))
        connection.rollback()
    with psycopg.connect(where) as connection:
        connection.execute("set search_path = \"nyc\"")
        check("a schema is settled first in a transaction", connection.execute("select count(*) from planes").fetchone() == (3322,))
    with psycopg.connect(where) as connection:
        connection.execute("insert into notes values (5, 'five')")
        connection.execute("delete from notes where id = 1")
        with psycopg.connect(where, autocommit=True) as other:
            check("nobody sees what is not committed", other.execute("select count(*) from notes").fetchone() == (4,))
            connection.commit()
            check("then all of it is seen", other.execute("select sum(id) from notes").fetchone()[0] == 14)
            check("as one release", other.execute("show releases").fetchone()[3] == "TRANSACTION")
        try:
            connection.execute("select * from nowhere")
        except psycopg.Error:
            pass
        try:
            connection.execute("select 1")
            check("a transaction that failed does nothing more", False)
        except psycopg.errors.InFailedSqlTransaction:
            check("a transaction that failed does nothing more", True)
        connection.rollback()
        check("rolled back, it goes on", connection.execute("select 1").fetchone() == (1,))
        connection.rollback()
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute("drop table notes")
        import threading

        threading.Timer(1.0, connection.cancel).start()
        begun = time.monotonic()
        try:
            connection.execute("select count(*) from range(100000) a cross join range(1000000) b where a.value + b.value < 0")
            check("a query is cancelled", False)
        except psycopg.Error:
            check("a query is cancelled", time.monotonic() - begun < 20)
        check("and the connection goes on", connection.execute("select 2").fetchone() == (2,))


def settled(server: Server) -> None:
    """Time zones and schemas, as they are wished for when a client connects, and later; in transactions too."""
    import psycopg

    where = f"host={server.host} port={server.port} user=elt password={server.token} dbname=elt sslmode=disable"
    moment = "select timestamptz '2024-03-10 07:30:00+00'"
    wished = "-c timezone=america/new_york -c search_path=nyc -c geqo=off"
    with psycopg.connect(where, autocommit=True, options=wished) as connection:
        check("a time zone is wished for", connection.info.timezone.key == "America/New_York", connection.info.timezone)
        found = connection.execute(moment).fetchone()[0]
        check("an instant is told in it", found.isoformat() == "2024-03-10T03:30:00-04:00", found)
        check("as a text too", connection.execute(f"{moment}::text").fetchone() == ("2024-03-10 03:30:00-04",))
        check("a schema is wished for", connection.execute("select count(*) from planes").fetchone() == (3322,))
        connection.execute("set time zone 'Asia/Kolkata'")
        check("a client hears of another time zone", connection.info.timezone.key == "Asia/Kolkata", connection.info.timezone)
        check("which is shown", connection.execute("show time zone").fetchone() == ("Asia/Kolkata",))
        check("and told", connection.execute("select current_setting('timezone')").fetchone() == ("Asia/Kolkata",))
        connection.execute("reset timezone")
        check("it goes back to UTC", connection.execute(f"{moment}::text").fetchone() == ("2024-03-10 07:30:00+00",))
    with psycopg.connect(where, autocommit=True, options="-c statement_timeout=700") as connection:
        check("a time limit is wished for", connection.execute("show statement_timeout").fetchone() == ("700ms",))
        begun = time.monotonic()
        try:
            connection.execute("select count(*) from range(1000000) a cross join range(1000000) b where a.value + b.value < 0")
            check("and holds", False)
        except psycopg.errors.QueryCanceled as error:
            check("and holds", time.monotonic() - begun < 10 and "0.7 s" in str(error), error)
    try:
        psycopg.connect(where, options="-c timezone=Mars/Olympus").close()
        check("what cannot be had is refused", False)
    except psycopg.OperationalError as error:
        check("what cannot be had is refused", "there is no time zone `Mars/Olympus`" in str(error), error)
    with psycopg.connect(where) as connection:
        connection.execute("select 1")
        connection.execute("set time zone 'Asia/Kolkata'")
        check("something is set in a transaction", connection.execute(f"{moment}::text").fetchone() == ("2024-03-10 13:00:00+05:30",))
        connection.rollback()
        check("and taken back with it", connection.execute(f"{moment}::text").fetchone() == ("2024-03-10 07:30:00+00",))
        connection.execute("set local time zone 'Asia/Kolkata'")
        check("something is set for a transaction", connection.execute(f"{moment}::text").fetchone() == ("2024-03-10 13:00:00+05:30",))
        connection.commit()
        check("and is over with it", connection.execute(f"{moment}::text").fetchone() == ("2024-03-10 07:30:00+00",))
        connection.execute("set time zone 'Asia/Kolkata'")
        connection.execute("set search_path to nyc")
        check("a schema is set in a transaction", connection.execute("select count(*) from planes").fetchone() == (3322,))
        connection.commit()
        check("what was set stays", connection.execute(f"{moment}::text").fetchone() == ("2024-03-10 13:00:00+05:30",))
        connection.rollback()


def stopped(server: Server) -> None:
    """Queries that are stopped by their connection's number, as Superset does it."""
    import threading

    import psycopg

    where = f"host={server.host} port={server.port} user=elt password={server.token} dbname=elt sslmode=disable application_name=long"
    for stop, ends in [("select pg_cancel_backend({})", False), ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid='{}'", True)]:
        with psycopg.connect(where, autocommit=True) as connection, psycopg.connect(where, autocommit=True) as other:
            number = connection.execute("select pg_backend_pid()").fetchone()[0]
            check("a connection knows its number", number == connection.info.backend_pid, number)
            said: list[str] = []

            def ask(connection: psycopg.Connection = connection, said: list[str] = said) -> None:
                try:
                    connection.execute("select count(*) from range(1000000) a cross join range(1000000) b where a.value + b.value < 0")
                    said.append("answered")
                except psycopg.Error as error:
                    said.append(str(error))

            asking = threading.Thread(target=ask)
            begun = time.monotonic()
            asking.start()
            time.sleep(1)
            found = other.execute("select state, application_name, query from pg_stat_activity where pid = %s", [number]).fetchone()
            check("what runs is seen", found[:2] == ("active", "long") and "cross join" in found[2], found)
            check("it is stopped from elsewhere", other.execute(stop.format(number)).fetchone() == (True,))
            asking.join(20)
            check("at once", said and said[0] != "answered" and time.monotonic() - begun < 15, said)
            if ends:
                try:
                    connection.execute("select 1")
                    check("and the connection ended", False)
                except psycopg.OperationalError:
                    check("and the connection ended", connection.closed)
            else:
                check("and the connection goes on", connection.execute("select 1").fetchone() == (1,))
            check("of others' numbers nothing is known", other.execute("select pg_cancel_backend(1)").fetchone() == (False,))


def asyncs(server: Server) -> None:
    """asyncpg: values by the types of their places, lists among them, and a pool, which settles connections anew."""
    import asyncio
    import importlib.util

    if not importlib.util.find_spec("asyncpg"):
        print("      asyncpg is not here: IT IS NOT CHECKED")
        return
    import asyncpg

    async def ask() -> None:
        where = {"host": server.host, "port": server.port, "user": "elt", "password": server.token, "database": "elt", "ssl": False}
        async with asyncpg.create_pool(**where, min_size=1, max_size=1) as pool:
            for sql, values, wanted in [
                ("select $1::int[]", [[1, 2]], [1, 2]), ("select $1::text[]", [["a", None]], ["a", None]),
                ("select $1::numeric(10,2)", [decimal.Decimal("1.25")], decimal.Decimal("1.25")),
                ("select '1000000000000000000000000000000000000'::numeric(38,0)", [], decimal.Decimal(10**36)),
                ("select '-123456789012345678901234567.5'::numeric(38,4)", [], decimal.Decimal("-123456789012345678901234567.5")),
                ("select count(*) from nyc.planes where engines = any($1)", [[3, 4]], 7), ("select coalesce($1, 1)", [5], 5),
            ]:
                async with pool.acquire() as connection:
                    found = await connection.fetchval(sql, *values)
                check(f"asyncpg's `{sql}`", found == wanted, found)

    asyncio.run(ask())


def inspected(server: Server, driver: str) -> None:
    """SQLAlchemy's Inspector, on which Superset stands, by one of its drivers."""
    import sqlalchemy
    from sqlalchemy.engine.reflection import ObjectKind

    engine = sqlalchemy.create_engine(f"postgresql+{driver}://elt:{server.token}@{server.host}:{server.port}/elt")
    with engine.connect() as connection:
        check(f"SQLAlchemy asks by {driver}", connection.execute(sqlalchemy.text("select count(*) from carrier_months")).scalar() == 46)
    looked = sqlalchemy.inspect(engine)
    check(f"{driver} finds schemas", {"main", "nyc"} <= set(looked.get_schema_names()), looked.get_schema_names())
    check(f"{driver} finds tables", "carrier_months" in looked.get_table_names("main"), looked.get_table_names("main"))
    check(f"{driver} finds no tables of other schemas", "planes" not in looked.get_table_names(), looked.get_table_names())
    check(f"{driver} finds views", "stg_airlines" in looked.get_view_names("main"), looked.get_view_names("main"))
    columns = {column["name"]: str(column["type"]) for column in looked.get_columns("carrier_months", "main")}
    check(f"{driver} finds columns", columns["month"] == "DATE" and columns["flights"] == "BIGINT", columns)
    definition = looked.get_view_definition("stg_airlines", "main")
    check(f"{driver} finds what a view is", "select" in definition.lower(), definition)
    for table in ["carrier_months", "stg_airlines"]:
        looked = sqlalchemy.inspect(engine)
        found = [getattr(looked, f"get_{what}")(table, "main") for what in ["foreign_keys", "indexes", "check_constraints", "unique_constraints"]]
        check(f"{driver} finds what {table} has not", found == [[], [], [], []], found)
        found = looked.get_pk_constraint(table, "main"), looked.get_table_comment(table, "main"), looked.get_table_options(table, "main")
        check(f"{driver} finds the rest of {table}", looked.has_table(table, "main"), found)
    check(f"{driver} finds no sequences", (looked.get_sequence_names(), looked.get_enums(), looked.get_domains(), looked.get_foreign_table_names()) == ([], [], [], []))
    check(f"{driver} finds all at once", ("main", "carrier_months") in looked.get_multi_columns(schema="main", kind=ObjectKind.ANY))
    mirrored = sqlalchemy.MetaData()
    mirrored.reflect(engine, schema="main", views=True)
    check(f"{driver} mirrors all of it", "main.stg_airlines" in mirrored.tables, sorted(mirrored.tables))


def tools(server: Server) -> None:
    """SQLAlchemy; and what Metabase asks when it looks around."""
    import importlib.util

    import psycopg

    for driver in ["psycopg", "psycopg2", "pg8000"]:
        if importlib.util.find_spec(driver):
            inspected(server, driver)
    where = f"host={server.host} port={server.port} user=elt password={server.token} dbname=elt sslmode=disable"
    with psycopg.connect(where, autocommit=True) as connection:
        for sql in LOOKED_FOR:
            found = connection.execute(sql).fetchall()
            check(f"`{sql[:60]}…` is answered", found, found)
        for sql in LOOKED_FOR_IN_VAIN:
            found = connection.execute(sql).fetchall()
            check(f"`{sql[:60]}…` is answered with nothing", found == [], found)
        for sql, value in [("select 'carrier_months'::regclass", "carrier_months"), ("select 'nyc.planes'::regclass", "nyc.planes"), ("show search_path", "main"),
                           ("select current_setting('search_path')", "main"), ("show timezone", "UTC"), ("select set_config('jit', 'off', false)", "off"),
                           ("select pg_get_userbyid(10)", "elt"), ("select has_table_privilege('carrier_months', 'SELECT, INSERT')", True)]:
            check(f"`{sql}` is answered", connection.execute(sql).fetchone() == (value,), connection.execute(sql).fetchone())


# What Metabase, the JDBC driver and Superset ask, in short.
LOOKED_FOR = [
    "SELECT nspname AS schema FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%' ORDER BY nspname",
    "SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' ELSE NULL END AS type, d.description, stat.n_live_tup AS estimated_row_count "
    "FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid "
    "LEFT JOIN pg_catalog.pg_description AS d ON (c.oid = d.objoid) AND (d.objsubid = 0) AND (d.classoid = 'pg_class'::regclass) "
    "LEFT JOIN pg_stat_user_tables AS stat ON (n.nspname = stat.schemaname) AND (c.relname = stat.relname) "
    "WHERE (c.relnamespace = n.oid) AND (n.nspname !~ '^pg_') AND (n.nspname <> 'information_schema') AND c.relkind in ('r', 'p', 'v', 'f', 'm') AND (n.nspname IN ('main')) ORDER BY type, schema, name",
    "SELECT c.column_name AS name, CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN FORMAT('%s', c.udt_name) ELSE FORMAT('\"%s\".\"%s\"', c.udt_schema, c.udt_name) END AS \"database-type\", "
    "c.ordinal_position - 1 AS position, c.table_schema, c.table_name, pk.column_name IS NOT NULL AS pk, "
    "COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I', CAST(c.table_schema AS TEXT), CAST(c.table_name AS TEXT)) AS REGCLASS) AS OID), c.ordinal_position) AS comment, "
    "((column_default IS NULL) OR (LOWER(column_default) = 'null')) AND (is_nullable = 'NO') AND NOT (((column_default IS NOT NULL) AND (column_default LIKE '%nextval(%')) OR (is_identity <> 'NO')) AS required "
    "FROM information_schema.columns AS c LEFT JOIN (SELECT tc.table_schema, tc.table_name, kc.column_name FROM information_schema.table_constraints AS tc "
    "INNER JOIN information_schema.key_column_usage AS kc ON (tc.constraint_name = kc.constraint_name) AND (tc.table_schema = kc.table_schema) AND (tc.table_name = kc.table_name) "
    "WHERE tc.constraint_type = 'PRIMARY KEY') AS pk ON (c.table_schema = pk.table_schema) AND (c.table_name = pk.table_name) AND (c.column_name = pk.column_name) "
    "WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND (c.table_schema IN ('main')) ORDER BY table_schema, table_name, position",
    # Npgsql, when it connects: Power BI's.
    "SELECT typ.oid, typ.typname, CASE WHEN proc.proname='array_recv' THEN 'a' ELSE typ.typtype END AS typtype FROM pg_type AS typ "
    "LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid) LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)",
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_catalog.pg_attribute a "
    "JOIN pg_catalog.pg_class c ON a.attrelid = c.oid WHERE c.relname = 'carrier_months' AND a.attnum > 0 ORDER BY a.attnum",
    "SELECT datname FROM pg_database WHERE datistemplate = false",
    "SELECT version()",
    "SELECT current_schema()",
    "SELECT current_database()",
    "SHOW TRANSACTION ISOLATION LEVEL",
    "select pg_backend_pid()",
    "select table_schema, table_name, table_type from information_schema.tables order by 1, 2",
    "select schemaname, viewname, definition from pg_views where schemaname = 'main'",
    "select table_name, view_definition from information_schema.views where table_schema = 'main'",
]

LOOKED_FOR_IN_VAIN = [
    "SELECT nspname, typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid IN (SELECT DISTINCT enumtypid FROM pg_enum e)",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid='1'",
    "SELECT i.relname, a.attname, ix.indkey::varchar FROM pg_class t join pg_index ix on t.oid = ix.indrelid join pg_class i on i.oid = ix.indexrelid "
    "left outer join pg_attribute a on t.oid = a.attrelid and a.attnum = ANY(ix.indkey) WHERE t.relkind IN ('r', 'v', 'f', 'm', 'p') and t.oid = 'carrier_months'::regclass and ix.indisprimary = 'f' ORDER BY t.relname, i.relname",
    "SELECT * FROM pg_indexes",
    "SELECT polname, array(select rolname from pg_roles where oid = any(polroles)) FROM pg_policy",
]


def nonsense(server: Server) -> None:
    """Bytes that are no protocol end a connection, and nothing else."""
    import random
    import socket

    import psycopg

    chance = random.Random(7)
    begin = b"\x00\x00\x00\x1e\x00\x03\x00\x00user\x00elt\x00database\x00elt\x00\x00"
    for round_ in range(150):
        with socket.create_connection((server.host, server.port), timeout=5) as connection:
            connection.settimeout(0.2)
            noise = bytes(chance.randrange(256) for _ in range(chance.randrange(80)))
            sent = [noise, begin + noise, begin + b"p" + noise, b"\x16" + noise, b"\x00\x00\x00\x08\x04\xd2\x16\x2f" + noise][round_ % 5]
            try:
                connection.sendall(sent)
                connection.recv(1024)
            except OSError:
                pass
    where = f"host={server.host} port={server.port} user=elt password={server.token} dbname=elt sslmode=disable"
    with psycopg.connect(where, autocommit=True) as connection:
        check("after nonsense it goes on", connection.execute("select 1").fetchone() == (1,))


def main() -> int:
    """Reads the command line that `run.py` made, and serves a copy of the project."""
    parser = argparse.ArgumentParser()
    parser.add_argument("elt", type=Path)
    parser.add_argument("project", type=Path)
    arguments = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="elt-postgres-") as folder:
        os.environ["ELT_QUERY_HISTORY"] = f"{folder}/history"
        project = Path(folder) / "project"
        project.mkdir()
        lakehouse = Lakehouse(arguments.elt, arguments.project, project)
        lakehouse.run("build")
        server = Server(lakehouse, "--writable")
        if not server.is_built:
            print("this elt was built without PostgreSQL's protocol: IT IS NOT CHECKED")
            return 0
        try:
            shell(server)
            drivers(server)
            settled(server)
            stopped(server)
            asyncs(server)
            tools(server)
            nonsense(server)
        finally:
            server.process.kill()
    print(f"postgres: {len(PASSED)} checks passed in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
