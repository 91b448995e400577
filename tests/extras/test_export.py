"""`rowvec export` to Parquet and to an index of faiss: the vectors of the database."""

from __future__ import annotations

import json
from pathlib import Path

import faiss
import numpy as np
import pyarrow.parquet as pq
import pytest

from support.commands import Run
from support.exporting import CHUNKS, ROWS, Vectors


def test_parquet(run: Run, vectors: Vectors, tmp_path: Path) -> None:
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


def test_faiss(run: Run, vectors: Vectors, tmp_path: Path) -> None:
    run("export", "t", tmp_path / "t.faiss")
    index = faiss.read_index(str(tmp_path / "t.faiss"))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores, ids = index.search(unit[[4]], 3)
    assert ids[0].tolist() == (np.argsort(-unit @ unit[4])[:3] * 3).tolist()
    assert scores[0][0] == pytest.approx(1, abs=1e-5)
    run("export", "pairs", tmp_path / "p.faiss")
    keys = (tmp_path / "p.faiss.keys.ndjson").read_text().splitlines()
    assert len(keys) == faiss.read_index(str(tmp_path / "p.faiss")).ntotal == 3


def test_chunks(run: Run, chunk_vectors: Vectors, tmp_path: Path) -> None:
    for ending in ("parquet", "faiss"):
        done = run("export", "t", tmp_path / f"t.{ending}", "--json")
        assert json.loads(done.stdout)["rows"] == 4
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert [(row["key"], row["ordinality"], row["text"]) for row in rows] == CHUNKS
    embeddings = np.array([row["embedding"] for row in rows], np.float32)
    assert np.array_equal(embeddings, chunk_vectors)
    _, ids = faiss.read_index(str(tmp_path / "t.faiss")).search(chunk_vectors[[2]], 1)
    keys = (tmp_path / "t.faiss.keys.ndjson").read_text().splitlines()
    assert json.loads(keys[int(ids[0][0])]) == {"key": 5, "ordinality": 3}
