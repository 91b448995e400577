"""How soon the worker's listener answers a ping while other things go on.

p50, p99 and the longest of pings over a connection of their own: with nothing else, while the
engine is stopped with SIGSTOP, and while 100 MB of text arrive in requests of some 50 MB.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event

import psycopg
from stage import MODEL, instance, percentile, processes_of, report, worker_of

PINGS = 1000
PAUSE_SECONDS = 0.002
MEGABYTES = 100
PING = '{"v":1,"op":"ping"}'


def main() -> None:
    """Prints a line for each of the three; megabytes to send may be given as an argument."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else MEGABYTES
    with instance() as dsn, psycopg.connect(worker_of(dsn), autocommit=True) as connection:
        connection.execute(embed("the first call loads the model"))
        show("nothing else", pings(connection, lambda number: number < PINGS))

        _, engine = processes_of(dsn)
        engine.suspend()
        try:
            show("engine stopped", pings(connection, lambda number: number < PINGS))
        finally:
            engine.resume()

        # Another process: one that writes megabytes of JSON could not ping on time itself.
        context = multiprocessing.get_context("spawn")
        ready, go = context.Event(), context.Event()
        sender = context.Process(target=send, args=(worker_of(dsn), size, ready, go))
        sender.start()
        ready.wait()
        go.set()
        times = pings(connection, lambda _number: sender.is_alive())
        sender.join()
        assert sender.exitcode == 0
        show("text arrives", times, megabytes=size)


def show(during: str, times: list[float], **figures: int) -> None:
    """One line."""
    report(
        "ping", during=during, pings=len(times), p50_ms=round(1000 * percentile(times, 50), 3),
        p99_ms=round(1000 * percentile(times, 99), 3), longest_ms=round(1000 * max(times), 3),
        goal_p99_ms=50, **figures,
    )  # fmt: skip


def pings(connection: psycopg.Connection, goes_on: Callable[[int], bool]) -> list[float]:
    """Seconds of each."""
    times: list[float] = []
    while goes_on(len(times)):
        start = time.perf_counter()
        connection.execute(PING)
        times.append(time.perf_counter() - start)
        time.sleep(PAUSE_SECONDS)
    return times


def send(conninfo: str, size: int, ready: Event, go: Event) -> None:
    """So many megabytes, in texts of 100 kB; nothing computes them: their time is up."""
    text = "lorem ipsum " * 8_000
    queries = [
        embed(*(f"{number} {text}" for number in range(half * 10)), deadline_ms=0)
        for half in (size // 2, size - size // 2)
    ]
    with psycopg.connect(conninfo, autocommit=True) as connection:
        ready.set()
        go.wait()
        for query in queries:
            try:
                connection.execute(query)
            except psycopg.errors.OperatorIntervention:
                continue
            raise AssertionError("its time was not up")


def embed(*inputs: str, **fields: int) -> str:
    """A request."""
    return json.dumps({"v": 1, "op": "embed", "model": MODEL, "inputs": inputs, **fields})


if __name__ == "__main__":
    main()
