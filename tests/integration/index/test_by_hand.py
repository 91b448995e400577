"""After `rowvec index`, a query by hand is as good as `search`."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from support.commands import Run
from support.indexing import Work
from support.postgres import Database

ROWS = 3000
# The README's first query, by the key.
BY_HAND = """
SELECT id FROM texts {where}
ORDER BY embedding <=> (SELECT rowvec.embed_query('texts', %s)) LIMIT {limit}
"""
QUESTIONS = [f"question {n}" for n in range(60)]


@pytest.fixture
def texts(work: Work) -> Work:
    """A table whose vectors are as far from each other as from a question."""
    work.connection.execute("CREATE TABLE texts (id int PRIMARY KEY, body text)")
    work.connection.execute(
        "INSERT INTO texts SELECT i, 'text ' || i FROM generate_series(1, %s) AS i", (ROWS,)
    )
    work.connection.execute("SELECT rowvec.create_embedding('texts', 'stand-in-small', 'body')")
    work.connection.execute("CALL rowvec.backfill('texts', commit_rows => 1000)")
    work.connection.execute("ANALYZE texts")
    return work


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    """One that may log in."""
    name = f"by_hand_{database.name}"
    with database.connect() as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    with database.connect() as connection:
        connection.execute(f"DROP OWNED BY {name}")
        connection.execute(f"DROP ROLE {name}")


def found(
    connection: psycopg.Connection, question: str, *, where: str = "", limit: int = 10
) -> set[int]:
    statement = BY_HAND.format(where=where, limit=limit)
    return {key for (key,) in connection.execute(statement, (question,))}


def recall(database: Database, *, where: str = "", limit: int = 10) -> float:
    """Of a new session's answers by the index, beside those without one."""
    with database.connect() as exact, database.connect() as by_index:
        exact.execute("SET enable_indexscan = off")
        by_index.execute("SET enable_seqscan = off")
        shares = []
        for question in QUESTIONS:
            right = found(exact, question, where=where, limit=limit)
            assert len(right) == limit
            shares.append(len(right & found(by_index, question, where=where, limit=limit)) / limit)
    return sum(shares) / len(shares)


def shown(database: Database, name: str) -> str:
    with database.connect() as connection:
        connection.execute("SELECT '[1]'::vector")
        value = connection.execute(f"SHOW {name}").fetchone()
    assert value is not None
    return str(value[0])


@pytest.mark.parametrize("kind", ["ivfflat", "hnsw"])
def test_the_readmes_query_has_the_recall_of_search(
    texts: Work, database: Database, kind: str
) -> None:
    texts.build("texts", kind=kind)
    # The target is 0.95; another sample of questions is allowed a little less.
    assert recall(database) > 0.92
    with database.connect() as connection:
        connection.execute("SET enable_seqscan = off")
        for question in QUESTIONS:
            passed = found(connection, question, where="WHERE mod(id, 50) = 0", limit=20)
            assert len(passed) == 20


def test_nothing_is_set_below_pgvectors_default(texts: Work, database: Database) -> None:
    result = texts.build("texts", kind="hnsw", target_recall=0.1)
    assert (result.setting.value or 0) < 40
    assert shown(database, "hnsw.ef_search") == "40"
    assert shown(database, "hnsw.iterative_scan") == "strict_order"


def test_what_is_set_is_never_lowered(texts: Work, database: Database) -> None:
    texts.connection.execute(f"ALTER DATABASE {database.name} SET ivfflat.probes = 77")
    result = texts.build("texts", kind="ivfflat")
    assert (result.setting.value or 0) < 77
    assert shown(database, "ivfflat.probes") == "77"


def test_nothing_is_set_where_nobody_wants_it(texts: Work, database: Database) -> None:
    result = texts.build("texts", kind="ivfflat", apply="none")
    assert not result.by_hand.was_applied
    assert shown(database, "ivfflat.probes") == "1"
    # What it says is what is missing.
    for statement in result.by_hand.statements:
        texts.connection.execute(statement)
    assert recall(database) > 0.92


def test_who_may_not_set_a_default_is_told_what_to_run(
    texts: Work, database: Database, role: str, run: Run
) -> None:
    """The owner of a table need not own the database."""
    texts.connection.execute(f"ALTER TABLE texts OWNER TO {role}")
    texts.connection.execute(
        f"GRANT rowvec_user TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA rowvec TO {role}; "
        f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rowvec TO {role}; "
        f"GRANT CREATE ON SCHEMA public TO {role}"
    )
    texts.dsn = database.cluster.dsn(database.name, role)
    result = texts.build("texts", kind="ivfflat")
    assert not result.by_hand.was_applied
    assert result.by_hand.statements[0].startswith("ALTER DATABASE ")
    assert shown(database, "ivfflat.probes") == "1"
    # Its own default it may set.
    assert texts.build("texts", kind="ivfflat", apply="role").by_hand.was_applied
    # Whoever owns the database runs what the command prints.
    said = run("index", "texts", "--apply", "none").stderr
    assert "run as the owner of the database" in said
    assert f'ALTER DATABASE "{database.name}" SET "ivfflat"."probes" = ' in said
