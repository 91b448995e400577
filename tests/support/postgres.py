"""A real Postgres, and databases of one test each: clones of one that was migrated once."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from rowvec.db.schema import migrate
from rowvec.embedded.postgres import PostgresCluster

# Crash safety is left out for speed.
UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass
class Database:
    """A database of one test."""

    name: str
    cluster: PostgresCluster

    @property
    def dsn(self) -> str:
        return self.cluster.dsn(self.name)

    def connect(self, user: str = "postgres") -> psycopg.Connection:
        """An autocommit connection; the caller closes it (or uses it as a context)."""
        return psycopg.connect(self.cluster.dsn(self.name, user), autocommit=True)


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that Postgres's system user may pass, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="rowvec-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(folder: Path) -> Iterator[PostgresCluster]:
    """Postgres 18 of the embedded wheel."""
    cluster = PostgresCluster(folder / "cluster", {**UNSAFE, "max_connections": "200"})
    cluster.create()
    cluster.start()
    yield cluster
    cluster.stop(immediate=True)


@pytest.fixture(scope="session")
def _admin(cluster: PostgresCluster) -> Iterator[psycopg.Connection]:
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        yield connection


CreateDatabase = Callable[..., Database]


@pytest.fixture
def create_database(
    cluster: PostgresCluster, _admin: psycopg.Connection
) -> Iterator[CreateDatabase]:
    """Makes databases with unique names, dropped after the test whoever is still connected."""
    created: list[Database] = []

    def create(template: str = "template1") -> Database:
        database = Database(f"test_{uuid.uuid4().hex[:12]}", cluster)
        _admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(database.name), sql.Identifier(template)
            )
        )
        created.append(database)
        return database

    yield create
    for database in created:
        _admin.execute(
            sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database.name))
        )


@pytest.fixture(scope="session")
def _template(cluster: PostgresCluster, _admin: psycopg.Connection) -> str:
    """Migrated once a session; tests get clones."""
    name = "rowvec_template"
    _admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(cluster.dsn(name), search_path=False)
    return name


@pytest.fixture
def empty_database(create_database: CreateDatabase) -> Database:
    """A database without rowvec."""
    return create_database()


@pytest.fixture
def migrated_database(create_database: CreateDatabase, _template: str) -> Database:
    """A migrated database whose worker is nowhere."""
    return create_database(_template)


@dataclass
class Refusal:
    """What an error said, once its block has ended."""

    message: str = ""
    detail: str = ""
    hint: str = ""
    everything: str = ""


Refused = Callable[..., AbstractContextManager[Refusal]]


@contextmanager
def refused(sqlstate: str, message: str = "", hint: str = "") -> Iterator[Refusal]:
    """Asserts that Postgres refuses what runs in the block, with this SQLSTATE and sentence."""
    refusal = Refusal()
    with pytest.raises(psycopg.Error) as caught:
        yield refusal
    diagnostics = caught.value.diag
    refusal.message = diagnostics.message_primary or ""
    refusal.detail = diagnostics.message_detail or ""
    refusal.hint = diagnostics.message_hint or ""
    refusal.everything = str(caught.value)
    assert (caught.value.sqlstate, refusal.message) == (sqlstate, refusal.message)
    assert message in refusal.message
    assert hint in refusal.hint
