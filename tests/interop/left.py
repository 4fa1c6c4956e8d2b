"""Do other engines read the tables of random edits as elt does, every version of them?

    python3 tests/interop/left.py COMMAND…

COMMAND is what runs the property test of `tests/it/story/edits.rs`; it finds in `ELT_LEAVE_TABLES` where to leave its tables,
with the rows that each version should have. The readers run in the virtual environment of `run.py`.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import run

READ = "--read"


def main() -> int:
    """Runs the test, then, where the packages are, every reader over what it left."""
    match sys.argv[1:]:
        case [argument, folder] if argument == READ:
            return read(Path(folder))
    with tempfile.TemporaryDirectory(prefix="elt-left-") as folder:
        ran = subprocess.run(sys.argv[1:], env={**os.environ, "ELT_LEAVE_TABLES": folder}, check=False)
        if ran.returncode:
            return ran.returncode
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        python = run.packages(cache / "elt" / "interop-venv")
        return subprocess.run([python, "-B", __file__, READ, folder], check=False).returncode


def read(folder: Path) -> int:
    """Every reader over every version of every table in a folder of cases."""
    from checks import Tally
    from readers import installed

    tally = Tally()
    readers, missing = installed()
    if missing:
        tally.skip("duckdb", missing)
    for case in sorted(folder.iterdir(), key=lambda path: int(path.name)):
        for name, told in json.loads((case / "rows.json").read_text()).items():
            for reader in readers:
                agrees(tally, reader, case / "tables" / "main" / name, told)
    return tally.close()


def agrees(tally, reader, table: Path, told: dict) -> None:
    """One reader over the versions of one table."""
    problems, read = [], 0
    for version, wanted in enumerate(told["versions"], start=told["first"]):
        try:
            if not reader.knows(table, version):
                continue
            rows = reader.rows(table, version).select(["k", "v"]).to_pylist()
        except Exception as error:  # a reader may refuse a table in its own way
            problems.append(f"version {version}: {type(error).__name__}: {error}")
            continue
        read += 1
        found = sorted([row["k"], row["v"]] for row in rows)
        if found != wanted:
            problems.append(f"version {version}: {found} and not {wanted}")
    name = f"case {table.parts[-4]}, {table.name}  {reader.name}"
    tally.said(name, "\n".join(problems) or None, f"{read} versions")


if __name__ == "__main__":
    sys.exit(main())
