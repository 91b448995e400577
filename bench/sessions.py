"""1 to 128 sessions, each embedding one short text after another through SQL.

Prints, for each number of sessions: texts/s, divided by what `embed_batch` makes of the same texts
in one session; p95 of a call, divided by the ideal (sessions divided by texts/s); memory of the
worker; memory of a Postgres backend that embeds beyond that of one that does not. The cache is off.
Medians of three rounds.
"""

from __future__ import annotations

import asyncio
import sys
import time

import psutil
import psycopg
from stage import (
    MODEL,
    instance,
    megabytes,
    percentile,
    processes_of,
    report,
    rounded,
    seconds,
    short_texts,
)  # fmt: skip

ROUNDS = 3
SESSIONS = (1, 4, 8, 32, 128)
TEXTS = 1024
EMBED = "SELECT rowvec.embed(%s, %s)"
BATCH = "SELECT count(*) FROM rowvec.embed_batch(%s, %s)"


def main() -> None:
    """Prints a line for each number of sessions; numbers may be given as arguments."""
    numbers = tuple(map(int, sys.argv[1:])) or SESSIONS
    with (
        instance(ROWVEC_CACHE_BYTES="0") as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        connection.execute(BATCH, (MODEL, short_texts(TEXTS, "warm ")))
        plain = backend_megabytes(dsn, embeds=False)
        embedding = backend_megabytes(dsn, embeds=True)
        first_memory: float | None = None
        for number in numbers:
            rates: list[float] = []
            ratios: list[float] = []
            p95s: list[float] = []
            for _ in range(ROUNDS):
                texts = short_texts(TEXTS, f"{time.monotonic_ns()} ")
                parameters = (MODEL, texts)
                bulk = TEXTS / seconds(lambda p=parameters: connection.execute(BATCH, p))  # type: ignore[misc]
                taken, calls = asyncio.run(ask_all(dsn, number, texts))
                rates.append(TEXTS / taken)
                ratios.append(rates[-1] / bulk)
                p95s.append(percentile(calls, 95) * rates[-1] / number)
            memory = megabytes(*processes_of(dsn))
            first_memory = memory if first_memory is None else first_memory
            report(
                "sessions", sessions=number, texts_per_second=rounded(rates, 1),
                ratio_to_bulk=rounded(ratios), p95_to_ideal=rounded(p95s),
                worker_megabytes=memory, more_than_first=round(memory - first_memory, 1),
                backend_megabytes=embedding, plain_backend_megabytes=plain,
            )  # fmt: skip


async def ask_all(dsn: str, number: int, texts: list[str]) -> tuple[float, list[float]]:
    """Seconds in all, and of each call, with the sessions connected and warm beforehand."""
    sessions = [await psycopg.AsyncConnection.connect(dsn, autocommit=True) for _ in range(number)]
    for session in sessions:
        await session.execute("SELECT rowvec._ask('ping')")
    calls: list[float] = []
    left = iter(texts)

    async def ask(session: psycopg.AsyncConnection) -> None:
        for text in left:
            start = time.perf_counter()
            await session.execute(EMBED, (MODEL, text))
            calls.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*map(ask, sessions))
    taken = time.perf_counter() - start
    for session in sessions:
        await session.close()
    return taken, calls


def backend_megabytes(dsn: str, *, embeds: bool) -> float:
    """Memory of its own that a backend has after a query, mean of ten."""
    sessions = [psycopg.connect(dsn, autocommit=True) for _ in range(10)]
    try:
        for number, session in enumerate(sessions):
            if embeds:
                session.execute(EMBED, (MODEL, f"backend {number}"))
            else:
                session.execute("SELECT count(*) FROM pg_class")
        pids = [session.info.backend_pid for session in sessions]
        used = [psutil.Process(pid).memory_full_info().uss for pid in pids]
        return round(sum(used) / len(used) / 1e6, 3)
    finally:
        for session in sessions:
            session.close()


if __name__ == "__main__":
    main()
