"""Estimates a backfill: rows, tokens, time, cost, space, and warnings."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rowvec.client import WorkerClient
from rowvec.config import Settings
from rowvec.db.build_resources import server_resources
from rowvec.db.connection import resolve_dsn
from rowvec.db.definition import Definition
from rowvec.db.sample import Sample, sample_pending
from rowvec.db.server_room import ServerRoom, server_room
from rowvec.db.session import Session, open_session
from rowvec.db.source import Source
from rowvec.db.vector_table import VectorTable
from rowvec.errors import NotSupported, RowvecError
from rowvec.filling.worker_embedder import WorkerEmbedder
from rowvec.index.choice import Choice, Wish, choose
from rowvec.index.index_kind import Facts
from rowvec.index.kinds import KINDS

_APPLICATION = "rowvec plan"

_SECONDS = 10.0
_AT_ONCE, _IN_FLIGHT = 64, 4

_ROW_BYTES = 36  # header, pointer, the hash
_SPARE_CONNECTIONS = 3


@dataclass(frozen=True)
class Prices:
    """In any currency; None if no price was given."""

    per_hour: float | None = None
    per_million_tokens: float | None = None


@dataclass
class Plan:
    """Estimates for the pending rows; times and bytes in seconds and bytes, money in `Prices`'s."""

    source: str
    embedding: str
    model: str
    rows: int
    rows_are_exact: bool
    sampled_rows: int
    tokens: int
    rows_per_second: float | None
    seconds: float | None
    vector_bytes: int
    index_bytes: int
    long_rows: int
    cost: float | None = None
    hosted_cost: float | None = None
    warnings: list[str] = field(default_factory=list)


async def plan(
    settings: Settings,
    source: str,
    embedding: str | None,
    *,
    worker: str,
    prices: Prices,
    sample_rows: int,
) -> Plan:
    """Samples the source, measures the worker for some seconds, and writes nothing.

    Raises RowvecError where the definition is not fit, or the worker does not answer.
    """
    async with open_session(resolve_dsn(settings), _APPLICATION) as session:
        definition = await Definition.read(session, source, embedding)
        index_for = await _index(session, definition)
        session.prepare_nothing()
        await Source(definition).prepare(session)
        await Source(definition).check(session)
        sample = await sample_pending(session, definition, sample_rows)
        room = await server_room(session)
    tokens, max_tokens = await _tokens(worker, definition, sample.inputs)
    rate = await _rate(worker, definition, sample.inputs)
    share_long = sum(t > max_tokens for t in tokens) / len(tokens) if tokens else 0.0
    found = Plan(
        source=definition.table,
        embedding=definition.name,
        model=definition.model,
        rows=sample.pending,
        rows_are_exact=sample.is_exact,
        sampled_rows=len(sample.inputs),
        tokens=round(statistics.fmean(tokens) * sample.pending) if tokens else 0,
        rows_per_second=rate,
        seconds=sample.pending / rate if rate else None,
        vector_bytes=sample.pending * (4 * definition.dimensions + 8 + _ROW_BYTES),
        index_bytes=0,
        long_rows=round(share_long * sample.pending),
    )
    if prices.per_hour is not None and found.seconds is not None:
        found.cost = found.seconds / 3600 * prices.per_hour
    if prices.per_million_tokens is not None:
        found.hosted_cost = found.tokens / 1e6 * prices.per_million_tokens
    try:
        index = index_for(sample.table_rows)
    except NotSupported as exc:
        found.warnings.append(f"no index can be built: {exc}")
    else:
        found.index_bytes = index.size_bytes
        if index.storage != "vector":
            found.warnings.append(f"the index keeps vectors as {index.storage}")
    found.warnings += _warnings(definition, sample, found, max_tokens, room)
    return found


async def _index(session: Session, definition: Definition) -> Callable[[int], Choice]:
    """Chooses an index for a number of rows: one like the existing, else as `rowvec index` does.

    It raises NotSupported where no index holds such vectors.
    """
    table = await VectorTable.read(session, definition)
    server = await server_resources(session)
    wish = Wish(
        table.index_kind if table.index_kind in KINDS else None,
        table.index_storage,
        table.index_lists,
    )
    return lambda rows: choose(
        Facts(
            rows, definition.dimensions, table.target_recall, server.memory_kb,
            server.parallel_workers + 1,
        ),
        wish,
    )  # fmt: skip


async def _tokens(
    worker: str, definition: Definition, inputs: Sequence[str]
) -> tuple[list[int], int]:
    """Of each sampled input, and the most that the model reads; none for images."""
    async with await WorkerClient.connect(worker) as client:
        listed = await client.models()
        model = next(m for m in listed if definition.model in (m["name"], *m["aliases"]))
        if definition.modality != "text":
            return [], model["max_tokens"]
        kwargs = definition.document_kwargs
        counted: list[int] = []
        for start in range(0, len(inputs), _AT_ONCE):
            some = inputs[start : start + _AT_ONCE]
            found = await client.count_tokens(definition.model, some, kwargs)
            counted += [count or 0 for count in found]
        return counted, model["max_tokens"]


async def _rate(worker: str, definition: Definition, inputs: Sequence[str]) -> float | None:
    """Rows a second of this worker, as many in flight as a backfill has; None without a row.

    Files of images are read where the backfill runs, which may be elsewhere: not measured.
    """
    if not inputs or definition.modality == "image_file":
        return None
    kwargs = definition.document_kwargs
    embedder = WorkerEmbedder(worker, definition.model, kwargs, definition.modality)
    await embedder.embed(inputs[:1])  # loads the model
    # The worker remembers texts: a word before each makes it compute them.
    word = "" if definition.modality != "text" else secrets.token_hex(2) + " "
    batches = iter([inputs[n : n + _AT_ONCE] for n in range(0, len(inputs), _AT_ONCE)])
    began, done = time.monotonic(), 0

    async def work() -> None:
        nonlocal done
        for batch in batches:
            if time.monotonic() - began > _SECONDS:
                return
            try:
                await embedder.embed([word + text for text in batch])
            except RowvecError as exc:
                if exc.retryable:
                    raise
                continue  # a text that the model refuses: the backfill will say which
            done += len(batch)

    try:
        await asyncio.gather(*(work() for _ in range(_IN_FLIGHT)))
    finally:
        await embedder.close()
    return done / (time.monotonic() - began) if done else None


def _warnings(
    definition: Definition, sample: Sample, found: Plan, max_tokens: int, room: ServerRoom
) -> list[str]:
    said = []
    if found.long_rows:
        what = {
            "truncate": "the rest of them is not embedded",
            "error": "they are refused and set aside",
        }.get(definition.on_truncate, "they are cut into pieces")
        said.append(
            f"about {found.long_rows:,} rows are longer than the {max_tokens:,} tokens that the"
            f" model reads: {what} (on_truncate = {definition.on_truncate})"
        )
    if room.connections < _SPARE_CONNECTIONS:
        said.append(f"the server has {room.connections} connections left")
    needed = found.vector_bytes + found.index_bytes
    if sample.table_rows:
        # An UPDATE writes the row again, and what VACUUM has not removed yet stays.
        needed += sample.table_bytes * found.rows // sample.table_rows
    folder = room.data_directory
    if room.is_local and folder and Path(folder).exists():
        free = shutil.disk_usage(folder).free
        if free < needed:
            said.append(
                f"the disk of the server has {free / 1e9:.1f} GB free, and up to"
                f" {needed / 1e9:.1f} GB will be needed"
            )
    return said
