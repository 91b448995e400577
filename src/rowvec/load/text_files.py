"""Files as rows: path and content of every text file that a pattern finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rowvec.errors import BadRow, ConfigError
from rowvec.load.row_source import RowSource
from rowvec.rows.columns import Column, plain
from rowvec.rows.reading import MAX_ROW_BYTES, OnBad, Place, Rows, too_long

# As git tells binary from text: a NUL within the first bytes.
_LOOKED_AT = 8000


def text_files(folder: Path, pattern: str, encoding: str = "utf-8") -> RowSource:
    """Path (relative to the folder, the key) and content of each file.

    Hidden files and folders are left out, and links to folders are not followed. Raises ConfigError
    where nothing is found.
    """
    files = found(folder, pattern)
    place = Place(str(folder), unit="file")
    read_bytes = 0

    def rows(on_bad: OnBad) -> Rows:
        nonlocal read_bytes
        for place.number, file in enumerate(files, start=1):
            try:
                content = _text(file, encoding)
            except BadRow as exc:
                on_bad(exc)
                continue
            read_bytes += file.stat().st_size
            yield {"path": file.relative_to(folder).as_posix(), "content": content}

    return RowSource(
        name=f"{folder}/{pattern}",
        rows=rows,
        place=place,
        columns=[
            Column("path", "path", "text", plain),
            Column("content", "content", "text", plain),
        ],
        key=("path",),
        input="content",
        position=lambda: read_bytes,
    )


def found(folder: Path, pattern: str) -> list[Path]:
    """The files below a folder that a pattern such as `**/*.md` finds, sorted."""
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}")
    files = sorted(_files(folder, pattern))
    if not files:
        raise ConfigError(f"no file in {folder} matches {pattern!r}")
    return files


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    try:
        matching = folder.glob(pattern)
        for file in matching:
            parts = file.relative_to(folder).parts
            if file.is_file() and not any(part.startswith(".") for part in parts):
                yield file
    except (ValueError, NotImplementedError) as exc:
        raise ConfigError(f"{pattern!r} is no pattern for files below a folder: {exc}") from exc


def _text(file: Path, encoding: str) -> str:
    try:
        if file.stat().st_size > MAX_ROW_BYTES:
            raise too_long(str(file))
        content = file.read_bytes()
    except OSError as exc:
        raise BadRow(f"cannot read {file}: {exc.strerror}") from exc
    if b"\0" in content[:_LOOKED_AT]:
        raise BadRow(
            f"{file} is a binary file", hint="narrow the pattern, or leave it out with --skip-bad"
        )
    try:
        return content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as exc:
        raise BadRow(
            f"{file} is not valid {encoding}",
            hint="say which encoding it is with --encoding, or leave it out with --skip-bad",
        ) from exc
