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


async def is_indexed(session: Session, definition: Definition) -> bool:
    """Whether the index on pending rows is there, in every partition."""
    return all(part.is_whole for part in await pending_index.parts(session, definition))


async def ensure_index(
    session: Session, definition: Definition, say: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Builds what is missing, waits where another builds; raises Stopped on a stop meanwhile."""
    if await is_indexed(session, definition):
        return
    while not await pending_index.try_lock(session, definition):
        await sleep_unless(stop, _POLL_SECONDS)
        if stop.is_set():
            raise Stopped
    for part in await pending_index.parts(session, definition):
        if part.is_stale and not (part.is_leaf or part.is_attached):
            await pending_index.drop_stale(session, part)
    for part in await pending_index.parts(session, definition):
        if not part.is_marked or part.is_stale or (part.is_leaf and not part.is_valid):
            say(f"indexing the pending rows of {part.table}")
            await pending_index.build(session, definition, part)
    # Without those whose index was dropped meanwhile, as an altered definition does.
    parts = [part for part in await pending_index.parts(session, definition) if part.index]
    by_name = {(part.schema, part.table): part for part in parts}
    for part in parts:
        parent = by_name.get((part.parent_schema or "", part.parent_table or ""))
        if parent is not None and not part.is_attached:
            await pending_index.attach(session, part, parent)
    await pending_index.unlock(session, definition)
