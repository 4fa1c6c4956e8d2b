#!/usr/bin/env python3
"""Does elt read the public golden tables of Delta as they are meant, or say which feature it lacks?

    ~/.cache/elt/interop-venv/bin/python tests/acceptance/golden_tables.py --elt target/release/elt FOLDER

FOLDER holds the tables, unpacked: those of delta-io/delta-kernel-rs are in `kernel/tests/golden_data` and
`kernel/tests/data`. Every folder with a `_delta_log` below it is a table. Its rows are compared with the Parquet
files in `expected` beside it, or, without those, with what DuckDB's delta extension reads (the Delta kernel).
A table is

- `same`: elt's rows are the expected ones;
- `refused`: elt says in words why it does not read it (a feature, a damaged log), and no row is shown;
- `WRONG`: other rows, or an error that explains nothing.
"""

import argparse
import datetime
import decimal
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

import pyarrow as pa
import pyarrow.dataset

from readers import DuckDb
from rows import arrow_type, difference, from_jsonl

EXPLAINS = re.compile(r"elt::(table|lake)::\w+")
SILENT = ("elt::table::rows", "panicked")


def main() -> int:
    """Compares every table, prints a line for each, and a count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--elt", type=Path, required=True)
    parser.add_argument("--only", default="", help="only tables whose path has this in it")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    verdicts = Counter()
    for log in sorted(arguments.folder.rglob("_delta_log")):
        if arguments.only in str(log):
            verdict, why = judge(arguments.elt.resolve(), log.parent, DuckDb())  # an internal error ends a session of its own
            verdicts[verdict] += 1
            print(f"{verdict:8} {log.parent.relative_to(arguments.folder)}  {why}", flush=True)
    print(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()), f"of {verdicts.total()}")
    return 1 if verdicts["WRONG"] else 0


def judge(elt: Path, table: Path, kernel: DuckDb) -> tuple[str, str]:
    """What elt makes of a table."""
    source = f"delta_scan('{str(table).replace(chr(39), chr(39) * 2)}')"
    described = ask(elt, f"describe select * from {source}")
    if described.returncode:
        return refusal(described, table, kernel)
    types = {row["column_name"]: row["column_type"] for row in rows_of(described.stdout)}
    read = ask(elt, f"select * from {source}")
    if read.returncode:
        return refusal(read, table, kernel)
    try:
        ours = from_jsonl(read.stdout, types)
        nested = [name for name, sql_type in types.items() if arrow_type(sql_type) is None]
        ours = with_columns(ours, nested, numbers_as_texts)
        found = None
        for theirs, whose in (beside(table), read_by(kernel, table)):
            if theirs is not None:
                found = difference(ours, in_types(theirs, ours), types)
                if not found:
                    return "same", f"{ours.num_rows} rows, {whose}"
        return ("WRONG", found) if found else ("same?", "nobody else reads it")
    except (ValueError, pa.ArrowException) as error:
        return "WRONG", str(error)


def in_types(theirs: pa.Table, ours: pa.Table) -> pa.Table:
    """The expected rows in elt's types, where Arrow knows how: Parquet files say less than a table does."""
    def cast(name: str) -> pa.ChunkedArray:
        wanted, column = ours.schema.field(name).type, theirs[name]
        if pa.types.is_nested(column.type):
            shown = [told(value, column.type) for value in column.to_pylist()]
            shown = [None if value is None else numbers_as_texts(json.dumps(value)) for value in shown]
            return pa.chunked_array([pa.array(shown, pa.string())])
        return column.cast(wanted) if column.type != wanted else column
    names = [name for name in ours.column_names if name in theirs.column_names]
    others = [name for name in theirs.column_names if name not in names]
    return pa.table([cast(name) for name in names] + [theirs[name] for name in others], names=names + others)


def told(value: object, kind: pa.DataType) -> object:
    """A nested value as elt's JSON says it, numbers with a point as texts."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        pairs = value.items() if isinstance(value, dict) else value
        return {str(key).lower() if isinstance(key, bool) else as_key(key, kind.key_type): told(item, kind.item_type) for key, item in pairs}
    if pa.types.is_struct(kind):
        return {field.name: told(value[field.name], field.type) for field in kind}
    if pa.types.is_nested(kind):
        return [told(item, kind.value_type) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        text = value.astimezone(datetime.timezone.utc).replace(tzinfo=None) if value.tzinfo else value
        return text.isoformat() + ("Z" if value.tzinfo else "")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if pa.types.is_float32(kind):
        return str(pa.scalar(value, pa.float32()).cast(pa.string()).as_py()) if value % 1 else str(value)
    return str(value) if isinstance(value, (float, decimal.Decimal)) else value


def as_key(key: object, kind: pa.DataType) -> str:
    """A map's key as text."""
    return str(told(key, kind))


def with_columns(table: pa.Table, names: list[str], change: Callable[[str], str]) -> pa.Table:
    """A table with some of its text columns changed, value by value."""
    for name in names:
        values = [None if value is None else change(value) for value in table[name].to_pylist()]
        table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.string()))
    return table


def numbers_as_texts(text: str) -> str:
    """JSON in which a number is the same text, however it was written: 1, 1.0 and "1.0" are "1"."""
    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        if isinstance(value, bool) or value is None:
            return value
        return re.sub(r"^(-?\d+)\.0+$", r"\1", str(value))
    return json.dumps(plain(json.loads(text)), sort_keys=True, ensure_ascii=False)


def beside(table: Path) -> tuple[pa.Table | None, str]:
    """The rows in the Parquet files that come with a table."""
    folder = table.parent / "expected"
    newest = folder / "latest" if (folder / "latest").is_dir() else folder
    files = sorted(map(str, newest.rglob("*.parquet"))) if table.name == "delta" else []
    return (pa.dataset.dataset(files, format="parquet").to_table() if files else None), "expected files"


def read_by(kernel: DuckDb, table: Path) -> tuple[pa.Table | None, str]:
    """The rows that the Delta kernel reads. Times in partition values it takes for UTC, as elt does."""
    try:
        return kernel.rows(table), "the Delta kernel"
    except Exception:  # whatever it is, it is no answer
        return None, "the Delta kernel"


def refusal(done: subprocess.CompletedProcess, table: Path, kernel: DuckDb) -> tuple[str, str]:
    """An error that elt ended with."""
    said = " ".join(line.strip(" ×│├╰─▶") for line in done.stderr.splitlines() if line.strip())
    readable = any(rows is not None for rows, _ in (beside(table), read_by(kernel, table)))
    explains = EXPLAINS.search(said) or "is not in the table's own folder" in said or not readable
    known = explains and not any(word in said for word in SILENT)
    return ("refused" if known else "WRONG"), f"{said[:260]}{' (others read it)' if readable else ' (nobody reads it)'}"


def ask(elt: Path, sql: str) -> subprocess.CompletedProcess:
    """Runs one statement."""
    return subprocess.run([elt, "sql", "--format", "jsonl", sql], capture_output=True, text=True, check=False, cwd="/")


def rows_of(text: str) -> list[dict]:
    """JSON lines, as they are."""
    return [json.loads(line) for line in text.splitlines()]


if __name__ == "__main__":
    sys.exit(main())
