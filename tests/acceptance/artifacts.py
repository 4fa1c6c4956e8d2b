#!/usr/bin/env python3
"""Judges the artifacts of a target folder by the schemas that dbt itself makes of its classes.

Needs a Python with dbt-core and jsonschema:

    python tests/acceptance/artifacts.py PROJECT/target

Prints the first few places of each artifact that break its schema. Exit code 1 if there are any.
"""
import json
import pathlib
import sys

import jsonschema


def schemas():
    from dbt.artifacts.schemas.catalog import CatalogArtifact
    from dbt.artifacts.schemas.freshness import FreshnessExecutionResultArtifact
    from dbt.artifacts.schemas.manifest import WritableManifest
    from dbt.artifacts.schemas.run import RunResultsArtifact

    return {
        "manifest.json": WritableManifest,
        "run_results.json": RunResultsArtifact,
        "catalog.json": CatalogArtifact,
        "sources.json": FreshnessExecutionResultArtifact,
    }


def deepest(error):
    """What is wrong in the branch of an `anyOf` that is meant: the one of the same resource type, if one is."""
    while error.context:
        branches = {}
        for inner in error.context:
            branches.setdefault(inner.schema_path[0], []).append(inner)
        meant = [all_of for all_of in branches.values() if not any("resource_type" in e.path for e in all_of)]
        error = min(meant or list(branches.values()), key=len)[0]
    return error


def main():
    target, bad = pathlib.Path(sys.argv[1]), 0
    for name, kind in schemas().items():
        path = target / name
        if not path.exists():
            print(f"{name}: not there")
            continue
        document = json.loads(path.read_text())
        validator = jsonschema.Draft202012Validator(kind.json_schema())
        seen = {}
        for error in validator.iter_errors(document):
            inner = deepest(error)
            where = "/".join("*" if "." in str(part) else str(part) for part in inner.absolute_path)
            seen.setdefault((where, inner.message[:300]), inner)
        for where, message in list(seen)[:40]:
            print(f"{name}: {where}: {message}")
        bad += len(seen)
        print(f"{name}: {'valid' if not seen else f'{len(seen)} kinds of mistakes'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
