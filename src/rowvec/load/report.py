"""The options of a load, and the report of what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Options:
    """What is done with the rows.

    `key`: rows that are there already are updated. `types`: of columns by name, instead of the
    inferred. `only`: the columns to load. `alter`: the table may get columns and wider types.
    """

    key: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    alter: bool = False
    skip_bad: bool = False
    limit: int | None = None


@dataclass
class LoadResult:
    """What a load did. With a key, `rows` are inserted, updated, unchanged or repeated."""

    table: str
    created: bool = False
    columns: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    skipped: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0
    bytes: int = 0
    seconds: float = 0.0
