"""The index job: chosen, built, measured, stored, used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from rowvec.db.index_form import Setting
from rowvec.errors import DatabaseError, InvalidRequest, NotSupported
from support.commands import Rowvec
from support.indexes import stored
from support.indexing import Work
from support.postgres import Database
from support.waiting import eventually


def test_builds_measures_and_stores(work: Work) -> None:
    """Ivfflat for few rows: the root of the rows as lists, and the smallest number of probes."""
    work.items(3000)
    result = work.build("items")
    assert (result.rows, result.kind, result.lists, result.was_built) == (3000, "ivfflat", 55, True)
    assert result.recall is not None
    assert result.recall >= result.target_recall == 0.95
    assert result.build_seconds is not None
    exact, *tried = result.measured
    assert exact.setting is None
    assert result.setting in [one.setting for one in tried]
    kept = work.stored()
    assert kept["index_name"] == "items_embedding_idx"
    assert (kept["index_kind"], kept["index_storage"]) == ("ivfflat", "vector")
    assert (kept["index_lists"], kept["index_rows"]) == (55, 3000)
    assert result.setting == Setting(kept["setting_name"], kept["setting"], kept["rescore"])
    assert (result.setting.name, result.setting.rescore) == ("probes", None)
    assert kept["measured_at"] is not None
    assert "lists='55'" in work.indexes()["items_embedding_idx"]


def test_few_rows_still_get_ten_lists(work: Work) -> None:
    work.items(20)
    assert work.build("items").lists == 10


@pytest.mark.parametrize(
    ("kind", "storage", "order", "used"),
    [
        ("ivfflat", "vector", "embedding <=> %s::vector", {"probes"}),
        ("ivfflat", "halfvec", "(embedding::halfvec(8)) <=> %s::vector::halfvec(8)", {"probes"}),
        ("hnsw", "vector", "embedding <=> %s::vector", {"ef_search"}),
        ("hnsw", "halfvec", "(embedding::halfvec(8)) <=> %s::vector::halfvec(8)", {"ef_search"}),
        (
            "hnsw",
            "bit",
            "binary_quantize(embedding)::bit(8) <~> binary_quantize(%s::vector)",
            {"ef_search", "rescore"},
        ),
        (
            "ivfflat",
            "bit",
            "binary_quantize(embedding)::bit(8) <~> binary_quantize(%s::vector)",
            {"probes", "rescore"},
        ),
    ],
)
def test_every_kind_and_storage_is_used_and_measured(  # a row of the table above
    work: Work,
    kind: str,
    storage: str,
    order: str,
    used: set[str],
) -> None:
    """The planner takes the index for the expression that a search orders by."""
    work.items(3000)
    result = work.build("items", kind=kind, storage=storage)
    assert (result.kind, result.storage) == (kind, storage)
    kept = work.stored()
    assert (kept["index_kind"], kept["index_storage"]) == (kind, storage)
    assert {kept["setting_name"]} | ({"rescore"} if kept["rescore"] else set()) == used
    assert kept["setting"] is not None
    assert "Index Scan using items_embedding_idx" in work.plan_of(order)


@pytest.mark.parametrize(
    ("metric", "opclass", "operator"),
    [("cosine", "cosine", "<=>"), ("inner_product", "ip", "<#>"), ("l2", "l2", "<->")],
)
def test_the_metric_of_the_definition(work: Work, metric: str, opclass: str, operator: str) -> None:
    work.items(3000)
    work.connection.execute("ANALYZE items")
    work.connection.execute("UPDATE rowvec.embedding SET metric = %s", (metric,))
    result = work.build("items")
    assert result.recall is not None
    assert result.recall >= 0.95
    assert f"vector_{opclass}_ops" in work.indexes()["items_embedding_idx"]
    assert "items_embedding_idx" in work.plan_of(f"embedding {operator} %s::vector")


def test_another_metric_means_another_index(work: Work) -> None:
    work.items(300)
    work.build("items")
    work.connection.execute("UPDATE rowvec.embedding SET metric = 'l2'")
    assert work.build("items").was_built
    assert "vector_l2_ops" in work.indexes()["items_embedding_idx"]


def test_a_good_index_is_only_measured_again(work: Work) -> None:
    work.items(500)
    work.build("items")
    node = "SELECT relfilenode FROM pg_class WHERE relname = 'items_embedding_idx'"
    before = work.connection.execute(node).fetchone()
    again = work.build("items", target_recall=1.0)
    assert (again.was_built, again.build_seconds) == (False, None)
    assert again.recall == 1.0
    assert work.connection.execute(node).fetchone() == before
    assert work.said == []
    rebuilt = work.build("items", rebuild=True)
    assert rebuilt.was_built
    assert work.connection.execute(node).fetchone() != before
    assert work.said[0] == "items_embedding_idx is built again: as asked"


def test_what_is_asked_for_replaces_what_stands(work: Work) -> None:
    work.items(500)
    work.build("items")
    result = work.build("items", kind="hnsw")
    assert (result.kind, result.lists, result.was_built) == ("hnsw", None, True)
    assert work.said[0] == ("items_embedding_idx is built again: hnsw is asked for, it is ivfflat")
    assert list(work.indexes()) == ["items_embedding_idx"]
    kept = work.stored()
    assert (kept["index_kind"], kept["setting_name"], kept["index_lists"]) == (
        "hnsw", "ef_search", None,
    )  # fmt: skip
    # Without a wish what stands is good.
    assert not work.build("items").was_built


def test_a_table_that_has_grown_is_reported_and_refreshed(work: Work) -> None:
    """The old index serves until the new one stands; nothing of it is left."""
    work.items(400)
    work.build("items")
    work.connection.execute(
        "INSERT INTO items SELECT id + 400, body, embedding FROM items"
        " UNION ALL SELECT id + 800, body, embedding FROM items"
    )
    assert not work.build("items").was_built
    (sentence,) = work.said
    assert "it was built for 400 vectors, there are 1,200; --refresh builds another" in sentence
    refreshed = work.build("items", refresh=True)
    assert (refreshed.was_built, refreshed.lists) == (True, 35)
    assert work.stored()["index_rows"] == 1200
    assert list(work.indexes()) == ["items_embedding_idx"]
    assert not work.build("items", refresh=True).was_built


def test_a_recall_that_fell_is_a_reason_to_refresh(work: Work) -> None:
    work.items(3000)
    work.build("items", lists=54, target_recall=0.9)
    work.connection.execute("UPDATE rowvec.embedding SET setting = 1, target_recall = 1")
    assert work.build("items", refresh=True).was_built
    assert "the target 1" in work.said[0]


def test_a_dry_run_says_why_and_builds_nothing(work: Work) -> None:
    work.items(500)
    result = work.build("items", dry_run=True)
    assert (result.kind, result.storage, result.lists) == ("ivfflat", "vector", 22)
    assert "of 500 rows it answers in a few milliseconds" in result.reasons[0]
    assert not result.was_built
    assert work.indexes() == {}
    assert work.stored()["index_name"] is None


def test_an_invalid_leftover_is_reported_dropped_and_built_anew(work: Work) -> None:
    work.items(100)
    work.build("items")
    invalid = "indexrelid = 'items_embedding_idx'::regclass"
    work.connection.execute(f"UPDATE pg_index SET indisvalid = false WHERE {invalid}")
    assert work.build("items").was_built
    assert "left over from a build that was killed" in work.said[0]
    assert list(work.indexes()) == ["items_embedding_idx"]


def test_what_a_killed_refresh_left_beside_is_dropped(work: Work) -> None:
    work.items(100)
    work.build("items")
    work.connection.execute(
        "CREATE INDEX items_embedding_idx_new ON items USING hnsw (embedding vector_cosine_ops)"
    )
    assert not work.build("items").was_built
    assert "items_embedding_idx_new is left over" in work.said[0]
    assert list(work.indexes()) == ["items_embedding_idx"]


def test_long_names_do_not_collide(work: Work) -> None:
    """Index names are cut at 63 bytes; their endings tell them apart and stay whole."""
    work.items(300)
    work.connection.execute(f"ALTER TABLE items RENAME TO {'t' * 60}")
    work.build("t" * 60)
    assert work.build("t" * 60, rebuild=True).was_built
    (name,) = work.indexes()
    assert len(name) == 63
    assert name.endswith("_idx")


def test_nothing_to_index(work: Work) -> None:
    work.items(0)
    with pytest.raises(InvalidRequest, match="no row of items has a vector"):
        work.build("items")


def test_more_than_2000_dimensions_are_stored_as_halves(work: Work) -> None:
    work.items(30, dimensions=2001)
    result = work.build("items")
    assert result.storage == "halfvec"
    assert "2,001 dimensions" in result.reasons[0]


def test_more_than_4000_dimensions_are_explained(work: Work) -> None:
    work.items(30, dimensions=4001)
    with pytest.raises(NotSupported, match="at most 4,000 dimensions") as caught:
        work.build("items")
    assert "--storage bit" in str(caught.value.hint)
    assert work.build("items", storage="bit", kind="hnsw").storage == "bit"


def partitioned(work: Work) -> None:
    """Two levels: a range, and a list below one of its partitions."""
    work.items(2000)
    work.connection.execute("ALTER TABLE items RENAME TO plain")
    work.connection.execute(
        "CREATE TABLE items (LIKE plain, PRIMARY KEY (id)) PARTITION BY RANGE (id)"
    )
    work.connection.execute("CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (1000)")
    work.connection.execute(
        "CREATE TABLE high PARTITION OF items FOR VALUES FROM (1000) TO (9000)"
        " PARTITION BY RANGE (id)"
    )
    work.connection.execute(
        "CREATE TABLE high_1 PARTITION OF high FOR VALUES FROM (1000) TO (1500)"
    )
    work.connection.execute(
        "CREATE TABLE high_2 PARTITION OF high FOR VALUES FROM (1500) TO (9000)"
    )
    work.connection.execute("INSERT INTO items SELECT * FROM plain")
    work.connection.execute("UPDATE rowvec.embedding SET source = 'items'")
    work.connection.execute("ANALYZE items")


@pytest.mark.parametrize("kind", ["ivfflat", "hnsw"])
def test_partitions_get_theirs_one_by_one(work: Work, kind: str) -> None:
    partitioned(work)
    result = work.build("items", kind=kind)
    assert result.recall is not None
    assert result.recall >= 0.95
    found = work.indexes()
    assert set(found) == {
        f"{table}_embedding_idx" for table in ("items", "low", "high", "high_1", "high_2")
    }
    if kind == "ivfflat":
        assert "lists='32'" in found["low_embedding_idx"]
        assert "lists='22'" in found["high_1_embedding_idx"]
    # Of so few rows the planner itself takes hnsw for dear.
    work.connection.execute(
        "SELECT set_config('enable_seqscan', %s, false)", (str(kind != "hnsw"),)
    )
    plan = work.plan_of("embedding <=> %s::vector")
    assert "Merge Append" in plan
    assert "low_embedding_idx" in plan


def test_partitioned_index_is_made_whole_and_refreshed(work: Work) -> None:
    """A build that was killed between two partitions, then a rebuild of all beside the old one."""
    partitioned(work)
    work.connection.execute(
        "CREATE INDEX items_embedding_idx ON ONLY items USING ivfflat"
        " (embedding vector_cosine_ops) WITH (lists = 22)"
    )
    work.connection.execute(
        "CREATE INDEX low_embedding_idx ON low USING ivfflat"
        " (embedding vector_cosine_ops) WITH (lists = 32)"
    )
    assert work.build("items").was_built
    assert len(work.indexes()) == 5
    assert not work.build("items").was_built
    assert work.build("items", rebuild=True, kind="hnsw").was_built
    found = work.indexes()
    assert len(found) == 5
    assert all("hnsw" in definition for definition in found.values())
    assert not any(name.endswith(("_new", "_old")) for name in found)


def test_a_moment_without_writers_is_waited_for(work: Work, database: Database) -> None:
    """Indexing partitions needs a lock for a moment; whoever writes meanwhile goes first."""
    partitioned(work)
    with database.connect() as writer, ThreadPoolExecutor(1) as pool:
        with writer.transaction():
            writer.execute("UPDATE items SET body = body WHERE id = 1")
            building = pool.submit(work.build, "items")
            with database.connect() as observer:
                waiting = (
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowvec index'"
                    " AND wait_event_type = 'Lock' AND datname = current_database()"
                )
                eventually(lambda: observer.execute(waiting).fetchone() == (1,))
                # Others are not kept waiting behind it for longer than that.
                observer.execute("UPDATE items SET body = body WHERE id = 2")
            assert not building.done()
        assert building.result().was_built


def test_chunks_are_indexed_where_they_are(work: Work, rowvec: Rowvec) -> None:
    """The index of a destination table is on the table of chunks, and search uses it."""
    work.connection.execute(
        "CREATE TABLE papers AS SELECT i AS id, repeat('text ' || i || ' ', 12) AS body"
        " FROM generate_series(1, 400) AS i"
    )
    work.connection.execute("ALTER TABLE papers ADD PRIMARY KEY (id)")
    work.connection.execute(
        "SELECT rowvec.create_embedding('papers', 'stand-in-small', 'body', destination => 'table')"
    )
    done = rowvec("backfill", "papers", "--dsn", work.dsn)
    assert done.returncode == 0, done.stderr
    result = work.build("papers")
    assert result.rows > 400
    assert list(work.indexes()) == ["papers_embedding_embedding_idx"]
    work.connection.execute("ANALYZE papers_embedding")
    found = work.explain("papers")
    assert found.index == "papers_embedding_embedding_idx"
    assert advice(work) is None


def test_missing_table(work: Work) -> None:
    with pytest.raises(DatabaseError, match='relation "nothing" does not exist'):
        work.build("nothing")


def advice(work: Work) -> str | None:
    """What `rowvec status` says of the index."""
    found = work.connection.execute("SELECT index_advice FROM rowvec.status").fetchone()
    assert found is not None
    advice: str | None = found[0]
    return advice


def test_status_says_when_to_build_anew(work: Work, rowvec: Rowvec) -> None:
    """A table that has grown, a recall below the target, an index that is gone; hnsw just grows."""
    work.items(400)
    assert advice(work) is None
    work.build("items")
    assert advice(work) is None
    work.connection.execute("UPDATE rowvec.embedding SET index_rows = 199")
    grown = (
        "items_embedding_idx was built for 199 vectors, there are about 400: "
        "rowvec index public.items --refresh"
    )
    assert advice(work) == grown
    assert grown in " ".join(rowvec("status", "--dsn", work.dsn).stdout.split())
    work.connection.execute(f"UPDATE rowvec.embedding SET {stored('hnsw', 40)}")
    assert advice(work) is None
    work.connection.execute("UPDATE rowvec.embedding SET recall = 0.9")
    assert "a recall of 0.900, the target is 0.95" in str(advice(work))
    work.connection.execute("DROP INDEX items_embedding_idx")
    assert advice(work) == "items_embedding_idx is gone: rowvec index public.items"
