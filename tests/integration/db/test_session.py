"""A session that tasks share."""

from __future__ import annotations

import asyncio

from rowvec.db.session import Session, open_session
from support.postgres import Database


def test_tasks_that_share_a_session_take_turns(database: Database) -> None:
    """One that was sent while the pipeline of another ended left the connection unusable."""

    async def as_owner(session: Session, number: int) -> int:
        ((found,),) = await session.as_owner("SELECT %s::int", (number,))
        return int(found)

    async def plainly(session: Session, number: int) -> int:
        return int(await session.value("SELECT %s::int", (number,)))

    async def in_a_transaction(session: Session, number: int) -> int:
        async with session.transaction(("SELECT pg_current_xact_id()", ())) as [[(begun,)]]:
            found = await plainly(session, number)
            assert await session.value("SELECT pg_current_xact_id()") == begun
            return found

    async def scenario() -> list[int]:
        async with open_session(database.dsn, "shared") as session:
            ways = (as_owner, plainly, in_a_transaction)
            calls = (way(session, number) for number in range(20) for way in ways)
            return await asyncio.gather(*calls)

    assert asyncio.run(scenario()) == [number for number in range(20) for _ in range(3)]
