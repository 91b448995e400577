"""Clusters and maps: time and memory over many rows, and quality beside scikit-learn's own KMeans.

    .venv/bin/python bench/explore.py [--rows 100000] [--wiki] [--vectors wiki.npy]

Time and memory are of the jobs' own processes, over made-up vectors in 200 groups; `baseline_mb` is
a process that has only imported what the job imports. --wiki adds the quality (some minutes):
purity and adjusted Rand index of 11 clusters against the 11 topics of the labelled extracts
(ROWVEC_TEST_MODELS has wiki/en.jsonl), medians of several seeds, beside KMeans directly on the same
vectors. --vectors keeps the extracts' vectors in a file, or takes them from it; with --embed-only
nothing else is done.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from pgvector.psycopg import register_vector
from stage import MODEL, instance, load_model, report, row_hash

DIMENSIONS = 384
GROUPS = 200
CLUSTERS = 50
SEEDS = 11
TEXTS = 500

_MEASURED = """
import resource, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)
"""
_BASELINE = (
    "import sklearn.cluster, sklearn.decomposition, rowvec.jobs.cluster, rowvec.jobs.map,"
    "PIL.Image, resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
)

Vectors = npt.NDArray[np.float32]


def main() -> None:
    """Prints a line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--wiki", action="store_true")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--embed-only", action="store_true")
    arguments = parser.parse_args()
    extracts = labelled(arguments.vectors) if arguments.wiki else None
    if arguments.embed_only:
        return
    with instance() as dsn:
        speed(dsn, arguments.rows)
        if extracts is not None:
            quality(dsn, *extracts)


def speed(dsn: str, rows: int) -> None:
    """The jobs as processes of their own."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((GROUPS, DIMENSIONS)).astype(np.float32)
    with connected(dsn) as connection:
        create(connection, "made_up")
        for start in range(0, rows, 10_000):
            count = min(10_000, rows - start)
            noise = random.standard_normal((count, DIMENSIONS)).astype(np.float32)
            groups = random.integers(0, GROUPS, count)
            texts = [f"row {start + i} of group {g} " * 10 for i, g in enumerate(groups)]
            insert(connection, "made_up", start, texts, centres[groups] + noise)
    baseline = float(subprocess.check_output([sys.executable, "-c", _BASELINE]))
    with tempfile.TemporaryDirectory() as folder:
        for name, job in (
            ("cluster", ["rowvec.jobs.cluster", "made_up", str(CLUSTERS)]),
            ("map", ["rowvec.jobs.map", "made_up", "--output", f"{folder}/map.html"]),
        ):
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", _MEASURED, *job],
                env={**os.environ, "ROWVEC_DSN": dsn}, check=True, capture_output=True, text=True,
            )  # fmt: skip
            peak = float(done.stderr.split()[-1])
            report(
                name, rows=rows, dimensions=DIMENSIONS,
                seconds=round(time.perf_counter() - began, 1),
                peak_mb=round(peak), baseline_mb=round(baseline), beyond_mb=round(peak - baseline),
            )  # fmt: skip


def labelled(file: Path | None) -> tuple[list[dict[str, str]], Vectors]:
    """The extracts that have a topic, and their vectors."""
    path = Path(os.environ["ROWVEC_TEST_MODELS"]) / "wiki" / "en.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["topic"] != "Uncategorized"]
    if file is not None and file.exists():
        vectors = np.load(file)
    else:
        vectors = load_model().encode([row["extract"] for row in rows], normalize_embeddings=True)
        if file is not None:
            np.save(file, vectors)
    assert len(vectors) == len(rows), "--vectors is of other extracts"
    return rows, vectors


def quality(dsn: str, rows: list[dict[str, str]], vectors: Vectors) -> None:
    """The labelled extracts: ours through the database, theirs on the array."""
    from sklearn.cluster import KMeans  # noqa: PLC0415
    from sklearn.metrics import adjusted_rand_score  # noqa: PLC0415

    names, topics = np.unique([row["topic"] for row in rows], return_inverse=True)
    with connected(dsn) as connection:
        create(connection, "wiki")
        for start in range(0, len(rows), TEXTS):
            part = rows[start : start + TEXTS]
            texts = [row["extract"] for row in part]
            insert(connection, "wiki", start, texts, vectors[start : start + TEXTS])
        figures: dict[str, list[float]] = {}
        for seed in range(SEEDS):
            theirs = KMeans(len(names), n_init=10, random_state=seed).fit_predict(vectors)
            subprocess.run(
                [sys.executable, "-m", "rowvec", "cluster", "wiki", str(len(names)),
                 "--seed", str(seed), "--json", "--dsn", dsn],
                check=True, capture_output=True,
            )  # fmt: skip
            found = connection.execute("SELECT cluster FROM wiki_cluster ORDER BY id").fetchall()
            for who, labels in (("ours", np.array(found)[:, 0]), ("sklearn", theirs)):
                rand = adjusted_rand_score(topics, labels)
                figures.setdefault(f"{who}_rand", []).append(float(rand))
                figures.setdefault(f"{who}_purity", []).append(purity(topics, labels))
    medians = {name: round(statistics.median(values), 4) for name, values in figures.items()}
    report("cluster quality", rows=len(rows), clusters=len(names), seeds=SEEDS, **medians)


def purity(topics: npt.NDArray[np.intp], labels: npt.NDArray[Any]) -> float:
    """The share of rows whose topic is the most frequent one of their cluster."""
    most = (np.bincount(topics[labels == label]).max() for label in np.unique(labels))
    return float(sum(most)) / len(topics)


def connected(dsn: str) -> psycopg.Connection:
    """An autocommit connection that knows vectors."""
    connection = psycopg.connect(dsn, autocommit=True)
    register_vector(connection)
    return connection


def create(connection: psycopg.Connection, table: str) -> None:
    """A declared table without rows."""
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, body text)")
    connection.execute("SELECT rowvec.create_embedding(%s::regclass, %s, 'body')", (table, MODEL))


def insert(
    connection: psycopg.Connection, table: str, first: int, texts: list[str], vectors: Vectors
) -> None:
    """Rows whose vectors are there already, marked as those of their texts."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE part (LIKE {table}) ON COMMIT DROP")
        with cursor.copy("COPY part (id, body, embedding) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text", "vector"])
            for i, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
                copy.write_row((first + i, text, vector))
        cursor.execute(
            f"INSERT INTO {table} (id, body, embedding, embedding_of)"
            f" SELECT id, body, embedding, {row_hash(connection, table)} FROM part"
        )


if __name__ == "__main__":
    main()
