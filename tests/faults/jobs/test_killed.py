"""Faults 38, 39, 46, 47, 51, 52 and 57: jobs, daemons and builds, killed, frozen or misled."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from support.commands import StartRowvec
from support.endpoints import Gate
from support.postgres import Database, refused
from support.reviews import Reviews
from support.waiting import eventually
from support.workers import StartWorker, point_at

# Each starts several commands, one after the other.
pytestmark = pytest.mark.timeout(400)

Backfill = Callable[..., dict[str, Any]]

COMMIT_ROWS = 20


@contextmanager
def two_at_once(reviews: Reviews) -> Iterator[None]:
    """Two jobs that the block starts take their first range of keys at the same time."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock' AND application_name = 'rowvec backfill'"
    )
    with psycopg.connect(reviews.connection.info.dsn) as holder:
        holder.execute("INSERT INTO rowvec.frontier SELECT id FROM rowvec.embedding")
        yield
        eventually(lambda: reviews.one(waiting) == 2)


def test_fault_38_two_jobs_do_nothing_twice(
    reviews: Reviews, start: StartRowvec, gate: Gate
) -> None:
    reviews.make(400, "gated")
    with two_at_once(reviews):
        jobs = [start("backfill", "reviews", "--json", "--commit-rows", "10") for _ in range(2)]
    written = [job.end()[0]["written"] for job in jobs]
    assert sum(written) == 400
    assert min(written) > 0
    assert reviews.are_written_once()
    assert reviews.are_right()
    assert gate.again() == 0


def test_fault_38_one_of_two_jobs_is_killed(
    reviews: Reviews, start: StartRowvec, gate: Gate
) -> None:
    reviews.make(400, "gated")
    gate.hold(after=150)
    options = ("backfill", "reviews", "--json", "--commit-rows", "10")
    with two_at_once(reviews):
        one, other = start(*options), start(*options)
    eventually(lambda: gate.waiting)
    one.process.kill()
    one.process.wait()
    gate.open()
    assert other.end()[0]["pending"] == 0
    assert reviews.are_written_once()
    assert reviews.are_right()


def test_fault_39_killed_ten_times_it_goes_on(
    reviews: Reviews, start: StartRowvec, gate: Gate
) -> None:
    """Nothing is written twice, and no more is computed again than a batch for each kill.

    Each comes at a random number of committed rows, wherever the job is then.
    """
    reviews.make(600, "gated")
    moments = sorted(random.Random(3).sample(range(20, 500), 10))  # noqa: S311
    for moment in moments:
        # Enough to get there, and not to the end.
        gate.hold(after=moment - reviews.filled() + 3 * COMMIT_ROWS)
        job = start("backfill", "reviews", "--commit-rows", str(COMMIT_ROWS))
        eventually(partial(has_filled, reviews, moment))
        job.process.kill()
        job.process.wait()
    gate.open()
    assert start("backfill", "reviews", "--json").end()[0]["pending"] == 0
    assert reviews.are_written_once()
    assert reviews.are_right()
    assert gate.again() <= len(moments) * COMMIT_ROWS
    assert reviews.one("SELECT count(*) FROM rowvec.shard") == 0


def has_filled(reviews: Reviews, rows: int) -> bool:
    return reviews.filled() >= rows


def test_fault_46_a_clock_that_is_an_hour_ahead(
    reviews: Reviews, start: StartRowvec, gate: Gate, tmp_path: Path
) -> None:
    """Leases are of the database's clock: who is ahead takes nothing from who is not."""
    (tmp_path / "sitecustomize.py").write_text(
        "import time\n"
        "for name in ('time', 'monotonic'):\n"
        "    setattr(time, name, lambda real=getattr(time, name): real() + 3600)\n"
    )
    reviews.make(400, "gated")
    options = ("backfill", "reviews", "--json", "--commit-rows", "10", "--lease-seconds", "60")
    gate.hold(after=100)
    with two_at_once(reviews):
        right, ahead = start(*options), start(*options, PYTHONPATH=str(tmp_path))
    eventually(lambda: gate.waiting)
    late = "SELECT max(leased_until) < clock_timestamp() + interval '61 seconds' FROM rowvec.shard"
    assert reviews.one(late)
    gate.open()
    written = [job.end()[0]["written"] for job in (right, ahead)]
    assert sum(written) == 400
    assert min(written) > 0
    assert reviews.are_written_once()
    assert reviews.are_right()


def test_fault_47_a_frozen_job_writes_nothing_after_its_lease(
    reviews: Reviews, start: StartRowvec, gate: Gate
) -> None:
    reviews.make(200, "gated")
    options = ("backfill", "reviews", "--json", "--commit-rows", "50", "--lease-seconds", "2")
    gate.hold()
    frozen = start(*options)
    eventually(lambda: gate.waiting)
    frozen.process.send_signal(signal.SIGSTOP)
    gate.open()
    assert start(*options).end()[0]["pending"] == 0
    assert reviews.filled() == 200
    frozen.process.send_signal(signal.SIGCONT)
    _, said = frozen.end()
    assert "taken over by another job" in said
    assert reviews.are_written_once()
    assert reviews.are_right()


def test_interrupted_it_writes_the_batch_in_hand_and_says_so(
    reviews: Reviews, start: StartRowvec, gate: Gate
) -> None:
    reviews.make(500, "gated")
    gate.hold(after=100)
    job = start("backfill", "reviews", "--commit-rows", "20")
    eventually(lambda: gate.waiting)
    job.process.send_signal(signal.SIGINT)
    gate.open()
    _, said = job.end(code=130)
    assert "Interrupted" in said
    assert "still pending" in said
    assert reviews.filled() % 10 == 0


def revised(revision: str) -> str:
    return f"""
[[model]]
name = "paced"
kind = "stand-in"
dimensions = 8
delay_ms_per_text = 4
revision = "{revision}"
"""


def test_fault_51_another_revision_never_gets_into_the_column(
    database: Database, reviews: Reviews, start: StartRowvec, start_worker: StartWorker
) -> None:
    """Neither by a new job nor in the middle of one; to move on is said, and begins anew."""
    first = start_worker(revised("first"))
    point_at(database, first)
    reviews.make(1500, "paced")
    job = start("backfill", "reviews", "--commit-rows", "10", "--worker-wait-seconds", "100")
    eventually(lambda: reviews.filled() > 50)
    first.process.terminate()
    first.process.wait()
    start_worker(revised("second"), socket_folder=first.folder)
    _, said = job.end(code=1)
    assert "pins revision second" in said
    assert 50 < reviews.filled() < 1500
    assert reviews.one("SELECT count(*) FROM rowvec.failure") == 0
    assert "pins revision second" in start("backfill", "reviews").end(code=1)[1]
    with refused("0A000", "pins revision second", "alter_embedding"):
        reviews.run("SELECT * FROM rowvec.search('reviews', 'x')")

    reviews.run("DELETE FROM reviews WHERE id > 100")
    reviews.run("DROP TRIGGER count_write ON reviews")  # it needs the column
    reviews.run("SELECT rowvec.alter_embedding('reviews', model => 'paced')")
    assert reviews.filled() == 0
    assert start("backfill", "reviews", "--json").end()[0]["written"] == 100
    assert reviews.one("SELECT bool_and(embedding = rowvec.embed('paced', body)) FROM reviews")


def test_fault_52_a_killed_sync_is_replaced(reviews: Reviews, start: StartRowvec) -> None:
    reviews.make(5)
    one = start("sync")
    eventually(lambda: reviews.filled() == 5)
    other = start("sync")
    syncs = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'rowvec sync' AND datname = current_database()"
    )
    eventually(lambda: reviews.one(syncs) >= 2)
    for victim, number in ((one, 6), (other, 7)):
        victim.process.kill()
        victim.process.wait()
        if number == 7:
            start("sync")
        reviews.run("INSERT INTO reviews VALUES (%s, 'text')", number)
        eventually(partial(has_filled, reviews, number))
    assert reviews.are_right()


def test_fault_57_a_killed_build_is_found_dropped_and_done_again(
    database: Database, reviews: Reviews, start: StartRowvec, backfill: Backfill
) -> None:
    """CREATE INDEX CONCURRENTLY waits for a transaction that is open, and dies there."""
    reviews.make(100)
    invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
    with database.connect() as other:
        with other.transaction():
            other.execute("INSERT INTO reviews VALUES (101, 'late')")
            job = start("backfill", "reviews")
            eventually(lambda: reviews.one(invalid) == 1)
            job.process.kill()
            job.process.wait()
            reviews.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'rowvec backfill' AND datname = current_database()"
            )
            eventually(lambda: not psutil.pid_exists(job.process.pid))
        assert reviews.one(invalid) == 1
    summary = backfill()
    assert (summary["written"], reviews.one(invalid)) == (101, 0)
    found = reviews.run("SELECT indexname FROM pg_indexes WHERE indexname LIKE '%pending'")
    assert found.fetchall() == [("reviews_embedding_pending",)]
