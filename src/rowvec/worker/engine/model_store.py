"""Models in memory, within a budget: loaded on first use, the least recently used dropped first."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rowvec.errors import ModelTooLarge

K = TypeVar("K")
M = TypeVar("M")


@dataclass(eq=False)
class _Entry(Generic[K, M]):
    """A model that is loaded, or loading. A request that finds it `leaving` waits until `gone`."""

    key: K
    size: int
    coming: asyncio.Task[M] | None = None
    model: M | None = None
    users: int = 0
    last_use: int = 0
    leaving: bool = False
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.idle.set()


class ModelStore(Generic[K, M]):
    """Holds each model once, however many ask for it at once.

    `needs` says how many bytes a model is expected to take, `measure` how many it takes. A model
    in use is never dropped: one that needs its memory waits until it is idle, and a request for
    the leaving one waits in turn meanwhile, so neither waits without end.
    """

    def __init__(
        self,
        load: Callable[[K], Awaitable[M]],
        *,
        needs: Callable[[K], int],
        measure: Callable[[K, M], int],
        on_drop: Callable[[K], None],
        budget: int | None,
    ) -> None:
        self._load = load
        self._needs = needs
        self._measure = measure
        self._on_drop = on_drop
        self._budget = budget
        self._entries: dict[K, _Entry[K, M]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._uses = itertools.count(1)

    @asynccontextmanager
    async def using(self, key: K) -> AsyncIterator[M]:
        """The model, which stays while the block runs.

        Raises ModelTooLarge where it exceeds the budget alone, or what its load raised; the next
        to ask tries again.
        """
        while (entry := self._entries.get(key)) is not None and entry.leaving:
            await entry.gone.wait()
        if entry is None:
            entry = self._entries[key] = _Entry(key, self._needs(key))
            entry.coming = asyncio.create_task(self._bring(entry))
        entry.users += 1
        entry.idle.clear()
        entry.last_use = next(self._uses)
        try:
            assert entry.coming is not None
            # Shielded: others wait for the same load.
            yield await asyncio.shield(entry.coming)
        finally:
            entry.users -= 1
            entry.last_use = next(self._uses)
            if not entry.users:
                entry.idle.set()

    def loaded(self, key: K) -> M:
        """The model of a key that is in use."""
        model = self._entries[key].model
        assert model is not None
        return model

    async def _bring(self, entry: _Entry[K, M]) -> M:
        try:
            async with self._one_at_a_time:
                await self._make_room(entry)
                entry.model = await self._load(entry.key)
                entry.size = self._measure(entry.key, entry.model)
                return entry.model
        except BaseException:
            del self._entries[entry.key]
            raise

    async def _make_room(self, comer: _Entry[K, M]) -> None:
        if self._budget is None:
            return
        if comer.size > self._budget:
            raise ModelTooLarge(
                f"{comer.key} needs {in_units(comer.size)} of memory, the worker's budget is"
                f" {in_units(self._budget)}",
                hint="raise the worker's --memory-budget",
            )
        there = [entry for entry in self._entries.values() if entry.model is not None]
        excess = sum(entry.size for entry in there) + comer.size - self._budget
        for entry in sorted(there, key=lambda entry: (entry.users > 0, entry.last_use)):
            if excess <= 0:
                break
            entry.leaving = True
            await entry.idle.wait()
            excess -= entry.size
            self._drop(entry)

    def _drop(self, entry: _Entry[K, M]) -> None:
        del self._entries[entry.key]
        # The task holds the model too.
        entry.model = entry.coming = None
        entry.gone.set()
        self._on_drop(entry.key)


def in_units(size: int) -> str:
    """A number of bytes as people write it."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
