"""Streamed k-means beside scikit-learn's own KMeans on the same vectors, whatever their order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from rowvec.db.vectors import normalised
from rowvec.explore.cluster.kmeans import KMeans, Reservoir
from rowvec.explore.one_thread import one_thread

GROUPS, ROWS, DIMENSIONS, BATCH = 8, 2_000, 24, 150


@pytest.fixture(autouse=True)
def as_the_job_does() -> Iterator[None]:
    with one_thread():
        yield


def mixture() -> tuple[np.ndarray, np.ndarray]:
    """Groups that overlap, of very different sizes."""
    random = np.random.default_rng(3)
    groups = np.sort(random.choice(GROUPS, ROWS, p=np.arange(1, GROUPS + 1) / 36))
    centres = random.standard_normal((GROUPS, DIMENSIONS))
    vectors = centres[groups] + 1.2 * random.standard_normal((ROWS, DIMENSIONS))
    return normalised(vectors.astype(np.float32)), groups


def purity(groups: np.ndarray, labels: np.ndarray) -> float:
    most = (np.bincount(groups[labels == label]).max() for label in np.unique(labels))
    return float(sum(most)) / len(groups)


@pytest.mark.parametrize("rows_sampled", [ROWS, ROWS // 5])
@pytest.mark.parametrize("order", ["sorted by group", "mixed"])
def test_clusters_are_as_good_as_those_of_all_vectors_at_once(
    rows_sampled: int, order: str
) -> None:
    from sklearn.cluster import KMeans as Reference  # noqa: PLC0415 - slow to import
    from sklearn.metrics import adjusted_rand_score  # noqa: PLC0415

    vectors, groups = mixture()
    if order == "mixed":
        places = np.random.default_rng(4).permutation(ROWS)
        vectors, groups = vectors[places], groups[places]
    batches = [vectors[start : start + BATCH] for start in range(0, ROWS, BATCH)]

    sample = Reservoir(rows_sampled, DIMENSIONS, seed=0)
    for batch in batches:
        sample.add(batch)
    kmeans = KMeans(GROUPS, seed=0)
    kmeans.begin(sample.rows())
    for _ in range(20):
        means = kmeans.mean()
        for batch in batches:
            means.add(batch)
        if means.move() < 1e-5:
            break
    labels = np.concatenate([kmeans.assign(batch).labels for batch in batches])

    reference = Reference(GROUPS, n_init=10, random_state=0).fit(vectors)
    inertia = float(((vectors - kmeans.centroids[labels]) ** 2).sum())
    assert inertia <= 1.01 * reference.inertia_
    theirs = adjusted_rand_score(groups, reference.labels_)
    assert adjusted_rand_score(groups, labels) >= theirs - 0.02
    assert purity(groups, labels) >= purity(groups, reference.labels_) - 0.02


def test_distances_are_cosine_distances_to_the_nearest() -> None:
    vectors, _ = mixture()
    kmeans = KMeans(GROUPS, seed=0)
    kmeans.begin(vectors)
    nearest = kmeans.assign(vectors)
    unit = normalised(kmeans.centroids)
    np.testing.assert_allclose(
        nearest.distances, 1 - (vectors * unit[nearest.labels]).sum(axis=1), atol=1e-6
    )
    squared = ((vectors[:50, None] - kmeans.centroids) ** 2).sum(axis=2)
    np.testing.assert_array_equal(nearest.labels[:50], squared.argmin(axis=1))
