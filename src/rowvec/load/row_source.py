"""Where rows come from, as the loader sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rowvec.rows.columns import Column
from rowvec.rows.reading import Batch, OnBad, Place, Rows


def _nowhere() -> int:
    return 0


@dataclass
class RowSource:
    """Rows, read once; everything else that is known about them beforehand.

    `columns` are there where the source declares types; `cells` says that all values are texts
    whose types show when all were seen. `key` are the columns that tell its rows apart by nature,
    `input` the expression over them that is worth embedding.
    `batches` are the same rows where the source reads many at once.
    If a source was interrupted before, `begin_at` makes it continue with the rest.
    `size` and `position` are in bytes, for a progress bar.
    """

    name: str
    rows: Callable[[OnBad], Rows]
    place: Place
    batches: Callable[[OnBad], Iterator[Batch]] | None = None
    columns: list[Column] | None = None
    cells: bool = False
    key: tuple[str, ...] = ()
    input: str | None = None
    begin_at: Callable[[str], None] | None = None
    size: int | None = None
    position: Callable[[], int] = field(default=_nowhere)
