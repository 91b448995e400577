"""Rows that are copied together arrive as they do one by one, or are left to that way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowvec.db.landing import Landing
from rowvec.load.shape import JsonShape
from rowvec.rows.columns import Names
from support.postgres import Database

WHOLE = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.sampled_from(
    ["\\", "\\N", "\\.", "a\tb\nc\r\\d", "null", "", "{}", "\x01\x1f\x7f"]
)
# What stands under each key, and the row that shows its type.
VALUES = {
    "whole": WHOLE,
    "float": FLOAT | st.integers(1 - 2**53, 2**53 - 1),
    "flag": st.booleans(),
    "text": TEXT,
    "object": st.dictionaries(TEXT, TEXT | WHOLE | st.none(), max_size=3) | TEXT | WHOLE | FLOAT,
    "list": st.lists(TEXT | st.none(), max_size=3),
    "never": st.none(),
}
FIRST = {
    "whole": -(2**63), "float": 0.5, "flag": True, "text": "a", "object": {}, "list": ["a"],
    "never": None,
}  # fmt: skip
TYPES = {
    "whole": "bigint", "float": "double precision", "flag": "boolean", "text": "text",
    "object": "jsonb", "list": "text[]",
}  # fmt: skip
ROWS = st.lists(
    st.fixed_dictionaries({}, optional={key: st.none() | of for key, of in VALUES.items()}),
    min_size=1, max_size=20,
)  # fmt: skip


@pytest.fixture
def connection(empty_database: Database) -> Iterator[psycopg.Connection]:
    with empty_database.connect() as connection:
        yield connection


@pytest.fixture
def shape() -> JsonShape:
    return seen()


def seen() -> JsonShape:
    """A shape that saw the first row."""
    shape = JsonShape(Names(()), {})
    shape.values(FIRST)
    assert shape.changes.take().added == TYPES
    return shape


@settings(deadline=None, derandomize=True, max_examples=60, suppress_health_check=list(HealthCheck))
@given(rows=ROWS)
def test_the_same_arrives(connection: psycopg.Connection, rows: list[dict[str, Any]]) -> None:
    shape = seen()
    lines = shape.block(rows)
    assert lines is not None
    with connection.transaction(force_rollback=True):
        together, single = (
            Landing(connection, ("pg_temp", name)) for name in ("together", "single")
        )
        for landing in (together, single):
            landing.create(TYPES, number="n", temporary=True)
            landing.columns = shape.columns
        together.write_block(lines, len(rows))
        together.flush()
        for row in rows:
            single.write(shape.values(row))
        single.flush()
        assert together.ignored == single.ignored == 0
        found = [
            connection.execute(f"SELECT t::text FROM {name} AS t ORDER BY n".encode()).fetchall()
            for name in ("together", "single")
        ]
    assert found[0] == found[1]
    assert not shape.changes


@pytest.mark.parametrize(
    "row",
    [
        {"new": 1}, {"whole": 2**63}, {"whole": 2**70}, {"whole": 0.5}, {"whole": True},
        {"whole": "1"}, {"float": float("inf")}, {"float": True}, {"float": 2**53}, {"flag": 1},
        {"text": "\0"},
        {"text": "\ud800"}, {"object": {"a": "\0"}}, {"list": "a"}, {"list": [["a"]]},
        {"never": 1},
    ],
    ids=str,
)  # fmt: skip
def test_what_needs_a_closer_look_is_left_to_the_other_way(
    shape: JsonShape, row: dict[str, Any]
) -> None:
    assert shape.block([FIRST, row]) is None
    assert shape.block([FIRST, FIRST]) is not None
