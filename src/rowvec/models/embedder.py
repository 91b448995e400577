"""What the engine asks of a model, whatever it is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from rowvec.errors import NotSupported
from rowvec.models.backends.variant import Backend

if TYPE_CHECKING:
    from PIL.Image import Image

    from rowvec.models.compiled.export import Exportable

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tokenized:
    """A text as the model reads it.

    `count` is its tokens before truncation, prompt and special tokens included, `length` those
    that the model reads; `features` is the embedder's own.
    """

    count: int
    length: int
    features: Any


Rows_co = TypeVar("Rows_co", covariant=True)


class Model(ABC, Generic[Rows_co]):
    """A loaded model. Besides the abstract methods, these are the defaults of a simple model.

    A model that can more says so in its own attributes and overrides the method that does it.
    `tokenize` may run beside `forward`, in another thread.
    """

    dimensions: int
    """Length of a vector."""

    max_tokens: int
    """Tokens of a text that are read; what lies beyond is cut off."""

    device: str = "cpu"
    """Where it computes."""

    memory_bytes: int | None = None
    """Bytes that the weights take, where it knows."""

    backend: Backend | None = None
    """What computes it, where there was a choice."""

    reason: str | None = None
    """Why that backend."""

    cosine: float | None = None
    """Of the backend's worst sample to what the library itself computes."""

    pads: bool = True
    """Whether the shorter texts of a batch cost as much as the longest."""

    any_thread: bool = False
    """Whether it costs nothing to call `forward` now from one thread, now from another."""

    streams: int = 1
    """How many threads may call `forward_in_stream` at once; 1 where none does."""

    launches: bool = False
    """Whether `launch` returns before the batch is computed, as it does on a GPU."""

    @abstractmethod
    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Every text with the prompt before it, cut to `max_tokens`.

        A string is always text, never a path or a URL to open.
        """

    @abstractmethod
    def forward(self, batch: Sequence[Tokenized]) -> Rows_co:
        """One vector a text. Raises an InvalidRequest for the batch if it refuses one of them."""

    def exportable(self) -> Exportable:
        """The model as a graph may compute it, without what is loaded here."""
        raise NotSupported("it is of a kind that only torch computes")

    def offsets(self, _text: str) -> Sequence[tuple[int, int]]:
        """Where each token lies in the text, in characters, special tokens left out."""
        raise NotSupported("this kind of model has no tokenizer to cut texts by")

    def prepare(self, _images: Sequence[Image]) -> list[Tokenized]:
        """Every image as the model reads it."""
        raise NotSupported("this kind of model reads no images")

    def launch(self, batch: Sequence[Tokenized]) -> Callable[[], Rows_co]:
        """Begins a batch; the call that it gives waits for the vectors, in any thread."""
        rows = self.forward(batch)
        return lambda: rows

    def forward_in_stream(self, batch: Sequence[Tokenized]) -> Rows_co:
        """As `forward`, which takes all processors, but on one, and from `streams` threads."""
        return self.forward(batch)


class Embedder(Model[Matrix]):
    """A model that gives dense vectors, one a row; a score is a vector of one number."""
