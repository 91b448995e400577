"""`rowvec verify`: whether the vectors of a column are what the model says now."""

from __future__ import annotations

import click
from psycopg.rows import tuple_row

from rowvec.cli.options import embedding_option, json_flag, setting
from rowvec.cli.output import print_json, print_table, stderr, stdout, working
from rowvec.config import Settings
from rowvec.db.connection import fetch_typed, resolve_dsn
from rowvec.db.schema import connect_migrated

_LISTED = 10


@click.command()
@click.argument("source")
@embedding_option
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
    with (
        connect_migrated(resolve_dsn(Settings.build(dsn=dsn)), "rowvec verify") as connection,
        working(f"embedding {sample:,} rows of {source} again"),
    ):
        found = fetch_typed(connection, "verify", named, tuple_row)
    differing = [(key, similarity) for key, similarity, is_same in found if not is_same]
    least = min((similarity for _, similarity, _ in found), default=None)
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
