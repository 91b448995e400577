"""Which tests share a process of a parallel session.

A file's tests stay together, since its fixtures are made once; so do all that compute with the
real MiniLM on the shared worker, which loads it once.
"""

from __future__ import annotations

import pytest

MINILM_GROUP = "minilm"


# Before xdist looks at the marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            group = MINILM_GROUP if item.get_closest_marker("minilm") else item.path.as_posix()
            item.add_marker(pytest.mark.xdist_group(group))
