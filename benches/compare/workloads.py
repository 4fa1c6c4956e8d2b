"""What is compared: each workload makes its data once, and gives tables of tasks that the peers do in turn."""

import csv
import io
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import peers
from engine import normal

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]


@dataclass
class Task:
    """One thing that one peer does."""

    peer: str
    command: Callable[[Path], list]
    scratch: Path
    before: Callable[[Path], object] = lambda work: None
    env: dict[str, str] = field(default_factory=dict)
    answers: bool = False


@dataclass
class World:
    """Where things are, and how much of them."""

    elt: Path
    data: Path
    scale: float
    chosen: list[str] | None

    def folder(self, name: str, make: Callable[[Path], object]) -> Path:
        """A folder of data that is made once, whole or not at all."""
        folder = self.data / name
        if not folder.exists():
            print(f"making {name}", flush=True)
            part = self.data / f".{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            make(part)
            part.rename(folder)
        return folder

    def scratch(self) -> Path:
        folder = self.data / "scratch"
        folder.mkdir(exist_ok=True)
        return folder

    def engine(self, peer: str, *arguments, engine: str | None = None, before=lambda work: None) -> Task:
        """A task of a peer that is a library. `WORK` in the arguments is the run's own folder."""
        engine = engine or peer
        venv = {"duckdb-own": "duckdb", "ducklake": "duckdb-1.5", "pyarrow": "duckdb"}.get(engine, engine)
        placed = lambda work: [str(argument).replace("WORK", str(work)) for argument in arguments]
        return Task(peer, lambda work: [peers.python(venv), "-B", HERE / "engine.py", engine, *placed(work)], self.scratch(), before)

    def sql(self, peer: str, lake: Path | str, sql: str, before=lambda work: None, **env: str) -> Task:
        """A statement of elt; what a query answers is compared with what the peers do. `WORK` in the lake's path is the run's own folder."""
        command = lambda work: [self.elt, "--lake", str(lake).replace("WORK", str(work)), "sql", "--format", "csv", "-c", sql]
        return Task(peer, command, self.scratch(), before, env, answers=not sql.startswith("merge"))

    def into(self, lake: Path, *arguments) -> None:
        """Runs statements that make tables of a lake."""
        lake.mkdir(parents=True, exist_ok=True)
        self.run(self.elt, "--lake", lake, "sql", *arguments, cwd=lake)

    def run(self, *command, cwd: Path, stdin: str | None = None) -> str:
        done = subprocess.run([str(part) for part in command], cwd=cwd, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{command[:3]} failed: {done.stderr[-800:]}")
        return done.stdout


def as_answer(text: str) -> str:
    """What `elt sql --format csv` printed, as `engine.py` writes answers."""
    rows = list(csv.reader(io.StringIO(text)))[1:]
    return "\n".join("|".join(normal(value) if value else "" for value in row) for row in rows[:1000])


def copied(what: Path, name: str) -> Callable[[Path], object]:
    """Puts a copy of a table or a database into the run's folder."""
    return lambda work: shutil.copytree(what, work / name)


# Asking ----------------------------------------------------------------------------------------------------------

TPCH_TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]


def tpch(world: World) -> Iterator[tuple[str, list[Task]]]:
    """The 22 queries of TPC-H over Parquet and over Delta tables; scale is its factor."""

    def make(folder: Path) -> None:
        (folder / "parquet").mkdir()
        world.run(peers.python("tools").parent / "tpchgen-cli", "parquet", "-s", world.scale, "--output-dir", folder / "parquet", cwd=folder)
        script = (
            "import duckdb, sys; sys.path.insert(0, sys.argv[1]); from engine import duckdb_session; session = duckdb_session(extensions=('tpch',))\n"
            "for number, text in session.execute('select query_nr, query from tpch_queries()').fetchall(): open(f'q{number:02}.sql', 'w').write(text)"
        )
        world.run(peers.python("tools"), "-c", script, HERE, cwd=folder)
        for table in TPCH_TABLES:
            world.into(folder / "lake", "-c", f"create table {table} as select * from '{folder}/parquet/{table}.parquet'")
        (folder / "delta").mkdir()
        for table in TPCH_TABLES:
            (folder / "delta" / table).symlink_to(f"../lake/tables/main/{table}")
        own = "".join(f"create table {table} as from '{folder}/parquet/{table}.parquet';" for table in TPCH_TABLES)
        world.run(peers.python("duckdb"), "-c", f"import duckdb; duckdb.connect('own.db').execute(\"\"\"{own}\"\"\")", cwd=folder)

    folder = world.folder(f"tpch-{world.scale:g}", make)
    for number in range(1, 23):
        file = folder / f"q{number:02}.sql"
        sql = file.read_text().strip().rstrip(";")
        yield f"q{number:02} over Delta", [
            world.sql("elt", folder / "lake", sql),
            world.engine("duckdb, own tables", "query", folder, file, engine="duckdb-own"),
            *(world.engine(peer, "query", folder / "delta", file) for peer in ("duckdb-1.5", "polars", "datafusion", "deltalake", "chdb", "sail")),
        ]
        views = ", ".join(f"{table} as (select * from '{folder}/parquet/{table}.parquet')" for table in TPCH_TABLES if re.search(rf"\b{table}\b", sql))
        inline = re.sub(r"^with\b", f"with {views},", sql, flags=re.I) if sql[:4].lower() == "with" else f"with {views} {sql}"
        yield f"q{number:02} over Parquet", [
            world.sql("elt", folder / "lake", inline),
            *(world.engine(peer, "query", folder / "parquet", file) for peer in ("duckdb", "polars", "datafusion", "chdb", "sail")),
        ]


def events(world: World) -> Path:
    """Events with keys in order, texts, a few groups and many, as Parquet, as elt's table and as DuckDB's."""

    def make(folder: Path) -> None:
        rows = int(10_000_000 * world.scale)
        (folder / "parquet").mkdir()
        made = f"""select range as k, range % 1000 as v, 'note ' || range as note, (range * 0.5)::double as x, date '2020-01-01' + (range % 1000)::int as d,
            (hash(range) % {max(rows // 5, 1)})::bigint as user_id, ['view', 'click', 'buy'][1 + (hash(range) % 3)::int] as kind from range({rows})"""
        world.run(peers.python("duckdb"), "-c", f"import duckdb; duckdb.connect().execute(\"\"\"copy ({made}) to 'parquet/t.parquet'\"\"\")", cwd=folder)
        world.run(peers.python("duckdb"), "-c", "import duckdb; duckdb.connect('own.db').execute(\"create table t as from 'parquet/t.parquet'\")", cwd=folder)
        for lake, properties in (("lake", ""), ("hidden", "tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read')")):
            sql = f"create table t {properties} as select * from '{folder}/parquet/t.parquet'"
            world.into(folder / lake, "-c", sql)
        (folder / "delta").mkdir()
        (folder / "delta" / "t").symlink_to("../lake/tables/main/t")

    return world.folder(f"events-{world.scale:g}", make)


def scans(world: World) -> Iterator[tuple[str, list[Task]]]:
    """Wide scans, a point, the first ten, groups by many keys, and what metadata knows."""
    folder, rows = events(world), int(10_000_000 * world.scale)
    for title, sql in {
        "wide scan": "select sum(k), sum(v), sum(x), min(d), max(user_id), count(distinct kind), max(length(note)) from t",
        "filter and sum": "select sum(x) from t where v between 100 and 199 and kind = 'click'",
        "one key": f"select k, v, note from t where k = {rows // 3}",
        "first ten of an order": "select k, x, note from t order by x desc, k limit 10",
        "groups by many keys": "select count(*), max(n) from (select user_id, count(*) as n, sum(x) as s from t group by user_id) as g",
        "groups by few": "select kind, count(*), sum(v), avg(x) from t group by kind order by kind",
        "count, least and greatest": "select count(*), min(k), max(k) from t",
    }.items():
        file = world.data / f"{title.replace(' ', '-').replace(',', '')}.sql"
        file.write_text(sql)
        yield title, [
            world.sql("elt", folder / "lake", sql),
            world.engine("duckdb, own tables", "query", folder, file, engine="duckdb-own"),
            *(world.engine(peer, "query", folder / "delta", file) for peer in ("duckdb-1.5", "polars", "datafusion", "deltalake", "chdb")),
        ]


# Writing ---------------------------------------------------------------------------------------------------------

MERGE = "merge into t using '{source}' as s on t.k = s.k when matched then update set v = s.v, note = s.note when not matched then insert *"


def merge(world: World) -> Iterator[tuple[str, list[Task]]]:
    """0.1, 1 and 10 % of the keys of a table, at random and in a run, merged both ways, and the reading afterwards."""
    folder, rows = events(world), int(10_000_000 * world.scale)

    def base(part: Path) -> None:
        made = "import duckdb, sys; sys.path.insert(0, sys.argv[1]); from engine import ducklake; ducklake('.').execute(f\"create table lake.t as from '{sys.argv[2]}'\")"
        world.run(peers.python("duckdb-1.5"), "-c", made, HERE, folder / "parquet/t.parquet", cwd=part)

    lake = world.folder(f"ducklake-{world.scale:g}", base)
    generator = random.Random(7)
    for share in (0.001, 0.01, 0.1):
        for spread in ("random", "a run"):
            count = int(rows * share)
            source = world.data / f"source-{share}-{spread.replace(' ', '')}-{world.scale:g}.parquet"
            if not source.exists():
                keys = generator.sample(range(rows), count) if spread == "random" else range(rows // 3, rows // 3 + count)
                script = (
                    "import sys, pyarrow as pa, pyarrow.parquet as pq; keys = list(map(int, sys.stdin.read().split())); n = len(keys)\n"
                    "pq.write_table(pa.table({'k': pa.array(keys, pa.int64()), 'v': pa.array([1] * n, pa.int64()), 'note': ['changed'] * n, 'x': [0.0] * n,"
                    " 'd': pa.array([0] * n, pa.date32()), 'user_id': pa.array([1] * n, pa.int64()), 'kind': ['view'] * n}), sys.argv[1])"
                )
                world.run(peers.python("tools"), "-c", script, source, cwd=world.data, stdin=" ".join(map(str, keys)))
            sql = MERGE.format(source=source)
            own = lambda work: shutil.copy(folder / "own.db", work / "own.db")
            delta = lambda work: shutil.copytree(folder / "lake/tables/main/t", work / "t")
            yield f"{share:.1%} of {rows:,} keys, {spread}", [
                world.sql("elt, copy-on-write", "WORK/lake", sql, copied(folder / "lake", "lake")),
                world.sql("elt, merge-on-read", "WORK/lake", sql, copied(folder / "hidden", "lake")),
                world.engine("duckdb, own tables", "merge", "WORK", source, engine="duckdb-own", before=own),
                world.engine("ducklake", "merge", "WORK", source, before=lambda work: shutil.copytree(lake, work, dirs_exist_ok=True)),
                world.engine("deltalake", "merge", "WORK/t", source, before=delta),
            ]
            total = "select sum(v), count(*) from t"
            file = world.data / "total.sql"
            file.write_text(total)

            def after(way: str) -> Callable[[Path], object]:
                return lambda work: (shutil.copytree(folder / way, work / "lake"), world.into(work / "lake", "-c", sql))

            yield f"sum of all rows after {share:.1%}, {spread}", [
                world.sql("elt, copy-on-write", "WORK/lake", total, after("lake")),
                world.sql("elt, merge-on-read", "WORK/lake", total, after("hidden")),
                world.engine("duckdb, own tables, before", "query", folder, file, engine="duckdb-own"),
            ]


def commits(world: World) -> Iterator[tuple[str, list[Task]]]:
    """A thousand commits of ten rows."""
    count = int(1000 * min(world.scale, 1))
    values = ", ".join(f"({n})" for n in range(10))
    script = world.data / f"commits-{count}.sql"
    script.write_text("create table t (n bigint);\n" + f"insert into t values {values};\n" * count)
    yield f"{count:,} commits of 10 rows", [
        Task("elt", lambda work: [world.elt, "--lake", work, "sql", "-f", script], world.scratch()),
        *(world.engine(peer, "commits", "WORK", count, engine=engine) for peer, engine in (("duckdb, own tables", "duckdb-own"), ("ducklake", "ducklake"), ("deltalake", "deltalake"))),
    ]


def opening(world: World) -> Iterator[tuple[str, list[Task]]]:
    """`select count(*)` of tables with 1, 1,000 and 10,000 commits."""
    for count in (1, 1000, 10000):

        def make(folder: Path, count: int = count) -> None:
            script = folder / "script.sql"
            script.write_text("create table t (n bigint);\n" + "".join(f"insert into t values ({n});\n" for n in range(count)))
            world.into(folder / "lake", "-f", script)
            (folder / "delta").mkdir()
            (folder / "delta" / "t").symlink_to("../lake/tables/main/t")

        folder = world.folder(f"opening-{count}", make)
        yield f"{count:,} commits", [
            world.sql("elt", folder / "lake", "select count(*) from t"),
            *(world.engine(peer, "count", folder / "delta") for peer in ("deltalake", "duckdb-1.5", "polars")),
        ]


# Loading ---------------------------------------------------------------------------------------------------------

NOTES = ["", "", "", "", "airport", '"paid, late"', "card declined", "Åsane"]


def trips(folder: Path, rows: int, files: int, dirty: bool) -> None:
    """CSV files of taxi trips; of dirty ones a row in a thousand has a wrong number, a field too many or too few."""
    rng, block = random.Random(2013), []
    for _ in range(50_000):
        day, hour = rng.randint(1, 28), rng.randint(0, 22)
        fare, tip = rng.randint(250, 9000) / 100, rng.choice([0, 0, 1, 2.5, 3.75])
        block.append(
            f",{rng.choice('AB')}{rng.randint(1, 9)},2013-{rng.randint(1, 12):02}-{day:02} {hour:02}:{rng.randint(0, 59):02}:00,2013-06-{day:02} {hour + 1:02}:10:30,"
            f"{rng.randint(1, 6)},{rng.random() * 20:.2f},{rng.randint(1, 5)},{rng.choice('YN')},{rng.randint(1, 263)},{rng.randint(1, 263)},"
            f"{rng.choice(['card', 'cash', 'none'])},{fare},{tip},{fare + tip:.2f},{rng.choice(NOTES)}\n"
        )
    header = "trip_id,vendor,picked_up_at,dropped_off_at,passengers,distance,rate,stored,pick_zone,drop_zone,payment,fare,tip,total,note\n"
    for file in range(files):
        first, last = rows * file // files, rows * (file + 1) // files
        with (folder / f"trips_{file:04}.csv").open("w", encoding="utf-8") as out:
            out.write(header)
            for trip in range(first, last):
                row = block[trip % len(block)]
                if dirty and trip % 1000 == 999:
                    row = [row.rstrip("\n") + ",one too many\n", ",A1\n", row.replace(",", ",x", 5)][trip // 1000 % 3]
                out.write(f"{trip}{row}")


def landing(world: World) -> Iterator[tuple[str, list[Task]]]:
    """One large CSV file, a thousand small ones, dirty rows, and JSON lines, into a table."""
    rows = int(9_000_000 * world.scale)
    sets = {
        "one CSV file": world.folder(f"csv-one-{world.scale:g}", lambda folder: trips(folder, rows, 1, False)),
        "1,000 small CSV files": world.folder(f"csv-small-{world.scale:g}", lambda folder: trips(folder, rows // 10, 1000, False)),
        "CSV with dirty rows": world.folder(f"csv-dirty-{world.scale:g}", lambda folder: trips(folder, rows // 4, 1, True)),
    }

    def as_json(folder: Path) -> None:
        files = sets["one CSV file"] / "*.csv"
        made = f"copy (from read_csv('{files}') limit {rows // 4}) to 'trips.jsonl' (format json)"
        world.run(peers.python("duckdb"), "-c", f"import duckdb; duckdb.connect().execute(\"\"\"{made}\"\"\")", cwd=folder)

    sets["JSON lines"] = world.folder(f"json-{world.scale:g}", as_json)
    for title, folder in sets.items():
        kind = "json" if title.startswith("JSON") else "csv"
        files = f"{folder}/*.{'jsonl' if kind == 'json' else 'csv'}"
        land = lambda *more: lambda work: [world.elt, "--lake", work / "lake", "land", "raw.trips", files, *more]
        megabytes = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        yield f"{title}, {megabytes:,.0f} MB", [
            Task("elt", land("-o", "external=true"), world.scratch()),
            Task("elt, with a raw copy", land(), world.scratch()),
            Task("elt, within 1 GB", land("-o", "external=true"), world.scratch(), env={"ELT_MEMORY_LIMIT": "700MB"}),
            world.engine("duckdb to Parquet", "load", kind, files, "WORK", engine="duckdb"),
            world.engine("duckdb, own tables", "load", kind, files, "WORK", engine="duckdb-own"),
            world.engine("polars to Delta", "load", kind, files, "WORK", engine="polars"),
        ]


# Starting and building -------------------------------------------------------------------------------------------


def starting(world: World) -> Iterator[tuple[str, list[Task]]]:
    """From the command to the first result."""
    duck = peers.python("duckdb")
    yield "select 1", [
        Task("elt", lambda work: [world.elt, "--lake", work, "sql", "-c", "select 1"], world.scratch()),
        Task("duckdb in python", lambda work: [duck, "-c", "import duckdb; print(duckdb.sql('select 1').fetchall())"], world.scratch()),
    ]
    yield "--version", [
        Task("elt", lambda work: [world.elt, "--version"], world.scratch()),
        Task("dbt", lambda work: [peers.python("dbt").parent / "dbt", "--version"], world.scratch()),
    ]


def project(folder: Path, models: int, tests: bool = True) -> None:
    """A dbt project for either engine: a seed, layers of views and tables that read three of the layer below."""
    (folder / "models").mkdir(parents=True)
    (folder / "seeds").mkdir()
    (folder / "seeds" / "seed.csv").write_text("id,v\n" + "".join(f"{n},{n % 7}\n" for n in range(1000)))
    (folder / "dbt_project.yml").write_text("name: bench\nversion: '1.0'\nprofile: bench\nmodels: {bench: {+materialized: table}}\n")
    (folder / "profiles.yml").write_text(
        "bench:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: bench.duckdb, threads: 2}\n    elt: {type: elt, lake: ./lake, schema: main}\n"
    )
    width = 20
    for number in range(models):
        below = range(max(0, number // width * width - width), number // width * width)
        reads = [f"m{at}" for at in list(below)[number % width :: 7][:3]] or ["seed"]
        union = "\nunion all\n".join(f"select id, v + {number} as v from {{{{ ref('{name}') }}}} where id % {len(reads)} = {at}" for at, name in enumerate(reads))
        (folder / "models" / f"m{number}.sql").write_text(union + "\n")
    if tests:
        columns = "columns: [{name: id, data_tests: [not_null, unique]}]"
        (folder / "models" / "schema.yml").write_text("models:\n" + "".join(f"  - {{name: m{number}, {columns}}}\n" for number in range(0, models, 5)))


def pipelines(world: World) -> Iterator[tuple[str, list[Task]]]:
    """Projects of 20, 100 and 1,000 models: built, built again, and with one model changed."""
    dbt = peers.python("dbt").parent / "dbt"
    for models in (20, 100, 1000):
        folder = world.folder(f"project-{models}", lambda folder: project(folder, models))
        ours = lambda work: [world.elt, "--target", "elt", "build"]
        theirs = lambda work: [dbt, "build", "--quiet", "--no-use-colors"]
        env = {"DBT_PROFILES_DIR": ".", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        clone = lambda work: shutil.copytree(folder, work, dirs_exist_ok=True)

        def built(command: Callable, work: Path, change: bool = False) -> None:
            clone(work)
            subprocess.run([str(part) for part in command(work)], cwd=work, env={**os.environ, **env}, check=True, capture_output=True)
            if change:
                (work / "models" / f"m{models - 1}.sql").write_text("select id, v * 2 as v from {{ ref('seed') }}\n")

        yield f"{models:,} models", [
            Task("elt", ours, world.scratch(), clone),
            Task("dbt with DuckDB", theirs, world.scratch(), clone, env),
        ]
        yield f"{models:,} models, nothing changed", [
            Task("elt", ours, world.scratch(), lambda work: built(ours, work)),
            Task("dbt with DuckDB", theirs, world.scratch(), lambda work: built(theirs, work), env),
        ]
        yield f"{models:,} models, one changed", [
            Task("elt", ours, world.scratch(), lambda work: built(ours, work, True)),
            Task("dbt with DuckDB", theirs, world.scratch(), lambda work: built(theirs, work, True), env),
        ]
        yield f"{models:,} models, only parsed", [
            Task("elt", lambda work: [world.elt, "--target", "elt", "parse"], world.scratch(), clone),
            Task("dbt", lambda work: [dbt, "parse", "--quiet", "--no-partial-parse"], world.scratch(), clone, env),
        ]


def publish(world: World) -> Iterator[tuple[str, list[Task]]]:
    """1, 10 and 100 small tables that are published together."""
    dbt = peers.python("dbt").parent / "dbt"
    for count in (1, 10, 100):

        def models(folder: Path, count: int = count) -> None:
            project(folder, 0, tests=False)
            (folder / "seeds" / "seed.csv").unlink()
            for number in range(count):
                (folder / "models" / f"m{number}.sql").write_text(f"select {number} as n\n")

        folder = world.folder(f"publish-{count}", models)
        clone = lambda work, folder=folder: shutil.copytree(folder, work, dirs_exist_ok=True)
        env = {"DBT_PROFILES_DIR": ".", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        yield f"{count} tables", [
            Task("elt, a build", lambda work: [world.elt, "--target", "elt", "build"], world.scratch(), clone),
            Task("dbt with DuckDB", lambda work: [dbt, "build", "--quiet", "--no-use-colors"], world.scratch(), clone, env),
            *(world.engine(peer, "publish", "WORK", count, engine=engine) for peer, engine in (("duckdb, a transaction", "duckdb-own"), ("ducklake, a transaction", "ducklake"), ("deltalake, one by one", "deltalake"))),
        ]


def wire(world: World) -> Iterator[tuple[str, list[Task]]]:
    """All rows of a table of five columns over Flight SQL, beside reading the same Parquet in process."""
    rows = int(10_000_000 * world.scale)

    def make(folder: Path) -> None:
        made = f"""select value as id, value % 1000 as grp, value * 0.5 as amount, 'name ' || (value % 100000) as name,
            to_timestamp(value) as at from range({rows})"""
        world.into(folder / "lake", "-c", f"create table t as {made}")
        (folder / "delta").mkdir()
        (folder / "delta" / "t").symlink_to("../lake/tables/main/t")

    folder = world.folder(f"wire-{world.scale:g}", make)
    yield f"{rows:,} rows", [
        world.engine("elt", "wire", world.elt, folder / "lake", engine="flight"),
        world.engine("sail", "wire", folder / "delta", engine="sail"),
        world.engine("pyarrow, no wire", "wire", folder / "delta", engine="pyarrow"),
    ]


def flights(world: World) -> Iterator[tuple[str, list[Task]]]:
    """The bundled project: raw files landed, ten models, their tests, one release."""

    def bundled(work: Path) -> None:
        for part in ("dbt_project.yml", "models", "sql", "tests/data"):
            source, target = REPOSITORY / part, work / part
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)

    yield "the bundled project", [Task("elt", lambda work: [world.elt, "build"], world.scratch(), bundled)]


def memory(world: World) -> Iterator[tuple[str, list[Task]]]:
    """What does not fit into 1 GB and has to go over the disk."""
    folder = events(world)
    for title, sql in {
        "sort of all rows": "select count(*), max(n) from (select row_number() over (order by note, x desc) as n from t) as s",
        "groups by every key": "select count(*) from (select k, note, count(*) as n from t group by k, note) as g",
        "join with itself": "select count(*) from t as a join t as b on a.k = b.k and a.v <= b.v",
    }.items():
        file = world.data / f"{title.replace(' ', '-')}.sql"
        file.write_text(sql)
        yield title, [
            world.sql("elt", folder / "lake", sql, ELT_MEMORY_LIMIT="1GB"),
            world.engine("duckdb, own tables", "query", folder, file, "memory=1GB", engine="duckdb-own"),
            world.engine("duckdb-1.5", "query", folder / "delta", file, "memory=1GB"),
        ]


WORKLOADS: dict[str, Callable[[World], Iterator[tuple[str, list[Task]]]]] = {
    "starting": starting,
    "flights": flights,
    "opening": opening,
    "commits": commits,
    "merge": merge,
    "scans": scans,
    "memory": memory,
    "landing": landing,
    "pipelines": pipelines,
    "publish": publish,
    "wire": wire,
    "tpch": tpch,
}
