"""Answers as the bytes of result sets: first a `ready` one, then the rows.

The first lets a client that polls wait for little: it is empty where the rows come without a pause,
and else has a row that says in how many milliseconds they are likely to come.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson

from rowvec.protocol import wire
from rowvec.protocol.request import Format

READY = wire.row_description("ready") + wire.command_complete("SELECT 0")

# Rows a piece: a few dozen vectors take a millisecond to write as text.
ROWS_A_PIECE = 32

Vectors = Sequence[npt.NDArray[np.float32] | None]


def ready(expected_seconds: float) -> bytes:
    """The first set, with the expected time until the rows; 0 for no pause."""
    if not expected_seconds:
        return READY
    row = wire.data_row([b"%d" % round(1000 * expected_seconds)])
    return wire.row_description("ready") + row + wire.command_complete("SELECT 1")


def vector_text(vector: npt.NDArray[np.float32]) -> bytes:
    """The vector as pgvector reads it, with the shortest digits that give the same float32."""
    return orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY)


def vector_base64(vector: npt.NDArray[np.float32]) -> bytes:
    """The vector's little-endian float32 bytes in base64."""
    return base64.b64encode(vector.astype("<f4", copy=False).tobytes())


def embeddings(
    vectors: Vectors, tokens: Sequence[int | None], encoding_format: Format
) -> Iterator[bytes]:
    """The answer to embed in pieces, one row an input."""
    if encoding_format == "text":
        rows = ([None if v is None else vector_text(v)] for v in vectors)
        return _pieces(("embedding",), rows, len(vectors))
    pairs = (
        [None, None] if v is None else [vector_base64(v), b"%d" % (t or 0)]
        for v, t in zip(vectors, tokens, strict=True)
    )
    return _pieces(("embedding", "tokens"), pairs, len(vectors))


def token_counts(tokens: Sequence[int | None]) -> Iterator[bytes]:
    """The answer to count_tokens, one row an input."""
    rows = ([None if t is None else b"%d" % t] for t in tokens)
    return _pieces(("tokens",), rows, len(tokens))


def sparse_vectors(texts: Sequence[str | None]) -> Iterator[bytes]:
    """The answer to embed_sparse: vectors as pgvector's sparsevec reads them, one row an input."""
    rows = ([None if t is None else t.encode("ascii")] for t in texts)
    return _pieces(("embedding",), rows, len(texts))


def scores(found: Sequence[Mapping[str, object]], _tokens: int) -> Iterator[bytes]:
    """The answer to rerank, one JSON object a document: its place from 1, its score."""
    return _objects("document", found)


def chunks(found: Sequence[Mapping[str, object]]) -> Iterator[bytes]:
    """The answer to chunk or split, one JSON object a chunk."""
    return _objects("chunk", found)


def models(listed: Sequence[Mapping[str, object]]) -> Iterator[bytes]:
    """The answer to models, one JSON object a row."""
    return _objects("model", listed)


def dataset_rows(found: Sequence[bytes]) -> Iterator[bytes]:
    """The answer to dataset, one JSON object in ASCII a row; the columns come first."""
    return _pieces(("row",), ([each] for each in found), len(found))


def pong() -> Iterator[bytes]:
    """The answer to ping."""
    return _pieces(("ping",), iter([[b"pong"]]), 1)


@dataclass(frozen=True)
class Form:
    """How the answers that clients of other protocols get, too, are written: here as rows."""

    embeddings: Callable[[Vectors, Sequence[int | None], Format], Iterator[bytes]] = embeddings
    scores: Callable[[Sequence[Mapping[str, object]], int], Iterator[bytes]] = scores
    models: Callable[[Sequence[Mapping[str, object]]], Iterator[bytes]] = models


ROWS = Form()


def _objects(column: str, objects: Sequence[Mapping[str, object]]) -> Iterator[bytes]:
    rows: Iterator[list[bytes | None]] = ([_ascii_json(each)] for each in objects)
    return _pieces((column,), rows, len(objects))


def _ascii_json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode()


def _pieces(
    columns: Sequence[str], rows: Iterator[Sequence[bytes | None]], count: int
) -> Iterator[bytes]:
    piece = [READY, wire.row_description(*columns)]
    for number, row in enumerate(rows, start=1):
        piece.append(wire.data_row(row))
        if number % ROWS_A_PIECE == 0 and number < count:
            yield b"".join(piece)
            piece = []
    piece += (wire.command_complete(f"SELECT {count}"), wire.READY_FOR_QUERY)
    yield b"".join(piece)
