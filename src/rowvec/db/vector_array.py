"""A batch as parameters: Postgres arrays in binary form, put together at once by numpy or join."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Buffer, Dumper
from psycopg.postgres import types
from psycopg.pq import Format
from psycopg.types import TypeInfo

# One dimension, no NULLs; then the element's type, how many there are, the first one's number.
_HEAD = struct.Struct(">iiIii")
_LENGTH = struct.Struct(">i")


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
    """Numbers of 64 bits, none of them NULL."""

    numbers: Sequence[int]


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
    oid = types["int8"].array_oid
    format = Format.BINARY

    def dump(self, obj: HashArray) -> Buffer:
        return _numbers("int8", 8, obj.numbers)


class _IntArrayDumper(Dumper):
    oid = types["int4"].array_oid
    format = Format.BINARY

    def dump(self, obj: IntArray) -> Buffer:
        return _numbers("int4", 4, obj.numbers)


def _numbers(type_: str, width: int, numbers: Sequence[int]) -> bytes:
    rows = np.empty(len(numbers), [("bytes", ">i4"), ("number", f">i{width}")])
    rows["bytes"] = width
    rows["number"] = numbers
    return _HEAD.pack(1, 0, types[type_].oid, len(rows), 1) + rows.tobytes()


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
