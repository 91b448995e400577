"""Several backfills of one table at once: processes, models of their own, Ray actors."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

# Each starts several processes with a worker of its own.
pytestmark = pytest.mark.timeout(400)

ROWVEC = Path(sys.executable).parent / "rowvec"
MODELS = """
[[model]]
name = "slow"
kind = "stand-in"
dimensions = 8
delay_ms_per_text = {delay}
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def connection(database: Any) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


@pytest.fixture
def start(database: Any, tmp_path: Path) -> Iterator[Start]:
    """Starts `rowvec backfill` with a list of models of its own."""
    started: list[subprocess.Popen[str]] = []
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}

    def run(*arguments: str, delay: float = 5) -> subprocess.Popen[str]:
        models = tmp_path / "models.toml"
        models.write_text(MODELS.format(delay=delay))
        process = subprocess.Popen(
            [ROWVEC, "backfill", "reviews", "--json", "--dsn", database.dsn, "--models", models,
             *arguments],
            env={**clean, "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def fill_table(connection: psycopg.Connection, rows: int) -> None:
    connection.execute("CREATE TABLE reviews (id bigint PRIMARY KEY, body text)")
    connection.execute(
        "INSERT INTO reviews SELECT i, 'text ' || i FROM generate_series(1, %s) AS i", (rows,)
    )
    connection.execute("SELECT rowvec.create_embedding('reviews', 'slow', 'body')")


def filled(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(embedding) FROM reviews").fetchone()
    assert row is not None
    return int(row[0])


def is_right(connection: psycopg.Connection) -> bool:
    row = connection.execute(
        "SELECT bool_and(embedding = rowvec.embed('stand-in-small', body)),"
        " bool_and(embedding_of = hashtextextended(body, 0)) FROM reviews"
    ).fetchone()
    return row == (True, True)


def done(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=250)
    assert process.returncode == 0, errors
    summary: dict[str, Any] = json.loads(output)
    return summary


def private_workers(folder: Path) -> list[psutil.Process]:
    """Workers that the jobs of a test started, and that live."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[-2:] == ["rowvec", "worker"]:
            with contextlib.suppress(psutil.Error):
                if process.environ().get("ROWVEC_MODELS") == str(folder / "models.toml"):
                    found.append(process)
    return found


def test_a_model_of_its_own(connection: psycopg.Connection, start: Start, tmp_path: Path) -> None:
    fill_table(connection, 300)
    summary = done(start("--engine", "local", delay=0))
    assert (summary["written"], summary["pending"]) == (300, 0)
    assert is_right(connection)
    assert not private_workers(tmp_path)


def test_a_worker_that_does_not_start_is_said(connection: psycopg.Connection, start: Start) -> None:
    fill_table(connection, 10)
    process = start("--engine", "local", "--models", "/nonexistent.toml")
    _, errors = process.communicate(timeout=250)
    assert process.returncode == 1
    assert "cannot read the list of models /nonexistent.toml" in errors
    assert "Traceback" not in errors


def test_processes_share_the_work_and_a_killed_one_is_replaced(
    connection: psycopg.Connection, start: Start, eventually: Any, tmp_path: Path
) -> None:
    fill_table(connection, 1500)
    process = start("--engine", "local", "--workers", "3", "--commit-rows", "20")
    eventually(lambda: filled(connection) >= 100)
    jobs = [p for p in psutil.Process(process.pid).children() if "--part-of-crew" in p.cmdline()]
    assert len(jobs) == 3
    jobs[0].kill()
    summary = done(process)
    eventually(lambda: not private_workers(tmp_path))
    assert (summary["pending"], filled(connection)) == (0, 1500)
    assert is_right(connection)


def test_a_crew_stops_gently(connection: psycopg.Connection, start: Start, eventually: Any) -> None:
    fill_table(connection, 1000)
    process = start("--workers", "2", "--commit-rows", "20", "--worker-wait-seconds", "0")
    eventually(lambda: filled(connection) >= 40)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=250)
    assert process.returncode == 130, errors
    summary = json.loads(output)
    assert summary["stopped"]
    assert summary["written"] == filled(connection)
    assert filled(connection) % 20 == 0


@pytest.fixture
def cluster_of_three() -> Iterator[subprocess.Popen[str]]:
    """A Ray cluster with three nodes that compute; its address is the first line it prints."""
    if find_spec("ray") is None:
        pytest.skip("ray is not installed")
    process = subprocess.Popen(
        [sys.executable, Path(__file__).parent / "ray_cluster.py", "3"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    yield process
    process.communicate(timeout=60)


def test_a_ray_node_dies_and_its_work_is_taken_over(
    connection: psycopg.Connection,
    start: Start,
    eventually: Any,
    cluster_of_three: subprocess.Popen[str],
    tmp_path: Path,
) -> None:
    assert cluster_of_three.stdout is not None
    assert cluster_of_three.stdin is not None
    address = next(
        line.split()[1] for line in cluster_of_three.stdout if line.startswith("address")
    )
    fill_table(connection, 4000)
    process = start(
        "--engine", "ray", "--workers", "3", "--address", address, "--commit-rows", "20"
    )
    eventually(lambda: filled(connection) >= 300, seconds=120)
    cluster_of_three.stdin.write("kill\n")
    cluster_of_three.stdin.flush()
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert json.loads(output)["pending"] == 0
    assert filled(connection) == 4000
    assert is_right(connection)
    # Those of the node that died, too.
    eventually(lambda: not private_workers(tmp_path))


def test_no_cluster_at_the_address(connection: psycopg.Connection, start: Start) -> None:
    if find_spec("ray") is None:
        pytest.skip("ray is not installed")
    fill_table(connection, 10)
    for address, said in (("127.0.0.1:1", "no Ray cluster answers"), ("x", "is no address of")):
        process = start("--engine", "ray", "--address", address)
        _, errors = process.communicate(timeout=250)
        assert process.returncode == 2
        assert said in errors
        assert "Traceback" not in errors
    assert filled(connection) == 0
