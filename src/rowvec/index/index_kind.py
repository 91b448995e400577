"""What a kind of index says of itself. Whoever builds, measures or explains an index asks it.

Estimates of time are scaled from builds over 100,000 sentence vectors of 384 dimensions on 2 cores
with pgvector 0.8: they are no promise, they are good enough to tell seconds from hours.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rowvec.db.index_form import Setting, Storage

# pgvector: what its indexes can hold of each type.
PGVECTOR_DIMENSIONS: Mapping[Storage, int] = {"vector": 2_000, "halfvec": 4_000, "bit": 64_000}

# Distances of 384 dimensions a second and process.
_DISTANCES_PER_SECOND = 5.3e6
_MIN_MEMORY_KB = 64 << 10


@dataclass(frozen=True)
class Facts:
    """What an index is chosen by; `memory_kb` and `processes` are what one build may take."""

    rows: int
    dimensions: int
    target_recall: float
    memory_kb: int
    processes: int


class IndexKind(ABC):
    """One kind of index.

    `method` is its access method, and what people give to `--kind`; `extension` brings it; `merit`
    recommends it in a few words. `setting` is the parameter `<method>.<setting>` that trades time
    for recall, and an option of `search`. A graph grows with its table; others are drawn once, for
    so many rows. Where the setting counts rows that a scan finds, it has to be at least the rows
    that are wanted, and `most` is its largest value; else `most` is None.
    """

    method: str
    extension: str
    merit: str
    setting: str
    max_dimensions: Mapping[Storage, int]
    is_graph: bool
    most: int | None = None

    def lists_for(self, rows: int) -> int | None:  # noqa: ARG002
        """How many lists suit a number of rows; None for a kind without lists."""
        return None

    def lists_in_words(self, lists: int, rows: int) -> str:
        """Why this number of lists for this number of rows."""
        return f"{lists} lists suit {rows:,} rows"

    def options(self, lists: int | None) -> Mapping[str, int | str]:  # noqa: ARG002
        """The WITH clause of its statement."""
        return {}

    def at(self, value: int, storage: Storage) -> Setting:
        """A search with `value`; over bits as many candidates are ranked again."""
        return Setting(self.setting, value, value if storage == "bit" else None)

    @abstractmethod
    def settings(self, storage: Storage, lists: int | None, k: int) -> Iterator[Setting]:
        """Settings to measure, from the fastest to the most thorough."""

    def least(self, lists: int | None, rows: int) -> int:  # noqa: ARG002
        """The value below which a search would lose neighbours and gain nothing."""
        return 1

    @abstractmethod
    def compared(self, rows: int, lists: int | None) -> float:
        """With how many others a build compares a row, all distances being alike."""

    @abstractmethod
    def entry_bytes(self, dimensions: int, storage: Storage) -> int:
        """One row in the index on disk."""

    @abstractmethod
    def build_bytes(self, facts: Facts, storage: Storage, lists: int | None) -> int:
        """What a build keeps in memory where it is given enough."""

    def size_bytes(self, facts: Facts, storage: Storage) -> int:
        """About how large the index becomes."""
        return facts.rows * self.entry_bytes(facts.dimensions, storage)

    def build_seconds(self, facts: Facts, storage: Storage, lists: int | None) -> float:
        """About how long the build takes."""
        width = facts.dimensions / 384 * {"vector": 1.0, "halfvec": 0.7, "bit": 0.3}[storage]
        compared = self.compared(facts.rows, lists)
        return facts.rows * compared * width / _DISTANCES_PER_SECOND / facts.processes

    def memory_kb(self, facts: Facts, storage: Storage, lists: int | None) -> int:
        """maintenance_work_mem with which the build is fast: what it keeps, and a fifth more."""
        return max(_MIN_MEMORY_KB, self.build_bytes(facts, storage, lists) * 6 // 5 // 1024)

    def described(self, value: str | None, lists: int | None) -> str:  # noqa: ARG002
        """The setting of a search in words; `value` is None where Postgres's own was used."""
        return f"{self.setting} {value}"


class Graph(IndexKind):
    """A kind that links each row to its neighbours and walks along the links."""

    is_graph = True
    most: int

    def settings(
        self,
        storage: Storage,
        lists: int | None,  # noqa: ARG002
        k: int,
    ) -> Iterator[Setting]:
        """From k on: fewer would find fewer than k, or rank fewer than k well."""
        for step in steps(min(k, self.most), self.most):
            yield self.at(step, storage)

    def compared(self, rows: int, lists: int | None) -> float:  # noqa: ARG002
        """So many for each doubling of the rows, as measured of hnsw."""
        return 160 * math.log2(max(2, rows))


def stored_bytes(dimensions: int, storage: Storage) -> int:
    """One vector as pgvector stores it."""
    bits = {"vector": 32, "halfvec": 16, "bit": 1}[storage]
    return 8 + math.ceil(dimensions * bits / 8)


def steps(first: int, last: int) -> Iterator[int]:
    """From `first` to `last`, each 1.6 times the one before it: 1, 2, 3, 5, 8, 13 and so on."""
    step = first
    while step < last:
        yield step
        step = max(step + 1, round(step * 1.6))
    yield last
