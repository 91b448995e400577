"""The index job: built, measured, stored, used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from rowvec.config import Settings
from rowvec.db.index_form import Setting
from rowvec.errors import DatabaseError, InvalidRequest, NotSupported
from rowvec.search.build import build_index
from rowvec.search.recall import Measured
from rowvec.search.request import IndexRequest, IndexResult

BuildIndex = Callable[..., IndexResult]


@dataclass
class Said:
    """A reporter that keeps what it is told."""

    sentences: list[str] = field(default_factory=list)
    settings: list[Setting | None] = field(default_factory=list)

    def phase(self, name: str, done: int, total: int) -> None:
        """Nothing to keep."""

    def measured(self, one: Measured) -> None:
        self.settings.append(one.setting)

    def say(self, message: str) -> None:
        self.sentences.append(message)


@pytest.fixture
def build(database: Any) -> BuildIndex:
    """Runs the job in this process."""

    def run(source: str, reporter: Said | None = None, **request: Any) -> IndexResult:
        settings = Settings.build(dsn=database.dsn)
        return asyncio.run(
            build_index(settings, IndexRequest(source, **request), reporter or Said())
        )

    return run


@pytest.fixture
def connection(database: Any) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


def items(connection: psycopg.Connection, rows: int, dimensions: int = 8) -> None:
    """A table whose vectors are there already, in a few hundred clusters like those of texts."""
    connection.execute(
        f"CREATE TABLE items (id int PRIMARY KEY, body text, embedding vector({dimensions}),"
        " embedding_of bigint)"
    )
    connection.execute("SELECT setseed(0.5)")
    connection.execute(
        "INSERT INTO items SELECT i, 'text ' || i, (SELECT array_agg("
        " sin((i % 300) * 12.9898 + d * 78.233) + 0.1 * random()) FROM generate_series(1, %s) AS d)"
        "::vector FROM generate_series(1, %s) AS i".replace("i % 300", "i %% 300"),
        (dimensions, rows),
    )
    connection.execute(
        "INSERT INTO rowvec.embedding (source, name, model, input, dimensions)"
        " VALUES ('items', 'embedding', 'stand-in-small', 'body', %s)",
        (dimensions,),
    )


def stored(connection: psycopg.Connection) -> dict[str, Any]:
    """What `search` reads."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute("SELECT * FROM rowvec.embedding").fetchone()
    assert found is not None
    return found


def indexes(connection: psycopg.Connection) -> dict[str, str]:
    """Every valid index over vectors, by name: its operator class and definition."""
    found = connection.execute(
        "SELECT indexrelid::regclass::text, opcname || ' ' || pg_get_indexdef(indexrelid)"
        " FROM pg_index AS i JOIN pg_opclass AS o ON o.oid = i.indclass[0]"
        " JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam"
        " WHERE a.amname IN ('ivfflat', 'hnsw') AND i.indisvalid"
    ).fetchall()
    return dict(found)


def plan_of(connection: psycopg.Connection, order: str, table: str = "items") -> str:
    """The plan of a search at the planner's own settings."""
    lines = connection.execute(
        f"EXPLAIN (COSTS OFF) SELECT id FROM {table} ORDER BY {order} LIMIT 10",
        ([1.0] * 8,),
    ).fetchall()
    return "\n".join(line for (line,) in lines)


def test_builds_measures_and_stores(connection: psycopg.Connection, build: BuildIndex) -> None:
    """Ivfflat for few rows: the root of the rows as lists, and the smallest number of probes."""
    items(connection, 3000)
    result = build("items")
    assert (result.rows, result.kind, result.lists, result.was_built) == (3000, "ivfflat", 55, True)
    assert result.recall is not None
    assert result.recall >= result.target_recall == 0.95
    exact, *tried = result.measured
    assert exact.setting is None
    assert result.setting in [one.setting for one in tried]
    kept = stored(connection)
    assert kept["index_name"] == "items_embedding_idx"
    assert (kept["index_kind"], kept["index_storage"]) == ("ivfflat", "vector")
    assert (kept["index_lists"], kept["index_rows"]) == (55, 3000)
    assert (kept["probes"], kept["ef_search"], kept["rescore"]) == (
        result.setting.probes,
        None,
        None,
    )
    assert kept["measured_at"] is not None
    assert "lists='55'" in indexes(connection)["items_embedding_idx"]


def test_the_stored_setting_is_the_smallest(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    """One probe less was tried, and was not enough."""
    items(connection, 5000)
    result = build("items", target_recall=0.99)
    assert result.setting.probes is not None
    assert result.setting.probes > 1
    recalls = {one.setting.probes: one.recall for one in result.measured if one.setting}
    assert recalls[result.setting.probes - 1] < 0.99 <= recalls[result.setting.probes]


def test_a_query_is_planned_anew_for_each_setting(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    """A prepared statement keeps its plan: after exact searches all settings would look exact."""
    items(connection, 5000)
    first = next(
        one for one in build("items", lists=200, target_recall=1.0).measured if one.setting
    )
    assert first.setting == Setting(probes=1)
    assert first.recall < 0.95


def test_few_rows_still_get_ten_lists(connection: psycopg.Connection, build: BuildIndex) -> None:
    items(connection, 20)
    assert build("items").lists == 10


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
def test_every_kind_and_storage_is_used_and_measured(  # noqa: PLR0917  # a row of the table above
    connection: psycopg.Connection,
    build: BuildIndex,
    kind: str,
    storage: str,
    order: str,
    used: set[str],
) -> None:
    """The planner takes the index for the expression that a search orders by."""
    items(connection, 3000)
    connection.execute("ANALYZE items")
    result = build("items", kind=kind, storage=storage)
    assert (result.kind, result.storage) == (kind, storage)
    kept = stored(connection)
    assert (kept["index_kind"], kept["index_storage"]) == (kind, storage)
    assert {k for k in ("probes", "ef_search", "rescore") if kept[k] is not None} == used
    assert "Index Scan using items_embedding_idx" in plan_of(connection, order)


@pytest.mark.parametrize(
    ("metric", "opclass", "operator"),
    [("cosine", "cosine", "<=>"), ("inner_product", "ip", "<#>"), ("l2", "l2", "<->")],
)
def test_the_metric_of_the_definition(
    connection: psycopg.Connection, build: BuildIndex, metric: str, opclass: str, operator: str
) -> None:
    items(connection, 3000)
    connection.execute("ANALYZE items")
    connection.execute("UPDATE rowvec.embedding SET metric = %s", (metric,))
    result = build("items")
    assert result.recall is not None
    assert result.recall >= 0.95
    assert f"vector_{opclass}_ops" in indexes(connection)["items_embedding_idx"]
    assert "items_embedding_idx" in plan_of(connection, f"embedding {operator} %s::vector")


def test_another_metric_means_another_index(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 300)
    build("items")
    connection.execute("UPDATE rowvec.embedding SET metric = 'l2'")
    assert build("items").was_built
    assert "vector_l2_ops" in indexes(connection)["items_embedding_idx"]


def test_a_good_index_is_only_measured_again(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 500)
    build("items")
    node = "SELECT relfilenode FROM pg_class WHERE relname = 'items_embedding_idx'"
    before = connection.execute(node).fetchone()
    reporter = Said()
    again = build("items", reporter, target_recall=1.0)
    assert not again.was_built
    assert again.recall == 1.0
    assert connection.execute(node).fetchone() == before
    assert reporter.sentences == []
    rebuilt = build("items", reporter, rebuild=True)
    assert rebuilt.was_built
    assert connection.execute(node).fetchone() != before
    assert reporter.sentences[0] == "items_embedding_idx is built anew: as asked"


def test_what_is_asked_for_replaces_what_stands(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 500)
    build("items")
    reporter = Said()
    result = build("items", reporter, kind="hnsw")
    assert (result.kind, result.lists, result.was_built) == ("hnsw", None, True)
    assert reporter.sentences[0] == (
        "items_embedding_idx is built anew: hnsw is asked for, it is ivfflat"
    )
    assert list(indexes(connection)) == ["items_embedding_idx"]
    kept = stored(connection)
    assert (kept["index_kind"], kept["probes"], kept["index_lists"]) == ("hnsw", None, None)
    # Without a wish what stands is good.
    assert not build("items").was_built


def test_a_table_that_has_grown_is_reported_and_refreshed(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    """The old index serves until the new one stands; nothing of it is left."""
    items(connection, 400)
    build("items")
    connection.execute(
        "INSERT INTO items SELECT id + 400, body, embedding FROM items"
        " UNION ALL SELECT id + 800, body, embedding FROM items"
    )
    reporter = Said()
    assert not build("items", reporter).was_built
    (sentence,) = reporter.sentences
    assert "it was built for 400 vectors, there are 1,200; --refresh builds it anew" in sentence
    refreshed = build("items", reporter, refresh=True)
    assert (refreshed.was_built, refreshed.lists) == (True, 35)
    assert stored(connection)["index_rows"] == 1200
    assert list(indexes(connection)) == ["items_embedding_idx"]
    assert not build("items", refresh=True).was_built


def test_a_recall_that_fell_is_a_reason_to_refresh(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 3000)
    build("items", lists=54, target_recall=0.9)
    connection.execute("UPDATE rowvec.embedding SET probes = 1, target_recall = 1")
    reporter = Said()
    assert build("items", reporter, refresh=True).was_built
    assert "the target 1" in reporter.sentences[0]


def test_a_dry_run_says_why_and_builds_nothing(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 500)
    result = build("items", dry_run=True)
    assert (result.kind, result.storage, result.lists) == ("ivfflat", "vector", 22)
    assert "of 500 rows it answers in a few milliseconds" in result.reasons[0]
    assert not result.was_built
    assert indexes(connection) == {}
    assert stored(connection)["index_name"] is None


def test_an_invalid_leftover_is_reported_dropped_and_built_anew(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 100)
    build("items")
    invalid = "indexrelid = 'items_embedding_idx'::regclass"
    connection.execute(f"UPDATE pg_index SET indisvalid = false WHERE {invalid}")
    reporter = Said()
    assert build("items", reporter).was_built
    assert "left over from a build that was killed" in reporter.sentences[0]
    assert list(indexes(connection)) == ["items_embedding_idx"]


def test_what_a_killed_refresh_left_beside_is_dropped(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 100)
    build("items")
    connection.execute(
        "CREATE INDEX items_embedding_idx_new ON items USING hnsw (embedding vector_cosine_ops)"
    )
    reporter = Said()
    assert not build("items", reporter).was_built
    assert "items_embedding_idx_new is left over" in reporter.sentences[0]
    assert list(indexes(connection)) == ["items_embedding_idx"]


def test_long_names_do_not_collide(connection: psycopg.Connection, build: BuildIndex) -> None:
    """Index names are cut at 63 bytes; their endings tell them apart and stay whole."""
    items(connection, 300)
    connection.execute(f"ALTER TABLE items RENAME TO {'t' * 60}")
    build("t" * 60)
    assert build("t" * 60, rebuild=True).was_built
    (name,) = indexes(connection)
    assert len(name) == 63
    assert name.endswith("_idx")


def test_target_recall_is_the_databases_own_until_one_is_asked_for(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 500)
    connection.execute("UPDATE rowvec.setting SET value = '1.0' WHERE name = 'target_recall'")
    assert build("items").target_recall == 1.0
    build("items", target_recall=0.9)
    assert build("items").target_recall == pytest.approx(0.9)


def test_equal_vectors_are_equally_good_neighbours(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    """Fifty rows of one text: which ten of them are found says nothing about the index."""
    items(connection, 200)
    connection.execute(
        "UPDATE items SET embedding = array_fill(1, ARRAY[8])::vector WHERE id <= 100"
    )
    connection.execute("DELETE FROM items WHERE id > 100")
    result = build("items")
    assert (result.setting, result.recall) == (Setting(probes=1), 1.0)


def test_nothing_to_index(connection: psycopg.Connection, build: BuildIndex) -> None:
    items(connection, 0)
    with pytest.raises(InvalidRequest, match="no row of items has a vector"):
        build("items")


def test_more_than_2000_dimensions_are_stored_as_halves(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 30, dimensions=2001)
    result = build("items")
    assert result.storage == "halfvec"
    assert "2,001 dimensions" in result.reasons[0]


def test_more_than_4000_dimensions_are_explained(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 30, dimensions=4001)
    with pytest.raises(NotSupported, match="at most 4,000 dimensions") as caught:
        build("items")
    assert "--storage bit" in str(caught.value.hint)
    assert build("items", storage="bit", kind="hnsw").storage == "bit"


def partitioned(connection: psycopg.Connection) -> None:
    """Two levels: a range, and a list below one of its partitions."""
    items(connection, 2000)
    connection.execute("ALTER TABLE items RENAME TO plain")
    connection.execute("CREATE TABLE items (LIKE plain, PRIMARY KEY (id)) PARTITION BY RANGE (id)")
    connection.execute("CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (1000)")
    connection.execute(
        "CREATE TABLE high PARTITION OF items FOR VALUES FROM (1000) TO (9000)"
        " PARTITION BY RANGE (id)"
    )
    connection.execute("CREATE TABLE high_1 PARTITION OF high FOR VALUES FROM (1000) TO (1500)")
    connection.execute("CREATE TABLE high_2 PARTITION OF high FOR VALUES FROM (1500) TO (9000)")
    connection.execute("INSERT INTO items SELECT * FROM plain")
    connection.execute("UPDATE rowvec.embedding SET source = 'items'")
    connection.execute("ANALYZE items")


@pytest.mark.parametrize("kind", ["ivfflat", "hnsw"])
def test_partitions_get_theirs_one_by_one(
    connection: psycopg.Connection, build: BuildIndex, kind: str
) -> None:
    partitioned(connection)
    result = build("items", kind=kind)
    assert result.recall is not None
    assert result.recall >= 0.95
    found = indexes(connection)
    assert set(found) == {
        f"{table}_embedding_idx" for table in ("items", "low", "high", "high_1", "high_2")
    }
    if kind == "ivfflat":
        assert "lists='32'" in found["low_embedding_idx"]
        assert "lists='22'" in found["high_1_embedding_idx"]
    # Of so few rows the planner itself takes hnsw for dear.
    connection.execute("SELECT set_config('enable_seqscan', %s, false)", (str(kind != "hnsw"),))
    plan = plan_of(connection, "embedding <=> %s::vector")
    assert "Merge Append" in plan
    assert "low_embedding_idx" in plan


def test_partitioned_index_is_made_whole_and_refreshed(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    """A build that was killed between two partitions, then a rebuild of all beside the old one."""
    partitioned(connection)
    connection.execute(
        "CREATE INDEX items_embedding_idx ON ONLY items USING ivfflat"
        " (embedding vector_cosine_ops) WITH (lists = 22)"
    )
    connection.execute(
        "CREATE INDEX low_embedding_idx ON low USING ivfflat"
        " (embedding vector_cosine_ops) WITH (lists = 32)"
    )
    assert build("items").was_built
    assert len(indexes(connection)) == 5
    assert not build("items").was_built
    assert build("items", rebuild=True, kind="hnsw").was_built
    found = indexes(connection)
    assert len(found) == 5
    assert all("hnsw" in definition for definition in found.values())
    assert not any(name.endswith(("_new", "_old")) for name in found)


def test_missing_table(build: BuildIndex) -> None:
    with pytest.raises(DatabaseError, match='relation "nothing" does not exist'):
        build("nothing")
