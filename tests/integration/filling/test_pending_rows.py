"""The index on pending rows, while others change the table."""

from __future__ import annotations

import asyncio

import psycopg

from rowvec.db.definition import Definition
from rowvec.db.session import open_session
from rowvec.filling.pending_rows import ensure_index, is_indexed
from support.postgres import Database


def test_an_index_that_is_dropped_during_the_build_is_built_by_the_next(
    connection: psycopg.Connection, database: Database
) -> None:
    connection.execute(
        "CREATE TABLE t (id int PRIMARY KEY, body text) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20);"
        "SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')"
    )
    said = []

    def say(line: str) -> None:
        said.append(line)
        if line.endswith(" low"):
            connection.execute("DROP INDEX high_embedding_pending")

    async def build() -> tuple[bool, bool]:
        async with open_session(database.dsn, "test") as session:
            definition = await Definition.read(session, "t", "embedding")
            await ensure_index(session, definition, say, asyncio.Event())
            first = await is_indexed(session, definition)
            await ensure_index(session, definition, said.append, asyncio.Event())
            return first, await is_indexed(session, definition)

    assert asyncio.run(build()) == (False, True)
    assert [line.rsplit(" ", 1)[1] for line in said] == ["t", "high", "low", "high"]
