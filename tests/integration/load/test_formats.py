"""Files of rows: types, keys, broken lines; all rows or none, nothing rewritten for nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.commands import Completed
from support.loading import Load, Types


def rows(connection: psycopg.Connection, statement: str) -> list[Any]:
    return connection.execute(statement).fetchall()


def tables(connection: psycopg.Connection) -> list[Any]:
    return rows(
        connection, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )


def summary(done: Completed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_csv_gets_the_types_that_all_its_cells_fit(
    load: Load, connection: psycopg.Connection, types: Types, tmp_path: Path
) -> None:
    """What only the last line shows holds for the first: nothing is lost on the way."""
    file = tmp_path / "reviews.csv"
    file.write_text(
        'ID,zip,version,stars,good,"two words"\n'
        '1,501,1.10,5,true,"two\nlines, ""quoted"""\n'
        "2,10001,1.20,4.5,FALSE,\n"
        "3,007,1.2.3,,,\\N\n"
    )
    done = load("Reviews", file)
    assert types("reviews") == {
        "row_id": "bigint", "id": "bigint", "zip": "text", "version": "text",
        "stars": "double precision", "good": "boolean", "two words": "text",
    }  # fmt: skip
    assert rows(connection, "SELECT * FROM reviews ORDER BY 1") == [
        (1, 1, "501", "1.10", 5.0, True, 'two\nlines, "quoted"'),
        (2, 2, "10001", "1.20", 4.5, False, None),
        (3, 3, "007", "1.2.3", None, None, "\\N"),
    ]
    shown = done.stdout
    assert "stars      double precision" in shown
    assert "Reviews: made, 3 rows loaded" in shown


JSON_ROWS: list[dict[str, Any]] = [
    {"id": 1, "mixed": 1, "n": 1, "tags": [], "o": {"x": 1}, "none": None, "empty": []},
    {"id": 2, "mixed": "zwei\t\\", "n": 1.5, "tags": ["a,b", None, '{"'], "o": [1], "late": True},
    {"late": False, "id": 3, "n": 2**40, "big": 2**63, "m": [[1, 2], [3, 4]]},
    {"id": 4, "tags": [1], "big": 7},
]
JSON_TYPES = {
    "row_id": "bigint", "id": "bigint", "mixed": "text", "n": "double precision", "tags": "text[]",
    "o": "jsonb", "empty": "jsonb", "late": "boolean", "big": "numeric", "m": "jsonb",
    "none": "text",
}  # fmt: skip


@pytest.mark.parametrize("form", ["lines", "array", "values"])
@pytest.mark.parametrize("before", [0, 2500])
def test_json_columns_grow_with_the_data(
    load: Load, connection: psycopg.Connection, types: Types, form: str, before: int
) -> None:
    """The same whether the beginning shows the types or they change while rows are copied."""
    first = [{"id": 0, "mixed": 5, "n": 3, "o": {}, "empty": [], "tags": []}] * before
    data = [*first, *JSON_ROWS]
    text = {
        "lines": "\n".join(map(json.dumps, data)),
        "array": json.dumps(data),
        "values": "\n".join(json.dumps(each, indent=1) for each in data),
    }[form]
    load("t", "-", stdin=text)
    assert types("t") == JSON_TYPES
    found = rows(connection, f"SELECT * FROM t WHERE row_id > {before} ORDER BY row_id")
    names = list(types("t"))
    assert [dict(zip(names, row, strict=True)) for row in found] == [
        {
            **dict.fromkeys(JSON_TYPES),
            **each,
            "row_id": before + number,
            "mixed": None if "mixed" not in each else str(each["mixed"]),
            "tags": None if "tags" not in each
            else [None if tag is None else str(tag) for tag in each["tags"]],
        }
        for number, each in enumerate(JSON_ROWS, start=1)
    ]  # fmt: skip
    assert rows(connection, "SELECT count(*) FROM t WHERE mixed = '5' AND empty = '[]'") == [
        (before,)
    ]


def test_a_key_updates_what_changed_and_touches_nothing_else(
    load: Load, connection: psycopg.Connection
) -> None:
    first = "id,name,price\n1,a,1\n2,b,\n3,c,3\n"
    assert (
        summary(load("t", "-", "--format", "csv", "--key", "id", "--json", stdin=first))["inserted"]
        == 3
    )
    assert rows(connection, "SELECT conkey FROM pg_constraint WHERE contype = 'p' "
                      "AND conrelid = 't'::regclass") == [([1],)]  # fmt: skip
    versions = rows(connection, "SELECT id, xmin FROM t WHERE id <> 3 ORDER BY id")
    second = "id,name,price\n1,a,1\n2,b,\n3,c,3.5\n4,d,4\n"
    load(
        "t", "-", "--format", "csv", "--key", "id", stdin=second, fails="row 3, price: invalid text"
    )
    second = second.replace("3.5", "5")
    done = summary(load("t", "-", "--format", "csv", "--key", "id", "--json", stdin=second))
    assert (done["inserted"], done["updated"], done["unchanged"]) == (1, 1, 2)
    assert rows(connection, "SELECT id, xmin FROM t WHERE id < 3 ORDER BY id") == versions
    assert rows(connection, "SELECT id, price FROM t WHERE id > 2 ORDER BY id") == [(3, 5), (4, 4)]


def test_keys_that_repeat_or_miss(load: Load, connection: psycopg.Connection) -> None:
    data = '{"k": 1, "v": 1}\n{"k": 2}\n{"k": 1, "v": 2}\n{"v": 3}\n'
    load("t", "-", "--key", "k", stdin=data, fails="row 4 has no k")
    load("t", "-", "--key", "k", stdin=data[:-9], fails="rows 1 and 3 have the same k")
    load("t", "-", "--key", "nope", stdin=data, fails="no row has the key nope")
    assert tables(connection) == []
    done = summary(load("t", "-", "--key", "k", "--skip-bad", "--json", stdin=data))
    assert (done["inserted"], done["repeated"], done["skipped"]) == (2, 1, 1)
    assert rows(connection, "SELECT * FROM t ORDER BY k") == [(1, 2), (2, None)]


def test_a_table_without_that_key(load: Load, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (id int, v int)")
    load("t", "-", "--key", "id", stdin='{"id": 1}', fails="no primary key or unique index on id")


def test_a_table_that_is_there_keeps_its_types(
    load: Load, connection: psycopg.Connection, types: Types
) -> None:
    connection.execute(
        'CREATE TABLE "my T" (id uuid DEFAULT gen_random_uuid(), "At" timestamptz, j json,'
        " e int CHECK (e < 10), v vector(2), x numeric(5, 1), a int[])"
    )
    row = {"At": "2020-01-01T00:00:00Z", "j": {"a": [1]}, "e": 1, "v": [1, 2], "x": 1.26, "a": [1]}
    load('"my T"', "-", stdin=json.dumps(row))
    assert rows(connection, 'SELECT j, e, v, x::text, a FROM "my T"') == [
        ({"a": [1]}, 1, "[1,2]", "1.3", [1])
    ]
    load('"my T"', "-", stdin='{"e": 1}\n{"e": "x"}', fails="row 2, e: invalid text representation")
    load('"my T"', "-", stdin='{"e": 1}\n{"e": 11}', fails="row 2: check violation (23514")
    load('"my T"', "-", stdin='{"f": 1}', fails="has no column f, which the data has")
    assert rows(connection, 'SELECT count(*) FROM "my T"') == [(1,)]
    done = load('"my T"', "-", "--skip-bad", "--json", stdin='{"e": 1}\n{"e": "x"}\n{"e": 2}')
    assert (summary(done)["rows"], summary(done)["skipped"]) == (2, 1)
    load('"my T"', "-", "--alter", stdin='{"f": [1], "e": 3}')
    load('"my T"', "-", "--columns", "E", stdin='{"g": 1, "e": 4}')
    assert types('"my T"')["f"] == "bigint[]"
    assert rows(connection, 'SELECT count(*) FROM "my T"') == [(5,)]


def test_types_that_are_said(load: Load, types: Types) -> None:
    load("t", "-", "--format", "tsv", "--type", "at=timestamptz", "--type", "zip=text",
         "--limit", "1", stdin="at\tzip\n2020-01-01\t5\nx\ty\n")  # fmt: skip
    assert types("t") == {
        "id": "bigint", "at": "timestamp with time zone", "zip": "text",
    }  # fmt: skip


def test_broken_lines(load: Load, connection: psycopg.Connection, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n" + "1,x\n" * 3000 + "oops\n2,y\n")
    load("t", file, fails="line 3002 of")
    assert tables(connection) == []
    done = load("t", file, "--skip-bad")
    assert "line 3002 of" in done.stderr
    assert rows(connection, "SELECT count(*) FROM t") == [(3001,)]
    load("u", "-", stdin='{"a": "x"}\n{"a": "\\u0000"}', fails="line 2 of standard input contains")
    load("u", "-", "--skip-bad", stdin='{"a": "x"}\n{"a": "\\u0000"}\n{"a": {"b": "\\u0000"}}')
    assert rows(connection, "SELECT a FROM u") == [("x",)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give one source"),
        (("a.csv", "--dataset", "x"), "give one source"),
        (("nope.csv",), "there is no file nope.csv"),
        (("-", "https://example.com"), "a source alone"),
        (("ftp://example.com/a.csv",), "no http or https URL"),
        (("--dataset", "/nope"), "there is no folder /nope"),
        (("-", "--type", "x"), "'x' is no type"),
        (("--from-sql", "x y z", "SELECT 1"), "neither one of libpq nor a URL"),
        (("--python", "/nope"), "there is no folder /nope"),
    ],
)
def test_what_is_no_source(load: Load, arguments: tuple[str, ...], message: str) -> None:
    load("t", *arguments, fails=message, code=2)


def test_nothing_to_load(load: Load, connection: psycopg.Connection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n")
    load("t", tmp_path / "a.csv", fails="has no rows")
    load("t", "-", fails="has no rows")
    assert tables(connection) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [("r.csv", "a\n" + "1\n" * 50), ("r.jsonl", '{"a": 1}\n' * 50), ("r.json", str([{}] * 50))],
)
def test_a_limit_ends_a_load(
    load: Load, connection: psycopg.Connection, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text.replace("{}", '{"a": 1}'))
    load("items", tmp_path / name, "--limit", "3")
    assert connection.execute("SELECT count(*) FROM items").fetchone() == (3,)
