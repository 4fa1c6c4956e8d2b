#!/usr/bin/env python3
"""Do independent readers see what elt shows, row for row?

    python3 tests/interop/run.py --elt target/release/elt

This file only sees to the packages: it makes a virtual environment (once; it is used again until a
requirements file changes) and runs the checks in it. The checks are in `checks.py`, `flight.py`, `guarded.py`, `postgres.py` and `terminal.py`.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]


def main() -> int:
    """Reads the command line, and runs the checks where their packages are."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--elt", type=Path, required=True, help="the elt program to check")
    parser.add_argument("--project", type=Path, default=REPOSITORY, help="the project to build [default: this repository]")
    parser.add_argument("--venv", type=Path, default=cache / "elt" / "interop-venv", help="where the packages go [default: %(default)s]")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder, and say where it is")
    arguments = parser.parse_args()
    elt = arguments.elt.resolve()
    if not os.access(elt, os.X_OK) or elt.is_dir():
        parser.error(f"{elt} is not a program; build it with `cargo build --release`")

    python = packages(arguments.venv.resolve())
    project, keep = arguments.project.resolve(), ["--keep"] if arguments.keep else []
    checked = subprocess.run([python, "-B", HERE / "checks.py", elt, project, *keep], check=False).returncode
    checked = checked or subprocess.run([python, "-B", HERE / "flight.py", elt, project], check=False).returncode
    checked = checked or subprocess.run([python, "-B", HERE / "guarded.py", elt, project], check=False).returncode
    if not is_installed(arguments.venv, "requirements-postgres.txt") and not install(arguments.venv, "requirements-postgres.txt"):
        sys.exit("cannot install the packages of tests/interop/requirements-postgres.txt; see above")
    checked = checked or subprocess.run([python, "-B", HERE / "postgres.py", elt, project], check=False).returncode
    return checked or subprocess.run([python, "-B", HERE / "terminal.py", elt], check=False).returncode


def packages(venv: Path) -> Path:
    """Makes the virtual environment, if it is not there as pinned, and returns its Python.

    What must be there ends the run if it cannot be installed; DuckDB is said loudly and done without.
    """
    python = packages_of(venv, "requirements.txt")
    if not is_installed(venv, "requirements-duckdb.txt") and not install(venv, "requirements-duckdb.txt"):
        print("=" * 80)
        print("DuckDB's delta extension cannot be installed here: ITS CHECKS ARE SKIPPED")
        print("=" * 80, flush=True)
    return python


def packages_of(venv: Path, requirements: str) -> Path:
    """Makes the virtual environment with what one requirements file pins, unless it is there, and returns its Python."""
    if not is_installed(venv, requirements):
        print(f"making a virtual environment in {venv}", flush=True)
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=False)
        if made.returncode != 0:
            sys.exit("cannot make a virtual environment; on Debian: apt-get install python3-venv")
        if not install(venv, requirements):
            sys.exit(f"cannot install the packages of tests/interop/{requirements}; see above")
    return venv / "bin" / "python"


def install(venv: Path, requirements: str) -> bool:
    """Installs what a requirements file pins, and notes that it is there."""
    print(f"installing {requirements}", flush=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, "-r", HERE / requirements], check=False).returncode != 0:
        return False
    (venv / requirements).write_text(fingerprint(requirements))
    return True


def is_installed(venv: Path, requirements: str) -> bool:
    """Whether a run before installed this very requirements file, to the end, for this Python."""
    note = venv / requirements
    return note.exists() and (venv / "bin" / "python").exists() and note.read_text() == fingerprint(requirements)


def fingerprint(requirements: str) -> str:
    """Changes when the pins or the Python do."""
    return hashlib.sha256((HERE / requirements).read_bytes() + sys.version.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
