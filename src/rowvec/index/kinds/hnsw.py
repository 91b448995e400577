"""Hnsw of pgvector: a graph in layers, held in memory while it is built."""

from __future__ import annotations

from rowvec.db.index_form import Storage
from rowvec.index.index_kind import PGVECTOR_DIMENSIONS, Facts, Graph, stored_bytes

# In memory beside the vector: an element and its neighbours (48 MB held 22,353 rows of 1,544 bytes
# with pgvector 0.8.6).
_GRAPH_BYTES = 720
# On disk: the neighbours as tuple ids, headers.
_NEIGHBOUR_BYTES = 300


class Hnsw(Graph):
    """A scan keeps `ef_search` candidates, and ends when it has given them."""

    method = "hnsw"
    extension = "vector"
    merit = "answers faster"
    setting = "ef_search"
    max_dimensions = PGVECTOR_DIMENSIONS
    # pgvector's own limit.
    most = 1_000

    def entry_bytes(self, dimensions: int, storage: Storage) -> int:
        """The vector and its neighbours."""
        return stored_bytes(dimensions, storage) + _NEIGHBOUR_BYTES

    def build_bytes(self, facts: Facts, storage: Storage, lists: int | None) -> int:  # noqa: ARG002
        """The graph; a build is many times slower once it is larger than its memory."""
        return facts.rows * (stored_bytes(facts.dimensions, storage) + _GRAPH_BYTES)


KIND = Hnsw()
