"""`rowvec export` to files and `rowvec embed` in every form: the vectors of the database."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import psycopg
import pytest

from support.commands import Run
from support.exporting import CHUNKS, ROWS, Vectors
from support.postgres import Database


def test_numpy(run: Run, vectors: Vectors, tmp_path: Path) -> None:
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


def test_chunks(
    run: Run, connection: psycopg.Connection, chunk_vectors: Vectors, tmp_path: Path
) -> None:
    for ending in ("jsonl", "npz"):
        done = run("export", "t", tmp_path / f"t.{ending}", "--json")
        assert json.loads(done.stdout)["rows"] == 4
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [(line["key"], line["ordinality"], line["text"]) for line in lines] == CHUNKS
    embeddings = np.array([line["embedding"] for line in lines], np.float32)
    assert np.array_equal(embeddings, chunk_vectors)
    with np.load(tmp_path / "t.npz", allow_pickle=False) as found:
        assert found["keys"].tolist() == [5, 5, 5, 6]
        assert found["ordinality"].tolist() == [1, 2, 3, 1]
        assert found["text_bytes"].tobytes() == b"abcd"
        assert np.array_equal(found["vectors"], chunk_vectors)
    connection.execute("DROP TABLE t_embedding CASCADE")
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
