#!/usr/bin/env python3
"""Do public dbt projects build unchanged?

    tests/acceptance/dbt_projects.py FOLDER [--elt PROGRAM] [--vars MAP] [--details]

FOLDER holds clones of dbt projects; nothing is fetched. Every folder below it with a dbt_project.yml that
is no package of another project is built with `elt build --full-refresh`, each into a lake of its own in
a temporary folder. Printed are, for each project, how many of its nodes passed, and with --details what the
others say. A node passes if it was made, or if it is a test that holds or only warns.

Packages are looked for where dbt installs them (`dbt_packages/`) and must be there. The exit code is 0 if
every project could be compiled; how many nodes pass is for people to judge.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

PASSED = {"success", "pass", "warn"}
SKIPPED_FOLDERS = {"dbt_packages", "dbt_modules", "node_modules", "target", "lake", ".git"}


def projects(folder):
    """The folders of projects below `folder`, integration tests of a package in the place of the package."""
    found = []
    for path, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
        if "dbt_project.yml" in files:
            inner = pathlib.Path(path) / "integration_tests"
            if (inner / "dbt_project.yml").exists():
                found.append(inner)
            else:
                found.append(pathlib.Path(path))
            folders.clear()
    return found


def build(program, project, variables):
    """Builds one project. Returns its results, or what kept it from being compiled."""
    with tempfile.TemporaryDirectory() as lake:
        command = [program, "build", "--full-refresh", "--format", "json", "--lake", lake]
        if variables:
            command += ["--vars", variables]
        begun = time.monotonic()
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begun
        try:
            return json.loads(done.stdout)["results"], None, seconds
        except (ValueError, KeyError):
            mistakes = [line.strip() for line in done.stderr.splitlines() if line.strip().startswith("×")]
            return [], mistakes or [done.stderr.strip()[-300:]], seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--elt", default="elt", help="the program [default: elt on the PATH]")
    parser.add_argument("--vars", default="", help="vars for every project, as JSON or YAML")
    parser.add_argument("--details", action="store_true", help="say what did not pass, and why")
    asked = parser.parse_args()
    all_compiled = True
    print(f"{'project':<44} {'passed':>7} {'of':>6} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for project in projects(asked.folder):
        results, mistakes, seconds = build(asked.elt, project, asked.vars)
        name = str(project.relative_to(asked.folder))
        if mistakes:
            all_compiled = False
            print(f"{name:<44} not compiled: {mistakes[0]}")
            if asked.details:
                print("\n".join(f"    {mistake}" for mistake in mistakes))
            continue
        count = collections.Counter(result["status"] for result in results)
        passed = sum(count[status] for status in PASSED)
        failed = count["error"] + count["fail"]
        print(
            f"{name:<44} {passed:>7} {len(results):>6} {failed:>7} {count['skipped']:>8} {seconds:>8.1f}"
        )
        if asked.details:
            for result in results:
                if result["status"] in ("error", "fail"):
                    message = (result.get("message") or "").splitlines() or [""]
                    print(f"    {result['status']:<6} {result['unique_id']}: {message[0]}")
    return 0 if all_compiled else 1


if __name__ == "__main__":
    sys.exit(main())
