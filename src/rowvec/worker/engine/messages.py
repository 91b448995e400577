"""What listener and engine tell each other; `frames` says how it travels.

Fields hold what JSON can say, and dataclasses of such. JSON has one kind of sequence, so a tuple
arrives as a list unless `from_json` mends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from rowvec.chunking.cutting import Chunking
from rowvec.models.backends.variant import Backend, Variant
from rowvec.models.encoding import Encoding
from rowvec.models.spec import ModelSpec

Operation = Literal["embed", "embed_image", "count_tokens", "chunk"]


class Message:
    """One thing that one process tells the other."""

    __slots__ = ()

    @classmethod
    def from_json(cls, fields: dict[str, object]) -> Self:
        """The message whose fields were read from JSON."""
        return cls(**fields)


# To the engine.


@dataclass(slots=True)
class Configure(Message):
    """The first message: how the engine is to work."""

    salt: str
    models: Sequence[ModelSpec]
    max_batch_tokens: int
    max_batch_seconds: float
    max_image_bytes: int
    max_image_pixels: int
    threads: int
    device: str
    memory_budget: int | None
    compiled: Path
    measured: Mapping[str, Backend]

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The message whose fields were read from JSON."""
        models = [ModelSpec.from_json(spec) for spec in fields["models"]]
        return cls(**{**fields, "models": models, "compiled": Path(fields["compiled"])})


@dataclass(slots=True, kw_only=True)
class EngineRequest(Message):
    """Something to answer under a number, which the engine's client gives."""

    number: int = 0
    inputs: Sequence[str] = ()


@dataclass(slots=True, kw_only=True)
class ModelRequest(EngineRequest):
    """Work for a model. The inputs at the places `alone` are suspected, and come one by one."""

    op: Operation
    model: str
    encoding: Encoding
    interactive: bool
    alone: Sequence[int] = ()
    chunking: Chunking | None = None

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The message whose fields were read from JSON."""
        encoding, chunking = fields["encoding"], fields["chunking"]
        encoding["variant"] = Variant(**encoding["variant"])
        fields["encoding"] = Encoding(**encoding)
        if chunking is not None:
            fields["chunking"] = Chunking(**chunking)
        return cls(**fields)


@dataclass(slots=True, kw_only=True)
class SplitRequest(EngineRequest):
    """Work for one of PostgresML's splitters."""

    splitter: str
    kwargs: Mapping[str, object]


@dataclass(slots=True, kw_only=True)
class ProbeRequest(EngineRequest):
    """Answered when the engine's threads got to it."""


@dataclass(slots=True)
class MoreInputs(Message):
    """The next inputs of a request of so many that they come before it, in several frames."""

    number: int
    inputs: Sequence[str]


@dataclass(slots=True)
class Cancel(Message):
    """Nobody waits for the answer any more."""

    number: int


# From the engine.


@dataclass(slots=True)
class Reply(Message):
    """Something about the request of a number."""

    number: int


@dataclass(slots=True)
class Answer(Reply):
    """What the request asked for; a `ProbeRequest` has this alone."""


@dataclass(slots=True)
class VectorAnswer(Answer):
    """Tokens before truncation, and bytes of each vector; they come beside the message."""

    tokens: list[int]
    sizes: list[int]


@dataclass(slots=True)
class TokenAnswer(Answer):
    """Tokens of each input before truncation."""

    tokens: list[int]


@dataclass(slots=True)
class SpanAnswer(Answer):
    """Bytes that tell where the chunks of each input lie; they come beside the message."""

    sizes: list[int]


@dataclass(slots=True)
class PieceAnswer(Answer):
    """What a splitter made of each input."""

    pieces: list[list[str]]


@dataclass(slots=True)
class Part(Reply):
    """The first rows of an answer, beside the message: no frame is large."""


@dataclass(slots=True)
class Failed(Reply):
    """The error that a request ended with, and which of its inputs it is about, from 1."""

    sqlstate: str
    message: str
    hint: str | None
    input_number: int | None


@dataclass(slots=True)
class Hello(Message):
    """The engine is there."""


@dataclass(slots=True)
class Loading(Message):
    """A model is being loaded."""

    model: str


@dataclass(slots=True)
class NotLoaded(Message):
    """The load of a model ended without one."""

    model: str


@dataclass(slots=True)
class Loaded(Message):
    """A model is in memory; `backend` computes it for that `reason`, where there was a choice."""

    model: str
    variant: Variant
    dimensions: int
    max_tokens: int
    memory: int
    device: str | None
    backend: Backend | None
    reason: str | None

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The message whose fields were read from JSON."""
        return cls(**{**fields, "variant": Variant(**fields["variant"])})


@dataclass(slots=True)
class Dropped(Message):
    """A model left the memory."""

    model: str
    variant: Variant

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The message whose fields were read from JSON."""
        return cls(fields["model"], Variant(**fields["variant"]))


@dataclass(slots=True)
class Computed(Message):
    """A batch was computed: texts, tokens, tokens that only filled it up, vectors of zeros."""

    model: str
    texts: int
    tokens: int
    padding: int
    seconds: float
    zeros: int
