"""Stores each row's nearest others in `<source>_similar`, and refreshes what has changed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rowvec.config import Settings
from rowvec.db.connection import resolve_dsn
from rowvec.db.definition import Definition
from rowvec.db.session import Session, open_session
from rowvec.db.similar_rows import SimilarRows, StoredPair, try_lock
from rowvec.db.vector_index import is_indexed
from rowvec.db.vectors import Key, Matrix
from rowvec.errors import DatabaseError, InvalidRequest, NotSupported
from rowvec.progress import Progress
from rowvec.search.neighbours import (
    Entering,
    ExactNeighbours,
    IndexNeighbours,
    NearestOthers,
    Neighbours,
    Places,
)

_APPLICATION = "rowvec similarities"

# Up to here blocks of vectors times all of them are about as fast as an hnsw index, and exact. The
# work grows with the square of the rows, an index's hardly faster than they do.
_MAX_EXACT_ROWS = 200_000
_MAX_EXACT_BYTES = 1 << 30


@dataclass(frozen=True)
class SimilaritiesRequest:
    """Whose: a table's name as written in SQL, the embedding, its default where None; how many."""

    source: str
    k: int = 10
    embedding: str | None = None


@dataclass(frozen=True)
class SimilaritiesResult:
    """What one run did. `compared` rows were compared with all others, `entered` got a new one.

    `is_exact` says that they really were; else the index was asked.
    """

    source: str
    embedding: str
    table: str
    rows: int
    changed: int
    compared: int
    entered: int
    is_exact: bool
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows compared a second, from the first read to the last commit."""
        return self.compared / self.seconds if self.seconds else 0.0


async def similarities(
    settings: Settings, request: SimilaritiesRequest, progress: Progress
) -> SimilaritiesResult:
    """Brings the table up to date; every batch is committed, and a killed run is gone on with.

    A row is compared with all others when it is new, when its text or one of its neighbours has
    changed, or when a neighbour is gone; what it newly is nearest to takes it up. Raises
    InvalidRequest where there is nothing to compare, DatabaseError as Postgres gives it.
    """
    began = time.perf_counter()
    async with open_session(resolve_dsn(settings), _APPLICATION) as session:
        definition = await Definition.read(session, request.source, request.embedding)
        if not await try_lock(session, definition):
            raise DatabaseError(
                f"another `rowvec similarities` works on {definition.label}", code="55P03"
            )
        stored = await SimilarRows.make(session, definition)
        is_exact = await _fits(session, definition, stored)
        lists = await _read(stored, request, progress, with_vectors=is_exact)
        comparison = _Comparison(stored, lists, progress)
        neighbours: Neighbours
        if lists.vectors is not None:
            neighbours = ExactNeighbours(lists.vectors, definition.metric, request.k)
        else:
            neighbours = IndexNeighbours(stored, lists.keys, definition.metric, request.k)
        await comparison.compare(neighbours)
    return SimilaritiesResult(
        source=definition.table,
        embedding=definition.name,
        table=stored.table.table,
        rows=len(lists.keys),
        changed=int(lists.changed.sum()),
        compared=int(lists.outdated.sum()),
        entered=comparison.entered,
        is_exact=is_exact,
        seconds=round(time.perf_counter() - began, 3),
    )


@dataclass
class Lists:
    """All rows with a vector, by place, and the list that each has stored.

    A row is `changed` where it is not what it was when it was compared. Its list is `outdated`
    then, and where it is too short or names a row that has changed.
    """

    k: int
    keys: list[Key]
    marks: list[int]
    vectors: Matrix | None
    others: Places = field(init=False)
    scores: NDArray[np.float32] = field(init=False)
    changed: NDArray[np.bool_] = field(init=False)
    outdated: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        rows = len(self.keys)
        self.others = np.full((rows, self.k), -1, np.int64)
        self.scores = np.full((rows, self.k), -np.inf, np.float32)
        self.changed = np.ones(rows, np.bool_)
        self.outdated = np.ones(rows, np.bool_)

    @property
    def worst(self) -> Matrix:
        """What a score must exceed to enter a list; no score does if the list is made again."""
        worst: Matrix = np.where(self.outdated, np.inf, self.scores.min(axis=1))
        return worst.astype(np.float32)

    async def take(self, batches: AsyncIterator[list[StoredPair]]) -> None:
        """Takes over what is stored."""
        place = {key: i for i, key in enumerate(self.keys)}
        rows = len(self.keys)
        broken = np.zeros(rows, np.bool_)
        async for batch in batches:
            for pair in batch:
                row = place.get(pair.key)
                if row is None:
                    continue
                self.changed[row] = pair.mark != self.marks[row]
                other = place.get(pair.other) if pair.other is not None else None
                if other is None or pair.rank > self.k or pair.other_mark != self.marks[other]:
                    broken[row] = True
                else:
                    self.others[row, pair.rank - 1] = other
                    self.scores[row, pair.rank - 1] = pair.score
        expected = min(self.k, rows - 1)
        too_short = (self.others >= 0).sum(axis=1) != expected
        self.outdated = self.changed | broken | too_short


async def _fits(session: Session, definition: Definition, stored: SimilarRows) -> bool:
    """Whether all vectors are compared in memory; raises InvalidRequest where nothing can be."""
    rows = await stored.count()
    if rows <= _MAX_EXACT_ROWS and 4 * rows * definition.dimensions <= _MAX_EXACT_BYTES:
        return True
    if definition.destination == "table":
        raise NotSupported(
            f"the means of the chunks of {rows:,} rows are more than are compared in memory, and"
            " no index has them",
            hint="rowvec.similar compares one row's",
        )
    if not await is_indexed(session, definition):
        raise InvalidRequest(
            f"{rows:,} rows are too many to compare each with all, and {definition.label} has no"
            " index",
            hint=f"run `rowvec index {definition.table}` first",
        )
    return False


async def _read(
    stored: SimilarRows,
    request: SimilaritiesRequest,
    progress: Progress,
    *,
    with_vectors: bool,
) -> Lists:
    keys: list[Key] = []
    marks: list[int] = []
    vectors: list[Matrix] = []
    async for batch in stored.embedded(with_vectors=with_vectors):
        keys += batch.keys
        marks += batch.marks
        if batch.vectors is not None:
            vectors.append(batch.vectors)
        progress.phase("reading vectors", len(keys), 0)
    if not keys:
        raise InvalidRequest(
            f"no row of {request.source} has a vector",
            hint=f"run `rowvec backfill {request.source}` first",
        )
    lists = Lists(request.k, keys, marks, np.concatenate(vectors) if vectors else None)
    await lists.take(stored.stored())
    return lists


class _Comparison:
    """Compares what is outdated, block by block, and commits each."""

    def __init__(self, stored: SimilarRows, lists: Lists, progress: Progress) -> None:
        self._stored = stored
        self._lists = lists
        self._progress = progress
        self.entered = 0

    async def compare(self, neighbours: Neighbours) -> None:
        lists = self._lists
        outdated = np.flatnonzero(lists.outdated)
        worst = lists.worst
        for start in range(0, len(outdated), neighbours.block_rows):
            block = outdated[start : start + neighbours.block_rows]
            nearest, entering = await neighbours.of(block, worst, lists.changed[block])
            taken_up = self._take_up(entering)
            worst[taken_up] = lists.scores[taken_up].min(axis=1)
            await self._stored.replace(
                [*self._pairs(block, nearest), *self._stored_pairs(taken_up)]
            )
            self.entered += len(taken_up)
            self._progress.phase("comparing rows", start + len(block), len(outdated))

    def _pairs(self, block: Places, nearest: NearestOthers) -> list[StoredPair]:
        """The lists of a block; one that is empty says so, since what was there has to go."""
        lists = self._lists
        pairs = []
        for row, others, scores in zip(
            block.tolist(), nearest.places.tolist(), nearest.scores.tolist(), strict=True
        ):
            key, mark = lists.keys[row], lists.marks[row]
            found = [
                StoredPair(key, lists.keys[other], rank, score, mark, lists.marks[other])
                for rank, (other, score) in enumerate(zip(others, scores, strict=True), 1)
                if other >= 0
            ]
            pairs += found or [StoredPair(key, None, 0, 0.0, mark, 0)]
        return pairs

    def _stored_pairs(self, rows: Places) -> list[StoredPair]:
        lists = self._lists
        return self._pairs(rows, NearestOthers(lists.others[rows], lists.scores[rows]))

    def _take_up(self, entering: Entering) -> Places:
        """Puts entering rows into the lists of others; gives the places of those."""
        lists = self._lists
        taken_up = []
        for row in np.unique(entering.rows):
            of_row = entering.rows == row
            others, scores = entering.others[of_row], entering.scores[of_row]
            is_new = ~np.isin(others, lists.others[row])
            if not is_new.any():
                continue
            all_others = np.concatenate([lists.others[row], others[is_new]])
            all_scores = np.concatenate([lists.scores[row], scores[is_new]])
            order = np.argsort(-all_scores, kind="stable")[: lists.k]
            lists.others[row], lists.scores[row] = all_others[order], all_scores[order]
            taken_up.append(row)
        return np.array(taken_up, np.int64)
