"""An interactive session while a backfill runs: p95 of a call beside its idle value.

Docstrings of Python's standard library are filled in by `rowvec backfill`, the cache is off, and a
session embeds a short text every 50 ms. Prints p95 idle and busy, the mean batch of the backfill
and the bound that none exceeded, and how many mean batches a call waits for. Medians of three
rounds.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from functools import partial

import psycopg
from stage import (
    MODEL,
    ROWVEC,
    instance,
    percentile,
    report,
    root_of,
    rounded,
    seconds,
    short_texts,
)  # fmt: skip

from rowvec.load.python_api import python_api, standard_library

ROUNDS = 3
ROWS = 6000
CALLS = 60
PAUSE_SECONDS = 0.05
HTTP = "127.0.0.1:0"


def main() -> None:
    """Prints one line; rows may be given as an argument."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    texts = [entry.doc for entry in python_api(standard_library())]
    idle: list[float] = []
    busy: list[float] = []
    batches: list[tuple[float, float]] = []  # mean and bound of each round
    with (
        instance(ROWVEC_CACHE_BYTES="0", ROWVEC_HTTP_LISTEN=HTTP) as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE docs (id int PRIMARY KEY, doc text NOT NULL)")
        with connection.cursor().copy("COPY docs FROM STDIN") as copy:
            for number in range(rows):
                copy.write_row((number, texts[number % len(texts)]))
        connection.execute("SELECT rowvec.create_embedding('docs', %s, 'doc')", (MODEL,))
        connection.execute("SELECT rowvec.embed(%s, 'the first call loads the model')", (MODEL,))
        for number in range(ROUNDS):
            idle.append(percentile(calls(connection, f"idle {number} "), 95))
            connection.execute("UPDATE docs SET embedding = NULL, embedding_of = NULL")
            before = batch_seconds(dsn)
            backfill = subprocess.Popen(
                [ROWVEC, "backfill", "docs", "--dsn", dsn, "--json"], stdout=subprocess.DEVNULL
            )
            while batch_seconds(dsn).count < before.count + 5:
                time.sleep(0.05)
            before = batch_seconds(dsn)
            busy.append(percentile(calls(connection, f"busy {number} "), 95))
            after = batch_seconds(dsn)
            assert backfill.poll() is None, "the backfill was done too soon: give more rows"
            backfill.terminate()
            backfill.wait()
            batches.append(after.since(before))
    mean, longest = rounded([b[0] for b in batches], 4), rounded([b[1] for b in batches], 4)
    more = rounded([b - i for b, i in zip(busy, idle, strict=True)], 4)
    report(
        "mixed", idle_p95_ms=round(1000 * rounded(idle, 6), 1),
        busy_p95_ms=round(1000 * rounded(busy, 6), 1), batch_mean_ms=round(1000 * mean, 1),
        batch_at_most_ms=round(1000 * longest, 1), waits_for_batches=round(more / mean, 2),
        goal_batches=2, goal_batch_ms=400,
    )  # fmt: skip


def calls(connection: psycopg.Connection, tag: str) -> list[float]:
    """Seconds of each call."""
    times = []
    for text in short_texts(CALLS, tag):
        parameters = (MODEL, text)
        times.append(
            seconds(partial(connection.execute, "SELECT rowvec.embed(%s, %s)", parameters))
        )
        time.sleep(PAUSE_SECONDS)
    return times


@dataclass(frozen=True)
class BatchSeconds:
    """Seconds of all batches so far, how many they were, and how many took up to each bound."""

    total: float
    count: int
    below: dict[float, float]

    def since(self, before: BatchSeconds) -> tuple[float, float]:
        """The mean of those in between, and the bound that none of them exceeded."""
        count = self.count - before.count
        within = (b for b in self.below if self.below[b] - before.below[b] >= count)
        return (self.total - before.total) / count, min(within)


def batch_seconds(dsn: str) -> BatchSeconds:
    """What the worker counts."""
    log = (root_of(dsn) / "log" / "worker.log").read_text()
    found = re.search(r"answering HTTP on (\S+)", log)
    assert found is not None, log
    with urllib.request.urlopen(f"{found[1]}/metrics") as page:  # noqa: S310  # ours
        text = page.read().decode()
    total = sum(map(float, re.findall(r"rowvec_batch_seconds_sum\{.*\} (\S+)", text)))
    count = int(sum(map(float, re.findall(r"rowvec_batch_seconds_count\{.*\} (\S+)", text))))
    buckets = re.findall(r'rowvec_batch_seconds_bucket\{.*le="([^"]+)".*\} (\S+)', text)
    return BatchSeconds(total, count, {float(bound): float(below) for bound, below in buckets})


if __name__ == "__main__":
    main()
