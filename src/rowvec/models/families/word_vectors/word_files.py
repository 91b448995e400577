"""Files of word vectors, memory-mapped: a word's numbers are read when the word is looked up.

Text, one word a line: GloVe's files, and those of word2vec and fastText, which have a first line
`<words> <dimensions>`. Binary: word2vec's .bin. Matrix: a .npy of rows, and its words beside it,
one a line in a .txt or in the one column of text of a .parquet (which needs pyarrow).
"""

from __future__ import annotations

import mmap
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rowvec.errors import ModelError

Vector = npt.NDArray[np.float32]

_TEXT = (".txt", ".vec")
_SUFFIXES = (".npy", ".bin", *_TEXT)


class WordFile(ABC):
    """Words and their vectors; opening one raises ModelError where the file is no such file."""

    dimensions: int
    words: dict[str, int]
    """Where the vector of each word is; what stands first in the file counts, of equal ones."""

    def __init__(self) -> None:
        self.words = {}

    @abstractmethod
    def vector(self, place: int) -> Vector:
        """The vector at a place."""


def vectors_file(folder: Path, named: str | None) -> Path:
    """The file of vectors in a folder: the named one, or the only one; raises ModelError."""
    if named is not None:
        if (folder / named).is_file():
            return folder / named
        raise ModelError(f"{folder} has no file {named}")
    found = [f for suffix in _SUFFIXES for f in sorted(folder.glob(f"*{suffix}"))]
    matrices = [f for f in found if f.suffix == ".npy"]
    if len(matrices or found) != 1:
        raise ModelError(
            f"{folder} has {len(found)} files that may hold word vectors",
            hint='name one of them: vectors = "…"',
        )  # fmt: skip
    return (matrices or found)[0]


def width(path: Path) -> int:
    """The length of a vector in a file, from its beginning; raises ModelError."""
    try:
        if path.suffix == ".npy":
            return int(_matrix(path).shape[1])
        with path.open("rb") as opened:
            first = opened.readline(1 << 20).split()
    except (OSError, ValueError) as exc:
        raise ModelError(f"cannot read {path}: {exc}") from exc
    return int(first[1]) if _is_header(first) else len(first) - 1


def open_words(path: Path, words: str | None) -> WordFile:
    """The file, ready for lookups; `words` names the list that goes with a .npy."""
    try:
        match path.suffix:
            case ".npy":
                return _Matrix(path, words)
            case ".bin":
                return _Binary(path)
            case _:
                return _Text(path)
    except (OSError, ValueError) as exc:
        raise ModelError(f"{path} is no file of word vectors: {exc}") from exc


class _Text(WordFile):
    """A line per word: the word, then its numbers in decimal. A GloVe word may contain spaces."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._bytes = _mapped(path)
        self.dimensions = width(path)
        start = self._bytes.find(b"\n") + 1 if _is_header(self._line(0).split()) else 0
        while start < len(self._bytes):
            line = self._line(start)
            word = self._word(line, path)
            self.words.setdefault(word, start)
            start += len(line) + 1

    def vector(self, place: int) -> Vector:
        """Parses the line."""
        numbers = self._line(place).split()[-self.dimensions :]
        return np.array(numbers, dtype=np.float32)

    def _word(self, line: bytes, path: Path) -> str:
        # A trailing blank, as word2vec and fastText write, is no separator.
        fields = line.rstrip()
        if fields.count(b" ") < self.dimensions:
            raise ModelError(f"{path} has a line with fewer than {self.dimensions} numbers")
        if fields.count(b" ") == self.dimensions:
            return fields[: fields.index(b" ")].decode(errors="replace")
        return fields.rsplit(b" ", self.dimensions)[0].decode(errors="replace")

    def _line(self, start: int) -> bytes:
        end = self._bytes.find(b"\n", start)
        return self._bytes[start : len(self._bytes) if end < 0 else end]


class _Binary(WordFile):
    """word2vec's own: a header, then each word, a blank, its numbers as little-endian float32."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._bytes = _mapped(path)
        start = self._bytes.find(b"\n") + 1
        header = self._bytes[: max(0, start)].split()
        if not _is_header(header):
            raise ModelError(f"{path} does not begin with the number of words and of dimensions")
        count, self.dimensions = int(header[0]), int(header[1])
        for _ in range(count):
            blank = self._bytes.find(b" ", start)
            if blank < 0 or blank + 1 + 4 * self.dimensions > len(self._bytes):
                raise ModelError(f"{path} ends before its {count} words do")
            # Some writers end every vector with a newline, which then stands before the word.
            word = self._bytes[start:blank].lstrip(b"\n").decode(errors="replace")
            self.words.setdefault(word, blank + 1)
            start = blank + 1 + 4 * self.dimensions

    def vector(self, place: int) -> Vector:
        """Reads the bytes."""
        return np.frombuffer(self._bytes, "<f4", self.dimensions, place)


class _Matrix(WordFile):
    """A .npy with a row for each word of another file, in that file's order."""

    def __init__(self, path: Path, words: str | None) -> None:
        super().__init__()
        self._rows = _matrix(path)
        self.dimensions = self._rows.shape[1]
        listed = _words_file(path, words)
        count = 0
        for row, word in enumerate(_read_words(listed)):
            self.words.setdefault(word, row)
            count += 1
        if count != len(self._rows):
            raise ModelError(f"{listed} has {count} words, {path} has {len(self._rows)} rows")

    def vector(self, place: int) -> Vector:
        """Reads the row."""
        return np.asarray(self._rows[place], dtype=np.float32)


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as opened:
        return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)


def _matrix(path: Path) -> npt.NDArray[np.floating]:
    # Never allow_pickle: an array of objects could run code.
    rows: npt.NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.floating):
        raise ModelError(f"{path} is no matrix of numbers")
    return rows


def _is_header(fields: list[bytes]) -> bool:
    return len(fields) == 2 and all(field.isdigit() for field in fields)


def _words_file(path: Path, named: str | None) -> Path:
    if named is not None:
        return path.parent / named
    found = [f for s in (".txt", ".parquet") for f in sorted(path.parent.glob(f"*{s}"))]
    if len(found) != 1:
        raise ModelError(
            f"{path.parent} has {len(found)} files that may list the words of {path.name}",
            hint='name one of them: words = "…"',
        )  # fmt: skip
    return found[0]


def _read_words(path: Path) -> Iterator[str]:
    if path.suffix != ".parquet":
        with path.open(encoding="utf-8") as opened:
            yield from (line.rstrip("\r\n") for line in opened)
        return
    try:
        import pyarrow.parquet  # noqa: PLC0415  # no dependency of the worker
    except ImportError as exc:
        raise ModelError(f"reading {path} needs pyarrow", hint="pip install pyarrow") from exc
    table = pyarrow.parquet.read_table(path)
    if table.num_columns != 1:
        raise ModelError(f"{path} has {table.num_columns} columns, not one of words")
    yield from table.column(0).to_pylist()
