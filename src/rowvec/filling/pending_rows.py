"""The index by which a job finds pending rows: built by the first that needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rowvec.db import pending_index
from rowvec.db.definition import Definition
from rowvec.db.session import Session
from rowvec.filling.patience import Stopped, sleep_unless

_POLL_SECONDS = 0.2


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
