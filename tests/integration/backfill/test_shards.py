"""Shards: who takes one, and who may still write."""

from __future__ import annotations

import asyncio

import pytest

from rowvec.backfill.shards import Shard, Shards
from rowvec.db.definition import Definition
from rowvec.db.session import Session, open_session
from rowvec.db.source import Source
from rowvec.errors import LeaseLost
from support.postgres import Database
from support.reviews import Reviews


async def renew(session: Session, shards: Shards, shard: Shard) -> None:
    """What every transaction that writes does last."""
    fence = shards.fence(shard)
    fence.check(await session.all(fence.statement, fence.parameters))


def test_who_lost_a_shard_writes_nothing_more(database: Database, reviews: Reviews) -> None:
    """Its lease has run out, and another took the shard; it hangs, and its lock is still there."""
    reviews.make(10)

    async def scenario() -> None:
        async with (
            open_session(database.dsn, "one") as one,
            open_session(database.dsn, "two") as two,
        ):
            one.prepare_nothing()
            two.prepare_nothing()
            source = Source(await Definition.read(one, "public.reviews", None))
            slow = Shards(one, source, shard_rows=100, lease_seconds=0.001)
            quick = Shards(two, source, shard_rows=100, lease_seconds=300)
            lost = await slow.take()
            assert isinstance(lost, Shard)
            taken = await quick.take()
            assert isinstance(taken, Shard)
            assert (taken.number, taken.token) == (lost.number, lost.token + 1)
            await renew(two, quick, taken)
            with pytest.raises(LeaseLost):
                await renew(one, slow, lost)
            await renew(two, quick, taken)

    asyncio.run(scenario())
