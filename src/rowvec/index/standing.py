"""What to do with an index that stands already: keep it, or build another, and why."""

from __future__ import annotations

from dataclasses import dataclass

from rowvec.db.vector_index import IndexState
from rowvec.index.kinds import kind_of
from rowvec.index.request import IndexRequest

# An index of lists is good for about twice the rows that it was built for, and its lists for twice
# or half of what would be chosen: recall is held by reading more of them, at their price.
TOLERATED_FACTOR = 2


@dataclass(frozen=True)
class Standing:
    """An index and its table now; `recall` as measured last, at the stored setting."""

    state: IndexState
    opclass: str
    rows: int
    built_for: int | None
    recall: float | None
    target_recall: float
    is_partitioned: bool


def must_be_another(standing: Standing, request: IndexRequest) -> str | None:
    """Why the index cannot serve as it is, or is not what was asked for; None where it can."""
    state = standing.state
    if not state.is_valid:
        return "not all partitions have theirs yet"
    if state.opclass != standing.opclass:
        return f"it is of the class {state.opclass}, {standing.opclass} is needed"
    if request.kind not in (None, state.kind):
        return f"{request.kind} is asked for, it is {state.kind}"
    if request.storage not in (None, state.storage):
        return f"{request.storage} is asked for, it holds {state.storage}"
    if request.lists not in (None, state.lists):
        return f"{request.lists} lists are asked for, it has {state.lists or 'none'}"
    return "as asked" if request.rebuild else None


def should_be_another(standing: Standing) -> str | None:
    """Why another index would be better; None where it is good.

    A graph grows with its table, and a recall that fell is for its setting to mend; lists are drawn
    once.
    """
    state = standing.state
    kind = kind_of(state.kind)
    if kind.is_graph or state.lists is None:
        return None
    built_for = standing.built_for or state.lists**2
    if standing.rows > TOLERATED_FACTOR * built_for:
        return f"it was built for {built_for:,} vectors, there are {standing.rows:,}"
    suitable = kind.lists_for(standing.rows) or state.lists
    is_near = 1 / TOLERATED_FACTOR <= state.lists / suitable <= TOLERATED_FACTOR
    # The lists of partitions are each partition's own.
    if standing.built_for is None and not standing.is_partitioned and not is_near:
        return f"it has {state.lists} lists, {suitable} suit {standing.rows:,} vectors better"
    if standing.recall is not None and standing.recall < standing.target_recall:
        return f"its recall is {standing.recall:.3f}, the target {standing.target_recall:g}"
    return None
