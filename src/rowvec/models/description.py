"""What is known of a model before it is loaded, as its family reads it from files.

So the worker answers `models()` and checks kwargs at once, without torch and without the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rowvec.models.backends.variant import Backend

# What `max_tokens` says of a model that reads texts of any length: the largest int of Postgres.
NO_LIMIT = 2**31 - 1

Reads = Literal["text", "image"]
Gives = Literal["vector", "sparse vector", "score"]


def tokens_in_words(count: int) -> str:
    """How many tokens a model reads, as people say it."""
    return "no limit of tokens" if count == NO_LIMIT else f"{count} tokens"


@dataclass(frozen=True)
class Description:
    """What requests are checked against. `prompts` maps a name to a prefix.

    A `sparse vector` is `dimensions` long and nearly all zeros; a `score` is of a pair of texts.
    `backends` can compute it, where there is a choice; `dtype` is the type of its weights. `routes`
    maps an input_type to the route of the model's own that it takes, where it is not the usual one.
    """

    name: str
    dimensions: int
    max_tokens: int
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str = ""
    normalizes: bool = False
    revision: str | None = None
    reads: tuple[Reads, ...] = ("text",)
    gives: Gives = "vector"
    takes_instruction: bool = False
    backends: tuple[Backend, ...] = ()
    dtype: str = "float32"
    routes: Mapping[str, str] = field(default_factory=dict)
