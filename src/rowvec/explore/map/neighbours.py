"""The nearest others of every point, for the page: by cosine, exact for few points.

For many, points are sorted into lists by k-means and compared with those of the nearest lists only,
as ivfflat does it: minutes become seconds, and a few neighbours in a hundred are missed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rowvec.db.vectors import Matrix, normalised

Indices = NDArray[np.int32]

NEIGHBOURS = 8

_EXACT_ROWS = 5_000
_PROBES = 8
_BLOCK_ROWS = 256


def nearest(vectors: Matrix, count: int = NEIGHBOURS) -> Indices:
    """For each row the `count` nearest other rows, nearest first; -1 where there are fewer."""
    unit = normalised(vectors)
    found = np.full((len(unit), count), -1, np.int32)
    for rows, candidates in _groups(unit):
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = rows[start : start + _BLOCK_ROWS]
            likeness = unit[block] @ unit[candidates].T
            likeness[block[:, None] == candidates[None, :]] = -np.inf
            kept = min(count, len(candidates) - 1)
            best = np.argpartition(-likeness, kept - 1, axis=1)[:, :kept] if kept else None
            if best is None:
                continue
            order = np.argsort(-np.take_along_axis(likeness, best, axis=1), axis=1, kind="stable")
            found[block, :kept] = candidates[np.take_along_axis(best, order, axis=1)]
    return found


def _groups(unit: Matrix) -> Iterator[tuple[Indices, Indices]]:
    """Rows, and the rows that they are compared with."""
    everything = np.arange(len(unit), dtype=np.int32)
    if len(unit) <= _EXACT_ROWS:
        yield everything, everything
        return
    from sklearn.cluster import MiniBatchKMeans  # noqa: PLC0415 - takes a second to import

    lists = round(np.sqrt(len(unit)))
    kmeans = MiniBatchKMeans(lists, random_state=0, n_init=1, batch_size=4096, max_iter=10)
    labels = kmeans.fit_predict(unit)
    centres = normalised(kmeans.cluster_centers_.astype(np.float32))
    order = np.argsort(labels, kind="stable").astype(np.int32)
    starts = np.searchsorted(labels[order], np.arange(lists + 1))
    members = [order[starts[i] : starts[i + 1]] for i in range(lists)]
    for number in range(lists):
        if not len(members[number]):
            continue
        near = np.argsort(-(centres @ centres[number]), kind="stable")[:_PROBES]
        yield members[number], np.concatenate([members[other] for other in near])
