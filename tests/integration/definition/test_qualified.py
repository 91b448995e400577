"""An input or filter in a statement of ours: Postgres's names qualified, and the same meaning."""

from __future__ import annotations

import re

import pytest

from support.postgres import Database

TABLE = """
CREATE TABLE t (id int, a text, v varchar(10), j jsonb, ts timestamptz, n numeric(10, 2), x text[],
    "Odd = (col" text, e int)
"""

EXPRESSIONS = [
    "id || ' ' || a",
    "upper(v) || left(a, 3) || substring(a from 2 for 3)",
    """(j #>> '{a,b}') || coalesce(j ->> 'x''y', E'a\\\\b = "lower(x)"')""",
    "(case when a like 'x%' then a else \"Odd = (col\" end) || ''",
    "extract(year from (ts at time zone 'UTC'))::int::text || n::numeric(8,1)::text",
    "array_length(x, 1)::text || x[1] || (x[1:2])[1]",
    "md5(a)::uuid::text || (-id)::text || abs(- e)::text || @ e",
    """(a collate "C" < 'b')::text || (id is distinct from e)::text""",
    "trim(both ' ' from a) || overlay(a placing 'x' from 2) || position('a' in a)",
    "(ts > '2020-01-01'::timestamptz and id between 1 and e and not v ~* 'x')::text",
    "make_interval(days => 3)::text || a::varchar(5) || a::char(3)",
    "(x @> array['a'] or x && '{b}'::text[] or jsonb_path_exists(j, '$.a'))::text",
    "'it''s' || to_char(ts, 'YYYY') || (ts::date - '2020-01-01'::date)",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_qualified_and_means_the_same(
    migrated_database: Database, expression: str
) -> None:
    with migrated_database.connect() as conn:
        conn.execute(TABLE)

        def as_printed(written: str) -> str:
            """As Postgres prints it where it sees its own names only."""
            conn.execute("DROP VIEW IF EXISTS shown")
            conn.execute(f"CREATE VIEW shown AS SELECT ({written}) AS c FROM t".encode())
            found = conn.execute(
                "SELECT set_config('search_path', 'pg_catalog', true),"
                " pg_get_viewdef('public.shown')"
            ).fetchone()
            assert found is not None
            return str(found[1]).partition("SELECT ")[2].rpartition(" AS c")[0]

        with conn.transaction():
            printed = as_printed(expression)
        found = conn.execute("SELECT rowvec._qualified(%s)", (printed,)).fetchone()
        assert found is not None
        qualified = str(found[0])
        with conn.transaction():
            assert as_printed(qualified) == printed
    bare = re.sub(r"'(?:[^']|'')*'|\"[^\"]*\"|OPERATOR\([^)]*\)|=>", "", qualified)
    assert not re.search(r"[-+*/<>=~!@#%^&|`?]", bare)
    assert not re.search(r"(?<![.:\w])(?!varying)[a-z_]+\(", bare)
