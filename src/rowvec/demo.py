"""The demo's data and questions: Python's standard library as a table, three searches over it.

All of the library is taken: about 5,000 entries take less than a minute on two cores.
"""

from __future__ import annotations

from collections.abc import Iterable

from rowvec.db.queries import sql_file, sql_files
from rowvec.load.python_api import ApiEntry, python_api, standard_library


def entries(modules: Iterable[str] = ()) -> list[ApiEntry]:
    """The standard library's functions and classes, of some top-level modules only where given."""
    wanted = set(modules)
    return [
        entry
        for entry in python_api(standard_library())
        if not wanted or entry.name.split(".")[0] in wanted
    ]


def declaration() -> str:
    """The statement that declares the embedding, as it is shown."""
    return shown(sql_file("demo/embedding.sql"))


def searches() -> list[str]:
    """The statements of the three searches, as they are shown and run."""
    return [shown(text) for text in sql_files("demo/searches").values()]


def to_try() -> list[str]:
    """Statements for a person to paste into psql."""
    return [shown(text) for text in sql_files("demo/try").values()]


def shown(text: str) -> str:
    """A file's statement without the comment that says who runs it."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
