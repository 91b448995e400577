"""`kwargs` of a chunk request: its own keys resolved, the rest left for the encoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from rowvec.chunking.cutting import ChunkBorder, Chunking
from rowvec.errors import InvalidRequest
from rowvec.models import encoding
from rowvec.models.description import NO_LIMIT, Description

KNOWN = ("max_tokens", "overlap", "border")


def resolve_chunking(
    kwargs: Mapping[str, Any], model: Description
) -> tuple[Chunking, dict[str, Any]]:
    """How to cut, and the kwargs that remain; JSON null counts as not given.

    Chunks fill the model unless `max_tokens` says less. Raises InvalidRequest.
    """
    given = {key: value for key, value in kwargs.items() if value is not None}
    unknown = sorted(set(given) - {*KNOWN, *encoding.KNOWN})
    if unknown:
        raise InvalidRequest(
            f"unknown kwargs: {', '.join(map(repr, unknown))}",
            hint=f"known: {', '.join((*KNOWN, *encoding.KNOWN))}",
        )
    max_tokens = _whole(given, "max_tokens", model.max_tokens, at_least=1)
    if max_tokens > model.max_tokens:
        raise InvalidRequest(
            f"max_tokens {max_tokens} is more than the {model.max_tokens} that {model.name} reads"
        )
    if max_tokens == NO_LIMIT:
        raise InvalidRequest(
            f"{model.name} reads texts of any length: say max_tokens",
            hint='for example {"max_tokens": 256}',
        )
    overlap = _whole(given, "overlap", 0, at_least=0)
    if overlap > max_tokens // 2:
        # Beyond that most of every chunk is repetition, and the answer many times the text.
        raise InvalidRequest(f"overlap {overlap} is more than half of max_tokens {max_tokens}")
    border = given.get("border", "paragraph")
    if border not in get_args(ChunkBorder):
        raise InvalidRequest(f"border must be one of {', '.join(get_args(ChunkBorder))}")
    rest = {key: value for key, value in given.items() if key not in KNOWN}
    return Chunking(max_tokens, overlap, border), rest


def _whole(given: Mapping[str, object], key: str, default: int, *, at_least: int) -> int:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise InvalidRequest(f"{key} must be a whole number, at least {at_least}")
    return value
