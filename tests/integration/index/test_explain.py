"""What a search did: its index, its setting, the rows it read, and why it used none."""

from __future__ import annotations

import pytest

from support.indexing import Work


@pytest.mark.parametrize(
    ("kind", "storage"),
    [
        ("ivfflat", "vector"), ("ivfflat", "halfvec"),
        ("hnsw", "vector"), ("hnsw", "halfvec"), ("hnsw", "bit"),
    ],
)  # fmt: skip
def test_search_uses_every_kind_of_index_at_default_settings(
    work: Work, kind: str, storage: str
) -> None:
    """The planner's own settings; the probes or ef_search that were stored."""
    work.items(3000)
    result = work.build("items", kind=kind, storage=storage)
    found = work.explain("items")
    assert found.why_not is None
    assert found.index == "items_embedding_idx"
    assert (found.index_kind, found.index_storage) == (kind, storage)
    if kind == "ivfflat":
        assert found.settings["ivfflat.probes"] == str(result.setting.value)
        assert found.lists == 55
    else:
        assert int(found.settings["hnsw.ef_search"]) >= (result.setting.value or 0)
    assert found.recall == pytest.approx(result.recall)
    assert 10 <= found.rows_read < 3000
    assert any("Index Scan using items_embedding_idx" in line for line in found.plan)


def test_a_filter_that_few_rows_pass(work: Work) -> None:
    """Reading those few by another index is cheaper, and exact."""
    work.items(5000)
    work.build("items")
    found = work.explain("items", filter="id = ANY ($1::int[])", filter_args=("{7,8}",))
    assert found.why_not is not None
    assert "the planner expects the index items_pkey" in str(found.why_not)
    assert "few rows pass the filter" in str(found.why_not)
    assert found.rows_read == 2


def test_a_filter_that_removes_rows_after_the_index_gave_them(work: Work) -> None:
    work.items(5000)
    work.build("items")
    found = work.explain("items", filter="id > 2500")
    assert found.why_not is None
    assert found.rows_removed > 0
    assert found.rows_read >= 10 + found.rows_removed


def test_no_index(work: Work) -> None:
    work.items(50)
    found = work.explain("items")
    assert found.why_not == "items has no index over vectors: `rowvec index` builds one"
    assert found.rows_read == 50


def test_an_invalid_index(work: Work) -> None:
    work.items(2000)
    work.build("items")
    work.connection.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'items_embedding_idx'::regclass"
    )
    assert "items_embedding_idx is INVALID" in str(work.explain("items").why_not)


def test_an_index_of_another_metric(work: Work) -> None:
    work.items(2000)
    work.connection.execute("CREATE INDEX mine ON items USING hnsw (embedding vector_l2_ops)")
    assert "another metric" in str(work.explain("items").why_not)


def test_a_table_that_is_cheaper_to_read_whole(work: Work) -> None:
    work.items(60)
    work.build("items")
    found = work.explain("items", k=50)
    assert "the table is small or k large" in str(found.why_not)
    assert "reading all of items" in str(found.why_not)


def test_nothing_is_left_of_it(work: Work) -> None:
    """Neither the session's settings nor the answers of search change."""
    work.items(2000)
    work.build("items")
    query = "SELECT count(*) FROM rowvec.search('items', 'a query')"
    with work.connection.transaction():
        work.connection.execute("SET LOCAL rowvec.explain = 'on'")
        assert work.connection.execute(query).fetchone() == (0,)
    assert work.connection.execute(query).fetchone() == (10,)
