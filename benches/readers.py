#!/usr/bin/env python3
"""What does a reader pay for tables, versions and releases?

    python3 benches/readers.py PROJECT ELT [ELT…]

Asks each elt program the same questions of `fct_flights`, by the table's name and by its Parquet files'
names, ten times in one process, and prints the medians of seven runs: CPU and wall seconds. PROJECT is a folder
in which the bundled project was built once. The programs take turns.
"""

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

QUESTIONS = {
    "count with a condition": "select count(*) from {t} where departure_delay_minutes > 60",
    "group by two texts": "select carrier, status, count(*) as n, avg(arrival_delay_minutes) as late from {t} group by 1, 2 order by n desc",
    "join, count distinct": "select f.carrier, a.model, count(distinct f.destination) from {t} f join aircraft_use a on f.tail_number = a.tail_number group by 1, 2 order by 3 desc limit 5",
}


def cost(command: list[str], folder: Path) -> tuple[float, float]:
    """CPU and wall seconds of one process."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - begun


def main() -> None:
    """Runs all of it in turn."""
    folder, programs = Path(sys.argv[1]), sys.argv[2:]
    readers = {"table": "fct_flights", "files": f"'{folder.resolve()}/lake/tables/main/fct_flights/*.parquet'"}
    costs: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for _ in range(7):
        for program in programs:
            for name, question in QUESTIONS.items():
                for reader, relation in readers.items():
                    sql = "; ".join([question.format(t=relation)] * 10)
                    costs.setdefault((program, name, reader), []).append(cost([program, "sql", "--format", "csv", sql], folder))
    for (program, name, reader), runs in costs.items():
        cpu, wall = (statistics.median(run[at] for run in runs) for at in (0, 1))
        print(f"{program:<24} {name:<24} {reader:<6} {cpu:6.3f} s CPU {wall:6.3f} s")


if __name__ == "__main__":
    main()
