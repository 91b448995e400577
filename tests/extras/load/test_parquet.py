"""What a Parquet file holds is what its table has; a file that is none is one sentence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowvec.errors import BadRow
from rowvec.load.loader import load
from rowvec.load.report import Options
from rowvec.load.tables import Reading, TableFiles
from support.loading import Load, Types
from support.postgres import Database

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
DECIMALS = st.decimals(-(10**20), 10**20, places=5)
MOMENTS = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))  # noqa: DTZ001
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "tiny": (pa.int8(), st.integers(-(2**7), 2**7 - 1)),
    "whole": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "unsigned": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "double": (pa.float64(), st.floats(allow_nan=False)),
    "decimal": (pa.decimal128(38, 5), DECIMALS),
    "flag": (pa.bool_(), st.booleans()),
    "text": (pa.string(), TEXTS),
    "bytes": (pa.binary(), st.binary(max_size=20)),
    "moment": (pa.timestamp("us"), MOMENTS),
    "day": (pa.date32(), st.dates()),
    "time": (pa.time64("us"), st.times()),
    "texts": (pa.list_(pa.string()), st.lists(TEXTS | st.none(), max_size=4)),
    "wholes": (pa.list_(pa.int64()), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4)),
}
# What a column of jsonb holds: numbers are compared as numbers.
NESTED: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "object": (
        pa.struct({"n": pa.int64(), "d": pa.decimal128(38, 5), "t": pa.list_(pa.string())}),
        st.fixed_dictionaries(
            {"n": st.integers(-(2**63), 2**63 - 1), "d": DECIMALS, "t": st.lists(TEXTS, max_size=3)}
        ),
    ),
    "map": (pa.map_(pa.string(), pa.int64()), st.dictionaries(TEXTS, st.integers(0, 2**63 - 1))),
}
ROWS = st.lists(
    st.fixed_dictionaries(
        {key: st.none() | values for key, (_, values) in (COLUMNS | NESTED).items()}
    ),
    min_size=1,
    max_size=70,
)


@pytest.fixture
def fresh(empty_database: Database) -> Iterator[psycopg.Connection]:
    with empty_database.connect() as fresh:
        yield fresh


def load_file(fresh: psycopg.Connection, file: Path) -> None:
    load(fresh, "t", TableFiles([file], Reading()).source(), Options())


@settings(deadline=None, derandomize=True, max_examples=60, suppress_health_check=list(HealthCheck))
@given(rows=ROWS)
def test_any_values(
    fresh: psycopg.Connection, tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
) -> None:  # fmt: skip
    file = tmp_path_factory.mktemp("parquet") / "rows.parquet"
    types = {key: type_ for key, (type_, _) in (COLUMNS | NESTED).items()}
    data = [row | {"map": None if row["map"] is None else [*row["map"].items()]} for row in rows]
    pq.write_table(pa.Table.from_pylist(data, pa.schema(types)), file)
    load_file(fresh, file)
    names = ", ".join(COLUMNS)
    found = fresh.execute(f"SELECT {names} FROM t ORDER BY id".encode()).fetchall()
    assert found == [tuple(row[key] for key in COLUMNS) for row in rows]
    nested = fresh.execute(
        "SELECT (object ->> 'n')::numeric, (object ->> 'd')::numeric, object -> 't', map"
        " FROM t ORDER BY id"
    ).fetchall()
    fresh.execute("DROP TABLE t")
    for (n, d, texts, mapped), row in zip(nested, rows, strict=True):
        assert {"n": n, "d": d, "t": texts} == (row["object"] or {"n": None, "d": None, "t": None})
        assert mapped == row["map"]


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (-210_866_803_200_000_000, 1), (-62_135_596_800_000_001, 1), (2**62, 1),
        (10**12, 1_000_000), (2_145_031_948, 86_400_000_000),
    ],
)  # fmt: skip
def test_times_beyond_python(
    fresh: psycopg.Connection, tmp_path: Path, value: int, unit: int
) -> None:
    """Up to the ends of Postgres's own, 4714 BC to 294276 and to 5874897 for a date."""
    file = tmp_path / "a.parquet"
    type_ = {1: pa.timestamp("us"), 1_000_000: pa.timestamp("s", "UTC")}.get(unit, pa.date32())
    whole = pa.array([value, None], pa.int32() if pa.types.is_date(type_) else pa.int64())
    pq.write_table(pa.table({"at": whole.cast(type_)}), file)
    load_file(fresh, file)
    seconds = "SELECT extract(epoch FROM at) FROM t ORDER BY id"
    assert fresh.execute(seconds.encode()).fetchall() == [
        (Decimal(value * unit) / 1_000_000,), (None,),
    ]  # fmt: skip


def test_two_columns_of_one_name(fresh: psycopg.Connection, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table([pa.array([1]), pa.array(["x"])], names=["a", "a"]), file)
    load_file(fresh, file)
    assert fresh.execute("SELECT a, a_2 FROM t").fetchall() == [(1, "x")]


def test_decimals_within_a_list_stay_numbers(fresh: psycopg.Connection, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    lists = pa.array([[[Decimal("1.10")]]], pa.list_(pa.list_(pa.decimal128(10, 2))))
    pq.write_table(pa.table({"a": lists}), file)
    load_file(fresh, file)
    assert fresh.execute("SELECT a::text FROM t").fetchall() == [("[[1.10]]",)]


def broken(whole: bytes, kind: str) -> bytes:
    match kind:
        case "empty":
            return b""
        case "cut off":
            return whole[:-100]
        case "another format":
            return b"id,body\n1,x\n" * 50
        case _:
            return whole[:60] + b"\xff" * 300 + whole[360:]


@pytest.mark.parametrize("kind", ["empty", "cut off", "another format", "overwritten"])
def test_a_file_that_is_none(fresh: psycopg.Connection, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [str(n) for n in range(2000)]}), file)
    file.write_bytes(broken(file.read_bytes(), kind))
    with pytest.raises(BadRow, match="no file of Parquet, or cut off"):
        load_file(fresh, file)


def test_parquet_files_with_differing_columns(
    load: Load, connection: psycopg.Connection, types: Types, tmp_path: Path
) -> None:
    when = dt.datetime(2020, 2, 29, 12, tzinfo=dt.UTC)
    pq.write_table(pa.table({"n": pa.array([1], pa.int32()), "t": ["a"], "l": [[1.5, None]]}),
                   tmp_path / "a.parquet")  # fmt: skip
    pq.write_table(pa.table({"n": pa.array([2.5]), "at": [when], "o": [{"x": b"\x00"}],
                             "b": [b"\x00\xff"]}), tmp_path / "b.parquet")  # fmt: skip
    load("t", tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert types("t") == {
        "id": "bigint", "n": "double precision", "t": "text", "l": "double precision[]",
        "at": "timestamp with time zone", "o": "jsonb", "b": "bytea",
    }  # fmt: skip
    assert connection.execute("SELECT * FROM t ORDER BY id").fetchall() == [
        (1, 1.0, "a", [1.5, None], None, None, None),
        (2, 2.5, None, None, when, {"x": "\\x00"}, b"\x00\xff"),
    ]
