"""A kind that an extension may bring: refused without it, and an index like any other with it.

The extension itself is not here. Its access method is stood in for by one of the same name that is
hnsw inside: real statements, plans and scans, but nothing of what the extension does.
"""

from __future__ import annotations

from typing import Any

import pytest

from rowvec.db.index_form import Setting
from rowvec.errors import NotSupported
from rowvec.index.kinds.diskann import KIND
from support.commands import Rowvec

# As CREATE EXTENSION may have it: in a schema of its own, beside pgvector's.
_ACCESS_METHOD = """
    CREATE ACCESS METHOD diskann TYPE INDEX HANDLER hnswhandler;
    CREATE SCHEMA vectorscale;
    CREATE OPERATOR CLASS vectorscale.vector_cosine_ops DEFAULT FOR TYPE vector USING diskann AS
        OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
        FUNCTION 1 vector_negative_inner_product(vector, vector),
        FUNCTION 2 vector_norm(vector);
"""


@pytest.fixture
def installed(work: Any) -> Any:
    work.items(3000)
    work.connection.execute(_ACCESS_METHOD)
    return work


def test_without_the_extension_it_is_refused(work: Any, rowvec: Rowvec) -> None:
    work.items(100)
    for dry_run in (True, False):
        with pytest.raises(NotSupported, match="no index of the kind diskann") as caught:
            work.build("items", kind="diskann", dry_run=dry_run)
        assert "extension vectorscale: CREATE EXTENSION vectorscale" in str(caught.value.hint)
    said = rowvec("index", "items", "--kind", "diskann", "--dsn", work.dsn)
    assert said.returncode == 1
    assert "no index of the kind diskann" in said.stderr


def test_a_metric_that_the_extension_lacks_is_refused(installed: Any) -> None:
    """Release 0.5.1 has no class for inner products."""
    installed.connection.execute("UPDATE rowvec.embedding SET metric = 'inner_product'")
    with pytest.raises(NotSupported, match="of the kind diskann for vector_ip_ops"):
        installed.build("items", kind="diskann")


def test_it_is_built_measured_and_stored(installed: Any) -> None:
    result = installed.build("items", kind="diskann")
    assert (result.kind, result.storage, result.lists) == ("diskann", "vector", None)
    assert installed.indexes()["items_embedding_idx"].endswith("USING diskann (embedding)")
    kept = installed.stored()
    assert (kept["index_kind"], kept["index_is_graph"]) == ("diskann", True)
    assert result.setting == Setting("query_rescore", kept["setting"])
    assert kept["setting_most"] == KIND.most
    assert not installed.build("items").was_built


def test_tune_measures_it_at_every_setting(installed: Any) -> None:
    installed.build("items", kind="diskann")
    result = installed.tune("items", k=20, apply="database")
    first = result.measured[1].setting
    assert first == Setting("query_rescore", 20)
    assert 'SET "diskann"."query_rescore" = 20' in result.by_hand.statements[0]


def test_a_search_reads_it_with_its_setting(installed: Any) -> None:
    """Never fewer than the rows that are wanted; an option of the same name comes first."""
    result = installed.build("items", kind="diskann")
    found = installed.explain("items")
    assert (found.index, found.why_not) == ("items_embedding_idx", None)
    assert found.settings == {"diskann.query_rescore": str(result.setting.value)}
    assert installed.explain("items", k=30).settings == {"diskann.query_rescore": "30"}
    connection = installed.connection
    with connection.transaction():
        connection.execute("SET LOCAL rowvec.explain = 'on'")
        connection.execute(
            "SELECT * FROM rowvec.search('items', 'a query',"
            """ options => '{"query_rescore": 70}')"""
        )
        (plan,) = connection.execute("SELECT current_setting('rowvec.plan')::json").fetchone()
    assert plan["settings"][:2] == ["diskann.query_rescore", "70"]


def test_a_filter_finds_k_rows_where_the_scan_gave_up(installed: Any) -> None:
    """What stands in for it gives forty rows, of which four pass."""
    installed.build("items", kind="diskann")
    installed.connection.execute("SET enable_seqscan = off")
    found = installed.connection.execute(
        "SELECT key FROM rowvec.nearest('items', (SELECT embedding FROM items WHERE id = 9), 50,"
        " filter => 'id %% 10 = 0')",
        (),
    ).fetchall()
    assert len(found) == 50


def test_it_gives_way_to_another_kind_and_back(installed: Any) -> None:
    installed.build("items")
    assert installed.build("items", kind="diskann").was_built
    assert installed.said[0].endswith("diskann is asked for, it is ivfflat")
    assert installed.build("items", kind="ivfflat").was_built
    assert list(installed.indexes()) == ["items_embedding_idx"]
    assert installed.stored()["index_is_graph"] is False


def test_the_command_tells_of_it(installed: Any, rowvec: Rowvec) -> None:
    given = ("--dsn", installed.dsn)
    built = rowvec("index", "items", "--kind", "diskann", *given)
    assert built.returncode == 0, built.stderr
    assert "`search` uses query_rescore" in built.stderr
    told = rowvec("explain", "items", "a query", *given)
    assert "diskann of vector" in told.stdout
    assert "query_rescore" in told.stdout
