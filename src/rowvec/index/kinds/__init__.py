"""The kinds of index: every module in this folder is one, and `KIND` is its object."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

from rowvec.errors import NotSupported
from rowvec.index.index_kind import IndexKind


def _all() -> dict[str, IndexKind]:
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    return {module.KIND.method: module.KIND for module in modules}


KINDS: Mapping[str, IndexKind] = _all()


def kind_of(method: str) -> IndexKind:
    """The kind of an existing index.

    Raises NotSupported if it is none of these: another index was given the name of ours.
    """
    if method not in KINDS:
        raise NotSupported(
            f"the index of this embedding is of the kind {method}, which rowvec does not know",
            hint="drop or rename it",
        )
    return KINDS[method]
