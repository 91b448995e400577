"""Who works on which range of keys: several backfills share a source without doubling work.

The ranges of a pass stand in rowvec.shard and are cut as they are needed. A session that works on
one holds an advisory lock on it, which dies with the connection: what a killed job leaves undone,
another takes over.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from rowvec.db.queries import query
from rowvec.db.session import Session
from rowvec.db.source import Range, Source


@dataclass(frozen=True)
class Shard:
    """A key range that this session holds."""

    number: int
    keys: Range


class NoShard(Enum):
    """Why there is no shard to take."""

    OTHERS_WORK = "all that is left is held by others"
    NOTHING_LEFT = "every range has been done, and the pass was closed"


class Shards:
    """Takes and finishes shards of one definition on one session."""

    def __init__(self, session: Session, source: Source, shard_rows: int) -> None:
        self._session = session
        self._source = source
        self._rows = shard_rows
        self._id = source.definition.id
        self._held: set[int] = set()
        self._done: set[int] = set()
        self._in_pass = False

    async def pass_is_running(self) -> bool:
        """Whether ranges of a pass exist, be it of another job or of one that was killed."""
        return bool(await self._session.all(query("shards"), self._named()))

    async def take(self) -> Shard | NoShard:
        """A shard that nobody holds, else the next range of keys, else why there is none.

        Whoever finds all done closes the pass; the call after that begins another.
        """
        await self._let_go_of_done()
        async with self._session.transaction():
            await self._session.run(query("lock_frontier"), self._named())
            rows = await self._session.all(query("shards"), self._named())
            if not rows and self._in_pass:
                self._in_pass = False  # closed by another who found all done
                return NoShard.NOTHING_LEFT
            self._in_pass = True
            for number, lower, upper, done in rows:
                if not done and number not in self._held and await self._lock(number):
                    return Shard(number, Range(_key(lower), _key(upper)))
            last, _, frontier, _ = rows[-1] if rows else (0, None, None, True)
            if not rows or frontier is not None:
                return await self._cut(last + 1, _key(frontier))
            if all(done for *_, done in rows):
                await self._session.run(query("clear_shards"), self._named())
                self._in_pass = False
                return NoShard.NOTHING_LEFT
        return NoShard.OTHERS_WORK

    async def finish(self, shard: Shard) -> None:
        """Nobody needs to take the shard again."""
        await self._session.run(query("finish_shard"), self._named(number=shard.number))
        self._done.add(shard.number)

    async def _cut(self, number: int, lower: tuple[str, ...] | None) -> Shard:
        upper = await self._source.key_after(self._session, lower, self._rows)
        shard = Shard(number, Range(lower, upper))
        await self._session.run(
            query("add_shard"),
            self._named(number=shard.number, lower=_array(lower), upper=_array(upper)),
        )
        # Nobody else knows the number before this transaction commits.
        await self._session.run(query("try_lock_shard"), self._named(number=shard.number))
        self._held.add(shard.number)
        return shard

    async def _lock(self, number: int) -> bool:
        named = self._named(number=number)
        if not await self._session.value(query("try_lock_shard"), named):
            return False
        # Its holder may have finished it between our reading the list and our getting the lock.
        if not await self._session.value(query("shard_is_open"), named):
            await self._session.run(query("unlock_shard"), named)
            return False
        self._held.add(number)
        return True

    async def _let_go_of_done(self) -> None:
        for number in self._done:
            await self._session.run(query("unlock_shard"), self._named(number=number))
        self._held -= self._done
        self._done.clear()

    def _named(self, **more: Any) -> dict[str, Any]:
        return {"id": self._id, **more}


def _key(bounds: list[str] | None) -> tuple[str, ...] | None:
    return None if bounds is None else tuple(bounds)


def _array(key: tuple[str, ...] | None) -> list[str] | None:
    return None if key is None else list(key)
