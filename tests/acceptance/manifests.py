#!/usr/bin/env python3
"""Is elt's manifest.json of a project the one that dbt writes?

    tests/acceptance/manifests.py THEIRS OURS [--details N]

THEIRS is the manifest.json of `dbt parse`, OURS that of `elt parse`, of the same project. Compared are the ids of
everything, parent_map and child_map, and of nodes, sources, exposures and the like the keys that tools live on.
What is the adapter's own matter (the database, dbt's own macros) is left out. Prints how many differ of each
kind, with the first few. Exit code 1 if any differ.
"""

import argparse
import collections
import json
import sys

LISTS = ["nodes", "sources", "exposures", "metrics", "groups", "semantic_models", "saved_queries", "unit_tests"]
# Macros that come with dbt and its adapter: elt has its own.
BUILT_IN = ("macro.dbt.", "macro.dbt_duckdb.", "macro.dbt_postgres.", "macro.elt.")
KEYS = [
    "name", "resource_type", "package_name", "path", "original_file_path", "unique_id", "fqn", "alias", "schema",
    "tags", "description", "meta", "group", "refs", "sources", "columns", "checksum", "patch_path", "raw_code",
    "language", "docs", "contract", "access", "constraints", "version", "latest_version", "deprecation_date",
    "primary_key", "test_metadata", "column_name", "attached_node", "file_key_name", "source_name", "identifier",
    "loader", "source_description", "source_meta", "loaded_at_field", "freshness", "external", "quoting",
    "unrendered_config", "doc_blocks", "model", "given", "expect", "overrides", "tested_node_unique_id", "maturity",
    "owner", "url", "label", "type", "type_params", "filter", "query_params", "exports", "entities", "measures",
    "dimensions", "defaults", "node_relation", "time_granularity",
]
# What an adapter decides, or dbt keeps for itself.
LEFT_OUT = {"database", "created_at", "root_path", "compiled", "compiled_code", "compiled_path", "build_path", "relation_name"}


def normal(value):
    """A value in which nothing matters that means nothing: places of folders, ends of lines."""
    if isinstance(value, dict):
        return {key: normal(inner) for key, inner in value.items() if key not in LEFT_OUT}
    if isinstance(value, list):
        return [normal(inner) for inner in value]
    return value


def is_built_in(name):
    return name.startswith(BUILT_IN)


def configs(entry):
    return {key: value for key, value in normal(entry.get("config", {})).items()}


def compare(theirs, ours):
    """Every difference: its kind, where it is, what dbt has and what elt has."""
    for name in LISTS:
        there, here = theirs.get(name, {}), ours.get(name, {})
        for node in sorted(set(there) - set(here)):
            yield f"{name}: missing", node, "", ""
        for node in sorted(set(here) - set(there)):
            yield f"{name}: too many", node, "", ""
        for node in sorted(set(there) & set(here)):
            one, other = normal(there[node]), normal(here[node])
            for key in KEYS:
                # How dbt hashes a unit test is its own matter; nothing but dbt compares the hashes.
                if (name, key) == ("unit_tests", "checksum"):
                    continue
                if key in one and one.get(key) != other.get(key):
                    yield f"{name}: {key}", node, one.get(key), other.get(key)
            before, after = configs(one), configs(other)
            for key in sorted(set(before) | set(after)):
                if before.get(key) != after.get(key):
                    yield f"{name}: config.{key}", node, before.get(key), after.get(key)
            for kind in ("nodes", "macros"):
                def listed(entry):
                    found = entry.get("depends_on", {}).get(kind, [])
                    return sorted(set(item for item in found if not is_built_in(item)))
                if listed(one) != listed(other):
                    yield f"{name}: depends_on.{kind}", node, listed(one), listed(other)
            for key in sorted(set(one) - set(other) - {"config", "depends_on"}):
                yield f"{name}: no key {key}", node, one[key], None
    for kind in ("macros", "docs"):
        there = {key: value for key, value in theirs[kind].items() if not is_built_in(key) and not key.startswith("doc.dbt.")}
        here = {key: value for key, value in ours[kind].items() if not is_built_in(key) and not key.startswith("doc.elt.")}
        for item in sorted(set(there) - set(here)):
            yield f"{kind}: missing", item, "", ""
        for item in sorted(set(here) - set(there)):
            yield f"{kind}: too many", item, "", ""
        for item in sorted(set(there) & set(here)):
            one, other = there[item], here[item]
            for key in ("name", "package_name", "path", "original_file_path", "description", "arguments", "meta", "block_contents", "patch_path", "docs"):
                if key in one and one[key] != other.get(key):
                    yield f"{kind}: {key}", item, one[key], other.get(key)
            inner = [sorted(x for x in entry.get("depends_on", {}).get("macros", []) if not is_built_in(x)) for entry in (one, other)]
            if inner[0] != inner[1]:
                yield f"{kind}: depends_on.macros", item, *inner
            texts = [entry.get("macro_sql", "").strip() for entry in (one, other)]
            if texts[0] != texts[1]:
                yield f"{kind}: macro_sql", item, texts[0][:80], texts[1][:80]
    for name in ("parent_map", "child_map", "group_map"):
        there, here = theirs[name], ours[name]
        for node in sorted(set(there) | set(here)):
            if is_built_in(node):
                continue
            if node not in there or node not in here:
                yield f"{name}: {'missing' if node in there else 'too many'}", node, "", ""
            elif sorted(there[node]) != sorted(here[node]):
                yield name, node, sorted(there[node]), sorted(here[node])
    before, after = set(theirs["disabled"]), set(ours["disabled"])
    for node in sorted(before ^ after):
        yield f"disabled: {'missing' if node in before else 'too many'}", node, "", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("theirs")
    parser.add_argument("ours")
    parser.add_argument("--details", type=int, default=2, help="so many of each kind")
    asked = parser.parse_args()
    with open(asked.theirs) as theirs, open(asked.ours) as ours:
        theirs, ours = json.load(theirs), json.load(ours)
    found = collections.defaultdict(list)
    for kind, node, one, other in compare(theirs, ours):
        found[kind].append((node, one, other))
    counts = {name: len(theirs.get(name, {})) for name in LISTS if theirs.get(name)}
    print("compared: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    for kind, all_of in found.items():
        print(f"{kind}: {len(all_of)}")
        for node, one, other in all_of[: asked.details]:
            print(f"    {node}")
            if one != "" or other != "":
                print(f"        dbt {json.dumps(one)[:300]}")
                print(f"        elt {json.dumps(other)[:300]}")
    print(f"{sum(map(len, found.values()))} differences of {len(found)} kinds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
