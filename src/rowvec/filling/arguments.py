"""The arguments under which the rows of a column are embedded."""

from __future__ import annotations

from typing import Any

from rowvec.db.definition import Definition

# Whoever names a prefix of their own gets that one and no other.
_PREFIXES = frozenset({"prompt", "prompt_name", "instruction", "input_type"})


def document_kwargs(definition: Definition) -> dict[str, Any]:
    """The definition's kwargs for its rows, which are documents: queries have another prompt."""
    kwargs: dict[str, Any] = {**definition.kwargs}
    if not _PREFIXES & kwargs.keys():
        kwargs["input_type"] = "document"
    if definition.on_truncate == "error":
        kwargs["on_truncate"] = "error"
    return kwargs
