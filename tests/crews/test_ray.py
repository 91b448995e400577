"""Backfills as Ray actors, on clusters of several nodes on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    # Each starts a cluster, and several processes with a worker of its own.
    pytest.mark.timeout(1200),
    pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed"),
]

Command = subprocess.Popen[str]


@pytest.fixture
def ray_cluster() -> Iterator[Callable[..., Any]]:
    """Starts a cluster of nodes that compute; gives its address and how to kill a node."""
    started: list[Command] = []

    def start(*arguments: str) -> tuple[str, Callable[[], None]]:
        process = subprocess.Popen(
            [sys.executable, Path(__file__).parent / "ray_cluster.py", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        started.append(process)
        said, told = process.stdout, process.stdin
        assert said is not None
        assert told is not None

        def kill() -> None:
            told.write("kill\n")
            told.flush()

        return next(line.split()[1] for line in said if line.startswith("address")), kill

    yield start
    for process in started:
        process.communicate(timeout=120)


def on(address: str, workers: int, *more: str) -> tuple[str, ...]:
    return "--engine", "ray", "--workers", str(workers), "--address", address, *more


def test_a_node_dies_and_no_more_than_a_batch_is_done_again(
    *, reviews: Any, start: Any, done: Any, eventually: Any, ray_cluster: Any, counted: Any,
    private_workers: Any,
) -> None:  # fmt: skip
    batch = 40
    reviews.make(3000)
    address, kill_node = ray_cluster("3")
    job = start(*on(address, 3, "--commit-rows", str(batch)), models=counted.listed)
    eventually(lambda: reviews.filled() >= 300, seconds=400)
    kill_node()
    assert done(job)["pending"] == 0
    assert reviews.filled() == 3000
    assert reviews.are_right()
    assert counted.again() <= batch
    # Those of the node that died, too.
    eventually(lambda: not private_workers())


def test_more_workers_than_room(reviews: Any, start: Any, ray_cluster: Any) -> None:
    """Who finds no room does not keep the others from ending."""
    reviews.make(200)
    address, _ = ray_cluster("1")
    job = start(*on(address, 3, "--commit-rows", "20"))
    output, said = job.communicate(timeout=500)
    assert job.returncode == 0, said
    assert (json.loads(output)["written"], reviews.filled()) == (200, 200)
    assert "room for 1 of 3 workers" in said


def test_every_worker_has_a_gpu_of_its_own(
    *, reviews: Any, start: Any, eventually: Any, ray_cluster: Any, private_workers: Any
) -> None:
    """Ray is told of GPUs, which is what it goes by; the models are computed without."""
    reviews.make(800)
    address, _ = ray_cluster("1", "--cpus", "3", "--gpus", "2")
    options = on(address, 3, "--gpus-per-worker", "1", "--commit-rows", "20")
    job = start(*options, ROWVEC_DEVICE="cpu")
    eventually(lambda: reviews.filled() > 0 and len(private_workers()) == 2, seconds=400)
    seen = [worker.environ()["CUDA_VISIBLE_DEVICES"] for worker in private_workers()]
    assert sorted(seen) == ["0", "1"]
    output, said = job.communicate(timeout=500)
    assert job.returncode == 0, said
    assert "room for 2 of 3 workers" in said
    assert json.loads(output)["written"] == 800
    assert reviews.are_right()
    at_once = (
        "SELECT max((SELECT count(*) FROM rowvec.job AS o WHERE o.started_at <= j.started_at"
        " AND o.ended_at > j.started_at)) FROM rowvec.job AS j"
    )
    assert reviews.one(at_once) == 2


def test_a_gpu_that_torch_does_not_see(reviews: Any, start: Any, ray_cluster: Any) -> None:
    reviews.make(10)
    address, _ = ray_cluster("1", "--gpus", "1")
    job = start(*on(address, 1, "--gpus-per-worker", "1"), CUDA_VISIBLE_DEVICES="")
    _, said = job.communicate(timeout=500)
    assert job.returncode == 1
    assert "no device cuda" in said
    assert "Traceback" not in said
    assert reviews.filled() == 0


def test_no_cluster_at_the_address(reviews: Any, start: Any) -> None:
    reviews.make(10)
    for address, expected in (("127.0.0.1:1", "no Ray cluster answers"), ("x", "is no address of")):
        process = start("--engine", "ray", "--address", address)
        _, said = process.communicate(timeout=500)
        assert process.returncode == 2
        assert expected in said
        assert "Traceback" not in said
    assert reviews.filled() == 0
