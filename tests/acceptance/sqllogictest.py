#!/usr/bin/env python3
"""How many records of public sqllogictest files does elt answer as they say?

    python3 tests/acceptance/sqllogictest.py target/release/elt FOLDER-OR-FILE… [--show N] [--within FOLDER]

The files are not part of this repository: SQLite's are in any copy of its sqllogictest suite (`select1.test` and so on),
DataFusion's in `datafusion/sqllogictest/test_files`. Each file is run in one `elt sql` in an empty folder, or in the one
given, from where the data files that it names are found. Tables are made temporary, so that thousands of single inserts need
no thousands of releases, and DataFusion's external tables become temporary ones that their files are copied to.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

MARK = "@@elt-record-"


@dataclass
class Record:
    """A statement or a query, and what should come of it."""

    line: int
    sql: str
    kind: str  # ok, error or query
    types: str = ""
    sort: str = "nosort"
    expected: list[str] = field(default_factory=list)


def records(text: str) -> list[Record]:
    """The records of a file that are meant for everybody."""
    found, lines, at, skipped = [], text.splitlines(), 0, False
    while at < len(lines):
        words = lines[at].split()
        if not words or words[0].startswith("#"):
            at += 1
            continue
        if words[0] == "halt":
            break
        if words[0] in ("skipif", "onlyif"):
            skipped |= words[0] == "onlyif"
            at += 1
            continue
        if words[0] not in ("statement", "query"):
            at += 1
            continue
        start, sql, at = at + 1, [], at + 1
        while at < len(lines) and lines[at].strip() and lines[at].strip() != "----":
            sql.append(lines[at])
            at += 1
        expected = []
        if at < len(lines) and lines[at].strip() == "----":
            at += 1
            while at < len(lines) and lines[at].strip():
                expected.append(lines[at])
                at += 1
        if not skipped:
            if words[0] == "statement":
                kind = "error" if len(words) > 1 and words[1] == "error" else "ok"
                found.append(Record(start, "\n".join(sql), kind))
            elif len(words) > 1 and words[1] == "error":
                found.append(Record(start, "\n".join(sql), "error"))
            else:
                types, sort = (words + ["", ""])[1], (words + ["", "", ""])[2] or "nosort"
                found.append(Record(start, "\n".join(sql), "query", types, sort, expected))
        skipped = False
    return found


EXTERNAL = re.compile(
    r"(?is)^\s*create\s+(?:unbounded\s+)?external\s+table\s+(?:if\s+not\s+exists\s+)?(?P<name>[\w.\"]+)\s*(?P<columns>\(.*?\))?\s*"
    r"stored\s+as\s+(?P<format>csv|parquet|avro|json|arrow)\b(?P<rest>.*)$"
)


def copied(sql: str) -> str:
    """An external table of DataFusion's as a temporary one that holds what its file holds; its COPY as DuckDB's."""
    sql = re.sub(r"(?is)^(\s*copy\s.*?\sto\s+'[^']*')\s*stored\s+as\s+(\w+)(\s*options\s*\(.*\))?", r"\1 (format \2)", sql)
    found = EXTERNAL.match(sql)
    place = found and re.search(r"(?i)location\s+'([^']+)'", found["rest"])
    if not place:
        return sql
    header = re.search(r"(?i)has_header'?\s+'?(true|false)", found["rest"])
    delimiter = re.search(r"(?i)delimiter'?\s+'([^']+)'", found["rest"])
    asked = [f"header = {header[1]}"] if header else ["header = true"]
    asked += [f"delim = '{delimiter[1]}'"] if delimiter else []
    file = f"read_csv('{place[1]}', {', '.join(asked)})" if found["format"].lower() == "csv" else f"'{place[1]}'"
    if not found["columns"] or not found["columns"].strip("() \n"):
        return f"create temp table {found['name']} as select * from {file}"
    columns = re.sub(r"(?i),\s*primary\s+key\s*\([^)]*\)", "", found["columns"])
    return f"create temp table {found['name']} {columns}; insert into {found['name']} select * from {file}"


def temporary(sql: str) -> str:
    """Tables of the file as temporary ones."""
    sql = copied(sql)
    if re.match(r"(?is)^\s*create\b.*?\btable\b.*?\(", sql):
        sql = re.sub(r"(?i)\s+(not\s+null|primary\s+key)\b(?!\s*\()", "", sql)  # what a temporary table cannot promise
        for narrow, wide in (("bigint|uint64", "decimal(20, 0)"), ("int|integer|uint32", "bigint"), ("smallint|tinyint", "int")):
            sql = re.sub(rf"(?i)\b({narrow})\s+unsigned\b", wide, sql)
    sql = re.sub(r"(?i)^\s*create\s+(or\s+replace\s+)?table\b", lambda m: f"create {m.group(1) or ''}temp table", sql)
    return re.sub(r"(?i)^\s*create\s+(or\s+replace\s+)?view\b", lambda m: f"create {m.group(1) or ''}temp view", sql)


def answers(elt: Path, asked: list[Record], within: Path | None) -> dict[int, tuple[list[list[str]], bool]]:
    """The rows of each record, and whether it failed."""
    script = ["\\header off", "\\null NULL"]
    for at, record in enumerate(asked):
        script += [f"\\echo {MARK}{at}", temporary(record.sql).rstrip().rstrip(";") + "\n;", f"\\echo {MARK}end"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.sql"
        path.write_text("\n".join(script) + "\n")
        told = subprocess.run([elt, "sql", "--format", "jsonl", "--on-error", "continue", "-f", path],
                              cwd=within or folder,
                              capture_output=True, text=True, errors="replace", check=False, timeout=3600)
    failed = {int(line) for line in re.findall(r"file\.sql:(\d+):\d+", told.stderr)}
    lines, at = {}, 3
    for number, record in enumerate(asked):
        height = temporary(record.sql).rstrip().rstrip(";").count("\n") + 1
        lines[number] = range(at, at + height + 2)
        at += height + 3
    found: dict[int, list[str]] = {}
    current = None
    for line in told.stdout.splitlines():
        if line.startswith(MARK):
            name = line[len(MARK):]
            current = None if name == "end" else int(name)
            if current is not None:
                found[current] = []
        elif current is not None:
            found[current].append(line)
    return {at: (rows, any(line in failed for line in lines[at])) for at, rows in found.items()}


def shown(value: object, kind: str) -> str:
    """A value as sqllogictest writes it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if kind == "I" and isinstance(value, (int, float)):
        return str(int(value))
    if kind == "R" and not isinstance(value, str):
        return f"{float(value):.3f}"
    if kind == "R":
        try:
            return f"{float(value):.3f}"
        except ValueError:
            pass
    return "(empty)" if value == "" else nested(value) if isinstance(value, (list, dict)) else spelled(str(value))


def nested(value: object) -> str:
    """A list or a struct as DataFusion's files write it."""
    if isinstance(value, list):
        return f"[{', '.join(nested(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {nested(item)}' for name, item in value.items())}}}"
    return "NULL" if value is None else str(value).lower() if isinstance(value, bool) else spelled(str(value))


def spelled(text: str) -> str:
    """A duration in words, a date with its time as ISO has it."""
    if parts := re.fullmatch(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?", text):
        sign, days, hours, minutes, seconds = (part or "0" for part in parts.groups())
        minus = "-" if sign == "-" else ""
        return f"{minus}{days} days {minus}{hours} hours {minus}{minutes} mins {minus}{seconds} secs"
    return text


def same(record: Record, rows: list[list[object]], is_sqlite: bool) -> bool:
    """Whether rows are what a record says."""
    kinds = record.types or "T"
    table = [[shown(value, kinds[min(at, len(kinds) - 1)]) for at, value in enumerate(row)] for row in rows]
    if record.sort == "rowsort":
        table.sort()
    values = [value for row in table for value in row]
    if record.sort == "valuesort":
        values.sort()
    expected = record.expected
    hashed = re.match(r"(\d+) values hashing to ([0-9a-f]{32})", expected[0]) if len(expected) == 1 else None
    if hashed:
        digest = hashlib.md5("".join(value + "\n" for value in values).encode()).hexdigest()
        return len(values) == int(hashed.group(1)) and digest == hashed.group(2)
    if is_sqlite:
        return values == expected
    if record.sort == "rowsort":
        expected = sorted(expected)

    def near(a: str, b: str) -> bool:
        try:
            return a == b or abs(float(a) - float(b)) <= 1e-3 + 1e-6 * abs(float(b))
        except ValueError:
            return a == b

    got = [" ".join(row) for row in table]
    if got == expected:
        return True
    return len(got) == len(expected) and all(
        len(a.split()) == len(b.split()) and all(near(x, y) for x, y in zip(a.split(), b.split()))
        for a, b in zip(got, expected)
    )


def main() -> int:
    """Runs files, and counts."""
    import json

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("elt", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--show", type=int, default=0, help="records to show of those that differ, of each file")
    parser.add_argument("--most", type=int, default=0, help="records of each file, at most")
    parser.add_argument("--within", type=Path, help="the folder to run in (default: an empty one)")
    arguments = parser.parse_args()
    files = []
    for place in arguments.files:
        files += sorted(p for ending in ("*.test", "*.slt") for p in place.rglob(ending)) if place.is_dir() else [place]
    total = Counter()
    for file in files:
        asked = records(file.read_text(errors="replace"))
        asked = asked[: arguments.most] if arguments.most else asked
        try:
            found = answers(arguments.elt.resolve(), asked, arguments.within)
        except subprocess.TimeoutExpired:
            print(f"{file.name}: did not end")
            continue
        count, told = Counter(), 0
        for at, record in enumerate(asked):
            lines, failed = found.get(at, ([], True))
            if record.kind == "query":
                try:
                    rows = [list(json.loads(line).values()) for line in lines]
                except (ValueError, AttributeError):
                    rows = [[line] for line in lines]
                is_so = not failed and same(record, rows, file.suffix == ".test")
            else:
                is_so = failed == (record.kind == "error")
            count["same" if is_so else "differs"] += 1
            if not is_so and told < arguments.show:
                told += 1
                print(f"  {file.name}:{record.line} {record.kind} {'failed' if failed else lines[:4]} "
                      f"expected {record.expected[:4]}\n    {record.sql[:300]}")
        total += count
        print(f"{file.name}: {count['same']} of {len(asked)}", flush=True)
    print(f"all: {total['same']} of {total['same'] + total['differs']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
