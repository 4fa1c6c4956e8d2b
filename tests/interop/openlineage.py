#!/usr/bin/env python3
"""Are the events that elt sends valid OpenLineage, and do they tell what happened?

    python3 tests/interop/openlineage.py --elt target/release/elt [--spec OpenLineage/spec]

Builds a small project with events to a file and to a web server, well and badly, lands files, writes by statements, promotes and
rolls back, and validates every event and every
facet against the schemas that they name: from a folder with the specification (`OpenLineage.json` and `facets/`), or,
without one, from where the schemas are published. Needs the package `jsonschema`.
"""

import argparse
import http.server
import json
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

try:
    from jsonschema import Draft202012Validator, FormatChecker
    from referencing import Registry, Resource
except ImportError:
    sys.exit("install jsonschema first: pip install 'jsonschema[format]'")


class Schemas:
    """The published schemas, by their addresses."""

    def __init__(self, folder):
        self.folder = folder
        self.known = {}

    def read(self, address):
        """The schema at an address, from the folder if there is one."""
        if address not in self.known:
            if self.folder:
                name = address.rsplit("/", 1)[1]
                path = self.folder / name if name == "OpenLineage.json" else self.folder / "facets" / name
                schema = json.loads(path.read_text())
                assert schema["$id"] == address, f"{path} is {schema['$id']}, and events name {address}"
            else:
                with urllib.request.urlopen(address, timeout=30) as answer:
                    schema = json.load(answer)
            self.known[address] = Resource.from_contents(schema)
        return self.known[address]

    def check(self, value, url):
        """Refuses a value that its schema refuses."""
        registry = Registry(retrieve=self.read)
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": url}
        Draft202012Validator(schema, registry=registry, format_checker=FormatChecker()).validate(value)


def facets(value):
    """Every facet in an event."""
    if isinstance(value, dict):
        if "_schemaURL" in value:
            yield value
        for below in value.values():
            yield from facets(below)
    elif isinstance(value, list):
        for below in value:
            yield from facets(below)


def project(folder):
    """A source, a seed, a view, two tables, and tests of which one warns."""
    files = {
        "dbt_project.yml": "name: shop\n",
        "models/shop.yml": """
sources: [{name: raw, tables: [{name: orders, config: {location: inbox/orders.csv}}]}]
models:
  - name: cities
    columns: [{name: city, data_tests: [not_null, unique]}, {name: cents, data_tests: [{accepted_values: {arguments: {values: [1]}, config: {severity: warn}}}]}]
""",
        "models/stg_orders.sql": "select id, person, amount * 100 as cents from {{ source('raw', 'orders') }}",
        "models/cities.sql": "{{ config(materialized='table') }} select city, sum(cents) as cents from {{ ref('stg_orders') }} join {{ ref('people') }} using (person) where id > 0 group by city",
        "models/report.sql": "{{ config(materialized='table') }} select upper(city) as city, cents from {{ ref('cities') }}",
        "seeds/people.csv": "person,city\n1,Oslo\n2,Rome\n",
        "inbox/orders.csv": "id,person,amount\n1,1,5\n2,2,7\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


STATEMENTS = [
    ("create table kept as select id, person from raw.orders", 0),
    ("insert into kept select id + 10, person from raw.orders", 0),
    ("merge into kept using raw.orders as o on kept.id = o.id when matched then update set person = o.amount when not matched then insert (id, person) values (o.id, o.person)", 0),
    ("update kept set person = 9 where id = 1", 0),
    ("delete from kept where id = 2", 0),
    ("create view seen as select person, count(*) as n from kept group by person", 0),
    ("create table then as select count(*) as n from kept version as of 0", 0),
    ("copy into copied from 'inbox/orders.csv' fileformat = csv", 0),
    ("insert into kept select 1 / 0, 1 from raw.orders", 1),
    ("insert into kept select nothing from raw.orders", 2),
    ("truncate table then", 0),
    ("drop view seen", 0),
    ("drop table then", 0),
]


def writes(elt, folder):
    """Events of what is written outside a build."""
    place = {"OPENLINEAGE_URL": "written.jsonl"}
    report = "{{ config(materialized='table') }} select %s as city, cents from {{ ref('cities') }}"
    (folder / "models/report.sql").write_text(report % "lower(city)")
    elt("land", "raw.more", "inbox/orders.csv", **place)
    elt("land", "raw.more", "inbox/none.csv", code=2, **place)
    for sql, code in STATEMENTS:
        elt("sql", "-c", sql, code=code, **place)
    (folder / "profiles.yml").write_text(PROFILES)
    elt("build", "--target", "prod")
    (folder / "models/report.sql").write_text(report % "trim(city)")
    elt("build", "--target", "dev")
    elt("promote", "dev", **place)
    elt("rollback", "--target", "prod", **place)
    return [json.loads(line) for line in (folder / "written.jsonl").read_text().splitlines()]


PROFILES = "shop:\n  target: prod\n  outputs:\n    prod: {type: elt, schema: main}\n    dev: {type: elt, schema: dev}\n"


def told_of_writes(events):
    """What the events of writes must say."""
    ends = [event for event in events if event["eventType"] != "START"]
    assert len(ends) * 2 == len(events), "each has a beginning and an end"

    def end(job, state="COMPLETE"):
        found = [one for one in ends if one["job"]["name"].split(".", 1)[1] == job and one["eventType"] == state]
        assert found, f"{state} of {job} is not among {[(one['job']['name'], one['eventType']) for one in ends]}"
        return found[0]

    def short(items):
        return sorted(item["name"].rsplit("/", 1)[1] for item in items)

    def became(job):
        return [item["facets"].get("lifecycleStateChange", {}).get("lifecycleStateChange") for item in end(job)["outputs"]]

    for job in ("land.raw.more", "land.main.copied"):
        assert short(end(job)["inputs"]) == ["orders.csv"] and short(end(job)["outputs"]) == [job.rsplit(".", 1)[1]], job
    assert "errorMessage" in end("land.raw.more", "FAIL")["run"]["facets"]
    for job in ("create_table", "insert", "merge"):
        assert short(end(f"sql.{job}.main.kept")["inputs"]) == ["orders"], job
    merged = end("sql.merge.main.kept")["outputs"][0]["facets"]["columnLineage"]["fields"]["person"]["inputFields"]
    assert sorted(field["field"] for field in merged) == ["amount", "person"], merged
    assert end("sql.insert.main.kept", "FAIL")["run"]["facets"]["errorMessage"]["message"]
    assert end("sql.create_table.main.then")["inputs"][0]["facets"]["version"]["datasetVersion"] == "0"
    assert became("sql.create_table.main.kept") == ["CREATE"] and became("sql.insert.main.kept") == [None]
    assert became("sql.truncate.main.then") == ["TRUNCATE"]
    assert became("sql.drop_table.main.then") == ["DROP"] and became("sql.drop_view.main.seen") == ["DROP"]
    promoted = end("promote.dev")
    assert [item["name"].rsplit("/", 2)[1:] for item in promoted["inputs"]] == [["dev", "report"]], promoted["inputs"]
    assert [item["name"].rsplit("/", 2)[1:] for item in promoted["outputs"]] == [["main", "report"]]
    assert short(end("rollback")["outputs"]) == ["report"]


class Server(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    events, keys = [], set()

    def do_POST(self):
        assert self.path == "/api/v1/lineage", self.path
        body = self.rfile.read(int(self.headers["content-length"]))
        Server.events.append(json.loads(body))
        Server.keys.add(self.headers.get("authorization"))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--elt", type=Path, required=True)
    parser.add_argument("--spec", type=Path, help="folder with OpenLineage.json and facets/")
    arguments = parser.parse_args()
    schemas = Schemas(arguments.spec)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        project(folder)

        def elt(*words, code=0, **env):
            done = subprocess.run([arguments.elt.resolve(), "--project-dir", folder, *words], env={"HOME": str(folder), "PATH": "/usr/bin:/bin", **env}, cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
            return done.stdout

        elt("build", "--openlineage-url", "events.jsonl")
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        (folder / "models/report.sql").write_text("select nothing from {{ ref('cities') }}")
        elt("build", code=2, OPENLINEAGE_URL=url, OPENLINEAGE_API_KEY="key", OPENLINEAGE_NAMESPACE="warehouse")
        (folder / "models/report.sql").write_text("select {{ nothing } from {{ ref('cities') }}")
        elt("build", code=2, OPENLINEAGE_URL=url, OPENLINEAGE_API_KEY="key")
        written = writes(elt, folder)
        drawn = [json.loads(line) for line in elt("lineage", "report", "--upstream", "--format", "openlineage").splitlines()]

    for event in events + Server.events + written + drawn:
        schemas.check(event, event["schemaURL"])
        for facet in facets(event):
            schemas.check(facet, facet["_schemaURL"])

    # What is told.
    by_job = {}
    for event in events:
        by_job.setdefault(event["job"]["name"], []).append(event)
    assert all(states[0]["eventType"] == "START" and len(states) == 2 for states in by_job.values()), by_job.keys()
    ids = {event["run"]["runId"] for event in events}
    assert len(ids) == len(by_job), "every job has a run of its own"
    cities = by_job["model.shop.cities"][1]
    assert cities["eventType"] == "COMPLETE"
    output = cities["outputs"][0]
    assert output["name"].endswith("/lake/tables/main/cities"), output["name"]
    assert output["facets"]["version"]["datasetVersion"] == "0"
    assert [field["name"] for field in output["facets"]["schema"]["fields"]] == ["city", "cents"]
    cents = output["facets"]["columnLineage"]["fields"]["cents"]["inputFields"]
    assert [(field["field"], field["transformations"][0]["subtype"]) for field in cents] == [("cents", "AGGREGATION")], cents
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert {item["name"].rsplit("/", 1)[1] for item in cities["inputs"]} == {"people", "stg_orders"}
    checks = [item["inputFacets"]["dataQualityAssertions"]["assertions"][0] for states in by_job.values() for item in states[1]["inputs"] if "inputFacets" in item]
    told = sorted((check["assertion"], check["success"], check.get("severity")) for check in checks)
    assert told == [("accepted_values", False, "warn"), ("not_null", True, "error"), ("unique", True, "error")], told
    states = [(event["job"]["name"].split(".")[-1], event["eventType"]) for event in Server.events]
    assert ("report", "FAIL") in states and states.count(("build", "FAIL")) == 2, states
    assert Server.keys == {"Bearer key"}
    assert {event["job"]["namespace"] for event in Server.events} == {"warehouse", "elt"}
    assert drawn, "the graph has events"
    told_of_writes(written)
    print(f"{len(events) + len(Server.events) + len(written) + len(drawn)} events are valid, and tell what happened")


if __name__ == "__main__":
    main()
