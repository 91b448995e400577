"""Who works on which range of keys: several backfills share a source without doubling work.

The ranges of a pass are in rowvec.shard and are cut as they are needed. A job that takes one gets
the next token of it, an advisory lock on that token, and a lease by the clock of the database. The
lock dies with the connection, so what a killed job leaves undone is taken over at once; the lease
runs out where a job hangs, and the token keeps out what it would write later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from rowvec.db.queries import query
from rowvec.db.session import Session
from rowvec.db.source import Range, Source
from rowvec.errors import ConfigError, LeaseLost
from rowvec.filling.batch import Fence

# Longer leases also run out if a worker was away for that long, which is no mistake of the setting.
_LONG_SECONDS = 30


@dataclass(frozen=True)
class Shard:
    """A key range that this session holds, and the token that shows it."""

    number: int
    keys: Range
    token: int = 1


class NoShard(Enum):
    """Why there is no shard to take."""

    OTHERS_WORK = "all that is left is held by others"
    NOTHING_LEFT = "every range has been done, and the pass was closed"


class Shards:
    """Takes, holds and finishes shards of one definition on one session."""

    def __init__(
        self, session: Session, source: Source, *, shard_rows: int, lease_seconds: float
    ) -> None:
        self._session = session
        self._source = source
        self._rows = shard_rows
        self._seconds = lease_seconds
        self._id = source.definition.id
        self._held: dict[int, Shard] = {}
        self._done: list[Shard] = []
        self._in_pass = False
        self._has_renewed = False

    async def pass_is_running(self) -> bool:
        """Whether ranges of a pass exist, be it of another job or of one that was killed."""
        return bool(await self._session.all(query("shards"), self._named()))

    async def take(self) -> Shard | NoShard:
        """A shard that no job holds, else the next range of keys, else why there is none.

        Whoever finds all done closes the pass; the call after that begins another.
        """
        await self._let_go_of_done()
        async with self._session.transaction():
            await self._session.run(query("lock_frontier"), self._named())
            rows = await self._session.dicts(query("shards"), self._named())
            if not rows and self._in_pass:
                self._in_pass = False  # closed by another who found all done
                return NoShard.NOTHING_LEFT
            self._in_pass = True
            for row in rows:
                if taken := await self._take(row):
                    return taken
            if not rows:
                return await self._cut(1, None)
            if (frontier := rows[-1]["upper"]) is not None:
                return await self._cut(rows[-1]["number"] + 1, _key(frontier))
            if all(row["done"] for row in rows):
                await self._session.run(query("clear_shards"), self._named())
                self._in_pass = False
                return NoShard.NOTHING_LEFT
        return NoShard.OTHERS_WORK

    def fence(self, shard: Shard) -> Fence:
        """Renews the lease when the transaction that it is part of commits.

        It raises LeaseLost where another took the shard over, ConfigError where the first batch of
        the run has outlasted the lease.
        """
        return Fence(query("renew_lease"), self._of(shard), self._check_renewed)

    def _check_renewed(self, found: Sequence[tuple[Any, ...]]) -> None:
        if not found:
            raise LeaseLost(
                "a range of keys was taken over by another job, because its lease had run out"
            )
        ((late,),) = found
        if late and not self._has_renewed and self._seconds < _LONG_SECONDS:
            raise ConfigError(
                f"a lease of {self._seconds:g} s is shorter than a batch takes",
                hint="give a longer --lease-seconds, or fewer --commit-rows",
            )
        self._has_renewed = True

    async def finish(self, shard: Shard) -> None:
        """Nobody needs to take the shard again."""
        # What was written leaves dead entries in the index of pending rows. A scan marks those it
        # meets, and later ones pass over them (nbtree/README, "Scan keys and kill_prior_tuple"):
        # else the first to look for pending rows at the end would meet all of a table's at once.
        await self._source.key_after(self._session, shard.keys, self._rows)
        await self._session.run(query("finish_shard"), self._of(shard))
        self._done.append(shard)

    async def lose(self, shard: Shard) -> None:
        """Another holds the shard."""
        self._done.append(shard)
        await self._let_go_of_done()

    async def _take(self, row: dict[str, Any]) -> Shard | None:
        if row["done"] or row["number"] in self._held:
            return None
        shard = Shard(row["number"], Range(_key(row["lower"]), _key(row["upper"])), row["token"])
        # With the lock of the last holder in our hands, it is dead; else only its lease tells.
        is_free = await self._session.value(query("try_lock_shard"), self._of(shard))
        if not (is_free or row["expired"]):
            return None
        taken = await self._session.first(query("take_shard"), self._of(shard))
        if is_free:
            await self._session.run(query("unlock_shard"), self._of(shard))
        return await self._hold(Shard(shard.number, shard.keys, taken[0])) if taken else None

    async def _cut(self, number: int, lower: tuple[str, ...] | None) -> Shard:
        upper = await self._source.key_after(self._session, Range(lower), self._rows)
        shard = Shard(number, Range(lower, upper))
        await self._session.run(
            query("add_shard"), self._of(shard) | {"lower": _array(lower), "upper": _array(upper)}
        )
        return await self._hold(shard)

    async def _hold(self, shard: Shard) -> Shard:
        # Nobody else knows the token before this transaction commits.
        await self._session.run(query("try_lock_shard"), self._of(shard))
        self._held[shard.number] = shard
        return shard

    async def _let_go_of_done(self) -> None:
        for shard in self._done:
            await self._session.run(query("unlock_shard"), self._of(shard))
            self._held.pop(shard.number, None)
        self._done.clear()

    def _of(self, shard: Shard) -> dict[str, Any]:
        return self._named(number=shard.number, token=shard.token, seconds=self._seconds)

    def _named(self, **more: Any) -> dict[str, Any]:
        return {"id": self._id, **more}


def _key(bounds: list[str] | None) -> tuple[str, ...] | None:
    return None if bounds is None else tuple(bounds)


def _array(key: tuple[str, ...] | None) -> list[str] | None:
    return None if key is None else list(key)
