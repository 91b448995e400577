"""What the engine answers: its event loop talks, one thread tokenises, one thread computes."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from rowvec.batching import Batcher, Item, ItemFailed
from rowvec.errors import BackendFailed, OutOfMemory, RowvecError
from rowvec.models.embedder import Tokenized
from rowvec.models.registry import family
from rowvec.worker.engine.black_box import BlackBox
from rowvec.worker.engine.computing import Computing, Group, Key, Threads
from rowvec.worker.engine.frames import FrameWriter
from rowvec.worker.engine.memory import is_out_of_memory
from rowvec.worker.engine.messages import (
    Answer,
    Cancel,
    Configure,
    Dropped,
    EngineRequest,
    Failed,
    Hello,
    Message,
    ModelRequest,
    MoreInputs,
    Part,
    PieceAnswer,
    SpanAnswer,
    SplitRequest,
    TokenAnswer,
    VectorAnswer,
)
from rowvec.worker.engine.model_loader import ModelLoader
from rowvec.worker.engine.model_store import ModelStore
from rowvec.worker.engine.preparing import Model, Preparing
from rowvec.worker.engine.result_rows import Row, frames_of, packed, refuse_truncated

logger = logging.getLogger(__name__)

# What admission lets through is bounded by bytes; this bounds the sorted list of the batcher.
_MAX_WAITING = 1_000_000

# A model that computes elsewhere pads nothing here, and wants few and large requests.
_ELSEWHERE_BATCH_TOKENS = 100_000


@dataclass(frozen=True)
class _Place:
    """Where batches are computed, and who forms them."""

    computing: Computing
    batcher: Batcher[Tokenized, Row]


class Engine:
    """Answers frames until the connection to the listener ends."""

    def __init__(self, configuration: Configure, send: FrameWriter, box: BlackBox) -> None:
        self._box = box
        self._salt = bytes.fromhex(configuration.salt)
        self._batch_seconds = configuration.max_batch_seconds
        self._specs = configuration.models
        self._send = send
        # Always the same thread computes: torch keeps a team of helpers for each that ever did.
        self._compute_thread = ThreadPoolExecutor(1, "compute")
        self._loader = ModelLoader(configuration, self._compute_thread, send.write)
        self._store: ModelStore[Key, Model] = ModelStore(
            self._loader.load,
            needs=self._loader.needs,
            measure=self._loader.memory,
            on_drop=self._dropped,
            budget=configuration.memory_budget,
        )
        self._warming: list[asyncio.Task[None]] = []
        self._running: dict[int, asyncio.Task[None]] = {}
        self._arriving: dict[int, list[str]] = {}
        self._preparing = Preparing(
            max_image_bytes=configuration.max_image_bytes,
            max_image_pixels=configuration.max_image_pixels,
            box=box,
            salt=self._salt,
        )
        self._here = self._place(
            self._threads(configuration.device, configuration.threads),
            configuration.max_batch_tokens,
            box,
            box.batches,
        )
        self._elsewhere = {
            spec.name: self._place(
                Threads(ThreadPoolExecutor(1, spec.name)), _ELSEWHERE_BATCH_TOKENS, None
            )
            for spec in self._specs
            if not family(spec.kind).computes_here
        }

    def start(self) -> None:
        """Greets the listener and loads what the list wants warm."""
        for place in (self._here, *self._elsewhere.values()):
            place.batcher.start().add_done_callback(_end_process)
        self._send.write(Hello())
        for spec in self._specs:
            if spec.warm:
                task = asyncio.get_running_loop().create_task(self._warm(spec.name))
                task.add_done_callback(_note_failure)
                self._warming.append(task)

    def on_message(self, message: Message) -> None:
        """Takes what the listener says."""
        match message:
            case MoreInputs(number, inputs):
                self._arriving.setdefault(number, []).extend(inputs)
            case Cancel(number):
                self._arriving.pop(number, None)
                if task := self._running.get(number):
                    task.cancel()
            case EngineRequest(number=number):
                if begun := self._arriving.pop(number, None):
                    message.inputs = [*begun, *message.inputs]
                task = asyncio.get_running_loop().create_task(self._answer(message))
                self._running[number] = task
                task.add_done_callback(functools.partial(self._ended, number))

    def _ended(self, number: int, _task: asyncio.Task[None]) -> None:
        del self._running[number]

    async def _answer(self, request: EngineRequest) -> None:
        number = request.number
        try:
            answer, rows = await self._result(request)
        except ItemFailed as exc:
            self._send.write(_failure(number, exc.__cause__ or exc, exc.position + 1))
        except Exception as exc:  # noqa: BLE001  # around one request: it alone fails
            self._send.write(_failure(number, exc, None))
        else:
            *begun, last = frames_of(rows)
            for part in begun:
                self._send.write(Part(number), part)
            self._send.write(answer, last)

    async def _result(self, request: EngineRequest) -> tuple[Answer, list[bytes]]:
        match request:
            case ModelRequest():
                key = self._loader.key(request.model, request.encoding.variant)
                async with self._store.using(key) as model:
                    return await self._answered(request, key, model)
            case SplitRequest():
                split = self._preparing.split(request.splitter, request.inputs, request.kwargs)
                return PieceAnswer(request.number, await split), []
            case _:
                await self._preparing.probe()
                await self._here.computing.probe()
                return Answer(request.number), []

    async def _answered(
        self, request: ModelRequest, key: Key, model: Model
    ) -> tuple[Answer, list[bytes]]:
        number, name, inputs = request.number, request.model, request.inputs
        encoding, alone = request.encoding, request.alone
        if request.op == "chunk":
            assert request.chunking is not None
            spans = await self._preparing.chunks(
                name, model, inputs, encoding.prompt, request.chunking
            )
            return SpanAnswer(number, list(map(len, spans))), spans
        if request.op == "embed_image":
            tokenized = await self._preparing.images(name, model, inputs)
        else:
            tokenized = await self._preparing.texts(name, model, inputs, encoding.prompt, alone)
        counts = [text.count for text in tokenized]
        if request.op == "count_tokens":
            return TokenAnswer(number, counts), []
        if encoding.on_truncate == "error":
            refuse_truncated(counts, model.max_tokens)
        items = [
            Item(work, work.length, text) for work, text in zip(tokenized, inputs, strict=True)
        ]
        group = Group(key, request.op, encoding.prompt)
        rows = await self._rows(group, items, alone, interactive=request.interactive)
        vectors = packed(rows, encoding)
        return VectorAnswer(number, counts, list(map(len, vectors))), vectors

    async def _rows(
        self,
        group: Group,
        items: list[Item[Tokenized]],
        alone: Sequence[int],
        *,
        interactive: bool,
    ) -> list[Row]:
        """What the model makes of the items; those `alone` come last, one after the other."""
        submit = self._elsewhere.get(group.key.model, self._here).batcher.submit
        if not alone:
            return await submit(group, items, interactive=interactive)
        together = [position for position in range(len(items)) if position not in set(alone)]
        rows: dict[int, Row] = {}
        for positions in (together, *([position] for position in alone)):
            if len(positions) == 1 and positions[0] in alone:
                group = replace(group, alone=str(items[positions[0]].identity))
            try:
                some = await submit(group, [items[i] for i in positions], interactive=interactive)
            except ItemFailed as exc:
                raise ItemFailed(positions[exc.position]) from exc.__cause__
            rows.update(zip(positions, some, strict=True))
        return [rows[position] for position in range(len(items))]

    async def _warm(self, name: str) -> None:
        async with self._store.using(Key(name)):
            """It is there."""

    def _dropped(self, key: Key) -> None:
        self._send.write(Dropped(key.model, key.variant))
        self._elsewhere.get(key.model, self._here).computing.forget(key)
        self._loader.tidy()

    def _threads(self, device: str, threads: int) -> Threads:
        if device.startswith("cuda"):
            return Threads(self._compute_thread, fetcher=ThreadPoolExecutor(1, "fetch"))
        streams = ThreadPoolExecutor(threads, "stream") if threads > 1 else None
        return Threads(self._compute_thread, streams)

    def _place(
        self, threads: Threads, max_batch_tokens: int, box: BlackBox | None, slots: int = 1
    ) -> _Place:
        computing = Computing(
            threads,
            self._store.loaded,
            self._send.write,
            salt=self._salt,
            box=box,
            batch_seconds=self._batch_seconds,
            on_lost=_end_without_device,
            slots=slots,
        )
        batcher = Batcher(
            computing,
            max_batch_tokens=max_batch_tokens,
            max_waiting=_MAX_WAITING,
            budget=computing.budget,
            slots=slots,
            takes=computing.takes,
        )
        return _Place(computing, batcher)


def _failure(number: int, error: BaseException, input_number: int | None) -> Failed:
    if is_out_of_memory(error):
        error = OutOfMemory(
            "the engine has not the memory to compute this",
            hint="try again later, shorten it, or lower the worker's max_batch_tokens",
        )
    if not isinstance(error, RowvecError):
        # A library's message may quote the text: the place it failed at is enough.
        place = "".join(traceback.format_tb(error.__traceback__))
        logger.error("%s while computing\n%s", type(error).__name__, place)
        error = BackendFailed(f"the model failed ({type(error).__name__})")
    return Failed(number, error.sqlstate, error.message, error.hint, input_number)


def _note_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.error("a model was not loaded: %s", error)


def _end_process(_task: asyncio.Task[None]) -> None:
    logger.critical("the batcher ended early, which is a bug")
    os._exit(1)


def _end_without_device() -> None:
    """The next engine has a fresh one; what this one worked on is suspected, and computed alone."""
    logger.critical("the device failed, and computes nothing more for this process")
    os._exit(1)
