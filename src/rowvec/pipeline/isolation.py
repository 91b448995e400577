"""Embeds a batch so that a text which the model refuses costs nobody else anything."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowvec.errors import (
    BackendFailed,
    DeadlineExceeded,
    DimensionMismatch,
    InvalidRequest,
    NotAllowed,
    NotSupported,
    RowvecError,
)
from rowvec.pipeline.embedder import Embedded, Embedder
from rowvec.pipeline.patience import Patience

# Sent when a batch has killed the engine, to learn whether the engine or the batch is at fault; a
# model of images gets a black pixel.
PROBES = {
    "text": "rowvec",
    "image": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mNgYGAAAAAE"
    "AAHI6uv5AAAAAElFTkSuQmCC",
}


@dataclass(frozen=True)
class Vector:
    """What the model made of one text."""

    values: NDArray[np.float32]
    is_truncated: bool


class _Refused(Exception):
    """The model is well, and these texts will not do."""

    def __init__(self, error: RowvecError) -> None:
        super().__init__(error)
        self.error = error


class Isolation:
    """Embeds with patience, and halves a refused batch until the refused text stands alone."""

    def __init__(
        self, embedder: Embedder, dimensions: int, patience: Patience, modality: str = "text"
    ) -> None:
        self._embedder = embedder
        self._dimensions = dimensions
        self._patience = patience
        self._probe = PROBES[modality]

    async def embed(self, texts: Sequence[str]) -> list[Vector | RowvecError]:
        """A vector or the reason for none, in the order of the texts.

        Raises what is no text's fault: the model is not listed, has other dimensions than the
        column, or stayed away longer than patience lasts.
        """
        try:
            embedded = await self._embed(texts)
        except _Refused as refused:
            if len(texts) == 1:
                return [refused.error]
            middle = len(texts) // 2
            return [*await self.embed(texts[:middle]), *await self.embed(texts[middle:])]
        limit = self._embedder.max_tokens or sys.maxsize
        pairs = zip(embedded.vectors, embedded.tokens, strict=True)
        return [Vector(values, int(tokens) > limit) for values, tokens in pairs]

    async def check(self) -> None:
        """Raises unless the model answers with the column's dimensions and takes its arguments."""
        try:
            await self._embed([self._probe])
        except _Refused as refused:
            raise refused.error from None

    async def _embed(self, texts: Sequence[str]) -> Embedded:
        """One answer; waits while the worker is away, raises _Refused where the texts are bad."""
        while True:
            try:
                embedded = await self._embedder.embed(texts)
            except (BackendFailed, DeadlineExceeded) as exc:
                if list(texts) != [self._probe] and await self._is_well():
                    raise _Refused(exc) from exc
                await self._patience.wait(exc)
            except (NotAllowed, NotSupported):
                raise
            except InvalidRequest as exc:
                raise _Refused(exc) from exc
            except RowvecError as exc:
                if not exc.retryable:
                    raise
                await self._patience.wait(exc)
            else:
                self._patience.succeeded()
                self._check_dimensions(embedded)
                return embedded

    async def _is_well(self) -> bool:
        try:
            await self._embedder.embed([self._probe])
        except RowvecError as exc:
            if exc.retryable:
                return False
            raise
        return True

    def _check_dimensions(self, embedded: Embedded) -> None:
        found = embedded.vectors.shape[1]
        if found != self._dimensions:
            raise DimensionMismatch(
                f"the model answers with {found} dimensions, the column has {self._dimensions}",
                hint="create an embedding column of its own for this model",
            )
