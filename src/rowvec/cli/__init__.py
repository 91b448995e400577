"""The `rowvec` command: one module a family of commands, each imported only when it is called."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

import click

import rowvec
from rowvec.cli.output import fail
from rowvec.errors import RowvecError

# Command -> module of rowvec.cli that defines it under that name. In the order of a day's work.
COMMANDS = {
    "demo": "demo",
    "up": "service",
    "down": "service",
    "status": "status",
    "psql": "service",
    "config": "config",
    "migrate": "migrate",
    "uninstall": "migrate",
    "server": "server",
    "worker": "worker",
    "models": "models",
    "embed": "embed",
    "backfill": "jobs",
    "index": "jobs",
    "search": "search",
    "similar": "search",
}


class _LazyGroup(click.Group):
    """Imports a command's module when the command is called: `rowvec --help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module_name = COMMANDS.get(cmd_name)
        if module_name is None:
            return None
        command = getattr(importlib.import_module(f"rowvec.cli.{module_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RowvecError as exc:
            ctx.exit(fail(exc))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(rowvec.__version__, prog_name="rowvec")
@click.option("-v", "--verbose", is_flag=True, help="Log more, to stderr.")
def main(*, verbose: bool) -> None:
    r"""A vector for every row: embeddings inside Postgres, computed by a worker beside it.

    \b
    On one machine:        rowvec demo
    On your own Postgres:  rowvec migrate, rowvec worker, rowvec server set, rowvec backfill
    """
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
