"""`rowvec export`: keys, texts and vectors into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rowvec.cli.options import embedding_option, json_flag, setting
from rowvec.cli.output import print_json, stdout
from rowvec.cli.progress import progress_bar
from rowvec.config import Settings
from rowvec.db.connection import resolve_dsn
from rowvec.db.exported_rows import exported
from rowvec.db.schema import connect_migrated
from rowvec.errors import ConfigError
from rowvec.export.files import PART, WRITERS


@click.command()
@click.argument("source")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@embedding_option
@setting("dsn")
@setting("data")
@json_flag
def export(*, source: str, file: Path, embedding: str | None, as_json: bool, **given: Any) -> None:
    r"""Write the keys, texts and vectors of SOURCE into FILE, in the format of its ending.

    .parquet (columns key, text, embedding), .npz (numpy.load: keys, vectors, text_bytes,
    text_offsets), .ndjson or .jsonl (a line a row), .faiss (an exact index). Rows without a vector
    are left out; all others are of one moment, whatever is written meanwhile. Of an embedding
    with a table of chunks, each chunk is a row: key, ordinality, its text, its vector.

    \b
    Example:
      rowvec export reviews reviews.parquet
      rowvec export reviews reviews.faiss
    """
    write = WRITERS.get(file.suffix.lower())
    if write is None:
        raise ConfigError(
            f"the ending of {file.name} names no format", hint=f"known: {', '.join(WRITERS)}"
        )
    part = file.with_name(file.name + PART)
    bar = progress_bar("rows")
    with (
        connect_migrated(resolve_dsn(Settings.build(**given)), "rowvec export") as conn,
        exported(conn, source, embedding) as rows,
        bar,
    ):
        task = bar.add_task(source, total=rows.count)
        try:
            write(rows, part, lambda count: bar.advance(task, count))
            part.replace(file)
        except OSError as exc:
            raise ConfigError(f"cannot write {file}: {exc.strerror}") from exc
        finally:
            part.unlink(missing_ok=True)
        summary = {"file": str(file), "rows": rows.count, "dimensions": rows.dimensions}
    if as_json:
        print_json(summary)
    else:
        stdout().print(f"{file}: {rows.count:,} rows of {rows.dimensions} dimensions", markup=False)
