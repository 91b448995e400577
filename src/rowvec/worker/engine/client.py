"""The listener's end of the engine: starts it, asks it, restarts it when it dies or hangs."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from rowvec import logs
from rowvec.config import engine_environment
from rowvec.errors import BackendFailed, RowvecError, ShuttingDown, from_sqlstate
from rowvec.models.backends.variant import AUTOMATIC, Backend
from rowvec.models.device import batches_at_once
from rowvec.models.listing import Listing
from rowvec.worker.engine.black_box import BlackBox, fingerprint, shared_memory
from rowvec.worker.engine.frames import FrameReader, FrameWriter, in_frames
from rowvec.worker.engine.messages import (
    Answer,
    Cancel,
    Computed,
    Configure,
    Dropped,
    EngineRequest,
    Failed,
    Hello,
    Loaded,
    Loading,
    Message,
    ModelRequest,
    MoreInputs,
    NotLoaded,
    Part,
    ProbeRequest,
    Reply,
)
from rowvec.worker.engine.model_report import FEW_TOKENS, Report
from rowvec.worker.engine.suspects import Suspects

logger = logging.getLogger(__name__)

A = TypeVar("A", bound=Answer)

# The rows that belong to an answer in order, some in each piece.
Rows = list[bytes]

# Told of every batch.
OnBatch = Callable[[Computed], None]

# Before the next engine, by how many died soon after their start.
_BACKOFF_SECONDS = (0.0, 0.1, 0.5, 2.0, 5.0)

# An engine that lived so long had started well: its death is a new story.
_GOOD_START_SECONDS = 30.0


@dataclass(eq=False)
class _InFlight:
    """A request that the engine has or will have.

    `deaths` are the engines that ended while they worked on it, `alone` the places of texts that
    are suspected for it. `line` is where it was sent, `parts` what came back so far.
    """

    request: EngineRequest
    future: asyncio.Future[tuple[Answer, Rows]]
    alone: list[int] = field(default_factory=list)
    marks: list[bytes] | None = None
    line: _Line | None = None
    parts: Rows = field(default_factory=list)
    deaths: int = 0


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
        self._in_flight: dict[int, _InFlight] = {}
        self._line: _Line | None = None
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
        return f"{model} is still being loaded" if model in self._loading else None

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
                if not asked.future.done():
                    asked.future.set_exception(ShuttingDown("the worker is stopping"))
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
        asked = self._in_flight[number] = _InFlight(request, future)
        try:
            if self.suspects:
                await self._look_at(asked)
            await self._send(number, asked)
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

    async def _look_at(self, asked: _InFlight) -> None:
        """Finds the suspected texts of a request, and fails it for one that is refused."""
        if asked.marks is None:
            # Many megabytes take a while to hash, and everybody else is answered meanwhile.
            asked.marks = await asyncio.to_thread(_marks, self._salt, asked.request)
        for number, mark in enumerate(asked.marks, start=1):
            if self.suspects.is_refused(mark) and not asked.future.done():
                asked.future.set_exception(_refusal(number))
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
            _, line = await loop.connect_accepted_socket(lambda: _Line(self._on_frame), ours)
            line.write(self._configuration)
            self._line = line
            for number, asked in list(self._in_flight.items()):
                await self._send(number, asked)
            return await process.wait()
        finally:
            self._line = None
            self.up = False
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _send(self, number: int, asked: _InFlight) -> None:
        """Sends the request to the engine that is there, once; a large one frame by frame."""
        line = self._line
        if line is None or line is asked.line or asked.future.done():
            return
        asked.line = line
        asked.parts.clear()
        *begun, last = in_frames(asked.request.inputs)
        for inputs in begun:
            line.write(MoreInputs(number, inputs))
            await asyncio.sleep(0)
        request = replace(asked.request, inputs=last) if begun else asked.request
        request.number = number
        if isinstance(request, ModelRequest):
            request.alone = asked.alone
        line.write(request)

    async def _after_death(self, places: list[list[bytes]]) -> None:
        """Finds out what the engine died over; `places` are the texts that it worked on."""
        loading = set(self._loading)
        self._loading.clear()
        for report in self.reports.values():
            report.memory_of.clear()
            report.briefest = math.inf
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
                asked.deaths += not loading or _model(asked.request) in loading
            if asked.deaths > 1 and not asked.future.done():
                asked.future.set_exception(
                    BackendFailed(
                        "the engine died twice while it computed this request",
                        hint="the worker's log says why",
                    )
                )

    def _on_frame(self, message: Message, blob: bytes) -> None:
        match message:
            case Reply():
                self._on_reply(message, blob)
            case Hello():
                self.up = True
            case Computed():
                self._note_batch(message)
            case Loading(model):
                self._loading.add(model)
            case NotLoaded(model):
                self._loading.discard(model)
            case Loaded(model):
                self._loading.discard(model)
                self._note_loaded(message)
            case Dropped(model, variant):
                report = self.reports[model]
                report.memory_of.pop(variant, None)
                report.briefest = math.inf
                logger.info("dropped %s to make room", model)

    def _on_reply(self, reply: Reply, blob: bytes) -> None:
        asked = self._in_flight.get(reply.number)
        if asked is None or asked.future.done():
            return
        match reply:
            case Part():
                asked.parts.append(blob)
            case Answer():
                asked.future.set_result((reply, [*asked.parts, blob]))
            case Failed():
                asked.future.set_exception(_error(reply))

    def _note_loaded(self, loaded: Loaded) -> None:
        report = self.reports[loaded.model]
        report.dimensions, report.max_tokens = loaded.dimensions, loaded.max_tokens
        report.memory_of[loaded.variant] = loaded.memory
        if loaded.variant == AUTOMATIC:
            report.backend, report.reason = loaded.backend, loaded.reason
            report.device = loaded.device
        how = "" if loaded.backend is None else f", computed by {loaded.backend}: {loaded.reason}"
        logger.info("loaded %s%s", loaded.model, how)

    def _note_batch(self, batch: Computed) -> None:
        report = self.reports[batch.model]
        report.texts += batch.texts
        report.tokens += batch.tokens
        report.padding += batch.padding
        report.seconds += batch.seconds
        report.zeros += batch.zeros
        if batch.texts == 1 and batch.tokens <= FEW_TOKENS:
            report.briefest = min(report.briefest, batch.seconds)
        self._on_batch(batch)


def _marks(salt: bytes, request: EngineRequest) -> list[bytes]:
    """What the engine knows the texts of a request by."""
    if not isinstance(request, ModelRequest):
        return []
    prompt = request.encoding.prompt
    return [fingerprint(salt, request.model, prompt, text) for text in request.inputs]


def _model(request: EngineRequest) -> str | None:
    return request.model if isinstance(request, ModelRequest) else None


def _refusal(number: int) -> BackendFailed:
    return BackendFailed(
        "the input ended the engine twice and is refused for a while",
        hint="leave it out; the worker's log says when it happened",
        input_number=number,
    )


def _error(failed: Failed) -> RowvecError:
    return from_sqlstate(
        failed.sqlstate, failed.message, failed.hint, input_number=failed.input_number
    )


class _Line(asyncio.Protocol):
    """The connection to one engine. Its loss needs no notice: the process ends with it."""

    def __init__(self, on_frame: Callable[[Message, bytes], None]) -> None:
        self._reader = FrameReader(on_frame)
        self._writer: FrameWriter | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._writer = FrameWriter(transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)

    def write(self, message: Message) -> None:
        assert self._writer is not None
        self._writer.write(message)
