"""`kwargs` of a rerank request: its own keys resolved, the rest left for the encoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rowvec.errors import InvalidRequest
from rowvec.models import encoding

KNOWN = ("top_k", "return_documents")

# A cross-encoder reads a query and a document, and nothing before them.
_WITHOUT_MEANING = frozenset(
    {"prompt", "prompt_name", "input_type", "instruction", "truncate_dim", "normalize"}
)


def resolve_ranking(kwargs: Mapping[str, object]) -> tuple[int | None, dict[str, Any]]:
    """How many are wanted (None: all), and the kwargs that remain; JSON null counts as not given.

    `return_documents` is the caller's affair, who has the documents; here it is only checked.
    Raises InvalidRequest.
    """
    given = {key: value for key, value in kwargs.items() if value is not None}
    allowed = [key for key in (*KNOWN, *encoding.KNOWN) if key not in _WITHOUT_MEANING]
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise InvalidRequest(
            f"unknown kwargs of rerank: {', '.join(map(repr, unknown))}",
            hint=f"known: {', '.join(allowed)}",
        )
    top_k = given.get("top_k")
    if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1):
        raise InvalidRequest("top_k must be a whole number, at least 1")
    if not isinstance(given.get("return_documents", False), bool):
        raise InvalidRequest("return_documents must be true or false")
    return top_k, {key: value for key, value in given.items() if key not in KNOWN}
