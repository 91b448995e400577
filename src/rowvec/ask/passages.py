"""The passages that answer a question, and the prompt that is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson
import psycopg
from psycopg.rows import class_row, tuple_row

from rowvec.db.connection import fetch, fetch_typed


@dataclass(frozen=True)
class Passage:
    """A source of the prompt; `number` is what citations name, `key` as JSON has it.

    `relevance` is on the scale of rowvec.context: 0 as near as what does not belong, 1 the same.
    """

    number: int
    key: object
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
        return fetch_typed(connection, "passages", parameters, class_row(Passage))

    def nearest(self, connection: psycopg.Connection) -> Passage | None:
        """The passage of the nearest row; None where no row is nearer than what does not belong."""
        anything = replace(self, relevance=0.0, k=1, method="vector", rerank=None)
        return next(iter(anything.passages(connection)), None)

    def prompt(self, connection: psycopg.Connection, passages: Sequence[Passage]) -> str:
        """What a language model is asked."""
        parameters = {"question": self.question, "passages": [one.passage for one in passages]}
        ((prompt,),) = fetch(connection, "prompt", parameters, tuple_row)
        return str(prompt)
