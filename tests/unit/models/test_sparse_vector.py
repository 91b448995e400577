"""Sparse vectors: pgvector's text, packing, and the largest numbers."""

from __future__ import annotations

import numpy as np

from rowvec.models.sparse_vector import SparseVector

DENSE = np.array([0, 0.5, 0, 0, -2, 0, 0.1], dtype=np.float32)


def test_text_is_of_pgvector() -> None:
    assert SparseVector.from_dense(DENSE).to_text() == "{2:0.5,5:-2.0,7:0.1}/7"
    assert SparseVector.from_dense(np.zeros(3, dtype=np.float32)).to_text() == "{}/3"


def test_packing_keeps_all() -> None:
    vector = SparseVector.from_dense(DENSE)
    unpacked = SparseVector.from_bytes(vector.to_bytes(), 7)
    np.testing.assert_array_equal(unpacked.to_dense(), DENSE)
    assert SparseVector.from_bytes(b"", 3).to_text() == "{}/3"


def test_the_largest_are_kept_in_order() -> None:
    vector = SparseVector.from_dense(DENSE)
    assert vector.largest(2).to_text() == "{2:0.5,5:-2.0}/7"
    assert vector.largest(9) is vector


def test_text_gives_the_same_float32_back() -> None:
    dense = np.random.default_rng(0).normal(size=200).astype(np.float32)
    elements = SparseVector.from_dense(dense).to_text()[1:-5].split(",")
    parsed = np.array([element.split(":")[1] for element in elements], dtype=np.float32)
    np.testing.assert_array_equal(parsed, dense)
