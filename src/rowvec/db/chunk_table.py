"""The table of an embedding's chunks: a row's old ones are served until its new ones are there."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy import float32
from numpy.typing import NDArray
from psycopg import sql

from rowvec.db.compose import comma, expression, identifier
from rowvec.db.session import Session
from rowvec.db.source import Row, Source, key_arrays
from rowvec.db.vector_array import HashArray

# The text first: behind it all chunks are of one length, and laid out at once.
_COLUMNS = ("chunk", "ordinality", "start_char", "end_char", "tokens", "embedding")

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_COPY_END = struct.pack(">h", -1)
_LENGTH = struct.Struct(">i")

# Chunks that are laid out at once.
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
        definition = source.definition
        self._source = source
        self._table = identifier(definition.chunks_schema or "", definition.chunks_table or "")
        self._of = identifier(f"{definition.name}_of")

    async def replace(self, session: Session, made: Sequence[Made]) -> int:
        """Puts new chunks in the place of old ones where the input is still the one that was read.

        Belongs into a transaction that guard_transaction began; gives how many rows it was.
        """
        if not made:
            return 0
        hashes = HashArray([row.input_hash or 0 for row, *_ in made])
        keys = key_arrays([row for row, *_ in made])
        settled = await session.all(self._settle, (*keys, hashes))
        chosen = [made[place - 1] for place in sorted(place for (place,) in settled)]
        width = self._source.definition.dimensions
        await session.copy_binary(self._copy, _copy_rows(chosen, width, session.encoding))
        return len(chosen)

    async def clear(self, session: Session, rows: Sequence[Row]) -> int:
        """Takes the chunks from rows whose input has become NULL, and tells how many."""
        if not rows:
            return 0
        hashes = [None for _ in rows]
        return len(await session.all(self._settle, (*key_arrays(rows), hashes)))

    @cached_property
    def _settle(self) -> bytes:
        """Marks the rows that are still as they were read, removes their old chunks, names them.

        The source's own columns stand unqualified in its expressions, hence the names of ours.
        """
        key = self._source.definition.key
        names = [identifier(column.name) for column in key]
        numbered = [identifier(f"rowvec_k{number}") for number, _ in enumerate(key)]
        return (
            sql.SQL(
                "WITH given AS ("
                " SELECT {casts}, g.rowvec_hash, g.rowvec_place"
                " FROM unnest({arrays}, %s::bigint[])"
                " WITH ORDINALITY AS g({numbered}, rowvec_hash, rowvec_place)),"
                " settled AS ("
                " UPDATE {source} SET {of} = g.rowvec_hash FROM given AS g"
                " WHERE {source_key} = {given_key} AND ({pending})"
                " AND {hash} IS NOT DISTINCT FROM g.rowvec_hash"
                " RETURNING g.rowvec_place, {given_columns}),"
                " gone AS ("
                " DELETE FROM {chunks} AS c USING settled AS g WHERE {chunks_key} = {given_key})"
                " SELECT rowvec_place FROM settled"
            )
            .format(
                casts=comma(
                    [
                        sql.SQL("g.{0}::{1} AS {0}").format(number, expression(column.type))
                        for number, column in zip(numbered, key, strict=True)
                    ]
                ),
                arrays=comma([sql.SQL("%s::text[]") for _ in key]),
                numbered=comma([*numbered]),
                source=self._source.table,
                of=self._of,
                source_key=_row([sql.SQL("{}").format(name) for name in names]),
                given_key=_row([sql.SQL("g.{}").format(number) for number in numbered]),
                given_columns=comma([sql.SQL("g.{}").format(number) for number in numbered]),
                pending=self._source.pending,
                hash=self._source.hash,
                chunks=self._table,
                chunks_key=_row([sql.SQL("c.{}").format(name) for name in names]),
            )
            .as_bytes()
        )

    @cached_property
    def _copy(self) -> bytes:
        # Without parameters, so nothing is doubled in its names.
        definition = self._source.definition
        names = [column.name for column in definition.key]
        return (
            sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)")
            .format(
                sql.Identifier(definition.chunks_schema or "", definition.chunks_table or ""),
                comma([sql.Identifier(name) for name in (*names, *_COLUMNS)]),
            )
            .as_bytes()
        )


def _row(parts: list[sql.Composed]) -> sql.Composed:
    return sql.SQL("({})").format(comma([*parts]))


def _copy_rows(made: Sequence[Made], dimensions: int, encoding: str) -> Iterator[bytes]:
    """Rows as COPY reads them, in pieces of some hundred chunks, and of whole documents."""
    yield _COPY_HEAD
    piece: list[Made] = []
    chunks = 0
    for one in made:
        piece.append(one)
        chunks += len(one[1])
        if chunks >= _CHUNKS_AT_ONCE:
            yield _copy_piece(piece, dimensions, encoding)
            piece, chunks = [], 0
    yield _copy_piece(piece, dimensions, encoding)
    yield _COPY_END


def _copy_piece(made: Sequence[Made], dimensions: int, encoding: str) -> bytes:
    """A row is its number of fields, then each field behind its length; all big-endian."""
    tails = _tails(made, dimensions)
    parts: list[bytes | memoryview] = []
    place = 0
    for row, chunks, _ in made:
        fields = struct.pack(">h", len(row.sent) + len(_COLUMNS))
        key = fields + b"".join([_LENGTH.pack(len(part)) + part for part in row.sent])
        for chunk in chunks:
            text = chunk.text.encode(encoding)
            parts += (key, _LENGTH.pack(len(text)), text, tails[place])
            place += 1
    return b"".join(parts)


def _tails(made: Sequence[Made], dimensions: int) -> list[memoryview]:
    """What stands behind the text of each chunk."""
    numbers = [(n, c.start, c.end, c.tokens) for _, of, _ in made for n, c in enumerate(of, 1)]
    if not numbers:
        return []
    rows = np.zeros(
        len(numbers),
        # The vector as pgvector receives it: its dimensions, a spare number, the numbers.
        [("numbers", [("bytes", ">i4"), ("number", ">i4")], (4,)), ("bytes", ">i4"),
         ("dimensions", ">i2"), ("spare", ">i2"), ("vector", ">f4", (dimensions,))],
    )  # fmt: skip
    rows["numbers"]["bytes"] = 4
    rows["numbers"]["number"] = numbers
    rows["bytes"] = 4 + 4 * dimensions
    rows["dimensions"] = dimensions
    rows["vector"] = np.concatenate([vectors for _, of, vectors in made if of])
    laid = memoryview(rows.tobytes())
    return [laid[at : at + rows.itemsize] for at in range(0, len(laid), rows.itemsize)]
