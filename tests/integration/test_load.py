"""`rowvec load`: every source into a table, all rows or none, and nothing rewritten for nothing."""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from rowvec.cli import main

Load = Callable[..., Result]

COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


@pytest.fixture
def load(database: Any) -> Load:
    """Runs `rowvec load` on the test's database; `fails` is what its error says."""

    def run(*arguments: object, stdin: str = "", fails: str = "", code: int = 1) -> Result:
        clean = {name: None for name in os.environ if name.startswith(("ROWVEC_", "PG"))}
        done = CliRunner(env=clean).invoke(
            main, ["load", *map(str, arguments), "--dsn", database.dsn], input=stdin
        )
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == (code if fails else 0), done.output
        assert fails in " ".join(done.stderr.split())
        return done

    return run


@pytest.fixture
def conn(database: Any) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


def rows(conn: psycopg.Connection, statement: str) -> list[Any]:
    return conn.execute(statement).fetchall()


def types(conn: psycopg.Connection, table: str) -> dict[str, str]:
    return dict(conn.execute(COLUMNS, (table,)).fetchall())


def tables(conn: psycopg.Connection) -> list[Any]:
    return rows(conn, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")


def summary(done: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_csv_gets_the_types_that_all_its_cells_fit(
    load: Load, conn: psycopg.Connection, tmp_path: Path
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
    assert types(conn, "reviews") == {
        "row_id": "bigint", "id": "bigint", "zip": "text", "version": "text",
        "stars": "double precision", "good": "boolean", "two words": "text",
    }  # fmt: skip
    assert rows(conn, "SELECT * FROM reviews ORDER BY 1") == [
        (1, 1, "501", "1.10", 5.0, True, 'two\nlines, "quoted"'),
        (2, 2, "10001", "1.20", 4.5, False, None),
        (3, 3, "007", "1.2.3", None, None, "\\N"),
    ]
    shown = done.stdout
    assert "stars      double precision" in shown
    assert "Reviews: made, 3 rows loaded" in shown


JSON_ROWS = [
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
    load: Load, conn: psycopg.Connection, form: str, before: int
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
    assert types(conn, "t") == JSON_TYPES
    found = rows(conn, f"SELECT * FROM t WHERE row_id > {before} ORDER BY row_id")
    names = list(types(conn, "t"))
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
    assert rows(conn, "SELECT count(*) FROM t WHERE mixed = '5' AND empty = '[]'") == [(before,)]


def test_parquet_files_with_differing_columns(
    load: Load, conn: psycopg.Connection, tmp_path: Path
) -> None:
    when = dt.datetime(2020, 2, 29, 12, tzinfo=dt.UTC)
    pq.write_table(pa.table({"n": pa.array([1], pa.int32()), "t": ["a"], "l": [[1.5, None]]}),
                   tmp_path / "a.parquet")  # fmt: skip
    pq.write_table(pa.table({"n": pa.array([2.5]), "at": [when], "o": [{"x": b"\x00"}],
                             "b": [b"\x00\xff"]}), tmp_path / "b.parquet")  # fmt: skip
    load("t", tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert types(conn, "t") == {
        "id": "bigint", "n": "double precision", "t": "text", "l": "double precision[]",
        "at": "timestamp with time zone", "o": "jsonb", "b": "bytea",
    }  # fmt: skip
    assert rows(conn, "SELECT * FROM t ORDER BY id") == [
        (1, 1.0, "a", [1.5, None], None, None, None),
        (2, 2.5, None, None, when, {"x": "\\x00"}, b"\x00\xff"),
    ]


def test_a_key_updates_what_changed_and_touches_nothing_else(
    load: Load, conn: psycopg.Connection
) -> None:
    first = "id,name,price\n1,a,1\n2,b,\n3,c,3\n"
    assert (
        summary(load("t", "-", "--format", "csv", "--key", "id", "--json", stdin=first))["inserted"]
        == 3
    )
    assert rows(conn, "SELECT conkey FROM pg_constraint WHERE contype = 'p' "
                      "AND conrelid = 't'::regclass") == [([1],)]  # fmt: skip
    versions = rows(conn, "SELECT id, xmin FROM t WHERE id <> 3 ORDER BY id")
    second = "id,name,price\n1,a,1\n2,b,\n3,c,3.5\n4,d,4\n"
    load("t", "-", "--format", "csv", "--key", "id", stdin=second, fails="row 3: invalid input")
    second = second.replace("3.5", "5")
    done = summary(load("t", "-", "--format", "csv", "--key", "id", "--json", stdin=second))
    assert (done["inserted"], done["updated"], done["unchanged"]) == (1, 1, 2)
    assert rows(conn, "SELECT id, xmin FROM t WHERE id < 3 ORDER BY id") == versions
    assert rows(conn, "SELECT id, price FROM t WHERE id > 2 ORDER BY id") == [(3, 5), (4, 4)]


def test_keys_that_repeat_or_miss(load: Load, conn: psycopg.Connection) -> None:
    data = '{"k": 1, "v": 1}\n{"k": 2}\n{"k": 1, "v": 2}\n{"v": 3}\n'
    load("t", "-", "--key", "k", stdin=data, fails="row 4 has no k")
    load("t", "-", "--key", "k", stdin=data[:-9], fails="rows 1 and 3 have the same k")
    load("t", "-", "--key", "nope", stdin=data, fails="no row has the key nope")
    assert tables(conn) == []
    done = summary(load("t", "-", "--key", "k", "--skip-bad", "--json", stdin=data))
    assert (done["inserted"], done["repeated"], done["skipped"]) == (2, 1, 1)
    assert rows(conn, "SELECT * FROM t ORDER BY k") == [(1, 2), (2, None)]


def test_a_table_without_that_key(load: Load, conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE t (id int, v int)")
    load("t", "-", "--key", "id", stdin='{"id": 1}', fails="no primary key or unique index on id")


def test_a_table_that_is_there_keeps_its_types(load: Load, conn: psycopg.Connection) -> None:
    conn.execute(
        'CREATE TABLE "my T" (id uuid DEFAULT gen_random_uuid(), "At" timestamptz, j json,'
        " e int CHECK (e < 10), v vector(2), x numeric(5, 1), a int[])"
    )
    row = {"At": "2020-01-01T00:00:00Z", "j": {"a": [1]}, "e": 1, "v": [1, 2], "x": 1.26, "a": [1]}
    load('"my T"', "-", stdin=json.dumps(row))
    assert rows(conn, 'SELECT j, e, v, x::text, a FROM "my T"') == [
        ({"a": [1]}, 1, "[1,2]", "1.3", [1])
    ]
    load('"my T"', "-", stdin='{"e": 1}\n{"e": "x"}', fails="row 2: invalid input syntax")
    load('"my T"', "-", stdin='{"e": 1}\n{"e": 11}', fails="row 2: new row for relation")
    load('"my T"', "-", stdin='{"f": 1}', fails="has no column f, which the data has")
    assert rows(conn, 'SELECT count(*) FROM "my T"') == [(1,)]
    done = load('"my T"', "-", "--skip-bad", "--json", stdin='{"e": 1}\n{"e": "x"}\n{"e": 2}')
    assert (summary(done)["rows"], summary(done)["skipped"]) == (2, 1)
    load('"my T"', "-", "--alter", stdin='{"f": [1], "e": 3}')
    load('"my T"', "-", "--columns", "E", stdin='{"g": 1, "e": 4}')
    assert types(conn, '"my T"')["f"] == "bigint[]"
    assert rows(conn, 'SELECT count(*) FROM "my T"') == [(5,)]


def test_types_that_are_said(load: Load, conn: psycopg.Connection) -> None:
    load("t", "-", "--format", "tsv", "--type", "at=timestamptz", "--type", "zip=text",
         "--limit", "1", stdin="at\tzip\n2020-01-01\t5\nx\ty\n")  # fmt: skip
    assert types(conn, "t") == {
        "id": "bigint", "at": "timestamp with time zone", "zip": "text",
    }  # fmt: skip


def test_broken_lines(load: Load, conn: psycopg.Connection, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n" + "1,x\n" * 3000 + "oops\n2,y\n")
    load("t", file, fails="line 3002 of")
    assert tables(conn) == []
    done = load("t", file, "--skip-bad")
    assert "line 3002 of" in done.stderr
    assert rows(conn, "SELECT count(*) FROM t") == [(3001,)]
    load("u", "-", stdin='{"a": "x"}\n{"a": "\\u0000"}', fails="line 2 of standard input contains")
    load("u", "-", "--skip-bad", stdin='{"a": "x"}\n{"a": "\\u0000"}\n{"a": {"b": "\\u0000"}}')
    assert rows(conn, "SELECT a FROM u") == [("x",)]


def test_text_files(load: Load, conn: psycopg.Connection, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.md").write_text("hidden")
    (tmp_path / "a.md").write_text("one")
    (tmp_path / "deep" / "b.md").write_text("zwei ü")
    load("t", "--files", tmp_path, "**/*.md")
    assert rows(conn, "SELECT * FROM t ORDER BY path") == [
        ("a.md", "one"),
        ("deep/b.md", "zwei ü"),
    ]
    (tmp_path / "c.md").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "d.md").write_bytes(b"\xff\xfe")
    (tmp_path / "a.md").write_text("changed")
    load("t", "--files", tmp_path, "**/*.md", fails="c.md is a binary file")
    done = load("t", "--files", tmp_path, "**/*.md", "--skip-bad", "--json")
    assert {"updated": 1, "unchanged": 1, "skipped": 2}.items() <= summary(done).items()
    load("t", "--files", tmp_path / "deep", "*.txt", fails="no file in", code=2)
    load("t", "--files", tmp_path / "nope", "*", fails="there is no folder", code=2)
    load("t", "--files", tmp_path, "/etc/*", fails="no pattern for files below", code=2)


def test_images(load: Load, conn: psycopg.Connection, tmp_path: Path) -> None:
    Image.new("RGB", (4, 3), "red").save(tmp_path / "a.png")
    Image.new("L", (8000, 8000)).save(tmp_path / "huge.png")
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (tmp_path / "notes.txt").write_text("no image")
    load("t", "--images", tmp_path, fails="cut.jpg")
    done = load("t", "--images", tmp_path, "--skip-bad")
    said = " ".join(done.stderr.split())
    assert "huge.png" in said
    assert "pixels" in said
    content = (tmp_path / "a.png").read_bytes()
    assert rows(conn, "SELECT * FROM t") == [("a.png", 4, 3, content)]
    load("paths", "--images", tmp_path, "--by-path", "--skip-bad")
    assert types(conn, "paths") == {"path": "text", "width": "integer", "height": "integer"}


def llm_file(file: Path) -> None:
    """As the tool makes it: its own statements, its own way of writing vectors."""
    with sqlite3.connect(file) as db:
        db.executescript(
            """
            CREATE TABLE collections (id INTEGER PRIMARY KEY, name TEXT, model TEXT);
            CREATE TABLE embeddings (
                collection_id INTEGER REFERENCES collections(id), id TEXT, embedding BLOB,
                content TEXT, content_blob BLOB, content_hash BLOB, metadata TEXT, updated INTEGER,
                PRIMARY KEY (collection_id, id));
            INSERT INTO collections VALUES (1, 'docs', 'mini'), (2, 'other', 'large');
            """
        )
        for collection, key, vector in (
            (1, "a", [0.25, -1.5]),
            (1, "b", [1, 2]),
            (2, "a", [1, 2, 3]),
        ):
            blob = np.array(vector, "<f4").tobytes()
            db.execute(
                "INSERT INTO embeddings VALUES (?, ?, ?, ?, NULL, NULL, ?, 1700000000)",
                (collection, key, blob, f"text {key}", '{"page": 1}'),
            )


def test_a_sqlite_file_of_llm(load: Load, conn: psycopg.Connection, tmp_path: Path) -> None:
    llm_file(tmp_path / "llm.db")
    load("t", tmp_path / "llm.db", fails="vectors of different dimensions")
    load("t", tmp_path / "llm.db", "--collection", "nope", fails="docs, other", code=2)
    load("t", tmp_path / "llm.db", "--collection", "docs")
    assert rows(conn, "SELECT id, content, metadata, embedding::text FROM t ORDER BY id") == [
        ("a", "text a", {"page": 1}, "[0.25,-1.5]"), ("b", "text b", {"page": 1}, "[1,2]"),
    ]  # fmt: skip
    assert types(conn, "t")["embedding"] == "vector(2)"
    sqlite3.connect(tmp_path / "x.db").executescript("CREATE TABLE a (b)")
    load("t", tmp_path / "x.db", fails="no database of the llm tool", code=2)


def test_a_query_to_another_postgres(
    load: Load, conn: psycopg.Connection, empty_database: Any
) -> None:
    with empty_database.connect() as other:
        other.execute("CREATE TYPE mood AS ENUM ('fine')")
    statement = (
        "SELECT n, 'x' || n AS \"T\", 1.50::numeric(9,2) AS price, '{1,2}'::int[] AS a,"
        " '{\"k\": 1.0}'::jsonb AS j, 'infinity'::timestamptz AS at, 'fine'::mood AS m,"
        " '1 mon'::interval AS i, NULL::date AS d FROM generate_series(1, 2500) AS n"
    )
    load("t", "--from-sql", empty_database.dsn, statement)
    assert types(conn, "t") == {
        "id": "bigint", "n": "integer", "t": "text", "price": "numeric(9,2)", "a": "integer[]",
        "j": "jsonb", "at": "timestamp with time zone", "m": "text", "i": "interval", "d": "date",
    }  # fmt: skip
    assert rows(conn, "SELECT n, t, price::text, a, j, at::text, m, i::text, d FROM t"
                      " ORDER BY n DESC LIMIT 1") == [
        (2500, "x2500", "1.50", [1, 2], {"k": 1.0}, "infinity", "fine", "1 mon", None)
    ]  # fmt: skip
    load("t", "--from-sql", empty_database.dsn, "DELETE FROM x", fails="syntax error")


def test_a_query_to_another_database(load: Load, conn: psycopg.Connection, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as db:
        db.execute("CREATE TABLE a (n, t, b)")
        db.executemany("INSERT INTO a VALUES (?, ?, ?)", [(1, "x", b"\0"), (None, "%s", None)])
    load("t", "--from-sql", f"sqlite:///{tmp_path}/x.db", "SELECT * FROM a WHERE t LIKE '%'")
    assert rows(conn, "SELECT n, t, b FROM t ORDER BY id") == [(1, "x", b"\0"), (None, "%s", None)]
    load("t", "--from-sql", f"sqlite:///{tmp_path}/x.db", "SELECT nope", fails="no such column")


def test_code_and_its_embedding_in_one_step(
    load: Load, conn: psycopg.Connection, tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text('def f(x: int) -> str:\n    """Says x."""\n')
    done = load("api", "--python", tmp_path, "--embed", "stand-in")
    assert "fill the embedding: rowvec backfill api" in done.stdout
    assert rows(conn, "SELECT name, signature, doc FROM api") == [
        ("a.f", "(x: int) -> str", "Says x.")
    ]
    assert rows(conn, "SELECT source::text, model FROM rowvec.embedding") == [("api", "stand-in")]
    load("api", "--python", tmp_path, "--embed", "stand-in")  # once more changes nothing
    load("b", "--python", tmp_path, "--embed", "nope", fails="'nope'")
    load("b", "-", "--embed", "stand-in", stdin="{}", fails="--embed needs --input", code=2)
    load("b", "-", "--embed", "stand-in", "--input", "y", stdin='{"x": 1}', fails='"y"')
    assert ("b",) not in tables(conn)


class Api:
    """A paginated API of 50 rows; pages in `dead` answer 503 so many times."""

    def __init__(self) -> None:
        self.dead: dict[int, int] = {}
        self.asked: list[int] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = int(self.path.rpartition("=")[2] or 0) if "=" in self.path else 0
                api.asked.append(page)
                if api.dead.get(page, 0) > 0:
                    api.dead[page] -= 1
                    self.send_error(503)
                    return
                found = [{"id": page * 10 + n, "t": f"text {n}"} for n in range(10)]
                following = f"/rows.json?page={page + 1}" if page < 4 else None
                body = json.dumps({"rows": found, "next_url": following}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/rows.json"


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    thread = threading.Thread(target=api.server.serve_forever)
    thread.start()
    yield api
    api.server.shutdown()
    thread.join()
    api.server.server_close()


def test_an_api_page_after_page(load: Load, conn: psycopg.Connection, api: Api) -> None:
    api.dead[2] = 1
    load("t", api.url, "--key", "id")
    assert rows(conn, "SELECT count(*), min(id), max(id) FROM t") == [(50, 0, 49)]
    assert api.asked == [0, 1, 2, 2, 3, 4]


def test_an_api_whose_page_stays_dead_is_resumed(
    load: Load, conn: psycopg.Connection, api: Api
) -> None:
    api.dead[3] = 100
    load("t", api.url, fails="page=3 does not answer: 503")
    assert rows(conn, "SELECT count(*) FROM t") == [(30,)]
    api.dead.clear()
    api.asked.clear()
    load("t", api.url)
    assert api.asked == [3, 4]
    assert rows(conn, "SELECT count(*), count(DISTINCT row_id) FROM t") == [(50, 50)]
    api.asked.clear()
    load("u", api.url)
    assert api.asked == [0, 1, 2, 3, 4]


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


def test_nothing_to_load(load: Load, conn: psycopg.Connection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n")
    load("t", tmp_path / "a.csv", fails="has no rows")
    load("t", "-", fails="has no rows")
    assert tables(conn) == []
