"""The listener's end of the engine: starts it, asks it, restarts it when it dies or hangs."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from rowvec import logs
from rowvec.config import engine_environment
from rowvec.errors import BackendFailed, RowvecError, ShuttingDown
from rowvec.models.backends.variant import Backend
from rowvec.models.device import batches_at_once
from rowvec.models.listing import Listing
from rowvec.worker.engine.black_box import BlackBox, shared_memory
from rowvec.worker.engine.engine_line import EngineLine
from rowvec.worker.engine.in_flight import InFlight, Rows
from rowvec.worker.engine.messages import (
    Answer,
    Cancel,
    Computed,
    Configure,
    Dropped,
    EngineRequest,
    Hello,
    Loaded,
    Loading,
    Message,
    NotLoaded,
    ProbeRequest,
    Reply,
)
from rowvec.worker.engine.model_report import Report
from rowvec.worker.engine.suspects import Suspects

logger = logging.getLogger(__name__)

A = TypeVar("A", bound=Answer)

# Told of every batch.
OnBatch = Callable[[Computed], None]

# Before the next engine, by how many died soon after their start.
_BACKOFF_SECONDS = (0.0, 0.1, 0.5, 2.0, 5.0)

# An engine that lived this long had started well: its death has another cause.
_GOOD_START_SECONDS = 30.0


class EngineClient:
    """Owns the engine process.

    What was in flight when the engine died is sent to the next one. A request that two engines died
    over fails with BackendFailed. Texts that an engine worked on when it died are computed alone
    from then on; one that was alone when another died is refused for `refuse_seconds`.
    """

    def __init__(
        self,
        listing: Listing,
        *,
        max_batch_tokens: int,
        max_batch_seconds: float,
        max_image_bytes: int,
        max_image_pixels: int,
        threads: int,
        device: str,
        memory_budget: int | None,
        compiled: Path,
        measured: Mapping[str, Backend],
        stall_seconds: float,
        refuse_seconds: float,
        log_format: logs.Format,
        on_batch: OnBatch,
    ) -> None:
        self.reports = {
            spec.name: Report(spec.description.dimensions, spec.description.max_tokens)
            for spec in listing.specs
        }
        self._salt = secrets.token_bytes(16)
        self.suspects = Suspects(refuse_seconds)
        self._configuration = Configure(
            salt=self._salt.hex(),
            models=listing.specs,
            max_batch_tokens=max_batch_tokens,
            max_batch_seconds=max_batch_seconds,
            max_image_bytes=max_image_bytes,
            max_image_pixels=max_image_pixels,
            threads=threads,
            device=device,
            memory_budget=memory_budget,
            compiled=compiled,
            measured=measured,
        )
        self._threads = threads
        self.device = device
        self._stall_seconds = stall_seconds
        self._log_format = log_format
        self._on_batch = on_batch
        self._warm = [spec.name for spec in listing.specs if spec.warm]
        self.restarts = 0
        self.up = False
        self._numbers = itertools.count(1)
        self._in_flight: dict[int, InFlight] = {}
        self._line: EngineLine | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._loading: set[str] = set()
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The engine's process, None before the first."""
        return None if self._process is None else self._process.pid

    @property
    def in_flight(self) -> int:
        """Requests that it has, or will have when it is up."""
        return len(self._in_flight)

    def not_ready(self) -> str | None:
        """Why nothing can be answered yet at a model's usual speed; None when it can."""
        if not self.up:
            return "the engine is starting"
        missing = [name for name in self._warm if not self.reports[name].loaded]
        return f"not loaded yet: {', '.join(missing)}" if missing else None

    def why_late(self, model: str) -> str | None:
        """What a request for the model waits for before it can be computed; None for its turn."""
        if not self.up:
            return "the engine is still starting"
        if model in self._loading:
            return f"{model} is still being loaded"
        # Models are loaded one after the other.
        before = None if self.reports[model].loaded else next(iter(self._loading), None)
        return None if before is None else f"{before} is still being loaded, {model} comes after it"

    async def run(self) -> None:
        """Starts the engine, and another whenever it dies; cancel to end it.

        What is in flight then fails with ShuttingDown.
        """
        loop = asyncio.get_running_loop()
        deaths = 0
        try:
            while True:
                started = loop.time()
                with shared_memory(batches_at_once(self.device, self._threads)) as descriptor:
                    returncode = await self._live_once(descriptor)
                    logger.error("the engine ended with status %s: starting another", returncode)
                    await self._after_death(BlackBox(descriptor).read())
                self.restarts += 1
                deaths = 0 if loop.time() - started > _GOOD_START_SECONDS else deaths + 1
                await asyncio.sleep(_BACKOFF_SECONDS[min(deaths, len(_BACKOFF_SECONDS) - 1)])
        finally:
            self._stopping = True
            for asked in self._in_flight.values():
                asked.fail(ShuttingDown("the worker is stopping"))
            if self._watch is not None:
                self._watch.cancel()

    async def ask(self, request: EngineRequest, kind: type[A]) -> tuple[A, Rows]:
        """The engine's answer, which is of that kind; cancel the caller to withdraw the request.

        Raises what the engine refuses with; BackendFailed if it died.
        """
        if self._stopping:
            raise ShuttingDown("the worker is stopping")
        number = next(self._numbers)
        future: asyncio.Future[tuple[Answer, Rows]] = asyncio.get_running_loop().create_future()
        asked = self._in_flight[number] = InFlight(request, future)
        try:
            if self.suspects:
                await self._look_at(asked)
            await asked.send(number, self._line)
            answer, rows = await future
        except asyncio.CancelledError:
            if asked.line is not None:
                asked.line.write(Cancel(number))
            raise
        finally:
            del self._in_flight[number]
        if asked.alone and asked.marks:
            self.suspects.cleared(asked.marks[place] for place in asked.alone)
        assert isinstance(answer, kind)
        return answer, rows

    async def _look_at(self, asked: InFlight) -> None:
        """Finds the suspected texts of a request, and fails it for one that is refused."""
        if asked.marks is None:
            # Many megabytes take a while to hash, and everybody else is answered meanwhile.
            asked.marks = await asyncio.to_thread(asked.find_marks, self._salt)
        for number, mark in enumerate(asked.marks, start=1):
            if self.suspects.is_refused(mark):
                asked.fail(
                    BackendFailed(
                        "the input ended the engine twice and is refused for a while",
                        hint="leave it out; the worker's log says when it happened",
                        input_number=number,
                    )
                )
        is_suspected = self.suspects.is_suspected
        asked.alone = [i for i, mark in enumerate(asked.marks) if is_suspected(mark)]

    def suspect(self) -> None:
        """A request overran: unless the engine's threads still get anywhere, it is killed."""
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._kill_if_stalled(), name="engine watch")

    async def _kill_if_stalled(self) -> None:
        process = self._process
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self.ask(ProbeRequest(), Answer)
        except TimeoutError:
            if self._loading or process is not self._process or process is None:
                return
            logger.warning(
                "the engine hangs: killed after %s s without progress", self._stall_seconds
            )
            process.kill()
        except RowvecError:
            logger.debug("the engine ended while it was probed")

    async def _live_once(self, black_box: int) -> int:
        """Starts an engine and returns when it has ended, with its exit status."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "rowvec.worker.engine", str(theirs.fileno()),
                str(black_box), self._log_format, pass_fds=(theirs.fileno(), black_box),
                env=engine_environment(self._threads), stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        self._process = process
        try:
            loop = asyncio.get_running_loop()
            _, line = await loop.connect_accepted_socket(lambda: EngineLine(self._on_frame), ours)
            line.write(self._configuration)
            self._line = line
            for number, asked in list(self._in_flight.items()):
                await asked.send(number, line)
            return await process.wait()
        finally:
            self._line = None
            self.up = False
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _after_death(self, places: list[list[bytes]]) -> None:
        """Finds out what the engine died over; `places` are the texts that it worked on."""
        loading = set(self._loading)
        self._loading.clear()
        for report in self.reports.values():
            report.note_death()
        for mark in self.suspects.died(places):
            logger.error("a text (%s) ended the engine twice: refused for a while", mark.hex()[:8])
        worked_on = {mark for place in places for mark in place}
        for asked in list(self._in_flight.values()):
            if asked.line is None or asked.future.done():
                continue
            await self._look_at(asked)
            if worked_on:
                asked.deaths += not worked_on.isdisjoint(asked.marks or ())
            else:
                asked.deaths += not loading or asked.model in loading
            if asked.deaths > 1:
                asked.fail(
                    BackendFailed(
                        "the engine died twice while it computed this request",
                        hint="the worker's log says why",
                    )
                )

    def _on_frame(self, message: Message, blob: bytes) -> None:
        match message:
            case Reply(number):
                if asked := self._in_flight.get(number):
                    asked.take(message, blob)
            case Hello():
                self.up = True
            case Computed():
                self.reports[message.model].note_batch(message)
                self._on_batch(message)
            case Loading(model):
                self._loading.add(model)
            case NotLoaded(model):
                self._loading.discard(model)
            case Loaded(model):
                self._loading.discard(model)
                self.reports[model].note_loaded(message)
                logger.info("loaded %s%s", model, _how(message))
            case Dropped(model, variant):
                self.reports[model].note_dropped(variant)
                logger.info("dropped %s to make room", model)


def _how(loaded: Loaded) -> str:
    return "" if loaded.backend is None else f", computed by {loaded.backend}: {loaded.reason}"
