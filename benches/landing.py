#!/usr/bin/env python3
"""What does loading cost, beside DuckDB on the same files?

    python3 benches/landing.py MAKE FOLDER GIGABYTES          writes taxi-like CSV files
    python3 benches/landing.py RUN FOLDER ELT PYTHON [RUNS]   loads them with both

PYTHON is an interpreter that has the package duckdb. elt loads the files into a Delta table with its ledger and
accounting, once with a copy of the files in the raw zone and once in place (`external`), DuckDB by COPY to one Parquet
file; reading alone is what `wc -l` and, for elt, a dry run take. Programs take turns, medians are shown; each
runs in a process of its own, whose peak of memory is told by the kernel. The page cache is warm.
"""

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEADER = "trip_id,vendor,picked_up_at,dropped_off_at,passengers,distance,rate,stored,pick_zone,drop_zone,payment,fare,tip,total,note\n"
NOTES = ["", "", "", "", "airport", '"paid, late"', "card declined", "Åsane"]


def make(folder: Path, gigabytes: float) -> None:
    """Writes files of about 250 MB until there is enough."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(2013)
    block = []
    for _ in range(50_000):
        day, hour, minute = rng.randint(1, 28), rng.randint(0, 22), rng.randint(0, 59)
        fare, tip = rng.randint(250, 9000) / 100, rng.choice([0, 0, 1, 2.5, 3.75])
        block.append(
            f",{rng.choice('AB')}{rng.randint(1, 9)},2013-{rng.randint(1, 12):02}-{day:02} {hour:02}:{minute:02}:00,2013-06-{day:02} {hour + 1:02}:{minute:02}:30,"
            f"{rng.randint(1, 6)},{rng.random() * 20:.2f},{rng.randint(1, 5)},{rng.choice(['Y', 'N'])},{rng.randint(1, 263)},{rng.randint(1, 263)},"
            f"{rng.choice(['card', 'cash', 'none'])},{fare},{tip},{fare + tip:.2f},{rng.choice(NOTES)}\n"
        )
    written, trip, number = 0, 0, 0
    while written < gigabytes * 1e9:
        path = folder / f"trips_{number:03}.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write(HEADER)
            size = 0
            while size < 250e6 and written + size < gigabytes * 1e9:
                lines = "".join([f"{trip + at}{row}" for at, row in enumerate(block)])
                size += file.write(lines)
                trip += len(block)
        written += path.stat().st_size
        number += 1
    print(f"{number} files, {written / 1e9:.2f} GB, {trip:,} rows")


def cost(command: list[str], folder: Path, env: dict[str, str]) -> tuple[float, float, float]:
    """Wall and CPU seconds and the peak of memory in MB of one process."""
    begun = time.monotonic()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **env}) as process:
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} failed:\n{said.decode()}")
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def run(folder: Path, elt: str, python: str, runs: int) -> None:
    """Loads the files with each program in turn."""
    files = f"{folder.resolve()}/*.csv"
    duck = f"import duckdb; duckdb.sql(\"copy (select * from read_csv('{files}')) to 'trips.parquet' (format parquet)\")"
    commands = {
        "wc -l": (["sh", "-c", f"wc -l {files}"], {}),
        "duckdb copy to parquet": ([python, "-c", duck], {}),
        "elt land --dry-run": ([elt, "--lake", "lake", "land", "raw.trips", files, "--dry-run"], {}),
        "elt land": ([elt, "--lake", "lake", "land", "raw.trips", files], {}),
        "elt land external": ([elt, "--lake", "lake", "land", "raw.trips", files, "-o", "external=true"], {}),
        "elt land, 1 GB": ([elt, "--lake", "lake", "land", "raw.trips", files, "-o", "external=true"], {"ELT_MEMORY_LIMIT": "700MB"}),
    }
    costs: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(runs):
        for name, (command, env) in commands.items():
            scratch = Path(tempfile.mkdtemp(dir=folder.parent))
            try:
                costs.setdefault(name, []).append(cost(command, scratch, env))
            finally:
                shutil.rmtree(scratch)
    yardstick = statistics.median(wall for wall, *_ in costs["duckdb copy to parquet"])
    for name, measured in costs.items():
        wall, cpu, memory = (statistics.median(one[at] for one in measured) for at in range(3))
        print(f"{name:<24} {wall:7.2f} s  {cpu:7.2f} s CPU  {memory:7.0f} MB  {wall / yardstick:5.2f} of DuckDB's time")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["MAKE", folder, gigabytes]:
            make(Path(folder), float(gigabytes))
        case ["RUN", folder, elt, python, *runs]:
            run(Path(folder), str(Path(elt).resolve()), python, int(runs[0]) if runs else 3)
        case _:
            sys.exit(__doc__)
