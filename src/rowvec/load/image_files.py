"""Images as rows: their bytes, or their paths relative to the folder they are in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rowvec.errors import BadRow, InvalidRequest, ModelError, RequestTooLarge
from rowvec.load.row_source import RowSource
from rowvec.load.text_files import found
from rowvec.rows.columns import Column, plain
from rowvec.rows.reading import OnBad, Place, Row, Rows

_PATTERN = "**/*"
_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})


def image_files(folder: Path, *, by_path: bool, max_bytes: int, max_pixels: int) -> RowSource:
    """Path (the key), width, height, and the bytes unless `by_path`, of each image of a folder.

    Every image is decoded once, so that what is broken, or larger than the worker takes, is found
    here and not by the model. Raises ConfigError where there is none.
    """
    size_of = _reader(max_bytes, max_pixels)
    files = [file for file in found(folder, _PATTERN) if file.suffix.lower() in _ENDINGS]
    if not files:
        raise ModelError(f"no JPEG, PNG, WebP or GIF file in {folder}")
    place = Place(str(folder), unit="image")
    read_bytes = 0

    def rows(on_bad: OnBad) -> Rows:
        nonlocal read_bytes
        for place.number, file in enumerate(files, start=1):
            try:
                row = _row(file, folder, size_of, max_bytes)
            except BadRow as exc:
                on_bad(exc)
                continue
            read_bytes += file.stat().st_size
            yield row

    columns = [
        Column("path", "path", "text", plain),
        Column("width", "width", "integer", plain),
        Column("height", "height", "integer", plain),
    ]
    if not by_path:
        columns.append(Column("image", "image", "bytea", lambda content: content))
    return RowSource(
        name=str(folder), rows=rows, place=place, columns=columns, key=("path",),
        position=lambda: read_bytes,
    )  # fmt: skip


def _reader(max_bytes: int, max_pixels: int) -> Callable[[bytes], tuple[int, int]]:
    try:
        from rowvec.models.images import read_image  # noqa: PLC0415  # Pillow is of an extra
    except ImportError as exc:
        raise ModelError(
            "loading images needs a package", hint="pip install 'rowvec[worker]'"
        ) from exc

    def size_of(content: bytes) -> tuple[int, int]:
        return read_image(content, max_bytes=max_bytes, max_pixels=max_pixels).size

    return size_of


def _row(
    file: Path, folder: Path, size_of: Callable[[bytes], tuple[int, int]], max_bytes: int
) -> Row:
    try:
        if file.stat().st_size > max_bytes:
            raise BadRow(f"{file} has {file.stat().st_size} bytes, the worker takes {max_bytes}")
        content = file.read_bytes()
        width, height = size_of(content)
    except OSError as exc:
        raise BadRow(f"cannot read {file}: {exc.strerror}") from exc
    except (RequestTooLarge, InvalidRequest) as exc:
        raise BadRow(f"{file}: {exc}", hint="leave such files out with --skip-bad") from exc
    path = file.relative_to(folder).as_posix()
    return {"path": path, "width": width, "height": height, "image": content}
