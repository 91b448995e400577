"""The kinds of index, a module each, found by being here; `KIND` of a module is its object."""

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
    """The kind of an index that stands.

    Raises NotSupported where it is none of these: somebody gave it the name that ours has.
    """
    if method not in KINDS:
        raise NotSupported(
            f"the index of this embedding is of the kind {method}, which rowvec does not know",
            hint="drop or rename it",
        )
    return KINDS[method]
