"""What HTTP clients may ask: OpenAI's embeddings, reranking, models, health and metrics.

Requests take the way of all others: the same admission, cache, engine and deadlines.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Self

import orjson
from aiohttp import HttpVersion11, hdrs, web

from rowvec.addresses import is_loopback, name_in
from rowvec.config import Settings
from rowvec.errors import (
    AuthenticationError,
    DeadlineExceeded,
    InvalidRequest,
    RequestTooLarge,
    RowvecError,
    ShuttingDown,
)
from rowvec.protocol import http_error, openai, rerank
from rowvec.protocol.large_request import Body
from rowvec.protocol.reply import Form
from rowvec.protocol.request import Priority, Request
from rowvec.worker.admission import Admission
from rowvec.worker.http.api_keys import ApiKeys
from rowvec.worker.metrics import Metrics
from rowvec.worker.observing import Observed, Observer
from rowvec.worker.service import Service

logger = logging.getLogger(__name__)

REQUEST_ID = "X-Request-Id"
TIMEOUT = "X-Rowvec-Timeout-Ms"
PRIORITY = "X-Rowvec-Priority"

_JSON = "application/json"

Handle = Callable[[web.Request, Observed], Awaitable[web.StreamResponse]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class HttpRules:
    """What holds for all HTTP clients. Without keys, only this machine is answered."""

    keys: ApiKeys | None
    max_request_bytes: int
    max_input_bytes: int
    max_arriving_bytes: int
    deadline_ms: int

    @classmethod
    def of(cls, settings: Settings, keys: ApiKeys | None) -> Self:
        """What the settings say."""
        return cls(
            keys,
            max_request_bytes=settings.max_request_bytes,
            max_input_bytes=settings.max_input_bytes,
            max_arriving_bytes=settings.max_queue_bytes,
            deadline_ms=int(settings.http_timeout_seconds * 1000),
        )


class Api:
    """One for the worker. `not_ready` says why the worker is not, None when it is.

    `admit` is told of each connection whose client has proved who it is, and raises where there is
    no room for it.
    """

    def __init__(
        self,
        rules: HttpRules,
        service: Service,
        *,
        admission: Admission,
        observer: Observer,
        metrics: Metrics,
        not_ready: Callable[[], str | None],
    ) -> None:
        self._rules = rules
        self._service = service
        self._admission = admission
        self._observer = observer
        self._metrics = metrics
        self._not_ready = not_ready
        self._created = int(time.time())
        # Bodies are bounded together while they arrive, before they can be parsed.
        self._arriving = Admission(max_requests=1 << 30, max_bytes=rules.max_arriving_bytes)
        self.admit: Callable[[asyncio.BaseProtocol], None] = _anybody
        self._computing: set[asyncio.Task[None]] = set()
        self._interrupted: dict[asyncio.Task[None], RowvecError] = {}

    def application(self) -> web.Application:
        """The routes, for aiohttp to serve."""
        application = web.Application(middlewares=[_answer_refusals])
        application.on_response_prepare.append(_complete_headers)
        application.add_routes(
            [
                web.post("/v1/embeddings", self._observed(self._embeddings), expect_handler=_later),
                web.post("/v1/rerank", self._observed(self._rerank), expect_handler=_later),
                web.get("/v1/models", self._observed(self._models)),
                web.get("/healthz", self._health),
                web.get("/readyz", self._readiness),
                web.get("/metrics", self._metrics_page),
            ]
        )
        return application

    def interrupt_all(self, reason: RowvecError) -> None:
        """Ends every request that is computed with an error."""
        for task in self._computing:
            self._interrupted[task] = reason
            task.cancel()

    def _observed(self, handle: Handle) -> Handler:
        @functools.wraps(handle)
        async def run(request: web.Request) -> web.StreamResponse:
            with self._observer.request("http") as observed:
                request[_ID] = observed.id
                self._authorize(request)
                return await handle(request, observed)

        return run

    async def _embeddings(self, request: web.Request, observed: Observed) -> web.StreamResponse:
        terms = self._terms(request)
        body = await self._body(request, terms, openai.ARRAY)
        wanted = openai.embeddings_request(body, terms, max_input_bytes=self._rules.max_input_bytes)
        form = openai.Answers(wanted.model, self._created).form
        observed.parsed(wanted, body.size)
        return await self._answer(request, observed, form)

    async def _rerank(self, request: web.Request, observed: Observed) -> web.StreamResponse:
        terms = self._terms(request)
        body = await self._body(request, terms, rerank.ARRAY)
        wanted, form = rerank.rerank_request(
            body, terms, max_input_bytes=self._rules.max_input_bytes
        )
        observed.parsed(wanted, body.size)
        return await self._answer(request, observed, form)

    async def _models(self, request: web.Request, observed: Observed) -> web.StreamResponse:
        observed.parsed(Request("models"), 0)
        return await self._answer(request, observed, openai.Answers("", self._created).form)

    async def _health(self, _request: web.Request) -> web.StreamResponse:
        return _json(b'{"alive":true}')

    async def _readiness(self, _request: web.Request) -> web.StreamResponse:
        reason = self._not_ready()
        body = orjson.dumps({"ready": reason is None, "reason": reason})
        return _json(body, status=200 if reason is None else 503)

    async def _metrics_page(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        page, content_type = self._metrics.page(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=page, headers={hdrs.CONTENT_TYPE: content_type})

    def _authorize(self, request: web.Request) -> None:
        if self._rules.keys is not None:
            self._rules.keys.check(request.headers.get(hdrs.AUTHORIZATION))
        elif not is_loopback(name_in(request.host)):
            # A browser that was led here under the name of another site sends that name.
            raise AuthenticationError(
                "without API keys the worker answers under localhost or a loopback address only",
                hint="start it with --api-key-file",
            )
        self.admit(request.protocol)

    def _terms(self, request: web.Request) -> openai.Terms:
        given = request.headers.get(TIMEOUT)
        deadline_ms = self._rules.deadline_ms
        if given is not None:
            if not given.isascii() or not given.isdigit() or len(given) > 9:
                raise InvalidRequest(f"{TIMEOUT} must be a whole number of milliseconds")
            deadline_ms = int(given)
        priorities: dict[str, Priority] = {"interactive": "interactive", "bulk": "bulk"}
        priority = priorities.get(request.headers.get(PRIORITY, "interactive"))
        if priority is None:
            raise InvalidRequest(f"{PRIORITY} must be interactive or bulk")
        return openai.Terms(deadline_ms, priority)

    async def _body(self, request: web.Request, terms: openai.Terms, array: str) -> Body:
        """The body, read once it is known to be wanted."""
        if request.content_type != _JSON:
            # Other types reach us from any web page that a browser shows, without being asked.
            raise InvalidRequest(f"the body must be {_JSON}, and the header Content-Type say so")
        if hdrs.CONTENT_ENCODING in request.headers:
            raise InvalidRequest("a compressed body is not read: send it as it is")
        if self._admission.closed:
            raise ShuttingDown("the worker is stopping")
        limit = self._rules.max_request_bytes
        announced = limit if request.content_length is None else request.content_length
        if announced > limit:
            raise self._too_large(f"{announced}")
        with self._arriving.admitted(announced):
            await _ask_for_body(request)
            try:
                async with asyncio.timeout(terms.deadline_ms / 1000):
                    body = Body(array, max_input_bytes=self._rules.max_input_bytes)
                    async for piece in request.content.iter_any():
                        body.feed(piece)
                        if body.size > limit:
                            raise self._too_large(f"more than {limit}")
                        await asyncio.sleep(0)
            except TimeoutError as exc:
                raise DeadlineExceeded(
                    f"the body did not arrive within the deadline of {terms.deadline_ms} ms"
                ) from exc
        return body

    def _too_large(self, size: str) -> RequestTooLarge:
        return RequestTooLarge(
            f"the request has {size} bytes, the worker takes {self._rules.max_request_bytes}",
            hint="send fewer or shorter texts, or raise the worker's max_request_bytes",
        )

    async def _answer(
        self, request: web.Request, observed: Observed, form: Form
    ) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_type = _JSON
        task = asyncio.current_task()
        assert task is not None

        async def send(pieces: Iterator[bytes]) -> None:
            self._computing.discard(task)
            await _send(request, response, pieces)

        assert observed.request is not None
        self._computing.add(task)
        try:
            await self._service.answer(observed.request, observed.size, send, form=form)
        except asyncio.CancelledError:
            if task not in self._interrupted:
                raise
            task.uncancel()
            raise self._interrupted.pop(task) from None
        finally:
            self._computing.discard(task)
        return response


_ID = web.RequestKey("id", str)


@web.middleware
async def _answer_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns whatever a handler raises into OpenAI's envelope."""
    try:
        return await handler(request)
    except RowvecError as exc:
        response = _json(
            http_error.envelope(exc),
            status=http_error.kind_of(exc).status,
            headers=http_error.headers_of(exc),
        )
        if isinstance(exc, ShuttingDown):
            response.force_close()
    except web.HTTPException as exc:
        words = f"there is no {request.method} {request.path[:100]}"
        allowed = exc.headers.get(hdrs.ALLOW)
        response = _json(
            http_error.envelope_of(exc.status, words),
            status=exc.status,
            headers={} if allowed is None else {hdrs.ALLOW: allowed},
        )
    except ConnectionError:
        raise
    except Exception:  # around one request: it alone fails
        logger.exception("a request failed")
        response = _json(http_error.envelope(RowvecError("the worker failed")), status=500)
        response.force_close()
    return response


async def _complete_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers[hdrs.SERVER] = "rowvec"
    if _ID in request:
        response.headers[REQUEST_ID] = request[_ID]


def _anybody(_client: asyncio.BaseProtocol) -> None:
    """Where nobody counts connections."""


async def _later(_request: web.Request) -> None:
    """A client that asks before it sends its body is answered when the body is wanted."""


async def _ask_for_body(request: web.Request) -> None:
    expected = request.headers.get(hdrs.EXPECT, "").lower()
    if expected == "100-continue" and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


async def _send(
    request: web.Request, response: web.StreamResponse, pieces: Iterator[bytes]
) -> None:
    first, second = next(pieces), next(pieces, None)
    if second is None:
        response.content_length = len(first)
    await response.prepare(request)
    await response.write(first)
    if second is not None:
        await response.write(second)
    for piece in pieces:
        await response.write(piece)
    await response.write_eof()


def _json(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, content_type=_JSON, headers=headers)
