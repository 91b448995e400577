"""What a build may take of a server, from what can be seen of it."""

from __future__ import annotations

from dataclasses import replace

from rowvec.db.build_resources import ServerResources

GB = 1 << 20

SEEN = ServerResources(
    maintenance_kb=64 << 10,
    cache_kb=4 * GB,
    max_workers=8,
    workers=2,
    available_kb=10 * GB,
    processors=4,
)
UNSEEN = replace(SEEN, available_kb=None, processors=None)


def test_half_of_what_is_there() -> None:
    """The machine's word before the administrator's estimate."""
    assert SEEN.memory_kb == 5 * GB
    assert UNSEEN.memory_kb == 2 * GB


def test_never_less_than_the_server_gives_anyway() -> None:
    assert replace(SEEN, maintenance_kb=8 * GB).memory_kb == 8 * GB


def test_one_worker_less_than_processors_within_the_limit() -> None:
    """The session itself builds too."""
    assert SEEN.parallel_workers == 3
    assert replace(SEEN, max_workers=1).parallel_workers == 1
    assert replace(SEEN, processors=1).parallel_workers == 0


def test_as_many_as_the_server_is_set_to_where_processors_cannot_be_seen() -> None:
    assert UNSEEN.parallel_workers == 2
