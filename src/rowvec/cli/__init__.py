"""The `rowvec` command: one module a family of commands, each imported only when it is called."""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable
from typing import Any

import click
from typing_extensions import override

import rowvec
from rowvec import logs
from rowvec.cli.output import fail
from rowvec.errors import DatabaseError, RowvecError, did_you_mean
from rowvec.extras import needed_for

# Command -> module of rowvec.cli that defines it under that name, and its line in the overview:
# neither the list nor `rowvec --help` imports a module. In the order of a day's work.
COMMANDS = {
    "demo": ("demo", "Start everything, embed Python's standard library, search it."),
    "up": ("service", "Start an embedded Postgres and a worker, and print the database's DSN."),
    "down": (
        "service",
        "Stop what `rowvec up` started; the data stays.",
    ),
    "status": ("status", "Show what runs, what is embedded, and what is pending."),
    "doctor": (
        "doctor",
        "Look at everything that rowvec needs, and say what to run where something is wrong.",
    ),
    "psql": ("service", "Open psql on the database."),
    "config": ("config", "Show every setting, its value, and where it came from."),
    "migrate": ("migrate", "Bring a database to what this release needs."),
    "uninstall": ("migrate", "Remove rowvec from a database."),
    "server": ("server", "Tell the database where its worker is."),
    "worker": ("worker", "Serve embedding models to Postgres."),
    "models": ("models", "List the models that the worker serves, or change which may be loaded."),
    "load": ("load", "Load rows into TABLE from files, databases, APIs, images or code."),
    "export": (
        "export",
        "Write the keys, texts and vectors of SOURCE into FILE, in the format of its ending.",
    ),
    "embed": ("embed", "Print the vector of each TEXT, one line each, as pgvector reads it."),
    "plan": (
        "plan",
        "Estimate a backfill of SOURCE: rows, tokens, time, cost, space.",
    ),
    "backfill": ("backfill", "Embed all pending rows of SOURCE, a table's name as written in SQL."),
    "verify": (
        "verify",
        "Embed a sample of SOURCE again, and compare it with the vectors that are there.",
    ),
    "retry": ("retry", "Let the next job try the rows of SOURCE again that were set aside."),
    "sync": (
        "sync",
        "Keep the embeddings of SOURCE, or of all tables, filled as rows come and change.",
    ),
    "index": (
        "index",
        "Build the index of SOURCE, measure its recall, and store the setting it needs.",
    ),
    "tune": (
        "tune",
        "Measure recall and latency of the index of SOURCE at every setting, and keep the best.",
    ),
    "explain": (
        "tune",
        "Show what a search for QUERY does: its index, what it reads, the recall of its setting.",
    ),
    "search": ("search", "Find the rows of SOURCE that are nearest in meaning to QUERY."),
    "similar": (
        "search",
        "Find the rows of SOURCE nearest in meaning to one of its rows, a text or an image.",
    ),
    "similarities": (
        "similarities",
        "Store the K nearest others of every row of SOURCE in the table SOURCE_similar.",
    ),
    "cluster": (
        "cluster",
        "Sort the rows of SOURCE into N groups of similar meaning (k-means), and name each.",
    ),
    "ask": ("ask", "Answer QUESTION from the rows of SOURCE, by a language model of your own."),
    "score": (
        "score",
        "Colour each sentence of FILE (or of stdin) by its place between two poles.",
    ),
    "map": ("map", "Draw the rows of SOURCE in the plane: similar ones lie near each other."),
    "ui": (
        "ui",
        "See the embeddings of a database in a browser: progress, search, map, recall, failures.",
    ),
    "viewer": (
        "viewer",
        "Make a role that may search SOURCE and change nothing, for `rowvec ui` to log in as.",
    ),
    "runner": (
        "runner",
        "Make a role that sync and backfill may log in as, and that has no right on any table.",
    ),
}


class _LazyGroup(click.Group):
    """Imports a command's module when the command is called: `rowvec --help` stays fast."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module_name = COMMANDS[cmd_name][0]
        command = getattr(importlib.import_module(f"rowvec.cli.{module_name}"), cmd_name)
        assert isinstance(command, click.Command)
        _prepare(command)
        return command

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            hint = did_you_mean(name, COMMANDS) or "rowvec --help lists all"
            ctx.fail(f"No such command {name!r}: {hint}")
        return super().resolve_command(ctx, args)

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RowvecError as exc:
            ctx.exit(fail(exc))


_prepared: set[click.Command] = set()


def _prepare(command: click.Command) -> None:
    r"""Turns the \b of raw docstrings into the byte that click takes as "do not wrap".

    What a command says of an error gets its next step.
    """
    if command in _prepared:
        return
    _prepared.add(command)
    command.help = command.help and command.help.replace("\\b\n", "\b\n")
    if isinstance(command, _LazyGroup):
        return
    if command.callback is not None:
        command.callback = _advised(command.callback)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _prepare(below)


def _advised(callback: Callable[..., Any]) -> Callable[..., Any]:
    """The callback of a command; what it lacks, in the database or here, gets a next step."""

    @functools.wraps(callback)
    def advised(*positional: Any, **given: Any) -> Any:
        try:
            with needed_for("this command"):
                return callback(*positional, **given)
        except DatabaseError as exc:
            # Only now: what it takes would make `rowvec --help` slow.
            from rowvec.cli.advice import advice  # noqa: PLC0415

            exc.hint = advice(exc, given)
            raise

    return advised


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(rowvec.__version__, prog_name="rowvec")
@click.option("-v", "--verbose", is_flag=True, help="Log more, to stderr.")
def main(*, verbose: bool) -> None:
    r"""A vector for every row: embeddings inside Postgres, computed by a worker beside it.

    \b
    On one machine:        rowvec demo
    On your own Postgres:  rowvec migrate, rowvec worker, rowvec server set, rowvec backfill
    """
    logs.configure("text", level=logging.DEBUG if verbose else logging.INFO)
    if not verbose:
        # The command itself reports what a migration did.
        logging.getLogger("alembic").setLevel(logging.WARNING)


_prepare(main)
