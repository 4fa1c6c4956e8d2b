"""Does `elt serve` keep from each what is not theirs, and each within their limits, as real drivers see it?

Started by `run.py`, as `flight.py` is, whose server and checks it uses. Roles with grants, row filters and masks; transactions; limits;
health, numbers, renewed certificates and passwords taken back while it runs; an answer of a hundred million rows.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import warnings
from contextlib import suppress
from pathlib import Path

import adbc_driver_flightsql.dbapi as flight
import adbc_driver_manager.dbapi as dbapi
import pyarrow as pa

from flight import PASSED, check, refused, rows, serving
from lake import Lakehouse

ROLES = """
roles:
  analyst:
    grants:
      - select on main.carrier_months
      - all on schema box
    row_filters:
      main.carrier_months: carrier = 'VX'
    masks:
      main.carrier_months: {airline: "'***'"}
    limits: {queries: 2, time: 5s, memory: 64MB}
  slow:
    grants:
      - select on schema main
    limits: {per_minute: 8}
"""


def user(lakehouse: Lakehouse, name: str, *options: str) -> str:
    """Adds a user. Returns the password."""
    subprocess.run(
        [lakehouse.elt, "user", "add", name, "--password-stdin", *options],
        cwd=lakehouse.root, input=f"{name}'s own\n", text=True, check=True, capture_output=True,
    )
    return f"{name}'s own"


def connect(server, name: str, **options):
    """A connection of a user."""
    return flight.connect(server.url, {"username": name, "password": f"{name}'s own"}, **({"autocommit": True} | options))


def hidden(server) -> None:
    """A role sees its rows and columns, and nothing else, whatever it asks."""
    with connect(server, "ann") as ann, ann.cursor() as cursor:
        found = rows(cursor, "select distinct carrier, airline from carrier_months")
        check("a role sees its rows, masked", found == [("VX", "***")], found)
        check("and counts them", rows(cursor, "select count(*) from carrier_months")[0][0] < 10)
        refused(cursor, "select * from fct_flights", dbapi.Error, "there is no table")
        refused(cursor, "delete from carrier_months", dbapi.Error, "you may not change")
        for sql in ("select carrier from carrier_months where cast(carrier as int) = 1", "select * from carrier_months where 1 / (flights - 3690) > 5"):
            try:
                told = str(rows(cursor, sql))
            except dbapi.Error as error:
                told = str(error)
            check(f"`{sql}` tells nothing", "DL" not in told and "division" not in told, told)
        plan = str(rows(cursor, "explain select * from carrier_months where flights > 1"))
        check("a plan does not look inside", "carrier =" not in plan and "as the role analyst sees it" in plan, plan)
        objects = ann.adbc_get_objects(depth="tables").read_all().to_pylist()
        names = [table["table_name"] for schema in objects[0]["catalog_db_schemas"] for table in schema["db_schema_tables"]]
        check("tools are told of what there is for her", names == ["carrier_months"], names)
        cursor.adbc_ingest("mine", pa.table({"a": [1, 2]}), mode="create", db_schema_name="box")
        check("she writes where she may", rows(cursor, "select count(*) from box.mine") == [(2,)])
    # The driver keeps the schema of an ingest for the cursor's next one.
    with connect(server, "ann") as ann, ann.cursor() as cursor:
        try:
            cursor.adbc_ingest("carrier_months", pa.table({"carrier": ["XX"]}), mode="append")
            check("and nowhere else", False)
        except dbapi.Error as error:
            check("and nowhere else", "you may not change" in str(error), error)


def limits(server) -> None:
    """A role's limits hold for each of its users."""
    endless = "select count(*) from range(100000) a cross join range(1000000) b where a.value + b.value < 0"
    with connect(server, "ann") as ann:
        begun = time.monotonic()
        with ann.cursor() as cursor:
            refused(cursor, endless, dbapi.Error, "took longer than 5 s")
        check("a statement ends in time", time.monotonic() - begun < 15)
        time.sleep(1)
        before = server.worked()
        time.sleep(2)
        check("and computes no more", server.worked() - before < 0.5, server.worked() - before)
        with ann.cursor() as cursor:
            refused(cursor, "select array_agg(value) from range(50000000)", dbapi.Error, "64 MiB")
        readers = [ann.cursor(), ann.cursor()]
        many = "select value from range(1000000000)"
        streams = []
        for cursor in readers:
            cursor.execute(many)
            streams.append(cursor.fetch_record_batch())
            streams[-1].read_next_batch()
        with ann.cursor() as cursor:
            refused(cursor, "select 1", dbapi.Error, "2 statements of `ann` run already")
        with connect(server, "cara") as cara, cara.cursor() as cursor:
            check("others are not kept waiting", rows(cursor, "select 1") == [(1,)])
        for stream, cursor in zip(streams, readers):
            stream.close()
            cursor.close()
    with connect(server, "sam") as sam, sam.cursor() as cursor:
        refusals = 0
        for _ in range(12):
            try:
                rows(cursor, "select 1")
            except dbapi.Error as error:
                check("who asks too often is told so", "within a minute" in str(error), error)
                refusals += 1
        check("a rate is kept", 3 <= refusals <= 5, refusals)


def own_places(server) -> None:
    """Nothing is let in where nobody could read it."""
    with connect(server, "eve") as eve, eve.cursor() as cursor:
        for schema, table in [("elt", "query_history"), ("information_schema", "anything"), ("pg_catalog", "pg_class")]:
            try:
                cursor.adbc_ingest(table, pa.table({"a": [1]}), mode="create_append", db_schema_name=schema)
                check(f"nothing goes into {schema}", False)
            except dbapi.Error as error:
                check(f"nothing goes into {schema}", "is not supported" in str(error), error)
    with connect(server, "sam") as sam, sam.cursor() as cursor:
        try:
            cursor.adbc_ingest("news", pa.table({"a": [1]}), mode="create")
            check("who reads sends no rows", False)
        except dbapi.Error as error:
            check("who reads sends no rows", "you may only read" in str(error), error)


def transactions(server) -> None:
    """Without autocommit, what comes between is one release, or nothing."""
    with connect(server, "eve") as other, other.cursor() as watching:
        def release() -> int:
            return rows(watching, "show releases")[0][0]

        before = release()
        with connect(server, "eve", autocommit=False) as eve, eve.cursor() as cursor:
            cursor.execute("create table box.two as select 1 as a")
            cursor.execute("insert into box.two values (2)")
            cursor.executemany("insert into box.two values (?)", [(3,), (4,)])
            cursor.adbc_ingest("two", pa.table({"a": [5, 6]}), mode="append", db_schema_name="box")
            check("it sees what it did", rows(cursor, "select sum(a) from box.two") == [(21,)])
            check("nobody else does", release() == before)
            eve.commit()
            check("then it is one release", release() == before + 1)
            cursor.execute("delete from box.two")
            eve.rollback()
            check("what is rolled back has not happened", rows(cursor, "select count(*) from box.two") == [(6,)])
            eve.rollback()
        watching.execute("drop table box.two")


def watched(server) -> None:
    """Whoever starts programs and watches them gets what they need."""
    line = next(line for line in server.said if "/readyz" in line)
    base = line[line.index("http://"):line.index("/readyz")]

    def get(path: str) -> str:
        with urllib.request.urlopen(base + path, timeout=10) as answer:
            return answer.read().decode()

    check("it is there", get("/healthz") == "ok\n")
    check("it is ready", get("/readyz") == "ready\n")
    numbers = dict(line.rsplit(" ", 1) for line in get("/metrics").splitlines() if not line.startswith("#"))
    check("statements are counted", float(numbers['elt_statements_total{outcome="succeeded"}']) > 10, numbers)
    check("refusals are counted", float(numbers['elt_statements_total{outcome="refused"}']) > 0, numbers)
    check("rows are counted", float(numbers["elt_rows_sent_total"]) > 1000, numbers)
    check("times are told", float(numbers["elt_statement_seconds_count"]) > 10)
    try:
        get("/other")
        check("nothing else is told", False)
    except urllib.error.HTTPError as error:
        check("nothing else is told", error.code == 404)


def begun(connection):
    """A stream that does not end by itself, of which something was read, and what has to live as long."""
    cursor = connection.cursor()
    cursor.execute("select value from range(1000000000000)")
    stream = cursor.fetch_record_batch()
    stream.read_next_batch()
    return stream, cursor


def ends(running, words: str) -> None:
    """Insists that a stream ends soon, and with which words."""
    before = time.monotonic()
    try:
        while time.monotonic() - before < 20:
            running[0].read_next_batch()
        check(f"what is running ends: {words}", False)
    except (dbapi.Error, OSError, pa.ArrowException) as error:
        check(f"what is running ends: {words}", words in str(error), error)
        check("and soon", time.monotonic() - before < 10)
    for thing in running:
        with suppress(Exception):
            thing.close()


def gone(lakehouse: Lakehouse) -> None:
    """A server whose lake was taken away makes no other one, and Ctrl-C is heard twice."""
    lake, aside = lakehouse.root / "lake", lakehouse.root / "aside"
    with serving(lakehouse, "--http", "127.0.0.1:0") as server:
        eve = connect(server, "eve")
        cursor = eve.cursor()
        check("it is asked", rows(cursor, "select 1") == [(1,)])
        line = next(line for line in server.said if "/readyz" in line)
        ready = line[line.index("http://"):line.index("/readyz")] + "/readyz"
        lake.rename(aside)
        try:
            refused(cursor, "create table box.other as select 1 as a", dbapi.Error, "the lake had release")
            check("no other lake is made", not lake.exists())
            try:
                urllib.request.urlopen(ready, timeout=10).close()
                check("it is not ready", False)
            except urllib.error.HTTPError as error:
                check("it is not ready", error.code == 503 and b"it is gone" in error.read())
        finally:
            aside.rename(lake)
        check("it goes on where it was", rows(cursor, "select count(*) > 0 from carrier_months") == [(True,)])
        stream, reading = begun(eve)
        server.process.send_signal(signal.SIGINT)
        time.sleep(1)
        check("what is at work goes on", server.process.poll() is None and stream.read_next_batch().num_rows > 0)
        server.process.send_signal(signal.SIGINT)
        check("the second time it ends at once", server.process.wait(timeout=8) == 0)
        # Nobody is left to take leave of.
        for thing in [stream, reading, cursor, eve]:
            with suppress(Exception):
                thing.close()


def taken_back(lakehouse: Lakehouse, server) -> None:
    """A user who is taken out is not heard any more; what changes in a role is felt at once."""
    path = lakehouse.root / "elt.yml"
    cara = connect(server, "cara")
    cursor = cara.cursor()
    check("she is let in", rows(cursor, "select 1") == [(1,)])
    analyst = connect(server, "ann")
    running = begun(analyst)
    granted = subprocess.run(
        [lakehouse.elt, "sql", "-c", "revoke select on main.carrier_months from role analyst"],
        cwd=lakehouse.root, capture_output=True, text=True, check=False,
    )
    check("rights are taken by a statement", granted.returncode == 0, granted.stderr)
    ends(running, "what `ann` may see has changed")
    with connect(server, "ann") as ann, ann.cursor() as other:
        refused(other, "select * from carrier_months", dbapi.Error, "there is no table")
    running = begun(cara)
    text = path.read_text()
    path.write_text(text.replace("  cara:", "  nobody:"))
    ends(running, "is no user any more")
    refused(cursor, "select 1", dbapi.Error, "UNAUTHENTICATED")
    path.write_text(text)
    # Whoever is not heard cannot take leave either.
    with suppress(dbapi.Error):
        cursor.close()
    with suppress(dbapi.Error):
        cara.close()


def asked(lakehouse: Lakehouse) -> None:
    """Who asked what is kept, what was refused too."""
    sql = "select user_name, status, count(*) as n from elt.query_history where application = 'flight' group by 1, 2"
    told = subprocess.run([lakehouse.elt, "sql", "--format", "json", "-c", sql], cwd=lakehouse.root, capture_output=True, text=True, check=True)
    found = {(row["user_name"], row["status"]) for row in json.loads(told.stdout)}
    check("who asked is known", {("ann", "succeeded"), ("ann", "refused"), ("eve", "succeeded")} <= found, found)
    check("who asked too often is known", ("sam", "refused") in found, found)
    sql = "select user_name, status, statement_text, message from elt.query_history where message is not null"
    told = subprocess.run([lakehouse.elt, "sql", "--format", "json", "-c", sql], cwd=lakehouse.root, capture_output=True, text=True, check=True)
    found = json.loads(told.stdout)
    late = [row for row in found if "took longer than 5 s" in row["message"]]
    check("why a statement was ended is known", late and all(row["status"] == "failed" for row in late), found)
    sent = [row for row in found if row["statement_text"].startswith("INGEST INTO")]
    check("rows that were not let in are known", any(row["status"] == "refused" for row in sent), found)


def lived(lakehouse: Lakehouse) -> None:
    """A token holds for so long, and no longer; with the password there is another."""
    with serving(lakehouse, "--token-life", "3s") as server:
        eve = connect(server, "eve")
        cursor = eve.cursor()
        check("a token holds", rows(cursor, "select 1") == [(1,)])
        time.sleep(4)
        refused(cursor, "select 1", dbapi.Error, "UNAUTHENTICATED")
        with connect(server, "eve") as again, again.cursor() as other:
            check("a password gives another", rows(other, "select 2") == [(2,)])
        # Whoever is not heard cannot take leave either.
        for thing in [cursor, eve]:
            with suppress(dbapi.Error):
                thing.close()


def half_open(lakehouse: Lakehouse) -> None:
    """Connections on which nothing comes, half of something, or that were left by one side: others are answered, and nothing is kept."""
    with serving(lakehouse) as server:
        host, port = server.url.removeprefix("grpc://").split(":")
        with connect(server, "eve") as eve, eve.cursor() as cursor:
            rows(cursor, "select 1")
            before = server.memory()
            preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            sockets = []
            for number in range(300):
                said = [b"", preface[:10], preface, preface + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", preface + b"\xff" * 7][number % 5]
                sockets.append(socket.create_connection((host, int(port)), timeout=10))
                sockets[-1].sendall(said)
                if number % 2:
                    sockets[-1].shutdown(socket.SHUT_WR)
            check("others are answered beside connections that are half open", rows(cursor, "select 2") == [(2,)])
            with connect(server, "eve") as more, more.cursor() as other:
                check("and let in", rows(other, "select 3") == [(3,)])
            check("they take little memory", server.memory() - before < 100, (before, server.memory()))
        asking = f"""
import adbc_driver_flightsql.dbapi as flight, os, signal
cursor = flight.connect({server.url!r}, {{"username": "eve", "password": "eve's own"}}, autocommit=True).cursor()
cursor.execute("select value from range(1000000000000)")
cursor.fetch_record_batch().read_next_batch()
print("reads", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""
        frozen = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", asking], stdout=subprocess.PIPE, text=True) for _ in range(10)]
        try:
            check("ten read", all(reader.stdout.readline() == "reads\n" for reader in frozen))
            begun = time.monotonic()
            with connect(server, "cara") as cara, cara.cursor() as cursor:
                check("who stands still in the middle of reading lets others have the turn", rows(cursor, "select 4") == [(4,)])
            check("soon", time.monotonic() - begun < 20, time.monotonic() - begun)
            check("and takes little memory", server.memory() - before < 400, (before, server.memory()))
        finally:
            for reader in frozen:
                reader.kill()
                reader.wait()
        check("with all of these it stops when it is told to", server.stop() == 0)
        for one in sockets:
            one.close()


def killed(lakehouse: Lakehouse) -> None:
    """A server that is killed in the middle of writing leaves a whole lake, which the next one serves."""
    with serving(lakehouse) as server:
        with connect(server, "eve") as eve, eve.cursor() as cursor:
            cursor.execute("create table box.kept as select value as a from range(1000)")
        written, kept = 0, 1000
        eve = connect(server, "eve")
        cursor = eve.cursor()
        threading.Timer(2, server.process.kill).start()
        try:
            while True:
                cursor.execute("insert into box.kept select value as a from range(1000)")
                written += 1
        except dbapi.Error:
            kept += 1000 * written
        check("it was writing", server.process.wait(timeout=20) == -signal.SIGKILL and written > 0, written)
        for thing in [cursor, eve]:
            with suppress(Exception):
                thing.close()
    with serving(lakehouse) as server, connect(server, "eve") as eve, eve.cursor() as cursor:
        found = rows(cursor, "select count(*) from box.kept")[0][0]
        # What was published as it died may have been told to nobody.
        check("what was told to be written is there, whole", found in (kept, kept + 1000), (found, kept))
        cursor.execute("insert into box.kept values (-1)")
        check("and it is gone on from", rows(cursor, "select count(*) from box.kept") == [(found + 1,)])
        cursor.execute("drop table box.kept")


def renewed(lakehouse: Lakehouse, folder: Path) -> None:
    """A certificate is renewed while connections go on; a client shows one where that is asked for."""
    if not shutil.which("openssl"):
        print("      openssl is not here: RENEWED CERTIFICATES ARE NOT CHECKED")
        return

    def make(name: str, serial: int) -> tuple[Path, Path]:
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-set_serial", str(serial),
             "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
            check=True, capture_output=True,
        )
        return certificate, key

    (one, one_key), (two, two_key), (authority, authority_key) = make("one", 1), make("two", 2), make("authority", 3)
    client, client_key = folder / "client.pem", folder / "client.key"
    request = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", client_key, "-out", folder / "client.csr", "-subj", "/CN=client"]
    subprocess.run(request, check=True, capture_output=True)
    (folder / "client.ext").write_text("basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n")
    vouched = ["openssl", "x509", "-req", "-extfile", folder / "client.ext", "-in", folder / "client.csr", "-CA", authority, "-CAkey", authority_key, "-set_serial", "4", "-days", "2", "-out", client]
    subprocess.run(vouched, check=True, capture_output=True)
    served, served_key = folder / "served.pem", folder / "served.key"
    shutil.copy(one, served), shutil.copy(one_key, served_key)

    def shown(server) -> str:
        host, port = server.url.removeprefix("grpc+tls://").split(":")
        return ssl.get_server_certificate((host, int(port)))

    with serving(lakehouse, "--tls-cert", served, "--tls-key", served_key) as server:
        check("the first certificate is shown", shown(server).strip() == one.read_text().strip())
        option = "adbc.flight.sql.client_option.tls_root_certs"
        with flight.connect(server.url, {"username": "eve", "password": "eve's own", option: one.read_text()}, autocommit=True) as old, old.cursor() as cursor:
            check("it is answered", rows(cursor, "select 1") == [(1,)])
            served.write_text("nonsense")
            time.sleep(1.5)
            check("what is no certificate changes nothing", shown(server).strip() == one.read_text().strip())
            shutil.copy(two, served), shutil.copy(two_key, served_key)
            time.sleep(1.5)
            check("the renewed one is shown", shown(server).strip() == two.read_text().strip())
            check("a connection from before goes on", rows(cursor, "select 2") == [(2,)])
    with serving(lakehouse, "--tls-cert", one, "--tls-key", one_key, "--tls-client-ca", authority) as server:
        options = {"username": "eve", "password": "eve's own", "adbc.flight.sql.client_option.tls_root_certs": one.read_text()}
        try:
            with flight.connect(server.url, options, autocommit=True) as connection, connection.cursor() as cursor:
                rows(cursor, "select 1")
            check("without a certificate nobody is let in", False)
        except dbapi.Error:
            check("without a certificate nobody is let in", True)
        options |= {
            "adbc.flight.sql.client_option.mtls_cert_chain": client.read_text(),
            "adbc.flight.sql.client_option.mtls_private_key": client_key.read_text(),
        }
        with flight.connect(server.url, options, autocommit=True) as connection, connection.cursor() as cursor:
            check("with one they are", rows(cursor, "select 1") == [(1,)])


def huge(server) -> None:
    """A hundred million rows, in bounded memory, and the same small question again and again."""
    with connect(server, "eve") as connection, connection.cursor() as cursor:
        rows(cursor, "select 1")
        before, most, counted, begun = server.memory(), 0, 0, time.monotonic()
        cursor.execute("select value, value * 2 as twice from range(100000000)")
        for number, batch in enumerate(cursor.fetch_record_batch()):
            counted += batch.num_rows
            if number % 200 == 0:
                most = max(most, server.memory())
        took = time.monotonic() - begun
        check("a hundred million rows come", counted == 100_000_000, counted)
        check("in bounded memory", most - before < 400, (before, most))
        print(f"      100,000,000 rows in {took:.1f} s, {before} MiB before and {most} MiB at most")
        sql = "select carrier, sum(flights) from carrier_months group by 1 order by 1"
        first = rows(cursor, sql)
        check("an answer that is kept is the same", all(rows(cursor, sql) == first for _ in range(20)))


def main() -> int:
    """Reads the command line that `run.py` made, and serves a copy of the project."""
    parser = argparse.ArgumentParser()
    parser.add_argument("elt", type=Path)
    parser.add_argument("project", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="elt-guarded-") as folder:
        os.environ["ELT_QUERY_HISTORY"] = f"{folder}/history"
        project = Path(folder) / "project"
        project.mkdir()
        lakehouse = Lakehouse(arguments.elt, arguments.project, project)
        lakehouse.run("build")
        (project / "elt.yml").write_text(ROLES)
        for name, *options in [("ann", "--role", "analyst"), ("cara", "--role", "analyst"), ("sam", "--role", "slow"), ("eve", "--writes")]:
            user(lakehouse, name, *options)
        with serving(lakehouse, "--http", "127.0.0.1:0") as server:
            hidden(server)
            limits(server)
            own_places(server)
            transactions(server)
            huge(server)
            watched(server)
            taken_back(lakehouse, server)
            asked(lakehouse)
            check("it stops when it is told to, and well", server.stop() == 0)
        gone(lakehouse)
        lived(lakehouse)
        half_open(lakehouse)
        killed(lakehouse)
        renewed(lakehouse, Path(folder))
    print(f"guarded: {len(PASSED)} checks passed in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
