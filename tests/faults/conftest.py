"""What the faults happen on: two majors of Postgres, a line that can be cut, workers to strike."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from rowvec.embedded.postgres import PostgresCluster
from support.lines import Base, Proxy, Striker
from support.majors import PostgresOf, migrated_template
from support.workers import StartWorker, Worker

MODELS = """
[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = 8
max_tokens = 256

[[model]]
name = "slow"
kind = "stand-in"
dimensions = 8
max_tokens = 256
delay_ms_per_text = 20

[[model]]
name = "refusing"
kind = "stand-in"
dimensions = 8
refuse = "refuse me"

[[model]]
name = "deadly"
kind = "stand-in"
dimensions = 8
die = "kill the engine"

[[model]]
name = "hanging"
kind = "stand-in"
dimensions = 8
hang = "hang the engine"
"""


@pytest.fixture(scope="session", params=[18, 15], ids=["postgres18", "postgres15"])
def postgres(request: pytest.FixtureRequest, postgres_of: PostgresOf) -> PostgresCluster:
    """One cluster of each end of the majors."""
    return postgres_of(request.param)


@pytest.fixture
def base(postgres: PostgresCluster) -> Iterator[Base]:
    """A clone of the migrated database; its worker is nowhere."""
    base = Base(f"fault_{uuid.uuid4().hex[:12]}", postgres)
    with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(base.name), sql.Identifier(migrated_template(postgres))
            )
        )
        yield base
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(base.name)))


@pytest.fixture(scope="session")
def models_of_faults() -> str:
    """The models of the workers here."""
    return MODELS


@pytest.fixture(scope="session")
def shared_worker(start_session_worker: StartWorker) -> Worker:
    """A worker that tests may ask, and strike where it goes on by itself.

    Batches are small, so that what was asked for last is not far behind what was dropped.
    """
    return start_session_worker(MODELS, "--max-batch-tokens", "64")


@pytest.fixture
def struck_worker(start_worker: StartWorker) -> Worker:
    """A worker of this test's own, to stop, freeze and kill."""
    return start_worker(MODELS, "--engine-stall-seconds", "0.5")


@pytest.fixture
def conn(base: Base, shared_worker: Worker) -> Iterator[psycopg.Connection]:
    """A session whose worker is the shared one."""
    base.point_at(str(shared_worker.folder), 5466, shared_worker.password)
    with base.connect() as connection:
        yield connection


@pytest.fixture
def struck(base: Base, struck_worker: Worker) -> Iterator[psycopg.Connection]:
    """A session whose worker is this test's own."""
    base.point_at(str(struck_worker.folder), 5466, struck_worker.password)
    with base.connect() as connection:
        yield connection


@pytest.fixture
def proxy(shared_worker: Worker) -> Iterator[Proxy]:
    """A proxy before the shared worker."""
    proxy = Proxy(shared_worker.folder / ".s.PGSQL.5466")
    yield proxy
    proxy.close()


@pytest.fixture
def through_proxy(base: Base, proxy: Proxy, shared_worker: Worker) -> Iterator[psycopg.Connection]:
    """A session that reaches the shared worker through the proxy."""
    base.point_at("127.0.0.1", proxy.port, shared_worker.password)
    with base.connect() as connection:
        yield connection


@pytest.fixture
def while_it_waits(base: Base) -> Striker:
    """Strikes in the middle of a call."""
    return Striker(base)
