"""What one call of embed() costs beside the model alone, and what a connection costs in memory.

Prints: p50 of `SELECT rowvec.embed(model, short text)` minus p50 of in-process
`SentenceTransformer.encode` of the same texts; p50 of a repeated text; memory of one more
connection that has embedded (proportional set size of all server processes).
"""

from __future__ import annotations

import time
from functools import partial

import psutil
import psycopg
from stage import MODEL, instance, load_model, report, rounded, seconds

BLOCKS, CALLS = 6, 50
SETTLE_SECONDS = 0.2
CONNECTIONS = 20
EMBED = "SELECT rowvec.embed(%s, %s)"


def main() -> None:
    """Runs the three measurements."""
    model = load_model()
    with instance() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        in_process: list[float] = []
        in_sql: list[float] = []
        repeated: list[float] = []
        connection.execute(EMBED, (MODEL, "the first call loads the model"))
        model.encode("the first call loads the model")
        for block in range(BLOCKS):
            # Alternating blocks, so that a busy moment of the machine falls on both; not single
            # calls, since torch's threads keep the cores for a while after each encode.
            texts = [f"a short text, number {block}-{number}" for number in range(CALLS)]
            in_process += [seconds(partial(model.encode, text)) for text in texts]
            time.sleep(SETTLE_SECONDS)
            in_sql += [seconds(partial(one_call, connection, text)) for text in texts]
            repeated += [seconds(partial(one_call, connection, text)) for text in texts]
        sql_ms, model_ms = 1000 * rounded(in_sql, 6), 1000 * rounded(in_process, 6)
        report(
            "call",
            sql_p50_ms=round(sql_ms, 3),
            in_process_p50_ms=round(model_ms, 3),
            difference_ms=round(sql_ms - model_ms, 3),
            ratio=round(sql_ms / model_ms, 3),
            # On a machine with other work, the least is nearer to the truth than the median.
            sql_least_ms=round(1000 * min(in_sql), 3),
            in_process_least_ms=round(1000 * min(in_process), 3),
        )
        report("repeated text", p50_ms=round(1000 * rounded(repeated, 6), 3))
        report("connection", megabytes=memory_of_a_connection(dsn, connection))


def one_call(connection: psycopg.Connection, text: str) -> object:
    """A vector through SQL."""
    return connection.execute(EMBED, (MODEL, text)).fetchone()


def memory_of_a_connection(dsn: str, connection: psycopg.Connection) -> float:
    """Megabytes that a further connection costs once it has embedded, mean of twenty."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    postmaster = psutil.Process(row[0]).parent()
    assert postmaster is not None

    def used() -> int:
        processes = [postmaster, *postmaster.children(recursive=True)]
        return sum(process.memory_full_info().pss for process in processes)

    before = used()
    more = [psycopg.connect(dsn, autocommit=True) for _ in range(CONNECTIONS)]
    try:
        for number, one in enumerate(more):
            one.execute(EMBED, (MODEL, f"connection {number}"))
        return round((used() - before) / CONNECTIONS / 1e6, 3)
    finally:
        for one in more:
            one.close()


if __name__ == "__main__":
    main()
