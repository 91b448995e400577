"""The libraries that compute clusters and maps, held to one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it scikit-learn, scipy and numpy compute on the calling thread alone.

    Their steps take milliseconds, between which threads wait for each other by spinning: two are no
    faster than one on an idle machine, and take ten times the processor on a busy one.
    """
    # A limit holds for libraries that are loaded. It takes a second to import.
    import sklearn.cluster  # noqa: PLC0415
    import sklearn.decomposition  # noqa: PLC0415, F401
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    with threadpool_limits(1):
        yield
