"""Objects that an ordinary role makes so that statements of others take them for Postgres's own.

Each notes who ran it, which nobody but the role itself may be.
"""

from __future__ import annotations

from collections.abc import Iterator
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

    def makes(self, statements: Iterator[str]) -> int:
        """Runs what Postgres lets it run; how many statements that were."""
        made = 0
        for statement in statements:
            try:
                self.own.execute(statement.encode())
            except psycopg.Error:
                continue
            made += 1
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
    """Of the names that our statements have, for all pairs of types without one in Postgres."""
    for sign in OPERATORS:
        result = "boolean" if sign in BOOLEAN else "text"
        for left in TYPES:
            for right in TYPES:
                # What Postgres has for these very types is found first.
                what = f"{left} {sign} {right}"
                yield (
                    f"CREATE FUNCTION public.op({left}, {right}) RETURNS {result} LANGUAGE plpgsql"
                    f" AS $f$ BEGIN PERFORM public.catch($what${what}$what$::pg_catalog.text);"
                    " RETURN NULL; END $f$"
                )
                yield (
                    f"CREATE OPERATOR public.{sign}"
                    f" (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = public.op)"
                )


def others() -> Iterator[str]:
    """Tables, types and collations of names that our statements have."""
    for name in ("pg_class", "pg_attribute", "pg_namespace", "pg_index", "pg_proc", "embedding"):
        yield f"CREATE TABLE public.{name} (oid pg_catalog.oid)"
    for name in ("text", "jsonb", "regclass", "int8", "vector_", "record"):
        yield f"CREATE DOMAIN public.{name} AS pg_catalog.int4"
    yield """CREATE COLLATION public."C" (provider = libc, locale = 'C')"""
