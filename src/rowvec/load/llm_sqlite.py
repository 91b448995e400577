"""A SQLite file of the `llm` tool: its collections, with the vectors that it computed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from rowvec.errors import BadRow, ConfigError, InvalidRequest
from rowvec.load.row_source import RowSource
from rowvec.rows.columns import Column, plain
from rowvec.rows.exact_json import loads
from rowvec.rows.reading import OnBad, Place, Rows

_MAGIC = b"SQLite format 3\0"
_COLLECTIONS = """
SELECT c.name, c.model, count(e.id), min(length(e.embedding)), max(length(e.embedding))
FROM collections AS c LEFT JOIN embeddings AS e ON e.collection_id = c.id
GROUP BY c.id ORDER BY c.id
"""
_ROWS = """
SELECT c.name, e.id, e.content, e.metadata, e.updated, e.embedding
FROM embeddings AS e JOIN collections AS c ON c.id = e.collection_id
WHERE c.name IN (SELECT value FROM json_each(?)) ORDER BY c.id, e.rowid
"""
_FLOAT32 = np.dtype("<f4")


def is_sqlite(file: Path) -> bool:
    """Whether a file is a SQLite database."""
    with file.open("rb") as opened:
        return opened.read(len(_MAGIC)) == _MAGIC


def llm_sqlite(file: Path, collections: tuple[str, ...] = ()) -> RowSource:
    """The entries of all collections, or of those that are named.

    Columns: collection, id (together the key; the id alone where one collection is named), content,
    metadata, updated, and embedding, a vector of as many dimensions as the blobs hold float32.
    Raises ConfigError for a file of another kind, InvalidRequest where dimensions differ.
    """
    with closing(_opened(file)) as connection:
        try:
            found = connection.execute(_COLLECTIONS).fetchall()
        except sqlite3.DatabaseError as exc:
            raise ConfigError(
                f"{file} is no database of the llm tool",
                hint="it needs its tables collections and embeddings; another SQLite file is read"
                " with --from-sql sqlite:///FILE QUERY",
            ) from exc
    wanted = [row for row in found if not collections or row[0] in collections]
    missing = sorted(set(collections) - {row[0] for row in found})
    if missing or not found:
        raise ConfigError(
            f"{file} has no collection {', '.join(missing) or 'at all'}",
            hint=f"collections: {', '.join(row[0] for row in found) or 'none'}",
        )
    sizes = {size for row in wanted for size in row[3:5] if size is not None}
    if len(sizes) > 1:
        raise InvalidRequest(
            "the collections have vectors of different dimensions",
            hint="name one with --collection: "
            + ", ".join(f"{name} ({model}, {(low or 0) // 4})" for name, model, _, low, _ in found),
        )
    dimensions = (sizes.pop() if sizes else 0) // _FLOAT32.itemsize
    names = [row[0] for row in wanted]
    place = Place(str(file), unit="entry")

    def rows(on_bad: OnBad) -> Rows:
        with closing(_opened(file)) as connection:
            for place.number, row in enumerate(_entries(connection, names), start=1):
                *_, blob = row.values()
                if blob is not None and len(blob) != dimensions * _FLOAT32.itemsize:
                    on_bad(BadRow(f"{place} has a vector of another length"))
                    continue
                yield row

    return RowSource(
        name=str(file),
        rows=rows,
        place=place,
        columns=[
            Column("collection", "collection", "text", plain),
            Column("id", "id", "text", plain),
            Column("content", "content", "text", plain),
            Column("metadata", "metadata", "jsonb", _json),
            Column("updated", "updated", "timestamp with time zone", _time),
            Column("embedding", "embedding", f"vector({max(dimensions, 1)})", _vector),
        ],
        input="content",
        key=("id",) if len(collections) == 1 else ("collection", "id"),
    )


def _opened(file: Path) -> sqlite3.Connection:
    if not file.is_file() or not is_sqlite(file):
        raise ConfigError(f"{file} is no SQLite database")
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)


def _entries(connection: sqlite3.Connection, names: list[str]) -> Iterator[dict[str, Any]]:
    import json  # noqa: PLC0415

    keys = ("collection", "id", "content", "metadata", "updated", "embedding")
    for row in connection.execute(_ROWS, (json.dumps(names),)):
        yield dict(zip(keys, row, strict=True))


def _vector(blob: bytes) -> str:
    return "[" + ",".join(map(str, np.frombuffer(blob, _FLOAT32).tolist())) + "]"


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _json(text: str) -> Any:
    return loads(text.encode())
