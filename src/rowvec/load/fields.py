"""Values as psycopg copies them: a type's own text where Python's would be another."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from rowvec.errors import BadRow
from rowvec.rows.exact_json import dumps


class PostgresText(str):
    """A value as Postgres writes it, whatever its type."""

    __slots__ = ()


Write = Callable[[Any], Any]

_NUL_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def field_of(type_: str) -> Write:
    """What writes values of JSON (and dates, numbers, bytes) into a column of this type.

    A value that does not fit goes as it is: Postgres says so better.
    """
    if type_ == "text":
        return text
    if type_ in ("json", "jsonb"):
        return as_json
    return array if type_.endswith("[]") else anything


def text(value: object) -> str:
    """A string as it is, another value as its JSON; raises BadRow for what no text can hold."""
    if not isinstance(value, str):
        return dumps(value).decode() if isinstance(value, _JSON) else str(value)
    # Written so that the usual text passes two quick tests.
    if "\0" in value:
        raise BadRow("contains U+0000, which Postgres cannot store")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as exc:
            raise BadRow("contains half of a surrogate pair, which no encoding can carry") from exc
    return value


_JSON = (bool, int, float, list, tuple, dict, type(None))


def as_json(value: object) -> str:
    """A value as JSON; raises BadRow for U+0000, which jsonb cannot hold."""
    if isinstance(value, PostgresText):
        return value
    dumped = dumps(value)
    if b"\\u0000" in dumped and _NUL_ESCAPE.search(dumped):
        raise BadRow("contains U+0000, which Postgres cannot store")
    return dumped.decode()


def array(value: object) -> Any:
    """A list as a literal of an array of Postgres."""
    if not isinstance(value, (list, tuple)):
        return anything(value)
    return "{" + ",".join(map(_element, value)) + "}"


def anything(value: object) -> Any:
    """What Postgres reads into the column's own type: strings, numbers, dates, bytes; or JSON."""
    if isinstance(value, (list, tuple, dict)):
        return as_json(value)
    return text(value) if isinstance(value, str) else value


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, (list, tuple)):
        return str(array(value))
    if isinstance(value, bool):
        return str(value).lower()  # as JSON has it: the elements may be texts
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    quoted = text(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'
