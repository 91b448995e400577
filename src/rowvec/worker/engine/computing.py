"""Runs batches of models: in which thread, for how long, and whether the answer is whole."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rowvec.batching import Batch
from rowvec.errors import NonFiniteEmbedding
from rowvec.models.backends.variant import AUTOMATIC, Variant
from rowvec.models.embedder import Tokenized
from rowvec.worker.engine.batch_pace import BatchPace
from rowvec.worker.engine.black_box import BlackBox, Place, fingerprint
from rowvec.worker.engine.memory import give_memory_back, is_device_lost, is_out_of_memory
from rowvec.worker.engine.messages import Computed
from rowvec.worker.engine.model_report import BRIEF_SECONDS, FEW_TOKENS
from rowvec.worker.engine.preparing import Model
from rowvec.worker.engine.result_rows import Row, is_finite, is_zero

# A stream's batch of fewer tokens costs each of them more; one of more is no faster, and makes
# others wait.
_STREAM_TOKENS = (256, 512)


@dataclass(frozen=True)
class Key:
    """A model in memory: its name, and how it is computed."""

    model: str
    variant: Variant = AUTOMATIC

    def __str__(self) -> str:
        return self.model


@dataclass(frozen=True)
class Group:
    """What may share a batch: one model, all texts or all images, one prompt.

    Some models leave the prompt out of pooling. A text that is suspected of having ended an engine
    is a group of its own.
    """

    key: Key
    op: str
    prompt: str
    alone: str | None = None


@dataclass(frozen=True)
class Threads:
    """Who computes.

    `one` computes what takes all processors, always the same thread: torch keeps a team of helpers
    for each that ever did. Each of `streams` computes a batch on one processor, where a model can
    be computed so. On CUDA `one` launches batches, and `fetcher` waits for what became of them.
    """

    one: ThreadPoolExecutor
    streams: ThreadPoolExecutor | None = None
    fetcher: ThreadPoolExecutor | None = None


class Computing:
    """What a batcher with so many `slots` hands its batches to, for the models of one device.

    `model` gives the loaded model of a key, `tell` takes the report of a batch. Without a
    box the models compute elsewhere, and nothing that they are given can end this process.
    `batch_seconds` bounds a batch. `on_lost` is called when the device fails for good, while what
    it worked on is still noted in the box.
    """

    def __init__(
        self,
        threads: Threads,
        model: Callable[[Key], Model],
        tell: Callable[[Computed], None],
        *,
        salt: bytes,
        box: BlackBox | None,
        batch_seconds: float,
        on_lost: Callable[[], None],
        slots: int = 1,
    ) -> None:
        self._pace = BatchPace(batch_seconds)
        self._threads = threads
        self._model = model
        self._tell = tell
        self._salt = salt
        self._box = box
        self._on_lost = on_lost
        self._fetched = -math.inf
        self._slots = slots
        self._free_places: list[Place] = list(range(slots))
        self._running: set[asyncio.Task[Any]] = set()
        # The least that one short text took, of models that any thread may compute.
        self._briefest: dict[Key, float] = {}

    async def __call__(self, batch: Batch[Tokenized]) -> Sequence[Row]:
        """The rows of a batch; raises what the model raises, and for NaN or infinity."""
        group = batch.group
        assert isinstance(group, Group)
        model = self._model(group.key)
        try:
            if self._box is None:
                rows, seconds = await self._run(batch, group, model)
            else:
                texts = map(str, batch.identities)
                named = (self._salt, group.key.model, group.prompt)
                place = self._free_places.pop()
                try:
                    with self._box.noted(place, [fingerprint(*named, text) for text in texts]):
                        rows, seconds = await self._run(batch, group, model)
                finally:
                    self._free_places.append(place)
        except Exception as exc:
            if is_out_of_memory(exc):
                give_memory_back()
            raise
        if not all(map(is_finite, rows)):
            raise NonFiniteEmbedding("the model answers NaN or infinity")
        if not (batch.is_only and self._in_streams(group)):
            # With all processors it is no measure of what it takes with one.
            self._pace.note(group.key, sum(each.length for each in batch.work), seconds)
        self._report(group.key, model, batch.work, rows, seconds)
        return rows

    def budget(self, group: Hashable, most: int, there: int) -> int:
        """How many tokens a batch of the group may have, at most `most`.

        Where several are computed at once, all of them together have what one batch may have else,
        and each its share of what is `there`, waiting or computed: a batch of all that waits would
        leave the others next to nothing, and be long in the making.
        """
        assert isinstance(group, Group)
        if self._box is None:
            return most
        if self._in_streams(group):
            fewest, enough = _STREAM_TOKENS
            share = min(enough, max(most // self._slots, fewest))
            most = min(most, share, math.ceil(there / self._slots))
        return self._pace.tokens(group.key, most)

    def takes(self, group: Hashable) -> int:
        """How many of the batcher's slots a batch of the group takes: all, where it shares none."""
        assert isinstance(group, Group)
        return 1 if self._threads.fetcher or self._in_streams(group) else self._slots

    async def probe(self) -> None:
        """Returns when what is computed now has been."""
        if self._running:
            await asyncio.wait(self._running)
        await asyncio.get_running_loop().run_in_executor(self._threads.one, _nothing)

    def forget(self, key: Key) -> None:
        """The model of a key was dropped."""
        self._pace.forget(key)
        self._briefest.pop(key, None)

    def _in_streams(self, group: Group) -> bool:
        """Whether several batches of the group may be computed at once."""
        # Who is suspected of ending the engine has it for itself.
        if self._threads.streams is None or group.alone is not None:
            return False
        return self._model(group.key).streams > 1

    async def _run(
        self, batch: Batch[Tokenized], group: Group, model: Model
    ) -> tuple[list[Row], float]:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            return await self._computed(batch, group, model)
        except Exception as exc:
            if is_device_lost(exc):
                self._on_lost()
            raise
        finally:
            self._running.discard(task)

    async def _computed(
        self, batch: Batch[Tokenized], group: Group, model: Model
    ) -> tuple[list[Row], float]:
        key, work = group.key, batch.work
        if self._threads.fetcher is not None and model.launches:
            return await self._launched(self._threads.fetcher, model, work)
        loop = asyncio.get_running_loop()
        if not batch.is_only and self._in_streams(group):
            return await loop.run_in_executor(
                self._threads.streams, _timed, model.forward_in_stream, work
            )
        short = len(work) == 1 and work[0].length <= FEW_TOKENS and model.any_thread
        if short and self._briefest.get(key, math.inf) <= BRIEF_SECONDS:
            # On the event loop: two hand-offs between threads would cost it more than the moment
            # costs whoever waits meanwhile.
            return _timed(model.forward, work)
        rows, seconds = await loop.run_in_executor(self._threads.one, _timed, model.forward, work)
        if short:
            self._briefest[key] = min(seconds, self._briefest.get(key, math.inf))
        return rows, seconds

    async def _launched(
        self, fetcher: ThreadPoolExecutor, model: Model, work: Sequence[Tokenized]
    ) -> tuple[list[Row], float]:
        """The rows of a batch, and the seconds in which the device had no other to compute."""
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        fetch = await loop.run_in_executor(self._threads.one, model.launch, work)
        rows = list(await loop.run_in_executor(fetcher, fetch))
        started, self._fetched = max(started, self._fetched), time.perf_counter()
        return rows, self._fetched - started

    def _report(
        self,
        key: Key,
        model: Model,
        work: Sequence[Tokenized],
        rows: Sequence[Row],
        seconds: float,
    ) -> None:
        lengths = [each.length for each in work]
        tokens = sum(lengths)
        self._tell(
            Computed(
                model=key.model,
                texts=len(lengths),
                tokens=tokens,
                padding=max(lengths) * len(lengths) - tokens if model.pads else 0,
                seconds=seconds,
                zeros=sum(map(is_zero, rows)),
            )
        )


def _nothing() -> None:
    """What a probe runs in a thread, to see that it gets there."""


def _timed(
    forward: Callable[[Sequence[Tokenized]], Iterable[Row]], work: Sequence[Tokenized]
) -> tuple[list[Row], float]:
    started = time.perf_counter()
    return list(forward(work)), time.perf_counter() - started
