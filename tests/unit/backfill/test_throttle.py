"""So many rows a second, by a clock that the test moves."""

from __future__ import annotations

import asyncio

from rowvec.backfill.throttle import Throttle


def test_no_limit_takes_everything_at_once() -> None:
    throttle = Throttle(None, asyncio.Event())
    throttle.took(1 << 40)
    assert throttle.rows_at_once > 1 << 40
    asyncio.run(asyncio.wait_for(throttle.wait(), timeout=30))


def test_what_was_taken_is_paid_for_before_more_is() -> None:
    now = 100.0
    throttle = Throttle(10, asyncio.Event(), clock=lambda: now)
    assert throttle.rows_at_once == 10
    throttle.took(10)
    assert throttle.pause == 1
    throttle.took(10)
    assert throttle.pause == 2
    now = 101.5
    assert throttle.pause == 0.5
    now = 200.0
    assert throttle.pause == 0
    throttle.took(5)
    assert throttle.pause == 0.5, "time that was not used is not saved up"


def test_a_stop_ends_the_wait() -> None:
    async def run() -> None:
        stop = asyncio.Event()
        throttle = Throttle(0.001, stop)
        throttle.took(1)
        stop.set()
        await throttle.wait()

    asyncio.run(asyncio.wait_for(run(), timeout=60))


def test_less_than_one_a_second() -> None:
    assert Throttle(0.5, asyncio.Event()).rows_at_once == 1
