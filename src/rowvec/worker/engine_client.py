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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rowvec import logs
from rowvec.config import engine_environment
from rowvec.errors import BackendFailed, RowvecError, ShuttingDown, from_sqlstate
from rowvec.models.device import batches_at_once
from rowvec.models.listing import Listing
from rowvec.worker.black_box import BlackBox, fingerprint, shared_memory
from rowvec.worker.frames import FrameReader, FrameWriter, Header, in_frames
from rowvec.worker.model_report import FEW_TOKENS, Report
from rowvec.worker.suspects import Suspects

logger = logging.getLogger(__name__)

# A header, and the rows that belong to it in order, some in each piece.
Answer = tuple[Header, list[bytes]]

# Told of every batch: its model, texts, tokens, the tokens that only filled it up, seconds.
OnBatch = Callable[[str, int, int, int, float], None]

# Before the next engine, by how many died soon after their start.
_BACKOFF_SECONDS = (0.0, 0.1, 0.5, 2.0, 5.0)

# An engine that lived so long had started well: its death is a new story.
_GOOD_START_SECONDS = 30.0


class InputFailed(Exception):  # it names the input; `error` is the error
    """An input failed in the engine; `error` says why, `position` which of those sent."""

    def __init__(self, position: int, error: RowvecError) -> None:
        super().__init__(str(error))
        self.position = position
        self.error = error


@dataclass(eq=False)
class _InFlight:
    """A request that the engine has or will have.

    `deaths` are the engines that ended while they worked on it, `alone` the places of texts that
    are suspected for it. `line` is where it was sent, `parts` what came back so far.
    """

    op: str
    fields: Mapping[str, Any]
    future: asyncio.Future[Answer]
    alone: list[int] = field(default_factory=list)
    marks: list[bytes] | None = None
    line: _Line | None = None
    parts: list[bytes] = field(default_factory=list)
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
        graphs: Path,
        measured: Mapping[str, str],
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
        self._configuration = {
            "op": "configure",
            "salt": self._salt.hex(),
            "models": listing.specs,
            "max_batch_tokens": max_batch_tokens,
            "max_batch_seconds": max_batch_seconds,
            "max_image_bytes": max_image_bytes,
            "max_image_pixels": max_image_pixels,
            "threads": threads,
            "device": device,
            "memory_budget": memory_budget,
            "graphs": graphs,
            "measured": measured,
        }
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
            for request in self._in_flight.values():
                if not request.future.done():
                    request.future.set_exception(ShuttingDown("the worker is stopping"))
            if self._watch is not None:
                self._watch.cancel()

    async def ask(self, op: str, fields: Mapping[str, Any]) -> Answer:
        """The engine's answer; cancel the caller to withdraw the request.

        Raises InputFailed, or whatever else the engine refuses with; BackendFailed if it died.
        """
        if self._stopping:
            raise ShuttingDown("the worker is stopping")
        number = next(self._numbers)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        request = _InFlight(op, fields, future)
        self._in_flight[number] = request
        try:
            if self.suspects:
                await self._look_at(request)
            await self._send(number, request)
            answer = await future
        except asyncio.CancelledError:
            if request.line is not None:
                request.line.write({"op": "cancel", "id": number})
            raise
        finally:
            del self._in_flight[number]
        if request.alone and request.marks:
            self.suspects.cleared(request.marks[place] for place in request.alone)
        return answer

    async def _look_at(self, request: _InFlight) -> None:
        """Finds the suspected texts of a request, and fails it for one that is refused."""
        if request.marks is None:
            # Many megabytes take a while to hash, and everybody else is answered meanwhile.
            request.marks = await asyncio.to_thread(_marks, self._salt, request.fields)
        for place, mark in enumerate(request.marks):
            if self.suspects.is_refused(mark) and not request.future.done():
                request.future.set_exception(InputFailed(place, _refusal()))
        is_suspected = self.suspects.is_suspected
        request.alone = [i for i, mark in enumerate(request.marks) if is_suspected(mark)]

    def suspect(self) -> None:
        """A request overran: unless the engine's threads still get anywhere, it is killed."""
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._kill_if_stalled(), name="engine watch")

    async def _kill_if_stalled(self) -> None:
        process = self._process
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self.ask("probe", {})
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
            for number, request in list(self._in_flight.items()):
                await self._send(number, request)
            return await process.wait()
        finally:
            self._line = None
            self.up = False
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _send(self, number: int, request: _InFlight) -> None:
        """Sends the request to the engine that is there, once; a large one frame by frame."""
        line = self._line
        if line is None or line is request.line or request.future.done():
            return
        request.line = line
        request.parts.clear()
        *begun, last = in_frames(request.fields.get("inputs", ()))
        for inputs in begun:
            line.write({"op": "inputs", "id": number, "inputs": inputs})
            await asyncio.sleep(0)
        head = {"op": request.op, "id": number, "alone": request.alone}
        line.write({**head, **request.fields, "inputs": last})

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
        for request in list(self._in_flight.values()):
            if request.line is None or request.future.done():
                continue
            await self._look_at(request)
            if worked_on:
                request.deaths += not worked_on.isdisjoint(request.marks or ())
            else:
                request.deaths += not loading or request.fields.get("model") in loading
            if request.deaths > 1 and not request.future.done():
                request.future.set_exception(
                    BackendFailed(
                        "the engine died twice while it computed this request",
                        hint="the worker's log says why",
                    )
                )

    def _on_frame(self, header: Header, blob: bytes) -> None:
        match header["op"]:
            case "part" | "answer" | "failed":
                self._on_answer(header, blob)
            case "hello":
                self.up = True
            case "computed":
                self._note_batch(header)
            case "loading":
                self._loading.add(header["model"])
            case "loaded":
                self._loading.discard(header["model"])
                report = self.reports[header["model"]]
                if header["dimensions"] is not None:
                    self._note_loaded(report, header)
            case "dropped":
                report = self.reports[header["model"]]
                report.memory_of.pop(_variant(header), None)
                report.briefest = math.inf
                logger.info("dropped %s to make room", header["model"])

    def _on_answer(self, header: Header, blob: bytes) -> None:
        request = self._in_flight.get(header["id"])
        if request is None or request.future.done():
            return
        if header["op"] == "part":
            request.parts.append(blob)
        elif header["op"] == "answer":
            request.future.set_result((header, [*request.parts, blob]))
        else:
            request.future.set_exception(_error(header))

    def _note_loaded(self, report: Report, header: Header) -> None:
        variant = _variant(header)
        report.dimensions, report.max_tokens = header["dimensions"], header["max_tokens"]
        report.memory_of[variant] = header["memory"]
        if not any(variant):
            report.backend, report.reason = header.get("backend"), header.get("reason")
            report.device = header["device"]
        how = (
            f", computed by {header['backend']}: {header['reason']}" if "backend" in header else ""
        )
        logger.info("loaded %s%s", header["model"], how)

    def _note_batch(self, header: Header) -> None:
        report = self.reports[header["model"]]
        report.texts += header["texts"]
        report.tokens += header["tokens"]
        report.padding += header["padding"]
        report.seconds += header["seconds"]
        report.zeros += header["zeros"]
        if header["texts"] == 1 and header["tokens"] <= FEW_TOKENS:
            report.briefest = min(report.briefest, header["seconds"])
        texts, tokens, padding = header["texts"], header["tokens"], header["padding"]
        self._on_batch(header["model"], texts, tokens, padding, header["seconds"])


def _marks(salt: bytes, fields: Mapping[str, Any]) -> list[bytes]:
    """What the engine knows the texts of a request by."""
    if "encoding" not in fields:
        return []
    prompt = fields["encoding"].prompt
    return [fingerprint(salt, fields["model"], prompt, text) for text in fields["inputs"]]


def _refusal() -> BackendFailed:
    return BackendFailed(
        "{input} ended the engine twice and is refused for a while",
        hint="leave it out; the worker's log says when it happened",
    )


def _variant(header: Header) -> tuple[str | None, ...]:
    return tuple(header["variant"].values())


def _error(header: Header) -> RowvecError | InputFailed:
    error = from_sqlstate(header["sqlstate"], header["message"], header["hint"])
    return error if header["position"] is None else InputFailed(header["position"], error)


class _Line(asyncio.Protocol):
    """The connection to one engine. Its loss needs no notice: the process ends with it."""

    def __init__(self, on_frame: Any) -> None:
        self._reader = FrameReader(on_frame)
        self._writer: FrameWriter | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._writer = FrameWriter(transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)

    def write(self, header: Mapping[str, Any]) -> None:
        assert self._writer is not None
        self._writer.write(header)
