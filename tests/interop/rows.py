"""Are two tables the same rows?

Every column is brought to a form in which equal means equal to the last bit: integers as they are,
floats by their bits, decimals by their value, timestamps as microseconds (with a zone: UTC instants;
without: no zone is invented), bytes as hex, nested values as JSON. Then both tables are sorted by all
their columns. Order is no part of a table; how often a row comes is.
"""

import json
import re
from collections import Counter
from decimal import Decimal
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

SCALARS = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "varchar": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
}


def arrow_type(sql_type: str) -> pa.DataType | None:
    """The Arrow type of a type that elt's DESCRIBE names; nothing for a nested one."""
    if decimal := re.fullmatch(r"decimal\((\d+),(\d+)\)", sql_type):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    return SCALARS.get(sql_type)


def from_jsonl(text: str, types: dict[str, str]) -> pa.Table:
    """The rows that elt printed, in the types that elt says they have.

    A value that is not of its column's type ends the run: 1.0 is no int, and text without a zone is no
    timestamptz.
    """
    rows = [json.loads(line, parse_float=Decimal) for line in text.splitlines()]
    for row in rows:
        if list(row) != list(types):
            raise ValueError(f"a row has the keys {list(row)} and not {list(types)}")
    columns = [_column([row[name] for row in rows], arrow_type(sql_type)) for name, sql_type in types.items()]
    return pa.table(columns, names=list(types))


def _column(values: list, wanted: pa.DataType | None) -> pa.Array:
    """JSON values as a column; nested ones stay JSON."""
    if wanted is None:
        return pa.array([None if value is None else _nested(value) for value in values], pa.string())
    if pa.types.is_floating(wanted):
        return pa.array([None if value is None else float(value) for value in values], pa.float64()).cast(wanted)
    if pa.types.is_binary(wanted):
        return pa.array([None if value is None else bytes.fromhex(value) for value in values], wanted)
    if pa.types.is_date(wanted) or pa.types.is_timestamp(wanted):
        return pa.array(values, pa.string()).cast(wanted)
    if pa.types.is_decimal(wanted):
        return pa.array([None if value is None else Decimal(value) for value in values], wanted)
    if pa.types.is_integer(wanted) and any(type(value) is Decimal for value in values):
        raise ValueError(f"a column of {wanted} has a fraction in it")
    return pa.array(values, wanted)


def _nested(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def difference(ours: pa.Table, theirs: pa.Table, types: dict[str, str]) -> str | None:
    """What is different between elt's table and a reader's, in a few lines; nothing if they are the same."""
    if ours.column_names != theirs.column_names:
        return f"columns: elt has {ours.column_names}, the reader {theirs.column_names}"
    for name, sql_type in types.items():
        wanted, found = arrow_type(sql_type), _plain(theirs.schema.field(name).type)
        if wanted is not None and wanted != found:
            return f"type of {name}: elt has {sql_type}, the reader {found}"
    if ours.num_rows != theirs.num_rows:
        return f"rows: elt has {ours.num_rows:,}, the reader {theirs.num_rows:,}"
    ours, theirs = _canonical(ours), _canonical(theirs)
    return None if ours.equals(theirs) else _first_difference(ours, theirs)


def _plain(found: pa.DataType) -> pa.DataType:
    """A reader's type without what is only its way to hold it in memory."""
    if pa.types.is_dictionary(found):
        return _plain(found.value_type)
    if pa.types.is_large_string(found) or pa.types.is_string_view(found):
        return pa.string()
    if pa.types.is_large_binary(found) or pa.types.is_binary_view(found):
        return pa.binary()
    if pa.types.is_timestamp(found) and found.tz is not None:
        return pa.timestamp(found.unit, "UTC")
    return found


def _canonical(table: pa.Table) -> pa.Table:
    """The same rows with every column in its comparable form, sorted."""
    columns = [_comparable(column.combine_chunks()) for column in table.columns]
    table = pa.table(columns, names=[str(number) for number in range(len(columns))])
    return table.sort_by([(name, "ascending") for name in table.column_names]).combine_chunks()


def _comparable(column: pa.Array) -> pa.Array:
    plain = _plain(column.type)
    if pa.types.is_nested(plain):
        return pa.array([None if value is None else _nested(value) for value in column.to_pylist()], pa.string())
    column = column.cast(plain)
    if pa.types.is_floating(plain):
        return column.view(pa.int64() if plain.bit_width == 64 else pa.int32())
    if pa.types.is_timestamp(plain):
        return column.cast(pa.timestamp("us", plain.tz)).view(pa.int64())
    if pa.types.is_date(plain):
        return column.view(pa.int32())
    if pa.types.is_binary(plain):
        return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())
    return column


def _first_difference(ours: pa.Table, theirs: pa.Table) -> str:
    ours, theirs = (Counter(map(str, table.to_pylist())) for table in (ours, theirs))
    only_ours, only_theirs = ours - theirs, theirs - ours
    shown = [f"elt has        {row}" for row in islice(only_ours, 2)] + [f"the reader has {row}" for row in islice(only_theirs, 2)]
    return "\n".join([f"{only_ours.total():,} rows differ; in comparable form, columns by number:", *shown])


def edges(table: pa.Table, types: dict[str, str]) -> list[tuple[str, pa.Scalar]]:
    """The least and the greatest value of each column that has an order.

    They are what a file's statistics say. Statistics that were cut short or rounded lose just these rows.
    """
    found = []
    for name, sql_type in types.items():  # bytes and nested values have no statistics
        if sql_type == "binary" or arrow_type(sql_type) is None:
            continue
        for value in pc.min_max(table[name]).values():
            if value.is_valid and (name, value) not in found:
                found.append((name, value))
    return found


def as_text(value: pa.Scalar) -> str:
    """A value as SQL reads it from a quoted text."""
    return value.cast(pa.string()).as_py().replace("'", "''")
