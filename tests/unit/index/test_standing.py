"""Whether an index that stands is kept, over what is known of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rowvec.db.vector_index import IndexState
from rowvec.index.request import IndexRequest
from rowvec.index.standing import Standing, must_be_another, should_be_another

STATE = IndexState(
    is_valid=True, kind="ivfflat", lists=100, opclass="vector_cosine_ops", is_attached=False
)
GOOD = Standing(STATE, "vector_cosine_ops", 10_000, 10_000, 0.96, 0.95, is_partitioned=False)
HNSW = replace(GOOD, state=replace(STATE, kind="hnsw", lists=None))


@pytest.mark.parametrize(
    ("state", "asked", "reason"),
    [
        ({}, {}, None),
        ({}, {"kind": "ivfflat", "storage": "vector", "lists": 100}, None),
        ({}, {"kind": "hnsw"}, "hnsw is asked for, it is ivfflat"),
        ({}, {"storage": "bit"}, "bit is asked for, it holds vector"),
        ({}, {"lists": 99}, "99 lists are asked for, it has 100"),
        ({}, {"rebuild": True}, "as asked"),
        ({"is_valid": False}, {}, "not all partitions have theirs yet"),
        ({"opclass": "vector_l2_ops"}, {}, "vector_cosine_ops is needed"),
    ],
)
def test_what_must_be_another(
    state: dict[str, Any], asked: dict[str, Any], reason: str | None
) -> None:
    standing = replace(GOOD, state=replace(STATE, **state))
    found = must_be_another(standing, IndexRequest("items", **asked))
    assert found == reason if reason is None else reason in str(found)


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (GOOD, None),
        (replace(GOOD, rows=20_000), None),
        (replace(GOOD, rows=20_001), "built for 10,000 vectors, there are 20,001"),
        (replace(GOOD, recall=0.94), "recall is 0.940, the target 0.95"),
        (replace(GOOD, recall=None), None),
        # Built by hand: its lists say what it was built for.
        (replace(GOOD, built_for=None, rows=300_000), "built for 10,000 vectors"),
        (replace(GOOD, built_for=None, rows=1_000), "100 lists, 32 suit"),
        (replace(GOOD, built_for=None, rows=1_000, is_partitioned=True), None),
        # A graph grows with its table.
        (replace(HNSW, rows=10**9, recall=0.5), None),
    ],
)
def test_what_should_be_another(standing: Standing, reason: str | None) -> None:
    found = should_be_another(standing)
    assert found is None if reason is None else reason in str(found)
