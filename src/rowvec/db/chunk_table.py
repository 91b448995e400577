"""The table of an embedding's chunks: a row's old ones are served until its new ones are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol

import numpy as np
from numpy import float32
from numpy.typing import NDArray
from psycopg import sql

from rowvec.db.compose import comma
from rowvec.db.session import Session
from rowvec.db.source import Row, Source, key_arrays
from rowvec.db.vector_array import HashArray, IntArray, TextArray, VectorArray

# Chunks that one statement writes: what a long document has is not in memory twice.
_CHUNKS_AT_ONCE = 256


class StoredChunk(Protocol):
    """A piece of an input: its place in it, in characters, and its tokens."""

    @property
    def text(self) -> str:
        """The piece itself."""

    @property
    def start(self) -> int:
        """Where it begins."""

    @property
    def end(self) -> int:
        """Where it ends, exclusively."""

    @property
    def tokens(self) -> int:
        """As the model reads it."""


# A row, the chunks of its input, and their vectors, one each.
Made = tuple[Row, Sequence[StoredChunk], NDArray[float32]]


class ChunkTable:
    """Writes the chunks of one definition, and the source's hash of what they were made from."""

    def __init__(self, source: Source) -> None:
        columns = [sql.SQL("%s") for _ in source.definition.key]
        self._key_columns = len(columns)
        self._dimensions = source.definition.dimensions
        self._settle = source.function("settle", comma([*columns, sql.SQL("%s")]))
        self._add = source.function("add", comma([*columns, *[sql.SQL("%s")] * 6]))

    async def replace(self, session: Session, made: Sequence[Made]) -> int:
        """Puts new chunks in the place of old ones where the input is still the one that was read.

        Belongs into a transaction that guard_transaction began; gives how many rows it was.
        """
        if not made:
            return 0
        hashes = HashArray([row.input_hash or 0 for row, *_ in made])
        keys = key_arrays([row for row, *_ in made])
        settled = await session.as_owner(self._settle, (*keys, hashes))
        chosen = [made[place - 1] for place in sorted(place for (place,) in settled)]
        chunks = _each(chosen)
        while some := [*islice(chunks, _CHUNKS_AT_ONCE)]:
            await session.as_owner(
                self._add,
                (
                    *key_arrays([row for row, *_ in some]),
                    IntArray([number for _, number, *_ in some]),
                    TextArray([chunk.text for _, _, chunk, _ in some]),
                    IntArray([chunk.start for _, _, chunk, _ in some]),
                    IntArray([chunk.end for _, _, chunk, _ in some]),
                    IntArray([chunk.tokens for _, _, chunk, _ in some]),
                    VectorArray(np.stack([vector for *_, vector in some])),
                ),
            )
        return len(chosen)

    async def replace_nothing(self, session: Session) -> None:
        """Writes no row and no chunk, as `replace` writes them."""
        keys = [TextArray([]) for _ in range(self._key_columns)]
        nothing = VectorArray(np.empty((0, self._dimensions), float32))
        numbers = IntArray([])
        await session.as_owner(self._settle, (*keys, HashArray([])))
        await session.as_owner(
            self._add, (*keys, numbers, TextArray([]), numbers, numbers, numbers, nothing)
        )

    async def clear(self, session: Session, rows: Sequence[Row]) -> int:
        """Removes the chunks of rows with an input that became NULL; gives their number."""
        if not rows:
            return 0
        hashes = [None for _ in rows]
        return len(await session.as_owner(self._settle, (*key_arrays(rows), hashes)))


def _each(made: Sequence[Made]) -> Iterator[tuple[Row, int, StoredChunk, NDArray[float32]]]:
    """Every chunk with its row, its number in it and its vector."""
    for row, chunks, vectors in made:
        for number, (chunk, vector) in enumerate(zip(chunks, vectors, strict=True), 1):
            yield row, number, chunk, vector
