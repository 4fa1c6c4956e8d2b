#!/usr/bin/env python3
"""Do tools of the dbt ecosystem read what elt writes?

    python tests/acceptance/consumers.py PROJECT/target

Needs a Python with dbt-artifacts-parser and dbterd (and PyYAML). The parser reads each artifact into its typed
classes, and a few facts of the manifest are asked of them; dbterd draws the relations between tables that tests of
the kind `relationships` tell. Prints what was understood. Exit code 1 if something was not.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

from dbt_artifacts_parser.parser import parse_catalog, parse_manifest, parse_run_results, parse_sources

READERS = {
    "manifest.json": parse_manifest,
    "run_results.json": parse_run_results,
    "catalog.json": parse_catalog,
    "sources.json": parse_sources,
}


def facts(manifest):
    """What a reader of the manifest builds on: nodes with parents that are there, tests with what they are on."""
    known = set(manifest.nodes) | set(manifest.sources) | set(manifest.exposures) | set(manifest.metrics)
    known |= set(manifest.semantic_models) | set(manifest.saved_queries) | set(manifest.unit_tests)
    edges = sum(map(len, manifest.parent_map.values()))
    lost = [parent for parents in manifest.parent_map.values() for parent in parents if parent not in known]
    tests = [node for node in manifest.nodes.values() if getattr(node, "test_metadata", None)]
    loose = [test.unique_id for test in tests if test.attached_node not in known]
    return f"{len(known)} nodes, {edges} edges, {len(tests)} generic tests", lost + loose


def main():
    target, bad = pathlib.Path(sys.argv[1]), False
    for name, reader in READERS.items():
        path = target / name
        if not path.exists():
            print(f"{name}: not there")
            continue
        try:
            read = reader(json.loads(path.read_text()))
        except Exception as why:  # the parser's own errors are of many kinds
            print(f"{name}: not understood: {str(why)[:600]}")
            bad = True
            continue
        words, wrong = facts(read) if name == "manifest.json" else (type(read).__name__, [])
        print(f"{name}: {words}" + (f"; in the air: {wrong[:5]}" if wrong else ""))
        bad |= bool(wrong)
    if (target / "catalog.json").exists():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "dbterd.main", "run", "-ad", str(target), "-o", folder, "-t", "mermaid"]
            command = [str(pathlib.Path(sys.executable).parent / "dbterd")] + command[3:]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            drawn = list(pathlib.Path(folder).glob("*"))
            if done.returncode or not drawn:
                print(f"dbterd: {done.stdout[-300:]}{done.stderr[-600:]}")
                bad = True
            else:
                text = drawn[0].read_text()
                print(f"dbterd: {text.count('{')} tables, {text.count('--')} relations drawn")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
