"""Who may do what: one role embeds, nobody calls dblink, no trick reaches the password."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from support.postgres import Database, refused

INTERNAL = (
    "rowvec.secret", "rowvec.failure", "rowvec.sql_object", "rowvec.shard",
)  # fmt: skip


@pytest.fixture
def role(database: Database) -> Iterator[Callable[..., str]]:
    """Makes login roles, members of the given ones; gone after the test."""
    made: list[str] = []

    def make(*memberships: str) -> str:
        name = f"someone_{uuid.uuid4().hex[:8]}"
        with database.connect() as admin:
            admin.execute(f"CREATE ROLE {name} LOGIN")
            for membership in memberships:
                admin.execute(f"GRANT {membership} TO {name}")
        made.append(name)
        return name

    yield make
    with database.connect() as admin:
        for name in made:
            admin.execute(f"DROP OWNED BY {name}")
            admin.execute(f"DROP ROLE {name}")


@pytest.fixture
def filled(database: Database) -> Any:
    with database.connect() as conn:
        conn.execute("CREATE TABLE notes (id int PRIMARY KEY, body text, tenant text)")
        conn.execute("INSERT INTO notes VALUES (1, 'one', 'a'), (2, 'two', 'b'), (3, 'three', 'a')")
        conn.execute("SELECT rowvec.create_embedding('notes', 'stand-in-small', 'body')")
        conn.execute("CALL rowvec.backfill('notes')")
    return database


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement, parameters or None).fetchone()
    assert row is not None
    return row[0]


CALLS = (
    "SELECT rowvec.embed('stand-in', 'x')",
    "SELECT * FROM rowvec.embed_batch('stand-in', ARRAY['x'])",
    "SELECT * FROM rowvec.embed_rows('stand-in', 'SELECT 1, ''x''')",
    "SELECT rowvec.count_tokens('stand-in', 'x')",
    "SELECT * FROM rowvec.models()",
    "SELECT rowvec.embed_query('notes', 'x')",
    "SELECT rowvec.cosine_similarity('[1,2]', '[1,2]')",
    "SELECT * FROM rowvec.status",
)


@pytest.mark.parametrize("call", CALLS)
def test_the_role_may_embed_and_nobody_else(
    filled: Any, role: Callable[..., str], call: str
) -> None:
    with filled.connect(role("rowvec_user")) as member:
        assert member.execute(call).fetchall()
    with filled.connect(role()) as stranger, refused("42501"):
        stranger.execute(call)


def test_search_needs_the_role_and_the_table(filled: Any, role: Callable[..., str]) -> None:
    name = role("rowvec_user")
    with filled.connect(name) as member:
        for call in ("search('notes', 'x')", "similar('notes', '1')"):
            with refused("42501", "notes"):
                member.execute(f"SELECT * FROM rowvec.{call}")
        assert member.execute("SELECT rows, pending, failed FROM rowvec.status").fetchone() == (
            None,
            None,
            None,
        )
        with filled.connect() as owner:
            owner.execute(f"GRANT SELECT ON notes TO {name}")
        assert len(member.execute("SELECT * FROM rowvec.search('notes', 'x')").fetchall()) == 3
        assert len(member.execute("SELECT * FROM rowvec.similar('notes', '1')").fetchall()) == 2
        assert member.execute("SELECT rows, pending, failed FROM rowvec.status").fetchone() == (
            3,
            0,
            0,
        )


@pytest.mark.parametrize(
    "call",
    [
        "SELECT rowvec.create_embedding('notes', 'stand-in', 'body', name => 'mine')",
        "SELECT rowvec.drop_embedding('notes')",
        "CALL rowvec.backfill('notes')",
        "UPDATE rowvec.setting SET value = '1'",
        "UPDATE rowvec.embedding SET filter = 'true) OR (true'",
        "CREATE FUNCTION rowvec.mine() RETURNS int LANGUAGE sql RETURN 1",
        *(f"SELECT * FROM {table}" for table in INTERNAL),
    ],
)
def test_the_rest_is_the_owners(filled: Any, role: Callable[..., str], call: str) -> None:
    with filled.connect(role("rowvec_user")) as member, refused("42501"):
        member.execute(call)


def test_the_password_is_seen_by_nobody(database: Database, role: Callable[..., str]) -> None:
    with database.connect(role("rowvec_user")) as conn:
        conn.execute("SELECT rowvec.embed('stand-in', 'x')")
        assert one(conn, "SELECT umoptions FROM pg_user_mappings") is None
        assert "password" not in str(
            conn.execute("SELECT srvoptions FROM pg_foreign_server").fetchall()
        )


def test_every_definer_function_pins_its_path(database: Database) -> None:
    with database.connect() as conn:
        found = conn.execute(
            "SELECT proname::text, proowner::regrole::text, proconfig FROM pg_proc "
            "WHERE pronamespace = 'rowvec'::regnamespace AND prosecdef ORDER BY proname"
        ).fetchall()
    assert [(name, owner) for name, owner, _ in found] == [
        ("_call", "rowvec_caller"),
        ("_worker_entry", "rowvec_caller"),
    ]
    assert all("search_path=pg_catalog, pg_temp" in settings for *_, settings in found)


def test_nothing_is_public(database: Database) -> None:
    with database.connect() as conn:
        assert (
            conn.execute(
                "SELECT p.oid::regprocedure FROM pg_proc AS p, aclexplode(coalesce(p.proacl, "
                "acldefault('f', p.proowner))) AS a "
                "WHERE p.pronamespace = 'rowvec'::regnamespace AND a.grantee = 0"
            ).fetchall()
            == []
        )
        assert (
            conn.execute(
                "SELECT c.oid::regclass FROM pg_class AS c, aclexplode(c.relacl) AS a "
                "WHERE c.relnamespace = 'rowvec'::regnamespace AND a.grantee = 0"
            ).fetchall()
            == []
        )


def test_every_function_says_who_calls_it(database: Database) -> None:
    """Volatility and path are stated: a function without a path runs the caller's own SQL."""
    with database.connect() as conn:
        without = conn.execute(
            "SELECT proname::text FROM pg_proc WHERE pronamespace = 'rowvec'::regnamespace "
            "AND proconfig IS NULL ORDER BY 1"
        ).fetchall()
    assert {row[0] for row in without} <= {
        # The caller's filter, query or expression.
        "_canonical_expressions", "_check_expression", "_passages", "_run_search", "_search",
        "_similar", "_similar_pairs", "alter_embedding", "context", "create_embedding",
        "embed_rows", "nearest", "search", "search_rows", "similar", "similar_pairs",
        # Looks at what the path of its caller has become.
            "_refuse_other_path",
            # The caller's configuration of text search.
        "_text_config",
        # Inlined: bound when they are created, or into functions with a path of their own.
        "_candidates", "_distance", "_exchange_settings", "_nearest", "_nearest_enough",
        "_operator", "_search_settings", "cosine_similarity", "polarity", "scale",
        # Commits.
        "backfill",
    }  # fmt: skip


def test_hostile_names_of_models_and_options(database: Database) -> None:
    hostile = """x"; DROP SCHEMA rowvec CASCADE; --', "op": "ping"} \\ {"""
    with database.connect() as conn:
        with refused("42501"):
            conn.execute("SELECT rowvec.embed(%s, 'x')", (hostile,))
        with refused("22023"):
            conn.execute(
                "SELECT rowvec.embed('stand-in', 'x', jsonb_build_object(%s::text, 1))", (hostile,)
            )
        assert one(conn, "SELECT rowvec.embed('stand-in', %s) IS NOT NULL", hostile)
