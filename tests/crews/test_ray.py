"""Backfills as Ray actors, on a cluster of several nodes on this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from support.commands import StartRowvec
from support.endpoints import Gate
from support.places import clean_environment
from support.reviews import Reviews
from support.skips import missing
from support.waiting import WAIT_SECONDS, eventually

# Each starts several processes with a worker of its own.
pytestmark = pytest.mark.timeout(600)

MODEL = "slow"

PrivateWorkers = Callable[[], list[psutil.Process]]


@dataclass(frozen=True)
class RayCluster:
    """Three processors and two GPUs: a node has one processor, the other has the rest."""

    address: str
    process: subprocess.Popen[str]

    def replace_node(self) -> None:
        """Kills the node that has one processor, and begins another like it."""
        assert self.process.stdin is not None
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()

    def options(self, workers: int, *more: str) -> tuple[str, ...]:
        """What has a backfill run on it."""
        return "--engine", "ray", "--workers", str(workers), "--address", self.address, *more


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[RayCluster]:
    if find_spec("ray") is None:
        missing("ray", "ray is not installed")
    process = subprocess.Popen(
        [sys.executable, Path(__file__).parent / "ray_cluster.py"], env=clean_environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    address = next(line.split()[1] for line in process.stdout if line.startswith("address"))
    yield RayCluster(address, process)
    process.communicate(timeout=2 * WAIT_SECONDS)


def test_a_node_dies_and_no_more_than_a_batch_is_done_again(
    *, reviews: Reviews, start: StartRowvec, ray_cluster: RayCluster, gate: Gate,
    private_workers: PrivateWorkers,
) -> None:  # fmt: skip
    batch = 40
    reviews.make(1000, MODEL)
    gate.hold(after=200)
    job = start(*ray_cluster.options(3, "--commit-rows", str(batch)))
    eventually(lambda: gate.waiting == 3, seconds=4 * WAIT_SECONDS)
    ray_cluster.replace_node()
    eventually(lambda: len(private_workers()) == 2)
    gate.open()
    assert job.end()[0]["pending"] == 0
    assert reviews.filled() == 1000
    assert reviews.are_right()
    assert reviews.are_written_once()
    assert 0 < gate.again() <= batch
    # Those of the node that died, too.
    eventually(lambda: not private_workers())


def test_more_workers_than_room(
    reviews: Reviews, start: StartRowvec, ray_cluster: RayCluster
) -> None:
    """Who finds no room does not keep the others from ending."""
    reviews.make(200, MODEL)
    summary, said = start(*ray_cluster.options(5, "--commit-rows", "20")).end()
    assert (summary["written"], reviews.filled()) == (200, 200)
    assert "room for 3 of 5 workers" in said


def test_every_worker_has_a_gpu_of_its_own(
    reviews: Reviews,
    start: StartRowvec,
    ray_cluster: RayCluster,
    gate: Gate,
    private_workers: PrivateWorkers,
) -> None:
    """Ray is told of GPUs, which is what it goes by; the models are computed without."""
    reviews.make(300, MODEL)
    gate.hold(after=100)
    options = ray_cluster.options(3, "--gpus-per-worker", "1", "--commit-rows", "20")
    job = start(*options, ROWVEC_DEVICE="cpu")
    eventually(lambda: gate.waiting == 2, seconds=4 * WAIT_SECONDS)
    seen = [worker.environ()["CUDA_VISIBLE_DEVICES"] for worker in private_workers()]
    assert sorted(seen) == ["0", "1"]
    gate.open()
    summary, said = job.end()
    assert "room for 2 of 3 workers" in said
    assert summary["written"] == 300
    assert reviews.are_right()
    assert reviews.are_written_once()
    at_once = (
        "SELECT max((SELECT count(*) FROM rowvec.job AS o WHERE o.started_at <= j.started_at"
        " AND o.ended_at > j.started_at)) FROM rowvec.job AS j"
    )
    assert reviews.one(at_once) == 2


def test_a_gpu_that_torch_does_not_see(
    reviews: Reviews, start: StartRowvec, ray_cluster: RayCluster
) -> None:
    reviews.make(10, MODEL)
    job = start(*ray_cluster.options(1, "--gpus-per-worker", "1"), CUDA_VISIBLE_DEVICES="")
    _, said = job.end(code=1)
    assert "no device cuda" in said
    assert reviews.filled() == 0


@pytest.mark.parametrize(
    ("address", "expected"), [("127.0.0.1:1", "no Ray cluster answers"), ("x", "is no address of")]
)
def test_no_cluster_at_the_address(
    reviews: Reviews, start: StartRowvec, address: str, expected: str
) -> None:
    if find_spec("ray") is None:
        missing("ray", "ray is not installed")
    reviews.make(10, MODEL)
    _, said = start("--engine", "ray", "--address", address).end(code=2)
    assert expected in said
    assert reviews.filled() == 0
