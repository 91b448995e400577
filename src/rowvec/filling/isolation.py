"""Embeds a batch so that a text that the model refuses does not affect the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rowvec.errors import (
    BackendFailed,
    DeadlineExceeded,
    DimensionMismatch,
    InvalidRequest,
    NotAllowed,
    NotSupported,
    RowvecError,
)
from rowvec.filling.making import Maker
from rowvec.filling.outcome import Outcome
from rowvec.filling.patience import Patience

# Sent when a batch has killed the engine, to learn whether the engine or the batch is at fault; a
# model of images gets a black pixel.
PROBES = {
    "text": "rowvec",
    "image": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mNgYGAAAAAE"
    "AAHI6uv5AAAAAElFTkSuQmCC",
}
# Paths are images by the time they are sent.
PROBES["image_file"] = PROBES["image"]


# Texts of a request. What a worker computed of one that is refused is lost, so it is small: with
# 64, twenty refused texts in 5,000 took a fifth longer. The worker batches across requests.
_AT_ONCE = 32

# The worker names the text that it refuses, so that one costs a call, where halving costs sixteen.
# With many in a batch halving is cheaper, and finds them whatever was named.
_NAMES_FOLLOWED = 3


class _Refused(Exception):
    """The model is well, and these texts will not do."""

    def __init__(self, error: RowvecError) -> None:
        super().__init__(error)
        self.error = error


class Isolation:
    """Embeds with patience, and halves a refused batch until the refused text stands alone."""

    def __init__(
        self, maker: Maker, dimensions: int, patience: Patience, modality: str = "text"
    ) -> None:
        self._maker = maker
        self._dimensions = dimensions
        self._patience = patience
        self._probe = PROBES[modality]

    async def embed(self, texts: Sequence[str]) -> list[Outcome | RowvecError]:
        """What was made of it or the reason for none, in the order of the texts.

        Raises what is no text's fault: the model is not listed, has other dimensions than the
        column, or stayed away longer than patience lasts.
        """
        starts = range(0, len(texts), _AT_ONCE)
        tasks = [asyncio.create_task(self._sifted(texts[n : n + _AT_ONCE])) for n in starts]
        try:
            return [outcome for part in await asyncio.gather(*tasks) for outcome in part]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _sifted(
        self, texts: Sequence[str], follow: int = _NAMES_FOLLOWED
    ) -> list[Outcome | RowvecError]:
        """As `embed`, in one request while nothing is refused."""
        try:
            return [*await self._make(texts)]
        except _Refused as refused:
            if len(texts) == 1:
                return [refused.error]
            culprit = _named(refused.error, len(texts)) if follow else None
        if culprit is None:
            middle = len(texts) // 2
            return [*await self._sifted(texts[:middle], 0), *await self._sifted(texts[middle:], 0)]
        (alone,) = await self._sifted([texts[culprit]])
        others = await self._sifted([*texts[:culprit], *texts[culprit + 1 :]], follow - 1)
        return [*others[:culprit], alone, *others[culprit:]]

    async def check(self) -> None:
        """Raises unless the model answers with the column's dimensions and takes its arguments."""
        try:
            await self._make([self._probe])
        except _Refused as refused:
            raise refused.error from None

    async def _make(self, texts: Sequence[str]) -> list[Outcome]:
        """One answer; waits while the worker is away, raises _Refused where the texts are bad."""
        while True:
            try:
                made = await self._maker.make(texts)
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
                self._check_dimensions(made)
                return made

    async def _is_well(self) -> bool:
        try:
            await self._maker.make([self._probe])
        except RowvecError as exc:
            if exc.retryable:
                return False
            raise
        return True

    def _check_dimensions(self, made: Sequence[Outcome]) -> None:
        for found in {outcome.dimensions for outcome in made} - {None, self._dimensions}:
            raise DimensionMismatch(
                f"the model answers with {found} dimensions, the column has {self._dimensions}",
                hint="create an embedding column of its own for this model",
            )


def _named(error: RowvecError, count: int) -> int | None:
    """The place of the text that the error is about, if it names one of the batch."""
    number = error.input_number
    return number - 1 if number is not None and 1 <= number <= count else None
