"""The embedder that asks a worker, over the worker's protocol and at bulk priority."""

from __future__ import annotations

import asyncio
import base64
import itertools
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from rowvec.client import Embeddings, TextChunk, WorkerClient
from rowvec.client.replicas import in_turn
from rowvec.filling.async_embedder import EmbeddedTexts

# A batch waits behind those of every other job at the worker; its line breaks when the worker dies.
_DEADLINE_MS = 600_000

# Calls of a job under way, a connection each: eight jobs leave room for others at a worker.
CALLS_AT_ONCE = 24


class WorkerEmbedder:
    """Embeds through a worker, each call in flight on a connection of its own.

    `places` bounds the calls of several embedders together.
    Of several replicas its connections take one after the other, from any of them on. To a model
    of images, inputs are files of images in base64.
    """

    def __init__(
        self,
        conninfo: str,
        model: str,
        kwargs: Mapping[str, object],
        modality: str = "text",
        *,
        places: asyncio.Semaphore | None = None,
    ) -> None:
        self._conninfo = conninfo
        self._model = model
        self._kwargs = kwargs
        self._modality = modality
        self._idle: list[WorkerClient] = []
        self._places = asyncio.Semaphore(CALLS_AT_ONCE) if places is None else places
        self._max_tokens: int | None = None
        # Which replica is first is no secret.
        self._turns = itertools.count(random.randrange(1 << 16))  # noqa: S311

    @property
    def max_tokens(self) -> int | None:
        """As the worker's list says; known after `look_up`."""
        return self._max_tokens

    async def look_up(self) -> None:
        """Reads the model's limits from the worker's list."""
        async with self._client() as client:
            for listed in await client.models():
                if self._model in (listed["name"], *listed["aliases"]):
                    self._max_tokens = listed["max_tokens"]

    async def embed(self, texts: Sequence[str]) -> EmbeddedTexts:
        """Vectors in the order of the texts."""
        async with self._client() as client:
            answer = await self._ask(client, texts)
        return EmbeddedTexts(answer.vectors, answer.tokens)

    async def chunk(
        self, texts: Sequence[str], kwargs: Mapping[str, object]
    ) -> Sequence[Sequence[TextChunk]]:
        """The chunks of each text; `kwargs` are `max_tokens`, `overlap` and `border`."""
        async with self._client() as client:
            return await client.chunk(
                self._model, texts, {**self._kwargs, **kwargs}, deadline_ms=_DEADLINE_MS
            )

    async def _ask(self, client: WorkerClient, inputs: Sequence[str]) -> Embeddings:
        if self._modality != "text":
            images = [base64.b64decode(image) for image in inputs]
            return await client.embed_images(
                self._model, images, self._kwargs, priority="bulk", deadline_ms=_DEADLINE_MS
            )
        return await client.embed(
            self._model, inputs, self._kwargs, priority="bulk", deadline_ms=_DEADLINE_MS
        )

    async def move(self, conninfo: str) -> None:
        """Asks the worker at another address from now on, over new connections."""
        await self.close()
        self._conninfo = conninfo

    async def close(self) -> None:
        """Closes the idle connections; those in use end with their calls."""
        await asyncio.gather(*(client.close() for client in self._idle))
        self._idle.clear()

    async def _connected(self) -> WorkerClient:
        return await WorkerClient.connect(in_turn(self._conninfo, next(self._turns)))

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[WorkerClient]:
        async with self._places:
            client = self._idle.pop() if self._idle else await self._connected()
            try:
                yield client
            finally:
                self._idle.append(client)
