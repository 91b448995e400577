"""A batch as parameters: Postgres arrays in binary form, put together at once by numpy or join."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Buffer, Dumper
from psycopg.postgres import types
from psycopg.pq import Format
from psycopg.types import TypeInfo

# One dimension, whether there are NULLs; the type of the elements, their number, that of the first.
_HEAD = struct.Struct(">iiIii")
_LENGTH = struct.Struct(">i")
_NULL = _LENGTH.pack(-1)
_HASH_LENGTH = _LENGTH.pack(16)


@dataclass(frozen=True)
class VectorArray:
    """The rows of a matrix, each a pgvector `vector`."""

    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class TextArray:
    """Texts, none of them NULL."""

    texts: Sequence[str]


@dataclass(frozen=True)
class HashArray:
    """Hashes, NULL where one is None."""

    hashes: Sequence[UUID | None]


@dataclass(frozen=True)
class IntArray:
    """Numbers of 32 bits, none of them NULL."""

    numbers: Sequence[int]


class _TextArrayDumper(Dumper):
    oid = types["text"].array_oid
    format = Format.BINARY

    def dump(self, obj: TextArray) -> Buffer:
        encoding = self.connection.info.encoding if self.connection else "utf-8"
        encoded = [text.encode(encoding) for text in obj.texts]
        values = b"".join([_LENGTH.pack(len(text)) + text for text in encoded])
        return _HEAD.pack(1, 0, types["text"].oid, len(encoded), 1) + values


class _HashArrayDumper(Dumper):
    oid = types["uuid"].array_oid
    format = Format.BINARY

    def dump(self, obj: HashArray) -> Buffer:
        values = [_NULL if one is None else _HASH_LENGTH + one.bytes for one in obj.hashes]
        head = _HEAD.pack(1, _NULL in values, types["uuid"].oid, len(values), 1)
        return head + b"".join(values)


class _IntArrayDumper(Dumper):
    oid = types["int4"].array_oid
    format = Format.BINARY

    def dump(self, obj: IntArray) -> Buffer:
        rows = np.empty(len(obj.numbers), [("bytes", ">i4"), ("number", ">i4")])
        rows["bytes"] = 4
        rows["number"] = obj.numbers
        return _HEAD.pack(1, 0, types["int4"].oid, len(rows), 1) + rows.tobytes()


def register_arrays(connection: psycopg.AsyncConnection[Any], vector: TypeInfo) -> None:
    """Lets the connection send the arrays of this module, a VectorArray as `vector[]`."""

    class VectorArrayDumper(Dumper):
        oid = vector.array_oid
        format = Format.BINARY

        def dump(self, obj: VectorArray) -> Buffer:
            count, dimensions = obj.vectors.shape
            # As pgvector receives it: the dimensions, a spare number, the numbers; all big-endian.
            rows = np.zeros(
                count,
                [("bytes", ">i4"), ("dimensions", ">i2"), ("spare", ">i2"),
                 ("numbers", ">f4", (dimensions,))],
            )  # fmt: skip
            rows["bytes"] = 4 + 4 * dimensions
            rows["dimensions"] = dimensions
            rows["numbers"] = obj.vectors
            return _HEAD.pack(1, 0, vector.oid, count, 1) + rows.tobytes()

    connection.adapters.register_dumper(VectorArray, VectorArrayDumper)
    connection.adapters.register_dumper(TextArray, _TextArrayDumper)
    connection.adapters.register_dumper(HashArray, _HashArrayDumper)
    connection.adapters.register_dumper(IntArray, _IntArrayDumper)
