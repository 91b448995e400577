"""Faults 38, 39, 46, 47, 51, 52 and 57: jobs, daemons and builds, killed, frozen or misled."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.postgres import Database
from support.waiting import eventually

# Each starts several commands, one after the other.
pytestmark = pytest.mark.timeout(400)

COMMIT_ROWS = 20


def test_fault_38_two_jobs_do_nothing_twice(reviews: Any, start: Any) -> None:
    reviews.make(1000)
    before = reviews.computed()
    jobs = [start("backfill", "reviews", "--json", "--commit-rows", "10") for _ in range(2)]
    written = [job.end()[0]["written"] for job in jobs]
    assert sum(written) == 1000
    assert reviews.one("SELECT min(writes) = 1 AND max(writes) = 1 FROM reviews")
    assert reviews.is_right()
    # Each asks for one text more, to learn the dimensions.
    assert reviews.computed() - before <= 1000 + 2


def test_fault_39_killed_anywhere_it_goes_on(reviews: Any, start: Any) -> None:
    """Nothing is written twice, and no more is computed again than a batch for each kill."""
    reviews.make(1000)
    before = reviews.computed()
    moments = sorted(random.Random(3).sample(range(20, 700), 3))  # noqa: S311
    for moment in moments:
        job = start("backfill", "reviews", "--commit-rows", str(COMMIT_ROWS))
        eventually(lambda moment=moment: reviews.filled() >= moment)
        job.process.kill()
        job.process.wait()
    assert start("backfill", "reviews", "--json").end()[0]["pending"] == 0
    computed = reviews.computed() - before
    assert reviews.one("SELECT min(writes) = 1 AND max(writes) = 1 FROM reviews")
    assert reviews.is_right()
    asked_for_dimensions = len(moments) + 1
    assert computed <= 1000 + asked_for_dimensions + len(moments) * COMMIT_ROWS
    assert reviews.one("SELECT count(*) FROM rowvec.shard") == 0


def test_fault_46_a_clock_that_is_an_hour_ahead(reviews: Any, start: Any, tmp_path: Path) -> None:
    """Leases are of the database's clock: who is ahead takes nothing from who is not."""
    (tmp_path / "sitecustomize.py").write_text(
        "import time\n"
        "for name in ('time', 'monotonic'):\n"
        "    setattr(time, name, lambda real=getattr(time, name): real() + 3600)\n"
    )
    reviews.make(800)
    options = ("backfill", "reviews", "--json", "--commit-rows", "10", "--lease-seconds", "60")
    right = start(*options)
    eventually(lambda: reviews.filled() > 0)
    ahead = start(*options, PYTHONPATH=str(tmp_path))
    eventually(lambda: reviews.filled() > 300)
    late = "SELECT max(leased_until) < clock_timestamp() + interval '61 seconds' FROM rowvec.shard"
    assert reviews.one(late)
    assert right.end()[0]["written"] + ahead.end()[0]["written"] == 800
    assert reviews.one("SELECT max(writes) FROM reviews") == 1
    assert reviews.is_right()


def test_fault_47_a_frozen_job_writes_nothing_after_its_lease(reviews: Any, start: Any) -> None:
    reviews.make(400)
    options = ("backfill", "reviews", "--json", "--commit-rows", "100", "--lease-seconds", "2")
    frozen = start(*options)
    eventually(reviews.is_embedding)
    frozen.process.send_signal(signal.SIGSTOP)
    before = reviews.filled()
    assert before < 400
    summary, _ = start(*options).end()
    assert summary["pending"] == 0
    assert reviews.filled() == 400
    frozen.process.send_signal(signal.SIGCONT)
    _, said = frozen.end()
    assert "taken over by another job" in said
    assert reviews.one("SELECT max(writes) FROM reviews") == 1
    assert reviews.is_right()


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
    *, database: Any, reviews: Any, start: Any, start_worker: Any, point_at: Any, eventually: Any,
    refused: Any,
) -> None:  # fmt: skip
    """Neither by a new job nor in the middle of one; to move on is said, and begins anew."""
    first = start_worker(revised("first"))
    point_at(database, first)
    reviews.make(1500)
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


def test_fault_52_a_killed_sync_is_replaced(reviews: Any, start: Any) -> None:
    reviews.make(5, "plain")
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
        eventually(lambda number=number: reviews.filled() == number)
    assert reviews.is_right()


def test_fault_57_a_killed_build_is_found_dropped_and_done_again(
    database: Database, reviews: Any, start: Any, backfill: Callable[..., Any]
) -> None:
    """CREATE INDEX CONCURRENTLY waits for a transaction that is open, and dies there."""
    reviews.make(100, "plain")
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
