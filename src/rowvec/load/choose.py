"""Which source is meant by the words of a command."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from rowvec.config import Settings
from rowvec.errors import ConfigError
from rowvec.load.formats import Format
from rowvec.load.row_source import RowSource
from rowvec.load.tables import Reading, TableFiles, standard_input
from rowvec.load.text_files import text_files


def source(
    settings: Settings,
    stdin: IO[bytes],
    *,
    sources: tuple[str, ...] = (),
    files: tuple[str, str] | None = None,
    images: Path | None = None,
    by_path: bool = False,
    python: Path | None = None,
    from_sql: tuple[str, str] | None = None,
    dataset: str | None = None,
    subset: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    collections: tuple[str, ...] = (),
    headers: tuple[str, ...] = (),
    format_: Format | None = None,
    encoding: str = "utf-8",
    separator: str | None = None,
) -> RowSource:
    """The one source that is named; raises ConfigError for none and for several.

    Modules that need much are imported where they are needed.
    """
    named = [
        bool(sources),
        *(what is not None for what in (files, images, python, from_sql, dataset)),
    ]
    if sum(named) != 1:
        raise ConfigError(
            "give one source",
            hint="a FILE, a URL, -, --files, --images, --python, --from-sql or --dataset",
        )
    if files is not None:
        return text_files(Path(files[0]).expanduser(), files[1], encoding)
    if images is not None:
        from rowvec.load.image_files import image_files  # noqa: PLC0415

        return image_files(
            images.expanduser(), by_path=by_path, max_bytes=settings.max_image_bytes,
            max_pixels=settings.max_image_pixels,
        )  # fmt: skip
    if python is not None:
        from rowvec.load.python_source import python_source  # noqa: PLC0415

        return python_source(python.expanduser())
    if from_sql is not None:
        from rowvec.load.query import from_sql as of_query  # noqa: PLC0415

        return of_query(*from_sql)
    if dataset is not None:
        from rowvec.load.datasets import dataset as of_dataset  # noqa: PLC0415

        return of_dataset(dataset, subset=subset, split=split, revision=revision)
    return _of_words(sources, stdin, collections, headers, Reading(format_, encoding, separator))


def _of_words(
    words: tuple[str, ...],
    stdin: IO[bytes],
    collections: tuple[str, ...],
    headers: tuple[str, ...],
    reading: Reading,
) -> RowSource:
    first = words[0]
    if len(words) == 1 and first == "-":
        return standard_input(stdin, reading)
    if len(words) == 1 and "://" in first:
        from rowvec.load.json_api import JsonApi  # noqa: PLC0415

        return JsonApi(first, headers=headers).source()
    if any(word == "-" or "://" in word for word in words):
        raise ConfigError("a URL or standard input is a source alone")
    paths = [Path(word).expanduser() for word in words]
    if len(paths) == 1 and paths[0].is_file():
        from rowvec.load.llm_sqlite import is_sqlite, llm_sqlite  # noqa: PLC0415

        if is_sqlite(paths[0]):
            return llm_sqlite(paths[0], collections)
    return TableFiles(paths, reading).source()
