"""Parquet files as rows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from support.loading import Load, Types


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
