"""Which index suits a column, and why: one pure rule over a few facts.

Its figures were measured on 100,000 sentence vectors of 384 dimensions and 2 cores with pgvector
0.8: ivfflat with 316 lists builds in 3 s and reaches a recall of 0.956 at 7.0 ms, hnsw builds in
25 s and reaches 0.963 at 1.25 ms, hnsw over bits with 200 candidates ranked again 0.979 at 2.6 ms
in a sixth of the space. Times are scaled from there; they are no promise, they are good enough to
tell seconds from hours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rowvec.db.index_form import MAX_DIMENSIONS, Kind, Storage
from rowvec.errors import NotSupported

MAX_LISTS = 32_768

_MIN_LISTS = 10
_MIN_MEMORY_KB = 64 << 10

# Up to here an ivfflat index answers within about 5 ms, and builds in a second or two.
_ROWS_FOR_IVFFLAT = 50_000
# Beyond this the probes of ivfflat approach the lists: hnsw earlier.
_HIGH_RECALL = 0.985
_ROWS_FOR_IVFFLAT_AT_HIGH_RECALL = 10_000
# Longer than this nobody should wait who did not ask for it.
_LONGEST_BUILD_SECONDS = 3600
# Signs alone tell texts apart only where there are enough of them.
_MIN_DIMENSIONS_FOR_BITS = 256

# Distances of 384 dimensions a second and process; what hnsw compares for a row, for each doubling
# of the rows.
_DISTANCES_PER_SECOND = 5.3e6
_COMPARED_PER_DOUBLING = 160
# hnsw in memory beside the vector: an element and its neighbours (48 MB held 22,353 rows of 1,544
# bytes with pgvector 0.8.6).
_GRAPH_BYTES = 720
# hnsw on disk: the neighbours as tuple ids, headers.
_NEIGHBOUR_BYTES = 300


@dataclass(frozen=True)
class Facts:
    """What the rule weighs; `memory_kb` and `processes` are what one build may take."""

    rows: int
    dimensions: int
    target_recall: float
    memory_kb: int
    processes: int


@dataclass(frozen=True)
class Wish:
    """What somebody asked for; None leaves it to the rule."""

    kind: Kind | None = None
    storage: Storage | None = None
    lists: int | None = None


@dataclass(frozen=True)
class Choice:
    """An index to build, what it should take, and the reasons, a sentence each."""

    kind: Kind
    storage: Storage
    lists: int | None
    memory_kb: int
    build_seconds: float
    size_bytes: int
    reasons: tuple[str, ...]


def choose(facts: Facts, wish: Wish) -> Choice:
    """The index for these facts.

    Raises NotSupported where no index can hold vectors of so many dimensions as asked.
    """
    reasons: list[str] = []
    storage = wish.storage or _storage_for(facts.dimensions, reasons)
    limit = MAX_DIMENSIONS[storage]
    if facts.dimensions > limit:
        raise NotSupported(
            f"an index of {storage} holds at most {limit:,} dimensions, these vectors have "
            f"{facts.dimensions:,}",
            hint=_hint_for(facts.dimensions),
        )
    kind = wish.kind
    if kind is None and wish.lists is not None:
        kind = "ivfflat"
        reasons.append("ivfflat, which --lists asks for")
    if kind is None:
        kind, storage = _weigh(facts, storage, reasons, may_shrink=wish.storage is None)
    lists = None
    if kind == "ivfflat":
        lists = wish.lists or lists_for(facts.rows)
        if wish.lists is None:
            reasons.append(f"{lists} lists: the root of {facts.rows:,} rows, at least {_MIN_LISTS}")
    return Choice(
        kind=kind,
        storage=storage,
        lists=lists,
        memory_kb=memory_kb(facts, kind, storage, lists),
        build_seconds=build_seconds(facts, storage, lists),
        size_bytes=size_bytes(facts, kind, storage),
        reasons=tuple(reasons),
    )


def lists_for(rows: int) -> int:
    """How many lists suit so many rows: their root, pgvector's own rule for a million and more."""
    return min(max(_MIN_LISTS, round(math.sqrt(rows))), MAX_LISTS)


def stored_bytes(dimensions: int, storage: Storage) -> int:
    """One vector as the index holds it."""
    bits = {"vector": 32, "halfvec": 16, "bit": 1}[storage]
    return 8 + math.ceil(dimensions * bits / 8)


def size_bytes(facts: Facts, kind: Kind, storage: Storage) -> int:
    """About how large the index becomes."""
    row = stored_bytes(facts.dimensions, storage) + (_NEIGHBOUR_BYTES if kind == "hnsw" else 12)
    return facts.rows * row


def build_seconds(facts: Facts, storage: Storage, lists: int | None) -> float:
    """About how long the build takes: ivfflat compares each row with each list, else it is hnsw."""
    width = facts.dimensions / 384 * {"vector": 1.0, "halfvec": 0.7, "bit": 0.3}[storage]
    compared = lists or _COMPARED_PER_DOUBLING * math.log2(max(2, facts.rows))
    return facts.rows * compared * width / _DISTANCES_PER_SECOND / facts.processes


def memory_kb(facts: Facts, kind: Kind, storage: Storage, lists: int | None) -> int:
    """maintenance_work_mem with which the build is fast, and a fifth more.

    hnsw builds its graph in it and is many times slower once the graph is larger. The k-means of
    ivfflat samples 50 vectors a list (10,000 at least), keeps a bound for each sample and list, and
    fails where they do not fit.
    """
    vector = stored_bytes(facts.dimensions, storage)
    if kind == "hnsw":
        needed = facts.rows * (vector + _GRAPH_BYTES)
    else:
        assert lists is not None
        samples = max(10_000, 50 * lists)
        bounds = 4 * (samples * lists + lists * lists + 2 * samples + 3 * lists)
        needed = (samples + 2 * lists) * vector + bounds
    return max(_MIN_MEMORY_KB, needed * 6 // 5 // 1024)


def _storage_for(dimensions: int, reasons: list[str]) -> Storage:
    if dimensions <= MAX_DIMENSIONS["vector"]:
        return "vector"
    if dimensions <= MAX_DIMENSIONS["halfvec"]:
        reasons.append(
            f"halfvec: {dimensions:,} dimensions, and an index of vector holds "
            f"{MAX_DIMENSIONS['vector']:,}"
        )
    return "halfvec"


def _hint_for(dimensions: int) -> str:
    if dimensions <= MAX_DIMENSIONS["halfvec"]:
        return "--storage halfvec holds 4,000, --storage bit 64,000"
    if dimensions <= MAX_DIMENSIONS["bit"]:
        return (
            "--storage bit indexes their signs, up to 64,000, and ranks candidates again by the "
            "vectors themselves; or shorten them: truncate_dim, of a model trained for it"
        )
    return "shorten the vectors: truncate_dim in the kwargs, of a model trained for it"


def _weigh(
    facts: Facts, storage: Storage, reasons: list[str], *, may_shrink: bool
) -> tuple[Kind, Storage]:
    """The kind, and a smaller storage where only that lets hnsw build within the memory."""
    is_high = facts.target_recall >= _HIGH_RECALL
    enough = _ROWS_FOR_IVFFLAT_AT_HIGH_RECALL if is_high else _ROWS_FOR_IVFFLAT
    if facts.rows <= enough:
        reasons.append(
            f"ivfflat: of {facts.rows:,} rows it answers in a few milliseconds, and it builds in a "
            "second or two"
        )
        return "ivfflat", storage
    for smaller in _smaller(facts, storage) if may_shrink else (storage,):
        needed = memory_kb(facts, "hnsw", smaller, None)
        seconds = build_seconds(facts, smaller, None)
        if needed <= facts.memory_kb and seconds <= _LONGEST_BUILD_SECONDS:
            reasons.append(
                f"hnsw: of {facts.rows:,} rows it answers several times faster than ivfflat at a "
                f"recall of {facts.target_recall:g}, and its graph of {readable(needed)} fits into "
                f"the {readable(facts.memory_kb)} that a build may take here"
            )
            if smaller != storage:
                reasons.append(
                    f"{smaller}: a graph of {storage} would take "
                    f"{readable(memory_kb(facts, 'hnsw', storage, None))}"
                )
            return "hnsw", smaller
    needed = memory_kb(facts, "hnsw", storage, None)
    seconds = build_seconds(facts, storage, None)
    reasons.append(
        f"ivfflat: the graph of hnsw would take {readable(needed)} and about {seconds / 60:,.0f} "
        f"minutes, and a build may take {readable(facts.memory_kb)} here"
    )
    return "ivfflat", storage


def _smaller(facts: Facts, storage: Storage) -> tuple[Storage, ...]:
    """The storage and those below it that hold enough of such a vector."""
    order: tuple[Storage, ...] = ("vector", "halfvec", "bit")
    if facts.dimensions < _MIN_DIMENSIONS_FOR_BITS:
        order = ("vector", "halfvec")
    return order[order.index(storage) :]


def readable(kilobytes: int) -> str:
    """An amount of memory as people say it."""
    return f"{kilobytes / 1024:,.0f} MB" if kilobytes < 2 << 20 else f"{kilobytes / 2**20:,.1f} GB"
