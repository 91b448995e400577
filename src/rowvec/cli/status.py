"""`rowvec status`: what runs on this machine, and how far the embeddings of a database are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from psycopg.rows import dict_row
from rich import box
from rich.markup import escape
from rich.table import Table

from rowvec.cli.options import database_dsn, json_flag, setting
from rowvec.cli.output import print_json, stdout
from rowvec.config import Settings
from rowvec.db.connection import connect, database_errors, embedded_dsn, without_password
from rowvec.db.schema import require_head
from rowvec.embedded.instance import Instance, State


@click.command()
@setting("dsn")
@setting("data")
@json_flag
def status(*, dsn: str | None, data: Path | None, as_json: bool) -> None:
    r"""Show what runs, what is embedded, and what is pending.

    The Postgres and the worker of `rowvec up`, where the database is that one, then the view
    rowvec.status of the database: rows, pending and failed rows of every embedding, and its index.

    \b
    Example:
      rowvec status
      rowvec status --dsn postgresql://me@db.example.com/shop --json
    """
    settings = Settings.build(dsn=dsn, data=data)
    target = database_dsn(settings, dsn=dsn, data=data)
    instance = Instance.of(settings).state() if target == embedded_dsn(settings) else None
    is_down = instance is not None and instance.postgres_pid is None
    embeddings = None if is_down else _embeddings(target)
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


def _embeddings(dsn: str) -> list[dict[str, Any]]:
    """The view rowvec.status; raises SchemaError where the database lacks it."""
    with connect(dsn, application_name="rowvec status") as conn, database_errors():
        require_head(conn)
        with conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute("SELECT * FROM rowvec.status").fetchall()


def _print_embeddings(embeddings: list[dict[str, Any]]) -> None:
    """The view as it fits into 80 columns: two lines an embedding."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    table.add_column("embedding, model", overflow="fold")
    for count in ("rows", "pending", "failed"):
        table.add_column(count, justify="right")
    table.add_column("index")
    for one in embeddings:
        name = f"{one['source']}.{one['embedding']}" + (" (paused)" if one["paused"] else "")
        counts = (_count(one[count]) for count in ("rows", "pending", "failed"))
        recall = "" if one["recall"] is None else f"\nrecall {one['recall']:.2f}"
        table.add_row(
            f"{escape(name)}\n{escape(one['model'])}",
            *counts,
            f"{one['index_kind'] or 'none'}{recall}",
        )
    stdout().print(table)


def _count(number: int | None) -> str:
    """NULL is a table that this user may not read, or one too large to count."""
    return "?" if number is None else f"{number:,}"


def _print_instance(state: State) -> None:
    """A line each for Postgres, the worker and its models."""
    postgres = "down: rowvec up" if state.postgres_pid is None else f"pid {state.postgres_pid}"
    if state.worker_pid is None:
        worker = "down: rowvec up"
    else:
        answer = "" if state.worker_answers else ", does not answer"
        worker = f"pid {state.worker_pid}{answer}"
    lines = [("data", state.data), ("postgres", postgres), ("worker", worker), ("dsn", state.dsn)]
    lines += [("model", _model_line(model)) for model in state.models]
    for name, value in lines:
        stdout().print(f"[bold]{name:9}[/] {escape(value)}")


def _model_line(model: dict[str, Any]) -> str:
    loaded = "" if model["loaded"] else ", not loaded"
    return f"{model['name']} ({model['dimensions']} dimensions{loaded})"
