"""Several workers behind one server entry: they share the load, and one of them is killed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from rowvec.client import WorkerClient
from support.commands import Rowvec, StartRowvec
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
def replicas(start_worker: StartWorker) -> list[Worker]:
    return [start_worker(MODELS) for _ in range(2)]


@pytest.fixture
def served(database: Database, rowvec: Rowvec, replicas: list[Worker]) -> list[Worker]:
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
    database: Database, served: list[Worker], start_rowvec: StartRowvec
) -> None:
    with database.connect() as conn:
        job = start_rowvec("backfill", "t", "--commit-rows", "10", "--json", "--dsn", database.dsn)
        filled = "SELECT count(embedding) > 200 FROM t"
        eventually(lambda: conn.execute(filled).fetchone() == (True,))
        # Two batches are under way, on connections to one and to the other.
        eventually(lambda: all(computed(worker) > 0 for worker in served))
        served[0].process.kill()
        served[0].process.wait()
        assert job.end()[0]["written"] == 1500
        for _ in range(5):
            with database.connect() as other:  # a session of its own, and so a new connection
                other.execute("SELECT rowvec.embed('paced', 'x')")
        assert conn.execute(
            "SELECT bool_and(embedding = rowvec.embed('paced', body)) FROM t WHERE id % 50 = 0"
        ).fetchone() == (True,)
