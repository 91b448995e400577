"""k-means over vectors that are never all in memory: passes of batches, each vector at length 1.

A sample decides where to begin: of several starts, by scikit-learn's MiniBatchKMeans (Sculley 2010)
and by k-means++ alone, each brought to rest by plain k-means (Lloyd), the one with the least
inertia is kept. Passes of plain k-means over all rows follow. They are exact in whatever order rows
come, while `partial_fit` over a table that lies sorted by what clusters find ends up beside them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowvec.db.vectors import Matrix, normalised

# Where groups overlap, one start in ten may find them: the fewer the distances, the more starts.
_FEWEST_STARTS, _MOST_STARTS, _ROUGH_STARTS = 10, 50, 3
_DISTANCES_OF_STARTS = 1_000_000
_ROWS_OF_A_START = 12_288
_BATCH_ROWS = 1_024
_MAX_REST = 20
_SAMPLE_BYTES = 48 << 20
_FEWEST_SAMPLED_A_CLUSTER = 40
# Rows are compared with all centroids in blocks of this many distances.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class NearestCentroids:
    """The nearest centroid of each row, and the cosine distance to it."""

    labels: NDArray[np.intp]
    distances: Matrix


class Reservoir:
    """Rows drawn evenly from a stream of unknown length (reservoir sampling, Vitter's R)."""

    def __init__(self, rows: int, dimensions: int, seed: int) -> None:
        self._vectors = np.empty((rows, dimensions), np.float32)
        self._seen = 0
        self._random = np.random.default_rng(seed)

    @classmethod
    def for_clusters(cls, clusters: int, dimensions: int, rows: int, seed: int) -> Reservoir:
        """As large as memory allows, and large enough for each cluster to have its share."""
        room = max(_SAMPLE_BYTES // (4 * dimensions), _FEWEST_SAMPLED_A_CLUSTER * clusters)
        return cls(min(rows, room), dimensions, seed)

    def add(self, vectors: Matrix) -> None:
        """The next rows of the stream."""
        room = len(self._vectors)
        taken = max(0, min(room - self._seen, len(vectors)))
        self._vectors[self._seen : self._seen + taken] = vectors[:taken]
        numbers = np.arange(self._seen + taken, self._seen + len(vectors))
        places = self._random.integers(0, numbers + 1) if len(numbers) else numbers
        chosen = places < room
        # Of two rows for one place the later one stays, as if they had come one by one.
        self._vectors[places[chosen]] = vectors[taken:][chosen]
        self._seen += len(vectors)

    def rows(self) -> Matrix:
        """What was drawn, in random order: tables often lie sorted by what clusters find."""
        return self._random.permutation(self._vectors[: self._seen])


class KMeans:
    """The centroids, as they move. Vectors are given at length 1."""

    def __init__(self, clusters: int, seed: int) -> None:
        self._clusters = clusters
        self._seed = seed
        self.centroids: Matrix = np.empty((0, 0), np.float32)

    def begin(self, sample: Matrix) -> None:
        """Finds where to begin: the best of several starts on a sample."""
        # It takes a second to import.
        from sklearn.cluster import KMeans as Lloyd  # noqa: PLC0415
        from sklearn.cluster import MiniBatchKMeans  # noqa: PLC0415
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415

        sample = sample[: max(_ROWS_OF_A_START, _FEWEST_SAMPLED_A_CLUSTER * self._clusters)]
        with warnings.catch_warnings():
            # Equal rows make fewer clusters than asked for, which the job's result shows.
            warnings.simplefilter("ignore", ConvergenceWarning)
            least = np.inf
            starts = _DISTANCES_OF_STARTS // (len(sample) * self._clusters)
            for start in range(min(max(_FEWEST_STARTS, starts), _MOST_STARTS)):
                seed = self._seed * _MOST_STARTS + start
                init = "k-means++"
                if start < _ROUGH_STARTS:
                    rough = MiniBatchKMeans(
                        self._clusters, n_init=1, random_state=seed, batch_size=_BATCH_ROWS
                    )
                    init = rough.fit(sample).cluster_centers_
                rested = Lloyd(
                    self._clusters, init=init, n_init=1, max_iter=_MAX_REST, random_state=seed
                ).fit(sample)
                if rested.inertia_ < least:
                    least, self.centroids = rested.inertia_, rested.cluster_centers_

    def assign(self, vectors: Matrix) -> NearestCentroids:
        """The nearest centroid of each row."""
        squared = (self.centroids**2).sum(axis=1)
        labels = np.concatenate(
            [
                np.argmin(squared - 2 * (block @ self.centroids.T), axis=1)
                for block in _blocks(vectors, len(self.centroids))
            ]
        )
        directions = normalised(self.centroids)[labels]
        return NearestCentroids(labels, 1 - np.einsum("ij,ij->i", vectors, directions))

    def mean(self) -> ClusterMeans:
        """Begins a pass of plain k-means."""
        return ClusterMeans(self)


class ClusterMeans:
    """The means of the clusters' rows, gathered over one pass."""

    def __init__(self, kmeans: KMeans) -> None:
        self._kmeans = kmeans
        self._sums = np.zeros(kmeans.centroids.shape, np.float64)
        self._rows = np.zeros(len(kmeans.centroids), np.int64)

    def add(self, vectors: Matrix) -> None:
        """The next rows."""
        labels = self._kmeans.assign(vectors).labels
        for label in np.unique(labels):
            mine = vectors[labels == label]
            self._sums[label] += mine.sum(axis=0, dtype=np.float64)
            self._rows[label] += len(mine)

    def move(self) -> float:
        """Moves each centroid to the mean of its rows; how far they moved, as a mean of squares.

        A centroid that has no row stays where it is.
        """
        before = self._kmeans.centroids
        means = self._sums / np.maximum(self._rows, 1)[:, None]
        after = np.where(self._rows[:, None] > 0, means, before).astype(np.float32)
        self._kmeans.centroids = after
        return float(((after - before) ** 2).sum(axis=1).mean())


def _blocks(vectors: Matrix, clusters: int) -> Iterable[Matrix]:
    rows = max(1, _BLOCK // clusters)
    return (vectors[start : start + rows] for start in range(0, len(vectors), rows))
