"""Several workers behind one server entry: they share the load, and one of them is killed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowvec.client import WorkerClient
from support.commands import Rowvec
from support.postgres import Database
from support.waiting import eventually
from support.workers import StartWorker, Worker

pytestmark = pytest.mark.timeout(400)

ROWVEC = Path(sys.executable).parent / "rowvec"
MODELS = """
[[model]]
name = "paced"
kind = "stand-in"
dimensions = 8
delay_ms_per_text = 3
"""


def computed(worker: Worker) -> int:
    """Texts that this worker has computed."""

    async def ask() -> int:
        async with await WorkerClient.connect(worker.conninfo) as client:
            return sum(model["texts"] for model in await client.models())

    return asyncio.run(ask())


@pytest.fixture
def replicas(start_worker: StartWorker) -> list[Any]:
    return [start_worker(MODELS) for _ in range(2)]


@pytest.fixture
def backfill(database: Database) -> Iterator[subprocess.Popen[str]]:
    """A backfill in small steps, of a table that the test makes before it asks for this."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}
    process = subprocess.Popen(
        [ROWVEC, "backfill", "t", "--commit-rows", "10", "--json", "--dsn", database.dsn],
        env=clean, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.fixture
def served(database: Database, rowvec: Rowvec, replicas: list[Any]) -> list[Any]:
    """The replicas, set as the workers of a database with a table to fill."""
    hosts = ",".join(str(worker.folder) for worker in replicas)
    done = rowvec(
        "server", "set", "--dsn", database.dsn, "--host", hosts, "--password-file",
        str(replicas[0].password_file), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["options"]["load_balance_hosts"] == "random"
    with database.connect() as conn:
        conn.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
        conn.execute("INSERT INTO t SELECT i, 't ' || i FROM generate_series(1, 1500) AS i")
        conn.execute("SELECT rowvec.create_embedding('t', 'paced', 'body')")
    return replicas


def test_replicas_share_the_load_and_one_may_die(
    database: Database, served: list[Any], request: pytest.FixtureRequest
) -> None:
    with database.connect() as conn:
        process = request.getfixturevalue("backfill")
        eventually(lambda: conn.execute("SELECT count(embedding) > 200 FROM t").fetchone()[0])
        # Two batches are under way, on connections to one and to the other.
        eventually(lambda: all(computed(worker) > 0 for worker in served))
        served[0].process.kill()
        served[0].process.wait()
        output, said = process.communicate(timeout=250)
        assert process.returncode == 0, said
        assert json.loads(output)["written"] == 1500
        for _ in range(5):
            with database.connect() as other:  # a session of its own, and so a new connection
                other.execute("SELECT rowvec.embed('paced', 'x')")
        assert conn.execute(
            "SELECT bool_and(embedding = rowvec.embed('paced', body)) FROM t WHERE id % 50 = 0"
        ).fetchone() == (True,)
