"""`rowvec plan`: what a backfill will take."""

from __future__ import annotations

import importlib
from dataclasses import asdict
from typing import Any

import click

from rowvec.backfill.plan import Plan, Prices
from rowvec.cli.options import embedding_option, json_flag, setting
from rowvec.cli.output import print_json, print_table, stderr, working
from rowvec.config import Settings


@click.command()
@click.argument("source")
@embedding_option
@click.option("--price-per-hour", type=click.FloatRange(0), help="Of the machine that computes.")
@click.option(
    "--price-per-million-tokens", type=click.FloatRange(0), help="Of a hosted API, beside it."
)
@click.option(
    "--sample", type=click.IntRange(1, 10_000), default=512, show_default=True, metavar="ROWS",
    help="Rows to look at and to embed for the measured time.",
)  # fmt: skip
@setting("dsn")
@setting("worker")
@json_flag
def plan(
    *,
    source: str,
    embedding: str | None,
    price_per_hour: float | None,
    price_per_million_tokens: float | None,
    sample: int,
    as_json: bool,
    **given: Any,
) -> None:
    r"""Estimate a backfill of SOURCE: rows, tokens, time, cost, space.

    Samples the pending rows, lets the worker embed them for some seconds, and writes nothing.
    Warns of rows longer than the model reads, too little disk, no free connections.

    \b
    Example:
      rowvec plan reviews --price-per-hour 1.20 --price-per-million-tokens 0.02
    """
    settings = Settings.build(**given)
    # By name: jobs/ stands beside src/, and nothing in src/ imports it.
    job = importlib.import_module("rowvec.jobs.plan")
    prices = Prices(price_per_hour, price_per_million_tokens)
    with working(f"sampling {source}, and embedding for some seconds"):
        found: Plan = job.run(settings, source, embedding, prices, sample)
    if as_json:
        print_json(asdict(found))
        return
    print_table(["", ""], _lines(found), title=f"{found.source}.{found.embedding}: {found.model}")
    for warning in found.warnings:
        stderr().print(f"warning: {warning}", markup=False)


def _lines(found: Plan) -> list[list[Any]]:
    about = "" if found.rows_are_exact else "about "
    lines = [
        ["rows to embed", f"{about}{found.rows:,}"],
        ["tokens", f"about {found.tokens:,} (of {found.sampled_rows:,} sampled rows)"],
        ["vectors", _bytes(found.vector_bytes)],
        ["index", _bytes(found.index_bytes)],
    ]
    if found.seconds is not None and found.rows_per_second is not None:
        lines.append(["time", f"{_time(found.seconds)} at {found.rows_per_second:,.0f} rows/s"])
    if found.cost is not None:
        lines.append(["cost of the machine", f"{found.cost:,.2f}"])
    if found.hosted_cost is not None:
        lines.append(["cost of the hosted API", f"{found.hosted_cost:,.2f}"])
    return lines


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1e3:,.1f} kB"


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
