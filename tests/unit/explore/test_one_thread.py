"""Clusters and maps are computed on one thread, and only they."""

from __future__ import annotations

from threadpoolctl import threadpool_info

from rowvec.explore.one_thread import one_thread


def threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info()]


def test_every_library_has_one_thread_for_a_while() -> None:
    import sklearn.cluster  # noqa: F401, PLC0415 - loads what the limit is for

    before = threads()
    with one_thread():
        assert set(threads()) == {1}
    assert threads() == before
