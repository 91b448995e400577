"""`rowvec status`: what runs on this machine, and how far the embeddings of a database are."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import psycopg
from psycopg.rows import dict_row
from rich import box
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from rowvec.cli.exposition import exposition
from rowvec.cli.options import database_dsn, json_flag, setting
from rowvec.cli.output import frame, print_json, print_table, stdout
from rowvec.config import Settings
from rowvec.db.connection import embedded_dsn, fetch_typed, without_password
from rowvec.db.schema import connect_migrated
from rowvec.embedded.instance import Instance, State

_WATCH_SECONDS = 1.0


@click.command()
@click.argument("source", required=False)
@click.option("--watch", is_flag=True, help="Show it again every second, until Ctrl-C.")
@click.option(
    "--truncated", is_flag=True, help="List the rows of SOURCE that are too long for the model."
)
@click.option(
    "--prometheus", is_flag=True, help="Print the counts as Prometheus reads them from a file."
)
@setting("dsn")
@setting("data")
@json_flag
def status(
    *,
    source: str | None,
    watch: bool,
    truncated: bool,
    prometheus: bool,
    dsn: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    r"""Show what runs, what is embedded, and what is pending.

    What `rowvec up` runs, where the database is that one, then the views rowvec.status and
    rowvec.progress of the database: rows, pending, failed and truncated rows of every embedding (of
    SOURCE alone), its index, and how its jobs go.

    \b
    Example:
      rowvec status
      rowvec status reviews --watch
      rowvec status reviews --truncated
      rowvec status --prometheus > /var/lib/prometheus/node-exporter/rowvec.prom
      rowvec status --dsn postgresql://me@db.example.com/shop --json
    """
    settings = Settings.build(dsn=dsn, data=data)
    target = database_dsn(settings, dsn=dsn, data=data)
    if truncated:
        if source is None:
            raise click.UsageError("--truncated needs a SOURCE")
        _print_truncated(target, source, as_json=as_json)
        return
    if watch:
        _watch(target, source)
        return
    if prometheus:
        click.echo("\n".join(exposition(_embeddings(target, source))))
        return
    instance = Instance.of(settings).state() if target == embedded_dsn(settings) else None
    is_down = instance is not None and instance.postgres_pid is None
    embeddings = None if is_down else _embeddings(target, source)
    if as_json:
        print_json(
            {
                "dsn": without_password(target),
                "instance": instance and asdict(instance),
                "embeddings": embeddings,
            }
        )
        return
    if instance is not None:
        _print_instance(instance)
    if embeddings:
        _print_embeddings(embeddings)
    elif embeddings is not None:
        stdout().print("No embedding yet: SELECT rowvec.create_embedding(...)", markup=False)


def _embeddings(dsn: str, source: str | None) -> list[dict[str, Any]]:
    """The two views as one; raises SchemaError where the database lacks them."""
    with connect_migrated(dsn, "rowvec status") as conn:
        return _read(conn, source)


def _read(conn: psycopg.Connection, source: str | None) -> list[dict[str, Any]]:
    return fetch_typed(conn, "status", {"source": source}, dict_row)


def _watch(dsn: str, source: str | None) -> None:
    """Draws the table again and again; Ctrl-C is the way to end it, and no failure."""
    stopped = threading.Event()
    # A KeyboardInterrupt might come in the middle of a query, and end it as an error.
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        with connect_migrated(dsn, "rowvec status") as conn:
            console = stdout()
            with Live(console=console, auto_refresh=False, transient=True) as live:
                while not stopped.is_set():
                    table = _table(_read(conn, source))
                    if console.is_terminal:
                        live.update(table, refresh=True)
                    else:
                        console.print(table)  # one below the other, for who reads a file
                    stopped.wait(_WATCH_SECONDS)
    finally:
        signal.signal(signal.SIGINT, before)


def _print_truncated(dsn: str, source: str, *, as_json: bool) -> None:
    """Every row with a text that was cut off, the longest first."""
    with connect_migrated(dsn, "rowvec status") as conn:
        rows = fetch_typed(conn, "truncated", {"source": source}, dict_row)
    if as_json:
        print_json(rows)
    elif rows:
        columns = ["embedding", "key", "tokens", "max_tokens", "lost"]
        print_table(columns, [[row[column] for column in columns] for row in rows])
    else:
        stdout().print("Every text was read to its end", markup=False)


def _print_embeddings(embeddings: list[dict[str, object]]) -> None:
    stdout().print(_table(embeddings))
    for one in embeddings:
        if one["index_advice"] is not None:
            stdout().print(one["index_advice"], markup=False)
        if one["last_error"] is not None:
            when = f"{one['last_error_at']:%Y-%m-%d %H:%M:%S}"
            error = f"{one['source']}.{one['embedding']}, {when}: {one['last_error']}"
            stdout().print(f"last error of {error}", markup=False)


def _table(embeddings: list[dict[str, Any]]) -> Table:
    """The views as they fit into 80 columns: a few lines an embedding."""
    table = Table(header_style="bold", **frame(box.SIMPLE_HEAD))
    table.add_column("embedding, model", overflow="fold")
    for count in ("rows", "pending", "failed"):
        table.add_column(count, justify="right")
    table.add_column("index")
    per_source = Counter(one["source"] for one in embeddings)
    for one in embeddings:
        is_marked = one["is_default"] and per_source[one["source"]] > 1
        name = (
            f"{one['source']}.{one['embedding']}"
            f"{' (default)' if is_marked else ''}{' (paused)' if one['paused'] else ''}"
        )
        counts = (_count(one[count]) for count in ("rows", "pending", "failed"))
        recall = "" if one["recall"] is None else f"\nrecall {one['recall']:.2f}"
        table.add_row(
            f"{escape(name)}\n{escape(one['model'])}{_work(one)}",
            *counts,
            f"{one['index_kind'] or 'none'}{recall}",
        )
    return table


def _work(one: dict[str, Any]) -> str:
    """A line of what is going on, and of what people should know; none where there is nothing."""
    facts = []
    if one["workers"]:
        jobs = "1 job" if one["workers"] == 1 else f"{one['workers']} jobs"
        facts.append(f"{jobs}, {one['rows_per_second']:,.0f} rows/s")
        if one["eta"]:
            facts.append(f"{_duration(one['eta'])} left")
        if one["lag"]:
            facts.append(f"sync {_duration(one['lag'])} behind")
    if one["truncated"]:
        facts.append(f"{one['truncated']:,} truncated")
    if one["unproven"]:
        facts.append(f"{one['unproven']:,} adopted on trust")
    return f"\n[dim]{', '.join(facts)}[/]" if facts else ""


def _duration(length: timedelta) -> str:
    """Without fractions, hours beyond a day."""
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _count(number: int | None) -> str:
    """NULL is a table that this user may not read, or one too large to count."""
    return "?" if number is None else f"{number:,}"


def _print_instance(state: State) -> None:
    """A line each for Postgres, the worker, the sync and the models."""
    postgres = "down: rowvec up" if state.postgres_pid is None else f"pid {state.postgres_pid}"
    if state.worker_pid is None:
        worker = "down: rowvec up"
    else:
        answer = "" if state.worker_answers else ", does not answer"
        worker = f"pid {state.worker_pid}{answer}"
    sync = "not running: rowvec up" if state.sync_pid is None else f"pid {state.sync_pid}"
    lines = [("data", state.data), ("postgres", postgres), ("worker", worker), ("sync", sync)]
    lines.append(("dsn", state.dsn))
    lines += [("model", _model_line(model)) for model in state.models]
    for name, value in lines:
        stdout().print(f"[bold]{name:9}[/] {escape(value)}")


def _model_line(model: dict[str, object]) -> str:
    loaded = "" if model["loaded"] else ", not loaded"
    return f"{model['name']} ({model['dimensions']} dimensions{loaded})"
