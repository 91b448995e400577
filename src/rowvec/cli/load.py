"""`rowvec load`: rows from anywhere into a table."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import click

from rowvec.cli.options import json_flag, setting
from rowvec.cli.output import print_json, stderr, stdout
from rowvec.cli.progress import LoadBar
from rowvec.config import Settings
from rowvec.db.connection import connect, resolve_dsn, users_path
from rowvec.errors import BadRow, ConfigError, SourceInterrupted
from rowvec.load.declare import Embedding, check, declare
from rowvec.load.formats import Format
from rowvec.load.loader import load as load_rows
from rowvec.load.position import remember, resume
from rowvec.load.report import LoadResult, Options
from rowvec.load.row_source import RowSource

_SHOWN_BAD_ROWS = 20

_Folder = click.Path(path_type=Path)


@click.command()
@click.argument("table")
@click.argument("sources", nargs=-1, metavar="[FILE|URL|-]...")
@click.option("--files", nargs=2, metavar="DIR GLOB", help="Text files: their path and content.")
@click.option("--images", type=_Folder, metavar="DIR", help="Images: path, size and bytes.")
@click.option("--by-path", is_flag=True, help="With --images: paths only, the bytes stay files.")
@click.option("--python", type=_Folder, metavar="DIR", help="Functions and classes of Python code.")
@click.option("--from-sql", nargs=2, metavar="DSN QUERY", help="A query to another database.")
@click.option("--dataset", metavar="NAME", help="A dataset of Hugging Face's hub, or a folder.")
@click.option("--subset", help="With --dataset: the folder of it.")
@click.option("--split", help="With --dataset: train, validation or test; all without it.")
@click.option("--revision", help="With --dataset: a commit or tag of the hub.")
@click.option("--collection", "collections", multiple=True, help="Of a SQLite file of `llm`.")
@click.option("--header", "headers", multiple=True, metavar="LINE", help="Sent to an API.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(get_args(Format)),
    help="Where no name tells it; standard input is JSON without it.",
)
@click.option("--encoding", default="utf-8", help="Of text  [default: utf-8]")
@click.option("--separator", metavar="CHARACTER", help="Between the cells of CSV.")
@click.option("--key", multiple=True, metavar="COLUMN", help="Update rows that are there by this.")
@click.option("--columns", metavar="A,B,...", help="Load these only.")
@click.option("--type", "types", multiple=True, metavar="COLUMN=TYPE", help="Not the inferred one.")
@click.option("--alter", is_flag=True, help="Add columns that the table lacks, and widen others.")
@click.option("--limit", type=click.IntRange(min=0), help="Stop after so many rows.")
@click.option("--skip-bad", is_flag=True, help="Load the rest where rows are broken.")
@click.option("--embed", "model", metavar="MODEL", help="Declare an embedding of the table.")
@click.option("--input", "input_", metavar="SQL", help="What --embed embeds, for example a column.")
@setting("dsn")
@setting("data")
@json_flag
def load(
    *,
    table: str,
    key: tuple[str, ...],
    columns: str | None,
    types: tuple[str, ...],
    alter: bool,
    limit: int | None,
    skip_bad: bool,
    model: str | None,
    input_: str | None,
    dsn: str | None,
    data: Path | None,
    as_json: bool,
    **where: Any,
) -> None:
    r"""Load rows into TABLE from files, databases, APIs, images or code.

    FILE is CSV, TSV, JSON, newline-delimited JSON or Parquet (the first four also as .gz), or a
    SQLite file of the `llm` tool. URL is a JSON API with pages. `-` is standard input. A table that
    does not exist is made, with types that fit all the data; else the rows are added to it. All
    rows are loaded, or none: --skip-bad leaves broken ones out and says which.

    With --key, an existing row is updated, and not touched if nothing changed. Files, images
    and code have a key of their own, so loading them again is cheap. A load deletes nothing: the
    rows of files that are gone stay.

    \b
    Example:
      rowvec load reviews reviews.csv --embed all-MiniLM-L6-v2 --input body
      rowvec load notes --files ~/notes '**/*.md'
      rowvec load api --python ./src
      rowvec load posts 'https://example.com/blog/posts.json?_shape=objects' --key id
      jq -c '.[]' export.json | rowvec load events -
    """
    settings = Settings.build(dsn=dsn, data=data)
    source = _source(settings, **where)
    embedding = _embedding(model, input_ or source.input)
    options = Options(
        key=key,
        types=dict(map(_type, types)),
        only=tuple(name.strip() for name in columns.split(",")) if columns else (),
        alter=alter,
        skip_bad=skip_bad,
        limit=limit,
    )
    bad = _BadRows(skip=skip_bad)

    def finish(_loaded: LoadResult, interrupted: SourceInterrupted | None) -> None:
        remember(connection, table, source, interrupted)
        if embedding is not None:
            declare(connection, table, embedding)

    with (
        connect(resolve_dsn(settings), application_name="rowvec load") as connection,
        # Types, defaults and triggers are the user's own, for the length of a load.
        users_path(connection),
    ):
        if embedding is not None:
            check(connection, embedding)
        rest = resume(connection, table, source)
        if rest is not None:
            stderr().print(f"going on where the last load ended: {rest}", markup=False)
            options = replace(options, alter=True)
        with LoadBar(table, source.size) as bar:
            bad.say = bar.say
            loaded = load_rows(
                connection, table, source, options, on_bad=bad, on_progress=bar.advance,
                in_transaction=finish,
            )  # fmt: skip
    bad.close()
    if as_json:
        print_json(asdict(loaded))
    else:
        _report(loaded, embedding)


class _BadRows:
    """What is done about bad rows: the first ends the load, or each is reported and left out."""

    def __init__(self, *, skip: bool) -> None:
        self._skip = skip
        self._count = 0
        self.say: Callable[[str], None] = stderr().print

    def __call__(self, bad: BadRow) -> None:
        if not self._skip:
            hint = bad.hint or "--skip-bad loads the rest"
            raise BadRow(f"{bad}; nothing was loaded", hint=hint) from bad
        self._count += 1
        if self._count <= _SHOWN_BAD_ROWS:
            self.say(f"left out: {bad}")

    def close(self) -> None:
        """Says how many were not named."""
        if self._count > _SHOWN_BAD_ROWS:
            stderr().print(f"left out: {self._count - _SHOWN_BAD_ROWS} more")


def _source(settings: Settings, *, sources: tuple[str, ...], **where: Any) -> RowSource:
    from rowvec.load import choose  # noqa: PLC0415  # its modules are many

    return choose.source(settings, sys.stdin.buffer, sources=sources, **where)


def _embedding(model: str | None, input_: str | None) -> Embedding | None:
    if model is None:
        return None
    if input_ is None:
        raise ConfigError(
            "--embed needs --input", hint="say what to embed: a column, or an expression over them"
        )
    return Embedding(model, input_)


def _type(given: str) -> tuple[str, str]:
    name, equals, type_ = given.rpartition("=")
    if not equals or not name or not type_:
        raise ConfigError(f"{given!r} is no type", hint="for example --type created=timestamptz")
    return name, type_


def _report(loaded: LoadResult, embedding: Embedding | None) -> None:
    console = stdout()
    if loaded.created:
        width = max(map(len, loaded.columns), default=0)
        for name, type_ in loaded.columns.items():
            console.print(f"  {name:<{width}}  {type_}", markup=False)
    counted = {
        "updated": loaded.updated, "unchanged": loaded.unchanged, "repeated": loaded.repeated,
        "left out": loaded.skipped,
    }  # fmt: skip
    others = "".join(f", {count:,} {what}" for what, count in counted.items() if count)
    made = "made, " if loaded.created else ""
    console.print(f"{loaded.table}: {made}{loaded.inserted:,} rows loaded{others}", markup=False)
    if embedding is not None:
        console.print(f"fill the embedding: rowvec backfill {loaded.table}", markup=False)
