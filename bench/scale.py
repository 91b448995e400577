"""Rows/s of 1, 2, 4 and 8 backfill workers at once, beside the ideal: processes, then Ray actors.

Each has a model of its own, the stand-in, which waits 250 ms for 256 rows as a GPU would compute
them. Start-up is left out: rows are counted in the table between two moments at which all work. The
ideal is what the waiting alone would allow.

    .venv/bin/python bench/scale.py [ENGINE ...]     # local, ray
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from stage import ROWVEC, instance, report, root_of

WORKERS = (1, 2, 4, 8)
MS_PER_TEXT = 250 / 256
SECONDS = 20.0
MODELS = f"""
[[model]]
name = "waiting"
kind = "stand-in"
dimensions = 384
delay_ms_per_text = {MS_PER_TEXT}
"""


def main() -> None:
    """Prints one line an engine and number of workers."""
    engines = sys.argv[1:] or ["local", "ray"]
    with (
        instance(ROWVEC_SYNC="false") as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        models = root_of(dsn) / "models.toml"
        models.write_text(MODELS)
        command = [str(ROWVEC), "up", "--no-sync", "--data", str(root_of(dsn))]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for engine in engines:
            if engine == "ray" and importlib.util.find_spec("ray") is None:
                print("ray is not installed", file=sys.stderr)
                continue
            first = None
            for workers in WORKERS:
                rate = measured(connection, dsn, models, engine, workers)
                first = first or rate
                report(
                    f"scale_{engine}", workers=workers, rows_per_second=round(rate),
                    ideal_rows_per_second=round(workers * 1000 / MS_PER_TEXT),
                    of_linear=round(rate / (first * workers), 3),
                )  # fmt: skip


def measured(
    connection: psycopg.Connection, dsn: str, models: Path, engine: str, workers: int
) -> float:
    """Rows/s of the table while all workers are at it."""
    connection.execute("DROP TABLE IF EXISTS docs")
    connection.execute("DELETE FROM rowvec.embedding")
    connection.execute("CREATE TABLE docs (id bigint PRIMARY KEY, body text NOT NULL)")
    rows = int(workers * 1000 / MS_PER_TEXT * (SECONDS + 15)) + 50_000
    connection.execute(
        f"INSERT INTO docs SELECT i, 'text ' || i FROM generate_series(1, {rows}) AS i"
    )
    connection.execute("VACUUM ANALYZE docs")
    connection.execute("SELECT rowvec.create_embedding('docs', 'waiting', 'body')")
    process = subprocess.Popen(
        [str(ROWVEC), "backfill", "docs", "--dsn", dsn, "--models", str(models), "--engine", engine,
         "--workers", str(workers)],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        # Each that has begun holds a range, and ranges are cut as they are needed: once there are
        # twice as many, and as many at work as there are workers, all are at it.
        while not are_all_at_it(connection, workers):
            assert process.poll() is None, "the backfill ended before it was measured"
            time.sleep(0.2)
        began, before = time.perf_counter(), updated(connection)
        time.sleep(SECONDS)
        return (updated(connection) - before) / (time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait()


def are_all_at_it(connection: psycopg.Connection, workers: int) -> bool:
    """Whether each has a range, and as many ranges again were begun."""
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE done_at IS NULL), count(*) FROM rowvec.shard"
    ).fetchone()
    assert row is not None
    return bool(row[0] >= workers and row[1] >= 2 * workers)


def updated(connection: psycopg.Connection) -> int:
    """Rows written so far."""
    row = connection.execute("SELECT count(*) FROM docs WHERE embedding_of IS NOT NULL").fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    main()
