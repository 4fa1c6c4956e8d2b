"""What does elt say? Its command line, asked as any other program would."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from rows import as_text, from_jsonl

HERE = Path(__file__).resolve().parent


class EltFailed(Exception):
    """elt ended with another exit code than it should."""


@dataclass(frozen=True)
class Table:
    """A published table: its name, the version that readers see, and how many rows elt says it has."""

    schema: str
    name: str
    version: int
    rows: int

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


class Lakehouse:
    """A copy of the project in a folder of its own, and its lake."""

    def __init__(self, elt: Path, project: Path, folder: Path) -> None:
        self.elt, self.root = elt, folder
        for name in ("dbt_project.yml", "models", "sql", "tests/data"):
            copy = shutil.copytree if (project / name).is_dir() else shutil.copy
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy(project / name, folder / name)
        shutil.copytree(HERE / "models", folder / "models" / "interop")

    def run(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess:
        """Runs elt in the project, and insists on its exit code."""
        environment = {key: value for key, value in os.environ.items() if key not in ("ELT_LAKE", "DBT_PROJECT_DIR")}
        done = subprocess.run(
            [self.elt, *arguments], cwd=self.root, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, encoding="utf-8", check=False,
        )
        if done.returncode != expect:
            said = (done.stdout + done.stderr).strip()
            raise EltFailed(f"`elt {' '.join(arguments)}` ended with {done.returncode} and not {expect}:\n{said}")
        return done

    def query(self, sql: str) -> list[dict]:
        """Rows as elt's JSON has them."""
        return json.loads(self.run("sql", "--format", "json", sql).stdout)

    def tables(self) -> list[Table]:
        """The published tables; views have no folder."""
        return [
            Table(row["schema"], row["name"], int(row["version"]), int(row["rows"]))
            for row in self.query("show tables")
            if row["type"] == "table"
        ]

    def table(self, name: str) -> Table:
        """One of them."""
        return next(table for table in self.tables() if str(table) == name)

    def folder(self, table: Table) -> Path:
        """Where a table's Delta log and files are."""
        return self.root / "lake" / "tables" / table.schema / table.name

    def types(self, table: Table) -> dict[str, str]:
        """Columns in order, with the types that elt gives them."""
        return {row["column_name"]: row["column_type"] for row in self.query(f"describe {table}")}

    def rows(self, table: Table, version: int | None = None) -> pa.Table:
        """All rows of a table, at an older version or as readers see it."""
        at = "" if version is None else f" version as of {version}"
        text = self.run("sql", "--format", "jsonl", f"select * from {table}{at}").stdout
        return from_jsonl(text, self.types(table))

    def counts(self, table: Table, wanted: list[tuple[str, pa.Scalar]], types: dict[str, str]) -> list[int]:
        """How many rows have each of these values, asked in one statement."""
        parts = [
            f"""(select count(*) from {table} where "{column}" = cast('{as_text(value)}' as {types[column]})) as n{at}"""
            for at, (column, value) in enumerate(wanted)
        ]
        return list(self.query(f"select {', '.join(parts)}")[0].values())

    def releases(self) -> list[dict]:
        """The releases, newest first."""
        return json.loads(self.run("releases", "--format", "json").stdout)
