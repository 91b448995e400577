"""search, similar and ORDER BY ... <=> embed(): right rows, the index used, settings put back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from rowvec.embedded.postgres import PostgresCluster
from support.hashes import row_hash
from support.indexes import stored
from support.postgres import Database, refused
from support.workers import Worker


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    """A filled table of 60 things."""
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE things (id int PRIMARY KEY, name text, price numeric, tags text[], "
            "facts jsonb, made date)"
        )
        connection.execute(
            "INSERT INTO things SELECT g, 'thing ' || g, g / 2.0, ARRAY['t' || g % 3], "
            "jsonb_build_object('n', g), date '2024-01-01' + g FROM generate_series(1, 60) AS g"
        )
        connection.execute("SELECT rowvec.create_embedding('things', 'stand-in-small', 'name')")
        connection.execute("CALL rowvec.backfill('things')")
        yield connection


@pytest.fixture(scope="module")
def _large(
    _template: str, cluster: PostgresCluster, _admin: psycopg.Connection, worker: Worker
) -> Iterator[str]:
    """A database with 20,000 random vectors under an ivfflat index, analysed; made once."""
    name = "rowvec_large"
    _admin.execute(f"CREATE DATABASE {name} TEMPLATE {_template} STRATEGY file_copy")
    with psycopg.connect(cluster.dsn(name), autocommit=True) as conn:
        conn.execute(
            sql.SQL("ALTER SERVER rowvec_worker OPTIONS (SET host {})").format(
                sql.Literal(str(worker.folder))
            )
        )
        conn.execute(
            sql.SQL(
                "CREATE USER MAPPING FOR rowvec_caller SERVER rowvec_worker "
                "OPTIONS (user 'rowvec', password {})"
            ).format(sql.Literal(worker.password))
        )
        conn.execute("CREATE TABLE items (id int PRIMARY KEY, body text)")
        conn.execute("INSERT INTO items SELECT g, 'item ' || g FROM generate_series(1, 20000) AS g")
        conn.execute("SELECT rowvec.create_embedding('items', 'stand-in', 'body')")
        conn.execute("SELECT setseed(0.5)")
        conn.execute(
            f"UPDATE items SET embedding_of = {row_hash(conn, 'items')}, embedding = "
            "(SELECT array_agg(random() - 0.5) FROM generate_series(1, 384 + id * 0))::vector"
        )
        conn.execute(
            "CREATE INDEX items_embedding_idx ON items "
            "USING ivfflat (embedding vector_cosine_ops) WITH (lists = 20)"
        )
        conn.execute(
            "UPDATE rowvec.embedding SET index_name = 'items_embedding_idx', "
            f"index_lists = 20, {stored('ivfflat', 20)}"
        )
        conn.execute("VACUUM ANALYZE items")
    yield name
    _admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def large(_large: str, cluster: PostgresCluster) -> Iterator[psycopg.Connection]:
    with psycopg.connect(cluster.dsn(_large), autocommit=True) as connection:
        yield connection


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement, parameters or None).fetchone()
    assert row is not None
    return row[0]


def keys(conn: psycopg.Connection, call: str, *parameters: object) -> list[Any]:
    return [row[0] for row in conn.execute(f"SELECT key FROM rowvec.{call}", parameters or None)]


def requests(conn: psycopg.Connection) -> int:
    return int(one(conn, "SELECT requests FROM rowvec.models() WHERE name = 'stand-in'"))


def test_the_nearest_come_first(conn: psycopg.Connection) -> None:
    found = conn.execute("SELECT * FROM rowvec.search('things', 'thing 7', 5)").fetchall()
    exact = conn.execute(
        "SELECT id, embedding <=> rowvec.embed('stand-in-small', 'thing 7') AS d "
        "FROM things ORDER BY d LIMIT 5"
    ).fetchall()
    assert [(key, distance) for key, distance, _, _ in found] == exact
    assert [rank for _, _, rank, _ in found] == [1, 2, 3, 4, 5]
    assert found[0][3] == {
        "id": 7, "name": "thing 7", "price": 3.5, "tags": ["t1"], "facts": {"n": 7},
        "made": "2024-01-08",
    }  # fmt: skip


FILTERS = {
    "number": ("price < $1", [5], lambda g: g < 10),
    "text": ("name = $1", ["thing 8"], lambda g: g == 8),
    "injection": ("name = $1", ["x' OR true --"], lambda _: False),
    "date": ("made <= $1", ["2024-01-05"], lambda g: g <= 4),
    "array": ("id = ANY ($1)", [[3, 4]], lambda g: g in (3, 4)),
    "array of texts": ("tags && $1", [["t0", 'it\'s, {"quoted"}']], lambda g: g % 3 == 0),
    "jsonb": ("facts @> $1", [{"n": 9}], lambda g: g == 9),
    "null": ("name = coalesce($1, 'thing 2')", [None], lambda g: g == 2),
    "boolean": ("(id = 1) = $1", [True], lambda g: g == 1),
    "two": ("id BETWEEN $1 AND $2 -- both", [4, 6], lambda g: 4 <= g <= 6),
    "one twice": ("id = $1 OR price = $1", [3], lambda g: g in (3, 6)),
    "qualified": ("things.id = $1", [3], lambda g: g == 3),
    "no values": ("id % 2 = 0 AND id < 9", None, lambda g: g in (2, 4, 6, 8)),
    "empty values": ("id = 2", [], lambda g: g == 2),
}


@pytest.mark.parametrize("case", FILTERS.values(), ids=FILTERS)
def test_filter(conn: psycopg.Connection, case: tuple[str, Any, Any]) -> None:
    expression, values, accepts = case
    arguments = None if values is None else Jsonb(values)
    found = keys(
        conn, "search('things', 'x', 100, filter => %s, filter_args => %s)", expression, arguments
    )
    assert sorted(found) == [g for g in range(1, 61) if accepts(g)]
    assert one(conn, "SELECT count(*) FROM pg_prepared_statements WHERE name ~ '^rowvec'") == 0


TRICKS = (
    "true) OR (true",
    "true; DELETE FROM things",
    "true); DELETE FROM things; SELECT (true",
    "true) LIMIT 1 --",
    "true /*",
    "true UNION SELECT true",
    "'",
    "$$",
    "",
    "id = $1) OR (id = $1",
    "id = $1; DELETE FROM things WHERE id = $1",
    "id = $1); DELETE FROM things; SELECT ($1",
)


@pytest.mark.parametrize("trick", TRICKS)
def test_filter_is_one_expression(conn: psycopg.Connection, trick: str) -> None:
    for values in (None, Jsonb([1])):
        with pytest.raises(psycopg.Error) as caught:
            keys(conn, "search('things', 'x', 3, filter => %s, filter_args => %s)", trick, values)
        assert caught.value.sqlstate in ("42601", "42703", "22023")
    assert one(conn, "SELECT count(*) FROM things") == 60


MISTAKES = {
    "k = 0": ("search('things', 'x', 0)", "22023", "k must be", ""),
    "k too large": ("search('things', 'x', 10001)", "22023", "k must be", ""),
    "k NULL": ("search('things', 'x', NULL)", "22023", "k must be", ""),
    "query NULL": ("search('things', NULL)", "22004", "query must not be NULL", ""),
    "no table": ("search('nothing', 'x')", "42P01", "nothing", ""),
    "option": ("""search('things', 'x', options => '{"bad": 1}')""", "22023", "bad", "probes"),
    "probes": ("""search('things', 'x', options => '{"probes": 0}')""", "22023", "probes", ""),
    "probes text": (
        """search('things', 'x', options => '{"probes": "many"}')""", "22023", "probes", "",
    ),
    "current": ("""search('things', 'x', options => '{"current": 1}')""", "22023", "current", ""),
    "options": ("search('things', 'x', options => '[]')", "22023", "JSON object", ""),
    "column": ("search('things', 'x', filter => 'nothing > 1')", "42703", "nothing", ""),
    "no boolean": ("search('things', 'x', filter => 'price')", "42804", "boolean", ""),
    "values without filter": ("search('things', 'x', filter_args => '[1]')", "22023", "", ""),
    "too many values": (
        "search('things', 'x', filter => 'id = $1', filter_args => '[1, 2]')", "22023",
        "of the filter: 1, not 2", "",
    ),
    "values no array": (
        "search('things', 'x', filter => 'id = $1', filter_args => '{}')", "22023", "array", "",
    ),
    "missing values": ("search('things', 'x', filter => 'id = $1')", "42P02", "$1", "filter_args"),
    "syntax": ("search('things', 'x', filter => 'id <')", "42601", "(id <)", "stars >= 4"),
    "wrong type": (
        """search('things', 'x', filter => 'id = $1', filter_args => '["x"]')""", "22P02", "", "",
    ),
    "unknown key": ("similar('things', '999')", "P0002", "has no row with the key 999", ""),
    "key of another type": (
        """similar('things', '"x"')""", "22023", 'the key "x" does not fit', "id of type integer",
    ),
    "key NULL": ("similar('things', NULL)", "22023", "does not fit", "id of type integer"),
    "key null": ("similar('things', 'null')", "22023", "does not fit", ""),
    "no vector": ("similar('things', '61')", "55000", "has no vector yet", "backfill"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    conn: psycopg.Connection, mistake: tuple[str, str, str, str]
) -> None:
    """The caller's settings and prepared statements are as they were, in a transaction too."""
    call, sqlstate, message, hint = mistake
    conn.execute("INSERT INTO things VALUES (61, 'pending')")
    conn.execute("SET ivfflat.probes = 3")
    conn.execute(f"UPDATE rowvec.embedding SET {stored('ivfflat', 7)}")
    with conn.transaction():
        with refused(sqlstate, message, hint), conn.transaction():
            conn.execute(f"SELECT * FROM rowvec.{call}")
        assert one(conn, "SHOW ivfflat.probes") == "3"
    assert one(conn, "SHOW ivfflat.probes") == "3"
    assert one(conn, "SELECT count(*) FROM pg_prepared_statements WHERE name ~ '^rowvec'") == 0


def test_an_error_of_the_filter_has_no_empty_lines(conn: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("SELECT * FROM rowvec.search('things', 'x', filter => '1 / (id - id) = 1')")
    assert caught.value.sqlstate == "22012"
    assert (caught.value.diag.message_detail, caught.value.diag.message_hint) == (None, None)


def test_pending_rows(conn: psycopg.Connection) -> None:
    """The old vector serves until the new one is there, unless only current rows are wanted."""
    conn.execute("UPDATE things SET name = 'moved on' WHERE id = 7")
    assert keys(conn, "search('things', 'thing 7', 1)") == [7]
    current = """search('things', 'thing 7', 100, options => '{"current": true}')"""
    assert len(keys(conn, current)) == 59
    assert 7 not in keys(conn, current)
    conn.execute("CALL rowvec.backfill('things')")
    assert keys(conn, "search('things', 'moved on', 1)") == [7]


def test_similar_is_never_the_row_itself(conn: psycopg.Connection) -> None:
    conn.execute("INSERT INTO things VALUES (70, 'thing 7')")
    conn.execute("CALL rowvec.backfill('things')")
    found = conn.execute("SELECT key, distance FROM rowvec.similar('things', '7', 100)").fetchall()
    assert found[0] == (70, 0)
    assert len(found) == 60
    assert 7 not in [key for key, _ in found]
    filtered = "similar('things', '7', 2, filter => 'id < $1', filter_args => '[9]')"
    assert set(keys(conn, filtered)) <= {1, 2, 3, 4, 5, 6, 8}


def test_names_of_the_users_meet_none_of_ours(conn: psycopg.Connection) -> None:
    """A table and columns with the names that our statements give to theirs."""
    conn.execute("CREATE TABLE s (c1 int PRIMARY KEY, v text, distance text, n int)")
    conn.execute("INSERT INTO s SELECT i, 'thing ' || i, 'far', 7 FROM generate_series(1, 9) AS i")
    conn.execute("SELECT rowvec.create_embedding('s', 'stand-in-small', 'v')")
    conn.execute("CALL rowvec.backfill('s')")
    (row,) = conn.execute("SELECT \"row\" FROM rowvec.search('s', 'thing 4', 1)").fetchall()
    assert row == ({"c1": 4, "v": "thing 4", "distance": "far", "n": 7},)
    pairs = conn.execute("SELECT key, other_key FROM rowvec.similar_pairs('s', 2)").fetchall()
    assert len(pairs) == 18
    assert all(key != other for key, other in pairs)


def test_composite_key(conn: psycopg.Connection) -> None:
    conn.execute('CREATE TABLE pairs (b text, "A" int, body text, PRIMARY KEY ("A", b))')
    conn.execute("INSERT INTO pairs VALUES ('x', 1, 'one'), ('x', 2, 'two'), ('y', 1, 'three')")
    conn.execute("SELECT rowvec.create_embedding('pairs', 'stand-in-small', 'body')")
    conn.execute("CALL rowvec.backfill('pairs')")
    assert keys(conn, "search('pairs', 'two', 1)") == [{"A": 2, "b": "x"}]
    found = keys(conn, "similar('pairs', %s)", Jsonb({"A": 2, "b": "x"}))
    assert {json.dumps(key) for key in found} == {'{"A": 1, "b": "x"}', '{"A": 1, "b": "y"}'}
    for key in ({"A": 2}, {"A": 2, "b": "x", "c": 1}, 2, {"A": 2, "b": None}):
        with refused("22023", "does not fit", "an object with: A, b"):
            keys(conn, "similar('pairs', %s)", Jsonb(key))


def test_no_vector_or_hash_in_the_row(conn: psycopg.Connection) -> None:
    """Those of the table's other embeddings neither."""
    conn.execute(
        "SELECT rowvec.create_embedding('things', 'stand-in-small', 'name', name => 'second')"
    )
    row = one(conn, "SELECT row FROM rowvec.search('things', 'x', 1, embedding => 'embedding')")
    assert set(row) == {"id", "name", "price", "tags", "facts", "made"}


def test_columns_named_as_ours(conn: psycopg.Connection) -> None:
    conn.execute(
        "CREATE TABLE theirs (key int PRIMARY KEY, q text, r text, distance int, row text, "
        "rank int, theirs text)"
    )
    conn.execute("INSERT INTO theirs VALUES (1, 'q', 'r', 5, 'row', 9, 'theirs')")
    conn.execute(
        "SELECT rowvec.create_embedding('theirs', 'stand-in-small', 'q || r || row || theirs')"
    )
    conn.execute("CALL rowvec.backfill('theirs')")
    found = conn.execute(
        "SELECT key, rank, row FROM rowvec.search('theirs', 'x', filter => "
        "'key = $1 AND distance = 5 AND rank = 9 AND theirs = ''theirs''', filter_args => '[1]')"
    ).fetchall()
    assert found == [
        (1, 1, {"key": 1, "q": "q", "r": "r", "distance": 5, "row": "row", "rank": 9,
                "theirs": "theirs"}),
    ]  # fmt: skip


def test_filter_means_what_the_caller_means(conn: psycopg.Connection) -> None:
    conn.execute("CREATE SCHEMA mine")
    conn.execute(
        "CREATE FUNCTION mine.cheap(numeric) RETURNS boolean IMMUTABLE LANGUAGE sql RETURN $1 < 2"
    )
    conn.execute("SET search_path = mine, public")
    assert sorted(keys(conn, "search('things', 'x', 9, filter => 'cheap(price)')")) == [1, 2, 3]


def test_the_index_is_used_at_default_settings(large: psycopg.Connection) -> None:
    plan = large.execute(
        "EXPLAIN SELECT id FROM items ORDER BY embedding <=> rowvec.embed('stand-in', 'a query') "
        "LIMIT 10"
    ).fetchall()
    assert "Index Scan using items_embedding_idx" in str(plan)


def test_a_subquery_calls_the_worker_once(large: psycopg.Connection) -> None:
    """And uses the index, too; bare, it is called for the index and for each row returned."""
    bare = "embedding <=> rowvec.embed('stand-in', 'a query')"
    once = "embedding <=> (SELECT rowvec.embed('stand-in', 'a query'))"
    counted = {}
    for order in (once, bare):
        before = requests(large)
        found = large.execute(f"SELECT id FROM items ORDER BY {order} LIMIT 10").fetchall()
        assert len(found) == 10
        counted[order] = requests(large) - before
    plan = str(large.execute(f"EXPLAIN SELECT id FROM items ORDER BY {once} LIMIT 10").fetchall())
    assert "Index Scan using items_embedding_idx" in plan
    assert counted[once] == 1
    assert counted[bare] <= 12


def test_search_calls_the_worker_once_and_similar_never(large: psycopg.Connection) -> None:
    before = requests(large)
    large.execute("SELECT * FROM rowvec.search('items', 'a query', filter => 'id > 5')")
    assert requests(large) == before + 1
    large.execute("SELECT * FROM rowvec.similar('items', '7')")
    assert requests(large) == before + 1


def test_stored_probes_reach_every_row(large: psycopg.Connection) -> None:
    """All 20 lists are probed, so the index answers as the exact search does."""
    query = "SELECT rowvec.embed_query('items', 'a query')"
    large.execute("SET enable_indexscan = off")
    exact = large.execute(
        f"SELECT id FROM items ORDER BY embedding <=> ({query}) LIMIT 20"
    ).fetchall()
    large.execute("RESET enable_indexscan")
    assert keys(large, "search('items', 'a query', 20)") == [row[0] for row in exact]
    one_list = keys(large, """search('items', 'a query', 20, options => '{"probes": 1}')""")
    assert one_list != [row[0] for row in exact]


def test_a_filter_still_finds_k(large: psycopg.Connection) -> None:
    """An iterative scan goes on after the probed lists are through."""
    found = keys(
        large, """search('items', 'q', 50, filter => 'id % 100 = 0', options => '{"probes": 1}')"""
    )
    assert len(found) == 50
    distances = [
        row[0]
        for row in large.execute(
            "SELECT distance FROM rowvec.search('items', 'q', 50, filter => 'id % 100 = 0', "
            """options => '{"probes": 1}') ORDER BY rank"""
        )
    ]
    assert distances == sorted(distances)


@pytest.mark.parametrize("inside", [False, True], ids=["by itself", "in a transaction"])
def test_the_callers_settings_come_back(large: psycopg.Connection, inside: bool) -> None:  # noqa: FBT001
    settings = (
        "SELECT current_setting('ivfflat.probes'), current_setting('hnsw.ef_search'), "
        "current_setting('ivfflat.iterative_scan'), current_setting('hnsw.iterative_scan')"
    )
    large.execute("LOAD 'vector'")
    large.execute("SET ivfflat.probes = 3")
    large.execute("SET hnsw.ef_search = 77")
    before = large.execute(settings).fetchone()
    if inside:
        large.execute("BEGIN")
    large.execute(
        """SELECT * FROM rowvec.search('items', 'q', filter => 'id > $1', filter_args => '[5]',
        options => '{"probes": 9, "ef_search": 200}')"""
    )
    assert large.execute(settings).fetchone() == before
    if inside:
        large.execute("COMMIT")
    assert large.execute(settings).fetchone() == before


def test_settings_in_a_session_that_had_no_vector_yet(large: psycopg.Connection) -> None:
    large.execute("SELECT * FROM rowvec.search('items', 'q')")
    assert one(large, "SHOW ivfflat.probes") == "1"


def test_hnsw_goes_as_far_as_k(large: psycopg.Connection) -> None:
    """More rows than ef_search: the setting is raised for the statement."""
    large.execute("BEGIN")
    large.execute("DROP INDEX items_embedding_idx")
    large.execute(
        "CREATE INDEX items_hnsw ON items USING hnsw (embedding vector_cosine_ops) "
        "WITH (m = 4, ef_construction = 16)"
    )
    large.execute(f"UPDATE rowvec.embedding SET {stored('hnsw')}")
    large.execute("SET LOCAL enable_seqscan = off")
    assert len(keys(large, "search('items', 'q', 200)")) == 200
    large.execute("ROLLBACK")
