"""Measures an index at every setting, and keeps the smallest that reaches the target recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from rowvec.config import Settings
from rowvec.db.connection import resolve_dsn
from rowvec.db.default_setting import ByHand, Scope, by_hand
from rowvec.db.definition import Definition
from rowvec.db.index_form import IndexForm, Setting
from rowvec.db.measured import Measured, keep_measured
from rowvec.db.nearest_rows import NearestRows
from rowvec.db.session import Session, open_session
from rowvec.db.vector_index import IndexState, StoredIndex, VectorIndex, count_vectors, store
from rowvec.db.vector_table import VectorTable
from rowvec.errors import ConfigError, DefinitionChanged, InvalidRequest, reason
from rowvec.index.index_kind import IndexKind
from rowvec.index.index_progress import IndexProgress
from rowvec.index.kinds import kind_of
from rowvec.index.recall import NEIGHBOURS, Measurement, sample

_APPLICATION = "rowvec tune"
# Beyond it more thorough settings only cost time.
_ALL_BUT_EXACT = 0.9995


@dataclass(frozen=True)
class TuneRequest:
    """What to tune: a table's name as written in SQL, the embedding, its default where None.

    `queries` are texts as users type them; rows of the table serve where there are none. `apply`
    makes the setting the default of the role or of the database, for queries by hand.
    """

    source: str
    embedding: str | None = None
    k: int = NEIGHBOURS
    target_recall: float | None = None
    queries: tuple[str, ...] = ()
    apply: Scope = "none"


@dataclass(frozen=True)
class TuneResult:
    """What was measured, the exact search first, and what `search` uses from now on.

    `before` is the setting that it used, as it is today.
    """

    source: str
    embedding: str
    index: str
    kind: str
    storage: str
    lists: int | None
    rows: int
    queries: int
    k: int
    target_recall: float
    measured: tuple[Measured, ...]
    best: Measured
    before: Measured | None
    by_hand: ByHand


async def tune(settings: Settings, request: TuneRequest, reporter: IndexProgress) -> TuneResult:
    """Measures and stores.

    Raises InvalidRequest where there is no index to measure, DatabaseError as Postgres gives it.
    """
    async with open_session(resolve_dsn(settings), _APPLICATION) as session:
        definition = await Definition.read(session, request.source, request.embedding)
        table = await VectorTable.read(session, definition)
        index = VectorIndex(session, table)
        state = await _standing(index, definition, request.source)
        rows = sum((await count_vectors(session, table)).values())
        kind = kind_of(state.kind)
        form = IndexForm(
            kind.method, state.storage, definition.metric, definition.dimensions,
            session.vector_schema, table.column,
        )  # fmt: skip
        neighbours = NearestRows(session, table, form)
        queries = (
            [await neighbours.query(definition, text) for text in request.queries]
            if request.queries
            else await sample(neighbours, kind, state.storage, rows)
        )
        target = request.target_recall or table.target_recall
        are_sampled = not request.queries
        measurement = Measurement(neighbours, queries, request.k, are_sampled=are_sampled)
        curve = _Curve(measurement, reporter)
        lists = state.lists or kind.lists_for(rows)
        steps = tuple(kind.settings(state.storage, lists, request.k))
        least = kind.least(lists, rows) if are_sampled else 1
        best = await curve.measure(steps, target, least)
        used = _as_used(kind, table.setting, request.k)
        before = None if table.recall is None else await curve.at(used)
        assert best.setting is not None
        await _store(
            session,
            definition,
            StoredIndex(
                index.name, kind.method, kind.is_graph, form.storage, state.lists, None,
                best.setting, kind.most, best.recall, request.target_recall,
            ),
        )  # fmt: skip
        await keep_measured(session, definition, curve.points)
        hand = await by_hand(session, form, best.setting, request.apply)
        return TuneResult(
            source=table.table, embedding=definition.name, index=index.name, kind=kind.method,
            storage=form.storage, lists=state.lists, rows=rows, queries=len(queries), k=request.k,
            target_recall=target, measured=curve.points, best=best, before=before, by_hand=hand,
        )  # fmt: skip


def read_queries(path: Path) -> tuple[str, ...]:
    """Queries of a file: a line each, or of a .jsonl file the `query` or `text` of each object.

    Raises ConfigError where it cannot be read or has none.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if path.suffix == ".jsonl":
            objects = [orjson.loads(line) for line in lines]
            lines = [str(one.get("query", one.get("text", ""))) for one in objects]
    except (OSError, UnicodeDecodeError, orjson.JSONDecodeError, AttributeError) as exc:
        raise ConfigError(f"{path} cannot be read as queries: {reason(exc)}") from exc
    queries = tuple(line for line in lines if line.strip())
    if not queries:
        raise ConfigError(f"{path} has no query", hint="a query a line, or JSON lines with `query`")
    return queries


class _Curve:
    """What was measured so far, each setting once."""

    def __init__(self, measurement: Measurement, reporter: IndexProgress) -> None:
        self._measurement = measurement
        self._reporter = reporter
        self._exact: Measured | None = None
        self._measured: dict[Setting, Measured] = {}

    @property
    def points(self) -> tuple[Measured, ...]:
        """The exact search, then the settings from the fastest on."""
        assert self._exact is not None
        return (self._exact, *sorted(self._measured.values(), key=lambda one: one.order))

    async def at(self, setting: Setting) -> Measured:
        """One setting."""
        if setting not in self._measured:
            self._keep(await self._measurement.at(setting))
        return self._measured[setting]

    async def measure(self, steps: Sequence[Setting], target: float, least: int) -> Measured:
        """All there are, until nothing is gained, and the smallest that reaches the target."""
        self._exact = await self._measurement.exact()
        self._reporter.measured(self._exact)
        best = await self._measurement.smallest(iter(steps), target, self._keep, least)
        if best.recall >= target:
            for setting in steps:
                measured = await self.at(setting)
                if measured.recall >= max(_ALL_BUT_EXACT, target):
                    break
        return best

    def _keep(self, one: Measured) -> None:
        assert one.setting is not None
        self._measured[one.setting] = one
        self._reporter.measured(one)


def _as_used(kind: IndexKind, setting: Setting, k: int) -> Setting:
    """`search` looks at k rows at least."""
    value = setting.value
    if value is not None and kind.most is not None:
        value = max(value, k)
    return Setting(setting.name, value, setting.rescore and max(setting.rescore, k))


async def _standing(index: VectorIndex, definition: Definition, source: str) -> IndexState:
    state = await index.state()
    if state is None or not state.is_valid:
        what = "has no index" if state is None else "has an index that is not complete"
        raise InvalidRequest(
            f"{definition.label} {what}", hint=f"run `rowvec index {source}` first"
        )
    return state


async def _store(session: Session, definition: Definition, stored: StoredIndex) -> None:
    if not await store(session, definition, stored):
        raise DefinitionChanged(
            f"{definition.label} was changed while it was measured", hint="run the command again"
        )
