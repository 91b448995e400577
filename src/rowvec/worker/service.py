"""Answers requests: admission, the cache, the engine. Knows no bytes of the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from rowvec.errors import DeadlineExceeded, RequestTooLarge, renumbering
from rowvec.models.backends.variant import AUTOMATIC
from rowvec.models.listing import Listing
from rowvec.models.spec import ModelSpec
from rowvec.protocol import reply
from rowvec.protocol.reply import ROWS, Form
from rowvec.protocol.request import Request
from rowvec.worker.admission import Admission
from rowvec.worker.answers import chunk_objects, dense, ranked, sparse_texts, split_objects
from rowvec.worker.cache import Cached, VectorCache
from rowvec.worker.dataset_pages import PAGE_BYTES, Datasets
from rowvec.worker.engine.client import A, EngineClient
from rowvec.worker.engine.in_flight import Rows
from rowvec.worker.engine.messages import (
    EngineRequest,
    ModelRequest,
    Operation,
    PieceAnswer,
    SpanAnswer,
    SplitRequest,
    TokenAnswer,
    VectorAnswer,
)
from rowvec.worker.engine.result_rows import too_long
from rowvec.worker.expectation import Expectation
from rowvec.worker.request_plan import Planner, RequestPlan

# Takes the pieces of an answer, and returns when they are on their way.
Send = Callable[[Iterator[bytes]], Awaitable[None]]

# Called once at most, before an answer that has to be computed, with the seconds that it is likely
# to take: 0 where it is a few milliseconds away.
Announce = Callable[[float], None]

# A text that is worth announcing, in characters.
_SHORT = 200

# A wait that is worth announcing: who polls looks a few times until then.
_LONG_SECONDS = 0.03

# Texts hashed or vectors copied before others get a turn.
_TEXTS_A_TURN = 256


@dataclass(frozen=True)
class _Missing:
    """Texts that the cache does not have, each once, with their places."""

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
        datasets: Datasets,
        *,
        max_bytes: int,
    ) -> None:
        self._listing = listing
        self._engine = engine
        self._admission = admission
        self._cache = cache
        self._datasets = datasets
        self._max_bytes = max_bytes
        self._planner = Planner(listing, engine.device)
        self._expectation = Expectation()

    async def answer(
        self,
        request: Request,
        size: int,
        send: Send,
        announce: Announce | None = None,
        form: Form = ROWS,
    ) -> None:
        """Answers a request of `size` bytes through `send`; raises RowvecError before that.

        `announce` is called before, or not at all, where one text is about to be computed.
        Cancel the caller to drop the work. Nothing past its deadline is computed. A request is
        finished, and its place free, when its answer is sent.
        """
        match request.op:
            case "ping":
                await send(reply.pong())
            case "models":
                await send(form.models([self._described(spec) for spec in self._listing.specs]))
            case "dataset":
                with self._admission.admitted(size + PAGE_BYTES):
                    async with self._deadline(request.deadline_ms):
                        rows = await self._datasets.page(request)
                    await send(reply.dataset_rows(rows))
            case _:
                await self._work(request, size, send, announce, form)

    async def _work(
        self, request: Request, size: int, send: Send, announce: Announce | None, form: Form
    ) -> None:
        planned = None if request.op == "split" else self._planner.plan(request)
        read, given = _read_bytes(request, planned, size), _result_bytes(request, planned, size)
        if max(read, given) > self._max_bytes:
            raise RequestTooLarge(
                f"{len(request.inputs)} inputs at once are {read} bytes to read, prompts counted,"
                f" and {given} bytes of answers: the worker takes {self._max_bytes} of each",
                hint="ask for fewer at once",
            )
        with self._admission.admitted(read + given):
            async with self._deadline(request.deadline_ms, planned):
                if planned is None:
                    answer = reply.chunks(await self._split(request))
                else:
                    answer = await self._answered(request, planned, announce, form)
            await send(answer)

    async def _answered(
        self, request: Request, planned: RequestPlan, announce: Announce | None, form: Form
    ) -> Iterator[bytes]:
        match request.op:
            case "count_tokens":
                return reply.token_counts(await self._counted(request, planned))
            case "chunk":
                return reply.chunks(await self._chunked(request, planned))
        entries = await self._embedded(request, planned, announce)
        self._engine.reports[planned.spec.name].note_request()
        match request.op:
            case "rerank":
                tokens = sum(entry.tokens for entry in entries if entry is not None)
                return form.scores(ranked(entries, planned.top_k), tokens)
            case "embed_sparse":
                return reply.sparse_vectors(sparse_texts(entries, planned.spec.description))
            case _:
                return form.embeddings(*dense(entries), request.encoding_format)

    def _described(self, spec: ModelSpec) -> dict[str, Any]:
        report = self._engine.reports[spec.name]
        return {
            "name": spec.name,
            "aliases": list(spec.aliases),
            "kind": spec.kind,
            "dimensions": report.dimensions,
            "max_tokens": report.max_tokens,
            "query_prompt": spec.prompt("query"),
            "document_prompt": spec.prompt("document"),
            "revision": spec.description.revision,
            "loaded": report.loaded,
            "requests": report.requests,
            "texts": report.texts,
            "tokens": report.tokens,
            "memory_bytes": report.memory,
            "last_use": None if report.last_use is None else _moment(report.last_use),
            "backend": report.backend,
            "backend_reason": report.reason,
            "device": report.device,
            "roles": list(spec.roles) or None,
        }

    @asynccontextmanager
    async def _deadline(
        self, deadline_ms: int | None, planned: RequestPlan | None = None
    ) -> AsyncIterator[None]:
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
            reason = None if planned is None else self._engine.why_late(planned.spec.name)
            raise _late(deadline_ms, reason) from exc

    async def _counted(self, request: Request, planned: RequestPlan) -> list[int | None]:
        places, texts = _present(request)
        tokens: list[int | None] = [None] * len(request.inputs)
        if places:
            wanted = _wanted("count_tokens", planned, texts, request)
            answer, _ = await self._ask(wanted, TokenAnswer, places)
            for i, count in zip(places, answer.tokens, strict=True):
                tokens[i] = count
        return tokens

    async def _chunked(self, request: Request, planned: RequestPlan) -> list[dict[str, Any]]:
        places, texts = _present(request)
        wanted = _wanted("chunk", planned, texts, request)
        answer, parts = await self._ask(wanted, SpanAnswer, places)
        chunks: list[dict[str, Any]] = []
        turn = 0
        for i, text, row in zip(places, texts, _rows(parts, answer.sizes), strict=True):
            spans = np.frombuffer(row, "<i4").reshape(-1, 3)
            for first in range(0, len(spans), _TEXTS_A_TURN):
                chunks += chunk_objects(i, text, spans[first : first + _TEXTS_A_TURN], first)
                if len(chunks) - turn >= _TEXTS_A_TURN:
                    turn = len(chunks)
                    await asyncio.sleep(0)
        return chunks

    async def _split(self, request: Request) -> list[dict[str, Any]]:
        places, texts = _present(request)
        wanted = SplitRequest(splitter=request.model, inputs=texts, kwargs=request.kwargs)
        answer, _ = await self._ask(wanted, PieceAnswer, places)
        found = zip(places, answer.pieces, strict=True)
        return [chunk for i, chunks in found for chunk in split_objects(i, chunks)]

    async def _embedded(
        self, request: Request, planned: RequestPlan, announce: Announce | None
    ) -> list[Cached | None]:
        found: list[Cached | None] = [None] * len(request.inputs)
        missing = await self._look_up(request, planned, found)
        if missing.texts:
            op: Operation = "embed_image" if request.op == "embed_image" else "embed"
            wanted = _wanted(op, planned, missing.texts, request)
            if len(missing.texts) == 1:
                answer, parts = await self._ask_for_one(wanted, missing, planned, announce)
            else:
                firsts = [places[0] for places in missing.places]
                answer, parts = await self._ask(wanted, VectorAnswer, firsts)
            rows = _rows(parts, answer.sizes)
            for n, (key, count, row) in enumerate(
                zip(missing.keys, answer.tokens, rows, strict=True)
            ):
                if n and n % _TEXTS_A_TURN == 0:
                    await asyncio.sleep(0)
                entry = Cached(row, count)
                self._cache.put(key, entry)
                for i in missing.places[n]:
                    found[i] = entry
        return found

    async def _ask_for_one(
        self,
        wanted: ModelRequest,
        missing: _Missing,
        planned: RequestPlan,
        announce: Announce | None,
    ) -> tuple[VectorAnswer, Rows]:
        in_flight = 1 + self._engine.in_flight
        expected = self._expectation.seconds(in_flight)
        if announce is not None and self._is_brief(planned, missing.texts[0]):
            announce(0)
        elif announce is not None and in_flight > 1 and expected > _LONG_SECONDS:
            announce(expected)
        loop = asyncio.get_running_loop()
        asked = loop.time()
        answer = await self._ask(wanted, VectorAnswer, missing.places[0][:1])
        self._expectation.note(in_flight, loop.time() - asked)
        return answer

    def _is_brief(self, planned: RequestPlan, text: str) -> bool:
        """Whether the engine will have answered within milliseconds, as far as one can tell."""
        return (
            len(text) + len(planned.encoding.prompt) <= _SHORT
            and planned.encoding.variant == AUTOMATIC
            and self._engine.up
            and not self._engine.in_flight
            and self._engine.reports[planned.spec.name].is_brief
        )

    async def _look_up(
        self, request: Request, planned: RequestPlan, found: list[Cached | None]
    ) -> _Missing:
        """Fills in what the cache has, and gives the rest."""
        keys = planned.keys
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
                _refuse_truncated(cached, planned, i)
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
        self, wanted: EngineRequest, kind: type[A], places: Sequence[int]
    ) -> tuple[A, Rows]:
        """The engine's answer about the inputs at these places of the request."""
        with renumbering(places):
            return await self._engine.ask(wanted, kind)


def _rows(parts: Sequence[bytes], sizes: Sequence[int]) -> Iterator[bytes]:
    """The rows of an answer, `sizes` bytes each; none lies in two parts."""
    part, end = iter(parts), 0
    held = next(part)
    for size in sizes:
        if size and end == len(held):
            held, end = next(part), 0
        yield held[end : end + size]
        end += size


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _late(deadline_ms: int, reason: str | None = None) -> DeadlineExceeded:
    late = f"not done within the deadline of {deadline_ms} ms"
    if reason is None:
        return DeadlineExceeded(
            late, hint="raise timeout_ms, or worker_deadline_ms in rowvec.setting"
        )
    return DeadlineExceeded(
        f"{late}: {reason}",
        hint="try again in a moment; with warm = true in models.toml it is there from the start",
    )


def _read_bytes(request: Request, planned: RequestPlan | None, size: int) -> int:
    """What the model is given to read: its prompt, or the query, stands before every input."""
    prompt = "" if planned is None else planned.encoding.prompt
    return size + len(request.inputs) * len(prompt.encode(errors="surrogatepass"))


def _result_bytes(request: Request, planned: RequestPlan | None, size: int) -> int:
    """About how much the answer holds; chunks may repeat half of the text."""
    if planned is None or request.op == "chunk":
        return 2 * size
    return len(request.inputs) * planned.spec.description.dimensions * 4


def _present(request: Request) -> tuple[list[int], list[str]]:
    """The inputs that are not NULL, and their places."""
    present = [(i, text) for i, text in enumerate(request.inputs) if text is not None]
    return [i for i, _ in present], [text for _, text in present]


def _wanted(
    op: Operation, planned: RequestPlan, texts: list[str], request: Request
) -> ModelRequest:
    return ModelRequest(
        op=op,
        model=planned.spec.name,
        inputs=texts,
        encoding=planned.encoding,
        interactive=request.priority == "interactive",
        chunking=planned.chunking,
    )


def _refuse_truncated(cached: Cached, planned: RequestPlan, place: int) -> None:
    max_tokens = planned.spec.description.max_tokens
    if planned.encoding.on_truncate == "error" and cached.tokens > max_tokens:
        error = too_long(cached.tokens, max_tokens)
        error.input_number = place + 1
        raise error
