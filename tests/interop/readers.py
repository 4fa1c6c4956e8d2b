"""Who reads Delta tables besides elt?

A reader opens a table's folder at a version (nothing: the newest) and hands over its rows as Arrow, or
counts the rows where a column has a value. Between them they have three implementations of the log
(delta-rs, Polars' use of it, and the Delta kernel in DuckDB) and three of Parquet.
"""

from pathlib import Path
from typing import Protocol

import polars
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, QueryBuilder

from rows import as_text


def features(table: DeltaTable) -> set[str]:
    """What a reader must know."""
    return set(table.protocol().reader_features or [])


class Reader(Protocol):
    """One program that reads Delta tables."""

    name: str

    def knows(self, folder: Path, version: int | None = None) -> bool:
        """Whether it has all the table's features. One that has not refuses the table, which is no difference."""
        return True

    def rows(self, folder: Path, version: int | None = None) -> pa.Table:
        """All rows of the table at a version."""

    def count(self, folder: Path, column: str, value: pa.Scalar, sql_type: str) -> int:
        """How many rows have this value, found with the help of the files' statistics."""


class DeltaLake(Reader):
    """delta-rs for the log; Arrow C++ for the files, or its own engine where rows are hidden."""

    name = "deltalake"

    def rows(self, folder: Path, version: int | None = None) -> pa.Table:
        table = DeltaTable(folder, version=version)
        if {"deletionVectors", "columnMapping"} & features(table):
            # Arrow's own reader knows neither; delta-rs's query engine does.
            return pa.table(QueryBuilder().register("t", table).execute("select * from t").read_all())
        return table.to_pyarrow_table()

    def count(self, folder: Path, column: str, value: pa.Scalar, sql_type: str) -> int:
        return DeltaTable(folder).to_pyarrow_dataset().count_rows(filter=pc.field(column) == value)


class Polars(Reader):
    """delta-rs for the log, Polars' own Parquet."""

    name = "polars"

    def knows(self, folder: Path, version: int | None = None) -> bool:
        return "columnMapping" not in features(DeltaTable(folder, version=version))

    def rows(self, folder: Path, version: int | None = None) -> pa.Table:
        return polars.read_delta(str(folder), version=version).to_arrow()

    def count(self, folder: Path, column: str, value: pa.Scalar, sql_type: str) -> int:
        frame = polars.scan_delta(str(folder))
        wanted = polars.lit(value.as_py(), dtype=frame.collect_schema()[column])
        return frame.filter(polars.col(column) == wanted).select(polars.len()).collect().item()


class DuckDb(Reader):
    """The Delta kernel for the log, DuckDB's own Parquet."""

    name = "duckdb"

    def __init__(self) -> None:
        import duckdb
        import duckdb_extension_delta

        extension = next(Path(duckdb_extension_delta.__file__).parent.rglob("delta.duckdb_extension"))
        self.session = duckdb.connect(config={"allow_unsigned_extensions": "true"})
        self.session.execute(f"load '{extension}'")
        self.session.execute("set timezone = 'UTC'")

    def rows(self, folder: Path, version: int | None = None) -> pa.Table:
        at = "" if version is None else f", version => {version}"
        return self.session.sql(f"select * from delta_scan('{folder}'{at})").to_arrow_table()

    def count(self, folder: Path, column: str, value: pa.Scalar, sql_type: str) -> int:
        wanted = f"cast('{as_text(value)}' as {sql_type})"
        found = self.session.sql(f"""select count(*) from delta_scan('{folder}') where "{column}" = {wanted}""")
        return found.fetchone()[0]


def installed() -> tuple[list[Reader], str | None]:
    """The readers that there are, and why there are no more."""
    readers: list[Reader] = [DeltaLake(), Polars()]
    try:
        return [*readers, DuckDb()], None
    except Exception as error:  # whatever stops it, the others are worth their run
        return readers, f"duckdb's delta extension does not load: {error}"
