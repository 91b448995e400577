"""Ivfflat of pgvector: rows in lists around means, which are drawn once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from rowvec.db.index_form import Setting, Storage
from rowvec.index.index_kind import PGVECTOR_DIMENSIONS, Facts, IndexKind, steps, stored_bytes

_MIN_LISTS = 10
_MAX_LISTS = 32_768

# Ranked again beside probes of an index over bits; more only where all lists are not enough.
_RESCORE = 200
# A scan of this many vectors takes about a millisecond: comparing fewer saves no time.
_FEWEST_COMPARED = 1_000


class Ivfflat(IndexKind):
    """A scan reads the `probes` lists with the nearest means."""

    method = "ivfflat"
    extension = "vector"
    merit = "builds faster and smaller"
    setting = "probes"
    max_dimensions = PGVECTOR_DIMENSIONS
    is_graph = False

    def lists_for(self, rows: int) -> int:
        """The root of the rows, pgvector's own rule for a million and more; at least ten."""
        return min(max(_MIN_LISTS, round(math.sqrt(rows))), _MAX_LISTS)

    def lists_in_words(self, lists: int, rows: int) -> str:
        """The rule."""
        return f"{lists} lists: the root of {rows:,} rows, at least {_MIN_LISTS}"

    def options(self, lists: int | None) -> Mapping[str, int | str]:
        """How many lists there are."""
        return {} if lists is None else {"lists": lists}

    def settings(self, storage: Storage, lists: int | None, k: int) -> Iterator[Setting]:
        """From one list to all of them; over bits more candidates then."""
        assert lists is not None
        if storage != "bit":
            for step in steps(1, lists):
                yield Setting(self.setting, step)
            return
        for step in steps(1, lists):
            yield Setting(self.setting, step, max(k, _RESCORE))
        for factor in (2, 5, 10, 50):
            yield Setting(self.setting, lists, factor * max(k, _RESCORE))

    def least(self, lists: int | None, rows: int) -> int:
        """Enough lists to compare a thousand vectors.

        It is for small tables: the questions of users lie farther from the rows than rows from each
        other, and find less than was measured.
        """
        assert lists is not None
        return min(lists, math.ceil(_FEWEST_COMPARED * lists / max(1, rows)))

    def compared(self, rows: int, lists: int | None) -> float:  # noqa: ARG002
        """The mean of each list."""
        assert lists is not None
        return lists

    def entry_bytes(self, dimensions: int, storage: Storage) -> int:
        """The vector and what each index tuple has."""
        return stored_bytes(dimensions, storage) + 12

    def build_bytes(self, facts: Facts, storage: Storage, lists: int | None) -> int:
        """What k-means takes: it fails where that does not fit.

        It samples 50 vectors a list (10,000 at least) and keeps a bound for each sample and list.
        """
        assert lists is not None
        samples = max(10_000, 50 * lists)
        bounds = 4 * (samples * lists + lists * lists + 2 * samples + 3 * lists)
        return (samples + 2 * lists) * stored_bytes(facts.dimensions, storage) + bounds

    def described(self, value: str | None, lists: int | None) -> str:
        """So many lists of how many."""
        return f"{value or 1} of {lists} lists probed"


KIND = Ivfflat()
