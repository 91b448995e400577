"""The rule that chooses an index, over the facts that it weighs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rowvec.db.index_form import Storage
from rowvec.errors import NotSupported
from rowvec.index.choice import Wish, choose
from rowvec.index.index_kind import Facts
from rowvec.index.kinds.hnsw import KIND as HNSW
from rowvec.index.kinds.ivfflat import KIND as IVFFLAT

GB = 1 << 20
FACTS = Facts(rows=100_000, dimensions=384, target_recall=0.95, memory_kb=4 * GB, processes=2)


@pytest.mark.parametrize(
    ("change", "kind", "storage"),
    [
        ({"rows": 5_000}, "ivfflat", "vector"),
        ({"rows": 50_000}, "ivfflat", "vector"),
        ({}, "hnsw", "vector"),
        ({"rows": 20_000, "target_recall": 0.99}, "hnsw", "vector"),
        ({"rows": 1_000_000}, "hnsw", "vector"),
        ({"rows": 1_000_000, "memory_kb": 2 * GB + GB // 4}, "hnsw", "halfvec"),
        ({"rows": 1_000_000, "memory_kb": 3 * GB // 2}, "hnsw", "bit"),
        ({"rows": 1_000_000, "memory_kb": GB // 2}, "ivfflat", "vector"),
        ({"rows": 1_000_000, "memory_kb": 3 * GB // 2, "dimensions": 50}, "hnsw", "vector"),
        ({"rows": 100_000_000, "memory_kb": 1024 * GB}, "ivfflat", "vector"),
        ({"dimensions": 2_001, "rows": 100}, "ivfflat", "halfvec"),
    ],
)
def test_rows_memory_time_and_target_decide(
    change: dict[str, Any], kind: str, storage: Storage
) -> None:
    chosen = choose(replace(FACTS, **change), Wish())
    assert (chosen.kind.method, chosen.storage) == (kind, storage)
    assert chosen.reasons[0].startswith((kind, storage))


def test_a_wish_is_granted() -> None:
    chosen = choose(FACTS, Wish("ivfflat", "halfvec", 50))
    assert (chosen.kind, chosen.storage, chosen.lists) == (IVFFLAT, "halfvec", 50)
    assert chosen.reasons == ()
    assert choose(FACTS, Wish(lists=50)).kind is IVFFLAT
    assert choose(replace(FACTS, memory_kb=GB // 16), Wish("hnsw")).kind is HNSW


@pytest.mark.parametrize(
    ("dimensions", "storage", "hint"),
    [
        (2_001, "vector", "halfvec"),
        (4_001, None, "--storage bit"),
        (64_001, "bit", "truncate_dim"),
    ],
)
def test_more_dimensions_than_an_index_holds(
    dimensions: int, storage: Storage | None, hint: str
) -> None:
    with pytest.raises(NotSupported, match=f"these vectors have {dimensions:,}") as caught:
        choose(replace(FACTS, dimensions=dimensions), Wish(storage=storage))
    assert hint in str(caught.value.hint)


def test_the_measured_times_come_out() -> None:
    """100,000 rows and 2 cores: ivfflat 3 s, hnsw 25 s, a sixth of the space over bits."""
    assert choose(FACTS, Wish("ivfflat")).build_seconds == pytest.approx(3, rel=0.2)
    assert choose(FACTS, Wish("hnsw")).build_seconds == pytest.approx(25, rel=0.2)
    smaller = HNSW.size_bytes(FACTS, "vector") / HNSW.size_bytes(FACTS, "bit")
    assert smaller == pytest.approx(6, rel=0.2)


def test_kmeans_has_its_memory() -> None:
    """Below what pgvector asks for, its k-means fails."""
    assert IVFFLAT.memory_kb(FACTS, "vector", 10) == 64 << 10
    assert IVFFLAT.memory_kb(FACTS, "vector", 1000) > 50_000 * (1000 + 384) * 4 // 1024
