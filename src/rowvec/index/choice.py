"""Which index suits a column, and why: one pure rule over a few facts.

Its figures were measured on 100,000 sentence vectors of 384 dimensions and 2 cores with pgvector
0.8: ivfflat with 316 lists builds in 3 s and reaches a recall of 0.956 at 7.0 ms, hnsw builds in
25 s and reaches 0.963 at 1.25 ms, hnsw over bits with 200 candidates ranked again 0.979 at 2.6 ms
in a sixth of the space. The rule weighs these two; other kinds are built where they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rowvec.db.index_form import Storage
from rowvec.errors import NotSupported
from rowvec.index.index_kind import Facts, IndexKind
from rowvec.index.kinds import KINDS, hnsw, ivfflat

_IVFFLAT, _HNSW = ivfflat.KIND, hnsw.KIND

# Up to here an ivfflat index answers within about 5 ms, and builds in a second or two.
_ROWS_FOR_IVFFLAT = 50_000
# Beyond this the probes of ivfflat approach the lists: hnsw earlier.
_HIGH_RECALL = 0.985
_ROWS_FOR_IVFFLAT_AT_HIGH_RECALL = 10_000
# The longest build that the rule chooses on its own.
_LONGEST_BUILD_SECONDS = 3600
# Signs alone tell texts apart only where there are enough of them.
_MIN_DIMENSIONS_FOR_BITS = 256


@dataclass(frozen=True)
class Wish:
    """What was asked for, a kind by its name; None leaves it to the rule."""

    kind: str | None = None
    storage: Storage | None = None
    lists: int | None = None


@dataclass(frozen=True)
class Choice:
    """An index to build, what it should take, and the reasons, a sentence each."""

    kind: IndexKind
    storage: Storage
    lists: int | None
    memory_kb: int
    build_seconds: float
    size_bytes: int
    reasons: tuple[str, ...]


def choose(facts: Facts, wish: Wish) -> Choice:
    """The index for these facts.

    Raises NotSupported if no index can hold vectors of that many dimensions as asked.
    """
    reasons: list[str] = []
    kind = None if wish.kind is None else KINDS[wish.kind]
    # Both kinds that the rule weighs hold the same.
    limits = (kind or _IVFFLAT).max_dimensions
    storage = wish.storage or _storage_for(facts.dimensions, limits, reasons)
    _check(facts.dimensions, storage, kind or _IVFFLAT)
    if kind is None and wish.lists is not None:
        kind = _IVFFLAT
        reasons.append("ivfflat, which --lists asks for")
    if kind is None:
        kind, storage = _weigh(facts, storage, reasons, may_shrink=wish.storage is None)
    lists = kind.lists_for(facts.rows)
    if lists is not None and wish.lists is not None:
        lists = wish.lists
    elif lists is not None:
        reasons.append(kind.lists_in_words(lists, facts.rows))
    return Choice(
        kind=kind,
        storage=storage,
        lists=lists,
        memory_kb=kind.memory_kb(facts, storage, lists),
        build_seconds=kind.build_seconds(facts, storage, lists),
        size_bytes=kind.size_bytes(facts, storage),
        reasons=tuple(reasons),
    )


def _storage_for(dimensions: int, limits: Mapping[Storage, int], reasons: list[str]) -> Storage:
    if dimensions <= limits["vector"] or "halfvec" not in limits:
        return "vector"
    if dimensions <= limits["halfvec"]:
        reasons.append(
            f"halfvec: {dimensions:,} dimensions, and an index of vector holds {limits['vector']:,}"
        )
    return "halfvec"


def _check(dimensions: int, storage: Storage, kind: IndexKind) -> None:
    limits = kind.max_dimensions
    if storage not in limits:
        raise NotSupported(
            f"an index of the kind {kind.method} cannot hold {storage}",
            hint=f"it holds {' or '.join(limits)}",
        )
    if dimensions > limits[storage]:
        raise NotSupported(
            f"an index of {storage} holds at most {limits[storage]:,} dimensions, these vectors "
            f"have {dimensions:,}",
            hint=_hint_for(dimensions, limits),
        )


def _hint_for(dimensions: int, limits: Mapping[Storage, int]) -> str:
    if dimensions <= limits.get("halfvec", 0):
        return "--storage halfvec holds 4,000, --storage bit 64,000"
    if dimensions <= limits.get("bit", 0):
        return (
            "--storage bit indexes their signs, up to 64,000, and ranks candidates again by the "
            "vectors themselves; or shorten them: truncate_dim, of a model trained for it"
        )
    return "shorten the vectors: truncate_dim in the kwargs, of a model trained for it"


def _weigh(
    facts: Facts, storage: Storage, reasons: list[str], *, may_shrink: bool
) -> tuple[IndexKind, Storage]:
    """The kind, and a smaller storage where only that lets hnsw build within the memory."""
    is_high = facts.target_recall >= _HIGH_RECALL
    enough = _ROWS_FOR_IVFFLAT_AT_HIGH_RECALL if is_high else _ROWS_FOR_IVFFLAT
    if facts.rows <= enough:
        reasons.append(
            f"ivfflat: of {facts.rows:,} rows it answers in a few milliseconds, and it builds in a "
            "second or two"
        )
        return _IVFFLAT, storage
    for smaller in _smaller(facts, storage) if may_shrink else (storage,):
        needed = _HNSW.memory_kb(facts, smaller, None)
        seconds = _HNSW.build_seconds(facts, smaller, None)
        if needed <= facts.memory_kb and seconds <= _LONGEST_BUILD_SECONDS:
            reasons.append(
                f"hnsw: of {facts.rows:,} rows it answers several times faster than ivfflat at a "
                f"recall of {facts.target_recall:g}, and its graph of {readable(needed)} fits into "
                f"the {readable(facts.memory_kb)} that a build may take here"
            )
            if smaller != storage:
                reasons.append(
                    f"{smaller}: a graph of {storage} would take "
                    f"{readable(_HNSW.memory_kb(facts, storage, None))}"
                )
            return _HNSW, smaller
    needed = _HNSW.memory_kb(facts, storage, None)
    seconds = _HNSW.build_seconds(facts, storage, None)
    reasons.append(
        f"ivfflat: the graph of hnsw would take {readable(needed)} and about {seconds / 60:,.0f} "
        f"minutes, and a build may take {readable(facts.memory_kb)} here"
    )
    return _IVFFLAT, storage


def _smaller(facts: Facts, storage: Storage) -> tuple[Storage, ...]:
    """The storage and those below it that hold enough of such a vector."""
    order: tuple[Storage, ...] = ("vector", "halfvec", "bit")
    if facts.dimensions < _MIN_DIMENSIONS_FOR_BITS:
        order = ("vector", "halfvec")
    return order[order.index(storage) :]


def readable(kilobytes: int) -> str:
    """An amount of memory as people say it."""
    return f"{kilobytes / 1024:,.0f} MB" if kilobytes < 2 << 20 else f"{kilobytes / 2**20:,.1f} GB"
