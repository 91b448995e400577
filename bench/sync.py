"""What `rowvec sync` costs and how fast it is: idle over 20 embeddings, then rows that trickle in.

The first line is the processor time of the process and of its sessions in Postgres, as a share of
one core, while nobody writes; the second the same while another table is written every half second.
The third is the time from an INSERT's COMMIT to its vector being readable, with one insert every
half second, an all-MiniLM-L6-v2 worker on the same machine, and all the embeddings.

    bench/sync.py [EMBEDDINGS]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import psycopg
from stage import MODEL, ROWVEC, instance, report

IDLE_SECONDS = 30
INSERTS = 60
SECONDS_BETWEEN = 0.5
POLL_SECONDS = 0.002


def main() -> None:
    """Prints a line for idling, one for idling beside others, one for latency."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("embeddings", nargs="?", type=int, default=20)
    embeddings = parser.parse_args().embeddings
    with (
        instance(ROWVEC_SYNC="true") as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        connection.execute(
            "SELECT rowvec.embed(%s, 'loaded by this', '{\"timeout_ms\": 600000}')", (MODEL,)
        )
        for number in range(embeddings):
            connection.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, body text)".encode())
            connection.execute(
                "SELECT rowvec.create_embedding(%s, %s, 'body')", (f"t{number}", MODEL)
            )
        for number in range(embeddings):
            latency(connection, f"t{number}", 0)
        time.sleep(10)  # until it polls as seldom as it will
        idle(dsn, connection, "sync.idle", embeddings)
        connection.execute("CREATE TABLE others (id int)")
        with writing(dsn):
            idle(dsn, connection, "sync.idle_beside_others", embeddings)
        trickle(connection)


@contextmanager
def writing(dsn: str) -> Iterator[None]:
    """Somebody writes to a table that has no embedding, while the block runs."""
    ended = threading.Event()

    def write() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not ended.wait(SECONDS_BETWEEN):
                connection.execute("INSERT INTO others VALUES (1)")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def idle(dsn: str, connection: psycopg.Connection, name: str, embeddings: int) -> None:
    """Processor time while nothing comes."""
    told = subprocess.run(
        [ROWVEC, "status", "--dsn", dsn, "--json"], capture_output=True, check=True
    )
    assert len(json.loads(told.stdout)["embeddings"]) == embeddings
    backends = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'rowvec sync'"
    ).fetchall()
    sync = next(
        process
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"] and process.info["cmdline"][-3:] == ["sync", "--dsn", dsn]
    )
    processes = [sync, *(psutil.Process(pid) for (pid,) in backends)]
    before = [used(process) for process in processes]
    time.sleep(IDLE_SECONDS)
    shares = [
        (used(process) - start) / IDLE_SECONDS
        for process, start in zip(processes, before, strict=True)
    ]
    report(
        name,
        percent_of_a_core=round(100 * sum(shares), 2),
        percent_process=round(100 * shares[0], 2),
        percent_postgres=round(100 * sum(shares[1:]), 2),
        embeddings=embeddings,
        seconds=IDLE_SECONDS,
    )


def trickle(connection: psycopg.Connection) -> None:
    """The latency of a row at a time."""
    found = []
    for number in range(1, INSERTS + 1):
        began = time.monotonic()
        found.append(latency(connection, "t0", number))
        time.sleep(max(began + SECONDS_BETWEEN - time.monotonic(), 0))
    milliseconds = sorted(1000 * seconds for seconds in found)
    report(
        "sync.latency",
        p50_ms=round(statistics.median(milliseconds)),
        p95_ms=round(milliseconds[int(0.95 * len(milliseconds))]),
        max_ms=round(milliseconds[-1]),
        inserts=INSERTS,
    )


def latency(connection: psycopg.Connection, table: str, number: int) -> float:
    """Seconds from the commit of a row to its vector."""
    connection.execute(
        f"INSERT INTO {table} VALUES (%s, %s)".encode(),
        (number, f"row number {number} has a text of a dozen words or so, as many have"),
    )
    began = time.monotonic()
    statement = f"SELECT embedding IS NOT NULL FROM {table} WHERE id = %s".encode()
    while connection.execute(statement, (number,)).fetchone() != (True,):
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


def used(process: psutil.Process) -> float:
    """Seconds of processor time."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
