"""The formats of files that hold many rows, and the endings that tell them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Format = Literal["csv", "tsv", "json", "ndjson", "parquet"]

_ENDINGS: dict[str, Format] = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".json": "json", ".jsonl": "ndjson",
    ".ndjson": "ndjson", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip


def format_of(file: Path) -> Format | None:
    """The format that a file's name tells; a `.gz` behind it says nothing."""
    return _ENDINGS.get(Path(file.name.removesuffix(".gz")).suffix.lower())
