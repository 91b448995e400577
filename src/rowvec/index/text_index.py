"""Builds the index of the words that hybrid search reads beside the vectors."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from rowvec.config import Settings
from rowvec.db.connection import resolve_dsn
from rowvec.db.session import open_session
from rowvec.db.text_search import set_text_search

_APPLICATION = "rowvec index"


@dataclass(frozen=True)
class TextIndexRequest:
    """Whose words: a table's name as written in SQL. `weights` are from A to D, by column."""

    source: str
    embedding: str | None = None
    config: str | None = None
    weights: dict[str, str] | None = None


async def build_text_index(settings: Settings, request: TextIndexRequest) -> str | None:
    """Declares what is searched and builds its index; gives the statement, None if it existed.

    Built CONCURRENTLY but on a partitioned table, where Postgres cannot. Raises DatabaseError as
    Postgres gives it: no such column or language, not the owner.
    """
    async with open_session(resolve_dsn(settings), _APPLICATION) as session:
        weights = None if request.weights is None else orjson.dumps(request.weights).decode()
        return await set_text_search(session, vars(request) | {"weights": weights})
