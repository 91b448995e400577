"""`rowvec plan`, `rowvec verify`, `rowvec retry`: before, after and beside a backfill."""

from __future__ import annotations

import importlib
import shlex
from dataclasses import asdict
from typing import Any

import click

from rowvec.backfill.plan import Plan, Prices
from rowvec.cli.options import json_flag, setting
from rowvec.cli.output import print_json, print_table, stderr, stdout
from rowvec.config import Settings
from rowvec.db.connection import connect, database_errors, resolve_dsn, users_path
from rowvec.db.queries import typed
from rowvec.db.schema import require_head

# As create_embedding takes vectors for the same: see rowvec._check_adopted.
_SAME = 0.99
_LISTED = 10

_embedding = click.option(
    "--embedding", metavar="NAME", help="Which embedding, where the table has several."
)


@click.command()
@click.argument("source")
@_embedding
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
    r"""Say what a backfill of SOURCE will take: rows, tokens, time, money, room.

    Samples the pending rows, lets the worker embed them for some seconds, and writes nothing.
    Warns of what will bite: rows longer than the model reads, too little disk, no free connections.

    \b
    Example:
      rowvec plan reviews --price-per-hour 1.20 --price-per-million-tokens 0.02
    """
    settings = Settings.build(**given)
    # By name: jobs/ stands beside src/, and nothing in src/ imports it.
    job = importlib.import_module("rowvec.jobs.plan")
    prices = Prices(price_per_hour, price_per_million_tokens)
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


@click.command()
@click.argument("source")
@_embedding
@click.option(
    "--sample", type=click.IntRange(1, 10_000), default=100, show_default=True, metavar="ROWS",
    help="Rows to embed again.",
)  # fmt: skip
@setting("dsn")
@json_flag
def verify(
    *, source: str, embedding: str | None, sample: int, as_json: bool, dsn: str | None
) -> None:
    r"""Embed a sample of SOURCE again, and compare it with the vectors that are there.

    Rows whose text is still to be embedded are left out. Exits with 1 where a vector is another.

    \b
    Example:
      rowvec verify reviews --sample 1000
    """
    named = {"source": source, "embedding": embedding, "sample": sample}
    found = _ask(dsn, "verify", named)
    differing = [(key, similarity) for key, similarity in found if not similarity >= _SAME]
    least = min((similarity for _, similarity in found), default=None)
    if as_json:
        print_json({"sampled": len(found), "differing": len(differing), "least": least,
                    "keys": [key for key, _ in differing]})  # fmt: skip
    elif differing:
        print_table(["key", "cosine similarity"], [[k, f"{s:.4f}"] for k, s in differing[:_LISTED]])
        stderr().print(f"{len(differing)} of {len(found)} vectors are not what the model says now.")
    elif found:
        stdout().print(f"{len(found)} vectors are what the model says, the least {least:.6f}.")
    else:
        stdout().print("There is no vector to compare.")
    if differing:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("source")
@_embedding
@click.option("--sqlstate", help="Only what failed so, as rowvec.failure says.")
@setting("dsn")
@json_flag
def retry(
    *, source: str, embedding: str | None, sqlstate: str | None, as_json: bool, dsn: str | None
) -> None:
    r"""Let the next job try the rows of SOURCE again that were set aside.

    A row that was refused is left alone until its text changes; this is for when the model or the
    worker changed instead. rowvec.failure lists them.

    \b
    Example:
      rowvec retry reviews --sqlstate 54000
    """
    named = {"source": source, "embedding": embedding, "sqlstate": sqlstate}
    ((due,),) = _ask(dsn, "retry", named)
    if as_json:
        print_json({"due": due})
    else:
        rows = f"{due:,} row" if due == 1 else f"{due:,} rows"
        words = [source] if embedding is None else [source, "--embedding", embedding]
        stdout().print(
            f"{rows} will be tried again, by sync or by: rowvec backfill {shlex.join(words)}",
            markup=False,
        )


def _ask(dsn: str | None, name: str, named: dict[str, Any]) -> list[tuple[Any, ...]]:
    settings = Settings.build(dsn=dsn)
    with connect(resolve_dsn(settings), application_name=f"rowvec {name}") as connection:
        require_head(connection)
        with database_errors(), users_path(connection):
            return connection.execute(typed(name), named).fetchall()
