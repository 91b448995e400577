"""A database of each major of Postgres, with the worker that most tests share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from rowvec.embedded.postgres import PostgresCluster
from support.majors import MAJORS, PostgresOf, migrated_template
from support.postgres import Database
from support.workers import Worker, filled_template


@pytest.fixture(scope="session", params=MAJORS, ids=lambda major: f"postgres{major}")
def postgres(request: pytest.FixtureRequest, postgres_of: PostgresOf) -> PostgresCluster:
    """One cluster of each major."""
    return postgres_of(request.param)


@pytest.fixture
def database(postgres: PostgresCluster, worker: Worker) -> Iterator[Database]:
    """In the place of the one that other tests get: of this major."""
    name = f"majors_{uuid.uuid4().hex[:12]}"
    with filled_template(postgres, migrated_template(postgres), name, worker) as database:
        yield database
