"""Which sync of a database keeps which embedding filled; Postgres's locks alone say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from rowvec.db.connection import fetch
from rowvec.db.queries import query
from rowvec.db.session import Session


def syncs_connected(connection: psycopg.Connection) -> bool:
    """Whether any sync of this database is connected."""
    return bool(fetch(connection, "syncs_connected", None, tuple_row))


async def current_snapshot(session: Session) -> str:
    """What is committed now, as Postgres writes a snapshot."""
    return str(await session.value(query("current_snapshot")))


class SyncTurns:
    """What one sync says to the others and hears of them, each statement in the session's turn."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def pin(self, sources: Sequence[str] | None) -> list[str] | None:
        """Names mean Postgres's own from here on; gives the sources as they are called then.

        A locked table delays no statement for long, as they share the session.
        """
        session = self._session
        if sources is None:
            await session.pin()
        else:
            tables = "SELECT %s::text[]::regclass[]::oid[]"
            found = await session.value(tables, ([*sources],))
            await session.pin()
            names = "SELECT %s::oid[]::regclass[]::text[]"
            sources = await session.value(names, (found,))
        await session.run("SET lock_timeout = '500ms'")
        return None if sources is None else [*sources]

    async def state(self, sources: list[str] | None, *, reads_files: bool) -> list[dict[str, Any]]:
        """Every embedding: whether it is wanted here, and the sessions that would keep it filled.

        One of image files is wanted by a sync that `reads_files` alone.
        """
        return await self._session.dicts(
            query("sync_state"), {"sources": sources, "reads_files": reads_files}
        )

    async def stand(self, number: int) -> None:
        """Tells the others that this session would keep the embedding filled."""
        await self._run("stand_for_sync", number)

    async def step_back(self, number: int) -> None:
        """Tells them that it would not any more."""
        await self._run("step_back_from_sync", number)

    async def take(self, number: int) -> bool:
        """Whether the embedding is this session's from now on; not while another keeps it."""
        return bool(await self._session.value(query("try_lock_sync"), {"id": number}))

    async def give_up(self, number: int) -> None:
        """Another may keep the embedding filled."""
        await self._run("unlock_sync", number)

    async def _run(self, statement: str, number: int) -> None:
        await self._session.run(query(statement), {"id": number})
