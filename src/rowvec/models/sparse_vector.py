"""Vectors that are nearly all zeros: what sparse models give, and pgvector's sparsevec stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from rowvec.models.embedder import Model


@dataclass(frozen=True, eq=False)
class SparseVector:
    """The numbers of a vector that are not zero: `values` at `indices`, from 0, ascending."""

    indices: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    dimensions: int

    @classmethod
    def from_dense(cls, vector: npt.NDArray[np.float32]) -> Self:
        """The vector's numbers that are not zero."""
        (indices,) = np.nonzero(vector)
        return cls(indices.astype(np.int32), vector[indices], len(vector))

    @classmethod
    def from_bytes(cls, packed: bytes, dimensions: int) -> Self:
        """What `to_bytes` gave."""
        count = len(packed) // 8
        return cls(
            np.frombuffer(packed, "<i4", count), np.frombuffer(packed, "<f4", count, 4 * count),
            dimensions,
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        """Indices, then values, four little-endian bytes each."""
        return self.indices.astype("<i4").tobytes() + self.values.astype("<f4").tobytes()

    def to_text(self) -> str:
        """As pgvector's sparsevec reads it, with indices from 1: `{2:0.5,7:1.25}/30522`."""
        return f"{{{','.join(self._elements())}}}/{self.dimensions}"

    def to_dense(self) -> npt.NDArray[np.float32]:
        """All numbers, the zeros too."""
        dense = np.zeros(self.dimensions, dtype=np.float32)
        dense[self.indices] = self.values
        return dense

    def largest(self, count: int) -> SparseVector:
        """Only the `count` numbers that are largest in size; all of them where there are fewer."""
        if count >= len(self.indices):
            return self
        order = np.argsort(-np.abs(self.values), kind="stable")
        kept = np.sort(order[:count])
        return SparseVector(self.indices[kept], self.values[kept], self.dimensions)

    def _elements(self) -> Iterator[str]:
        # repr of a float32 has the shortest digits that give the same float32.
        for index, value in zip(self.indices, self.values, strict=True):
            yield f"{index + 1}:{value!s}"


class SparseEmbedder(Model[list[SparseVector]]):
    """A model that gives sparse vectors; its dimensions count the zeros."""
