"""The passages that answer a question, and the prompt that is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import psycopg
from psycopg.rows import class_row

from rowvec.db.connection import database_errors, users_path
from rowvec.db.queries import query, typed


@dataclass(frozen=True)
class Passage:
    """A source of the prompt; `number` is what citations name, `key` as JSON has it.

    `relevance` is on the scale of rowvec.context: 0 as near as two rows are on average, 1 the same.
    """

    number: int
    key: Any
    distance: float
    relevance: float
    passage: str
    tokens: int


@dataclass(frozen=True)
class Question:
    """A question to the rows of a table.

    `max_tokens` bounds the prompt, counted by the tokenizer of the embedding. `relevance` says what
    matches, see rowvec.context. `options` are those of rowvec.search.
    """

    source: str
    question: str
    max_tokens: int = 2000
    k: int = 20
    filter: str | None = None
    filter_args: tuple[str, ...] = ()
    embedding: str | None = None
    method: str = "hybrid"
    rerank: str | None = None
    relevance: float = 0.3

    def passages(self, connection: psycopg.Connection) -> list[Passage]:
        """Those that match and fit, the best first; none where no row matches."""
        options = {"method": self.method} | ({"rerank": self.rerank} if self.rerank else {})
        arguments = orjson.dumps(self.filter_args).decode() if self.filter_args else None
        parameters = vars(self) | {
            "options": orjson.dumps(options).decode(),
            "filter_args": arguments,
        }
        with (
            database_errors(),
            users_path(connection),
            connection.cursor(row_factory=class_row(Passage)) as cursor,
        ):
            return cursor.execute(typed("passages"), parameters).fetchall()

    def nearest(self, connection: psycopg.Connection) -> Passage | None:
        """The passage of the nearest row; None where no row is nearer than two are on average."""
        anything = replace(self, relevance=0.0, k=1, method="vector", rerank=None)
        return next(iter(anything.passages(connection)), None)

    def prompt(self, connection: psycopg.Connection, passages: Sequence[Passage]) -> str:
        """What a language model is asked."""
        texts = [one.passage for one in passages]
        with database_errors():
            found = connection.execute(
                query("prompt"), {"question": self.question, "passages": texts}
            ).fetchone()
        assert found is not None
        return str(found[0])
