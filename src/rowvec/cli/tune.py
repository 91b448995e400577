"""`rowvec tune` and `rowvec explain`: what an index finds, and what a search does with it."""

from __future__ import annotations

import asyncio
import importlib
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rowvec.cli.index import apply_option, print_by_hand, print_measured, target_option
from rowvec.cli.options import embedding_option, json_flag, setting
from rowvec.cli.output import print_json, stderr, stdout
from rowvec.cli.progress import IndexBar
from rowvec.cli.search import check_question
from rowvec.config import Settings
from rowvec.index.chart import Curve, chart
from rowvec.index.draw import check_plot, draw
from rowvec.index.index_progress import LoggedIndexProgress
from rowvec.index.kinds import kind_of
from rowvec.index.tune import TuneRequest, TuneResult, read_queries
from rowvec.job_runner import check_schema
from rowvec.search.explain import Explained, ExplainRequest, explain_search


@click.command()
@click.argument("source")
@embedding_option
@click.option(
    "--queries",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Real queries, a line each (or .jsonl with `query`); rows of SOURCE where not given.",
)
@click.option("-k", type=click.IntRange(1, 1000), default=10, help="Neighbours [default: 10].")
@target_option
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw recall over latency: .html, or .png with the extra `explore`.",
)
@apply_option("none")
@setting("dsn")
@json_flag
def tune(
    *,
    as_json: bool,
    dsn: str | None,
    queries: Path | None,
    plot: Path | None,
    **given: Any,
) -> None:
    r"""Measure recall and latency of the index of SOURCE at every setting, and keep the best.

    The best is the smallest setting that reaches the target; `search` uses it from then on. Exact
    neighbours are the measure. Measure again when the table has changed much, and with real
    queries, which lie farther from their neighbours than rows do.

    \b
    Example:
      rowvec tune reviews
      rowvec tune reviews --queries queries.txt --target-recall 0.98 --plot recall.html
    """
    if plot is not None:
        check_plot(plot)
    settings = Settings.build(dsn=dsn)
    request = TuneRequest(queries=read_queries(queries) if queries else (), **given)
    bar = IndexBar() if stderr().is_terminal else None
    with bar or nullcontext():
        job = importlib.import_module("rowvec.jobs.tune")  # jobs/ stands beside src/
        result: TuneResult = job.run(settings, request, bar or LoggedIndexProgress())
    if plot is not None:
        title = _title(result)
        facts = f"{result.queries} queries, exact neighbours of {result.rows:,} vectors"
        curve = Curve(title, facts, result.measured, result.best, result.target_recall, result.k)
        draw(chart(curve), title, plot)
    if as_json:
        print_json(asdict(result))
    else:
        _tell(result, plot)


def _title(result: TuneResult) -> str:
    lists = f" in {result.lists} lists" if result.lists else ""
    return f"{result.index}: {result.kind} of {result.storage}, {result.rows:,} vectors{lists}"


def _tell(result: TuneResult, plot: Path | None) -> None:
    print_measured(result.measured, _title(result), result.k)
    console = stderr()
    before, best = result.before, result.best
    if before is not None and before.setting != best.setting:
        console.print(f"`search` used {before.setting}: a recall of {before.recall:.3f} today.")
    verb = "reaches" if best.recall >= result.target_recall else "does not reach"
    console.print(
        f"`search` uses {best.setting} from now on, which {verb} a recall of "
        f"{result.target_recall:g} ({result.queries} queries)."
    )
    print_by_hand(result.by_hand)
    if plot is not None:
        console.print(f"Drawn: {plot}", markup=False)


@click.command()
@click.argument("source")
@click.argument("query")
@click.option("-k", type=click.IntRange(min=1), default=10, help="How many rows [default: 10].")
@click.option("--filter", metavar="SQL", help="Condition over the row; $1, $2 ... are the --arg.")
@click.option("--arg", "filter_args", multiple=True, metavar="VALUE", help="A value of --filter.")
@embedding_option
@setting("dsn")
@json_flag
def explain(*, as_json: bool, dsn: str | None, **given: Any) -> None:
    r"""Show what a search for QUERY does: its index, what it reads, the recall of its setting.

    The search is run as `search` runs it, for its plan (EXPLAIN ANALYZE).

    \b
    Example:
      rowvec explain reviews "arrived broken"
      rowvec explain reviews "arrived broken" --filter 'stars <= $1::int' --arg 2
    """
    check_question(given["query"], given["filter"], given["filter_args"])
    settings = Settings.build(dsn=dsn)
    check_schema(settings)
    found = asyncio.run(explain_search(settings, ExplainRequest(**given)))
    if as_json:
        print_json(asdict(found))
    else:
        stdout().print("\n".join(_lines(found)), markup=False)


def _lines(found: Explained) -> list[str]:
    label = f"{found.source}.{found.embedding}"
    if found.why_not:
        lines = [f"{label}: no index was used: {found.why_not}."]
    else:
        lists = f" in {found.lists} lists" if found.lists else ""
        kind = f", {found.index_kind} of {found.index_storage}{lists}" if found.index_kind else ""
        lines = [f"{label}: {found.index}{kind}"]
        lines += _setting_lines(found)
    if found.fell_back:
        lines.append("  the index gave too few rows that pass the filter: every row was read too")
    removed = (
        f", {found.rows_removed:,} of them removed by the filter" if found.rows_removed else ""
    )
    where = "from the index" if found.why_not is None else "from the table"
    lines += [
        f"  {found.rows_read:,} rows read {where}{removed}",
        f"  {found.pages:,} pages, {found.pages_read:,} of them not in memory",
        f"  {found.milliseconds:.2f} ms",
        *(f"    {line}" for line in found.plan),
    ]
    return lines


def _setting_lines(found: Explained) -> list[str]:
    if found.index_kind is None:
        return ["  not built by `rowvec index`: its recall is not known"]
    kind = kind_of(found.index_kind)
    used = kind.described(found.settings.get(f"{kind.method}.{kind.setting}"), found.lists)
    if found.rescore:
        used += f", {found.rescore} candidates ranked again"
    if found.recall is None:
        return [f"  {used}; recall not measured yet: rowvec tune {found.source}"]
    when = f" on {found.measured_at:%Y-%m-%d}" if found.measured_at else ""
    return [f"  {used}; recall {found.recall:.3f}, measured{when} (target {found.target_recall:g})"]
