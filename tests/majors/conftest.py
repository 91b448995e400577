"""A database of each major of Postgres, with the worker that most tests share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from rowvec.db.schema import migrate
from rowvec.embedded.postgres import PostgresCluster
from support.majors import MAJORS, PostgresOf
from support.postgres import Database
from support.workers import Worker, filled_template


@pytest.fixture(scope="session", params=MAJORS, ids=lambda major: f"postgres{major}")
def postgres(request: pytest.FixtureRequest, postgres_of: PostgresOf) -> PostgresCluster:
    """One cluster of each major."""
    return postgres_of(request.param)


@pytest.fixture(scope="session")
def _migrated(postgres: PostgresCluster) -> str:
    """A database to clone."""
    name = "majors_template"
    with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(postgres.dsn(name), search_path=False)
    return name


@pytest.fixture
def database(postgres: PostgresCluster, _migrated: str, worker: Worker) -> Iterator[Database]:
    """In the place of the one that other tests get: of this major."""
    name = f"majors_{uuid.uuid4().hex[:12]}"
    with filled_template(postgres, _migrated, name, worker) as database:
        yield database
