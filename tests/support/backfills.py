"""A backfill of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from rowvec.backfill.report import Summary
from rowvec.backfill.run import BackfillRequest, backfill
from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo
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
InBackground = Callable[..., Future[Summary]]
FillInBackground = Callable[..., tuple[Future[Summary], Said]]


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
                BackfillRequest(source, embedding, limit),
                worker=worker_conninfo(built),
                reporter=reporter or Said(),
                stop=asyncio.Event(),
            )
        )

    return run


@pytest.fixture
def in_background() -> Iterator[InBackground]:
    """Runs something in a thread; the test asks for its result."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit


@pytest.fixture
def fill_in_background(fill: Fill, in_background: InBackground) -> FillInBackground:
    """Starts a backfill in a thread, with what it says."""

    def start(source: str, **given: Any) -> tuple[Future[Summary], Said]:
        reporter = Said()
        return in_background(fill, source, reporter=reporter, **given), reporter

    return start


@pytest.fixture
def own_worker(database: Database, worker: Worker, start_worker: StartWorker) -> Worker:
    """A worker of this test's database alone; without a cache, which would hide double work."""
    own = start_worker(worker.models_file.read_text(), "--cache-bytes", "0")
    point_at(database, own)
    return own
