#!/usr/bin/env python3
"""How does elt compare with the programs that people would take instead, side by side on this machine?

    python3 benches/compare/run.py --elt target/release/elt [WORKLOAD…] [--scale 1] [--runs 3] [--json FILE]

Without a workload all are run; `--list` names them. Every peer has a virtual environment of its own, made once, with the
versions in `peers.py`. Programs take turns (A B C, B C A, …), each run in a fresh process. Printed are medians: wall and CPU
seconds, peak memory, bytes that came onto the disk where that matters, and the wall seconds as a ratio to the best
peer's: below 1 elt is ahead. A peer that is a library is timed from opening the data to the last row, without its
interpreter's start; elt is timed as a whole process. Peers whose answers differ from elt's are said so.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import peers
from workloads import WORKLOADS, Task, World, as_answer

LIMIT = 900  # seconds that a run may take


@dataclass
class Cost:
    """What one run took."""

    wall: float
    cpu: float
    memory: float
    written: float = 0
    answer: str | None = None


@dataclass
class Row:
    """The runs of one peer at one task."""

    peer: str
    costs: list[Cost] = field(default_factory=list)
    failed: str | None = None

    def median(self, of: str) -> float:
        return statistics.median(getattr(cost, of) for cost in self.costs)


def main() -> int:
    """Reads the command line, runs the workloads, prints tables as they are done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="default: all")
    parser.add_argument("--elt", type=Path, help="the elt program")
    parser.add_argument("--scale", type=float, default=1, help="1 is ten million rows, or TPC-H's factor [default: 1]")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", help="only these, with commas between")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "elt-compare", help="where data is kept between runs")
    parser.add_argument("--json", type=Path, help="where the figures go too")
    parser.add_argument("--list", action="store_true", help="name the workloads")
    arguments = parser.parse_args()
    if arguments.list:
        for name, workload in WORKLOADS.items():
            print(f"{name:<12} {workload.__doc__.splitlines()[0]}")
        return 0
    unknown = [name for name in arguments.workloads if name not in WORKLOADS]
    if unknown or arguments.elt is None or not os.access(arguments.elt, os.X_OK):
        parser.error(f"there is no workload {unknown[0]}; --list names them" if unknown else "say which program by --elt")
    chosen = arguments.peers.split(",") if arguments.peers else None
    world = World(arguments.elt.resolve(), arguments.data.resolve(), arguments.scale, chosen)
    world.data.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} cores; elt {version(world.elt)}; {peers.versions()}", flush=True)
    figures = []
    for name in arguments.workloads or WORKLOADS:
        for title, tasks in WORKLOADS[name](world):
            rows = measure([task for task in tasks if wanted(task, chosen)], arguments.runs)
            show(f"{name}: {title}", rows)
            figures.append({"workload": name, "title": title, "rows": [told(row) for row in rows.values()]})
            if arguments.json:
                arguments.json.write_text(json.dumps(figures, indent=1))
    summary(figures)
    return 0


def version(elt: Path) -> str:
    return subprocess.run([elt, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]


def wanted(task: Task, chosen: list[str] | None) -> bool:
    return chosen is None or task.peer.startswith("elt") or any(task.peer.startswith(name) for name in chosen)


def measure(tasks: list[Task], runs: int) -> dict[str, Row]:
    """Runs all tasks in turn, so many times. One that fails is not tried again."""
    rows = {task.peer: Row(task.peer) for task in tasks}
    for turn in range(runs):
        for task in tasks[turn % len(tasks) :] + tasks[: turn % len(tasks)]:
            row = rows[task.peer]
            if row.failed is None:
                try:
                    row.costs.append(run(task))
                except Failed as failed:
                    row.failed = str(failed)
    return rows


class Failed(Exception):
    """A peer could not do it."""


def run(task: Task) -> Cost:
    """Does a task once in a fresh process. Peak memory is what the kernel saw of that process."""
    work = Path(tempfile.mkdtemp(dir=task.scratch))
    try:
        task.before(work)
        command = [str(part) for part in task.command(work)]
    except subprocess.CalledProcessError as error:
        raise Failed(f"cannot be made ready: {Path(error.cmd[0]).name} ended with {error.returncode}") from error
    was = size(work)
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=work, stdout=said, stderr=complained, env={**os.environ, **task.env}, start_new_session=True)
        killer = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
        killer.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        killer.cancel()
        said.seek(0), complained.seek(0)
        text, trouble = said.read(), complained.read()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Failed("took longer than 15 minutes" if wall >= LIMIT else (trouble.strip().splitlines() or ["no word"])[-1][:150])
    cost = Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, size(work) - was)
    lines = text.strip().splitlines()
    if lines and lines[-1].startswith('{"inside"'):
        inside = json.loads(lines[-1])["inside"]
        cost.wall, cost.cpu, cost.answer = inside["wall"], inside["cpu"], inside["answer"]
    elif task.answers:
        cost.answer = as_answer(text)
    subprocess.run(["rm", "-rf", work], check=True)
    return cost


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def told(row: Row) -> dict:
    if row.failed or not row.costs:
        return {"peer": row.peer, "failed": row.failed}
    return {"peer": row.peer, **{of: row.median(of) for of in ("wall", "cpu", "memory", "written")}}


def show(title: str, rows: dict[str, Row]) -> None:
    """One table: who took how long."""
    print(f"\n{title}", flush=True)
    done = {name: row for name, row in rows.items() if row.costs and row.failed is None}
    theirs = [row.median("wall") for name, row in done.items() if not name.startswith("elt")]
    ours = next((row.costs[0].answer for name, row in done.items() if name.startswith("elt")), None)
    for name, row in rows.items():
        if name not in done:
            print(f"  {name:<28} {row.failed or 'not run'}")
            continue
        wall, cpu, memory, written = (row.median(of) for of in ("wall", "cpu", "memory", "written"))
        ratio = f"{wall / min(theirs):6.2f} x" if theirs else ""
        other = "" if row.costs[0].answer in (None, ours) or ours is None or "before" in name else "  OTHER ANSWER"
        print(f"  {name:<28} {wall:8.3f} s {cpu:8.3f} s CPU {memory:7.0f} MB {written / 1e6:9.1f} MB written {ratio}{other}", flush=True)


def summary(figures: list[dict]) -> None:
    """elt's ratio to the best peer in each table, the worst first."""
    ratios = []
    for figure in figures:
        walls = {row["peer"]: row["wall"] for row in figure["rows"] if row.get("wall")}
        theirs = [wall for peer, wall in walls.items() if not peer.startswith("elt")]
        if theirs:
            ratios += [(wall / min(theirs), figure["workload"], figure["title"], peer) for peer, wall in walls.items() if peer.startswith("elt")]
    print("\nratio to the best peer, the worst first")
    for ratio, workload, title, peer in sorted(ratios, reverse=True):
        print(f"  {ratio:6.2f}  {workload}: {title}  ({peer})")


if __name__ == "__main__":
    sys.exit(main())
