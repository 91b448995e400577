"""1 to 128 sessions, each embedding one short text after another through SQL.

Prints, for each number of sessions: texts/s, divided by what `embed_batch` makes of the same texts
in one session; p95 of a call, divided by the ideal (sessions divided by texts/s); memory of the
worker; memory of a Postgres backend that embeds beyond that of one that does not. The cache is off.
Every session is a thread with a connection of psycopg's. Medians of three rounds.

    bench/sessions.py [SESSIONS ...] [--apart]

The clients and Postgres take processors from the model, which a bulk call leaves to it. With
--apart the model has one processor, in bulk as well, and everything else the others: as where
clients and Postgres have machines of their own.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from functools import partial

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
    """Prints a line for each number of sessions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sessions", nargs="*", type=int, default=SESSIONS)
    parser.add_argument("--apart", action="store_true")
    arguments = parser.parse_args()
    settings = {"ROWVEC_CACHE_BYTES": "0"} | ({"ROWVEC_THREADS": "1"} if arguments.apart else {})
    with (
        instance(None, **settings) as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        connection.execute(BATCH, (MODEL, short_texts(TEXTS, "warm ")))
        if arguments.apart:
            set_apart(dsn)
        plain = backend_megabytes(dsn, embeds=False)
        embedding = backend_megabytes(dsn, embeds=True)
        first_memory: float | None = None
        for number in arguments.sessions:
            rates: list[float] = []
            ratios: list[float] = []
            p95s: list[float] = []
            for _ in range(ROUNDS):
                texts = short_texts(TEXTS, f"{time.monotonic_ns()} ")
                parameters = (MODEL, texts)
                bulk = TEXTS / seconds(lambda p=parameters: connection.execute(BATCH, p))  # type: ignore[misc]
                taken, calls = ask_all(dsn, number, texts)
                rates.append(TEXTS / taken)
                ratios.append(rates[-1] / bulk)
                p95s.append(percentile(calls, 95) * rates[-1] / number)
            memory = megabytes(*processes_of(dsn))
            first_memory = memory if first_memory is None else first_memory
            report(
                "sessions", sessions=number, apart=arguments.apart,
                texts_per_second=rounded(rates, 1), ratio_to_bulk=rounded(ratios),
                p95_to_ideal=rounded(p95s), worker_megabytes=memory,
                more_than_first=round(memory - first_memory, 1),
                backend_megabytes=embedding, plain_backend_megabytes=plain,
            )  # fmt: skip


def set_apart(dsn: str) -> None:
    """The engine gets the last processor, the other processes of the instance and this the rest."""
    *others, last = sorted(os.sched_getaffinity(0))
    listener, engine = processes_of(dsn)
    with psycopg.connect(dsn) as connection:
        postmaster = psutil.Process(connection.info.backend_pid).parent()
        assert postmaster is not None
        postgres = [postmaster, *postmaster.children()]
    for process in (psutil.Process(), listener, *postgres):
        place(process, others)
    place(engine, [last])


def place(process: psutil.Process, processors: list[int]) -> None:
    """Holds every thread of a process to some processors; its children will inherit them."""
    for thread in process.threads():
        os.sched_setaffinity(thread.id, processors)


def ask_all(dsn: str, number: int, texts: list[str]) -> tuple[float, list[float]]:
    """Seconds in all, and of each call, with the sessions connected and warm beforehand."""
    sessions = [psycopg.connect(dsn, autocommit=True) for _ in range(number)]
    for session in sessions:
        session.execute("SELECT rowvec._ask('ping')")
    calls: list[float] = []
    left = iter(texts)
    taking = threading.Lock()

    def ask(session: psycopg.Connection) -> None:
        while True:
            with taking:
                text = next(left, None)
            if text is None:
                return
            calls.append(seconds(partial(session.execute, EMBED, (MODEL, text))))

    threads = [threading.Thread(target=ask, args=(session,)) for session in sessions]
    taken = seconds(lambda: run_all(threads))
    for session in sessions:
        session.close()
    return taken, calls


def run_all(threads: list[threading.Thread]) -> None:
    """Starts them, and returns when all have ended."""
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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
