"""The functions and classes below a folder of Python files, as rows to search code by meaning."""

from __future__ import annotations

from pathlib import Path

from rowvec.errors import BadRow, ConfigError
from rowvec.load.python_api import python_api
from rowvec.load.row_source import RowSource
from rowvec.rows.columns import Column, plain
from rowvec.rows.reading import OnBad, Place, Rows


def python_source(folder: Path) -> RowSource:
    """Name (the key), signature and docstring of everything public that has a docstring."""
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}")
    place = Place(str(folder), unit="entry")

    def rows(on_bad: OnBad) -> Rows:
        def skipped(file: Path) -> None:
            on_bad(BadRow(f"{file} is no valid Python", hint="leave it out with --skip-bad"))

        entries = python_api(folder, on_skipped=skipped)
        for place.number, entry in enumerate(entries, start=1):
            yield entry._asdict()

    names = ("name", "signature", "doc")
    return RowSource(
        name=str(folder), rows=rows, place=place, key=("name",),
        input="name || E'\\n' || coalesce(doc, '')",
        columns=[Column(name, name, "text", plain) for name in names],
    )  # fmt: skip
