"""Lists, probes and recall as arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from rowvec.search.build import kmeans_memory_kb, lists_for
from rowvec.search.recall import probes_to_try, recall_of


@pytest.mark.parametrize(
    ("rows", "lists"), [(1, 10), (100, 10), (3000, 55), (1_000_000, 1000), (10**10, 32_768)]
)
def test_lists_are_the_root_of_the_rows(rows: int, lists: int) -> None:
    assert lists_for(rows) == lists


@pytest.mark.parametrize(
    ("lists", "probes"),
    [(1, [1]), (10, [1, 2, 3, 5, 8, 10]), (13, [1, 2, 3, 5, 8, 13]), (14, [1, 2, 3, 5, 8, 13, 14])],
)
def test_probes_grow_and_end_with_all_lists(lists: int, probes: list[int]) -> None:
    assert list(probes_to_try(lists)) == probes


@pytest.mark.parametrize(
    ("found", "recall"),
    [([0.1, 0.2, 0.3], 1.0), ([0.1, 0.3, 0.3], 1.0), ([0.1, 0.2, 0.4], 2 / 3), ([], 0.0)],
)
def test_recall_goes_by_distance(found: list[float], recall: float) -> None:
    exact = np.array([0.1, 0.2, 0.3])
    assert recall_of(np.array(found), exact) == pytest.approx(recall)


def test_recall_without_neighbours_is_full() -> None:
    assert recall_of(np.array([]), np.array([])) == 1.0


def test_memory_grows_with_lists() -> None:
    assert kmeans_memory_kb(10, 384) == 256 << 10
    assert kmeans_memory_kb(1000, 384) > 50_000 * (1000 + 384) * 4 // 1024
