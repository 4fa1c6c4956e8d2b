#!/usr/bin/env python3
"""Do tools of the dbt ecosystem read what elt writes?

    python tests/acceptance/consumers.py PROJECT/target

Needs a Python with dbt-artifacts-parser and dbterd (and PyYAML). The parser reads each artifact into its typed
classes, and a few facts of the manifest are asked of them; dbterd draws the relations between tables that tests of
the kind `relationships` tell. Where they are installed, astronomer-cosmos makes its graph of tasks of the manifest, and
dbt's own engine of metrics (metricflow) validates `semantic_manifest.json`. Prints what was understood. Exit code 1 if
something was not.
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


def tasks(target):
    """What astronomer-cosmos makes of the manifest: how many nodes, and parents that it does not know."""
    from cosmos.config import ExecutionConfig, ProjectConfig, RenderConfig
    from cosmos.constants import LoadMode
    from cosmos.dbt.graph import DbtGraph

    manifest = target / "manifest.json"
    name = json.loads(manifest.read_text())["metadata"]["project_name"]
    graph = DbtGraph(
        project=ProjectConfig(manifest_path=manifest, project_name=name),
        render_config=RenderConfig(load_method=LoadMode.DBT_MANIFEST, dbt_project_path=target.parent),
        execution_config=ExecutionConfig(dbt_project_path=target.parent),
    )
    graph.load(method=LoadMode.DBT_MANIFEST)
    lost = [parent for node in graph.nodes.values() for parent in node.depends_on if parent not in graph.nodes]
    return f"{len(graph.nodes)} tasks of cosmos", lost


def metrics(target):
    """What dbt's engine of metrics says of the semantic manifest: how much there is, and what is wrong."""
    from metricflow_semantic_interfaces.implementations.semantic_manifest import PydanticSemanticManifest
    from metricflow_semantic_interfaces.validations.semantic_manifest_validator import SemanticManifestValidator

    read = PydanticSemanticManifest.parse_raw((target / "semantic_manifest.json").read_text())
    wrong = [error.message for error in SemanticManifestValidator().validate_semantic_manifest(read).errors]
    return f"{len(read.semantic_models)} semantic models, {len(read.metrics)} metrics", wrong


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
    for consumer in (tasks, metrics):
        try:
            words, wrong = consumer(target)
        except ImportError as why:
            print(f"{consumer.__name__}: not asked: {why}")
            continue
        print(f"{words}" + (f"; wrong: {wrong[:5]}" if wrong else ""))
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
