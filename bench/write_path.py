"""Rows/s of a backfill without the model, beside raw binary COPY of the same keys and vectors.

The vectors are there before the job asks for them, so what is measured is ours: reading pending
rows, the guard, the commit. COPY writes into a logged table with the same primary key, in
transactions of the same size. Then memory and the time a batch takes, over a million rows, how long
it takes to find the one that is pending among them, and what rows cost that the model refuses.

    .venv/bin/python bench/write_path.py [ROWS]
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
import psycopg
from pgvector.psycopg import register_vector
from stage import ROWVEC, instance, report, root_of

from rowvec.backfill.report import Summary
from rowvec.backfill.run import BackfillRequest, backfill, worker_embedder
from rowvec.client import TextChunk
from rowvec.config import Settings
from rowvec.db.definition import Definition
from rowvec.db.worker_address import worker_conninfo
from rowvec.filling.async_embedder import EmbeddedTexts, JobEmbedder

DIMENSIONS = 384
MODEL = "stand-in"
MODELS = f"""
[[model]]
name = "{MODEL}"
kind = "stand-in"
dimensions = {DIMENSIONS}

[[model]]
name = "refusing"
kind = "stand-in"
dimensions = {DIMENSIONS}
delay_ms_per_text = 1
refuse = "^refuse"
"""
TRANSACTION_ROWS = 256
REFUSED = 20
LOOKS = 200

Connect = Callable[[str, Definition], JobEmbedder]


class Ready:
    """Vectors that cost nothing."""

    max_tokens = 1 << 20

    def __init__(self) -> None:
        rows = np.random.default_rng(1).standard_normal((2 * TRANSACTION_ROWS, DIMENSIONS))
        self._vectors = rows.astype(np.float32)

    async def embed(self, texts: Sequence[str]) -> EmbeddedTexts:
        """The same vectors for every batch."""
        return EmbeddedTexts(self._vectors[: len(texts)], np.full(len(texts), 8))

    async def chunk(
        self, texts: Sequence[str], kwargs: Mapping[str, Any]
    ) -> Sequence[Sequence[TextChunk]]:
        """One chunk a text."""
        del kwargs
        return [[TextChunk(text, 0, len(text), 8)] for text in texts]

    async def look_up(self) -> None:
        """Nothing to learn."""

    async def close(self) -> None:
        """Nothing to give up."""


@dataclass
class Watch:
    """A reporter that notes when each batch was committed, and the memory of this process."""

    times: list[float] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)

    def begin(self, total: int) -> None:
        """The first batch is timed from here."""
        del total
        self.times.append(time.perf_counter())

    def advance(self, summary: Summary) -> None:
        """A batch has been committed."""
        self.times.append(time.perf_counter())
        if len(self.times) % 50 == 0:
            self.memory.append((summary.written, psutil.Process().memory_info().rss / 1e6))

    def say(self, message: str) -> None:
        """Not in the figures."""
        print(message, file=sys.stderr)


def serve(dsn: str, models: str) -> None:
    """Gives the worker of an instance another list of models."""
    (root_of(dsn) / "models.toml").write_text(models)
    command = [str(ROWVEC), "up", "--no-sync", "--data", str(root_of(dsn))]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def fill(dsn: str, source: str, connect: Connect) -> tuple[Summary, Watch]:
    """One backfill in this process."""
    watch = Watch()
    settings = Settings.build(dsn=dsn, commit_rows=2 * TRANSACTION_ROWS)
    summary = asyncio.run(
        backfill(
            settings, BackfillRequest(source), worker=worker_conninfo(settings), reporter=watch,
            stop=asyncio.Event(), connect=connect,
        )
    )  # fmt: skip
    return summary, watch


def ready(_worker: str, _definition: Definition) -> JobEmbedder:
    """No worker is asked."""
    return Ready()


def make(
    connection: psycopg.Connection,
    name: str,
    rows: int,
    destination: str = "column",
    model: str = MODEL,
) -> None:
    """A table of short texts, declared and vacuumed."""
    connection.execute(f"CREATE TABLE {name} (id bigint PRIMARY KEY, body text NOT NULL)")
    connection.execute(
        f"INSERT INTO {name} SELECT i, 'a short text with a number in it: ' || i"
        f" FROM generate_series(1, {rows}) AS i"
    )
    connection.execute(f"VACUUM ANALYZE {name}")
    connection.execute(
        "SELECT rowvec.create_embedding(%s, %s, 'body', destination => %s)",
        (name, model, destination),
    )
    connection.execute("CHECKPOINT")


def copy(connection: psycopg.Connection, rows: int) -> float:
    """Rows/s of binary COPY in transactions of TRANSACTION_ROWS."""
    connection.execute(f"CREATE TABLE raw (id bigint PRIMARY KEY, embedding vector({DIMENSIONS}))")
    connection.execute("CHECKPOINT")
    vectors = np.random.default_rng(1).standard_normal((TRANSACTION_ROWS, DIMENSIONS))
    batch = list(vectors.astype(np.float32))
    began = time.perf_counter()
    for first in range(0, rows, TRANSACTION_ROWS):
        with connection.cursor().copy("COPY raw FROM STDIN (FORMAT BINARY)") as out:
            out.set_types(["int8", "vector"])
            for number, vector in enumerate(batch[: rows - first], start=first):
                out.write_row((number, vector))
    took = time.perf_counter() - began
    connection.execute("DROP TABLE raw")
    return rows / took


def found(connection: psycopg.Connection, table: str, key: int) -> tuple[float, float]:
    """Milliseconds until the only pending row is found: the statement, and the function of jobs."""
    connection.execute(f"VACUUM ANALYZE {table}")
    connection.execute(f"UPDATE {table} SET body = body || '.' WHERE id = {key}")
    row = connection.execute(
        "SELECT id, rowvec._pending(id) FROM rowvec.embedding WHERE source = %s::regclass", (table,)
    ).fetchone()
    assert row is not None
    number, pending = row
    looks = (
        f"SELECT id::text FROM {table} WHERE {pending} ORDER BY id LIMIT 512",
        f"SELECT row_key[1] FROM rowvec_jobs.read_{number}(NULL, NULL, 512, true)",
    )
    taken: list[float] = []
    for look in looks:
        times = []
        for _ in range(LOOKS):
            began = time.perf_counter()
            assert connection.execute(look).fetchall() == [(str(key),)]
            times.append(1000 * (time.perf_counter() - began))
        taken.append(statistics.median(times))
    return taken[0], taken[1]


def refused(dsn: str, connection: psycopg.Connection) -> dict[str, float]:
    """Seconds for 5,000 rows of a worker's model of 1,000 texts/s, and with twenty refused."""
    seconds = {}
    for name, bad in (("clean", 0), ("refusing", REFUSED)):
        make(connection, name, 5000, model="refusing")
        # Other texts for either run, as the worker remembers.
        connection.execute(f"UPDATE {name} SET body = body || ' {name}'")
        if bad:
            connection.execute(
                f"UPDATE {name} SET body = 'refuse ' || body WHERE id % {5000 // bad} = 7"
            )
        summary, _ = fill(dsn, name, worker_embedder)
        assert (summary.written, summary.failed) == (5000 - bad, bad), summary
        seconds[name] = summary.seconds
    return seconds


def main() -> None:
    """Prints one line a destination, one about the long run, one about refused rows."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    few = min(rows, 100_000)
    with (
        instance(ROWVEC_SYNC="false") as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        serve(dsn, MODELS)
        register_vector(connection)
        plain = [copy(connection, few)]
        make(connection, "docs", rows)
        summary, watch = fill(dsn, "docs", ready)
        assert summary.written == rows, summary
        statement_ms, function_ms = found(connection, "docs", rows // 2)
        plain.append(copy(connection, few))
        make(connection, "pieces", few, destination="table")
        pieces, _ = fill(dsn, "pieces", ready)
        assert pieces.written == few, pieces
        plain.append(copy(connection, few))
        raw = statistics.median(plain)
        seconds = refused(dsn, connection)
    for destination, done in (("column", summary), ("table", pieces)):
        report(
            f"write_path_{destination}", ratio=round(done.rows_per_second / raw, 3),
            rows_per_second=round(done.rows_per_second), copy_rows_per_second=round(raw),
            rows=done.written,
        )  # fmt: skip
    batches = np.diff(watch.times)
    tenth = max(1, len(batches) // 10)
    second, last = (
        float(np.median(part)) for part in (batches[tenth : 2 * tenth], batches[-tenth:])
    )
    steady = [megabytes for written, megabytes in watch.memory if written >= few] or [0.0]
    report(
        "write_path_long_run", last_tenth_by_second_tenth=round(last / second, 3),
        batch_ms=round(second * 1000, 2), memory_grows_mb=round(max(steady) - steady[0], 1),
        memory_mb=round(max(steady), 1), rows=rows,
    )  # fmt: skip
    report(
        "write_path_found", statement_ms=round(statement_ms, 3), function_ms=round(function_ms, 3),
        rows=rows,
    )  # fmt: skip
    report(
        "write_path_refused", ratio=round(seconds["refusing"] / seconds["clean"], 3),
        clean_seconds=round(seconds["clean"], 2), refused=REFUSED, rows=5000,
    )  # fmt: skip


if __name__ == "__main__":
    main()
