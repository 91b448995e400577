"""`rowvec search` and `rowvec similar`: the nearest rows as a table, or one JSON line each."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rowvec.cli.options import embedding_option, json_flag, setting
from rowvec.cli.output import print_json, print_table, stderr
from rowvec.config import Settings
from rowvec.db.connection import resolve_dsn
from rowvec.db.schema import connect_migrated
from rowvec.search.searches import Found, Search, Similar, SimilarImage, json_key

_SHOWN_CHARACTERS = 160

_k = click.option("-k", type=click.IntRange(min=1), default=10, help="How many rows  [default: 10]")
_sql = click.option("--sql", "show_sql", is_flag=True, help="Print the SQL as well, to stderr.")


@click.command()
@click.argument("source")
@click.argument("query")
@_k
@click.option("--filter", metavar="SQL", help="Condition over the row; $1, $2 ... are the --arg.")
@click.option("--arg", "filter_args", multiple=True, metavar="VALUE", help="A value of --filter.")
@embedding_option
@click.option(
    "--method",
    type=click.Choice(["vector", "text", "hybrid"]),
    help="By meaning, by words, or by both  [default: vector]",
)
@click.option("--rerank", metavar="MODEL", help="A cross-encoder that ranks the best 50 again.")
@_sql
@setting("dsn")
@json_flag
def search(*, dsn: str | None, show_sql: bool, as_json: bool, **given: Any) -> None:
    r"""Find the rows of SOURCE that are nearest in meaning to QUERY.

    \b
    Example:
      rowvec search reviews "arrived broken"
      rowvec search reviews "arrived broken" --filter 'stars <= $1::int' --arg 2
      rowvec search reviews "model X-200 arrived broken" --method hybrid
    """
    check_question(given["query"], given["filter"], given["filter_args"])
    _answer(Search(**given), dsn, show_sql=show_sql, as_json=as_json)


@click.command()
@click.argument("source")
@click.option("--key", help="Primary key of the row; of several columns as a JSON object.")
@click.option("--text", help="A text instead of a row's.")
@click.option(
    "--image",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An image instead of a row's, where the model reads images.",
)
@_k
@embedding_option
@_sql
@setting("dsn")
@json_flag
def similar(
    *,
    source: str,
    key: str | None,
    text: str | None,
    image: Path | None,
    k: int,
    embedding: str | None,
    dsn: str | None,
    show_sql: bool,
    as_json: bool,
) -> None:
    r"""Find the rows of SOURCE nearest in meaning to one of its rows, a text or an image.

    The row itself is not among them.

    \b
    Example:
      rowvec similar reviews --key 42
      rowvec similar shop.items --key '{"shop": 1, "item": 7}' --json
    """
    if sum(given is not None for given in (key, text, image)) != 1:
        raise click.UsageError("give one of --key, --text and --image")
    ask: Search | Similar | SimilarImage
    if key is not None:
        ask = Similar(source, json_key(key), k, embedding=embedding)
    elif image is not None:
        ask = SimilarImage(source, image.read_bytes(), str(image), k, embedding=embedding)
    else:
        ask = Search(source, text or "", k, embedding=embedding)
    _answer(ask, dsn, show_sql=show_sql, as_json=as_json)


def check_question(query: str, filter_: str | None, filter_args: tuple[str, ...]) -> None:
    """Raises UsageError for a question that would be answered with any rows, or never."""
    if not query.strip():
        raise click.UsageError("the query is empty: say in words what to look for")
    if filter_args and filter_ is None:
        raise click.UsageError("--arg gives a value to --filter: give --filter, too")


def _answer(
    ask: Search | Similar | SimilarImage, dsn: str | None, *, show_sql: bool, as_json: bool
) -> None:
    with connect_migrated(resolve_dsn(Settings.build(dsn=dsn))) as connection:
        found = ask.run(connection)
    if show_sql:
        stderr().print(ask.as_sql(), markup=False)
    if as_json:
        for one in found:
            print_json(asdict(one))
    else:
        print_table(
            ["key", "distance", "row"],
            [
                [f.key, "" if f.distance is None else f"{f.distance:.4f}", short_row(f)]
                for f in found
            ],
        )


def short_row(found: Found) -> str:
    """The row on a line or two: its values without the key, without vectors and hashes."""
    key = found.key if isinstance(found.key, dict) else {}
    shown = [
        f"{name}: {' '.join(str(value).split())}"
        for name, value in found.row.items()
        if value is not None and name not in key and value != found.key
    ]
    line = " · ".join(shown)
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
