"""Which operation a model can do, by what it reads and what it gives."""

from __future__ import annotations

from collections.abc import Mapping

from rowvec.errors import InvalidRequest
from rowvec.models.description import Description, Gives, Reads

_NEEDS: Mapping[str, tuple[Reads, Gives | None]] = {
    "embed": ("text", "vector"),
    "embed_sparse": ("text", "sparse vector"),
    "embed_image": ("image", "vector"),
    "rerank": ("text", "score"),
    "chunk": ("text", None),
    "count_tokens": ("text", None),
}

_OPERATION_OF: Mapping[Gives, str] = {
    "vector": "embed",
    "sparse vector": "embed_sparse",
    "score": "rerank",
}


def check_operation(operation: str, model: Description) -> None:
    """Raises InvalidRequest where the model is of another kind, saying what it is for."""
    reads, gives = _NEEDS[operation]
    if gives not in (None, model.gives):
        raise InvalidRequest(
            f"{model.name} gives a {model.gives}, not a {gives}",
            hint=f"use {_OPERATION_OF[model.gives]} with it",
        )
    if reads not in model.reads:
        raise InvalidRequest(f"{model.name} reads {' and '.join(model.reads)}s, not {reads}s")
