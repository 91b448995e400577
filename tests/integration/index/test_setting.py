"""The setting that an index job stores: the smallest that does, honestly measured."""

from __future__ import annotations

import pytest

from rowvec.db.index_form import Setting
from support.indexing import Work


def test_the_stored_setting_is_the_smallest(work: Work) -> None:
    """One probe less was tried, and was not enough."""
    work.items(20_000)
    work.scatter()
    result = work.build("items", kind="ivfflat", target_recall=0.99)
    probes = result.setting.value
    assert probes is not None
    assert probes > 1
    recalls = {one.setting.value: one.recall for one in result.measured if one.setting}
    assert recalls[probes - 1] < 0.99 <= recalls[probes]


def test_a_query_is_planned_anew_for_each_setting(work: Work) -> None:
    """A prepared statement keeps its plan: after exact searches all settings would look exact."""
    work.items(5000)
    first = next(
        one for one in work.build("items", lists=200, target_recall=1.0).measured if one.setting
    )
    assert first.setting == Setting("probes", 1)
    assert first.recall < 0.95


def test_target_recall_is_the_databases_own_until_one_is_asked_for(work: Work) -> None:
    work.items(500)
    work.connection.execute("UPDATE rowvec.setting SET value = '1.0' WHERE name = 'target_recall'")
    assert work.build("items").target_recall == 1.0
    work.build("items", target_recall=0.9)
    assert work.build("items").target_recall == pytest.approx(0.9)


def test_equal_vectors_are_equally_good_neighbours(work: Work) -> None:
    """Fifty rows of one text: which ten of them are found says nothing about the index."""
    work.items(200)
    work.connection.execute(
        "UPDATE items SET embedding = array_fill(1, ARRAY[8])::vector WHERE id <= 100"
    )
    work.connection.execute("DELETE FROM items WHERE id > 100")
    result = work.build("items")
    assert {one.recall for one in result.measured} == {1.0}


def test_a_small_table_is_read_to_a_thousand_vectors(work: Work) -> None:
    """Users ask what no row is: a few probes more cost nothing there."""
    work.items(500)
    result = work.build("items", target_recall=0.5)
    assert (result.setting.value, result.recall) == (22, 1.0)
    assert work.stored()["index_lists"] == 22
