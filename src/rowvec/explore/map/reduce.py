"""Two coordinates for every vector, learned from batches: the whole is never in memory."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np

from rowvec.db.vectors import Matrix
from rowvec.errors import ConfigError

# Principal components: the first two are a map, more of them stand for the vectors themselves.
_COMPONENTS = 50
# UMAP learns from at most this many rows; the others are placed afterwards.
_UMAP_ROWS = 50_000
_UMAP_NEIGHBOURS = 15


class PrincipalComponents:
    """scikit-learn's IncrementalPCA (Ross et al. 2008), fed with batches of any length."""

    def __init__(self, dimensions: int) -> None:
        from sklearn.decomposition import IncrementalPCA  # noqa: PLC0415 - takes a second to import

        self.components = min(_COMPONENTS, dimensions)
        self._model: Any = IncrementalPCA(self.components)
        self._waiting: list[Matrix] = []

    def learn(self, vectors: Matrix) -> None:
        """The next rows."""
        self._waiting.append(vectors)
        # It refuses a batch of fewer rows than components, as the last one may be.
        if sum(map(len, self._waiting)) >= 2 * self.components:
            self._take()

    def finish(self) -> None:
        """To be called after the last row."""
        rows = sum(map(len, self._waiting))
        if rows and (rows >= self.components or not hasattr(self._model, "components_")):
            self._take()

    def transform(self, vectors: Matrix) -> Matrix:
        """Components of each row, those with the most variance first."""
        found: Matrix = self._model.transform(vectors).astype(np.float32)
        return found

    def _take(self) -> None:
        rows = np.concatenate(self._waiting)
        self._waiting = []
        if len(rows) < self.components:
            # Only where the whole table is that small.
            self.components = len(rows)
            self._model.set_params(n_components=self.components)
        self._model.partial_fit(rows)


class Umap:
    """UMAP (McInnes et al. 2018) over principal components, learned from a sample."""

    def __init__(self, rows: int, seed: int = 0) -> None:
        if importlib.util.find_spec("umap") is None:
            raise ConfigError("umap is not installed", hint="pip install 'rowvec[umap]'")
        self.step = -(-rows // _UMAP_ROWS)
        self._rows = rows
        self._seed = seed
        self._model: Any = None

    def learn(self, components: Matrix) -> None:
        """All rows of the sample: every `step`th of the table."""
        import umap  # noqa: PLC0415 - compiles for seconds when it is imported

        self._model = umap.UMAP(
            n_neighbors=min(_UMAP_NEIGHBOURS, len(components) - 1),
            random_state=self._seed,
            n_jobs=1,
            init="spectral" if len(components) > 2 * _UMAP_NEIGHBOURS else "random",
        )
        self._model.fit(components)

    def place(self, components: Matrix) -> Matrix:
        """Coordinates of rows, learned from or not."""
        found: Matrix = self._model.transform(components).astype(np.float32)
        return found


def blocks(rows: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover all rows."""
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))
