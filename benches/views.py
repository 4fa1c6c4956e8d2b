#!/usr/bin/env python3
"""How dear are views upon views?

    benches/views.py ELT [--models 1000] [--depth 100] [--join-every 7]

Makes a project of so many views in chains of that depth, in which each seventh view joins two views below it, in a
temporary folder. Times `elt compile`, `elt compile --check`, a first `elt build` and a second one, and tells seconds of
processor time and the most memory. Inlined, the views of a chain would be read 2 to the power of depth / 7 times.
"""

import argparse
import pathlib
import resource
import subprocess
import tempfile
import time


def make(folder, models, depth, join_every):
    """Writes the project."""
    (folder / "models").mkdir()
    (folder / "dbt_project.yml").write_text("name: deep\n")
    for at in range(models):
        level, chain = at % depth, at // depth
        below = lambda steps: "{{ ref('v%d_%d') }}" % (chain, level - steps)
        if level == 0:
            sql = f"select {chain} as id, cast(1.5 as decimal(10, 2)) as amount"
        elif level % join_every == 0 and level > 1:
            sql = f"select a.id, a.amount + b.amount as amount from {below(1)} a join {below(2)} b on a.id = b.id"
        else:
            sql = f"select id, amount from {below(1)}"
        (folder / "models" / f"v{chain}_{level}.sql").write_text(sql)


def timed(name, command, folder):
    """Runs a command, and prints what it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    wall = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # The most memory of any command so far.
    print(f"{name:<18} {cpu:>8.2f} s CPU {wall:>8.2f} s wall {after.ru_maxrss / 1024:>8.0f} MiB  exit {done.returncode}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("elt")
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--join-every", type=int, default=7)
    asked = parser.parse_args()
    elt = str(pathlib.Path(asked.elt).resolve())
    with tempfile.TemporaryDirectory() as folder:
        make(pathlib.Path(folder), asked.models, asked.depth, asked.join_every)
        timed("compile", [elt, "compile"], folder)
        timed("compile --check", [elt, "compile", "--check"], folder)
        timed("first build", [elt, "build"], folder)
        timed("second build", [elt, "build"], folder)


if __name__ == "__main__":
    main()
