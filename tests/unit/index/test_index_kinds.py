"""What every kind of index says of itself holds together."""

from __future__ import annotations

import pytest

from rowvec.errors import NotSupported
from rowvec.index.choice import Wish, choose
from rowvec.index.index_kind import Facts
from rowvec.index.kinds import KINDS, kind_of
from rowvec.index.kinds.diskann import KIND as DISKANN

GB = 1 << 20
FACTS = Facts(rows=1_000_000, dimensions=384, target_recall=0.95, memory_kb=GB, processes=2)


@pytest.mark.parametrize("method", KINDS)
def test_each_is_found_by_its_name_and_can_be_built(method: str) -> None:
    kind = kind_of(method)
    assert kind.method == method
    for storage in kind.max_dimensions:
        chosen = choose(FACTS, Wish(method, storage))
        assert (chosen.kind, chosen.storage) == (kind, storage)
        assert min(chosen.memory_kb, chosen.build_seconds, chosen.size_bytes) > 0


@pytest.mark.parametrize("method", KINDS)
def test_settings_rise_and_never_ask_for_fewer_than_k_where_that_counts(method: str) -> None:
    kind = KINDS[method]
    for storage in kind.max_dimensions:
        values = [(one.value or 0, one.rescore or 0) for one in kind.settings(storage, 100, 20)]
        assert values == sorted(values)
        if kind.most is not None:
            assert (values[0][0], values[-1][0]) == (20, kind.most)


def test_an_index_of_another_kind_is_none_of_ours() -> None:
    with pytest.raises(NotSupported, match="of the kind btree, which rowvec does not know"):
        kind_of("btree")


def test_diskann_holds_whole_vectors_of_any_length() -> None:
    long = Facts(rows=1000, dimensions=3072, target_recall=0.95, memory_kb=GB, processes=2)
    assert choose(long, Wish("diskann")).storage == "vector"
    with pytest.raises(NotSupported, match="the kind diskann cannot hold halfvec"):
        choose(long, Wish("diskann", "halfvec"))


def test_diskann_is_smaller_than_hnsw() -> None:
    """Codes of two bits a dimension instead of 32, on disk and while it is built."""
    hnsw = KINDS["hnsw"]
    assert DISKANN.size_bytes(FACTS, "vector") < hnsw.size_bytes(FACTS, "vector") / 3
    assert DISKANN.memory_kb(FACTS, "vector", None) < hnsw.memory_kb(FACTS, "vector", None) / 2
