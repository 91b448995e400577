"""`rowvec index`: the job of rowvec.jobs, with a bar, its reasons and its measurements."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, TypeVar, get_args

import click

from rowvec.cli.options import embedding_option, json_flag, setting
from rowvec.cli.output import print_json, print_table, stderr, stdout, working
from rowvec.cli.progress import IndexBar
from rowvec.config import Settings
from rowvec.db.default_setting import ByHand, Scope
from rowvec.db.index_form import Storage
from rowvec.db.measured import Measured
from rowvec.index.choice import readable
from rowvec.index.index_progress import LoggedIndexProgress
from rowvec.index.kinds import KINDS
from rowvec.index.recall import NEIGHBOURS
from rowvec.index.request import IndexRequest, IndexResult
from rowvec.index.text_index import TextIndexRequest, build_text_index

Command = TypeVar("Command", bound=Callable[..., Any])

target_option = click.option(
    "--target-recall",
    type=click.FloatRange(0, 1, min_open=True),
    help="Recall@10 that `search` must reach [default: rowvec.setting target_recall].",
)


def apply_option(default: Scope) -> Callable[[Command], Command]:
    """Whose default the measured setting becomes."""
    return click.option(
        "--apply",
        type=click.Choice(get_args(Scope)),
        default=default,
        help="Make the setting the default of the database or of your role, for queries by hand "
        f"[default: {default}].",
    )


@click.command()
@click.argument("source")
@embedding_option
@click.option(
    "--kind",
    type=click.Choice(["auto", *KINDS]),
    default="auto",
    help=f"{'; '.join(f'{name} {kind.merit}' for name, kind in KINDS.items())} [default: auto].",
)
@click.option("--lists", type=click.IntRange(1, 32768), help="Lists [default: root of the rows].")
@click.option(
    "--storage",
    type=click.Choice(get_args(Storage)),
    help="What the index holds: whole vectors, halves, or signs ranked again [default: what fits].",
)
@target_option
@click.option("--dry-run", is_flag=True, help="Say what would be built and why; build nothing.")
@click.option(
    "--refresh",
    is_flag=True,
    help="Measure, and build another beside the old one if rows or recall require it.",
)
@click.option("--rebuild", is_flag=True, help="Build again even if there is a good index.")
@apply_option("database")
@click.option("--text", is_flag=True, help="Index the words instead, for hybrid search.")
@click.option(
    "--text-config", metavar="NAME", help="With --text: their language [default: Postgres's]."
)
@click.option(
    "--text-weight",
    metavar="COLUMN=A",
    multiple=True,
    help="With --text: the weight of a column, from A to D, instead of the embedding's input.",
)
@setting("dsn")
@json_flag
def index(
    *,
    as_json: bool,
    dsn: str | None,
    kind: str,
    text: bool,
    text_config: str | None,
    text_weight: tuple[str, ...],
    **given: Any,
) -> None:
    r"""Build the index of SOURCE, measure its recall, and store the setting it needs.

    Weighs rows, build time, memory and the target, and says why it chose. Built CONCURRENTLY:
    readers and writers are not blocked; an old index serves until the new one is ready. A good
    index is only measured again; `search` uses the stored setting at once. Queries by hand use it
    from their next session on: it becomes a default of the database, unless --apply says otherwise.

    \b
    Example:
      rowvec index reviews --dry-run
      rowvec index reviews --target-recall 0.99
      rowvec index reviews --kind hnsw --storage bit
      rowvec index reviews --refresh
      rowvec index reviews --text --text-weight title=A --text-weight body=D
    """
    settings = Settings.build(dsn=dsn)
    if text:
        source, embedding = given["source"], given["embedding"]
        _index_words(settings, source, embedding, text_config, text_weight, as_json=as_json)
        return
    request = IndexRequest(kind=None if kind == "auto" else kind, **given)
    bar = IndexBar() if stderr().is_terminal else None
    with bar or nullcontext():
        job = importlib.import_module("rowvec.jobs.index")  # jobs/ stands beside src/
        result: IndexResult = job.run(settings, request, bar or LoggedIndexProgress())
    if as_json:
        print_json(asdict(result))
    elif request.dry_run:
        _tell_plan(result)
    else:
        _tell(result)


def _index_words(
    settings: Settings,
    source: str,
    embedding: str | None,
    config: str | None,
    given: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    if not all("=" in one for one in given):
        raise click.UsageError("--text-weight is COLUMN=A, from A to D")
    weights = dict(one.rsplit("=", 1) for one in given) or None
    request = TextIndexRequest(source, embedding, config, weights)
    with working(f"indexing the words of {source}"):
        statement = asyncio.run(build_text_index(settings, request))
    if as_json:
        print_json({"statement": statement})
    else:
        stderr().print(statement or "The index of the words stands.", markup=False)


def _tell_plan(result: IndexResult) -> None:
    lists = f", {result.lists} lists" if result.lists else ""
    lines = [f"{result.source}.{result.embedding}: {result.kind} of {result.storage}{lists}"]
    lines += [f"  {reason}" for reason in result.reasons]
    memory, size = readable(result.memory_kb or 0), readable((result.estimated_bytes or 0) // 1024)
    lines.append(f"  about {result.estimated_seconds:,.0f} s, {memory} of memory, {size} on disk")
    stdout().print("\n".join(lines), markup=False)


def _tell(result: IndexResult) -> None:
    lists = f" in {result.lists} lists" if result.lists else ""
    print_measured(
        result.measured,
        f"{result.index}: {result.kind} of {result.storage}, {result.rows:,} vectors{lists}",
    )
    recall = 0.0 if result.recall is None else result.recall
    verb = "reaches" if recall >= result.target_recall else "does not reach"
    stderr().print(
        f"`search` uses {result.setting}, which {verb} a recall of {result.target_recall:g}."
    )
    print_by_hand(result.by_hand)


def print_by_hand(hand: ByHand) -> None:
    """The statements that were run for queries by hand, or that somebody has to run."""
    console = stderr()
    if hand.was_applied:
        console.print("Queries by hand use it too, in sessions that begin from now on:")
    elif hand.statements:
        console.print("For queries by hand, run as the owner of the database:")
    for statement in hand.statements:
        console.print(f"{statement};", markup=False, soft_wrap=True)


def print_measured(measured: Sequence[Measured], title: str, k: int = NEIGHBOURS) -> None:
    """A line each setting."""
    print_table(
        ["setting", f"recall@{k}", "p50 ms", "p95 ms"],
        [
            ["exact" if m.setting is None else str(m.setting), f"{m.recall:.3f}",
             f"{m.p50_ms:.2f}", f"{m.p95_ms:.2f}"]
            for m in measured
        ],
        title=title,
    )  # fmt: skip
