"""Which sync of a database keeps which embedding filled; the table rowvec.sync alone says it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import tuple_row

from rowvec.db.connection import fetch
from rowvec.db.queries import query, typed
from rowvec.db.session import Session


def syncs_connected(connection: psycopg.Connection) -> bool:
    """Whether any sync of this database is connected."""
    return bool(fetch(connection, "syncs_connected", None, tuple_row))


async def current_snapshot(session: Session) -> str:
    """What is committed now, as Postgres writes a snapshot."""
    return str(await session.value(query("current_snapshot")))


class SyncTurns:
    """What one sync, `me`, says to the others and hears of them, a turn of the session each."""

    def __init__(self, session: Session) -> None:
        self.me = uuid4()
        self._session = session

    async def begin(self, sources: Sequence[str] | None) -> list[int] | None:
        """Gives the tables that the names mean to the user; None is all.

        A locked table delays no statement for long, as they share the session.
        """
        session = self._session
        session.prepare_nothing()
        found: list[int] | None = None
        if sources is not None:
            async with session.users_path():
                found = await session.value(typed("sources"), {"sources": [*sources]})
        await session.run("SET lock_timeout = '500ms'")
        return found

    async def state(self, sources: list[int] | None, *, reads_files: bool) -> list[dict[str, Any]]:
        """Every embedding: whether it is wanted here, which syncs would keep it, whether one does.

        One of image files is wanted by a sync that `reads_files` alone.
        """
        return await self._session.dicts(
            query("sync_state"),
            {"sources": sources, "reads_files": reads_files, "session": self.me},
        )

    async def tell(self, candidate_for: Collection[int], keeps: Collection[int]) -> int:
        """Tells the others that this sync lives, what it would keep filled, and what it keeps.

        Gives the number of the transaction that did.
        """
        xid: int = await self._session.value(
            query("stand_for_sync"),
            {"session": self.me, "candidate_for": [*candidate_for], "keeps": [*keeps]},
        )
        return xid

    async def leave(self) -> None:
        """Others may keep all of it filled."""
        await self._session.run(query("leave_sync"), {"session": self.me})
