"""Every other source: folders, images, databases, code, APIs."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from PIL import Image

from support.commands import Completed
from support.loading import Load, Types
from support.postgres import Database


def rows(connection: psycopg.Connection, statement: str) -> list[Any]:
    return connection.execute(statement).fetchall()


def tables(connection: psycopg.Connection) -> list[Any]:
    return rows(
        connection, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )


def summary(done: Completed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_text_files(load: Load, connection: psycopg.Connection, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.md").write_text("hidden")
    (tmp_path / "a.md").write_text("one")
    (tmp_path / "deep" / "b.md").write_text("zwei ü")
    load("t", "--files", tmp_path, "**/*.md")
    assert rows(connection, "SELECT * FROM t ORDER BY path") == [
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


def test_images(load: Load, connection: psycopg.Connection, types: Types, tmp_path: Path) -> None:
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
    assert rows(connection, "SELECT * FROM t") == [("a.png", 4, 3, content)]
    load("paths", "--images", tmp_path, "--by-path", "--skip-bad")
    assert types("paths") == {"path": "text", "width": "integer", "height": "integer"}


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


def test_a_sqlite_file_of_llm(
    load: Load, connection: psycopg.Connection, types: Types, tmp_path: Path
) -> None:
    llm_file(tmp_path / "llm.db")
    load("t", tmp_path / "llm.db", fails="vectors of different dimensions")
    load("t", tmp_path / "llm.db", "--collection", "nope", fails="docs, other", code=2)
    load("t", tmp_path / "llm.db", "--collection", "docs")
    assert rows(connection, "SELECT id, content, metadata, embedding::text FROM t ORDER BY id") == [
        ("a", "text a", {"page": 1}, "[0.25,-1.5]"), ("b", "text b", {"page": 1}, "[1,2]"),
    ]  # fmt: skip
    assert types("t")["embedding"] == "vector(2)"
    sqlite3.connect(tmp_path / "x.db").executescript("CREATE TABLE a (b)")
    load("t", tmp_path / "x.db", fails="no database of the llm tool", code=2)


def test_a_query_to_another_postgres(
    load: Load, connection: psycopg.Connection, types: Types, empty_database: Database
) -> None:
    with empty_database.connect() as other:
        other.execute("CREATE TYPE mood AS ENUM ('fine')")
    statement = (
        "SELECT n, 'x' || n AS \"T\", 1.50::numeric(9,2) AS price, '{1,2}'::int[] AS a,"
        " '{\"k\": 1.0}'::jsonb AS j, 'infinity'::timestamptz AS at, 'fine'::mood AS m,"
        " '1 mon'::interval AS i, NULL::date AS d FROM generate_series(1, 2500) AS n"
    )
    load("t", "--from-sql", empty_database.dsn, statement)
    assert types("t") == {
        "id": "bigint", "n": "integer", "t": "text", "price": "numeric(9,2)", "a": "integer[]",
        "j": "jsonb", "at": "timestamp with time zone", "m": "text", "i": "interval", "d": "date",
    }  # fmt: skip
    assert rows(connection, "SELECT n, t, price::text, a, j, at::text, m, i::text, d FROM t"
                      " ORDER BY n DESC LIMIT 1") == [
        (2500, "x2500", "1.50", [1, 2], {"k": 1.0}, "infinity", "fine", "1 mon", None)
    ]  # fmt: skip
    load("t", "--from-sql", empty_database.dsn, "DELETE FROM x", fails="syntax error")


def test_a_query_to_another_database(
    load: Load, connection: psycopg.Connection, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "x.db") as db:
        db.execute("CREATE TABLE a (n, t, b)")
        db.executemany("INSERT INTO a VALUES (?, ?, ?)", [(1, "x", b"\0"), (None, "%s", None)])
    load("t", "--from-sql", f"sqlite:///{tmp_path}/x.db", "SELECT * FROM a WHERE t LIKE '%'")
    assert rows(connection, "SELECT n, t, b FROM t ORDER BY id") == [
        (1, "x", b"\0"),
        (None, "%s", None),
    ]
    load("t", "--from-sql", f"sqlite:///{tmp_path}/x.db", "SELECT nope", fails="no such column")


def test_code_and_its_embedding_in_one_step(
    load: Load, connection: psycopg.Connection, tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text('def f(x: int) -> str:\n    """Says x."""\n')
    done = load("api", "--python", tmp_path, "--embed", "stand-in")
    assert "fill the embedding: rowvec backfill api" in done.stdout
    assert rows(connection, "SELECT name, signature, doc FROM api") == [
        ("a.f", "(x: int) -> str", "Says x.")
    ]
    assert rows(connection, "SELECT source::text, model FROM rowvec.embedding") == [
        ("api", "stand-in")
    ]
    load("api", "--python", tmp_path, "--embed", "stand-in")  # once more changes nothing
    load("b", "--python", tmp_path, "--embed", "nope", fails="'nope'")
    load("b", "-", "--embed", "stand-in", stdin="{}", fails="--embed needs --input", code=2)
    load("b", "-", "--embed", "stand-in", "--input", "y", stdin='{"x": 1}', fails='"y"')
    assert ("b",) not in tables(connection)


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


def test_an_api_page_after_page(load: Load, connection: psycopg.Connection, api: Api) -> None:
    api.dead[2] = 1
    load("t", api.url, "--key", "id")
    assert rows(connection, "SELECT count(*), min(id), max(id) FROM t") == [(50, 0, 49)]
    assert api.asked == [0, 1, 2, 2, 3, 4]


def test_an_api_whose_page_stays_dead_is_resumed(
    load: Load, connection: psycopg.Connection, api: Api
) -> None:
    api.dead[3] = 100
    load("t", api.url, fails="page=3 does not answer: 503")
    assert rows(connection, "SELECT count(*) FROM t") == [(30,)]
    api.dead.clear()
    api.asked.clear()
    load("t", api.url)
    assert api.asked == [3, 4]
    assert rows(connection, "SELECT count(*), count(DISTINCT row_id) FROM t") == [(50, 50)]
    api.asked.clear()
    load("u", api.url)
    assert api.asked == [0, 1, 2, 3, 4]
