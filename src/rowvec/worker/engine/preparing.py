"""What comes before computing: texts to tokens, images to pixels, texts to chunks.

One thread does it, a moment at a time, so that no request waits for another's long text, and a
cancel takes effect between two moments.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from rowvec.batching import ItemFailed
from rowvec.chunking.cutting import Chunking, ModelTokenizer, cut
from rowvec.chunking.splitters import split
from rowvec.errors import InvalidRequest, RowvecError
from rowvec.models import embedder
from rowvec.models.embedder import Tokenized
from rowvec.models.images import read_image
from rowvec.worker.engine.black_box import BlackBox, Place, fingerprint
from rowvec.worker.engine.result_rows import Row

# Fewer characters are tokenised in less time than it takes to hand them to another thread.
_INLINE_CHARACTERS = 2000

_PIECE_CHARACTERS = 1_000_000

_CHUNKS_A_TURN = 32

Model = embedder.Model[Iterable[Row]]

# Start, end and tokens of each.
Chunks = list[tuple[int, int, int]]

R = TypeVar("R")


class Preparing:
    """Reads inputs for models. Where one fails, ItemFailed says which."""

    def __init__(
        self, *, max_image_bytes: int, max_image_pixels: int, box: BlackBox, salt: bytes
    ) -> None:
        self._box = box
        self._salt = salt
        self._max_image_bytes = max_image_bytes
        self._max_image_pixels = max_image_pixels
        self._thread = ThreadPoolExecutor(1, "tokenize")
        # A library's splitter cannot be interrupted: it holds up only others of its kind.
        self._split_thread = ThreadPoolExecutor(1, "split")

    async def texts(
        self,
        name: str,
        model: Model,
        texts: Sequence[str],
        prompt: str,
        alone: Sequence[int] = (),
    ) -> list[Tokenized]:
        """Every text with the prompt before it, as tokens; those in `alone` one by one."""
        if not alone and sum(map(len, texts)) + len(prompt) * len(texts) <= _INLINE_CHARACTERS:
            return self._noting("inline", name, model.tokenize, texts, prompt)
        tokenized: list[Tokenized] = []
        for piece in _pieces(texts, set(alone), len(prompt)):
            tokenized += await self._in_thread(
                self._noting, "thread", name, model.tokenize, piece, prompt
            )
        return tokenized

    async def images(self, name: str, model: Model, contents: Sequence[str]) -> list[Tokenized]:
        """Every image, given in base64, as the model reads it; one is decoded at a time."""
        prepared: list[Tokenized] = []
        for position, content in enumerate(contents):
            try:
                prepared += await self._in_thread(
                    self._noting, "thread", name, partial(self._image, model), [content], ""
                )
            except RowvecError as exc:
                raise ItemFailed(position) from exc
        return prepared

    async def chunks(
        self, name: str, model: Model, texts: Sequence[str], prompt: str, chunking: Chunking
    ) -> list[Chunks]:
        """The chunks of every text, by the model's own tokenizer."""
        found: list[Chunks] = []
        for position, text in enumerate(texts):
            try:
                left = _chunks_of(model, text, prompt, chunking)
                take = partial(_take, left)
                chunks: Chunks = []
                while some := await self._in_thread(
                    self._noting, "thread", name, take, [text], prompt
                ):
                    chunks += some
            except RowvecError as exc:
                raise ItemFailed(position) from exc
            found.append(chunks)
        return found

    async def split(
        self, splitter: str, texts: Sequence[str], kwargs: Mapping[str, Any]
    ) -> list[list[str]]:
        """What one of PostgresML's splitters makes of every text."""
        loop = asyncio.get_running_loop()
        return [
            await loop.run_in_executor(self._split_thread, split, splitter, text, kwargs)
            for text in texts
        ]

    async def probe(self) -> None:
        """Returns when the thread gets to it."""
        await self._in_thread(_nothing)

    def _noting(
        self,
        place: Place,
        name: str,
        function: Callable[[Sequence[str], str], R],
        texts: Sequence[str],
        prompt: str,
    ) -> R:
        """Runs the function, and lets it be known meanwhile what it is about."""
        marks = [fingerprint(self._salt, name, prompt, text) for text in texts]
        with self._box.noted(place, marks):
            return function(texts, prompt)

    async def _in_thread(self, function: Callable[..., R], *arguments: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _image(self, model: Model, contents: Sequence[str], _prompt: str) -> list[Tokenized]:
        image = read_image(
            _decoded(contents[0]),
            max_bytes=self._max_image_bytes,
            max_pixels=self._max_image_pixels,
        )
        return list(model.prepare([image]))


def _nothing() -> None:
    """What a probe runs."""


def _pieces(texts: Sequence[str], alone: Collection[int], prompt: int) -> Iterator[list[str]]:
    """The texts in order, in pieces that are tokenised within a second or so.

    Before each of them the model reads a prompt of so many characters.
    """
    piece: list[str] = []
    size = 0
    for position, text in enumerate(texts):
        is_full = size + prompt + len(text) > _PIECE_CHARACTERS
        if piece and (is_full or position in alone or position - 1 in alone):
            yield piece
            piece, size = [], 0
        piece.append(text)
        size += prompt + len(text)
    yield piece


def _take(chunks: Iterator[tuple[int, int, int]], _texts: Sequence[str], _prompt: str) -> Chunks:
    return list(islice(chunks, _CHUNKS_A_TURN))


def _chunks_of(
    model: Model, text: str, prompt: str, chunking: Chunking
) -> Iterator[tuple[int, int, int]]:
    found = cut(text, ModelTokenizer(model, prompt), chunking)
    return ((chunk.start, chunk.end, chunk.tokens) for chunk in found)


def _decoded(content: str) -> bytes:
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidRequest("the image is not in base64") from exc
