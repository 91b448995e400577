"""What the worker answers, read from its rows."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import orjson
from pgvector import SparseVector

from rowvec.client.line import Rows


@dataclass(frozen=True)
class Embeddings:
    """Vectors in the order of the inputs.

    The row of a NULL input is zeros, and its place in `nulls` True. `tokens` are counted before
    truncation, with the prompt; 0 for NULL, and for images.
    """

    vectors: npt.NDArray[np.float32]
    nulls: npt.NDArray[np.bool_]
    tokens: npt.NDArray[np.int64]


@dataclass(frozen=True)
class TextChunk:
    """A piece of an input: `input[start:end]` is `text`; its tokens are as the model reads it."""

    text: str
    start: int
    end: int
    tokens: int


@dataclass(frozen=True)
class Ranked:
    """The place of a document in the list that was asked for, from 0, and its score."""

    position: int
    score: float


class ServedModel(TypedDict):
    """What the worker says of one model of its list, as `rowvec.models()` shows it."""

    name: str
    aliases: list[str]
    kind: str
    dimensions: int
    max_tokens: int
    query_prompt: str | None
    document_prompt: str | None
    revision: str | None
    loaded: bool
    requests: int
    texts: int
    tokens: int
    memory_bytes: int
    last_use: str | None
    backend: str | None
    backend_reason: str | None
    device: str | None
    roles: list[str] | None


def embeddings(rows: Rows) -> Embeddings:
    """Of rows of a vector in base64 and a number of tokens."""
    nulls = np.array([row[0] is None for row in rows], dtype=np.bool_)
    tokens = np.array([int(row[1] or 0) for row in rows], dtype=np.int64)
    decoded = [None if row[0] is None else base64.b64decode(row[0]) for row in rows]
    width = next((len(d) // 4 for d in decoded if d is not None), 0)
    blob = b"".join(bytes(4 * width) if d is None else d for d in decoded)
    vectors = np.frombuffer(blob, "<f4").reshape(len(rows), width).astype(np.float32)
    return Embeddings(vectors, nulls, tokens)


def sparse_vectors(rows: Rows) -> list[SparseVector | None]:
    """Of rows of pgvector's text form."""
    return [None if row[0] is None else SparseVector.from_text(row[0].decode()) for row in rows]


def token_counts(rows: Rows) -> list[int | None]:
    """Of rows of one number."""
    return [None if row[0] is None else int(row[0]) for row in rows]


def chunks(rows: Rows, inputs: int) -> list[list[TextChunk]]:
    """Of rows of one JSON object a chunk, put where their input stands."""
    found: list[list[TextChunk]] = [[] for _ in range(inputs)]
    for each in objects(rows):
        found[each["input"] - 1].append(
            TextChunk(each["chunk"], each["start_char"], each["end_char"], each["tokens"])
        )
    return found


def ranked(rows: Rows) -> list[Ranked]:
    """Of rows of one JSON object a document."""
    return [Ranked(each["ordinality"] - 1, each["score"]) for each in objects(rows)]


def objects(rows: Rows) -> Sequence[Any]:
    """Of rows of one JSON object."""
    return [orjson.loads(row[0] or b"{}") for row in rows]
