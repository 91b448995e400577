"""A database of each major of Postgres, with the worker that most tests share."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rowvec.db.schema import migrate
from rowvec.embedded.postgres import Cluster
from support.commands import run_in_process
from support.majors import MAJORS, PostgresOf
from support.postgres import Database
from support.workers import Worker, filled_template

ROWS = 60

# The tests of a major share a process of a parallel session, and with it a server.
_PARAMETERS = [
    pytest.param(
        major, id=f"postgres{major}", marks=pytest.mark.xdist_group(f"majors-postgres{major}")
    )
    for major in MAJORS
]


@pytest.fixture(scope="session", params=_PARAMETERS)
def postgres(request: pytest.FixtureRequest, postgres_of: PostgresOf) -> Cluster:
    """One cluster of each major."""
    return postgres_of(request.param)


@pytest.fixture(scope="session")
def _migrated(postgres: Cluster) -> str:
    """A database to clone."""
    name = "majors_template"
    with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(postgres.dsn(name), search_path=False)
    return name


@pytest.fixture
def database(postgres: Cluster, _migrated: str, worker: Worker) -> Iterator[Database]:
    """In the place of the one that other tests get: of this major."""
    name = f"majors_{uuid.uuid4().hex[:12]}"
    with filled_template(postgres, _migrated, name, worker) as database:
        yield database


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    """Sixty reviews: a third have five stars, three are of a zebra, the first is a long one."""
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE reviews (id int PRIMARY KEY, stars int NOT NULL, body text)"
        )
        connection.execute(
            "INSERT INTO reviews SELECT i, CASE i %% 3 WHEN 0 THEN 5 ELSE 1 END,"
            " 'review ' || i || CASE WHEN i = 1 THEN repeat(' and so on', 20)"
            " WHEN i %% 20 = 0 THEN ' of a zebra' ELSE '' END"
            " FROM generate_series(1, %s) AS i",
            (ROWS,),
        )
        yield connection


Job = Callable[..., Any]


@pytest.fixture
def job(database: Database) -> Job:
    """Runs a command on the database and gives what it printed for programs."""

    def run(*arguments: str, user: str = "postgres") -> Any:
        dsn = database.cluster.dsn(database.name, user)
        done = run_in_process(*arguments, "--json", "--dsn", dsn)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return lines[0] if len(lines) == 1 else lines

    return run
