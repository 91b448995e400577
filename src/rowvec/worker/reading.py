"""What the engine's tokenising thread does beside tokenising: images, chunks, splitters.

Each takes a moment only, or is a generator that gives others their turn between two pieces.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from rowvec.errors import InvalidRequest, NotSupported
from rowvec.models.chunking import Chunking, Span, cut
from rowvec.models.embedder import Tokenized
from rowvec.models.images import read_image

Chunks = list[tuple[int, int, int]]


def read_image_text(model: Any, content: str, limits: Mapping[str, int]) -> Tokenized:
    """An image in base64, as the model reads it; raises NotSupported, InvalidRequest."""
    if not hasattr(model, "prepare"):
        raise NotSupported("this kind of model reads no images")
    (prepared,) = model.prepare([read_image(_decoded(content), **limits)])
    return cast("Tokenized", prepared)


def chunks_of(
    model: Any, text: str, prompt: str, chunking: Chunking
) -> Iterator[tuple[int, int, int]]:
    """Start, end and tokens of each chunk of a text, by the model's tokenizer.

    Raises NotSupported where the model has none.
    """
    if not hasattr(model, "offsets"):
        raise NotSupported("this kind of model has no tokenizer to cut texts by")
    found = cut(text, _ModelTokenizer(model, prompt), chunking)
    return ((chunk.start, chunk.end, chunk.tokens) for chunk in found)


class _ModelTokenizer:
    """The tokenizer that chunking sees: the model's, with the prompt that the chunks will bear."""

    def __init__(self, model: Any, prompt: str) -> None:
        self._model = model
        self._prompt = prompt

    def offsets(self, text: str) -> Sequence[Span]:
        spans: Sequence[Span] = self._model.offsets(text)
        return spans

    def count(self, text: str) -> int:
        (tokenized,) = self._model.tokenize([text], self._prompt)
        return int(tokenized.count)


def _decoded(content: str) -> bytes:
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidRequest("the image is not in base64") from exc
