#!/usr/bin/env python3
"""What does it cost to change a table, to read it afterwards, and to open one with a long history?

    ~/.cache/elt/interop-venv/bin/python benches/tables.py ELT [--rows 10000000] [--runs 3]

Needs GNU time and the Python packages deltalake and duckdb. Programs take turns, each statement in a fresh process; printed are
medians of wall seconds, CPU seconds, peak memory in MB, bytes that the change added to the disk, and the ratio of
wall seconds to the best peer's.

- merge of 0.1 %, 1 % and 10 % of ROWS keys, at random or in a run, into a table of ROWS rows of five columns:
  elt by copy-on-write and by merge-on-read, deltalake, DuckDB's own table;
- a sum over the whole table after it;
- `select count(*)` of tables with 1, 1,000 and 10,000 commits: elt and deltalake (on the same Delta tables).
"""

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

PYTHON = sys.executable
MERGE = "merge into t using {source} as s on t.k = s.k when matched then update set v = s.v, note = s.note when not matched then insert *"


def main() -> None:
    """Makes the tables, lets the programs take turns, prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("elt", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--commits", type=int, nargs="*", default=[1, 1000, 10000])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        merges(arguments, Path(folder))
        opens(arguments, Path(folder))


def cost(command: list, folder: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak megabytes of one process, by GNU time: this one's own peak would count too."""
    with tempfile.NamedTemporaryFile("r") as told_by_time:
        timed = ["time", "-f", "%e %U %S %M", "-o", told_by_time.name, *command]
        done = subprocess.run(timed, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            sys.exit(f"{command} failed: {done.stderr.decode()[-500:]}")
        wall, user, system, peak = map(float, told_by_time.read().split())
    return wall, user + system, peak / 1024


def size(folder: Path) -> int:
    """Bytes under a folder, or of a file."""
    return folder.stat().st_size if folder.is_file() else sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def told(title: str, costs: dict[str, list[tuple]]) -> None:
    """Prints medians, and each program's wall seconds to the best of the others'."""
    middle = {name: [statistics.median(run[at] for run in runs) for at in range(4)] for name, runs in costs.items()}
    print(f"\n{title}")
    for name, (wall, cpu, memory, written) in middle.items():
        peers = [other[0] for peer, other in middle.items() if peer.split()[0] != name.split()[0]]
        ratio = f"{wall / min(peers):5.2f} x" if peers else ""
        print(f"  {name:<22} {wall:7.2f} s  {cpu:7.2f} s CPU  {memory:7.0f} MB  {written / 1e6:8.1f} MB written  {ratio}", flush=True)


def merges(arguments: argparse.Namespace, folder: Path) -> None:
    """Every kind of merge, and the reading after it."""
    rows, base = arguments.rows, folder / "base.parquet"
    session = duckdb.connect()
    session.execute(f"copy (select range as k, range % 1000 as v, 'note ' || range as note, range * 0.5 as x, date '2020-01-01' + (range % 1000)::int as d from range({rows})) to '{base}'")
    elt, generator = arguments.elt.resolve(), random.Random(7)
    for way in ("copied", "hidden"):
        (folder / way / "lake").mkdir(parents=True)
        properties = "tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read')" if way == "hidden" else ""
        cost([elt, "sql", f"create table t {properties} as select * from '{base}'"], folder / way)
    write_deltalake(folder / "rs", pa.RecordBatchReader.from_batches(pq.read_schema(base), pq.ParquetFile(base).iter_batches()))
    cost([PYTHON, "-c", f"import duckdb; duckdb.connect('duck.db').execute(\"create table t as from '{base}'\")"], folder)
    for share in (0.001, 0.01, 0.1):
        for spread in ("random", "a run"):
            count = int(rows * share)
            keys = generator.sample(range(rows), count) if spread == "random" else range(rows // 3, rows // 3 + count)
            source = folder / "source.parquet"
            pq.write_table(pa.table({"k": pa.array(keys, pa.int64()), "v": pa.array([1] * count, pa.int64()), "note": ["changed"] * count, "x": [0.0] * count, "d": pa.array([0] * count, pa.date32())}), source)
            writes, reads = {}, {}
            for run in range(arguments.runs):
                for name, before, command, read in programs(elt, folder, source):
                    work = folder / "work"
                    shutil.rmtree(work, ignore_errors=True)
                    shutil.copytree(before, work) if before.is_dir() else (work.mkdir(), shutil.copy(before, work / "duck.db"))
                    was = size(work)
                    took = cost(command, work)
                    writes.setdefault(name, []).append((*took, size(work) - was))
                    reads.setdefault(name, []).append((*cost(read, work), 0))
            told(f"merge of {share:.1%} of {rows:,} keys, {spread}", writes)
            told("  then sum(v) of the whole table", reads)


def programs(elt: Path, folder: Path, source: Path) -> list[tuple[str, Path, list, list]]:
    """Name, table to begin with, the merge, and the reading."""
    merge, total = MERGE.format(source=f"'{source}'"), "select sum(v), count(*) from t"
    rs = f"""
import pyarrow.parquet as pq
from deltalake import DeltaTable
DeltaTable('.').merge(pq.read_table('{source}'), 't.k = s.k', source_alias='s', target_alias='t').when_matched_update({{'v': 's.v', 'note': 's.note'}}).when_not_matched_insert_all().execute()"""
    rs_read = f"from deltalake import DeltaTable, QueryBuilder; QueryBuilder().register('t', DeltaTable('.')).execute('{total}').read_all()"
    duck = f"""
import duckdb
session = duckdb.connect('duck.db')
session.execute("merge into t using '{source}' as s on t.k = s.k when matched then update set v = s.v, note = s.note when not matched then insert by name")
session.close()"""
    duck_read = f"import duckdb; duckdb.connect('duck.db').execute('{total}').fetchall()"
    return [
        ("elt copy-on-write", folder / "copied", [elt, "sql", merge], [elt, "sql", total]),
        ("elt merge-on-read", folder / "hidden", [elt, "sql", merge], [elt, "sql", total]),
        ("deltalake", folder / "rs", [PYTHON, "-c", rs], [PYTHON, "-c", rs_read]),
        ("duckdb", folder / "duck.db", [PYTHON, "-c", duck], [PYTHON, "-c", duck_read]),
    ]


def opens(arguments: argparse.Namespace, folder: Path) -> None:
    """Tables that elt wrote one row at a time."""
    elt = arguments.elt.resolve()
    for commits in arguments.commits:
        place = folder / f"commits{commits}"
        (place / "lake").mkdir(parents=True)
        script = place / "script.sql"
        script.write_text("create table t (n bigint);\n" + "".join(f"insert into t values ({n});\n" for n in range(commits)))
        cost([elt, "sql", "-f", script], place)
        table = place / "lake" / "tables" / "main" / "t"
        costs = {}
        for _ in range(arguments.runs):
            costs.setdefault("elt", []).append((*cost([elt, "sql", "select count(*) from t"], place), 0))
            rs = f"from deltalake import DeltaTable, QueryBuilder; QueryBuilder().register('t', DeltaTable('{table}')).execute('select count(*) from t').read_all()"
            costs.setdefault("deltalake", []).append((*cost([PYTHON, "-c", rs], place), 0))
        told(f"open and count a table of {commits:,} commits", costs)


if __name__ == "__main__":
    main()
