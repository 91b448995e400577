"""Lists, probes and recall as arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from rowvec.db.index_form import Setting
from rowvec.db.nearest_rows import beside
from rowvec.index.kinds.hnsw import KIND as HNSW
from rowvec.index.kinds.ivfflat import KIND as IVFFLAT
from rowvec.index.recall import between, cautious, queries_for, recall_of


@pytest.mark.parametrize(
    ("rows", "lists"), [(1, 10), (100, 10), (3000, 55), (1_000_000, 1000), (10**10, 32_768)]
)
def test_lists_are_the_root_of_the_rows(rows: int, lists: int) -> None:
    assert IVFFLAT.lists_for(rows) == lists


@pytest.mark.parametrize(
    ("lists", "probes"),
    [(1, [1]), (10, [1, 2, 3, 5, 8, 10]), (13, [1, 2, 3, 5, 8, 13]), (14, [1, 2, 3, 5, 8, 13, 14])],
)
def test_probes_grow_and_end_with_all_lists(lists: int, probes: list[int]) -> None:
    tried = list(IVFFLAT.settings("vector", lists, 10))
    assert tried == [Setting("probes", count) for count in probes]


def test_ef_search_is_never_below_k_nor_beyond_pgvectors_limit() -> None:
    tried = [setting.value for setting in HNSW.settings("vector", None, 25)]
    assert (tried[0], tried[-1]) == (25, 1000)


def test_over_bits_the_candidates_are_ranked_again() -> None:
    tried = list(HNSW.settings("bit", None, 10))
    assert all(setting.value == setting.rescore for setting in tried)
    assert list(IVFFLAT.settings("bit", 30, 10))[-1] == Setting("probes", 30, 10_000)


@pytest.mark.parametrize(
    ("low", "high", "middle"),
    [
        (Setting("probes", 8), Setting("probes", 13), Setting("probes", 10)),
        (Setting("probes", 8), Setting("probes", 9), None),
        (Setting("ef_search", 10, 10), Setting("ef_search", 16, 16),
         Setting("ef_search", 13, 13)),
    ],
)  # fmt: skip
def test_half_way_between_two_settings(low: Setting, high: Setting, middle: Setting | None) -> None:
    assert between(low, high) == middle


def test_fewer_queries_of_large_tables() -> None:
    """Each costs a scan; never so few that a recall cannot be told."""
    assert [queries_for(rows) for rows in (10, 100_000, 10**9)] == [50, 500, 50]


@pytest.mark.parametrize(
    ("found", "recall"),
    [([0.1, 0.2, 0.3], 1.0), ([0.1, 0.3, 0.3], 1.0), ([0.1, 0.2, 0.4], 2 / 3), ([], 0.0)],
)
def test_recall_goes_by_distance(found: list[float], recall: float) -> None:
    exact = np.array([0.1, 0.2, 0.3])
    assert recall_of(np.array(found), exact) == pytest.approx(recall)


def test_recall_without_neighbours_is_full() -> None:
    assert recall_of(np.array([]), np.array([])) == 1.0


@pytest.mark.parametrize("by_angle", [True, False])
def test_a_query_beside_a_row_is_as_far_from_it_as_its_nearest(by_angle: bool) -> None:  # noqa: FBT001
    random = np.random.default_rng(1)
    row, nearest = random.standard_normal((2, 50)).astype(np.float32) + 1
    made = beside(row, nearest, random, by_angle=by_angle)

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        if by_angle:
            return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        return float(np.linalg.norm(a - b))

    assert apart(row, made) == pytest.approx(apart(row, nearest), rel=1e-4)
    assert apart(nearest, made) != pytest.approx(apart(nearest, nearest), abs=0.01)


def test_beside_a_row_whose_nearest_is_its_equal_is_the_row() -> None:
    row = np.ones(8, np.float32)
    made = beside(row, row, np.random.default_rng(0), by_angle=True)
    assert made == pytest.approx(row, abs=2e-3)


def test_a_recall_of_few_queries_counts_for_less() -> None:
    some = [1.0, 0.9, 0.8]
    assert cautious([1.0] * 5) == 1.0
    assert cautious([0.5]) == 0.5
    assert cautious(some) < cautious(some * 100) < 0.9


def test_a_small_table_is_read_to_a_thousand_vectors() -> None:
    assert IVFFLAT.least(37, 1_400) == 27
    assert IVFFLAT.least(10, 100) == 10
    assert IVFFLAT.least(5, 100_000) == 1
    assert HNSW.least(None, 1_400) == 1
