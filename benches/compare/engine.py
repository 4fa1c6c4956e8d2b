"""Runs one thing in one engine, in that engine's virtual environment, and says what it took.

    python engine.py ENGINE ACTION ARGUMENTS…

The clock runs from opening the data to the last row; imports are not counted. The last line of output is for `run.py`.
"""

import json
import re
import resource
import sys
import time
from pathlib import Path

MEMORY: str | None = None


class Clock:
    """Wall and CPU seconds of this process and of its children that have ended."""

    def start(self) -> None:
        self.begun, self.used = time.perf_counter(), self.cpu()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.begun, self.cpu() - self.used

    @staticmethod
    def cpu() -> float:
        of = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in of)


CLOCK = Clock()


def duckdb_session(path: str = ":memory:", extensions: tuple[str, ...] = ()):
    import duckdb

    session = duckdb.connect(path, config={"allow_unsigned_extensions": "true"} if extensions else {})
    for name in extensions:
        module = __import__(f"duckdb_extension_{name}")
        session.execute(f"load '{next(Path(module.__file__).parent.rglob(f'{name}.duckdb_extension'))}'")
    if MEMORY:
        session.execute(f"set memory_limit = '{MEMORY}'")
    return session


def tables_of(folder: Path) -> list[Path]:
    """The tables in a folder: Parquet files, or folders that are Delta tables."""
    return sorted(path for path in folder.iterdir() if path.suffix == ".parquet" or (path / "_delta_log").is_dir())


def query(engine: str, folder: Path, sql: str) -> list[tuple]:
    """Asks tables in a folder, each by its file's name."""
    tables = tables_of(folder)
    if engine in ("duckdb", "duckdb-1.5"):
        delta = any(path.is_dir() for path in tables)
        session = duckdb_session(extensions=("delta",) if delta else ())
        for path in tables:
            source = f"delta_scan('{path}')" if path.is_dir() else f"read_parquet('{path}')"
            session.execute(f"create view {path.stem} as from {source}")
        return session.execute(sql).fetchall()
    if engine == "duckdb-own":
        return duckdb_session(str(folder / "own.db")).execute(sql).fetchall()
    if engine == "polars":
        import polars

        context = polars.SQLContext({path.stem: polars.scan_delta(str(path)) if path.is_dir() else polars.scan_parquet(path) for path in tables})
        return context.execute(sql).collect(engine="streaming").rows()
    if engine == "datafusion":
        from datafusion import SessionContext

        context = SessionContext()
        for path in tables:
            if path.is_dir():
                from deltalake import DeltaTable

                context.register_table(path.stem, DeltaTable(path))
            else:
                context.register_parquet(path.stem, str(path))
        return [tuple(row.values()) for row in context.sql(sql).to_pylist()]
    if engine == "deltalake":
        from deltalake import DeltaTable, QueryBuilder

        builder = QueryBuilder()
        for path in tables:
            builder = builder.register(path.stem, DeltaTable(path))
        import pyarrow as pa

        return [tuple(row.values()) for row in pa.table(builder.execute(sql).read_all()).to_pylist()]
    if engine == "chdb":
        import os

        import chdb

        os.chdir("/")  # files have to be below the folder that it runs in
        for path in tables:
            source = f"deltaLakeLocal('{path}')" if path.is_dir() else f"file('{path}', Parquet)"
            sql = re.sub(rf"\b(from|join|,)\s+{path.stem}\b", rf"\1 {source} as {path.stem}", sql, flags=re.I)
        return [tuple(line.split("\t")) for line in str(chdb.query(sql, "TSV")).splitlines()]
    if engine == "sail":
        from pysail.spark import SparkConnectServer
        from pyspark.sql import SparkSession

        server = SparkConnectServer()
        server.start()
        _, port = server.listening_address
        spark = SparkSession.builder.remote(f"sc://localhost:{port}").getOrCreate()
        for path in tables:
            spark.read.format("delta" if path.is_dir() else "parquet").load(str(path)).createOrReplaceTempView(path.stem)
        return [tuple(row) for row in spark.sql(sql).collect()]
    raise SystemExit(f"no engine {engine}")


def load(engine: str, kind: str, files: str, target: Path) -> list[tuple]:
    """Loads text files into a table."""
    if engine == "duckdb":
        read = "read_csv" if kind == "csv" else "read_json"
        extra = ", store_rejects = true" if kind == "csv" else ""
        duckdb_session().execute(f"copy (from {read}('{files}'{extra})) to '{target}/t.parquet' (format parquet)")
    elif engine == "duckdb-own":
        read = "read_csv" if kind == "csv" else "read_json"
        session = duckdb_session(str(target / "own.db"))
        session.execute(f"create table t as from {read}('{files}')")
        session.close()
    elif engine == "polars":
        import polars

        frame = polars.scan_csv(files, try_parse_dates=True) if kind == "csv" else polars.scan_ndjson(files)
        frame.collect(engine="streaming").write_delta(str(target / "t"))
    else:
        raise SystemExit(f"no engine {engine}")
    return []


def merge(engine: str, table: Path, source: Path) -> list[tuple]:
    """Updates what matches by its key `k`, and adds the rest."""
    if engine == "deltalake":
        import pyarrow.parquet as pq
        from deltalake import DeltaTable

        merging = DeltaTable(table).merge(pq.read_table(source), "t.k = s.k", source_alias="s", target_alias="t")
        merging.when_matched_update({"v": "s.v", "note": "s.note"}).when_not_matched_insert_all().execute()
    elif engine == "duckdb-own":
        session = duckdb_session(str(table / "own.db"))
        session.execute(f"merge into t using '{source}' as s on t.k = s.k when matched then update set v = s.v, note = s.note when not matched then insert by name")
        session.close()
    elif engine == "ducklake":
        session = ducklake(table)
        session.execute(f"merge into lake.t using (from '{source}') as s on t.k = s.k when matched then update set v = s.v, note = s.note when not matched then insert")
        session.close()
    return []


def ducklake(folder: Path):
    """A DuckLake in a folder."""
    session = duckdb_session(extensions=("ducklake",))
    session.execute(f"attach 'ducklake:{folder}/catalog.ducklake' as lake (data_path '{folder}/data', override_data_path true)")
    return session


def commits(engine: str, folder: Path, count: int) -> list[tuple]:
    """So many commits of ten rows."""
    values = ", ".join(f"({n})" for n in range(10))
    if engine == "deltalake":
        import pyarrow as pa
        from deltalake import write_deltalake

        for _ in range(count):
            write_deltalake(folder / "t", pa.table({"n": list(range(10))}), mode="append")
    elif engine == "duckdb-own":
        session = duckdb_session(str(folder / "own.db"))
        session.execute("create table t (n bigint)")
        for _ in range(count):
            session.execute(f"insert into t values {values}")
        session.close()
    elif engine == "ducklake":
        session = ducklake(folder)
        session.execute("create table lake.t (n bigint)")
        for _ in range(count):
            session.execute(f"insert into lake.t values {values}")
        session.close()
    return []


def publish(engine: str, folder: Path, count: int) -> list[tuple]:
    """So many tables of a row, at once where the engine can."""
    if engine == "deltalake":
        import pyarrow as pa
        from deltalake import write_deltalake

        for number in range(count):
            write_deltalake(folder / f"m{number}", pa.table({"n": [number]}))
        return []
    session = ducklake(folder) if engine == "ducklake" else duckdb_session(str(folder / "own.db"))
    schema = "lake" if engine == "ducklake" else "main"
    session.execute("begin")
    for number in range(count):
        session.execute(f"create table {schema}.m{number} as select {number} as n")
    session.execute("commit")
    session.close()
    return []


def wire(engine: str, *places: str) -> list[tuple]:
    """Reads all rows of a table as record batches, and counts them; no clock runs while a server starts."""
    if engine == "pyarrow":
        import pyarrow.parquet as parquet

        files = [parquet.ParquetFile(file) for file in Path(places[0]).glob("t/*.parquet")]
        return restarted(lambda: [(sum(batch.num_rows for file in files for batch in file.iter_batches(65536)),)])
    if engine == "sail":
        from pysail.spark import SparkConnectServer
        from pyspark.sql import SparkSession

        server = SparkConnectServer()
        server.start()
        spark = SparkSession.builder.remote(f"sc://localhost:{server.listening_address[1]}").getOrCreate()
        table = spark.read.format("delta").load(f"{places[0]}/t")
        return restarted(lambda: [(table.toArrow().num_rows,)])
    import subprocess

    import adbc_driver_flightsql.dbapi as flight

    program, lake = places
    serving = subprocess.Popen([program, "serve", "--lake", lake, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
    try:
        said = ""
        for line in serving.stderr:
            said += line
            if "Ctrl-C" in line:
                break
        url, token = re.search(r" at (grpc\S*)", said)[1], re.search(r"^token.*: (\w+)$", said, re.MULTILINE)[1]
        with flight.connect(url, {"username": "x", "password": token}, autocommit=True) as connection, connection.cursor() as cursor:

            def ask() -> list[tuple]:
                cursor.execute("select * from t")
                return [(sum(batch.num_rows for batch in cursor.fetch_record_batch()),)]

            return restarted(ask)
    finally:
        serving.terminate()
        serving.wait()


def restarted(work):
    """Does the work, with the clock beginning now."""
    CLOCK.start()
    return work()


def count(engine: str, folder: Path) -> list[tuple]:
    """Opens a Delta table and counts its rows."""
    return query(engine, folder, "select count(*) from t")


def normal(value) -> str:
    """A value as every engine would write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return f"{float(value):.4g}"
    except (TypeError, ValueError):
        return str(value)


def main() -> None:
    global MEMORY
    engine, action, *rest = sys.argv[1:]
    if rest and rest[-1].startswith("memory="):
        MEMORY = rest.pop().removeprefix("memory=")
    for module in {"duckdb": ["duckdb"], "duckdb-own": ["duckdb"], "duckdb-1.5": ["duckdb"], "ducklake": ["duckdb"], "polars": ["polars"], "datafusion": ["datafusion"], "deltalake": ["deltalake", "pyarrow"], "chdb": ["chdb"], "flight": ["adbc_driver_flightsql.dbapi"], "pyarrow": ["pyarrow.parquet"], "sail": ["pysail", "pyspark"]}[engine]:
        __import__(module)
    CLOCK.start()
    match action:
        case "query":
            rows = query(engine, Path(rest[0]), Path(rest[1]).read_text().strip().rstrip(";"))
        case "load":
            rows = load(engine, rest[0], rest[1], Path(rest[2]))
        case "merge":
            rows = merge(engine, Path(rest[0]), Path(rest[1]))
        case "commits":
            rows = commits(engine, Path(rest[0]), int(rest[1]))
        case "count":
            rows = count(engine, Path(rest[0]))
        case "publish":
            rows = publish(engine, Path(rest[0]), int(rest[1]))
        case "wire":
            rows = wire(engine, *rest)
        case _:
            raise SystemExit(f"no action {action}")
    wall, cpu = CLOCK.read()
    answer = "\n".join("|".join(normal(value) for value in row) for row in rows[:1000])
    print(json.dumps({"inside": {"wall": wall, "cpu": cpu, "answer": answer}}))


if __name__ == "__main__":
    main()
