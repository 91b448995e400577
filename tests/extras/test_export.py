"""`rowvec export` to every format and `rowvec embed` in every form: the vectors of the database."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from rowvec.cli import main
from support.postgres import Database

ROWS = 2300
CHUNKS = [(5, 1, "a"), (5, 2, "b"), (5, 3, "c"), (6, 1, "d")]
Run = Callable[..., Result]


@pytest.fixture
def run(database: Database) -> Run:
    def run(*arguments: object, fails: str = "", code: int = 1, stdin: str = "") -> Result:
        clean = {name: None for name in os.environ if name.startswith(("ROWVEC_", "PG"))}
        done = CliRunner(env=clean).invoke(
            main, [*map(str, arguments), "--dsn", database.dsn], input=stdin
        )
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == (code if fails else 0), done.output
        assert fails in " ".join(done.stderr.split())
        return done

    return run


@pytest.fixture
def vectors(database: Database) -> np.ndarray[Any, Any]:
    """Those of the column, which a hand filled: what is exported is what is there."""
    made = np.random.default_rng(7).standard_normal((ROWS, 8)).astype(np.float32)
    with database.connect() as conn:
        conn.execute("CREATE TABLE t (id bigint PRIMARY KEY, body text)")
        conn.execute('CREATE TABLE pairs (a text, "B %" int, body text, PRIMARY KEY (a, "B %"))')
        for table in ("t", "pairs"):
            conn.execute("SELECT rowvec.create_embedding(%s::regclass, 'stand-in-small', 'body')",
                         (table,))  # fmt: skip
        with conn.cursor().copy("COPY t (id, body, embedding) FROM STDIN") as copy:
            for number, vector in enumerate(made):
                copy.write_row((number * 3, f"text ü\n{number}", str(vector.tolist())))
        conn.execute("INSERT INTO t VALUES (-1, 'has no vector yet')")
        conn.execute("INSERT INTO pairs SELECT 'x' || id, id, body, embedding FROM t WHERE id < 9"
                     " AND id >= 0")  # fmt: skip
    return made


def test_parquet(run: Run, vectors: np.ndarray[Any, Any], tmp_path: Path) -> None:
    done = run("export", "t", tmp_path / "t.parquet", "--json")
    assert json.loads(done.stdout) == {
        "file": str(tmp_path / "t.parquet"), "rows": ROWS, "dimensions": 8,
    }  # fmt: skip
    found = pq.read_table(tmp_path / "t.parquet")
    order = np.argsort(found["key"].to_numpy())
    assert np.array_equal(np.stack(found["embedding"].to_pylist())[order], vectors)
    assert found["text"][int(order[5])].as_py() == "text ü\n5"
    run("export", "pairs", tmp_path / "p.parquet")
    keys = pq.read_table(tmp_path / "p.parquet")["key"].to_pylist()
    assert json.loads(keys[0]) == {"a": "x0", "B %": 0}


def test_numpy(run: Run, vectors: np.ndarray[Any, Any], tmp_path: Path) -> None:
    run("export", "t", tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz", allow_pickle=False) as found:
        order = np.argsort(found["keys"])
        assert np.array_equal(found["vectors"][order], vectors)
        row = order[7]
        text = found["text_bytes"][found["text_offsets"][row] : found["text_offsets"][row + 1]]
        assert text.tobytes().decode() == "text ü\n7"
    run("export", "pairs", tmp_path / "p.npz")
    with np.load(tmp_path / "p.npz", allow_pickle=False) as found:
        assert json.loads(str(found["keys"][0])) == {"a": "x0", "B %": 0}


@pytest.mark.usefixtures("vectors")
def test_ndjson_comes_back_by_load(run: Run, tmp_path: Path, database: Database) -> None:
    run("export", "t", tmp_path / "t.jsonl")
    run("load", "back", tmp_path / "t.jsonl", "--key", "key", "--type", "embedding=vector(8)")
    with database.connect() as conn:
        differing = conn.execute(
            "SELECT count(*) FROM t JOIN back ON key = id AND text = body"
            " WHERE t.embedding = back.embedding"
        ).fetchone()
    assert differing == (ROWS,)


def test_faiss(run: Run, vectors: np.ndarray[Any, Any], tmp_path: Path) -> None:
    run("export", "t", tmp_path / "t.faiss")
    index = faiss.read_index(str(tmp_path / "t.faiss"))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores, ids = index.search(unit[[4]], 3)
    assert ids[0].tolist() == (np.argsort(-unit @ unit[4])[:3] * 3).tolist()
    assert scores[0][0] == pytest.approx(1, abs=1e-5)
    run("export", "pairs", tmp_path / "p.faiss")
    keys = (tmp_path / "p.faiss.keys.ndjson").read_text().splitlines()
    assert len(keys) == faiss.read_index(str(tmp_path / "p.faiss")).ntotal == 3


def test_chunks_in_every_format(run: Run, database: Database, tmp_path: Path) -> None:
    """A hand filled them, too: three of one row, one of another, none of the third."""
    made = np.random.default_rng(3).standard_normal((4, 8)).astype(np.float32)
    with database.connect() as conn:
        conn.execute("CREATE TABLE t (id bigint PRIMARY KEY, body text)")
        conn.execute("INSERT INTO t VALUES (5, 'a b c'), (6, 'd'), (7, NULL)")
        conn.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body',"
                     " destination => 'table')")  # fmt: skip
        for (key, number, text), vector in zip(CHUNKS, made, strict=True):
            conn.execute("INSERT INTO t_embedding VALUES (%s, %s, %s, 0, 1, 1, %s::vector)",
                         (key, number, text, str(vector.tolist())))  # fmt: skip
    for ending in ("jsonl", "parquet", "npz", "faiss"):
        done = run("export", "t", tmp_path / f"t.{ending}", "--json")
        assert json.loads(done.stdout)["rows"] == 4
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    table = pq.read_table(tmp_path / "t.parquet").to_pylist()
    for rows in (lines, table):
        assert [(row["key"], row["ordinality"], row["text"]) for row in rows] == CHUNKS
        assert np.array_equal(np.array([row["embedding"] for row in rows], np.float32), made)
    with np.load(tmp_path / "t.npz", allow_pickle=False) as found:
        assert found["keys"].tolist() == [5, 5, 5, 6]
        assert found["ordinality"].tolist() == [1, 2, 3, 1]
        assert found["text_bytes"].tobytes() == b"abcd"
        assert np.array_equal(found["vectors"], made)
    _, ids = faiss.read_index(str(tmp_path / "t.faiss")).search(made[[2]], 1)
    keys = (tmp_path / "t.faiss.keys.ndjson").read_text().splitlines()
    assert json.loads(keys[int(ids[0][0])]) == {"key": 5, "ordinality": 3}
    with database.connect() as conn:
        conn.execute("DROP TABLE t_embedding CASCADE")
    run("export", "t", tmp_path / "gone.npz", fails="chunks of t is gone")


@pytest.mark.usefixtures("vectors")
def test_what_cannot_be_exported(run: Run, tmp_path: Path) -> None:
    run("export", "t", tmp_path / "t.xyz", fails="names no format", code=2)
    run("export", "nope", tmp_path / "t.npz", fails='"nope"')
    run("export", "t", tmp_path / "nope" / "t.npz", fails="cannot write", code=2)
    assert list(tmp_path.iterdir()) == []


def test_embed_in_every_form(run: Run, database: Database, tmp_path: Path) -> None:
    with database.connect() as conn:
        row = conn.execute("SELECT rowvec.embed('stand-in-small', 'one')::text").fetchone()
    assert row is not None
    expected = np.array(json.loads(row[0]), "<f4")
    embed = ("embed", "-m", "stand-in-small")
    assert np.array_equal(np.array(json.loads(run(*embed, "one").stdout), "<f4"), expected)
    encoded = run(*embed, "--format", "base64", "one").stdout
    assert base64.b64decode(encoded) == expected.tobytes()
    assert bytes.fromhex(run(*embed, "--format", "hex", "one").stdout) == expected.tobytes()
    literal = run(*embed, "--format", "vector", "one").stdout
    with database.connect() as conn:
        same = conn.execute(
            f"SELECT {literal} = rowvec.embed('stand-in-small', 'one')".encode()
        ).fetchone()
    assert same == (True,)
    (tmp_path / "a.md").write_text("one")
    line = json.loads(run(*embed, "--files", tmp_path, "*.md", "--json").stdout)
    assert line["path"] == "a.md"
    assert np.array_equal(np.array(line["embedding"], "<f4"), expected)
    many = run(*embed, stdin="one\n" * 100).stdout.splitlines()
    assert len(many) == 100
    run(*embed, "one", "--files", tmp_path, "*.md", fails="give one of", code=2)
