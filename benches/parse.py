#!/usr/bin/env python3
"""How long does a project take to be read?

    benches/parse.py ELT [--models 1000 5000] [--runs 3] [--keep FOLDER]

Makes projects of so many models in layers, each model with two tests, a description and columns, and measures
`elt parse` with everything read, `elt parse` again with nothing changed, and `elt ls` of a project of five models:
CPU seconds (user and system, of the whole process), seconds, and the most memory it had. Medians of the runs.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


def make(folder, models):
    """A project with `models` models, a tenth of them in each layer, and twice as many tests."""
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(
        "name: big\nprofile: big\nvars: {start: '2024-01-01'}\nmodels:\n  big:\n    +materialized: view\n    layer_9: {+materialized: table, +tags: [last]}\n"
    )
    (folder / "macros").mkdir()
    (folder / "macros" / "cents.sql").write_text(
        "{% macro cents(column) %}round({{ column }} / 100.0, 2){% endmacro %}\n"
    )
    width = max(models // 10, 1)
    for n in range(models):
        layer, place = divmod(n, width)
        inside = folder / "models" / f"layer_{layer}"
        inside.mkdir(exist_ok=True)
        if layer == 0:
            body = f"select {n} as id, {n} * 7 as amount, '{{{{ var('start') }}}}' as since"
        else:
            above = [(layer - 1) * width + (place + step) % width for step in (0, 1, 7)]
            joined = "\n".join(f"left join {{{{ ref('model_{m}') }}}} m{m} on m{m}.id = a.id" for m in sorted(set(above[1:])))
            body = (
                f"{{{{ config(tags=['layer']) }}}}\nwith a as (select * from {{{{ ref('model_{above[0]}') }}}})\n"
                f"select a.id, {{{{ cents('a.amount') }}}} as amount, a.since\nfrom a\n{joined}\n"
            )
        (inside / f"model_{n}.sql").write_text(body)
        if place % 20 == 0:
            described = "\n".join(
                f"  - name: model_{m}\n    description: What model {m} holds.\n    columns:\n      - name: id\n        description: Its key.\n        data_tests: [unique, not_null]\n      - name: amount\n"
                for m in range(n, min(n + 20, (layer + 1) * width, models))
            )
            (inside / f"models_{n}.yml").write_text(f"models:\n{described}")


def measured(command, folder):
    """CPU seconds, seconds and megabytes of one run."""
    begun = time.monotonic()
    with open(os.devnull, "w") as nowhere, tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=folder, stdout=nowhere, stderr=said)
        # Of this process alone: what Python has of all its children is the most that any of them had.
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(map(str, command))}: {said.read().decode()[-800:]}")
    return used.ru_utime + used.ru_stime, seconds, used.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("elt", type=pathlib.Path)
    parser.add_argument("--models", type=int, nargs="+", default=[5, 1000, 5000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", type=pathlib.Path, help="where the projects are made and stay")
    asked = parser.parse_args()
    elt = asked.elt.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        home = asked.keep or pathlib.Path(temporary)
        print(f"{'models':>7}  {'what':<22} {'CPU s':>7} {'s':>7} {'MB':>7}")
        for models in asked.models:
            folder = home / f"models_{models}"
            if not folder.exists():
                make(folder, models)
            commands = [
                ("parse, all read", [elt, "parse", "--no-partial-parse"]),
                ("parse, nothing changed", [elt, "parse"]),
                ("ls, nothing changed", [elt, "ls", "--output", "name"]),
            ]
            for what, command in commands:
                measured(command, folder)
                runs = [measured(command, folder) for _ in range(asked.runs)]
                cpu, seconds, megabytes = (statistics.median(column) for column in zip(*runs))
                print(f"{models:>7}  {what:<22} {cpu:>7.2f} {seconds:>7.2f} {megabytes:>7.0f}", flush=True)


if __name__ == "__main__":
    main()
