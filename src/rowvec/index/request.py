"""What an index job is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from rowvec.db.default_setting import ByHand, Scope
from rowvec.db.index_form import Setting, Storage
from rowvec.db.measured import Measured


@dataclass(frozen=True)
class IndexRequest:
    """What to index: a table's name as written in SQL, the embedding, its default where None.

    What is None is left to the rule of `choice`. `rebuild` builds again in any case, `refresh`
    only what no longer suits the rows or the target. `dry_run` changes nothing. `apply` says whose
    default the setting becomes, for queries by hand.
    """

    source: str
    embedding: str | None = None
    kind: str | None = None
    storage: Storage | None = None
    lists: int | None = None
    target_recall: float | None = None
    rebuild: bool = False
    refresh: bool = False
    dry_run: bool = False
    apply: Scope = "database"


@dataclass(frozen=True)
class IndexResult:
    """The index as it stands and what was measured, the exact search first.

    `reasons` are those of the rule, where it chose. Of a dry run, the index that would be built:
    about how many seconds and bytes on disk it takes, and the memory that it needs.
    `build_seconds` is how long a build took, without the measuring.
    """

    source: str
    embedding: str
    index: str
    rows: int
    kind: str
    storage: Storage
    lists: int | None
    was_built: bool
    target_recall: float
    setting: Setting = field(default_factory=Setting)
    recall: float | None = None
    measured: tuple[Measured, ...] = ()
    reasons: tuple[str, ...] = ()
    estimated_seconds: float | None = None
    estimated_bytes: int | None = None
    memory_kb: int | None = None
    build_seconds: float | None = None
    by_hand: ByHand = field(default_factory=ByHand)
