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
    ]:
        told = psql(server, command)
        check(f"psql's {command}", all(word in told for word in words) and "ERROR" not in told, told)
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
        check("what PostgreSQL does not have comes as text", row[16] == "{a: 1}" and row[17] == "{k: 1}", row)
        found = connection.execute("select carrier from carrier_months where carrier = %s and flights > %s and month >= %s limit 1", ("VX", 1, datetime.date(2013, 1, 1))).fetchall()
        check("values find rows", found == [("VX",)], found)
        check("rows come", len(connection.execute("select * from fct_flights").fetchall()) == 80789)
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
                          ("create table notes (a int)", "42P07"), ("select * from '/etc/passwd'", "42501"), ("savepoint a", "0A000")]:
            try:
                connection.execute(sql)
                check(f"`{sql}` is refused", False)
            except psycopg.Error as error:
                check(f"`{sql}` is refused as PostgreSQL would", error.sqlstate == code, (error.sqlstate, str(error)))
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


def tools(server: Server) -> None:
    """SQLAlchemy, which Superset stands on; and what Metabase asks when it looks around."""
    import psycopg
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"postgresql+psycopg://elt:{server.token}@{server.host}:{server.port}/elt")
    with engine.connect() as connection:
        check("SQLAlchemy asks", connection.execute(sqlalchemy.text("select count(*) from carrier_months")).scalar() == 46)
    looked = sqlalchemy.inspect(engine)
    check("it finds schemas", {"main", "nyc"} <= set(looked.get_schema_names()), looked.get_schema_names())
    check("it finds tables", "carrier_months" in looked.get_table_names("main"), looked.get_table_names("main"))
    check("it finds views", "stg_airlines" in looked.get_view_names("main"), looked.get_view_names("main"))
    columns = {column["name"]: str(column["type"]) for column in looked.get_columns("carrier_months", "main")}
    check("it finds columns", columns["month"] == "DATE" and columns["flights"] == "BIGINT", columns)
    where = f"host={server.host} port={server.port} user=elt password={server.token} dbname=elt sslmode=disable"
    with psycopg.connect(where, autocommit=True) as connection:
        for sql in [
            "SELECT nspname AS schema FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%' ORDER BY nspname",
            "SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' ELSE NULL END AS type "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON c.relnamespace = n.oid WHERE c.relkind IN ('r', 'v') AND n.nspname = 'main' ORDER BY 2",
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_catalog.pg_attribute a "
            "JOIN pg_catalog.pg_class c ON a.attrelid = c.oid WHERE c.relname = 'carrier_months' AND a.attnum > 0 ORDER BY a.attnum",
            "SELECT version()", "SELECT current_schema()", "SELECT current_database()", "SHOW TRANSACTION ISOLATION LEVEL", "select pg_backend_pid()",
            "select table_schema, table_name, table_type from information_schema.tables order by 1, 2",
        ]:
            found = connection.execute(sql).fetchall()
            check(f"`{sql[:60]}…` is answered", found, found)


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
            tools(server)
            nonsense(server)
        finally:
            server.process.kill()
    print(f"postgres: {len(PASSED)} checks passed in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
