"""Many vectors as one parameter: a Postgres array in binary form, put together at once by numpy."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format
from psycopg.types import TypeInfo

# One dimension, no NULLs; then the element's type, how many there are, the first one's number.
_HEAD = struct.Struct(">iiIii")


@dataclass(frozen=True)
class VectorArray:
    """The rows of a matrix, each a pgvector `vector`."""

    vectors: NDArray[np.float32]


def register_vector_array(connection: psycopg.AsyncConnection[Any], vector: TypeInfo) -> None:
    """Lets the connection send a VectorArray where `vector[]` is expected."""

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
