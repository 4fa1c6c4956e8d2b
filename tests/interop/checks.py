"""The story: build, build again, go back, let someone else write; and after each, who sees what?

Started by `run.py`, which sees to the packages.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import deltalake

from lake import EltFailed, Lakehouse, Table
from readers import Reader, installed
from rows import difference, edges

HERE = Path(__file__).resolve().parent
FLIGHTS = "main.fct_flights"
TYPES = "main.interop_types"
FOREIGN = "main.carrier_months"

# A flight on time, a cancelled one, and a correction of one that January's file has.
APRIL = """\
year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour
2013,4,1,600,600,0,745,750,-5,UA,9001,N14228,EWR,ORD,110,719,6,0,2013-04-01T10:00:00Z
2013,4,1,NA,700,NA,NA,845,NA,UA,9002,NA,EWR,ORD,NA,719,7,0,2013-04-01T11:00:00Z
2013,1,1,517,515,2,839,819,20,UA,1545,N14228,EWR,IAH,236,1400,5,15,2013-01-01T10:00:00Z
"""


class Tally:
    """Counts what held and what did not, and says each."""

    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0

    def heading(self, text: str) -> None:
        print(f"\n{text}", flush=True)

    def said(self, name: str, problem: str | None, detail: str = "") -> None:
        """One check: it held if there is no problem."""
        if problem is None:
            self.passed += 1
            print(f"  ok      {name:<58} {detail}".rstrip(), flush=True)
        else:
            self.failed += 1
            print(f"  FAILED  {name:<58} {detail}".rstrip(), flush=True)
            print("\n".join(f"          {line}" for line in problem.splitlines()), flush=True)

    def skip(self, name: str, because: str) -> None:
        self.skipped += 1
        print(f"  SKIPPED {name}: {because}", flush=True)

    @contextmanager
    def check(self, name: str):
        """A check that fails by raising. What it does not expect is a failure too, and the story goes on."""
        try:
            yield
        except Exception as error:  # a reader may refuse a table in its own way
            self.said(name, f"{type(error).__name__}: {error}")
        else:
            self.said(name, None)

    def close(self) -> int:
        """The closing line, and the exit code."""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"\n{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 1 if self.failed or not self.passed else 0


def must(holds: bool, problem: str) -> None:
    """Says what is wrong unless it holds."""
    if not holds:
        raise AssertionError(problem)


def compare(tally: Tally, lake: Lakehouse, readers: list[Reader], table: Table, version: int | None = None) -> None:
    """Every reader sees the rows of a table that elt sees, at an older version or as published."""
    subject = f"{table}" if version is None else f"{table} version {version}"
    types = lake.types(table)
    ours = lake.rows(table, version)
    for reader in readers:
        if not reader.knows(lake.folder(table), version):
            continue
        try:
            problem = difference(ours, reader.rows(lake.folder(table), version), types)
        except Exception as error:  # a reader may refuse a table in its own way
            problem = f"{type(error).__name__}: {error}"
        tally.said(f"{subject}  {reader.name}", problem, f"{ours.num_rows:,} rows, {len(types)} columns")


def everybody_agrees(tally: Tally, lake: Lakehouse, readers: list[Reader], when: str) -> None:
    """Every reader sees what elt shows, in every published table."""
    tally.heading(when)
    tables = lake.tables()
    must(len(tables) >= 11, f"expected the project's ten tables and {TYPES}, found {[str(t) for t in tables]}")
    for table in tables:
        compare(tally, lake, readers, table)


def old_versions_agree(tally: Tally, lake: Lakehouse, readers: list[Reader]) -> None:
    """Time travel: every reader sees the same past."""
    tally.heading("older versions")
    for table in lake.tables():
        for version in range(table.version):
            compare(tally, lake, readers, table, version)


def edited_versions_agree(tally: Tally, lake: Lakehouse, readers: list[Reader]) -> None:
    """Every version of the tables that statements made and changed."""
    tally.heading("versions that statements made")
    for name in ("main.hidden", "main.flown", "main.checked", "main.lent", "main.lent_early"):
        table = lake.table(name)
        for version in range(table.version + 1):
            compare(tally, lake, readers, table, version)


def statistics_lose_nothing(tally: Tally, lake: Lakehouse, readers: list[Reader], name: str) -> None:
    """Rows at the edges of what a file's statistics say are found by whoever skips files by them."""
    tally.heading(f"the least and the greatest value of each column of {name} are found")
    table = lake.table(name)
    types = lake.types(table)
    ours = lake.rows(table)
    wanted = edges(ours, types)
    truth = [sum(value == there for there in ours[column]) for column, value in wanted]
    counts = {"elt": lambda: lake.counts(table, wanted, types)}
    for reader in readers:
        counts[reader.name] = lambda reader=reader: [
            reader.count(lake.folder(table), column, value, types[column]) for column, value in wanted
        ]
    for reader, count in counts.items():
        with tally.check(f"{name}  {reader}"):
            found = count()
            lost = [f"{column} = {value}: {n} of {real} rows" for (column, value), n, real in zip(wanted, found, truth) if n != real]
            must(not lost, "\n".join(lost))


def histories_agree(tally: Tally, lake: Lakehouse, name: str) -> None:
    """delta-rs reads in the log who did what, as elt tells it."""
    tally.heading("history")
    with tally.check(f"{name}  deltalake"):
        ours = [(int(row["version"]), row["operation"]) for row in lake.query(f"describe history {name}")]
        commits = deltalake.DeltaTable(lake.folder(lake.table(name))).history()
        theirs = [(commit["version"], commit["operation"]) for commit in commits]
        must(ours == theirs, f"elt tells {ours}, deltalake {theirs}")
        engines = {commit["engineInfo"] for commit in commits}
        must(all(engine.startswith("elt/") for engine in engines), f"the engines are {engines}")


def a_foreign_commit_is_noticed(tally: Tally, lake: Lakehouse, readers: list[Reader]) -> None:
    """Somebody else appends to a table: elt refuses to build on it, touches nothing, and can go back."""
    tally.heading(f"another program appends a row to {FOREIGN}")
    table = lake.table(FOREIGN)
    folder = lake.folder(table)
    release = lake.releases()[0]["number"]
    before = lake.rows(table)
    deltalake.write_deltalake(folder, before.slice(0, 1), mode="append")
    theirs = fingerprints(folder)
    foreign_head = deltalake.DeltaTable(folder).version()

    with tally.check("the row is there for others"):
        must(foreign_head == table.version + 1, f"version {foreign_head} came after {table.version}")
        rows = deltalake.DeltaTable(folder).to_pyarrow_table().num_rows
        must(rows == table.rows + 1, f"{rows} rows and not {table.rows + 1}")

    with tally.check("`elt build` ends with 75, and names the table and delta-rs"):
        said = lake.run("build", expect=75).stderr
        must(FOREIGN in said and "delta-rs" in said, f"it said:\n{said}")

    with tally.check("`elt build` changed nothing of theirs, and published nothing"):
        now = fingerprints(folder)
        changed = [path for path, content in theirs.items() if now.get(path) != content]
        must(not changed, f"changed or gone: {changed}")
        head = deltalake.DeltaTable(folder).version()
        must(head == foreign_head, f"the table is at version {head} and not {foreign_head}")
        newest = lake.releases()[0]["number"]
        must(newest == release, f"the newest release is {newest} and not {release}")

    with tally.check("through elt the table is as it was published"):
        must(lake.table(FOREIGN) == table, f"elt shows {lake.table(FOREIGN)!r} and not {table!r}")
        problem = difference(before, lake.rows(table), lake.types(table))
        must(problem is None, problem or "")

    with tally.check(f"`elt rollback {release}` puts the table back for everybody"):
        lake.run("rollback", str(release))
        problem = difference(before, lake.rows(table), lake.types(table))
        must(problem is None, f"through elt: {problem}")
        rows = deltalake.DeltaTable(folder).to_pyarrow_table().num_rows
        must(rows == table.rows, f"deltalake has {rows} rows and not {table.rows}")
    everybody_agrees(tally, lake, readers, f"after `elt rollback {release}`")

    tally.heading("after that, builds go on")
    with tally.check("`elt build` publishes"):
        lake.run("build", "--full")
    compare(tally, lake, readers, lake.table(FOREIGN))
    compare(tally, lake, readers, lake.table(FLIGHTS))


def fingerprints(folder: Path) -> dict[str, str]:
    """Every file under a folder, by its content."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def story(tally: Tally, lake: Lakehouse, readers: list[Reader]) -> None:
    """Everything in turn; each part goes on from the one before."""
    said = lake.run("build").stderr
    must("published release 1" in said, f"the first build said:\n{said}")
    everybody_agrees(tally, lake, readers, "after the first `elt build`")
    first = lake.table(FLIGHTS)

    (lake.root / "tests/data/nycflights13/flights_2013-04.csv").write_text(APRIL, encoding="utf-8")
    lake.run("build")
    everybody_agrees(tally, lake, readers, "after a second `elt build` with a new file")
    with tally.check(f"{FLIGHTS} has two flights more, and one corrected"):
        merged = lake.table(FLIGHTS)
        must((merged.version, merged.rows) == (first.version + 1, first.rows + 2), f"it went from {first!r} to {merged!r}")
        corrected = lake.query(f"select arrival_delay_minutes from {FLIGHTS} where flight_id = '2013-01-01-UA-1545-EWR'")
        must(corrected == [{"arrival_delay_minutes": 20}], f"the corrected flight is {corrected}")
    statistics_lose_nothing(tally, lake, readers, TYPES)
    statistics_lose_nothing(tally, lake, readers, FLIGHTS)

    lake.run("sql", "--format", "csv", "-f", str(HERE / "edits.sql"))
    everybody_agrees(tally, lake, readers, "after statements that hide rows, and statements that copy files")
    edited_versions_agree(tally, lake, readers)

    lake.run("rollback", "1")
    everybody_agrees(tally, lake, readers, "after `elt rollback 1`")
    with tally.check(f"{FLIGHTS} has the rows of release 1"):
        must(lake.table(FLIGHTS).rows == first.rows, f"{lake.table(FLIGHTS)!r} after {first!r}")
    old_versions_agree(tally, lake, readers)
    histories_agree(tally, lake, FLIGHTS)
    a_foreign_commit_is_noticed(tally, lake, readers)


def main() -> int:
    """Reads the command line that `run.py` made, and tells the story in a temporary folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("elt", type=Path)
    parser.add_argument("project", type=Path)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()

    begun = time.monotonic()
    tally = Tally()
    readers, missing = installed()
    print(f"readers: elt and {', '.join(reader.name for reader in readers)}")
    if missing:
        tally.skip("duckdb", missing)
    folder = Path(tempfile.mkdtemp(prefix="elt-interop-"))
    try:
        story(tally, Lakehouse(arguments.elt, arguments.project, folder), readers)
    except (EltFailed, AssertionError) as error:
        tally.said("the story goes on to its end", str(error))
    finally:
        if arguments.keep:
            print(f"\nkept: {folder}")
        else:
            shutil.rmtree(folder)
    print(f"\n{time.monotonic() - begun:.0f} s")
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
