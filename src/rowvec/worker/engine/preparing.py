"""What comes before computing: texts to tokens, images to pixels, texts to chunks.

One thread does it, a moment at a time, so that nobody waits for another's many texts, and a cancel
takes effect between two moments. A tokenizer cannot be interrupted: a text that takes it longer has
a thread of its own, where it holds up only others of its kind.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import islice
from typing import Any, Literal, TypeVar

import numpy as np

from rowvec.batching import ItemFailed
from rowvec.chunking.cutting import Chunking, ModelTokenizer, cut
from rowvec.chunking.splitters import split
from rowvec.errors import InvalidRequest, RowvecError
from rowvec.models import embedder
from rowvec.models.embedder import Tokenized
from rowvec.worker.engine.black_box import BlackBox, Place, fingerprint
from rowvec.worker.engine.result_rows import Row

# Fewer characters are tokenised in less time than it takes to hand them to another thread.
_INLINE_CHARACTERS = 2000

# What is tokenised within a tenth of a second or so.
_PIECE_CHARACTERS = 100_000

_CHUNKS_A_TURN = 32

Model = embedder.Model[Iterable[Row]]

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
        self._threads: dict[Place, ThreadPoolExecutor] = {
            "thread": ThreadPoolExecutor(1, "tokenize"),
            "long": ThreadPoolExecutor(1, "tokenize-long"),
        }
        # A library's splitter cannot be interrupted, either.
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
            with self._box.noted("inline", self._marks(name, texts, prompt)):
                return model.tokenize(texts, prompt)
        tokenized: list[Tokenized] = []
        for piece in _pieces(texts, set(alone), len(prompt)):
            place = _place(piece, prompt)
            marks = partial(self._marks, name, piece, prompt)
            tokenized += await self._noting(place, marks, model.tokenize, piece, prompt)
        return tokenized

    async def images(self, name: str, model: Model, contents: Sequence[str]) -> list[Tokenized]:
        """Every image, given in base64, as the model reads it; one is decoded at a time."""
        prepared: list[Tokenized] = []
        for position, content in enumerate(contents):
            try:
                marks = partial(self._marks, name, [content], "")
                prepared += await self._noting("thread", marks, self._image, model, content)
            except RowvecError as exc:
                raise ItemFailed(position) from exc
        return prepared

    async def chunks(
        self, name: str, model: Model, texts: Sequence[str], prompt: str, chunking: Chunking
    ) -> list[bytes]:
        """The chunks of every text, by the model's own tokenizer.

        Three numbers of four little-endian bytes a chunk: where it starts and ends, its tokens.
        """
        found: list[bytes] = []
        for position, text in enumerate(texts):
            try:
                place = _place([text], prompt)
                left = _chunks_of(model, text, prompt, chunking)
                marks = cache(partial(self._marks, name, [text], prompt))
                spans = bytearray()
                while some := await self._noting(place, marks, _take, left):
                    spans += np.array(some, "<i4").tobytes()
            except RowvecError as exc:
                raise ItemFailed(position) from exc
            found.append(bytes(spans))
        return found

    async def split(
        self, splitter: str, texts: Sequence[str], kwargs: Mapping[str, object]
    ) -> list[list[str]]:
        """What one of PostgresML's splitters makes of every text."""
        loop = asyncio.get_running_loop()
        return [
            await loop.run_in_executor(self._split_thread, split, splitter, text, kwargs)
            for text in texts
        ]

    async def probe(self) -> None:
        """Returns when every thread gets to it."""
        loop = asyncio.get_running_loop()
        for thread in self._threads.values():
            await loop.run_in_executor(thread, _nothing)

    async def _noting(
        self,
        place: Literal["thread", "long"],
        marks: Callable[[], list[bytes]],
        function: Callable[..., R],
        *arguments: Any,
    ) -> R:
        """Runs the function in a thread, and lets it be known meanwhile what it is about."""

        def run() -> R:
            with self._box.noted(place, marks()):
                return function(*arguments)

        return await asyncio.get_running_loop().run_in_executor(self._threads[place], run)

    def _marks(self, name: str, texts: Sequence[str], prompt: str) -> list[bytes]:
        return [fingerprint(self._salt, name, prompt, text) for text in texts]

    def _image(self, model: Model, content: str) -> list[Tokenized]:
        from rowvec.models.images import read_image  # noqa: PLC0415  # Pillow is of an extra

        image = read_image(
            _decoded(content),
            max_bytes=self._max_image_bytes,
            max_pixels=self._max_image_pixels,
        )
        return list(model.prepare([image]))


def _place(texts: Sequence[str], prompt: str) -> Literal["thread", "long"]:
    """Where they are tokenised: of texts that are too long for a piece there is one alone."""
    size = sum(len(prompt) + len(text) for text in texts)
    return "long" if size > _PIECE_CHARACTERS else "thread"


def _nothing() -> None:
    """What a probe runs."""


def _pieces(texts: Sequence[str], alone: Collection[int], prompt: int) -> Iterator[list[str]]:
    """The texts in order, in pieces that are tokenised within a moment, or one text alone.

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


def _take(chunks: Iterator[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
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
