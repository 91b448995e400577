"""Models in memory: one load for all who ask, and a budget that costs nobody a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rowvec.errors import ModelError, ModelTooLarge
from rowvec.worker.engine.model_store import ModelStore, in_units

MB = 10**6


class Loads:
    """Counts loads, and lets a test hold them back."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fail = False

    async def __call__(self, name: str) -> str:
        self.names.append(name)
        await self.gate.wait()
        if self.fail:
            raise ModelError("no such weights")
        return name.upper()


def store_of(
    loads: Loads, budget: int | None, dropped: list[str] | None = None, size: int = 100 * MB
) -> ModelStore[str, str]:
    return ModelStore(
        loads,
        needs=lambda _: size,
        measure=lambda _name, _model: size,
        on_drop=(dropped if dropped is not None else []).append,
        budget=budget,
    )


def run(test: Callable[[], object]) -> Callable[[], None]:
    def wrapped() -> None:
        asyncio.run(test())  # type: ignore[arg-type]

    wrapped.__name__ = test.__name__
    return wrapped


async def use(store: ModelStore[str, str], name: str) -> str:
    async with store.using(name) as model:
        return model


@run
async def test_many_who_ask_at_once_load_it_once() -> None:
    loads = Loads()
    store = store_of(loads, None)
    assert await asyncio.gather(*(use(store, "a") for _ in range(8))) == ["A"] * 8
    assert loads.names == ["a"]


@run
async def test_the_least_recently_used_goes_first() -> None:
    loads, dropped = Loads(), list[str]()
    store = store_of(loads, 200 * MB, dropped)
    for name in ("a", "b", "a", "c"):
        await use(store, name)
    assert (loads.names, dropped) == (["a", "b", "c"], ["b"])
    assert await use(store, "a") == "A"
    assert loads.names == ["a", "b", "c"]


@run
async def test_a_model_in_use_is_waited_for_and_never_dropped() -> None:
    loads, dropped = Loads(), list[str]()
    store = store_of(loads, 200 * MB, dropped)
    async with store.using("a"), store.using("b") as b:
        third = asyncio.create_task(use(store, "c"))
        # Loops of the event loop in which a store that drops would have dropped.
        for _ in range(10):
            await asyncio.sleep(0)
        assert (b, dropped, third.done()) == ("B", [], False)
        assert store.loaded("a") == "A"
    assert await third == "C"
    assert dropped == ["a"]


@run
async def test_an_idle_model_goes_before_one_in_use() -> None:
    loads, dropped = Loads(), list[str]()
    store = store_of(loads, 200 * MB, dropped)
    async with store.using("a"):
        await use(store, "b")
        assert await use(store, "c") == "C"
        assert dropped == ["b"]


@run
async def test_who_asks_for_a_leaving_model_gets_it_later() -> None:
    loads = Loads()
    store = store_of(loads, 100 * MB)
    async with store.using("a"):
        others = [asyncio.create_task(use(store, name)) for name in ("b", "a", "b")]
        await asyncio.sleep(0)
    assert await asyncio.gather(*others) == ["B", "A", "B"]


@run
async def test_a_request_that_is_cancelled_while_its_model_loads_does_not_stop_the_load() -> None:
    loads = Loads()
    loads.gate.clear()
    store = store_of(loads, None)
    first, second = (asyncio.create_task(use(store, "a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    loads.gate.set()
    assert await second == "A"
    assert loads.names == ["a"]


@run
async def test_a_load_that_failed_is_tried_again_by_the_next() -> None:
    loads = Loads()
    loads.fail = True
    store = store_of(loads, None)
    with pytest.raises(ModelError, match="no such weights"):
        await use(store, "a")
    loads.fail = False
    assert await use(store, "a") == "A"


@run
async def test_one_that_does_not_fit_says_how_much_it_needs_and_drops_nothing() -> None:
    dropped: list[str] = []
    store = store_of(Loads(), 50 * MB, dropped)
    with pytest.raises(ModelTooLarge, match=r"a needs 100\.0 MB of memory.*budget is 50\.0 MB"):
        await use(store, "a")
    assert ModelTooLarge.sqlstate == "53200"
    assert dropped == []


@pytest.mark.parametrize(
    ("size", "said"), [(512, "512 bytes"), (90 * MB, "90.0 MB"), (4_000 * MB, "4.0 GB")]
)
def test_sizes_are_written_as_people_do(size: int, said: str) -> None:
    assert in_units(size) == said
