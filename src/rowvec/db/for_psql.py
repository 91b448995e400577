"""Statements as people are shown them, to paste into psql."""

from __future__ import annotations

from typing import Any

from psycopg import sql

STATUS = "SELECT * FROM rowvec.status;"


def call(function: str, *given: Any, **named: Any) -> str:
    """A call of one of our functions that give rows; what is None is left to its default."""
    arguments = [_literal(value) for value in given]
    arguments += [f"{n} => {_literal(v)}" for n, v in named.items() if v is not None]
    return f"SELECT * FROM rowvec.{function}({', '.join(arguments)});"  # noqa: S608 - only printed


def nearest_to_image(source: str, file: str, k: int) -> str:
    """A search by a file, which psql itself cannot read into a parameter."""
    return (
        f"SELECT * FROM rowvec.nearest({_literal(source)}, rowvec.embed_image("  # noqa: S608
        f"'the model', pg_read_binary_file({_literal(file)})), k => {k});"
    )


def failures(number: int) -> str:
    """What the embedding with this id could not fill."""
    return f"SELECT * FROM rowvec.failed_row WHERE embedding_id = {number};"  # noqa: S608


def measurements(number: int) -> str:
    """What was measured of the index of the embedding with this id."""
    return f"SELECT * FROM rowvec.measurement WHERE embedding_id = {number} ORDER BY setting;"  # noqa: S608


def _literal(value: object) -> str:
    # as_string puts a space before a literal that needs E'...'.
    return sql.Literal(value).as_string().strip()
