#!/usr/bin/env python3
"""What does the wire cost?

    python3 benches/serve.py [--rows N] ELT [ELT…]

Makes a table of ten million rows, or of so many, in a temporary lake, and tells for each elt program: rows per second over Flight SQL
to Python (ADBC), against reading the same Parquet files with pyarrow in this process; and how long a small query
takes, from the first word to the last row, at 1, 8 and 32 clients, with answers kept and without. Needs
`adbc-driver-flightsql`, `adbc-driver-manager` and `pyarrow`. Medians of five; the programs take turns.
"""

import argparse
import re
import statistics
import subprocess
import tempfile
import threading
import time
import warnings
from pathlib import Path

import adbc_driver_flightsql.dbapi as flight
import pyarrow.parquet as parquet

TABLE = """create table big as select value as id, value % 1000 as grp, value * 0.5 as amount,
    'name ' || (value % 100000) as name, to_timestamp(value) as at from range({rows})"""


def served(program: str, lake: Path, *options: str) -> tuple[subprocess.Popen, str, str]:
    """A server, its address and its token."""
    command = [program, "serve", "--lake", lake, "--listen", "127.0.0.1:0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    said = ""
    for line in process.stderr:
        said += line
        if "Ctrl-C" in line:
            break
    return process, re.search(r" at (grpc\S*)", said)[1], re.search(r"^token.*: (\w+)$", said, re.MULTILINE)[1]


def latency(url: str, token: str, clients: int, asked: int, sql: str) -> tuple[float, float, float]:
    """The median and the 95th percentile of a small query, in milliseconds, and queries per second."""
    took: list[float] = []

    def ask() -> None:
        with flight.connect(url, {"username": "x", "password": token}, autocommit=True) as connection, connection.cursor() as cursor:
            for _ in range(asked):
                begun = time.monotonic()
                cursor.execute(sql)
                cursor.fetchall()
                took.append((time.monotonic() - begun) * 1000)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = time.monotonic() - begun
    took.sort()
    return statistics.median(took), took[int(len(took) * 0.95)], len(took) / whole


def main() -> None:
    """Runs all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("elt", nargs="+")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="elt-bench-") as folder:
        lake = Path(folder) / "lake"
        lake.mkdir()
        subprocess.run([asked.elt[0], "sql", "--lake", lake, "-c", TABLE.format(rows=asked.rows)], check=True, capture_output=True)
        files = sorted(lake.glob("tables/main/big/*.parquet"))
        in_process = []
        for _ in range(5):
            begun = time.monotonic()
            count = sum(batch.num_rows for file in files for batch in parquet.ParquetFile(file).iter_batches(65536))
            in_process.append(count / (time.monotonic() - begun))
        print(f"pyarrow, the same Parquet in process: {statistics.median(in_process) / 1e6:.1f} million rows/s")
        for program in asked.elt:
            process, url, token = served(program, lake)
            streamed = []
            with flight.connect(url, {"username": "x", "password": token}, autocommit=True) as connection:
                for turn in range(5):
                    with connection.cursor() as cursor:
                        begun = time.monotonic()
                        cursor.execute(f"select * from big where id >= {-turn}")
                        count = sum(batch.num_rows for batch in cursor.fetch_record_batch())
                        streamed.append(count / (time.monotonic() - begun))
            assert count == asked.rows, count
            print(f"{program}: {statistics.median(streamed) / 1e6:.1f} million rows/s over Flight SQL")
            process.kill()
            aggregate = ("an aggregate of all rows", "select count(*), sum(grp) from big where id % 7 = 1")
            for kept, options in [("kept", ()), ("worked out", ("--result-cache", "0"))]:
                process, url, token = served(program, lake, *options)
                for name, sql in [aggregate, ("one row", "select 1 as a")]:
                    for clients in (1, 8, 32):
                        middle, worst, rate = latency(url, token, clients, 160 // clients + 5, sql)
                        print(f"{program}: {name}, {kept}, {clients} clients: median {middle:.1f} ms, 95 % {worst:.1f} ms, {rate:.0f} queries/s")
                process.kill()


if __name__ == "__main__":
    main()
