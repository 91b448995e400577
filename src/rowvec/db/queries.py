"""The SQL text that ships with the package, read from rowvec.sql."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import LiteralString


@cache
def query(name: str) -> LiteralString:
    """The statement of sql/queries/<name>.sql, with psycopg's named parameters."""
    # A file of ours is as literal as a string in the code, and mypy takes any str for one.
    return (resources.files("rowvec.sql") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


@cache
def typed(name: str) -> LiteralString:
    """The statement of sql/typed/<name>.sql: it takes names and expressions as a user types them.

    So it runs under the user's search_path (`users_path`), and qualifies all names of its own.
    """
    return (resources.files("rowvec.sql") / "typed" / f"{name}.sql").read_text(encoding="utf-8")


def sql_files(folder: str) -> dict[str, str]:
    """Path below sql/ -> text of every .sql file of a folder, in the order of their names."""
    found = (resources.files("rowvec.sql") / folder).iterdir()
    return {
        f"{folder}/{entry.name}": entry.read_text(encoding="utf-8")
        for entry in sorted(found, key=lambda e: e.name)
        if entry.name.endswith(".sql")
    }


def sql_file(path: str) -> str:
    """The text of one file below sql/."""
    return (resources.files("rowvec.sql") / path).read_text(encoding="utf-8")
