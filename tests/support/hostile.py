"""Objects that an ordinary role makes so that statements of others take them for Postgres's own.

Each notes who ran it, which nobody but the role itself may be.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psycopg

# The types that our statements compare and call with, unknown literals and varchar in front: a
# function or operator of such a type is a better match than Postgres's own.
TYPES = (
    "varchar", "name", "text", "jsonb", "uuid", "int4", "int2", "int8", "float8", "oid", "regclass",
    "xid", '"char"', "text[]", "timestamptz", "tsvector",
)  # fmt: skip
OPERATORS = (
    "=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "||", "->", "->>", "#>>", "#>", "@>", "?",
    "~~", "!~~", "~", "!~", "^@", "@@", "<<", "&&",
)  # fmt: skip
BOOLEAN = {"=", "<>", "<", "<=", ">", ">=", "@>", "?", "~~", "!~~", "~", "!~", "^@", "@@", "&&"}
# Of one argument and of two, by what they give.
FUNCTIONS = {
    "hashtextextended": "int8", "format": "text", "concat": "text", "concat_ws": "text",
    "length": "int4", "octet_length": "int4", "quote_ident": "text", "quote_literal": "text",
    "current_setting": "text", "set_config": "text", "to_regclass": "regclass",
    "now": "timestamptz", "count": "int8", "min": "text", "max": "text", "sum": "numeric",
    "array_agg": "text[]", "string_agg": "text", "to_jsonb": "jsonb", "unnest": "text",
    "jsonb_build_object": "jsonb", "jsonb_typeof": "text", "row_number": "int8", "age": "int4",
    "has_table_privilege": "boolean", "pg_get_userbyid": "name", "format_type": "text",
    "array_position": "int4", "array_length": "int4", "cardinality": "int4", "lower": "text",
    "left": "text", "to_tsvector": "tsvector", "ts_rank": "float4",
    "pg_try_advisory_lock": "boolean", "pg_advisory_unlock": "boolean", "encode": "text",
    "md5": "text", "sha256": "bytea", "random": "float8", "jsonb_to_record": "text",
}  # fmt: skip

ATTEMPT = """
CREATE OR REPLACE FUNCTION public.attempt(statements text[]) RETURNS int LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    statement text;
    made int := 0;
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        BEGIN
            EXECUTE statement;
            made := made + 1;
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    RETURN made;
END $$
"""


@dataclass
class Hostile:
    """A role without rights, in a database where everybody may create in `public`."""

    admin: psycopg.Connection
    own: psycopg.Connection
    name: str

    def prepare(self) -> None:
        """Lets it create, and makes the place where whoever runs its code is noted."""
        self.admin.execute(f"GRANT CREATE ON SCHEMA public TO {self.name}".encode())
        self.own.execute(
            "CREATE TABLE public.caught (who text, what text);"
            "GRANT INSERT ON public.caught TO PUBLIC;"
            "CREATE FUNCTION public.catch(what pg_catalog.text) RETURNS void LANGUAGE plpgsql"
            " SET search_path = pg_catalog, pg_temp AS $$ BEGIN"
            " INSERT INTO public.caught VALUES (current_user, what); END $$"
        )

    def makes(self, statements: Iterable[str]) -> int:
        """Runs what Postgres lets it run; how many statements that were."""
        self.own.execute(ATTEMPT)
        made = 0
        for some in batched(statements, 500):
            found = self.own.execute("SELECT public.attempt(%s)", (some,)).fetchone()
            assert found is not None
            made += found[0]
        return made

    def caught(self) -> list[tuple[str, str]]:
        """Who ran what of it, the role itself left out."""
        return self.admin.execute(
            "SELECT DISTINCT who, what FROM public.caught WHERE who <> %s", (self.name,)
        ).fetchall()


def function(name: str, arguments: str, result: str) -> str:
    """The statement that makes a function that notes its caller."""
    what = f"{name}({arguments})"
    return (
        f"CREATE FUNCTION public.{name}({arguments}) RETURNS {result} LANGUAGE plpgsql AS $f$ BEGIN"
        f" PERFORM public.catch($what${what}$what$::pg_catalog.text); RETURN NULL; END $f$"
    )


def functions() -> Iterator[str]:
    """Of the names that our statements call, for all kinds of arguments."""
    for name, result in FUNCTIONS.items():
        yield function(name, "", result)
        for one in TYPES:
            yield function(name, one, result)
            yield function(name, f"VARIADIC {one}[]", result)
            for other in TYPES[:6]:
                yield function(name, f"{one}, {other}", result)


def operators() -> Iterator[str]:
    """Of the names that our statements have, for all pairs of types: Postgres's own go before."""
    for left, right in itertools.product(TYPES, TYPES):
        for result in ("boolean", "text"):
            yield function(f"op_{result}", f"{left}, {right}", result)
    for sign, left, right in itertools.product(OPERATORS, TYPES, TYPES):
        result = "boolean" if sign in BOOLEAN else "text"
        yield (
            f"CREATE OPERATOR public.{sign}"
            f" (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = public.op_{result})"
        )


def batched(statements: Iterable[str], size: int) -> Iterator[list[str]]:
    """Some at a time: each takes locks until its transaction ends."""
    rest = iter(statements)
    while some := list(itertools.islice(rest, size)):
        yield some


def others() -> Iterator[str]:
    """Tables, types and collations of names that our statements have."""
    for name in ("pg_class", "pg_attribute", "pg_namespace", "pg_index", "pg_proc", "embedding"):
        yield f"CREATE TABLE public.{name} (oid pg_catalog.oid)"
    for name in ("text", "jsonb", "regclass", "int8", "vector_", "record"):
        yield f"CREATE DOMAIN public.{name} AS pg_catalog.int4"
    yield """CREATE COLLATION public."C" (provider = libc, locale = 'C')"""
