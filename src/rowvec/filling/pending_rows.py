"""What a job needs before it can begin: made by the first that needs it, as who may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rowvec.db import pending_index
from rowvec.db.definition import Definition
from rowvec.db.session import Session
from rowvec.db.source import Source
from rowvec.filling.patience import Stopped, sleep_unless

_POLL_SECONDS = 0.2


async def make_ready(
    session: Session, source: Source, say: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Makes what only the owner of a table may: the functions of its jobs, and the index."""
    await source.prepare(session)
    await ensure_index(session, source.definition, say, stop)


async def ensure_index(
    session: Session, definition: Definition, say: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Builds what is missing, waits where another builds; raises Stopped on a stop meanwhile."""
    if not await pending_index.missing(session, definition):
        return
    while not await pending_index.try_lock(session, definition):
        await sleep_unless(stop, _POLL_SECONDS)
        if stop.is_set():
            raise Stopped
    for schema, table, leftover in await pending_index.missing(session, definition):
        say(f"indexing the pending rows of {table}")
        await pending_index.build(session, definition, schema, table, leftover=leftover)
    await pending_index.unlock(session, definition)
