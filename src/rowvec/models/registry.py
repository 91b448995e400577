"""Kinds of models by name: those of this package, and those that installed packages bring.

Ours are in a table, not among the entry points: every way of installing rowvec has them, and no
other package can take their names. A package's class is imported only when models.toml names its
kind, so an installed package runs no code until then.
"""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from rowvec.errors import ConfigError
from rowvec.models.family import Family

GROUP = "rowvec.models"

_FAMILIES = "rowvec.models.families"
_BUILT_IN = {
    "sentence-transformers": f"{_FAMILIES}.sentence_transformers:SentenceTransformers",
    "instructor": f"{_FAMILIES}.instructor:Instructor",
    "word-vectors": f"{_FAMILIES}.word_vectors:WordVectors",
    "sparse-encoder": f"{_FAMILIES}.sparse_encoder:SparseEncoder",
    "cross-encoder": f"{_FAMILIES}.cross_encoder:CrossEncoder",
    "remote": f"{_FAMILIES}.remote:Remote",
    "stand-in": f"{_FAMILIES}.stand_in:StandIn",
}


def kinds() -> list[str]:
    """Every kind that models.toml may name."""
    return [*_BUILT_IN, *sorted(set(_installed()) - set(_BUILT_IN))]


def family(kind: str) -> type[Family]:
    """The class of a kind; raises ConfigError, listing the kinds there are."""
    if kind in _BUILT_IN:
        module, _, name = _BUILT_IN[kind].partition(":")
        return cast("type[Family]", getattr(importlib.import_module(module), name))
    found = _installed().get(kind)
    if found is None:
        raise ConfigError(f"there is no kind {kind!r}", hint=f"kinds: {', '.join(kinds())}")
    if len(found) > 1:
        brought_by = " and ".join(sorted(p.dist.name if p.dist else p.value for p in found))
        raise ConfigError(f"the kind {kind!r} is brought by {brought_by}: remove one of them")
    try:
        loaded = found[0].load()
    except (ImportError, AttributeError) as exc:
        raise ConfigError(
            f"the kind {kind!r} ({found[0].value}) cannot be imported: {exc}"
        ) from exc
    if not (isinstance(loaded, type) and issubclass(loaded, Family)):
        raise ConfigError(f"the kind {kind!r} ({found[0].value}) is no subclass of Family")
    return loaded


def _installed() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if point not in found.setdefault(point.name, []):
            found[point.name].append(point)
    return found
