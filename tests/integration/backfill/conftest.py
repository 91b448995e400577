"""A backfill of this process, and the table that it fills."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo
from rowvec.pipeline.backfill import Request, backfill
from rowvec.pipeline.report import Summary
from support.postgres import Database
from support.workers import StartWorker, Worker, point_at


@dataclass
class Said:
    """A reporter that keeps what it is told."""

    sentences: list[str] = field(default_factory=list)
    total: int | None = None

    def begin(self, total: int) -> None:
        self.total = total

    def advance(self, summary: Summary) -> None:
        """Nothing to keep."""

    def say(self, message: str) -> None:
        self.sentences.append(message)


Fill = Callable[..., Summary]


@pytest.fixture
def fill(database: Database) -> Fill:
    """Runs a backfill to its end."""

    def run(
        source: str,
        *,
        embedding: str | None = None,
        limit: int | None = None,
        reporter: Said | None = None,
        **settings: Any,
    ) -> Summary:
        built = Settings.build(dsn=database.dsn, **settings)
        return asyncio.run(
            backfill(
                built,
                Request(source, embedding, limit),
                worker=worker_conninfo(built),
                reporter=reporter or Said(),
                stop=asyncio.Event(),
            )
        )

    return run


@pytest.fixture
def in_background() -> Iterator[Callable[..., Future[Summary]]]:
    """Runs something in a thread; the test asks for its result."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit


@pytest.fixture
def run(fill: Fill, in_background: Any) -> Callable[..., tuple[Future[Summary], Said]]:
    """Starts a backfill in a thread, with what it says."""

    def start(source: str, **given: Any) -> tuple[Future[Summary], Said]:
        reporter = Said()
        return in_background(fill, source, reporter=reporter, **given), reporter

    return start


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


@dataclass(frozen=True)
class Reviews:
    """A table of texts that no other test has, as the worker remembers."""

    connection: psycopg.Connection

    def make(self, rows: int, model: str = "stand-in-small") -> None:
        """The table with its embedding."""
        self.connection.execute("CREATE TABLE reviews (id bigint PRIMARY KEY, body text)")
        self.connection.execute(
            "INSERT INTO reviews"
            " SELECT i, i || ' ' || current_database() FROM generate_series(1, %s) AS i",
            (rows,),
        )
        self.connection.execute("SELECT rowvec.create_embedding('reviews', %s, 'body')", (model,))

    def one(self, statement: str, *parameters: Any) -> Any:
        """The only value of a query."""
        row = self.connection.execute(statement.encode(), parameters).fetchone()
        assert row is not None
        return row[0]

    def computed(self, model: str) -> int:
        """Texts that the worker has computed with a model since it started."""
        return int(self.one("SELECT texts FROM rowvec.models() WHERE name = %s", model))

    def is_embedding(self) -> bool:
        """Whether a backfill has read what it may and asks Postgres nothing until vectors come."""
        return bool(
            self.one(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowvec backfill'"
                " AND datname = current_database() AND state = 'idle'"
                " AND clock_timestamp() - state_change > interval '300 ms'"
                " AND EXISTS (SELECT FROM rowvec.shard)",
            )
        )


@pytest.fixture
def reviews(connection: psycopg.Connection) -> Reviews:
    return Reviews(connection)


@pytest.fixture
def own_worker(database: Database, worker: Worker, start_worker: StartWorker) -> Any:
    """A worker of this test's database alone; without a cache, which would hide double work."""
    own = start_worker(worker.models_file.read_text(), "--cache-bytes", "0")
    point_at(database, own)
    return own
