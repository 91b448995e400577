"""What goes into a table from a file is what comes out of it: any number, text and nesting."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowvec.load.loader import load
from rowvec.load.report import Options
from rowvec.load.tables import Reading, TableFiles
from support.postgres import Database

DIGITS = st.integers(1, 45).flatmap(lambda n: st.integers(0, 10**n - 1))
NUMBERS = st.one_of(
    st.integers(-(2**64), 2**64).map(str),
    st.builds("{}{}".format, st.sampled_from(["", "-"]), DIGITS),
    st.builds("{}{}.{}".format, st.sampled_from(["", "-"]), DIGITS, DIGITS),
    st.builds("{}.{}e{}".format, DIGITS, DIGITS, st.integers(-420, 420)),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["0.5", "1", "9007199254740993", "1e400", "-0.0", "0.1"]),
)  # fmt: skip
TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20
) | st.sampled_from(["\\N", "null", "true", "007", "1.2.3.4.5.6.7.8.9.10", "1234567890123456789e5"])


class Number(str):
    """A number as a file has it."""

    __slots__ = ()


VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS.map(Number) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
# Columns of one kind, and one of anything.
COLUMNS = {
    "number": NUMBERS.map(Number), "numbers": st.lists(NUMBERS.map(Number), max_size=5),
    "text": TEXTS, "object": st.dictionaries(TEXTS, VALUES, max_size=3), "any": VALUES,
}  # fmt: skip
ROWS = st.lists(
    st.fixed_dictionaries({"last": st.just("end")}, optional=COLUMNS), min_size=1, max_size=80
)
SETTINGS = settings(
    deadline=None, derandomize=True, max_examples=60, suppress_health_check=list(HealthCheck)
)


@pytest.fixture
def connection(empty_database: Database) -> Iterator[psycopg.Connection]:
    with empty_database.connect() as connection:
        yield connection


def written(value: object) -> str:
    """The JSON of a value, numbers as they are."""
    match value:
        case Number():
            return str(value)
        case list():
            return "[" + ",".join(map(written, value)) + "]"
        case dict():
            return "{" + ",".join(f"{json.dumps(k)}:{written(v)}" for k, v in value.items()) + "}"
        case _:
            return json.dumps(value)


def read(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def loaded(connection: psycopg.Connection, file: Path) -> list[dict[str, Any]]:
    """The rows of the table that the file became, in order, as JSON has them."""
    source = TableFiles([file], Reading()).source()
    load(connection, "t", source, Options())
    found = connection.execute("SELECT to_jsonb(t)::text FROM t ORDER BY 1").fetchall()
    connection.execute("DROP TABLE t")
    rows = [read(text) for (text,) in found]
    return sorted(rows, key=lambda row: row.get("id") or row["row_id"])


def is_that_double(found: Decimal, given_: Decimal) -> bool:
    """Of a double beyond 2**53 Postgres prints more digits than Python: still the same double."""
    return float(found) == float(given_) and Decimal(repr(float(given_))) == given_


def same(found: object, given_: object) -> bool:
    """Whether a column has a value; a column of text has the JSON of what is no text."""
    if isinstance(given_, list) and isinstance(found, list):
        return len(found) == len(given_) and all(map(same, found, given_))
    if isinstance(found, Decimal) and isinstance(given_, Decimal):
        return found == given_ or is_that_double(found, given_)
    if found == given_:
        return isinstance(found, bool) == isinstance(given_, bool)
    return isinstance(found, str) and not isinstance(given_, str) and read(found) == given_


@SETTINGS
@given(rows=ROWS, form=st.sampled_from(["lines", "array", "values"]))
def test_json(
    connection: psycopg.Connection, tmp_path_factory: pytest.TempPathFactory,
    rows: Sequence[dict[str, Any]], form: str,
) -> None:  # fmt: skip
    file = tmp_path_factory.mktemp("json") / "rows.json"
    texts = [written(row) for row in rows]
    file.write_text(
        f"[{','.join(texts)}]" if form == "array"
        else "\n".join(texts) if form == "lines" else "\n".join("{\n" + t[1:] for t in texts)
    )  # fmt: skip
    found = loaded(connection, file)
    assert len(found) == len(rows)
    for row, text in zip(found, texts, strict=True):
        for key, value in read(text).items():
            assert same(row.get(key), value), (key, value, row.get(key))


CELLS = st.one_of(st.just(""), NUMBERS, TEXTS.filter(lambda text: "\r" not in text))


@SETTINGS
@given(
    rows=st.lists(st.tuples(NUMBERS, CELLS, TEXTS.filter(lambda t: "\r" not in t)),
                  min_size=1, max_size=100)
)  # fmt: skip
def test_csv(
    connection: psycopg.Connection, tmp_path_factory: pytest.TempPathFactory,
    rows: Sequence[tuple[str, str, str]],
) -> None:  # fmt: skip
    file = tmp_path_factory.mktemp("csv") / "rows.csv"
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("number", "cell", "text"), *rows])
    file.write_text(text.getvalue())
    found = loaded(connection, file)
    assert len(found) == len(rows)
    for row, cells in zip(found, rows, strict=True):
        for key, cell in zip(("number", "cell", "text"), cells, strict=True):
            assert cell_is(row[key], cell), (key, cell, row[key])


def cell_is(found: object, cell: str) -> bool:
    match found:
        case None:
            return not cell
        case bool():
            return cell.lower() == str(found).lower()
        case Decimal():
            return found == Decimal(cell) or is_that_double(found, Decimal(cell))
        case _:
            return found == cell
