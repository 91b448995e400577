"""Answers requests: admission, the cache, the engine. Knows no bytes of the protocol."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rowvec.errors import DeadlineExceeded, InputTooLong, RequestTooLarge, RowvecError
from rowvec.models.encoding import Encoding, resolve
from rowvec.models.listing import Listing
from rowvec.models.operations import check_operation
from rowvec.models.spec import ModelSpec
from rowvec.protocol import reply
from rowvec.protocol.request import Format, Request
from rowvec.worker.admission import Admission
from rowvec.worker.cache import Cached, KeyMaker, VectorCache
from rowvec.worker.engine_client import EngineClient, InputFailed

# Takes the pieces of an answer, and returns when they are on their way.
Send = Callable[[Iterator[bytes]], Awaitable[None]]

# Texts hashed or vectors copied before others get a turn.
_TEXTS_A_TURN = 256


class Form(Protocol):
    """How answers look to a client: Postgres's rows unless it speaks something else."""

    def embeddings(
        self, vectors: reply.Vectors, tokens: Sequence[int | None], encoding_format: Format
    ) -> Iterator[bytes]:
        """The answer to embed in pieces."""

    def models(self, listed: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
        """The answer to models."""


@dataclass(frozen=True)
class _Missing:
    """Texts that the cache does not have, each once, with the places they stand at."""

    texts: list[str]
    keys: list[bytes]
    places: list[list[int]]


class Service:
    """One for the worker; `answer` may run any number of times at once."""

    def __init__(
        self,
        listing: Listing,
        engine: EngineClient,
        admission: Admission,
        cache: VectorCache,
        *,
        max_reply_bytes: int,
    ) -> None:
        self._listing = listing
        self._engine = engine
        self._admission = admission
        self._cache = cache
        self._max_reply_bytes = max_reply_bytes

    async def answer(self, request: Request, size: int, send: Send, form: Form = reply) -> None:
        """Answers a request of `size` bytes through `send`; raises RowvecError before that.

        Cancel the caller to drop the work. Nothing past its deadline is computed. A request is
        finished, and its place free, when its answer is sent.
        """
        match request.op:
            case "ping":
                await send(reply.pong())
            case "models":
                await send(form.models([self._described(spec) for spec in self._listing.specs]))
            case _:
                await self._work(request, size, send, form)

    async def _work(self, request: Request, size: int, send: Send, form: Form) -> None:
        spec = self._listing.find(request.model)
        check_operation(request.op, spec.description)
        encoding = resolve(request.kwargs, spec.description)
        result_bytes = len(request.inputs) * spec.description.dimensions * 4
        if result_bytes > self._max_reply_bytes:
            raise RequestTooLarge(
                f"{len(request.inputs)} inputs at once give {result_bytes} bytes of vectors,"
                f" the worker takes {self._max_reply_bytes}",
                hint="ask for fewer at once",
            )
        with self._admission.admitted(size + result_bytes):
            async with self._deadline(request.deadline_ms):
                if request.op == "count_tokens":
                    answer = reply.token_counts(await self._counted(request, spec, encoding))
                else:
                    vectors, tokens = await self._embedded(request, spec, encoding)
                    self._engine.reports[spec.name].requests += 1
                    answer = form.embeddings(vectors, tokens, request.encoding_format)
            await send(answer)

    def _described(self, spec: ModelSpec) -> dict[str, Any]:
        report = self._engine.reports[spec.name]
        return {
            "name": spec.name,
            "kind": spec.kind,
            "dimensions": report.dimensions,
            "max_tokens": report.max_tokens,
            "query_prompt": spec.prompt("query"),
            "document_prompt": spec.prompt("document"),
            "revision": spec.description.revision,
            "loaded": report.loaded,
            "requests": report.requests,
            "texts": report.texts,
        }

    @asynccontextmanager
    async def _deadline(self, deadline_ms: int | None) -> AsyncIterator[None]:
        if deadline_ms is None:
            yield
            return
        if deadline_ms <= 0:
            raise _late(deadline_ms)
        try:
            async with asyncio.timeout(deadline_ms / 1000):
                yield
        except TimeoutError as exc:
            self._engine.suspect()
            raise _late(deadline_ms) from exc

    async def _counted(
        self, request: Request, spec: ModelSpec, encoding: Encoding
    ) -> list[int | None]:
        places = [i for i, text in enumerate(request.inputs) if text is not None]
        tokens: list[int | None] = [None] * len(request.inputs)
        if places:
            fields = _fields(spec, [request.inputs[i] for i in places], encoding, request)
            header, _ = await self._ask("count_tokens", fields, [[i] for i in places])
            for i, count in zip(places, header["tokens"], strict=True):
                tokens[i] = count
        return tokens

    async def _embedded(
        self, request: Request, spec: ModelSpec, encoding: Encoding
    ) -> tuple[list[npt.NDArray[np.float32] | None], list[int | None]]:
        found: list[Cached | None] = [None] * len(request.inputs)
        missing = await self._look_up(request, spec, encoding, found)
        if missing.texts:
            fields = _fields(spec, missing.texts, encoding, request)
            header, blob = await self._ask("embed", fields, missing.places)
            ends = itertools.accumulate(header["sizes"])
            for n, (key, count, size, end) in enumerate(
                zip(missing.keys, header["tokens"], header["sizes"], ends, strict=True)
            ):
                entry = Cached(blob[end - size : end], count)
                self._cache.put(key, entry)
                for i in missing.places[n]:
                    found[i] = entry
        vectors = [e if e is None else np.frombuffer(e.vector, "<f4") for e in found]
        return vectors, [e if e is None else e.tokens for e in found]

    async def _look_up(
        self, request: Request, spec: ModelSpec, encoding: Encoding, found: list[Cached | None]
    ) -> _Missing:
        """Fills in what the cache has, and gives the rest."""
        keys = KeyMaker(spec.name, spec.description.revision, encoding)
        missing = _Missing([], [], [])
        number_of: dict[bytes, int] = {}
        for i, text in enumerate(request.inputs):
            if text is None:
                continue
            if i and i % _TEXTS_A_TURN == 0:
                await asyncio.sleep(0)
            key = keys.key(text)
            cached = self._cache.get(key)
            if cached is not None:
                _refuse_truncated(cached, spec, encoding, i)
                found[i] = cached
            elif key in number_of:
                missing.places[number_of[key]].append(i)
            else:
                number_of[key] = len(missing.texts)
                missing.texts.append(text)
                missing.keys.append(key)
                missing.places.append([i])
        return missing

    async def _ask(
        self, op: str, fields: dict[str, Any], places: list[list[int]]
    ) -> tuple[dict[str, Any], bytes]:
        try:
            return await self._engine.ask(op, fields)
        except InputFailed as exc:
            number = f"input {places[exc.position][0] + 1}"
            message = str(exc)
            if "{input}" in message:
                message = message.replace("{input}", number)
            else:
                message = f"{number}: {message}"
            raise type(exc.error)(message, hint=exc.error.hint) from exc
        except RowvecError as exc:
            if "{input}" not in str(exc):
                raise
            raise type(exc)(str(exc).replace("{input}", "an input"), hint=exc.hint) from exc


def _late(deadline_ms: int) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"not done within the deadline of {deadline_ms} ms",
        hint="raise timeout_ms, or worker_deadline_ms in rowvec.setting",
    )


def _fields(
    spec: ModelSpec, texts: list[Any], encoding: Encoding, request: Request
) -> dict[str, Any]:
    return {
        "model": spec.name,
        "inputs": texts,
        "encoding": encoding,
        "interactive": request.priority == "interactive",
    }


def _refuse_truncated(cached: Cached, spec: ModelSpec, encoding: Encoding, place: int) -> None:
    max_tokens = spec.description.max_tokens
    if encoding.on_truncate == "error" and cached.tokens > max_tokens:
        raise InputTooLong(
            f"input {place + 1} has {cached.tokens} tokens, the model reads {max_tokens}",
            hint="shorten it, or let it be cut off with on_truncate = truncate",
        )
