"""Whether a sync has to look again: only where somebody else has committed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from rowvec.db.session import open_session
from rowvec.sync.commits import Commits, Snapshot
from support.postgres import Database
from support.waiting import eventually

WRITE = "SELECT pg_current_xact_id()::text::bigint"

Write = Callable[[psycopg.Connection, Commits, Callable[[str], Awaitable[int]]], Awaitable[None]]


async def nothing(_other: psycopg.Connection, _commits: Commits, _run: object) -> None:
    """Nobody does anything."""


async def somebody(other: psycopg.Connection, _commits: Commits, _run: object) -> None:
    other.execute(WRITE)


async def reads(other: psycopg.Connection, _commits: Commits, _run: object) -> None:
    other.execute("SELECT count(*) FROM pg_class")


async def itself(
    _other: psycopg.Connection, commits: Commits, run: Callable[[str], Awaitable[int]]
) -> None:
    commits.own(await run(WRITE))


async def both(
    other: psycopg.Connection, commits: Commits, run: Callable[[str], Awaitable[int]]
) -> None:
    commits.own(await run(WRITE))
    other.execute(WRITE)
    commits.own(await run(WRITE))


@pytest.mark.parametrize(
    ("write", "is_new"),
    [(nothing, False), (reads, False), (itself, False), (somebody, True), (both, True)],
)
def test_who_has_committed(database: Database, write: Write, *, is_new: bool) -> None:
    async def scenario() -> bool:
        async with open_session(database.dsn, "sync") as session:
            commits = Commits(session, itertools.count().__next__)
            before = await commits.latest()
            with database.connect() as other:
                await write(other, commits, session.value)
            return commits.are_there_new(before, await commits.latest())

    # Another may commit at just that moment, such as autovacuum.
    eventually(lambda: asyncio.run(scenario()) is is_new)


def test_what_ran_before_and_ends_later_is_new(database: Database) -> None:
    async def scenario() -> None:
        async with open_session(database.dsn, "sync") as session:
            commits = Commits(session, itertools.count().__next__)
            with database.connect() as writer, database.connect() as later:
                with writer.transaction():
                    writer.execute(WRITE)
                    later.execute(WRITE)
                    before = await commits.latest()
                    assert before.running
                assert commits.are_there_new(before, await commits.latest())

    asyncio.run(scenario())


def test_snapshots_are_read_as_postgres_writes_them() -> None:
    assert Snapshot.parse("7:7:") == Snapshot(7, frozenset())
    before, after = Snapshot.parse("5:9:5,7"), Snapshot.parse("7:12:7,10")
    assert sorted(after.committed_since(before)) == [5, 9, 11]
