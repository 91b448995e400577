"""Several backfills of one table at once: processes with models of their own."""

from __future__ import annotations

import json
import signal
from typing import Any

import psutil
import pytest

from support.waiting import eventually

# Each starts several processes with a worker of its own.
pytestmark = pytest.mark.timeout(400)


def test_a_model_of_its_own(reviews: Any, start: Any, done: Any, private_workers: Any) -> None:
    reviews.make(300)
    summary = done(start("--engine", "local", delay=0))
    assert (summary["written"], summary["pending"]) == (300, 0)
    assert reviews.are_right()
    assert not private_workers()


def test_a_worker_that_does_not_start_is_said(reviews: Any, start: Any) -> None:
    reviews.make(10)
    process = start("--engine", "local", "--models", "/nonexistent.toml")
    _, errors = process.communicate(timeout=250)
    assert process.returncode == 1
    assert "cannot read the list of models /nonexistent.toml" in errors
    assert "Traceback" not in errors


def test_processes_share_the_work_and_a_killed_one_is_replaced(
    reviews: Any, start: Any, done: Any, private_workers: Any
) -> None:
    reviews.make(1500)
    process = start("--engine", "local", "--workers", "3", "--commit-rows", "20")
    eventually(lambda: reviews.filled() >= 100)
    jobs = [p for p in psutil.Process(process.pid).children() if "--part-of-crew" in p.cmdline()]
    assert len(jobs) == 3
    jobs[0].kill()
    assert done(process)["pending"] == 0
    eventually(lambda: not private_workers())
    assert reviews.filled() == 1500
    assert reviews.are_right()


def test_a_crew_stops_gently(reviews: Any, start: Any) -> None:
    reviews.make(1000)
    process = start("--workers", "2", "--commit-rows", "20", "--worker-wait-seconds", "0")
    eventually(lambda: reviews.filled() >= 40)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=250)
    assert process.returncode == 130, errors
    summary = json.loads(output)
    assert summary["stopped"]
    assert summary["written"] == reviews.filled()
    assert reviews.filled() % 10 == 0


@pytest.mark.parametrize("engine", ["worker", "local"])
def test_a_killed_job_computes_no_more_than_a_batch_again(
    *, engine: str, database: Any, reviews: Any, start: Any, done: Any, eventually: Any,
    counted: Any, start_worker: Any, point_at: Any,
) -> None:  # fmt: skip
    """Whether the worker lives on, without a cache that would hide it, or ends with the job."""
    point_at(database, start_worker(counted.listed, "--cache-bytes", "0"))
    batch, moments = 40, (50, 210, 333, 500)
    reviews.make(800)
    options = ("--engine", engine, "--commit-rows", str(batch))
    for moment in moments:
        job = start(*options, models=counted.listed)
        eventually(lambda moment=moment: reviews.filled() >= moment)
        job.kill()
        job.wait()
    assert reviews.filled() < 800
    assert done(start(*options, models=counted.listed))["pending"] == 0
    assert reviews.one("SELECT count(*) FROM reviews WHERE writes <> 1") == 0
    assert counted.again() <= len(moments) * batch
