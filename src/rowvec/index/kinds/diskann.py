"""Diskann of pgvectorscale: a graph, its nodes codes of a few bits per dimension.

The facts here are from its documentation and source (https://github.com/timescale/pgvectorscale:
README.md, "Tuning"; guc.rs, build.rs and scan.rs in pgvectorscale/src/access_method). It was never
run on the extension itself, and nothing of it was measured: a build is taken to compare as many
rows as one of hnsw, sizes follow from the default options. An index is built CONCURRENTLY, which is
said to work from release 0.9 on
(https://www.dbi-services.com/blog/pgvector-a-guide-for-dba-part-2-indexes-update-march-2026/).
"""

from __future__ import annotations

from rowvec.db.index_form import Storage
from rowvec.index.index_kind import Facts, Graph, stored_bytes

# num_neighbors; a link is the place of a node, while it is built with its distance.
_NEIGHBOURS = 50
_LINK_BYTES = 8
_LINK_BYTES_IN_MEMORY = 16
# num_bits_per_dimension: two below this many dimensions, else one.
_DIMENSIONS_FOR_ONE_BIT = 900
# Shares of maintenance_work_mem: the links, and the codes.
_SHARE_OF_LINKS, _SHARE_OF_CODES = 0.8, 0.2


class Diskann(Graph):
    """A scan walks by codes, and ranks the nearest `query_rescore` again by their vectors.

    That is the parameter its authors advise to tune, from 0 to 1,000. The scan continues as long
    as rows are wanted: it needs no parameter for that. It holds whole vectors of up to 16,000
    dimensions, which are all that pgvector has, and makes its codes itself.
    """

    method = "diskann"
    extension = "vectorscale"
    merit = "needs less memory (extension vectorscale)"
    setting = "query_rescore"
    max_dimensions = {"vector": 16_000}  # noqa: RUF012
    most = 1_000

    def entry_bytes(self, dimensions: int, storage: Storage) -> int:  # noqa: ARG002
        """The code, the links, and the places of the node and its row."""
        return _code_bytes(dimensions) + (_NEIGHBOURS + 2) * _LINK_BYTES

    def build_bytes(self, facts: Facts, storage: Storage, lists: int | None) -> int:  # noqa: ARG002
        """So much that links and codes each fit into their share of it."""
        links = _NEIGHBOURS * _LINK_BYTES_IN_MEMORY / _SHARE_OF_LINKS
        codes = _code_bytes(facts.dimensions) / _SHARE_OF_CODES
        return round(facts.rows * max(links, codes))


def _code_bytes(dimensions: int) -> int:
    bits = 1 if dimensions >= _DIMENSIONS_FOR_ONE_BIT else 2
    return stored_bytes(bits * dimensions, "bit")


KIND = Diskann()
