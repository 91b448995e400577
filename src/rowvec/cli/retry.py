"""`rowvec retry`: rows that were set aside are tried again."""

from __future__ import annotations

import shlex

import click
from psycopg.rows import tuple_row

from rowvec.cli.options import embedding_option, json_flag, setting
from rowvec.cli.output import print_json, stdout
from rowvec.config import Settings
from rowvec.db.connection import fetch_typed, resolve_dsn
from rowvec.db.schema import connect_migrated


@click.command()
@click.argument("source")
@embedding_option
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
    with connect_migrated(resolve_dsn(Settings.build(dsn=dsn)), "rowvec retry") as connection:
        ((due,),) = fetch_typed(connection, "retry", named, tuple_row)
    if as_json:
        print_json({"due": due})
    else:
        rows = f"{due:,} row" if due == 1 else f"{due:,} rows"
        words = [source] if embedding is None else [source, "--embedding", embedding]
        stdout().print(
            f"{rows} will be tried again, by sync or by: rowvec backfill {shlex.join(words)}",
            markup=False,
        )
