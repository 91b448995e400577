"""Several backfills of one table at once: processes with models of their own."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial

import psutil
import pytest

from support.commands import StartRowvec
from support.endpoints import Gate
from support.postgres import Database
from support.reviews import Reviews
from support.waiting import eventually
from support.workers import StartWorker, point_at

# Each starts several processes with a worker of its own.
pytestmark = pytest.mark.timeout(400)

MODEL = "slow"

PrivateWorkers = Callable[[], list[psutil.Process]]


def test_a_model_of_its_own(
    reviews: Reviews, start: StartRowvec, private_workers: PrivateWorkers
) -> None:
    reviews.make(300, MODEL)
    summary, _ = start("--engine", "local").end()
    assert (summary["written"], summary["pending"]) == (300, 0)
    assert reviews.are_right()
    assert reviews.are_written_once()
    assert not private_workers()


def test_a_worker_that_does_not_start_is_said(reviews: Reviews, start: StartRowvec) -> None:
    reviews.make(10, MODEL)
    _, said = start("--engine", "local", "--models", "/nonexistent.toml").end(code=1)
    assert "cannot read the list of models /nonexistent.toml" in said


def test_processes_share_the_work_and_a_killed_one_is_replaced(
    reviews: Reviews, start: StartRowvec, gate: Gate, private_workers: PrivateWorkers
) -> None:
    reviews.make(500, MODEL)
    gate.hold(after=100)
    crew = start("--engine", "local", "--workers", "3", "--commit-rows", "20")
    # Each has a worker of its own, and so asks by itself.
    eventually(lambda: gate.waiting == 3)
    jobs = [
        child
        for child in psutil.Process(crew.process.pid).children()
        if "--part-of-crew" in child.cmdline()
    ]
    assert len(jobs) == 3
    jobs[0].kill()
    gate.open()
    assert crew.end()[0]["pending"] == 0
    eventually(lambda: not private_workers())
    assert reviews.filled() == 500
    assert reviews.are_right()
    assert reviews.are_written_once()


def test_a_crew_stops_gently(
    reviews: Reviews, start: StartRowvec, gate: Gate, start_worker: StartWorker, database: Database
) -> None:
    point_at(database, start_worker(gate.listed(MODEL)))
    reviews.make(500, MODEL)
    gate.hold(after=100)
    crew = start("--workers", "2", "--commit-rows", "20", "--worker-wait-seconds", "0")
    eventually(lambda: gate.waiting)
    crew.process.send_signal(signal.SIGINT)
    gate.open()
    summary, _ = crew.end(code=130)
    assert summary["stopped"]
    assert summary["written"] == reviews.filled() < 500
    assert reviews.filled() % 10 == 0


@pytest.mark.parametrize("engine", ["worker", "local"])
def test_a_killed_job_computes_no_more_than_a_batch_again(
    *, engine: str, database: Database, reviews: Reviews, start: StartRowvec, gate: Gate,
    start_worker: StartWorker,
) -> None:  # fmt: skip
    """Whether the worker lives on, without a cache that would hide it, or ends with the job."""
    point_at(database, start_worker(gate.listed(MODEL), "--cache-bytes", "0"))
    batch, moments = 40, (50, 210, 333, 500)
    reviews.make(800, MODEL)
    options = ("--engine", engine, "--commit-rows", str(batch))
    for moment in moments:
        # Enough to get there, and not to the end.
        gate.hold(after=moment - reviews.filled() + 3 * batch)
        job = start(*options)
        eventually(partial(has_filled, reviews, moment))
        job.process.kill()
        job.process.wait()
    assert reviews.filled() < 800
    gate.open()
    assert start(*options).end()[0]["pending"] == 0
    assert reviews.are_written_once()
    assert gate.again() <= len(moments) * batch


def has_filled(reviews: Reviews, rows: int) -> bool:
    return reviews.filled() >= rows
