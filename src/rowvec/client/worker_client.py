"""The client: one method an operation of the worker."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack

import orjson
from pgvector import SparseVector
from psycopg import pq

from rowvec.client import answers
from rowvec.client.answers import Embeddings, Ranked, ServedModel, TextChunk
from rowvec.client.line import Rows, exchange, opened

Priority = Literal["bulk", "interactive"]
Kwargs = Mapping[str, object]


class Urgency(TypedDict, total=False):
    """How urgent a request is: `bulk` unless said, and by when it has to be answered."""

    priority: Priority
    deadline_ms: int | None


_BULK: Urgency = {"priority": "bulk"}


class WorkerClient:
    """One connection to a worker, one request at a time on it; for several in flight, several.

    Errors are those of `rowvec.errors` that the worker's SQLSTATE stands for; an input that fails
    fails the call, and is named by its number, from 1. A lost line raises WorkerUnreachable once,
    and the next call connects anew. A call that is cancelled drops the connection, so that the
    worker drops the work.
    """

    def __init__(self, conninfo: str, *, timeout_seconds: float = 10) -> None:
        self._conninfo = conninfo
        self._timeout_seconds = timeout_seconds
        self._connection: pq.abc.PGconn | None = None
        self._turn = asyncio.Lock()

    @classmethod
    async def connect(cls, conninfo: str, *, timeout_seconds: float = 10) -> Self:
        """A connected client; raises WorkerUnreachable, AuthenticationError."""
        client = cls(conninfo, timeout_seconds=timeout_seconds)
        client._connection = await opened(conninfo, timeout_seconds)  # its own
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def embed(
        self,
        model: str,
        inputs: Sequence[str | None],
        kwargs: Kwargs | None = None,
        **urgency: Unpack[Urgency],
    ) -> Embeddings:
        """The vectors of texts."""
        return answers.embeddings(
            await self._ask(
                "embed", model, inputs, kwargs, encoding_format="base64", **_BULK | urgency
            )
        )

    async def embed_images(
        self,
        model: str,
        images: Sequence[bytes | None],
        kwargs: Kwargs | None = None,
        **urgency: Unpack[Urgency],
    ) -> Embeddings:
        """The vectors of images: the bytes of JPEG, PNG, WebP or GIF files."""
        inputs = [None if image is None else base64.b64encode(image).decode() for image in images]
        return answers.embeddings(
            await self._ask(
                "embed_image", model, inputs, kwargs, encoding_format="base64", **_BULK | urgency
            )
        )

    async def embed_sparse(
        self,
        model: str,
        inputs: Sequence[str | None],
        kwargs: Kwargs | None = None,
        **urgency: Unpack[Urgency],
    ) -> list[SparseVector | None]:
        """The sparse vectors of texts, as psycopg hands them to Postgres."""
        return answers.sparse_vectors(
            await self._ask("embed_sparse", model, inputs, kwargs, **_BULK | urgency)
        )

    async def chunk(
        self,
        model: str,
        inputs: Sequence[str | None],
        kwargs: Kwargs | None = None,
        **urgency: Unpack[Urgency],
    ) -> list[list[TextChunk]]:
        """The chunks of each text, in order; none of NULL, none of a blank text."""
        rows = await self._ask("chunk", model, inputs, kwargs, **_BULK | urgency)
        return answers.chunks(rows, len(inputs))

    async def rerank(
        self,
        model: str,
        query: str,
        documents: Sequence[str | None],
        kwargs: Kwargs | None = None,
        **urgency: Unpack[Urgency],
    ) -> list[Ranked]:
        """The documents by their score, the best first; those that are NULL are left out."""
        return answers.ranked(
            await self._ask("rerank", model, documents, kwargs, query=query, **_BULK | urgency)
        )

    async def count_tokens(
        self,
        model: str,
        inputs: Sequence[str | None],
        kwargs: Kwargs | None = None,
        *,
        deadline_ms: int | None = None,
    ) -> list[int | None]:
        """Tokens of each input as the model would read it, before truncation."""
        return answers.token_counts(
            await self._ask("count_tokens", model, inputs, kwargs, deadline_ms=deadline_ms)
        )

    async def models(self) -> list[ServedModel]:
        """What the worker serves."""
        return list(answers.objects(await self._ask("models")))

    async def ping(self) -> None:
        """Returns when the worker answered."""
        await self._ask("ping")

    async def close(self) -> None:
        """Ends the connection; closing twice is closing once."""
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.finish()
            self._connection = None

    async def _ask(
        self,
        op: str,
        model: str | None = None,
        inputs: Sequence[str | None] | None = None,
        kwargs: Kwargs | None = None,
        **fields: Any,
    ) -> Rows:
        named = {"model": model, "inputs": inputs, "kwargs": kwargs, **fields}
        request = {"v": 1, "op": op, **{k: v for k, v in named.items() if v is not None}}
        async with self._turn:
            if self._connection is None:
                self._connection = await opened(self._conninfo, self._timeout_seconds)
            try:
                return await exchange(self._connection, _encoded(request))
            finally:
                # A connection on which something is left to read is not worth saving.
                if self._connection.transaction_status != pq.TransactionStatus.IDLE:
                    self._drop()


def _encoded(request: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(request, default=list)
    except orjson.JSONEncodeError:
        # A lone surrogate: the worker says so better than an encoder's message would.
        return json.dumps(request, default=list).encode()
