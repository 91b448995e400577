"""What may be passed on of an error of Postgres's: no word of a row.

Postgres puts values into messages (`invalid input syntax for type integer: "..."`), into DETAIL and
CONTEXT, and what a trigger raises may say anything. What is passed on is what cannot come from a
row; of the rest, the kind of the error and the names that Postgres gives beside the message.
"""

from __future__ import annotations

import re

import psycopg
from psycopg.errors import Diagnostic

from rowvec.errors import input_named_in

# Classes of errors that are about values: data exceptions, constraints, WITH CHECK OPTION, and what
# functions raise. In the others stand names of objects and settings.
_OF_VALUES = frozenset({"22", "23", "44", "P0", "38", "39"})

# DETAIL that lists objects: those that depend on what was to be dropped, sessions in the way.
_DETAILED = frozenset({"2BP01", "55006"})

# Where the kind alone does not tell what is wrong.
_HINTS = {"22P05": "the encoding of the database has not all of these characters"}

# Where RAISE, and its like in other languages, come from.
_RAISED = re.compile(r"pl_exec\.c|plperl\.c|plpy_\w+\.c|pltcl\.c")

# The function that an error arose in is the first line of its CONTEXT.
_OURS = re.compile(r"\S+ \S+ (?:rowvec(?:_jobs)?\.)?\w+\(")
_REPEATS = "_run_search("
_AS_OWNER = "rowvec_jobs."

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def said(error: psycopg.Error) -> tuple[str, str | None]:
    """The message and the hint that may be passed on, one line each."""
    diagnostic = error.diag
    if may_hold_a_row(diagnostic):
        return _kind(error), _HINTS.get(error.sqlstate or "")
    message = diagnostic.message_primary or " ".join(str(error).split()) or type(error).__name__
    detail = diagnostic.message_detail
    if _is_postgres(diagnostic) and diagnostic.sqlstate not in _DETAILED:
        detail = None
    is_number = input_named_in(diagnostic.message_detail) is not None
    return message, diagnostic.message_hint or (None if is_number else detail)


def may_hold_a_row(diagnostic: Diagnostic) -> bool:
    """Whether the message may have words of a row in it."""
    if diagnostic.source_file is None:
        return False  # of libpq, or of a worker
    context = diagnostic.context or ""
    first = context.partition("\n")[0]
    within_job = _AS_OWNER in context
    is_of_values = (diagnostic.sqlstate or "")[:2] in _OF_VALUES
    if not _is_postgres(diagnostic):
        is_ours = _AS_OWNER in first if within_job else _OURS.match(first) is not None
        return not is_ours or (_REPEATS in first and is_of_values)
    # An error with a position is about the text of a statement: in a job, of one of ours.
    has_position = diagnostic.statement_position or diagnostic.internal_position
    if has_position and (_AS_OWNER in first or not within_job):
        return False
    return within_job or is_of_values


def _is_postgres(diagnostic: Diagnostic) -> bool:
    """Whether Postgres itself raised it, and no function by RAISE or its like."""
    file = diagnostic.source_file
    return file is not None and _RAISED.search(file) is None


def _kind(error: psycopg.Error) -> str:
    """The kind of the error, in the words of Postgres's own list of them, and the names in it."""
    diagnostic = error.diag
    words = _CAPITAL.sub(" ", type(error).__name__).lower()
    if words in ("error", "database error"):
        words = "error"
    names = [
        f'{what} "{name}"'
        for what, name in (
            ("constraint", diagnostic.constraint_name),
            ("column", diagnostic.column_name),
            ("type", diagnostic.datatype_name),
            ("table", diagnostic.table_name),
        )
        if name
    ]
    return f"{words} ({', '.join([error.sqlstate or '', *names])})"
