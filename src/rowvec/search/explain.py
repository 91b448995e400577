"""Which index a search used, what it read of it, and why not where it did not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from rowvec.config import Settings
from rowvec.db.connection import resolve_dsn
from rowvec.db.definition import Definition
from rowvec.db.search_plan import IndexOfVectors, indexes_of, plan_of
from rowvec.db.session import Session, open_session
from rowvec.db.vector_table import VectorTable
from rowvec.index.kinds import KINDS
from rowvec.search.explain_plan import Scan, in_words, scans

_APPLICATION = "rowvec explain"


@dataclass(frozen=True)
class ExplainRequest:
    """The search to explain, with the arguments of `search`."""

    source: str
    query: str
    k: int = 10
    filter: str | None = None
    filter_args: tuple[str, ...] = ()
    embedding: str | None = None


@dataclass(frozen=True)
class Explained:
    """What one search did. `why_not` is a sentence where no index over vectors was used.

    `settings` are the index's parameters during the search; `lists` those of an index of lists;
    `recall` and `measured_at` are of that setting, as `rowvec tune` or `rowvec index` left them.
    Rows were read from the index over vectors; `rows_removed` of them by the filter. `fell_back`:
    the index gave too few that pass the filter, and every row was read.
    """

    source: str
    embedding: str
    index: str | None
    index_kind: str | None
    index_storage: str | None
    lists: int | None
    settings: dict[str, str]
    rescore: int | None
    recall: float | None
    target_recall: float
    measured_at: datetime | None
    why_not: str | None
    fell_back: bool
    rows_read: int
    rows_removed: int
    pages: int
    pages_read: int
    milliseconds: float
    plan: list[str]


async def explain_search(settings: Settings, request: ExplainRequest) -> Explained:
    """Runs the search, as `search` does, for its plan; nothing stays changed.

    Raises DatabaseError as `search` does.
    """
    async with open_session(resolve_dsn(settings), _APPLICATION) as session:
        definition = await Definition.read(session, request.source, request.embedding)
        table = await VectorTable.read(session, definition)
        indexes = await indexes_of(session, table, KINDS)
        asked = _parameters(request)
        plan = await plan_of(session, asked)
        of_vectors = {one.name for one in indexes}
        names = {part.table for part in table.parts}
        done = [one for one in scans(plan.top) if one.table in names]
        used = [one for one in done if one.index in of_vectors]
        why_not = None
        if not used:
            why_not = await _why_not(session, table, asked, plan.top, indexes)
        return Explained(
            source=table.table,
            embedding=definition.name,
            index=used[0].index if used else table.index_name,
            index_kind=table.index_kind,
            index_storage=table.index_storage,
            lists=table.index_lists,
            settings=plan.settings,
            rescore=table.setting.rescore,
            recall=table.recall,
            target_recall=table.target_recall,
            measured_at=table.measured_at,
            why_not=why_not,
            fell_back=bool(used) and len(used) < len(done),
            rows_read=sum(one.rows + one.removed for one in used or done),
            rows_removed=sum(one.removed for one in used or done),
            pages=sum(one.pages for one in done),
            pages_read=sum(one.read for one in done),
            milliseconds=plan.milliseconds,
            plan=in_words(plan.top),
        )


def _parameters(request: ExplainRequest) -> dict[str, Any]:
    arguments = orjson.dumps(request.filter_args).decode() if request.filter_args else None
    return vars(request) | {"filter_args": arguments}


async def _why_not(
    session: Session,
    table: VectorTable,
    asked: dict[str, object],
    plan: dict[str, object],
    indexes: list[IndexOfVectors],
) -> str:
    """The reason in one sentence, the plainest first."""
    if not indexes:
        return f"{table.table} has no index over vectors: `rowvec index` builds one"
    invalid = [one.name for one in indexes if not one.is_valid]
    if len(invalid) == len(indexes):
        return f"{invalid[0]} is INVALID, left over from a build that was killed: `rowvec index`"
    forced = await plan_of(session, asked, enable_seqscan="off", enable_sort="off")
    cheapest = forced.top
    names = {one.name for one in indexes}
    if not any(one.index in names for one in scans(cheapest)):
        return (
            f"no index of {table.table} fits this search: another metric, type or number of "
            "dimensions, or enable_indexscan is off: `rowvec index` builds the one that fits"
        )
    tables = {part.table for part in table.parts}
    done = [one for one in scans(plan) if one.table in tables]
    how = " and ".join(sorted({_described(one) for one in done})) or "no row"
    return (
        f"the planner expects {how} to cost {plan['Total Cost']:,.0f}, and the index "
        f"{cheapest['Total Cost']:,.0f}{_because(asked, done)}; the answer is exact"
    )


def _described(scan: Scan) -> str:
    return f"the index {scan.index}" if scan.index else f"reading all of {scan.table}"


def _because(asked: dict[str, object], done: list[Scan]) -> str:
    if asked["filter"] and any(one.index for one in done):
        return ", since few rows pass the filter"
    if asked["filter"]:
        return ", since the index would have to read far for rows that pass the filter"
    return ", since the table is small or k large"
